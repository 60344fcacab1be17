"""Long lists of synapses into a CSR matrix, compiled: what `graphbal.convert` uses above a million.

Every step takes consecutive chunks of the list in threads of its own and keeps the order of the
rows, so that the result, the order of summation included, does not depend on their number.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["BATCH", "factorize", "prepare", "sort_synapses"]

# Rows that are worth a thread of their own; each of up to 8 has a table of its own neurons.
CHUNK = 500_000
_THREADS = min(os.cpu_count() or 1, 8)
# Rows of a batch.
BATCH = CHUNK * _THREADS


def factorize(
    batches: Iterable[Sequence[NDArray[np.int64]]], size: int
) -> tuple[list[NDArray[np.int32]], NDArray[np.int64]]:
    """Return the codes of each column of ids and the distinct ids of all, ascending.

    ``distinct[codes] == ids``. The columns come in batches of rows, `size` of them altogether. One
    pass of hashing, O(m) for m ids.

    Examples
    --------
    >>> import numpy as np
    >>> factorize([(np.array([720575940599457990, 7]), np.array([7, 8]))], 2)
    ([array([2, 0], dtype=int32), array([0, 1], dtype=int32)],
     array([                 7,                  8, 720575940599457990]))
    """
    codes: list[NDArray[np.int32]] = []
    found: dict[tuple[int, int], _Found] = defaultdict(_Found)  # by column and chunk
    row = 0
    for columns in batches:
        codes = codes or [np.empty(size, dtype=np.int32) for _ in columns]
        chunks = _chunks(columns[0].size)
        jobs = [
            (found[column, k], ids[chunk], codes[column][row:][chunk])
            for column, ids in enumerate(columns)
            for k, chunk in enumerate(chunks)
        ]
        _in_threads(lambda job: _Found.encode(*job), jobs)
        row += columns[0].size
    there = [each.ids() for each in found.values()]
    distinct = np.unique(np.concatenate(there))
    _in_threads(lambda each, ids: each.rank(np.searchsorted(distinct, ids)), found.values(), there)
    return codes, distinct


@dataclass
class _Found:
    """The ids found in the same chunk of each batch, and where their codes are."""

    table: NDArray[np.int64] = field(default_factory=lambda: np.full((1 << 14, 2), -1))
    count: int = 0
    written: list[NDArray[np.int32]] = field(default_factory=list)

    def encode(self, ids: NDArray[np.int64], codes: NDArray[np.int32]) -> None:
        """Write the order of first appearance of each id to codes."""
        self.table, self.count = _encode(ids, codes, self.table, self.count)
        self.written.append(codes)

    def ids(self) -> NDArray[np.int64]:
        """Return the ids by code."""
        return _ids(self.table, self.count)

    def rank(self, ranks: NDArray[np.integer]) -> None:
        """Replace each code that was written by the rank of its id."""
        narrow = ranks.astype(np.int32)
        for codes in self.written:
            _replace(codes, narrow)


def sort_synapses(
    post: NDArray[np.int32], pre: NDArray[np.int32], weights: NDArray[np.floating], n: int
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.integer], int, int]:
    """Return the CSR arrays (data, indices, indptr) of n neurons, and what was merged or dropped.

    Two stable counting sorts, by presynaptic, then by postsynaptic neuron, then one pass that sums
    repeated pairs and drops zeros: O(m + n) time. What is sorted are records of the other neuron
    and the weight: in 8 bytes if single precision holds all weights exactly, as it does counts,
    else in 16. At most two records per synapse besides the arguments; sums take the place of
    records of 8 bytes.

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
    by_pre, records = _sorted_by_pre(pre, post, _bits(weights), n)
    by_post, records = _sorted_by_post(records, by_pre)
    narrow = records.shape[1] == 1
    data = records.view(np.float64)[:, 0] if narrow else np.empty(len(records))
    indices = np.empty(len(records), dtype=np.int32)
    indptr = np.zeros(n + 1, dtype=np.int64)
    ranges = _ranges(by_post)
    found = _in_threads(lambda rows: _merge(records, by_post, *rows, data, indices, indptr), ranges)
    kept = 0
    for (first, last), (here, _, _) in zip(ranges, found, strict=True):
        begin = by_post[first]
        if kept < begin:
            data[kept : kept + here] = data[begin : begin + here]
            indices[kept : kept + here] = indices[begin : begin + here]
        indptr[first + 1 : last + 1] += kept
        kept += here
    if kept < 0.75 * data.size:  # else the room left over costs less than the copy
        data, indices = data[:kept].copy(), indices[:kept].copy()
    data, indices = data[:kept], indices[:kept]
    if kept <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    return data, indices, indptr, sum(each[1] for each in found), sum(each[2] for each in found)


def prepare() -> None:
    """Load the compiled functions from their cache, which takes as long as millions of rows do."""
    none, ids = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    ids.flags.writeable = False  # as in a column of Arrow
    factorize([(ids, ids)], 0)
    sort_synapses(none, none, np.empty(0, dtype=np.float32), 1)


def _bits(weights: NDArray[np.floating]) -> NDArray[np.unsignedinteger]:
    """Return the bits of the weights, in single precision if that is exact for all of them."""
    with np.errstate(over="ignore"):
        single = weights.astype(np.float32, copy=False)
    exact = single is weights or np.array_equal(single, weights)
    return single.view(np.uint32) if exact else weights.view(np.uint64)


