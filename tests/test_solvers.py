import itertools

import mpmath
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import exact_neuron_imbalance

import graphbal as gb
from graphbal import ensembles
from graphbal.solvers import Auto, ClosedForm, Newton, Osborne, dense
from graphbal.solvers._elimination import elimination_order, star_mesh

NEWTONS = [Newton("cg"), Newton("amg"), Newton("direct"), Newton("cholesky")]


def two_clusters(n, thread, reciprocal, seed=0):
    """Two dense clusters joined by a pair of synapses, between the same neurons or not."""
    rng = np.random.default_rng(seed)
    costs = rng.lognormal(size=(2 * n, 2 * n))
    costs[:n, n:] = costs[n:, :n] = 0
    np.fill_diagonal(costs, 0)
    costs[0, n] = 3 * thread
    costs[(n, 0) if reciprocal else (n + 1, 1)] = thread
    return gb.SynapticNetwork.from_scipy(costs, p=1)


def wide_network(n, mean_degree, seed, decades=200):
    """Return a strongly connected network with costs log-uniform over 2 × `decades` decades."""
    rng = np.random.default_rng(seed)
    around = rng.permutation(n)
    rows = np.concatenate([around, rng.integers(0, n, n * mean_degree)])
    columns = np.concatenate([np.roll(around, 1), rng.integers(0, n, n * mean_degree)])
    keep = np.unique(rows * n + columns)
    keep = keep[keep // n != keep % n]
    costs = 10.0 ** rng.uniform(-decades, decades, keep.size)
    matrix = sp.csr_array((costs, (keep // n, keep % n)), shape=(n, n))
    return gb.SynapticNetwork.from_scipy(matrix, p=1)


# ------------------------------------------------------------------ accuracy, checked from outside


@pytest.mark.parametrize("p", [1, 2, 4])
@pytest.mark.parametrize("name", gb.list_datasets()["name"])
def test_every_dataset_is_balanced_to_1e9_in_extended_precision(name, p):
    net = gb.load_dataset(name, p=p)
    eq = gb.balance(net)
    assert eq.converged
    components = eq.topology.components.to_numpy()
    assert exact_neuron_imbalance(net, eq.potentials, components) <= 1e-9


NETWORKS = {
    "two neurons": lambda: ensembles.random_network(2, 1, weights=ensembles.LogNormal(1)),
    "random 10": lambda: ensembles.random_network(10, 3),
    "random 300": lambda: ensembles.random_network(300, 10, weights=ensembles.LogNormal(1.5)),
    "random 3,000": lambda: ensembles.random_network(3_000, 3),
    "random 10,000": lambda: ensembles.random_network(10_000, 20, weights=ensembles.LogNormal(1)),
    "ring 30": lambda: ensembles.ring(30),
    "ring 50,000": lambda: ensembles.ring(50_000, weights=ensembles.LogNormal(1.5)),
    "one-way ring 1,000": lambda: ensembles.directed_cycle(1_000, weights=ensembles.LogNormal(1.5)),
    "chain 20,000": lambda: ensembles.chain(20_000, weights=ensembles.LogNormal(1.5)),
    "lattice 40 × 50": lambda: ensembles.lattice(40, 50),
    "lattice 50 × 50": lambda: ensembles.lattice(50, 50, weights=ensembles.LogNormal(1.5)),
    "dense 200": lambda: ensembles.dense_gaussian(200),
    "wide 30": lambda: wide_network(30, 3, 0),
    "wide 200": lambda: wide_network(200, 4, 1),
    "clusters": lambda: two_clusters(60, 1e-12, False),
    "bridge": lambda: two_clusters(60, 1e-12, True),
}


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_auto_balances_every_topology_to_1e9_in_extended_precision(name, p):
    net = NETWORKS[name]().with_cost(p=p)
    if p == 2 and name.startswith("wide"):
        net = net.with_weights(np.sqrt(net.weights.data))
    eq = gb.balance(net)
    assert eq.converged
    assert eq.is_finite
    assert exact_neuron_imbalance(net, eq.potentials) <= 1e-9


# ------------------------------------------------------------------ solvers agree


@pytest.mark.parametrize(
    "name", ["two neurons", "random 10", "random 300", "ring 30", "dense 200", "clusters", "bridge"]
)
def test_solvers_agree_on_the_potentials(name):
    net = NETWORKS[name]()
    reference = gb.balance(net, solver=Newton("direct"), tol=1e-12).potentials
    for solver in [*NEWTONS, Osborne(), Osborne("random", seed=1), Auto()]:
        eq = gb.balance(net, solver=solver)
        assert eq.converged, solver
        assert np.abs(eq.potentials - reference).max() <= 1e-7, solver


@pytest.mark.filterwarnings("ignore::graphbal.errors.ConvergenceWarning")
@pytest.mark.parametrize(
    "net",
    [
        ensembles.ring(200),
        ensembles.lattice(20, 20, weights=ensembles.LogNormal(1.5)),
        wide_network(100, 3, 2),
        wide_network(300, 3, 3),
        wide_network(300, 20, 3),
        two_clusters(40, 1e-5, False),
        two_clusters(40, 1e-8, False),
        two_clusters(40, 1e-30, False),
    ],
)
@pytest.mark.parametrize("order", ["cyclic", "random"])
def test_osborne_does_not_claim_what_it_has_not_reached(net, order):
    eq = gb.balance(net, solver=Osborne(order, max_sweeps=3_000))
    reference = gb.balance(net, solver=Newton("direct"), tol=1e-12).potentials
    assert not eq.converged or np.abs(eq.potentials - reference).max() <= 1e-7


@pytest.mark.parametrize("thread", [1e-3, 1e-5, 1e-7, 1e-9, 1e-12, 1e-30])
@pytest.mark.parametrize("solver", [Newton("cg"), Newton("amg"), Newton("direct")])
def test_a_thread_between_clusters_is_resolved_at_any_strength(thread, solver):
    net = two_clusters(30, thread, False)
    eq = gb.balance(net, solver=solver)
    assert eq.converged
    # The thread's flows are equal at equilibrium: that fixes the clusters' potential difference.
    costs = eq.network.costs
    assert abs(np.log(costs[0, 30] / costs[31, 1])) < 1e-6


def test_a_weak_neuron_between_strong_clusters_does_not_hide_the_thread():
    n = 20
    costs = np.zeros((2 * n + 1, 2 * n + 1))
    rng = np.random.default_rng(1)
    costs[:n, :n] = rng.lognormal(size=(n, n))
    costs[n:-1, n:-1] = rng.lognormal(size=(n, n))
    costs[-1, 0], costs[0, -1] = 1e-11, 3e-11
    costs[-1, n], costs[n, -1] = 5e-12, 1e-12
    np.fill_diagonal(costs, 0)
    net = gb.SynapticNetwork.from_scipy(costs, p=1)
    for solver in (Newton("cg"), Newton("amg"), Newton("direct"), Osborne()):
        balanced = gb.balance(net, solver=solver).network.costs
        assert abs(np.log(balanced[-1, 0] / balanced[0, -1])) < 1e-6, solver
        assert abs(np.log(balanced[-1, n] / balanced[n, -1])) < 1e-6, solver


# ------------------------------------------------------------------ closed forms


def test_a_single_pair_balances_at_the_geometric_mean():
    eq = gb.balance(np.array([[0, 9.0], [4.0, 0]]), solver=ClosedForm())
    np.testing.assert_allclose(eq.network.weights.toarray(), [[0, 6], [6, 0]], rtol=1e-15)


@pytest.mark.parametrize("n", [3, 7, 1000])
def test_a_directed_cycle_balances_at_the_geometric_mean(n):
    net = ensembles.directed_cycle(n, weights=ensembles.LogNormal(1), seed=n)
    eq = gb.balance(net, solver=ClosedForm())
    mean = np.exp(np.log(net.costs.data).mean())
    np.testing.assert_allclose(eq.network.costs.data, mean, rtol=1e-11)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(3, 40),
    sigma=st.floats(0.0, 30.0),
    one_way=st.floats(0, 1),
    turned=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_rings_with_one_way_stretches_agree_with_newton(n, sigma, one_way, turned, seed):
    rng = np.random.default_rng(seed)
    costs = np.zeros((n, n))
    here, there = np.arange(n), (np.arange(n) + 1) % n
    costs[there, here] = np.exp(sigma * rng.normal(size=n))
    back = rng.random(n) >= one_way
    costs[here[back], there[back]] = np.exp(sigma * rng.normal(size=back.sum()))
    order = rng.permutation(n)
    costs = (costs.T if turned else costs)[np.ix_(order, order)]
    net = gb.SynapticNetwork.from_scipy(costs, p=1)
    closed = gb.balance(net, solver=ClosedForm())
    newton = gb.balance(net, solver=Newton("direct"), tol=1e-12)
    assert exact_neuron_imbalance(net, closed.potentials) <= 1e-9
    assert np.abs(closed.potentials - newton.potentials).max() <= 1e-7


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 40), seed=st.integers(0, 10_000), kind=st.sampled_from(["tree", "cactus"]))
def test_trees_and_cacti_are_closed_block_by_block(n, seed, kind):
    rng = np.random.default_rng(seed)
    costs = np.zeros((n, n))
    k = 1
    while k < n:
        hub = rng.integers(k)
        length = 1 if kind == "tree" else min(rng.integers(1, 6), n - k)
        walk = [hub, *range(k, k + length), hub]
        for a, b in itertools.pairwise(walk):
            costs[a, b] = rng.lognormal(sigma=2)
            if length == 1 or rng.random() < 0.5:
                costs[b, a] = rng.lognormal(sigma=2)
        k += length
    order = rng.permutation(n)
    net = gb.SynapticNetwork.from_scipy(costs[np.ix_(order, order)], p=1)
    eq = gb.balance(net, solver=ClosedForm())
    reference = gb.balance(net, solver=Newton("direct"), tol=1e-12)
    assert np.abs(eq.potentials - reference.potentials).max() <= 1e-7


def test_detailed_balance_needs_no_iteration():
    rng = np.random.default_rng(0)
    a, b = rng.lognormal(size=(2, 30))
    rank_one = np.outer(a, b)
    eq = gb.balance(gb.as_network(rank_one, p=1), solver=ClosedForm())
    np.testing.assert_allclose(
        eq.potentials, (0.5 * np.log(a / b) - (0.5 * np.log(a / b)).mean()), atol=1e-12
    )
    symmetric = rank_one + rank_one.T
    assert np.abs(gb.balance(symmetric, solver=ClosedForm()).potentials).max() < 1e-14


def test_closed_form_refuses_what_it_cannot_do():
    with pytest.raises(gb.InputError, match="no closed form is known for a block of 20 neurons"):
        gb.balance(ensembles.random_network(20, 5), solver=ClosedForm())


# ------------------------------------------------------------------ parts of the machinery


@pytest.mark.parametrize("n", [2, 3, 10])
def test_star_mesh_elimination_is_exact_to_rounding_over_400_decades(n):
    rng = np.random.default_rng(n)
    conductance = 10.0 ** rng.uniform(-150, 150, (n, n))
    conductance = np.tril(conductance, -1) + np.tril(conductance, -1).T
    force = rng.uniform(-1, 1, (n, n))
    flow = conductance * (np.tril(force, -1) - np.tril(force, -1).T)
    x = star_mesh(conductance.copy(), flow.copy())
    with mpmath.workdps(700):
        matrix = -mpmath.matrix(conductance.tolist())
        for i in range(n):
            matrix[i, i] = mpmath.fsum(mpmath.mpf(v) for v in conductance[i])
        rhs = mpmath.matrix([mpmath.fsum(mpmath.mpf(v) for v in row) for row in flow])
        exact = mpmath.lu_solve(matrix[1:, 1:], rhs[1:])
        expected = [0.0] + [float(v) for v in exact]
    np.testing.assert_allclose(x, expected, atol=1e-13)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 40), degree=st.integers(0, 4), seed=st.integers(0, 10**6))
