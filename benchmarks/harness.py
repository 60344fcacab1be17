"""What every benchmark shares: a line of the table, timing against a reference, the machine."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from graphbal import SynapticNetwork

__all__ = [
    "Comparison",
    "Line",
    "against",
    "beside",
    "child",
    "fresh",
    "machine",
    "price",
    "product_of",
    "seconds",
]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Line:
    """One claim: what was run, what came out, and what it should be.

    Attributes
    ----------
    what : str
        What was run.
    value : float
        The figure that has a target, in units of `unit`.
    target : float or None
        The largest value that is good enough, or the smallest if `at_least`; None: for comparison.
    neurons, synapses : int
        Size of the network.
    seconds, reference_seconds : float
        Our time, and that of the reference in the same run (medians).
    remark : str
        What a reader of the table should know besides.
    details : dict
        Everything else, for the JSON file.
    """

    what: str
    value: float
    unit: str
    target: float | None
    at_least: bool = False
    neurons: int | None = None
    synapses: int | None = None
    seconds: float | None = None
    reference_seconds: float | None = None
    remark: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool | None:
        """Whether the value meets its target; None if there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(frozen=True)
class Comparison:
    """Times of our side and of the reference, and their ratio: medians over the repetitions."""

    ours: list[float]
    reference: list[float]
    result: Any

    @property
    def seconds(self) -> float:
        """Median time of our side."""
        return statistics.median(self.ours)

    @property
    def reference_seconds(self) -> float:
        """Median time of the reference."""
        return statistics.median(self.reference)

    @property
    def ratio(self) -> float:
        """Median of our time over the time of the reference around it."""
        return statistics.median(a / b for a, b in zip(self.ours, self.reference, strict=True))

    @property
    def best_ratio(self) -> float:
        """Ratio of the shortest times: what neighbours on the machine disturb least."""
        return min(self.ours) / min(self.reference)

    def details(self) -> dict[str, Any]:
        """Return all times."""
        return {
            "times": self.ours,
            "reference_times": self.reference,
            "best_ratio": self.best_ratio,
        }


def seconds(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Return how long a call took, and its result."""
    started = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - started, result


def against(
    prepare: Callable[[], Any],
    ours: Callable[[Any], Any],
    reference: Callable[[], Any],
    repeats: int,
    calls: int = 1,
    our_calls: int = 1,
) -> Comparison:
    """Time our side, and the reference right before and right after it, `repeats` times.

    Parameters
    ----------
    prepare : callable
        Makes the argument of `ours`, outside the time taken; a new one for every call.
    calls, our_calls : int
        Calls of which a time is the median, on the side of the reference and on ours.
    """

    def reference_time() -> float:
        return statistics.median(seconds(reference)[0] for _ in range(calls))

    our_times, reference_times, result = [], [], None
    before = reference_time()
    for _ in range(repeats):
        times = []
        for _ in range(our_calls):
            argument, result = prepare(), None
            taken, result = seconds(ours, argument)
            times.append(taken)
        after = reference_time()
        our_times.append(statistics.median(times))
        reference_times.append((before + after) / 2)
        before = after
    return Comparison(our_times, reference_times, result)


def beside(
    reference: Callable[[], Any], *others: Callable[[], Any], repeats: int, calls: int = 1
) -> list[Comparison]:
    """Time each of the others beside the reference, `repeats` times, after a first one of each.

    A time is the shortest of so many calls in a row.
    """
    sides = reference, *others
    for side in sides:
        side()
    times = [
        [min(seconds(side)[0] for _ in range(calls)) for side in sides] for _ in range(repeats)
    ]
    first, *rest = ([*each] for each in zip(*times, strict=True))
    return [Comparison(ours, first, None) for ours in rest]


def price(
    what: str, unit: str, timed: Comparison, net: SynapticNetwork, in_reference: int = 1
) -> Line:
    """Return what something costs, for comparison, in units of which the reference is so many."""
    return Line(
        what,
        value=timed.ratio * in_reference,
        unit=unit,
        target=None,
        neurons=net.n_neurons,
        synapses=net.n_synapses,
        seconds=timed.seconds,
        reference_seconds=timed.reference_seconds / in_reference,
        details=timed.details(),
    )


def fresh(net: SynapticNetwork, p: float | None = None) -> SynapticNetwork:
    """Return a new network on the same arrays that has computed nothing yet."""
    return SynapticNetwork(net.weights, net.neurons, p=net.p if p is None else p)


def product_of(net: SynapticNetwork) -> Callable[[], Any]:
    """Return SciPy's product of the CSR matrix with a vector, one thread: the unit of time."""
    J, x = net.weights, np.random.default_rng(0).standard_normal(net.n_neurons)
    return lambda: J @ x


def child(
    arguments: Sequence[str | Path], environment: dict[str, str] | None = None
) -> tuple[float, str]:
    """Run Python in a process of its own; return the wall time of the whole, and what it printed.

    Raises
    ------
    RuntimeError
        If it fails, with what it said.
    """
    inherited = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=inherited | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    taken = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments[:4]))} failed:\n{done.stderr[-2000:]}")
    return taken, done.stdout


def machine() -> dict[str, Any]:
    """Return cores, model and versions: what a timing depends on."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = (
        *("numpy", "scipy", "numba", "pandas", "pyarrow", "pyamg", "networkx", "matplotlib"),
        *("dask", "jax", "igraph", "cvxpy", "clarabel"),
    )
    return {
        "cores": os.cpu_count(),
        "model": model,
        "memory_gib": round(memory, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: _version(name) for name in packages},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
