"""Progress bars for solvers, the flow and training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["flow_bar", "imbalance_bar", "modes_bar", "steps_bar", "training_bar"]


@contextmanager
def imbalance_bar(tol: float) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show on standard error how far the imbalance has come on its way to `tol`, in decades.

    Yields the callable that `graphbal.balance` reports to. Nothing is drawn if standard error is
    not a terminal.
    """
    text = "imbalance {task.fields[imbalance]:.1e}, {task.fields[passes]} passes"
    with _bar(text) as bar:
        task = bar.add_task("balancing", total=-math.log10(tol), imbalance=1.0, passes=0)

        def report(step: dict[str, Any]) -> None:
            imbalance = step["neuron_imbalance"]
            decades = -math.log10(max(imbalance, tol))
            bar.update(
                task,
                description=step["solver"],
                completed=max(decades, 0.0),
                imbalance=imbalance,
                passes=step["passes"],
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
