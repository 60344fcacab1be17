"""How much memory a way of balancing takes, told before it takes it."""

from __future__ import annotations

import numpy as np

from graphbal.engines.local import suits_blas, suits_tiles
from graphbal.solvers._problem import Problem
from graphbal.solvers.acceleration import STRONG
from graphbal.solvers.dense import CROWDED

__all__ = ["BLOCKS", "predicted_bytes"]

# Numbers of 8 bytes a neuron, measured: states, directions, clusters; with moves that are
# remembered; blocks in closed form.
NUMBERS, NUMBERS_WITH_MOVES, BLOCKS = 38, 42, 14
# Bytes a synapse of approximate factors while they are made.
FACTORS = 68
# Square matrices of a dense factorisation, and where there are few synapses.
SQUARES, SQUARES_OF_FEW = 3, 2


def predicted_bytes(problem: Problem, linear: str, accelerated: bool) -> int:
    """Return about how many bytes it takes beside the costs to balance a problem this way.

    `linear` is that of `graphbal.solvers.Newton`.
    """
    n, m = problem.n, problem.n_synapses
    if linear == "direct":
        return (SQUARES if m > CROWDED * n else SQUARES_OF_FEW) * 8 * n * n
    if linear == "cholesky":
        return NUMBERS_WITH_MOVES * 8 * n + FACTORS * m
    if not accelerated:
        return NUMBERS * 8 * n
    if suits_blas(n, m):
        return NUMBERS_WITH_MOVES * 8 * n + (8 * n * n if m < n * n else 0)
    from graphbal.engines._tiles import expected_bytes

    # Tiles, if only to pick the strongest synapses from, and these, each a row of its own.
    if suits_tiles(n, m):
        tiles = problem.bytes_per_pass
    else:
        tiles = expected_bytes(n, problem.costs.data, np.inf, squared=False)
    return NUMBERS_WITH_MOVES * 8 * n + int(tiles * (1 + STRONG) + 4 * STRONG * m)
