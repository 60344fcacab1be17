"""Eigenmodes of the Laplacian: how a network relaxes near its state, pattern by pattern."""

from __future__ import annotations

import time
import warnings
from collections.abc import Hashable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal._eigen import MAX_ITERATIONS, GroundedLaplacian, all_eigenpairs, extreme_eigenpairs
from graphbal._html import card
from graphbal.conductance import conducting
from graphbal.convert import as_network
from graphbal.errors import ConvergenceWarning, InputError
from graphbal.network import SynapticNetwork

__all__ = ["Modes", "eigenmodes"]

Array = NDArray[np.float64]

# From this share of all modes on, what is asked for fills as much memory as the dense matrix.
DENSE_SHARE = 5


@dataclass(frozen=True, eq=False)
class Modes:
    """Eigenmodes of the Laplacian L of a network at its state.

    The flow dh/dt = γ g relaxes along the mode v_m as e^{−γ p λ_m t}.

    Attributes
    ----------
    network : SynapticNetwork
        The network, at the state it was given in.
    eigenvalues : array, shape (k,)
        λ_m > 0, in units of cost; ascending for the slow modes, descending for the fast ones.
    modes : pandas.DataFrame, shape (n, k)
        Orthonormal modes v_m by neuron, 0 at fixed ones; the entry of largest magnitude is
        positive. A mode is numbered by the place of λ_m in the whole spectrum, ascending from 1,
        null vectors included: in a connected network v₁ is constant, and the slow modes begin
        with number 2.
    residuals : array, shape (k,)
        ‖L v − λ v‖ / λ.
    n_zero : int
        Multiplicity of λ = 0: the number of connected parts of the network, whose potentials are
        determined up to a constant each. (With fixed neurons, of those without any.)
    converged : bool
        Whether all residuals reached the tolerance.
    message : str
        The outcome in a sentence.
    stats : dict
        What it cost: ``method``, ``iterations``, ``products`` with the Laplacian, ``seconds``.

    Examples
    --------
    >>> import graphbal as gb
    >>> modes = gb.eigenmodes([[0, 1.0, 0], [1.0, 0, 3.0], [0, 3.0, 0]], k=2)
    >>> modes.table()[["eigenvalue", "time_constant", "peak"]].round(4)
          eigenvalue  time_constant  peak
    mode
    2          2.912         0.1717     0
    3         37.088         0.0135     1
    >>> modes.project([1.0, 0.0, -1.0]).round(4).tolist()
    [1.259, 0.644]
    """

    network: SynapticNetwork
    eigenvalues: Array
    modes: pd.DataFrame
    residuals: Array
    n_zero: int
    converged: bool
    message: str
    stats: dict[str, Any] = field(repr=False)

    @property
    def time_constants(self) -> Array:
        """1 / (p λ_m), in units of 1/γ."""
        return 1.0 / (self.network.p * self.eigenvalues)

    @property
    def participation(self) -> Array:
        """Participation of each mode, 1 / Σ_k v_k⁴: the number of neurons it is spread over."""
        return 1.0 / np.einsum("km,km->m", *2 * [np.square(self.modes.to_numpy())])

    def project(self, potentials: Any) -> pd.Series:
        """Return the amplitude v_m · h of each mode in potentials h.

        Parameters
        ----------
        potentials : array of shape (n,), Series or mapping by label
            Potentials h, dimensionless, or anything else by neuron.

        Returns
        -------
        Series
            By number of the mode.

        Raises
        ------
        InputError
            If a neuron has no potential.
        """
        h = self.network.aligned(potentials, "potential")
        return pd.Series(self.modes.to_numpy().T @ h, index=self.modes.columns, name="amplitude")

    def table(self) -> pd.DataFrame:
        """Return one row for each mode: eigenvalue, time_constant, participation, residual, peak.

        The peak is the neuron at which the mode is largest.
        """
        return pd.DataFrame(
            {
                "eigenvalue": self.eigenvalues,
                "time_constant": self.time_constants,
                "participation": self.participation,
                "residual": self.residuals,
                "peak": self.network.neurons.take(np.abs(self.modes.to_numpy()).argmax(axis=0)),
            },
            index=self.modes.columns,
        )

    def _repr_html_(self) -> str:
        facts = {
            "outcome": self.message,
            "neurons": self.network.n_neurons,
            "modes": len(self.eigenvalues),
            "modes of eigenvalue 0": self.n_zero,
        }
        return card("Modes", facts, {"first modes": self.table().head()})

    def __repr__(self) -> str:
        return (
            f"Modes({len(self.eigenvalues)} of {self.network.n_neurons:,}, λ = "
            f"{self.eigenvalues[0]:.4g} … {self.eigenvalues[-1]:.4g}, "
            f"converged={self.converged})"
        )


