"""Figure 4: training with a penalty balances networks, and balanced networks bear more noise.

Panels
------
a
    The norm of the neural gradients ‖g‖ over training on context-dependent integration, for several
    strengths λ of the penalty λ Σ J², from the same initial weights; beside its end, ‖g‖ of the
    same costs with their rows permuted.
b
    Loss of trained networks (λ = 0.3) balanced for the robustness cost, over that of the networks
    as trained, against private noise in the states. Inset: the robustness cost before and after.
c
    The same ratio, its geometric mean over noise levels, for every λ and for several costs:
    "gains under noise", that of panel b, from gains measured in trials with noise; "floor", from
    gains without noise, so that silent neurons cost nothing and need a floor; "readout", the same
    without a floor but with the synapses of inputs and readout, inputs and outputs held fixed; and
    "mean h = 0", that with all neurons scaled alike so that the mean potential is 0, as it is with
    the first two: where states are smaller, the same noise does more harm whatever the balance.

The task, the network and the recipe "paper" are those of [1]_; the others train with a cosine
schedule and fewer substeps, and learn the task better in less time.

References
----------
.. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
   Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418
"""

from __future__ import annotations

import os
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from graphbal import rnn
from graphbal._version import __version__
from graphbal.figures import _claims
from graphbal.figures.fig4_panels import COSTS, SHOWN_PENALTY, draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphbal.figures._claims import Claim

__all__ = ["PRESETS", "Recipe", "claims", "compute", "draw", "follow"]

_TASK = rnn.ContextIntegration()
_PENALTIES = (0.0, 0.1, SHOWN_PENALTY)
_LEVELS = np.array([0, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0])  # in units of the sd of the states
_PERMUTATIONS = 10_000
_GAINS_UNDER = 0.2  # noise at which gains are measured, in the same units
_CURVE = 300  # points of a training curve
# Trials that no training sees: single numbers, where those of training are pairs.
_PROBE, _HELD_OUT, _NOISE = 1_000_001, 1_000_002, 2_000_000


@dataclass(frozen=True)
class Recipe:
    """How networks are trained and tested.

    Attributes
    ----------
    n : int
        Neurons.
    substeps : int
        Euler steps in a time step.
    iterations, learning_rate, schedule
        As in `graphbal.rnn.train`; gradients are clipped to norm 10.
    networks : tuple of int
        How many networks are trained at each λ.
    trials : int
        Trials of each condition that outputs are averaged over.
    noise_seeds : int
        Seeds of the noise, over which intervals are taken.
    learns : bool
        Whether the task is learned to the end, so that its error is claimed.
    """

    n: int
    substeps: int
    iterations: int
    learning_rate: float
    schedule: str
    networks: tuple[int, ...]
    trials: int
    noise_seeds: int
    learns: bool = True


PRESETS = {
    "quick": Recipe(64, 2, 3_000, 1e-2, "cosine", (5, 5, 5), 16, 5),
    "standard": Recipe(256, 2, 3_000, 1e-2, "cosine", (3, 3, 5), 16, 5),
    "paper": Recipe(256, 10, 6_000, 5e-3, "constant", (1, 1, 5), 300, 3, learns=False),
}


def compute(
    *,
    preset: str = "standard",
    seed: int = 0,
    folder: Path | None = None,
    progress: bool = False,
) -> dict[str, pd.DataFrame]:
    """Return the data of each panel, and a table of the networks.

    Parameters
    ----------
    preset : {"quick", "standard", "paper"}
        The recipe.
    seed : int
        Seed of initial weights and trials: that of the first network; the others have the next.
    folder : path, optional
        Where the state of each training and the losses under noise are kept, and taken up again
        where they are there.
    progress : bool
        Whether to show progress bars on standard error.

    Returns
    -------
    dict of DataFrame
    """
    return follow(PRESETS[preset], seed, folder, progress, name=preset)


