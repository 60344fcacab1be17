"""Lowest or highest eigenpairs of a graph Laplacian: blocks of vectors, never an n × n matrix.

The iteration is the generalised Davidson method with thick restarts: the basis grows by the
preconditioned residuals of all pairs that are still wanted, and is cut back to the best Ritz
vectors, those of the step before included, when it is full. Null vectors are known, one for each
connected part, and kept out exactly. Any preconditioner will do, and it may change on the way: the
diagonal first, a multigrid cycle where that turns out slow, a factorisation where n is small.

References
----------
.. [1] R. B. Morgan, D. S. Scott, "Generalizations of Davidson's method for computing eigenvalues
   of sparse symmetric matrices", SIAM J Sci Stat Comput 7(3): 817-825 (1986).
   https://doi.org/10.1137/0907054
.. [2] A. Stathopoulos, "Nearly optimal preconditioned methods for Hermitian eigenproblems under
   limited memory. Part I: Seeking one eigenvalue", SIAM J Sci Comput 29(2): 481-514 (2007).
   https://doi.org/10.1137/050631574
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from graphbal.solvers.laplacian import CROWDED, SMALL, factorised, multigrid_cycle

__all__ = ["Eigenpairs", "GroundedLaplacian", "all_eigenpairs", "extreme_eigenpairs"]

Array = NDArray[np.float64]

# Vectors iterated beyond those asked for, and the size of the basis in blocks of both.
GUARD = 10
BLOCKS = 4
# Where the diagonal has not led to the end after this many iterations, multigrid takes over.
PATIENCE = 40
MAX_ITERATIONS = 500


@dataclass(frozen=True, eq=False)
class GroundedLaplacian:
    """L + S, the Laplacian of positive costs and a diagonal S ≥ 0 of conductances to the ground.

    Attributes
    ----------
    costs : scipy.sparse.csr_array, shape (n, n)
        Positive costs off the diagonal.
    ground : array, shape (n,)
        Conductance of each neuron to neurons that are clamped.
    """

    costs: sparse.csr_array
    ground: Array

    @cached_property
    def diagonal(self) -> Array:
        """Incoming plus outgoing cost, with the ground."""
        return self.costs.sum(axis=0) + self.costs.sum(axis=1) + self.ground

    @cached_property
    def null_vectors(self) -> sparse.csr_array:
        """Orthonormal null vectors, one row for each connected part without ground."""
        count, part = sparse.csgraph.connected_components(self.costs, directed=False)
        grounded = np.zeros(count, dtype=bool)
        grounded[part[self.ground > 0]] = True
        number = np.cumsum(~grounded) - 1
        members = np.flatnonzero(~grounded[part])
        of_member = number[part[members]]
        sizes = np.bincount(of_member)
        shape = (int(np.count_nonzero(~grounded)), self.costs.shape[0])
        return sparse.csr_array((1 / np.sqrt(sizes[of_member]), (of_member, members)), shape=shape)

    @property
    def n_zero(self) -> int:
        """Number of null vectors."""
        return int(self.null_vectors.shape[0])

    def product(self, x: Array) -> Array:
        """Return (L + S) x for a vector or the columns of a block."""
        diagonal = self.diagonal if x.ndim == 1 else self.diagonal[:, None]
        image = diagonal * x
        image -= self.costs @ x
        image -= self.costs.T @ x
        return image

    def deflated(self, x: Array) -> Array:
        """Return x without its part along the null vectors."""
        null = self.null_vectors
        if null.shape[0] == 0:
            return x
        return x - null.T @ (null @ x)

    def assembled(self) -> sparse.csr_array:
        """Return L + S as a CSR array."""
        return sparse.csr_array(sparse.diags_array(self.diagonal) - (self.costs + self.costs.T))


class Eigenpairs(NamedTuple):
    """Eigenvalues, orthonormal eigenvectors as columns, ‖A v − λ v‖ / λ, and the work."""

    values: Array
    vectors: Array
    residuals: Array
    stats: dict[str, Any]

    def taken(self, which: NDArray[np.intp]) -> Eigenpairs:
        """Return some of the pairs."""
        return Eigenpairs(
            self.values[which], self.vectors[:, which], self.residuals[which], self.stats
        )


def all_eigenpairs(operator: GroundedLaplacian) -> Eigenpairs:
    """Return every eigenpair with λ > 0, ascending, from the dense matrix.

    The null vectors are first lifted above the spectrum, so that they mix with no slow mode.
    """
    n, n_zero = operator.costs.shape[0], operator.n_zero
    null = operator.null_vectors.toarray()
    matrix = operator.assembled().toarray()
    matrix += 4 * operator.diagonal.max(initial=1.0) * (null.T @ null)
    values, vectors = linalg.eigh(matrix, overwrite_a=True, check_finite=False)
    values, vectors = values[: n - n_zero], operator.deflated(vectors[:, : n - n_zero])
    return _checked(operator, values, vectors, {"method": "dense", "iterations": 0, "products": 0})


def extreme_eigenpairs(
    operator: GroundedLaplacian,
    k: int,
    slow: bool,
    tol: float,
    seed: int,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> Eigenpairs:
    """Return the k eigenpairs of smallest λ > 0, ascending (slow), or of largest, descending.

    One product with L an iteration and unsettled pair; O(n k) memory.
    """
    sign = 1.0 if slow else -1.0
    wanted = min(k + GUARD, operator.costs.shape[0] - operator.n_zero)
    precondition, method = _first_preconditioner(operator, slow)
    start = operator.deflated(_start(operator.diagonal, wanted, slow, seed))
    space = _Subspace(lambda x: sign * operator.product(x), start)
    before = np.empty((0, 0))
    for iteration in range(MAX_ITERATIONS):
        values, mixing = space.ritz_pairs(wanted)
        vectors = space.basis @ mixing
        apart = space.images @ mixing - vectors * values
        residuals = np.linalg.norm(apart, axis=0) / np.abs(values)
        worst = float(residuals[:k].max())
        if report is not None:
            report({"iteration": iteration, "residual": worst, "products": space.n_products})
        if worst <= 0.5 * tol:
            break
        if iteration == PATIENCE and method == "diagonal" and slow:
            precondition, method = _second_preconditioner(operator)
        if space.size + wanted > BLOCKS * wanted:
            mixing = space.cut(mixing, before)
        before = mixing
        if not space.grow(operator.deflated(precondition(apart[:, residuals > 0.5 * tol]))):
            break
    stats = {"method": method, "iterations": iteration, "products": space.n_products}
    return _checked(operator, sign * values[:k], vectors[:, :k], stats)


class _Subspace:
    """An orthonormal basis V, its images A V, and the small matrix Vᵀ A V."""

    def __init__(self, product: Callable[[Array], Array], start: Array) -> None:
        self.product = product
        self.basis = _orthonormal(start)
        self.images = product(self.basis)
        self.gram = self.basis.T @ self.images
        self.n_products = self.size

    @property
    def size(self) -> int:
        """Number of basis vectors."""
        return int(self.basis.shape[1])

    def ritz_pairs(self, wanted: int) -> tuple[Array, Array]:
        """Return the lowest Ritz values, and their vectors as combinations of the basis."""
        values, mixing = linalg.eigh(self.gram, check_finite=False)
        return values[:wanted], mixing[:, :wanted]

    def cut(self, mixing: Array, before: Array) -> Array:
        """Keep the Ritz vectors and those of the step before; return the former's coordinates."""
        padded = np.zeros((self.size, before.shape[1]))
        padded[: len(before)] = before
        kept = np.hstack([mixing, _orthonormal(padded, mixing)])
        self.basis, self.images = self.basis @ kept, self.images @ kept
        self.gram = kept.T @ self.gram @ kept
        return np.eye(self.size, mixing.shape[1])

    def grow(self, candidates: Array) -> bool:
        """Add the directions that are new; say whether there were any."""
        new = _orthonormal(candidates, self.basis)
        images = self.product(new)
        across = self.basis.T @ images
        self.gram = np.block([[self.gram, across], [across.T, new.T @ images]])
        self.basis = np.hstack([self.basis, new])
        self.images = np.hstack([self.images, images])
        self.n_products += new.shape[1]
        return new.shape[1] > 0