def eigenmodes(
    network: Any,
    k: int = 10,
    which: Literal["slow", "fast"] = "slow",
    *,
    tol: float = 1e-8,
    seed: int = 0,
    fixed: Iterable[Hashable] | None = None,
    progress: bool = False,
) -> Modes:
    r"""Find the slowest or the fastest modes of the balancing flow near the network's state.

    These are the eigenvectors :math:`L v = λ v`, λ > 0, of the Laplacian

    .. math:: L = \mathrm{diag}(in + out) - (C + C^T) = -\frac{1}{p} \frac{\partial g}{\partial h}

    at the costs as they are; for the modes at equilibrium pass ``eq.network``.

    Parameters
    ----------
    network : anything `as_network` takes
        The network; only synapses of positive cost count, self-connections never.
    k : int
        Number of modes.
    which : {"slow", "fast"}
        The modes of smallest λ, ascending, or of largest, descending.
    tol : float
        Largest residual ‖L v − λ v‖ / λ that counts as converged. Eigenvalues are then known to
        this relative accuracy at least, and to about its square where they are well separated.
    seed : int
        Seed of the noise in the vectors that the iteration starts from.
    fixed : labels of neurons, optional
        Neurons whose potential is clamped: the modes are those of the others.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    Modes

    Raises
    ------
    InputError
        If there are not k modes, or a label or an option makes no sense.

    Warns
    -----
    ConvergenceWarning
        If a residual did not reach the tolerance; the result then says ``converged=False``.

    Notes
    -----
    Davidson's method [1]_, [2]_ on blocks of k + 10 vectors: tens of iterations, in each a few
    products with L for every vector that has not converged yet; O(n k) memory, never an n × n
    matrix. The null vectors, one for each connected part, are kept out exactly. Slow modes are
    preconditioned by Chebyshev steps on D⁻¹ L, D the diagonal; where these are slow, in sparse
    networks of large diameter, by approximate Cholesky factors [3]_; up to 1,000 neurons, by a
    sparse factorisation. From a fifth of all modes on, which themselves fill an n × n matrix, the
    spectrum is that of the dense matrix. No residual can be smaller than the rounding of L v,
    some 1e-15 of the largest λ: modes slower than the fastest by more than that over the
    tolerance do not converge.

    References
    ----------
    .. [1] R. B. Morgan, D. S. Scott, "Generalizations of Davidson's method for computing
       eigenvalues of sparse symmetric matrices", SIAM J Sci Stat Comput 7(3): 817-825 (1986).
       https://doi.org/10.1137/0907054
    .. [2] A. Stathopoulos, "Nearly optimal preconditioned methods for Hermitian eigenproblems
       under limited memory. Part I: Seeking one eigenvalue", SIAM J Sci Comput 29(2): 481-514
       (2007). https://doi.org/10.1137/050631574
    .. [3] Y. Gao, R. Kyng, D. A. Spielman, "Robust and practical solution of Laplacian equations
       by approximate elimination" (2023). https://doi.org/10.48550/arXiv.2303.00709

    Examples
    --------
    On a ring of 12 neurons with all costs 1, λ = 4 (1 − cos 2πm/12), each twice:

    >>> import graphbal as gb
    >>> modes = gb.eigenmodes(gb.ensembles.ring(12, weights=gb.ensembles.Constant(1)), k=4)
    >>> modes.eigenvalues.round(4).tolist()
    [0.5359, 0.5359, 2.0, 2.0]
    >>> modes.time_constants.round(4).tolist()
    [0.933, 0.933, 0.25, 0.25]
    >>> modes.n_zero, modes.modes.columns.tolist()
    (1, [2, 3, 4, 5])
    """
    started = time.perf_counter()
    net = as_network(network)
    if which not in ("slow", "fast"):
        raise InputError(f"which is {which!r}; choose 'slow' or 'fast'")
    if not (isinstance(tol, Real) and np.isfinite(tol) and tol > 0):
        raise InputError(f"tol is {tol!r}; it must be a number above 0")
    operator, free = _grounded(net, fixed)
    existing = free.size - operator.n_zero
    if existing == 0:
        raise InputError("no synapse joins two neurons that are free: there are no modes")
    if not (isinstance(k, Integral) and 1 <= k <= existing):
        raise InputError(
            f"k is {k!r}; it must be a whole number from 1 to {existing:,}, the number of modes "
            f"with λ > 0 ({free.size:,} free neurons in {operator.n_zero:,} connected part(s), "
            "each with a mode of λ = 0)"
        )
    slow, k = which == "slow", int(k)
    if DENSE_SHARE * k >= free.size:
        everything = all_eigenpairs(operator)
        pairs = everything.taken(np.arange(k) if slow else np.arange(existing)[: -k - 1 : -1])
    else:
        with _reporting(progress, tol) as report:
            pairs = extreme_eigenpairs(operator, k, slow, tol, seed, report)
    numbers = np.arange(k) + operator.n_zero + 1 if slow else free.size - np.arange(k)
    vectors = np.zeros((net.n_neurons, k))
    vectors[free] = _oriented(pairs.vectors)
    worst = float(pairs.residuals.max())
    modes = Modes(
        network=net,
        eigenvalues=pairs.values,
        modes=pd.DataFrame(
            vectors, index=net.neurons, columns=pd.Index(numbers, name="mode"), copy=False
        ),
        residuals=pairs.residuals,
        n_zero=operator.n_zero,
        converged=worst <= tol,
        message=_message(worst, tol, pairs.stats["iterations"]),
        stats=pairs.stats | {"seconds": time.perf_counter() - started},
    )
    if not modes.converged:
        warnings.warn(modes.message, ConvergenceWarning, stacklevel=2)
    return modes


