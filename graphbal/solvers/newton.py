"""Newton's method on the convex total cost C(h)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graphbal.engines import Engine, State
from graphbal.engines.local import cores_left_to_blas, unsigned
from graphbal.errors import InputError
from graphbal.solvers import laplacian
from graphbal.solvers._memory import predicted_bytes
from graphbal.solvers._problem import WIDE, History, Problem, Report, Solution, span
from graphbal.solvers.acceleration import accelerated, half_log_ratio
from graphbal.solvers.annealing import annealed
from graphbal.solvers.clusters import settle_clusters
from graphbal.solvers.dense import DENSE_LIMIT, balance_dense

__all__ = ["Newton"]

_log = logging.getLogger("graphbal.solvers")

Array = NDArray[np.float64]

# Below this many synapses a descent is one compiled call.
COMPACT = 100_000
# Conjugate gradients that take longer than this on one system make way for another method,
PATIENCE = 60
# or than this with more than so many synapses a neuron, whose factors fill up,
LONG_PATIENCE = 500
CROWDED = 8
# or than this in a compiled descent, whose iterations are cheap,
COMPACT_PATIENCE = 150
# and up to so many neurons, where the other method is a dense factorisation, than this.
SMALL = 1000
SMALL_PATIENCE = 2000

_LINEAR: dict[str, Callable[[Problem, int], laplacian.LinearSolver]] = {
    "cg": laplacian.jacobi_cg,
    "amg": laplacian.multigrid_cg,
    "direct": laplacian.sparse_direct,
    "cholesky": laplacian.cholesky_cg,
}


@dataclass(frozen=True)
class Newton:
    r"""Newton's method: solve :math:`L(h)\,δ = g(h)/p`, step, repeat.

    The total cost is convex and its Hessian is p² L, a graph Laplacian. Linear systems are solved
    no more accurately than the imbalance deserves [1]_, steps are halved until the cost does not
    rise, and the last system is solved until the potentials, not only the imbalances, are known to
    ten times the tolerance.

    From a million synapses on, more than 8 a neuron, conjugate gradients come second: accelerated
    steps that balance all neurons at once, an edge pass each, go first, to the end if they can.

    Parameters
    ----------
    linear : {"auto", "cg", "amg", "direct", "cholesky"}
        How Laplacian systems are solved: conjugate gradients with the diagonal as preconditioner
        (well-connected networks; below 100,000 synapses a Gauss–Seidel sweep there and back), with
        algebraic multigrid, or with an approximate Cholesky factorisation (large diameter, widely
        different conductances); or a factorisation (up to 2,000 neurons dense, and without
        subtraction where conductances differ widely). The default takes approximate factors where a
        large network reaches further than conjugate gradients would in their time. Elsewhere it
        tries these, and where they are slow goes on from their potentials with approximate factors,
        or up to 1,000 neurons dense ones; costs over many orders of magnitude go to the latter at
        once.
    max_iterations : int
        Newton steps before giving up one way of solving the linear systems.
    max_linear_iterations : int
        Conjugate-gradient iterations on one system before giving up.

    References
    ----------
    .. [1] S. C. Eisenstat, H. F. Walker, "Choosing the forcing terms in an inexact Newton
       method", SIAM J Sci Comput 17(1): 16-32 (1996). https://doi.org/10.1137/0917003

    Examples
    --------
    >>> import graphbal as gb
    >>> eq = gb.balance([[0, 4.0], [1.0, 0]], solver=gb.solvers.Newton("direct"))
    >>> eq.potentials.round(4).tolist()
    [0.3466, -0.3466]
    """

    linear: Literal["auto", "cg", "amg", "direct", "cholesky"] = "auto"
    max_iterations: int = 100
    max_linear_iterations: int = 1000

    def __post_init__(self) -> None:
        if self.linear not in ("auto", *_LINEAR):
            raise InputError(f"linear is {self.linear!r}; choose one of auto, {', '.join(_LINEAR)}")
        for name in ("max_iterations", "max_linear_iterations"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def solve(
        self, problem: Problem, start: Array | None, tol: float, report: Report | None = None
    ) -> Solution:
        """Balance the problem; see `graphbal.solvers.Solver`."""
        if self.linear == "auto":
            return self._solve_somehow(problem, start, tol, report)

        return annealed(partial(self._settle, report=report), problem, start, tol)

    def _settle(
        self, problem: Problem, start: Array | None, tol: float, report: Report | None
    ) -> Solution:
        if self.linear == "direct" and problem.n <= DENSE_LIMIT:
            return balance_dense(problem, start, tol, self.max_iterations, report)
        descend = partial(self._descend, report=report)
        solve_contracted = partial(self._solve_contracted, report=report)
        return settle_clusters(descend, solve_contracted, problem, start, tol)

    def _solve_contracted(
        self, problem: Problem, start: Array | None, tol: float, report: Report | None
    ) -> Solution:
        if problem.n <= DENSE_LIMIT:
            return replace(self, linear="auto").solve(problem, start, tol)
        return self._settle(problem, start, tol, report)

    def _descend(
        self,
        problem: Problem,
        start: Array | None,
        tol: float,
        settled: bool,
        report: Report | None,
    ) -> Solution:
        if self.linear == "cg" and problem.n_synapses < COMPACT:
            solution = _descend_compactly(problem, start, tol, settled, self, report)
            if solution.converged or span(solution.q) <= WIDE:
                return solution
            start = solution.q
        return _descend(problem, start, tol, settled, self, report)

    def _solve_somehow(
        self, problem: Problem, start: Array | None, tol: float, report: Report | None
    ) -> Solution:
        def by(
            linear: Literal["cg", "cholesky", "direct"], start: Array | None, why: str
        ) -> Solution:
            memory = predicted_bytes(problem, linear, _can_accelerate(problem))
            _log.info("%d neurons, %d synapses, %s; %.3g GB", n, m, why, memory / 1e9)
            limit = patience if linear == "cg" else self.max_linear_iterations
            method = Newton(linear, self.max_iterations, limit)
            solution = method.solve(problem, start, tol, report)
            solution.stats.update(why=why, predicted_bytes=memory)
            return solution

        n, m = problem.n, problem.n_synapses
        patience = LONG_PATIENCE if m > CROWDED * n else PATIENCE
        if m < COMPACT:
            patience = COMPACT_PATIENCE if n > SMALL else SMALL_PATIENCE
        if problem.is_wide and n <= DENSE_LIMIT:
            return by("direct", start, "costs span too many orders of magnitude for iteration")
        if m >= COMPACT and _reaches_beyond(problem, patience):
            why = f"paths of more than {patience} synapses: approximate Cholesky factorisation"
            return by("cholesky", start, why)
        quick = by(
            "cg", start, f"{m / max(n, 1):.0f} synapses a neuron: conjugate gradients suffice"
        )
        if quick.converged:
            return quick
        slow = f"conjugate gradients stalled or needed more than {patience} iterations"
        if n <= SMALL:
            thorough = by("direct", quick.q, f"{slow}: dense factorisation")
        else:
            thorough = by("cholesky", quick.q, f"{slow}: approximate Cholesky factorisation")
        thorough = thorough.preceded_by(quick)
        if thorough.converged or not SMALL < n <= DENSE_LIMIT:
            return thorough
        last = by("direct", thorough.q, f"{slow}, and so did sparse factors: dense ones")
        return last.preceded_by(thorough)


def _reaches_beyond(problem: Problem, steps: int) -> bool:
    """Say whether a neuron is further than so many synapses from the first of the largest part.

    In as many iterations conjugate gradients would not even carry a gradient from one to the other.
    Given up where so many neurons are equally far that the steps would use up all there are.
    """
    from graphbal.engines._kernels import goes_beyond

    first = int(np.argmax(problem.components == problem.sizes.argmax()))
    bases, widest = problem.bases, problem.n // steps
    return bool(goes_beyond(bases.indptr, bases.indices, first, steps, widest))


def _descend_compactly(
    problem: Problem,
    start: Array | None,
    tol: float,
    settled: bool,
    settings: Newton,
    report: Report | None,
) -> Solution:
    """Run Newton's method in one compiled function; see `_descend`."""
    from graphbal.solvers._compact import newton_cg

    n = problem.n
    q, incoming, outgoing = np.zeros(n), np.empty(n), np.empty(n)
    shift = None
    if start is not None and span(start) > WIDE:
        problem, shift = problem.shifted(start), start
    elif start is not None:
        q[:] = start
    costs = problem.costs if problem.costs.has_sorted_indices else problem.costs.sorted_indices()
    # One type of indices, so that the function is compiled once; so few synapses fit.
    indptr = unsigned(costs.indptr.astype(np.int32, copy=False))
    indices = unsigned(costs.indices.astype(np.int32, copy=False))
    states = np.empty((settings.max_iterations + 1, 2))
    converged, n_states, inner = newton_cg(
        *(indptr, indices, costs.data, q, start is None, settled, tol, WIDE),
        *(settings.max_linear_iterations, incoming, outgoing, states),
    )
    history = History("newton", report)
    for step, (imbalance, total) in enumerate(states[:n_states].tolist()):
        history.record(imbalance, total, step + inner + 1)
    stats = history.stats(history.steps + inner) | {"linear_iterations": inner}
    return Solution(q if shift is None else q + shift, incoming, outgoing, converged, stats)


