"""How far a solution over partitions has come: bytes, and a forecast of the time it still takes."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from graphbal._progress import _bar
from graphbal.distributed._problem import PartitionedProblem

__all__ = ["reporting"]

_Report = Callable[[dict[str, Any]], None]

# Steps whose pace tells how long the rest takes.
_RECENT = 5


@contextmanager
def reporting(
    progress: bool | _Report, tol: float, problem: PartitionedProblem
) -> Iterator[_Report | None]:
    """Yield what a solver reports to: nothing, a bar, or the given callable told more."""
    if progress is True:
        with _partitions_bar(tol) as report:
            yield _forecast(report, tol, problem)
    else:
        yield _forecast(progress, tol, problem) if progress else None


def _forecast(report: _Report, tol: float, problem: PartitionedProblem) -> _Report:
    """Add bytes read and moved, and the seconds left if the imbalance goes on falling as it does.

    A pass reads all partitions, writes two numbers a neuron for them, and gets one from each.
    """
    read = problem.bytes_per_pass
    moved = 8 * problem.n * (2 + len(problem.partitions.parts))
    recent: deque[tuple[float, float]] = deque(maxlen=_RECENT + 1)

    def told(step: dict[str, Any]) -> None:
        decades = math.log10(max(step["neuron_imbalance"] / tol, 1.0))
        recent.append((time.monotonic(), decades))
        (begun, before), (now, _) = recent[0], recent[-1]
        left = decades * (now - begun) / (before - decades) if before > decades else None
        passes = step["passes"]
        report(
            step
            | {"bytes_read": passes * read, "bytes_moved": passes * moved}
            | {"seconds_left": left if decades else 0.0}
        )

    return told


@contextmanager
def _partitions_bar(tol: float) -> Iterator[_Report]:
    """Show on standard error how far the imbalance has come on its way to `tol`, in decades."""
    text = (
        "imbalance {task.fields[imbalance]:.1e}, {task.fields[passes]} passes, "
        "{task.fields[gigabytes]:.3g} GB, {task.fields[left]} left after"
    )
    with _bar(text) as bar:
        task = bar.add_task(
            "balancing", total=-math.log10(tol), imbalance=1.0, passes=0, gigabytes=0.0, left="?"
        )

        def report(step: dict[str, Any]) -> None:
            imbalance, left = step["neuron_imbalance"], step["seconds_left"]
            bar.update(
                task,
                description=step["solver"],
                completed=max(-math.log10(max(imbalance, tol)), 0.0),
                imbalance=imbalance,
                passes=step["passes"],
                gigabytes=(step["bytes_read"] + step["bytes_moved"]) / 1e9,
                left="?" if left is None else f"{left:.0f} s",
            )

        yield report
