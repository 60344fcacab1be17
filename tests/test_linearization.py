import tracemalloc

import mpmath
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

import graphbal as gb
from graphbal import ensembles
from graphbal.errors import ConvergenceWarning, InputError


def dense_laplacian(net, h=None):
    """Build L from its definition, in dense NumPy."""
    costs = net.costs.toarray()
    np.fill_diagonal(costs, 0)
    if h is not None:
        costs = costs * np.exp(net.p * (h[None, :] - h[:, None]))
    return np.diag(costs.sum(axis=0) + costs.sum(axis=1)) - costs - costs.T


def gradients(net, h):
    """Return g(h) from its definition."""
    costs = net.costs.toarray()
    np.fill_diagonal(costs, 0)
    here = costs * np.exp(net.p * (h[None, :] - h[:, None]))
    return here.sum(axis=1) - here.sum(axis=0)


def parts_of(net):
    """Count the connected parts of the synapses of positive cost, by NetworkX."""
    graph = nx.Graph()
    graph.add_nodes_from(range(net.n_neurons))
    graph.add_edges_from(zip(*net.costs.nonzero(), strict=True))
    return nx.number_connected_components(graph)


def several_parts():
    """Two rings and a lattice that nothing joins, and two neurons without a synapse."""
    pieces = [ensembles.ring(7).weights, ensembles.ring(9, weights=ensembles.Constant(1)).weights]
    pieces += [ensembles.lattice(4, 5).weights, sp.csr_array((2, 2))]
    return gb.SynapticNetwork.from_scipy(sp.csr_array(sp.block_diag(pieces)))


# ------------------------------------------------------------------ the Laplacian


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 8), seed=st.integers(0, 1000), p=st.sampled_from([0.5, 1.0, 2.0, 4.0]))
def test_laplacian_is_the_jacobian_of_the_gradients_over_minus_p(n, seed, p):
    rng = np.random.default_rng(seed)
    net = gb.SynapticNetwork.from_scipy(rng.normal(size=(n, n)), p=p)
    h = rng.normal(scale=0.3, size=n)
    L = gb.laplacian(net, h).toarray()
    step = 1e-6 * np.eye(n)
    jacobian = [(gradients(net, h + e) - gradients(net, h - e)) / 2e-6 for e in step]
    assert np.allclose(-p * L, jacobian, rtol=1e-6, atol=1e-7 * np.abs(L).max())
    assert np.array_equal(L, L.T)
    assert np.abs(L.sum(axis=0)).max() <= 1e-13 * L.max()


def test_laplacian_leaves_out_self_connections_and_is_sparse():
    net = gb.SynapticNetwork.from_scipy(np.array([[5.0, 1.0], [2.0, 7.0]]))
    L = gb.laplacian(net)
    assert L.toarray().tolist() == [[5.0, -5.0], [-5.0, 5.0]]
    assert isinstance(L, sp.csr_array)


# ------------------------------------------------------------------ eigenmodes


@pytest.mark.parametrize("at_equilibrium", [False, True])
@pytest.mark.parametrize("name", gb.list_datasets()["name"])
def test_modes_of_every_dataset_agree_with_dense_eigh(name, at_equilibrium):
    net = gb.load_dataset(name)
    if at_equilibrium:
        net = gb.balance(net).network
    values, vectors = linalg.eigh(dense_laplacian(net))
    zeros = parts_of(net)
    slow = gb.eigenmodes(net, k=20)
    assert slow.n_zero == zeros == np.count_nonzero(values < 1e-12 * values[-1])
    assert np.allclose(slow.eigenvalues, values[zeros : zeros + 20], rtol=1e-9, atol=0)
    fast = gb.eigenmodes(net, k=20, which="fast")
    assert np.allclose(fast.eigenvalues, values[:-21:-1], rtol=1e-9, atol=0)
    for modes, reference in ((slow, vectors[:, zeros:]), (fast, vectors[:, ::-1])):
        assert modes.converged
        assert modes.residuals.max() <= 1e-8
        v = modes.modes.to_numpy()
        assert np.abs(v.T @ v - np.eye(20)).max() <= 1e-12
        # Well separated from the next, the first mode is known as a vector too.
        assert abs(abs(v[:, 0] @ reference[:, 0]) - 1) <= 1e-9


