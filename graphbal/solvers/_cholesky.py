"""Approximate elimination on a graph, compiled. Importing this module imports Numba."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

__all__ = [
    "Graph",
    "at_border",
    "breadth_first",
    "conductances_at",
    "eliminate",
    "graph_of",
    "laplacian_product",
    "substitute",
    "symmetrised",
]

Array = NDArray[np.float64]
Index = NDArray[np.integer]

# Degrees below this have a bucket each; above, eight buckets share a doubling.
EXACT_DEGREES = 64
N_BUCKETS = EXACT_DEGREES + 8 * 40


class Graph(NamedTuple):
    """A graph that loses one neuron after the other, as lists of entries.

    Edge t has the entries 2t and 2t + 1, one in the list of either end. When a neuron goes, each of
    its edges becomes an edge between two of its neighbours, one entry staying where it is, the
    other changing lists; or it goes too. So the graph never takes more memory than it did at first.

    Attributes
    ----------
    weight : array, shape (m,)
        Conductance of each edge.
    target, following : int array, shape (2 m,)
        The other end of each entry (−1: the edge is gone), and the next entry of its list.
    first : int array, shape (n,)
        First entry of each neuron.
    degree : int array, shape (n,)
        Number of its edges; parallel ones count until the first of them is looked at.
    ground, reach : array, shape (n,)
        Its conductance to ground, and that of neurons whose currents have gathered there.
    """

    weight: Array
    target: Index
    following: Index
    first: Index
    degree: Index
    ground: Array
    reach: Array


@njit(cache=True, nogil=True, error_model="numpy")
def graph_of(
    indptr: Index,
    indices: Index,
    conductances: Array,
    ground: Array,
    target: Index,
    following: Index,
) -> Graph:
    """Return the graph; `target` and `following` are given as scratch space, and `ground` too."""
    n = indptr.size - 1
    weight = np.empty(target.size // 2)
    first = np.full(n, -1, target.dtype)
    degree = np.zeros(n, np.int32)
    reach = ground.copy()
    edge = 0
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            reach[i] += conductances[e]
            if j > i and conductances[e] > 0.0:
                weight[edge] = conductances[e]
                _append(2 * edge, i, j, target, following, first)
                _append(2 * edge + 1, j, i, target, following, first)
                degree[i] += 1
                degree[j] += 1
                edge += 1
    return Graph(weight, target, following, first, degree, ground, reach)


@njit(cache=True, nogil=True, error_model="numpy")
def eliminate(
    members: Index, graph: Graph, seed: int
) -> tuple[Index, Index, Index, Array, Array, Array]:
    """Eliminate these neurons, one after the other; see `graphbal.solvers.cholesky`.

    What is changed of the graph belongs to them and their neighbours.

    Returns the order of elimination and, by position in it, where its neighbours start in `rows`,
    these, the shares of its current that go to them, the sum of its conductances, and that of the
    neurons whose currents have gathered there.
    """
    weight, target, following, first, degree, ground, reach = graph
    n, n_members = first.size, members.size

    # Neurons by degree, in doubly linked lists: the last one to arrive goes first.
    head = np.full(N_BUCKETS, -1, np.int32)
    after, before, bucket = np.empty(n, np.int32), np.empty(n, np.int32), np.full(n, -1, np.int32)
    n_edges = 0
    for i in members[::-1]:
        n_edges += degree[i]
        bucket[i] = _bucket(degree[i])
        _insert(i, bucket[i], head, after, before)
    lowest = 0

    order = np.empty(n_members, np.int32)
    starts = np.zeros(n_members + 1, np.int64)
    rows, shares = np.empty(n_edges // 2 + n_members, np.int32), np.empty(n_edges // 2 + n_members)
    pivots, gathered = np.empty(n_members), np.empty(n_members)
    slot = np.full(n, -1, np.int32)
    own, ranks = np.empty(0, np.int64), np.empty(0, np.int64)
    total, rests = np.empty(0), np.empty(0)
    random = np.uint64(seed)

    for step in range(n_members):
        while head[lowest] < 0:
            lowest += 1
        i = head[lowest]
        _remove(i, lowest, head, after, before)
        order[step] = i

        if degree[i] >= own.size:
            size = 2 * degree[i] + 64
            own, ranks = np.empty(size, np.int64), np.empty(size, np.int64)
            total, rests = np.empty(size), np.empty(size)
        d = _gather(i, first, target, following, weight, degree, slot, own, total)
        _rank(total, d, ranks)
        rests[d] = 0.0
        for k in range(d - 1, -1, -1):
            rests[k] = rests[k + 1] + total[ranks[k]]
        pivots[step] = pivot = rests[0] + ground[i]
        gathered[step] = reach[i]

        at = starts[step]
        starts[step + 1] = at + d
        if at + d > rows.size:
            size = max(at + d, rows.size + rows.size // 2)
            rows, shares = _longer(rows, size), _longer(shares, size)
        for k in range(d):
            e = own[ranks[k]]
            j = target[e]
            rows[at + k], shares[at + k] = j, total[ranks[k]] / pivot
            # To the ground all edges of the clique are kept: they take no memory.
            ground[j] += shares[at + k] * ground[i]
            reach[j] += shares[at + k] * reach[i]
            slot[j] = -1

        for k in range(d - 1):
            random, u = _uniform(random)
            partner = rows[at + _last_at_least(rests, u * rests[k + 1], k + 1, d)]
            e = own[ranks[k]]
            weight[e >> 1] = total[ranks[k]] * (rests[k + 1] / pivot)
            _append(e, partner, target[e], target, following, first)
            target[e ^ 1] = partner
            degree[partner] += 1
        if d:
            e = own[ranks[d - 1]]
            target[e ^ 1] = -1
            degree[target[e]] -= 1

        for k in range(d):
            j = rows[at + k]
            now = _bucket(degree[j])
            if now != bucket[j] and bucket[j] >= 0:
                _remove(j, bucket[j], head, after, before)
                _insert(j, now, head, after, before)
                bucket[j] = now
                lowest = min(lowest, now)
    size = starts[n_members]  # of what has grown by leaps
    return order, starts, rows[:size].copy(), shares[:size].copy(), pivots, gathered


@njit(cache=True, nogil=True, error_model="numpy")
def breadth_first(indptr: Index, indices: Index) -> Index:
    """Return all neurons, breadth first from the first one of each connected part."""
    n = indptr.size - 1
    queue, seen = np.empty(n, np.int32), np.zeros(n, np.bool_)
    begin = end = 0
    for root in range(n):
        if seen[root]:
            continue
        seen[root], queue[end] = True, root
        end += 1
        while begin < end:
            i = queue[begin]
            begin += 1
            for e in range(indptr[i], indptr[i + 1]):
                j = indices[e]
                if not seen[j]:
                    seen[j], queue[end] = True, j
                    end += 1
    return queue


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def at_border(indptr: Index, indices: Index, part: Index) -> NDArray[np.bool_]:
    """Say which neurons have a neighbour in another part."""
    found = np.zeros(indptr.size - 1, np.bool_)
    for i in prange(found.size):
        for e in range(indptr[i], indptr[i + 1]):
            if part[indices[e]] != part[i]:
                found[i] = True
                break
    return found


@njit(cache=True, error_model="numpy")
def _gather(i, first, target, following, weight, degree, slot, own, total):  # type: ignore[no-untyped-def]
    """Merge parallel edges of neuron i; return how many are left, their entries and weights."""
    d = 0
    e = first[i]
    while e >= 0:
        j = target[e]
        if j >= 0:
            if slot[j] < 0:
                slot[j], own[d], total[d] = d, e, weight[e >> 1]
                d += 1
            else:
                total[slot[j]] += weight[e >> 1]
                target[e ^ 1] = -1
                degree[j] -= 1
        e = following[e]
    return d


@njit(cache=True, error_model="numpy")
def _append(e, i, j, target, following, first):  # type: ignore[no-untyped-def]
    """Make entry e the first one in the list of neuron i, to j."""
    target[e], following[e], first[i] = j, first[i], e


@njit(cache=True, error_model="numpy")
def _last_at_least(falling, value, low, high):  # type: ignore[no-untyped-def]
    """Return the last k in [low, high) with falling[k] ≥ value; low if there is none."""
    while high - low > 1:
        middle = (low + high) // 2
        if falling[middle] >= value:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, error_model="numpy")
def _rank(values, size, ranks):  # type: ignore[no-untyped-def]
    """Rank the first entries in ascending order, by Shell's sort."""
    gap = 1
    while gap < size // 3:
        gap = 3 * gap + 1
    for k in range(size):
        ranks[k] = k
    while gap > 0:
        for k in range(gap, size):
            own, m = ranks[k], k
            while m >= gap and values[ranks[m - gap]] > values[own]:
                ranks[m] = ranks[m - gap]
                m -= gap
            ranks[m] = own
        gap //= 3


