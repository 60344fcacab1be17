"""A network with the statistics of the whole fly brain, in products of a CSR matrix."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import graphbal as gb
from benchmarks.accuracy import neuron_imbalance
from benchmarks.harness import Line, against, fresh, product_of
from graphbal import ensembles

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
