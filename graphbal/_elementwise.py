"""Looks at every synapse once: by NumPy, or on all cores where there are very many."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = [
    "count_self_connections",
    "extremes",
    "magnitudes",
    "powers",
    "rescaled",
    "sums_by_neuron",
]

Array = NDArray[np.float64]

# From this many synapses on, threads gain more than Numba's import costs.
LARGE = 1_000_000
# Synapses that a thread takes at a time: temporary arrays of theirs stay in its cache.
AT_ONCE = 1 << 17


def powers(weights: Array, p: float) -> Array:
    """Return |J|^p, infinite where that is too large."""
    values = np.empty_like(weights)

    def fill(part: slice) -> None:
        given, own = weights[part], values[part]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            if p == 2:
                np.square(given, out=own)
            else:
                np.abs(given, out=own)
                if p != 1:
                    np.power(own, p, out=own)

    _by_part(fill, weights.size)
    return values


def rescaled(weights: sparse.csr_array, h: Array) -> Array:
    """Return J_ij e^{h_j − h_i}, by synapse."""
    indptr, indices = weights.indptr, weights.indices
    if weights.nnz < LARGE:
        return weights.data * np.exp(h[indices] - np.repeat(h, np.diff(indptr)))
    from graphbal.engines._kernels import differences

    values = np.empty_like(weights.data)

    def fill(block: tuple[int, int]) -> None:
        first, last = block
        part = slice(indptr[first], indptr[last])
        gain = values[part]
        differences(indptr, indices, h, first, last, gain)
        np.exp(gain, out=gain)
        gain *= weights.data[part]

    starts = np.searchsorted(indptr, np.arange(0, values.size, AT_ONCE), side="right") - 1
    rows = np.append(np.unique(starts), h.size).tolist()
    _in_threads(fill, list(pairwise(rows)))
    return values


def extremes(costs: Array) -> tuple[float, float]:
    """Return the smallest and the largest cost; NaN if one is, infinity and 0 if there is none."""
    if costs.size < LARGE:
        return _extremes(costs)
    smallest, largest = np.transpose(_by_part(lambda part: _extremes(costs[part]), costs.size))
    return float(smallest.min()), float(largest.max())


def magnitudes(weights: Array) -> tuple[float, float, bool]:
    """Return the smallest and the largest |J|, and whether a weight is negative."""

    def look(part: slice) -> tuple[float, float, bool]:
        smallest, largest = _extremes(weights[part])
        if smallest >= 0:
            return smallest, largest, False
        return *_extremes(np.abs(weights[part])), True

    if weights.size < LARGE:
        return look(slice(None))
    smallest, largest, signed = zip(*_by_part(look, weights.size), strict=True)
    return min(smallest), max(largest), any(signed)


def count_self_connections(weights: sparse.csr_array) -> int:
    """Return the number of entries on the diagonal that are not zero; indices are sorted."""
    if weights.nnz >= LARGE:
        from graphbal.engines._kernels import count_diagonal

        return int(count_diagonal(weights.indptr, weights.indices, weights.data))
    return int(np.count_nonzero(weights.diagonal()))


def sums_by_neuron(costs: sparse.csr_array) -> tuple[Array, Array]:
    """Return the sums of each row and of each column, entries on the diagonal left out."""
    if costs.nnz < LARGE:
        incoming, outgoing = costs.sum(axis=1), costs.sum(axis=0)
    else:
        from graphbal.engines.local import by_rows

        one = np.ones(costs.shape[0])
        incoming, outgoing = by_rows(costs)(one, one)
    if count_self_connections(costs):
        own = costs.diagonal()
        incoming, outgoing = incoming - own, outgoing - own
    return incoming, outgoing


def _extremes(values: Array) -> tuple[float, float]:
    if not values.size:
        return np.inf, 0.0
    # `argmin` and `argmax`, which find a NaN first, are faster than `min` and `max`.
    return float(values[values.argmin()]), float(values[values.argmax()])


def _by_part(work: Callable[[slice], Any], size: int) -> list[Any]:
    """Do the work on one part after the other; where there are very many entries, in threads."""
    parts = [slice(start, start + AT_ONCE) for start in range(0, size, AT_ONCE)]
    return [work(part) for part in parts] if size < LARGE else _in_threads(work, parts)


def _in_threads(work: Callable[[Any], Any], parts: list[Any]) -> list[Any]:
    """Do the work on each part, all cores with as many of them in a row."""
    each = -(-len(parts) // (os.cpu_count() or 1))
    shares = [parts[k : k + each] for k in range(0, len(parts), each)]
    with ThreadPoolExecutor(len(shares)) as pool:
        found = pool.map(lambda share: [work(part) for part in share], shares)
    return list(chain.from_iterable(found))
