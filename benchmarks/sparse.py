"""Networks of large diameter: a lattice, and a ring of reciprocal pairs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import graphbal as gb
from benchmarks.accuracy import neuron_imbalance
from benchmarks.harness import Line, against, fresh, product_of
from graphbal import ensembles


def run(quick: bool) -> Iterator[Line]:
    gb.balance(ensembles.lattice(200, 200))  # compiles what the large ones use
    gb.balance(ensembles.ring(30_000))
    side = 300 if quick else 1000
    cases = (
        (f"lattice, {side} x {side}", ensembles.lattice(side, side), 2500, 3),
        ("ring of reciprocal pairs", ensembles.ring(100_000), 200, 7),
    )
    for what, net, target, repeats in cases:
        timed = against(
            prepare=partial(fresh, net),
            ours=gb.balance,
            reference=product_of(net),
            repeats=repeats,
            calls=25,
        )
        eq = timed.result
        imbalance = neuron_imbalance(net.weights, net.p, eq.potentials.to_numpy())
        yield Line(
            what,
            value=timed.ratio if imbalance <= 1e-9 else float("inf"),
            unit="products",
            target=target,
            neurons=net.n_neurons,
            synapses=net.n_synapses,
            seconds=timed.seconds,
            reference_seconds=timed.reference_seconds,
            remark=f"{eq.stats['why']}; imbalance {imbalance:.0e}; "
            f"shortest times {timed.best_ratio:,.4g}",
            details=timed.details() | {"neuron_imbalance": imbalance, "stats": eq.stats},
        )
