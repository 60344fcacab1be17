"""Looks at every synapse once: by NumPy, or on all cores where there are very many."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["count_self_connections", "extremes", "powers", "rescaled"]

Array = NDArray[np.float64]

# From this many synapses on, threads gain more than Numba's import costs.
LARGE = 1_000_000
# Synapses that a thread takes at a time: temporary arrays of theirs stay in its cache.
AT_ONCE = 1 << 17


def powers(weights: Array, p: float) -> tuple[Array, tuple[float, float]]:
    """Return |J|^p, infinite where that is too large, and the extremes; NaN if one is."""
    values = np.empty_like(weights)

    def fill(part: slice) -> tuple[float, float]:
        given, own = weights[part], values[part]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            if p == 2:
                np.square(given, out=own)
            else:
                np.abs(given, out=own)
                if p != 1:
                    np.power(own, p, out=own)
        return own.min(initial=np.inf), own.max(initial=0.0)

    return values, _widest(_by_part(fill, weights.size))


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
    if costs.size < LARGE:
        # `argmin` and `argmax`, which find a NaN first, are faster than `min` and `max`.
        return float(costs[costs.argmin()]), float(costs[costs.argmax()])
    return _widest(_by_part(lambda part: (costs[part].min(), costs[part].max()), costs.size))


def count_self_connections(weights: sparse.csr_array) -> int:
    """Return the number of entries on the diagonal that are not zero; indices are sorted."""
    if weights.nnz >= LARGE:
        from graphbal.engines._kernels import count_diagonal

        return int(count_diagonal(weights.indptr, weights.indices, weights.data))
    return int(np.count_nonzero(weights.diagonal()))


def _by_part(work: Callable[[slice], Any], size: int) -> list[Any]:
    """Do the work on one part after the other; where there are very many entries, in threads."""
    parts = [slice(start, start + AT_ONCE) for start in range(0, size, AT_ONCE)]
    if size < LARGE:
        return [work(part) for part in parts]
    each = -(-len(parts) // (os.cpu_count() or 1))
    shares = [parts[k : k + each] for k in range(0, len(parts), each)]
    with ThreadPoolExecutor(len(shares)) as pool:
        found = pool.map(lambda share: [work(part) for part in share], shares)
    return list(chain.from_iterable(found))


def _widest(ranges: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the smallest of the first and the largest of the last; NaN if one is."""
    if not ranges:
        return np.inf, 0.0
    low, high = np.array(ranges).T
    return float(low.min()), float(high.max())
