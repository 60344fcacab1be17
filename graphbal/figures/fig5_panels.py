"""The panels of figure 5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from graphbal.figures._style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PINK,
    VERMILION,
    compose,
    diagram,
    legend_above,
    log_ticks,
    neuron,
    synapse,
    tint,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

__all__ = ["NEURONS", "SHOWN", "SMALL", "draw"]

# Clockwise; A: j → i runs clockwise too.
NEURONS = ["j", "i", *(f"n{k}" for k in range(3, 13))]
SHOWN = (3, 5, 7)  # modes
_SUBSCRIPTS = {3: "₃", 5: "₅", 7: "₇"}
SMALL = 1.1  # a factor at which the linear response must be good
_COLORS = {
    "A": VERMILION,
    "B": INK,
    "C": BLUE,
    "D": ORANGE,
    "E": ORANGE,
    "F": BLUE,
    "G": GREEN,
    "H": PINK,
}


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
        "a": _ring,
        "b": _pair,
        "c": _others,
        "d": _mode,
        "e": _mode,
        "f": _mode,
        "g": _projections,
        "h": _equilibria,
        "i": _errors,
    }
    return compose(["abc", "def", "ghi"], panels, data, (7.5, 7.3), (1.1, 1, 1))


def _discs(
    ax: Axes, radius: float, fills: dict[str, str], names: dict[str, str]
) -> dict[str, Circle]:
    """Draw the neurons of the ring clockwise, j and i at the top; return them by name."""
    angles = np.pi / 2 + np.pi / len(NEURONS) * (1 - 2 * np.arange(len(NEURONS)))
    return {
        name: neuron(
            ax,
            (float(np.cos(angle)), float(np.sin(angle))),
            names.get(name, ""),
            radius,
            fills.get(name, "white"),
        )
        for name, angle in zip(NEURONS, angles, strict=True)
    }


def _ring(ax: Axes, synapses: pd.DataFrame) -> None:
    diagram(ax, (-1.3, 1.3), (-1.25, 1.3), "A: j → i is potentiated")
    discs = _discs(ax, 0.1, {}, {"i": "i", "j": "j"})
    for row in synapses.itertuples():
        synapse(
            ax,
            discs[row.pre],
            discs[row.post],
            row.synapse,
            color=_COLORS.get(row.synapse, GREY),
            width=0.8 + 0.2 * row.cost,
            bend=-0.35,
            aside=-0.16 if row.synapse == "A" else -0.11,
        )
    ax.text(0, 0, "widths: cost\nafter the\npotentiation", ha="center", va="center", fontsize=7)


def _pair(ax: Axes, courses: pd.DataFrame) -> None:
    for letter, line in (("A", "-"), ("B", "--")):
        ax.semilogx(
            courses["t"][1:], courses[letter][1:], line, color=_COLORS[letter], label=letter
        )
    ax.set(xlabel="time t (1/γ)", ylabel="cost", ylim=(0, 10.6))
    log_ticks(ax.xaxis)
    legend_above(ax, 2)


def _others(ax: Axes, courses: pd.DataFrame) -> None:
    styles = {"C": "-", "F": "o", "D": "-", "E": "s", "G": "--", "H": "-."}
    for letter, style in styles.items():
        course = courses[1:] if style.startswith("-") else courses[6::12]
        ax.semilogx(
            course["t"],
            course[letter],
            style,
            color=_COLORS[letter],
            markerfacecolor="white",
            label=letter,
        )
    ax.set(xlabel="time t (1/γ)", ylabel="cost")
    log_ticks(ax.xaxis)
    legend_above(ax, 3)


def _mode(ax: Axes, shape: pd.DataFrame) -> None:
    number = _SUBSCRIPTS[shape["mode"].iloc[0]]
    tau = shape["time_constant"].iloc[0]
    diagram(ax, (-1.3, 1.3), (-1.25, 1.3), f"v{number}:  1/(pλ{number}) = {tau:.2f}/γ")
    entries = shape.set_index("neuron")["entry"]
    entries *= np.sign(entries["i"])
    shades = {name: tint(0.7 * value / entries.abs().max()) for name, value in entries.items()}
    signs = {name: "+" if value > 0 else "−" for name, value in entries.items()}
    discs = _discs(ax, 0.15, shades, signs)
    ring = np.array([discs[name].center for name in [*NEURONS, "j"]])
    ax.plot(*ring.T, color=GREY, linewidth=0.8, zorder=1)
    for name in ("i", "j"):
        x, y = discs[name].center
        ax.text(0.72 * x, 0.72 * y, name, ha="center", va="center", fontsize=7)


def _projections(ax: Axes, amplitudes: pd.DataFrame) -> None:
    for number, color in zip(SHOWN, (BLUE, ORANGE, GREEN), strict=True):
        course = amplitudes[(amplitudes["mode"] == number) & (amplitudes["t"] > 0)]
        ax.semilogx(course["t"], course["flow"], color=color)
        ax.semilogx(course["t"], course["equation_39"], "--", color=color)
        ax.annotate(
            f"v{_SUBSCRIPTS[number]} · h",
            (course["t"].iloc[-1], course["flow"].iloc[-1]),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    ax.plot([], [], color=INK, label="flow")
    ax.plot([], [], "--", color=INK, label="equation (39)")
    ax.set(xlabel="time t (1/γ)", ylabel="projection of h")
    log_ticks(ax.xaxis)
    legend_above(ax, 2)


def _equilibria(ax: Axes, sweep: pd.DataFrame) -> None:
    names = {"A": "A", "B": "B", "D": "D, E, G, H", "C": "C, F"}
    styles = {"A": "o", "B": "s", "D": "^", "C": "v"}
    for letter, name in names.items():
        part = sweep[sweep["synapse"] == letter]
        ax.loglog(part["factor"], part["closed_form"], color=_COLORS[letter])
        ax.loglog(
            part["factor"],
            part["cost"],
            styles[letter],
            color=_COLORS[letter],
            markerfacecolor="white",
            label=name,
        )
    ax.set(xlabel="factor of A", ylabel="cost at equilibrium")
    ax.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    ax.set_xticks([1, 10, 100], ["1", "10", "100"])
    ax.minorticks_off()
    legend_above(ax, 2)


def _errors(ax: Axes, errors: pd.DataFrame) -> None:
    ax.loglog(errors["factor"], errors["error"], "o-", color=BLUE, markerfacecolor="white")
    (small,) = errors["error"][errors["factor"] == SMALL]
    ax.loglog(SMALL, small, "o", color=VERMILION)
    ax.axhline(0.01, color=GREY, linestyle="--", linewidth=0.8)
    note = f"{100 * small:.2g} % at {SMALL:g}"
    for text, at, aside in ((note, (SMALL, small), (7, -3)), ("1 %", (40, 0.01), (0, 3))):
        ax.annotate(text, at, aside, textcoords="offset points", fontsize=7)
    ax.set(xlabel="factor of A", ylabel="error of (39), relative")
    ax.set_xticks([1, 10, 100], ["1", "10", "100"])
    ax.minorticks_off()
    log_ticks(ax.yaxis)
