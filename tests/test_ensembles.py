"""The generators have the statistics that their docstrings promise."""

from collections.abc import Callable
from itertools import combinations, pairwise, product

import networkx as nx
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.sparse.csgraph import connected_components

import graphbal as gb
from graphbal import ensembles
from graphbal.ensembles import (
    Constant,
    Gamma,
    Gaussian,
    LogNormal,
    LogNormalCounts,
    Poisson,
    Resampled,
    _build,
)
from graphbal.errors import InputError

SEEDS = range(20)
SMALL: dict[str, Callable[..., gb.SynapticNetwork]] = {
    "ring": lambda **options: ensembles.ring(50, **options),
    "directed_cycle": lambda **options: ensembles.directed_cycle(50, **options),
    "chain": lambda **options: ensembles.chain(50, **options),
    "lattice": lambda **options: ensembles.lattice(5, 9, **options),
    "tree": lambda **options: ensembles.tree(50, 3, **options),
    "feed_forward": lambda **options: ensembles.feed_forward([9, 20, 5], 0.4, **options),
    "erdos_renyi": lambda **options: ensembles.erdos_renyi(50, 4, **options),
    "random_network": lambda **options: ensembles.random_network(50, 4, **options),
    "configuration": lambda **options: ensembles.configuration(
        [k % 9 for k in range(50)], [7 * k % 50 % 9 for k in range(50)], **options
    ),
    "watts_strogatz": lambda **options: ensembles.watts_strogatz(50, 4, 0.3, **options),
    "scale_free": lambda **options: ensembles.scale_free(50, 4, **options),
    "stochastic_block": lambda **options: ensembles.stochastic_block(
        [20, 30], [[0.3, 0.1], [0.05, 0.2]], **options
    ),
    "core_periphery": lambda **options: ensembles.core_periphery(50, 4, **options),
    "spatial": lambda **options: ensembles.spatial(7, 8, 4, **options),
    "excitatory_inhibitory": lambda **options: ensembles.excitatory_inhibitory(50, 4, **options),
    "connectome_like": lambda **options: ensembles.connectome_like(200, 2000, **options),
    "dense_gaussian": lambda **options: ensembles.dense_gaussian(50, **options),
    "low_rank": lambda **options: ensembles.low_rank(50, 2, **options),
}
DENSE = ("dense_gaussian", "low_rank")
WEIGHTED = [name for name in SMALL if name not in DENSE]


def support(net):
    return (net.weights != 0).toarray()


def degrees(net):
    """Return in- and out-degrees."""
    return np.diff(net.weights.indptr), np.bincount(net.weights.indices, minlength=net.n_neurons)


def n_mutual(net):
    """Return the number of synapses that have a reverse."""
    there = net.weights != 0
    return there.multiply(there.T).nnz


def assert_mean(samples, expected, sd=None):
    """The mean is 4.5 standard errors at most from what is expected."""
    samples = np.asarray(samples, dtype=float)
    error = (samples.std(ddof=1) if sd is None else sd) / np.sqrt(samples.size)
    assert abs(samples.mean() - expected) < 4.5 * error, (samples.mean(), expected, error)


def assert_binomial(count, pairs, probability):
    """A count is 4.5 standard deviations at most from the mean of its binomial distribution."""
    sd = np.sqrt(pairs * probability * (1 - probability))
    assert abs(count - pairs * probability) <= 4.5 * sd, (count, pairs * probability, sd)


def assert_distributed(samples, probabilities):
    """Samples of 0, 1, ... have these probabilities: χ² with at least 5 expected in a bin."""
    expected = np.asarray(probabilities) * len(samples)
    observed = np.bincount(samples, minlength=expected.size).astype(float)
    assert observed.size == expected.size
    starts, total = [0], 0.0
    for k, each in enumerate(expected):
        if total >= 5 and expected[k:].sum() >= 5:
            starts.append(k)
            total = 0.0
        total += each
    observed, expected = (np.add.reduceat(x, starts) for x in (observed, expected))
    assert len(starts) > 1
    assert stats.chisquare(observed, expected).pvalue > 1e-3


# ---------------------------------------------------------------------- every generator


@pytest.mark.parametrize("name", SMALL)
def test_generators_repeat_with_their_seed(name):
    net = SMALL[name](seed=0)
    again, other = SMALL[name](seed=0), SMALL[name](seed=1)
    assert (net.weights != again.weights).nnz == 0
    assert not np.array_equal(net.weights.data, other.weights.data)
    assert list(net.neurons) == list(range(net.n_neurons))
    assert SMALL[name](p=3.0).p == 3.0


@pytest.mark.parametrize("name", SMALL)
def test_synapses_are_sorted_and_occur_once_and_contact_no_neuron_itself(name):
    weights = SMALL[name]().weights.copy()
    before = weights.indices.copy()
    weights.has_canonical_format = False  # or else SciPy believes and does not look
    weights.sum_duplicates()
    np.testing.assert_array_equal(weights.indices, before)
    assert np.count_nonzero(weights.diagonal()) == (len(before) ** 0.5 if name in DENSE else 0)


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_are_drawn_from_the_distribution_asked_for(name):
    assert (np.abs(SMALL[name](weights=Constant(2.0)).costs.data) >= 4).all()
    of_one_kind = [1.0, 2.5, 7.0]
    found = SMALL[name](weights=Resampled(np.diag(of_one_kind)), seed=3)
    magnitudes = np.abs(found.weights.data[found.weights.data > 0])
    assert set(magnitudes) == set(of_one_kind)