NETWORKS = {
    "ring": lambda: ensembles.ring(1500, weights=ensembles.Constant(1)),
    "lattice": lambda: ensembles.lattice(35, 40),
    "chain": lambda: ensembles.chain(1200),
    "random": lambda: ensembles.random_network(1500, 3),
    "crowded": lambda: ensembles.connectome_like(1500, 30_000),
    "factorised": lambda: ensembles.lattice(20, 20, weights=ensembles.LogNormal(1)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_slow_modes_of_every_topology_agree_with_dense_eigh(name):
    net = NETWORKS[name]()
    L = dense_laplacian(net)
    reference = linalg.eigvalsh(L, subset_by_index=(1, 12))
    modes = gb.eigenmodes(net, k=12)
    assert modes.converged
    v, values = modes.modes.to_numpy(), modes.eigenvalues
    assert (np.linalg.norm(L @ v - v * values, axis=0) <= 1e-8 * values).all()
    rounding = 4 * np.finfo(float).eps * L.max() * np.sqrt(len(L))  # of the dense reference
    assert np.allclose(values, reference, rtol=1e-9, atol=rounding)
    assert np.abs(v.sum(axis=0)).max() <= 1e-10


def test_fast_modes_of_a_large_network_agree_with_lanczos():
    net = NETWORKS["crowded"]()
    reference = sp.linalg.eigsh(sp.csr_array(dense_laplacian(net)), 8, which="LA")[0][::-1]
    modes = gb.eigenmodes(net, k=8, which="fast")
    assert np.allclose(modes.eigenvalues, reference, rtol=1e-9, atol=0)
    assert modes.modes.columns.tolist() == list(range(1500, 1492, -1))


@pytest.mark.parametrize("n", [12, 101])
def test_modes_of_the_uniform_ring_are_cosines(n):
    modes = gb.eigenmodes(ensembles.ring(n, weights=ensembles.Constant(1)), k=4)
    around = 2 * np.pi * np.arange(n) / n
    expected = 4 * (1 - np.cos(2 * np.pi * np.array([1, 1, 2, 2]) / n))
    assert np.allclose(modes.eigenvalues, expected, rtol=1e-9, atol=0)
    for m, pair in ((1, [0, 1]), (2, [2, 3])):  # degenerate: the plane is determined
        plane = np.column_stack([np.cos(m * around), np.sin(m * around)]) / np.sqrt(n / 2)
        overlap = plane.T @ modes.modes.to_numpy()[:, pair]
        assert np.allclose(np.abs(linalg.det(overlap)), 1, atol=1e-9)
    assert np.allclose(modes.time_constants, 1 / (2 * expected), rtol=1e-9, atol=0)


def test_zero_has_the_multiplicity_of_the_number_of_parts():
    net = several_parts()
    assert parts_of(net) == 5
    values = linalg.eigvalsh(dense_laplacian(net))
    for k in (3, net.n_neurons - 5):  # by iteration, and from the dense matrix
        modes = gb.eigenmodes(net, k=k)
        assert modes.n_zero == 5
        assert np.allclose(modes.eigenvalues, values[5 : 5 + k], rtol=1e-9, atol=0)
        assert modes.modes.columns[0] == 6


def test_a_weak_thread_between_clusters_is_the_slowest_mode():
    thread = 1e-3
    costs = np.zeros((60, 60))
    costs[:30, :30] = costs[30:, 30:] = 1.0
    costs[0, 30] = costs[30, 0] = thread
    modes = gb.eigenmodes(gb.SynapticNetwork.from_scipy(costs, p=1), k=2)
    # Two clusters of 30 neurons joined by a conductance of 2 × thread: λ ≈ 2 × thread × 2 / 30.
    assert modes.eigenvalues[0] == pytest.approx(4 * thread / 30, rel=1e-3)
    assert modes.eigenvalues[1] > 50
    assert modes.participation[0] == pytest.approx(60, rel=1e-3)
    assert modes.converged


def test_modes_with_fixed_neurons_are_those_of_the_free_block():
    net = ensembles.random_network(30, 4)
    fixed = [3, 17]
    free = np.setdiff1d(np.arange(30), fixed)
    values = linalg.eigvalsh(dense_laplacian(net)[np.ix_(free, free)])
    for k in (4, 28):
        modes = gb.eigenmodes(net, k=k, fixed=fixed)
        assert modes.n_zero == 0
        assert np.allclose(modes.eigenvalues, values[:k], rtol=1e-9, atol=0)
        assert not modes.modes.loc[fixed].to_numpy().any()
    parts = several_parts()
    assert gb.eigenmodes(parts, k=2, fixed=[0]).n_zero == 4


def test_modes_are_deterministic_and_their_sign_is_fixed():
    net = gb.load_dataset("celegans")
    first, again = (gb.eigenmodes(net, k=6) for _ in range(2))
    assert first.modes.equals(again.modes)
    other = gb.eigenmodes(net, k=6, seed=7)
    assert np.allclose(first.modes, other.modes, atol=1e-6)
    v = first.modes.to_numpy()
    assert (v[np.abs(v).argmax(axis=0), np.arange(6)] > 0).all()


def test_modes_project_and_tabulate():
    net = gb.load_dataset("witvliet-1")
    modes = gb.eigenmodes(net, k=5)
    h = modes.modes.iloc[:, 2] * 3.0
    assert np.allclose(modes.project(h), [0, 0, 3, 0, 0], atol=1e-12)
    table = modes.table()
    assert table["time_constant"].is_monotonic_decreasing
    assert (table["participation"].between(1, net.n_neurons)).all()
    assert table["peak"].isin(net.neurons).all()


def test_modes_that_rounding_hides_are_reported():
    net = ensembles.chain(1500, weights=ensembles.LogNormal(2.5))
    with pytest.warns(ConvergenceWarning, match="rounding"):
        modes = gb.eigenmodes(net, k=3)
    assert not modes.converged
    assert "Not converged" in modes.message


def test_partial_spectra_need_no_square_matrix_and_few_products():
    net = ensembles.connectome_like(5000, 100_000)
    tracemalloc.start()
    modes = gb.eigenmodes(net, k=5, tol=1e-6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 0.1 * 8 * net.n_neurons**2
    assert modes.residuals.max() <= 1e-6
    assert modes.stats["products"] <= 1000


@pytest.mark.parametrize("k", [0, -1, 12, 2.5, "all", None])
def test_k_out_of_range_names_the_limit(k):
    with pytest.raises(InputError, match="from 1 to 11"):
        gb.eigenmodes(ensembles.ring(12), k=k)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"which": "middle"}, "'slow' or 'fast'"),
        ({"tol": 0}, "tol is 0"),
        ({"tol": np.nan}, "tol is nan"),
        ({"fixed": ["nobody"]}, "nobody"),
    ],
)
def test_bad_options_of_eigenmodes_are_named(options, message):
    with pytest.raises(InputError, match=message):
        gb.eigenmodes(ensembles.ring(12), k=2, **options)


