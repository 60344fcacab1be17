"""Closed forms at a million neurons, in products of the matrix with a vector."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import graphbal as gb
from benchmarks.accuracy import neuron_imbalance
from benchmarks.harness import Line, against, fresh, product_of
from graphbal import ensembles
from graphbal.solvers import ClosedForm


def run(quick: bool) -> Iterator[Line]:
    solve = partial(gb.balance, solver=ClosedForm())
    solve(ensembles.ring(30_000))  # compiles what the large ones use
    solve(ensembles.chain(30_000))
    n = 100_000 if quick else 1_000_000
    cases = (
        ("ring of reciprocal pairs", ensembles.ring(n), 200),
        ("directed cycle", ensembles.directed_cycle(n), None),
        ("chain of reciprocal pairs", ensembles.chain(n), None),
    )
    for what, net, target in cases:
        timed = against(
            prepare=partial(fresh, net),
            ours=solve,
            reference=product_of(net),
            repeats=7,
            calls=25,
        )
        imbalance = neuron_imbalance(net.weights, net.p, timed.result.potentials.to_numpy())
        yield Line(
            f"{what}, in closed form",
            value=timed.ratio if imbalance <= 1e-9 else float("inf"),
            unit="products",
            target=target,
            neurons=net.n_neurons,
            synapses=net.n_synapses,
            seconds=timed.seconds,
            reference_seconds=timed.reference_seconds,
            remark=f"imbalance {imbalance:.0e}; shortest times {timed.best_ratio:,.4g}",
            details=timed.details() | {"neuron_imbalance": imbalance},
        )
