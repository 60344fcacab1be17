"""``graphbal modes``."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbal.cli._input import Source, labels, reads_source
from graphbal.cli._options import Alpha, AsJson, Fixed, NoFigures, Output, P, Quiet
from graphbal.cli._output import write_csv, write_figures, write_json
from graphbal.cli._words import fail, grid, report, shows_stages, size_lines, stage, table
from graphbal.errors import ConvergenceWarning

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from graphbal.modes import Modes


class Which(StrEnum):
    """The ends of the spectrum by the names that `graphbal.eigenmodes` gives them."""

    SLOW = "slow"
    FAST = "fast"


@reads_source
def modes_command(
    source: Source,
    output: Output = None,
    p: P = None,
    alpha: Alpha = None,
    k: Annotated[int, typer.Option("-k", metavar="N", help="Number of modes.")] = 10,
    which: Annotated[Which, typer.Option(help="Which end of the spectrum.")] = Which.SLOW,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Balance the network first.")
    ] = False,
    fixed: Fixed = None,
    no_figures: NoFigures = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Find the slowest or fastest eigenmodes of the Laplacian, at the network as it is given.

    They are the patterns in which potentials relax, each with its own time constant. Prints a
    table. With -o DIR, writes eigenvalues.csv, modes.csv (a column per mode), summary.json, and two
    figures as PNG and SVG.
    """
    import warnings

    shown = shows_stages(quiet)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    with stage("reading", shown):
        from graphbal.balance import balance
        from graphbal.modes import eigenmodes

        net = source.network(p, alpha)
    clamped = labels(net, fixed) or None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by message and exit code
        eq = balance(net, fixed=clamped, progress=shown) if balanced else None
        state = net if eq is None else eq.network
        modes = eigenmodes(state, k, which.value, fixed=clamped, progress=shown)
    message = modes.message if eq is None else f"{eq.message} {modes.message}"
    facts = source.facts(net) | {
        "neurons": net.n_neurons,
        "synapses": net.n_synapses,
        "self_connections": net.n_self_connections,
        "fixed": len(clamped or ()),
        "p": net.p,
        "balanced": balanced,
        "which": which.value,
        "zero_eigenvalues": modes.n_zero,
        "converged": modes.converged and (eq is None or eq.converged),
        "message": message,
        **modes.stats,
        "modes": _eigenvalues(modes).to_dict(orient="records"),
    }
    written: list[str] = []
    if output is not None:
        with stage("writing", shown):
            written = _write(modes, facts, output, not no_figures)
    report(
        _parts(modes, facts),
        facts,
        quiet=quiet,
        as_json=as_json,
        written=written,
        folder=output,
    )
    if not facts["converged"]:
        fail(facts["message"])
        raise typer.Exit(3)


def _eigenvalues(modes: Modes) -> pd.DataFrame:
    """Return a row per mode, for programs."""
    found = modes.table().reset_index()
    if found["peak"].dtype == object:
        found["peak"] = found["peak"].map(str)
    return found


def _write(modes: Modes, facts: dict[str, Any], folder: Path, figures: bool) -> list[str]:
    """Write everything that is known about the modes; return the names of the files."""
    from graphbal import plotting

    write_csv(_eigenvalues(modes), folder / "eigenvalues.csv")
    write_csv(modes.modes.add_prefix("v").rename_axis("neuron").reset_index(), folder / "modes.csv")
    plots = (plotting.time_constants, plotting.mode_entries) if figures else ()
    drawn = write_figures({plot.__name__: partial(plot, modes) for plot in plots}, folder)
    write_json(facts, folder / "summary.json")
    return ["eigenvalues.csv", "modes.csv", *drawn, "summary.json"]


def _parts(modes: Modes, facts: dict[str, Any]) -> Iterator[RenderableType]:
    import numpy as np

    state = "balanced" if facts["balanced"] else "as given"
    yield grid(
        *size_lines(facts),
        ("modes", f"{len(modes.eigenvalues)} {facts['which']}, of the network {state}"),
        ("λ = 0", f"{modes.n_zero:,}, one for each connected part"),
        ("outcome", facts["message"]),
        ("method", f"{facts['method']}, {facts['seconds']:.3g} s"),
    )
    rows = modes.table().reset_index()
    magnitudes = np.abs(modes.modes.to_numpy())
    rows["peak"] = [
        ", ".join(str(modes.modes.index[at]) for at in np.argsort(-column, kind="stable")[:3])
        for column in magnitudes.T
    ]
    for name, form in (
        ("eigenvalue", "{:.6g}"),
        ("time_constant", "{:.4g}"),
        ("participation", "{:.1f}"),
        ("residual", "{:.0e}"),
    ):
        rows[name] = rows[name].map(form.format)
    rows.columns = ["mode", "λ", "1/(p λ)", "neurons", "residual", "largest at"]
    yield table("", rows, right=("mode", "λ", "1/(p λ)", "neurons", "residual"))