def test_a_network_without_synapses_has_no_modes():
    silent = gb.SynapticNetwork.from_scipy(np.diag([1.0, 0.0, 0.0]))
    for ask in (
        lambda: gb.eigenmodes(silent, k=1),
        lambda: gb.eigenmodes(ensembles.ring(3), k=1, fixed=[0, 1, 2]),
        lambda: gb.linear_response(silent, 1.0),
    ):
        with pytest.raises(InputError, match="no synapse joins"):
            ask()


# ------------------------------------------------------------------ perturb


def test_perturb_multiplies_the_cost_and_keeps_the_sign():
    weights = np.array([[0, -2.0, 0], [1.0, 0, 3.0], [0.5, 0, 0]])
    for p in (0.5, 1, 2, 4):
        net = gb.SynapticNetwork.from_scipy(weights, p=p, alpha=[1.0, 2.0, 3.0])
        changed = gb.perturb(net, {(1, 0): 10.0, (2, 1): 0.25})
        factor = changed.costs.toarray() / np.where(net.costs.toarray() > 0, net.costs.toarray(), 1)
        assert np.allclose(factor, [[0, 10, 0], [1, 0, 0.25], [1, 0, 0]], rtol=1e-14)
        assert changed.weights[0, 1] < 0
        exact = gb.perturb(net, {(1, 0): 7.0}, absolute=True)
        assert exact.costs[0, 1] == pytest.approx(7.0, rel=1e-14)
        assert net.weights[0, 1] == -2.0


