"""Looks at every synapse once: by NumPy, or on all cores where there are very many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["count_self_connections", "extremes", "powers"]

Array = NDArray[np.float64]

# From this many synapses on, threads gain more than Numba's import costs.
LARGE = 1_000_000


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


def extremes(costs: Array) -> tuple[float, float]:
    """Return the smallest and the largest cost; NaN if one is."""
    # `argmin` and `argmax`, which find a NaN first, are faster than `min` and `max`.
    return float(costs[costs.argmin()]), float(costs[costs.argmax()])


def count_self_connections(weights: sparse.csr_array) -> int:
    """Return the number of entries on the diagonal that are not zero."""
    if weights.nnz >= LARGE:
        from graphbal.engines._kernels import count_diagonal

        return int(count_diagonal(weights.indptr, weights.indices, weights.data))
    return int(np.count_nonzero(weights.diagonal()))
