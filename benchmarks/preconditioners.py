"""Iterations of conjugate gradients in a balancing, by preconditioner, as `docs/solvers` lists."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

import graphbal as gb
from benchmarks.harness import Line, beside, price
from benchmarks.sparse import attached, roads
from graphbal import SynapticNetwork, ensembles
from graphbal.ensembles import LogNormal
from graphbal.errors import ConvergenceWarning
from graphbal.solvers import Newton, Problem
from graphbal.solvers.cholesky import Conductances, approximate_cholesky
from graphbal.solvers.laplacian import conjugate_gradients

SIGMAS = (1, 3)  # standard deviations of the log costs
ITERATIONS = 20  # of which the time is taken


def run(quick: bool) -> Iterator[Line]:
    for what, make in _networks(900 if quick else 10_000).items():
        for sigma in SIGMAS:
            net = make(sigma)
            yield _line(f"{what}, sigma {sigma}: Gauss–Seidel", net, Newton("cg"))
            yield _line(f"{what}, sigma {sigma}: multigrid", net, Newton("amg"))
            yield _line(f"{what}, sigma {sigma}: approximate factors", net, Newton("cholesky"))
    for side in () if quick else (316, 1000):
        for sigma in SIGMAS:
            what = f"lattice, sigma {sigma}: approximate factors"
            yield _line(what, _lattice(side, sigma), Newton("cholesky"))
    yield from _prices("lattice", _lattice(60 if quick else 316, 1))
    yield from _prices("preferential attachment", attached(3_000 if quick else 100_000, 3))


def _line(what: str, net: SynapticNetwork, solver: Newton) -> Line:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        eq = gb.balance(net, solver=solver)
    return Line(
        what,
        value=eq.stats["linear_iterations"] if eq.converged else math.inf,
        unit="iterations",
        target=None,
        neurons=net.n_neurons,
        synapses=net.n_synapses,
        seconds=eq.stats["seconds"],
        remark="" if eq.converged else "given up: a system took more than 1,000",
        details={"stats": eq.stats},
    )


def _prices(what: str, net: SynapticNetwork) -> Iterator[Line]:
    """Compare the factors, and an iteration with them, with an iteration with the diagonal."""
    problem = Problem(net.costs, np.zeros(net.n_neurons, dtype=np.int32), 1)
    state = problem.engine().at(np.zeros(net.n_neurons))
    conductances = Conductances(net.costs).at(state)
    factors = approximate_cholesky(conductances).blind_to()

    def iterate(precondition: Callable[[np.ndarray], np.ndarray]) -> None:
        rhs, never = state.incoming - state.outgoing, 0.0
        conjugate_gradients(
            *(state.laplacian_product, rhs, precondition, state.through),
            *(never, never, ITERATIONS),
        )

    timed = beside(
        lambda: iterate(lambda r: r / state.through),
        lambda: iterate(factors),
        lambda: approximate_cholesky(conductances),
        repeats=10,
    )
    names = {"an iteration with factors": 1, "factors": ITERATIONS}
    for (name, of_reference), each in zip(names.items(), timed, strict=True):
        yield price(f"{what}: {name}", "× one with the diagonal", each, net, of_reference)


def _networks(n: int) -> dict[str, Callable[[float], SynapticNetwork]]:
    """Return what makes networks of about n neurons from sigma, by name."""
    side, edge, half = math.isqrt(n), round(n ** (1 / 3)), math.isqrt(n // 2)
    return {
        "lattice": lambda sigma: _lattice(side, sigma),
        "lattice in three dimensions": lambda sigma: _redrawn(_lattice_3d(edge), sigma),
        "chain": lambda sigma: ensembles.chain(n, weights=LogNormal(sigma / 2)),
        "ring": lambda sigma: ensembles.ring(n, weights=LogNormal(sigma / 2)),
        "tree": lambda sigma: ensembles.tree(n, weights=LogNormal(sigma / 2)),
        "planar, as roads are": lambda sigma: _redrawn(roads(n).weights, sigma),
        "preferential attachment": lambda sigma: _redrawn(attached(n, 3).weights, sigma),
        "random": lambda sigma: ensembles.random_network(n, 5, weights=LogNormal(sigma / 2)),
        "two lattices, a thread of 1e-12": lambda sigma: _on_a_thread(half, sigma),
    }


def _lattice(side: int, sigma: float) -> SynapticNetwork:
    return ensembles.lattice(side, side, weights=LogNormal(sigma / 2))


def _lattice_3d(edge: int) -> sparse.csr_array:
    line = sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(edge, edge))
    here = sparse.eye_array(edge)
    terms = [(line, here, here), (here, line, here), (here, here, line)]
    return sparse.csr_array(sum(sparse.kron(a, sparse.kron(b, c)) for a, b, c in terms))


def _on_a_thread(side: int, sigma: float) -> SynapticNetwork:
    """Return two lattices joined both ways at one corner by 1e-12 of their median cost."""
    costs = _lattice(side, sigma).costs
    joint = sparse.coo_array(([1e-12], ([0], [0])), shape=costs.shape)
    both = sparse.csr_array(sparse.block_array([[costs, joint], [joint, costs]]))
    return SynapticNetwork.from_scipy(both, p=1)


def _redrawn(support: sparse.csr_array, sigma: float) -> SynapticNetwork:
    """Return synapses at these places, with log-normal costs."""
    costs = support.copy()
    costs.data = np.random.default_rng(0).lognormal(sigma=sigma, size=costs.nnz)
    return SynapticNetwork.from_scipy(costs, p=1)