def test_a_factor_of_zero_silences_a_synapse():
    net = gb.perturb([[0, 2.0], [1.0, 0]], {(0, 1): 0})
    assert net.n_synapses == 2
    assert net.costs.toarray().tolist() == [[0, 4], [0, 0]]
    with pytest.raises(InputError, match="0 → 1 costs nothing"):
        gb.perturb(net, {(0, 1): 2.0}, absolute=True)


@pytest.mark.parametrize(
    ("synapses", "message"),
    [
        ({("a", "x"): 2.0}, "'x'"),
        ({("b", "a"): 2.0}, "no synapse 'b' → 'a'"),
        ({("a", "b"): -1.0}, "'a' → 'b' is -1.0"),
        ({("a", "b"): np.nan}, "is nan"),
        ({("a", "b"): np.inf}, "is inf"),
        ({("a", "b"): "ten"}, "is 'ten'"),
        ({"ab": 2.0}, "give pairs"),
        ([("a", "b")], "give {"),
    ],
)
def test_bad_perturbations_are_named(synapses, message):
    graph = nx.DiGraph([("a", "b")])
    with pytest.raises(InputError, match=message):
        gb.perturb(graph, synapses)


# ------------------------------------------------------------------ linear response


@settings(max_examples=15, deadline=None)
@given(n=st.integers(2, 9), seed=st.integers(0, 1000), p=st.sampled_from([1.0, 2.0, 4.0]))
def test_full_response_is_the_matrix_exponential(n, seed, p):
    rng = np.random.default_rng(seed)
    net = gb.SynapticNetwork.from_scipy(rng.normal(size=(n, n)), p=p)
    h0 = rng.normal(scale=0.2, size=n)
    t, rate = np.array([0.0, 0.03, 0.5, 4.0]), 1.7
    response = gb.linear_response(net, t, rate=rate, potentials=h0)
    A, b = -rate * p * dense_laplacian(net, h0), rate * gradients(net, h0)
    # exp of [[A, b], [0, 0]] carries x' = A x + b from 0, zero eigenvalues included.
    augmented = np.zeros((n + 1, n + 1))
    augmented[:n, :n], augmented[:n, n] = A, b
    expected = [h0 + linalg.expm(augmented * s)[:n, n] for s in t]
    assert np.abs(response.potentials.to_numpy() - expected).max() <= 1e-10


def test_full_response_equals_the_matrix_exponential_in_extended_precision():
    net = gb.perturb(ensembles.ring(8), {(0, 1): 3.0})
    response = gb.linear_response(net, [0.2, 5.0])
    A, b = -2 * dense_laplacian(net), gradients(net, np.zeros(8))
    augmented = np.zeros((9, 9))
    augmented[:8, :8], augmented[:8, 8] = A, b
    with mpmath.workdps(40):
        for t, h in zip(response.t, response.potentials.to_numpy(), strict=True):
            exact = mpmath.expm(mpmath.matrix(augmented.tolist()) * t)[:8, 8]
            assert max(abs(exact[k] - h[k]) for k in range(8)) <= 1e-10


