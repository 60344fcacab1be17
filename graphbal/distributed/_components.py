"""Strong components of a network in partitions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbal._components import strong_components
from graphbal.distributed._partitions import Part, Partitions
from graphbal.distributed._store import load
from graphbal.distributed._tasks import total

__all__ = ["components_of"]

Labels = NDArray[np.int32]

# What is left of a network and has no more synapses than this is taken apart in this process.
GATHERED = 1 << 22
# Rounds of trimming: each takes a pass, and what they leave is found in other ways.
_TRIMMINGS = 10


def components_of(partitions: Partitions) -> tuple[int, Labels]:
    """Find the strong components, numbered by their first neurons.

    The multistep method [1]_. Neurons without incoming or without outgoing synapses are components
    of their own and are trimmed, in a few rounds. The component of the neuron with most pairs of
    synapses in and out, most often the giant one, is what it reaches and is reached from: a pass
    carries marks as far as each partition alone can, then partitions are compared. What remains is
    taken apart in this process if it is small enough; else colours spread along the synapses, the
    largest wins, and a colour's component is what its origin is reached from within it.

    References
    ----------
    .. [1] G. M. Slota, S. Rajamanickam, K. Madduri, "BFS and coloring-based parallel algorithms
       for strongly connected components and related problems", IPDPS 2014.
       https://doi.org/10.1109/IPDPS.2014.64
    """
    n = partitions.n
    labels = np.full(n, -1, dtype=np.int32)  # the number of one neuron of each component
    incoming, outgoing = _trim(partitions, labels)
    if incoming.sum() > GATHERED:
        _label_core(partitions, labels, int(np.argmax(incoming * outgoing.astype(float))))
        incoming, outgoing = _trim(partitions, labels)
    while incoming.sum() > GATHERED:
        _label_colours(partitions, labels)
        incoming, outgoing = _trim(partitions, labels)
    if incoming.any():
        _label_here(partitions, labels)
    alone = labels < 0
    labels[alone] = np.flatnonzero(alone)
    return _numbered(labels)


def _trim(partitions: Partitions, labels: Labels) -> tuple[NDArray, NDArray]:
    """Label neurons that lie on no cycle, as far as rounds go; return the degrees of the others."""
    for _ in range(_TRIMMINGS):
        incoming, outgoing = partitions.reduced(_degrees, total, labels)
        ends = np.flatnonzero((labels < 0) & ((incoming == 0) | (outgoing == 0)))
        labels[ends] = ends
        if incoming[ends].sum() + outgoing[ends].sum() == 0:
            break
    else:
        incoming, outgoing = partitions.reduced(_degrees, total, labels)
    return incoming, outgoing


def _label_core(partitions: Partitions, labels: Labels, hub: int) -> None:
    """Label the component of one neuron."""
    marks = np.zeros(partitions.n, dtype=np.uint8)
    marks[hub] = 3
    marks = _spread(partitions, _reach, np.bitwise_or, labels, marks)
    labels[marks == 3] = hub


def _label_colours(partitions: Partitions, labels: Labels) -> None:
    """Label one component or more of each connected part of what is left."""
    names = np.arange(partitions.n, dtype=np.int32)
    colours = _spread(partitions, _colour, np.maximum, labels, names)
    colours[labels >= 0] = -1
    marks = (colours == names).astype(np.uint8)
    marks = _spread(partitions, _reach_back, np.bitwise_or, colours, marks)
    found = marks == 1
    labels[found] = colours[found]


def _label_here(partitions: Partitions, labels: Labels) -> None:
    """Label all that is left by a search in this process."""
    left = np.flatnonzero(labels < 0)
    place = np.full(partitions.n, -1, dtype=np.int32)
    place[left] = np.arange(left.size)
    found = partitions.mapped(_edges_left, place)
    counts, pre = (np.concatenate(each) for each in zip(*found, strict=True))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    n_found, numbers = strong_components(indptr, pre)
    first = np.empty(n_found, dtype=np.int32)
    first[numbers[::-1]] = left[::-1]
    labels[left] = first[numbers]


def _spread(
    partitions: Partitions, task: Any, combine: np.ufunc, fixed: NDArray, state: NDArray
) -> NDArray:
    """Repeat passes until the state, which only ever grows, no longer does."""
    while True:
        before = state
        state = partitions.reduced(
            task, _Combined(combine), np.stack([fixed, before.astype(np.int32)])
        ).astype(before.dtype)
        if np.array_equal(state, before):
            return state


def _numbered(labels: Labels) -> tuple[int, Labels]:
    """Return the components numbered in the order of their first neurons."""
    names, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(names.size, dtype=np.int32)
    rank[np.argsort(first)] = np.arange(names.size)
    return names.size, rank[numbers]


# ------------------------------------------------------------------ tasks


class _Combined:
    """A ufunc over a list of arrays."""

    def __init__(self, ufunc: np.ufunc) -> None:
        self.ufunc = ufunc

    def __call__(self, arrays: Sequence[NDArray]) -> NDArray:
        return np.asarray(self.ufunc.reduce(np.stack(arrays)))


def _degrees(part: Part, path: Path) -> tuple[NDArray, NDArray]:
    from graphbal.distributed._kernels import degrees

    labels = load(path)
    incoming, outgoing = np.zeros((2, labels.size), dtype=np.int64)
    degrees(*part.arrays("costs"), labels, incoming, outgoing)
    return incoming, outgoing


def _reach(part: Part, path: Path) -> NDArray:
    from graphbal.distributed._kernels import reach

    labels, marks = load(path)
    marks = marks.astype(np.uint8)
    reach(*part.arrays("costs"), labels, marks)
    return marks


def _colour(part: Part, path: Path) -> NDArray:
    from graphbal.distributed._kernels import colour

    labels, colours = load(path)
    colours = colours.copy()
    colour(*part.arrays("costs"), labels, colours)
    return colours


def _reach_back(part: Part, path: Path) -> NDArray:
    from graphbal.distributed._kernels import reach_back

    colours, marks = load(path)
    marks = marks.astype(np.uint8)
    reach_back(*part.arrays("costs"), colours, marks)
    return marks


def _edges_left(part: Part, path: Path) -> tuple[NDArray, NDArray]:
    """Return, of the rows that are left, the number of entries that are, and these."""
    place = load(path)
    begin, indptr, indices, costs = part.arrays("costs")
    post = np.repeat(np.arange(begin, part.end), np.diff(indptr))
    kept = (place[post] >= 0) & (place[indices] >= 0) & (costs > 0)
    counts = np.bincount(post[kept] - begin, minlength=part.end - begin)
    return counts[place[begin : part.end] >= 0], place[indices[kept]]
