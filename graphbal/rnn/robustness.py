"""How networks bear noise: their loss against its level, paired by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from graphbal.errors import InputError
from graphbal.rnn.model import RecurrentNetwork
from graphbal.rnn.simulation import checked_inputs, simulate

__all__ = ["NoiseCurves", "loss_against_noise"]

Array = NDArray[np.float64]

KINDS = ("noise", "shared_noise", "input_noise", "weight_noise")


@dataclass(frozen=True, eq=False)
class NoiseCurves:
    """Losses of several networks against the level of noise.

    Attributes
    ----------
    losses : pandas.DataFrame
        A row for each ``network``, noise ``level`` and ``seed``, with its ``loss``. The networks saw
        the same random numbers under the same seed.
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
            ``network``, ``level``, ``loss``, ``low``, ``high``.
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
            If there is no such network, or its loss is 0.
        """
        by_seed = self._by_seed()
        if reference not in by_seed.index.get_level_values("network"):
            raise InputError(f"there is no network {reference!r} among these")
        unit = by_seed.xs(reference, level="network")
        others = by_seed.drop(index=reference, level="network")
        if (unit.to_numpy() <= 0).any() or (others.to_numpy() <= 0).any():
            raise InputError("a loss is 0, so that there are no ratios")
        logs = np.log(others) - np.log(unit.reindex(others.index.droplevel("network"))).to_numpy()
        found = self._intervals(logs, "ratio", confidence)
        found[["ratio", "low", "high"]] = np.exp(found[["ratio", "low", "high"]])
        return found

    def _by_seed(self) -> pd.DataFrame:
        """Return the losses with a column for each seed, networks in the order given."""
        table = self.losses.pivot_table(
            index=["network", "level"], columns="seed", values="loss", sort=False
        )
        return table

    @staticmethod
    def _intervals(table: pd.DataFrame, name: str, confidence: float) -> pd.DataFrame:
        from scipy import stats

        values = table.to_numpy()
        m = values.shape[1]
        mean = values.mean(axis=1)
        reach = np.full_like(mean, np.nan)
        if m > 1:
            t = stats.t.ppf((1 + confidence) / 2, m - 1)
            reach = t * values.std(axis=1, ddof=1) / np.sqrt(m)
        found = table.index.to_frame(index=False)
        return found.assign(**{name: mean, "low": mean - reach, "high": mean + reach})

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
        Networks of the same size, by name.
    task : task, batch or pair
        A task, whose trials are then drawn anew for each seed; or fixed trials: an object with
        ``inputs`` and ``targets`` (and ``mask``, ``conditions``) or a pair (inputs, targets), arrays
        of shape (trial, time, channel).
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
        Trials of the task for each seed.
    average : bool
        Whether outputs and targets are averaged over the trials of a condition (over all trials,
        where there are no ``conditions``) before they are compared.
    progress : bool
        Whether to show a progress bar on standard error.

    Returns
    -------
    NoiseCurves
        The loss is the mean squared error, weighted with the mask.

    Raises
    ------
    InputError
        If networks, trials or levels make no sense; or as `simulate`.

    Notes
    -----
    One simulation for each network, level and seed. With the same seed networks see the same normal
    numbers, and so does a network at every level.

    References
    ----------
    .. [1] Stock et al. (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> inputs = np.ones((20, 50, 1))
    >>> targets = net.simulate(inputs, 0.2).outputs
    >>> curves = rnn.loss_against_noise(
    ...     {"given": net, "balanced": rnn.balance(net).network}, (inputs, targets), [0.05, 0.1], dt=0.2
    ... )
    >>> (curves.ratios("given")["high"] < 1).all()
    True
    """
    if not networks:
        raise InputError("there are no networks to compare")
    strengths = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    if strengths.ndim != 1 or not (np.isfinite(strengths) & (strengths >= 0)).all():
        raise InputError(f"the noise levels are {levels!r}; they must be numbers, not negative")
    if kind not in KINDS:
        raise InputError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}")
    drawn = range(int(seeds)) if isinstance(seeds, Integral) else list(seeds)
    if not len(drawn):
        raise InputError("there is no seed")
    draws_trials = hasattr(task, "batch")
    trials = None if draws_trials else _trials(task)
    rows = []
    for seed in _shown(list(drawn), progress):
        if draws_trials:
            trials = _trials(task.batch(seed, n_trials))
        assert trials is not None
        for name, network in networks.items():
            step = getattr(task, "dt", None) if dt is None else dt
            if network.form == "discrete":
                step = dt
            _require_fitting(name, network, trials)
            for level in strengths:
                run = simulate(
                    network,
                    trials.inputs,
                    step,
                    seed=seed,
                    substeps=substeps,
                    keep_states=False,
                    **{kind: level},
                )
                loss = trials.loss(run.outputs.to_numpy(), average)
                rows.append((name, float(level), seed, loss))
    return NoiseCurves(pd.DataFrame(rows, columns=["network", "level", "seed", "loss"]))


