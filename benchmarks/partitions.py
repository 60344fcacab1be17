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
from benchmarks.memory import _status
from graphbal import ensembles
from graphbal.engines import local_engine

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
        folder = Path(name)
        table = net.edges()[["pre", "post", "weight"]].sample(frac=1, random_state=0)
        for k, begin in enumerate(range(0, m, ROWS)):
            table.iloc[begin : begin + ROWS].to_parquet(folder / f"edges-{k}.parquet")
        del table
        eq, measured = _balanced(folder, TOLERANCE)
        expected = gb.balance(net, tol=TOLERANCE)
        in_memory = _pass_of(net)
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
        _write_large(Path(name), n, m)
        eq, measured = _balanced(Path(name), 1e-9)
        large = eq.partitions.facts.synapses
        yield Line(
            f"on disk, {WORKERS} processes of {MEMORY}: a pass, a synapse",
            value=measured["pass"] / large / per_synapse if eq.converged else float("inf"),
            unit="× in memory",
            target=TARGET,
            neurons=n,
            synapses=large,
            seconds=eq.stats["seconds"],
            remark=f"{eq.stats['edge_passes']} passes, neuron imbalance {eq.neuron_imbalance:.1e}, "
            f"workers at most {measured['peak'] / 1e9:.2f} GB",
            details=measured,
        )


def _balanced(folder: Path, tol: float) -> tuple[gb.distributed.PartitionedEquilibrium, dict]:
    """Balance the files in a folder; return what it took besides what the result says."""
    from distributed import default_client

    steps: list[tuple[float, int]] = []

    def note(step: dict[str, Any]) -> None:
        steps.append((time.perf_counter(), step["passes"]))

    with gb.distributed.cluster(workers=WORKERS, memory=MEMORY):
        eq = gb.distributed.balance(folder, tol, progress=note)
        peaks = default_client().run(_status, "VmHWM")
    (begun, first), (ended, last) = steps[0], steps[-1]
    return eq, {
        "pass": (ended - begun) / max(last - first, 1),
        "peak": max(peaks.values()),
        "passes": eq.stats["edge_passes"],
        "seconds": eq.stats["seconds"],
        "history": eq.stats["history"],
    }


def _pass_of(net: gb.SynapticNetwork) -> float:
    engine, q = local_engine(net.costs), np.zeros(net.n_neurons)
    engine.at(q)
    return float(np.median([seconds(engine.at, q)[0] for _ in range(5)]))


def _write_large(folder: Path, n: int, m: int) -> None:
    """Write random synapses between neurons of very different degrees, never all at once."""
    for k, begin in enumerate(range(0, m, ROWS)):
        rng = np.random.default_rng(k)
        rows = min(ROWS, m - begin)
        ends = {name: (n * rng.random(rows) ** 1.5).astype(np.int64) for name in ("pre", "post")}
        weights = rng.integers(1, 50, rows)
        pd.DataFrame({**ends, "weight": weights}).to_parquet(folder / f"edges-{k:03}.parquet")