def test_an_elimination_order_has_every_neuron_once_and_begins_where_there_are_fewest(
    n, degree, seed
):
    post, pre = np.random.default_rng(seed).integers(0, n, (2, n * degree))
    order = elimination_order(post, pre, n)
    assert sorted(order) == list(range(n))
    neighbours = [len({*post[pre == k], *pre[post == k]} - {k}) for k in range(n)]
    half_full = 2 * min(neighbours) > n - 1
    assert half_full or neighbours[order[-1]] == min(neighbours)


def test_trees_are_eliminated_without_a_new_pair():
    tree = nx.random_labeled_tree(300, seed=3)
    post, pre = np.array(tree.edges).T
    place = np.argsort(elimination_order(post, pre, 300))
    later, earlier = np.maximum(place[post], place[pre]), np.minimum(place[post], place[pre])
    # Each neuron but the first has one neighbour when it goes.
    assert sorted(later) == list(range(1, 300))
    assert (earlier < later).all()


@pytest.mark.parametrize("scale", [1e-270, 1e-100, 1.0, 1e100, 1e270])
def test_few_synapses_are_eliminated_as_many_are_whatever_the_size_of_costs(monkeypatch, scale):
    net = ensembles.random_network(60, 4, weights=ensembles.LogNormal(2.0), seed=5, p=1)
    net = net.with_weights(net.weights.data * scale)
    few = gb.balance(net, solver=Newton("direct"))
    monkeypatch.setattr(dense, "CROWDED", 0)
    many = gb.balance(net, solver=Newton("direct"))
    assert few.converged
    assert many.converged
    np.testing.assert_allclose(few.h, many.h, rtol=0, atol=1e-8)
    assert exact_neuron_imbalance(net, few.h) <= 1e-9


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 30), sigma=st.floats(0, 4), seed=st.integers(0, 1000))
@pytest.mark.parametrize("solver", NEWTONS)
def test_total_cost_never_rises_between_newton_steps(solver, n, sigma, seed):
    net = ensembles.random_network(
        n, min(3, n - 1), weights=ensembles.LogNormal(sigma / 2), seed=seed
    )
    costs = np.array(gb.balance(net, solver=solver).stats["cost_history"])
    assert (np.diff(costs) <= 1e-12 * costs[:-1]).all()


