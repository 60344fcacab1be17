"""Lowest or highest eigenpairs of a graph Laplacian: blocks of vectors, never an n × n matrix.

The iteration is the generalised Davidson method with thick restarts: the basis grows by the
preconditioned residuals of all pairs that are still wanted, and is cut back to the best Ritz
vectors, those of the step before included, when it is full. Null vectors are known, one for each
connected part, and kept out exactly. Any approximate inverse will do as preconditioner.

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

from graphbal.solvers.cholesky import approximate_cholesky
from graphbal.solvers.laplacian import CROWDED, SMALL, factorised

__all__ = ["Eigenpairs", "GroundedLaplacian", "all_eigenpairs", "extreme_eigenpairs"]

Array = NDArray[np.float64]

# Vectors iterated beyond those asked for, and the size of the basis in blocks of both.
GUARD = 10
BLOCKS = 4
MAX_ITERATIONS = 500
# From this many synapses on a product is compiled and shared among threads.
COMPILED = 100_000
# If Chebyshev steps have not brought the residuals below λ/2 after so many iterations, the
# network's diameter is large; approximate factors take over where there are few synapses a neuron.
PATIENCE = 8
# Steps of the Chebyshev iteration, and the spectrum of D⁻¹ L that it damps; 2 is its upper end.
STEPS = 4
SPECTRUM = (0.2, 2.0)


@dataclass(eq=False)
class GroundedLaplacian:
    """L + S, the Laplacian of positive costs and a diagonal S ≥ 0 of conductances to the ground.

    Attributes
    ----------
    costs : scipy.sparse.csr_array, shape (n, n)
        Positive costs off the diagonal.
    ground : array, shape (n,)
        Conductance of each neuron to neurons that are clamped.
    n_products : int
        Products with a vector made so far.
    """

    costs: sparse.csr_array
    ground: Array
    n_products: int = 0

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

    @cached_property
    def conductances(self) -> sparse.csr_array:
        """C + Cᵀ."""
        return sparse.csr_array(self.costs + self.costs.T)

    def product(self, x: Array) -> Array:
        """Return (L + S) x for the columns of a block, and count them."""
        self.n_products += x.shape[1]
        if self.costs.nnz < COMPILED:
            return self.diagonal[:, None] * x - self.conductances @ x
        from graphbal.engines._kernels import laplacian_block

        matrix, image = self.conductances, np.empty(x.shape)
        x = np.ascontiguousarray(x)
        laplacian_block(matrix.indptr, matrix.indices, matrix.data, self.diagonal, x, image)
        return image

    def deflated(self, x: Array) -> Array:
        """Return x without its part along the null vectors."""
        null = self.null_vectors
        if null.shape[0] == 0:
            return x
        if null.shape[0] == 1 and null.nnz == len(x):
            return x - x.mean(axis=0)
        return x - null.T @ (null @ x)

    def assembled(self) -> sparse.csr_array:
        """Return L + S as a CSR array."""
        return sparse.csr_array(sparse.diags_array(self.diagonal) - self.conductances)


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

    A few products with L an iteration and unsettled pair; O(n k) memory.
    """
    sign = 1.0 if slow else -1.0
    wanted = min(k + GUARD, operator.costs.shape[0] - operator.n_zero)
    precondition, method = _preconditioner(operator, slow)
    space = _Subspace(operator, sign, BLOCKS * wanted)
    space.grow(_start(operator.diagonal, wanted, slow, seed))
    before, checked = np.empty((0, 0)), False
    # What rounding leaves of a residual, whatever λ.
    floor = 4 * np.finfo(float).eps * operator.diagonal.max()
    for iteration in range(MAX_ITERATIONS):
        values, mixing = space.ritz_pairs(wanted)
        vectors = space.basis @ mixing
        apart = space.images @ mixing - vectors * values
        lengths = np.linalg.norm(apart, axis=0)
        unsettled = lengths > np.maximum(0.5 * tol * np.abs(values), floor)
        worst = float((lengths[:k] / np.abs(values[:k])).max())
        if report is not None:
            report({"iteration": iteration, "residual": worst, "products": operator.n_products})
        if not unsettled[:k].any():
            if checked:
                break
            # Images were combined from others; what they say is only believed of new ones.
            before, checked = space.renewed(mixing), True
            continue
        checked = False
        if iteration == PATIENCE and worst > 0.5 and method == "chebyshev":
            precondition, method = _second_preconditioner(operator, precondition)
        if not space.has_room_for(wanted):
            mixing = space.cut(mixing, before)
        before = mixing
        if not space.grow(precondition(apart[:, unsettled])):
            break
    stats = {"method": method, "iterations": iteration + 1, "products": operator.n_products}
    return _checked(operator, sign * values[:k], vectors[:, :k], stats)


