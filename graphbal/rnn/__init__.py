"""Recurrent networks: simulated, balanced, and tried with noise."""

from graphbal.rnn.balance import Balanced, balance
from graphbal.rnn.costs import RobustnessCost, robustness_cost
from graphbal.rnn.interop import BalancedParameters, balance_arrays, balance_pytree
from graphbal.rnn.linear import (
    StationaryNoise,
    jacobian,
    numerical_abscissa,
    output_noise,
    spectral_abscissa,
    transient_amplification,
)
from graphbal.rnn.model import RecurrentNetwork, as_graph
from graphbal.rnn.online import OnlineBalance, balance_online
from graphbal.rnn.pytorch import balance_state_dict, balance_torch, from_torch
from graphbal.rnn.robustness import NoiseCurves, loss_against_noise
from graphbal.rnn.simulation import Simulation, largest_step, simulate
from graphbal.rnn.tasks import (
    Batch,
    ContextIntegration,
    DelayedMatch,
    NeuroGymTask,
    PerceptualIntegration,
    Task,
)
from graphbal.rnn.training import Training, conserved_quantities, train

__all__ = [
    "Balanced",
    "BalancedParameters",
    "Batch",
    "ContextIntegration",
    "DelayedMatch",
    "NeuroGymTask",
    "NoiseCurves",
    "OnlineBalance",
    "PerceptualIntegration",
    "RecurrentNetwork",
    "RobustnessCost",
    "Simulation",
    "StationaryNoise",
    "Task",
    "Training",
    "as_graph",
    "balance",
    "balance_arrays",
    "balance_online",
    "balance_pytree",
    "balance_state_dict",
    "balance_torch",
    "conserved_quantities",
    "from_torch",
    "jacobian",
    "largest_step",
    "loss_against_noise",
    "numerical_abscissa",
    "output_noise",
    "robustness_cost",
    "simulate",
    "spectral_abscissa",
    "train",
    "transient_amplification",
]