@dataclass(frozen=True, eq=False)
class _Trials:
    inputs: Array
    targets: Array
    mask: Array | None
    conditions: NDArray[np.int64]

    def loss(self, outputs: Array, average: bool) -> float:
        """Return the mean squared error."""
        errors, mask = outputs - self.targets, self.mask
        if average:
            groups, counts = np.unique(self.conditions, return_inverse=True)[1], None
            counts = np.bincount(groups)
            means = np.zeros((counts.size, *errors.shape[1:]))
            np.add.at(means, groups, errors)
            errors = means / counts[:, None, None]
            if mask is not None:
                shares = np.zeros_like(errors)
                np.add.at(shares, groups, np.broadcast_to(mask, self.targets.shape))
                mask = shares
        if mask is None:
            return float(np.square(errors).mean())
        mask = np.broadcast_to(mask, errors.shape)
        return float((mask * np.square(errors)).sum() / mask.sum())


def _trials(task: Any) -> _Trials:
    if isinstance(task, tuple) and len(task) == 2:
        inputs, targets = task
        mask = conditions = None
    else:
        try:
            inputs, targets = task.inputs, task.targets
        except AttributeError as error:
            raise InputError(
                f"a {type(task).__name__} is no task; give one with a method `batch`, a batch, or "
                "a pair (inputs, targets)"
            ) from error
        mask, conditions = getattr(task, "mask", None), getattr(task, "conditions", None)
    inputs, targets = (np.asarray(each, dtype=np.float64) for each in (inputs, targets))
    if inputs.ndim != 3 or targets.ndim != 3 or inputs.shape[:2] != targets.shape[:2]:
        raise InputError(
            f"inputs have shape {inputs.shape} and targets {targets.shape}; both must be (trial, "
            "time, channel), with as many trials and times"
        )
    if mask is not None:
        mask = np.asarray(mask, dtype=np.float64)
        if mask.ndim == 2:
            mask = mask[..., None]
        if not mask.any():
            raise InputError("the mask leaves no target to compare with")
    trials = len(inputs)
    groups = np.zeros(trials, dtype=np.int64) if conditions is None else np.asarray(conditions)
    return _Trials(inputs, targets, mask, groups)


def _require_fitting(name: str, network: RecurrentNetwork, trials: _Trials) -> None:
    try:
        checked_inputs(network, trials.inputs)
    except InputError as error:
        raise InputError(f"network {name!r}: {error}") from error
    if trials.targets.shape[2] != network.n_outputs:
        raise InputError(
            f"network {name!r} has {network.n_outputs} outputs, and there are targets for "
            f"{trials.targets.shape[2]}"
        )


def _shown(seeds: list[int], progress: bool) -> Iterable[int]:
    if not progress:
        return seeds
    from rich.console import Console
    from rich.progress import track

    return track(seeds, description="noise", console=Console(stderr=True), transient=True)
