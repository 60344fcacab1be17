"""Laplacian systems (L + S) x = b: the one thing there is to solve besides the edge passes.

Newton's method and responses to perturbations solve L x = b, implicit time steps L + S with a
positive diagonal S. Each function prepares a `LinearSolver` for a problem: a callable that takes
the state of the network, the right-hand side b, a residual and an error to reach, and the shift S
if there is one, and returns a `LinearStep`. Residuals are relative to the diagonal,
max |r_k| / (in_k + out_k + S_k): for a Newton step that is how much of the imbalance it leaves.
Without a shift b must sum to zero over each component.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal.engines import State, local_engine
from graphbal.engines.local import MANY, unsigned
from graphbal.errors import ConvergenceWarning
from graphbal.solvers._problem import Problem
from graphbal.solvers.dense import DENSE_LIMIT

__all__ = [
    "LinearSolver",
    "LinearStep",
    "assembled_laplacian",
    "cholesky_cg",
    "conjugate_gradients",
    "factorised",
    "flow_response",
    "jacobi_cg",
    "multigrid_cg",
    "multigrid_cycle",
    "pseudoinverse",
    "sparse_direct",
]

Array = NDArray[np.float64]

# Up to this many neurons any Laplacian is factorised.
SMALL = 1000
# Networks with more synapses a neuron than this stay with the diagonal for long: their diameter is
# small, and factors take long.
CROWDED = 8


class LinearStep(NamedTuple):
    """A solution of (L + S) x = b, an estimate of max |error|, and what it cost."""

    x: Array
    error: float
    iterations: int


class LinearSolver(Protocol):
    """Solve (L + S) x = b at a state, to a residual and an estimated error."""

    def __call__(
        self, state: State, b: Array, residual: float, error: float, shift: Array | None = None
    ) -> LinearStep:
        """Return x, mean-free in each component if there is no shift."""
        ...


def jacobi_cg(problem: Problem, max_iterations: int) -> LinearSolver:
    """Conjugate gradients preconditioned by the diagonal: for well-connected networks.

    One edge pass and some vector operations an iteration, nothing assembled.
    """

    def solve(
        state: State, b: Array, residual: float, error: float, shift: Array | None = None
    ) -> LinearStep:
        diagonal, product = _shifted(state.through, state.laplacian_product, shift)
        return conjugate_gradients(
            product, b, lambda r: r / diagonal, diagonal, residual, error, max_iterations
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

    def prepare(state: State, shift: Array | None) -> Prepared:
        matrix = assembled_laplacian(problem, state, shift)
        return matrix.dot, lambda: multigrid_cycle(matrix)

    return _renewing(problem, max_iterations, prepare)


def cholesky_cg(problem: Problem, max_iterations: int) -> LinearSolver:
    """Conjugate gradients preconditioned by an approximate Cholesky factorisation.

    For any sparse network: tens of iterations whatever its diameter and however conductances
    differ. The factors of one Newton step serve the next ones for as long as they need few
    iterations more. See `graphbal.solvers.cholesky`.
    """
    from graphbal.solvers.cholesky import Conductances, approximate_cholesky

    conductances = Conductances(problem.costs)

    def prepare(state: State, shift: Array | None) -> Prepared:
        from graphbal.solvers._cholesky import laplacian_product

        here = conductances.at(state)
        indptr, indices = unsigned(here.indptr), unsigned(here.indices)
        ground = np.zeros(problem.n) if shift is None else shift

        def product(x: Array) -> Array:
            image = np.empty_like(x)
            laplacian_product(indptr, indices, here.data, ground, x, image)
            return image

        return product, lambda: approximate_cholesky(here, shift).blind_to()

    return _renewing(problem, max_iterations, prepare)


def sparse_direct(problem: Problem, max_iterations: int) -> LinearSolver:
    """Sparse LU factorisation (SuperLU, symmetric mode, minimum degree).

    Without a shift one neuron of each component is grounded. The factors serve for as long as
    state and shift stay the same.
    """
    grounded = np.unique(problem.components, return_index=True)[1]
    ungrounded = np.setdiff1d(np.arange(problem.n), grounded)
    factored: tuple[Any, ...] = (None, None)

    def solve(
        state: State, b: Array, residual: float, error: float, shift: Array | None = None
    ) -> LinearStep:
        nonlocal factored
        free = ungrounded if shift is None else np.arange(problem.n)
        if factored[0] is not state or factored[1] is not shift:
            matrix = assembled_laplacian(problem, state, shift)
            factored = (state, shift, matrix, factorised(sparse.csr_array(matrix[free][:, free])))
        matrix, inverse = factored[2:]

        def corrected(r: Array) -> Array:
            x = np.zeros(problem.n)
            x[free] = inverse(r[free])
            return problem.centred(x) if shift is None else x

        x = corrected(b)
        correction = corrected(b - matrix @ x)
        return LinearStep(x + correction, float(np.abs(correction).max(initial=0.0)), 1)

    return solve


def factorised(matrix: sparse.csr_array) -> Callable[[Array], Array]:
    """Return the inverse of a positive definite matrix, scaled to a diagonal of ones."""
    from scipy.sparse.linalg import splu

    if matrix.shape[0] == 0:
        return np.zeros_like
    scale = 1.0 / np.sqrt(matrix.diagonal())
    scaling = sparse.diags_array(scale)
    factors = splu(
        sparse.csc_array(scaling @ matrix @ scaling),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return lambda r: (scale * factors.solve((scale * r.T).T).T).T


def pseudoinverse(problem: Problem) -> Callable[[Array], Array]:
    """Return the map b ↦ L⁺ b at the problem's own costs; b loses its mean over each component.

    A factorisation up to 1,000 neurons, made once; otherwise conjugate gradients, with approximate
    Cholesky factors once the diagonal took more than 500 iterations, or 60 in a sparse network.

    Warns
    -----
    ConvergenceWarning
        If the estimated error is above a millionth of the solution.
    """
    estimate = _with_estimate(problem)

    def solve(b: Array) -> Array:
        return _believed(*estimate(b))

    return solve


def flow_response(
    problem: Problem,
) -> Callable[[NDArray[np.intp], NDArray[np.intp], Array], Array]:
    """Return the map from flows f along synapses, into i and out of j, to L⁺ Σ f (e_i − e_j).

    As `pseudoinverse`; but where conductances differ so widely that this loses more than a
    billionth, up to 2,000 neurons, by elimination without subtraction, which loses nothing.
    """
    estimate = _with_estimate(problem)

    def solve(into: NDArray[np.intp], out_of: NDArray[np.intp], amounts: Array) -> Array:
        b = np.zeros(problem.n)
        np.add.at(b, into, amounts)
        np.add.at(b, out_of, -amounts)
        x, error = estimate(b)
        if error <= 1e-9:
            return x
        if problem.n > DENSE_LIMIT:
            return _believed(x, error)
        from graphbal.solvers._elimination import star_mesh

        flows = np.zeros((problem.n, problem.n))
        np.add.at(flows, (into, out_of), amounts)
        conductance = problem.costs.toarray()
        return problem.centred(star_mesh(conductance + conductance.T, flows - flows.T))

    return solve


def _believed(x: Array, error: float) -> Array:
    """Return the solution, with a warning if its relative error is not small."""
    if error > 1e-6:
        warnings.warn(
            f"a Laplacian system is solved to {error:.1e} of its solution only: conductances "
            "differ too widely",
            ConvergenceWarning,
            stacklevel=4,
        )
    return x


def _with_estimate(problem: Problem) -> Callable[[Array], tuple[Array, float]]:
    """Return the map b ↦ L⁺ b and its estimated error relative to the solution."""
    state = local_engine(problem.costs).at(np.zeros(problem.n))
    sparse_network = problem.costs.nnz <= CROWDED * problem.n
    if problem.n <= SMALL:
        methods, limits = [sparse_direct(problem, 1)], [2]
    else:
        limits = [60 if sparse_network else 500, 1000]
        methods = [jacobi_cg(problem, limits[0]), cholesky_cg(problem, limits[1])]

    def solve(b: Array) -> tuple[Array, float]:
        b = problem.centred(b)
        residual = 1e-12 * float(np.abs(b / state.through).max(initial=0.0))
        while True:
            step = methods[0](state, b, residual, np.inf)
            if step.iterations < limits[0] or len(methods) == 1:
                break
            del methods[0], limits[0]
        x = problem.centred(step.x)
        size = float(np.abs(x).max(initial=0.0))
        return x, step.error / size if size else 0.0

    return solve


def assembled_laplacian(
    problem: Problem, state: State, shift: Array | None = None
) -> sparse.csr_array:
    """Return L + S, L = diag(in + out) − (C + Cᵀ) at the state's potentials, as a CSR array."""
    costs = problem.costs
    post, pre = problem.endpoints()
    values = costs.data * state.gain[pre]
    values *= state.loss[post]
    here = sparse.csr_array((values, costs.indices, costs.indptr), shape=costs.shape)
    diagonal = state.through if shift is None else state.through + shift
    return sparse.csr_array(sparse.diags_array(diagonal) - (here + here.T))