def test_response_of_several_parts_leaves_each_part_its_mean():
    net = gb.perturb(several_parts(), {(0, 1): 2.0})
    h = gb.linear_response(net, [1.0, 1e6]).potentials
    assert not h.iloc[:, -2:].to_numpy().any()
    for part in (slice(0, 7), slice(7, 16), slice(16, 36)):
        assert np.abs(h.iloc[:, part].sum(axis=1)).max() <= 1e-12


def test_error_of_the_linear_response_on_the_ring_grows_with_the_factor():
    ring = ensembles.ring(12, weights=ensembles.Constant(1))
    errors = {}
    for factor in (1.01, 1.1, 2.0, 10.0):
        net = gb.perturb(ring, {(0, 1): factor})
        flow = gb.flow(net, (0, 20), rtol=1e-9, atol=1e-12)
        response = gb.linear_response(net, np.linspace(0, 20, 21))
        error = response.error(flow)
        assert error.iloc[0] == 0
        errors[factor] = error.max()
    assert errors[1.1] < 0.01
    # Second order in the perturbation.
    assert errors[1.1] / errors[1.01] == pytest.approx(100, rel=0.2)
    assert errors[1.1] < errors[2.0] < errors[10.0]


def test_few_modes_and_the_rest_end_where_all_modes_end():
    net = gb.load_dataset("celegans")
    every = gb.linear_response(net, [1e-2, 1.0])
    few = gb.linear_response(net, [1e-2, 1.0], k=20)
    assert few.amplitudes.columns.tolist() == [
        *range(few.modes.n_zero + 1, few.modes.n_zero + 21),
        "rest",
    ]
    difference = np.linalg.norm(few.potentials - every.potentials, axis=1)
    size = np.linalg.norm(every.potentials, axis=1)
    # What the first modes left out have not relaxed by then: e^{−p λ t}.
    left = np.exp(-net.p * few.modes.eigenvalues[-1] * few.t)
    assert (difference <= left * size + 1e-9 * size).all()
    assert np.allclose(few.amplitudes.iloc[:, :20], every.amplitudes.iloc[:, :20], rtol=1e-6)


@pytest.mark.parametrize(
    ("t", "options", "message"),
    [
        (-1.0, {}, "from 0 on"),
        (np.nan, {}, "from 0 on"),
        ("soon", {}, "must be numbers"),
        ([[1.0]], {}, "from 0 on"),
        (1.0, {"rate": 0}, "rate is 0"),
        (1.0, {"k": 12}, "from 1 to 11"),
        (1.0, {"potentials": [0.0]}, "shape"),
    ],
)
def test_bad_input_of_the_linear_response_is_named(t, options, message):
    with pytest.raises(InputError, match=message):
        gb.linear_response(ensembles.ring(12), t, **options)


def test_all_modes_of_a_large_network_are_refused():
    with pytest.raises(InputError, match="ask for the k slowest"):
        gb.linear_response(ensembles.ring(5000), 1.0)


def test_error_asks_for_a_flow_of_the_same_network_and_start():
    ring = gb.perturb(ensembles.ring(6, weights=ensembles.Constant(1)), {(0, 1): 2.0})
    response = gb.linear_response(ring, [0.5], potentials=np.arange(6) / 10)
    with pytest.raises(InputError, match="other potentials"):
        response.error(gb.flow(ring, (0, 1)))
    with pytest.raises(InputError, match="other neurons"):
        response.error(gb.flow(ensembles.ring(7), (0, 1)))
    with pytest.raises(InputError, match="other costs"):
        response.error(gb.flow(ensembles.ring(6, weights=ensembles.Constant(1)), (0, 1)))
