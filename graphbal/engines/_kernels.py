"""The compiled edge pass. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

__all__ = ["gather_scatter"]


@njit(parallel=True, cache=True, nogil=True)
def gather_scatter(
    indptr: NDArray[np.unsignedinteger],
    indices: NDArray[np.unsignedinteger],
    values: NDArray[np.float64],
    bounds: NDArray[np.int64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    pairs: NDArray[np.float64],
    gathered: NDArray[np.float64],
    scattered: NDArray[np.float64],
) -> None:
    """Compute ``gathered = A x`` and ``scattered = Aᵀ y`` in one pass over the entries of A.

    Block b of the rows, ``bounds[b]:bounds[b + 1]``, scatters into its own copy ``pairs[b, :, 1]``,
    beside the x it gathers from (``pairs[b, :, 0]``): one random access an entry, and no atomics.
    The blocks are summed in order, so the result does not depend on the number of threads.
    """
    n = x.size
    n_blocks = bounds.size - 1
    for b in prange(n_blocks):
        own = pairs[b]
        for j in range(n):
            own[j, 0] = x[j]
            own[j, 1] = 0.0
        for i in range(bounds[b], bounds[b + 1]):
            y_i = y[i]
            total = 0.0
            for e in range(indptr[i], indptr[i + 1]):
                j = indices[e]
                value = values[e]
                total += value * own[j, 0]
                own[j, 1] += value * y_i
            gathered[i] = total
    for j in prange(n):
        total = 0.0
        for b in range(n_blocks):
            total += pairs[b, j, 1]
        scattered[j] = total
