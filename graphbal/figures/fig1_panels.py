"""The panels of figure 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphbal.figures._style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    compose,
    diagram,
    legend_above,
    neuron,
    synapse,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["NETWORKS", "SHOWN", "draw"]

NETWORKS = ("network", "transform")
SHOWN = 50  # noisy trials
_COLORS = dict(zip(NETWORKS, (BLUE, ORANGE), strict=True))
_PLACES = {"in": (0.0, 0.0), "1": (1.0, 0.6), "2": (1.0, -0.6), "out": (2.0, 0.0)}


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
    shown = np.stack([data[panel].filter(like="trial_").to_numpy() for panel in "ef"])
    reach = shown.min() - 0.1, shown.max() + 0.1  # the same of both
    panels = {
        "a": lambda ax, synapses: _network(ax, synapses, "A network"),
        "b": lambda ax, synapses: _network(ax, synapses, "Its transform, balanced"),
        "c": _signals,
        "d": _states,
        "e": lambda ax, trials: _noisy(ax, trials, "network", reach),
        "f": lambda ax, trials: _noisy(ax, trials, "transform", reach),
        "g": _variances,
    }
    return compose(["aaabbb", "cccddd", "eeffgg"], panels, data, (7.5, 7.0))


def _network(ax: Axes, synapses: pd.DataFrame, title: str) -> None:
    diagram(ax, (-0.35, 2.35), (-1.05, 1.05), title)
    names = {"in": "u", "1": "x₁", "2": "x₂", "out": "y"}
    discs = {key: neuron(ax, at, names[key], 0.18) for key, at in _PLACES.items()}
    for row in synapses.itertuples():
        mutual = {row.pre, row.post} == {"1", "2"}
        synapse(
            ax,
            discs[row.pre],
            discs[row.post],
            f"{row.weight:.2f}".replace("-", "−"),
            color=INK if row.weight > 0 else VERMILION,
            width=0.4 + 1.3 * abs(row.weight),
            bend=-0.3 if mutual else 0.0,
            aside=-0.28 if mutual or "1" in (row.pre, row.post) else 0.28,
        )


def _signals(ax: Axes, table: pd.DataFrame) -> None:
    ax.plot(table["t"], table["input"], color=GREY, label="input u")
    ax.plot(table["t"], table["network"], color=BLUE, label="output y, network")
    dots = table.iloc[::5]
    ax.plot(
        dots["t"],
        dots["transform"],
        "o",
        color=ORANGE,
        markerfacecolor="white",
        label="transform",
    )
    ax.set(xlabel="time t (τ)", ylabel="input, output")
    legend_above(ax, 3)


def _states(ax: Axes, table: pd.DataFrame) -> None:
    dots = table.iloc[::5]
    for k, (line, marker) in {1: ("-", "o"), 2: ("--", "s")}.items():
        for name, color in _COLORS.items():
            label = f"x{'₁₂'[k - 1]}, {name}"
            ax.plot(table["t"], table[f"{name}_{k}"], line, color=color, label=label)
        ax.plot(dots["t"], dots[f"scaled_{k}"], marker, color=INK, markerfacecolor="white")
    ax.plot([], [], "o", color=INK, markerfacecolor="white", label="network, scaled")
    ax.set(xlabel="time t (τ)", ylabel="state x", ylim=(0, None))
    legend_above(ax, 3)


def _noisy(ax: Axes, table: pd.DataFrame, name: str, reach: tuple[float, float]) -> None:
    ax.plot(table["t"], table.filter(like="trial_"), color=_COLORS[name], linewidth=0.4, alpha=0.35)
    ax.plot([], [], color=_COLORS[name], linewidth=0.8, label=f"{SHOWN} trials")
    ax.plot(table["t"], table["without_noise"], color=INK, label="no noise")
    for sign in (-2, 2):
        ax.plot(
            table["t"],
            table["without_noise"] + sign * table["sd"],
            ":",
            color=INK,
            linewidth=1.0,
            label="± 2 sd" if sign > 0 else None,
        )
    ax.set(xlabel="time t (τ)", ylabel=f"output y, {name}", ylim=reach)
    legend_above(ax, 2)


def _variances(ax: Axes, table: pd.DataFrame) -> None:
    for name, color in _COLORS.items():
        part = table[table["network"] == name]
        ax.plot(part["t"], part["variance"], color=color, linewidth=1.0, label=name)
        ax.plot(part["t"], part["lyapunov"], "--", color=INK, linewidth=1.0)
    ax.plot([], [], "--", color=INK, label="Lyapunov")
    ax.set(
        xlabel="time t (τ)",
        ylabel="variance of y",
        ylim=(0, 1.15 * float(np.max(table[["variance", "lyapunov"]].to_numpy()))),
    )
    legend_above(ax, 2)
