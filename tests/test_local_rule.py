import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import graphbal as gb
from graphbal import ensembles

networks = st.builds(
    lambda n, degree, sigma, seed, p: ensembles.random_network(
        n, min(degree, n - 1), weights=ensembles.LogNormal(sigma / p), seed=seed, p=p
    ),
    st.integers(2, 20),
    st.integers(1, 5),
    st.floats(0, 2),
    st.integers(0, 10_000),
    st.sampled_from([0.5, 1.0, 2.0, 4.0]),
)


def change_of_weights(J, p, gamma):
    """Return −γ_i g_i + γ_j g_j times J_ij, equation 18, densely."""
    costs = np.abs(J) ** p
    np.fill_diagonal(costs, 0)
    s = gamma * (costs.sum(axis=1) - costs.sum(axis=0))
    return -(s[:, None] - s[None, :]) * J


def integrated(J, t, p, gamma):
    n = len(J)
    found = solve_ivp(
        lambda _, J: change_of_weights(J.reshape(n, n), p, gamma).ravel(),
        (0, t),
        J.ravel(),
        method="DOP853",
        rtol=1e-12,
        atol=1e-14,
    )
    return found.y[:, -1].reshape(n, n)


# ------------------------------------------------------------------ the rule


def test_steps_converge_to_equation_18_at_first_order():
    net = ensembles.random_network(12, 4, seed=1)
    gamma = np.random.default_rng(0).uniform(0.5, 2, 12)
    t = 0.05
    exact = integrated(net.weights.toarray(), t, net.p, gamma)
    errors = []
    for n_steps in (200, 400, 800):
        run = gb.local_rule(net, t / n_steps, n_steps, rate=gamma)
        errors.append(np.abs(run.network.weights.toarray() - exact).max())
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(2, rel=0.05)
    assert run.t[-1] == pytest.approx(t)


@settings(max_examples=50, deadline=None)
@given(networks, st.integers(0, 10_000))
def test_a_synapse_feels_its_own_two_neurons_only(net, seed):
    rng = np.random.default_rng(seed)
    post, pre = net.weights.tocoo().coords
    at = rng.integers(net.n_synapses)
    values = net.weights.data.copy()
    values[at] *= 2.0
    dt = 0.1 * gb.stable_step(net)
    one, other = (gb.local_rule(each, dt, 1).network for each in (net, net.with_weights(values)))
    away = ~(np.isin(post, [post[at], pre[at]]) | np.isin(pre, [post[at], pre[at]]))
    assert (one.weights.data[away] == other.weights.data[away]).all()


def test_signals_are_what_neurons_sense_and_send():
    net = gb.load_dataset("celegans")
    run = gb.local_rule(net, 1.0, 0, rate=0.5, max_rate=300.0)
    assert run.network is net
    assert run.signals["incoming"].equals(net.incoming_costs)
    assert run.signals["outgoing"].equals(net.outgoing_costs)
    assert run.signals["gradient"].equals(net.neural_gradients)
    expected = (0.5 * net.neural_gradients).clip(-300, 300)
    np.testing.assert_allclose(run.signals["signal"], expected)
    assert run.signals["signal"].abs().max() == 300


# ------------------------------------------------------------------ where it ends