def test_approximate_factors_serve_a_large_lattice_and_it_says_so():
    eq = gb.balance(ensembles.lattice(170, 170))
    assert eq.converged
    assert "paths of more than 60 synapses: approximate Cholesky" in eq.stats["why"]
    assert eq.stats["iterations"] < 12


def test_a_sparse_factorisation_serves_networks_too_large_for_a_dense_one():
    net = ensembles.lattice(50, 50, weights=ensembles.LogNormal(1))
    eq = gb.balance(net, solver=Newton("direct"))
    assert eq.converged
    assert exact_neuron_imbalance(net, eq.potentials) <= 1e-9
    assert np.abs(eq.potentials - gb.balance(net).potentials).max() <= 1e-7


def test_self_connections_of_a_full_matrix_change_nothing():
    net = ensembles.dense_gaussian(1_000)
    weights = net.to_scipy()
    weights.setdiag(3.0)
    full = gb.as_network(weights)
    eq, bare = gb.balance(full), gb.balance(net)
    assert full.n_self_connections == 1_000
    np.testing.assert_allclose(eq.potentials, bare.potentials, atol=1e-8)
    diagonal = float((net.weights.diagonal() ** 2).sum())
    assert eq.total_cost == pytest.approx(bare.total_cost - diagonal + 9_000)


