"""Generic convex solvers on the balancing problem, each as well set up as its interface allows.

Potentials are in units of log cost, q = p h; the cost is Σ c_ij e^{q_j − q_i}. A function takes the
weights and p and returns an `Attempt`. All start from q = ½ log(in/out), as graphbal does.
"""

from __future__ import annotations

import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

__all__ = ["TOL", "Attempt", "clarabel", "costs_of", "lbfgs", "trust_krylov"]

Array = NDArray[np.float64]
TOL = 1e-9
RESTARTS = 10


@dataclass(frozen=True)
class Attempt:
    """Potentials h, the seconds it took to get there, and other figures."""

    potentials: Array
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)


class _Objective:
    """Total cost, or its logarithm, with gradient and Hessian-vector product; no edge-wise exp."""

    def __init__(self, costs: sparse.csr_array, log: bool) -> None:
        costs = costs / costs.data.sum()
        self.costs, self.transposed, self.log = costs, sparse.csr_array(costs.T), log
        self._at: Array | None = None
        incoming, outgoing = costs.sum(axis=1), costs.sum(axis=0)
        self.start = 0.5 * np.log(incoming / outgoing)

    def __call__(self, q: Array) -> tuple[float, Array]:
        self._move(q)
        gradient = self.outgoing - self.incoming
        if self.log:
            return float(np.log(self.total)), gradient / self.total
        return self.total, gradient

    def hessian_product(self, q: Array, v: Array) -> Array:
        self._move(q)
        product = (self.incoming + self.outgoing) * v
        product -= self.loss * (self.costs @ (self.gain * v))
        product -= self.gain * (self.transposed @ (self.loss * v))
        if not self.log:
            return product
        gradient = (self.outgoing - self.incoming) / self.total
        return product / self.total - gradient * (gradient @ v)

    def imbalance(self, q: Array) -> float:
        self._move(q)
        apart = np.abs(self.incoming - self.outgoing)
        return float((apart / (self.incoming + self.outgoing)).max())

    def _move(self, q: Array) -> None:
        if self._at is None or not np.array_equal(q, self._at):
            self._at = q.copy()
            with np.errstate(over="ignore", invalid="ignore"):
                self.gain = np.exp(q)
                self.loss = 1 / self.gain
                self.incoming = self.loss * (self.costs @ self.gain)
                self.outgoing = self.gain * (self.transposed @ self.loss)
                self.total = float(self.incoming.sum())


def lbfgs(weights: sparse.csr_array, p: float, log: bool) -> Attempt:
    """SciPy's L-BFGS-B, stopped by nothing but the accuracy or its own line search."""
    options = {"maxiter": 100_000, "maxfun": 200_000, "ftol": 0, "gtol": 0, "maxcor": 20}
    return _minimised(weights, p, log, method="L-BFGS-B", options=options)


def trust_krylov(weights: sparse.csr_array, p: float, log: bool) -> Attempt:
    """SciPy's trust-krylov, subproblems solved no better than need be."""
    options = {"maxiter": 300, "gtol": 0, "inexact": True}
    return _minimised(weights, p, log, hessian=True, method="trust-krylov", options=options)


def _minimised(
    weights: sparse.csr_array, p: float, log: bool, hessian: bool = False, **settings: Any
) -> Attempt:
    """Run `scipy.optimize.minimize` until every neuron is balanced, or as far as it gets.

    Rounding in the objective ends a run near an imbalance of 1e-7. Then it starts again from
    q = ½ log(in/out) with the costs as they are at its best, up to `RESTARTS` times. What it takes
    to get to 1e-9, restarts included, is its time.
    """
    started = time.perf_counter()
    costs = costs_of(weights, p)
    base = np.zeros(costs.shape[0])
    path: list[tuple[float, float, Array]] = []

    for _ in range(RESTARTS):
        objective = _Objective(costs, log)

        def judge(q: Array, objective: _Objective = objective, base: Array = base) -> None:
            imbalance = objective.imbalance(q)
            path.append((imbalance, time.perf_counter() - started, base + q))
            if imbalance <= TOL:
                raise StopIteration

        with suppress(StopIteration), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            judge(objective.start)
            optimize.minimize(
                objective,
                objective.start,
                jac=True,
                hessp=objective.hessian_product if hessian else None,
                callback=judge,
                **settings,
            )
        imbalance, _, best = min(path, key=lambda state: state[0])
        if imbalance <= TOL:
            break
        shift, base = best - base, best
        post = np.repeat(np.arange(costs.shape[0]), np.diff(costs.indptr))
        costs = costs.copy()
        costs.data *= np.exp(shift[costs.indices] - shift[post])
    # Where it stalls, the time it took to come close to its best counts, not the stalling.
    best_imbalance = min(imbalance for imbalance, _, _ in path)
    close = max(TOL, 2 * best_imbalance)
    _, taken, q = next(state for state in path if state[0] <= close)
    return Attempt(q / p, taken, {"iterations": len(path)})


def clarabel(weights: sparse.csr_array, p: float) -> Attempt:
    """CVXPY with Clarabel: one exponential cone a synapse, tolerances as tight as it can use."""
    import cvxpy

    started = time.perf_counter()
    costs = costs_of(weights, p).tocoo()
    post, pre = costs.coords
    m, n = costs.nnz, costs.shape[0]
    ones = np.ones(m)
    incidence = sparse.csr_array(
        (np.r_[ones, -ones], (np.r_[:m, :m], np.r_[pre, post])), shape=(m, n)
    )
    q = cvxpy.Variable(n)
    logs = np.log(costs.data)
    logs -= np.log(costs.data.sum())
    total = cvxpy.sum(cvxpy.exp(incidence @ q + logs))
    problem = cvxpy.Problem(cvxpy.Minimize(total), [cvxpy.sum(q) == 0])
    tight = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas", "tol_ktratio"), 1e-14)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "may be inaccurate": it is asked for its best
        problem.solve(solver=cvxpy.CLARABEL, **tight)
    taken = time.perf_counter() - started
    details = {"status": problem.status, "own_seconds": problem.solver_stats.solve_time}
    return Attempt(np.asarray(q.value) / p, taken, details)


def costs_of(weights: sparse.csr_array, p: float) -> sparse.csr_array:
    """Return |J|^p without self-connections."""
    costs = sparse.csr_array(abs(weights) ** p)
    if costs.diagonal().any():
        costs.setdiag(0)
        costs.eliminate_zeros()
    return costs
