import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphbal as gb
from graphbal import analytic, ensembles


def sparse_network(n, density, sigma, seed, p=2.0, reciprocity=0.3):
    """Return a network with any number of parts, one-way synapses, pairs and self-connections."""
    rng = np.random.default_rng(seed)
    there = rng.random((n, n)) < density
    there |= there.T & (rng.random((n, n)) < reciprocity)
    costs = there * np.exp(sigma * rng.standard_normal((n, n)))
    return gb.SynapticNetwork.from_scipy(costs ** (1 / p), p=p)


networks = st.builds(
    sparse_network,
    st.integers(1, 25),
    st.floats(0, 0.4),
    st.floats(0, 3),
    st.integers(0, 10_000),
    st.sampled_from([0.5, 1.0, 2.0, 4.0]),
)


def shaken(net, seed):
    """Return the network at random potentials."""
    return net.transform(np.random.default_rng(seed).standard_normal(net.n_neurons))


def off_diagonal(net):
    """Return post, pre and cost of the synapses that take part in cycles."""
    costs = net.costs.tocoo()
    keep = (costs.row != costs.col) & (costs.data > 0)
    return costs.row[keep], costs.col[keep], costs.data[keep]


# ------------------------------------------------------------------ cycles


@settings(max_examples=80, deadline=None)
@given(networks)
def test_the_basis_spans_the_cycle_space(net):
    basis = analytic.cycle_basis(net)
    post, pre, _ = off_diagonal(net)
    incidence = np.zeros((post.size, net.n_neurons))
    incidence[np.arange(post.size), post] += 1
    incidence[np.arange(post.size), pre] -= 1
    matrix = basis.matrix.toarray()[:, basis.synapses]
    assert not (matrix @ incidence).any()
    assert set(np.unique(matrix)) <= {-1, 0, 1}
    assert len(matrix) == post.size - np.linalg.matrix_rank(incidence)
    assert np.linalg.matrix_rank(matrix) == len(matrix) if matrix.size else True


@settings(max_examples=80, deadline=None)
@given(networks)
def test_cycles_are_walks_that_end_where_they_began(net):
    basis = analytic.cycle_basis(net)
    for number in range(basis.n_cycles):
        walk = basis.cycle(number)
        starts = np.where(walk["direction"] > 0, walk["pre"], walk["post"])
        ends = np.where(walk["direction"] > 0, walk["post"], walk["pre"])
        assert (ends == np.roll(starts, -1)).all()
        assert len(set(starts)) == len(walk) == basis.lengths[number]
        assert basis.is_directed[number] == (walk["direction"] > 0).all()


@settings(max_examples=80, deadline=None)
@given(networks, st.integers(0, 10_000))
def test_transforming_conserves_the_product_around_every_cycle(net, seed):
    basis = analytic.cycle_basis(net)
    before = analytic.cycle_products(net, basis)
    after = analytic.cycle_products(shaken(net, seed), basis)
    np.testing.assert_allclose(after["log_product"], before["log_product"], rtol=0, atol=1e-9)
    costs = net.costs.data.copy()
    costs[costs == 0] = 1.0
    np.testing.assert_allclose(
        before["log_product"], basis.matrix @ np.log(costs), rtol=0, atol=1e-9
    )


def test_balancing_the_worm_conserves_its_cycle_products():
    net = gb.load_dataset("celegans")
    core = gb.topology(net).components.mode()[0]
    inside = net.neurons[gb.topology(net).components == core]
    at = net.positions(inside)
    part = gb.SynapticNetwork.from_scipy(net.weights[at][:, at], neurons=inside)
    basis = analytic.cycle_basis(part)
    before = analytic.cycle_products(part, basis)["log_product"]
    after = analytic.cycle_products(gb.balance(part).network, basis)["log_product"]
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-9)
    n_parts = nx.number_connected_components(nx.from_scipy_sparse_array(net.costs))
    assert analytic.cycle_basis(net).n_cycles == 3_709 - 38 - 302 + n_parts


