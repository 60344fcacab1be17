"""Every null model keeps what it says it keeps, and nothing else."""

import pickle
from collections import Counter
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

import graphbal as gb
from graphbal import SynapticNetwork, nulls
from graphbal.errors import InputError
from graphbal.nulls import entropy, rewiring

PERMUTATIONS = ("permute_weights", "permute_inputs", "permute_outputs")
REWIRINGS = ("rewire", "rewire_reciprocal")


@st.composite
def networks(draw, max_neurons=7):
    """Networks with self-connections, signs, and factors α of every shape."""
    n = draw(st.integers(1, max_neurons))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.1, 0.4, 0.7, 1.0]))
    J = rng.standard_normal((n, n)) * (rng.random((n, n)) < density)
    shape = draw(st.sampled_from([(), (1, n), (n, 1), (n, n)]))
    alpha = rng.random(shape) + 0.5
    net = SynapticNetwork.from_scipy(J, neurons=[f"n{k}" for k in range(n)], p=1.5, alpha=alpha)
    return net


def dense(net):
    """Return weights, costs and, where it goes by synapse, α, as matrices."""
    alpha = net.alpha.toarray() if sparse.issparse(net.alpha) else np.zeros(net.weights.shape)
    return net.weights.toarray(), net.costs.toarray(), alpha


def off_diagonal(S):
    return S & ~np.eye(len(S), dtype=bool)


def pairs(net, mask):
    """Return, sorted, what the synapses in a mask carry: weight, and α where it goes with it."""
    J, _, alpha = dense(net)
    return sorted(zip(J[mask], alpha[mask], strict=True))


@pytest.mark.parametrize("null", nulls.NULLS)
@settings(max_examples=20, deadline=None)
@given(net=networks(), seed=st.integers(0, 2**40), k=st.integers(0, 1000))
def test_null_networks_repeat_and_leave_the_network_alone(null, net, seed, k):
    before = dense(net)
    try:
        sampler = nulls.sampler(net, null)
    except InputError:
        assume(null != "maximum_entropy")  # which does not suit every network
        raise
    one = sampler.draw(k, seed)
    sampler.draw(k + 1, seed)
    for other in sampler.draw(k, seed), pickle.loads(pickle.dumps(sampler)).draw(k, seed):
        for array, again in zip(dense(one), dense(other), strict=True):
            np.testing.assert_array_equal(array, again)
    for array, again in zip(before, dense(net), strict=True):
        np.testing.assert_array_equal(array, again)
    assert one.p == net.p
    assert one.neurons.equals(net.neurons)
    assert one.weights.indices.dtype == net.weights.indices.dtype
    ordered = one.weights.copy()
    ordered.has_sorted_indices = False
    ordered.sort_indices()
    np.testing.assert_array_equal(ordered.indices, one.weights.indices)
    first = getattr(nulls, null)(net, seed=seed)
    for array, again in zip(dense(first), dense(sampler.draw(0, seed)), strict=True):
        np.testing.assert_array_equal(array, again)


