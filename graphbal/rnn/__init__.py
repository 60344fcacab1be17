"""Recurrent networks: simulated, balanced, and tried with noise."""

from graphbal.rnn.balance import Balanced, balance
from graphbal.rnn.costs import RobustnessCost, robustness_cost
from graphbal.rnn.interop import BalancedParameters, balance_arrays, balance_pytree
from graphbal.rnn.model import RecurrentNetwork, as_graph
from graphbal.rnn.pytorch import balance_state_dict, balance_torch, from_torch
from graphbal.rnn.simulation import Simulation, largest_step, simulate

__all__ = [
    "Balanced",
    "BalancedParameters",
    "RecurrentNetwork",
    "RobustnessCost",
    "Simulation",
    "as_graph",
    "balance",
    "balance_arrays",
    "balance_pytree",
    "balance_state_dict",
    "balance_torch",
    "from_torch",
    "largest_step",
    "robustness_cost",
    "simulate",
]