@pytest.mark.parametrize(
    ("net", "longest"),
    [
        (ensembles.ring(50_000), 50_000),
        (ensembles.chain(50_000), 2),
        (ensembles.lattice(100, 100), 398),
    ],
)
def test_long_branches_take_no_longer(net, longest):
    products = analytic.cycle_products(net)
    assert len(products) == net.n_synapses - net.n_neurons + 1
    assert 2 <= products["n_synapses"].max() <= longest
    assert products["is_directed"].sum() >= net.n_neurons - 1  # the pairs


def test_what_a_basis_does_not_fit_is_refused():
    basis = analytic.cycle_basis([[0, 1.0], [1.0, 0]])
    with pytest.raises(gb.InputError, match="there is no cycle 1; the basis has 1"):
        basis.cycle(1)
    with pytest.raises(gb.InputError, match="the basis is that of a network with other synapses"):
        analytic.cycle_products([[0, 1.0], [0, 1.0]], basis)
    silent = basis.network.with_weights(np.array([0.0, 1.0]))
    with pytest.raises(gb.InputError, match="the synapse 1 → 0 of the basis costs nothing here"):
        analytic.cycle_products(silent, basis)


# ------------------------------------------------------------------ Kolmogorov's criterion


def reversible(n, density, seed, sigma=1.0):
    rng = np.random.default_rng(seed)
    there = np.tril(rng.random((n, n)) < density, -1)
    symmetric = there * np.exp(sigma * rng.standard_normal((n, n)))
    h = sigma * rng.standard_normal(n)
    return (symmetric + symmetric.T) * np.exp(h[:, None] - h[None, :])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 25), st.floats(0, 1), st.integers(0, 10_000))
def test_detailed_balance_is_recognised_and_made_symmetric(n, density, seed):
    net = gb.SynapticNetwork.from_scipy(reversible(n, density, seed))
    found = analytic.kolmogorov(net)
    assert found.is_reversible
    assert found.largest < 1e-11
    balanced = net.transform(found.potentials).costs.toarray()
    np.testing.assert_allclose(balanced, balanced.T, rtol=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 20), st.floats(0.2, 1), st.integers(0, 10_000), st.floats(0.01, 5))
def test_the_size_of_a_violation_is_that_of_its_cycle(n, density, seed, factor):
    rng = np.random.default_rng(seed)
    costs = reversible(n, density, seed)
    pairs = np.argwhere(np.tril(costs) > 0)
    if not len(pairs):
        return
    i, j = pairs[rng.integers(len(pairs))]
    costs[i, j] *= np.exp(factor)
    found = analytic.kolmogorov(gb.SynapticNetwork.from_scipy(costs, p=1))
    # Violations of a single pair are seen around every cycle through it, if there is one.
    graph = nx.from_numpy_array(costs + costs.T)
    is_bridge = (j, i) in set(nx.bridges(graph)) or (i, j) in set(nx.bridges(graph))
    assert found.is_reversible == is_bridge
    assert found.largest == pytest.approx(0 if is_bridge else factor, abs=1e-9)
    assert found.n_cycles == len(pairs) - n + nx.number_connected_components(graph)
    if not is_bridge:
        around = [*found.cycle, found.cycle[0]]
        forward = np.prod([costs[b, a] for a, b in itertools.pairwise(around)])
        backward = np.prod([costs[a, b] for a, b in itertools.pairwise(around)])
        assert np.log(forward / backward) == pytest.approx(found.largest, abs=1e-9)
        assert 0 < found.rms <= found.largest


@settings(max_examples=40, deadline=None)
@given(networks, st.integers(0, 10_000))
def test_balancing_changes_no_violation(net, seed):
    before, after = analytic.kolmogorov(net), analytic.kolmogorov(shaken(net, seed))
    assert after.largest == pytest.approx(before.largest, abs=1e-9)
    assert after.rms == pytest.approx(before.rms, abs=1e-9)
    assert after.n_one_way == before.n_one_way
    post, pre, _ = off_diagonal(net)
    pairs = set(zip(post, pre, strict=True))
    assert before.n_one_way == sum((j, i) not in pairs for i, j in pairs)


# ------------------------------------------------------------------ Helmholtz–Hodge


def dense_split(net):
    """Return level, remainder and removable fraction by dense least squares with an intercept."""
    post, pre, costs = off_diagonal(net)
    y = np.log(costs)
    design = np.zeros((y.size, net.n_neurons))
    design[np.arange(y.size), post] += net.p
    design[np.arange(y.size), pre] -= net.p
    design = np.column_stack([design, np.ones(y.size)])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    rest = y - design @ solution
    fraction = 1 - (rest**2).sum() / ((y - y.mean()) ** 2).sum() if np.ptp(y) else 0.0
    return solution[-1], rest, fraction


