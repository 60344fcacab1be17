"""What all figures share: the journal's style, colours, panels, and neurons drawn with synapses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbal.plotting._style import BLUE, GREY, ORANGE, power_of_ten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "INK",
    "ORANGE",
    "PINK",
    "VERMILION",
    "compose",
    "diagram",
    "journal",
    "legend_above",
    "log_ticks",
    "neuron",
    "signed",
    "synapse",
    "tint",
]

# Further colours of seaborn's "colorblind" palette.
GREEN, VERMILION, PINK = "#029e73", "#d55e00", "#cc78bc"
INK = "#262626"

_STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "graphbal",  # the same figure, the same file
}


def journal() -> AbstractContextManager[None]:
    """Return the context in which figures are drawn and saved, whatever the user's settings."""
    from matplotlib import style

    return style.context(["default", _STYLE])


def compose(
    rows: Sequence[str],
    panels: Mapping[str, Callable[[Axes, pd.DataFrame], None]],
    data: Mapping[str, pd.DataFrame],
    size: tuple[float, float],
    height_ratios: Sequence[float] | None = None,
) -> Figure:
    """Draw every panel from its data, with its letter; a letter repeated in its row is wider."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.04)
    figure = Figure(figsize=size, layout=layout)
    # Nested, so that each row has the margins that its own labels need.
    nested: list[Any] = [[[list(row)]] for row in rows]
    axes = figure.subplot_mosaic(nested, height_ratios=height_ratios)
    for letter, draw in panels.items():
        ax = axes[letter]
        draw(ax, data[letter])
        ax.annotate(
            letter,
            (0, 1),
            (-28 if ax.axison else -2, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=10,
            fontweight="bold",
        )
    return figure


def diagram(
    ax: Axes, xlim: tuple[float, float], ylim: tuple[float, float], title: str = ""
) -> None:
    """Make room for a drawing instead of a plot."""
    ax.set_axis_off()
    ax.set(xlim=xlim, ylim=ylim, aspect="equal")
    # Beside the letter of the panel.
    ax.annotate(title, (0, 1), (12, 6), xycoords="axes fraction", textcoords="offset points")


def neuron(
    ax: Axes,
    at: tuple[float, float],
    label: str,
    radius: float = 0.16,
    fill: str = "white",
    **text: Any,
) -> Circle:
    """Draw a neuron as a disc with its name."""
    from matplotlib.patches import Circle

    disc = Circle(at, radius, facecolor=fill, edgecolor=INK, linewidth=0.8, zorder=3)
    ax.add_patch(disc)
    ax.text(*at, label, ha="center", va="center", zorder=4, **{"fontsize": 7, **text})
    return disc


def synapse(
    ax: Axes,
    pre: Circle,
    post: Circle,
    label: str = "",
    *,
    color: str = INK,
    width: float = 1.0,
    bend: float = 0.0,
    style: Any = "-",
    along: float = 0.5,
    aside: float = 0.0,
) -> None:
    """Draw a synapse as an arrow between neurons, with its label beside a point along it."""
    from matplotlib.patches import FancyArrowPatch

    arrow = FancyArrowPatch(
        pre.center,
        post.center,
        patchA=pre,
        patchB=post,
        shrinkA=1.5,
        shrinkB=1.5,
        connectionstyle=f"arc3,rad={bend}",
        arrowstyle="-|>",
        mutation_scale=6 + 1.5 * width,
        linewidth=width,
        linestyle=style,
        color=color,
        zorder=2,
    )
    ax.add_patch(arrow)
    if label:
        x, y = _beside(pre.center, post.center, bend, along, aside)
        ax.text(
            x,
            y,
            label,
            color=INK,
            ha="center",
            va="center",
            fontsize=7,
            zorder=4,
            bbox=None if aside else {"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )


def legend_above(ax: Axes, columns: int) -> None:
    """Put the legend above the axes, where it covers nothing."""
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        borderpad=0.1,
        columnspacing=1.0,
        handletextpad=0.5,
    )


def log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with powers of ten."""
    from matplotlib.ticker import LogLocator

    axis.set_major_locator(LogLocator(numticks=8))
    axis.set_major_formatter(power_of_ten)
    axis.minorticks_off()


def signed(number: float) -> str:
    """Return a number with its sign and two decimals."""
    return f"{number:+.2f}".replace("-", "−")


def tint(value: float) -> str:
    """Return the colour of a number from −1 (blue) through 0 (white) to 1 (orange)."""
    from matplotlib.colors import to_hex, to_rgb

    share = min(abs(value), 1.0)
    full = np.array(to_rgb(ORANGE if value > 0 else BLUE))
    red, green, blue = 1 - share * (1 - full)
    return to_hex((red, green, blue))


def _beside(
    start: tuple[float, float],
    end: tuple[float, float],
    bend: float,
    along: float,
    aside: float,
) -> tuple[float, float]:
    """Return the point of a bent arrow at a share of its way, moved to its outer side."""
    a, b = np.asarray(start), np.asarray(end)
    dx, dy = b - a
    outward = np.array([dy, -dx])
    control = (a + b) / 2 + bend * outward
    point = (1 - along) ** 2 * a + 2 * along * (1 - along) * control + along**2 * b
    x, y = point + aside * outward / np.hypot(dx, dy)
    return float(x), float(y)
