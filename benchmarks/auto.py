"""The default against every single choice of a solver, on networks of every kind."""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import graphbal as gb
from benchmarks.extremes import wide_network
from benchmarks.harness import Line, fresh
from benchmarks.sparse import attached, roads
from graphbal import SynapticNetwork, ensembles
from graphbal.ensembles import LogNormal
from graphbal.errors import ConvergenceWarning, InputError
from graphbal.solvers import ClosedForm, Newton, Osborne

TARGET = 1.5
REPEATS = 5
HOPELESS = 3.0  # times the default's time at which a choice is given up, if it tells of its steps
# Neurons, and synapses, above which a choice is not tried: it takes minutes and tells of no steps.
LARGEST = {
    "factorisation": (1_000, 10**6),
    "Osborne": (20_000, 10**7),
    "multigrid": (10**6, 500_000),
    "approximate factors": (10**6, 500_000),
}
ALL = (10**6, 10**7)

CHOICES = {
    "conjugate gradients": Newton("cg"),
    "multigrid": Newton("amg"),
    "approximate factors": Newton("cholesky"),
    "factorisation": Newton("direct"),
    "Osborne": Osborne(),
    "closed form": ClosedForm(),
}


def run(quick: bool) -> Iterator[Line]:
    warnings.simplefilter("ignore", ConvergenceWarning)
    for what, make in _networks(10 if quick else 1).items():
        net = make()
        _times(net, "auto", 1)  # compiles
        limit = HOPELESS * _times(net, "auto", REPEATS) + 0.05
        times = {
            name: _times(net, solver, REPEATS, limit)
            for name, solver in CHOICES.items()
            if net.n_neurons <= LARGEST.get(name, ALL)[0]
            and net.n_synapses <= LARGEST.get(name, ALL)[1]
        }
        best = min(times, key=times.__getitem__)
        ours, reference = _alternating(net, CHOICES[best], times[best])
        yield Line(
            what,
            value=ours / reference,
            unit="× the best",
            target=TARGET,
            neurons=net.n_neurons,
            synapses=net.n_synapses,
            seconds=ours,
            reference_seconds=reference,
            remark=f"best: {best}",
            details={"times": {name: t for name, t in times.items() if t < math.inf}},
        )


def _networks(shrink: int) -> dict[str, Callable[[], SynapticNetwork]]:
    n, side = 50_000 // shrink, math.isqrt(50_000 // shrink)
    return {
        "the worm": lambda: gb.load_dataset("celegans"),
        "random, 20 neurons": lambda: ensembles.random_network(20, 5),
        "random, 64 neurons": lambda: ensembles.random_network(64, 8),
        "random, 300 neurons, sigma 3": lambda: ensembles.random_network(
            300, 8, weights=LogNormal(1.5)
        ),
        "random, 1,000 neurons": lambda: ensembles.random_network(1_000, 31),
        "random, 10,000 neurons": lambda: ensembles.random_network(10_000, 30),
        "connectome-like": lambda: ensembles.connectome_like(20_000 // shrink, 1_500_000 // shrink),
        "lattice, sigma 1": lambda: ensembles.lattice(side, side, weights=LogNormal(0.5)),
        "lattice, sigma 3": lambda: ensembles.lattice(side, side, weights=LogNormal(1.5)),
        "ring": lambda: ensembles.ring(n, weights=LogNormal(0.5)),
        "chain": lambda: ensembles.chain(n, weights=LogNormal(0.5)),
        "preferential attachment": lambda: attached(n, 3),
        "planar, as roads are": lambda: roads(n),
        "costs from 1e-200 to 1e200": lambda: wide_network(500, 5, 0),
    }


class _HopelessError(Exception):
    """A choice takes much longer than the default."""


def _times(net: SynapticNetwork, solver: object, repeats: int, limit: float = math.inf) -> float:
    """Return the median time of balancing, or infinity where it does not, or is hopeless."""
    times: list[float] = []
    for _ in range(repeats):
        argument, begun = fresh(net), time.perf_counter()

        def watch(step: dict[str, Any], begun: float = begun) -> None:
            if time.perf_counter() - begun > limit:
                raise _HopelessError

        try:
            eq = gb.balance(argument, solver=solver, progress=watch)
        except (InputError, _HopelessError):  # no closed form, or too long
            return math.inf
        if not eq.converged:
            return math.inf
        times.append(time.perf_counter() - begun)
        if times[-1] > limit:
            break
    return statistics.median(times)


def _alternating(net: SynapticNetwork, best: object, taken: float) -> tuple[float, float]:
    """Return the times of the default and of the best choice, which take turns."""
    repeats = max(REPEATS, round(0.2 / taken))
    pairs = [(_times(net, "auto", 1), _times(net, best, 1)) for _ in range(repeats)]
    ours, reference = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(reference)
