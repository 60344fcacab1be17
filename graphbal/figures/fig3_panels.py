"""The panels of figure 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from graphbal.figures._style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    compose,
    diagram,
    legend_above,
    log_ticks,
    neuron,
    synapse,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["REACH", "P", "draw", "of"]

P = 2.0  # exponent shown
REACH = 1.0  # potentials shown, from −REACH to REACH


def of(curve: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a curve."""
    return table[table["curve"] == curve]


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
    panels = {
        "a": _diagram,
        "b": _single_costs,
        "c": _potentials,
        "d": _diagram,
        "e": _pair_costs,
        "f": _potentials,
        "g": _products,
        "h": _total_costs,
    }
    rows = ["aabbbccc", "ddeeefff", "ggghhhhh"]
    return compose(rows, panels, data, (7.5, 7.2))


def _diagram(ax: Axes, synapses: pd.DataFrame) -> None:
    title = "Single synapse" if len(synapses) == 1 else "Reciprocal pair"
    diagram(ax, (-0.35, 1.35), (-0.75, 0.75), title)
    discs = {1: neuron(ax, (0.0, 0.0), "1", 0.2), 2: neuron(ax, (1.0, 0.0), "2", 0.2)}
    bend = 0.35 if len(synapses) > 1 else 0.0
    for row in synapses.itertuples():
        synapse(
            ax,
            discs[row.pre],
            discs[row.post],
            f"c{'₁₂' if row.post == 1 else '₂₁'} = {row.cost:g}",
            color=BLUE if row.post == 1 else ORANGE,
            width=0.8 + 0.3 * row.cost,
            bend=bend,
            aside=0.2,
        )


def _single_costs(ax: Axes, courses: pd.DataFrame) -> None:
    styles = zip((BLUE, ORANGE, GREEN), ("o", "s", "^"), strict=True)
    shown = courses[courses["p"] == P]
    for (c0, course), (color, marker) in zip(shown.groupby("initial_cost"), styles, strict=True):
        ax.loglog(course["t"], course["equation_31"], color=color)
        dots = course.iloc[::6]
        ax.loglog(dots["t"], dots["cost"], marker, color=color, markerfacecolor="white")
        ax.annotate(
            f"{c0:g} at t = 0" if c0 == shown["initial_cost"].max() else f"{c0:g}",
            (course["t"].iloc[0], c0),
            (-2, 6),
            textcoords="offset points",
            fontsize=7,
        )
    ax.plot([], [], color=INK, label="equation (31)")
    ax.plot([], [], "o", color=INK, markerfacecolor="white", label="flow")
    ax.set(xlabel="time t (1/γ)", ylabel="cost c₁₂", ylim=(1e-4, 4e2))
    log_ticks(ax.xaxis)
    log_ticks(ax.yaxis)
    legend_above(ax, 2)


def _pair_costs(ax: Axes, courses: pd.DataFrame) -> None:
    shown = courses[courses["p"] == P]
    dots = shown.iloc[::4]
    for name, label, color, marker in (("c12", "c₁₂", BLUE, "o"), ("c21", "c₂₁", ORANGE, "s")):
        ax.semilogx(shown["t"], shown[f"equation_29_{name}"], color=color)
        ax.semilogx(dots["t"], dots[name], marker, color=color, markerfacecolor="white")
        ax.annotate(
            label,
            (shown["t"].iloc[0], shown[name].iloc[0]),
            (0, 5 if name == "c12" else -10),
            textcoords="offset points",
        )
    mean = np.sqrt(shown["c12"].iloc[0] * shown["c21"].iloc[0])
    ax.axhline(mean, color=GREY, linestyle="--", linewidth=0.8, zorder=0)
    ax.annotate(
        "√(c₁₂c₂₁)",
        (1, mean),
        (0, 4),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        fontsize=7,
        color=INK,
    )
    ax.plot([], [], color=INK, label="equation (29)")
    ax.plot([], [], "o", color=INK, markerfacecolor="white", label="flow")
    ax.set(xlabel="time t (1/γ)", ylabel="cost", ylim=(0, 4.8))
    log_ticks(ax.xaxis)
    legend_above(ax, 2)


