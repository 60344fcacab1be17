"""From tables in pieces to compiled partitions: labels encoded, repeated rows summed, CSR arrays.

Three passes of tasks: each piece's distinct labels, merged in a tree; each piece's rows, encoded
and sorted by the partition they belong to; each partition's rows, gathered from all pieces. No
task holds more than a piece or a partition. What a task has written need not be written again:
where a run was interrupted, the next one finds it by its name, under which it is whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal.convert.labels import label_index
from graphbal.convert.matrices import canonical
from graphbal.convert.tables import _union
from graphbal.distributed._sources import Piece, read
from graphbal.distributed._store import load, save, writing
from graphbal.distributed._tasks import dealt, folded, mapped, reduced, shared
from graphbal.engines.local import suits_tiles, unsigned
from graphbal.errors import GraphbalError, InputError
from graphbal.network import Intake

if TYPE_CHECKING:
    from graphbal.engines._tiles import PartTiles

__all__ = [
    "COMPILED",
    "STAGES",
    "Facts",
    "Part",
    "Partitions",
    "all_labels",
    "compiled_partitions",
    "cut",
]

Array = NDArray[np.float64]

# Synapses of a partition: some 30 MB. A pass returns a number per neuron from each, so that there
# must be more synapses than neurons in it.
_SYNAPSES = 1 << 22
_PER_NEURON = 4
# Types that costs and weights are stored in where they fit exactly.
_NARROW = (np.uint16, np.float32)
# What a folder holds of compiled partitions, and of the way to them alone.
STAGES = ("rows-*.npy", "bounds.npy", "part-*.json")
COMPILED = ("labels.parquet", "part-*.npy", *STAGES)
# What a pass reads of a partition in tiles.
_IN_TILES = ("columns", "values", "runs", "places")
_SMALLEST_NORMAL = np.finfo(float).tiny


@dataclass(frozen=True)
class Part:
    """The synapses onto the neurons begin … end − 1, in files."""

    folder: Path
    number: int
    begin: int
    end: int

    @property
    def name(self) -> str:
        """The beginning of the names of its files."""
        return f"part-{self.number:05}"

    def array(self, key: str) -> NDArray:
        """Return one of its arrays, mapped."""
        return load(self.folder / f"{self.name}.{key}.npy")

    def arrays(self, costs: str) -> tuple[int, NDArray, NDArray, NDArray]:
        """Return what kernels begin with: begin, indptr, indices, and these costs."""
        return self.begin, self.array("indptr"), self.array("indices"), self.array(costs)

    def tiles(self, costs: str) -> PartTiles:
        """Return these costs in tiles, which `cut` has written."""
        from graphbal.engines._tiles import PartTiles

        return PartTiles(*(self.array(f"{costs}-tile-{key}") for key in _IN_TILES))

    def save(self, **arrays: NDArray) -> dict[str, int]:
        """Write arrays; return their checksums."""
        return save(self.folder, self.name, **arrays)


class Facts(NamedTuple):
    """What is known of all synapses after one look at each."""

    synapses: int
    self_connections: int
    initial_cost: float
    own_cost: float
    intake: Intake


@dataclass(frozen=True)
class Partitions:
    """A network in partitions of consecutive postsynaptic neurons.

    Attributes
    ----------
    folder : path
        Where the files are.
    labels : pandas.Index
        Labels of the neurons, in order.
    bounds : sequence of int
        Partition k holds the synapses onto the neurons ``bounds[k] … bounds[k + 1] - 1``.
    facts : Facts
    sums : dict
        Checksum of each file by name.
    """

    folder: Path
    labels: pd.Index
    bounds: tuple[int, ...]
    facts: Facts
    sums: dict[str, int] = field(repr=False)

    @property
    def n(self) -> int:
        """Number of neurons."""
        return len(self.labels)

    @property
    def in_tiles(self) -> bool:
        """Whether passes are over tiles."""
        return suits_tiles(self.n, self.facts.synapses)

    @property
    def parts(self) -> list[Part]:
        """The partitions."""
        ends = zip(self.bounds, self.bounds[1:], strict=False)
        return [Part(self.folder, k, *pair) for k, pair in enumerate(ends)]

    def mapped(self, task: Callable[..., Any], array: NDArray, *arguments: Any) -> list[Any]:
        """Return ``task(part, path of the array, *arguments)`` for each partition."""
        with shared(self.folder, array) as path:
            return mapped(task, self.parts, path, *arguments)

    def reduced(
        self,
        task: Callable[..., Any],
        combine: Callable[[Sequence[Any]], Any],
        array: NDArray,
        *arguments: Any,
    ) -> Any:
        """Return the same, combined: those of a task one after the other, then tasks in a tree."""
        with shared(self.folder, array) as path:
            parts = dealt(self.parts)
            return reduced(folded, combine, parts, task, combine, path, *arguments)


def cut(partitions: Partitions, costs: str) -> None:
    """Write the partitions' costs in tiles, where passes over these are faster."""
    if partitions.in_tiles:
        mapped(_cut, partitions.parts, costs)


