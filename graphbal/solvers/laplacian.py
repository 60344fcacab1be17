"""Laplacian systems L x = g: the one thing a Newton step needs besides the edge passes.

Each function prepares a `LinearSolver` for a problem: a callable that takes the state of the
network, a residual to reach and an error to reach, and returns a `LinearStep`. Residuals are
relative to each neuron's own cost, max |r_k| / (in_k + out_k), because that is how much of the
imbalance a step leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from graphbal.engines import State
from graphbal.solvers._problem import Problem

__all__ = [
    "LinearSolver",
    "LinearStep",
    "assembled_laplacian",
    "jacobi_cg",
    "multigrid_cg",
    "sparse_direct",
]

Array = NDArray[np.float64]


class LinearStep(NamedTuple):
    """A solution of L x = g, an estimate of max |error|, and what it cost."""

    x: Array
    error: float
    iterations: int


LinearSolver = Callable[[State, float, float], LinearStep]


def jacobi_cg(problem: Problem, max_iterations: int) -> LinearSolver:
    """Conjugate gradients preconditioned by the diagonal: for well-connected networks.

    One edge pass and some vector operations an iteration, nothing assembled.
    """

    def solve(state: State, residual: float, error: float) -> LinearStep:
        def precondition(r: Array) -> Array:
            return r / state.through

        return _conjugate_gradients(
            state.laplacian_product,
            state.gradients,
            precondition,
            state.through,
            residual,
            error,
            max_iterations,
        )

    return solve


def multigrid_cg(problem: Problem, max_iterations: int) -> LinearSolver:
    """Conjugate gradients preconditioned by an algebraic multigrid cycle of PyAMG.

    For networks of large diameter (lattices, long chains of blocks). The hierarchy of one Newton
    step serves the next ones for as long as it needs few iterations more. Where conductances
    differ widely within a neighbourhood, coarsening follows the strong ones.

    References
    ----------
    .. [1] N. Bell, L. N. Olson, J. Schroder, B. Southworth, "PyAMG: algebraic multigrid solvers in
       Python", J Open Source Softw 8(87): 5495 (2023). https://doi.org/10.21105/joss.05495
    """
    precondition: Callable[[Array], Array] | None = None
    usual = 0

    def solve(state: State, residual: float, error: float) -> LinearStep:
        nonlocal precondition, usual
        laplacian = assembled_laplacian(problem, state)
        fresh = precondition is None
        while True:
            if precondition is None:
                precondition = _multigrid_cycle(problem, laplacian)
            # A hierarchy from an earlier step may take twice its first effort, then it is renewed.
            limit = max_iterations if fresh else 2 * usual + 4
            step = _conjugate_gradients(
                laplacian.dot,
                state.gradients,
                precondition,
                state.through,
                residual,
                error,
                limit,
            )
            if fresh or step.iterations < limit:
                break
            precondition, fresh = None, True
        if fresh:
            usual = step.iterations
        return step

    return solve


def sparse_direct(problem: Problem, max_iterations: int) -> LinearSolver:
    """Sparse LU factorisation (SuperLU, symmetric mode, minimum degree), one neuron grounded."""
    from scipy.sparse.linalg import splu

    grounded = np.unique(problem.components, return_index=True)[1]
    free = np.setdiff1d(np.arange(problem.n), grounded)

    def solve(state: State, residual: float, error: float) -> LinearStep:
        laplacian = assembled_laplacian(problem, state)
        scale = 1.0 / np.sqrt(state.through[free])
        scaling = sparse.diags_array(scale)
        factors = splu(
            sparse.csc_array(scaling @ laplacian[free][:, free] @ scaling),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

        def corrected(r: Array) -> Array:
            x = np.zeros(problem.n)
            x[free] = scale * factors.solve(scale * r[free])
            return problem.centred(x)

        x = corrected(state.gradients)
        correction = corrected(state.gradients - laplacian @ x)
        return LinearStep(x + correction, float(np.abs(correction).max(initial=0.0)), 1)

    return solve


def assembled_laplacian(problem: Problem, state: State) -> sparse.csr_array:
    """Return L = diag(in + out) − (C + Cᵀ) at the state's potentials as a CSR array."""
    costs = problem.costs
    post, pre = problem.endpoints()
    values = costs.data * state.gain[pre]
    values *= state.loss[post]
    here = sparse.csr_array((values, costs.indices, costs.indptr), shape=costs.shape)
    return sparse.csr_array(sparse.diags_array(state.through) - (here + here.T))


