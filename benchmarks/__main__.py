"""``python -m benchmarks [NAME ...] [--quick]``: run, print a table, write dated files."""

from __future__ import annotations

import argparse
import json
import math
import os
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.curves import draw
from benchmarks.harness import Line, machine
from graphbal.io import replacing

PARTS = (
    "extremes",
    "connectome",
    "sparse",
    "preconditioners",
    "auto",
    "closed_form",
    "dense",
    "peers",
    "curves",
    "small_graphs",
    "memory",
    "ensembles",
    "modes",
    "flow",
    "simulation",
    "training",
    "reproduce",
    "nulls",
    "endtoend",
    "partitions",
    "scaling",
    "faults",
    "startup",
)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"parts: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer repetitions")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; choose from {', '.join(PARTS)}")

    console = Console(highlight=False, width=None if os.isatty(1) else 160)
    here = machine()
    console.print(", ".join(f"{name} {value}" for name, value in here.items()), soft_wrap=True)
    table = _table("smaller sizes: targets are for the full ones" if chosen.quick else None)
    date, found = datetime.now(UTC), list[tuple[str, Line]]()
    path = RESULTS / f"{date:%Y-%m-%d-%H%M%S}.json"
    for name in chosen.names or PARTS:
        for line in import_module(f"benchmarks.{name}").run(chosen.quick):
            found.append((name, line))
            table.add_row(name, *_cells(line))
            Console(stderr=True, highlight=False).print(f"{name}: {line.what}: {_value(line)}")
        # After each part, so that an hour that is cut short is not lost.
        _write(path, date, here | {"load_after": round(os.getloadavg()[0], 2)}, chosen.quick, found)
    console.print(table)
    held = [line.holds for _, line in found if line.holds is not None]
    console.print(f"{sum(held)} of {len(held)} targets hold")
    if curves := [line for name, line in found if name == "curves"]:
        draw(curves, path)
    print(f"written: {path.relative_to(RESULTS.parent.parent).with_suffix('')}.*")


def _table(caption: str | None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left")
    table.add_column("part")
    table.add_column("what")
    for name in ("neurons", "synapses", "ours", "reference", "value", "target"):
        table.add_column(name, justify="right")
    table.add_column("holds")
    table.add_column("remark")
    return table


def _cells(line: Line) -> list[str]:
    target = "" if line.target is None else f"{'≥' if line.at_least else '≤'} {line.target:,g}"
    return [
        line.what,
        "" if line.neurons is None else f"{line.neurons:,}",
        "" if line.synapses is None else f"{line.synapses:,}",
        _time(line.seconds),
        _time(line.reference_seconds),
        _value(line),
        target,
        {True: "yes", False: "[bold red]NO", None: ""}[line.holds],
        line.remark,
    ]


def _value(line: Line) -> str:
    if 0 < abs(line.value) < 1e-3:
        return f"{line.value:.1e} {line.unit}"
    digits = 0 if abs(line.value) >= 100 else 2 if abs(line.value) < 10 else 1
    return f"{line.value:,.{digits}f} {line.unit}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-6:.3g} µs"


def _write(
    path: Path, date: datetime, here: dict[str, object], quick: bool, found: list[tuple[str, Line]]
) -> None:
    lines = [{"part": name} | asdict(line) | {"holds": line.holds} for name, line in found]
    for line in lines:
        if not math.isfinite(line["value"]):
            line["value"] = None  # not converged; JSON has no infinity
    RESULTS.mkdir(exist_ok=True)
    facts = {"date": f"{date:%Y-%m-%d %H:%M:%S} UTC", "machine": here, "quick": quick}
    with replacing(path) as file:
        file.write(json.dumps(facts | {"lines": lines}, indent=1, default=float).encode() + b"\n")


if __name__ == "__main__":
    main()
