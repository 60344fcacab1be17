"""``graphbal report``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from graphbal.cli._input import Source, reads_sources
from graphbal.cli._options import Alpha, AsJson, P, Quiet
from graphbal.cli._words import fail, json_text, shows_stages, stage
from graphbal.errors import ConvergenceWarning


@reads_sources
def report_command(
    sources: list[Source],
    context: typer.Context,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The HTML file to write.", show_default=False
        ),
    ],
    p: P = None,
    alpha: Alpha = None,
    null: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Compare with this null model, such as rewire."),
    ] = None,
    n_null: Annotated[
        int, typer.Option("--n-null", metavar="N", help="Number of null networks of each network.")
    ] = 100,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the null networks.")] = 0,
    workers: Annotated[
        int, typer.Option(metavar="N", help="Number of processes that measure null networks.")
    ] = 1,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Heading of the page.")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write one HTML page about a network, or about several side by side.

    The page opens without a network connection: figures that zoom, tables that sort, and what they
    mean in words.
    """
    import warnings

    shown = shows_stages(quiet)
    with stage("reading", shown):
        from graphbal.report import report

        networks = {source.name: source.network(p, alpha) for source in sources}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by message and exit code
        found = report(
            networks,
            output,
            null=null,
            n_null=n_null,
            seed=seed,
            workers=workers,
            progress=shown,
            title=title,
            command=_command_line(context),
        )
    facts = {name: eq.to_dict() for name, eq in found.items()}
    if as_json:
        print(json_text(facts))
    elif not quiet:
        print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)")
    unconverged = [f"{name}: {eq.message}" for name, eq in found.items() if not eq.converged]
    for message in unconverged:
        fail(message)
    if unconverged:
        raise typer.Exit(3)


def _command_line(context: typer.Context) -> str:
    """Return the command as it was given, its sources first."""
    given: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source, value = context.get_parameter_source(name), context.params.get(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        option = max(parameter.opts, key=len)
        values = [str(each) for each in (value if isinstance(value, (list, tuple)) else [value])]
        if parameter.param_type_name == "argument":
            given[:0] = values
        elif value is True:
            given.append(option)
        else:
            given += [word for each in values for word in (option, each)]
    return shlex.join(["graphbal", "report", *given])
