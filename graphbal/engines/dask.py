"""The distributed engine: edges in partitions, potentials everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphbal.distributed._store import load
from graphbal.distributed._tasks import total
from graphbal.engines.local import Engine, State

if TYPE_CHECKING:
    from graphbal.distributed._partitions import Part, Partitions

__all__ = ["DaskEngine"]

Array = NDArray[np.float64]


class DaskEngine(Engine):
    """The two edge passes as Dask tasks, one for each partition, and a tree of sums.

    Parameters
    ----------
    partitions : Partitions
        The network.
    costs : str
        Which costs: the name of an array of each partition.
    watch : callable, optional
        Told of each state.
    """

    def __init__(
        self, partitions: Partitions, costs: str, watch: Callable[[State], None] | None = None
    ) -> None:
        def products(x: Array, y: Array) -> tuple[Array, Array]:
            found = partitions.reduced(_products, _summed, np.stack([x, y]), costs)
            return np.concatenate(found.gathered), np.array(found.scattered)

        super().__init__(partitions.n, products)
        self._watch = watch

    def at(self, q: Array) -> State:
        """Return the state of the network at potentials q, in one pass."""
        state = super().at(q)
        if self._watch is not None:
            self._watch(state)
        return state


class _Products(NamedTuple):
    """C x in consecutive parts, and Cᵀ y."""

    gathered: list[Array]
    scattered: Array


def _products(part: Part, path: Path, costs: str) -> _Products:
    from graphbal.distributed._kernels import gather_scatter_rows

    x, y = load(path)
    gathered, scattered = np.empty(part.end - part.begin), np.zeros(x.size)
    gather_scatter_rows(*part.arrays(costs), x, y, gathered, scattered)
    return _Products([gathered], scattered)


def _summed(found: Sequence[_Products]) -> _Products:
    gathered = [piece for each in found for piece in each.gathered]
    return _Products(gathered, total([each.scattered for each in found]))