def _sorted_by_pre(
    pre: NDArray[np.int32], post: NDArray[np.int32], bits: NDArray[np.unsignedinteger], n: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return where each presynaptic neuron's records begin, and the records of post."""
    chunks = _chunks(pre.size)
    counts = np.zeros((len(chunks), n), dtype=np.int64)
    _in_threads(lambda chunk, count: _count(pre[chunk], count), chunks, counts)
    bounds, starts = _places(counts)
    records = np.empty((pre.size, bits.itemsize // 4), dtype=np.uint64)
    _in_threads(
        lambda chunk, start: _scatter(pre[chunk], post[chunk], bits[chunk], start, records),
        *(chunks, starts),
    )
    return bounds, records


def _sorted_by_post(
    records: NDArray[np.uint64], by_pre: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return where each postsynaptic neuron's records begin, and the records of pre."""
    ranges = _ranges(by_pre)
    counts = np.zeros((len(ranges), by_pre.size - 1), dtype=np.int64)
    _in_threads(
        lambda neurons, count: _count_others(records, by_pre, *neurons, count), ranges, counts
    )
    bounds, starts = _places(counts)
    exchanged = np.empty_like(records)
    _in_threads(
        lambda neurons, start: _exchange(records, by_pre, *neurons, start, exchanged),
        *(ranges, starts),
    )
    return bounds, exchanged


def _places(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.integer]]:
    """Return where each key begins, and where each part's records of it go, by part and key."""
    bounds = np.zeros(counts.shape[1] + 1, dtype=np.int64)
    np.cumsum(counts.sum(axis=0), out=bounds[1:])
    starts = np.cumsum(counts, axis=0) - counts + bounds[:-1]
    # As narrow as may be: a thread looks into its table at random.
    return bounds, starts.astype(np.int32) if bounds[-1] < 2**31 else starts


def _chunks(size: int) -> list[slice]:
    number = max(1, min(_THREADS, size // CHUNK))
    bounds = np.linspace(0, size, number + 1).astype(int).tolist()
    return [slice(*pair) for pair in pairwise(bounds)]


def _ranges(bounds: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut keys into ranges, first to last, of about as many records each."""
    starts = [chunk.start for chunk in _chunks(int(bounds[-1]))]
    cuts = [*np.searchsorted(bounds[:-1], starts).tolist(), bounds.size - 1]
    return list(pairwise(cuts))


def _in_threads(function: Callable, *arguments: Iterable[Any]) -> list[Any]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, *arguments))


@njit(nogil=True, cache=True)
def _encode(ids, codes, table, count):  # type: ignore[no-untyped-def]
    """Write the order of first appearance of each id to codes; return the table and its count.

    Ids and codes are side by side, so that one look finds both; a code below 0 is an empty place.
    """
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
    return table, count


@njit(nogil=True, cache=True)
def _ids(table, count):  # type: ignore[no-untyped-def]
    """Return the ids of a table by code."""
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
def _count(keys, counts):  # type: ignore[no-untyped-def]
    for k in range(keys.size):
        counts[keys[k]] += 1


@njit(nogil=True, cache=True)
def _scatter(keys, others, bits, starts, records):  # type: ignore[no-untyped-def]
    """Sort by keys. A record is the other neuron above the bits of the weight, or beside them."""
    narrow = records.shape[1] == 1
    for k in range(keys.size):
        at = starts[keys[k]]
        starts[keys[k]] = at + 1
        upper = np.uint64(others[k]) << np.uint64(32)
        if narrow:
            records[at, 0] = upper | np.uint64(bits[k])
        else:
            records[at, 0], records[at, 1] = upper, bits[k]


@njit(nogil=True, cache=True)
def _count_others(records, bounds, first, last, counts):  # type: ignore[no-untyped-def]
    for k in range(bounds[first], bounds[last]):
        counts[np.int64(records[k, 0] >> np.uint64(32))] += 1


@njit(nogil=True, cache=True)
def _exchange(records, bounds, first, last, starts, exchanged):  # type: ignore[no-untyped-def]
    """Sort records that lie by the keys first to last by the other neuron; the key replaces it."""
    narrow = records.shape[1] == 1
    for key in range(first, last):
        upper = np.uint64(key) << np.uint64(32)
        for k in range(bounds[key], bounds[key + 1]):
            other = np.int64(records[k, 0] >> np.uint64(32))
            at = starts[other]
            starts[other] = at + 1
            exchanged[at, 0] = upper | (records[k, 0] & np.uint64(0xFFFFFFFF))
            if not narrow:
                exchanged[at, 1] = records[k, 1]


@njit(nogil=True, cache=True)
def _merge(records, bounds, first, last, data, indices, indptr):  # type: ignore[no-untyped-def]
    """Sum repeated entries and drop zeros; return the numbers of entries kept, repeated, zeros.

    Rows first to last are packed from where the first one begins; indptr counts from there. The
    data may lie over records of 8 bytes, as a row's sum comes no later than the row.
    """
    narrow = records.shape[1] == 1
    begin = bounds[first]
    kept, repeated, zeros = begin, 0, 0
    for row in range(first, last):
        at, end = bounds[row], bounds[row + 1]
        while at < end:
            start, total = at, 0.0
            column = records[at, 0] >> np.uint64(32)
            while at < end and records[at, 0] >> np.uint64(32) == column:
                if narrow:
                    total += np.uint32(records[at, 0] & np.uint64(0xFFFFFFFF)).view(np.float32)
                else:
                    total += np.uint64(records[at, 1]).view(np.float64)
                at += 1
            repeated += at - start - 1
            if total == 0:
                zeros += 1
            else:
                data[kept], indices[kept] = total, column
                kept += 1
        indptr[row + 1] = kept - begin
    return kept - begin, repeated, zeros
