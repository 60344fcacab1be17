import itertools

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import graphbal as gb
from graphbal import analytic, ensembles
from graphbal.solvers import ClosedForm, Newton

costs = st.floats(-100, 100).map(lambda x: 10.0**x)
exponents = st.sampled_from([0.5, 1.0, 2.0, 4.0])


# ------------------------------------------------------------------ trajectories


def weights_by_equation_18(weights, t, p, rate):
    """Integrate dJ_ij/dt = −γ (g_i − g_j) J_ij from the weights; return |J|^p at the times."""
    n = len(weights)

    def change(_, flat):
        J = flat.reshape(n, n)
        c = np.abs(J) ** p
        g = c.sum(axis=1) - c.sum(axis=0)
        return (-rate * (g[:, None] - g[None, :]) * J).ravel()

    found = solve_ivp(
        change, (0, t[-1]), weights.ravel(), method="DOP853", t_eval=t, rtol=1e-12, atol=1e-30
    )
    return np.abs(found.y.T.reshape(-1, n, n)) ** p


@pytest.mark.parametrize("p", [0.5, 1, 2, 4])
@pytest.mark.parametrize(("c12", "c21"), [(9.0, 0.04), (1.0, 1.5), (1.0, 0.0)])
def test_two_neurons_follow_equation_18_integrated_on_the_weights(p, c12, c21):
    t = np.concatenate([[0], np.logspace(-2, 1, 13)])
    weights = np.array([[0, c12], [c21, 0]]) ** (1 / p)
    expected = weights_by_equation_18(weights, t, p, rate=1.5)
    ours = analytic.reciprocal_pair(c12, c21, t, p, rate=1.5)
    np.testing.assert_allclose(ours[0], expected[:, 0, 1], rtol=1e-9)
    np.testing.assert_allclose(ours[1], expected[:, 1, 0], rtol=1e-9)
    if c21 == 0:
        alone = analytic.single_synapse(c12, t, p, rate=1.5)
        np.testing.assert_allclose(alone, expected[:, 0, 1], rtol=1e-9)


@settings(max_examples=200, deadline=None)
@given(c12=costs, c21=costs, log_t=st.floats(-120, 120), p=exponents)
def test_pairs_obey_equation_29_over_hundreds_of_decades(c12, c21, log_t, p):
    t = 10.0**log_t
    ours = analytic.reciprocal_pair(c12, c21, t, p)
    with mpmath.workdps(400):
        a, b = mpmath.mpf(c12), mpmath.mpf(c21)
        mean, u = mpmath.sqrt(a * b), mpmath.log(a / b) / 2
        decay = mpmath.exp(-4 * p * mean * mpmath.mpf(t))
        later = 2 * mpmath.atanh(mpmath.tanh(u / 2) * decay)
        expected = [float(mean * mpmath.exp(later)), float(mean * mpmath.exp(-later))]
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


@settings(max_examples=100, deadline=None)
@given(c0=costs, log_t=st.floats(-120, 120), p=exponents)
def test_single_synapses_obey_equation_31(c0, log_t, p):
    t = 10.0**log_t
    expected = float(mpmath.mpf(c0) / (1 + 2 * mpmath.mpf(p) * mpmath.mpf(c0) * mpmath.mpf(t)))
    assert analytic.single_synapse(c0, t, p) == pytest.approx(expected, rel=1e-14)


@settings(max_examples=100, deadline=None)
@given(c12=costs, c21=costs | st.just(0.0), log_t=st.floats(-120, 120), p=exponents)
def test_potentials_of_a_pair_turn_its_costs_into_those_of_the_time(c12, c21, log_t, p):
    t = 10.0**log_t
    h1, h2 = analytic.pair_potentials(c12, c21, t, p)
    later12, later21 = analytic.reciprocal_pair(c12, c21, t, p)
    assert h1 + h2 == 0
    assert np.log(later12) == pytest.approx(np.log(c12) + p * (h2 - h1), abs=1e-11)
    if c21 > 0:
        assert np.log(later21) == pytest.approx(np.log(c21) + p * (h1 - h2), abs=1e-11)


