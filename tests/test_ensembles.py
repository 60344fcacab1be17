"""The generators have the statistics that their docstrings promise."""

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from graphbal import ensembles
from graphbal.errors import InputError

SMALL = {
    "ring": lambda seed=0, p=2.0: ensembles.ring(50, 2.0, seed=seed, p=p),
    "directed_cycle": lambda seed=0, p=2.0: ensembles.directed_cycle(50, 2.0, seed=seed, p=p),
    "chain": lambda seed=0, p=2.0: ensembles.chain(50, 2.0, seed=seed, p=p),
    "lattice": lambda seed=0, p=2.0: ensembles.lattice(5, 9, 2.0, seed=seed, p=p),
    "random_network": lambda seed=0, p=2.0: ensembles.random_network(50, 4, 2.0, seed=seed, p=p),
    "dense_gaussian": lambda seed=0, p=2.0: ensembles.dense_gaussian(50, seed=seed, p=p),
    "connectome_like": lambda seed=0, p=2.0: ensembles.connectome_like(200, 2000, seed=seed, p=p),
}


@pytest.fixture(scope="module")
def brain():
    return ensembles.connectome_like(20_000, 600_000, seed=1)


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_generators_are_strongly_connected_and_repeat_with_their_seed(make):
    net = make()
    again, other = make(), make(seed=1)
    assert (net.weights != again.weights).nnz == 0
    assert not np.array_equal(net.weights.data, other.weights.data)
    assert connected_components(net.weights, connection="strong")[0] == 1
    assert net.weights.has_canonical_format
    assert list(net.neurons) == list(range(net.n_neurons))


@pytest.mark.parametrize("name", ["ring", "directed_cycle", "chain", "lattice", "random_network"])
def test_log_normal_costs_do_not_depend_on_the_exponent(name):
    one, four = SMALL[name](p=1.0), SMALL[name](p=4.0)
    assert (one.p, four.p) == (1.0, 4.0)
    np.testing.assert_allclose(one.costs.data, four.costs.data, rtol=1e-12)


def test_log_costs_have_the_standard_deviation_asked_for():
    log_costs = np.log(ensembles.lattice(100, 100, sigma=3.0).costs.data)
    assert log_costs.std() == pytest.approx(3.0, rel=0.02)
    assert log_costs.mean() == pytest.approx(0.0, abs=0.06)


def test_ring_chain_and_lattice_join_the_neighbours_both_ways():
    for net, distances in [
        (ensembles.ring(30), {1, 29}),
        (ensembles.chain(30), {1}),
        (ensembles.lattice(5, 6), {1, 6}),
    ]:
        post, pre = net.weights.nonzero()
        assert set(np.abs(post - pre)) == distances
        assert (net.weights != 0).multiply(net.weights.T != 0).nnz == net.n_synapses
    assert ensembles.ring(30).n_synapses == 60
    assert ensembles.chain(30).n_synapses == 58
    assert ensembles.lattice(5, 6).n_synapses == 2 * (4 * 6 + 5 * 5)


def test_lattice_rows_do_not_wrap():
    weights = ensembles.lattice(3, 4).weights
    assert weights[4, 3] == weights[3, 4] == 0
    assert weights[4, 0] > 0


def test_directed_cycle_is_the_one_way_ring():
    cycle, ring = ensembles.directed_cycle(10, seed=3), ensembles.ring(10, 1.0, False, seed=3)
    assert (cycle.weights != ring.weights).nnz == 0
    assert all(cycle.weights[(k + 1) % 10, k] > 0 for k in range(10))
    assert cycle.n_synapses == 10


def test_random_network_has_the_mean_degree_asked_for_plus_its_cycle():
    net = ensembles.random_network(2000, mean_degree=20, seed=2)
    assert net.n_self_connections == 0
    assert net.n_synapses / 2000 == pytest.approx(21 - 20 / 1999, abs=0.5)
    in_degree = np.diff(net.weights.indptr)
    assert in_degree.min() >= 1
    assert in_degree.std() == pytest.approx(np.sqrt(20), rel=0.1)
    assert ensembles.random_network(20, mean_degree=19).n_synapses == 20 * 19
    assert ensembles.random_network(20, mean_degree=0).n_synapses == 20


