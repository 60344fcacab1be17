"""Files that a command writes: each takes the place of an earlier one when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphbal.cli._words import json_text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from matplotlib.figure import Figure

    from graphbal.network import SynapticNetwork

_LARGEST_CSV = 1_000_000  # synapses; more go to Parquet
_ROWS_AT_ONCE = 1 << 20


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table, its index left out."""
    import pyarrow as pa
    from pyarrow import csv

    from graphbal.io import replacing

    columns = {
        str(name): _arrow_labels(table[name]) if table[name].dtype == object else table[name]
        for name in table
    }
    with replacing(path) as file:
        csv.write_csv(pa.table(columns), file)


def write_edges(net: SynapticNetwork, columns: dict[str, Any], path: Path) -> str:
    """Write one row per synapse, a million at a time; return the name of the file.

    `columns` are arrays in the order of the weights. The name ends in .csv or, above a million
    synapses, in .parquet.
    """
    from pyarrow import csv, parquet

    from graphbal.io import replacing

    table, other = path.with_suffix(".csv"), path.with_suffix(".parquet")
    if net.n_synapses > _LARGEST_CSV:
        table, other = other, table
    batches = _batches(net, columns)
    first = next(batches)
    with replacing(table) as file:
        if table.suffix == ".csv":
            writer = csv.CSVWriter(file, first.schema)
        else:
            # Dictionaries only where values repeat nearby, and the ranges only of what somebody may
            # look for. By its name, Arrow writes the file itself; through a Python object it takes
            # twice as long.
            repeating = {"post", "weight", "cost"} & set(first.schema.names)
            writer = parquet.ParquetWriter(
                file.name,
                first.schema,
                use_dictionary=sorted(repeating),
                write_statistics=["pre", "post"],
                compression="none",
                store_schema=False,
            )
        with writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)
    other.unlink(missing_ok=True)  # of an earlier run, about another network
    return table.name


def _batches(net: SynapticNetwork, columns: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table of synapses without ever holding them all."""
    import numpy as np
    import pyarrow as pa

    indptr, indices = net.weights.indptr, net.weights.indices
    labels = _arrow_labels(net.neurons)
    bounds = np.searchsorted(indptr, np.arange(0, indptr[-1] + _ROWS_AT_ONCE, _ROWS_AT_ONCE))
    bounds = np.unique(np.minimum(bounds, net.n_neurons))
    for start, stop in zip([0, *bounds[1:-1]], [*bounds[1:-1], net.n_neurons], strict=True):
        part = slice(indptr[start], indptr[stop])
        post = np.repeat(np.arange(start, stop), np.diff(indptr[start : stop + 1]))
        yield pa.record_batch(
            {
                "pre": labels.take(pa.array(indices[part])),
                "post": labels.take(pa.array(post)),
                **{name: values[part] for name, values in columns.items()},
            }
        )


def _arrow_labels(labels: pd.Index | pd.Series) -> pa.Array:
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
    from matplotlib.figure import Figure

    names = []
    with figure_style():
        for name, plot in plots.items():
            figure = Figure(figsize=(3.5, 3.1), layout="constrained")
            plot(figure.add_subplot())
            names += save_figure(figure, name, folder)
    return names


def figure_style() -> AbstractContextManager[None]:
    """Return the settings that figures are drawn and saved with."""
    from matplotlib import rc_context

    style: Any = {
        "font.size": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "graphbal",  # the same figure, the same file
    }
    return rc_context(style)


def save_figure(figure: Figure, name: str, folder: Path) -> list[str]:
    """Save a figure as PNG and SVG; return the names of the files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    from graphbal.io import replacing

    # By the canvases themselves: `savefig` draws a figure that is laid out twice for each file.
    figure.dpi = 300
    with replacing(folder / f"{name}.png") as file:
        FigureCanvasAgg(figure).print_png(file)
    figure.set_layout_engine("none")
    with replacing(folder / f"{name}.svg") as file:
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    return [f"{name}.png", f"{name}.svg"]
