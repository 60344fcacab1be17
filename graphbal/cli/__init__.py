"""The command line: a thin layer over the functions of the same names.

Exit codes: 0 done, 1 bad input, 2 wrong usage, 3 done but not as asked (not converged, balance not
reached, a claim that does not hold), 130 interrupted.
Whatever takes time to import is imported where it is used, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from graphbal.cli._words import fail
from graphbal.cli.balance import balance_command
from graphbal.cli.compare import compare_command
from graphbal.cli.datasets import datasets_command
from graphbal.cli.flow import flow_command
from graphbal.cli.modes import modes_command
from graphbal.cli.perturb import perturb_command
from graphbal.cli.report import report_command
from graphbal.cli.reproduce import reproduce_command
from graphbal.cli.topology import topology_command
from graphbal.errors import GraphbalError

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """The commands, whose failures that people can mend are one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (GraphbalError, OSError) as error:
            fail(_sentence(error))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            fail(str(error) or "interrupted; no file was left half written")
            raise typer.Exit(130) from error


app = typer.Typer(
    name="graphbal",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Balance the synapses of a weighted directed graph.",
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "balance": balance_command,
    "topology": topology_command,
    "flow": flow_command,
    "modes": modes_command,
    "perturb": perturb_command,
    "compare": compare_command,
    "report": report_command,
    "reproduce": reproduce_command,
    "datasets": datasets_command,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # Where the terminal cannot show an arrow or a label, a question mark beats a traceback.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from graphbal._version import __version__

        print(f"graphbal {__version__}")
        raise typer.Exit


@app.callback()
def _graphbal(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())
