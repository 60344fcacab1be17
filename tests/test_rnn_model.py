import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.integrate import solve_ivp
from threadpoolctl import threadpool_info, threadpool_limits

import graphbal as gb
from graphbal.rnn import RecurrentNetwork, as_graph, largest_step, simulate

HOMOGENEOUS = ["relu", "leaky_relu", "linear"]
PHI = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
    "tanh": np.tanh,
    "softplus": lambda x: np.log1p(np.exp(x)),
}
FORMS = ["current", "rate", "discrete"]


def network(n=20, seed=0, gain=0.8, n_in=3, n_out=2, **settings):
    rng = np.random.default_rng(seed)
    return RecurrentNetwork(
        **{
            "w_rec": gain * rng.standard_normal((n, n)) / np.sqrt(n),
            "w_in": rng.standard_normal((n, n_in)),
            "w_out": rng.standard_normal((n_out, n)),
            "bias": rng.standard_normal(n),
            "output_bias": rng.standard_normal(n_out),
            "x0": rng.standard_normal(n),
            "leak": 0.2,
        }
        | settings
    )


def inputs_for(net, trials=4, times=50, seed=1):
    return np.random.default_rng(seed).standard_normal((trials, times, net.n_inputs))


def by_hand(net, inputs, dt, substeps):
    """Simulate one trial after the other, from the equations."""
    phi, J = PHI[net.activation], sparse.csr_array(net.w_rec).toarray()
    states = np.empty((*inputs.shape[:2], net.n_neurons))
    for trial, t in np.ndindex(*inputs.shape[:2]):
        x = net.x0 if t == 0 else states[trial, t - 1]
        drive = net.w_in @ inputs[trial, t] + net.bias
        for _ in range(substeps):
            if net.form == "discrete":
                x = phi(J @ x + drive)
            elif net.form == "rate":
                x = x + dt / substeps / net.tau * (-x + phi(J @ x + drive))
            else:
                x = x + dt / substeps / net.tau * (-x + J @ phi(x) + drive)
        states[trial, t] = x
    read = states if net.readout == "states" else phi(states)
    return states, read @ net.w_out.T + net.output_bias


def step(net):
    return {"dt": None if net.form == "discrete" else 0.2}


# ------------------------------------------------------------------ simulation


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("activation", PHI)
@pytest.mark.parametrize("variant", ["dense", "sparse", "time constants"])
def test_simulation_follows_the_equations(form, activation, variant):
    net = network(form=form, activation=activation, readout="rates", seed=3)
    if variant == "sparse":
        J = sparse.random_array((20, 20), density=0.2, rng=np.random.default_rng(0))
        net = network(w_rec=0.3 * J, form=form, activation=activation)
    elif variant == "time constants":
        net = network(form=form, activation=activation, tau=np.linspace(0.5, 2, 20))
    inputs = inputs_for(net)
    substeps = 1 if form == "discrete" else 3
    run = simulate(net, inputs, **step(net), substeps=substeps)
    states, outputs = by_hand(net, inputs, 0.2, substeps)
    assert run.states.dims == ("trial", "time", "neuron")
    assert run.outputs.dims == ("trial", "time", "output")
    np.testing.assert_allclose(run.states, states, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(run.outputs, outputs, rtol=1e-11, atol=1e-12)
    unit = 1.0 if form == "discrete" else 0.2
    np.testing.assert_allclose(run.outputs.time, unit * np.arange(1, 51))


@pytest.mark.parametrize("form", ["current", "rate"])
def test_steps_converge_to_the_differential_equation_at_first_order(form):
    net = network(form=form, activation="tanh")
    inputs = np.ones((1, 3))
    drive, J = net.w_in @ inputs[0] + net.bias, net.w_rec

    def velocity(_, x):
        inside = J @ np.tanh(x) + drive if form == "current" else np.tanh(J @ x + drive)
        return inside - x

    exact = solve_ivp(velocity, (0, 2.0), net.x0, rtol=1e-11, atol=1e-12).y[:, -1]
    errors = [
        np.abs(simulate(net, inputs, dt=2.0, substeps=k).states[0, -1] - exact).max().item()
        for k in (200, 400, 800)
    ]
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(2, rel=0.03)


def test_blocks_of_trials_make_no_difference():
    net = network(n=300)
    inputs = inputs_for(net, trials=600, times=5)
    whole = simulate(net, inputs, 0.1).outputs
    parts = [simulate(net, part, 0.1).outputs for part in np.split(inputs, 6)]
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=1e-12)