# The product with L + S at a state, and how to make an approximate inverse of it.
Prepared = tuple[Callable[[Array], Array], Callable[[], Callable[[Array], Array]]]


def _renewing(
    problem: Problem, max_iterations: int, prepare: Callable[[State, Array | None], Prepared]
) -> LinearSolver:
    """Return conjugate gradients whose preconditioner is renewed when it no longer fits."""
    precondition: Callable[[Array], Array] | None = None
    pace = 0.0  # iterations a factor of e, when it was new

    def solve(
        state: State, b: Array, residual: float, error: float, shift: Array | None = None
    ) -> LinearStep:
        nonlocal precondition, pace
        product, approximate_inverse = prepare(state, shift)
        diagonal = state.through if shift is None else state.through + shift
        fresh = precondition is None
        reduction = float(np.abs(b / diagonal).max(initial=0.0)) / max(residual, 1e-15)
        fold = float(np.log(max(reduction, np.e)))
        wasted = 0
        while True:
            if precondition is None:
                inverse = approximate_inverse()
                precondition = (
                    inverse if shift is not None else _consistent(problem, inverse, diagonal)
                )
            # One from an earlier step may take twice the effort, then it is renewed.
            limit = max_iterations if fresh else min(int(2 * pace * fold) + 4, max_iterations)
            step = conjugate_gradients(product, b, precondition, diagonal, residual, error, limit)
            if fresh or step.iterations < limit:
                break
            precondition, fresh, wasted = None, True, step.iterations
        if fresh:
            pace = step.iterations / fold
        return step._replace(iterations=wasted + step.iterations)

    return solve