@pytest.mark.parametrize(
    "name",
    ["ring", "directed_cycle", "chain", "lattice", "tree", "random_network", "connectome_like"],
)
def test_strongly_connected_where_it_is_promised(name):
    for seed in SEEDS:
        weights = SMALL[name](seed=seed).weights
        assert connected_components(weights, connection="strong")[0] == 1


@pytest.mark.parametrize("name", WEIGHTED)
def test_what_draws_no_weights_is_an_input_error(name):
    for weights in (0.5, LogNormal, "log-normal"):
        with pytest.raises(InputError, match="give a distribution such as"):
            SMALL[name](weights=weights)


@pytest.mark.parametrize("name", SMALL)
def test_what_is_no_seed_is_an_input_error(name):
    for seed in (-1, 0.5, "one"):
        with pytest.raises(InputError, match="seed is"):
            SMALL[name](seed=seed)


# ---------------------------------------------------------------------- weights

CONTINUOUS = {
    "log-normal": (LogNormal(0.7, 0.3), stats.lognorm(0.7, scale=np.exp(0.3))),
    "gamma": (Gamma(2.5, 0.4), stats.gamma(2.5, scale=0.4)),
    "Gaussian": (Gaussian(-1.0, 2.0), stats.norm(-1.0, 2.0)),
}
# Mean and variance as the docstrings have them.
MOMENTS = {
    LogNormal(0.7, 0.3): (
        np.exp(0.3 + 0.7**2 / 2),
        (np.exp(0.7**2) - 1) * np.exp(2 * 0.3 + 0.7**2),
    ),
    Gamma(2.5, 0.4): (2.5 * 0.4, 2.5 * 0.4**2),
    Gaussian(-1.0, 2.0): (-1.0, 4.0),
    Poisson(1.5): (m := 1.5 / (1 - np.exp(-1.5)), m * (1 + 1.5 - m)),
    Poisson(0.01): (m := 0.01 / (1 - np.exp(-0.01)), m * (1 + 0.01 - m)),
    Constant(3.0): (3.0, 0.0),
}