VARIANTS = {
    "plain": {},
    "several rates": {"rate": np.linspace(0.5, 1.0, 25)},
    "delayed": {"delay": 3},
    "noisy": {"noise": 0.5},
    "asynchronous": {"asynchronous": 0.3},
    "bounded": {"max_rate": 0.5},
    "all at once": {"delay": 2, "noise": 0.3, "asynchronous": 0.5, "max_rate": 2.0},
    "fixed": {"fixed": [0, 3, 4]},
}


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_ends_at_the_equilibrium(variant, p):
    net = ensembles.random_network(25, 8, weights=ensembles.LogNormal(0.35), seed=7).with_cost(p=p)
    options = VARIANTS[variant]
    dt = 0.5 * gb.stable_step(net, delay=options.get("delay", 0))
    run = gb.local_rule(net, dt, 2_500, record_every=2_500, **options)
    eq = gb.balance(net, tol=1e-12, fixed=options.get("fixed"))
    assert run.is_stable
    np.testing.assert_allclose(run.network.costs.data, eq.network.costs.data, rtol=1e-6)
    if variant == "fixed":
        assert (run.potentials[[0, 3, 4]] == 0).all()
        np.testing.assert_allclose(run.potentials, eq.potentials, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_the_cost_falls_all_the_way_to_the_equilibrium_of_balance(seed):
    rng = np.random.default_rng(seed)
    net = ensembles.random_network(
        int(rng.integers(5, 20)), 4, weights=ensembles.LogNormal(0.25), seed=seed
    )
    run = gb.local_rule(net, 0.4 * gb.stable_step(net), 2_000)
    assert (np.diff(run.total_cost) <= 1e-13 * net.total_cost).all()
    eq = gb.balance(net, tol=1e-12)
    np.testing.assert_allclose(run.potentials, eq.potentials, rtol=0, atol=1e-7)
    assert abs(run.potentials.sum()) <= 1e-9


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_conserves_what_the_flow_conserves(variant):
    net = ensembles.random_network(25, 5, seed=3)
    rng = np.random.default_rng(1)
    net = net.with_weights(net.weights.data * rng.choice([-1.0, 1.0], net.n_synapses))
    options = VARIANTS[variant]
    dt = 0.5 * gb.stable_step(net, delay=options.get("delay", 0))
    run = gb.local_rule(net, dt, 500, record_every=500, **options)
    before, after = (each.weights.toarray() for each in (net, run.network))
    assert (np.sign(after) == np.sign(before)).all()
    assert np.abs(np.log(np.abs(after[after != 0] / before[before != 0]))).max() > 0.1
    eigenvalues = [np.sort_complex(np.linalg.eigvals(J)) for J in (before, after)]
    np.testing.assert_allclose(eigenvalues[1], eigenvalues[0], rtol=0, atol=1e-9)
    basis = gb.analytic.cycle_basis(net)
    products = [gb.analytic.cycle_products(each, basis) for each in (net, run.network)]
    one, two = (each["log_product"] for each in products)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-9)
    # The weights moved by themselves agree with the potentials that the signals add up to.
    expected = net.transform(run.potentials).weights.data
    np.testing.assert_allclose(run.network.weights.data, expected, rtol=1e-11)
    if variant in ("plain", "several rates", "delayed"):
        assert (run.potentials / options.get("rate", 1.0)).sum() == pytest.approx(0, abs=1e-9)


def test_self_connections_count_but_stay():
    J = np.array([[3.0, 4.0], [1.0, 0.0]])
    run = gb.local_rule(J, 0.01, 500)
    np.testing.assert_allclose(run.network.weights.toarray(), [[3, 2], [2, 0]], rtol=1e-9)
    assert run.total_cost.iloc[[0, -1]].round(6).tolist() == [26.0, 17.0]


# ------------------------------------------------------------------ the size of steps


@settings(max_examples=100, deadline=None)
@given(networks)
def test_at_two_fifths_of_the_stable_step_the_cost_falls_from_any_state(net):
    run = gb.local_rule(net, 0.4 * gb.stable_step(net), 1)
    rounding = 1e-14 * run.total_cost[0.0]
    assert run.total_cost.iloc[-1] <= run.total_cost[0.0] + rounding


@settings(max_examples=50, deadline=None)
@given(networks, st.integers(0, 8), st.floats(0.1, 10))
def test_the_stable_step_contracts_every_mode(net, delay, rate):
    balanced = gb.balance(net, tol=1e-12).network
    dt = 0.999 * gb.stable_step(balanced, delay=delay, rate=rate)
    costs = balanced.costs.toarray()
    laplacian = np.diag(costs.sum(axis=0) + costs.sum(axis=1)) - costs - costs.T
    fastest = net.p * rate * dt * np.linalg.eigvalsh(laplacian)[-1]
    # x_{t+1} = x_t − a x_{t−d} has the characteristic polynomial z^{d+1} − z^d + a.
    roots = np.roots([1.0, -1.0, *np.zeros(delay - 1), fastest] if delay else [1.0, fastest - 1.0])
    assert np.abs(roots).max() < 1


@pytest.mark.parametrize("delay", range(6))
def test_delays_shorten_the_step_by_exactly_as_much_as_needed(delay):
    pair = gb.as_network([[0, 1.0], [1.0, 0]])  # the largest eigenvalue is Gershgorin's bound
    a = 2 * 2 * 2 * gb.stable_step(pair, delay=delay)
    roots = np.roots([1.0, -1.0, *np.zeros(delay - 1), a] if delay else [1.0, a - 1.0])
    assert np.abs(roots).max() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("factor", [1.2, 3.0, 1e3, 1e300])
