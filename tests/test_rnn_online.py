import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import graphbal as gb
from graphbal.rnn import (
    RecurrentNetwork,
    RobustnessCost,
    as_graph,
    balance,
    balance_online,
    robustness_cost,
    simulate,
)

FORMS = ["current", "rate", "discrete"]
HOMOGENEOUS = ["relu", "leaky_relu", "linear"]
PHI = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
}
SLOPE = {
    "relu": lambda x: np.where(x > 0, 1.0, 0.0),
    "leaky_relu": lambda x: np.where(x > 0, 1.0, 0.2),
    "linear": np.ones_like,
}


def network(n=12, seed=0, gain=0.7, **settings):
    rng = np.random.default_rng(seed)
    return RecurrentNetwork(
        **{
            "w_rec": gain * rng.standard_normal((n, n)) / np.sqrt(n),
            "w_in": rng.standard_normal((n, 3)),
            "w_out": rng.standard_normal((2, n)),
            "bias": 0.3 * rng.standard_normal(n),
            "output_bias": rng.standard_normal(2),
            "x0": rng.standard_normal(n),
            "leak": 0.2,
        }
        | settings
    )


def ring(n=12, **settings):
    """Return a sparse network whose synapses all lie on cycles."""
    J = sparse.random_array((n, n), density=0.2, rng=np.random.default_rng(4))
    return network(n, w_rec=0.3 * J + 0.6 * sparse.eye_array(n, k=1) - sparse.eye_array(n, k=1 - n))


def trials(net, n_trials=3, times=50, seed=1):
    return np.random.default_rng(seed).standard_normal((n_trials, times, net.n_inputs))


def step(net):
    return {"dt": None if net.form == "discrete" else 0.2}


def by_hand(net, inputs, dt, cost, scope, rate, gain_time, floor=1e-3):
    """Run the rule as it is written: on weights, synapse by synapse, gains as running averages."""
    phi, slope = PHI[net.activation], SLOPE[net.activation]
    J, w_in, w_out = net.w_rec.copy(), net.w_in.copy(), net.w_out.copy()
    b, x = net.bias.copy(), np.tile(net.x0, (len(inputs), 1))
    n, r, h = len(J), np.zeros(len(J)), np.zeros(len(J))
    outputs, costs = [], []
    for k in range(inputs.shape[1] + 1):
        if k < inputs.shape[1]:
            drive = inputs[:, k] @ w_in.T + b
            if net.form == "current":
                x = x + dt * (-x + phi(x) @ J.T + drive)
                sensed = slope(x)
            else:
                received = x @ J.T + drive
                sensed = slope(received)
                x = phi(received) if net.form == "discrete" else x + dt * (-x + phi(received))
            outputs.append(x @ w_out.T + net.output_bias)
            weight = max(1 / (k + 1), dt / gain_time)
            r = (1 - weight) * r + weight * (sensed**2).mean(axis=0)
        alpha = np.maximum(r, floor) if cost == "robustness" else np.ones(n)
        sent, received = (alpha, np.ones(n)) if net.form == "current" else (np.ones(n), alpha)
        g = np.zeros(n)
        total = 0.0
        for i, j in np.ndindex(n, n):
            c = sent[j] * received[i] * J[i, j] ** 2
            total += c
            g[i] += c
            g[j] -= c
        if scope == "all":
            g += received * (w_in**2).sum(axis=1) - (w_out**2).sum(axis=0)
            total += (received[:, None] * w_in**2).sum() + (w_out**2).sum()
        costs.append((total, np.linalg.norm(g)))
        if k == inputs.shape[1]:
            return h, r, J, x, np.stack(outputs, axis=1), np.array(costs)
        move = rate * dt * g
        h = h + move
        for i, j in np.ndindex(n, n):
            J[i, j] *= np.exp(-(move[i] - move[j]))
        w_in, b = w_in * np.exp(-move)[:, None], b * np.exp(-move)
        w_out, x = w_out * np.exp(move), x * np.exp(-move)


# ------------------------------------------------------------------ the computation stays


