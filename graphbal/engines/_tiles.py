"""Edge passes in tiles, for networks whose neurons do not fit into a cache.

Importing this module imports Numba.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import DTypeLike, NDArray

from graphbal.engines.local import row_blocks

__all__ = ["PartTiles", "Tiles", "expected_bytes", "part_tiles_of", "tiles_of"]

Array = NDArray[np.float64]
Places = NDArray[np.uint64]

# A tile has 2^14 columns: a pair of numbers for each takes 256 KiB, a part of a core's own cache.
# Or more, up to 2^16, where a row would have fewer than so many entries in it.
FEWEST_BITS, MOST_BITS = 14, 16
RUN = 3
# Its rows are so many that it has about this many entries, so that memory is read in long runs,
ENTRIES = 1 << 16
# but no more than fit beside them, and enough to find many of any length.
FEWEST_ROWS, MOST_ROWS = 1 << 11, 1 << 13
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
    columns : uint16 array, shape (m,)
        Column of each entry, counted from the first one of its tile.
    values : array, shape (m,)
        Their values, in the narrowest type that holds all to the last digit: whole numbers below
        65,536 such as counts of synapses, single precision, or double.
    squared : bool
        Whether the matrix is that of the squares of these values, which are then not negative.
    rows : uint64 array, shape (n_bands + 1,)
        First row of each band of tiles.
    blocks : uint64 array, shape (n_threads + 1,)
        First band of each thread; all threads have as many entries.
    order, sizes : uint16 array
        The rows that have entries in a tile, counted from the first one of the band, and how many.
        There is room between those of one tile and the next. Without sizes (None), `order` has the
        row of each entry.
    begins, ends, starts : uint64 array, shape (n_strips, n_bands)
        Where those of each tile begin and end, and its first entry.
    """

    n: int
    columns: NDArray[np.uint16]
    values: NDArray[Any]
    squared: bool
    rows: Places
    blocks: Places
    order: NDArray[np.uint16]
    sizes: NDArray[np.uint16] | None
    begins: Places
    ends: Places
    starts: Places

    def products(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return A x and Aᵀ y, in one pass over the entries."""
        gathered, scattered = np.empty(self.n), np.empty(self.n)
        _gather_scatter(
            self.bits,
            *(self.columns, self.values, self.squared, self.rows, self.blocks),
            *(self.order, self.sizes, self.begins, self.ends, self.starts),
            *(x, y, self._scratch, gathered, scattered),
        )
        return gathered, scattered

    @property
    def bits(self) -> int:
        """Binary logarithm of the columns of a tile."""
        return _bits_of(self.n, self.starts.shape[0])

    @cached_property
    def _scratch(self) -> Array:
        """For each thread what it scatters, and the pairs of a strip."""
        return np.empty((self.blocks.size - 1, self.n + (2 << self.bits)))

    def above(self, right: Array, enough: Array, share: float) -> Tiles:
        """Return the entries with a_ij right_j ≥ enough_i; one sweep if they are no larger share.

        They have no `sizes`, and there is room between the threads' entries.
        """
        of_tile = np.diff(np.append(self.starts.T.ravel(), np.uint64(self.columns.size)))
        shape = self.blocks.size - 1, int(of_tile.max(initial=0))
        picked, picked_rows = np.empty(shape, dtype=np.uint32), np.empty(shape, dtype=np.uint16)
        # A block of rows may have no band at all.
        of_block = np.append(self.starts[0], np.uint64(self.columns.size))[self.blocks]
        expected = np.ceil(share * np.diff(of_block.astype(np.int64))).astype(np.int64)
        begins, ends = np.empty_like(self.begins), np.empty_like(self.ends)
        while True:
            room = np.concatenate([[0], np.cumsum(expected)]).astype(np.uint64)
            columns = np.empty(room[-1], dtype=self.columns.dtype)
            values = np.empty(room[-1], dtype=self.values.dtype)
            order = np.empty(room[-1], dtype=self.order.dtype)
            found = _copy_above(
                self.bits,
                *(self.columns, self.values, self.squared, self.rows, self.blocks),
                *(self.order, self.sizes, self.begins, self.ends, self.starts),
                *(right, enough, picked, picked_rows, room, columns, values, order, begins, ends),
            )
            if (found <= expected).all():
                break
            expected = found
        return replace(
            self,
            columns=columns,
            values=values,
            order=order,
            sizes=None,
            begins=begins,
            ends=ends,
            starts=begins,
        )


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
    n, m = indptr.size - 1, values.size
    bits = _bits(n, n, m)
    rows, blocks = _bands(indptr, row_blocks(indptr), n, bits)
    room, new = _empty_tiles(indptr, rows, n, bits)
    for kind in _narrowest_kinds(values, largest, squared):
        held = np.empty(m, dtype=kind)
        arrays = indptr, indices, values, rows, blocks, room, *new, held
        if _fill(bits, *arrays, kind == np.uint16, squared):
            break
    columns, order, sizes, begins, ends, starts = new
    return Tiles(n, columns, held, squared, rows, blocks, order, sizes, begins, ends, starts)


@dataclass(frozen=True, eq=False)
class PartTiles:
    """Rows of a matrix of n columns in tiles, as `Tiles` has them all, for one thread.

    Attributes
    ----------
    columns, values : array, shape (m,)
    runs : uint16 array, shape (2, …)
        `order` and `sizes`.
    places : uint64 array, shape (3, n_strips, n_bands)
        `begins`, `ends` and `starts`. Bands have as many rows, about.
    """

    columns: NDArray[np.uint16]
    values: NDArray[Any]
    runs: NDArray[np.uint16]
    places: Places

    def gather_scatter(self, x: Array, y: Array, scattered: Array) -> Array:
        """Return A x, and add Aᵀ y to what is scattered, in one pass over the entries."""
        bits = _bits_of(x.size, self.places.shape[1])
        gathered, inner = np.zeros(y.size), np.empty(2 << bits)
        n_bands = self.places.shape[2]
        rows = np.append(_first_rows(0, y.size, n_bands), np.uint64(y.size))
        every = np.uint64(0), np.uint64(n_bands)
        _pass_bands(
            bits,
            *(self.columns, self.values, False, rows, *every, *self.runs, *self.places),
            *(x, y, inner, gathered, scattered),
        )
        return gathered


def part_tiles_of(
    indptr: NDArray[np.unsignedinteger],
    indices: NDArray[np.unsignedinteger],
    values: NDArray[Any],
    n: int,
) -> PartTiles:
    """Cut rows of n columns, sorted by column, into tiles on this thread; values stay as they are.

    Room for the rows of tiles that turned out to be fewer is cut off.
    """
    bits = _bits(n, indptr.size - 1, values.size)
    rows = _bands(indptr, np.array([0, indptr.size - 1]), n, bits)[0]
    _, new = _empty_tiles(indptr, rows, n, bits)
    held = np.empty_like(values)
    every = np.uint64(0), np.uint64(rows.size - 1)
    _fill_bands(bits, indptr, indices, values, rows, *every, None, *new, held, False, False)
    columns, order, sizes, begins, ends, starts = new
    runs = np.stack([each[: ends.max(initial=0)] for each in (order, sizes)])
    return PartTiles(columns, held, runs, np.stack([begins, ends, starts]))


def _bits(n: int, n_rows: int, m: int) -> int:
    """Return the binary logarithm of the columns of a tile, for so many columns, rows, entries."""
    bits = FEWEST_BITS
    while bits < MOST_BITS and m < RUN * n_rows * _n_strips(n, bits):
        bits += 1
    return bits


def _bits_of(n: int, n_strips: int) -> int:
    """Return the same, for so many columns in so many strips."""
    widths = range(FEWEST_BITS, MOST_BITS + 1)
    return next(bits for bits in widths if _n_strips(n, bits) == n_strips)


def _n_strips(n: int, bits: int) -> int:
    return -(-n >> bits)


def _bands(
    indptr: NDArray[np.integer], cuts: NDArray[np.integer], n: int, bits: int
) -> tuple[Places, Places]:
    """Return the first row of each band, and the first band from each cut on, and their ends."""
    cuts = cuts.astype(np.int64)
    n_rows, m = indptr.size - 1, int(indptr[-1])
    height = ENTRIES * n_rows * _n_strips(n, bits) // max(m, 1)
    n_bands = -(-np.diff(cuts) // int(np.clip(height, FEWEST_ROWS, MOST_ROWS)))
    firsts = map(_first_rows, cuts[:-1], cuts[1:], n_bands)
    rows = np.append(np.concatenate([*firsts]), np.uint64(n_rows))
    return rows, np.concatenate([[0], np.cumsum(n_bands)]).astype(np.uint64)


def _first_rows(begin: int, end: int, n_bands: int) -> Places:
    return np.linspace(begin, end, n_bands, endpoint=False).astype(np.uint64)


def _empty_tiles(
    indptr: NDArray[np.integer], rows: Places, n: int, bits: int
) -> tuple[Places, tuple[NDArray[Any], ...]]:
    """Return where the rows of each band's tiles begin, and what there is to fill but values."""
    n_strips, n_bands = _n_strips(n, bits), rows.size - 1
    # A band has no more rows with entries in its tiles than entries, nor than rows in each; those
    # without are written behind them and written over.
    heights = np.diff(rows.astype(np.int64))
    most = np.minimum(np.diff(indptr[rows].astype(np.int64)), n_strips * heights) + heights
    room = np.concatenate([[0], np.cumsum(most)]).astype(np.uint64)
    columns = np.empty(int(indptr[-1]), dtype=np.uint16)
    order, sizes = (np.empty(room[-1], dtype=np.uint16) for _ in range(2))
    begins, ends, starts = np.empty((3, n_strips, n_bands), dtype=np.uint64)
    return room, (columns, order, sizes, begins, ends, starts)


def expected_bytes(n: int, values: Array, largest: float, squared: bool) -> int:
    """Return about how many bytes the tiles take of n neurons with these values of synapses."""
    m = values.size
    width = np.dtype(_narrowest_kinds(values, largest, squared)[0]).itemsize
    # A neuron has synapses in as many strips, if these are anywhere.
    tile = 1 << _bits(n, n, m)
    full, last = divmod(n, tile)
    strips = -full * math.expm1(-m / n * tile / n) - math.expm1(-m / n * last / n)
    return m * (2 + width) + int(4 * n * strips)


def _narrowest_kinds(values: Array, largest: float, squared: bool) -> list[DTypeLike]:
    """Return the types that may hold all values as they hold a sample, the narrowest first.

    Whole numbers are not tried in vain: a few large ones among small ones escape a sample.
    """
    sample = values[:: max(values.size // SAMPLE, 1)]
    if squared:
        sample = np.abs(sample)
    with np.errstate(over="ignore", under="ignore"):
        single = sample.astype(np.float32) == sample
    whole = (sample >= 0) & (sample == np.floor(sample))
    kinds = {np.uint16: largest < 2**16 and whole.all(), np.float32: single.all(), np.float64: True}
    return [kind for kind, fits in kinds.items() if fits]


# ------------------------------------------------------------------ kernels


@njit(cache=True, nogil=True, error_model="numpy")
def _narrow(bits, indices, values, whole, squared, columns, held):  # type: ignore[no-untyped-def]
    """Write entries as tiles hold them; say whether all values are held."""
    mask = (np.uint32(1) << np.uint32(bits)) - np.uint32(1)
    for e in range(indices.size):
        columns[e] = np.uint16(np.uint32(indices[e]) & mask)
    same = True
    for e in range(values.size):
        value = abs(values[e]) if squared else values[e]
        if whole:
            held[e] = np.uint16(np.int32(value))
        else:
            held[e] = value
        same &= np.float64(held[e]) == value
    return same


@njit(cache=True, nogil=True, error_model="numpy")
def _order_rows(row_begins, row_ends, at, order, sizes):  # type: ignore[no-untyped-def]
    """Order the rows of a tile by length, the longest first, `LONG` and longer ones as they come.

    Writes the rows and their lengths from `at` on, empty ones last; returns where the others end.
    """
    one = np.uint64(1)
    places = np.zeros(LONG + 1, dtype=np.uint64)
    for r in range(row_ends.size):
        length = max(row_ends[r], row_begins[r]) - row_begins[r]
        places[min(length, np.uint32(LONG))] += one
    for k in range(LONG, -1, -1):
        number, places[k] = places[k], at
        at += number
    for r in range(row_ends.size):
        length = max(row_ends[r], row_begins[r]) - row_begins[r]
        kind = min(length, np.uint32(LONG))
        at = places[kind]
        places[kind] = at + one
        order[at], sizes[at] = r, length
    return places[1]


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_band(  # type: ignore[no-untyped-def]
    bits, indptr, indices, values, first, last, at,
    columns, order, sizes, begins, ends, starts, held, whole, squared, own_columns, own_values,
):  # fmt: skip
    """Put the entries of a band of rows into its tiles; say whether all values are held.

    They are narrowed first, while they are read in a row: then a tile's are in a near cache.
    """
    begin, end = np.uint64(indptr[first]), np.uint64(indptr[last])
    own = slice(begin, end)
    same = _narrow(bits, indices[own], values[own], whole, squared, own_columns, own_values)
    # As the columns are sorted, the last entry of a row in a strip has the last word where it ends.
    shift = np.uint32(bits)
    row_ends = np.zeros((begins.size, last - first), dtype=np.uint32)
    row_begins = np.empty(last - first, dtype=np.uint32)
    for r in range(row_begins.size):
        row_begins[r] = np.uint64(indptr[first + r]) - begin
        for e in range(np.uint64(indptr[first + r]), np.uint64(indptr[first + r + 1])):
            row_ends[np.uint32(indices[e]) >> shift, r] = np.uint32(e - begin) + np.uint32(1)
    place = begin
    for strip in range(begins.size):
        begins[strip], starts[strip] = at, place
        ends[strip] = _order_rows(row_begins, row_ends[strip], at, order, sizes)
        for k in range(at, ends[strip]):
            r, size = order[k], np.uint64(sizes[k])
            source = np.uint64(row_begins[r])
            row_begins[r] += np.uint32(size)
            for e in range(size):
                columns[place + e] = own_columns[source + e]
                held[place + e] = own_values[source + e]
            place += size
        at = ends[strip]
    return same


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_bands(  # type: ignore[no-untyped-def]
    bits, indptr, indices, values, rows, first, last, room,
    columns, order, sizes, begins, ends, starts, held, whole, squared,
):  # fmt: skip
    """Put the entries of some bands into their tiles, each with its rows from where it has room.

    Without room (None), they come one after the other.
    """
    most = np.uint64(0)
    for band in range(first, last):
        number = np.uint64(indptr[rows[band + 1]]) - np.uint64(indptr[rows[band]])
        most = max(most, number)
    own_columns, own_values = np.empty(most, columns.dtype), np.empty(most, held.dtype)
    same, at = True, np.uint64(0)
    for band in range(first, last):
        if room is not None:
            at = room[band]
        same &= _fill_band(
            *(bits, indptr, indices, values, rows[band], rows[band + 1], at, columns, order),
            *(sizes, begins[:, band], ends[:, band], starts[:, band], held, whole, squared),
            *(own_columns, own_values),
        )
        at = ends[-1, band]
    return same


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def _fill(  # type: ignore[no-untyped-def]
    bits, indptr, indices, values, rows, blocks, room,
    columns, order, sizes, begins, ends, starts, held, whole, squared,
):  # fmt: skip
    """Put the entries into their tiles; say whether the held values are what they were."""
    same = np.ones(blocks.size - 1, dtype=np.bool_)
    for b in prange(blocks.size - 1):
        same[b] = _fill_bands(
            *(bits, indptr, indices, values, rows, blocks[b], blocks[b + 1], room),
            *(columns, order, sizes, begins, ends, starts, held, whole, squared),
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
def _pass_rows(  # type: ignore[no-untyped-def]
    columns, values, squared, order, sizes, begin, end, e, y, inner, gathered
):
    """Gather to a tile's rows from the pairs of its columns, and scatter to these."""
    for r in range(begin, end):
        i, size = order[r], np.uint64(sizes[r])
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


@njit(cache=True, nogil=True, error_model="numpy")
def _pass_entries(columns, values, squared, order, begin, end, y, inner, gathered):  # type: ignore[no-untyped-def]
    """Do what `_pass_rows` does where each entry has its row."""
    for e in range(begin, end):
        i = order[e]
        gathered[i] += _pass_entry(columns, values, squared, e, y[i], inner)


@njit(cache=True, nogil=True, error_model="numpy")
def _pass_bands(  # type: ignore[no-untyped-def]
    bits, columns, values, squared, rows, first, last, order, sizes, begins, ends, starts,
    x, y, inner, gathered, scattered,
):  # fmt: skip
    """Add ``A x`` and ``Aᵀ y``, the rows those of some bands, to what is gathered and scattered.

    One strip of columns after the other has its pairs, x and what is scattered, copied to `inner`.
    """
    width = 1 << bits
    for strip in range(starts.shape[0]):
        begin = strip * width
        n_columns = min(width, x.size - begin)
        for j in range(n_columns):
            inner[2 * j] = x[begin + j]
            inner[2 * j + 1] = scattered[begin + j]
        for band in range(first, last):
            own = slice(rows[band], rows[band + 1])
            tile = begins[strip, band], ends[strip, band]
            if sizes is None:
                _pass_entries(columns, values, squared, order, *tile, y[own], inner, gathered[own])
            else:
                _pass_rows(
                    *(columns, values, squared, order, sizes, *tile),
                    *(starts[strip, band], y[own], inner, gathered[own]),
                )
        for j in range(n_columns):
            scattered[begin + j] = inner[2 * j + 1]


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def _gather_scatter(  # type: ignore[no-untyped-def]
    bits, columns, values, squared, rows, blocks, order, sizes, begins, ends, starts,
    x, y, scratch, gathered, scattered,
):  # fmt: skip
    """Compute ``gathered = A x`` and ``scattered = Aᵀ y``; see `gather_scatter` of the rows."""
    n = x.size
    n_blocks = blocks.size - 1
    for b in prange(n_blocks):
        gathered[rows[blocks[b]] : rows[blocks[b + 1]]] = 0.0
        scratch[b, :n] = 0.0
        _pass_bands(
            bits,
            *(columns, values, squared, rows, blocks[b], blocks[b + 1]),
            *(order, sizes, begins, ends, starts),
            *(x, y, scratch[b, n:], gathered, scratch[b, :n]),
        )
    for j in prange(n):
        total = 0.0
        for b in range(n_blocks):
            total += scratch[b, j]
        scattered[j] = total


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def _copy_above(  # type: ignore[no-untyped-def]
    bits, columns, values, squared, rows, blocks, order, sizes, begins, ends, starts,
    right, enough, picked, picked_rows, room, new_columns, new_values, new_order, new_begins,
    new_ends,
):  # fmt: skip
    """Copy the entries with ``value * right[column] >= enough[row]``, of the tiles that fit.

    Block b of the bands notes those of a tile in ``picked[b]`` and ``picked_rows[b]``, and writes
    from ``room[b]`` on. Returns how many there are in each.
    """
    found = np.zeros(blocks.size - 1, dtype=np.int64)
    for b in prange(blocks.size - 1):
        own, own_rows, at = picked[b], picked_rows[b], room[b]
        for strip in range(starts.shape[0]):
            inner = right[strip << bits :]
            for band in range(blocks[b], blocks[b + 1]):
                outer = enough[rows[band] :]
                start, number = starts[strip, band], np.uint64(0)
                e = start
                for r in range(begins[strip, band], ends[strip, band]):
                    i, end = order[r], e + np.uint64(sizes[r])
                    needed = outer[i]
                    for k in range(e, end):
                        value = np.float64(values[k])
                        if squared:
                            value *= value
                        # Written in any case, and written over if not picked.
                        own[number], own_rows[number] = k - start, i
                        number += np.uint64(value * inner[columns[k]] >= needed)
                    e = end
                new_begins[strip, band], new_ends[strip, band] = at, at + number
                if at + number <= room[b + 1]:
                    for k in range(number):
                        e = start + np.uint64(own[k])
                        new_columns[at + k], new_values[at + k] = columns[e], values[e]
                        new_order[at + k] = own_rows[k]
                at += number
        found[b] = at - room[b]
    return found
