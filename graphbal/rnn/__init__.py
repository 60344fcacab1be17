"""Recurrent networks: simulated, balanced, and tried with noise."""

from graphbal.rnn.model import RecurrentNetwork, as_graph

__all__ = ["RecurrentNetwork", "as_graph"]