@pytest.mark.parametrize("scope", ["recurrent", "all"])
@pytest.mark.parametrize("activation", HOMOGENEOUS)
@pytest.mark.parametrize("form", FORMS)
def test_outputs_stay_throughout(form, activation, scope):
    readout = "rates" if scope == "all" else "states"
    net = network(form=form, activation=activation, readout=readout)
    inputs = trials(net, times=100)
    expected = np.tile(simulate(net, inputs, **step(net)).outputs, (1, 5, 1))
    for cost in ("l2", 1.0, "robustness"):
        run = balance_online(net, inputs, **step(net), cost=cost, scope=scope, repeats=5)
        assert np.abs(run.potentials).max() > 0.1
        np.testing.assert_allclose(
            run.outputs, expected, rtol=0, atol=1e-12 * np.abs(expected).max()
        )


@pytest.mark.parametrize(
    "net",
    [
        ring(),
        network(tau=np.linspace(0.5, 2, 12)),
        network(form="rate", tau=np.linspace(0.5, 2, 12)),
        network(w_out=None, output_bias=None),
    ],
    ids=["sparse", "time constants", "time constants, rate", "no outputs"],
)
def test_states_are_scaled_along(net):
    inputs = trials(net)
    before = simulate(net, inputs, 0.2, substeps=2)
    previous = np.zeros(12)
    for k in (1, 2, 13, 50):
        run = balance_online(net, inputs[:, :k], 0.2, substeps=2)
        h = run.potentials.to_numpy()
        assert np.abs(h - previous).max() > 1e-3
        previous = h
        np.testing.assert_allclose(np.exp(h) * run.states, before.states[:, k - 1], rtol=1e-11)
        np.testing.assert_allclose(run.outputs, before.outputs[:, :k], rtol=1e-11)


def test_a_run_goes_on_from_the_states_where_it_ended():
    net = network(readout="rates")
    inputs = trials(net)
    first = balance_online(net, inputs[:, :20], 0.2)
    then = balance_online(first.network, inputs[:, 20:], 0.2, rate=first.rate, initial=first.states)
    whole = balance_online(net, inputs, 0.2)
    joined = np.concatenate([first.outputs, then.outputs], axis=1)
    np.testing.assert_allclose(joined, simulate(net, inputs, 0.2).outputs, rtol=1e-11)
    np.testing.assert_allclose(first.potentials + then.potentials, whole.potentials, rtol=1e-12)


def test_the_network_is_the_transform_by_the_potentials_and_keeps_its_spectrum():
    net = network()
    J, w_in = net.w_rec.copy(), net.w_in.copy()
    run = balance_online(net, trials(net), 0.2, repeats=20)
    expected = net.transform(run.potentials)
    for name in ("w_rec", "w_in", "w_out", "bias", "x0"):
        np.testing.assert_array_equal(getattr(run.network, name), getattr(expected, name))
    np.testing.assert_array_equal(run.network.w_rec.diagonal(), J.diagonal())
    modes = [np.sort_complex(np.linalg.eigvals(each)) for each in (J, run.network.w_rec)]
    np.testing.assert_allclose(modes[1], modes[0], atol=1e-13)
    np.testing.assert_array_equal(net.w_rec, J)
    np.testing.assert_array_equal(net.w_in, w_in)


# ------------------------------------------------------------------ the rule


