"""The paper's figures, from the command line: how long one waits for each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from benchmarks.harness import Line, child


def run(quick: bool) -> Iterator[Line]:
    for name in ("fig1", "fig2", "fig3", "fig5"):
        yield _line(name, target=60)
    if not quick:
        yield _line("fig4", "--preset", "quick", target=60)


def _line(*arguments: str, target: float) -> Line:
    with tempfile.TemporaryDirectory() as folder:
        taken, _ = child(["-m", "graphbal", "reproduce", *arguments, "-o", folder, "--quiet"])
    return Line(f"graphbal reproduce {' '.join(arguments)}", taken, "s", target, seconds=taken)
