"""The vector work of conjugate gradients, compiled. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from graphbal.engines._kernels import CHUNK, largest_of
from graphbal.solvers._anderson import REORDERED

__all__ = ["advance", "dot", "redirect", "without"]

Array = NDArray[np.float64]


@njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=REORDERED)
def dot(x: Array, y: Array) -> float:
    """Return x · y, the sums of chunks added in order."""
    sums = np.zeros((x.size + CHUNK - 1) // CHUNK)
    for c in prange(sums.size):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, x.size))
        one, other = x[part], y[part]
        total = 0.0
        for k in range(one.size):
            total += one[k] * other[k]
        sums[c] = total
    return sums.sum()


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def advance(
    alpha: float, direction: Array, image: Array, diagonal: Array, x: Array, r: Array
) -> float:
    """Add alpha times the direction to x, take its image from r; return the largest |r| / diagonal.

    NaN if one is.
    """
    largest = np.zeros((x.size + CHUNK - 1) // CHUNK)
    for c in prange(largest.size):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, x.size))
        solution, rest = x[part], r[part]
        step, change, scale = direction[part], image[part], diagonal[part]
        found = 0.0
        for k in range(solution.size):
            solution[k] += alpha * step[k]
            rest[k] -= alpha * change[k]
        for k in range(solution.size):
            size = abs(rest[k]) / scale[k]
            if size > found or np.isnan(size):
                found = size
        largest[c] = found
    return largest_of(largest)


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def redirect(beta: float, z: Array, direction: Array) -> None:
    """Compute ``direction = z + beta direction`` in place."""
    for c in prange((z.size + CHUNK - 1) // CHUNK):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, z.size))
        own, new = direction[part], z[part]
        for k in range(own.size):
            own[k] = new[k] + beta * own[k]


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def without(amount: float, share: Array, r: Array) -> Array:
    """Return ``r − amount share``."""
    rest = np.empty_like(r)
    for c in prange((r.size + CHUNK - 1) // CHUNK):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, r.size))
        own, old, shares = rest[part], r[part], share[part]
        for k in range(own.size):
            own[k] = old[k] - amount * shares[k]
    return rest
