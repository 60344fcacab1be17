"""Weakly attached parts: what balancing neuron by neuron cannot see."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from graphbal.solvers._problem import WIDE, Problem, Solution

__all__ = ["settle_clusters"]

Array = NDArray[np.float64]

# A synapse this much weaker than the mean synapse of both its neurons does not hold a cluster.
WEAK = 1e-4
COMPILED_ABOVE = 100_000  # synapses
MAX_ROUNDS = 20


def settle_clusters(
    descend: Callable[[Problem, Array | None, float, bool], Solution],
    problem: Problem,
    start: Array | None,
    tol: float,
) -> Solution:
    """Balance neurons and, where a part hangs on by a thread, the part as a whole.

    If a cluster is joined to the rest by synapses 10⁻¹² times as strong as those within, every
    neuron is balanced to 10⁻⁹ whatever the cluster's potential is, and rounding in the strong costs
    hides the flow through the thread. So clusters are contracted to single neurons, with only the
    costs between them, and that problem, well scaled again, is balanced in the same way; its
    potentials shift the clusters. The two levels alternate until the shift is negligible: each
    round gains the ratio of the strengths. The finest level is `descend`.
    """
    solution = descend(problem, start, tol, False)
    for _ in range(MAX_ROUNDS):
        if not solution.converged:
            return solution
        n_clusters, clusters = strong_clusters(problem, solution)
        if n_clusters == problem.n_components:
            return solution
        coarse = _contracted(problem, solution.q, n_clusters, clusters)
        shift = settle_clusters(descend, coarse, None, tol).q
        if np.abs(shift).max(initial=0.0) <= tol:
            return solution
        moved = descend(problem, problem.centred(solution.q + shift[clusters]), tol, True)
        solution = moved.preceded_by(solution)
        solution.stats["clusters"] = n_clusters
    return solution


def strong_clusters(problem: Problem, solution: Solution) -> tuple[int, NDArray[np.integer]]:
    """Return the parts that remain connected when weak synapses are removed.

    A synapse is weak if its cost is below `WEAK` times the mean incoming cost of both its neurons.
    """
    costs, q = problem.costs, solution.q
    typical = solution.incoming / np.maximum(np.diff(costs.indptr), 1)
    if costs.nnz >= COMPILED_ABOVE and np.ptp(q) < WIDE:
        from graphbal.solvers._clusters import linked_by_strong_synapses

        return linked_by_strong_synapses(
            costs.indptr, costs.indices, costs.data, np.exp(q), WEAK * typical
        )
    post, pre = problem.endpoints()
    strong = problem.shifted(q).costs.data >= WEAK * np.minimum(typical[post], typical[pre])
    links = sparse.coo_array((strong[strong], (post[strong], pre[strong])), shape=costs.shape)
    return csgraph.connected_components(links, directed=False)


def _contracted(
    problem: Problem, q: Array, n_clusters: int, clusters: NDArray[np.integer]
) -> Problem:
    post, pre = problem.endpoints()
    between = clusters[post] != clusters[pre]
    post, pre = post[between], pre[between]
    values = np.exp(np.log(problem.costs.data[between]) + q[pre] - q[post])
    costs = sparse.coo_array(
        (values, (clusters[post], clusters[pre])), shape=(n_clusters, n_clusters)
    ).tocsr()
    components = np.zeros(n_clusters, dtype=problem.components.dtype)
    components[clusters] = problem.components
    return Problem(sparse.csr_array(costs), components, problem.n_components)
