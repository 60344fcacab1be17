"""Progress bars for solvers, the flow and training, and a forecast of what is left."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["balancing", "flow_bar", "modes_bar", "steps_bar", "training_bar"]

_Report = Callable[[dict[str, Any]], None]

# Steps whose pace tells how much is left.
_RECENT = 5


@contextmanager
def balancing(
    progress: bool | _Report, tol: float, bytes_per_pass: Callable[[], dict[str, int]]
) -> Iterator[_Report | None]:
    """Yield what a solver reports to: nothing, a bar, or the given callable told more.

    `bytes_per_pass` returns what a pass reads or moves, by the name it is told under. The bar is
    on standard error, and nothing is drawn if that is not a terminal.
    """
    if progress is True:
        with _imbalance_bar(tol) as report:
            yield _forecast(report, tol, bytes_per_pass())
    else:
        yield _forecast(progress, tol, bytes_per_pass()) if progress else None


def _forecast(report: _Report, tol: float, bytes_per_pass: dict[str, int]) -> _Report:
    """Add bytes, and passes and seconds left if the imbalance goes on falling as in the last steps.

    They are None where it does not fall.
    """
    recent: deque[tuple[float, int, float]] = deque(maxlen=_RECENT + 1)

    def told(step: dict[str, Any]) -> None:
        passes = step["passes"]
        decades = math.log10(max(step["neuron_imbalance"] / tol, 1.0))
        recent.append((time.monotonic(), passes, decades))
        (begun, first, before), (now, _, _) = recent[0], recent[-1]
        left: dict[str, float | None] = {"passes_left": None, "seconds_left": None}
        if decades == 0:
            left = {"passes_left": 0, "seconds_left": 0.0}
        elif before > decades:
            rest = decades / (before - decades)
            left["passes_left"] = round(rest * (passes - first))
            left["seconds_left"] = rest * (now - begun)
        report(step | {name: passes * each for name, each in bytes_per_pass.items()} | left)

    return told


@contextmanager
def _imbalance_bar(tol: float) -> Iterator[_Report]:
    """Show how far the imbalance has come on its way to `tol`, in decades."""
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
                gigabytes=(step["bytes_read"] + step.get("bytes_moved", 0)) / 1e9,
                left="?" if left is None else f"{left:.0f} s",
            )

        yield report


@contextmanager
def flow_bar(begin: float, end: float) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show on standard error how far the flow has come, in the logarithm of time.

    Yields the callable that `graphbal.flow` reports to. Nothing is drawn if standard error is not
    a terminal.
    """
    text = (
        "t = {task.fields[t]:.3g}, imbalance {task.fields[imbalance]:.1e} "
        "{task.fields[passes]} passes"
    )
    first = 0.0
    with _bar(text) as bar:
        task = bar.add_task("flow", total=1.0, t=begin, imbalance=1.0, passes=0)

        def report(step: dict[str, Any]) -> None:
            nonlocal first
            gone = step["t"] - begin
            first = first or gone
            decades = math.log1p((end - begin) / first) if first else 1.0
            bar.update(
                task,
                description=step["method"],
                completed=math.log1p(gone / first) / decades if first else 0.0,
                t=step["t"],
                imbalance=step["neuron_imbalance"],
                passes=step["passes"],
            )

        yield report


@contextmanager
def modes_bar(tol: float) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show on standard error how far the residual has come on its way to `tol`, in decades.

    Yields the callable that `graphbal.eigenmodes` reports to. Nothing is drawn if standard error
    is not a terminal.
    """
    text = "residual {task.fields[residual]:.1e}, {task.fields[products]} products"
    with _bar(text) as bar:
        task = bar.add_task("eigenmodes", total=-math.log10(tol), residual=1.0, products=0)

        def report(step: dict[str, Any]) -> None:
            decades = -math.log10(max(step["residual"], tol))
            bar.update(task, completed=max(decades, 0.0), **step)

        yield report


@contextmanager
def training_bar(n_iterations: int) -> Iterator[Callable[[int, float], None]]:
    """Show on standard error how many iterations are done, and the loss.

    Yields the callable that `graphbal.rnn.train` reports to. Nothing is drawn if standard error is
    not a terminal.
    """
    text = "{task.completed:.0f} of {task.total:.0f} iterations, loss {task.fields[loss]:.4g}"
    with _bar(text) as bar:
        task = bar.add_task("training", total=n_iterations, loss=math.nan)

        def report(done: int, loss: float) -> None:
            bar.update(task, completed=done, loss=loss)

        yield report


@contextmanager
def steps_bar(description: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Show on standard error how many of so many like steps are done; of None, it is not known.

    Yields the callable to call after each. Nothing is drawn if standard error is not a terminal.
    """
    of = "" if total is None else " of {task.total:.0f}"
    with _bar("{task.completed:.0f}" + of) as bar:
        task = bar.add_task(description, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def _bar(text: str) -> Iterator[Any]:
    """Show a bar between the description of its task and a text."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(text),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield bar
