"""Long lists of synapses into a CSR matrix, compiled: what `graphbal.convert` uses above a million.

Every step takes consecutive chunks of the list in threads of its own and keeps the order of the
rows, so that the result, the order of summation included, does not depend on their number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["factorize", "prepare", "sort_synapses"]


def factorize(*columns: NDArray[np.int64]) -> tuple[list[NDArray[np.int32]], NDArray[np.int64]]:
    """Return the codes of each column and the distinct ids of all, ascending.

    ``distinct[codes] == ids``. One pass of hashing, O(m) for m ids.

    Examples
    --------
    >>> import numpy as np
    >>> factorize(np.array([720575940599457990, 7]), np.array([7, 8]))
    ([array([2, 0], dtype=int32), array([0, 1], dtype=int32)],
     array([                 7,                  8, 720575940599457990]))
    """
    codes = [np.empty(ids.size, dtype=np.int32) for ids in columns]
    parts = [
        (ids[chunk], code[chunk])
        for ids, code in zip(columns, codes, strict=True)
        for chunk in _chunks(ids.size)
    ]
    found = _in_threads(lambda part: _encode(*part), parts)
    distinct = np.unique(np.concatenate(found))

    ranks = [np.searchsorted(distinct, there).astype(np.int32) for there in found]
    _in_threads(_replace, [code for _, code in parts], ranks)
    return codes, distinct


def sort_synapses(
    post: NDArray[np.int32], pre: NDArray[np.int32], weights: NDArray[np.float64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.integer], int, int]:
    """Return the CSR arrays (data, indices, indptr) of n neurons, and what was merged or dropped.

    Two stable counting sorts (by presynaptic neuron, unless they come so, then by postsynaptic
    neuron), then one pass that sums repeated pairs and drops zeros: O(m + n) time, at most 28
    bytes per synapse besides the arguments.

    Returns
    -------
    data, indices, indptr
        Indices sorted within rows, no duplicates, no zeros.
    repeated, zeros : int
        Number of rows summed into an earlier one, and of sums that were zero.

    Examples
    --------
    >>> import numpy as np
    >>> post, pre = np.array([1, 0, 1, 1], np.int32), np.array([0, 1, 0, 1], np.int32)
    >>> sort_synapses(post, pre, np.array([1.0, 2.0, 3.0, 0.0]), 2)
    (array([2., 4.]), array([1, 0], dtype=int32), array([0, 1, 2], dtype=int32), 1, 1)
    """
    if not _is_sorted(pre):
        by_pre, post, weights = _counting_sort(pre, post, weights, n)
        pre = np.repeat(np.arange(n, dtype=np.int32), np.diff(by_pre))
    indptr, indices, data = _counting_sort(post, pre, weights, n)
    del post, pre, weights
    kept, repeated, zeros = _merge(indptr, indices, data)
    if kept < 0.75 * data.size:  # else the room left over costs less than the copy
        data, indices = data[:kept].copy(), indices[:kept].copy()
    data, indices = data[:kept], indices[:kept]
    if kept <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    return data, indices, indptr, repeated, zeros


def prepare() -> None:
    """Load the compiled functions from their cache, which takes as long as millions of rows do."""
    none, ids = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    ids.flags.writeable = False  # as in a column of Arrow
    factorize(ids, ids)
    sort_synapses(none, none, np.empty(0), 1)


def _counting_sort(
    keys: NDArray[np.int32], others: NDArray[np.int32], values: NDArray[np.float64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Sort others and values by keys in 0..n-1, stably; return the bounds of the keys, and both."""
    chunks = _chunks(keys.size)
    counts = np.zeros((len(chunks), n), dtype=np.int64)
    _in_threads(lambda chunk, count: _count(keys[chunk], count), chunks, counts)
    bounds = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(counts.sum(axis=0), out=bounds[1:])
    starts = np.cumsum(counts, axis=0) - counts + bounds[:-1]
    others_sorted, values_sorted = np.empty_like(others), np.empty_like(values)
    _in_threads(
        lambda chunk, start: _scatter(
            keys[chunk], others[chunk], values[chunk], start, others_sorted, values_sorted
        ),
        chunks,
        starts,
    )
    return bounds, others_sorted, values_sorted