def test_a_step_too_large_is_reported_and_leaves_a_finite_network(factor):
    net = gb.as_network([[0, 2.0], [1.0, 0]])
    dt = factor * gb.stable_step(gb.balance(net).network)
    with pytest.warns(gb.ConvergenceWarning, match="The step is too large: with dt = "):
        run = gb.local_rule(net, dt, 1_000)
    assert not run.is_stable
    assert np.isfinite(run.network.weights.data).all()
    assert np.isfinite(run.history.to_numpy()).all()
    assert f"steps up to {gb.stable_step(net):.3g} do (stable_step)" in run.message


def test_a_bounded_oscillation_is_reported_too():
    net = gb.as_network([[0, 2.0], [1.0, 0]])
    dt = 3 * gb.stable_step(gb.balance(net).network)
    with pytest.warns(gb.ConvergenceWarning, match="does not settle"):
        run = gb.local_rule(net, dt, 500, max_rate=0.1)
    assert len(run.t) == 501
    assert run.potentials.abs().max() < 1


# ------------------------------------------------------------------ options


def test_delayed_signals_arrive_when_they_are_due():
    net = ensembles.random_network(10, 3)
    dt = 0.1 * gb.stable_step(net)
    waiting = gb.local_rule(net, dt, 4, delay=4)
    assert (waiting.network.weights.data == net.weights.data).all()
    arrived = gb.local_rule(net, dt, 5, delay=4).network.weights.data
    assert (arrived == gb.local_rule(net, dt, 1).network.weights.data).all()


def test_bounded_rates_bound_every_step():
    net = gb.load_dataset("celegans")
    run = gb.local_rule(net, 1e-3, 1, max_rate=2.0)
    assert run.potentials.abs().max() == pytest.approx(2e-3)


def test_silent_neurons_do_nothing():
    net = ensembles.random_network(200, 5)
    run = gb.local_rule(net, 0.1 * gb.stable_step(net), 1, asynchronous=0.25, seed=3)
    assert 0.15 < (run.potentials != 0).mean() < 0.35


def test_a_seed_determines_the_run():
    net = ensembles.random_network(20, 4)
    options = {"dt": 0.3 * gb.stable_step(net), "n_steps": 50, "noise": 0.5, "asynchronous": 0.5}
    one, same, other = (gb.local_rule(net, seed=seed, **options) for seed in (1, 1, 2))
    assert (one.network.weights.data == same.network.weights.data).all()
    assert (one.network.weights.data != other.network.weights.data).any()


def test_the_history_holds_the_first_the_last_and_every_kth_state():
    net = ensembles.random_network(10, 3)
    run = gb.local_rule(net, 1e-3, 25, record_every=10)
    np.testing.assert_allclose(run.t, [0, 0.01, 0.02, 0.025])
    assert run.total_cost.iloc[-1] == pytest.approx(run.network.total_cost)
    assert run.gradient_norm.iloc[0] == pytest.approx(np.linalg.norm(net.neural_gradients))
    assert run.imbalance.iloc[-1] == pytest.approx(run.network.imbalance)
    assert run.history["neuron_imbalance"].iloc[0] == pytest.approx(net.neuron_imbalance)


def test_progress_is_shown_on_standard_error(capfd):
    gb.local_rule([[0, 2.0], [1.0, 0]], 0.01, 3, progress=True)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 0}, "dt is 0; it must be a finite number above 0"),
        ({"dt": np.nan}, "dt is nan"),
        ({"n_steps": -1}, "n_steps is -1; it must be a whole number from 0 on"),
        ({"n_steps": 2.5}, "n_steps is 2.5"),
        ({"delay": -1}, "delay is -1"),
        ({"record_every": 0}, "record_every is 0; it must be a whole number from 1 on"),
        ({"noise": -0.1}, "noise is -0.1"),
        ({"asynchronous": 1.5}, "asynchronous is 1.5; it must be a finite number above 0, up to 1"),
        ({"max_rate": 0.0}, "max_rate is 0.0"),
        ({"rate": 0.0}, "the rate of the neuron 'a' is 0; .* name it in `fixed`"),
        ({"rate": {"a": 1.0}}, "there is no rate for the neuron 'b'"),
        ({"fixed": ["c"]}, "no neuron labelled 'c'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    net = gb.SynapticNetwork.from_scipy(np.array([[0, 2.0], [1.0, 0]]), neurons=["a", "b"])
    with pytest.raises(gb.InputError, match=message):
        gb.local_rule(net, **({"dt": 0.01, "n_steps": 1} | options))
