"""A network with the statistics of the whole fly brain, in products of a CSR matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from unittest import mock

import numpy as np

import graphbal as gb
from benchmarks.accuracy import neuron_imbalance
from benchmarks.harness import Line, against, beside, fresh, price, product_of
from graphbal import SynapticNetwork, ensembles
from graphbal.engines.local import by_rows, in_tiles
from graphbal.solvers import Newton, Problem
from graphbal.solvers.acceleration import half_log_ratio, strongest

TARGET = 15


def run(quick: bool) -> Iterator[Line]:
    gb.balance(ensembles.connectome_like(20_000, 1_500_000))  # compiles what the large one uses
    size = (30_000, 2_000_000) if quick else (139_255, 15_000_000)
    net = ensembles.connectome_like(*size)
    for p in (1, 2):
        timed = against(
            prepare=partial(fresh, net, p),
            ours=gb.balance,
            reference=product_of(net),
            repeats=3 if quick else 7,
            calls=5,
        )
        eq = timed.result
        imbalance = neuron_imbalance(net.weights, p, eq.potentials.to_numpy())
        yield Line(
            f"connectome-like, p = {p}",
            value=timed.ratio if imbalance <= 1e-9 else float("inf"),
            unit="products",
            target=TARGET,
            neurons=net.n_neurons,
            synapses=net.n_synapses,
            seconds=timed.seconds,
            reference_seconds=timed.reference_seconds,
            remark=f"{eq.stats['edge_passes']} edge passes, {eq.stats['iterations']} steps; "
            f"imbalance {imbalance:.0e}; shortest times {timed.best_ratio:.3g}",
            details=timed.details() | {"neuron_imbalance": imbalance, "p": p, "stats": eq.stats},
        )
        yield _without_acceleration(fresh(net, p))
    yield _preconditioner(net)
    yield from _tiles(net)


def _without_acceleration(net: SynapticNetwork) -> Line:
    """Count the passes of Newton's method and conjugate gradients from the start."""
    with mock.patch("graphbal.solvers.newton.CROWDED", math.inf):
        eq = gb.balance(net, solver=Newton("cg"))
    return Line(
        f"Newton's method without acceleration, p = {net.p:g}",
        value=eq.stats["edge_passes"] if eq.converged else math.inf,
        unit="passes",
        target=None,
        neurons=net.n_neurons,
        synapses=net.n_synapses,
        seconds=eq.stats["seconds"],
        details={"stats": eq.stats},
    )


def _preconditioner(net: SynapticNetwork) -> Line:
    """Compare the preconditioner of the strongest synapses with a pass."""
    problem = Problem(net.costs, np.zeros(net.n_neurons, dtype=np.int32), 1, net.cost_range)
    engine = problem.engine()
    state = engine.at(np.zeros(net.n_neurons))
    u, strong = half_log_ratio(state), strongest(problem, state)
    (timed,) = beside(lambda: engine.at(u), lambda: strong.products(u, u), repeats=20)
    return price("the preconditioner by the strongest synapses, p = 1", "passes", timed, net)


def _tiles(net: SynapticNetwork) -> Iterator[Line]:
    """Compare a pass in tiles, and cutting the edges into these, with a pass by rows."""
    x, y = np.random.default_rng(0).standard_normal((2, net.n_neurons))
    by_row, cut = by_rows(net.costs), partial(in_tiles, net.costs, net.cost_range[1])
    tiles = cut()
    # Several in a row, as a solver makes them: a part of what passes may still be in a cache.
    one, made = beside(lambda: by_row(x, y), lambda: tiles.products(x, y), cut, repeats=10, calls=5)
    yield price("a pass in tiles, p = 1", "passes by rows", one, net)
    yield price("cutting into tiles, p = 1", "passes by rows", made, net)
