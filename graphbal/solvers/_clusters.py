"""Clusters of strong synapses. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

__all__ = ["clusters_of_strong_synapses"]

Array = NDArray[np.float64]
Index = NDArray[np.integer]

# Strong inputs of a neuron that are looked at before all others.
FEW = 2
# From so many neurons on, starting threads takes less time than they gain.
MANY = 30_000


@njit(cache=True, error_model="numpy")
def clusters_of_strong_synapses(
    indptr: Index,
    indices: Index,
    bases: Array,
    power: float,
    q: Array,
    incoming: Array,
    weak: float,
    fewest: int,
) -> tuple[int, NDArray[np.int32]]:
    """Return the number and the labels of the clusters at potentials q.

    `weak` is relative to a cluster's scale; `fewest` is the number of connected parts. See
    `graphbal.solvers.clusters.strong_clusters`. Costs are powers of bases, and are
    compared by these, as their scales are.
    """
    n, root = q.size, 1.0 / power
    weak = weak**root
    gain, typical, threshold = np.empty(n), np.empty(n), np.empty(n)
    largest = 0.0
    for i in range(n):
        gain[i] = np.exp(q[i] * root)
        typical[i] = incoming[i] / max(indptr[i + 1] - indptr[i], 1)
        if power == 2.0:
            typical[i] = np.sqrt(typical[i])
        elif power != 1.0:
            typical[i] **= root
        largest = max(largest, typical[i])
    for i in range(n):
        threshold[i] = weak * largest
    n_clusters, clusters = _linked(indptr, indices, bases, gain, threshold, fewest)
    if n_clusters == fewest:
        return n_clusters, clusters
    for i in range(n):
        threshold[i] = weak * typical[i]
    n_clusters = 0
    while True:
        n_before = n_clusters
        n_clusters, clusters = _linked(indptr, indices, bases, gain, threshold, fewest)
        if n_clusters == n_before:
            return n_clusters, clusters
        scale = np.zeros(n_clusters)
        for i in range(n):
            scale[clusters[i]] = max(scale[clusters[i]], typical[i])
        for i in range(n):
            threshold[i] = weak * scale[clusters[i]]


@njit(cache=True, error_model="numpy")
def _root(parent: NDArray[np.int32], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, error_model="numpy")
def _join(parent: NDArray[np.int32], i: int, j: int) -> bool:
    """Join the parts of i and j; say whether they were two."""
    a, b = _root(parent, i), _root(parent, j)
    if a == b:
        return False
    parent[max(a, b)] = min(a, b)
    return True


@njit(inline="always", error_model="numpy")
def _is_strong(e, i, j, bases, gain, weak):  # type: ignore[no-untyped-def]
    return abs(bases[e]) * gain[j] / gain[i] >= max(weak[i], weak[j])


@njit(inline="always", error_model="numpy")
def _note_few(i, indptr, indices, bases, gain, weak, few):  # type: ignore[no-untyped-def]
    """Note the first inputs of neuron i that are not weak, itself where there are none.

    Most often these are its first inputs. To take them without a question in between lets the
    processor go on to other neurons while it waits for the memory of this one.
    """
    begin, end = indptr[i], indptr[i + 1]
    found = 0
    if end - begin >= FEW:
        for k in range(FEW):
            j = indices[begin + k]
            few[i, k] = j
            found += _is_strong(begin + k, i, j, bases, gain, weak)
    if found < FEW:
        found = 0
        for e in range(begin, end):
            j = indices[e]
            if _is_strong(e, i, j, bases, gain, weak):
                few[i, found] = j
                found += 1
                if found == FEW:
                    break
        for k in range(found, FEW):
            few[i, k] = i


@njit(parallel=True, cache=True, error_model="numpy")
def _note_few_at_once(indptr, indices, bases, gain, weak, few):  # type: ignore[no-untyped-def]
    for i in prange(gain.size):
        _note_few(i, indptr, indices, bases, gain, weak, few)


@njit(cache=True, error_model="numpy")
def _few_inputs(
    indptr: Index, indices: Index, bases: Array, gain: Array, weak: Array
) -> NDArray[np.int32]:
    """Return the first inputs of each neuron that are not weak, itself where there are none."""
    few = np.empty((gain.size, FEW), dtype=np.int32)
    if gain.size >= MANY:
        _note_few_at_once(indptr, indices, bases, gain, weak, few)
    else:
        for i in range(gain.size):
            _note_few(i, indptr, indices, bases, gain, weak, few)
    return few


@njit(cache=True, error_model="numpy")
def _linked(
    indptr: Index, indices: Index, bases: Array, gain: Array, weak: Array, fewest: int
) -> tuple[int, NDArray[np.int32]]:
    """Return the number and the labels of the parts joined by synapses that are not weak.

    A synapse j → i is weak if its base, scaled by `gain`, is below ``weak[i]`` or ``weak[j]``. A
    few strong inputs a neuron usually join everything, down to the `fewest` parts that there can
    be; only if they do not, all synapses are looked at.
    """
    n = gain.size
    parent = np.empty(n, dtype=np.int32)
    for i in range(n):
        parent[i] = i
    n_parts = n
    few = _few_inputs(indptr, indices, bases, gain, weak)
    for i in range(n):
        for k in range(FEW):
            n_parts -= _join(parent, i, few[i, k])
    if n_parts > fewest:
        for i in range(n):
            for e in range(indptr[i], indptr[i + 1]):
                j = indices[e]
                if _is_strong(e, i, j, bases, gain, weak):
                    _join(parent, i, j)
    if n_parts == 1:
        return 1, np.zeros(n, dtype=np.int32)
    labels = np.empty(n, dtype=np.int32)
    n_labels = 0
    for i in range(n):
        root = _root(parent, i)
        if root == i:
            labels[i] = n_labels
            n_labels += 1
        else:
            labels[i] = labels[root]
    return n_labels, labels