def test_closed_forms_broadcast_costs_against_times():
    c12, c21 = analytic.reciprocal_pair([[1.0], [2.0]], 1.0, [0.0, 1.0, 2.0])
    assert c12.shape == c21.shape == (2, 3)
    assert (c12[0] == 1).all()  # balanced from the start


# ------------------------------------------------------------------ equilibria against Newton


def positive(rng, *shape):
    return np.exp(2 * rng.standard_normal(shape))


def tree_or_cactus(rng, longest):
    n = int(rng.integers(3, 40))
    found = np.zeros((n, n))
    k = 1
    while k < n:
        hub, length = int(rng.integers(k)), min(int(rng.integers(1, longest + 1)), n - k)
        for a, b in itertools.pairwise([hub, *range(k, k + length), hub]):
            found[b, a] = positive(rng)
            if length == 1 or rng.random() < 0.5:
                found[a, b] = positive(rng)
        k += length
    order = rng.permutation(n)
    return found[np.ix_(order, order)]


def ring_costs(rng):
    n = int(rng.integers(3, 40))
    found, here = np.zeros((n, n)), np.arange(n)
    forward, backward = positive(rng, n), positive(rng, n) * (rng.random(n) < 0.7)
    found[(here + 1) % n, here], found[here, (here + 1) % n] = forward, backward
    return found, forward, backward


def closed_tree(rng, p):
    net = gb.as_network(tree_or_cactus(rng, 1) ** (1 / p), p=p)
    return net, analytic.detailed_balance(net)


def closed_cactus(rng, p):
    net = gb.as_network(tree_or_cactus(rng, 6) ** (1 / p), p=p)
    return net, gb.balance(net, solver=ClosedForm()).potentials


def closed_ring(rng, p):
    found, forward, backward = ring_costs(rng)
    net = gb.as_network(found ** (1 / p), p=p)
    return net, analytic.ring(forward, backward, p).potentials


def closed_rank_one(rng, p):
    n = int(rng.integers(2, 30))
    a, b = positive(rng, n), positive(rng, n)
    found = np.outer(a, b)
    if rng.random() < 0.5:
        np.fill_diagonal(found, 0)
    return gb.as_network(found ** (1 / p), p=p), analytic.rank_one(a, b, p)


def closed_detailed_balance(rng, p):
    n = int(rng.integers(3, 30))
    symmetric = positive(rng, n, n) * (rng.random((n, n)) < 0.3)
    symmetric += np.diag(positive(rng, n - 1), 1)  # connected
    h = 2 * rng.standard_normal(n)
    found = (symmetric + symmetric.T) * np.exp(h[:, None] - h[None, :])
    net = gb.as_network(found ** (1 / p), p=p)
    return net, analytic.detailed_balance(net)


CLOSED = [closed_tree, closed_cactus, closed_ring, closed_rank_one, closed_detailed_balance]


@pytest.mark.parametrize("closed", CLOSED)
def test_closed_forms_agree_with_newton_on_200_random_networks_of_each_kind(closed):
    for seed in range(200):
        net, potentials = closed(np.random.default_rng(seed), p=(0.5, 1, 2, 4)[seed % 4])
        newton = gb.balance(net, solver=Newton("direct"), tol=1e-13).potentials
        assert np.abs(np.asarray(potentials) - newton).max() <= 1e-9, seed


@pytest.mark.parametrize("seed", range(10))
def test_the_circulation_of_a_ring_is_the_root_of_its_equation(seed):
    rng = np.random.default_rng(seed)
    a, b = positive(rng, 12), positive(rng, 12)
    s = np.sqrt(a * b)
    total = 0.5 * np.log(a / b).sum()
    expected = brentq(
        lambda K: np.arcsinh(K / (2 * s)).sum() - total, -1e6, 1e6, xtol=1e-15, rtol=1e-15
    )
    found = analytic.ring(a, b)
    assert found.circulation == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(found.forward - found.backward, found.circulation, rtol=1e-9)
    np.testing.assert_allclose(found.forward * found.backward, a * b, rtol=1e-12)


