"""The vector work of Anderson's acceleration, compiled. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from graphbal.engines._kernels import pass_over_rows

__all__ = ["combine", "copy_above", "observe", "precondition"]

Array = NDArray[np.float64]
Index = NDArray[np.unsignedinteger]

# Sums over neurons are sums over chunks of so many, in order: the same for any number of threads.
CHUNK = 2048


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
def precondition(
    indptr: Index,
    indices: Index,
    values: Array,
    bounds: NDArray[np.unsignedinteger],
    gain: Array,
    loss: Array,
    through: Array,
    x: Array,
    pairs: Array,
    result: Array,
) -> None:
    """Compute x + D⁻¹ (C + Cᵀ) x, C the entries at the potentials whose exponential is `gain`.

    A pass as `graphbal.engines._kernels.gather_scatter` makes it.
    """
    n = x.size
    n_blocks = bounds.size - 1
    y = loss * x
    for b in prange(n_blocks):
        own = pairs[b]
        for j in range(n):
            own[j, 0] = gain[j] * x[j]
            own[j, 1] = 0.0
        pass_over_rows(indptr, indices, values, bounds[b], bounds[b + 1], y, own, result)
    for j in prange(n):
        total = 0.0
        for b in range(n_blocks):
            total += pairs[b, j, 1]
        result[j] = x[j] + (result[j] * loss[j] + total * gain[j]) / through[j]


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def copy_above(
    indptr: Index,
    indices: Index,
    values: Array,
    right: Array,
    enough: Array,
    bounds: NDArray[np.unsignedinteger],
    room: NDArray[np.int64],
    numbers: NDArray[np.int32],
    kept_indices: NDArray[np.int32],
    kept_values: Array,
) -> None:
    """Copy the entries with ``value * right[j] >= enough[i]``, few of all, and count them by row.

    Block b of the rows, ``bounds[b]:bounds[b + 1]``, writes to ``room[b]:room[b + 1]``, as many as
    fit.
    """
    for b in prange(bounds.size - 1):
        at, end = room[b], room[b + 1]
        for i in range(bounds[b], bounds[b + 1]):
            number = 0
            for e in range(indptr[i], indptr[i + 1]):
                if values[e] * right[indices[e]] >= enough[i]:
                    if at < end:
                        kept_values[at] = values[e]
                        kept_indices[at] = indices[e]
                    at += 1
                    number += 1
            numbers[i] = number