@njit(cache=True, error_model="numpy")
def _longer(values, size):  # type: ignore[no-untyped-def]
    longer = np.empty(size, values.dtype)
    longer[: values.size] = values
    return longer


@njit(cache=True, error_model="numpy")
def _uniform(state):  # type: ignore[no-untyped-def]
    """Return the next state of SplitMix64 and a number in (0, 1]."""
    state += np.uint64(0x9E3779B97F4A7C15)
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return state, (np.float64(z >> np.uint64(11)) + 1.0) * 2.0**-53


@njit(cache=True, error_model="numpy")
def _bucket(degree):  # type: ignore[no-untyped-def]
    if degree < EXACT_DEGREES:
        return degree
    return EXACT_DEGREES + int(8 * np.log2(degree / EXACT_DEGREES))


@njit(cache=True, error_model="numpy")
def _insert(i, b, head, after, before):  # type: ignore[no-untyped-def]
    after[i], before[i] = head[b], -1
    if head[b] >= 0:
        before[head[b]] = i
    head[b] = i


@njit(cache=True, error_model="numpy")
def _remove(i, b, head, after, before):  # type: ignore[no-untyped-def]
    if before[i] >= 0:
        after[before[i]] = after[i]
    else:
        head[b] = after[i]
    if after[i] >= 0:
        before[after[i]] = before[i]


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def substitute(
    blocks: Index,
    order: Index,
    starts: Index,
    rows: Index,
    shares: Array,
    pivots: Array,
    x: Array,
) -> None:
    """Replace x by the solution: currents run down to the last neuron, potentials come back up.

    The steps between two of `blocks` touch none of other blocks, up to the last block.
    """
    last = blocks.size - 2
    for b in prange(last):
        _run_down(blocks[b], blocks[b + 1], order, starts, rows, shares, pivots, x)
    _run_down(blocks[last], blocks[last + 1], order, starts, rows, shares, pivots, x)
    _come_up(blocks[last], blocks[last + 1], order, starts, rows, shares, x)
    for b in prange(last):
        _come_up(blocks[b], blocks[b + 1], order, starts, rows, shares, x)


