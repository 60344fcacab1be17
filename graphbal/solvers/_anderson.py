"""The vector work of Anderson's acceleration, compiled. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from graphbal.engines._kernels import CHUNK

__all__ = ["combine", "correct", "gram", "observe"]

Array = NDArray[np.float64]

# Sums may be reordered, so that the processor adds several numbers at once.
REORDERED = {"reassoc", "contract", "nsz"}


@njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=REORDERED)
def observe(
    before: Array, u: Array, weights: Array, moves: Array, changes: Array, latest: int
) -> Array:
    """Note how u has changed; return move_m · D u for all moves, then move · D before of the last.

    Views of chunks, unlike indices into the whole, leave the compiler no doubt about what it may
    do at once.
    """
    window, n = moves.shape
    sums = np.zeros(((n + CHUNK - 1) // CHUNK, window + 1))
    for c in prange(sums.shape[0]):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, n))
        old, new, weight = before[part], u[part], weights[part]
        change, move = changes[latest, part], moves[latest, part]
        total = 0.0
        for k in range(new.size):
            change[k] = old[k] - new[k]
            total += move[k] * weight[k] * old[k]
        sums[c, window] = total
        for m in range(window):
            move = moves[m, part]
            total = 0.0
            for k in range(new.size):
                total += move[k] * weight[k] * new[k]
            sums[c, m] = total
    products = np.zeros(window + 1)
    for c in range(sums.shape[0]):
        products += sums[c]
    return products


@njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=REORDERED)
def gram(moves: Array, weights: Array) -> Array:
    """Return move_i · D move_j for all pairs of moves."""
    window, n = moves.shape
    sums = np.zeros(((n + CHUNK - 1) // CHUNK, window, window))
    for c in prange(sums.shape[0]):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, n))
        weight = weights[part]
        for i in range(window):
            one = moves[i, part]
            for j in range(i + 1):
                other = moves[j, part]
                total = 0.0
                for k in range(weight.size):
                    total += one[k] * weight[k] * other[k]
                sums[c, i, j] = total
    products = np.zeros((window, window))
    for c in range(sums.shape[0]):
        products += sums[c]
    for i in range(window):
        products[i, i:] = products[i:, i]
    return products


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def combine(start: Array, sign: float, factors: Array, rows: Array, result: Array) -> None:
    """Compute ``start + sign Σ_m factors[m] rows[m]``."""
    n = start.size
    for c in prange((n + CHUNK - 1) // CHUNK):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, n))
        own = result[part]
        own[:] = start[part]
        for m in range(factors.size):
            factor, row = sign * factors[m], rows[m, part]
            for k in range(own.size):
                own[k] += factor * row[k]


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def correct(
    x: Array, gathered: Array, scattered: Array, gain: Array, loss: Array, through: Array
) -> None:
    """Compute ``gathered = x + (loss gathered + gain scattered) / through``, in place."""
    for k in prange(x.size):
        gathered[k] = x[k] + (loss[k] * gathered[k] + gain[k] * scattered[k]) / through[k]