def test_the_number_of_cores_makes_no_difference():
    net = network(n=300)
    inputs = inputs_for(net, trials=600, times=5)
    amounts = {"noise": 0.3, "shared_noise": 0.2, "input_noise": 0.1, "weight_noise": 0.01}
    together = simulate(net, inputs, 0.1, **amounts)
    before = threadpool_info()
    with threadpool_limits(1, "blas"):
        alone = simulate(net, inputs, 0.1, **amounts)
    xr.testing.assert_identical(alone.states, together.states)
    with pytest.raises(gb.InputError, match="overflowed"):
        simulate(network(n=300, gain=1e100), inputs, 0.1)
    assert threadpool_info() == before


def test_inputs_may_be_one_trial_or_a_data_array_in_any_order():
    net = network()
    inputs = inputs_for(net)
    expected = simulate(net, inputs, 0.1).outputs
    named = xr.DataArray(inputs.transpose(2, 0, 1), dims=("input", "trial", "time"))
    xr.testing.assert_identical(simulate(net, named, 0.1).outputs, expected)
    alone = simulate(net, inputs[0], 0.1).outputs[0]
    np.testing.assert_allclose(alone, expected[0], rtol=1e-12, atol=1e-13)
    without = simulate(net, inputs, 0.1, keep_states=False)
    assert without.states is None
    xr.testing.assert_identical(without.outputs, expected)


def test_states_start_where_they_are_told_to():
    net = network()
    inputs = inputs_for(net, trials=3, times=10)
    whole = simulate(net, inputs, 0.1).states
    first = simulate(net, inputs[:, :4], 0.1).states
    then = simulate(net, inputs[:, 4:], 0.1, initial=first[:, -1]).states
    np.testing.assert_allclose(then, whole[:, 4:], rtol=1e-12)


# ------------------------------------------------------------------ transformation


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("activation", HOMOGENEOUS)
@pytest.mark.parametrize("readout", ["states", "rates"])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), s=st.floats(0, 2))
def test_outputs_survive_a_transformation_and_states_are_scaled(form, activation, readout, seed, s):
    net = network(form=form, activation=activation, readout=readout, seed=seed, gain=0.7)
    h = s * np.random.default_rng(seed).standard_normal(20)
    inputs = inputs_for(net, trials=2, times=500, seed=seed)
    runs = [simulate(each, inputs, **step(net)) for each in (net, net.transform(h))]
    before, after = (run.outputs.to_numpy() for run in runs)
    assert np.abs(after - before).max() <= 1e-10 * np.abs(before).max()
    before, after = (run.states.to_numpy() for run in runs)
    scale = np.abs(before).max(axis=(0, 1))
    assert (np.abs(np.exp(h) * after - before) <= 1e-10 * np.maximum(scale, scale.mean())).all()


def test_a_transformation_changes_the_graph_as_it_changes_graphs():
    for J in (network().w_rec, sparse.random_array((20, 20), density=0.2, rng=1)):
        net = network(w_rec=J, neurons=[f"cell {k}" for k in range(20)])
        h = dict(zip(net.neurons, np.linspace(-1, 1, 20), strict=True))
        ours, theirs = gb.as_network(net.transform(h)), gb.as_network(net).transform(h)
        np.testing.assert_allclose(ours.weights.toarray(), theirs.weights.toarray(), rtol=1e-14)
        assert ours.neurons.equals(net.neurons)


