import numpy as np
import pandas as pd
import pytest
from scipy import optimize, sparse

import graphbal as gb
from graphbal.rnn import RecurrentNetwork, balance, robustness_cost, simulate

FORMS = ["current", "rate", "discrete"]
HOMOGENEOUS = ["relu", "leaky_relu", "linear"]


def network(n=20, seed=0, gain=0.7, **settings):
    rng = np.random.default_rng(seed)
    return RecurrentNetwork(
        **{
            "w_rec": gain * rng.standard_normal((n, n)) / np.sqrt(n),
            "w_in": rng.standard_normal((n, 3)),
            "w_out": rng.standard_normal((2, n)),
            "bias": 0.3 * rng.standard_normal(n),
            "x0": rng.standard_normal(n),
            "leak": 0.2,
        }
        | settings
    )


def trials(net, n_trials=4, times=60, seed=1):
    return np.random.default_rng(seed).standard_normal((n_trials, times, net.n_inputs))


def step(net):
    return {"dt": None if net.form == "discrete" else 0.2}


def with_silent(n=20, count=3, **settings):
    """Return a network whose last neurons are never active."""
    net = network(n, **settings)
    w_in, bias, x0 = net.w_in.copy(), net.bias.copy(), net.x0.copy()
    w_in[-count:], bias[-count:], x0[-count:] = 0.0, -100.0, -1.0
    return RecurrentNetwork(
        net.w_rec, w_in, net.w_out, bias, x0=x0, form=net.form, readout=net.readout
    )


# ------------------------------------------------------------------ the computation stays


@pytest.mark.parametrize("scope", ["recurrent", "all"])
@pytest.mark.parametrize("activation", HOMOGENEOUS)
@pytest.mark.parametrize("form", FORMS)
def test_a_balanced_network_computes_the_same(form, activation, scope):
    net = network(form=form, activation=activation)
    inputs = trials(net, 2, 500)
    costs = ("l2", 1.0, robustness_cost(net, trials(net), **step(net)))
    before = simulate(net, inputs, **step(net))
    for cost in costs:
        balanced = balance(net, cost, scope=scope)
        assert balanced.equilibrium.converged
        assert balanced.total_cost < balanced.initial_cost
        after = simulate(balanced.network, inputs, **step(net))
        largest = np.abs(before.outputs).max().item()
        assert np.abs(after.outputs - before.outputs).max() <= 1e-10 * largest
        scaled = np.exp(balanced.potentials.to_numpy()) * after.states
        np.testing.assert_allclose(scaled, before.states, rtol=1e-8, atol=1e-10 * largest)


def test_balancing_the_recurrent_synapses_is_balancing_their_graph():
    net = network()
    balanced = balance(net, 1.5)
    eq = gb.balance(gb.as_network(net, p=1.5))
    pd.testing.assert_series_equal(balanced.potentials, eq.potentials)
    assert balanced.total_cost == eq.total_cost
    assert gb.as_network(balanced.network, p=1.5).neuron_imbalance < 1e-8


@pytest.mark.parametrize("labels", [None, [f"cell {k}" for k in range(8)]])
def test_with_all_synapses_nothing_cheaper_is_found(labels):
    net = network(8, neurons=labels)
    J, w_in, w_out = (np.square(w) for w in (net.w_rec, net.w_in, net.w_out))

    def total(h):
        a = np.exp(2 * h)
        return (J @ a / a).sum() + (w_in / a[:, None]).sum() + (w_out * a).sum()

    found = optimize.minimize(total, np.zeros(8), method="BFGS", options={"gtol": 1e-9})
    balanced = balance(net, scope="all")
    np.testing.assert_allclose(balanced.potentials, found.x, atol=1e-6)
    assert balanced.total_cost == pytest.approx(found.fun, rel=1e-10)
    assert list(balanced.potentials.index) == list(net.neurons)
    assert balanced.initial_cost == pytest.approx(total(np.zeros(8)), rel=1e-12)


def test_fixed_neurons_stay():
    balanced = balance(network(), scope="all", fixed=[3, 5])
    assert (balanced.potentials[[3, 5]] == 0).all()
    assert (balanced.potentials.drop([3, 5]) != 0).all()


def test_any_cost_per_synapse():
    net = network()
    alpha = np.random.default_rng(3).uniform(0.5, 2, (20, 20))
    balanced = balance(net, (1.0, alpha))
    costs = alpha * np.abs(balanced.network.w_rec)
    np.testing.assert_allclose(costs.sum(axis=1), costs.sum(axis=0), rtol=1e-8)
    assert balanced.total_cost == pytest.approx(costs.sum(), rel=1e-10)


# ------------------------------------------------------------------ the robustness cost