@settings(max_examples=40, deadline=None)
@given(net=networks(), seed=st.integers(0, 2**32))
def test_rows_are_permuted_whole(net, seed):
    drawn = nulls.permute_rows(net, seed=seed)
    (J, C, _), (K, D, _) = dense(net), dense(drawn)
    assert sorted(np.hstack([J, C]).tolist()) == sorted(np.hstack([K, D]).tolist())
    np.testing.assert_allclose(D.sum(axis=0), C.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("null", PERMUTATIONS)
@settings(max_examples=40, deadline=None)
@given(net=networks(), seed=st.integers(0, 2**32))
def test_weights_are_permuted_over_the_synapses_there_are(null, net, seed):
    drawn = getattr(nulls, null)(net, seed=seed)
    J, K = net.weights.toarray(), drawn.weights.toarray()
    np.testing.assert_array_equal(J != 0, K != 0)
    np.testing.assert_array_equal(np.diag(J), np.diag(K))
    apart = ~np.eye(len(J), dtype=bool)
    groups = {
        "permute_weights": [apart],
        "permute_inputs": [apart & (np.arange(len(J)) == k)[:, None] for k in range(len(J))],
        "permute_outputs": [apart & (np.arange(len(J)) == k) for k in range(len(J))],
    }
    for group in groups[null]:
        assert pairs(net, group) == pairs(drawn, group)
    assert_factors_of_neurons_stay(net, drawn)


@pytest.mark.parametrize("null", REWIRINGS)
@settings(max_examples=40, deadline=None)
@given(net=networks(), seed=st.integers(0, 2**32))
def test_degrees_and_output_weights_are_kept(null, net, seed):
    drawn = getattr(nulls, null)(net, seed=seed)
    J, K = net.weights.toarray(), drawn.weights.toarray()
    S, T = off_diagonal(J != 0), off_diagonal(K != 0)
    np.testing.assert_array_equal(np.diag(J), np.diag(K))
    np.testing.assert_array_equal(S.sum(axis=0), T.sum(axis=0))
    np.testing.assert_array_equal(S.sum(axis=1), T.sum(axis=1))
    kinds = [(S, T)] if null == "rewire" else [(S & S.T, T & T.T), (S & ~S.T, T & ~T.T)]
    for one, other in kinds:
        np.testing.assert_array_equal(one.sum(axis=0), other.sum(axis=0))
        np.testing.assert_array_equal(one.sum(axis=1), other.sum(axis=1))
        for k in range(len(J)):
            column = np.arange(len(J)) == k
            assert pairs(net, one & column) == pairs(drawn, other & column)
    assert_factors_of_neurons_stay(net, drawn)


def assert_factors_of_neurons_stay(net, drawn):
    if not sparse.issparse(net.alpha):
        np.testing.assert_array_equal(net.alpha, drawn.alpha)


@settings(max_examples=40, deadline=None)
@given(net=networks())
def test_reversal_transposes_weights_and_costs(net):
    turned = nulls.reverse(net)
    (J, C, _), (K, D, _) = dense(net), dense(turned)
    np.testing.assert_array_equal(J.T, K)
    np.testing.assert_array_equal(C.T, D)
    for array, again in zip(dense(net), dense(nulls.reverse(turned)), strict=True):
        np.testing.assert_array_equal(array, again)


def test_attributes_of_neurons_stay_and_those_of_synapses_are_reversed_or_left_out():
    net = SynapticNetwork(
        sparse.csr_array(np.array([[0.0, 2.0], [1.0, 0.0]])),
        gb.as_network(np.eye(2)).neurons,
        node_attributes={0: {"class": "motor"}},
        edge_attributes={(0, 1): {"kind": "chemical"}},
        graph_attributes={"name": "pair"},
    )
    for null in nulls.NULLS:
        drawn = getattr(nulls, null)(net)
        assert drawn.node_attributes == net.node_attributes
        assert drawn.graph_attributes == net.graph_attributes
        kept = {(1, 0): {"kind": "chemical"}} if null == "reverse" else {}
        assert drawn.edge_attributes == kept


# ---------------------------------------------------------------------- uniformity


def degrees(S):
    return np.concatenate([S.sum(axis=0), S.sum(axis=1)]).tolist()


def partners(S):
    return degrees(S & S.T) + degrees(S & ~S.T)


def networks_like(S, kept):
    """Return all simple digraphs, as matrices [post, pre], with what is kept of a given one."""
    n = len(S)
    columns = []
    for j, degree in enumerate(S.sum(axis=0)):
        chosen = combinations([i for i in range(n) if i != j], degree)
        columns.append([np.isin(np.arange(n), targets) for targets in chosen])
    found = (np.array(each).T for each in product(*columns))
    return [each for each in found if kept(each) == kept(S)]


def assert_uniform(draws, states):
    """Each of the states is drawn as often as any other, and no other is."""
    found, states = Counter(draws), set(states)
    assert set(found) <= states
    assert len(states) > 1
    assert found.total() >= 15 * len(states)
    assert stats.chisquare([found[state] for state in states]).pvalue > 0.01


def from_synapses(n, synapses):
    J = np.zeros((n, n))
    for pre, post in synapses:
        J[post, pre] = 1.0
    return J


FAMILIES = {
    "triangle": (3, [(0, 1), (1, 2), (2, 0), (0, 0)]),
    "triangle and a pair": (4, [(0, 1), (1, 2), (2, 0), (0, 3), (3, 0)]),
    "path": (4, [(0, 1), (1, 2), (2, 3), (3, 3)]),
    "crossed pairs": (4, [(0, 1), (1, 0), (2, 3), (3, 2), (0, 2), (3, 1)]),
    "one-way": (5, [(2, 0), (4, 0), (0, 1), (3, 2), (4, 3), (1, 4)]),
    "one pair": (5, [(1, 0), (4, 0), (3, 1), (4, 1), (3, 2), (0, 3), (1, 4), (2, 4)]),
    "two pairs": (5, [(1, 0), (2, 0), (3, 1), (0, 2), (3, 2), (4, 2), (4, 3), (0, 4), (3, 4)]),
}


@pytest.mark.parametrize(("n", "synapses"), FAMILIES.values(), ids=FAMILIES)
def test_rewiring_is_uniform_over_all_networks_with_these_degrees(n, synapses):
    assert_reaches_all(from_synapses(n, synapses), "rewire", degrees)


RECIPROCAL = {name: FAMILIES[name] for name in FAMILIES if name != "triangle and a pair"}


@pytest.mark.parametrize(("n", "synapses"), RECIPROCAL.values(), ids=RECIPROCAL)
def test_reciprocal_rewiring_is_uniform_over_all_networks_with_these_partners(n, synapses):
    assert_reaches_all(from_synapses(n, synapses), "rewire_reciprocal", partners)


def assert_reaches_all(J, null, kept):
    own = np.diag(np.diag(J)).astype(bool)
    states = [(S | own).tobytes() for S in networks_like(off_diagonal(J != 0), kept)]
    drawn = nulls.null_networks(J, null, n=1200, seed=7, attempts=30)
    assert_uniform(((net.weights.toarray() != 0).tobytes() for net in drawn), states)


@pytest.mark.parametrize("lookup", ["bits", "outputs"])
def test_rewiring_is_uniform_over_where_weights_go_too(lookup, monkeypatch):
    """Whichever way synapses are looked up."""
    monkeypatch.setattr(rewiring, "_BITS", 2**25 if lookup == "bits" else 0)
    J = np.array([[0, 0, 0, 3.0], [1.0, 0, 0, -4.0], [2.0, 0, 0, 0], [0, 5.0, 0, 0]])
    states = []
    for S in networks_like(J != 0, degrees):
        columns = [J[:, j][J[:, j] != 0] for j in range(4)]
        for order in product(*(permutations(column) for column in columns)):
            K = np.zeros((4, 4))
            K.T[S.T] = np.concatenate(order)
            states.append(K.tobytes())
    assert len(states) == 4 * len(networks_like(J != 0, degrees))
    drawn = nulls.null_networks(J, n=1200, seed=3, attempts=20)
    assert_uniform((net.weights.toarray().tobytes() for net in drawn), states)


@pytest.mark.parametrize(
    ("null", "number"), {"rows": 24, "weights": 120, "inputs": 4, "outputs": 4}.items()
)
def test_permutations_are_uniform(null, number):
    J = np.array([[9.0, 1, 2, 0], [3, 0, 4, 0], [5, 0, 0, 0], [0, 0, 0, 8]])
    if null == "rows":
        states = [J[list(order)] for order in permutations(range(4))]
    else:
        states = []
        for weights in permutations([1.0, 2, 3, 4, 5]):
            K = J.copy()
            K[(J != 0) & ~np.eye(4, dtype=bool)] = weights
            states.append(K)
        if null == "inputs":
            states = [K for K in states if (np.sort(K) == np.sort(J)).all()]
        if null == "outputs":
            states = [K for K in states if (np.sort(K, axis=0) == np.sort(J, axis=0)).all()]
    assert len(states) == number
    drawn = nulls.null_networks(J, f"permute_{null}", n=15 * max(number, 10), seed=2)
    assert_uniform(
        (net.weights.toarray().tobytes() for net in drawn), [K.tobytes() for K in states]
    )


# ---------------------------------------------------------------------- what is randomised


def test_gradient_norms_of_permuted_rows_are_those_of_permuted_incoming_costs():
    """The null of Fig. 4a in two ways: whole matrices, and sums of rows alone."""
    net = gb.ensembles.dense_gaussian(20, seed=4)
    received, sent = (net.costs.sum(axis=axis) for axis in (1, 0))
    rng = np.random.default_rng(0)
    fast = [np.linalg.norm(rng.permutation(received) - sent) for _ in range(2000)]
    whole = [
        np.linalg.norm(drawn.neural_gradients)
        for drawn in nulls.null_networks(net, "permute_rows", n=300)
    ]
    assert stats.ks_2samp(whole, fast).pvalue > 0.01


def test_overlap_with_the_worm_is_what_its_degrees_make_it():
    net = gb.load_dataset("celegans")
    S = off_diagonal(net.weights.toarray() != 0)
    expected = chances(S)[S].mean()
    for null in REWIRINGS:
        drawn = nulls.null_networks(net, null, n=10)
        overlaps = [(net.weights.toarray() != 0)[S].mean() for net in drawn]
        assert np.mean(overlaps) == pytest.approx(expected, rel=0.05)


def chances(S):
    """Return the chance of each synapse in the model of maximum entropy with these mean degrees."""
    x, y = S.sum(axis=0) / np.sqrt(S.sum()), S.sum(axis=1) / np.sqrt(S.sum())
    apart = ~np.eye(len(S), dtype=bool)
    for _ in range(100):
        x = S.sum(axis=0) / (apart * y[:, None] / (1 + np.outer(y, x))).sum(axis=0)
        y = S.sum(axis=1) / (apart * x / (1 + np.outer(y, x))).sum(axis=1)
    P = apart * np.outer(y, x) / (1 + np.outer(y, x))
    np.testing.assert_allclose(P.sum(axis=0), S.sum(axis=0), atol=1e-6)
    return P


def test_reciprocity_is_lost_unless_it_is_kept():
    def reciprocal(net):
        S = off_diagonal(net.weights.toarray() != 0)
        return (S & S.T).sum()

    net = gb.load_dataset("celegans")
    assert reciprocal(nulls.rewire(net)) < 0.4 * reciprocal(net)
    assert reciprocal(nulls.rewire_reciprocal(net)) == reciprocal(net)


def test_permuted_weights_of_the_worm_are_where_they_were_as_often_as_by_chance():
    net = gb.load_dataset("celegans")
    counts = np.array(list(Counter(net.weights.data).values()))
    expected = (counts**2).sum() / net.n_synapses**2
    drawn = nulls.null_networks(net, "permute_weights", n=20)
    shares = [(each.weights.data == net.weights.data).mean() for each in drawn]
    assert np.mean(shares) == pytest.approx(expected, abs=0.02)


# ---------------------------------------------------------------------- maximum entropy


def test_synapses_of_maximum_entropy_exist_by_chance():
    """Each as often as an independent fit of the model says, and independently."""
    net = gb.load_dataset("witvliet-1")
    P = chances(off_diagonal(net.weights.toarray() != 0))
    drawn = list(nulls.null_networks(net, "maximum_entropy", n=400))
    found = sum(off_diagonal(each.weights.toarray() != 0) for each in drawn)
    likely = P > 0.05
    z = (found - 400 * P)[likely] / np.sqrt(400 * P * (1 - P))[likely]
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert z.std() == pytest.approx(1, abs=4 / np.sqrt(2 * z.size))
    numbers = np.array([each.n_synapses for each in drawn])
    variance = (P * (1 - P)).sum()
    assert numbers.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / 400))