def test_a_one_way_ring_is_a_directed_cycle():
    around = ensembles.directed_cycle(50, weights=ensembles.LogNormal(1.5)).costs.tocoo()
    a = around.data[np.argsort(around.col)]
    found = analytic.ring(a, np.zeros(50))
    np.testing.assert_allclose(found.forward, analytic.directed_cycle(a), rtol=1e-12)
    assert found.circulation == pytest.approx(analytic.directed_cycle(a), rel=1e-12)
    assert analytic.ring(np.zeros(50), a).circulation == pytest.approx(-found.circulation)


# ------------------------------------------------------------------ bounds


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 25),
    degree=st.integers(1, 5),
    sigma=st.floats(0, 3),
    seed=st.integers(0, 10_000),
)
def test_the_drop_lies_between_its_bounds(n, degree, sigma, seed):
    net = ensembles.random_network(
        n, min(degree, n - 1), weights=ensembles.LogNormal(sigma / 2), seed=seed
    )
    drop = gb.balance(net).drop
    lower, upper = analytic.drop_bounds(net)
    rounding = 1e-9 * net.total_cost
    assert lower - rounding <= drop <= upper + rounding
    assert analytic.drop_bounds(net, fixed=[]) == (lower, upper)
    some = list(range(0, n, 2))
    lower, upper = analytic.drop_bounds(net, fixed=some)
    assert lower - rounding <= gb.balance(net, fixed=some).drop <= upper + rounding


@pytest.mark.parametrize("seed", range(5))
def test_detailed_balance_attains_the_upper_bound(seed):
    net, potentials = closed_detailed_balance(np.random.default_rng(seed), p=2)
    drop = net.total_cost - net.transform(potentials).total_cost
    assert analytic.drop_bounds(net)[1] == pytest.approx(drop, rel=1e-9)


def test_balancing_one_neuron_attains_the_lower_bound_on_a_star():
    star = np.zeros((5, 5))
    star[0, 1:], star[1:, 0] = 4.0, 1.0
    net = gb.as_network(star, p=1)
    assert analytic.drop_bounds(net)[0] == pytest.approx(gb.balance(net).drop)


def test_compiled_look_up_of_reverses_agrees(monkeypatch):
    net = ensembles.connectome_like(300, 4_000)
    expected = analytic.drop_bounds(net)
    monkeypatch.setattr(analytic.bounds, "LARGE", 0)
    assert analytic.drop_bounds(net) == pytest.approx(expected, rel=1e-12)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: analytic.single_synapse(-1.0, 1.0), "a cost is -1.0; it must be a finite number"),
        (lambda: analytic.single_synapse(1.0, [0, np.nan]), "a time is nan"),
        (lambda: analytic.reciprocal_pair(1.0, np.inf, 1.0), "a cost is inf"),
        (lambda: analytic.reciprocal_pair(1.0, 1.0, -1.0), "a time is -1.0"),
        (lambda: analytic.reciprocal_pair(1.0, 1.0, 1.0, p=0), "p is 0; it must be"),
        (lambda: analytic.single_synapse(1.0, 1.0, rate=-2), "rate is -2; it must be"),
        (lambda: analytic.directed_cycle([]), "there is no cost"),
        (lambda: analytic.directed_cycle([1.0, 0.0]), "a cost is 0.0; give finite numbers above"),
        (lambda: analytic.ring([1.0, 1.0], [1.0, 1.0]), "of three neurons or more"),
        (lambda: analytic.ring([1.0, 0, 1], [0, 1.0, 1]), "walked around in either direction"),
        (lambda: analytic.rank_one([1.0, 2.0], [1.0]), "give one each way per neuron"),
        (lambda: analytic.drop_bounds([[0, 1], [1, 0]], fixed=[7]), "no neuron labelled 7"),
        (lambda: analytic.detailed_balance([[0, 1], [0, 0]]), "1 synapse.s. have no reverse"),
        (
            lambda: analytic.detailed_balance([[0, 2.0, 1.0], [1.0, 0, 1.0], [1.0, 1.0, 0]]),
            "around 2 → 1 → 0 → 2 the product of costs is e.1.39 times that of the other way",
        ),
    ],
)
def test_input_that_makes_no_sense_is_refused(call, message):
    with pytest.raises(gb.InputError, match=message):
        call()
