"""A thousand NetworkX graphs of 50 neurons, one after the other: what a call costs in a program."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
import numpy as np

import graphbal as gb
from benchmarks import generic
from benchmarks.accuracy import neuron_imbalance
from benchmarks.harness import Line, fresh, seconds
from graphbal import SynapticNetwork

N, DEGREE = 50, 8


def run(quick: bool) -> Iterator[Line]:
    graphs = [_graph(seed) for seed in range(100 if quick else 1000)]
    networks = [gb.as_network(graph) for graph in graphs]
    gb.equilibrium_potentials(graphs[0])  # compiles
    # In turn, graph by graph, as calls in a program meet cold caches.
    calls = (
        lambda graph, net: gb.equilibrium_potentials(graph),
        lambda graph, net: gb.balance(net),
        lambda graph, net: gb.balance(graph),
        lambda graph, net: gb.as_network(graph),
    )
    potentials, alone, whole, reading = np.array(
        [
            [seconds(call, graph, untouched)[0] for call in calls]
            for graph, net in zip(graphs, networks, strict=True)
            for untouched in [fresh(net)]
        ]
    ).T
    size = {"neurons": N, "synapses": int(np.mean([net.n_synapses for net in networks]))}
    what = f"{len(graphs):,} graphs"
    yield Line(
        f"{what}: balance(net)",
        1e3 * float(np.median(alone)),
        "ms",
        target=1,
        seconds=float(np.median(alone)),
        remark=f"all in {alone.sum():.2g} s; of a graph {1e3 * np.median(whole):.2g} ms, of which "
        f"reading {1e3 * np.median(reading):.2g} ms",
        details={"times": alone.tolist(), "of_graphs": whole.tolist(), "reading": reading.tolist()},
        **size,
    )
    for of, reference, target in (("graph", whole, 2), ("net", alone, None)):
        yield Line(
            f"{what}: equilibrium_potentials(graph) against balance({of})",
            float(np.median(potentials / reference)),
            "× its time",
            target=target,
            seconds=float(np.median(potentials)),
            reference_seconds=float(np.median(reference)),
            remark="reading the graph included" if of == "graph" else "which is read already",
            details={"times": potentials.tolist(), "reference_times": reference.tolist()},
            **size,
        )
    yield _against_lbfgs(what, networks, 10 if quick else 100, size)


def _against_lbfgs(
    what: str, networks: list[SynapticNetwork], count: int, size: dict[str, int]
) -> Line:
    """Compare with SciPy's L-BFGS-B, network by network, on what has a finite equilibrium."""
    chosen = [net for net in networks if gb.topology(net).is_balanceable][:count]
    ours, theirs, worst = [], [], np.zeros(2)
    for net in chosen:
        taken, eq = seconds(gb.balance, fresh(net))
        attempts = [generic.lbfgs(net.weights, net.p, log) for log in (False, True)]
        attempt = min(attempts, key=lambda each: each.seconds)
        ours.append(taken)
        theirs.append(attempt.seconds)
        found = (attempt.potentials, eq.potentials.to_numpy())
        reached = [neuron_imbalance(net.weights, net.p, h) for h in found]
        worst = np.maximum(worst, reached)
    return Line(
        f"{what}: balance(net) against L-BFGS-B",
        float(np.median(np.array(theirs) / ours)) if worst[1] <= 1e-9 else 0.0,
        "× as fast",
        target=10,
        at_least=True,
        seconds=float(np.median(ours)),
        reference_seconds=float(np.median(theirs)),
        remark=f"{len(chosen)} of them, cost or log cost, whichever is faster; "
        f"theirs to {worst[0]:.0e}, ours to {worst[1]:.0e}",
        details={"times": ours, "reference_times": theirs},
        **size,
    )


def _graph(seed: int) -> nx.DiGraph:
    graph = nx.gnp_random_graph(N, DEGREE / (N - 1), seed=seed, directed=True)
    weights = np.random.default_rng(seed).lognormal(0, 0.5, graph.number_of_edges())
    for (_, _, edge), weight in zip(graph.edges(data=True), weights.tolist(), strict=True):
        edge["weight"] = weight
    return graph