def follow(
    recipe: Recipe,
    seed: int = 0,
    folder: Path | None = None,
    progress: bool = False,
    name: str = "recipe",
) -> dict[str, pd.DataFrame]:
    """Return what `compute` returns, for any recipe; `name` is that of its checkpoints."""
    runs = _train(recipe, seed, folder, progress, name)
    losses = None if folder is None else folder / f"{name}_losses.jsonl"
    tested = _test([run.network for run in runs.values()], recipe, losses, progress)
    curves, networks, ratios = [], [], []
    for ((penalty, k), run), (about, table) in zip(runs.items(), tested, strict=True):
        who = {"penalty": penalty, "seed": k}
        norms = run.history["gradient_norm"]
        shown = norms.iloc[:: max(len(norms) // _CURVE, 1)]
        curves.append(pd.DataFrame({**who, "iteration": shown.index, "gradient_norm": shown}))
        networks.append(who | _balance(run) | about)
        ratios.append(table.assign(**who))
    table = pd.concat(ratios, ignore_index=True)
    table = table[["penalty", "seed", "cost", "level", "ratio", "low", "high"]]
    is_shown = (table["penalty"] == SHOWN_PENALTY) & (table["cost"] == COSTS[0])
    noisy = table[table["level"] > 0]
    logs = np.log(noisy["ratio"]).groupby([noisy[key] for key in ("penalty", "seed", "cost")])
    return {
        "a": pd.concat(curves, ignore_index=True),
        "b": table[is_shown].drop(columns="cost").reset_index(drop=True),
        "c": np.exp(logs.mean()).rename("mean_ratio").reset_index(),
        "networks": pd.DataFrame(networks).assign(learns=recipe.learns),
        "comparison": table,
    }


def claims(data: dict[str, pd.DataFrame]) -> list[Claim]:
    """Return what the figure states, held against its data."""
    networks, curves = data["networks"], data["a"]
    free, strong = (_of(networks, penalty) for penalty in (_PENALTIES[0], SHOWN_PENALTY))
    course = _of(curves, _PENALTIES[0])
    start = course["seed"].map(free.set_index("seed")["initial_norm"])
    # As arrays, whose extremes are missing where anything is.
    relative = {
        penalty: (table["final_norm"] / table["initial_norm"]).to_numpy()
        for penalty, table in networks.groupby("penalty")
    }
    found = [
        _claims.at_most(
            "Without a penalty ‖g‖ stays within 20 % of its start, throughout training",
            np.append(
                np.abs(course["gradient_norm"] / start - 1), np.abs(relative[_PENALTIES[0]] - 1)
            ),
            0.2,
        ),
        _claims.below(
            f"With λ = {SHOWN_PENALTY:g}, ‖g‖ ends below a quarter of its start, in every network",
            relative[SHOWN_PENALTY],
            0.25,
        ),
        _claims.below(
            f"With λ = {SHOWN_PENALTY:g}, ‖g‖ ends below the 1st percentile of the null with "
            "permuted rows, in every network (their ratio)",
            strong["final_norm"] / strong["null_1st_percentile"],
            1.0,
        ),
        _claims.above(
            f"With λ = {_PENALTIES[1]:g}, ‖g‖ ends above all that end with λ = {SHOWN_PENALTY:g} "
            "(smallest ratio of the one to the other)",
            relative[_PENALTIES[1]].min() / relative[SHOWN_PENALTY].max(),
            1.0,
        ),
        _claims.below(
            f"With λ = {_PENALTIES[1]:g}, ‖g‖ ends below all that end without a penalty (largest "
            "ratio of the one to the other)",
            relative[_PENALTIES[1]].max() / relative[_PENALTIES[0]].min(),
            1.0,
        ),
    ]
    if networks["learns"].all():
        found.append(_claims.below("Every network learned the task (RMSE)", networks["rmse"], 2.3))
    drop = 1 - strong["cost_after"] / strong["cost_before"]
    found += [
        _claims.above("Balancing lowers the robustness cost by more than 5 %", drop, 0.05),
        _claims.below("Balancing lowers the robustness cost by less than 25 %", drop, 0.25),
        _claims.above(
            "So many networks were balanced and put to the test, or more (one less)",
            data["b"]["seed"].nunique(),
            4,
        ),
    ]
    for seed, table in data["b"].groupby("seed"):
        clean, noisy = (table[table["level"] == 0], table[table["level"] > 0])
        best = noisy.loc[noisy["ratio"].idxmin()]
        found += [
            _claims.equals(
                f"Network {seed}: without noise, balanced and original have the same loss",
                clean["ratio"].item() if len(clean) == 1 else np.nan,
                1.0,
                1e-6,
            ),
            _claims.below(
                f"Network {seed}: at its best noise level the ratio is below 0.85 (upper end of "
                "its 95 % interval)",
                best["high"] if noisy["ratio"].notna().all() else np.nan,
                0.85,
            ),
            _claims.below(
                f"Network {seed}: its mean over noise levels is below 1",
                float(np.mean(noisy["ratio"].to_numpy())),
                1.0,
            ),
        ]
    return found


def _of(table: pd.DataFrame, penalty: float) -> pd.DataFrame:
    return table[table["penalty"] == penalty]


# ---------------------------------------------------------------------- training


def _train(
    recipe: Recipe, seed: int, folder: Path | None, progress: bool, name: str
) -> dict[tuple[float, int], rnn.Training]:
    """Train all networks, as many at a time as there are cores."""
    from graphbal._progress import training_bar

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (penalty, seed + k)
        for penalty, count in zip(_PENALTIES, recipe.networks, strict=True)
        for k in range(count)
    ]
    total = recipe.iterations * len(jobs)
    stopped, lock, done = Event(), Lock(), dict.fromkeys(jobs, 0)
    with training_bar(total) if progress else nullcontext(lambda *_: None) as show:

        def run(job: tuple[float, int]) -> rnn.Training:
            def report(iterations: int, loss: float) -> None:
                if stopped.is_set():
                    raise KeyboardInterrupt
                with lock:
                    done[job] = iterations
                    show(sum(done.values()), loss)

            penalty, k = job
            file = None if folder is None else folder / f"{name}_lambda{penalty:g}_seed{k}.npz"
            return rnn.train(
                _initial(recipe.n, k),
                _TASK,
                recipe.iterations,
                penalty=penalty,
                learning_rate=recipe.learning_rate,
                schedule=recipe.schedule,
                substeps=recipe.substeps,
                seed=k,
                checkpoint=file,
                progress=report,
            )

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            futures = {job: pool.submit(run, job) for job in jobs}
            try:
                for future in wait(futures.values(), return_when=FIRST_EXCEPTION).done:
                    future.result()  # raises what it failed with
                return {job: future.result() for job, future in futures.items()}
            finally:
                stopped.set()  # whatever still trains leaves its checkpoint
                pool.shutdown(cancel_futures=True)


def _initial(n: int, seed: int) -> rnn.RecurrentNetwork:
    """Return the network before training: all weights of variance 1/n."""
    rng = np.random.default_rng((seed, n))
    shapes = (n, n), (n, _TASK.n_inputs), (_TASK.n_outputs, n)
    return rnn.RecurrentNetwork(*(rng.standard_normal(shape) / np.sqrt(n) for shape in shapes))


# ---------------------------------------------------------------------- what came of it


def _balance(run: rnn.Training) -> dict[str, float]:
    """Return ‖g‖ before and after training, and of the null."""
    costs = np.square(run.network.w_rec)
    received, sent = costs.sum(axis=1), costs.sum(axis=0)
    rng = np.random.default_rng(0)
    null = np.array([_norm(rng.permutation(received) - sent) for _ in range(_PERMUTATIONS)])
    before = np.square(run.initial.w_rec)
    return {
        "initial_norm": _norm(before.sum(axis=1) - before.sum(axis=0)),
        "final_norm": _norm(received - sent),
        "null_mean": float(null.mean()),
        "null_sd": float(null.std()),
        "null_1st_percentile": float(np.percentile(null, 1)),
    }


def _test(
    networks: list[rnn.RecurrentNetwork],
    recipe: Recipe,
    file: Path | None,
    progress: bool,
) -> list[tuple[dict[str, float], pd.DataFrame]]:
    """Return facts of each network, and its loss under noise, balanced over original, by cost.

    As many simulations run at a time as there are cores; what is finished is kept in the file.
    """
    from threadpoolctl import threadpool_limits

    from graphbal._progress import steps_bar
    from graphbal._samples import Samples

    seeds = range(_NOISE, _NOISE + recipe.noise_seeds)
    bar = steps_bar("noise", len(networks) * len(seeds)) if progress else nullcontext(lambda: None)
    lock = Lock()
    with (
        Samples(file) as samples,
        bar as step,
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):

        def run(subject: _Subject, seed: int) -> pd.DataFrame:
            key = subject.fingerprint(recipe)
            if (known := samples.get(key, seed)) is None:
                losses = subject.losses(recipe, seed)
                known = {"losses": losses.to_dict("list")}
                with lock:
                    samples.add(key, seed, **known)
            step()
            return pd.DataFrame(known["losses"])

        subjects = list(pool.map(lambda network: _subject(network, recipe), networks))
        jobs = [(subject, seed) for subject in subjects for seed in seeds]
        futures = [pool.submit(run, *job) for job in jobs]
        try:
            losses = [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)
    found = []
    for k, subject in enumerate(subjects):
        own = losses[k * len(seeds) : (k + 1) * len(seeds)]
        curves = rnn.NoiseCurves(pd.concat(own, ignore_index=True))
        table = curves.ratios("original").rename(columns={"network": "cost"})
        sd = subject.about["sd"]
        found.append((subject.about, table.assign(level=(table["level"] / sd).round(9))))
    return found


class _Subject(NamedTuple):
    """A trained network, as it is and balanced for each cost, and facts of it."""

    networks: dict[str, rnn.RecurrentNetwork]
    about: dict[str, float]

    def losses(self, recipe: Recipe, seed: int) -> pd.DataFrame:
        """Return the losses at all levels of noise, with the draws of one seed."""
        return rnn.loss_against_noise(
            self.networks,
            _TASK,
            _LEVELS * self.about["sd"],
            seeds=[seed],
            substeps=recipe.substeps,
            n_trials=8 * recipe.trials,
            average=True,
        ).losses

    def fingerprint(self, recipe: Recipe) -> str:
        """Return a digest of all that decides the losses of a seed."""
        digest = sha256(repr((recipe, _LEVELS, __version__)).encode())
        for network in self.networks.values():
            for weights in (network.w_rec, network.w_in, network.w_out, network.bias):
                digest.update(np.ascontiguousarray(weights).tobytes())
        return digest.hexdigest()[:32]


def _subject(network: rnn.RecurrentNetwork, recipe: Recipe) -> _Subject:
    options: dict[str, Any] = {"dt": _TASK.dt, "substeps": recipe.substeps}
    probe = _TASK.batch(_PROBE, 80).inputs
    states = rnn.simulate(network, probe, **options).states
    assert states is not None
    sd = float(states.std())
    noisy, floor, readout = (
        rnn.robustness_cost(network, probe, **options, **settings)
        for settings in ({"noise": _GAINS_UNDER * sd}, {}, {"floor": 0.0})
    )
    balanced = rnn.balance(network, noisy)
    with_ends = rnn.balance(network, readout, scope="all")
    h = with_ends.potentials
    others = (
        balanced.network,
        rnn.balance(network, floor).network,
        with_ends.network,
        network.transform(h - h.mean()),
    )
    held_out = _TASK.batch(_HELD_OUT, 400)
    outputs = rnn.simulate(network, held_out.inputs, keep_states=False, **options).outputs
    about = {
        "rmse": float(np.sqrt(np.mean((outputs.to_numpy() - held_out.targets) ** 2))),
        "cost_before": balanced.initial_cost,
        "cost_after": balanced.total_cost,
        "silent": len(floor.silent),
        "sd": sd,
    }
    return _Subject({"original": network, **dict(zip(COSTS, others, strict=True))}, about)


def _norm(x: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(x))
