"""What a solver is given and what it gives back, in plain arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal._elementwise import extremes, powers
from graphbal.engines import Engine, local_engine
from graphbal.engines.local import stored_bytes, suits_tiles, tiled_engine

__all__ = [
    "WIDE",
    "History",
    "Problem",
    "Report",
    "Solution",
    "Solver",
    "relative_imbalance",
    "span",
]

Array = NDArray[np.float64]
Report = Callable[[dict[str, Any]], None]

# Range of log costs that a descent from the plain start takes in its stride.
MODERATE_RANGE = 40.0
# Potentials that span more than this are moved into the costs, lest e^q or 1/e^q overflow.
WIDE = 200.0
SMALLEST = math.ulp(0.0)


@dataclass(frozen=True, eq=False)
class Problem:
    r"""A balancing problem that has a finite solution.

    Potentials are in units of log cost, ``q = p h``: balance c_ij e^{q_j − q_i}.

    Attributes
    ----------
    bases : scipy.sparse.csr_array, shape (n, n)
        What costs are powers of, [post, pre], not zero off the diagonal (a full matrix keeps its
        shape, with a diagonal of zeros); every weakly connected part is strongly connected.
    components : int array, shape (n,)
        Number of the connected part of each neuron, 0 … n_components − 1.
    n_components : int
        Number of connected parts; q is determined up to a constant in each.
    cost_range : pair of float, optional
        The smallest and the largest cost, where they are known.
    power : float
        Costs are \|bases\|^power; where it is 1, bases are costs and not negative.
    n, n_synapses : int
        Number of neurons and of synapses.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from graphbal.solvers import Problem
    >>> costs = sparse.csr_array([[0.0, 4.0], [1.0, 0.0]])
    >>> problem = Problem(costs, components=np.zeros(2, dtype=int), n_components=1)
    >>> problem.n, problem.n_synapses, problem.centred(np.array([3.0, 1.0])).tolist()
    (2, 2, [1.0, -1.0])
    >>> problem.engine().at(np.zeros(2)).gradients.tolist()
    [3.0, -3.0]
    >>> float(problem.summed(np.array([3.0, 1.0])))
    4.0
    >>> post, pre = problem.endpoints()
    >>> post.tolist(), pre.tolist()
    ([0, 1], [1, 0])
    >>> problem.shifted(np.array([np.log(2), 0.0])).costs.toarray()
    array([[0., 2.],
           [2., 0.]])
    >>> problem.tempered(0.5).costs.toarray()
    array([[0., 2.],
           [1., 0.]])
    """

    bases: sparse.csr_array
    components: NDArray[np.integer]
    n_components: int
    cost_range: tuple[float, float] | None = None
    power: float = 1.0
    n: int = field(init=False)
    n_synapses: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", self.bases.shape[0])
        object.__setattr__(self, "n_synapses", self.bases.nnz)

    @cached_property
    def costs(self) -> sparse.csr_array:
        """Costs [post, pre]."""
        return self.bases if self.power == 1 else self._with(powers(self.bases.data, self.power))

    @property
    def affords_scrutiny(self) -> bool:
        """Whether passes are so cheap that slow modes are looked for to the last digit.

        A mode whose relaxation is 10⁸ times slower than a neuron's is invisible in residuals of
        10⁻⁹. Below a million synapses residuals are pushed to 10⁻¹⁴ and clusters looked for that
        hang on a thousandth of their own strength; above, to the tolerance and a millionth.
        """
        return self.n_synapses < 1_000_000

    def engine(self) -> Engine:
        """Return the edge passes over these costs."""
        if self.power == 2 and suits_tiles(self.n, self.n_synapses):
            return tiled_engine(self.bases, math.sqrt(self._largest), squared=True)
        return local_engine(self.costs, self._largest)

    @property
    def bytes_per_pass(self) -> int:
        """About how many bytes an edge pass reads."""
        if self.power == 2 and suits_tiles(self.n, self.n_synapses):
            return stored_bytes(self.bases, math.sqrt(self._largest), squared=True)
        return stored_bytes(self.costs, self._largest)

    @property
    def _largest(self) -> float:
        return np.inf if self.cost_range is None else self.cost_range[1]

    @property
    def log_range(self) -> float:
        """Logarithm of the largest cost over the smallest."""
        return float(np.log(self.costs.data.max()) - np.log(self.costs.data.min()))

    @cached_property
    def is_wide(self) -> bool:
        """Whether costs span more orders of magnitude than iterations take in their stride.

        What counts is what neurons pass on, the largest costs in and out of each; a lone tiny
        synapse beside them does no harm.
        """
        if self.n_synapses == self.n**2 > 0:
            full = self.costs.data.reshape(self.costs.shape)
            return _log_span(np.concatenate([full.max(axis=0), full.max(axis=1)])) > MODERATE_RANGE
        if self.n_synapses == 0:
            return False
        smallest, largest = self.cost_range or extremes(self.costs.data)
        if smallest > 0 and math.log(largest) - math.log(smallest) <= MODERATE_RANGE:
            return False
        costs = self.costs
        outgoing = np.zeros(self.n)
        np.maximum.at(outgoing, costs.indices, costs.data)
        filled = np.diff(costs.indptr) > 0
        incoming = np.maximum.reduceat(costs.data, costs.indptr[:-1][filled])
        through = np.concatenate([incoming, outgoing[outgoing > 0]])
        return _log_span(through) > MODERATE_RANGE

    @cached_property
    def sizes(self) -> NDArray[np.intp]:
        """Number of neurons of each component."""
        return np.bincount(self.components, minlength=self.n_components)

    def centred(self, x: Array) -> Array:
        """Return x minus its mean over each component."""
        if self.n_components == 1:
            return x - x.sum() / x.size
        sums = np.bincount(self.components, weights=x, minlength=self.n_components)
        return x - (sums / np.maximum(self.sizes, 1))[self.components]

    def summed(self, x: Array) -> Array | np.floating[Any]:
        """Return for each neuron the sum of x over its component."""
        if self.n_components == 1:
            return x.sum()
        return np.bincount(self.components, weights=x, minlength=self.n_components)[self.components]

    def endpoints(self) -> tuple[NDArray[np.intp], NDArray[np.integer]]:
        """Return the post- and the presynaptic neuron of each entry of the costs."""
        return np.repeat(np.arange(self.n), np.diff(self.bases.indptr)), self.bases.indices

    def tempered(self, exponent: float) -> Problem:
        """Return the problem with costs c_ij^exponent."""
        return Problem(self.costs, self.components, self.n_components, power=exponent)

    def shifted(self, q: Array) -> Problem:
        """Return the problem seen from potentials q, its costs c_ij e^{q_j − q_i}.

        The exponent is formed per edge in the log domain: e^q itself may overflow where no cost
        does. Costs below the smallest float are raised to it, so that no synapse is lost.
        """
        post, pre = self.endpoints()
        with np.errstate(divide="ignore", under="ignore"):
            exponent = np.log(self.costs.data)
            exponent += q[pre]
            exponent -= q[post]
            values = np.exp(exponent, out=exponent)
        np.maximum(values, np.finfo(float).tiny, out=values, where=self.costs.data > 0)
        return Problem(self._with(values), self.components, self.n_components)

    def _with(self, values: Array) -> sparse.csr_array:
        """Return a matrix of these entries, which shares the indices and their inspection."""
        matrix = copy(self.bases)
        matrix.data = values
        return matrix


def _log_span(values: Array) -> float:
    positive = values[values > 0]
    return math.log(positive.max()) - math.log(positive.min()) if positive.size else 0.0


@dataclass(frozen=True, eq=False)
class Solution:
    """Potentials in units of log cost, what they lead to, and how they were found.

    Potentials are up to a constant in each component.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from graphbal.solvers import Newton, Problem
    >>> costs = sparse.csr_array([[0.0, 4.0], [1.0, 0.0]])
    >>> problem = Problem(costs, components=np.zeros(2, dtype=int), n_components=1)
    >>> solution = Newton().solve(problem, start=None, tol=1e-9)
    >>> solution.converged, problem.centred(solution.q).round(4).tolist()
    (True, [0.3466, -0.3466])
    """

    q: Array
    incoming: Array
    outgoing: Array
    converged: bool
    stats: dict[str, Any] = field(default_factory=dict)

    def preceded_by(self, earlier: Solution) -> Solution:
        """Return this solution with the work of an earlier one, which it continued, added."""
        stats = earlier.stats | self.stats
        for counted in ("iterations", "edge_passes", "linear_iterations"):
            if counted in stats:
                stats[counted] = earlier.stats.get(counted, 0) + self.stats.get(counted, 0)
        for listed in ("history", "cost_history"):
            stats[listed] = earlier.stats[listed] + self.stats[listed]
        return replace(self, stats=stats)


class Solver(Protocol):
    """What `graphbal.balance` asks of a solver.

    Examples
    --------
    A solver of your own, which leaves the hard part to another one:

    >>> import graphbal as gb
    >>> class Patient:
    ...     def solve(self, problem, start, tol, report=None):
    ...         rough = gb.solvers.Osborne().solve(problem, start, 1e-3, report)
    ...         return gb.solvers.Newton().solve(problem, rough.q, tol, report).preceded_by(rough)
    >>> eq = gb.balance("celegans", solver=Patient())
    >>> eq.converged, eq.stats["solver"]
    (True, 'newton')
    """

    def solve(
        self, problem: Problem, start: Array | None, tol: float, report: Report | None = None
    ) -> Solution:
        """Balance every neuron of the problem to ``neuron_imbalance <= tol``."""
        ...


def span(q: Array) -> float:
    """Return the largest potential minus the smallest."""
    return float(q[q.argmax()] - q[q.argmin()])


def relative_imbalance(incoming: Array, outgoing: Array) -> float:
    """Return the largest |in − out| / (in + out); a neuron without cost counts as balanced."""
    apart = np.abs(incoming - outgoing)
    apart /= np.maximum(incoming + outgoing, SMALLEST)
    return float(apart[apart.argmax()]) if apart.size else 0.0


class History:
    """What a solver did, step by step, told to `report` as it happens."""

    def __init__(self, solver: str, report: Report | None) -> None:
        self.solver = solver
        self.report = report
        self.imbalances: list[float] = []
        self.costs: list[float] = []
        self.passes = 0

    @property
    def steps(self) -> int:
        """Number of states recorded."""
        return len(self.imbalances)

    def record(self, imbalance: float, cost: float, passes: int) -> None:
        """Note a state and tell it."""
        self.imbalances.append(imbalance)
        self.costs.append(cost)
        if self.report is not None:
            self.report(
                {
                    "solver": self.solver,
                    "iteration": self.steps - 1,
                    "neuron_imbalance": imbalance,
                    "total_cost": cost,
                    "passes": self.passes + passes,
                }
            )

    def stalled(self) -> bool:
        """Say whether rounding keeps the imbalance from falling any further."""
        last = self.imbalances[-4:]
        return len(last) == 4 and last[0] < 1e-6 and min(last[1:]) >= 0.5 * last[0]

    def idles(self) -> bool:
        """Say whether neither cost nor imbalance has moved for some steps."""
        costs, imbalances = self.costs[-7:], self.imbalances[-7:]
        return (
            len(costs) == 7
            and costs[-1] >= costs[0] * (1 - 1e-13)
            and min(imbalances[1:]) >= 0.5 * imbalances[0]
        )

    def stats(self, passes: int) -> dict[str, Any]:
        """Return the history as the plain entries of `Equilibrium.stats`."""
        return {
            "solver": self.solver,
            "iterations": max(self.steps - 1, 0),
            "edge_passes": self.passes + passes,
            "history": self.imbalances,
            "cost_history": self.costs,
        }