def test_random_network_reaches_every_pair_equally():
    counts = sum((ensembles.random_network(4, 1.5, seed=s).weights != 0) * 1 for s in range(600))
    counts = counts.toarray()
    assert (counts.diagonal() == 0).all()
    # Half of the pairs by chance, and one in three of the rest through the cycle.
    expected = 600 * (0.5 + 0.5 / 3)
    assert np.abs(counts[~np.eye(4, dtype=bool)] - expected).max() < 5 * np.sqrt(expected / 3)


def test_dense_gaussian_has_variance_one_over_n_and_spectral_radius_one():
    J = ensembles.dense_gaussian(400).weights.toarray()
    assert (J != 0).all()
    assert J.var() == pytest.approx(1 / 400, rel=0.02)
    assert J.mean() == pytest.approx(0, abs=5 / 400 / 20)
    assert np.abs(np.linalg.eigvals(J)).max() == pytest.approx(1, abs=0.1)


def test_connectome_has_exactly_the_synapses_and_reciprocity_asked_for(brain):
    assert brain.n_synapses == 600_000
    assert brain.n_self_connections == 0
    assert (brain.weights != 0).multiply(brain.weights.T != 0).nnz == pytest.approx(84_000, abs=2)
    assert connected_components(brain.weights, connection="strong")[0] == 1


def test_connectome_weights_are_log_normal_counts(brain):
    counts = brain.weights.data
    assert (counts == np.round(counts)).all()
    assert counts.min() == 1
    assert counts.mean() == pytest.approx(3.7, rel=0.03)
    assert counts.max() > 100


def test_connectome_strengths_are_heavy_tailed_and_correlated(brain):
    incoming, outgoing = brain.weights.sum(axis=1), brain.weights.sum(axis=0)
    for strength in (incoming, outgoing):
        assert 0.8 < np.log(strength).std() < 1.2
        assert strength.max() > 15 * strength.mean()
    assert 0.6 < np.corrcoef(np.log(incoming), np.log(outgoing))[0, 1] < 0.9


def test_connectome_mixes_local_and_long_range_synapses_without_a_direction():
    nearby = {}
    for fraction in (0.0, 0.6, 1.0):
        net = ensembles.connectome_like(20_000, 200_000, local_fraction=fraction)
        post, pre = net.weights.nonzero()
        apart = np.abs(post - pre)
        nearby[fraction] = np.mean(np.minimum(apart, 20_000 - apart) < 1000)
        # The synapses of the circle, one in ten, all lead onwards, the others either way.
        assert np.mean(post > pre) == pytest.approx(0.55, abs=0.015)
    assert nearby[0.0] == pytest.approx(0.1 + 0.9 * 0.1, abs=0.03)
    assert nearby[1.0] > 0.95
    assert nearby[0.6] == pytest.approx(0.4 * nearby[0.0] + 0.6 * nearby[1.0], abs=0.03)


@pytest.mark.parametrize("reciprocity", [0.0, 1.0])
def test_connectome_reciprocity_reaches_its_ends(reciprocity):
    net = ensembles.connectome_like(500, 8000, reciprocity=reciprocity)
    assert net.n_synapses == 8000
    mutual = (net.weights != 0).multiply(net.weights.T != 0).nnz
    assert mutual == reciprocity * 8000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ensembles.ring(2), "needs at least 3"),
        (lambda: ensembles.chain(1), "needs at least 2"),
        (lambda: ensembles.lattice(-2, -3), "needs at least 2"),
        (lambda: ensembles.random_network(5, mean_degree=7), "between 0 and n - 1"),
        (lambda: ensembles.connectome_like(100, 50), "too few"),
        (lambda: ensembles.connectome_like(100, 9900), "too many"),
        (lambda: ensembles.connectome_like(100, 500, reciprocity=1.2), "reciprocity is 1.2"),
    ],
)
def test_impossible_requests_are_input_errors(call, message):
    with pytest.raises(InputError, match=message):
        call()