@pytest.mark.parametrize("activation", HOMOGENEOUS)
@pytest.mark.parametrize("form", FORMS)
def test_robustness_cost_is_what_synapses_add_to_the_jacobian(form, activation):
    net = network(6, form=form, activation=activation)
    inputs = trials(net, 3, 20)
    total = robustness_cost(net, inputs, **step(net), floor=0).graph(net).total_cost
    states = simulate(net, inputs, **step(net)).states.to_numpy()
    norms = []
    for trial, t in np.ndindex(3, 20):
        drive = net.w_in @ inputs[trial, t] + net.bias
        x = states[trial, t]
        if form != "current":  # what made the step
            x = net.x0 if t == 0 else states[trial, t - 1]

        def flow(x, drive=drive):
            return (
                net.w_rec @ net.rates(x) if form == "current" else net.rates(net.w_rec @ x + drive)
            )

        jacobian = optimize.approx_fprime(x, flow, 1e-7)
        norms.append(np.square(jacobian).sum())
    assert total == pytest.approx(np.mean(norms), rel=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_gains_of_neurons_that_saturate_are_slopes_at_what_they_received(form):
    net = network(form=form, activation="tanh")
    inputs = trials(net)
    x = simulate(net, inputs, **step(net)).states.to_numpy()
    if form != "current":
        start = np.concatenate([np.tile(net.x0, (4, 1, 1)), x[:, :-1]], axis=1)
        x = start @ net.w_rec.T + inputs @ net.w_in.T + net.bias
    expected = np.square(1 - np.tanh(x) ** 2).mean(axis=(0, 1))
    np.testing.assert_allclose(
        robustness_cost(net, inputs, **step(net)).gains, expected, rtol=1e-12
    )


def test_gains_are_fractions_of_time_active_and_survive_balancing():
    net = network()
    cost = robustness_cost(net, trials(net), 0.2)
    states = simulate(net, trials(net), 0.2).states.to_numpy()
    np.testing.assert_allclose(cost.gains, (states > 0).mean(axis=(0, 1)))
    balanced = balance(net, cost)
    again = robustness_cost(balanced.network, trials(net), 0.2)
    pd.testing.assert_series_equal(again.gains, cost.gains)


@pytest.mark.parametrize("readout", ["states", "rates"])
@pytest.mark.parametrize("form", FORMS)
def test_the_cost_of_all_synapses_follows_the_noise(form, readout):
    net = network(5, form=form, readout=readout)
    cost = robustness_cost(net, trials(net), **step(net), input_factor=0.3, output_factor=2.0)
    graph = cost.graph(net, "all")
    r = np.maximum(cost.gains.to_numpy(), 1e-3)
    states = simulate(net, trials(net), **step(net)).states.to_numpy()
    active = np.maximum((states > 0).mean(axis=(0, 1)), 1e-3)
    expected = np.zeros((10, 10))
    by_form = r[None, :] if form == "current" else r[:, None]
    expected[:5, :5] = by_form * net.w_rec**2
    expected[:5, 5:8] = 0.3 * net.w_in**2 * (1 if form == "current" else r[:, None])
    expected[8:, :5] = 2 * net.w_out**2 * (1 if readout == "states" else active)
    np.testing.assert_allclose(graph.costs.toarray(), expected)


def test_silent_neurons_need_a_floor_or_the_readout():
    net = with_silent()
    inputs = trials(net)
    cost = robustness_cost(net, inputs, 0.2)
    assert list(cost.silent) == [17, 18, 19]
    assert balance(net, cost).equilibrium.is_finite
    bare = robustness_cost(net, inputs, 0.2, floor=0)
    with pytest.raises(gb.InfeasibleError, match=r"no finite equilibrium.*scope='all'"):
        balance(net, bare)
    whole = balance(net, bare, scope="all")
    assert whole.equilibrium.is_finite
    assert whole.equilibrium.converged
    # A floor that goes to zero lets the potentials of silent neurons run off, slowly.
    off = [
        balance(net, robustness_cost(net, inputs, 0.2, floor=floor)).potentials[17:].mean()
        for floor in (1e-2, 1e-4, 1e-6)
    ]
    np.testing.assert_allclose(np.diff(off), np.log(100) / 4, rtol=0.2)
    assert np.abs(whole.potentials).max() < off[0] + 1
    before, after = (simulate(each, inputs, 0.2).outputs for each in (net, whole.network))
    np.testing.assert_allclose(after, before, atol=1e-10 * np.abs(before).max().item())


def test_the_limit_keeps_the_computation():
    net = with_silent()
    bare = robustness_cost(net, trials(net), 0.2, floor=0)
    limit = balance(net, bare, on_infeasible="limit")
    assert not limit.equilibrium.is_finite
    before, after = (simulate(each, trials(net), 0.2).outputs for each in (net, limit.network))
    np.testing.assert_allclose(after, before, atol=1e-10 * np.abs(before).max().item())


def test_sparse_networks_stay_sparse():
    J = sparse.random_array((50, 50), density=0.1, rng=np.random.default_rng(0))
    J = 0.2 * J + sparse.eye_array(50, k=1) + sparse.eye_array(50, k=-49)
    net = RecurrentNetwork(J)
    balanced = balance(net)
    assert sparse.issparse(balanced.network.w_rec)
    eq = gb.balance(J.tocsr())
    np.testing.assert_allclose(balanced.network.w_rec.data, eq.network.weights.data, rtol=1e-8)


# ------------------------------------------------------------------ bad input


def test_what_cannot_be_balanced_says_why():
    for activation in ("tanh", "softplus"):
        with pytest.raises(gb.InputError, match=f"{activation}.*cannot be transformed or balanced"):
            balance(network(activation=activation))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cost": "l1"}, "the cost is 'l1'"),
        ({"cost": -1.0}, "exponent p is -1.0"),
        ({"cost": (2, -np.ones(20))}, "α of the neuron 0 is -1.0"),
        ({"scope": "some"}, "scope is 'some'"),
        ({"fixed": ["A"]}, "no neuron labelled 'A'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(gb.InputError, match=message):
        balance(network(), **arguments)


def test_bad_costs_are_named():
    net = network()
    with pytest.raises(gb.InputError, match="floor is -1"):
        robustness_cost(net, trials(net), 0.2, floor=-1)
    cost = robustness_cost(net, trials(net), 0.2)
    with pytest.raises(gb.InputError, match="network of other neurons"):
        balance(network(21), cost)
