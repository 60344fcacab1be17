"""The vector work of Anderson's acceleration, compiled. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from graphbal.engines._kernels import CHUNK

__all__ = ["extend", "gram", "half_log_ratios", "observe", "reduce"]

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
def half_log_ratios(incoming: Array, outgoing: Array, through: Array, u: Array) -> None:
    """Compute ``u = ½ log(incoming / outgoing)`` where neurons are balanced to an eighth.

    That is artanh((in − out) / through), of which nine terms are all that can be told.
    """
    n = u.size
    for c in prange((n + CHUNK - 1) // CHUNK):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, n))
        coming, going, both, own = incoming[part], outgoing[part], through[part], u[part]
        for k in range(own.size):
            r = (coming[k] - going[k]) / both[k]
            s = r * r
            series = 1 / 15 + s * (1 / 17)
            series = 1 / 9 + s * (1 / 11 + s * (1 / 13 + s * series))
            series = 1 / 3 + s * (1 / 5 + s * (1 / 7 + s * series))
            own[k] = r + r * s * series


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def reduce(
    u: Array, factors: Array, changes: Array, gain: Array, loss: Array, rest: Array, pairs: Array
) -> None:
    """Compute ``rest = u − Σ_m factors[m] changes[m]``, and ``pairs``, gain and loss times that."""
    n = u.size
    for c in prange((n + CHUNK - 1) // CHUNK):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, n))
        own, old = rest[part], u[part]
        x, y, gains, losses = pairs[0, part], pairs[1, part], gain[part], loss[part]
        for k in range(own.size):
            own[k] = old[k]
        for m in range(factors.size):
            factor, row = factors[m], changes[m, part]
            for k in range(own.size):
                own[k] -= factor * row[k]
        for k in range(own.size):
            x[k] = gains[k] * own[k]
            y[k] = losses[k] * own[k]


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def extend(
    rest: Array, gathered: Array, scattered: Array, gain: Array, loss: Array, through: Array,
    factors: Array, moves: Array, move: Array,
) -> None:  # fmt: skip
    """Add the moves by their factors to the preconditioned rest.

    ``move = rest + (loss gathered + gain scattered) / through + Σ_m factors[m] moves[m]``
    """
    n = rest.size
    for c in prange((n + CHUNK - 1) // CHUNK):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, n))
        own, left, gains, losses = move[part], rest[part], gain[part], loss[part]
        into, out_of, both = gathered[part], scattered[part], through[part]
        for k in range(own.size):
            own[k] = left[k] + (losses[k] * into[k] + gains[k] * out_of[k]) / both[k]
        for m in range(factors.size):
            factor, row = factors[m], moves[m, part]
            for k in range(own.size):
                own[k] += factor * row[k]
