"""The balancing flow as a differential equation, and what its integrators pass on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from graphbal.engines import Engine, State, local_engine
from graphbal.engines.local import suits_blas
from graphbal.errors import GraphbalError
from graphbal.solvers._problem import WIDE, Problem, span

__all__ = ["SLIVER", "Array", "Dense", "Field", "Integrator", "Point", "Work", "require_length"]

Array = NDArray[np.float64]
# Full matrices up to this size stay in the cache from pass to pass, and passes are compiled.
CACHED = 512
# A step that would leave less than this part of itself to go is stretched to the end.
SLIVER = 1e-3
Dense = Callable[[float], Array]


@dataclass
class Work:
    """What integration has cost so far."""

    engine: Engine | None = None
    earlier_passes: int = 0
    linear_iterations: int = 0

    def count(self, engine: Engine) -> None:
        """Count the passes of this engine from here on."""
        self.earlier_passes = self.edge_passes
        self.engine = engine

    @property
    def edge_passes(self) -> int:
        """Number of passes over the edges."""
        return self.earlier_passes + (self.engine.n_passes if self.engine else 0)


@dataclass(frozen=True, eq=False)
class Field:
    """The flow dq/dt = r ∘ (g(q) + d(t)) of the potentials q = p h, in units of log cost.

    Attributes
    ----------
    costs : scipy.sparse.csr_array, shape (n, n)
        Costs [post, pre] at q = 0, without self-connections.
    rates : array, shape (n,)
        r = p γ; 0 holds a neuron where it is.
    drive : callable, optional
        Extra input d(t), shape (n,), in units of cost.
    base : array, shape (n,), optional
        Potentials at which the engine has its costs, so that no exponential overflows.
    work : Work
        Where passes are counted.
    """

    costs: sparse.csr_array
    rates: Array
    drive: Callable[[float], Array] | None = None
    base: Array | None = None
    work: Work = field(default_factory=Work)

    @cached_property
    def problem(self) -> Problem:
        """The costs at `base`, and the weakly connected components."""
        n = self.rates.size
        if self.costs.nnz > (n - 1) ** 2 + 1:  # more synapses than two components have room for
            n_components, components = 1, np.zeros(n, dtype=np.int32)
        else:
            n_components, components = csgraph.connected_components(self.costs, connection="weak")
        problem = Problem(self.costs, components, n_components)
        return problem if self.base is None else problem.shifted(self.base)

    @property
    def here(self) -> sparse.csr_array:
        """The costs at `base`."""
        return self.costs if self.base is None else self.problem.costs

    @cached_property
    def full(self) -> Array | None:
        """The costs at `base` as a matrix, if it is full and small enough for the cache."""
        here, n = self.here, self.rates.size
        if n > CACHED or not suits_blas(n, here.nnz):
            return None
        return here.data.reshape(here.shape) if here.nnz == n * n else here.toarray()

    @cached_property
    def engine(self) -> Engine:
        """The edge passes at `base`."""
        engine = local_engine(self.here) if self.full is None else _cached_engine(self.full)
        self.work.count(engine)
        return engine

    @cached_property
    def shares(self) -> Array | None:
        """Weights of the conserved means Σ q_k / r_k of components; None if nothing is conserved.

        They add up to 1 over a component, or to 0 where a neuron of it is held.
        """
        if self.drive is not None:
            return None
        components, n_components = self.problem.components, self.problem.n_components
        inertia = np.divide(1.0, self.rates, out=np.zeros_like(self.rates), where=~self.held)
        total = np.bincount(components, weights=inertia, minlength=n_components)
        total[components[self.held]] = np.inf
        return inertia / total[components]

    def drift(self, change: Array) -> Array | float:
        """Return what a change of q does to the conserved means, by neuron.

        It is a constant in each component: taken from the change, it changes no cost.
        """
        if self.shares is None:
            return 0.0
        components, n_components = self.problem.components, self.problem.n_components
        drift = np.bincount(components, weights=self.shares * change, minlength=n_components)
        return drift[components]

    @cached_property
    def held(self) -> NDArray[np.bool_]:
        """Which neurons are held where they are."""
        return self.rates == 0

    def at(self, q: Array) -> State:
        """Return the state of the network at potentials q, in one pass."""
        here = q if self.base is None else q - self.base
        if self.full is None:
            return self.engine.at(here)
        from graphbal.integrators._kernels import full_state

        self.engine.n_passes += 1
        gain, loss, incoming, outgoing = state = np.empty((4, q.size))
        full_state(self.full, here, state)
        return State(self.engine, here, incoming, outgoing, gain, loss)

    def force(self, t: float, state: State) -> Array:
        """Return g + d(t)."""
        gradients = state.gradients
        return gradients if self.drive is None else gradients + self.drive(t)

    def velocity(self, t: float, state: State) -> Array:
        """Return dq/dt."""
        return self.rates * self.force(t, state)

    def patience(self, state: State) -> float:
        """Return the longest first step: where little moves, a drive may begin to."""
        if self.drive is None:
            return np.inf
        return 1.0 / float((self.rates * state.through).max())

    def turn(self, state: State, direction: Array) -> Array:
        """Return how the velocity changes along a direction, −r ∘ L x, in one pass."""
        return -self.rates * state.laplacian_product(direction)

    def near(self, q: Array) -> Field:
        """Return the field with its costs moved to q if q is far from where they are."""
        if span(q if self.base is None else q - self.base) <= WIDE:
            return self
        return replace(self, base=q)


@dataclass(frozen=True, eq=False)
class Point:
    """A point of a trajectory as an integrator leaves it: all that is needed to go on.

    Attributes
    ----------
    method : str
        Name of the integrator.
    t : float
        Time.
    vectors : array, shape (k, n)
        Potentials q at t, and whatever else the integrator remembers of the past.
    step : float
        Length of the step to try next.
    order : int
        Order of that step; 0 where integration has yet to begin.
    equal_steps : int
        Number of steps of the same length and order so far; explicit ones near their limit of
        stability, where that is watched.
    base : array, shape (n,), optional
        Base of the field; see there.
    state : State, optional
        The network at q.
    """

    method: str
    t: float
    vectors: Array
    step: float = 0.0
    order: int = 0
    equal_steps: int = 0
    base: Array | None = field(default=None, repr=False)
    state: State | None = field(default=None, repr=False)

    @property
    def q(self) -> Array:
        """Potentials in units of log cost."""
        return self.vectors[0]


def _cached_engine(full: Array) -> Engine:
    """Return the engine that reads a full matrix once a pass."""
    from graphbal.integrators._kernels import full_products

    def products(x: Array, y: Array) -> tuple[Array, Array]:
        gathered, scattered = np.empty(x.size), np.empty(x.size)
        full_products(full, x, y, gathered, scattered)
        return gathered, scattered

    return Engine(len(full), products)


class Integrator(Protocol):
    """What the flow asks of an integrator."""

    def start(self, t: float, q: Array) -> Point:
        """Return the point from which to begin at potentials q."""
        ...

    def advance(self, point: Point, bound: float) -> tuple[Point, Dense]:
        """Return the next point, not beyond the time `bound`, and q(t) up to it."""
        ...


def require_length(step: float, t: float) -> None:
    """Raise GraphbalError if a step from the time t makes no headway."""
    if step < 10 * np.spacing(abs(t)):
        raise GraphbalError(
            f"the step fell below the spacing of floating-point numbers at t = {t:g}; the drive is "
            "not smooth there, or the tolerances are too small"
        )
