"""Networks in partitions, on two Dask processes of 2 GB: as in memory, and beyond it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import graphbal as gb
from benchmarks.harness import Line, seconds
from benchmarks.memory import RESET, _status
from graphbal import ensembles
from graphbal.engines import Engine, local_engine
from graphbal.engines.dask import DaskEngine

__all__ = ["balanced", "run", "write_random", "write_table"]

TARGET = 5.0
SAME = 1e-9
WORKERS, MEMORY = 2, "2GB"
ROWS = 4_000_000  # of a file
# Potentials are known to ten times the tolerance; two ways to them are compared to `SAME`.
TOLERANCE = 1e-11


def run(quick: bool) -> Iterator[Line]:
    n, m = (30_000, 2_000_000) if quick else (139_255, 15_000_000)
    net = ensembles.connectome_like(n, m)
    with tempfile.TemporaryDirectory(prefix="graphbal-benchmark-") as name:
        write_table(Path(name), net)
        eq, measured = balanced(Path(name), TOLERANCE)
        expected = gb.balance(net, tol=TOLERANCE)
        in_memory = _pass_of(local_engine(net.costs))
        difference = float(np.abs(eq.h - expected.h).max())
        yield Line(
            f"{WORKERS} processes against one, |Δh|",
            value=difference if eq.converged else float("inf"),
            unit="",
            target=SAME,
            neurons=n,
            synapses=m,
            seconds=eq.stats["seconds"],
            reference_seconds=expected.stats["seconds"],
            remark=f"{len(eq.partitions.parts)} partitions",
            details=measured,
        )
        yield Line(
            "a pass, of which in memory",
            value=measured["pass"] / in_memory,
            unit="× in memory",
            target=TARGET,
            neurons=n,
            synapses=m,
            seconds=measured["pass"],
            reference_seconds=in_memory,
        )
    del net, expected
    n, m = (200_000, 20_000_000) if quick else (1_000_000, 400_000_000)
    per_synapse = in_memory / eq.partitions.facts.synapses
    with tempfile.TemporaryDirectory(prefix="graphbal-benchmark-") as name:
        write_random(Path(name), n, m)
        eq, measured = balanced(Path(name), 1e-9)
        large = eq.partitions.facts.synapses
        yield Line(
            f"on disk, {WORKERS} processes of {MEMORY}: a pass, a synapse",
            value=measured["pass"] / large / per_synapse if eq.converged else float("inf"),
            unit="× in memory",
            target=TARGET,
            neurons=n,
            synapses=large,
            seconds=measured["pass"],
            reference_seconds=per_synapse * large,
            remark=f"balanced in {eq.stats['seconds']:.0f} s and {eq.stats['edge_passes']} passes "
            f"of {eq.stats['bytes_per_pass'] / 1e9:.1f} GB, neuron imbalance "
            f"{eq.neuron_imbalance:.1e}, workers at most {measured['peak'] / 1e9:.2f} GB",
            details=measured,
        )


def balanced(folder: Path, tol: float, npartitions: int | None = None) -> tuple[Any, dict]:
    """Balance the files in a folder; return what it took besides what the result says.

    Seconds of a pass (the median of nine), and until the first step; peaks of a worker's memory
    before the first step, and after.
    """
    from distributed import default_client

    begun = time.perf_counter()
    prepared: list[tuple[float, int]] = []

    def note(step: dict[str, Any]) -> None:
        if not prepared:
            peaks = default_client().run(_status, "VmHWM")
            prepared.append((time.perf_counter() - begun, max(peaks.values())))
            default_client().run(RESET.write_text, "5")  # the peak starts anew

    with gb.distributed.cluster(workers=WORKERS, memory=MEMORY):
        begun = time.perf_counter()
        eq = gb.distributed.balance(folder, tol, npartitions=npartitions, progress=note)
        costs = "kept" if eq.vanishing_synapses else "costs"
        taken = _pass_of(DaskEngine(eq.partitions, costs))
        peak = max(default_client().run(_status, "VmHWM").values())
    preparation, before = prepared[0]
    return eq, {
        "pass": taken,
        "preparation": preparation,
        "peak": max(peak, before),
        "peak_preparation": before,
        "peak_passes": peak,
        "partitions": len(eq.partitions.parts),
        "passes": eq.stats["edge_passes"],
        "bytes_per_pass": eq.stats["bytes_per_pass"],
        "seconds": eq.stats["seconds"],
        "history": eq.stats["history"],
    }


def write_table(folder: Path, net: gb.SynapticNetwork) -> None:
    """Write the synapses of a network in random order, `ROWS` to a file."""
    table = net.edges()[["pre", "post", "weight"]].sample(frac=1, random_state=0)
    for k, begin in enumerate(range(0, len(table), ROWS)):
        table.iloc[begin : begin + ROWS].to_parquet(folder / f"edges-{k:03}.parquet")


def _pass_of(engine: Engine) -> float:
    q = np.zeros(engine.n)
    engine.at(q)
    return float(np.median([seconds(engine.at, q)[0] for _ in range(9)]))


def write_random(folder: Path, n: int, m: int) -> None:
    """Write random synapses between neurons of very different degrees, never all at once.

    Weights are real numbers, so that nothing is stored in fewer than 64 bits.
    """
    for k, begin in enumerate(range(0, m, ROWS)):
        rng = np.random.default_rng(k)
        rows = min(ROWS, m - begin)
        ends = {name: (n * rng.random(rows) ** 1.5).astype(np.int64) for name in ("pre", "post")}
        weights = rng.lognormal(size=rows)
        pd.DataFrame({**ends, "weight": weights}).to_parquet(folder / f"edges-{k:03}.parquet")