def _shifted(
    through: Array, product: Callable[[Array], Array], shift: Array | None
) -> tuple[Array, Callable[[Array], Array]]:
    if shift is None:
        return through, product
    return through + shift, lambda x: product(x) + shift * x


def multigrid_cycle(laplacian: sparse.csr_array) -> Callable[[Array], Array]:
    """Return a V-cycle of smoothed aggregation, an approximate inverse of the Laplacian."""
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
    return hierarchy.aspreconditioner(cycle="V").matvec


def _consistent(
    problem: Problem, inverse: Callable[[Array], Array], diagonal: Array
) -> Callable[[Array], Array]:
    """Return an approximate inverse to which the constant of each component means nothing.

    Rounding lets the residual of a component sum to something other than zero. What has nowhere to
    go is left where it is, spread over the diagonal: it must not meet an inverse that sends it all
    to one neuron, or through a thread. Solutions lose their mean in the same weights, so that the
    inverse stays symmetric.
    """
    share = diagonal / problem.summed(diagonal)

    def compiled(r: Array) -> Array:
        from graphbal.solvers._conjugate import dot, without

        z = inverse(without(r.sum(), share, r))
        z -= dot(share, z)
        return z

    def precondition(r: Array) -> Array:
        rest = share * problem.summed(r)
        np.subtract(r, rest, out=rest)
        z = inverse(rest)
        z -= problem.summed(np.multiply(share, z, out=rest))
        return z

    return compiled if problem.n_components == 1 and problem.n >= MANY else precondition


