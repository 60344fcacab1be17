"""Noise of the linear dynamics, abscissae and transients, from elsewhere."""

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import graphbal as gb
from graphbal.rnn import (
    RecurrentNetwork,
    balance,
    jacobian,
    numerical_abscissa,
    output_noise,
    simulate,
    spectral_abscissa,
    transient_amplification,
)

FORMS = ["current", "rate", "discrete"]
ACTIVATIONS = ["relu", "leaky_relu", "linear", "tanh", "softplus"]


def network(n=8, seed=0, gain=0.6, **settings):
    rng = np.random.default_rng(seed)
    return RecurrentNetwork(
        **{
            "w_rec": gain * rng.standard_normal((n, n)) / np.sqrt(n),
            "w_in": rng.standard_normal((n, 3)),
            "w_out": rng.standard_normal((2, n)),
            "bias": rng.standard_normal(n),
            "tau": rng.uniform(0.5, 2.0, n),
            "leak": 0.2,
        }
        | settings
    )


def velocity(net, x, u):
    """Return dx/dt, in discrete time the next state, from the equations."""
    received = net.w_in @ u + net.bias
    if net.form == "current":
        return (-x + net.w_rec @ net.rates(x) + received) / net.tau
    there = net.rates(net.w_rec @ x + received)
    return there if net.form == "discrete" else (-x + there) / net.tau


def symmetric(P):
    """Return the covariance with all that it is."""
    np.testing.assert_allclose(P, P.T, rtol=1e-10, atol=1e-12)
    return P


# ------------------------------------------------------------------ Jacobian


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_jacobian_is_the_slope_of_the_dynamics(form, activation):
    net = network(form=form, activation=activation)
    rng = np.random.default_rng(1)
    x, u, small = rng.standard_normal(8), rng.standard_normal(3), 1e-6 * np.eye(8)
    slopes = [(velocity(net, x + e, u) - velocity(net, x - e, u)) / 2e-6 for e in small]
    np.testing.assert_allclose(jacobian(net, x, u), np.transpose(slopes), atol=1e-8)


@pytest.mark.parametrize("form", FORMS)
def test_with_all_neurons_active_the_jacobian_is_that_of_a_linear_network(form):
    net = network(form=form)
    linear = network(form=form, activation="linear")
    np.testing.assert_array_equal(jacobian(net), jacobian(linear, np.zeros(8)))
    few = network(form=form, w_rec=sparse.csr_array(net.w_rec))
    np.testing.assert_array_equal(jacobian(few), jacobian(net))


@pytest.mark.parametrize("form", FORMS)
def test_a_silent_neuron_passes_nothing_on(form):
    others = np.arange(8) != 3
    net = network(form=form, bias=np.where(others, 5.0, -1e4), w_rec=np.full((8, 8), 2.0))
    A = jacobian(net, np.where(others, 50.0, -100.0))
    silent = A[others, 3] if form == "current" else A[3, others]
    assert not silent.any()
    assert np.abs(A[np.ix_(others, others)]).min() > 0


# ------------------------------------------------------------------ stationary noise


NOISE = {"noise": np.linspace(0.5, 1.5, 8), "shared_noise": np.linspace(0.0, 1.0, 8)}


def by_kronecker(A, Q, in_steps):
    """Solve for the covariance as a system of n² equations."""
    eye = np.eye(len(A))
    system = np.eye(A.size) - np.kron(A, A) if in_steps else -np.kron(A, eye) - np.kron(eye, A)
    return np.linalg.solve(system, Q.ravel()).reshape(A.shape)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("readout", ["states", "rates"])
