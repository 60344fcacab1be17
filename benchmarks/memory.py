"""Peak memory above the input, foretold or not, and how it grows; processes of their own."""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Line, child

if TYPE_CHECKING:
    from graphbal import SynapticNetwork

TARGET = 80
GROWTH, LARGEST = 1.5, 48  # from a million to a hundred million synapses
PREDICTED = 1.25
KINDS = ("connectome-like", "random", "lattice", "preferential attachment", "chain")
REPEATS = 5
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
    yield from _growth(quick)
    yield from _prediction(quick)


def _growth(quick: bool) -> Iterator[Line]:
    """Balance networks of 108 synapses a neuron, a decade apart."""
    sizes = (1_000_000, 4_000_000) if quick else (1_000_000, 10_000_000, 100_000_000)
    first = None
    for m in sizes:
        n = round(m * 139_255 / 15_000_000)
        measured = json.loads(child(["-m", "benchmarks.memory", str(n), str(m), "1"])[1])
        each = measured["seconds"] / m
        first = first or each
        about = f"{measured['passes']} passes; {1e9 * each:.3g} ns a synapse"
        at_end = m == sizes[-1]
        yield Line(
            f"time a synapse, {m:,} synapses, p = 1",
            value=each / first,
            unit="of a million's",
            target=GROWTH if at_end else None,
            neurons=n,
            synapses=m,
            seconds=measured["seconds"],
            remark=about,
            details=measured,
        )
        yield Line(
            f"peak of the process, {m:,} synapses, p = 1",
            value=(measured["peak"] - measured["libraries"]) / m,
            unit="B/synapse",
            target=LARGEST if at_end else None,
            neurons=n,
            synapses=m,
            remark="input included, libraries not",
        )


def _prediction(quick: bool) -> Iterator[Line]:
    """Compare the peak with what was predicted, on networks that are balanced in all ways."""
    for what in KINDS:
        arguments = ["-m", "benchmarks.memory", what, *(["--quick"] if quick else [])]
        measured = json.loads(child(arguments)[1])
        taken, predicted = measured["peak"] - measured["before"], measured["predicted"]
        yield Line(
            f"peak against its prediction, {what}",
            value=max(taken / predicted, predicted / taken),
            unit="× apart",
            target=PREDICTED,
            neurons=measured["neurons"],
            synapses=measured["synapses"],
            remark=f"{taken / 1e6:.0f} MB, predicted {predicted / 1e6:.0f}; {measured['why']}",
            details=measured,
        )


def _kind(what: str, quick: bool) -> tuple[SynapticNetwork, SynapticNetwork]:
    """Return a network of a kind, and a small one for which the same code is compiled."""
    from benchmarks.sparse import attached
    from graphbal import ensembles
    from graphbal.ensembles import LogNormal

    spread, shrink = LogNormal(0.5), 5 if quick else 1
    sizes, make = {
        "connectome-like": (
            (15_000_000 // shrink, 1_500_000),
            lambda m: ensembles.connectome_like(m * 139 // 15_000, m, p=1),
        ),
        "random": ((100_000, 40_000), lambda n: ensembles.random_network(n, 30)),
        "lattice": (
            (1000 // shrink, 300),
            lambda side: ensembles.lattice(side, side, weights=spread),
        ),
        "preferential attachment": ((300_000 // shrink, 30_000), lambda n: attached(n, 3)),
        "chain": ((1_000_000 // shrink, 10_000), lambda n: ensembles.chain(n, weights=spread)),
    }[what]
    large, small = sizes
    return make(large), make(small)


def _balance_kind(what: str, quick: bool) -> dict[str, Any]:
    """Balance a network of a kind in this process; return its peak, and what was predicted."""
    import graphbal as gb

    net, small = _kind(what, quick)
    gb.balance(small)
    del small
    before = _trimmed()
    RESET.write_text("5")
    eq = gb.balance(net)
    peak = _status("VmHWM")
    made = 0 if net.costs.data is net.weights.data else net.costs.data.nbytes
    return {
        "before": before,
        "peak": peak,
        "predicted": eq.stats["predicted_bytes"] + made,
        "neurons": net.n_neurons,
        "synapses": net.n_synapses,
        "why": eq.stats["why"],
    }


def _balance_and_measure(n: int, m: int, p: float) -> dict[str, float]:
    """Balance a network in this process; return bytes resident before and at the peak."""
    import graphbal as gb
    from benchmarks.harness import fresh
    from graphbal import ensembles

    # Load the libraries and compiled code: their size does not grow with the network.
    gb.balance(ensembles.connectome_like(20_000, 1_500_000, p=p))
    libraries = _trimmed()
    net = ensembles.connectome_like(n, m, p=p)
    before = _trimmed()
    RESET.write_text("5")  # the peak starts anew
    eq = gb.balance(net)
    peak = _status("VmHWM")
    J = net.weights
    stats = [eq.stats] + [gb.balance(fresh(net)).stats for _ in range(REPEATS - 1)]
    return {
        "libraries": libraries,
        "before": before,
        "peak": peak,
        "input": J.data.nbytes + J.indices.nbytes + J.indptr.nbytes,
        "seconds": median(each["seconds"] for each in stats),
        "passes": eq.stats["edge_passes"],
    }


def _trimmed() -> int:
    """Return the resident bytes without what was freed but kept, which would hide what is taken."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def _status(name: str) -> int:
    """Return an entry of /proc/self/status in bytes."""
    lines = STATUS.read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    if sys.argv[1] in KINDS:
        print(json.dumps(_balance_kind(sys.argv[1], "--quick" in sys.argv)))
    else:
        print(json.dumps(_balance_and_measure(*map(int, sys.argv[1:]))))