@settings(max_examples=80, deadline=None)
@given(networks)
def test_the_split_is_that_of_dense_least_squares(net):
    split = analytic.hodge(net)
    assert split.converged
    if not split.synapses.size:
        assert split.removable_fraction == 0
        return
    mean, rest, fraction = dense_split(net)
    post, pre, costs = off_diagonal(net)
    np.testing.assert_allclose(split.cycle, rest, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        split.mean + split.gradient + split.cycle, np.log(costs), rtol=0, atol=1e-9
    )
    h = split.potentials.to_numpy()
    np.testing.assert_allclose(split.gradient, net.p * (h[post] - h[pre]), rtol=0, atol=1e-12)
    if np.var(np.log(costs)) > 1e-6:
        assert split.removable_fraction == pytest.approx(fraction, abs=1e-7)
    if split.mean != 0:  # otherwise a gradient can take the level's place
        assert split.mean == pytest.approx(mean, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(networks, st.integers(0, 10_000))
def test_transforming_changes_the_gradient_alone(net, seed):
    before, after = analytic.hodge(net), analytic.hodge(shaken(net, seed))
    np.testing.assert_allclose(after.cycle, before.cycle, rtol=0, atol=1e-8)
    assert after.mean == pytest.approx(before.mean, abs=1e-8)


@settings(max_examples=60, deadline=None)
@given(networks, st.integers(0, 10_000), st.floats(0.01, 100))
def test_no_potentials_remove_more_than_the_removable_fraction(net, seed, unit):
    split = analytic.hodge(net)
    _, _, costs = off_diagonal(net)
    if costs.size < 2 or np.var(np.log(costs)) < 1e-6:
        return
    assert split.removed_by(split.potentials) == pytest.approx(split.removable_fraction, abs=1e-8)
    balanced = off_diagonal(net.transform(split.potentials))[2]
    kept = np.var(np.log(balanced)) / np.var(np.log(costs))
    assert 1 - kept == pytest.approx(split.removable_fraction, abs=1e-8)
    rng = np.random.default_rng(seed)
    other = split.potentials + 0.1 * rng.standard_normal(net.n_neurons)
    assert split.removed_by(other) <= split.removable_fraction + 1e-9
    rescaled = analytic.hodge(net.with_cost(alpha=unit))
    assert rescaled.removable_fraction == pytest.approx(split.removable_fraction, abs=1e-8)


def test_layers_in_order_leave_nothing_in_the_cycle_part():
    layered = np.zeros((6, 6))
    layered[2:4, :2], layered[4:, 2:4] = 2.0, 5.0
    split = analytic.hodge(layered)
    assert split.mean == 0
    assert split.removable_fraction == pytest.approx(1.0)
    np.testing.assert_allclose(split.cycle, 0, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "net",
    [
        gb.load_dataset("celegans"),
        ensembles.connectome_like(20_000, 200_000),
        ensembles.lattice(100, 100),
        ensembles.ring(20_000),
    ],
)
def test_the_split_of_large_networks_is_orthogonal(net):
    split = analytic.hodge(net)
    assert split.converged
    assert 0 < split.removable_fraction < 1
    post, pre, _ = off_diagonal(net)
    divergence = np.bincount(post, split.cycle, net.n_neurons)
    divergence -= np.bincount(pre, split.cycle, net.n_neurons)
    assert np.abs(divergence).max() < 1e-9
    assert abs(split.cycle.mean()) < 1e-9


def test_the_table_of_the_split_adds_up():
    net = gb.load_dataset("celegans")
    split = analytic.hodge(net)
    table = split.edges()
    given = net.edges()[lambda edges: edges["pre"] != edges["post"]].reset_index(drop=True)
    assert table[["pre", "post"]].equals(given[["pre", "post"]])
    np.testing.assert_allclose(table["log_cost"], np.log(given["cost"]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        table["gradient"] + table["cycle"] + split.mean, table["log_cost"], rtol=0, atol=1e-12
    )