def test_the_covariance_solves_the_system_of_all_its_entries(form, readout):
    net = network(form=form, readout=readout, activation="tanh")
    rng = np.random.default_rng(1)
    x, u = rng.standard_normal(8), rng.standard_normal(3)
    Q = np.diag(NOISE["noise"] ** 2) + np.outer(NOISE["shared_noise"], NOISE["shared_noise"])
    if form != "discrete":
        Q = Q * 2 / np.sqrt(np.outer(net.tau, net.tau))
    P = by_kronecker(jacobian(net, x, u), Q, form == "discrete")
    found = output_noise(net, state=x, inputs=u, **NOISE)
    np.testing.assert_allclose(symmetric(found.states), P, rtol=1e-10)
    read = net.w_out * (1 - np.tanh(x) ** 2 if readout == "rates" else 1)
    np.testing.assert_allclose(found.outputs, read @ P @ read.T, rtol=1e-10)
    np.testing.assert_allclose(found.output_variance, np.diag(read @ P @ read.T), rtol=1e-10)


@pytest.mark.parametrize("form", ["current", "rate"])
def test_the_covariance_is_where_its_equation_of_motion_ends(form):
    net = network(form=form)
    A, D = jacobian(net), np.diag(np.sqrt(2 / net.tau))
    s = NOISE["shared_noise"]
    Q = D @ (np.diag(NOISE["noise"] ** 2) + np.outer(s, s)) @ D

    def motion(_, flat):
        P = flat.reshape(8, 8)
        return (A @ P + P @ A.T + Q).ravel()

    ended = solve_ivp(motion, (0, 60), np.zeros(64), rtol=1e-9, atol=1e-9).y[:, -1]
    np.testing.assert_allclose(output_noise(net, **NOISE).states.to_numpy().ravel(), ended, 1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("readout", ["states", "rates"])
def test_simulated_noise_has_the_covariance_that_is_predicted(form, readout):
    # Nobody comes near the threshold, so that the dynamics is linear; one neuron is silent, unless
    # its noise would cross the threshold on its way to the outputs.
    silent = (np.arange(8) == 3) & (form == "current" or readout == "states")
    inside, sent = np.where(silent, -30.0, 30.0), np.where(silent, 0.0, 30.0)
    bias = inside - network().w_rec @ sent
    net = network(form=form, readout=readout, bias=bias, tau=1.0)
    rest = inside if form == "current" else sent
    step = {} if form == "discrete" else {"dt": 0.5, "substeps": 4}
    run = simulate(net, np.zeros((400, 540, 3)), initial=rest, seed=3, **step, **NOISE)
    x, y = run.states[:, 40:].to_numpy(), run.outputs[:, 40:].to_numpy()
    assert x[..., ~silent].min() > 0
    predicted = output_noise(net, state=rest, **step, **NOISE)
    P = predicted.states.to_numpy()
    np.testing.assert_allclose(np.cov(x.reshape(-1, 8).T), P, atol=0.02 * np.diag(P).max())
    np.testing.assert_allclose(y.var(axis=(0, 1)), predicted.output_variance, rtol=0.03)


def test_steps_make_more_noise_in_proportion_to_their_length():
    net = network()
    limit = output_noise(net).output_variance
    excess = [output_noise(net, dt=dt).output_variance - limit for dt in (0.02, 0.01, 0.005)]
    assert (excess[0] > 0).all()
    for coarse, fine in itertools.pairwise(excess):
        np.testing.assert_allclose(coarse / fine, 2.0, rtol=0.05)
    same = output_noise(net, dt=0.1, substeps=10).states
    np.testing.assert_allclose(same, output_noise(net, dt=0.01).states, rtol=1e-12)


def test_noise_scaled_like_the_states_leaves_the_output_noise_as_it_was():
    net, h = network(), np.linspace(-1, 1, 8)
    moved = output_noise(net.transform(h), np.exp(-h), shared_noise=np.exp(-h))
    given = output_noise(net, shared_noise=1.0)
    np.testing.assert_allclose(moved.outputs, given.outputs, rtol=1e-12)
    np.testing.assert_allclose(
        moved.states, given.states * np.exp(-h - h[:, None]), rtol=1e-10, atol=1e-14
    )


def test_balancing_uneven_neurons_lowers_the_output_noise():
    ratios = {"recurrent": [], "all": []}
    for seed in range(10):
        even = network(n=30, seed=seed, gain=0.5)
        uneven = even.transform(np.random.default_rng(seed).standard_normal(30))
        before = output_noise(uneven).output_variance.sum()
        for scope, found in ratios.items():
            after = output_noise(balance(uneven, scope=scope).network).output_variance.sum()
            found.append(after / before)
    assert max(ratios["recurrent"]) < 0.6
    assert max(ratios["all"]) < 1


def test_a_network_without_readout_has_noisy_states_all_the_same():
    net = network(w_out=None, neurons=list("abcdefgh"))
    found = output_noise(net)
    assert found.outputs.shape == (0, 0)
    assert found.output_variance.empty
    assert found.states.loc["a", "a"] > 0


# ------------------------------------------------------------------ abscissae and transients


@pytest.mark.parametrize("form", FORMS)
def test_a_transformation_moves_no_eigenvalue(form):
    net = network(form=form, tau=1.0)
    moved = net.transform(np.linspace(-2, 2, 8))
    x = np.linspace(-1, 1, 8)
    there = x * np.exp(-np.linspace(-2, 2, 8))
    for before, after in (((), ()), ((x, np.ones(3)), (there, np.ones(3)))):
        assert spectral_abscissa(moved, *after) == pytest.approx(spectral_abscissa(net, *before))
        assert numerical_abscissa(moved, *after) > spectral_abscissa(net, *before)


@pytest.mark.parametrize("form", ["current", "rate"])
def test_the_abscissae_are_the_growth_rates_in_the_end_and_in_the_beginning(form):
    net = network(n=20, form=form)
    A = jacobian(net)
    early = (np.linalg.norm(expm(1e-6 * A), 2) - 1) / 1e-6
    assert numerical_abscissa(net) == pytest.approx(early, rel=1e-4)
    late = [np.log(np.linalg.norm(expm(t * A), 2)) / t for t in (400.0, 800.0)]
    assert spectral_abscissa(net) == pytest.approx(2 * late[1] - late[0], rel=1e-2)


def test_in_discrete_time_abscissae_are_growth_factors():
    net = network(form="discrete")
    A = net.w_rec
    start = np.random.default_rng(0).standard_normal((8, 2_000))
    growth = np.linalg.norm(A @ start, axis=0) / np.linalg.norm(start, axis=0)
    assert growth.max() <= numerical_abscissa(net) <= 1.2 * growth.max()
    assert np.linalg.norm(np.linalg.matrix_power(A, 400), 2) ** (1 / 400) == pytest.approx(
        spectral_abscissa(net), rel=0.01
    )


def chain(n, weight, **settings):
    """Return a feed-forward chain, whose transient travels from end to end."""
    return RecurrentNetwork(weight * np.eye(n, k=-1), activation="linear", **settings)


@pytest.mark.parametrize(
    "net",
    [
        network().transform(np.linspace(-2, 2, 8)),
        network(n=20, seed=5, form="rate").transform(np.linspace(-1, 1, 20)),
        chain(2, 5.0),
        chain(25, 1.5),
        RecurrentNetwork([[-4.0, 90.0], [0.0, 0.99]], activation="linear"),
    ],
    ids=["random", "larger", "pair", "chain", "fast and slow"],
)
def test_amplification_is_the_peak_of_the_norm_of_the_propagator(net):
    A = jacobian(net)
    times = np.unique([*np.linspace(0, 60, 121), *np.geomspace(1e-3, 60, 60)])
    for _ in range(2):  # once more around the best
        norms = np.linalg.norm(expm(A * times[:, None, None]), 2, axis=(1, 2))
        best = norms.argmax()
        times = np.linspace(times[max(best - 1, 0)], times[best + 1], 100)
    assert norms.max() > 1.01
    assert transient_amplification(net) == pytest.approx(norms.max(), rel=1e-5)


def test_amplification_of_a_pair_is_as_by_hand():
    # e^{At} = e^{−t} (1, wt; 0, 1), of which the norm is e^{−t} (√(1 + w²t²/4) + wt/2).
    w, t = 5.0, np.linspace(0, 5, 100_001)
    expected = (np.exp(-t) * (np.sqrt(1 + (w * t / 2) ** 2) + w * t / 2)).max()
    assert transient_amplification(chain(2, w)) == pytest.approx(expected, rel=1e-8)


def test_in_discrete_time_amplification_is_the_largest_power():
    assert transient_amplification(chain(6, 3.0, form="discrete")) == pytest.approx(3.0**5)
    for seed in range(3):
        net = network(n=12, seed=seed, gain=0.6, form="discrete")
        net = net.transform(np.linspace(-1, 1, 12))
        powers = [np.linalg.norm(np.linalg.matrix_power(net.w_rec, k), 2) for k in range(1, 60)]
        assert transient_amplification(net) == pytest.approx(max(powers))


def test_nothing_is_amplified_where_nothing_grows():
    J = np.random.default_rng(0).standard_normal((8, 8))
    symmetric = RecurrentNetwork(-J @ J.T, activation="linear")
    assert transient_amplification(symmetric) == 1.0
    assert transient_amplification(RecurrentNetwork(np.zeros((2, 2)), form="discrete")) == 1.0
    balanced = balance(RecurrentNetwork([[0, 0.1], [2.5, 0]])).network
    assert transient_amplification(balanced) == 1.0


@pytest.mark.parametrize(
    "net",
    [
        RecurrentNetwork([[-0.5, 2.0], [2.0, 0.0]]),
        RecurrentNetwork([[0.5, 1.0], [1.0, 0.0]], form="discrete"),
        RecurrentNetwork(np.eye(3)),  # remembers for ever
        RecurrentNetwork([[0, 1.0], [-1.0, 0]], form="discrete", activation="linear"),
    ],
)
def test_unstable_dynamics_is_amplified_without_end_and_its_noise_never_settles(net):
    assert transient_amplification(net) == np.inf
    with pytest.raises(gb.InputError, match=r"not stable there .*noise never settles"):
        output_noise(net)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "function", [jacobian, output_noise, spectral_abscissa, numerical_abscissa]
)
@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({"state": np.ones(3)}, r"state has shape \(3,\); it must be \(8,\)"),
        ({"state": np.full(8, np.nan)}, r"state\[0\] is nan"),
        ({"state": "rest"}, "state must be an array of numbers"),
        (
            {"state": np.ones(8), "inputs": np.ones(2)},
            r"inputs has shape \(2,\); it must be \(3,\)",
        ),
        ({"inputs": np.ones(3)}, "inputs are given without the state"),
    ],
)
def test_bad_places_are_named(function, at, message):
    with pytest.raises(gb.InputError, match=message):
        function(network(), **at)


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({}, {"noise": -1.0}, "noise is -1.0"),
        ({}, {"noise": "much"}, "noise must be numbers"),
        (
            {},
            {"shared_noise": [1.0]},
            r"shared_noise has shape \(1,\); it must be a number or \(8,\)",
        ),
        ({"tau": 1.0}, {"dt": 2.0}, "the limit is 2 min τ = 2"),
        ({}, {"substeps": 2}, "dt, the time step, is needed"),
        ({"form": "discrete"}, {"dt": 1.0}, "in discrete time there is no dt"),
        ({"w_rec": -9.0 * np.eye(8), "tau": 1.0}, {"dt": 0.3}, "its spectral radius is 2"),
    ],
)
def test_bad_noise_is_named(settings, options, message):
    with pytest.raises(gb.InputError, match=message):
        output_noise(network(**settings), **options)
