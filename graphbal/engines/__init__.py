"""Engines: the edge passes that every iterative solver is written on.

``engine.at(q)`` makes one pass and returns a `State`: incoming and outgoing cost of each neuron at
potentials q; ``state.laplacian_product(x)`` makes another and returns L(q) x. A new engine (say,
one that maps passes over partitions) brings its own ``products`` and nothing else.
"""

from graphbal.engines.local import Engine, State, local_engine

__all__ = ["Engine", "State", "local_engine"]
