"""The distributed engine: edges in partitions, potentials everywhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphbal.distributed._store import load
from graphbal.distributed._tasks import dealt, reduced, shared, total
from graphbal.engines.local import Engine, State, unsigned

if TYPE_CHECKING:
    from graphbal.distributed._checkpoint import Checkpoint
    from graphbal.distributed._partitions import Part, Partitions

__all__ = ["DaskEngine"]

Array = NDArray[np.float64]


class DaskEngine(Engine):
    """The two edge passes as Dask tasks, each over some partitions, and a tree of sums.

    Parameters
    ----------
    partitions : Partitions
        The network.
    costs : str
        Which costs: the name of an array of each partition.
    checkpoint : Checkpoint, optional
        Told of each state and, whenever it is due, of where conjugate gradients have come.
    base : array, shape (n,), optional
        The potentials from which the costs are seen, for the checkpoint.
    """

    def __init__(
        self,
        partitions: Partitions,
        costs: str,
        checkpoint: Checkpoint | None = None,
        base: Array | float = 0.0,
    ) -> None:
        groups = dealt(partitions.parts)
        pass_over = _products_in_tiles if partitions.in_tiles else _products

        def products(x: Array, y: Array) -> tuple[Array, Array]:
            with shared(partitions.folder, np.stack([x, y])) as path:
                found = reduced(pass_over, _summed, groups, path, costs)
            return np.concatenate(found.gathered), np.array(found.scattered)

        super().__init__(partitions.n, products)
        self._checkpoint = checkpoint
        self._base = base

    def at(self, q: Array) -> State:
        """Return the state of the network at potentials q, in one pass."""
        state = super().at(q)
        if self._checkpoint is None:
            return state
        self._checkpoint.watch(self._base + q, state.total_cost)
        costs = state.incoming, state.outgoing
        return _FollowedState(self, q, *costs, state.gain, state.loss, _Follower(self, state))

    def record_if_due(self, q: Array) -> None:
        """Spend a pass on the cost at potentials on the way, if the checkpoint is due."""
        if self._checkpoint is None or not self._checkpoint.is_due:
            return
        begun = time.monotonic()
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            cost = super().at(q).total_cost
        self._checkpoint.watch(self._base + q, cost, begun)


class _Follower:
    """Follows the conjugate gradients that solve L δ = g at a state, by the products they ask for.

    With r = g − L δ, a direction d adds α d to δ, α = d·r / d·L d.
    """

    def __init__(self, engine: DaskEngine, state: State) -> None:
        self.engine = engine
        self.q = state.q.copy()
        self.residual = state.gradients

    def note(self, direction: Array, image: Array) -> None:
        """Move on by a direction, of which `image` is the product with L."""
        curvature = float(np.einsum("i,i->", direction, image))
        if not curvature > 0:
            return
        alpha = float(np.einsum("i,i->", direction, self.residual)) / curvature
        self.q += alpha * direction
        self.residual -= alpha * image
        self.engine.record_if_due(self.q)


@dataclass(frozen=True, eq=False)
class _FollowedState(State):
    """A state whose products with the Laplacian are followed."""

    follower: _Follower = field(repr=False)

    def laplacian_product(self, x: Array) -> Array:
        image = super().laplacian_product(x)
        self.follower.note(x, image)
        return image


class _Products(NamedTuple):
    """C x in consecutive parts, and Cᵀ y."""

    gathered: list[Array]
    scattered: Array


def _products(parts: Sequence[Part], path: Path, costs: str) -> _Products:
    from graphbal.engines._kernels import pass_over_rows

    x, y = load(path)
    pairs = np.empty((x.size, 2))
    pairs[:, 0], pairs[:, 1] = x, 0.0
    gathered = [np.empty(part.end - part.begin) for part in parts]
    for part, own in zip(parts, gathered, strict=True):
        begin, indptr, indices, values = part.arrays(costs)
        rows = unsigned(indptr), unsigned(indices), values, 0, own.size
        pass_over_rows(*rows, y[begin:], pairs, own)
    return _Products(gathered, pairs[:, 1].copy())


def _products_in_tiles(parts: Sequence[Part], path: Path, costs: str) -> _Products:
    x, y = load(path)
    scattered = np.zeros(x.size)
    gathered = [
        part.tiles(costs).gather_scatter(x, y[part.begin : part.end], scattered) for part in parts
    ]
    return _Products(gathered, scattered)


def _summed(found: Sequence[_Products]) -> _Products:
    gathered = [piece for each in found for piece in each.gathered]
    return _Products(gathered, total([each.scattered for each in found]))
