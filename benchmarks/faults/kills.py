"""Balancing while processes die.

Each repetition balances a table in partitions with two worker processes. At three random moments
SIGKILL is sent to a worker, at a fourth to the driver, whose run is then resumed: two of the four
while partitions are prepared, two during the descent. Whatever happens, every file under its own
name must be whole, and the potentials those of an undisturbed run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import psutil

from graphbal import ensembles

__all__ = ["SYNAPSES", "Repetition", "repetitions"]

SYNAPSES, PARTITIONS = 2_000_000, 12
# Of the time that a stage takes undisturbed: another run's may be over sooner.
LATEST = 0.5


class Repetition(NamedTuple):
    """Who was killed when, and how far potentials then are from those of an undisturbed run."""

    killed: list[str]
    difference: float


def repetitions(number: int, seed: int = 0, n_synapses: int = SYNAPSES) -> Iterator[Repetition]:
    """Balance so many times amid kills at moments drawn from the seed."""
    with tempfile.TemporaryDirectory(prefix="graphbal-faults-") as name:
        folder = Path(name)
        _write_table(folder / "edges", n_synapses)
        assert _start(folder, folder / "first").wait() == 0  # compiles what the others use
        durations = _durations(folder, folder / "calm")
        calm = _potentials(folder / "calm")
        for k in range(number):
            rng = np.random.default_rng([seed, k])
            killed = _run_amid_kills(folder, folder / f"run-{k}", durations, rng)
            difference = (_potentials(folder / f"run-{k}") - calm).abs().max()
            yield Repetition(killed, float(difference))


def _potentials(folder: Path) -> pd.Series:
    return pd.read_parquet(folder / "potentials.parquet")["potential"]


def _write_table(folder: Path, n_synapses: int) -> None:
    folder.mkdir()
    rows = ensembles.connectome_like(n_synapses // 50, n_synapses, seed=0).edges()
    rows = rows[["pre", "post", "weight"]].sample(frac=1, random_state=0)
    for k in range(4):
        rows.iloc[k::4].to_parquet(folder / f"edges-{k}.parquet")


def _start(folder: Path, output: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "graphbal", "balance", str(folder / "edges"), *options]
    command += ["--engine", "dask", "--workers", "2", "--memory", "1GB", "-o", str(output)]
    # Far below what is asked for here, so that two ways to the same potentials can be compared.
    command += ["--partitions", str(PARTITIONS), "--tol", "1e-11", "--quiet"]
    return subprocess.Popen(command)


def _wait_for_work(driver: subprocess.Popen, output: Path) -> None:
    """Wait until there are workers, and files of theirs."""
    while driver.poll() is None:
        if len(_workers(driver)) == 2 and any(output.rglob("*.npy")):
            return
        time.sleep(0.02)


def _wait_for_descent(driver: subprocess.Popen, output: Path) -> None:
    """Wait until all partitions are in tiles, which is the last thing to be done before it."""
    while driver.poll() is None:
        if len({*output.rglob("part-*.costs-tile-values.npy")}) == PARTITIONS:
            return
        time.sleep(0.02)


def _durations(folder: Path, output: Path) -> tuple[float, float]:
    """Return how long an undisturbed run prepares, and how long it descends."""
    driver = _start(folder, output)
    _wait_for_work(driver, output)
    preparing = time.monotonic()
    _wait_for_descent(driver, output)
    descending = time.monotonic()
    assert driver.wait() == 0
    return descending - preparing, time.monotonic() - descending


def _workers(driver: subprocess.Popen) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(driver.pid).children():
        try:
            if any("spawn_main" in word for word in child.cmdline()):
                found.append(child)
        except psutil.Error:  # gone meanwhile
            continue
    return found


def _run_amid_kills(
    folder: Path, output: Path, durations: tuple[float, float], rng: np.random.Generator
) -> list[str]:
    """Run to the end; return who was killed when, in seconds of each stage."""
    victims = iter(rng.permutation(["worker"] * 3 + ["driver"]).tolist())
    killed = []
    driver = _start(folder, output)
    for begun, duration in zip((_wait_for_work, _wait_for_descent), durations, strict=True):
        begun(driver, output)
        before, since = 0.0, time.monotonic()
        for moment in np.sort(rng.uniform(0, LATEST * duration, 2)):
            victim = next(victims)
            while driver.poll() is None and before + time.monotonic() - since < moment:
                time.sleep(0.01)
            while driver.poll() is None and not (workers := _workers(driver)):
                time.sleep(0.01)  # the last one that died is being replaced
            if driver.poll() is not None:
                break
            if victim == "driver":
                driver.kill()
                driver.wait()
                psutil.wait_procs(workers, timeout=30)
                _require_whole(output)
                driver = _start(folder, output, "--resume")
                begun(driver, output)
                _wait_for_work(driver, output)
                before, since = moment, time.monotonic()
            else:
                workers[rng.integers(len(workers))].kill()
            stage = "preparation" if begun is _wait_for_work else "descent"
            killed.append(f"{victim} {moment:.1f} s into {stage}")
    assert driver.wait() == 0, f"the run in {output} failed"
    return killed


def _require_whole(output: Path) -> None:
    """Read every file that bears its own name."""
    for path in output.rglob("*.npy"):
        if not path.name.startswith("shared-"):  # of one pass, read by nobody afterwards
            np.load(path)
    for path in output.rglob("*.parquet"):
        pd.read_parquet(path)
