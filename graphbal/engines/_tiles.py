"""Edge passes in tiles, for networks whose neurons do not fit into a cache.

Importing this module imports Numba.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import DTypeLike, NDArray

from graphbal.engines.local import row_blocks

__all__ = ["Tiles", "tiles_of"]

Array = NDArray[np.float64]
Places = NDArray[np.uint64]

# A tile has 2^15 columns: a pair of numbers for each takes 512 KiB, a part of a core's own cache.
COLUMN_BITS = 15
# or, where these are more strips than can well be written to side by side, twice as many.
MANY_STRIPS = 32
# The most rows of a tile: its columns' numbers stay in the cache while it is filled.
ROWS = 2048
# Rows of so many entries or more are long enough not to be sorted by their number.
LONG = 255
# So many values have to say first in which type all might be held.
SAMPLE = 1000


@dataclass(frozen=True, eq=False)
class Tiles:
    """A sparse matrix cut into tiles, with the entries of each behind each other, row by row.

    The rows of a tile come in the order of their number of entries, the longest first. So a
    processor foresees where a row ends, which else it would guess wrong at every other one.

    Attributes
    ----------
    n : int
        Rows, and columns.
    width : int
        Columns of a tile, a power of two.
    columns : uint16 array, shape (m,)
        Column of each entry in its tile.
    values : array, shape (m,)
        Their values, in the narrowest type that holds all to the last digit: whole numbers below
        65,536 such as counts of synapses, single precision, or double.
    squared : bool
        Whether the matrix is that of the squares of these values, which are then not negative.
    rows : uint64 array, shape (n_bands + 1,)
        First row of each band of tiles.
    blocks : uint64 array, shape (n_threads + 1,)
        First band of each thread; all threads have as many entries.
    order : uint16 array, shape (n_strips, n)
        The rows of each tile in their order, counted from the first one of the band.
    sizes : uint32 array, shape (n_strips, n)
        Their numbers of entries.
    starts : uint64 array, shape (n_strips, n_bands)
        First entry of each tile.
    """

    n: int
    width: int
    columns: NDArray[np.uint16]
    values: NDArray[Any]
    squared: bool
    rows: Places
    blocks: Places
    order: NDArray[np.uint16]
    sizes: NDArray[np.uint32]
    starts: Places

    @property
    def _arrays(self) -> tuple[Any, ...]:
        entries = self.columns, self.values, self.squared
        return *entries, self.rows, self.blocks, self.order, self.sizes, self.starts, self.width

    def products(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return A x and Aᵀ y, in one pass over the entries."""
        gathered, scattered = np.empty(self.n), np.empty(self.n)
        _gather_scatter(*self._arrays, x, y, gathered, scattered)
        return gathered, scattered

    def above(self, right: Array, enough: Array, share: float) -> Tiles:
        """Return the entries with a_ij right_j ≥ enough_i; one sweep if they are no larger share.

        There is room between the threads' entries where they are fewer.
        """
        first_rows = self.rows[self.blocks[:-1]].astype(np.intp)
        numbers = np.add.reduceat(self.sizes, first_rows, axis=1, dtype=np.int64).sum(axis=0)
        room = np.ceil(share * numbers).astype(np.int64)
        order, sizes = np.empty_like(self.order), np.empty_like(self.sizes)
        starts = np.empty_like(self.starts)
        while True:
            begins = np.concatenate([[0], np.cumsum(room)]).astype(np.uint64)
            columns = np.empty(begins[-1], dtype=self.columns.dtype)
            values = np.empty(begins[-1], dtype=self.values.dtype)
            new = order, sizes, starts, columns, values
            kept = _copy_above(*self._arrays, right, enough, begins, *new)
            if (kept <= room).all():
                return replace(
                    self, order=order, sizes=sizes, starts=starts, columns=columns, values=values
                )
            room = kept


