"""Recurrent networks: simulated, balanced, and tried with noise."""

from graphbal.rnn.model import RecurrentNetwork, as_graph
from graphbal.rnn.simulation import Simulation, largest_step, simulate

__all__ = ["RecurrentNetwork", "Simulation", "as_graph", "largest_step", "simulate"]