def _cut(part: Part, costs: str) -> None:
    from graphbal.engines._tiles import part_tiles_of

    n = len(all_labels(part.folder))
    _, indptr, indices, values = part.arrays(costs)
    tiles = part_tiles_of(unsigned(indptr), unsigned(indices), values, n)
    part.save(**{f"{costs}-tile-{key}": getattr(tiles, key) for key in _IN_TILES})


def compiled_partitions(
    pieces: list[Any], folder: Path, p: float, alpha: float, n_parts: int | None = None
) -> Partitions:
    """Compile the pieces of a table into partitions in a folder."""
    if not pieces:
        raise InputError("the table has no rows, so there is no synapse in it")
    labels, bounds = _divided(pieces, folder, n_parts)
    mapped(_write_rows, enumerate(pieces), folder, bounds)
    partitions = Partitions(folder, labels, bounds, Facts(0, 0, 0.0, 0.0, Intake()), {})
    compile_part = partial(_compile, n=len(labels), n_pieces=len(pieces), p=p, alpha=alpha)
    found = mapped(compile_part, partitions.parts)
    synapses, own, initial_cost, own_cost, repeated, zeros, sums = zip(*found, strict=True)
    facts = Facts(
        sum(synapses),
        sum(own),
        float(np.sum(initial_cost)),
        float(np.sum(own_cost)),
        Intake(repeated=sum(repeated), zeros=sum(zeros)),
    )
    files = {name: value for each in sums for name, value in each.items()}
    return Partitions(folder, labels, bounds, facts, files)


def _divided(
    pieces: list[Any], folder: Path, n_parts: int | None
) -> tuple[pd.Index, tuple[int, ...]]:
    """Return the labels, which are written, and the bounds of partitions of as many rows each."""
    if (folder / "bounds.npy").exists():
        return all_labels(folder), tuple(load(folder / "bounds.npy").tolist())
    if all(frame is None for _, frame in pieces):
        census = reduced(folded, _merged, dealt(pieces), _census, _merged)
    else:  # a task would have to hold all its partitions at once
        census = reduced(_census, _merged, pieces)
    labels, counts = _checked(census), census.counts
    n, rows = len(labels), int(counts.sum())
    if n_parts is None:
        n_parts = -(-rows // max(_SYNAPSES, _PER_NEURON * n))
    ends = np.searchsorted(np.cumsum(counts), np.arange(1, n_parts) * (rows / n_parts)) + 1
    bounds = (0, *np.unique(ends[ends < n]).tolist(), n)
    with writing(folder / "labels.parquet") as file:
        pd.DataFrame({"neuron": labels}).to_parquet(file)
    with writing(folder / "bounds.npy") as file:
        np.save(file, np.array(bounds))
    return labels, bounds


# ------------------------------------------------------------------ labels


class _Census(NamedTuple):
    """Distinct labels, and how many rows have each as their postsynaptic neuron."""

    labels: pd.Index
    counts: NDArray[np.int64]
    is_text: bool
    where: str


def _census(given: tuple[Piece, Any]) -> _Census:
    piece, rows = given[0], read(given)
    if not _are_integers(rows.labels):
        odd = next((label for label in rows.labels if not isinstance(label, str)), None)
        if odd is not None:
            raise InputError(f"{piece.where}: the id {odd!r} is neither an integer nor text")
    counts = np.bincount(rows.post, minlength=len(rows.labels))
    return _Census(rows.labels, counts, piece.is_text, piece.where)


def _merged(parts: Sequence[_Census]) -> _Census:
    first, *rest = [part for part in parts if len(part.labels)] or parts[:1]
    for other in rest:
        mine, others = first, other
        if _are_integers(mine.labels) != _are_integers(others.labels):
            number, text = (mine, others) if _are_integers(mine.labels) else (others, mine)
            if not number.is_text:
                raise InputError(f"{number.where} holds integers as ids, {text.where} holds text")
            mine, others = (each._replace(labels=_text(each.labels)) for each in (mine, others))
        labels = _union(mine.labels, others.labels)
        counts = np.zeros(len(labels), dtype=np.int64)
        for each in (mine, others):
            counts[labels.get_indexer(each.labels)] += each.counts
        first = _Census(labels, counts, first.is_text and other.is_text, first.where)
    return first


def _checked(census: _Census) -> pd.Index:
    labels = census.labels
    if not len(labels):
        raise InputError("the table has no rows, so there is no synapse in it")
    if len(labels) >= 2**31:
        raise InputError(f"{len(labels):,} neurons are more than positions of 32 bits can tell")
    return labels


def _are_integers(labels: pd.Index) -> bool:
    return labels.dtype.kind in "iu"


def _text(labels: pd.Index) -> pd.Index:
    return label_index(list(map(str, labels.tolist()))) if _are_integers(labels) else labels


def all_labels(folder: Path) -> pd.Index:
    """Return the labels of a folder of partitions; a worker reads them once."""
    path = folder / "labels.parquet"
    if not path.exists():
        raise GraphbalError(f"{path}: the file of labels is missing")
    return _labels_of(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _labels_of(path: Path, written: int) -> pd.Index:
    try:
        return label_index(pd.read_parquet(path)["neuron"].to_numpy())
    except (OSError, ValueError, KeyError) as error:
        raise GraphbalError(f"{path}: the file of labels is damaged") from error


# ------------------------------------------------------------------ rows to their partitions


def _write_rows(
    numbered: tuple[int, tuple[Piece, Any]], folder: Path, bounds: Sequence[int]
) -> None:
    """Write a piece's rows, encoded and sorted by partition."""
    number, given = numbered
    if (folder / f"rows-{number:05}.weights.npy").exists():  # the last that is written
        return
    rows, labels = read(given), all_labels(folder)
    found = rows.labels if _are_integers(labels) else _text(rows.labels)
    position = labels.get_indexer(found).astype(np.int32)
    pre, post = position[rows.pre], position[rows.post]
    part = np.searchsorted(bounds, post, side="right") - 1
    order = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=len(bounds) - 1))
    save(
        folder,
        f"rows-{number:05}",
        ends=np.concatenate([[0], ends]),
        pre=pre[order],
        post=post[order],
        weights=_narrow(rows.weights)[order],
    )