class _Subspace:
    """An orthonormal basis V, its images A V, and the small matrix Vᵀ A V."""

    def __init__(self, operator: GroundedLaplacian, sign: float, limit: int) -> None:
        self.operator, self.sign = operator, sign
        self.size = 0
        self.gram = np.empty((0, 0))
        self._basis = np.empty((operator.costs.shape[0], limit))
        self._images = np.empty_like(self._basis)

    @property
    def basis(self) -> Array:
        """V."""
        return self._basis[:, : self.size]

    @property
    def images(self) -> Array:
        """A V."""
        return self._images[:, : self.size]

    def ritz_pairs(self, wanted: int) -> tuple[Array, Array]:
        """Return the lowest Ritz values, and their vectors as combinations of the basis."""
        values, mixing = linalg.eigh(self.gram, check_finite=False)
        return values[:wanted], mixing[:, :wanted]

    def has_room_for(self, count: int) -> bool:
        """Say whether so many vectors more fit in."""
        return self.size + count <= self._basis.shape[1]

    def cut(self, mixing: Array, before: Array) -> Array:
        """Keep the Ritz vectors and those of the step before; return the former's coordinates."""
        padded = np.zeros((self.size, before.shape[1]))
        padded[: len(before)] = before
        earlier = _orthonormal(padded, lambda x: x - mixing @ (mixing.T @ x))
        kept = np.hstack([mixing, earlier])
        basis, images = self.basis @ kept, self.images @ kept
        self.size = kept.shape[1]
        self.basis[:], self.images[:] = basis, images
        self.gram = kept.T @ self.gram @ kept
        return np.eye(self.size, mixing.shape[1])

    def renewed(self, mixing: Array) -> Array:
        """Keep the Ritz vectors alone, their images computed anew; return their coordinates."""
        coordinates = self.cut(mixing, np.empty((0, 0)))
        self.images[:] = self.sign * self.operator.product(self.basis)
        self.gram = self.basis.T @ self.images
        return coordinates

    def grow(self, candidates: Array) -> bool:
        """Add the directions that are new, off the null vectors; say whether there were any."""

        def projected(x: Array) -> Array:
            return self.operator.deflated(x - self.basis @ (self.basis.T @ x))

        new = _orthonormal(candidates, projected)
        images = self.sign * self.operator.product(new)
        across = self.basis.T @ images
        self.gram = np.block([[self.gram, across], [across.T, new.T @ images]])
        end = self.size + new.shape[1]
        self._basis[:, self.size : end], self._images[:, self.size : end] = new, images
        self.size = end
        return new.shape[1] > 0


def _orthonormal(x: Array, projected: Callable[[Array], Array]) -> Array:
    """Return an orthonormal basis of the projected columns of x.

    Twice is enough. What is left of a column below 1e-12 of its length is rounding, and dropped;
    dependent columns are dropped by the eigenvalues of their Gram matrix.
    """
    x = x / np.maximum(np.linalg.norm(x, axis=0), np.finfo(float).tiny)
    for _ in range(2):
        x = projected(x)
        lengths = np.linalg.norm(x, axis=0)
        x = x[:, lengths > 1e-12] / lengths[lengths > 1e-12]
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


def _preconditioner(
    operator: GroundedLaplacian, slow: bool
) -> tuple[Callable[[Array], Array], str]:
    """Return an approximate inverse, of L for the slow modes, and what it is."""
    n, diagonal = operator.costs.shape[0], operator.diagonal
    diagonal = np.where(diagonal > 0, diagonal, 1.0)[:, None]
    if not slow:
        ceiling = 1.1 * diagonal.max()
        return lambda r: r / (ceiling - diagonal), "diagonal"
    if n <= SMALL:
        lift = sparse.diags_array(1e-10 * diagonal[:, 0])  # off the null vectors
        return factorised(operator.assembled() + lift), "factorisation"
    return _chebyshev(operator, diagonal), "chebyshev"


def _chebyshev(operator: GroundedLaplacian, diagonal: Array) -> Callable[[Array], Array]:
    """Return some steps of the Chebyshev iteration for D⁻¹ L x = D⁻¹ r.

    A positive definite approximate inverse whatever the spectrum: products are cheaper than new
    basis vectors, and between two of these it does the work of several steps with the diagonal.
    """
    low, high = SPECTRUM
    middle, half = (high + low) / 2, (high - low) / 2

    def precondition(r: Array) -> Array:
        ratio = half / middle
        direction = r / (middle * diagonal)
        x = direction.copy()
        for _ in range(STEPS - 1):
            r = r - operator.product(direction)
            following = 1 / (2 * middle / half - ratio)
            direction = following * (ratio * direction + (2 / half) * (r / diagonal))
            x += direction
            ratio = following
        return x

    return precondition


def _second_preconditioner(
    operator: GroundedLaplacian, first: Callable[[Array], Array]
) -> tuple[Callable[[Array], Array], str]:
    """Return approximate factors where there are few synapses a neuron, else the first again."""
    if operator.costs.nnz > CROWDED * operator.costs.shape[0]:
        return first, "chebyshev"
    factors = approximate_cholesky(operator.conductances, operator.ground).blind_to()
    return lambda r: np.column_stack([factors(column) for column in r.T]), "cholesky"


def _checked(
    operator: GroundedLaplacian, values: Array, vectors: Array, stats: dict[str, Any]
) -> Eigenpairs:
    """Return the pairs with their residuals, computed anew."""
    apart = operator.product(vectors) - vectors * values
    return Eigenpairs(values, vectors, np.linalg.norm(apart, axis=0) / values, stats)
