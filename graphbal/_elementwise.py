"""Looks at every synapse once: by NumPy, or on all cores where there are very many."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["count_self_connections", "extremes", "powers", "rescaled"]

Array = NDArray[np.float64]

# From this many synapses on, threads gain more than Numba's import costs.
LARGE = 1_000_000
# Synapses that a thread takes at a time: temporary arrays of theirs stay in its cache.
AT_ONCE = 1 << 15


def powers(weights: Array, p: float) -> Array:
    """Return |J|^p; infinite where that is too large."""
    if weights.size >= LARGE and p in (1, 2):
        from graphbal.engines._kernels import absolute_or_square

        values = np.empty_like(weights)  # in large pages, unlike what compiled code allocates
        absolute_or_square(weights, p == 2, values)
        return values
    with np.errstate(over="ignore", under="ignore"):
        if p == 2:
            return np.square(weights)
        values = np.abs(weights)
        return values if p == 1 else np.power(values, p, out=values)


def rescaled(weights: sparse.csr_array, h: Array) -> Array:
    """Return J_ij e^{h_j − h_i}, by synapse."""
    indptr, indices = weights.indptr, weights.indices
    if weights.nnz < LARGE:
        return weights.data * np.exp(h[indices] - np.repeat(h, np.diff(indptr)))
    from graphbal.engines._kernels import differences

    values = np.empty_like(weights.data)

    def fill(first: int, last: int) -> None:
        part = slice(indptr[first], indptr[last])
        gain = values[part]
        differences(indptr, indices, h, first, last, gain)
        np.exp(gain, out=gain)
        gain *= weights.data[part]

    starts = np.searchsorted(indptr, np.arange(0, values.size, AT_ONCE), side="right") - 1
    rows = np.append(np.unique(starts), h.size).tolist()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, rows[:-1], rows[1:]))
    return values


def extremes(costs: Array) -> tuple[float, float]:
    """Return the smallest and the largest cost; NaN if one is."""
    if costs.size >= LARGE:
        from graphbal.engines._kernels import smallest_and_largest

        return smallest_and_largest(costs)
    # `argmin` and `argmax`, which find a NaN first, are faster than `min` and `max`.
    return float(costs[costs.argmin()]), float(costs[costs.argmax()])


def count_self_connections(weights: sparse.csr_array) -> int:
    """Return the number of entries on the diagonal that are not zero; indices are sorted."""
    if weights.nnz >= LARGE:
        from graphbal.engines._kernels import count_diagonal

        return int(count_diagonal(weights.indptr, weights.indices, weights.data))
    return int(np.count_nonzero(weights.diagonal()))
