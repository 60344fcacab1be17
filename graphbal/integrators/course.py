"""From a first point to the end: sudden changes of cost, the choice of integrator, the steps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal.errors import InputError
from graphbal.integrators.explicit import Explicit
from graphbal.integrators.field import Array, Dense, Field, Integrator, Point, Work
from graphbal.integrators.implicit import Implicit

__all__ = ["Course", "Jump", "Leg"]

# The explicit method is stable up to a step of 6 over the fastest rate, which is known to a factor
# of two: beyond twice that it surely is not, and steps that stay long above this are at the limit,
UNSTABLE = 12.0
STRAINED = 5.0
LONG = 6
# unless the end is no more than so many such steps away.
NEARBY = 2.0


class Jump(NamedTuple):
    """Factors on the costs of some synapses from a time on; positions are those of the data."""

    t: float
    synapses: NDArray[np.intp]
    factors: Array


class Leg(NamedTuple):
    """A step of the flow: from `begin` to the point, by the polynomial in between.

    Where integration begins, and begins anew after a jump, there is a leg without length or
    polynomial. The leg up to a jump is not `closed`: costs at its end are those before the jump.
    """

    begin: float
    point: Point
    between: Dense | None
    closed: bool
    field: Field

    def covered(self, times: list[float]) -> list[float]:
        """Return those of ascending times that are reported from this leg."""
        first = bisect_left if self.between is None else bisect_right
        last = bisect_right if self.closed else bisect_left
        return times[first(times, self.begin) : last(times, self.point.t)]


@dataclass(frozen=True, eq=False)
class Course:
    """What is to be integrated, and how.

    Attributes
    ----------
    costs : scipy.sparse.csr_array, shape (n, n)
        Costs [post, pre] before any jump, zero on the diagonal.
    rates : array, shape (n,)
        r = p γ; 0 holds a neuron where it is.
    jumps : tuple of Jump
        By time.
    drive : callable, optional
        Extra input d(t), shape (n,), in units of cost.
    method : {"auto", "explicit", "implicit"}
        Integrator.
    rtol, atol : float
        Tolerances of a step, of q relative and absolute.
    until : float, optional
        Neuron imbalance at which to stop.
    t, q : float and array, shape (n,)
        Where it all begins.
    is_driven : bool
        Whether there is a drive, be it at hand or not.
    """

    costs: sparse.csr_array
    rates: Array
    jumps: tuple[Jump, ...]
    drive: Callable[[float], Array] | None
    method: str
    rtol: float
    atol: float
    until: float | None
    t: float
    q: Array
    is_driven: bool = False

    def factors(self, t: float) -> Array | None:
        """Return the product of the jumps up to the time t, by synapse; None if there are none."""
        past = [jump for jump in self.jumps if jump.t <= t]
        if not past:
            return None
        factors = np.ones(self.costs.nnz)
        for jump in past:
            factors[jump.synapses] *= jump.factors
        return factors

    def field(self, t: float, base: Array | None, work: Work) -> Field:
        """Return the field with the costs of the time t."""
        factors, costs = self.factors(t), self.costs
        if factors is not None:
            costs = sparse.csr_array(
                (costs.data * factors, costs.indices, costs.indptr), shape=costs.shape
            )
            costs.has_canonical_format = True
        return Field(costs, self.rates, self.drive, base, work)

    def legs(self, point: Point, end: float) -> Iterator[Leg]:
        """Go from a point to the time `end`, a leg at a time."""
        work = Work()
        while point.t < end:
            bound = min((jump.t for jump in self.jumps if point.t < jump.t < end), default=end)
            field = self.field(point.t, point.base, work).near(point.q)
            begins = point.order == 0 or any(jump.t == point.t for jump in self.jumps)
            method = self._first_method if begins else point.method
            with np.errstate(over="ignore", invalid="ignore"):
                integrator = self._integrator(method, field)
                if begins:
                    point = integrator.start(point.t, point.q)
            if begins:
                if point.state is None or not np.isfinite(point.state.total_cost):
                    raise InputError(
                        f"the total cost at t = {point.t:g} is too large for a floating-point "
                        "number; rescale the weights or start from other potentials"
                    )
                yield Leg(point.t, point, None, True, field)
            while point.t < bound:
                nearer = field.near(point.q)
                if nearer is not field:
                    field, point = nearer, replace(point, base=nearer.base, state=None)
                    integrator = self._integrator(point.method, field)
                if self.method == "auto" and point.method == "explicit":
                    point, is_stiff = _watched(point, field, bound)
                    if is_stiff:
                        integrator = self._integrator("implicit", field)
                        point = integrator.start(point.t, point.q)
                begin = point.t
                point, between = integrator.advance(point, bound)
                yield Leg(begin, point, between, point.t < bound or bound == end, field)

    @property
    def _first_method(self) -> str:
        return "explicit" if self.method == "auto" else self.method

    def _integrator(self, method: str, field: Field) -> Integrator:
        if method == "explicit":
            return Explicit(field, self.rtol, self.atol)
        return Implicit(field, self.rtol, self.atol)


def _watched(point: Point, field: Field, bound: float) -> tuple[Point, bool]:
    """Count the steps under strain; say whether stability will limit the explicit ones to come."""
    state = field.at(point.q) if point.state is None else point.state
    # No rate of the linearised flow is above twice that of the fastest neuron alone.
    alone = field.rates * (state.incoming + state.outgoing)
    strain = 2 * float(alone.max()) * point.step
    strained = point.equal_steps + 1 if strain > STRAINED else 0
    is_stiff = strain > UNSTABLE or strained > LONG
    far = bound - point.t > NEARBY * point.step
    if state is not point.state or strained != point.equal_steps:
        point = replace(point, state=state, equal_steps=strained)
    return point, is_stiff and far
