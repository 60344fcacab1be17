"""Edge passes in tiles, for networks whose neurons do not fit into a cache.

Importing this module imports Numba.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import DTypeLike, NDArray

from graphbal.engines.local import row_blocks

__all__ = ["Tiles", "tiles_of"]

Array = NDArray[np.float64]
Places = NDArray[np.uint64]

# A tile has 2^14 columns: a pair of numbers for each takes 256 KiB, a part of a core's own cache.
COLUMN_BITS = 14
# or, where these are more strips than can well be written to side by side, twice as many.
MANY_STRIPS = 32
# The most rows of a tile.
ROWS = 8192
# Where a place keeps its row; below is the column.
SHIFT = 16
# So many values have to say first in which type all might be held.
SAMPLE = 1000


@dataclass(frozen=True, eq=False)
class Tiles:
    """A sparse matrix cut into tiles, with their entries behind each other.

    Attributes
    ----------
    n : int
        Rows, and columns.
    width : int
        Columns of a tile, a power of two.
    places : uint32 array, shape (m,)
        Row and column of each entry in its tile, both doubled: where their pairs of numbers begin.
    values : array, shape (m,)
        Their values, in the narrowest type that holds all to the last digit: whole numbers below
        65,536 such as counts of synapses, single precision, or double.
    rows : uint64 array, shape (n_bands + 1,)
        First row of each band of tiles.
    blocks : uint64 array, shape (n_threads + 1,)
        First band of each thread; all threads have as many entries.
    starts, sizes : uint64 array, shape (n_bands, n_strips)
        First entry of each tile, and the number of its entries.
    """

    n: int
    width: int
    places: NDArray[np.uint32]
    values: NDArray[Any]
    rows: Places
    blocks: Places
    starts: Places
    sizes: Places

    @property
    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.places, self.values, self.rows, self.blocks, self.starts, self.sizes

    def products(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return A x and Aᵀ y, in one pass over the entries."""
        gathered, scattered = np.empty(self.n), np.empty(self.n)
        _gather_scatter(*self._arrays, self.width, x, y, gathered, scattered)
        return gathered, scattered

    def above(self, right: Array, enough: Array, share: float) -> Tiles:
        """Return the entries with a_ij right_j ≥ enough_i; one sweep if they are no larger share.

        There is room between the threads' entries where they are fewer.
        """
        numbers = self.sizes.sum(axis=1, dtype=np.int64)
        numbers = np.add.reduceat(numbers, self.blocks[:-1].astype(np.intp))
        room = np.ceil(share * numbers).astype(np.int64)
        starts, sizes = np.empty_like(self.starts), np.empty_like(self.sizes)
        while True:
            begins = np.concatenate([[0], np.cumsum(room + 1)]).astype(np.uint64)
            places = np.empty(begins[-1], dtype=self.places.dtype)
            values = np.empty(begins[-1], dtype=self.values.dtype)
            new = starts, sizes, places, values
            kept = _copy_above(*self._arrays, self.width, right, enough, begins, *new)
            if (kept <= room).all():
                return replace(self, places=places, values=values, starts=starts, sizes=sizes)
            room = kept


