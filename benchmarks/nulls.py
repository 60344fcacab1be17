"""Degree-preserving rewiring: attempted swaps a second, beside igraph and NetworkX.

An attempt is a proposal, made or not: a step of graphbal's chain, a trial of igraph's, a try of
NetworkX's. graphbal's time is that of a whole null network, from its prepared sampler: the chain,
the shuffling of weights and the new network. igraph's and NetworkX's are those of the call that
rewires a graph that is already there, without weights, with igraph's own random numbers (those of
Python, its default, take longer).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import networkx as nx
import numpy as np

import graphbal as gb
from benchmarks.harness import Line, against
from graphbal import SynapticNetwork, ensembles, nulls

NETWORKX_TRIES = 20_000
TARGETS = {"igraph": 1, "NetworkX": 20}


def run(quick: bool) -> Iterator[Line]:
    large = ensembles.connectome_like(*((5_000, 100_000) if quick else (50_000, 1_000_000)))
    for what, net, attempts in (
        ("worm", gb.load_dataset("celegans"), 50),
        ("brain-like", large, 3),
    ):
        sampler = nulls.sampler(net, "rewire", attempts=attempts)
        sampler.draw()  # compiles
        n_attempts = attempts * (net.n_synapses - net.n_self_connections)
        mixing = nulls.rewiring_diagnostics(net, attempts=attempts)
        peers = {
            "igraph": (_igraph(net, n_attempts), n_attempts),
            "NetworkX": (_networkx(net), NETWORKX_TRIES),
        }
        for name, (reference, their_attempts) in peers.items():
            timed = against(
                prepare=lambda: None,
                ours=lambda _, sampler=sampler: sampler.draw(),
                reference=reference,
                repeats=3 if quick else 5,
            )
            yield Line(
                f"{what}: attempted swaps a second, {name}",
                value=n_attempts / their_attempts / timed.ratio,
                unit="× as many",
                target=TARGETS[name],
                at_least=True,
                neurons=net.n_neurons,
                synapses=net.n_synapses,
                seconds=timed.seconds / n_attempts,
                reference_seconds=timed.reference_seconds / their_attempts,
                remark=f"times are those of an attempt; {n_attempts:,} of ours, of which "
                f"{mixing.accepted:.0%} were made, and {their_attempts:,} of theirs",
                details=timed.details(),
            )


def _synapses(net: SynapticNetwork) -> np.ndarray:
    weights = net.weights.tocoo()
    apart = weights.row != weights.col
    return np.column_stack([weights.col, weights.row])[apart]


def _igraph(net: SynapticNetwork, n_trials: int) -> Callable[[], None]:
    import igraph

    igraph.set_random_number_generator(None)
    graph = igraph.Graph(n=net.n_neurons, edges=_synapses(net), directed=True)
    return lambda: graph.rewire(n=n_trials, allowed_edge_types="simple")


def _networkx(net: SynapticNetwork) -> Callable[[], None]:
    graph = nx.DiGraph(_synapses(net).tolist())

    def reference() -> None:
        with suppress(nx.NetworkXAlgorithmError):  # which says that not every try was a swap
            nx.directed_edge_swap(graph, nswap=NETWORKX_TRIES, max_tries=NETWORKX_TRIES, seed=0)

    return reference
