"""Peak memory above what holds the input, in a process of its own."""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.harness import Line, child

TARGET = 80
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def run(quick: bool) -> Iterator[Line]:
    n, m = (30_000, 2_000_000) if quick else (139_255, 15_000_000)
    if not RESET.exists():
        raise RuntimeError("peak memory is measured through Linux's /proc/self/clear_refs")
    for p in (1, 2):
        measured = json.loads(child(["-m", "benchmarks.memory", str(n), str(m), str(p)])[1])
        yield Line(
            f"peak while balancing, p = {p}",
            value=(measured["peak"] - measured["before"]) / m,
            unit="B/synapse",
            target=TARGET,
            neurons=n,
            synapses=m,
            seconds=measured["seconds"],
            remark=f"input {measured['input'] / m:.0f} bytes per synapse",
            details=measured,
        )


def _balance_and_measure(n: int, m: int, p: float) -> dict[str, float]:
    """Balance a network in this process; return bytes resident before and at the peak."""
    import graphbal as gb
    from graphbal import ensembles

    # Load the libraries and compiled code: their size does not grow with the network.
    gb.balance(ensembles.connectome_like(20_000, 1_500_000, p=p))
    net = ensembles.connectome_like(n, m, p=p)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what was freed but kept would hide what is taken
    RESET.write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    eq = gb.balance(net)
    peak = _status("VmHWM")
    J = net.weights
    held = J.data.nbytes + J.indices.nbytes + J.indptr.nbytes
    return {"before": before, "peak": peak, "input": held, "seconds": eq.stats["seconds"]}


def _status(name: str) -> int:
    """Return an entry of /proc/self/status in bytes."""
    lines = STATUS.read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    print(json.dumps(_balance_and_measure(*map(int, sys.argv[1:]))))
