"""Following the flow: what is reported of it, where it stops, checkpoints on the way."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from graphbal.engines import State
from graphbal.errors import ConvergenceWarning, InputError
from graphbal.integrators import Dense, Leg, Point
from graphbal.solvers._problem import relative_imbalance
from graphbal.trajectory import Trajectory

__all__ = ["follow", "own_costs"]

Array = NDArray[np.float64]

# Dense output is kept up to so many numbers (256 MiB), of which a step takes up to
DENSE_LIMIT = 2**25
VECTORS_A_STEP = 14
CHECKPOINT_SECONDS = 60.0


def follow(
    so_far: Trajectory,
    end: float,
    progress: bool | Callable[[dict[str, Any]], None] = False,
    checkpoint: str | Path | None = None,
) -> Trajectory:
    """Continue a trajectory to the time `end`; see `flow` and `Trajectory.resume`."""
    record = _Record(so_far, end)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and not path.parent.is_dir():  # rather now than after a minute
        raise InputError(f"the checkpoint {path} has no folder to be written into; make it first")
    saved = time.monotonic()
    try:
        with _reporting(progress, so_far.course.t, end) as report:
            for leg in so_far.course.legs(so_far.point, end):
                reached = record.take(leg)
                if report is not None:
                    report(record.told())
                if reached:
                    break
                if path is not None and time.monotonic() - saved > CHECKPOINT_SECONDS:
                    record.trajectory("Under way").save(path)
                    saved = time.monotonic()
    except BaseException:
        if path is not None and record.rows:
            record.trajectory("Interrupted").save(path)
        raise
    result = record.trajectory("Finished")
    if path is not None:
        result.save(path)
    if result.converged is False:
        warnings.warn(result.message, ConvergenceWarning, stacklevel=3)
    return result


class _Record:
    """What is reported of a flow, leg by leg."""

    def __init__(self, so_far: Trajectory, end: float) -> None:
        self.so_far, self.end = so_far, end
        self.course, self.point = so_far.course, so_far.point
        self.times = so_far.pending
        self.asked = None if self.times is None else self.times.tolist()
        moving = self.course.rates > 0
        self.free = slice(None) if moving.all() else moving
        self.unchanging = float(own_costs(so_far.network.costs).sum())
        self.rows: list[tuple[float, Array, tuple[float, float, float]]] = []
        self.pieces: list[tuple[float, Dense]] | None = []
        self.kept = 0
        self.steps = 0
        self.methods: list[str] = []
        self.edge_passes = self.linear_iterations = 0
        self.reached = False
        self.started = time.perf_counter()

    def take(self, leg: Leg) -> bool:
        """Report what lies on the leg; say whether the network is balanced and all is over."""
        leg, reached = self._cut(leg)
        point = leg.point
        reported = leg.covered([point.t] if self.asked is None else self.asked)
        if reached and point.t not in reported:
            reported.append(point.t)
        for t in reported:
            self._report(leg, t)
        if leg.between is not None:
            self.steps += 1
            self._keep(leg.between, point)
        if point.method not in self.methods:
            self.methods.append(point.method)
        work = leg.field.work
        self.edge_passes, self.linear_iterations = work.edge_passes, work.linear_iterations
        self.reached, self.point = reached, point
        return reached

    def _cut(self, leg: Leg) -> tuple[Leg, bool]:
        """Return the leg up to where the network is balanced, and whether it is."""
        point, until = leg.point, self.course.until
        if until is None or any(jump.t > point.t for jump in self.course.jumps):
            return leg, False
        assert point.state is not None
        least = until * (1 - 1e-9)
        if not leg.closed or self._imbalance(point.state) > least:
            return leg, False
        t, q, state = point.t, point.q, point.state
        if leg.between is not None:
            t = self._crossing(leg, leg.between, least)
            q = leg.between(t)
            state = leg.field.at(q)
        stop = Point(point.method, t, q[None, :], base=point.base, state=state)
        return leg._replace(point=stop, closed=True), True

    def _crossing(self, leg: Leg, between: Dense, least: float) -> float:
        """Return the time on the leg at which the imbalance has come down to `least`."""
        from scipy.optimize import brentq

        def excess(t: float) -> float:
            return self._imbalance(leg.field.at(between(t))) - least

        begin, end = leg.begin, leg.point.t
        if excess(begin) <= 0 or excess(end) >= 0:  # to rounding
            return end
        t: float = brentq(excess, begin, end, xtol=1e-14 * (end - begin))
        return t

    def _report(self, leg: Leg, t: float) -> None:
        q, state = leg.point.q, leg.point.state
        if t != leg.point.t:
            assert leg.between is not None
            q = leg.between(t)
            state = leg.field.at(q)
        assert state is not None
        gradient = float(linalg.norm(state.gradients[self.free], check_finite=False))
        measures = (state.total_cost + self.unchanging, gradient, self._imbalance(state))
        if self.rows and self.rows[-1][0] == t:
            self.rows.pop()
        self.rows.append((t, q / self.so_far.network.p, measures))

    def _imbalance(self, state: State) -> float:
        return relative_imbalance(state.incoming[self.free], state.outgoing[self.free])

    def _keep(self, between: Dense, point: Point) -> None:
        """Keep the polynomial of a step for as long as there is room."""
        self.kept += VECTORS_A_STEP * point.q.size
        if self.pieces is not None:
            self.pieces.append((point.t, between))
        if self.kept > DENSE_LIMIT:
            self.pieces = None

    def told(self) -> dict[str, Any]:
        """Return how far the flow has come, for the progress bar."""
        state = self.point.state
        return {
            "method": self.point.method,
            "t": self.point.t,
            "step": self.point.step,
            "neuron_imbalance": np.nan if state is None else self._imbalance(state),
            "passes": self.so_far.stats["edge_passes"] + self.edge_passes,
        }

    def trajectory(self, how: str) -> Trajectory:
        """Return the trajectory so far."""
        before, point = self.so_far, replace(self.point, state=None)
        rows = [row for row in self.rows if row[0] <= point.t]
        earlier = before.t.size
        if rows and earlier and before.t[-1] == rows[0][0]:
            earlier -= 1
        t = np.concatenate([before.t[:earlier], [row[0] for row in rows]])
        pending = self.times
        if pending is not None and t.size:
            pending = pending[pending > t[-1]]
        stats = before.stats
        methods = [name for name in stats["method"].split(" then ") if name] + self.methods
        until = self.course.until
        return replace(
            before,
            t=t,
            h=np.concatenate([before.h[:earlier], *(row[1][None, :] for row in rows)]),
            measures=np.concatenate([before.measures[:earlier], *([row[2]] for row in rows)]),
            converged=None if until is None else self.reached,
            message=self._message(how),
            stats={
                "method": " then ".join(dict.fromkeys(methods)),
                "steps": stats["steps"] + self.steps,
                "edge_passes": stats["edge_passes"] + self.edge_passes,
                "linear_iterations": stats["linear_iterations"] + self.linear_iterations,
                "seconds": stats["seconds"] + time.perf_counter() - self.started,
            },
            point=point,
            pending=pending,
            pieces=() if self.pieces is None else before.pieces + tuple(self.pieces),
        )

    def _message(self, how: str) -> str:
        t, until = self.point.t, self.course.until
        if self.reached:
            return f"Balanced to {until:.1e} at t = {t:.6g}."
        if t < self.end:
            return f"{how} at t = {t:.6g} of {self.end:.6g}."
        if until is not None:
            return f"Not balanced to {until:.1e} when the end was reached, t = {t:.6g}."
        return f"Finished at t = {t:.6g}."


def own_costs(costs: sparse.csr_array) -> Array:
    """Return the costs of self-connections, by neuron."""
    n = costs.shape[0]
    own: Array = costs.data[:: n + 1] if costs.nnz == n * n else costs.diagonal()
    return own


def _reporting(
    progress: bool | Callable[[dict[str, Any]], None], begin: float, end: float
) -> AbstractContextManager[Callable[[dict[str, Any]], None] | None]:
    if progress is True:
        from graphbal._progress import flow_bar

        return flow_bar(begin, end)
    return nullcontext(progress or None)
