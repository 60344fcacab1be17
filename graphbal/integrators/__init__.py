"""Integrators of the balancing flow, on plain arrays.

Each is two functions of a `Field`: ``start(t, q)`` makes the first `Point` of a trajectory, and
``advance(point, bound)`` the next, with a polynomial in between. A point is all that an integrator
has to know to go on, so that a trajectory cut anywhere and continued is the same to the last bit.
"""

from graphbal.integrators.course import Course, Jump, Leg
from graphbal.integrators.explicit import Explicit
from graphbal.integrators.field import Dense, Field, Integrator, Point, Work
from graphbal.integrators.implicit import Implicit

__all__ = [
    "Course",
    "Dense",
    "Explicit",
    "Field",
    "Implicit",
    "Integrator",
    "Jump",
    "Leg",
    "Point",
    "Work",
]
