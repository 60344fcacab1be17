"""Figure 2: balancing is local. Each neuron sums its costs, each synapse compares two signals.

Panels
------
a
    One neuron of a random network with all its synapses: the costs it adds up at its soma, those
    coming in and those going out, and their difference, its signal g.
b
    The signal goes back to all of its synapses, where it meets the signal of the other neuron.
c
    Each synapse changes in proportion to the difference of the two (equation 18).
d
    Incoming and outgoing costs and the signals of all neurons of the network.
e
    The rates that the synapses compute from two signals each, against the derivatives of their
    weights along the flow.
f
    The total cost along the flow, and as the synapses step by step follow the rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import graphbal as gb
from graphbal.ensembles import LogNormal, random_network
from graphbal.figures import _claims
from graphbal.figures.fig2_panels import draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphbal.figures._claims import Claim
    from graphbal.network import SynapticNetwork

__all__ = ["claims", "compute", "draw"]

_BALANCED, _LONG = 1e-9, 1e6  # neuron imbalance that counts as balanced, and time to get there


def compute(*, preset: str = "standard", seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return the data of each panel: a random network of seven neurons and its signals.

    Parameters
    ----------
    preset : str
        The same in all.
    seed : int
        Seed of the network.

    Returns
    -------
    dict of DataFrame
    """
    net = random_network(7, mean_degree=2.5, weights=LogNormal(0.35), seed=seed)
    neurons = gb.local_rule(net, dt=1.0, n_steps=0).signals
    synapses = _synapses(net, neurons["gradient"])
    shown = _instructive(synapses)
    own = synapses[(synapses["pre"] == shown) | (synapses["post"] == shown)].drop(
        columns="flow_rate"
    )
    own.insert(0, "neuron", shown)
    return {
        "a": own[["neuron", "pre", "post", "weight", "cost"]],
        "b": own[["neuron", "pre", "post", "signal_pre", "signal_post"]],
        "c": own[["neuron", "pre", "post", "weight", "signal_pre", "signal_post", "rate"]],
        "d": neurons[["incoming", "outgoing", "gradient"]]
        .rename(columns={"gradient": "signal"})
        .rename_axis("neuron")
        .reset_index(),
        "e": synapses,
        "f": _courses(net),
    }


def claims(data: dict[str, pd.DataFrame]) -> list[Claim]:
    """Return what the figure states, held against its data."""
    own, neurons, synapses, descent = data["a"], data["d"], data["e"], data["f"]
    k = own["neuron"].iloc[0]
    signal = neurons.set_index("neuron")["signal"]
    summed = own["cost"].to_numpy() @ np.where(own["post"] == k, 1.0, -1.0)
    weakening = synapses["flow_rate"] * np.sign(synapses["weight"]) < 0
    flow, rule = (descent[descent["by"] == by] for by in ("flow", "local rule"))
    apart = np.abs(rule["excess_cost"].to_numpy() - flow["excess_cost"].to_numpy())
    return [
        _claims.equals(
            "A neuron's signal is the incoming minus the outgoing cost of its own synapses",
            summed,
            signal[k],
            1e-12,
        ),
        _claims.at_most(
            "The signals of all neurons sum to zero (|sum| over the sum of sizes)",
            abs(signal.sum()) / signal.abs().sum(),
            1e-12,
        ),
        _claims.at_most(
            "The rate that a synapse computes from the signals of its own two neurons is the "
            "derivative of its weight along the flow (largest difference over the largest rate)",
            (synapses["rate"] - synapses["flow_rate"]).abs() / synapses["flow_rate"].abs().max(),
            1e-6,
        ),
        _claims.everywhere(
            "Along the flow a synapse weakens where the postsynaptic signal is above the "
            "presynaptic one, and strengthens where it is below",
            weakening == (synapses["signal_post"] > synapses["signal_pre"]),
        ),
        _claims.at_most(
            "Along the flow the total cost never rises (largest rise over the cost)",
            np.diff(flow["total_cost"]) / flow["total_cost"].iloc[0],
            1e-14,
        ),
        *(
            _claims.at_most(
                f"The {by} ends where all signals are equal and no synapse changes (norm of the "
                "signals over the initial one)",
                course["gradient_norm"].iloc[-1] / course["gradient_norm"].iloc[0],
                1e-8,
            )
            for by, course in (("flow", flow), ("local rule", rule))
        ),
        *(
            _claims.at_most(
                f"The {by} ends at the least total cost (cost above it over the drop)",
                abs(course["excess_cost"].iloc[-1]) / course["excess_cost"].iloc[0],
                1e-12,
            )
            for by, course in (("flow", flow), ("local rule", rule))
        ),
        _claims.at_most(
            "Step by step the local rule keeps to the flow (largest difference of total cost over "
            "the drop)",
            apart / flow["excess_cost"].iloc[0],
            0.05,
        ),
    ]


def _synapses(net: SynapticNetwork, signal: pd.Series) -> pd.DataFrame:
    """Return each synapse with its two signals and its rate, by the rule and by the flow."""
    synapses = net.edges()
    synapses["signal_pre"] = signal.loc[synapses["pre"]].to_numpy()
    synapses["signal_post"] = signal.loc[synapses["post"]].to_numpy()
    synapses["rate"] = (synapses["signal_pre"] - synapses["signal_post"]) * synapses["weight"]
    synapses["flow_rate"] = _derivative_along_flow(net, float(signal.abs().max()))
    return synapses


def _derivative_along_flow(net: SynapticNetwork, fastest: float) -> NDArray[np.float64]:
    """Return dJ/dt at t = 0 from five points of the integrated flow, to fourth order."""
    dt = 1e-3 / fastest
    times = dt * np.arange(5)
    course = gb.flow(net, (0.0, times[-1]), t_eval=times, rtol=1e-12, atol=1e-14)
    weights = np.array([course.network_at(t).weights.data for t in times])
    return np.array([-25.0, 48.0, -36.0, 16.0, -3.0]) @ weights / (12 * dt)


def _instructive(synapses: pd.DataFrame) -> int:
    """Return the neuron with most synapses, of those with at most four each way."""
    n_in, n_out = synapses["post"].value_counts(), synapses["pre"].value_counts()
    crowded = np.maximum(n_in, n_out)
    return (n_in + n_out)[crowded <= max(4, crowded.min())].sort_index().idxmax()


def _courses(net: SynapticNetwork) -> pd.DataFrame:
    """Return the way to equilibrium at the same times, along the flow and by the local rule."""
    end = gb.flow(net, (0.0, _LONG), until_balanced=_BALANCED).t[-1]
    dt = 0.1 * gb.stable_step(net)
    rule = gb.local_rule(net, dt, int(end / dt))
    flow = gb.flow(net, (0.0, rule.t[-1]), t_eval=rule.t, rtol=1e-10, atol=1e-12)
    least = gb.balance(net, tol=1e-12).total_cost
    courses = [
        pd.DataFrame(
            {
                "by": by,
                "t": rule.t,
                "total_cost": course.total_cost.to_numpy(),
                "excess_cost": course.total_cost.to_numpy() - least,
                "gradient_norm": course.gradient_norm.to_numpy(),
            }
        )
        for by, course in (("flow", flow), ("local rule", rule))
    ]
    return pd.concat(courses, ignore_index=True)
