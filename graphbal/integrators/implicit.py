"""Backward differentiation of variable step and order, for stiff and large networks."""

from __future__ import annotations

import numpy as np

from graphbal.engines import State
from graphbal.integrators.field import SLIVER, Array, Dense, Field, Point, require_length
from graphbal.solvers import laplacian

__all__ = ["Implicit"]

MAX_ORDER = 5
# Numerical differentiation formulas of Shampine & Reichelt, Table 1.
KAPPA = np.array([0.0, -0.1850, -1 / 9, -0.0823, -0.0415, 0.0])
GAMMA = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, MAX_ORDER + 1))])
ALPHA = (1 - KAPPA) * GAMMA
ERROR = KAPPA * GAMMA + 1 / np.arange(1, MAX_ORDER + 2)

SAFETY, LEAST, MOST = 0.9, 0.2, 10.0
# Stages are solved to this fraction of the tolerance.
FORCING = 0.05
# but not beyond what rounding allows.
ROUNDING = 1e-17
MAX_NEWTON = 4
# Conjugate gradients that take longer make way for a method that does not mind distances.
PATIENCE = 150
MAX_ITERATIONS = 1000
SMALL = 1000


class Implicit:
    r"""Numerical differentiation formulas of orders 1 to 5 on quasi-constant steps [1]_.

    With backward differences :math:`∇^m q` each step solves

    .. math:: g(q) + d(t) = S \Big(q - q^{(0)} + \sum_m γ_m ∇^m q \Big/ α\Big), \qquad
              S = \frac{α}{r \, Δt},

    the stationary point of a convex function, by Newton's method: systems with the Laplacian L
    plus the diagonal S, solved by conjugate gradients no more accurately than the tolerance asks.
    A step costs two edge passes and one for each iteration. L is symmetric in the metric of the
    rates, so that its eigenvalues are real and every order is stable whatever the step.

    References
    ----------
    .. [1] L. F. Shampine, M. W. Reichelt, "The MATLAB ODE suite", SIAM J Sci Comput 18(1): 1-22
       (1997). https://doi.org/10.1137/S1064827594276424
    """

    def __init__(self, field: Field, rtol: float, atol: float) -> None:
        self.field = field
        self.rtol, self.atol = rtol, atol
        self.patient: laplacian.LinearSolver | None = None
        with np.errstate(divide="ignore"):
            self.inertia = 1 / field.rates

    def start(self, t: float, q: Array) -> Point:
        """Return the point from which to begin at potentials q; two passes."""
        state = self.field.at(q)
        velocity = self.field.velocity(t, state)
        speed = float(np.abs(velocity).max())
        differences = np.zeros((MAX_ORDER + 3, q.size))
        differences[0] = q
        step = self.field.patience(state)
        if speed > 0:
            # Half the square of the step times the second derivative is to be half the tolerance.
            scale = self._scale(q)
            turn = _largest(self.field.turn(state, velocity / speed), scale)
            step = min(step, 0.1 / max(speed, 0.1 * turn**0.5 * speed**0.5))
            if self.field.drive is None:
                # No correction of order 1 is larger than the prediction: near rest any step will
                # do over which the velocity as it is does not lead out of the tolerance.
                step = max(step, SAFETY / (ERROR[1] * _largest(velocity, scale)))
            differences[1] = velocity * step
        return Point("implicit", t, differences, step, 1, 0, self.field.base, state)

    def advance(self, point: Point, bound: float) -> tuple[Point, Dense]:
        """Return the next point and the solution up to it."""
        differences, order, equal_steps = point.vectors.copy(), point.order, point.equal_steps
        step = point.step if np.isfinite(point.step) else bound - point.t
        while True:
            t = point.t + step
            if t > bound - SLIVER * step:
                t, equal_steps = bound, 0
                _rescale(differences, order, (bound - point.t) / step)
                step = bound - point.t
            require_length(step, point.t)
            predicted = differences[: order + 1].sum(axis=0)
            scale = self._scale(predicted)
            correction = self._corrected(differences, order, t, step, predicted, scale)
            if correction is None:
                factor = 0.5
            else:
                error = ERROR[order] * _largest(correction, scale)
                if error <= 1:
                    break
                factor = max(LEAST, SAFETY * error ** (-1 / (order + 1)))
            _rescale(differences, order, factor)
            step, equal_steps = step * factor, 0
        equal_steps += 1
        q = predicted + correction
        differences[order + 2] = correction - differences[order + 1]
        differences[order + 1] = correction
        for k in range(order, -1, -1):
            differences[k] += differences[k + 1]
        differences[0] = q
        dense = _between(t, step, differences[: order + 1].copy())
        if equal_steps > order:
            factor, order = self._next(differences, order, error, scale)
            _rescale(differences, order, factor)
            step, equal_steps = step * factor, 0
        after = Point(
            "implicit", t, differences, step, order, equal_steps, self.field.base, self.field.at(q)
        )
        return after, dense

    def _scale(self, q: Array) -> Array:
        return self.atol + self.rtol * np.abs(q)

    def _corrected(
        self,
        differences: Array,
        order: int,
        t: float,
        step: float,
        predicted: Array,
        scale: Array,
    ) -> Array | None:
        """Return what is to be added to the prediction, or None if Newton's method fails."""
        field = self.field
        shift = self.inertia * (ALPHA[order] / step)
        past = np.einsum("k,kn->n", GAMMA[1 : order + 1] / ALPHA[order], differences[1 : order + 1])
        enough = FORCING * float(scale.min())
        correction = np.zeros_like(predicted)
        for _ in range(MAX_NEWTON):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                state = field.at(predicted + correction)
                force = field.force(t, state)
            if not np.isfinite(force).all():
                return None
            with np.errstate(invalid="ignore"):
                rhs = np.where(field.held, 0.0, force - shift * (past + correction))
            # A neuron that is held has all the inertia in the world.
            stiff = np.where(field.held, 1e16 * float(state.through.max()), shift)
            move = np.where(field.held, 0.0, self._solved(state, rhs, enough, stiff))
            correction += move
            size = float(np.abs(move).max(initial=0.0))
            if 2 * size**2 <= enough:  # quadratic convergence, costs change by e^size
                return correction - field.drift(predicted + correction - differences[0])
        return None

    def _solved(self, state: State, rhs: Array, enough: float, shift: Array) -> Array:
        """Solve (L + S) x = rhs until no error is above `enough`.

        The rows of this M-matrix add up to S, so that no error is above max |r_k| / S_k: slow
        modes, which residuals relative to the diagonal hardly show, are resolved too.
        """
        diagonal = state.through + shift
        if self.patient is None:
            step = laplacian.conjugate_gradients(
                lambda x: state.laplacian_product(x) + shift * x,
                rhs,
                lambda r: r / diagonal,
                np.maximum(shift, diagonal * (ROUNDING / enough)),
                *(enough, None, PATIENCE),
            )
            self.field.work.linear_iterations += step.iterations
            if step.iterations < PATIENCE:
                return step.x
            kind = laplacian.sparse_direct if rhs.size <= SMALL else laplacian.cholesky_cg
            self.patient = kind(self.field.problem, MAX_ITERATIONS)
        residual = max(enough * float((shift / diagonal).min()), ROUNDING)
        step = self.patient(state, rhs, residual, np.inf, shift)
        self.field.work.linear_iterations += step.iterations
        return step.x

    def _next(
        self, differences: Array, order: int, error: float, scale: Array
    ) -> tuple[float, int]:
        """Return the factor of the step and the order that cover most time."""
        errors = [np.inf, error, np.inf]
        if order > 1:
            errors[0] = ERROR[order - 1] * _largest(differences[order], scale)
        if order < MAX_ORDER:
            errors[2] = ERROR[order + 1] * _largest(differences[order + 2], scale)
        with np.errstate(divide="ignore"):
            factors = np.array(errors) ** (-1 / np.arange(order, order + 3))
        best = int(np.argmax(factors))
        return min(MOST, SAFETY * float(factors[best])), order + best - 1


def _largest(x: Array, scale: Array) -> float:
    return float(np.abs(x / scale).max(initial=0.0))


def _rescale(differences: Array, order: int, factor: float) -> None:
    """Turn the backward differences into those of a step `factor` times as long."""
    matrix = (_interpolation(order, factor) @ UNIT[order])[1:, 1:]
    past = slice(1, order + 1)
    differences[past] = np.einsum("ki,kn->in", matrix, differences[past])


def _interpolation(order: int, factor: float) -> Array:
    k = np.arange(1, order + 1)
    matrix = np.zeros((order + 1, order + 1))
    matrix[1:, 1:] = (k[:, None] - 1 - factor * k) / k[:, None]
    matrix[0] = 1.0
    product: Array = np.cumprod(matrix, axis=0, dtype=np.float64)
    return product


def _between(t: float, step: float, differences: Array) -> Dense:
    def at(time: float) -> Array:
        q, weight = differences[0].copy(), 1.0
        for k in range(1, len(differences)):
            weight *= (time - t + (k - 1) * step) / (k * step)
            q += weight * differences[k]
        return q

    return at


UNIT = [_interpolation(order, 1.0) for order in range(MAX_ORDER + 1)]