@pytest.mark.parametrize("gain_time", [np.inf, 4.0])
@pytest.mark.parametrize("scope", ["recurrent", "all"])
@pytest.mark.parametrize("cost", ["l2", "robustness"])
@pytest.mark.parametrize("form", FORMS)
def test_the_rule_is_what_synapses_do_one_by_one(form, cost, scope, gain_time):
    activation = "leaky_relu" if scope == "all" else "relu"
    net = network(6, form=form, activation=activation)
    inputs = trials(net, times=40)
    rate = 0.05
    run = balance_online(
        net, inputs, **step(net), cost=cost, scope=scope, rate=rate, gain_time=gain_time
    )
    dt = step(net)["dt"] or 1.0
    h, r, J, x, outputs, costs = by_hand(net, inputs, dt, cost, scope, rate, gain_time)
    np.testing.assert_allclose(run.potentials, h, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(run.gains, r, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(run.network.w_rec, J, rtol=1e-11)
    np.testing.assert_allclose(run.states, x, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(run.outputs, outputs, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(run.total_cost, costs[:, 0], rtol=1e-12)
    np.testing.assert_allclose(run.gradient_norm, costs[:, 1], rtol=1e-11)
    np.testing.assert_allclose(run.history.index, dt * np.arange(41))
    graph = as_graph(run.network, scope)
    if cost == "l2" and scope == "recurrent":
        assert run.neuron_imbalance == pytest.approx(graph.neuron_imbalance, rel=1e-10)


def test_small_steps_follow_the_flow():
    net = network()
    exact = gb.flow(as_graph(net), (0, 2.0), rtol=1e-10, atol=1e-12).potentials.iloc[-1]
    errors = []
    for times in (50, 100):
        run = balance_online(net, trials(net, times=times), dt=0.2, rate=2.0 / (0.2 * times))
        errors.append(np.abs(run.potentials - exact).max())
    assert errors[1] < 0.05 * np.abs(exact).max()
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("kind", ["dense", "sparse", "discrete"])
def test_the_end_is_the_equilibrium(kind):
    net = {"dense": network(), "sparse": ring(), "discrete": network(form="discrete")}[kind]
    inputs = trials(net)
    alpha = np.random.default_rng(3).uniform(0.5, 2, (12, 12))
    for cost in ("l2", 1.0, (1.5, alpha), robustness_cost(net, inputs, **step(net))):
        run = balance_online(net, inputs, **step(net), cost=cost, repeats=40)
        balanced = balance(net, cost, tol=1e-12)
        np.testing.assert_allclose(run.potentials, balanced.potentials, atol=1e-8)
        assert run.neuron_imbalance < 1e-8
        assert abs(run.potentials.sum()) < 1e-12
        assert run.initial_cost == pytest.approx(balanced.initial_cost, rel=1e-12)
        assert run.total_cost.iloc[0] == pytest.approx(balanced.initial_cost, rel=1e-12)
        assert run.total_cost.iloc[-1] == pytest.approx(balanced.total_cost, rel=1e-12)
        assert (np.diff(run.total_cost) <= 1e-13 * run.initial_cost).all()


@pytest.mark.parametrize("form", FORMS)
def test_with_fixed_ends_the_end_is_the_equilibrium(form):
    net = network(form=form, w_rec=ring().w_rec)
    inputs = trials(net)
    for cost in ("l2", robustness_cost(net, inputs, **step(net), input_factor=0.3)):
        run = balance_online(net, inputs, **step(net), cost=cost, scope="all", repeats=40)
        balanced = balance(net, cost, scope="all", tol=1e-12)
        np.testing.assert_allclose(run.potentials, balanced.potentials, atol=1e-8)
        assert run.initial_cost == pytest.approx(balanced.initial_cost, rel=1e-12)
        assert run.total_cost.iloc[-1] == pytest.approx(balanced.total_cost, rel=1e-12)


# ------------------------------------------------------------------ running gains


@pytest.mark.parametrize("form", FORMS)
def test_running_gains_become_those_measured(form):
    net = network(form=form, readout="rates")
    inputs = trials(net)
    run = balance_online(net, inputs, **step(net), cost="robustness", repeats=2)
    states = simulate(net, inputs, **step(net)).states.to_numpy()
    sensed = states
    if form != "current":  # what neurons received when they made the step
        start = np.concatenate([np.tile(net.x0, (3, 1, 1)), states[:, :-1]], axis=1)
        sensed = start @ net.w_rec.T + inputs @ net.w_in.T + net.bias
    np.testing.assert_allclose(run.gains, (sensed > 0).mean(axis=(0, 1)), rtol=1e-12)
    measured = robustness_cost(net, inputs, **step(net))
    np.testing.assert_allclose(run.gains, measured.gains, rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_gains_are_measured_as_they_are_sensed_with_noise_and_substeps(form):
    net = network(form=form, activation="leaky_relu")
    inputs = trials(net)
    options = {**step(net), "noise": 0.5, "seed": 3}
    if form != "discrete":
        options["substeps"] = 3
    # Of a rule so slow that the network, and the noise in its units, stay what they are.
    run = balance_online(net, inputs, **options, cost="robustness", rate=1e-12)
    measured = robustness_cost(net, inputs, **options)
    np.testing.assert_allclose(run.gains, measured.gains, rtol=1e-12)
    assert 0.04 < measured.gains.min() < measured.gains.max() <= 1.0


@pytest.mark.parametrize("scope", ["recurrent", "all"])
@pytest.mark.parametrize("form", FORMS)
def test_with_running_gains_the_end_is_the_equilibrium_of_the_robustness_cost(form, scope):
    net = network(form=form, readout="rates", seed=2)
    inputs = trials(net, n_trials=8, times=20)
    distances = []
    for repeats in (60, 120):
        run = balance_online(
            net, inputs, **step(net), cost="robustness", scope=scope, repeats=repeats
        )
        # What was measured, of the neurons' states and of what they received.
        states = simulate(net, inputs, **step(net)).states.to_numpy()
        read = pd.Series((states > 0).mean(axis=(0, 1)), index=net.neurons)
        balanced = balance(net, RobustnessCost(run.gains, read), scope=scope, tol=1e-12)
        distances.append(np.abs(run.potentials - balanced.potentials).max())
        assert run.initial_cost == pytest.approx(balanced.initial_cost, rel=1e-12)
        assert run.total_cost.iloc[-1] == pytest.approx(balanced.total_cost, rel=1e-5)
    # Running means wander within a trial by 1/repeats of what they do in one.
    assert distances[1] < 2e-3
    assert distances[0] / distances[1] == pytest.approx(2, rel=0.03)


def test_estimates_forget():
    net = network(w_rec=np.zeros((12, 12)), bias=np.zeros(12))
    inputs = np.ones((1, 400, 3))
    inputs[:, 200:] = -1.0
    now = (net.w_in.sum(axis=1) < 0).astype(float)
    recent = balance_online(net, inputs, 0.2, gain_time=4.0).gains
    overall = balance_online(net, inputs, 0.2).gains
    np.testing.assert_allclose(recent, now, atol=1e-3)
    np.testing.assert_allclose(overall, 0.5, atol=0.03)


@pytest.fixture
def with_silent():
    net = network()
    w_in, bias, x0 = net.w_in.copy(), net.bias.copy(), net.x0.copy()
    w_in[-2:], bias[-2:], x0[-2:] = 0.0, -100.0, -1.0
    return RecurrentNetwork(net.w_rec, w_in, net.w_out, bias, x0=x0)


def test_silent_neurons_are_held_by_the_floor(with_silent):
    net = with_silent
    inputs = trials(net, 1, 2_000)
    run = balance_online(net, inputs, 0.2, cost="robustness", floor=0.05)
    assert (run.gains[[10, 11]] == 0).all()
    balanced = balance(net, robustness_cost(net, inputs, 0.2, floor=0.05))
    np.testing.assert_allclose(run.potentials, balanced.potentials, atol=5e-3)
    # Without a floor their incoming cost falls like 1/t, and their potentials grow like log(t)/2.
    bare = [
        balance_online(net, inputs[:, :t], 0.2, cost="robustness", floor=0).potentials[[10, 11]]
        for t in (500, 2_000)
    ]
    np.testing.assert_allclose(bare[1] - bare[0], np.log(4) / 2 * 10 / 12, rtol=0.02)
    expected = simulate(net, inputs, 0.2).outputs
    scale = np.abs(expected).max().item()
    np.testing.assert_allclose(run.outputs, expected, rtol=0, atol=1e-12 * scale)


# ------------------------------------------------------------------ noise


@pytest.mark.parametrize("form", FORMS)
def test_noise_is_that_of_a_simulation(form):
    net = balance(network(form=form), tol=1e-14).network
    inputs = trials(net)
    noise = np.linspace(0.1, 0.3, 12)
    run = balance_online(net, inputs, **step(net), noise=noise, seed=3)
    expected = simulate(net, inputs, **step(net), noise=noise, seed=3).outputs
    np.testing.assert_allclose(run.outputs, expected, rtol=0, atol=1e-10)
    other = balance_online(net, inputs, **step(net), noise=noise, seed=4).outputs
    assert np.abs(other - expected).max() > 0.1


def test_noise_keeps_its_strength_while_the_network_changes():
    # Two neurons whose synapses are too weak for their states, not for the rule.
    net = RecurrentNetwork([[0, 1e-9], [1e-7, 0]], w_out=np.eye(2))
    silence = np.zeros((400, 50, 0))
    run = balance_online(net, silence, 0.2, noise=1.0, repeats=20)
    h = run.potentials.to_numpy()
    np.testing.assert_allclose(h, [-np.log(10) / 2, np.log(10) / 2], rtol=1e-6)
    last = run.outputs.to_numpy()[:, -25:]
    # Unit variance, with the correction of an Euler step, scaled by the readout.
    expected = np.exp(2 * h) / (1 - 0.2 / 2)
    np.testing.assert_allclose(last.var(axis=(0, 1)), expected, rtol=0.1)


# ------------------------------------------------------------------ what comes out, what is refused


def test_a_run_says_what_it_did():
    net = network(neurons=[f"cell {k}" for k in range(12)])
    run = balance_online(net, trials(net), 0.2, repeats=3)
    assert run.n_steps == 150
    assert run.outputs.dims == ("trial", "time", "output")
    np.testing.assert_allclose(run.outputs.time, 0.2 * np.arange(1, 151))
    assert run.states.dims == ("trial", "neuron")
    assert list(run.history) == ["total_cost", "gradient_norm", "neuron_imbalance"]
    assert list(run.potentials.index) == list(run.gains.index) == list(net.neurons)
    assert f"{run.neuron_imbalance:.1e} out of balance" in run.message
    assert repr(run).startswith("OnlineBalance(12 neurons, 150 steps, cost ")


def test_a_network_without_synapses_stays():
    net = network(w_rec=np.zeros((12, 12)))
    run = balance_online(net, trials(net), 0.2)
    assert (run.potentials == 0).all()
    assert run.neuron_imbalance == 0
    assert "cost 0 → 0" in repr(run)


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_what_cannot_be_balanced_says_why(activation):
    net = network(activation=activation)
    with pytest.raises(gb.InputError, match=f"{activation}.*cannot be transformed or balanced"):
        balance_online(net, trials(net), 0.2, rate=1e9)


def test_the_limit_of_the_rate_is_that_of_the_local_rule():
    net = network()
    limit = gb.stable_step(as_graph(net)) / 0.2
    assert balance_online(net, trials(net), 0.2).rate == pytest.approx(0.4 * limit, rel=1e-12)
    balance_online(net, trials(net), 0.2, rate=0.999 * limit)
    with pytest.raises(gb.InputError, match=rf"unstable at t = 0: .* below {limit:.3g}"):
        balance_online(net, trials(net), 0.2, rate=1.001 * limit)


def test_a_rate_that_becomes_too_large_is_noticed():
    # A hub at which a hundred cycles meet takes up cost as each evens out.
    out, back = 1 + 2 * np.arange(100), 2 + 2 * np.arange(100)
    hub = np.zeros(100, dtype=int)
    costs = np.repeat([0.005, 1.0, 0.005], 100)
    at = (np.concatenate([out, back, hub]), np.concatenate([hub, out, back]))
    net = RecurrentNetwork(sparse.csr_array((0.1 * np.sqrt(costs), at), shape=(201, 201)))
    with pytest.raises(gb.InputError, match=r"unstable at t = 0\.\d: .*limit there"):
        balance_online(net, np.zeros((1, 50, 0)), 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cost": "l1"}, "the cost is 'l1'"),
        ({"scope": "some"}, "scope is 'some'"),
        ({"rate": 0}, "rate is 0"),
        ({"rate": np.nan}, "rate is nan"),
        ({"repeats": 0}, "repeats is 0"),
        ({"gain_time": 0.1}, "gain_time is 0.1.*from dt = 0.2 on"),
        ({"gain_time": np.nan}, "gain_time is nan"),
        ({"floor": -1}, "floor is -1"),
        ({"noise": -1.0}, "noise is -1.0"),
        ({"seed": -1}, "seed is -1"),
        ({"dt": 2.0}, "2 min τ = 2"),
        ({"dt": None}, "dt, the time step, is needed"),
        ({"initial": np.zeros(3)}, "initial has shape"),
        ({"inputs": np.zeros((0, 5, 3))}, "0 trials of 5 times"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    net = network()
    with pytest.raises(gb.InputError, match=message):
        balance_online(**{"network": net, "inputs": trials(net), "dt": 0.2} | arguments)


def test_states_that_overflow_are_noticed():
    growing = network(2, w_rec=[[0, 9.0], [4.0, 0]], activation="linear")
    with pytest.raises(gb.InputError, match="states overflowed"):
        balance_online(growing, trials(growing, times=2_000), 0.5)