def _multigrid_cycle(problem: Problem, laplacian: sparse.csr_array) -> Callable[[Array], Array]:
    import pyamg

    # Strength of connection matters only where the conductances of a neighbourhood differ much.
    off_diagonal = laplacian.data[laplacian.data < 0]
    spread = np.std(np.log(-off_diagonal)) if off_diagonal.size else 0.0
    hierarchy = pyamg.smoothed_aggregation_solver(
        sparse.csr_matrix(laplacian),
        B=np.ones((laplacian.shape[0], 1)),
        strength=("symmetric", {"theta": 0.05 if spread > 1.5 else 0.0}),
        smooth=("jacobi", {"weighting": "local"}),  # no eigenvalue estimates
        improve_candidates=None,
        max_coarse=500,
        coarse_solver="pinv",
    )
    cycle = hierarchy.aspreconditioner(cycle="V")
    return lambda r: problem.centred(cycle.matvec(r))


def _conjugate_gradients(
    product: Callable[[Array], Array],
    rhs: Array,
    precondition: Callable[[Array], Array],
    through: Array,
    residual: float,
    error: float,
    max_iterations: int,
) -> LinearStep:
    """Solve L x = rhs until max |r_k| / through_k ≤ residual and the estimated error ≤ error.

    The error is estimated as max |M⁻¹ r| over the smallest Ritz value of M⁻¹ L, which the
    coefficients of the recurrence give for nothing.
    """
    x = np.zeros_like(rhs)
    r = rhs.copy()
    z = precondition(r)
    direction = z.copy()
    rz = _dot(r, z)
    alphas: list[float] = []
    betas: list[float] = []
    estimate = np.inf if rz > 0 else 0.0
    scratch = np.empty_like(rhs)
    while len(alphas) < max_iterations and rz > 0:
        image = product(direction)
        curvature = _dot(direction, image)
        if not curvature > 0:
            break
        alpha = rz / curvature
        x += np.multiply(direction, alpha, out=scratch)
        r -= np.multiply(image, alpha, out=scratch)
        z = precondition(r)
        rz, previous = _dot(r, z), rz
        alphas.append(alpha)
        betas.append(rz / previous)
        np.abs(r, out=scratch)
        scratch /= through
        if scratch.max(initial=0.0) <= residual:
            estimate = float(np.abs(z).max(initial=0.0)) / _smallest_ritz_value(alphas, betas)
            if estimate <= error:
                break
        direction *= betas[-1]
        direction += z
    if alphas and estimate == np.inf:  # stopped early, by rounding or the limit
        estimate = float(np.abs(z).max(initial=0.0)) / _smallest_ritz_value(alphas, betas)
    return LinearStep(x, estimate, len(alphas))


def _dot(x: Array, y: Array) -> float:
    """Return x·y without BLAS, whose threads would go on spinning beside those of the edge pass."""
    return float(np.einsum("i,i->", x, y))


def _smallest_ritz_value(alphas: list[float], betas: list[float]) -> float:
    a, b = np.array(alphas), np.array(betas[:-1])
    diagonal = 1.0 / a
    diagonal[1:] += b / a[:-1]
    off = np.sqrt(np.maximum(b, 0.0)) / a[:-1]
    smallest: Any = linalg.eigvalsh_tridiagonal(
        diagonal, off, select="i", select_range=(0, 0), check_finite=False
    )
    return max(float(smallest[0]), np.finfo(float).eps)