def conjugate_gradients(
    product: Callable[[Array], Array],
    rhs: Array,
    precondition: Callable[[Array], Array],
    diagonal: Array,
    residual: float,
    error: float | None,
    max_iterations: int,
) -> LinearStep:
    """Solve A x = rhs until max |r_k| / diagonal_k ≤ residual and the estimated error ≤ error.

    The error is estimated as max |M⁻¹ r| over the smallest Ritz value of M⁻¹ A, which the
    coefficients of the recurrence give for nothing; None says that it is not asked for, and
    remains infinite. One product an iteration.
    """
    x = np.zeros_like(rhs)
    r = rhs.copy()
    z = precondition(r)
    direction = z.copy()
    rz = _dot(r, z)
    alphas: list[float] = []
    betas: list[float] = []
    estimate = np.inf if rz > 0 else 0.0
    while len(alphas) < max_iterations and rz > 0:
        image = product(direction)
        curvature = _dot(direction, image)
        if not curvature > 0:
            break
        alpha = rz / curvature
        largest = _advance(alpha, direction, image, diagonal, x, r)
        z = precondition(r)
        rz, previous = _dot(r, z), rz
        alphas.append(alpha)
        betas.append(rz / previous)
        if largest <= residual:
            if error is None:
                break
            estimate = float(np.abs(z).max(initial=0.0)) / _smallest_ritz_value(alphas, betas)
            if estimate <= error:
                break
        _redirect(betas[-1], z, direction)
    if error is not None and alphas and estimate == np.inf:  # stopped by rounding or the limit
        estimate = float(np.abs(z).max(initial=0.0)) / _smallest_ritz_value(alphas, betas)
    return LinearStep(x, estimate, len(alphas))


def _dot(x: Array, y: Array) -> float:
    """Return x·y without BLAS, whose threads would go on spinning beside those of the edge pass."""
    if x.size >= MANY:
        from graphbal.solvers._conjugate import dot

        return float(dot(x, y))
    return float(np.einsum("i,i->", x, y))


def _advance(
    alpha: float, direction: Array, image: Array, diagonal: Array, x: Array, r: Array
) -> float:
    """Go a step of alpha along the direction; return the largest |r| / diagonal."""
    if x.size >= MANY:
        from graphbal.solvers._conjugate import advance

        return float(advance(alpha, direction, image, diagonal, x, r))
    x += alpha * direction
    r -= alpha * image
    return float((np.abs(r) / diagonal).max(initial=0.0))


def _redirect(beta: float, z: Array, direction: Array) -> None:
    """Compute ``direction = z + beta direction`` in place."""
    if z.size >= MANY:
        from graphbal.solvers._conjugate import redirect

        redirect(beta, z, direction)
        return
    direction *= beta
    direction += z


def _smallest_ritz_value(alphas: list[float], betas: list[float]) -> float:
    from scipy import linalg

    a, b = np.array(alphas), np.array(betas[:-1])
    diagonal = 1.0 / a
    diagonal[1:] += b / a[:-1]
    off = np.sqrt(np.maximum(b, 0.0)) / a[:-1]
    smallest: Any = linalg.eigvalsh_tridiagonal(
        diagonal, off, select="i", select_range=(0, 0), check_finite=False
    )
    return max(float(smallest[0]), np.finfo(float).eps)