def tiles_of(
    indptr: NDArray[np.unsignedinteger],
    indices: NDArray[np.unsignedinteger],
    values: Array,
    largest: float = np.inf,
    squared: bool = False,
) -> Tiles:
    """Cut a square matrix in compressed rows, sorted by column, into tiles in one sweep.

    `largest` is the largest magnitude of its values, where it is known; where the entries are the
    values `squared`, signs are lost.
    """
    n = indptr.size - 1
    cuts = row_blocks(indptr).astype(np.int64)
    n_bands = -(-np.diff(cuts) // ROWS)
    bands = zip(cuts[:-1], cuts[1:], n_bands, strict=True)
    firsts = [np.linspace(*band, endpoint=False).astype(np.uint64) for band in bands]
    rows = np.append(np.concatenate(firsts), np.uint64(n))
    blocks = np.concatenate([[0], np.cumsum(n_bands)]).astype(np.uint64)
    bits = COLUMN_BITS + (n >> COLUMN_BITS > MANY_STRIPS)
    n_strips = (n >> bits) + 1
    order = np.empty((n_strips, n), dtype=np.uint16)
    sizes = np.empty((n_strips, n), dtype=np.uint32)
    starts = np.empty((n_strips, rows.size - 1), dtype=np.uint64)
    columns = np.empty(values.size, dtype=np.uint16)
    for kind in _narrowest_kinds(values[:: max(values.size // SAMPLE, 1)], largest, squared):
        held = np.empty(values.size, dtype=kind)
        new = order, sizes, starts, columns, held
        if _fill(indptr, indices, values, rows, 1 << bits, *new, kind == np.uint16, squared):
            break
    return Tiles(n, 1 << bits, columns, held, squared, rows, blocks, order, sizes, starts)


def _narrowest_kinds(sample: Array, largest: float, squared: bool) -> list[DTypeLike]:
    """Return the types that may hold all values if they hold the sample, the narrowest first.

    Whole numbers are not tried in vain: a few large ones among small ones escape a sample.
    """
    if squared:
        sample = np.abs(sample)
    with np.errstate(over="ignore", under="ignore"):
        single = sample.astype(np.float32) == sample
    whole = (sample >= 0) & (sample == np.floor(sample))
    kinds = {np.uint16: largest < 2**16 and whole.all(), np.float32: single.all(), np.float64: True}
    return [kind for kind, fits in kinds.items() if fits]


# ------------------------------------------------------------------ kernels


@njit(cache=True, nogil=True, error_model="numpy")
def _sort_rows(lengths, order, sizes):  # type: ignore[no-untyped-def]
    """Write the rows and their lengths, the longest first; from `LONG` on in no order."""
    begins = np.zeros(LONG + 2, dtype=np.uint32)
    for r in range(lengths.size):
        begins[LONG - min(lengths[r], LONG) + 1] += 1
    for k in range(LONG):
        begins[k + 1] += begins[k]
    for r in range(lengths.size):
        length = lengths[r]
        k = LONG - min(length, LONG)
        at = begins[k]
        begins[k] = at + 1
        order[at] = r
        sizes[at] = length


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_band(  # type: ignore[no-untyped-def]
    indptr, indices, values, width, first, last, order, sizes, starts, columns, held, whole, squared
):
    """Put the entries of a band of rows into its tiles; say whether all values are held."""
    n_strips = order.shape[0]
    lengths = np.empty((n_strips, last - first), dtype=np.uint32)
    for i in range(first, last):
        e, end = np.uint64(indptr[i]), np.uint64(indptr[i + 1])
        for strip in range(n_strips):
            # As the columns are sorted, those of the strip are the first ones up to its last.
            begin, last_column = e, np.uint32((strip + 1) * width - 1)
            while e < end and indices[e] <= last_column:
                e += np.uint64(1)
            lengths[strip, i - first] = e - begin
    places = np.empty((n_strips, last - first), dtype=np.uint64)
    place = np.uint64(indptr[first])
    for strip in range(n_strips):
        own, own_sizes = order[strip, first:last], sizes[strip, first:last]
        _sort_rows(lengths[strip], own, own_sizes)
        starts[strip] = place
        for r in range(last - first):
            places[strip, own[r]] = place
            place += own_sizes[r]
    same = True
    for i in range(first, last):
        e = np.uint64(indptr[i])
        for strip in range(n_strips):
            number, place = np.uint64(lengths[strip, i - first]), places[strip, i - first]
            first_column = np.uint32(strip * width)
            for k in range(number):
                value = abs(values[e + k]) if squared else values[e + k]
                columns[place + k] = np.uint16(np.uint32(indices[e + k]) - first_column)
                if whole:
                    held[place + k] = np.uint16(np.int64(value))
                else:
                    held[place + k] = value
                same &= np.float64(held[place + k]) == value
            e += number
    return same


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def _fill(  # type: ignore[no-untyped-def]
    indptr, indices, values, rows, width, order, sizes, starts, columns, held, whole, squared
):
    """Put the entries into their tiles; say whether the held values are what they were."""
    same = np.ones(rows.size - 1, dtype=np.bool_)
    for band in prange(rows.size - 1):
        same[band] = _fill_band(
            *(indptr, indices, values, width, rows[band], rows[band + 1]),
            *(order, sizes, starts[:, band], columns, held, whole, squared),
        )
    return same.all()


@njit(inline="always", error_model="numpy")
def _pass_entry(columns, values, squared, e, y, inner):  # type: ignore[no-untyped-def]
    """Scatter to the pair of an entry's column; return what the row gathers from it."""
    j = np.uint64(columns[e]) << np.uint64(1)
    value = np.float64(values[e])
    if squared:
        value *= value
    inner[j + np.uint64(1)] += value * y
    return value * inner[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _pass_tile(columns, values, squared, order, sizes, e, y, inner, gathered):  # type: ignore[no-untyped-def]
    """Gather to a tile's rows from the pairs of its columns, and scatter to these."""
    for r in range(order.size):
        size = np.uint64(sizes[r])
        if size == 0:  # and so are the rest
            break
        i = order[r]
        y_i = y[i]
        # Two sums, so that an entry need not wait for the one before it.
        even, odd = 0.0, 0.0
        for _ in range(size >> np.uint64(1)):
            even += _pass_entry(columns, values, squared, e, y_i, inner)
            odd += _pass_entry(columns, values, squared, e + np.uint64(1), y_i, inner)
            e += np.uint64(2)
        if size & np.uint64(1):
            even += _pass_entry(columns, values, squared, e, y_i, inner)
            e += np.uint64(1)
        gathered[i] += even + odd


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def _gather_scatter(  # type: ignore[no-untyped-def]
    columns, values, squared, rows, blocks, order, sizes, starts, width, x, y, gathered, scattered
):
    """Compute ``gathered = A x`` and ``scattered = Aᵀ y``; see `gather_scatter` of the rows.

    Each thread goes through one strip of columns after the other, with a copy of their pairs, x
    and what is scattered to them.
    """
    n = x.size
    n_blocks = blocks.size - 1
    parts = np.empty((n_blocks, n))
    for b in prange(n_blocks):
        gathered[rows[blocks[b]] : rows[blocks[b + 1]]] = 0.0
        inner = np.empty(2 * width)
        for strip in range(starts.shape[0]):
            begin = strip * width
            n_columns = min(width, n - begin)
            for j in range(n_columns):
                inner[2 * j] = x[begin + j]
                inner[2 * j + 1] = 0.0
            for band in range(blocks[b], blocks[b + 1]):
                own = slice(rows[band], rows[band + 1])
                _pass_tile(
                    *(columns, values, squared, order[strip, own], sizes[strip, own]),
                    *(starts[strip, band], y[own], inner, gathered[own]),
                )
            for j in range(n_columns):
                parts[b, begin + j] = inner[2 * j + 1]
    for j in prange(n):
        total = 0.0
        for b in range(n_blocks):
            total += parts[b, j]
        scattered[j] = total


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def _copy_above(  # type: ignore[no-untyped-def]
    columns, values, squared, rows, blocks, order, sizes, starts, width,
    right, enough, begins, new_order, new_sizes, new_starts, new_columns, new_values,
):  # fmt: skip
    """Copy the entries with ``value * right[column] >= enough[row]``, as many as fit.

    Block b of the bands writes from ``begins[b]`` on. Returns how many there are in each.
    """
    numbers = np.zeros(blocks.size - 1, dtype=np.int64)
    for b in prange(blocks.size - 1):
        at, found = begins[b], np.empty(0, dtype=np.uint32)
        for band in range(blocks[b], blocks[b + 1]):
            own = slice(rows[band], rows[band + 1])
            for strip in range(starts.shape[0]):
                new_starts[strip, band] = at
                size = sizes[strip, own].sum()
                if found.size < size:
                    found = np.empty(2 * size, dtype=np.uint32)
                at += _copy_tile_above(
                    *(columns, values, squared, order[strip, own], sizes[strip, own]),
                    *(starts[strip, band], right[strip * width :], enough[own]),
                    *(new_order[strip, own], new_sizes[strip, own]),
                    *(new_columns[at : begins[b + 1]], new_values[at : begins[b + 1]], found),
                )
        numbers[b] = at - begins[b]
    return numbers


@njit(cache=True, nogil=True, error_model="numpy")
def _copy_tile_above(  # type: ignore[no-untyped-def]
    columns, values, squared, order, sizes, start, right, enough,
    new_order, new_sizes, new_columns, new_values, found,
):  # fmt: skip
    """Copy entries of a tile, its rows in their new order, as many as fit; return their number."""
    lengths = np.empty(order.size, dtype=np.uint32)
    begins = np.empty(order.size, dtype=np.uint64)
    at, e = np.uint64(0), np.uint64(start)
    for r in range(order.size):
        i, end = order[r], e + np.uint64(sizes[r])
        begins[i], needed = at, enough[i]
        for k in range(e, end):
            value = np.float64(values[k])
            if squared:
                value *= value
            # Written in any case, and written over if not kept: a branch would take longer.
            found[at] = k - start
            at = at + np.uint64(1) if value * right[columns[k]] >= needed else at
        lengths[i] = np.uint32(at - begins[i])
        e = end
    _sort_rows(lengths, new_order, new_sizes)
    if at <= new_columns.size:
        to = 0
        for r in range(order.size):
            begin = begins[new_order[r]]
            for k in found[begin : begin + np.uint64(new_sizes[r])]:
                new_columns[to] = columns[start + k]
                new_values[to] = values[start + k]
                to += 1
    return at
