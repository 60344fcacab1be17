"""Files that a command writes: each takes the place of an earlier one when it is complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphbal.cli._words import json_text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table, its index left out."""
    import pyarrow as pa
    from pyarrow import csv

    from graphbal.io import replacing

    columns = {
        str(name): arrow_labels(table[name]) if table[name].dtype == object else table[name]
        for name in table
    }
    with replacing(path) as file:
        csv.write_csv(pa.table(columns), file)


def arrow_labels(labels: pd.Index | pd.Series) -> pa.Array:
    """Return labels as a column: numbers and text as they are, anything else as it is printed."""
    import pyarrow as pa

    if labels.dtype == object and not all(isinstance(label, str) for label in labels):
        return pa.array([str(label) for label in labels])
    return pa.array(labels)


def write_json(facts: dict[str, Any], path: Path) -> None:
    """Write facts as JSON."""
    from graphbal.io import replacing

    with replacing(path) as file:
        file.write(json_text(facts).encode() + b"\n")


def write_figures(plots: dict[str, Callable[[Any], Any]], folder: Path) -> list[str]:
    """Let each plot draw on axes of its own, as PNG and SVG; return the names of the files."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from graphbal.io import replacing

    names = []
    style: Any = {
        "font.size": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "graphbal",  # the same figure, the same file
    }
    with rc_context(style):
        for name, plot in plots.items():
            figure = Figure(figsize=(3.5, 3.1), layout="constrained")
            plot(figure.add_subplot())
            for suffix, metadata in (("png", None), ("svg", {"Date": None})):
                names.append(f"{name}.{suffix}")
                with replacing(folder / names[-1]) as file:
                    figure.savefig(file, format=suffix, dpi=300, metadata=metadata)
                figure.set_layout_engine("none")  # laid out once is enough
    return names
