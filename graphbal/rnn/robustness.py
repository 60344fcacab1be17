"""How networks bear noise: their loss against its level, paired by seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import repeat
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from graphbal._progress import steps_bar
from graphbal.errors import InputError
from graphbal.rnn.model import RecurrentNetwork, _array
from graphbal.rnn.simulation import outputs_against_noise

__all__ = ["NoiseCurves", "loss_against_noise"]

Array = NDArray[np.float64]

KINDS = ("noise", "shared_noise", "input_noise", "weight_noise")


@dataclass(frozen=True, eq=False)
class NoiseCurves:
    """Losses of several networks against the level of noise.

    Attributes
    ----------
    losses : pandas.DataFrame
        A row for each ``network``, noise ``level`` and ``seed``, with its ``loss``. Under the same
        seed networks saw the same random numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from graphbal import rnn
    >>> losses = pd.DataFrame({
    ...     "network": ["given", "given", "balanced", "balanced"],
    ...     "level": 0.1,
    ...     "seed": [0, 1, 0, 1],
    ...     "loss": [0.8, 1.0, 0.4, 0.6],
    ... })
    >>> curves = rnn.NoiseCurves(losses)
    >>> curves.summary()[["network", "loss"]]
        network  loss
    0     given   0.9
    1  balanced   0.5
    >>> curves.ratios("given")[["network", "ratio"]].round(3)
        network  ratio
    0  balanced  0.548
    """

    losses: pd.DataFrame

    def summary(self, confidence: float = 0.95) -> pd.DataFrame:
        """Return the mean loss of each network at each level, with Student's interval over seeds.

        Parameters
        ----------
        confidence : float
            Probability with which the interval from ``low`` to ``high`` covers the expected loss.

        Returns
        -------
        pandas.DataFrame
            ``network``, ``level``, ``loss``, ``low``, ``high``; with a single seed there is no
            interval.

        Raises
        ------
        InputError
            If `confidence` is no probability.
        """
        return self._intervals(self._by_seed(), "loss", confidence)

    def ratios(self, reference: str, confidence: float = 0.95) -> pd.DataFrame:
        """Return the losses relative to a network's, seed by seed, with intervals.

        Parameters
        ----------
        reference : str
            Name of the network whose loss is the unit.
        confidence : float
            As in `summary`.

        Returns
        -------
        pandas.DataFrame
            ``network``, ``level``, ``ratio`` (the geometric mean over seeds), ``low``, ``high``;
            intervals are Student's in log ratios.

        Raises
        ------
        InputError
            If there is no such network, a loss is 0, or `confidence` is no probability.
        """
        by_seed = self._by_seed()
        names = by_seed.index.unique("network")
        if reference not in names:
            raise InputError(f"there is no network {reference!r}; choose from {', '.join(names)}")
        if (by_seed <= 0).any(axis=None):
            name, level = by_seed.index[(by_seed <= 0).any(axis=1)][0]
            raise InputError(
                f"the loss of {name!r} is 0 at the level {level:g}, so that there is no ratio; "
                "compare with targets that no network meets exactly, or leave out the level"
            )
        logs = np.log(by_seed)
        unit = logs.xs(reference, level="network")
        others = logs.drop(index=reference, level="network")
        found = self._intervals(others.sub(unit, level="level"), "ratio", confidence)
        found[["ratio", "low", "high"]] = np.exp(found[["ratio", "low", "high"]])
        return found

    def _by_seed(self) -> pd.DataFrame:
        """Return the losses with a column for each seed, networks and levels in the order given."""
        return self.losses.pivot_table(
            index=["network", "level"], columns="seed", values="loss", sort=False
        )

    @staticmethod
    def _intervals(table: pd.DataFrame, name: str, confidence: float) -> pd.DataFrame:
        from scipy import stats

        if not (isinstance(confidence, Real) and 0 < confidence < 1):
            raise InputError(f"confidence is {confidence!r}; it must be between 0 and 1")
        mean, m = table.mean(axis=1), table.shape[1]
        reach = stats.t.ppf((1 + confidence) / 2, m - 1) * table.std(axis=1) / np.sqrt(m)
        found = pd.DataFrame({name: mean, "low": mean - reach, "high": mean + reach})
        return found.reset_index()

    def __repr__(self) -> str:
        counts = self.losses[["network", "level", "seed"]].nunique()
        return (
            f"NoiseCurves({counts['network']} networks, {counts['level']} levels, "
            f"{counts['seed']} seeds)"
        )


def loss_against_noise(
    networks: Mapping[str, RecurrentNetwork],
    task: Any,
    levels: ArrayLike,
    *,
    dt: float | None = None,
    kind: str = "noise",
    seeds: int | Iterable[int] = 10,
    substeps: int = 1,
    n_trials: int | None = None,
    average: bool = False,
    progress: bool = False,
) -> NoiseCurves:
    r"""Return the loss of several networks against the level of noise, paired by noise seed.

    Parameters
    ----------
    networks : mapping of str to RecurrentNetwork
        Networks by name; of the same size, or they do not see the same noise.
    task : task, batch or pair
        A task, whose trials are then drawn anew for each seed; or fixed trials: an object with
        ``inputs`` and ``targets``, shape (trial, time, channel), and perhaps ``mask``, (trial,
        time), and ``conditions``, (trial,); or a pair (inputs, targets).
    levels : array of float
        Noise levels, not negative; what they are is up to `kind`.
    dt : float, optional
        Time step; by default that of the task. To be left out in discrete time.
    kind : {"noise", "shared_noise", "input_noise", "weight_noise"}
        The kind of noise, as in `simulate`.
    seeds : int or sequence of int
        Seeds of the noise, or their number.
    substeps : int
        As in `simulate`.
    n_trials : int, optional
        Trials of the task for each seed, where trials are drawn.
    average : bool
        Whether outputs and targets are averaged over the trials of a condition (over all trials,
        where there are no ``conditions``), weighted with the mask, before they are compared.
    progress : bool
        Whether to show a progress bar on standard error.

    Returns
    -------
    NoiseCurves
        The loss is the mean squared error, weighted with the mask; conditions count by their
        trials.

    Raises
    ------
    InputError
        If networks, trials or levels make no sense; or as `simulate`.

    Notes
    -----
    One simulation for each network, level and seed; the levels of a network advance side by side
    and share their draws. With the same seed networks see the same normal numbers, and so does a
    network at every level.

    References
    ----------
    .. [1] Stock et al. (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, -0.1], [4.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> balanced = rnn.balance(net, scope="all").network
    >>> inputs = np.ones((20, 50, 1))
    >>> trials = inputs, net.simulate(inputs, 0.2).outputs
    >>> curves = rnn.loss_against_noise({"given": net, "balanced": balanced}, trials, [0.2], dt=0.2)
    >>> curves
    NoiseCurves(2 networks, 1 levels, 10 seeds)
    >>> curves.ratios("given").round(2)
        network  level  ratio   low  high
    0  balanced    0.2   0.71  0.67  0.74
    """
    if not networks:
        raise InputError("there are no networks to compare")
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}")
    strengths = _array("levels", np.atleast_1d(levels), (None,)).tolist()
    if not strengths or min(strengths) < 0 or len(set(strengths)) < len(strengths):
        raise InputError(f"levels are {levels!r}; give each once, none of them negative")
    every = range(int(seeds)) if isinstance(seeds, Integral) else seeds
    chosen = list(every) if isinstance(every, Iterable) else []
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"seeds are {seeds!r}; give their number, or each once")
    is_drawn = hasattr(task, "batch")
    if n_trials is not None and not is_drawn:
        raise InputError("n_trials is for a task; these trials are given")
    trials = None if is_drawn else _trials(task)
    task_step = getattr(task, "dt", None) if dt is None else dt
    rows: list[tuple[str, float, int, float]] = []
    for seed in _shown(chosen, progress):
        if is_drawn or trials is None:
            trials = _trials(task.batch(seed, n_trials))
        for name, network in networks.items():
            step = dt if network.form == "discrete" else task_step
            try:
                runs = outputs_against_noise(
                    network, trials.inputs, step, kind, strengths, seed=seed, substeps=substeps
                )
                losses = [trials.loss(outputs, average) for outputs in runs]
            except InputError as error:
                raise InputError(f"network {name!r}: {error}") from error
            rows += zip(repeat(name), strengths, repeat(seed), losses)
    return NoiseCurves(pd.DataFrame(rows, columns=["network", "level", "seed", "loss"]))


@dataclass(frozen=True, eq=False)
class _Trials:
    """Inputs, targets and mask, (trial, time, channel), and the trials of each condition."""

    inputs: Array
    targets: Array
    mask: Array
    members: Any

    def loss(self, outputs: Array, average: bool) -> float:
        """Return the mean squared error."""
        if outputs.shape != self.targets.shape:
            raise InputError(
                f"there are {outputs.shape[2]} outputs, and targets for {self.targets.shape[2]}"
            )
        errors, weights = outputs - self.targets, self.mask
        if average:
            trials = len(errors)
            total = self.members @ (weights * errors).reshape(trials, -1)
            weights = self.members @ weights.reshape(trials, -1)
            errors = total / np.where(weights > 0, weights, 1.0)
        return float(np.average(np.square(errors), weights=weights))


def _trials(task: Any) -> _Trials:
    if isinstance(task, tuple) and len(task) == 2:
        inputs, targets = task
    else:
        try:
            inputs, targets = task.inputs, task.targets
        except AttributeError as error:
            raise InputError(
                f"a {type(task).__name__} is no task; give one with a method `batch`, a batch, or "
                "a pair (inputs, targets)"
            ) from error
    inputs = _array("inputs", inputs, (None, None, None))
    targets = _array("targets", targets, (*inputs.shape[:2], None))
    trials, times, _ = targets.shape
    if not targets.size:
        raise InputError(f"the targets have shape {targets.shape}: there is nothing to compare")
    mask = _array("mask", getattr(task, "mask", None), (trials, times), np.ones((trials, times)))
    if mask.min() < 0 or not mask.any():
        raise InputError("the mask must leave something to compare, and weights are not negative")
    conditions = getattr(task, "conditions", None)
    groups = np.zeros(trials, dtype=np.int64)
    if conditions is not None:
        groups = np.unique(_array("conditions", conditions, (trials,)), return_inverse=True)[1]
    members = sparse.csr_array((np.ones(trials), (groups, np.arange(trials))))
    return _Trials(inputs, targets, np.broadcast_to(mask[..., None], targets.shape), members)


def _shown(seeds: list[int], progress: bool) -> Iterator[int]:
    bar = steps_bar("noise", len(seeds)) if progress else nullcontext(lambda: None)
    with bar as step:
        for seed in seeds:
            yield seed
            step()