def _chunks(size: int) -> list[slice]:
    # Each chunk keeps a table of its own neurons: no more chunks than cores, none of them small.
    number = max(1, min(os.cpu_count() or 1, 8, size // 500_000))
    bounds = np.linspace(0, size, number + 1).astype(int).tolist()
    return [slice(*pair) for pair in pairwise(bounds)]


def _in_threads(function: Callable, *arguments: Iterable[Any]) -> list[Any]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, *arguments))


@njit(nogil=True, cache=True)
def _encode(ids, codes):  # type: ignore[no-untyped-def]
    """Write the order of first appearance of each id to codes; return the distinct ids."""
    # Ids and codes side by side, so that one look finds both; a code below 0 is an empty place.
    table = np.full((1 << 14, 2), -1)
    count = 0
    previous, code = np.int64(0), np.int64(-1)
    for k in range(ids.size):
        x = ids[k]
        if x == previous and code >= 0:
            codes[k] = code
            continue
        at = _place(x, table)
        while True:
            code = table[at, 1]
            if code >= 0 and table[at, 0] == x:
                break
            if code < 0:
                code = count
                count += 1
                table[at, 0], table[at, 1] = x, code
                if 3 * count > 2 * table.shape[0]:
                    table = _larger(table)
                break
            at = (at + 1) & (table.shape[0] - 1)
        codes[k] = code
        previous = x
    distinct = np.empty(count, np.int64)
    for at in range(table.shape[0]):
        if table[at, 1] >= 0:
            distinct[table[at, 1]] = table[at, 0]
    return distinct


@njit(nogil=True, cache=True)
def _place(x, table):  # type: ignore[no-untyped-def]
    """Return where to look for an id first, the upper bits of x 2^64 / φ: Fibonacci hashing."""
    upper = (np.uint64(x) * np.uint64(11400714819323198485)) >> np.uint64(32)
    return np.int64((upper * np.uint64(table.shape[0])) >> np.uint64(32))


@njit(nogil=True, cache=True)
def _larger(table):  # type: ignore[no-untyped-def]
    """Return a table of twice the size with the same entries."""
    larger = np.full((2 * table.shape[0], 2), -1)
    for k in range(table.shape[0]):
        if table[k, 1] >= 0:
            at = _place(table[k, 0], larger)
            while larger[at, 1] >= 0:
                at = (at + 1) & (larger.shape[0] - 1)
            larger[at, 0], larger[at, 1] = table[k, 0], table[k, 1]
    return larger


@njit(nogil=True, cache=True)
def _replace(codes, ranks):  # type: ignore[no-untyped-def]
    for k in range(codes.size):
        codes[k] = ranks[codes[k]]


@njit(nogil=True, cache=True)
def _is_sorted(keys):  # type: ignore[no-untyped-def]
    for k in range(1, keys.size):  # noqa: SIM110 - compiled, a loop is what is meant
        if keys[k] < keys[k - 1]:
            return False
    return True


@njit(nogil=True, cache=True)
def _count(keys, counts):  # type: ignore[no-untyped-def]
    for k in range(keys.size):
        counts[keys[k]] += 1


@njit(nogil=True, cache=True)
def _scatter(keys, others, values, starts, others_sorted, values_sorted):  # type: ignore[no-untyped-def]
    for k in range(keys.size):
        at = starts[keys[k]]
        starts[keys[k]] = at + 1
        others_sorted[at] = others[k]
        values_sorted[at] = values[k]


@njit(nogil=True, cache=True)
def _merge(indptr, indices, data):  # type: ignore[no-untyped-def]
    """Sum repeated entries and drop zeros, in place; return entries kept, repeated and zeros."""
    kept, repeated, zeros = 0, 0, 0
    begin = indptr[0]
    for row in range(indptr.size - 1):
        end = indptr[row + 1]
        at = begin
        while at < end:
            column, total = indices[at], data[at]
            at += 1
            while at < end and indices[at] == column:
                total += data[at]
                repeated += 1
                at += 1
            if total == 0:
                zeros += 1
            else:
                indices[kept], data[kept] = column, total
                kept += 1
        begin = end
        indptr[row + 1] = kept
    return kept, repeated, zeros
