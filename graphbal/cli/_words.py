"""What a command says, to people and to programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, RenderableType
    from rich.table import Table


def report(
    parts: Iterable[RenderableType],
    facts: Any,
    *,
    quiet: bool,
    as_json: bool,
    written: Iterable[str] = (),
    folder: Path | None = None,
) -> None:
    """Print the facts as JSON, or else, unless all is quiet, the parts and what was written."""
    if as_json:
        print(json_text(facts))
    elif not quiet:
        lines = console()
        for part in parts:
            lines.print(part)
        if folder is not None:
            lines.print(f"wrote {', '.join(written)} into {folder}", markup=False)


def size_lines(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the lines about the network and what became of its rows."""
    sizes = f"{count(facts['neurons'], 'neuron')}, {count(facts['synapses'], 'synapse')}"
    yield "network", f"{facts['source']}: {sizes}"
    if own := facts["self_connections"]:
        yield "", f"{count(own, 'self-connection')} among them: cost, but never change"
    done = {
        "repeated": ("row", "summed with an earlier one of the same pair"),
        "zeros": ("synapse", "dropped: weight zero"),
        "below_threshold": ("synapse", "dropped: weight below the minimum"),
        "self_connections": ("self-connection", "dropped"),
        "outside_subset": ("synapse", "dropped: a partner is not among the neurons kept"),
    }
    for name, (noun, words) in done.items():
        if number := facts["intake"][name]:
            yield "", f"{count(number, noun)} {words}"


def component_lines(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the line about strong components and fixed neurons."""
    fixed = f", {count(facts['fixed'], 'neuron')} fixed" if facts["fixed"] else ""
    yield "components", f"{facts['components']:,} strongly connected{fixed}"


def count(number: int, noun: str) -> str:
    """Return a number and its noun."""
    plural = noun if number == 1 else noun + "s"
    return f"{number:,} {plural}"


def grid(*lines: tuple[str, str]) -> Table:
    """Return lines of a name and a text."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, text in lines:
        grid.add_row(Text(name, style="bold"), Text(text))
    return grid


def table(title: str, rows: pd.DataFrame, right: tuple[str, ...] = ()) -> RenderableType:
    """Return a table under its title; the columns named in `right` are numbers."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in rows:
        table.add_column(str(name), justify="right" if name in right else "left", overflow="fold")
    for row in rows.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in row))
    return Group(Text(title, style="bold"), table) if title else table


def console() -> Console:
    """Return standard output."""
    from rich.console import Console

    # Into a file or a pipe, lines are as long as they need to be.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def stage(text: str, shown: bool) -> AbstractContextManager[Any]:
    """Say on a terminal's standard error what is being done."""
    if not shown:
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)


def shows_stages(quiet: bool) -> bool:
    """Tell whether somebody watches standard error."""
    return sys.stderr.isatty() and not quiet


def json_text(facts: Any) -> str:
    """Return facts as JSON."""
    return json.dumps(facts, indent=2)


def fail(message: str) -> None:
    """Say on standard error what went wrong."""
    print(f"Error: {message}", file=sys.stderr)
