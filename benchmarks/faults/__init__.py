"""Runs in which workers and the driver are killed on purpose, and what comes out of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from benchmarks.faults.kills import SYNAPSES, repetitions
from benchmarks.harness import Line

TOLERANCE = 1e-9


def run(quick: bool) -> Iterator[Line]:
    found = list(repetitions(3 if quick else 20))
    victims = Counter(victim.split()[0] for each in found for victim in each.killed)
    died = " and ".join(f"{count} {victim}s" for victim, count in victims.items())
    yield Line(
        f"{len(found)} runs amid SIGKILL, |Δh|",
        value=max(each.difference for each in found),
        unit="",
        target=TOLERANCE,
        synapses=SYNAPSES,
        remark=f"{died} killed",
        details={"repetitions": [each._asdict() for each in found]},
    )
