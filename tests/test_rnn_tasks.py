"""Tasks: the trials are those that the literature describes, and the same for the same seed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from graphbal import InputError
from graphbal.rnn import (
    ContextIntegration,
    DelayedMatch,
    NeuroGymTask,
    PerceptualIntegration,
    Task,
)

TASKS = [ContextIntegration(), PerceptualIntegration(), DelayedMatch(), DelayedMatch(n_stimuli=3)]


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_a_task_says_its_channels_and_repeats_its_trials(task):
    batch, again, other = task.batch(3, 50), task.batch(3, 50), task.batch(4, 50)
    assert isinstance(task, Task)
    assert batch.inputs.shape[::2] == (50, task.n_inputs)
    assert batch.targets.shape == (*batch.inputs.shape[:2], task.n_outputs)
    assert batch.mask.shape == batch.inputs.shape[:2]
    assert batch.conditions.shape == (50,)
    np.testing.assert_array_equal(batch.inputs, again.inputs)
    assert not np.array_equal(batch.inputs, other.inputs)
    assert (task.batch((3, 1)).inputs != task.batch((3, 2)).inputs).any()


def test_context_integration_adds_up_the_channels_of_the_cued_context():
    batch = ContextIntegration(noise=0.0).batch(0)
    cue, first, second = np.split(batch.inputs[:, 0], 3, axis=1)
    # Eight conditions: every choice of a cue and of a channel in each context, once.
    assert {tuple(row) for row in batch.inputs[:, 0].astype(int)} == {
        (1 - a, a, 1 - b, b, 1 - c, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)
    }
    assert (np.stack([cue, first, second]).sum(axis=2) == 1).all()
    for trial in range(8):
        active = (first, second)[int(cue[trial].argmax())][trial]
        steps = np.arange(1, 51)[:, None]
        np.testing.assert_array_equal(batch.targets[trial], steps * active)


def test_context_integration_sums_the_noise_too():
    batch = ContextIntegration().batch(7, 400)
    context = batch.conditions // 4
    for trial in (0, 5):
        start = 2 + 2 * context[trial]
        running = np.cumsum(batch.inputs[trial, :, start : start + 2], axis=0)
        np.testing.assert_allclose(batch.targets[trial], running)
    clean = ContextIntegration(noise=0.0).batch(7, 400)
    noise = batch.inputs - clean.inputs
    assert noise.std() == pytest.approx(0.3, rel=0.01)
    assert abs(noise.mean()) < 0.005
    # What nobody can foretell: the noise so far. Its root mean square is what remains.
    rest = np.sqrt(np.square(batch.targets - clean.targets).mean())
    assert rest == pytest.approx(0.3 * np.sqrt(25.5), rel=0.05)
    assert np.sqrt(np.square(clean.targets).mean()) == pytest.approx(np.sqrt(858.5 / 2))


def test_the_better_stimulus_is_the_choice():
    task = PerceptualIntegration(coherences=(0.2, 0.8), noise=0.1)
    batch = task.batch(0, 2000)
    stimulus, response = batch.inputs[:, :40, 1:], batch.targets[:, 40:]
    means = stimulus.mean(axis=(1, 2))
    assert means.mean() == pytest.approx(0.5, abs=0.01)
    apart = stimulus.mean(axis=1) @ [1, -1]
    for condition, coherence in enumerate((0.2, -0.2, 0.8, -0.8)):
        mine = batch.conditions == condition
        assert apart[mine].mean() == pytest.approx(coherence, abs=0.01)
        choice = [0, 1, 0] if coherence > 0 else [0, 0, 1]
        assert (response[mine] == choice).all()
    assert (batch.inputs[:, :40, 0] == 1).all()
    assert not batch.inputs[:, 40:].any()
    assert (batch.targets[:, :40] == [1, 0, 0]).all()


@pytest.mark.parametrize("n_stimuli", [2, 3, 5])
def test_the_answer_is_whether_the_test_is_the_sample(n_stimuli):
    batch = DelayedMatch(n_stimuli=n_stimuli, noise=0.0).batch(0)
    sample = batch.inputs[:, 0, 1:].argmax(axis=1)
    test = batch.inputs[:, 25, 1:].argmax(axis=1)
    assert not batch.inputs[:, 10:20, 1:].any()
    assert not batch.inputs[:, 30:].any()
    np.testing.assert_array_equal(batch.targets[:, -1, 0], np.where(sample == test, 1, -1))
    assert not batch.targets[:, :30].any()
    assert (sample == test).mean() == 0.5
    assert len({*zip(sample, test, strict=True)}) == n_stimuli**2


class Environment:
    """What an environment of NeuroGym offers: trials of different lengths and their truth."""

    dt = 100
    observation_space = SimpleNamespace(shape=(3,))
    action_space = SimpleNamespace(n=2, shape=())

    def seed(self, seed):
        self.rng = np.random.RandomState(seed)

    def new_trial(self):
        length = self.rng.randint(5, 12)
        self.ob = self.rng.standard_normal((length, 3)).astype(np.float32)
        self.gt = np.r_[np.zeros(length - 2, int), np.ones(2, int)]


def test_environments_are_padded_with_what_does_not_count():
    wrapped = SimpleNamespace(unwrapped=Environment())
    task = NeuroGymTask(wrapped, dt=0.1)
    batch, again = task.batch(5, 20), task.batch(5, 20)
    assert isinstance(task, Task)
    assert (task.n_inputs, task.n_outputs, task.dt) == (3, 2, 0.1)
    assert NeuroGymTask(Environment()).dt == 100
    np.testing.assert_array_equal(batch.inputs, again.inputs)
    lengths = batch.mask.sum(axis=1).astype(int)
    assert lengths.max() == batch.inputs.shape[1]
    assert lengths.min() < lengths.max()
    for k, length in enumerate(lengths):
        assert (batch.targets[k, :length].sum(axis=1) == 1).all()
        assert (batch.targets[k, length - 2 : length] == [0, 1]).all()
        assert not batch.inputs[k, length:].any()
        assert not batch.targets[k, length:].any()


def test_a_real_environment():
    neurogym = pytest.importorskip("neurogym")
    task = NeuroGymTask(neurogym.make("PerceptualDecisionMaking-v0"), dt=0.1)
    batch = task.batch(0)
    assert batch.inputs.shape == (8, batch.inputs.shape[1], 3)
    assert np.isfinite(batch.inputs).all()
    assert (batch.targets.sum(axis=2) == batch.mask).all()
    np.testing.assert_array_equal(batch.inputs, task.batch(0).inputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ContextIntegration(n_times=0), "n_times is 0; it must be a whole number"),
        (lambda: ContextIntegration(noise=-1), "noise is -1"),
        (lambda: ContextIntegration(noise=np.nan), "noise is nan"),
        (lambda: ContextIntegration(dt=0), "dt is 0; it must be a number above 0"),
        (lambda: ContextIntegration().batch(0, 0), "n_trials is 0"),
        (lambda: PerceptualIntegration(coherences=()), "coherences are"),
        (lambda: PerceptualIntegration(coherences=(1.5,)), "above 0 and at most 1"),
        (lambda: PerceptualIntegration(n_response=2.5), "n_response is 2.5"),
        (lambda: DelayedMatch(n_stimuli=1), "n_stimuli is 1; .* at least 2"),
        (lambda: DelayedMatch(n_delay=-1), "n_delay is -1"),
        (lambda: NeuroGymTask(object()), "no environment with trials: it has no 'new_trial'"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
