"""The command line, run within the test."""

from __future__ import annotations

from typer.testing import CliRunner

from graphbal import cli


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def failure(*arguments):
    """Run a command that must fail on its input; return its one line on standard error."""
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr
