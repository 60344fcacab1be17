"""Figure 1: networks that compute the same, and differ in how much noise reaches their output.

Panels
------
a, b
    One input, two ReLU neurons, one output: a network, and its transform by the potentials that
    balance each neuron's incoming and outgoing costs, input and output held fixed. The width of a
    synapse is its strength.
c
    Input and output of both without noise.
d
    The states of the two neurons in both, and those of the first network scaled by e^−h.
e, f
    The output of both in 50 trials with private noise of the same strength in every neuron.
g
    Variance of the output over many more trials, against the Lyapunov equation of the linear
    dynamics. The networks are given the same random numbers.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import linalg

from graphbal import rnn
from graphbal.figures import _claims
from graphbal.figures.fig1_panels import NETWORKS, SHOWN, draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphbal.figures._claims import Claim

__all__ = ["claims", "compute", "draw"]

_TRIALS = {"quick": 1000, "standard": 4000, "paper": 4000}
_NOISE = 0.04  # σ: sd that the state of a neuron on its own would have
_STEP, _SUBSTEPS, _STEPS = 0.2, 10, 100  # of time, in units of τ
_SETTLED = 5.0  # time from which the variance no longer depends on the start


def compute(*, preset: str = "standard", seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return the data of each panel.

    Parameters
    ----------
    preset : {"quick", "standard", "paper"}
        1,000 trials to measure the variance, or 4,000.
    seed : int
        Seed of the noise.

    Returns
    -------
    dict of DataFrame
    """
    t = np.linspace(_STEP, _STEP * _STEPS, _STEPS)
    inputs = (1 + 0.4 * np.sin(2 * np.pi * t / 10))[:, None]
    original = _network(inputs[0])
    networks = (original, rnn.balance(original, scope="all").network)
    clean = [net.simulate(inputs, _STEP, substeps=_SUBSTEPS) for net in networks]
    outputs = [run.outputs.values[0, :, 0] for run in clean]
    states = [np.asarray(run.states)[0] for run in clean]

    many = np.broadcast_to(inputs, (_TRIALS[preset], *inputs.shape))
    noisy = [
        net.simulate(many, _STEP, substeps=_SUBSTEPS, noise=_NOISE, seed=seed) for net in networks
    ]
    predicted = [_lyapunov(net) for net in networks]
    trials = [
        _trials(t, run.outputs.values[:SHOWN, :, 0], output, variance)
        for run, output, variance in zip(noisy, outputs, predicted, strict=True)
    ]
    course = [
        pd.DataFrame(
            {
                "network": name,
                "t": t,
                "variance": run.outputs.values[:, :, 0].var(axis=0, ddof=1),
                "lyapunov": variance,
                "lowest_state": np.asarray(run.states).min(axis=(0, 2)),
            }
        )
        for name, run, variance in zip(NETWORKS, noisy, predicted, strict=True)
    ]
    return {
        "a": _synapses(networks[0]),
        "b": _synapses(networks[1]),
        "c": pd.DataFrame(
            {"t": t, "input": inputs[:, 0]} | dict(zip(NETWORKS, outputs, strict=True))
        ),
        "d": _states(t, states, networks),
        "e": trials[0],
        "f": trials[1],
        "g": pd.concat(course, ignore_index=True),
    }


def claims(data: dict[str, pd.DataFrame]) -> list[Claim]:
    """Return what the figure states, held against its data."""
    before, after = (data[panel].set_index(["pre", "post"]) for panel in "ab")
    outputs, states, noise = data["c"], data["d"], data["g"]
    settled = noise[noise["t"] >= _SETTLED].groupby("network")
    measured, lyapunov = (settled[name].agg(_mean) for name in ("variance", "lyapunov"))
    first, second = NETWORKS
    deviations = [_deviations(data[panel]) for panel in "ef"]
    spreads = [np.sqrt(np.mean(each[outputs["t"] >= _SETTLED] ** 2, axis=0)) for each in deviations]
    return [
        _claims.at_most(
            "Without noise both networks put out the same (largest relative difference)",
            _claims.relative_error(outputs[second], outputs[first]),
            1e-10,
        ),
        *(
            _claims.at_most(
                f"The state of neuron {k} is the same but for a factor, that of its input synapse "
                "(largest relative difference)",
                _claims.relative_error(
                    states[f"{second}_{k}"],
                    states[f"{first}_{k}"] * _gain(before, after, ("in", str(k))),
                ),
                1e-10,
            )
            for k in (1, 2)
        ),
        *(
            _claims.equals(
                f"The product of weights along {' → '.join(path)} is the same",
                _product(after, path),
                _product(before, path),
                1e-12,
            )
            for path in (("in", "1", "out"), ("in", "2", "out"), ("1", "2", "1"))
        ),
        *(
            _claims.equals(
                f"In the transform the incoming cost of neuron {k} is its outgoing cost",
                after["cost"].xs(k, level="post").sum(),
                after["cost"].xs(k, level="pre").sum(),
                1e-8,
            )
            for k in ("1", "2")
        ),
        _claims.below(
            "The transform costs less than the network (ratio of total costs)",
            after["cost"].sum() / before["cost"].sum(),
            1.0,
        ),
        _claims.above(
            "With noise both neurons stay active, so that the dynamics is linear (lowest state in "
            "all trials)",
            noise["lowest_state"],
            0.0,
        ),
        *(
            _claims.equals(
                f"The output variance of the {name} is that of the Lyapunov equation (mean from "
                f"t = {_SETTLED:g} τ)",
                measured[name],
                lyapunov[name],
                0.05,
            )
            for name in NETWORKS
        ),
        _claims.below(
            "The same noise in every neuron reaches the output of the transform less (ratio of "
            "measured variances)",
            measured[second] / measured[first],
            0.5,
        ),
        _claims.everywhere(
            f"Of {SHOWN} trials with the same random numbers, the transform deviates less in each",
            spreads[1] < spreads[0],
        ),
        *(
            _claims.at_most(
                f"The mean over trials of the {name} is its output without noise (largest "
                "difference, in standard errors)",
                np.abs(each.mean(axis=1)) / np.sqrt(lyapunov[name] / SHOWN),
                5.0,
            )
            for name, each in zip(NETWORKS, deviations, strict=True)
        ),
        *(
            _claims.equals(
                f"The trials drawn of the {name} spread as predicted (mean squared deviation from "
                f"t = {_SETTLED:g} τ over the variance)",
                np.mean(spread**2) / data[panel]["sd"].iloc[-1] ** 2,
                1.0,
                0.3,
            )
            for name, spread, panel in zip(NETWORKS, spreads, "ef", strict=True)
        ),
    ]


def _network(first_input: NDArray[np.float64]) -> rnn.RecurrentNetwork:
    """Return the network, at rest under its first input."""
    J = np.array([[0.0, -1.5], [0.3, 0.0]])
    w_in = np.array([[1.2], [0.3]])
    return rnn.RecurrentNetwork(
        J,
        w_in=w_in,
        w_out=[[0.4, 3.0]],
        neurons=["1", "2"],
        x0=np.linalg.solve(np.eye(2) - J, w_in @ first_input),
    )


def _lyapunov(network: rnn.RecurrentNetwork) -> float:
    """Return W_out P W_outᵀ, where A P + P Aᵀ + 2 σ² = 0 with A = J − 1: all neurons are active."""
    identity = np.eye(network.n_neurons)
    P = linalg.solve_continuous_lyapunov(network.w_rec - identity, -2 * _NOISE**2 * identity)
    return float((network.w_out @ P @ network.w_out.T).item())


def _synapses(network: rnn.RecurrentNetwork) -> pd.DataFrame:
    """Return all synapses; input and output by the names "in" and "out"."""
    edges = rnn.as_graph(network, scope="all").edges()
    for end in ("pre", "post"):
        edges[end] = [name if isinstance(name, str) else name[0] for name in edges[end]]
    return edges


def _states(
    t: NDArray[np.float64],
    states: list[NDArray[np.float64]],
    networks: tuple[rnn.RecurrentNetwork, rnn.RecurrentNetwork],
) -> pd.DataFrame:
    """Return the states of both networks, and those of the first scaled."""
    gain = (networks[1].w_in / networks[0].w_in)[:, 0]
    named = zip((*NETWORKS, "scaled"), (*states, gain * states[0]), strict=True)
    columns = {f"{name}_{k}": x[:, k - 1] for name, x in named for k in (1, 2)}
    return pd.DataFrame({"t": t} | columns)


def _trials(
    t: NDArray[np.float64],
    outputs: NDArray[np.float64],
    without: NDArray[np.float64],
    variance: float,
) -> pd.DataFrame:
    """Return trials side by side, with the output without noise and the sd predicted."""
    columns = {f"trial_{k}": trial for k, trial in enumerate(outputs)}
    return pd.DataFrame({"t": t, "without_noise": without, "sd": np.sqrt(variance)} | columns)


def _deviations(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return how far each trial is from the output without noise, (time, trial)."""
    return table.filter(like="trial_").to_numpy() - table["without_noise"].to_numpy()[:, None]


def _mean(values: pd.Series) -> float:
    """Return the mean; NaN where anything is missing."""
    return float(values.to_numpy().mean())


def _gain(before: pd.DataFrame, after: pd.DataFrame, synapse: tuple[str, str]) -> float:
    return float(after.loc[synapse, "weight"] / before.loc[synapse, "weight"])


def _product(synapses: pd.DataFrame, path: tuple[str, ...]) -> float:
    """Return the product of the weights along a path."""
    weights = synapses["weight"]
    return float(np.prod([weights[step] for step in pairwise(path)]))
