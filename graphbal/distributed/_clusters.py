"""Weakly attached parts of a network in partitions; see `graphbal.solvers.clusters`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal.distributed._partitions import Part
from graphbal.distributed._problem import PartitionedProblem
from graphbal.distributed._store import load
from graphbal.solvers import Problem, Solution
from graphbal.solvers._problem import WIDE, span
from graphbal.solvers.clusters import VERY_WEAK

__all__ = ["contracted", "strong_clusters"]

Array = NDArray[np.float64]


def strong_clusters(
    problem: PartitionedProblem, solution: Solution
) -> tuple[int, NDArray[np.integer]]:
    """Return clusters whose neurons hang together by strong synapses, as in one process.

    A pass joins what each partition's strong synapses join, and then the partitions' forests.
    """
    q = solution.q
    if span(q) > WIDE:
        problem, q = problem.shifted(q), np.zeros(problem.n)
    typical = solution.incoming / np.maximum(problem.in_degrees, 1)
    fewest = problem.n_components

    def linked(scale: Array) -> tuple[int, NDArray[np.integer]]:
        roots = problem.partitions.reduced(
            _linked, _joined, np.stack([q, VERY_WEAK * scale]), problem.costs
        )
        names, labels = np.unique(roots, return_inverse=True)
        return names.size, labels.astype(np.int32)

    n_clusters, clusters = linked(np.full(problem.n, typical.max(initial=0.0)))
    if n_clusters == fewest:
        return n_clusters, clusters
    scale, before = typical, 0
    while True:
        n_clusters, clusters = linked(scale)
        if n_clusters == before:
            return n_clusters, clusters
        before = n_clusters
        largest = np.zeros(n_clusters)
        np.maximum.at(largest, clusters, typical)
        scale = largest[clusters]


def contracted(
    problem: PartitionedProblem, q: Array, n_clusters: int, clusters: NDArray[np.integer]
) -> Problem:
    """Return the network of the clusters, which this process holds: few synapses are weak."""
    found = problem.partitions.mapped(
        _between, np.stack([problem.base + q, clusters]), problem.kept, problem.exponent
    )
    post, pre, values = (np.concatenate(each) for each in zip(*found, strict=True))
    costs = sparse.coo_array((values, (post, pre)), shape=(n_clusters, n_clusters)).tocsr()
    components = np.zeros(n_clusters, dtype=problem.components.dtype)
    components[clusters] = problem.components
    return Problem(sparse.csr_array(costs), components, problem.n_components)


def _linked(part: Part, path: Path, costs: str) -> NDArray[np.int32]:
    """Return the root of each neuron in the forest of this partition's strong synapses."""
    from graphbal.distributed._kernels import link

    q, weak = load(path)
    roots = np.arange(q.size, dtype=np.int32)
    link(*part.arrays(costs), np.exp(q), weak, roots)
    return roots


def _joined(forests: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    from graphbal.distributed._kernels import join

    first, *rest = forests
    roots = first.copy()
    for other in rest:
        join(other, roots)
    return roots


def _between(part: Part, path: Path, kept: str, exponent: float) -> tuple[NDArray, NDArray, Array]:
    """Return the costs between clusters, summed over this partition."""
    q, clusters = load(path)
    begin, indptr, indices, costs = part.arrays(kept)
    post = np.repeat(np.arange(begin, part.end, dtype=np.int32), np.diff(indptr))
    crossing = np.flatnonzero((clusters[post] != clusters[indices]) & (costs > 0))
    post, pre = post[crossing], indices[crossing]
    with np.errstate(under="ignore"):
        values = np.exp(exponent * np.log(costs[crossing], dtype=np.float64) + q[pre] - q[post])
    np.maximum(values, np.finfo(float).tiny, out=values)
    n_clusters = int(clusters.max()) + 1
    pairs = clusters[post].astype(np.int64) * n_clusters + clusters[pre].astype(np.int64)
    names, place = np.unique(pairs, return_inverse=True)
    sums = np.bincount(place, weights=values, minlength=names.size).astype(np.float64)
    post, pre = np.divmod(names, n_clusters)
    return post, pre, sums
