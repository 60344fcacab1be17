"""The panels of figure 2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from graphbal.figures._style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    compose,
    diagram,
    legend_above,
    log_ticks,
    neuron,
    signed,
    synapse,
    tint,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

__all__ = ["draw"]


def draw(data: dict[str, pd.DataFrame]) -> Figure:
    """Draw the figure from its data.

    Parameters
    ----------
    data : dict of DataFrame
        What `compute` returned.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = {"a": _sum, "b": _broadcast, "c": _update, "d": _signals, "e": _rates, "f": _descent}
    return compose(["abc", "def"], panels, data, (7.5, 4.9), (1, 1.05))


def _sum(ax: Axes, own: pd.DataFrame) -> None:
    incoming, outgoing = _both_ways(own)
    came, went = incoming["cost"].sum(), outgoing["cost"].sum()
    text = f"in {came:.2f}\nout {went:.2f}\ng = {signed(came - went)}"
    title = f"Neuron {own['neuron'].iloc[0]} sums its costs"
    soma = _soma(ax, text, title, "g = cost in − cost out")
    widest = own["cost"].max()
    for side, synapses in (("left", incoming), ("right", outgoing)):
        for row, disc in _partners(ax, side, synapses):
            synapse(
                ax,
                *_in_order(side, disc, soma),
                f"{row.cost:.2f}",
                color=INK,
                width=0.6 + 2 * row.cost / widest,
                along=_ALONG[side],
            )


def _broadcast(ax: Axes, own: pd.DataFrame) -> None:
    k = own["neuron"].iloc[0]
    at_post = own["post"] == k
    g = own["signal_post"].where(at_post, own["signal_pre"]).iloc[0]
    soma = _soma(
        ax,
        f"g = {signed(g)}",
        "The signal returns to its synapses",
        "each synapse gets those of two neurons",
        tint(0.7 * g / _largest(own)),
    )
    for side, synapses in zip(("left", "right"), _both_ways(own), strict=True):
        for row, disc in _partners(ax, side, synapses):
            other = row.signal_pre if side == "left" else row.signal_post
            disc.set_facecolor(tint(0.7 * other / _largest(own)))
            x, y = disc.center
            contact = neuron(ax, (0.62 * x, 0.62 * y), "", 0.05, INK)
            for sender in (soma, disc):
                synapse(ax, sender, contact, width=0.8, style=(0, (1, 1)))
            ax.text(x, y - 0.18, signed(other), ha="center", va="top", fontsize=7, color=INK)


def _update(ax: Axes, own: pd.DataFrame) -> None:
    rule = "dJᵢⱼ/dt = −γ (gᵢ − gⱼ) Jᵢⱼ\nnumbers: −(gᵢ − gⱼ); below 0 it weakens"
    soma = _soma(ax, str(own["neuron"].iloc[0]), "Each synapse compares the two", rule)
    relative = own["rate"] / own["weight"]
    for side, synapses in zip(("left", "right"), _both_ways(own), strict=True):
        for row, disc in _partners(ax, side, synapses):
            synapse(
                ax,
                *_in_order(side, disc, soma),
                signed(row.rate / row.weight),
                color=ORANGE if row.rate > 0 else BLUE,
                width=0.6 + 2 * abs(row.rate / row.weight) / relative.abs().max(),
                along=_ALONG[side],
            )


def _signals(ax: Axes, neurons: pd.DataFrame) -> None:
    at = np.arange(len(neurons))
    ax.bar(at, neurons["incoming"], 0.62, color=BLUE, label="in")
    ax.bar(
        at,
        -neurons["outgoing"],
        0.62,
        color=ORANGE,
        hatch="////",
        edgecolor="white",
        linewidth=0,
        label="out (below)",
    )
    ax.plot(at, neurons["signal"], "D", color=INK, markeredgecolor="white", label="signal g")
    ax.axhline(0, color=INK, linewidth=0.7)
    ax.set(xlabel="neuron", ylabel="cost", xticks=at, xticklabels=neurons["neuron"])
    legend_above(ax, 3)


def _rates(ax: Axes, synapses: pd.DataFrame) -> None:
    rates = synapses[["rate", "flow_rate"]]
    reach = np.array([rates.min().min(), rates.max().max()])
    reach += 0.06 * np.ptp(reach) * np.array([-1, 1])
    ax.plot(reach, reach, "--", color=GREY, linewidth=0.8, label="equal")
    ax.plot(
        synapses["rate"],
        synapses["flow_rate"],
        "o",
        color=BLUE,
        markerfacecolor="none",
        label="synapses",
    )
    ax.set(
        xlabel="−(gᵢ − gⱼ) Jᵢⱼ from signals (γ)",
        ylabel="dJᵢⱼ/dt along the flow (γ)",
        xlim=reach,
        ylim=reach,
    )
    legend_above(ax, 2)


def _descent(ax: Axes, courses: pd.DataFrame) -> None:
    flow, rule = (courses[courses["by"] == by] for by in ("flow", "local rule"))
    shown = flow["excess_cost"] > 1e-9 * flow["excess_cost"].iloc[0]
    every = max(1, int(shown.sum()) // 18)
    ax.semilogy(flow["t"][shown.to_numpy()], flow["excess_cost"][shown], color=BLUE, label="flow")
    dots = rule[shown.to_numpy()].iloc[::every]
    ax.semilogy(
        dots["t"],
        dots["excess_cost"],
        "o",
        color=VERMILION,
        markerfacecolor="none",
        label="local rule",
    )
    ax.set(xlabel="time t (1/γ)", ylabel="total cost above the least")
    log_ticks(ax.yaxis)
    legend_above(ax, 2)


# ---------------------------------------------------------------------- the neuron shown

Row = Any  # a row of a table, as a named tuple
_ALONG = {"left": 0.34, "right": 0.55}  # where labels leave arrowheads free


def _soma(ax: Axes, text: str, title: str, rule: str, fill: str = "white") -> Circle:
    """Draw the neuron in the middle, with a title above and a rule below."""
    diagram(ax, (-1.75, 1.75), (-1.65, 1.15), title)
    ax.text(0.0, -1.45, rule, ha="center", va="center")
    return neuron(ax, (0.0, 0.0), text, 0.5, fill, linespacing=1.25)


def _both_ways(own: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    k = own["neuron"].iloc[0]
    return own[own["post"] == k], own[own["pre"] == k]


def _partners(ax: Axes, side: str, synapses: pd.DataFrame) -> Iterator[tuple[Row, Circle]]:
    """Draw the partners one above the other; yield each synapse with its partner."""
    x, name = (-1.55, "pre") if side == "left" else (1.55, "post")
    heights = 0.6 * (len(synapses) - 1) / 2 - 0.6 * np.arange(len(synapses))
    for row, y in zip(synapses.itertuples(), heights, strict=True):
        yield row, neuron(ax, (x, float(y)), str(getattr(row, name)), 0.16)


def _in_order(side: str, partner: Circle, soma: Circle) -> tuple[Circle, Circle]:
    """Return presynaptic and postsynaptic neuron."""
    return (partner, soma) if side == "left" else (soma, partner)


def _largest(own: pd.DataFrame) -> float:
    return float(own[["signal_pre", "signal_post"]].abs().max().max())