def tiles_of(
    indptr: NDArray[np.unsignedinteger],
    indices: NDArray[np.unsignedinteger],
    values: Array,
    largest: float = np.inf,
) -> Tiles:
    """Cut a square matrix in compressed rows into tiles, in two sweeps over its entries.

    `largest` is their largest value, where it is known.
    """
    n = indptr.size - 1
    cuts = row_blocks(indptr).astype(np.int64)
    n_bands = -(-np.diff(cuts) // ROWS)
    bands = zip(cuts[:-1], cuts[1:], n_bands, strict=True)
    firsts = [np.linspace(*band, endpoint=False).astype(np.uint64) for band in bands]
    rows = np.append(np.concatenate(firsts), np.uint64(n))
    blocks = np.concatenate([[0], np.cumsum(n_bands)]).astype(np.uint64)
    bits = COLUMN_BITS + (n >> COLUMN_BITS > MANY_STRIPS)
    sizes = np.zeros((rows.size - 1, (n >> bits) + 1), dtype=np.uint64)
    _count(indptr, indices, rows, np.uint32(bits), sizes)
    starts = np.empty_like(sizes)
    begin = np.uint64(0)
    for first, last in pairwise(blocks):
        # A thread takes a strip after the other, and the tiles of its own rows in each.
        own = sizes[first:last].T
        ends = begin + np.cumsum(own, dtype=np.uint64).reshape(own.shape)
        starts[first:last] = (ends - own).T
        begin += own.sum()
    places = np.empty(values.size, dtype=np.uint32)
    for kind in _narrowest_kinds(values[:: max(values.size // SAMPLE, 1)], largest):
        held = np.empty(values.size, dtype=kind)
        whole = kind == np.uint16
        if _fill(indptr, indices, values, rows, np.uint32(bits), starts, places, held, whole):
            break
    return Tiles(n, 1 << bits, places, held, rows, blocks, starts, sizes)


def _narrowest_kinds(sample: Array, largest: float) -> list[DTypeLike]:
    """Return the types that may hold all values if they hold the sample, the narrowest first.

    Whole numbers are not tried in vain: a few large ones among small ones escape a sample.
    """
    with np.errstate(over="ignore", under="ignore"):
        single = sample.astype(np.float32) == sample
    whole = (sample >= 0) & (sample == np.floor(sample))
    kinds = {np.uint16: largest < 2**16 and whole.all(), np.float32: single.all(), np.float64: True}
    return [kind for kind, fits in kinds.items() if fits]


# ------------------------------------------------------------------ kernels


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def _count(indptr, indices, rows, bits, sizes):  # type: ignore[no-untyped-def]
    """Count the entries of each tile."""
    n_strips = sizes.shape[1]
    for band in prange(rows.size - 1):
        # Four at a time, so that none waits for the count before it.
        found = np.zeros((4, n_strips), dtype=np.uint64)
        begin, end = np.uint64(indptr[rows[band]]), np.uint64(indptr[rows[band + 1]])
        quarter = (end - begin) >> np.uint64(2)
        second, third, fourth = begin + quarter, begin + 2 * quarter, begin + 3 * quarter
        for k in range(quarter):
            found[0, indices[begin + k] >> bits] += 1
            found[1, indices[second + k] >> bits] += 1
            found[2, indices[third + k] >> bits] += 1
            found[3, indices[fourth + k] >> bits] += 1
        for e in range(fourth + quarter, end):
            found[0, indices[e] >> bits] += 1
        for strip in range(n_strips):
            sizes[band, strip] = found[:, strip].sum()


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def _fill(  # type: ignore[no-untyped-def]
    indptr, indices, values, rows, bits, starts, places, held, whole
):
    """Put the entries into their tiles; say whether the held values are what they were."""
    mask = np.uint32((1 << bits) - 1)
    same = np.ones(rows.size - 1, dtype=np.bool_)
    for band in prange(rows.size - 1):
        at = starts[band].copy()
        equal = True
        for i in range(rows[band], rows[band + 1]):
            row = np.uint32(2 * (i - rows[band])) << np.uint32(SHIFT)
            for e in range(indptr[i], indptr[i + 1]):
                j = np.uint32(indices[e])
                strip = j >> bits
                place = at[strip]
                places[place] = row | ((j & mask) << np.uint32(1))
                value = values[e]
                if whole:
                    # What is out of range must not be converted: anything might come out.
                    number = np.uint16(np.int64(min(max(value, -1.0), 65536.0)) & 0xFFFF)
                    held[place] = number
                    equal &= np.float64(number) == value
                else:
                    held[place] = value
                    equal &= held[place] == value
                at[strip] = place + np.uint64(1)
        same[band] = equal
    return same.all()


@njit(inline="always", error_model="numpy")
def _pass_entry(place, value, outer, inner):  # type: ignore[no-untyped-def]
    i = place >> np.uint32(SHIFT)
    j = place & np.uint32((1 << SHIFT) - 1)
    outer[i + np.uint32(1)] += value * inner[j]
    inner[j + np.uint32(1)] += value * outer[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _pass_tile(places, values, begin, size, outer, inner):  # type: ignore[no-untyped-def]
    """Gather and scatter between the pairs of a tile's rows and those of its columns.

    Both halves of the entries at once, which seldom share a row: an entry is spared to wait for
    the sum of the one before it.
    """
    half = size >> np.uint64(1)
    for e in range(begin, begin + half):
        _pass_entry(places[e], values[e], outer, inner)
        _pass_entry(places[e + half], values[e + half], outer, inner)
    for e in range(begin + half + half, begin + size):
        _pass_entry(places[e], values[e], outer, inner)


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def _gather_scatter(  # type: ignore[no-untyped-def]
    places, values, rows, blocks, starts, sizes, width, x, y, gathered, scattered
):
    """Compute ``gathered = A x`` and ``scattered = Aᵀ y``; see `gather_scatter` of the rows.

    Each thread has a copy of its rows' pairs, y and what they gather, and for one strip of columns
    after the other of theirs, x and what is scattered to them.
    """
    n = x.size
    n_blocks = blocks.size - 1
    parts = np.empty((n_blocks, n))
    for b in prange(n_blocks):
        first, last = rows[blocks[b]], rows[blocks[b + 1]]
        outer, inner = np.empty(2 * (last - first)), np.empty(2 * width)
        for i in range(first, last):
            outer[2 * (i - first)] = y[i]
            outer[2 * (i - first) + 1] = 0.0
        for strip in range(starts.shape[1]):
            begin = strip * width
            columns = min(width, n - begin)
            for j in range(columns):
                inner[2 * j] = x[begin + j]
                inner[2 * j + 1] = 0.0
            for band in range(blocks[b], blocks[b + 1]):
                own = outer[2 * (rows[band] - first) :]
                _pass_tile(places, values, starts[band, strip], sizes[band, strip], own, inner)
            for j in range(columns):
                parts[b, begin + j] = inner[2 * j + 1]
        for i in range(first, last):
            gathered[i] = outer[2 * (i - first) + 1]
    for j in prange(n):
        total = 0.0
        for b in range(n_blocks):
            total += parts[b, j]
        scattered[j] = total


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def _copy_above(  # type: ignore[no-untyped-def]
    places, values, rows, blocks, starts, sizes, width,
    right, enough, begins, kept_starts, kept_sizes, kept_places, kept_values,
):  # fmt: skip
    """Copy the entries with ``value * right[column] >= enough[row]``, as many as fit.

    Block b of the bands writes from ``begins[b]`` on, and last what is of no use. Returns how many
    there are in each.
    """
    numbers = np.zeros(blocks.size - 1, dtype=np.int64)
    for b in prange(blocks.size - 1):
        at, last = begins[b], begins[b + 1] - np.uint64(1)
        for strip in range(starts.shape[1]):
            inner = right[strip * width :]
            for band in range(blocks[b], blocks[b + 1]):
                outer = enough[rows[band] :]
                begin = at
                for e in range(starts[band, strip], starts[band, strip] + sizes[band, strip]):
                    place, value = places[e], values[e]
                    i = place >> np.uint32(SHIFT + 1)
                    j = (place & np.uint32((1 << SHIFT) - 1)) >> np.uint32(1)
                    # Written in any case, and written over if not kept: a branch would take longer.
                    kept_places[min(at, last)] = place
                    kept_values[min(at, last)] = value
                    at += np.uint64(value * inner[j] >= outer[i])
                kept_starts[band, strip] = begin
                kept_sizes[band, strip] = at - begin
        numbers[b] = at - begins[b]
    return numbers