def _orthonormal(x: Array, against: Array | None = None) -> Array:
    """Return an orthonormal basis of the columns of x, orthogonal to another such basis.

    Twice is enough. What is left of a column below 1e-12 of its length is rounding, and dropped;
    within the block, dependent directions are dropped by the eigenvalues of the Gram matrix.
    """
    x = x / np.maximum(np.linalg.norm(x, axis=0), np.finfo(float).tiny)
    for _ in range(2):
        if against is not None:
            x = x - against @ (against.T @ x)
        length = np.linalg.norm(x, axis=0)
        x = x[:, length > 1e-12] / length[length > 1e-12]
        values, mixing = linalg.eigh(x.T @ x, check_finite=False)
        sound = values > 1e-12
        x = x @ (mixing[:, sound] / np.sqrt(values[sound]))
    return x


def _start(diagonal: Array, wanted: int, slow: bool, seed: int) -> Array:
    """Return a block to start from: neurons of extreme cost, where modes like to sit, and noise."""
    noise = np.random.default_rng(seed).standard_normal((diagonal.size, wanted))
    noise *= 0.1 / np.linalg.norm(noise, axis=0)
    extreme = np.argsort(diagonal if slow else -diagonal, kind="stable")[:wanted]
    noise[extreme, np.arange(wanted)] += 1.0
    return noise


def _first_preconditioner(
    operator: GroundedLaplacian, slow: bool
) -> tuple[Callable[[Array], Array], str]:
    diagonal = np.where(operator.diagonal > 0, operator.diagonal, 1.0)[:, None]
    if not slow:
        ceiling = 1.1 * diagonal.max()
        return lambda r: r / (ceiling - diagonal), "diagonal"
    if diagonal.size > SMALL:
        return lambda r: r / diagonal, "diagonal"
    lift = sparse.diags_array(1e-10 * diagonal[:, 0])  # off the null vectors
    return factorised(operator.assembled() + lift), "factorisation"


def _second_preconditioner(operator: GroundedLaplacian) -> tuple[Callable[[Array], Array], str]:
    n = operator.costs.shape[0]
    if operator.costs.nnz > CROWDED * n:
        return _first_preconditioner(operator, slow=True)
    cycle = multigrid_cycle(operator.assembled())
    return lambda r: np.column_stack([cycle(column) for column in r.T]), "multigrid"


def _checked(
    operator: GroundedLaplacian, values: Array, vectors: Array, stats: dict[str, Any]
) -> Eigenpairs:
    """Return the pairs with their residuals, computed anew."""
    apart = operator.product(vectors) - vectors * values
    return Eigenpairs(values, vectors, np.linalg.norm(apart, axis=0) / values, stats)
