"""``graphbal compare``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbal.cli._input import Source, reads_sources
from graphbal.cli._options import Alpha, AsJson, NoFigures, Output, P, Quiet
from graphbal.cli._output import figure_style, save_figure, write_csv, write_json
from graphbal.cli._words import (
    console,
    count,
    fail,
    grid,
    report,
    shows_stages,
    size_lines,
    stage,
    table,
)

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from graphbal.compare import Comparison

_RECORD = "samples.jsonl"
_LARGEST_CSV = 1_000_000  # rows; more go to Parquet
_SIGNIFICANT = 0.05
_COLUMNS = 4  # of null distributions


@reads_sources
def compare_command(
    sources: list[Source],
    output: Output = None,
    p: P = None,
    alpha: Alpha = None,
    null: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Null model, such as rewire or permute_weights; none by default."
        ),
    ] = None,
    n_null: Annotated[
        int, typer.Option(metavar="N", min=1, help="Null networks for each network.")
    ] = 100,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the null networks.")] = 0,
    workers: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Processes; the numbers are the same for any."),
    ] = 1,
    measures: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help="Take these measures; may be repeated. By default most there are.",
        ),
    ] = None,
    no_figures: NoFigures = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure networks side by side and, given a null model, say how far each is from chance.

    Prints a table. With -o DIR, writes comparison.csv, null_values.csv (null_values.parquet above a
    million rows), summary.json and figures as PNG and SVG. What is finished is kept in
    samples.jsonl: after an interruption, the same command goes on.
    """
    shown = shows_stages(quiet)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    with stage("reading", shown):
        from graphbal.compare import comparison

        networks = [(source.name, source.network(p, alpha)) for source in sources]
    try:
        found = comparison(
            networks,
            None if measures is None else [each for text in measures for each in _split(text)],
            null=null,
            n_null=n_null,
            seed=seed,
            workers=workers,
            checkpoint=None if output is None else output / _RECORD,
            progress=shown,
        )
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(_how_to_go_on(output)) from error
    facts = {
        "networks": [
            source.facts(net)
            | {
                "neurons": net.n_neurons,
                "synapses": net.n_synapses,
                "self_connections": net.n_self_connections,
                "p": net.p,
            }
            for source, (_, net) in zip(sources, networks, strict=True)
        ],
        "null": null,
        "n_null": 0 if null is None else n_null,
        "seed": seed,
        "unconverged": found.unconverged.to_dict(orient="records"),
        "comparison": _records(found.table),
    }
    written: list[str] = []
    if output is not None:
        with stage("writing", shown):
            written = _write(found, facts, output, not no_figures)
    report(
        _parts(found, facts),
        facts,
        quiet=quiet,
        as_json=as_json,
        written=written,
        folder=output,
    )
    if len(found.unconverged):
        fail(_unconverged(found))
        raise typer.Exit(3)


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _how_to_go_on(folder: Path | None) -> str:
    """Return what there is to say about an interruption."""
    if folder is None:
        return "interrupted; with -o DIR, what is finished is kept"
    return (
        f"interrupted; {folder / _RECORD} holds what was finished: the same command with "
        f"-o {folder} goes on from there"
    )


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows for programs: JSON knows no NaN."""
    return table.astype(object).where(table.notna(), None).to_dict(orient="records")


def _unconverged(found: Comparison) -> str:
    rows = found.unconverged
    names = ", ".join(rows["network"].unique())
    own = rows[rows["sample"] < 0]["network"]
    which = f" ({', '.join(own)} itself among them)" if len(own) else ""
    return (
        f"not converged: {count(len(rows), 'network')} of {names} and its null networks{which}; "
        "measures of it are NaN and left out"
    )


def _write(found: Comparison, facts: dict[str, Any], folder: Path, figures: bool) -> list[str]:
    """Write everything that came of a comparison; return the names of the files."""
    write_csv(found.table, folder / "comparison.csv")
    written = ["comparison.csv"]
    if facts["null"] is not None:
        written.append(_write_values(found.null_values, folder / "null_values"))
    drawn = _write_figures(found, folder) if figures else []
    write_json(facts, folder / "summary.json")
    return [*written, *drawn, "summary.json"]


def _write_values(values: pd.DataFrame, path: Path) -> str:
    from graphbal.io import replacing

    csv, parquet = path.with_suffix(".csv"), path.with_suffix(".parquet")
    if len(values) <= _LARGEST_CSV:
        write_csv(values, csv)
        parquet.unlink(missing_ok=True)  # of an earlier run
        return csv.name
    with replacing(parquet) as file:
        values.to_parquet(file, index=False)
    csv.unlink(missing_ok=True)
    return parquet.name


def _parts(found: Comparison, facts: dict[str, Any]) -> Iterator[RenderableType]:
    import numpy as np
    from rich.text import Text

    lines = [line for network in facts["networks"] for line in size_lines(network)]
    if facts["null"] is not None:
        lines.append(("null model", f"{facts['null']}, {facts['n_null']:,} for each network"))
    yield grid(*lines)
    names = list(dict.fromkeys(found.table["network"]))
    has_null = facts["null"] is not None
    # As many networks side by side as the lines are long.
    at_once = max((console().width - 36) // (24 if has_null else 14), 1)
    for start in range(0, len(names), at_once):
        shown = names[start : start + at_once]
        yield table("", *_side_by_side(found.table, shown, has_null))
    if has_null:
        tested = found.table["p_adjusted"]
        starred = int(np.count_nonzero(tested < _SIGNIFICANT))
        yield Text(
            "z: distance from the mean of the null networks, in standard deviations; * where the "
            f"adjusted p-value is below {_SIGNIFICANT} ({starred} of {tested.count()})"
        )


def _side_by_side(
    rows: pd.DataFrame, names: list[str], has_null: bool
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return measures by network as text, and the columns that are numbers."""
    import pandas as pd

    columns = {"measure": list(rows["measure"].unique())}
    titles = ["measure"]
    for name in names:
        own = rows[rows["network"] == name]
        columns[f"value of {name}"] = list(own["value"].map("{:.6g}".format))
        titles.append(name)
        if has_null:
            stars = (own["p_adjusted"] < _SIGNIFICANT).map({True: "*", False: " "})
            columns[f"z of {name}"] = list(own["z"].map(_distance) + stars)
            titles.append("z")
    return pd.DataFrame(columns).set_axis(titles, axis=1), tuple(titles[1:])


def _distance(z: float) -> str:
    return "" if z != z else f"{z:+.1f}"


def _write_figures(found: Comparison, folder: Path) -> list[str]:
    from math import ceil

    from matplotlib import pyplot as plt
    from matplotlib.figure import Figure

    from graphbal import plotting

    table, has_null = found.table, len(found.null_values) > 0
    with figure_style():
        grid = plotting.comparison_grid(table, found.null_values if has_null else None)
        names = save_figure(grid.figure, "comparison_grid", folder)
        plt.close(grid.figure)
        if has_null:
            networks = list(table["network"].unique())
            columns = min(len(networks), _COLUMNS)
            rows = ceil(len(networks) / columns)
            figure = Figure(figsize=(3.5 * columns, 3.1 * rows), layout="constrained")
            measure = _foremost(table)
            for at, network in enumerate(networks, start=1):
                ax = figure.add_subplot(rows, columns, at)
                plotting.null_distribution(found.null_values, table, network, measure, ax=ax)
            names += save_figure(figure, "null_distribution", folder)
    return names


def _foremost(table: pd.DataFrame) -> str:
    """Return the measure whose null distribution is drawn."""
    measures = list(table["measure"].unique())
    return "relative_drop" if "relative_drop" in measures else measures[0]
