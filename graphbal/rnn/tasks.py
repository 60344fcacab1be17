"""Tasks for recurrent networks: batches of trials with inputs, targets and what counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from graphbal._checks import require_whole
from graphbal.errors import InputError

__all__ = [
    "Batch",
    "ContextIntegration",
    "DelayedMatch",
    "NeuroGymTask",
    "PerceptualIntegration",
    "Task",
]

Array = NDArray[np.float64]
Seed = int | Sequence[int]


@dataclass(frozen=True, eq=False)
class Batch:
    """Trials of a task.

    Attributes
    ----------
    inputs : array, shape (trial, time, input)
        Inputs at each time step.
    targets : array, shape (trial, time, output)
        What the outputs should be at the end of each time step.
    mask : array, shape (trial, time)
        How much the error at each time counts; 0 where anything may be put out.
    conditions : array of int, shape (trial,)
        Which condition each trial is of.

    Examples
    --------
    >>> from graphbal.rnn import DelayedMatch
    >>> trials = DelayedMatch().batch(seed=0, n_trials=4)
    >>> trials
    Batch(4 trials of 40 times, 3 inputs, 1 outputs)
    >>> trials.inputs.shape, trials.targets.shape, trials.mask.shape, trials.conditions.shape
    ((4, 40, 3), (4, 40, 1), (4, 40), (4,))
    """

    inputs: Array
    targets: Array
    mask: Array
    conditions: NDArray[np.int64]

    def __repr__(self) -> str:
        trials, times, inputs = self.inputs.shape
        return (
            f"Batch({trials} trials of {times} times, {inputs} inputs, "
            f"{self.targets.shape[2]} outputs)"
        )


@runtime_checkable
class Task(Protocol):
    """What a task must offer; nothing need be inherited.

    Attributes
    ----------
    n_inputs, n_outputs : int
        Number of input and output channels.
    dt : float
        Length of a time step, in the units of the network's τ.

    Examples
    --------
    Whatever has these is a task:

    >>> import numpy as np
    >>> from graphbal import rnn
    >>> class Echo:
    ...     n_inputs, n_outputs, dt = 1, 1, 0.1
    ...     def batch(self, seed, n_trials=None):
    ...         u = np.random.default_rng(seed).standard_normal((n_trials or 8, 20, 1))
    ...         return rnn.Batch(u, u, np.ones(u.shape[:2]), np.zeros(len(u), dtype=int))
    >>> isinstance(Echo(), rnn.Task)
    True
    """

    @property
    def n_inputs(self) -> int:
        """Number of input channels."""

    @property
    def n_outputs(self) -> int:
        """Number of output channels."""

    @property
    def dt(self) -> float:
        """Length of a time step, in the units of τ."""

    def batch(self, seed: Seed, n_trials: int | None = None) -> Batch:
        """Return trials; the same ones for the same seed."""


@dataclass(frozen=True)
class ContextIntegration:
    r"""Context-dependent integration: add up the evidence of the context that is cued.

    Six inputs: two context cues, then two channels for each of two contexts. At every time step
    each input is Gaussian noise; the cue of the active context and one channel of each context
    carry 1 on top. The two targets are the sums so far, the present step included, of the two
    channels of the active context, noise and all: what the network integrates it cannot know
    beforehand. The eight conditions are context × channel in the one × channel in the other [1]_,
    in the variant that [2]_ trained networks on.

    Parameters
    ----------
    n_times : int
        Time steps of a trial.
    noise : float
        Standard deviation of the noise of every input at every time step.
    dt : float
        Length of a time step, in the units of τ.

    Raises
    ------
    InputError
        If a number makes no sense.

    References
    ----------
    .. [1] V. Mante, D. Sussillo, K. V. Shenoy, W. T. Newsome, "Context-dependent computation by
       recurrent dynamics in prefrontal cortex", Nature 503, 78 (2013).
       https://doi.org/10.1038/nature12742
    .. [2] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> from graphbal.rnn import ContextIntegration
    >>> batch = ContextIntegration(noise=0.0).batch(seed=0)
    >>> batch
    Batch(8 trials of 50 times, 6 inputs, 2 outputs)
    >>> batch.inputs[0, 0].astype(int), batch.targets[0, -1]
    (array([1, 0, 1, 0, 1, 0]), array([50.,  0.]))
    """

    n_times: int = 50
    noise: float = 0.3
    dt: float = 1.0

    n_inputs = 6
    n_outputs = 2

    def __post_init__(self) -> None:
        require_whole("n_times", self.n_times, 1)
        _require_number("noise", self.noise, 0)
        _require_step(self.dt)

    def batch(self, seed: Seed, n_trials: int | None = None) -> Batch:
        """Return trials: by default the 8 conditions once each, otherwise in turn.

        Parameters
        ----------
        seed : int or sequence of int
        n_trials : int, optional
        """
        conditions = _in_turn(n_trials, 8)
        rng = np.random.default_rng(seed)
        inputs = self.noise * rng.standard_normal((conditions.size, self.n_times, self.n_inputs))
        trial = np.arange(conditions.size)
        context = conditions // 4
        for active in (context, 2 + conditions // 2 % 2, 4 + conditions % 2):
            inputs[trial, :, active] += 1.0
        channels = 2 + 2 * context[:, None] + np.arange(2)
        evidence = np.take_along_axis(inputs, channels[:, None, :], axis=2)
        everywhere = np.ones(inputs.shape[:2])
        return Batch(inputs, evidence.cumsum(axis=1), everywhere, conditions)


@dataclass(frozen=True)
class PerceptualIntegration:
    r"""Perceptual decision: tell which of two noisy stimuli is the stronger on average.

    Three inputs: a fixation cue, 1 until the response is due, and two stimuli of mean
    (1 ± coherence)/2 with Gaussian noise while they last. Three targets: fixation until the
    response, then 1 for the choice [1]_. Conditions are the signed coherences, in the order given,
    each first in favour of the first stimulus, then of the second.

    Parameters
    ----------
    coherences : sequence of float
        Differences of the means, each above 0 and at most 1.
    n_stimulus, n_response : int
        Time steps of stimulus and response.
    noise : float
        Standard deviation of the noise of a stimulus at every time step.
    dt : float
        Length of a time step, in the units of τ.

    Raises
    ------
    InputError
        If a number makes no sense.

    References
    ----------
    .. [1] J. I. Gold, M. N. Shadlen, "The neural basis of decision making", Annu Rev Neurosci 30,
       535 (2007). https://doi.org/10.1146/annurev.neuro.29.051605.113038

    Examples
    --------
    >>> from graphbal.rnn import PerceptualIntegration
    >>> task = PerceptualIntegration(coherences=(0.5,), n_stimulus=2, n_response=1, noise=0.0)
    >>> batch = task.batch(seed=0)
    >>> batch.inputs[1]
    array([[1.  , 0.25, 0.75],
           [1.  , 0.25, 0.75],
           [0.  , 0.  , 0.  ]])
    >>> batch.targets[1]
    array([[1., 0., 0.],
           [1., 0., 0.],
           [0., 0., 1.]])
    """

    coherences: tuple[float, ...] = (0.064, 0.128, 0.256, 0.512)
    n_stimulus: int = 40
    n_response: int = 10
    noise: float = 0.3
    dt: float = 1.0

    n_inputs = 3
    n_outputs = 3

    def __post_init__(self) -> None:
        if not self.coherences or not all(0 < c <= 1 for c in self.coherences):
            raise InputError(
                f"coherences are {self.coherences!r}; they must be above 0 and at most 1"
            )
        require_whole("n_stimulus", self.n_stimulus, 1)
        require_whole("n_response", self.n_response, 1)
        _require_number("noise", self.noise, 0)
        _require_step(self.dt)

    def batch(self, seed: Seed, n_trials: int | None = None) -> Batch:
        """Return trials: by default each condition once, otherwise in turn.

        Parameters
        ----------
        seed : int or sequence of int
        n_trials : int, optional
        """
        conditions = _in_turn(n_trials, 2 * len(self.coherences))
        rng = np.random.default_rng(seed)
        trials, onset = conditions.size, self.n_stimulus
        inputs = np.zeros((trials, onset + self.n_response, 3))
        inputs[:, :onset, 0] = 1.0
        half = np.asarray(self.coherences)[conditions // 2] / 2
        second = conditions % 2
        sign = 1 - 2 * second
        means = 0.5 + np.stack([sign * half, -sign * half], axis=1)
        inputs[:, :onset, 1:] = means[:, None] + self.noise * rng.standard_normal(
            (trials, onset, 2)
        )
        targets = np.zeros_like(inputs)
        targets[:, :onset, 0] = 1.0
        targets[np.arange(trials), onset:, 1 + second] = 1.0
        return Batch(inputs, targets, np.ones(inputs.shape[:2]), conditions)


@dataclass(frozen=True)
class DelayedMatch:
    r"""Delayed match to sample: tell whether the second stimulus is the first one again.

    A fixation cue and a channel for each stimulus. A sample is shown, then nothing, then a test;
    when the fixation cue goes off, the output should be 1 for a match and −1 otherwise, and 0
    before [1]_. Conditions are sample × test, as many of them matches as not: the test is the
    sample, or the next of the other stimuli in turn.

    Parameters
    ----------
    n_stimuli : int
        Number of stimuli, at least 2.
    n_sample, n_delay, n_test, n_response : int
        Time steps of each epoch.
    noise : float
        Standard deviation of the noise of every stimulus channel at every time step.
    dt : float
        Length of a time step, in the units of τ.

    Raises
    ------
    InputError
        If a number makes no sense.

    References
    ----------
    .. [1] E. K. Miller, C. A. Erickson, R. Desimone, "Neural mechanisms of visual working memory in
       prefrontal cortex of the macaque", J Neurosci 16, 5154 (1996).
       https://doi.org/10.1523/JNEUROSCI.16-16-05154.1996

    Examples
    --------
    >>> from graphbal.rnn import DelayedMatch
    >>> batch = DelayedMatch(n_stimuli=2, noise=0.0).batch(seed=0)
    >>> batch
    Batch(4 trials of 40 times, 3 inputs, 1 outputs)
    >>> batch.targets[:, -1, 0]
    array([ 1., -1.,  1., -1.])
    """

    n_stimuli: int = 2
    n_sample: int = 10
    n_delay: int = 10
    n_test: int = 10
    n_response: int = 10
    noise: float = 0.1
    dt: float = 1.0

    n_outputs = 1

    def __post_init__(self) -> None:
        require_whole("n_stimuli", self.n_stimuli, 2)
        for name in ("n_sample", "n_test", "n_response"):
            require_whole(name, getattr(self, name), 1)
        require_whole("n_delay", self.n_delay)
        _require_number("noise", self.noise, 0)
        _require_step(self.dt)

    @property
    def n_inputs(self) -> int:
        """Number of input channels."""
        return 1 + self.n_stimuli

    def batch(self, seed: Seed, n_trials: int | None = None) -> Batch:
        """Return trials: by default each condition once, otherwise in turn.

        Parameters
        ----------
        seed : int or sequence of int
        n_trials : int, optional
        """
        others = self.n_stimuli - 1
        conditions = _in_turn(n_trials, 2 * self.n_stimuli * others)
        rng = np.random.default_rng(seed)
        trial = np.arange(conditions.size)
        differs = conditions % 2
        sample = conditions // 2 % self.n_stimuli
        test = (sample + differs * (1 + conditions // (2 * self.n_stimuli))) % self.n_stimuli
        ends = np.cumsum([self.n_sample, self.n_delay, self.n_test, self.n_response])
        inputs = np.zeros((conditions.size, int(ends[-1]), self.n_inputs))
        inputs[..., 1:] = self.noise * rng.standard_normal((*inputs.shape[:2], self.n_stimuli))
        inputs[:, : ends[2], 0] = 1.0
        inputs[trial, : ends[0], 1 + sample] += 1.0
        inputs[trial, ends[1] : ends[2], 1 + test] += 1.0
        targets = np.zeros((*inputs.shape[:2], 1))
        targets[:, ends[2] :, 0] = (1 - 2 * differs)[:, None]
        return Batch(inputs, targets, np.ones(inputs.shape[:2]), conditions)


class NeuroGymTask:
    """A trial-based environment of NeuroGym as a task.

    Observations are the inputs. Targets are the ground truth: one output for each action, 1 for the
    right one, where actions are discrete, and the action itself otherwise. Trials that end before
    the longest one of their batch are filled up with zeros that do not count.

    Parameters
    ----------
    environment
        What ``neurogym.make`` returns [1]_: an environment with trials and a ground truth.
    dt : float, optional
        Length of a time step, in the units of the network's τ; by default the environment's own,
        which is in milliseconds.

    Raises
    ------
    InputError
        If it is no such environment.

    Notes
    -----
    A batch seeds the environment, and draws one trial after the other. Every trial is its own
    condition 0: environments do not say which condition a trial is of.

    References
    ----------
    .. [1] M. Molano-Mazón et al., "NeuroGym: an open resource for developing and sharing
       neuroscience tasks" (2022). https://doi.org/10.31234/osf.io/aqc9n

    Examples
    --------
    >>> import neurogym  # doctest: +SKIP
    >>> from graphbal.rnn import NeuroGymTask
    >>> NeuroGymTask(neurogym.make("PerceptualDecisionMaking-v0")).batch(0)  # doctest: +SKIP
    Batch(8 trials of 22 times, 3 inputs, 3 outputs)
    """

    def __init__(self, environment: Any, dt: float | None = None) -> None:
        trials = getattr(environment, "unwrapped", environment)
        missing = [
            name
            for name in ("new_trial", "seed", "observation_space", "action_space", "dt")
            if not hasattr(trials, name)
        ]
        if missing:
            raise InputError(
                f"a {type(environment).__name__} is no environment with trials: it has no "
                f"{missing[0]!r}; give what neurogym.make returns"
            )
        self.environment = environment
        self.dt = float(trials.dt if dt is None else dt)
        _require_step(self.dt)
        self.n_inputs = int(np.prod(trials.observation_space.shape))
        self._n_actions = getattr(trials.action_space, "n", None)
        self.n_outputs = int(self._n_actions or np.prod(trials.action_space.shape))

    def batch(self, seed: Seed, n_trials: int | None = None) -> Batch:
        """Return trials, 8 by default.

        Parameters
        ----------
        seed : int or sequence of int
        n_trials : int, optional
        """
        conditions = np.zeros(_in_turn(n_trials, 8).size, dtype=np.int64)
        environment = getattr(self.environment, "unwrapped", self.environment)
        # Legacy generators, which NeuroGym uses, take 32 bits.
        environment.seed(int(np.random.default_rng(seed).integers(2**32)))
        observed, right = [], []
        for _ in conditions:
            environment.new_trial()
            truth = getattr(environment, "gt", None)
            if truth is None:
                raise InputError(f"{environment} has no ground truth to train on")
            observed.append(np.array(environment.ob, dtype=np.float64))
            right.append(np.array(truth))
        longest = max(map(len, observed))
        inputs = np.zeros((conditions.size, longest, self.n_inputs))
        targets = np.zeros((conditions.size, longest, self.n_outputs))
        mask = np.zeros(inputs.shape[:2])
        for k, (seen, truth) in enumerate(zip(observed, right, strict=True)):
            length = len(seen)
            inputs[k, :length] = seen.reshape(length, -1)
            if self._n_actions is None:
                targets[k, :length] = truth.reshape(length, -1)
            else:
                targets[k, np.arange(length), truth.astype(int)] = 1.0
            mask[k, :length] = 1.0
        return Batch(inputs, targets, mask, conditions)

    def __repr__(self) -> str:
        return f"NeuroGymTask({self.environment}, {self.n_inputs} inputs, {self.n_outputs} outputs)"


def _in_turn(n_trials: int | None, n_conditions: int) -> NDArray[np.int64]:
    """Return the condition of each trial."""
    if n_trials is None:
        n_trials = n_conditions
    require_whole("n_trials", n_trials, 1)
    return np.arange(n_trials, dtype=np.int64) % n_conditions


def _require_number(name: str, value: float, least: float) -> None:
    if not (isinstance(value, Real) and least <= value < np.inf):
        raise InputError(f"{name} is {value!r}; it must be a finite number, at least {least:g}")


def _require_step(dt: float) -> None:
    if not (isinstance(dt, Real) and 0 < dt < np.inf):
        raise InputError(f"dt is {dt!r}; it must be a number above 0")
