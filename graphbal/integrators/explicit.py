"""An explicit Runge–Kutta method of order 8, for short times and high accuracy."""

from __future__ import annotations

from dataclasses import replace
from math import hypot

import numpy as np

from graphbal.engines import State
from graphbal.integrators.field import SLIVER, Array, Dense, Field, Point, require_length

__all__ = ["Explicit"]

SAFETY, LEAST, MOST = 0.9, 0.2, 10.0


class Explicit:
    """The Dormand–Prince method of order 8 with dense output of order 7, in SciPy's coefficients.

    Twelve edge passes a step, three more where the solution between steps is asked for. Steps
    are limited by the fastest neuron long after it has come to rest.

    References
    ----------
    .. [1] E. Hairer, S. P. Nørsett, G. Wanner, "Solving Ordinary Differential Equations I",
       section II.10, Springer (1993). https://doi.org/10.1007/978-3-540-78862-1
    """

    def __init__(self, field: Field, rtol: float, atol: float) -> None:
        from scipy.integrate import DOP853

        self.field = field
        self.rtol, self.atol = rtol, atol
        self.tables = DOP853
        self.table = np.vstack([DOP853.A[1:], DOP853.B])
        self.estimators = np.stack([DOP853.E5, DOP853.E3])
        self.full = field.full if field.drive is None else None  # steps on it are compiled
        self.base = np.zeros_like(field.rates) if field.base is None else field.base

    def start(self, t: float, q: Array) -> Point:
        """Return the point from which to begin at potentials q; two passes."""
        state = self.field.at(q)
        velocity = self.field.velocity(t, state)
        speed = float(np.abs(velocity).max())
        step = self.field.patience(state)
        if speed > 0:
            turn = float(np.abs(self.field.turn(state, velocity / speed)).max())
            step = min(step, 3 * (self.rtol + self.atol) ** 0.125 / max(turn, speed))
        return Point("explicit", t, q[None, :], step, 8, base=self.field.base, state=state)

    def advance(self, point: Point, bound: float) -> tuple[Point, Dense]:
        """Return the next point and the solution up to it."""
        if point.state is None:
            point = replace(point, state=self.field.at(point.q))
        most = MOST
        length = point.step
        while True:
            t = point.t + length
            if t > bound - SLIVER * length:
                t = bound
            require_length(t - point.t, point.t)
            with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
                stages, q, moved = self._stages(point, t)
                error = self._error(stages, t - point.t, point.q, q)
            if error < 1:  # not so where it is not a number
                break
            shrunk = SAFETY * error**-0.125 if np.isfinite(error) else LEAST
            length, most = (t - point.t) * max(LEAST, shrunk), 1.0
        grown = min(most, SAFETY * error**-0.125) if error > 0 else most
        step = (t - point.t) * grown
        strained, base = point.equal_steps, self.field.base
        following = Point("explicit", t, q[None, :], step, 8, strained, base, moved)
        return following, self._between(point, following, stages)

    def _stages(self, point: Point, t: float) -> tuple[Array, Array, State]:
        field, tables, h = self.field, self.tables, t - point.t
        stages = np.empty((13, point.q.size))
        assert point.state is not None
        stages[0] = field.velocity(point.t, point.state)
        if self.full is not None:
            return self._stages_of_full(point, h, stages)
        for k in range(1, 12):
            moved = field.at(point.q + h * _combined(tables.A[k, :k], stages))
            stages[k] = field.velocity(point.t + h * tables.C[k], moved)
        q = point.q + h * _combined(tables.B, stages)
        moved = field.at(q)
        stages[12] = field.velocity(t, moved)
        return stages, q, moved

    def _stages_of_full(self, point: Point, h: float, stages: Array) -> tuple[Array, Array, State]:
        q, state = self._fill(point, h, self.table, 1, stages)
        gain, loss, incoming, outgoing = state
        moved = State(self.field.engine, q - self.base, incoming, outgoing, gain, loss)
        return stages, q, moved

    def _fill(
        self, point: Point, h: float, table: Array, first: int, stages: Array
    ) -> tuple[Array, Array]:
        from graphbal.integrators._kernels import full_stages

        field = self.field
        field.engine.n_passes += len(table)
        return full_stages(self.full, field.rates, point.q, self.base, h, table, first, stages)

    def _error(self, stages: Array, h: float, before: Array, after: Array) -> float:
        """Return the error over the tolerance, at the neuron where it is largest."""
        if self.full is not None:
            from graphbal.integrators._kernels import largest_errors

            fifth, third = largest_errors(
                self.estimators, stages, before, after, self.rtol, self.atol
            )
        else:
            scale = self.atol + self.rtol * np.maximum(np.abs(before), np.abs(after))
            fifth, third = np.abs(_combined(self.estimators, stages) / scale).max(axis=1).tolist()
        if fifth == 0:
            return 0.0
        return h * fifth * (fifth / hypot(fifth, 0.1 * third))

    def _between(self, before: Point, after: Point, stages: Array) -> Dense:
        parts: Array | None = None
        h = after.t - before.t

        def at(t: float) -> Array:
            nonlocal parts
            if parts is None:
                parts = self._polynomial(before, after, stages)
            x = (t - before.t) / h
            q = np.zeros_like(before.q)
            for k, part in enumerate(parts[::-1]):
                q += part
                q *= x if k % 2 == 0 else 1 - x
            return before.q + q

        return at

    def _polynomial(self, before: Point, after: Point, stages: Array) -> Array:
        field, tables, h = self.field, self.tables, after.t - before.t
        stages = np.concatenate([stages, np.empty((3, stages.shape[1]))])
        if self.full is not None:
            self._fill(before, h, tables.A_EXTRA, 13, stages)
        else:
            for k, (a, c) in enumerate(zip(tables.A_EXTRA, tables.C_EXTRA, strict=True), start=13):
                moved = field.at(before.q + h * _combined(a[:k], stages))
                stages[k] = field.velocity(before.t + c * h, moved)
        change = after.q - before.q
        parts = np.empty((7, before.q.size))
        parts[0] = change
        parts[1] = h * stages[0] - change
        parts[2] = 2 * change - h * (stages[12] + stages[0])
        parts[3:] = h * _combined(tables.D, stages)
        return parts


def _combined(coefficients: Array, vectors: Array) -> Array:
    """Return Σ a_k v_k without BLAS, whose threads would go on spinning beside the edge passes'."""
    return np.einsum("...k,kn->...n", coefficients, vectors[: coefficients.shape[-1]])
