"""Weakly attached parts: what balancing neuron by neuron cannot see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal.solvers._problem import WIDE, Problem, Solution, span

__all__ = ["settle_clusters"]

Array = NDArray[np.float64]

# A synapse this much weaker than a cluster's typical ones does not hold it together.
WEAK = 1e-3
VERY_WEAK = 1e-6  # where passes over the edges are dear
MAX_ROUNDS = 20
ROUNDING = 1e-11  # shifts this small are those of the last digits


def settle_clusters(
    descend: Callable[[Problem, Array | None, float, bool], Solution],
    solve: Callable[[Problem, Array | None, float], Solution],
    problem: Problem,
    start: Array | None,
    tol: float,
    find: Callable[..., tuple[int, NDArray[np.integer]]] | None = None,
    contract: Callable[..., Problem] | None = None,
) -> Solution:
    """Balance neurons and, where a part hangs on by a thread, the part as a whole.

    If a cluster is joined to the rest by synapses 10⁻¹² times as strong as those within, every
    neuron is balanced to 10⁻⁹ whatever the cluster's potential is, and rounding in the strong costs
    hides the flow through the thread. So clusters are contracted to single neurons, with only the
    costs between them, and that problem, well scaled again, is balanced in the same way; its
    potentials shift the clusters. The two levels alternate until the shift is negligible: each
    round gains the ratio of the strengths. `descend` balances neurons, `solve` what is contracted;
    `find` and `contract` are given where the problem's edges are elsewhere.
    """
    find, contract = find or strong_clusters, contract or _contracted
    solution = descend(problem, start, tol, False)
    before = np.inf
    for _ in range(MAX_ROUNDS):
        reached = solution.stats["history"][-1]
        if not solution.converged and reached > 0.5 * before:
            return solution
        before = reached
        n_clusters, clusters = find(problem, solution)
        if n_clusters in (problem.n_components, problem.n):
            return solution
        coarse = contract(problem, solution.q, n_clusters, clusters)
        between = solve(coarse, None, tol)
        if not between.converged or np.abs(between.q).max(initial=0.0) <= max(5 * tol, ROUNDING):
            return replace(solution, converged=solution.converged and between.converged)
        shifted = problem.centred(solution.q + between.q[clusters])
        moved = descend(problem, shifted, tol, True)
        solution = moved.preceded_by(solution)
        solution.stats["clusters"] = n_clusters
    return replace(solution, converged=False)


def strong_clusters(problem: Problem, solution: Solution) -> tuple[int, NDArray[np.integer]]:
    """Return clusters whose neurons hang together by strong synapses.

    A cluster's scale is the largest mean incoming cost of a synapse of any of its neurons; within
    it, synapses of at least `WEAK` (`VERY_WEAK`) times that scale connect all neurons. Scales must
    not be neurons' own: a path of ever weaker synapses, or a weak neuron between two strong
    clusters, would hide a thread. Hence the parts connected at the largest scale of all come first,
    then clusters are split until each is connected at its own scale.
    """
    from graphbal.solvers._clusters import clusters_of_strong_synapses

    q = solution.q
    if span(q) > WIDE:
        problem, q = problem.shifted(q), np.zeros(problem.n)
    bases = problem.bases
    weak = WEAK if problem.affords_scrutiny else VERY_WEAK
    return clusters_of_strong_synapses(
        *(bases.indptr, bases.indices, bases.data, problem.power, q, solution.incoming, weak),
        problem.n_components,
    )


def _contracted(
    problem: Problem, q: Array, n_clusters: int, clusters: NDArray[np.integer]
) -> Problem:
    post, pre = problem.endpoints()
    between = clusters[post] != clusters[pre]
    post, pre = post[between], pre[between]
    with np.errstate(under="ignore"):
        values = np.exp(np.log(problem.costs.data[between]) + q[pre] - q[post])
    np.maximum(values, np.finfo(float).tiny, out=values)
    costs = sparse.coo_array(
        (values, (clusters[post], clusters[pre])), shape=(n_clusters, n_clusters)
    ).tocsr()
    components = np.zeros(n_clusters, dtype=problem.components.dtype)
    components[clusters] = problem.components
    return Problem(sparse.csr_array(costs), components, problem.n_components)
