"""The panels of figure 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphbal.figures._style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PINK,
    VERMILION,
    compose,
    legend_above,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COSTS", "SHOWN_PENALTY", "draw"]

SHOWN_PENALTY = 0.3
COSTS = ("gains under noise", "floor", "readout", "readout, mean h = 0")
_PENALTY_COLORS = (GREY, BLUE, VERMILION)
_COST_STYLES = dict(
    zip(COSTS, ((BLUE, "o"), (ORANGE, "s"), (PINK, "v"), (GREEN, "^")), strict=True)
)


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
    networks = data["networks"]
    panels = {
        "a": lambda ax, table: _training(ax, table, networks),
        "b": lambda ax, table: _ratios(ax, table, networks),
        "c": _costs,
    }
    return compose(["aabb", "cccc"], panels, data, (7.5, 5.6), height_ratios=(1.35, 1))


def _training(ax: Axes, table: pd.DataFrame, networks: pd.DataFrame) -> None:
    end = table["iteration"].max()
    for (penalty, curves), color in zip(table.groupby("penalty"), _PENALTY_COLORS, strict=False):
        for _, curve in curves.groupby("seed"):
            ax.plot(curve["iteration"], curve["gradient_norm"], color=color, linewidth=0.9)
        ax.plot([], [], color=color, label=f"λ = {penalty:g}")
        mine = networks[networks["penalty"] == penalty]
        places = end * (1.05 + 0.03 * np.arange(len(mine)))
        ax.errorbar(
            places,
            mine["null_mean"],
            yerr=2 * mine["null_sd"],
            fmt="_",
            color=color,
            markersize=3.5,
            elinewidth=0.9,
        )
    ax.errorbar([], [], yerr=[], fmt="_", color=INK, label="rows permuted, ± 2 sd")
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= 1.01 * end])
    ax.set(xlabel="iteration of training", ylabel="neural gradients ‖g‖", ylim=(0, None))
    legend_above(ax, 4)


def _ratios(ax: Axes, table: pd.DataFrame, networks: pd.DataFrame) -> None:
    ax.axhline(1, color=GREY, linewidth=0.8)
    for _, curve in table[table["level"] > 0].groupby("seed"):
        ax.fill_between(
            curve["level"], curve["low"], curve["high"], color=BLUE, alpha=0.2, linewidth=0
        )
        ax.plot(curve["level"], curve["ratio"], "o-", color=BLUE, linewidth=0.9, markersize=2.5)
    label = f"a network, λ = {SHOWN_PENALTY:g}, 95 % interval"
    ax.plot([], [], "o-", color=BLUE, markersize=2.5, label=label)
    levels = sorted(set(table["level"]) - {0.0})
    ax.set_xscale("log")
    ax.set_xticks(levels, [f"{level:g}" for level in levels])
    ax.minorticks_off()
    top = max(1.15, 1.05 * float(table["high"].max()))
    ax.set(
        xlabel="noise, in sd of the states",
        ylabel="loss, balanced / original",
        ylim=(0, top),
    )
    legend_above(ax, 1)
    shown = networks[networks["penalty"] == SHOWN_PENALTY]
    inset = ax.inset_axes((0.7, 0.11, 0.2, 0.24))
    for row in shown.itertuples():
        inset.plot(
            [0, 1],
            [row.cost_before, row.cost_after],
            "o-",
            color=BLUE,
            linewidth=0.9,
            markersize=2.5,
        )
    inset.set_xticks([0, 1], ["before", "after"])
    inset.set(xlim=(-0.4, 1.4), ylabel="total cost", ylim=(0, 1.15 * shown["cost_before"].max()))


def _costs(ax: Axes, table: pd.DataFrame) -> None:
    ax.axhline(1, color=GREY, linewidth=0.8)
    penalties = sorted(set(table["penalty"]))
    for at, cost in enumerate(COSTS):
        color, marker = _COST_STYLES[cost]
        for place, penalty in enumerate(penalties):
            mine = table[(table["penalty"] == penalty) & (table["cost"] == cost)]
            spread = 0.02 * (np.arange(len(mine)) - (len(mine) - 1) / 2)
            ax.plot(place + 0.22 * (at - 1.5) + spread, mine["mean_ratio"], marker, color=color)
        ax.plot([], [], marker, color=color, label=cost)
    ax.set_xticks(range(len(penalties)), [f"λ = {penalty:g}" for penalty in penalties])
    ax.set(
        xlim=(-0.5, len(penalties) - 0.5),
        xlabel="penalty in training",
        ylabel="loss, balanced / original",
        ylim=(0, max(1.2, 1.1 * float(table["mean_ratio"].max()))),
    )
    legend_above(ax, 4)