def test_blocks_without_closed_form_are_solved_apart_and_glued():
    core = ensembles.random_network(300, 3, seed=3).weights.tocoo()
    tail = ensembles.chain(500, weights=ensembles.LogNormal(1), seed=4).weights.tocoo()
    ring = ensembles.ring(300, weights=ensembles.LogNormal(1), seed=5).weights.tocoo()
    # The chain hangs on neuron 7 of the core, the ring on the chain's other end.
    rows = np.concatenate([core.row, tail.row + 299, ring.row + 798])
    columns = np.concatenate([core.col, tail.col + 299, ring.col + 798])
    rows[rows == 299], columns[columns == 299] = 7, 7
    matrix = sp.csr_array((np.concatenate([core.data, tail.data, ring.data]), (rows, columns)))
    used = np.unique(rows)
    net = gb.SynapticNetwork.from_scipy(matrix[used][:, used])
    eq = gb.balance(net)
    assert eq.stats["blocks"] > 500
    assert "blocks in closed form; others: " in eq.stats["why"]
    assert exact_neuron_imbalance(net, eq.potentials) <= 1e-9
    reference = gb.balance(net, solver=Newton("direct"), tol=1e-11)
    assert np.abs(eq.potentials - reference.potentials).max() <= 1e-7


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (lambda: Newton("lu"), "choose one of auto, cg, amg, direct"),
        (lambda: Newton(max_iterations=0), "max_iterations is 0"),
        (lambda: Osborne("sorted"), "choose 'cyclic' or 'random'"),
        (lambda: Osborne(max_sweeps=0), "max_sweeps is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(solver, message):
    with pytest.raises(gb.InputError, match=message):
        solver()