@pytest.mark.parametrize(("weights", "law"), CONTINUOUS.values(), ids=CONTINUOUS)
def test_continuous_weights_have_their_distribution(weights, law):
    drawn = [weights.draw(500, np.random.default_rng(seed)) for seed in SEEDS]
    assert stats.kstest(np.concatenate(drawn), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("weights", MOMENTS, ids=str)
def test_weights_have_the_moments_that_are_stated(weights):
    mean, variance = MOMENTS[weights]
    drawn = [
        ensembles.erdos_renyi(100, 20, weights=weights, seed=seed).weights.data for seed in SEEDS
    ]
    if variance == 0:
        assert (np.concatenate(drawn) == mean).all()
        return
    assert_mean([values.mean() for values in drawn], mean)
    assert_mean([((values - mean) ** 2).mean() for values in drawn], variance)


def test_counts_have_their_distribution():
    k = np.arange(1, 200)
    for weights, upper in [
        (Poisson(1.5), (stats.poisson(1.5).cdf(k) - np.exp(-1.5)) / (1 - np.exp(-1.5))),
        (Poisson(0.02), (stats.poisson(0.02).cdf(k) - np.exp(-0.02)) / (1 - np.exp(-0.02))),
        (LogNormalCounts(), stats.norm.cdf(np.log(k) - 0.65)),
    ]:
        drawn = np.concatenate([weights.draw(500, np.random.default_rng(seed)) for seed in SEEDS])
        assert (drawn == np.round(drawn)).all()
        probabilities = np.diff(upper, prepend=0.0)
        probabilities[-1] += 1 - upper[-1]
        assert_distributed(np.minimum(drawn.astype(int), 199) - 1, probabilities)


def test_log_normal_counts_have_the_mean_that_is_stated():
    k = np.arange(1, 1_000_000)
    mean = 1 + stats.norm.cdf(0.65 - np.log(k)).sum()
    assert mean == pytest.approx(3.7, abs=0.05)
    drawn = [LogNormalCounts().draw(20_000, np.random.default_rng(seed)) for seed in SEEDS]
    assert_mean([values.mean() for values in drawn], mean)


def test_resampled_weights_are_those_of_the_network():
    worm = gb.load_dataset("celegans").weights.data
    values, counts = np.unique(worm, return_counts=True)
    drawn = [Resampled("celegans").draw(1000, np.random.default_rng(seed)) for seed in SEEDS]
    found = np.concatenate(drawn)
    assert np.isin(found, values).all()
    assert_distributed(np.searchsorted(values, found), counts / counts.sum())


def test_log_costs_have_p_times_the_standard_deviation_of_log_weights():
    for p in (1.0, 2.0, 4.0):
        net = ensembles.lattice(100, 100, weights=LogNormal(1.5), p=p)
        log_costs = np.log(net.costs.data)
        assert_mean(log_costs, 0.0, sd=1.5 * p)
        assert_mean((log_costs / p) ** 2, 1.5**2)


def test_anything_that_draws_is_a_distribution_of_weights():
    class Alternating:
        def draw(self, size, rng):
            return 1.0 + np.arange(size) % 2

    net = ensembles.directed_cycle(4, weights=Alternating())
    assert net.weights.data.tolist() == [1, 2, 1, 2]


# ---------------------------------------------------------------------- structured


def test_structured_networks_are_those_of_networkx():
    one = Constant(1.0)
    for net, graph in [
        (ensembles.ring(9, weights=one), nx.cycle_graph(9)),
        (ensembles.chain(9, weights=one), nx.path_graph(9)),
        (ensembles.tree(20, 3, weights=one), nx.full_rary_tree(3, 20)),
        (ensembles.tree(6, 5, weights=one), nx.star_graph(5)),
        (
            ensembles.lattice(4, 5, weights=one),
            nx.convert_node_labels_to_integers(nx.grid_2d_graph(4, 5)),
        ),
        (ensembles.directed_cycle(9, weights=one), nx.cycle_graph(9, create_using=nx.DiGraph)),
        (
            ensembles.ring(9, reciprocal=False, weights=one),
            nx.cycle_graph(9, create_using=nx.DiGraph),
        ),
        (ensembles.feed_forward([2, 3, 1], weights=one), layered([2, 3, 1])),
    ]:
        np.testing.assert_array_equal(
            net.weights.toarray(), nx.to_numpy_array(graph, nodelist=range(len(graph))).T
        )


def layered(sizes):
    ends = np.cumsum(sizes)
    layers = [range(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    return nx.DiGraph([pair for a, b in pairwise(layers) for pair in product(a, b)])


def test_feed_forward_layers_have_the_density_asked_for():
    sizes, counts, indegrees = [30, 50, 20], [], []
    for seed in SEEDS:
        net = ensembles.feed_forward(sizes, 0.3, seed=seed)
        there = support(net)
        assert there[:30].sum() == there[30:80, 30:].sum() == there[80:, :30].sum() == 0
        assert there[80:, 80:].sum() == 0
        counts.append(there.sum())
        indegrees.append(there[30:80].sum(axis=1))
        assert n_mutual(net) == 0
    assert_binomial(sum(counts), 20 * (30 * 50 + 50 * 20), 0.3)
    assert_distributed(np.concatenate(indegrees), stats.binom.pmf(np.arange(31), 30, 0.3))


# ---------------------------------------------------------------------- random


def test_erdos_renyi_degrees_density_and_reciprocity_are_binomial():
    n, q = 300, 12 / 299
    nets = [ensembles.erdos_renyi(n, 12, seed=seed) for seed in SEEDS]
    incoming, outgoing = zip(*map(degrees, nets), strict=True)
    assert_binomial(sum(net.n_synapses for net in nets), 20 * n * (n - 1), q)
    assert_binomial(sum(n_mutual(net) // 2 for net in nets), 20 * n * (n - 1) // 2, q**2)
    for found in (incoming, outgoing):
        assert_distributed(np.concatenate(found), stats.binom.pmf(np.arange(n), n - 1, q))
    correlations = [np.corrcoef(*pair)[0, 1] for pair in zip(incoming, outgoing, strict=True)]
    assert_mean(correlations, 0.0, sd=1 / np.sqrt(n - 1))


def test_erdos_renyi_reaches_every_pair_equally_and_independently():
    counts = sum(support(ensembles.erdos_renyi(5, 1.0, seed=s)) * 1 for s in range(800))
    assert (counts.diagonal() == 0).all()
    off = counts[~np.eye(5, dtype=bool)]
    assert (np.abs(off - 200) < 4.5 * np.sqrt(800 * 0.25 * 0.75)).all()
    sizes = [ensembles.erdos_renyi(5, 1.0, seed=s).n_synapses for s in range(800)]
    assert_distributed(np.array(sizes), stats.binom.pmf(np.arange(21), 20, 0.25))


def test_erdos_renyi_reaches_its_ends():
    assert ensembles.erdos_renyi(20, 19).n_synapses == 380
    assert ensembles.erdos_renyi(20, 0).n_synapses == 0
    assert ensembles.erdos_renyi(10**6, 1e-16).n_synapses == 0  # gaps beyond 2⁶³


def test_random_network_has_the_mean_degree_asked_for_plus_its_cycle():
    n, d, q = 300, 8, 8 / 299
    nets = [ensembles.random_network(n, d, seed=seed) for seed in SEEDS]
    assert_mean([net.n_synapses for net in nets], n * (1 + d * (n - 2) / (n - 1)), None)
    connected = q + (1 - q) / (n - 1)
    assert_mean([n_mutual(net) / net.n_synapses for net in nets], connected)
    assert min(degrees(net)[0].min() for net in nets) >= 1
    assert ensembles.random_network(20, mean_degree=19).n_synapses == 20 * 19
    assert ensembles.random_network(20, mean_degree=0).n_synapses == 20


def test_random_network_reaches_every_pair_equally():
    counts = sum(support(ensembles.random_network(4, 1.5, seed=s)) * 1 for s in range(600))
    assert (counts.diagonal() == 0).all()
    # Half of the pairs by chance, and one in three of the rest through the cycle.
    expected = 600 * (0.5 + 0.5 / 3)
    assert np.abs(counts[~np.eye(4, dtype=bool)] - expected).max() < 5 * np.sqrt(expected / 3)


@given(
    n=st.integers(2, 12),
    density=st.floats(0, 1),
    skew=st.floats(0, 3),
    seed=st.integers(0, 2**32),
)
@example(n=12, density=1.0, skew=0.0, seed=0)
@example(n=12, density=0.5, skew=3.0, seed=4)
def test_configuration_meets_degrees_exactly(n, density, skew, seed):
    rng = np.random.default_rng(seed)
    likely = np.exp(skew * (rng.standard_normal((n, 1)) + rng.standard_normal((1, n))))
    there = rng.random((n, n)) * likely < density * likely.mean()
    np.fill_diagonal(there, False)
    net = ensembles.configuration(there.sum(axis=1), there.sum(axis=0), seed=seed % 100)
    found = support(net)
    np.testing.assert_array_equal(found.sum(axis=1), there.sum(axis=1))
    np.testing.assert_array_equal(found.sum(axis=0), there.sum(axis=0))
    assert net.n_synapses == found.sum() == there.sum()  # nothing twice
    assert not found.diagonal().any()


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(*[st.lists(st.integers(0, n - 1), min_size=n, max_size=n)] * 2)
    )
)
def test_configuration_exists_iff_the_degrees_are_digraphical(sequences):
    incoming, outgoing = sequences
    if nx.is_digraphical(incoming, outgoing):
        found = degrees(ensembles.configuration(incoming, outgoing))
        assert (found[0].tolist(), found[1].tolist()) == (incoming, outgoing)
    else:
        with pytest.raises(InputError, match=r"sum to|no network without"):
            ensembles.configuration(incoming, outgoing)


def test_configuration_with_a_hub_on_every_neuron():
    n = 400
    there = np.random.default_rng(0).random((n, n)) < 0.01
    there[7], there[:, 7] = True, True
    np.fill_diagonal(there, False)
    net = ensembles.configuration(there.sum(axis=1), there.sum(axis=0))
    np.testing.assert_array_equal(degrees(net), [there.sum(axis=1), there.sum(axis=0)])
    assert support(net)[7].sum() == support(net)[:, 7].sum() == n - 1


@pytest.mark.parametrize("n", [40, 120])
def test_configuration_of_degrees_that_hardly_any_network_has(n):
    """Threshold networks, from which no exchange of two synapses leads to another one."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        there = rng.random((n, 1)) + rng.random((1, n)) > 1.1
        np.fill_diagonal(there, False)
        net = ensembles.configuration(there.sum(axis=1), there.sum(axis=0), seed=seed)
        found = support(net)
        np.testing.assert_array_equal(found.sum(axis=1), there.sum(axis=1))
        np.testing.assert_array_equal(found.sum(axis=0), there.sum(axis=0))
        assert net.n_synapses == found.sum()
        assert not found.diagonal().any()


def test_configuration_connects_in_proportion_to_degrees():
    n = 2997
    incoming, outgoing = 1 + np.arange(n) % 3, 1 + np.arange(n) // 3 % 3
    m = incoming.sum()
    between, mutual = np.zeros((3, 3)), []
    for seed in SEEDS:
        net = ensembles.configuration(incoming, outgoing, seed=seed)
        post, pre = net.weights.nonzero()
        np.add.at(between, (incoming[post] - 1, outgoing[pre] - 1), 1)
        mutual.append(n_mutual(net))
    for a, b in product(range(3), repeat=2):
        share = (a + 1) * (b + 1) * (incoming == a + 1).sum() * (outgoing == b + 1).sum() / m**2
        assert_binomial(between[a, b], 20 * m, share)
    expected = np.mean(incoming * outgoing) ** 2 / (np.mean(incoming) ** 3 * n) * m
    assert_mean(np.array(mutual) / 2, expected / 2, sd=np.sqrt(expected / 2))


def test_watts_strogatz_degrees_and_reciprocity():
    n, k, beta = 200, 10, 0.3
    outgoing, reciprocity, shortcuts = [], [], []
    for seed in SEEDS:
        net = ensembles.watts_strogatz(n, k, beta, seed=seed)
        found = degrees(net)
        assert (found[0] == k).all()
        outgoing.append(found[1])
        reciprocity.append(n_mutual(net) / net.n_synapses)
        post, pre = net.weights.nonzero()
        apart = np.abs(post - pre)
        shortcuts.append(np.sum(np.minimum(apart, n - apart) > k // 2))
    far = n - 1 - k
    law = np.convolve(
        stats.binom.pmf(np.arange(k + 1), k, 1 - beta),
        stats.binom.pmf(np.arange(far + 1), far, k * beta / far),
    )
    assert_distributed(np.concatenate(outgoing), law)
    assert_mean(reciprocity, (1 - beta) ** 2 + k * beta**2 / far)
    assert_binomial(sum(shortcuts), 20 * n * k, beta)


def test_watts_strogatz_reaches_its_ends():
    n, k = 21, 10
    post, pre = ensembles.watts_strogatz(n, k, 0.0).weights.nonzero()
    assert set((pre - post) % n) == {*range(1, 6), *range(16, 21)}
    post, pre = ensembles.watts_strogatz(n, k, 1.0).weights.nonzero()
    assert set((pre - post) % n) == set(range(6, 16))  # every farther neuron, as there are ten


@pytest.mark.parametrize("exponents", [(2.5, 2.5), (2.2, 4.0)])
def test_scale_free_degrees_follow_the_static_model(exponents):
    n, d = 250, 6
    nets = [ensembles.scale_free(n, d, *exponents, seed=seed) for seed in SEEDS]
    assert all(net.n_synapses == n * d for net in nets)
    a, b = (np.arange(1.0, n + 1) ** (-1 / (gamma - 1)) for gamma in exponents)
    rates = np.outer(a / a.sum(), b / b.sum())
    most = optimize.brentq(lambda x: -np.expm1(-x * rates).sum() - n * d, n, 1e3 * n * d)
    P = -np.expm1(-most * rates)
    incoming, outgoing = zip(*map(degrees, nets), strict=True)
    assert_distributed(np.concatenate(incoming), sums_of_independent(P))
    assert_distributed(np.concatenate(outgoing), sums_of_independent(P.T))
    assert_mean([n_mutual(net) / net.n_synapses for net in nets], d / (n - 1))
    assert_mean(
        [np.corrcoef(*pair)[0, 1] for pair in zip(incoming, outgoing, strict=True)],
        0.0,
    )


def sums_of_independent(P):
    """Return the distribution of the sum of a random row of independent Bernoulli variables."""
    size = P.shape[1] + 1
    at = np.exp(2j * np.pi * np.arange(size) / size)
    transform = [np.prod(1 + row[:, None] * (at - 1), axis=0) for row in P]
    return np.maximum(np.fft.fft(np.mean(transform, axis=0)).real / size, 0)


def test_scale_free_degrees_have_the_exponents_asked_for():
    """The maximum-likelihood exponent of the tail, for integers (Clauset et al. 2009, eq. 3.7)."""
    found = degrees(ensembles.scale_free(100_000, 10, 2.5, 3.5))
    for k, gamma, least in zip(found, (2.5, 3.5), (50, 40), strict=True):
        tail = k[k >= least]
        exponent = 1 + tail.size / np.log(tail / (least - 0.5)).sum()
        assert abs(exponent - gamma) < 4.5 * (gamma - 1) / np.sqrt(tail.size)


# ---------------------------------------------------------------------- blocks and space


def test_stochastic_blocks_are_connected_with_their_probabilities():
    sizes, P = np.array([40, 1, 90]), np.array([[0.3, 0.5, 0.02], [0.1, 0.9, 0.0], [0.2, 1.0, 0.1]])
    block = np.repeat(np.arange(3), sizes)
    counts, mutual, incoming = np.zeros((3, 3)), np.zeros((3, 3)), []
    for seed in SEEDS:
        there = support(ensembles.stochastic_block(sizes, P, seed=seed))
        at = np.ix_([0, 1, 2], [0, 1, 2])
        one = np.eye(3)[block]
        counts[at] += one.T @ there @ one
        mutual += one.T @ (there & there.T) @ one
        incoming.append(there[block == 0].sum(axis=1))
    pairs = sizes[:, None] * sizes - np.diag(sizes)
    for a, b in product(range(3), repeat=2):
        assert_binomial(counts[a, b], 20 * pairs[a, b], P[a, b])
        if a < b:
            assert_binomial(mutual[a, b], 20 * pairs[a, b], P[a, b] * P[b, a])
    assert_binomial(mutual[2, 2] / 2, 10 * pairs[2, 2], P[2, 2] ** 2)
    law = [stats.binom.pmf(np.arange(s + 1), s, q) for s, q in ((39, 0.3), (1, 0.5), (90, 0.02))]
    assert_distributed(np.concatenate(incoming), np.convolve(np.convolve(law[0], law[1]), law[2]))


def test_core_and_periphery_have_the_densities_and_reciprocity_that_are_stated():
    n, d, ratio, core, rest = 150, 9, 0.3, 30, 120
    nets = [ensembles.core_periphery(n, d, 0.2, ratio, seed=seed) for seed in SEEDS]
    pairs = core * (core - 1), core * rest, rest * (rest - 1)
    total = pairs[0] + 2 * ratio * pairs[1] + ratio**2 * pairs[2]
    q = n * d / total
    there = sum(support(net) * 1 for net in nets)
    assert_binomial(there[:core, :core].sum(), 20 * pairs[0], q)
    assert_binomial(there[:core, core:].sum(), 20 * pairs[1], q * ratio)
    assert_binomial(there[core:, :core].sum(), 20 * pairs[1], q * ratio)
    assert_binomial(there[core:, core:].sum(), 20 * pairs[2], q * ratio**2)
    assert_mean([net.n_synapses for net in nets], n * d)
    stated = q * (pairs[0] + 2 * ratio**2 * pairs[1] + ratio**4 * pairs[2]) / total
    assert_mean([n_mutual(net) / net.n_synapses for net in nets], stated)


@pytest.mark.parametrize(("shape", "degree"), [((12, 15), 9.0), ((12, 15), 40.0), ((1, 101), 6.0)])
def test_spatial_connection_probability_decays_exponentially(shape, degree):
    rows, columns = shape
    n, length = rows * columns, 1.7
    r, c = np.divmod(np.arange(n), columns)
    down, right = np.abs(r[:, None] - r), np.abs(c[:, None] - c)
    apart = np.hypot(np.minimum(down, rows - down), np.minimum(right, columns - right))
    off = ~np.eye(n, dtype=bool)
    decay = np.where(off, np.exp(-apart / length), 0)
    log_q = optimize.brentq(
        lambda x: np.minimum(1, np.exp(x) * decay).sum() - n * degree, -10, 100, xtol=1e-13
    )
    P = np.minimum(1, np.exp(log_q) * decay)
    nets = [ensembles.spatial(*shape, degree, length, seed=seed) for seed in SEEDS]
    counts = sum(support(net) * 1 for net in nets)
    ring = np.round(apart, 6)
    for d in np.unique(ring[off])[:25]:
        at = off & (ring == d)
        assert_binomial(counts[at].sum(), 20 * at.sum(), min(P[at][0], 1.0))
    law = sums_of_independent(P[:1, 1:])
    for found in zip(*map(degrees, nets), strict=True):
        assert_distributed(np.concatenate(found), np.pad(law, (0, n - law.size)))
    assert_mean([n_mutual(net) / net.n_synapses for net in nets], (P**2).sum() / P.sum())


def test_spatial_reaches_its_ends():
    assert ensembles.spatial(5, 6, 29).n_synapses == 30 * 29
    assert ensembles.spatial(5, 6, 0).n_synapses == 0
    post, pre = ensembles.spatial(1, 40, 2, length=1e-3).weights.nonzero()
    assert set((post - pre) % 40) == {1, 39}
    # Two of three on either side are certain, and the third has an even chance.
    counts = [ensembles.spatial(1, 40, 5, 1e-3, seed=seed).n_synapses - 160 for seed in SEEDS]
    assert_binomial(sum(counts), 20 * 80, 0.5)


# ---------------------------------------------------------------------- neural


def test_dense_gaussian_has_variance_gain_squared_over_n_and_spectral_radius_gain():
    n = 150
    for gain in (1.0, 0.3):
        J = ensembles.dense_gaussian(n, gain).weights.toarray()
        assert (J != 0).all()
        assert stats.kstest(J.ravel(), stats.norm(0, gain / np.sqrt(n)).cdf).pvalue > 1e-3
        assert np.abs(np.linalg.eigvals(J)).max() == pytest.approx(gain, rel=0.1)


def test_low_rank_has_outlying_eigenvalues_and_the_variance_that_is_stated():
    n, rank, strength, gain = 150, 2, 2.0, 0.5
    outlying, others, off, on = [], [], [], []
    for seed in SEEDS:
        J = ensembles.low_rank(n, rank, strength, gain, seed=seed).weights.toarray()
        values = np.linalg.eigvals(J)
        values = values[np.argsort(np.abs(values))]
        outlying.append(values[-2:].real.mean())
        others.append(np.abs(values[-3]))
        off.append(np.mean(J[~np.eye(n, dtype=bool)] ** 2))
        on.append(J.diagonal().mean())
    assert_mean(on, rank * strength / n)
    assert_mean(off, gain**2 / n + rank * (1 + strength**2) / n**2)
    assert np.abs(np.array(outlying) - strength).max() < 4.5 * strength * np.sqrt(rank / n)
    assert np.mean(others) == pytest.approx(gain, rel=0.1)


@given(
    n=st.integers(2, 40),
    fraction=st.floats(0, 1),
    inhibition=st.floats(0.1, 10),
    seed=st.integers(0, 100),
)
def test_excitatory_inhibitory_networks_obey_dales_law(n, fraction, inhibition, seed):
    net = ensembles.excitatory_inhibitory(
        n, min(5, n - 1), fraction, inhibition, weights=Gaussian(0.0, 1.0), seed=seed
    )
    excitatory = net.weights.indices < round(n * fraction)
    np.testing.assert_array_equal(np.sign(net.weights.data), np.where(excitatory, 1, -1))


def test_excitatory_inhibitory_weights_have_their_moments_and_balance():
    n, q = 200, 15 / 199
    mean, variance = MOMENTS[LogNormal(0.7, 0.3)]
    exciting, inhibiting, total, incoming = [], [], [], []
    for seed in SEEDS:
        net = ensembles.excitatory_inhibitory(n, 15, weights=LogNormal(0.7, 0.3), seed=seed)
        values = net.weights.data
        exciting.append(values[values > 0])
        inhibiting.append(values[values < 0])
        total.append(net.weights.sum(axis=1).mean())
        incoming.append(degrees(net)[0])
    assert_mean([values.mean() for values in exciting], mean)
    assert_mean([values.mean() for values in inhibiting], -4 * mean)
    assert_mean([((values + 4 * mean) ** 2).mean() for values in inhibiting], 16 * variance)
    assert_mean(total, 0.0)
    assert_distributed(np.concatenate(incoming), stats.binom.pmf(np.arange(n), n - 1, q))


# ---------------------------------------------------------------------- connectomes


@pytest.fixture(scope="module")
def brain():
    return ensembles.connectome_like(20_000, 600_000, seed=1)


def test_connectome_has_exactly_the_synapses_and_reciprocity_asked_for(brain):
    assert brain.n_synapses == 600_000
    assert brain.n_self_connections == 0
    assert n_mutual(brain) == 84_000
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


def test_connectome_degrees_have_the_moments_of_log_normal_propensities():
    n, moments = 20_000, []
    for seed in SEEDS:
        net = ensembles.connectome_like(
            n, 3 * n, reciprocity=0.0, local_fraction=0.0, weights=Constant(1.0), seed=seed
        )
        k_in, k_out = (k - 1.0 for k in degrees(net))  # without the circle
        assert k_in.mean() == k_out.mean() == 2
        moments.append(
            [(k * (k - 1)).mean() / 4 for k in (k_in, k_out)] + [(k_in * k_out).mean() / 4]
        )
    for found, expected in zip(np.transpose(moments), (np.e, np.e, np.exp(0.7)), strict=True):
        assert_mean(found, expected)


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


@pytest.mark.parametrize("reciprocity", [0.0, 0.3, 1.0])
def test_connectome_counts_hold_for_every_seed(reciprocity):
    for seed in SEEDS:
        net = ensembles.connectome_like(500, 8000, reciprocity=reciprocity, seed=seed)
        assert net.n_synapses == 8000
        assert n_mutual(net) == reciprocity * 8000


# ---------------------------------------------------------------------- what they share


def test_every_subset_is_chosen_equally_often():
    counts, sizes = np.array([2, 0, 3, 1]), np.array([4, 3, 4, 1])
    outcomes = [
        (*first, *(7 + x for x in second), 11)
        for first, second in product(combinations(range(4), 2), combinations(range(4), 3))
    ]
    rng = np.random.default_rng(0)
    drawn = [tuple(_build.choose(counts, sizes, rng).tolist()) for _ in range(2400)]
    assert_distributed([outcomes.index(each) for each in drawn], np.full(24, 1 / 24))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6))
def test_as_many_are_chosen_as_are_wanted(pairs):
    counts, sizes = np.array([(min(pair), max(pair)) for pair in pairs]).T
    chosen = _build.choose(counts, sizes, np.random.default_rng(0))
    assert (np.diff(chosen) > 0).all()
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    np.testing.assert_array_equal(np.diff(np.searchsorted(chosen, bounds)), counts)


def test_compiled_steps_agree_with_numpy():
    rng = np.random.default_rng(0)
    size = 600_000
    for bits in (1, 11, 23, 40, 62):
        keys = rng.integers(0, 2**bits, size)
        expected = np.sort(keys)
        found = _build.sort_keys(keys.copy(), 2**bits)
        np.testing.assert_array_equal(found, expected)
        once = expected[np.diff(expected, prepend=-1) != 0]
        np.testing.assert_array_equal(_build.distinct(found), once)
    cumulative = np.cumsum(rng.exponential(size=3000) ** 4)
    cumulative /= cumulative[-1]
    u = np.concatenate([rng.random(size), cumulative, [0.0, 1.0]])
    expected = np.minimum(np.searchsorted(cumulative, u, side="right"), 2999)
    np.testing.assert_array_equal(_build.look_up(cumulative, u), expected)


def test_large_networks_are_drawn_by_the_same_laws():
    """Above half a million synapses the compiled steps take over."""
    n, d = 20_000, 40
    net = ensembles.erdos_renyi(n, d)
    assert_binomial(net.n_synapses, n * (n - 1), d / (n - 1))
    law = stats.binom.pmf(np.arange(n), n - 1, d / (n - 1))
    for found in degrees(net):
        assert_distributed(found, law)
    incoming, outgoing = degrees(net)
    again = ensembles.configuration(incoming, outgoing)
    np.testing.assert_array_equal(degrees(again), [incoming, outgoing])
    assert again.n_self_connections == 0
    assert (np.diff(np.repeat(np.arange(n), incoming) * n + again.weights.indices) > 0).all()


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ensembles.ring(2), "n is 2; it must be an integer, at least 3"),
        (lambda: ensembles.ring(3.5), "n is 3.5; it must be an integer"),
        (lambda: ensembles.directed_cycle(1), "at least 2"),
        (lambda: ensembles.chain(1), "n is 1; it must be an integer, at least 2"),
        (lambda: ensembles.lattice(-2, -3), "rows is -2; it must be an integer, at least 1"),
        (lambda: ensembles.lattice(1, 1), "at least two neurons"),
        (lambda: ensembles.tree(5, 0), "branching is 0"),
        (lambda: ensembles.feed_forward([3]), "1 layers were given; there must be at least 2"),
        (lambda: ensembles.feed_forward([3, 0]), r"layers\[1\] is 0"),
        (lambda: ensembles.feed_forward([3, 3], 1.5), "density is 1.5.* between 0 and 1"),
        (lambda: ensembles.erdos_renyi(5, 4.5), "mean_degree is 4.5.* between 0 and 4, n - 1"),
        (lambda: ensembles.erdos_renyi(5, "many"), "mean_degree is 'many'"),
        (lambda: ensembles.random_network(5, mean_degree=7), "between 0 and 4, n - 1"),
        (lambda: ensembles.random_network(5, mean_degree=np.nan), "mean_degree is nan"),
        (lambda: ensembles.configuration([0, 0], [0]), "2 in-degrees and 1 out-degrees"),
        (lambda: ensembles.configuration([1, 1], [1, 0]), "sum to 2 and the out-degrees to 1"),
        (lambda: ensembles.configuration([2, 0], [1, 1]), r"in_degrees\[0\] is 2.* n - 1 = 1"),
        (lambda: ensembles.configuration([0.5], [0.5]), "list of integers"),
        (lambda: ensembles.configuration([], []), "list of integers"),
        (lambda: ensembles.configuration([1, 0], [1, 0]), "no network without self-connections"),
        (lambda: ensembles.watts_strogatz(20, 3), "degree is 3; it must be even"),
        (lambda: ensembles.watts_strogatz(20, 10), "n is 20; it must be an integer, at least 21"),
        (lambda: ensembles.watts_strogatz(20, 4, -0.1), "rewiring is -0.1"),
        (lambda: ensembles.scale_free(20, 10), r"between 0 and 9.5, \(n - 1\) / 2"),
        (lambda: ensembles.scale_free(20, 3, 2.0), "in_exponent is 2.0"),
        (lambda: ensembles.stochastic_block([], []), "no block"),
        (lambda: ensembles.stochastic_block([2, 3], [[0.5]]), r"need \(2, 2\)"),
        (lambda: ensembles.stochastic_block([2], [["a"]]), "must be numbers"),
        (lambda: ensembles.stochastic_block([2], [[1.5]]), r"probabilities\[0, 0\] is 1.5"),
        (lambda: ensembles.core_periphery(20, 10), "where the core is full"),
        (lambda: ensembles.spatial(1, 1), "at least two neurons"),
        (lambda: ensembles.spatial(3, 3, 9), "between 0 and 8"),
        (lambda: ensembles.spatial(3, 3, 2, length=0), "length is 0; it must be between 0.001"),
        (lambda: ensembles.dense_gaussian(0), "n is 0"),
        (lambda: ensembles.dense_gaussian(3, gain=0), "gain is 0"),
        (lambda: ensembles.low_rank(3, 4), "n is 3; it must be an integer, at least 4"),
        (lambda: ensembles.low_rank(3, strength=np.inf), "strength is inf"),
        (lambda: ensembles.excitatory_inhibitory(5, 2, 1.5), "excitatory is 1.5"),
        (lambda: ensembles.excitatory_inhibitory(5, 2, inhibition=0), "inhibition is 0"),
        (lambda: ensembles.connectome_like(100, 50), "too few"),
        (lambda: ensembles.connectome_like(100, 9900), "too many"),
        (lambda: ensembles.connectome_like(100, 500, reciprocity=1.2), "reciprocity is 1.2"),
        (lambda: ensembles.connectome_like(100, 500.5), "n_synapses is 500.5"),
        (lambda: Constant(0), "the constant weight is 0"),
        (lambda: LogNormal(-1), "sigma of LogNormal is -1; it must be at least 0"),
        (lambda: LogNormal(np.nan), "sigma of LogNormal is nan; it must be a finite number"),
        (lambda: LogNormalCounts("a"), "sigma of LogNormalCounts is 'a'"),
        (lambda: Gamma(0, 1), "shape of Gamma is 0; it must be above 0"),
        (lambda: Gaussian(0, 0), "sd of Gaussian is 0; it must be above 0"),
        (lambda: Poisson(0), "mean of Poisson is 0; it must be above 0"),
        (lambda: Poisson(1e20), "counts above 1e15"),
        (lambda: Resampled(np.zeros((2, 2))), "no synapse"),
        (lambda: Resampled(42), "42|int"),
        (lambda: ensembles.ring(5, weights=LogNormal(2000)), "the weight of the synapse"),
    ],
)
def test_impossible_requests_are_input_errors(call, message):
    with pytest.raises(InputError, match=message):
        call()
