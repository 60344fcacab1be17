"""What a process takes to start, and the first run on a machine that has compiled nothing."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Line, child


def run(quick: bool) -> Iterator[Line]:
    repeats = 5 if quick else 15
    pairs = [
        (child(["-c", "import numpy"])[0], child(["-c", "import graphbal"])[0])
        for _ in range(repeats)
    ]
    yield Line(
        "import graphbal, beyond import numpy",
        value=1000 * statistics.median(ours - numpy for numpy, ours in pairs),
        unit="ms",
        target=150,
        seconds=statistics.median(ours for _, ours in pairs),
        reference_seconds=statistics.median(numpy for numpy, _ in pairs),
        details={"pairs": pairs},
    )
    times = [child(["-c", "from graphbal import balance"])[0] for _ in range(repeats)]
    yield _line("from graphbal import balance", times, target=None)
    times = [child(["-m", "graphbal", "--help"])[0] for _ in range(repeats)]
    yield _line("graphbal --help", times, target=0.5)

    first, second = [], []
    for _ in range(1 if quick else 3):
        with tempfile.TemporaryDirectory() as scratch:
            # Nothing compiled, no fonts listed, as on a machine that never saw the package.
            empty = {"NUMBA_CACHE_DIR": f"{scratch}/numba", "MPLCONFIGDIR": f"{scratch}/matplotlib"}
            command: list[str | Path] = [
                "-m",
                "graphbal",
                "balance",
                "celegans",
                "-o",
                Path(scratch, "worm"),
            ]
            first.append(child(command, empty)[0])
            second += [child(command, empty)[0] for _ in range(3)]
    yield _line("graphbal balance celegans -o DIR, first run", first, target=10)
    yield _line("graphbal balance celegans -o DIR, second run", second, target=3)


def _line(what: str, times: list[float], target: float | None) -> Line:
    middle = statistics.median(times)
    return Line(what, middle, "s", target, seconds=middle, details={"times": times})