@njit(cache=True, error_model="numpy")
def _run_down(begin, end, order, starts, rows, shares, pivots, x):  # type: ignore[no-untyped-def]
    for step in range(begin, end):
        i = order[step]
        current = x[i]
        for e in range(starts[step], starts[step + 1]):
            x[rows[e]] += shares[e] * current
        x[i] = current / pivots[step] if pivots[step] > 0.0 else 0.0


@njit(cache=True, error_model="numpy")
def _come_up(begin, end, order, starts, rows, shares, x):  # type: ignore[no-untyped-def]
    for step in range(np.int64(end) - 1, np.int64(begin) - 1, -1):
        i = order[step]
        potential = x[i]
        for e in range(starts[step], starts[step + 1]):
            potential += shares[e] * x[rows[e]]
        x[i] = potential


@njit(cache=True, nogil=True, error_model="numpy")
def symmetrised(indptr: Index, indices: Index, values: Array) -> tuple[Index, Index, Array, Array]:
    """Return C and Cᵀ, with zeros off the diagonal where only the other has an entry, in rows.

    One pattern serves both; `indices` are sorted, and so are the result's.
    """
    n = indptr.size - 1
    transposed = np.zeros(n + 1, np.int64)
    for j in indices:
        transposed[j + 1] += 1
    for j in range(n):
        transposed[j + 1] += transposed[j]
    into, back = np.empty(indices.size, indices.dtype), np.empty(indices.size)
    place = transposed.copy()
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            k = place[indices[e]]
            into[k], back[k] = i, values[e]
            place[indices[e]] += 1
    starts = np.zeros(n + 1, np.int64)
    columns = np.empty(2 * indices.size, indices.dtype)
    forward, backward = np.zeros(columns.size), np.zeros(columns.size)
    k = 0
    for i in range(n):
        a, b = indptr[i], transposed[i]
        while a < indptr[i + 1] or b < transposed[i + 1]:
            here = indices[a] if a < indptr[i + 1] else n
            there = into[b] if b < transposed[i + 1] else n
            if here <= there:
                forward[k] = values[a]
                a += 1
            if there <= here:
                backward[k] = back[b]
                b += 1
            columns[k] = min(here, there)
            if columns[k] != i:
                k += 1
            else:
                forward[k] = backward[k] = 0.0
        starts[i + 1] = k
    return starts, columns[:k].copy(), forward[:k].copy(), backward[:k].copy()


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def conductances_at(
    starts: Index,
    columns: Index,
    forward: Array,
    backward: Array,
    gain: Array,
    loss: Array,
    conductances: Array,
) -> None:
    """Compute c_ij + c_ji at potentials of which gain and loss are the exponentials."""
    for i in prange(starts.size - 1):
        for e in range(starts[i], starts[i + 1]):
            j = columns[e]
            conductances[e] = forward[e] * gain[j] * loss[i] + backward[e] * gain[i] * loss[j]


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def laplacian_product(
    starts: Index, columns: Index, conductances: Array, ground: Array, x: Array, image: Array
) -> None:
    """Compute (L + S) x from differences of x, which keep digits that sums would lose."""
    for i in prange(starts.size - 1):
        total = ground[i] * x[i]
        for e in range(starts[i], starts[i + 1]):
            total += conductances[e] * (x[i] - x[columns[e]])
        image[i] = total
