"""A table of 15 million rows, from the file to the files, as whole processes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy import neuron_imbalance
from benchmarks.harness import Line, against, child
from graphbal import SynapticNetwork, ensembles

TARGET = 1.5
HERE = Path(__file__).parent
BY_HAND, IN_A_PROGRAM = HERE / "by_hand.py", HERE / "in_a_program.py"


def run(quick: bool) -> Iterator[Line]:
    size = (30_000, 2_000_000) if quick else (139_255, 15_000_000)
    net = ensembles.connectome_like(*size)
    rng = np.random.default_rng(1)
    # Ids as those of FlyWire: 64-bit, in an order that has nothing to do with the network's.
    ids = 720_575_940_000_000_000 + rng.permutation(np.cumsum(rng.integers(1, 10_000, size[0])))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_table(ensembles.connectome_like(20_000, 1_500_000), np.arange(20_000), folder, None)
        _balance_in_a_program(folder)  # compiles what the large one uses
        _draw_too(folder)
        for order, what in ((None, "rows by presynaptic neuron"), (rng, "rows in random order")):
            if quick and order is not None:
                return
            _write_table(net, ids, folder, order)
            child([BY_HAND, folder / "edges.parquet"])  # the file is in the page cache from here on
            for how, balance, potentials, target in WAYS:
                timed = against(
                    prepare=lambda: folder,
                    ours=balance,
                    reference=lambda: child([BY_HAND, folder / "edges.parquet"]),
                    repeats=1 if quick else 3,
                )
                imbalance = _imbalance(net, ids, folder / potentials)
                yield Line(
                    f"Parquet with 64-bit ids, {what}, {how}",
                    value=timed.ratio if imbalance <= 1e-9 else float("inf"),
                    unit="× by hand",
                    target=target,
                    neurons=net.n_neurons,
                    synapses=net.n_synapses,
                    seconds=timed.seconds,
                    reference_seconds=timed.reference_seconds,
                    remark=f"{_written(potentials, folder)}shortest times {timed.best_ratio:.3g}",
                    details=timed.details(),
                )


def _write_table(
    net: SynapticNetwork, ids: np.ndarray, folder: Path, order: np.random.Generator | None
) -> None:
    post = np.repeat(np.arange(net.n_neurons), np.diff(net.weights.indptr))
    pre = net.weights.indices
    rows = np.argsort(pre, kind="stable") if order is None else order.permutation(pre.size)
    table = pd.DataFrame(
        {
            "pre_root_id": ids[pre[rows]],
            "post_root_id": ids[post[rows]],
            "syn_count": net.weights.data[rows].astype(np.int64),
        }
    )
    table.to_parquet(folder / "edges.parquet", index=False)


def _balance_in_a_program(folder: Path) -> None:
    child([IN_A_PROGRAM, folder / "edges.parquet", folder / "potentials.parquet"])


def _balance_from_the_command_line(folder: Path, *options: str) -> None:
    source, output = folder / "edges.parquet", folder / "balanced"
    child(["-m", "graphbal", "balance", source, "-o", output, "--quiet", *options])


def _write_tables_only(folder: Path) -> None:
    _balance_from_the_command_line(folder, "--no-figures")


def _draw_too(folder: Path) -> None:
    _balance_from_the_command_line(folder)


def _imbalance(net: SynapticNetwork, ids: np.ndarray, potentials: Path) -> float:
    """Return the imbalance of the network at the potentials that were written."""
    if potentials.suffix == ".csv":
        table = pd.read_csv(potentials, index_col="neuron")
    else:
        table = pd.read_parquet(potentials)
    return neuron_imbalance(net.weights, 2, table["potential"].loc[ids].to_numpy())


def _written(potentials: str, folder: Path) -> str:
    if not potentials.startswith("balanced/"):
        return ""
    facts = json.loads((folder / "balanced" / "summary.json").read_text())
    written = sum(file.stat().st_size for file in (folder / "balanced").iterdir())
    return f"balance() itself {facts['seconds']:.1f} s; {written / 1e6:,.0f} MB written; "


# How it is run, where the potentials are then, and the target. By hand nothing is drawn.
WAYS = (
    ("in a program", _balance_in_a_program, "potentials.parquet", TARGET),
    ("all tables", _write_tables_only, "balanced/potentials.csv", TARGET),
    ("all tables and figures", _draw_too, "balanced/potentials.csv", None),
)
