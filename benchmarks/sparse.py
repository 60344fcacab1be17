"""Networks of large diameter or widely different costs: lattices, chains, roads, hubs, threads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from scipy.spatial import Delaunay

import graphbal as gb
from benchmarks.accuracy import neuron_imbalance
from benchmarks.harness import Line, against, fresh, product_of
from graphbal import SynapticNetwork, ensembles
from graphbal.ensembles import LogNormal
from graphbal.solvers import Newton


def run(quick: bool) -> Iterator[Line]:
    gb.balance(ensembles.lattice(200, 200))  # compiles what the large ones use
    gb.balance(ensembles.ring(30_000))
    side, n = (300, 100_000) if quick else (1000, 1_000_000)
    lattice = ensembles.lattice(side, side)
    wide = ensembles.lattice(side, side, weights=LogNormal(1.5))
    cases: tuple[tuple[str, SynapticNetwork, Any, float | None, int], ...] = (
        (f"lattice, {side} x {side}", lattice, "auto", 1000, 3),
        ("the same, approximate Cholesky at once", lattice, Newton("cholesky"), None, 3),
        (f"lattice, {side} x {side}, sigma 3", wide, "auto", 3000, 3),
        ("ring of reciprocal pairs", ensembles.ring(100_000), "auto", 200, 7),
        (f"chain of {n:,} reciprocal pairs", ensembles.chain(n + 1), "auto", 3000, 3),
        ("two lattices on a thread of 1e-12", on_a_thread(side // 2), "auto", 3000, 3),
        ("preferential attachment", attached(n // 10, 3), "auto", 3000, 3),
        ("sparse and planar, as roads are", roads(n // 10), "auto", 3000, 3),
    )
    for what, net, solver, target, repeats in cases:
        timed = against(
            prepare=partial(fresh, net),
            ours=partial(gb.balance, solver=solver),
            reference=product_of(net),
            repeats=repeats,
            calls=25,
        )
        eq = timed.result
        imbalance = neuron_imbalance(net.weights, net.p, eq.potentials.to_numpy())
        yield Line(
            what,
            value=timed.ratio if eq.converged and imbalance <= 1e-9 else float("inf"),
            unit="products",
            target=target,
            neurons=net.n_neurons,
            synapses=net.n_synapses,
            seconds=timed.seconds,
            reference_seconds=timed.reference_seconds,
            remark=f"{eq.stats['why']}; {eq.stats.get('linear_iterations', 0)} linear iterations; "
            f"imbalance {imbalance:.0e}; shortest times {timed.best_ratio:,.4g}",
            details=timed.details() | {"neuron_imbalance": imbalance, "stats": eq.stats},
        )


def on_a_thread(side: int) -> SynapticNetwork:
    """Return two lattices joined by one synapse there and one back, of 1e-12 times their cost."""
    lattice = ensembles.lattice(side, side, p=1).costs
    n = lattice.shape[0]
    there = sparse.coo_array(([3e-12], ([0], [0])), shape=(n, n))
    back = sparse.coo_array(([1e-12], ([1], [n - 1])), shape=(n, n))
    return SynapticNetwork.from_scipy(
        sparse.csr_array(sparse.block_array([[lattice, there], [back, lattice]])), p=1
    )


def attached(n: int, degree: int) -> SynapticNetwork:
    """Return reciprocal pairs that grow by preferential attachment, `degree` with each neuron."""
    rng = np.random.default_rng(0)
    ends = list(range(degree))
    pairs = []
    for new in range(degree, n):
        chosen = {ends[k] for k in rng.integers(len(ends), size=degree)}
        pairs += [(new, old) for old in chosen]
        ends += [*chosen, *[new] * len(chosen)]
    return _reciprocal(np.array(pairs), n)


def roads(n: int) -> SynapticNetwork:
    """Return the shortest tree of random points in the plane, and a seventh of other near pairs."""
    rng = np.random.default_rng(0)
    points = rng.random((n, 2))
    corners = Delaunay(points).simplices.astype(np.int64)
    pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    tree = sparse.csgraph.minimum_spanning_tree(
        sparse.csr_array((lengths, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    ).tocoo()
    more = pairs[rng.random(len(pairs)) < 1 / 7]
    both = np.concatenate([np.column_stack([tree.row, tree.col]), more])
    return _reciprocal(np.unique(np.sort(both, axis=1), axis=0), n)


def _reciprocal(pairs: np.ndarray, n: int) -> SynapticNetwork:
    """Return synapses both ways between these, with log-normal costs of sigma 1."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    costs = np.random.default_rng(1).lognormal(size=len(both))
    return SynapticNetwork.from_scipy(
        sparse.csr_array((costs, (both[:, 0], both[:, 1])), shape=(n, n)), p=1
    )
