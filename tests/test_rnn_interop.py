"""Networks of PyTorch, of named arrays and of JAX pytrees compute the same, balanced, for less."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from graphbal import InputError
from graphbal.rnn import balance_arrays, balance_pytree, balance_state_dict, balance_torch
from graphbal.rnn import from_torch as network_from_torch

try:
    import torch
    from torch import nn
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def run(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


# ---------------------------------------------------------------------- named arrays


WIRING = {
    "w_in": "hidden <- input",
    "w_rec": "hidden <- hidden",
    "b": "hidden",
    "w_out": "output <- hidden",
}


def recurrent(seed, sizes=(3, 12, 2), scale=3.0):
    """Return the arrays of a network whose neurons differ widely in the scale of their weights."""
    n_in, n, n_out = sizes
    rng = np.random.default_rng(seed)
    gains = np.exp(scale * rng.standard_normal(n) / 2)
    return {
        "w_in": gains[:, None] * rng.standard_normal((n, n_in)),
        "w_rec": gains[:, None] * rng.standard_normal((n, n)) / gains / np.sqrt(n),
        "b": rng.standard_normal(n),
        "w_out": rng.standard_normal((n_out, n)) / gains,
    }


def outputs(arrays, u):
    """Run x ← relu(w_rec x + w_in u + b) and read it out, step by step."""
    x, y = np.zeros(len(arrays["b"])), []
    for now in u:
        x = np.maximum(arrays["w_rec"] @ x + arrays["w_in"] @ now + arrays["b"], 0)
        y.append(arrays["w_out"] @ x)
    return np.array(y)


def cost(arrays, p=2.0):
    return sum((np.abs(arrays[name]) ** p).sum() for name in ("w_in", "w_rec", "w_out"))


@given(st.integers(0, 10**6), st.sampled_from([1.0, 2.0, 3.0]))
@settings(deadline=None, max_examples=25)
def test_outputs_stay_and_every_hidden_neuron_is_balanced(seed, p):
    arrays = recurrent(seed)
    given_arrays = deepcopy(arrays)
    balanced = balance_arrays(arrays, WIRING, p=p)
    new = balanced.parameters
    u = np.random.default_rng(seed).standard_normal((30, 3))
    before, after = outputs(arrays, u), outputs(new, u)
    np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-10 * np.abs(before).max())
    incoming = (np.abs(new["w_in"]) ** p).sum(axis=1) + (np.abs(new["w_rec"]) ** p).sum(axis=1)
    outgoing = (np.abs(new["w_out"]) ** p).sum(axis=0) + (np.abs(new["w_rec"]) ** p).sum(axis=0)
    np.testing.assert_allclose(incoming, outgoing, rtol=1e-7)
    assert cost(new, p) == pytest.approx(balanced.equilibrium.total_cost, rel=1e-9)
    assert cost(arrays, p) == pytest.approx(balanced.equilibrium.initial_cost, rel=1e-9)
    assert cost(new, p) < cost(arrays, p)
    for name, array in given_arrays.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_cost_is_the_least_that_a_minimiser_finds():
    arrays = recurrent(0, sizes=(2, 5, 1), scale=1.0)

    def scaled(h):
        gain = np.exp(h)
        return cost(
            {
                "w_in": arrays["w_in"] / gain[:, None],
                "w_rec": arrays["w_rec"] * gain / gain[:, None],
                "w_out": arrays["w_out"] * gain,
            }
        )

    found = minimize(scaled, np.zeros(5), tol=1e-12)
    equilibrium = balance_arrays(arrays, WIRING).equilibrium
    assert equilibrium.total_cost == pytest.approx(found.fun, rel=1e-9)
    h = equilibrium.potentials[[("hidden", k) for k in range(5)]]
    np.testing.assert_allclose(h, found.x, atol=1e-4)


def test_a_matrix_may_be_presynaptic_by_postsynaptic():
    arrays = recurrent(1)
    turned = {name: array.T for name, array in arrays.items()}
    wiring = {
        "w_in": "input -> hidden",
        "w_rec": "hidden -> hidden",
        "b": "hidden",
        "w_out": "hidden->output",
    }
    straight = balance_arrays(arrays, WIRING).parameters
    for name, array in balance_arrays(turned, wiring).parameters.items():
        np.testing.assert_allclose(array.T, straight[name], rtol=1e-9)


def test_populations_side_by_side_are_as_if_apart():
    rng = np.random.default_rng(2)
    left, right, top = (rng.standard_normal(shape) for shape in ((4, 3), (5, 3), (2, 9)))
    joined = balance_arrays(
        {"left": left, "right": right, "top": top},
        {"left": "l <- in", "right": "r <- in", "top": "out <- l + r"},
    ).parameters
    whole = balance_arrays(
        {"bottom": np.vstack([left, right]), "top": top},
        {"bottom": "l <- in", "top": "out <- l"},
    ).parameters
    np.testing.assert_allclose(np.vstack([joined["left"], joined["right"]]), whole["bottom"])
    np.testing.assert_allclose(joined["top"], whole["top"])


def test_fixed_populations_keep_their_scale():
    arrays = recurrent(3)
    potentials = balance_arrays(arrays, WIRING).equilibrium.potentials
    assert (potentials[[("input", 0), ("output", 1)]] == 0).all()
    chain = {"a": np.full((1, 1), 8.0), "b": np.full((1, 1), 2.0), "c": np.full((1, 1), 5.0)}
    wiring = {"a": "one <- in", "b": "two <- one", "c": "out <- two"}
    held = balance_arrays(chain, wiring, fixed=["in", "two", "out"]).parameters
    assert [held[name].item() for name in "abc"] == pytest.approx([4.0, 4.0, 5.0])


def test_alpha_weighs_the_cost_of_presynaptic_neurons():
    arrays = {"w_in": np.array([[2.0]]), "w_out": np.array([[2.0]])}
    wiring = {"w_in": "a <- x", "w_out": "y <- a"}
    alpha = np.array([1.0, 16.0, 1.0])  # of the neurons a, x, y in order of appearance
    new = balance_arrays(arrays, wiring, alpha=alpha).parameters
    assert (16 * new["w_in"] ** 2).item() == pytest.approx((new["w_out"] ** 2).item())


def test_a_neuron_that_leads_nowhere_changes_nothing_computed():
    arrays = recurrent(4)
    arrays["w_out"][:, 0] = arrays["w_rec"][:, 0] = 0.0
    balanced = balance_arrays(arrays, WIRING)
    assert not balanced.equilibrium.is_finite
    u = np.random.default_rng(4).standard_normal((30, 3))
    np.testing.assert_allclose(outputs(balanced.parameters, u), outputs(arrays, u), rtol=1e-10)


def test_types_are_kept_and_others_left_alone():
    arrays = recurrent(5) | {"steps": np.arange(3), "name": "mine"}
    arrays["w_in"] = arrays["w_in"].astype(np.float32)
    arrays["b"] = [1] * 12
    new = balance_arrays(arrays, WIRING).parameters
    assert new["w_in"].dtype == np.float32
    assert new["w_out"].dtype == new["b"].dtype == np.float64
    assert new["steps"] is arrays["steps"]
    assert list(new) == list(arrays)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"wiring": {"w": "hidden <- input"}}, "names 'w', which is not among the arrays: w_in"),
        ({"wiring": WIRING | {"b": "a <- "}}, "wiring of 'b' is 'a <- '; write 'post <- pre'"),
        ({"wiring": WIRING | {"b": "a <- b <- c"}}, "wiring of 'b' is"),
        ({"wiring": WIRING | {"b": "a <- b -> c"}}, "wiring of 'b' is"),
        ({"wiring": WIRING | {"b": 3}}, "wiring of 'b' is 3"),
        ({"wiring": WIRING | {"b": "a <- b"}}, r"'b' has shape \(12,\).*asks for 2 dimension"),
        (
            {"arrays": {"w_out": np.ones((2, 11))}},
            "11 where the population 'hidden' has 12 neurons",
        ),
        ({"arrays": {"b": np.full(12, np.nan)}}, r"'b' holds nan at \[0\]"),
        ({"arrays": {"w_in": np.full((12, 3), "x")}}, "'w_in' must hold real numbers"),
        ({"arrays": {"b": np.ones(12, complex)}}, "'b' must hold real numbers.*complex"),
        ({"wiring": {"w_in": "a + b <- c"}}, "no array alone tells the size of the population 'a'"),
        ({"wiring": {"w_in": "a <- c"}}, r"every population is fixed \(a, c\)"),
        ({"fixed": ["nobody"]}, "no population 'nobody' to fix; there are hidden, input, output"),
        ({"arrays": {"again": np.ones((12, 12))}}, "'w_rec' and 'again' both project"),
        ({"p": 0}, "exponent p is 0"),
    ],
)
def test_bad_input_is_told(change, told):
    arrays = recurrent(0) | change.get("arrays", {})
    wiring = change.get("wiring", WIRING)
    if "again" in arrays:
        wiring = wiring | {"again": "hidden <- hidden"}
    options = {name: change[name] for name in ("fixed", "p") if name in change}
    with pytest.raises(InputError, match=told):
        balance_arrays(arrays, wiring, **options)


def test_weights_that_outgrow_their_number_type_are_told():
    arrays = {
        "a": np.array([[1e-25], [1.0]], np.float32),
        "b": np.array([1e20, 1.0], np.float32),
        "c": np.array([[1e25, 1.0]], np.float32),
    }
    wiring = {"a": "h <- x", "b": "h", "c": "y <- h"}
    with pytest.raises(InputError, match="balanced 'b' is too large for its number type"):
        balance_arrays(arrays, wiring)


# ---------------------------------------------------------------------- pytrees


def test_pytrees_keep_their_structure_and_types():
    jax = pytest.importorskip("jax")
    rng = np.random.default_rng(6)
    kernels = [rng.standard_normal(shape).astype(np.float32) for shape in ((4, 9), (9, 7), (7, 2))]
    parameters = {
        f"Dense_{k}": {"kernel": jax.numpy.asarray(w), "bias": jax.numpy.ones(w.shape[1])}
        for k, w in enumerate(kernels)
    } | {"scale": (2.0, None)}
    names = ["x", "a", "b", "y"]
    wiring = {
        f"Dense_{k}": {"kernel": f"{names[k]} -> {names[k + 1]}", "bias": names[k + 1]}
        for k in range(3)
    } | {"scale": (None, None)}

    def mlp(parameters, x):
        for k in range(3):
            layer = parameters[f"Dense_{k}"]
            x = (jax.nn.relu if k < 2 else lambda x: x)(x @ layer["kernel"] + layer["bias"])
        return x

    balanced = balance_pytree(parameters, wiring)
    new = balanced.parameters
    assert jax.tree_util.tree_structure(new) == jax.tree_util.tree_structure(parameters)
    assert isinstance(new["Dense_0"]["kernel"], jax.Array)
    assert new["Dense_0"]["kernel"].dtype == np.float32
    assert new["scale"] == (2.0, None)
    x = rng.standard_normal((20, 4)).astype(np.float32)
    before = mlp(parameters, x)
    np.testing.assert_allclose(mlp(new, x), before, rtol=1e-4, atol=1e-5)
    for low, high in ((0, 1), (1, 2)):
        incoming = (new[f"Dense_{low}"]["kernel"] ** 2).sum(axis=0)
        outgoing = (new[f"Dense_{high}"]["kernel"] ** 2).sum(axis=1)
        np.testing.assert_allclose(incoming, outgoing, rtol=1e-5)
    with pytest.raises(InputError, match="structure of the parameters"):
        balance_pytree(parameters, {"Dense_0": wiring["Dense_0"]})


# ---------------------------------------------------------------------- PyTorch


def rnn(seed=0, *, spread=1.0, **options):
    """Return an nn.RNN in float64 whose units differ in the scale of their weights."""
    torch.manual_seed(seed)
    sizes = {"input_size": 3, "hidden_size": 10, "nonlinearity": "relu"}
    module = nn.RNN(**sizes | options).double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "weight_ih" in name:
                parameter *= torch.exp(spread * torch.randn(len(parameter), 1))
    return module


def squares(*modules):
    """Return the sum of all squared weights, biases left out."""
    parameters = (each for module in modules for each in module.named_parameters())
    return sum((each.detach() ** 2).sum().item() for name, each in parameters if "bias" not in name)


@needs_torch
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("read", [True, False])
def test_recurrent_modules_put_out_the_same(layers, both_ways, bias, read):
    module = rnn(num_layers=layers, bidirectional=both_ways, bias=bias)
    readout = nn.Linear(20 if both_ways else 10, 2, bias=bias).double() if read else nn.Identity()
    u = torch.randn(40, 5, 3).double()
    before, total = readout(module(u)[0]), squares(module, readout)
    if layers == 1 and not read:
        with pytest.raises(InputError, match=r"every unit of a one-layer.*as readout"):
            balance_torch(module)
        return
    if read:
        balanced = balance_torch(module, readout)
        new, new_readout = balanced.parameters
    else:
        balanced = balance_torch(module)
        new, new_readout = balanced.parameters, readout
    after = new_readout(new(u)[0])
    torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-12)
    assert squares(new, new_readout) < 0.99 * total
    assert squares(new, new_readout) == pytest.approx(balanced.equilibrium.total_cost, rel=1e-9)
    assert squares(module, readout) == pytest.approx(total, rel=1e-15)  # a copy was balanced
    assert balanced.equilibrium.is_finite


@needs_torch
def test_layers_below_the_output_are_balanced_and_the_last_is_left():
    module = rnn(num_layers=2, bidirectional=True)
    new = balance_torch(module).parameters
    above = [getattr(new, f"weight_ih_l1{way}") for way in ("", "_reverse")]
    for k, way in enumerate(("", "_reverse")):
        recurrent_weights = getattr(new, f"weight_hh_l0{way}") ** 2
        incoming = recurrent_weights.sum(1) + (getattr(new, f"weight_ih_l0{way}") ** 2).sum(1)
        columns = slice(10 * k, 10 * k + 10)
        outgoing = recurrent_weights.sum(0) + sum((w[:, columns] ** 2).sum(0) for w in above)
        torch.testing.assert_close(incoming, outgoing, rtol=1e-7, atol=0)
        assert torch.equal(
            getattr(new, f"weight_hh_l1{way}"), getattr(module, f"weight_hh_l1{way}")
        )


@needs_torch
def test_states_are_scaled_by_their_potentials():
    module, readout = rnn(num_layers=2), nn.Linear(10, 1).double()
    balanced = balance_torch(module, readout)
    new, _ = balanced.parameters
    h = np.array(
        [[balanced.equilibrium.potentials[(layer, k)] for k in range(10)] for layer in ("l0", "l1")]
    )
    gain = torch.from_numpy(np.exp(-h))[:, None, :]
    u, start = torch.randn(20, 4, 3).double(), torch.rand(2, 4, 10).double()
    (states, final), (new_states, new_final) = module(u, start), new(u, gain * start)
    torch.testing.assert_close(new_states, gain[1] * states, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(new_final, gain * final, rtol=1e-9, atol=1e-12)


def trained(model, *, seed, inputs, targets, steps=40):
    torch.manual_seed(seed)
    parameters = [each for part in model for each in part.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=5e-3)
    first = None
    for _ in range(steps):
        optimiser.zero_grad()
        x = inputs
        for part in model:
            x = part(x)
            x = x[0] if isinstance(x, tuple) else x
        loss = ((x - targets) ** 2).mean()
        loss.backward()
        optimiser.step()
        first = loss.item() if first is None else first
    assert loss.item() < 0.5 * first
    return x


@needs_torch
def test_a_trained_two_layer_rnn_in_single_precision():
    torch.manual_seed(1)
    model = [nn.RNN(2, 24, num_layers=2, nonlinearity="relu"), nn.Linear(24, 1)]
    u = 0.3 * torch.randn(25, 16, 2) + 0.5
    trained(model, seed=1, inputs=u, targets=u.cumsum(0)[..., :1] / 10)
    module, readout = model
    before, total = readout(module(u)[0]), squares(module, readout)
    balanced = balance_torch(module, readout, in_place=True)
    assert balanced.parameters[0] is module
    assert balanced.parameters[1] is readout
    torch.testing.assert_close(readout(module(u)[0]), before)
    assert squares(module, readout) < 0.98 * total
    assert module.weight_hh_l0.dtype == torch.float32
    assert module.weight_hh_l0.requires_grad


@needs_torch
def test_a_trained_mlp_in_single_precision():
    torch.manual_seed(2)
    layers = [nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 1)]
    model = nn.Sequential(*layers)
    x = torch.randn(200, 20)
    trained([model], seed=2, inputs=x, targets=x[:, :1] * x[:, 1:2].sign() + x[:, 2:3])
    before, total = model(x), squares(model)
    balanced = balance_torch(model)
    torch.testing.assert_close(balanced.parameters(x), before)
    assert squares(balanced.parameters) < 0.98 * total
    assert balanced.parameters is not model


@needs_torch
def test_sequential_modules_of_every_kind_put_out_the_same():
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Flatten(),
        nn.LayerNorm(12),
        nn.Linear(12, 20),
        nn.Dropout(),
        nn.LeakyReLU(0.2),
        nn.Sequential(nn.Linear(20, 15, bias=False), nn.Identity(), nn.PReLU(15)),
        nn.Flatten(),
        nn.Linear(15, 4),
        nn.LogSoftmax(-1),
    )
    model = model.double().eval()
    x = torch.randn(30, 3, 4).double()
    balanced = balance_torch(model)
    torch.testing.assert_close(balanced.parameters(x), model(x), rtol=1e-10, atol=1e-12)
    new = balanced.parameters
    for low, high in ((new[2], new[5][0]), (new[5][0], new[7])):
        incoming, outgoing = (low.weight**2).sum(1), (high.weight**2).sum(0)
        torch.testing.assert_close(incoming, outgoing, rtol=1e-7, atol=0)
    assert ("5.0", 14) in balanced.equilibrium.potentials.index
    assert torch.equal(new[1].weight, model[1].weight)


@needs_torch
@pytest.mark.parametrize("kind", ["rnn", "own", "sequential", "arrays"])
def test_state_dicts_are_balanced_as_their_modules(kind):
    if kind == "sequential":
        module = nn.Sequential(
            nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 2)
        )
        expected = balance_torch(module).parameters.state_dict()
    elif kind == "rnn":
        module = rnn(num_layers=2, bidirectional=True)
        expected = balance_torch(module).parameters.state_dict()
    else:
        module = nn.ModuleDict({"core": rnn(num_layers=2), "read": nn.Linear(10, 2).double()})
        new = balance_torch(module["core"], module["read"]).parameters
        expected = nn.ModuleDict(dict(zip(module, new, strict=True))).state_dict()
    state = module.state_dict()
    if kind == "arrays":
        state = {name: tensor.numpy() for name, tensor in state.items()}
    balanced = balance_state_dict(state).parameters
    assert list(balanced) == list(expected)
    for name, tensor in expected.items():
        assert type(balanced[name]) is type(state[name])
        assert balanced[name].dtype == state[name].dtype
        np.testing.assert_allclose(balanced[name], tensor, rtol=1e-6, atol=1e-12)
    if kind != "arrays":
        module.load_state_dict(balanced)


@needs_torch
def test_half_precision_is_kept():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 2))
    x = torch.randn(30, 6)
    for dtype in (torch.float16, torch.bfloat16):
        half = deepcopy(model).to(dtype)
        new = balance_torch(half).parameters
        assert {each.dtype for each in new.parameters()} == {dtype}
        torch.testing.assert_close(new.float()(x), half.float()(x), rtol=0, atol=0.02)


@needs_torch
def test_a_one_layer_rnn_is_a_network_in_discrete_form():
    module, readout = rnn(), nn.Linear(10, 2).double()
    network = network_from_torch(module, readout)
    assert (network.form, network.activation) == ("discrete", "relu")
    u = torch.randn(40, 5, 3).double()
    states, _ = module(u)
    run = network.simulate(u.numpy().transpose(1, 0, 2))
    expected = states.detach().numpy().transpose(1, 0, 2)
    np.testing.assert_allclose(run.states.values[:, -40:], expected, rtol=1e-10, atol=1e-12)
    expected = readout(states).detach().numpy().transpose(1, 0, 2)
    np.testing.assert_allclose(run.outputs.values[:, -40:], expected, rtol=1e-10, atol=1e-12)
    assert network_from_torch(nn.RNN(2, 3, bias=False)).activation == "tanh"
    with pytest.raises(InputError, match="several layers or two directions"):
        network_from_torch(rnn(num_layers=2))


def shared():
    layer = nn.Linear(4, 4)
    return nn.Sequential(nn.Linear(3, 4), layer, nn.ReLU(), layer)


def parametrised():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), layer)


@needs_torch
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: nn.LSTM(2, 3, 2), "LSTM gates its states with sigmoids and tanh.*no unit can be"),
        (lambda: nn.GRU(2, 3, 2), "GRU gates its states"),
        (lambda: nn.RNN(2, 3, 2), "computes with tanh.*no unit can be scaled"),
        (
            lambda: nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)),
            "entry '1' .* of type Tanh.*only ReLU, LeakyReLU",
        ),
        (
            lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1)),
            "entry '1' .* of type BatchNorm1d",
        ),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU()), "has 1 nn.Linear"),
        (shared, "'1.weight' and '3.weight' are the same parameter"),
        (parametrised, "computed from '2.parametrizations"),
        (lambda: nn.Conv1d(1, 1, 1), "type Conv1d cannot be read; give its nn.RNN"),
    ],
)
def test_what_cannot_be_balanced_is_refused_with_the_reason(make, told):
    with pytest.raises(InputError, match=told):
        balance_torch(make())


@needs_torch
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: nn.LSTM(2, 3), "'weight_hh_l0'.*belongs to an LSTM, which gates"),
        (lambda: nn.GRU(2, 3), "'weight_hh_l0'.*belongs to a GRU, which gates"),
        (lambda: nn.Conv1d(1, 1, 1), r"'weight', of shape \(1, 1, 1\), is not a weight"),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)), "'1.weight', of shape"),
        (
            lambda: nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 1)),
            "4 where the population '0' has 3",
        ),
        (lambda: nn.Linear(2, 3), "every population is fixed"),
    ],
)
def test_state_dicts_that_cannot_be_balanced_are_refused(make, told):
    with pytest.raises(InputError, match=told):
        balance_state_dict(make().state_dict())


@needs_torch
def test_readouts_that_do_not_fit_are_told():
    sequential = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with pytest.raises(InputError, match=r"append it to the nn.Sequential"):
        balance_torch(sequential, nn.Linear(1, 1))
    with pytest.raises(InputError, match="readout is of type ReLU"):
        balance_torch(rnn(), nn.ReLU())
    with pytest.raises(
        InputError, match=r"'readout.weight' has shape.*9 where the population 'l0'"
    ):
        balance_torch(rnn(), nn.Linear(9, 1))


@needs_torch
def test_what_is_refused_is_left_as_it_was():
    module = rnn(num_layers=2)
    with torch.no_grad():
        module.bias_hh_l1[3] = float("nan")
    before = deepcopy(module.state_dict())
    with pytest.raises(InputError, match=r"'bias_hh_l1' holds nan at \[3\]"):
        balance_torch(module, nn.Linear(10, 1), in_place=True)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor.nan_to_num(), before[name].nan_to_num())


@pytest.mark.parametrize("module", ["graphbal.rnn", "graphbal.rnn.interop", "graphbal.rnn.pytorch"])
def test_neither_torch_nor_jax_is_imported_unasked(module):
    code = f"import sys, {module}; print(*{{'torch', 'jax'}} & set(sys.modules))"
    result = run("-c", code)
    assert (result.returncode, result.stdout.strip()) == (0, "")
