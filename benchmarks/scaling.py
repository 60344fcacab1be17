"""What balancing in partitions costs: a model, fitted to runs here and checked on another one.

A pass, in seconds, over m synapses of n neurons in P partitions on w workers:

    (a + a' log₂ n/n₀) m / w        each synapse a random access, dearer the more neurons there are
    + b 8 n                         potentials and sums, which each task and the driver handle
    + c P / w                       files of partitions
    + d                             tasks, one for each worker

The preparation (labels, rows, compilation, components) has the same terms but a', and a constant;
the memory of a worker has terms in the rows that a task holds and in the neurons.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from benchmarks.harness import Line
from benchmarks.partitions import ROWS, WORKERS, balanced, write_random

__all__ = ["run"]

TARGET = 0.25
BYTES = 12  # that a pass reads a synapse, at most: a column, a cost, a part of a row
FEW = 50_000  # n₀


class Size(NamedTuple):
    """A run: neurons, synapses, partitions."""

    n: float
    m: float
    parts: float


class Model(NamedTuple):
    """Terms that are summed with coefficients."""

    terms: Callable[[Size], Sequence[float]]
    coefficients: NDArray[np.float64]

    def __call__(self, size: Size) -> float:
        return float(np.dot(self.terms(size), self.coefficients))


FITTED = (
    Size(50_000, 2_000_000, 4),
    Size(50_000, 8_000_000, 8),
    Size(50_000, 8_000_000, 40),
    Size(100_000, 4_000_000, 4),
    Size(200_000, 8_000_000, 8),
    Size(200_000, 32_000_000, 4),
    Size(200_000, 12_000_000, 24),
    Size(500_000, 16_500_000, 16),
    Size(500_000, 32_000_000, 10),
    Size(1_000_000, 33_000_000, 8),
)
PREDICTED = Size(300_000, 24_000_000, 14)
LARGE = Size(1_000_000, 400_000_000, 100)  # that of `partitions`
MOUSE = Size(7e7, 1e11, 0)

# The machines of the extrapolation: cores, a worker each; memory; bytes a second in and out.
CORES, MEMORY, LINK = 32, 256e9, 3e9
TASK = 1e-3  # seconds that Dask's scheduler takes for one
PARTITION = 3.2e7  # synapses: a task that compiles one holds its rows
SIDE = 64  # stretches of neurons in each direction


def run(quick: bool) -> Iterator[Line]:
    shrunk = 10 if quick else 1
    sizes = [Size(size.n // shrunk, size.m // shrunk, size.parts) for size in FITTED]
    runs = [_measured(size) for size in sizes]
    a_pass = _fitted(_pass_terms, sizes, [each["pass"] for each in runs])
    preparation = _fitted(_preparation_terms, sizes, [each["preparation"] for each in runs])
    memory = _fitted(_memory_terms, sizes, [each["peak_preparation"] for each in runs])
    in_pass = _fitted(_pass_memory_terms, sizes, [each["peak_passes"] for each in runs])
    details = {
        "sizes": sizes,
        "runs": runs,
        "pass": a_pass.coefficients.tolist(),
        "preparation": preparation.coefficients.tolist(),
        "memory": memory.coefficients.tolist(),
        "memory_in_passes": in_pass.coefficients.tolist(),
    }
    yield _fit_line("a pass", a_pass, sizes, [each["pass"] for each in runs], details)
    yield _fit_line("preparation", preparation, sizes, [each["preparation"] for each in runs])
    yield _fit_line("memory", memory, sizes, [each["peak_preparation"] for each in runs])

    size = Size(PREDICTED.n // shrunk, PREDICTED.m // shrunk, PREDICTED.parts)
    found = _measured(size)
    total = preparation(size) + found["passes"] * a_pass(size)
    largest = max(memory(size), in_pass(size))
    for what, expected, actual in (
        ("a pass", a_pass(size), found["pass"]),
        ("preparation", preparation(size), found["preparation"]),
        (f"all, {found['passes']} passes", total, found["seconds"]),
    ):
        yield _prediction(what, size, expected, actual)
    yield Line(
        "predicted within: memory of a worker",
        value=abs(largest / found["peak"] - 1),
        unit="",
        target=TARGET,
        neurons=int(size.n),
        synapses=int(size.m),
        remark=f"{found['peak'] / 1e9:.2f} GB, predicted {largest / 1e9:.2f} GB",
    )
    yield Line(
        "predicted: a pass of the large run of `partitions`",
        value=a_pass(LARGE),
        unit="s",
        target=None,
        neurons=int(LARGE.n),
        synapses=int(LARGE.m),
        remark=f"preparation {preparation(LARGE):.0f} s, a worker "
        f"{max(memory(LARGE), in_pass(LARGE)) / 1e9:.2f} GB",
    )
    passes = int(np.median([each["passes"] for each in runs]))
    yield from _mouse(a_pass, preparation, memory, passes)


def _measured(size: Size) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="graphbal-benchmark-") as name:
        write_random(Path(name), int(size.n), int(size.m))
        return balanced(Path(name), 1e-9, int(size.parts))[1]


def _pass_terms(size: Size) -> list[float]:
    n, m, parts = size
    farther = max(math.log2(n / FEW), 0.0)
    return [m / WORKERS, m * farther / WORKERS, 8 * n, parts / WORKERS, 1.0]


def _preparation_terms(size: Size) -> list[float]:
    n, m, parts = size
    return [m / WORKERS, 8 * n, parts / WORKERS, 1.0]


def _memory_terms(size: Size) -> list[float]:
    """Rows that a task holds, of a piece or a partition; neurons; a process without either."""
    return [max(size.m / size.parts, min(size.m, ROWS)), 8 * size.n, 1.0]


def _pass_memory_terms(size: Size) -> list[float]:
    return [size.m / size.parts, 8 * size.n, 1.0]


def _fitted(
    terms: Callable[[Size], Sequence[float]], sizes: list[Size], values: list[float]
) -> Model:
    """Fit coefficients, none of them negative, by least squares of the relative errors."""
    rows = np.array([terms(size) for size in sizes]) / np.array(values)[:, None]
    scale = rows.max(axis=0)
    scale[scale == 0] = 1.0
    coefficients, _ = nnls(rows / scale, np.ones(len(values)))
    return Model(terms, coefficients / scale)


def _fit_line(
    what: str,
    model: Model,
    sizes: list[Size],
    values: list[float],
    details: dict[str, Any] | None = None,
) -> Line:
    errors = [model(size) / value - 1 for size, value in zip(sizes, values, strict=True)]
    return Line(
        f"fitted to {len(sizes)} runs: {what}, largest error",
        value=float(np.abs(errors).max()),
        unit="",
        target=None,
        remark=", ".join(f"{coefficient:.2g}" for coefficient in model.coefficients),
        details=details or {},
    )


def _prediction(what: str, size: Size, expected: float, actual: float) -> Line:
    return Line(
        f"predicted within: {what}",
        value=abs(expected / actual - 1),
        unit="",
        target=TARGET,
        neurons=int(size.n),
        synapses=int(size.m),
        seconds=actual,
        reference_seconds=expected,
        remark=f"{size.parts:.0f} partitions",
    )


def _mouse(a_pass: Model, preparation: Model, memory: Model, passes: int) -> Iterator[Line]:
    """Extrapolate: as it is, and with the potentials in partitions as well."""
    n, m, _ = MOUSE
    # As it is, each task has the potentials of all neurons. In a square of blocks, one for each
    # pair of stretches of neurons, it needs those of two stretches alone.
    whole, blocks = Size(n, m, m / PARTITION), Size(2 * n / SIDE, m, SIDE**2)
    machines = math.ceil(m * BYTES / (0.5 * MEMORY))  # whose caches hold what a pass reads
    for name, size in (("potentials whole", whole), (f"{SIDE} × {SIDE} blocks", blocks)):
        needed = memory(size)
        each = max(min(CORES, int(0.5 * MEMORY / needed)), 1)
        workers = min(machines * each, int(size.parts))
        tasks = min(workers, int(size.parts))
        sums = 8 * size.n * (tasks if size is whole else size.parts)
        access, farther, handled, file, once = a_pass.coefficients
        steps = {
            "synapses": (access + farther * math.log2(size.n / FEW)) * m / workers,
            "potentials and sums": handled * 8 * size.n,
            "network": sums / (machines * LINK) + math.log(tasks, 4) * 8 * size.n / LINK,
            "files and tasks": file * size.parts / workers + once + TASK * tasks,
        }
        seconds = sum(steps.values())
        rows, labels, part, start = preparation.coefficients
        before = rows * m / workers + labels * 8 * n + part * size.parts / workers + start
        yield Line(
            f"extrapolated: a mouse brain, {name}",
            value=(before + passes * seconds) / 3600,
            unit="hours",
            target=None,
            neurons=int(n),
            synapses=int(m),
            seconds=seconds,
            remark=f"{machines} machines, {workers} workers of {needed / 1e9:.1f} GB, "
            f"{size.parts:,.0f} partitions, preparation {before:.0f} s, {passes} passes of "
            + ", ".join(f"{key} {value:.1f} s" for key, value in steps.items())
            + f"; {sums / 1e9:.0f} GB of sums",
            details={"steps": steps, "preparation": before, "memory": needed, "sums": sums},
        )