def _grounded(net: SynapticNetwork, fixed: Any) -> tuple[GroundedLaplacian, NDArray[np.intp]]:
    """Return the Laplacian of the neurons that are not fixed, and their positions."""
    costs = conducting(net)
    is_free = np.ones(net.n_neurons, dtype=bool)
    if fixed is not None:
        is_free[net.positions(fixed)] = False
    free = np.flatnonzero(is_free)
    if free.size == net.n_neurons:
        return GroundedLaplacian(costs, np.zeros(free.size)), free
    clamped = (~is_free).astype(np.float64)
    ground = costs @ clamped + costs.T @ clamped
    return GroundedLaplacian(sparse.csr_array(costs[free][:, free]), ground[free]), free


def _oriented(vectors: Array) -> Array:
    """Return the vectors with their largest entry positive (the first of those equal to 1e-6)."""
    magnitude = np.abs(vectors)
    largest = (magnitude >= (1 - 1e-6) * magnitude.max(axis=0)).argmax(axis=0)
    return vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])


def _message(worst: float, tol: float, iterations: int) -> str:
    if worst <= tol:
        return f"Every residual ‖Lv − λv‖ / λ is at most {worst:.1e}."
    why = (
        f"after {iterations} iterations"
        if iterations == MAX_ITERATIONS
        else "and rounding allows no less beside the largest λ"
    )
    return f"Not converged: a residual ‖Lv − λv‖ / λ is {worst:.1e} (tolerance {tol:.0e}), {why}."


def _reporting(progress: bool, tol: float) -> Any:
    if progress:
        from graphbal._progress import modes_bar

        return modes_bar(tol)
    return nullcontext(None)