def _descend(
    problem: Problem,
    start: Array | None,
    tol: float,
    settled: bool,
    settings: Newton,
    report: Report | None,
) -> Solution:
    """Run Newton's method; `settled` says that the start's potentials are already known well."""
    history = History("newton", report)
    base = np.zeros(problem.n)
    if start is not None and span(start) > WIDE:
        problem, base, start = problem.shifted(start), start, None
    engine = problem.engine()
    linear = _LINEAR[settings.linear](problem, settings.max_linear_iterations)
    state, before = engine.at(np.zeros(problem.n) if start is None else start), None
    if start is None and not base.any():
        state, before = _rank_one_start(problem, engine, state)
    error = 0.0 if settled else np.inf
    if settings.linear == "cg" and not settled and _can_accelerate(problem):
        most = settings.max_iterations
        with cores_left_to_blas(problem.n, problem.n_synapses):
            state, error = accelerated(problem, engine, state, tol, most, history, before)
    inner = 0
    converged = False
    while True:
        imbalance = state.neuron_imbalance
        history.record(imbalance, state.total_cost, engine.n_passes)
        converged = imbalance <= tol and error <= 10 * tol
        if converged or history.steps > settings.max_iterations or history.idles():
            break
        residual, wanted = max(min(0.3, imbalance) * imbalance, 1e-15), np.inf
        if residual <= 0.9 * tol:
            residual = 1e-14 if problem.affords_scrutiny else min(0.9 * tol, 0.3 * imbalance)
            wanted = 5 * tol
        step = linear(state, state.gradients, residual, wanted)
        inner += step.iterations
        if step.iterations >= settings.max_linear_iterations:
            break
        length = float(np.abs(step.x).max(initial=0.0))
        if imbalance <= tol and length + step.error <= 10 * tol:
            converged = True
            break
        state, fraction = _line_search(engine, state, problem.centred(step.x))
        if fraction == 0.0:
            break
        error = step.error + length**2 if fraction == 1.0 else np.inf
        if span(state.q) > WIDE:
            problem, base = problem.shifted(state.q), base + state.q
            history.passes += engine.n_passes
            engine = problem.engine()
            linear = _LINEAR[settings.linear](problem, settings.max_linear_iterations)
            state = engine.at(np.zeros(problem.n))
    stats = history.stats(engine.n_passes) | {"linear_iterations": inner}
    return Solution(base + state.q, state.incoming, state.outgoing, converged, stats)


def _can_accelerate(problem: Problem) -> bool:
    return problem.n_synapses > CROWDED * problem.n and not problem.affords_scrutiny


def _rank_one_start(problem: Problem, engine: Engine, state: State) -> tuple[State, State | None]:
    """Move to q = ½ log(in/out), exact for rank-one costs, unless that costs more.

    The second state is the one before, if there was a move.
    """
    moved = engine.at(problem.centred(half_log_ratio(state)))
    return (moved, state) if moved.total_cost < state.total_cost else (state, None)


def _line_search(engine: Engine, state: State, direction: Array) -> tuple[State, float]:
    """Halve the step until the total cost does not rise, to rounding; 0 if it never does."""
    ceiling = state.total_cost * (1 + 1e-14)
    small = float(np.abs(direction).max(initial=0.0)) < 1e-7
    fraction = 1.0
    while fraction > 1e-6:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            moved = engine.at(state.q + fraction * direction)
        # Below 1e-7 a step changes the cost by less than the rounding of its sum.
        if moved.total_cost <= ceiling or small:
            return moved, fraction
        fraction /= 2
    return state, 0.0
