"""Training: the gradient is that of the loss, and a training that was killed ends as it would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, replace

import jax
import numpy as np
import pytest
from scipy import sparse

from graphbal import InputError
from graphbal.rnn import (
    ContextIntegration,
    DelayedMatch,
    PerceptualIntegration,
    RecurrentNetwork,
    as_graph,
    conserved_quantities,
    simulate,
    train,
    training,
)

TASK = PerceptualIntegration(coherences=(0.3, 0.6), n_stimulus=8, n_response=3)


def network(n=12, seed=0, task=TASK, **settings):
    rng = np.random.default_rng(seed)
    return RecurrentNetwork(
        **{
            "w_rec": rng.standard_normal((n, n)) / np.sqrt(n),
            "w_in": rng.standard_normal((n, task.n_inputs)) / np.sqrt(n),
            "w_out": rng.standard_normal((task.n_outputs, n)) / np.sqrt(n),
            "leak": 0.2,
        }
        | settings
    )


def loss_of(net, penalty=0.0, substeps=1, seed=(0, 0), task=TASK):
    """Return the loss of the first batch, by simulation in double precision."""
    batch = task.batch(seed)
    step = {} if net.form == "discrete" else {"dt": task.dt, "substeps": substeps}
    errors = simulate(net, batch.inputs, **step).outputs.to_numpy() - batch.targets
    return np.sqrt(np.square(errors).mean()) + penalty * np.square(net.w_rec).sum()


# ------------------------------------------------------------------ gradient


@pytest.mark.parametrize("form", ["current", "rate", "discrete"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "linear", "tanh", "softplus"])
def test_a_step_goes_down_the_gradient_of_the_loss(form, activation):
    rng = np.random.default_rng(1)
    net = network(
        form=form,
        activation=activation,
        bias=rng.standard_normal(12),
        output_bias=rng.standard_normal(3),
        x0=rng.standard_normal(12),
        tau=1.0 if form == "discrete" else np.linspace(1.5, 4, 12),
        readout="rates",
    )
    names = ["w_rec", "w_in", "w_out", "bias", "output_bias"]
    options = {"penalty": 0.05, "substeps": 1 if form == "discrete" else 3}
    with jax.enable_x64(True):
        run = train(net, TASK, 1, learning_rate=1e-3, clip=None, trained=names, **options)
    assert run.history["loss"][0] == pytest.approx(loss_of(net, substeps=options["substeps"]))
    for name in names:
        before, after = getattr(net, name), getattr(run.network, name)
        direction = rng.standard_normal(before.shape)
        ahead, behind = (
            loss_of(replace(net, **{name: before + step * direction}), **options)
            for step in (1e-6, -1e-6)
        )
        slope = np.sum((before - after) / 1e-3 * direction)
        assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-5, abs=1e-7)


def test_the_gradient_is_clipped_with_its_penalty():
    net = network()
    free = train(net, TASK, 1, penalty=3.0, clip=None, learning_rate=0.1).network
    held = train(net, TASK, 1, penalty=3.0, clip=0.5, learning_rate=0.1).network
    names = ("w_rec", "w_in", "w_out", "bias")

    def step(after):
        return np.concatenate([(getattr(after, n) - getattr(net, n)).ravel() for n in names])

    assert np.linalg.norm(step(free)) > 0.1
    assert np.linalg.norm(step(held)) == pytest.approx(0.05, rel=1e-4)
    np.testing.assert_allclose(
        step(held) / 0.05, step(free) / np.linalg.norm(step(free)), rtol=1e-3, atol=1e-5
    )


def test_the_cosine_ends_at_rest():
    constant = train(network(), TASK, 40, seed=2).history["loss"]
    falling = train(network(), TASK, 40, seed=2, schedule="cosine")
    assert falling.history["loss"][1] == pytest.approx(constant[1])
    before = train(network(), TASK, 39, seed=2)  # at the constant rate
    assert before.history.shape == (39, 4)
    # Half a cosine has half the area of a constant rate: about half the way.
    ways = [
        np.linalg.norm(run.network.w_out - network().w_out)
        for run in (falling, train(network(), TASK, 40, seed=2))
    ]
    assert 0.4 < ways[0] / ways[1] < 0.65


# ------------------------------------------------------------------ what is learned


@pytest.mark.parametrize(
    ("task", "options", "below"),
    [
        (PerceptualIntegration(), {"optimizer": "adam", "learning_rate": 5e-3}, 0.3),
        (
            DelayedMatch(n_sample=5, n_delay=3, n_test=5, n_response=5),
            {"optimizer": "adam", "learning_rate": 5e-3},
            0.1,
        ),
        # The noise so far, which nobody can foretell, is 0.97 on average.
        (ContextIntegration(n_times=20), {"learning_rate": 2e-2, "schedule": "cosine"}, 1.5),
    ],
    ids=["perceptual", "match", "context"],
)
def test_tasks_are_learned(task, options, below):
    run = train(network(48, task=task), task, 800, substeps=2, seed=1, **options)
    held_out = loss_of(run.network, substeps=2, seed=123, task=task)
    assert held_out < below
    assert held_out < 0.6 * loss_of(run.initial, substeps=2, seed=123, task=task)


def test_history_tells_cost_and_gradient_of_the_weights():
    run = train(network(), TASK, 30, penalty=0.1)
    again = train(network(), TASK, 31, penalty=0.1)
    graph = as_graph(run.network)
    row = again.history.iloc[30]
    assert row["total_cost"] == pytest.approx(graph.total_cost, rel=1e-5)
    assert row["gradient_norm"] == pytest.approx(np.linalg.norm(graph.neural_gradients), rel=1e-4)
    moved = conserved_quantities(run.network) - conserved_quantities(run.initial)
    relative = np.linalg.norm(moved) / np.linalg.norm(conserved_quantities(run.initial))
    assert row["conservation_error"] == pytest.approx(relative, rel=1e-2)


@pytest.mark.parametrize("form", ["current", "rate", "discrete"])
def test_without_a_penalty_short_steps_conserve(form):
    net = network(form=form, bias=0.1 * np.ones(12), activation="leaky_relu")
    with jax.enable_x64(True):
        errors = [
            train(net, TASK, int(0.5 / rate), learning_rate=rate)
            .history["conservation_error"]
            .iloc[-1]
            for rate in (4e-3, 2e-3, 1e-3)
        ]
    assert errors[0] < 0.01
    # First order in the step: half the rate, half the error.
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.1)


def test_a_penalty_balances_where_the_gradient_vanishes():
    # A linear network on noiseless trials comes to rest, up to its slowest modes.
    run = train(
        network(6, seed=3, activation="linear"),
        replace(TASK, noise=0.0),
        12_000,
        penalty=0.05,
        learning_rate=0.1,
        schedule="cosine",
    )
    start, end = (as_graph(net) for net in (run.initial, run.network))
    relative = [np.linalg.norm(graph.neural_gradients) / graph.total_cost for graph in (start, end)]
    assert end.total_cost > 0.1 * start.total_cost
    assert relative[1] < 0.02 * relative[0]


def test_only_what_is_named_is_trained():
    net = network()
    run = train(net, TASK, 5, trained=["w_in", "output_bias"])
    np.testing.assert_array_equal(run.network.w_rec, net.w_rec)
    np.testing.assert_array_equal(run.network.w_out, net.w_out)
    assert (run.network.w_in != net.w_in).all()
    assert (run.network.output_bias != 0).all()


def test_a_sparse_network_keeps_its_synapses():
    J = sparse.random_array((12, 12), density=0.3, rng=np.random.default_rng(0), format="csr")
    run = train(network(w_rec=J), TASK, 20, penalty=0.1)
    dense = train(network(w_rec=J.toarray()), TASK, 20, penalty=0.1)
    assert sparse.issparse(run.network.w_rec)
    np.testing.assert_array_equal(run.network.w_rec.indices, J.indices)
    assert (run.network.w_rec.data != J.data).all()
    assert run.history["loss"][1] == pytest.approx(
        train(network(w_rec=J), TASK, 2, penalty=0.1).history["loss"][1]
    )
    assert np.count_nonzero(dense.network.w_rec) > J.nnz


# ------------------------------------------------------------------ killed and resumed


def same(a, b):
    for name in ("w_rec", "w_in", "w_out", "bias"):
        np.testing.assert_array_equal(getattr(a.network, name), getattr(b.network, name))
    np.testing.assert_array_equal(a.history, b.history)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_interrupted_training_goes_on_to_the_last_bit(tmp_path, optimizer):
    options = {"penalty": 0.1, "optimizer": optimizer, "schedule": "cosine", "seed": 4}
    whole = train(network(), TASK, 133, **options)
    file = tmp_path / "run.npz"
    for stop in (1, 60, 110):

        def interrupt(done, loss, stop=stop):
            if done >= stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(network(), TASK, 133, checkpoint=file, progress=interrupt, **options)
    resumed = train(network(), TASK, 133, checkpoint=file, **options)
    same(resumed, whole)
    same(train(network(), TASK, 133, checkpoint=file, **options), whole)  # it was finished


SCRIPT = """
    import sys, time
    from graphbal.rnn import training
    from test_rnn_training import TASK, network
    training.INTERVAL = 0.0

    def slowly(done, loss):
        print(done, flush=True)
        time.sleep(0.01)

    run = training.train(
        network(32), TASK, 3000, penalty=0.1, checkpoint=sys.argv[1], progress=slowly
    )
    run.network.save(sys.argv[2])