def test_the_graph_of_all_synapses_holds_inputs_and_outputs():
    net = network(n=4, n_in=2, n_out=1)
    weights = as_graph(net, scope="all").weights.toarray()
    np.testing.assert_array_equal(weights[:4, :4], net.w_rec)
    np.testing.assert_array_equal(weights[:4, 4:6], net.w_in)
    np.testing.assert_array_equal(weights[6:, :4], net.w_out)
    assert not weights[4:6].any()
    assert not weights[6:, 4:].any()
    assert not weights[:4, 6:].any()
    assert list(as_graph(net, scope="all").neurons[4:]) == [("in", 0), ("in", 1), ("out", 0)]
    np.testing.assert_array_equal(gb.as_network(net).weights.toarray(), net.w_rec)


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_activations_that_are_not_homogeneous_refuse(activation):
    net = network(activation=activation)
    assert not net.is_homogeneous
    with pytest.raises(gb.InputError, match=f"{activation}.*cannot be transformed"):
        net.transform(np.zeros(20))


@pytest.mark.parametrize("activation", PHI)
def test_gains_are_slopes(activation):
    net = network(activation=activation)
    x = np.random.default_rng(0).standard_normal(100)
    slopes = (net.rates(x + 1e-6) - net.rates(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(net.gains(x), slopes, atol=1e-8)


# ------------------------------------------------------------------ noise


def test_a_lone_neuron_has_the_deviation_asked_for():
    net = RecurrentNetwork(np.zeros((3, 3)), tau=[0.5, 1.0, 2.0])
    sd = np.array([0.5, 1.0, 2.0])
    run = simulate(net, np.zeros((400, 400, 0)), dt=0.5, substeps=25, noise=sd, seed=2)
    late = run.states.to_numpy()[:, 40:]
    # Euler–Maruyama is an autoregression; its variance is this much above that of the equation.
    excess = 1 / np.sqrt(1 - 0.02 / net.tau / 2)
    np.testing.assert_allclose(late.std(axis=(0, 1)), sd * excess, rtol=0.02)
    between = np.corrcoef(late.reshape(-1, 3).T)
    assert np.abs(between - np.eye(3)).max() < 0.02


def test_shared_noise_is_common_to_neurons_but_not_to_trials():
    net = RecurrentNetwork(np.zeros((3, 3)))
    states = simulate(net, np.zeros((50, 100, 0)), dt=0.1, shared_noise=1.0).states.to_numpy()
    np.testing.assert_allclose(states[..., 1], states[..., 0])
    assert np.abs(np.corrcoef(states[:, -1, 0], states[:, -2, 1])).min() > 0.5
    assert states[:, -1, 0].std() > 0.5


def test_the_same_seed_draws_the_same_noise_whatever_the_network():
    one, other = network(activation="linear", seed=1), network(activation="linear", seed=2)
    inputs = inputs_for(one)
    h = np.random.default_rng(5).standard_normal(20)
    amounts = {"noise": 0.3, "shared_noise": 0.2, "input_noise": 0.1, "seed": 4}
    noisy = simulate(one, inputs, 0.1, **amounts)
    scaled = amounts | {"noise": 0.3 * np.exp(-h), "shared_noise": 0.2 * np.exp(-h)}
    moved = simulate(one.transform(h), inputs, 0.1, **scaled)
    np.testing.assert_allclose(moved.outputs, noisy.outputs, rtol=1e-9)
    # The draws of a step from rest are the deviation of its states, network or no network.
    first = [
        (simulate(each, inputs, 0.1, **amounts).states - simulate(each, inputs, 0.1).states)[:, 0]
        for each in (one, network(activation="linear", seed=2, w_in=one.w_in), other)
    ]
    np.testing.assert_allclose(first[1], first[0], atol=1e-12)
    assert np.abs(first[2] - first[0]).max() > 1e-3  # other weights of the noisy inputs
    again = simulate(one, inputs, 0.1, **amounts).states
    xr.testing.assert_identical(again, noisy.states)
    assert np.abs(simulate(one, inputs, 0.1, **amounts | {"seed": 5}).states - again).max() > 0.01


def test_each_kind_of_noise_has_a_stream_of_its_own():
    net = network(activation="linear")
    inputs = inputs_for(net)
    quiet = simulate(net, inputs, 0.1).states
    kinds = ({"noise": 0.3}, {"shared_noise": 0.2}, {"input_noise": 0.1})
    alone = [simulate(net, inputs, 0.1, **kind).states - quiet for kind in kinds]
    together = simulate(net, inputs, 0.1, **kinds[0], **kinds[1], **kinds[2]).states - quiet
    np.testing.assert_allclose(sum(alone), together, atol=1e-10)


def test_noise_on_weights_leaves_absent_synapses_absent():
    J = np.random.default_rng(0).standard_normal((60, 60)) * (np.arange(60) % 2)
    net = RecurrentNetwork(J, activation="linear", form="discrete")
    start = np.eye(60)
    noisy = simulate(net, np.zeros((60, 1, 0)), initial=start, weight_noise=0.1).states[:, 0]
    change = noisy.to_numpy().T - J
    assert not change[:, ::2].any()
    assert change[:, 1::2].std() == pytest.approx(0.1, rel=0.05)
    of_sparse = RecurrentNetwork(sparse.csr_array(J), activation="linear", form="discrete")
    noisy = simulate(of_sparse, np.zeros((60, 1, 0)), initial=start, weight_noise=0.1).states[:, 0]
    assert (noisy.to_numpy().T - J)[:, 1::2].std() == pytest.approx(0.1, rel=0.05)


# ------------------------------------------------------------------ steps, files, bad input


def test_the_largest_step_divides_decay_from_growth():
    J = np.random.default_rng(0).standard_normal((20, 20)) / np.sqrt(20) - 2 * np.eye(20)
    net = RecurrentNetwork(J, activation="linear", x0=np.ones(20), tau=np.linspace(1, 2, 20))
    limit = largest_step(net)
    size = [
        np.abs(simulate(net, np.zeros((2_000, 0)), f * limit).states[0, -1]).max()
        for f in (0.99, 1.01)
    ]
    assert size[0] < 1e-3
    assert size[1] > 1e3


@pytest.mark.parametrize("J", [network().w_rec, sparse.csr_array(network().w_rec)])
@pytest.mark.parametrize("labels", [None, [f"cell {k}" for k in range(20)]])
def test_files_hold_everything(tmp_path, J, labels):
    net = network(w_rec=J, neurons=labels, form="rate", readout="rates", tau=np.full(20, 2.0))
    net.save(tmp_path / "net.npz")
    loaded = RecurrentNetwork.load(tmp_path / "net.npz")
    assert sparse.issparse(loaded.w_rec) == sparse.issparse(J)
    assert loaded.neurons.equals(net.neurons)
    assert (loaded.form, loaded.readout, loaded.leak) == (net.form, net.readout, net.leak)
    inputs = inputs_for(net)
    xr.testing.assert_identical(
        simulate(loaded, inputs, 0.1).outputs, simulate(net, inputs, 0.1).outputs
    )
    (tmp_path / "other.npz").write_bytes(b"no archive")
    with pytest.raises(gb.InputError, match=r"other\.npz"):
        RecurrentNetwork.load(tmp_path / "other.npz")


def test_the_network_owns_its_weights():
    J = np.eye(2)
    net = RecurrentNetwork(J)
    J[0, 0] = 7.0
    assert net.w_rec[0, 0] == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"w_rec": np.ones((2, 3))}, r"w_rec has shape \(2, 3\); it must be square"),
        ({"w_rec": [[0, np.nan], [0, 0]]}, r"w_rec\[0, 1\] is nan"),
        ({"w_rec": sparse.csr_array([[0, 0], [np.inf, 0]])}, r"w_rec\[1, 0\] is inf"),
        ({"w_rec": "weights"}, "w_rec must be an array of numbers"),
        ({"w_in": np.ones((3, 1))}, r"w_in has shape \(3, 1\); it must be \(2, any\)"),
        ({"w_out": np.ones((1, 3))}, r"w_out has shape \(1, 3\); it must be \(any, 2\)"),
        ({"bias": [1.0]}, r"bias has shape \(1,\); it must be \(2,\)"),
        ({"output_bias": [1.0]}, r"output_bias has shape \(1,\); it must be \(0,\)"),
        ({"activation": "gelu"}, "activation is 'gelu'; choose one of relu"),
        ({"form": "voltage"}, "form is 'voltage'"),
        ({"readout": "spikes"}, "readout is 'spikes'"),
        ({"leak": np.nan}, "leak is nan"),
        ({"tau": [1.0, 0.0]}, "tau of the neuron 1 is 0.0"),
        ({"neurons": ["a", "a"]}, "label 'a' is given to more than one"),
        ({"neurons": ["a"]}, "1 labels were given for 2"),
    ],
)
def test_bad_networks_are_named(settings, message):
    with pytest.raises(gb.InputError, match=message):
        RecurrentNetwork(**{"w_rec": np.zeros((2, 2))} | settings)


