"""``graphbal reproduce``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbal.cli._options import AsJson, Quiet
from graphbal.cli._words import fail, report, shows_stages, stage, table
from graphbal.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from graphbal.figures import Reproduction


def reproduce_command(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="fig1, fig2, fig3, fig4, fig5, or all.", show_default=False
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Write the figure into this folder; of several, each into a folder in it.",
            show_default=False,
        ),
    ],
    preset: Annotated[
        str,
        typer.Option(
            metavar="PRESET",
            help="How much to compute: quick, standard, or paper (of fig4, a minute, a few "
            "minutes, or the exact recipe of the paper).",
        ),
    ] = "standard",
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of what is drawn at random, from 0.")
    ] = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw the figures of the paper anew, and check what their captions state.

    Prints the claims with the values measured in this run. Writes each figure and each of its
    panels as PNG and SVG, the data they show as CSV, and claims.json.
    """
    shown = shows_stages(quiet)
    with stage("starting", shown):
        from graphbal.figures import FIGURES, LONG, reproduce

    wanted = list(FIGURES) if "all" in names else list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in FIGURES]
    if unknown:
        raise InputError(
            f"there is no figure {unknown[0]!r} to reproduce; give {', '.join(FIGURES)}, or all"
        )
    reproductions = []
    for name in wanted:
        folder = output if len(wanted) == 1 else output / name
        # A long one has progress bars of its own.
        with stage(f"reproducing {name}", shown and name not in LONG):
            reproductions.append(reproduce(name, folder, preset=preset, seed=seed, progress=shown))
    facts = {each.name: each.claims.to_dict(orient="records") for each in reproductions}
    report(_parts(reproductions), facts, quiet=quiet, as_json=as_json)
    failed = sum(int((~each.claims["holds"]).sum()) for each in reproductions)
    if failed:
        fail(f"{failed} claim(s) do not hold")
        raise typer.Exit(3)


def _parts(reproductions: list[Reproduction]) -> Iterator[RenderableType]:
    from rich.text import Text

    for each in reproductions:
        rows = each.claims.copy()
        for name in ("measured", "expected"):
            rows[name] = rows[name].map(_short)
        rows["holds"] = rows["holds"].map({True: "yes", False: "no"})
        yield table(each.name, rows)
        yield Text(f"wrote {len(each.files)} files into {each.files[0].parent}")


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