def _compile(part: Part, n: int, n_pieces: int, p: float, alpha: float) -> tuple[Any, ...]:
    """Write a partition's CSR arrays, weights and costs; return what `Facts` sums."""
    record = part.folder / f"{part.name}.json"
    if record.exists():
        return tuple(json.loads(record.read_text()))
    columns: list[list[NDArray]] = [[], [], []]
    for number in range(n_pieces):
        name = f"rows-{number:05}"
        begin, end = load(part.folder / f"{name}.ends.npy")[part.number : part.number + 2]
        for column, key in zip(columns, ("pre", "post", "weights"), strict=True):
            # A copy, since maps of so many files, in pages of up to 2 MB, would count as memory.
            column.append(load(part.folder / f"{name}.{key}.npy")[begin:end].copy())
    pre, post = (np.concatenate(column) for column in columns[:2])
    weights = np.concatenate(columns[2], dtype=np.float64)
    post = post - np.int32(part.begin)
    columns.clear()
    matrix, intake = canonical(
        sparse.coo_array((weights, (post, pre)), shape=(part.end - part.begin, n))
    )
    costs = _costs(part, matrix, p, alpha)
    post = np.repeat(np.arange(part.begin, part.end, dtype=np.int32), np.diff(matrix.indptr))
    own = matrix.indices == post
    initial_cost, own_cost = float(costs.sum()), float(costs[own].sum())
    costs[own] = 0.0
    sums = part.save(
        indptr=matrix.indptr.astype(np.int64),
        indices=matrix.indices.astype(np.int32, copy=False),
        weights=_narrow(matrix.data),
        costs=_narrow(costs),
    )
    counts = matrix.nnz, int(np.count_nonzero(own))
    found = (*counts, initial_cost, own_cost, intake.repeated, intake.zeros, sums)
    with writing(record) as file:
        file.write(json.dumps(found).encode())
    return found


def _costs(part: Part, matrix: sparse.csr_array, p: float, alpha: float) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        costs = alpha * np.abs(matrix.data) ** p
    bad = np.flatnonzero(~(np.isfinite(costs) & (costs >= _SMALLEST_NORMAL)))
    if bad.size:
        at = int(bad[0])
        labels = all_labels(part.folder)
        post = part.begin + int(np.searchsorted(matrix.indptr, at, side="right")) - 1
        pair = f"{labels[matrix.indices[at]]!s} → {labels[post]!s}"
        raise InputError(
            f"the synapse {pair} of weight {matrix.data[at]} costs {costs[at]}, which a "
            "floating-point number cannot hold; rescale the weights or choose another p"
        )
    return np.asarray(costs)


def _narrow(values: Array) -> NDArray:
    """Return the same numbers in the narrowest type that holds them exactly."""
    for kind in _NARROW:
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = values.astype(kind)
        if np.array_equal(narrow, values):
            return narrow
    return values