"""


def test_a_killed_training_goes_on_to_the_last_bit(tmp_path):
    here = os.path.dirname(__file__)
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))

    def start(file):
        command = [sys.executable, script, tmp_path / file, tmp_path / f"{file}.net.npz"]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": here}
        )

    whole = start("whole.npz")
    killed = start("killed.npz")
    for _ in range(2):  # at two random moments of the 120 chunks
        for _ in range(np.random.default_rng().integers(2, 30)):  # the first one is kept by then
            killed.stdout.readline()
        time.sleep(np.random.default_rng().uniform(0, 0.02))
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        killed = start("killed.npz")
    first = int(killed.stdout.readline())
    assert first > 25  # it went on from what was there
    killed.communicate()
    whole.communicate()
    networks = [RecurrentNetwork.load(tmp_path / f"{k}.npz.net.npz") for k in ("whole", "killed")]
    for name in ("w_rec", "w_in", "w_out", "bias"):
        np.testing.assert_array_equal(*(getattr(net, name) for net in networks))


def test_the_number_of_iterations_can_grow_at_a_constant_rate(tmp_path):
    file = tmp_path / "run.npz"
    train(network(), TASK, 50, checkpoint=file)
    same(train(network(), TASK, 100, checkpoint=file), train(network(), TASK, 100))


def test_the_checkpoint_of_another_training_is_refused_and_stays(tmp_path):
    file = tmp_path / "run.npz"
    train(network(), TASK, 10, checkpoint=file)
    before = file.read_bytes()
    for change in (
        {"penalty": 0.1},
        {"seed": 1},
        {"learning_rate": 0.1},
        {"substeps": 2},
        {"trained": ["w_in"]},
    ):
        with pytest.raises(InputError, match=r"run\.npz is the checkpoint of a training with"):
            train(network(), TASK, 20, checkpoint=file, **change)
    for other in (network(seed=1), network(13)):
        with pytest.raises(InputError, match="another network, task or settings"):
            train(other, TASK, 20, checkpoint=file)
    with pytest.raises(InputError, match="has 10 iterations, more than the 5 asked for"):
        train(network(), TASK, 5, checkpoint=file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_checkpoint_is_refused_and_stays(tmp_path, content):
    file = tmp_path / "run.npz"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"run\.npz is no checkpoint"):
        train(network(), TASK, 10, checkpoint=file)
    assert file.read_bytes() == content


# ------------------------------------------------------------------ bad input


@dataclass(frozen=True)
class Uneven:
    n_inputs, n_outputs, dt = 3, 3, 1.0

    def batch(self, seed, n_trials=None):
        return TASK.batch(seed, 4 + seed[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": network(w_in=np.ones((12, 2)))}, "the network has 2 inputs, and the task 3"),
        ({"network": network(w_out=np.ones((1, 12)))}, "has 1 outputs, and the task 3"),
        ({"task": "mnist"}, "a str is no task: it has no 'n_inputs'"),
        ({"task": Uneven()}, "batches of the task differ"),
        ({"n_iterations": -1}, "n_iterations is -1"),
        ({"n_iterations": 2.5}, "n_iterations is 2.5; it must be a whole number"),
        ({"penalty": -0.1}, "penalty is -0.1"),
        ({"penalty": np.inf}, "penalty is inf"),
        ({"optimizer": "lbfgs"}, "optimizer is 'lbfgs'; choose from sgd, adam"),
        ({"schedule": "step"}, "schedule is 'step'"),
        ({"learning_rate": 0}, "learning_rate is 0; it must be a finite number, above 0"),
        ({"clip": 0}, "clip is 0"),
        ({"substeps": 0}, "substeps is 0"),
        ({"n_trials": 0}, "n_trials is 0"),
        ({"trained": ["tau"]}, "trained is 'tau'; choose from w_rec"),
        ({"seed": -1}, "seed is -1"),
        ({"task": replace(TASK, dt=3.0)}, r"a step of 3 is unstable: the limit is 2 min τ = 2"),
        ({"learning_rate": 1e8, "clip": None}, "training diverged at iteration"),
        ({"checkpoint": "/nowhere/run.npz"}, "/nowhere/run.npz: No such file"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    call = {"network": network(), "task": TASK, "n_iterations": 60} | change
    with pytest.raises(InputError, match=message):
        train(**call)


def test_without_jax_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optax", None)
    with pytest.raises(InputError, match=r"pip install 'graphbal\[train\]'"):
        train(network(), TASK, 1)


def test_training_is_not_imported_with_the_package():
    code = "import sys, graphbal.rnn; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_chunks_cover_every_iteration():
    assert len(train(network(), TASK, 0).history) == 0
    assert len(train(network(), TASK, training.CHUNK + 1).history) == training.CHUNK + 1