@pytest.mark.parametrize("name", ["witvliet-1", "celegans"])
def test_degrees_and_strengths_of_maximum_entropy_are_met_on_average(name):
    net = gb.load_dataset(name)
    J = net.weights.toarray() * ~np.eye(net.n_neurons, dtype=bool)
    total, squares, n = 0, 0, 200
    for drawn in nulls.null_networks(net, "maximum_entropy", n=n, seed=1):
        np.testing.assert_array_equal(drawn.weights.diagonal(), net.weights.diagonal())
        K = drawn.weights.toarray() * ~np.eye(net.n_neurons, dtype=bool)
        kept = np.concatenate([K.sum(axis=0), K.sum(axis=1), *degrees(K != 0)], axis=None)
        total, squares = total + kept, squares + kept**2
    expected = np.concatenate([J.sum(axis=0), J.sum(axis=1), *degrees(J != 0)], axis=None)
    assert (total[expected == 0] == 0).all()
    total, squares, expected = (each[expected >= 10] for each in (total, squares, expected))
    z = (total / n - expected) / np.sqrt((squares / n - (total / n) ** 2) / n)
    assert abs(z).max() < 5
    assert np.sqrt((z**2).mean()) == pytest.approx(1, abs=0.15)


def test_maximum_entropy_keeps_who_inhibits():
    rng = np.random.default_rng(0)
    J = rng.exponential(size=(40, 40)) * (rng.random((40, 40)) < 0.3)
    J[:, :10] *= -1
    drawn = nulls.maximum_entropy(J).weights.toarray()
    assert (drawn[:, :10] <= 0).all()
    assert (drawn[:, 10:] >= 0).all()
    assert (drawn[:, :10] < 0).any()


