"""Compiled passes over the edges. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

__all__ = [
    "count_diagonal",
    "differences",
    "gather_scatter",
    "goes_beyond",
    "laplacian_block",
    "largest_of",
    "pass_over_rows",
    "sweep_upstream",
    "weigh",
    "within_components",
]

# Sums over neurons are sums over chunks of so many, in order: the same for any number of threads.
CHUNK = 2048


@njit(cache=True, nogil=True, error_model="numpy")
def pass_over_rows(indptr, indices, values, first, last, y, own, gathered):  # type: ignore[no-untyped-def]
    """Gather ``own[:, 0]`` to the rows first to last, and scatter their y to ``own[:, 1]``."""
    for i in range(first, last):
        y_i = y[i]
        total = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            value = values[e]
            total += value * own[j, 0]
            own[j, 1] += value * y_i
        gathered[i] = total


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
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
    The blocks are summed in order, so the result depends on their number in rounding only.
    """
    n = x.size
    n_blocks = bounds.size - 1
    for b in prange(n_blocks):
        own = pairs[b]
        for j in range(n):
            own[j, 0] = x[j]
            own[j, 1] = 0.0
        pass_over_rows(indptr, indices, values, bounds[b], bounds[b + 1], y, own, gathered)
    for j in prange(n):
        total = 0.0
        for b in range(n_blocks):
            total += pairs[b, j, 1]
        scattered[j] = total


@njit(cache=True, nogil=True, error_model="numpy")
def largest_of(values: NDArray[np.float64]) -> float:
    """Return the largest value, none of them negative; NaN, which `max` overlooks, if one is."""
    found = 0.0
    for k in range(values.size):
        if values[k] > found or np.isnan(values[k]):
            found = values[k]
    return found


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def weigh(
    incoming: NDArray[np.float64], outgoing: NDArray[np.float64], through: NDArray[np.float64]
) -> tuple[float, float]:
    """Compute ``through = in + out``, 1 where that is 0, and return two numbers.

    The largest |in − out| of what passes through a neuron, NaN if one is, and the sum of what
    comes in.
    """
    n = incoming.size
    largest, sums = np.zeros((2, (n + CHUNK - 1) // CHUNK))
    for c in prange(sums.size):
        part = slice(np.int64(c) * CHUNK, min((np.int64(c) + 1) * CHUNK, n))
        coming, going, both = incoming[part], outgoing[part], through[part]
        found, total = 0.0, 0.0
        for k in range(coming.size):
            passed = coming[k] + going[k]
            both[k] = passed if passed != 0.0 else 1.0
            total += coming[k]
        for k in range(coming.size):
            apart = abs(coming[k] - going[k]) / both[k]
            if apart > found or np.isnan(apart):
                found = apart
        largest[c], sums[c] = found, total
    return largest_of(largest), sums.sum()


@njit(cache=True, nogil=True, error_model="numpy")
def goes_beyond(
    indptr: NDArray[np.integer], indices: NDArray[np.integer], first: int, steps: int, widest: int
) -> bool:
    """Say whether some row is further than so many entries upstream of the first, breadth first.

    Not where more than `widest` rows are equally far.
    """
    seen = np.zeros(indptr.size - 1, dtype=np.bool_)
    seen[first] = True
    queue = np.empty(indptr.size - 1, dtype=np.int32)
    queue[0] = first
    start, end = 0, 1
    for _ in range(steps + 1):
        level = end
        for k in range(start, level):
            i = queue[k]
            for e in range(indptr[i], indptr[i + 1]):
                j = indices[e]
                if not seen[j]:
                    seen[j] = True
                    queue[end] = j
                    end += 1
        if end == level or end - level > widest:
            return False
        start = level
    return True


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def sweep_upstream(
    indptr: NDArray[np.unsignedinteger],
    indices: NDArray[np.unsignedinteger],
    bounds: NDArray[np.uint64],
    marks: NDArray[np.bool_],
    swept: NDArray[np.bool_],
) -> None:
    """Mark the columns of marked rows, block b of the rows by ``marks[b]``, and note the rows."""
    for b in prange(bounds.size - 1):
        own = marks[b]
        for i in range(bounds[b], bounds[b + 1]):
            if own[i]:
                swept[i] = True
                for e in range(indptr[i], indptr[i + 1]):
                    own[indices[e]] = True


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def laplacian_block(
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    conductances: NDArray[np.float64],
    diagonal: NDArray[np.float64],
    x: NDArray[np.float64],
    image: NDArray[np.float64],
) -> None:
    """Compute ``image = D x − S x`` for the columns of x; S symmetric, in rows."""
    width = x.shape[1]
    for i in prange(x.shape[0]):
        own = image[i]
        for m in range(width):
            own[m] = diagonal[i] * x[i, m]
        for e in range(indptr[i], indptr[i + 1]):
            conductance = conductances[e]
            other = x[indices[e]]
            for m in range(width):
                own[m] -= conductance * other[m]


@njit(cache=True, nogil=True, error_model="numpy")
def differences(
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    h: NDArray[np.float64],
    first: int,
    last: int,
    found: NDArray[np.float64],
) -> None:
    """Write h_j − h_i for the entries of the rows first to last, from the start of `found`."""
    k = 0
    for i in range(first, last):
        for e in range(indptr[i], indptr[i + 1]):
            found[k] = h[indices[e]] - h[i]
            k += 1


@njit(cache=True, nogil=True, error_model="numpy")
def within_components(
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    costs: NDArray[np.float64],
    components: NDArray[np.integer],
) -> tuple[NDArray[np.float64], NDArray[np.integer], NDArray[np.integer], float]:
    """Return the CSR arrays of the positive costs within components and off the diagonal.

    Last comes the sum of the diagonal.
    """
    n = indptr.size - 1
    kept_indptr = np.zeros_like(indptr)
    own = 0.0
    for i in range(n):
        number = 0
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            if i == j:
                own += costs[e]
            elif components[i] == components[j] and costs[e] > 0.0:
                number += 1
        kept_indptr[i + 1] = kept_indptr[i] + number
    kept_costs = np.empty(kept_indptr[n], dtype=np.float64)
    kept_indices = np.empty(kept_indptr[n], dtype=indices.dtype)
    for i in range(n):
        at = kept_indptr[i]
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            if i != j and components[i] == components[j] and costs[e] > 0.0:
                kept_costs[at] = costs[e]
                kept_indices[at] = j
                at += 1
    return kept_costs, kept_indices, kept_indptr, own


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def count_diagonal(
    indptr: NDArray[np.integer], indices: NDArray[np.integer], values: NDArray[np.float64]
) -> int:
    """Return the number of entries on the diagonal that are not zero, in sorted rows."""
    number = 0
    for i in prange(indptr.size - 1):
        low, high = indptr[i], indptr[i + 1]
        while low < high:
            middle = (low + high) // 2
            if indices[middle] < i:
                low = middle + 1
            else:
                high = middle
        if low < indptr[i + 1] and indices[low] == i and values[low] != 0:
            number += 1
    return number
