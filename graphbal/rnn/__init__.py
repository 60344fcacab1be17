"""Recurrent networks: simulated, balanced, and tried with noise."""

from graphbal.rnn.balance import Balanced, balance
from graphbal.rnn.costs import RobustnessCost, robustness_cost
from graphbal.rnn.model import RecurrentNetwork, as_graph
from graphbal.rnn.simulation import Simulation, largest_step, simulate

__all__ = [
    "Balanced",
    "RecurrentNetwork",
    "RobustnessCost",
    "Simulation",
    "as_graph",
    "balance",
    "largest_step",
    "robustness_cost",
    "simulate",
]
