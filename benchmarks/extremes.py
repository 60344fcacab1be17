"""Accuracy on every kind of network, judged from outside, and agreement between the solvers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

import graphbal as gb
from benchmarks.accuracy import neuron_imbalance
from benchmarks.harness import Line, seconds
from graphbal import SynapticNetwork, ensembles
from graphbal.solvers import ClosedForm, Newton, Osborne


def run(quick: bool) -> Iterator[Line]:
    largest = 10_000 if quick else 1_000_000
    side = int(largest**0.5)
    for p in (1, 2, 4):
        yield _worst(f"every dataset, p = {p}", [gb.load_dataset(d, p=p) for d in _datasets()])
    sizes = (2, 3, 10, 100, 1_000, 10_000)
    for sigma in (1.0, 3.0):
        spread = ensembles.LogNormal(sigma / 2)
        random = [ensembles.random_network(n, min(8, n - 1), weights=spread, seed=n) for n in sizes]
        yield _worst(f"random, 2 to 10,000 neurons, σ = {sigma:g}", random)
        yield _worst("ring", [ensembles.ring(largest, weights=spread)], sigma)
        yield _worst("chain", [ensembles.chain(largest, weights=spread)], sigma)
        yield _worst("directed cycle", [ensembles.directed_cycle(largest, weights=spread)], sigma)
        yield _worst("lattice", [ensembles.lattice(side, side, weights=spread)], sigma)
    wide = [wide_network(n, degree, n) for n, degree in ((3, 1), (20, 2), (100, 4), (500, 5))]
    yield _worst("costs from 1e-200 to 1e200, 3 to 500 neurons", wide)
    joined = [two_clusters(n, 1e-12, bridge) for n in (10, 100, 400) for bridge in (True, False)]
    yield _worst("two dense clusters joined by 1e-12", joined)

    yield _agreement("random", random[:5])
    yield _agreement("rings and chains", [f(n) for f in SPARSE for n in (10, 100)])
    yield _agreement("two clusters", joined)
    yield _agreement("costs from 1e-200 to 1e200", wide)


SPARSE: tuple[Callable[[int], SynapticNetwork], ...] = (
    ensembles.ring,
    ensembles.chain,
    ensembles.directed_cycle,
)


def wide_network(n: int, degree: int, seed: int) -> SynapticNetwork:
    """Return a strongly connected network with costs log-uniform between 1e-200 and 1e200."""
    rng = np.random.default_rng(seed)
    around = rng.permutation(n)
    post = np.concatenate([around, rng.integers(0, n, n * degree)])
    pre = np.concatenate([np.roll(around, 1), rng.integers(0, n, n * degree)])
    keys = np.unique((post * n + pre)[post != pre])
    costs = 10.0 ** rng.uniform(-200, 200, keys.size)
    return gb.as_network(sparse.csr_array((costs, np.divmod(keys, n)), shape=(n, n)), p=1)


def two_clusters(n: int, thread: float, bridge: bool) -> SynapticNetwork:
    """Return two dense clusters of n neurons joined by one weak synapse each way.

    Both between the same two neurons (`bridge`), or between different ones.
    """
    rng = np.random.default_rng(n)
    costs = rng.lognormal(size=(2 * n, 2 * n))
    costs[:n, n:] = costs[n:, :n] = 0
    np.fill_diagonal(costs, 0)
    costs[0, n] = 3 * thread
    costs[(n, 0) if bridge else (n + 1, 1)] = thread
    return gb.as_network(costs, p=1)


def _datasets() -> list[str]:
    return gb.list_datasets()["name"].tolist()


def _worst(what: str, networks: list[SynapticNetwork], sigma: float | None = None) -> Line:
    found = [seconds(gb.balance, net) for net in networks]
    worst = max(
        neuron_imbalance(net.weights, net.p, eq.potentials.to_numpy())
        for net, (_, eq) in zip(networks, found, strict=True)
    )
    converged = all(eq.converged for _, eq in found)
    last = networks[-1]
    return Line(
        what if sigma is None else f"{what}, σ = {sigma:g}",
        value=worst if converged else float("inf"),
        unit="imbalance",
        target=1e-9,
        neurons=last.n_neurons,
        synapses=last.n_synapses,
        seconds=sum(taken for taken, _ in found),
        remark=f"{len(networks)} network(s); {found[-1][1].stats['why']}",
    )


def _agreement(what: str, networks: list[SynapticNetwork]) -> Line:
    """Compare the potentials of all solvers that converge with those of dense Newton."""
    worst, compared, left_out = 0.0, 0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gb.ConvergenceWarning)
        for net in networks:
            reference = gb.balance(net, solver=Newton("direct")).potentials
            for solver in (Newton(), Newton("cg"), Newton("amg"), Osborne(), Osborne("random")):
                eq = gb.balance(net, solver=solver)
                compared, left_out = compared + eq.converged, left_out + (not eq.converged)
                if eq.converged:
                    worst = max(worst, float((eq.potentials - reference).abs().max()))
            try:
                closed = gb.balance(net, solver=ClosedForm()).potentials
            except gb.InputError:
                continue
            compared += 1
            worst = max(worst, float((closed - reference).abs().max()))
    return Line(
        f"solvers agree: {what}",
        value=worst,
        unit="in h",
        target=1e-7,
        remark=f"{compared} results compared; {left_out} said that they had not converged",
    )
