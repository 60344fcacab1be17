"""Reverses of synapses, looked up by compiled threads."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

__all__ = ["reciprocal_sum"]


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def reciprocal_sum(
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    costs: NDArray[np.float64],
    n_blocks: int,
) -> float:
    """Return Σ √(c_ij c_ji) over a CSR matrix with sorted rows, in so many blocks at a time.

    The rows i that ask row j for its entry i ask in ascending order, so each row is read once.
    """
    n = indptr.size - 1
    by_row = np.zeros(n)
    for block in prange(n_blocks):
        first = np.searchsorted(indptr, indptr[n] * block // n_blocks)
        last = np.searchsorted(indptr, indptr[n] * (block + 1) // n_blocks)
        at = np.empty_like(indptr[:last])
        for j in range(last):
            at[j] = indptr[j] + np.searchsorted(indices[indptr[j] : indptr[j + 1]], first)
        for i in range(first, last):
            total = 0.0
            for e in range(indptr[i], indptr[i + 1]):
                j = indices[e]
                if j > i:
                    break
                here, end = at[j], indptr[j + 1]
                while here < end and indices[here] < i:
                    here += 1
                at[j] = here
                if here < end and indices[here] == i:
                    total += (1.0 if i == j else 2.0) * np.sqrt(costs[e] * costs[here])
            by_row[i] = total
    return by_row.sum()
