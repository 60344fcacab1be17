"""A spanning forest of the underlying undirected graph, and the cycles that close on it.

Everything is done on whole arrays: sums along branches by pointer doubling, common ancestors by
binary lifting [1]_, so that depth costs a logarithm only.

.. [1] M. A. Bender, M. Farach-Colton, "The level ancestor problem simplified", Theor Comput Sci
   321(1): 5-12 (2004). https://doi.org/10.1016/j.tcs.2003.05.002
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["SpanningForest", "edge_at", "spanning_forest"]

Ints = NDArray[np.integer]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SpanningForest:
    """Breadth-first trees, one for each connected part, hung from one vertex more, n.

    Attributes
    ----------
    head, tail : int array, shape (m,)
        Ends of the edges tail → head.
    part : int array, shape (n,)
        Number of the connected part of each vertex.
    parent : int array, shape (n + 1,)
        The vertex above each; n above the roots and itself.
    branch : int array, shape (n + 1,)
        The edge to the vertex above; −1 at roots.
    sign : int array, shape (n + 1,)
        +1 if that edge leads down to the vertex, −1 if up from it, 0 at roots.
    chords : int array
        The edges outside the forest; each closes a cycle.
    """

    head: Ints
    tail: Ints
    part: Ints
    parent: Ints
    branch: Ints
    sign: Ints
    chords: Ints

    def centred(self, values: Array) -> Array:
        """Return values of the n vertices minus their mean over each connected part."""
        means = np.bincount(self.part, weights=values) / np.maximum(np.bincount(self.part), 1)
        return values - means[self.part]

    def sums(self, values: Array) -> Array:
        """Return Σ ± value over the edges from the root down to each vertex, + along an edge."""
        below = self.branch >= 0
        steps = np.zeros(self.parent.size)
        steps[below] = self.sign[below] * values[self.branch[below]]
        return self._accumulated(steps)

    def circulations(self, values: Array) -> Array:
        """Return Σ ± value around the cycle of each chord, + along an edge, in O(n + m)."""
        sums, chords = self.sums(values), self.chords
        return values[chords] + (sums[self.tail[chords]] - sums[self.head[chords]])

    def lengths(self) -> Ints:
        """Return the number of edges of each cycle."""
        return 1 + self._climbs[0] + self._climbs[1]

    def followed(self) -> Ints:
        """Return the number of edges of each cycle that are followed along their direction."""
        rising = self._accumulated((self.sign < 0).astype(np.int64))
        falling = self._accumulated((self.sign > 0).astype(np.int64))
        head, tail, meet = self.head[self.chords], self.tail[self.chords], self._meets
        return 1 + (rising[head] - rising[meet]) + (falling[tail] - falling[meet])

    def members(self, numbers: Ints) -> tuple[Ints, Ints, Ints]:
        """Return cycle (by place in `numbers`), edge and sign of all edges of some cycles.

        For a single cycle they come in the order of the walk: along the chord, up from its head to
        where the branches meet, and down to its tail.
        """
        chords = self.chords[numbers]
        climb, descent = (side[numbers] for side in self._climbs)
        place = np.arange(numbers.size)
        up = np.repeat(place, climb)
        rising = self._ancestors(self.head[chords][up], _count_up(climb))
        down = np.repeat(place, descent)
        steps = descent[down] - 1 - _count_up(descent)
        falling = self._ancestors(self.tail[chords][down], steps)
        return (
            np.concatenate([place, up, down]),
            np.concatenate([chords, self.branch[rising], self.branch[falling]]),
            np.concatenate([np.ones_like(place), -self.sign[rising], self.sign[falling]]),
        )

    @cached_property
    def _lifts(self) -> list[Ints]:
        """The vertex 1, 2, 4, 8 … steps above each, until all are at the top."""
        lifts = [self.parent]
        while (lifts[-1] != self.parent.size - 1).any():
            lifts.append(lifts[-1][lifts[-1]])
        return lifts

    def _accumulated(self, steps: NDArray) -> NDArray:
        """Return the sum of the steps of each vertex and of all those above it."""
        total = steps.copy()
        for lift in self._lifts:
            total += total[lift]
        return total

    def _ancestors(self, vertices: Ints, steps: Ints) -> Ints:
        for k, lift in enumerate(self._lifts):
            vertices = np.where((steps >> k) & 1, lift[vertices], vertices)
        return vertices

    @cached_property
    def _depths(self) -> Ints:
        return self._accumulated((np.arange(self.parent.size) < self.parent.size - 1).astype(int))

    @cached_property
    def _meets(self) -> Ints:
        """The lowest vertex above both ends of each chord."""
        a, b = self.head[self.chords], self.tail[self.chords]
        lower = self._depths[a] - self._depths[b]
        a = self._ancestors(a, np.maximum(lower, 0))
        b = self._ancestors(b, np.maximum(-lower, 0))
        for lift in reversed(self._lifts):
            apart = lift[a] != lift[b]
            a, b = np.where(apart, lift[a], a), np.where(apart, lift[b], b)
        return np.where(a == b, a, self.parent[a])

    @cached_property
    def _climbs(self) -> tuple[Ints, Ints]:
        """Number of branches from the head and from the tail of each chord to where they meet."""
        meet = self._depths[self._meets]
        head, tail = self.head[self.chords], self.tail[self.chords]
        return self._depths[head] - meet, self._depths[tail] - meet


def spanning_forest(head: Ints, tail: Ints, n: int) -> SpanningForest:
    """Grow breadth-first trees from the vertex of highest degree of each connected part.

    Edges tail → head are sorted by head, then tail, none twice; cycles stay short because trees
    stay shallow. O(n + m) time, but for the look-up of n edges.
    """
    ones = np.broadcast_to(1.0, head.size)
    part = sparse.csgraph.connected_components(
        sparse.csr_array((ones, (head, tail)), shape=(n, n)), directed=False
    )[1]
    degree = np.bincount(head, minlength=n) + np.bincount(tail, minlength=n)
    hubs = np.empty(part.max(initial=-1) + 1, dtype=np.intp)
    by_degree = np.argsort(degree, kind="stable")
    hubs[part[by_degree]] = by_degree  # the last of a part stays
    hung = sparse.csr_array(
        (
            np.broadcast_to(1.0, head.size + hubs.size),
            (np.append(head, np.full(hubs.size, n)), np.append(tail, hubs)),
        ),
        shape=(n + 1, n + 1),
    )
    parent = sparse.csgraph.breadth_first_order(hung, n, directed=False)[1]
    parent[n] = n

    keys = head.astype(np.int64) * n + tail
    child = np.flatnonzero(parent[:n] < n)
    above = parent[child].astype(np.int64)
    down = edge_at(keys, child * n + above)
    branch = np.full(n + 1, -1, dtype=np.int64)
    branch[child] = np.where(down >= 0, down, edge_at(keys, above * n + child))
    sign = np.zeros(n + 1, dtype=np.int8)
    sign[child] = np.where(down >= 0, 1, -1)
    is_chord = np.ones(head.size, dtype=bool)
    is_chord[branch[child]] = False
    return SpanningForest(head, tail, part, parent, branch, sign, np.flatnonzero(is_chord))


def edge_at(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the place of each wanted key among sorted keys, −1 where it is missing."""
    at = np.searchsorted(keys, wanted)
    found = at < keys.size
    found[found] = keys[at[found]] == wanted[found]
    return np.where(found, at, -1)


def _count_up(counts: Ints) -> Ints:
    """Return 0, 1, …, k − 1 for each count k, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if ends.size else 0) - np.repeat(ends - counts, counts)
