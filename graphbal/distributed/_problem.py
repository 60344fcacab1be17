"""A balancing problem whose synapses are in partitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from graphbal.distributed._partitions import Part, Partitions, cut
from graphbal.distributed._store import load
from graphbal.engines.local import Engine
from graphbal.solvers._problem import MODERATE_RANGE, Problem

if TYPE_CHECKING:
    from graphbal.distributed._checkpoint import Checkpoint

__all__ = ["PartitionedProblem", "limit_problem"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PartitionedProblem:
    """What `graphbal.solvers.Problem` is to a network in one process: all that needs no edges.

    Costs other than the network's own are written beside them, in place of earlier ones: of two
    problems made by `shifted` or `tempered` only the later can be used.

    Attributes
    ----------
    partitions : Partitions
    components : int array, shape (n,)
    n_components : int
    n_synapses : int
        Number of synapses of positive cost.
    kept : str
        Name of the array of each partition that holds the costs that do not vanish.
    costs : str
        Name of the array that holds kept ** exponent, seen from the potentials `base`.
    base : array, shape (n,)
    exponent : float
    checkpoint : Checkpoint, optional
        Told of potentials, `base` included, and the total cost there.
    """

    partitions: Partitions
    components: NDArray[np.integer]
    n_components: int
    n_synapses: int
    kept: str
    costs: str
    base: Array
    exponent: float = 1.0
    checkpoint: Checkpoint | None = None
    n: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", self.partitions.n)

    @property
    def affords_scrutiny(self) -> bool:
        """Whether passes are cheap: as Dask tasks never; see `Problem.affords_scrutiny`."""
        return False

    def centred(self, x: Array) -> Array:
        """Return x minus its mean over each component."""
        this: Any = self
        return Problem.centred(this, x)

    @cached_property
    def sizes(self) -> NDArray[np.intp]:
        """Number of neurons of each component."""
        return np.bincount(self.components, minlength=self.n_components)

    @cached_property
    def in_degrees(self) -> NDArray[np.int64]:
        """Number of synapses of positive cost onto each neuron."""
        return np.concatenate(self.partitions.mapped(_in_degrees, self.base, self.kept))

    @property
    def bytes_per_pass(self) -> int:
        """Bytes that a pass reads of all partitions."""
        if self.partitions.in_tiles:
            files = self.partitions.folder.glob(f"part-*.{self.kept}-tile-*.npy")
            return sum(file.stat().st_size for file in files)
        return sum(
            array.nbytes for part in self.partitions.parts for array in part.arrays(self.kept)[1:]
        )

    def engine(self) -> Engine:
        """Return the edge passes over these costs."""
        from graphbal.engines.dask import DaskEngine  # which imports from this package

        checkpoint = self.checkpoint if self.exponent == 1.0 else None
        return DaskEngine(self.partitions, self.costs, checkpoint, self.base)

    def shifted(self, q: Array) -> PartitionedProblem:
        """Return the problem seen from potentials q; see `Problem.shifted`."""
        return self._seen(self.exponent, self.base + q)

    def tempered(self, exponent: float) -> PartitionedProblem:
        """Return the problem with costs c_ij^exponent."""
        return self._seen(self.exponent * exponent, self.base * exponent)

    def _seen(self, exponent: float, base: Array) -> PartitionedProblem:
        for earlier in self.partitions.folder.glob("part-*.view-*.npy"):
            earlier.unlink()
        costs = self.kept
        if exponent != 1.0 or base.any():
            costs = f"view-{uuid4().hex}"
            self.partitions.mapped(_write_view, base, self.kept, exponent, costs)
            cut(self.partitions, costs)
        return replace(self, costs=costs, base=base, exponent=exponent)

    @cached_property
    def _extremes(self) -> tuple[Array, Array, float]:
        return self.partitions.reduced(_extremes, _wider, self.base, self.costs)

    @property
    def log_range(self) -> float:
        """Logarithm of the largest cost over the smallest."""
        incoming, _, smallest = self._extremes
        return float(np.log(incoming.max()) - np.log(smallest))

    @property
    def is_wide(self) -> bool:
        """Whether what neurons pass on spans many orders of magnitude; see `Problem.is_wide`."""
        incoming, outgoing, _ = self._extremes
        through = np.concatenate([incoming[incoming > 0], outgoing[outgoing > 0]])
        if not through.size:
            return False
        return bool(np.log(through.max()) - np.log(through.min()) > MODERATE_RANGE)


def limit_problem(
    partitions: Partitions,
    n_components: int,
    components: NDArray[np.int32],
    checkpoint: Checkpoint | None,
) -> tuple[PartitionedProblem, int]:
    """Return the problem of the synapses within components, and the number of the others."""
    kept, vanishing = "costs", 0
    if n_components > 1:
        vanishing = sum(partitions.mapped(_write_kept, components))
        kept = "kept" if vanishing else "costs"
    cut(partitions, kept)
    facts = partitions.facts
    n_synapses = facts.synapses - facts.self_connections - vanishing
    problem = PartitionedProblem(
        partitions, components, n_components, n_synapses, kept, kept, np.zeros(partitions.n)
    )
    return replace(problem, checkpoint=checkpoint), vanishing


def _write_kept(part: Part, path: Path) -> int:
    """Write the costs of synapses within components; return how many are not."""
    components = load(path)
    begin, indptr, indices, costs = part.arrays("costs")
    own = np.repeat(components[begin : part.end], np.diff(indptr))
    vanishing = (own != components[indices]) & (costs > 0)
    part.save(kept=np.where(vanishing, costs.dtype.type(0), costs))
    return int(np.count_nonzero(vanishing))


def _in_degrees(part: Part, path: Path, kept: str) -> NDArray[np.int64]:
    _, indptr, _, costs = part.arrays(kept)
    before = np.concatenate([[0], np.cumsum(costs > 0)])
    return np.diff(before[indptr])


def _write_view(part: Part, path: Path, kept: str, exponent: float, view: str) -> None:
    """Write costs^exponent as they are seen from potentials; none becomes zero."""
    q = load(path)
    begin, indptr, indices, costs = part.arrays(kept)
    with np.errstate(divide="ignore", under="ignore"):
        values = np.log(costs, dtype=np.float64)
        values *= exponent
        values += q[indices]
        values -= np.repeat(q[begin : part.end], np.diff(indptr))
        np.exp(values, out=values)
    np.maximum(values, np.finfo(float).tiny, out=values, where=costs > 0)
    part.save(**{view: values})


def _extremes(part: Part, path: Path, kept: str) -> tuple[Array, Array, float]:
    """Return the largest cost in and out of each neuron, and the smallest of all."""
    n = load(path).size
    begin, indptr, indices, costs = part.arrays(kept)
    incoming, outgoing = np.zeros((2, n))
    np.maximum.at(outgoing, indices, costs)
    filled = np.flatnonzero(np.diff(indptr))
    incoming[begin + filled] = np.maximum.reduceat(costs, indptr[filled]) if filled.size else 0.0
    positive = costs[costs > 0]
    return incoming, outgoing, float(positive.min()) if positive.size else np.inf


def _wider(found: Sequence[tuple[Array, Array, float]]) -> tuple[Array, Array, float]:
    incoming, outgoing, smallest = zip(*found, strict=True)
    return np.maximum.reduce(incoming), np.maximum.reduce(outgoing), min(smallest)
