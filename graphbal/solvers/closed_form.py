"""Equilibria in closed form, block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal._components import Blocks, biconnected_blocks
from graphbal.errors import InputError
from graphbal.solvers._problem import History, Problem, Report, Solution, relative_imbalance

__all__ = ["ClosedForm", "solve_by_blocks"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ClosedForm:
    r"""Equilibria that need no iteration over the network.

    The problem separates at the cut vertices of the underlying undirected graph, and a block has a
    closed form if

    - its synapses are in detailed balance: all reciprocal, and ½ log(c_ij/c_ji) sums to zero around
      every cycle (Kolmogorov's criterion [1]_): pairs and hence trees, symmetric networks,
      rank-one networks of full support. Then q is that sum along a spanning tree;
    - or it is a ring, each neighbour pair joined one way (a directed cycle: the geometric mean) or
      both ways: with s = √(ab) the circulation K solves Σ asinh(K/2s) = ½ Σ log(a/b), one equation
      in one unknown.

    So every cactus is solved. Time O(n + m).

    Raises
    ------
    InputError
        If a block has no closed form.

    References
    ----------
    .. [1] F. P. Kelly, "Reversibility and Stochastic Networks", Wiley (1979), section 1.5.

    Examples
    --------
    >>> import graphbal as gb
    >>> ring = gb.as_network([[0, 0, 8.0], [1.0, 0, 0], [0, 1.0, 0]], p=1)
    >>> eq = gb.balance(ring, solver=gb.solvers.ClosedForm())
    >>> eq.network.weights.data.round(12).tolist()
    [2.0, 2.0, 2.0]
    """

    def solve(
        self, problem: Problem, start: Array | None, tol: float, report: Report | None = None
    ) -> Solution:
        """Balance the problem; see `graphbal.solvers.Solver`."""

        def refuse(problem: Problem) -> Solution:
            raise InputError(
                f"no closed form is known for a block of {problem.n:,} neurons and "
                f"{problem.costs.nnz:,} synapses; use the solver 'auto' or 'newton'"
            )

        return solve_by_blocks(problem, tol, refuse, report)


def solve_by_blocks(
    problem: Problem,
    tol: float,
    solve_open: Callable[[Problem], Solution],
    report: Report | None = None,
) -> Solution:
    """Solve what has a closed form, leave the other blocks to `solve_open`, glue the potentials.

    The blocks without a closed form are handed over as one problem with a component a block.
    """
    from graphbal.solvers._rings import close_blocks, close_single_ring, glue

    costs = problem.costs
    log_costs = np.log(costs.data)
    history = History("closed form", report)
    if 3 <= problem.n <= costs.nnz <= 2 * problem.n:
        is_ring, q = close_single_ring(costs.indptr, costs.indices, log_costs)
        if is_ring:
            return _closed(problem, log_costs, problem.centred(q), tol, history, {"blocks": 1})
    blocks = biconnected_blocks(costs.indptr, costs.indices)
    relative, block_of, is_open = close_blocks(
        costs.indptr,
        costs.indices,
        log_costs,
        blocks.block_of_entry,
        blocks.block_roots,
        0.01 * tol,
    )
    stats: dict[str, Any] = {"blocks": blocks.n_blocks}
    if not is_open.any():
        q = problem.centred(glue(relative, block_of, blocks.block_roots))
        return _closed(problem, log_costs, q, tol, history, stats)
    if blocks.n_blocks == 1:
        solution = solve_open(problem)
        return replace(solution, stats=stats | solution.stats)
    rest, neuron_of, root_of = _open_problem(problem, blocks, block_of, is_open)
    solution = solve_open(rest)
    relative[neuron_of] = (solution.q - solution.q[root_of])[: neuron_of.size]
    closed = int(blocks.n_blocks - np.count_nonzero(is_open))
    others = solution.stats.get("why", "the solver asked for")
    why = f"{closed:,} of {blocks.n_blocks:,} blocks in closed form; others: {others}"
    q = problem.centred(glue(relative, block_of, blocks.block_roots))
    incoming, outgoing = _costs_at(problem, log_costs, q)
    stats |= solution.stats | {"why": why}
    return Solution(q, incoming, outgoing, solution.converged, stats)


def _closed(
    problem: Problem,
    log_costs: Array,
    q: Array,
    tol: float,
    history: History,
    stats: dict[str, Any],
) -> Solution:
    """Return the solution at potentials of which all blocks are in closed form."""
    incoming, outgoing = _costs_at(problem, log_costs, q)
    imbalance = relative_imbalance(incoming, outgoing)
    history.record(imbalance, float(incoming.sum()), 1)
    return Solution(q, incoming, outgoing, imbalance <= tol, stats | history.stats(1))


def _costs_at(problem: Problem, log_costs: Array, q: Array) -> tuple[Array, Array]:
    """Return incoming and outgoing costs at potentials q; the log costs are used up."""
    post, pre = problem.endpoints()
    log_costs += q[pre]
    log_costs -= q[post]
    here = np.exp(log_costs, out=log_costs)
    incoming = np.bincount(post, weights=here, minlength=problem.n)
    outgoing = np.bincount(pre, weights=here, minlength=problem.n)
    return incoming.astype(np.float64, copy=False), outgoing.astype(np.float64, copy=False)


def _open_problem(
    problem: Problem, blocks: Blocks, block_of: NDArray[np.int32], is_open: NDArray[np.bool_]
) -> tuple[Problem, NDArray[np.intp], NDArray[np.intp]]:
    """Cut the blocks without a closed form apart, each with its own copy of its root.

    Returns the problem; the neuron of each of its nodes, copies of roots at the end left out; and
    the node of the root's copy for each node.
    """
    neuron_of = np.flatnonzero((block_of >= 0) & is_open[block_of])
    open_blocks = np.flatnonzero(is_open)
    rank = np.cumsum(is_open) - 1
    node_of = np.full(problem.n, -1)
    node_of[neuron_of] = np.arange(neuron_of.size)
    n = neuron_of.size + open_blocks.size

    block = blocks.block_of_entry
    kept = (block >= 0) & is_open[block]
    post, pre = problem.endpoints()
    post, pre, block = post[kept], pre[kept], block[kept]

    def node(end: NDArray[np.integer]) -> NDArray[np.integer]:
        is_root = blocks.block_roots[block] == end
        return np.where(is_root, neuron_of.size + rank[block], node_of[end])

    costs = sparse.coo_array((problem.costs.data[kept], (node(post), node(pre))), shape=(n, n))
    components = np.concatenate([rank[block_of[neuron_of]], np.arange(open_blocks.size)])
    cut = Problem(sparse.csr_array(costs), components, open_blocks.size)
    return cut, neuron_of, neuron_of.size + components