STAR = np.array([[0, 2.0, 3, 0.1], [5, 0, 0, 0], [0, 0, 0, 0], [7, 0, 0, 0]])


@pytest.mark.parametrize(
    "network",
    {
        "star": STAR,
        "pair": STAR[:2, :2],
        "one synapse": np.array([[0, 1.0], [0, 0]]),
        "none": np.diag([1.0, 2.0]),
        "path": np.diag([1.0, 2, 3, 4], k=1),
        "complete": gb.ensembles.dense_gaussian(10),
        "sparse": gb.ensembles.random_network(50, 2, seed=1),
        "dense": gb.ensembles.random_network(50, 45, seed=1),
        "heavy-tailed": gb.ensembles.connectome_like(1000, 50_000),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_model_of_maximum_entropy_has_the_degrees_and_strengths(network):
    """In some cases only a limit of such models does."""
    net = gb.as_network(network[1])
    found = nulls.sampler(net, "maximum_entropy")
    apart = ~np.eye(net.n_neurons, dtype=bool)
    J = np.abs(net.weights.toarray()) * apart
    odds = np.outer(found.y, found.x)
    for kept, mean in (J != 0, odds / (1 + odds)), (J, np.outer(found.b, found.a)):
        for axis in 0, 1:
            reached = (mean * apart).sum(axis=axis)
            np.testing.assert_allclose(reached, kept.sum(axis=axis), rtol=3e-6)


def test_new_synapses_have_no_factors_of_their_own():
    net = gb.as_network(STAR).with_cost(alpha=np.ones((4, 4)))
    with pytest.raises(InputError, match="α is given by synapse"):
        nulls.maximum_entropy(net)
    alpha = np.arange(1.0, 5.0)
    np.testing.assert_array_equal(
        nulls.maximum_entropy(net.with_cost(alpha=alpha)).alpha, alpha[None, :]
    )


def test_a_model_that_is_not_found_names_the_neuron(monkeypatch):
    monkeypatch.setattr(entropy, "_ITERATIONS", 1)
    with pytest.raises(InputError, match=r"the neuron '\w+' gets an expected out-degree of"):
        nulls.maximum_entropy("celegans")


# ---------------------------------------------------------------------- diagnostics and errors


@pytest.mark.parametrize("null", REWIRINGS)
def test_diagnostics_tell_a_settled_chain_from_one_that_is_not(null):
    settled = nulls.rewiring_diagnostics("celegans", null)
    assert settled.is_settled
    assert settled.n_steps == 10 * 3671
    assert settled.overlap < 0.15
    assert 0.5 < settled.accepted < 0.9
    short = nulls.rewiring_diagnostics("celegans", null, attempts=0.5)
    assert not short.is_settled
    assert short.overlap > 0.4
    np.testing.assert_allclose(short.trace.index[[0, -1]], [0, 1.5], atol=1e-3)


def test_what_cannot_move_stays():
    full = gb.ensembles.dense_gaussian(5)
    for null in REWIRINGS:
        K = getattr(nulls, null)(full).weights.toarray()
        np.testing.assert_array_equal(np.sort(K, axis=0), np.sort(full.weights.toarray(), axis=0))
        assert getattr(nulls, null)(np.diag([1.0, 2.0])).total_cost == 5.0
        assert getattr(nulls, null)(np.zeros((2, 2))).n_synapses == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: nulls.sampler(net, "shuffle"), "no null model 'shuffle'; choose from permute"),
        (lambda net: nulls.null_networks(net, n=-1), "n is -1"),
        (lambda net: nulls.null_networks(net, seed=0.5), "seed is 0.5"),
        (lambda net: nulls.sampler(net).draw(-1), "k is -1"),
        (lambda net: nulls.permute_rows(net, seed=-3), "seed is -3"),
        (lambda net: nulls.rewire(net, attempts=np.inf), "attempts is inf"),
        (lambda net: nulls.rewire_reciprocal(net, attempts=-1), "attempts is -1"),
        (lambda net: nulls.rewiring_diagnostics(net, "reverse"), "'reverse' does not rewire"),
        (lambda net: nulls.rewiring_diagnostics(np.eye(2)), "nothing to follow"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call(np.ones((3, 3)))
