"""Newton's method on a small problem, with dense factorisations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from graphbal.solvers._problem import History, Problem, Report, Solution, relative_imbalance

__all__ = ["DENSE_LIMIT", "balance_dense"]

Array = NDArray[np.float64]
# Costs in some form at potentials, what comes into each neuron and goes out, and their sum.
At = Callable[[Array], tuple[Array, Array, Array, float]]
# The Newton step at such costs, and at what comes in and goes out.
NewtonStep = Callable[[Array, Array, Array], Array]

# Up to this many neurons a dense factorisation takes no more than a few seconds.
DENSE_LIMIT = 2000
# With at most so many synapses a neuron, elimination in a good order leaves most zeros as they are.
CROWDED = 8
# Sums of as many numbers below two to this power do not overflow.
LARGE = 960


def balance_dense(
    problem: Problem, start: Array | None, tol: float, max_iterations: int, report: Report | None
) -> Solution:
    """Balance a problem of up to `DENSE_LIMIT` neurons by Newton's method.

    Costs are formed as exp(log c + q_j − q_i), so potentials of any size do no harm. Systems are
    solved by Cholesky factorisation, or where that loses too many digits by `star_mesh`, which
    loses none. Time n³/3 and memory 3 n² a step; where neurons have few synapses, these are
    eliminated by `star_mesh` at once, in an order that adds few.
    """
    if problem.n_synapses > CROWDED * problem.n:
        parts = _full_parts(problem, 2e-15 / tol)
        return _descend(problem, *parts, start, tol, max_iterations, report)
    from graphbal.solvers._elimination import elimination_order

    order = elimination_order(*problem.endpoints(), problem.n)
    ordered = Problem(
        problem.costs[order][:, order], problem.components[order], problem.n_components
    )
    start = None if start is None else start[order]
    found = _descend(ordered, *_sparse_parts(ordered), start, tol, max_iterations, report)
    back = np.argsort(order)
    return replace(
        found, q=found.q[back], incoming=found.incoming[back], outgoing=found.outgoing[back]
    )


def _descend(
    problem: Problem,
    at: At,
    newton_step: NewtonStep,
    start: Array | None,
    tol: float,
    max_iterations: int,
    report: Report | None,
) -> Solution:
    history = History("newton (dense)", report)
    q = np.zeros(problem.n) if start is None else start
    here = at(q)
    if start is None:
        guess = _rank_one_potentials(problem, here[1], here[2])
        there = at(guess)
        if there[3] < here[3]:
            q, here = guess, there
    # Rounding in an exponent of this size is relative rounding in a cost.
    largest = float(np.abs(np.log(problem.costs.data[problem.costs.data > 0])).max(initial=0.0))
    error = length = np.inf
    converged = False
    while True:
        costs, incoming, outgoing, total = here
        imbalance = relative_imbalance(incoming, outgoing)
        history.record(imbalance, total, history.steps + 1)
        converged = imbalance <= tol and error <= 10 * tol
        if converged or history.steps > max_iterations or (length < 1e-6 and history.stalled()):
            break
        step = problem.centred(newton_step(costs, incoming, outgoing))
        length = float(np.ptp(step)) if step.size else 0.0
        if imbalance <= tol and length <= 10 * tol:
            converged = True
            break
        ceiling = total * (1 + 1e-15 * (10.0 + largest + float(np.ptp(q))))
        fraction = 1.0
        while fraction > 1e-6:
            there = at(q + fraction * step)
            if there[3] <= ceiling or length < 1e-7:
                break
            fraction /= 2
        else:
            break
        q, here = q + fraction * step, there
        error = length**2 if fraction == 1.0 else np.inf
    return Solution(q, incoming, outgoing, converged, history.stats(history.steps))


def _full_parts(problem: Problem, ill_conditioned: float) -> tuple[At, NewtonStep]:
    """Return how to evaluate the costs as a square matrix, and how to step."""
    post, pre = problem.endpoints()
    log_costs = np.full((problem.n, problem.n), -np.inf)
    with np.errstate(divide="ignore"):
        log_costs[post, pre] = np.log(problem.costs.data)

    def at(q: Array) -> tuple[Array, Array, Array, float]:
        with np.errstate(over="ignore"):
            costs = log_costs + q
            costs -= q[:, None]
            np.exp(costs, out=costs)
            incoming, outgoing = costs.sum(axis=1), costs.sum(axis=0)
        return costs, incoming, outgoing, float(incoming.sum())

    def newton_step(costs: Array, incoming: Array, outgoing: Array) -> Array:
        return _newton_step(problem, costs, incoming, outgoing, ill_conditioned)

    return at, newton_step


def _sparse_parts(problem: Problem) -> tuple[At, NewtonStep]:
    """Return how to evaluate the costs synapse by synapse, and how to step."""
    from graphbal.solvers._elimination import star_mesh

    n = problem.n
    post, pre = problem.endpoints()
    with np.errstate(divide="ignore"):
        log_costs = np.log(problem.costs.data)
    # The pair of each synapse, below the diagonal, and whether it leads into the later neuron.
    pairs, pair = np.unique(
        np.maximum(post, pre).astype(np.intp) * n + np.minimum(post, pre), return_inverse=True
    )
    sign = np.where(post > pre, 1.0, -1.0)
    conductance, flow = np.empty((2, n, n))

    def at(q: Array) -> tuple[Array, Array, Array, float]:
        with np.errstate(over="ignore"):
            costs: Array = np.exp(log_costs + q[pre] - q[post])
            incoming = np.bincount(post, costs, n).astype(float)
            outgoing = np.bincount(pre, costs, n).astype(float)
        return costs, incoming, outgoing, float(incoming.sum())

    def newton_step(costs: Array, incoming: Array, outgoing: Array) -> Array:
        # Only ratios count: large numbers leave the room below them to what is very small.
        costs = np.ldexp(costs, LARGE - np.frexp(costs.max(initial=0.0))[1])
        for matrix, values in ((conductance, costs), (flow, sign * costs)):
            matrix[:] = 0.0
            matrix.flat[pairs] = np.bincount(pair, values)
        return star_mesh(conductance, flow)

    return at, newton_step


def _rank_one_potentials(problem: Problem, incoming: Array, outgoing: Array) -> Array:
    both = (incoming > 0) & (outgoing > 0)
    ratio = np.log(np.where(both, incoming, 1.0)) - np.log(np.where(both, outgoing, 1.0))
    return problem.centred(0.5 * ratio)


def _newton_step(
    problem: Problem, costs: Array, incoming: Array, outgoing: Array, ill_conditioned: float
) -> Array:
    """Solve L x = g for L = diag(in + out) − (C + Cᵀ), g = in − out.

    Rounding in g costs Cholesky's solution about eps / rcond, so that below a reciprocal condition
    number of `ill_conditioned` elimination without subtraction takes over.
    """
    from scipy import linalg

    conductance = costs + costs.T
    through = incoming + outgoing
    through[through == 0] = 1.0
    scale = 1.0 / np.sqrt(through)
    # D^−½ L D^−½ plus the projector on its null space has eigenvalues in (0, 2].
    matrix = conductance * -scale
    matrix *= scale[:, None]
    matrix.flat[:: problem.n + 1] += 1.0
    null = 1.0 / scale
    if problem.n_components == 1:
        null /= np.sqrt(null @ null)
        matrix += np.outer(null, null)
    else:
        norms = np.sqrt(np.bincount(problem.components, weights=null * null))
        null /= norms[problem.components]
        same = problem.components[:, None] == problem.components
        matrix += np.where(same, np.outer(null, null), 0.0)
    norm = float(np.abs(matrix).sum(axis=0).max(initial=0.0))
    factor, failed = linalg.lapack.dpotrf(matrix, lower=1, overwrite_a=0, clean=0)
    if not failed:
        rcond, _ = linalg.lapack.dpocon(factor, norm, uplo="L")
        if rcond > ill_conditioned:
            x, _ = linalg.lapack.dpotrs(factor, scale * (incoming - outgoing), lower=1)
            return scale * x
    from graphbal.solvers._elimination import star_mesh

    return star_mesh(conductance, costs - costs.T)