def _potentials(ax: Axes, lines: pd.DataFrame) -> None:
    styles: dict[str, Any] = {
        "equal cost": {"color": GREY, "linewidth": 0.6, "linestyle": ":"},
        "feasible": {"color": ORANGE, "linewidth": 4.0, "alpha": 0.45},
        "flow": {"color": BLUE, "linewidth": 1.0},
        "minima": {"color": VERMILION, "linewidth": 1.6, "linestyle": "--"},
    }
    names = {"feasible": "feasible from h = 0", "flow": "flow", "minima": "minima"}
    for curve, style in styles.items():
        for number, (_, line) in enumerate(of(curve, lines).groupby("line")):
            label = names.get(curve, curve) if number == 0 else None
            ax.plot(line["h1"], line["h2"], label=label, **style)
            if curve == "flow":
                _arrow(ax, line[["h1", "h2"]].to_numpy(), style["color"])
    ax.plot(0, 0, "o", color=INK, zorder=4)
    ax.annotate(
        "h = 0",
        (0, 0),
        (-7, -3),
        textcoords="offset points",
        ha="right",
        fontsize=7,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )
    ax.set(
        xlabel="potential h₁",
        ylabel="potential h₂",
        xlim=(-REACH, REACH),
        ylim=(-REACH, REACH),
        aspect="equal",
        xticks=(-1, 0, 1),
        yticks=(-1, 0, 1),
    )
    legend_above(ax, 2)


def _arrow(ax: Axes, path: NDArray[np.float64], color: str) -> None:
    """Put an arrowhead on a line, halfway along what is seen of it."""
    seen = path[(np.abs(path) <= REACH).all(axis=1)]
    middle, way = seen[[0, -1]].mean(axis=0), np.sign(seen[-1] - seen[0])
    ax.annotate(
        "",
        middle + 0.04 * way,
        middle - 0.04 * way,
        arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 0, "mutation_scale": 9},
    )


def _products(ax: Axes, table: pd.DataFrame) -> None:
    for number, ends in of("equal cost", table).groupby(
        np.arange(len(of("equal cost", table))) // 2
    ):
        ax.plot(
            ends["c12"],
            ends["c21"],
            ":",
            color=GREY,
            linewidth=0.8,
            label=None if number else "equal total cost",
        )
    feasible, flow = of("feasible", table), of("flow", table)
    ax.plot(
        feasible["c12"],
        feasible["c21"],
        color=ORANGE,
        linewidth=4,
        alpha=0.45,
        label="feasible: c₁₂c₂₁ = 4",
    )
    ax.plot(flow["c12"], flow["c21"], "o", color=BLUE, markerfacecolor="white", label="flow")
    end = flow.iloc[-1]
    ax.plot(end["c12"], end["c21"], "*", color=VERMILION, markersize=9, label="balanced")
    ax.set(xlabel="cost c₁₂", ylabel="cost c₂₁", xlim=(0, 8.7), ylim=(0, 8.7), aspect="equal")
    legend_above(ax, 2)


def _total_costs(ax: Axes, table: pd.DataFrame) -> None:
    for name, color, line, marker in (("single", BLUE, "--", "o"), ("pair", GREEN, "-", "s")):
        part = table[table["network"] == name]
        cost, flow = of("cost", part), of("flow", part)
        label = "single synapse" if name == "single" else "reciprocal pair"
        ax.plot(cost["difference"], cost["total_cost"], line, color=color, label=label)
        ax.plot(
            flow["difference"],
            flow["total_cost"],
            marker,
            color=color,
            markerfacecolor="white",
            label="its flow",
        )
    cost = of("cost", table[table["network"] == "pair"])
    lowest = cost.loc[cost["total_cost"].idxmin()]
    ax.plot(lowest["difference"], lowest["total_cost"], "*", color=VERMILION, markersize=9)
    ax.annotate(
        "minimum",
        (lowest["difference"], lowest["total_cost"]),
        (-6, -12),
        textcoords="offset points",
        ha="right",
        fontsize=7,
    )
    ax.annotate("no minimum:\n← falls for ever", (0.02, 0.12), xycoords="axes fraction", fontsize=7)
    ax.set(xlabel="h₂ − h₁", ylabel="total cost C", ylim=(0, 12))
    legend_above(ax, 2)