@pytest.mark.parametrize(
    ("inputs", "settings", "message"),
    [
        (np.ones((2, 5, 4)), {}, r"inputs have shape \(2, 5, 4\); it must be \(trial, time, 3\)"),
        (np.ones((0, 5, 3)), {}, "0 trials of 5 times"),
        (np.ones((2, 0, 3)), {}, "2 trials of 0 times"),
        (np.full((2, 5, 3), np.nan), {}, "input 0 is nan in trial 0 at time 0"),
        (np.ones((2, 5, 3)), {"dt": None}, "dt, the time step, is needed"),
        (np.ones((2, 5, 3)), {"dt": -1}, "dt is -1"),
        (np.ones((2, 5, 3)), {"dt": 2.0}, "the limit is 2 min τ = 2"),
        (np.ones((2, 5, 3)), {"substeps": 0}, "substeps is 0"),
        (np.ones((2, 5, 3)), {"noise": -1.0}, "noise is -1.0"),
        (np.ones((2, 5, 3)), {"noise": [1.0, 2.0]}, r"noise has shape \(2,\)"),
        (np.ones((2, 5, 3)), {"input_noise": "loud"}, "input_noise must be numbers"),
        (np.ones((2, 5, 3)), {"initial": ["a"] * 20}, "initial must be numbers"),
        ("stimulus", {}, "the inputs must be numbers"),
        (np.ones((2, 5, 3)), {"weight_noise": -1.0}, "weight_noise is -1.0"),
        (np.ones((2, 5, 3)), {"initial": np.ones(3)}, r"initial has shape \(3,\)"),
        (np.ones((2, 5, 3)), {"initial": np.full(20, np.inf)}, "neuron 0 is not finite"),
    ],
)
def test_bad_runs_are_named(inputs, settings, message):
    with pytest.raises(gb.InputError, match=message):
        simulate(network(), inputs, **{"dt": 0.1} | settings)


def test_an_unstable_step_says_its_limit():
    net = RecurrentNetwork([[-9.0]], activation="linear", x0=[1.0])
    with pytest.raises(gb.InputError, match=r"a step of 0.5 is unstable.* limit is 0.2"):
        simulate(net, np.zeros((2_000, 0)), 0.5)
    growing = RecurrentNetwork([[9.0]], activation="linear", x0=[1.0])
    with pytest.raises(gb.InputError, match="unstable at any step"):
        simulate(growing, np.zeros((2_000, 0)), 0.5)
    with pytest.raises(gb.InputError, match="no dt"):
        simulate(network(form="discrete"), np.zeros((5, 3)), 0.5)
