"""What all plots share: colours, axes, and notes above them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Decades = tuple[float, float]

# The first colours of seaborn's "colorblind" palette, and its grey.
BLUE, ORANGE, GREY = "#0173b2", "#de8f05", "#949494"
PALE_GREY = "#e4e4e4"
ABOVE_LEGEND, ABOVE_SMALL_LEGEND = 17, 20  # points from the axes to a note

# Lines that can be told apart without colour, too.
LINES: list[dict[str, Any]] = [
    {"color": color, "linestyle": style}
    for style in ("-", "--")
    for color in (BLUE, ORANGE, "#029e73", "#d55e00", "#cc78bc")
]


def new_axes(ax: Axes | None) -> Axes:
    """Return the axes given, or those of a new pyplot figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(3.5, 3.1), layout="constrained")[1]


def decades(*values: NDArray[np.float64]) -> Decades:
    """Return the range of log10 of positive values, a little widened; (0, 1) if there are none."""
    present = [v for v in values if v.size]
    if not present:
        return 0.0, 1.0
    low = float(np.log10(min(v.min() for v in present)))
    high = float(np.log10(max(v.max() for v in present)))
    margin = max(0.04 * (high - low), 0.05)
    return low - margin, high + margin


def log_axes(ax: Axes, bounds: tuple[Decades, Decades], identity: str) -> None:
    """Set both axes to logarithmic, and draw and name the line on which both are equal."""
    from matplotlib.ticker import LogLocator

    low, high = 10.0 ** min(b[0] for b in bounds), 10.0 ** max(b[1] for b in bounds)
    ax.plot(
        [low, high],
        [low, high],
        color=GREY,
        linewidth=0.8,
        linestyle="--",
        label=identity,
        zorder=3,
    )
    ax.set(xscale="log", yscale="log")
    ax.set(xlim=10.0 ** np.array(bounds[0]), ylim=10.0 ** np.array(bounds[1]))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(numticks=6))
        axis.set_major_formatter(power_of_ten)
    ax.minorticks_off()
    # Above the axes, where it covers no point.
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        frameon=False,
        handlelength=1.4,
        columnspacing=1.2,
        borderpad=0.1,
    )


def power_of_ten(value: float, _position: float | None = None) -> str:
    """Return 10 to the power that a tick stands for."""
    # Superscript characters: the mathematical typesetting takes longer than the rest of the plot.
    return "10" + f"{np.log10(value):.0f}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def note(ax: Axes, text: str, pad: float = 6) -> None:
    """Say above the axes what they show or do not show."""
    ax.set_title(text, loc="left", fontsize="small", pad=pad)


# Right, left, above, below, and the corners.
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


def name_points(
    ax: Axes,
    at: NDArray[np.float64],
    names: Sequence[str],
    sides: Sequence[tuple[int, int]] = SIDES,
) -> None:
    """Write names beside points, each on a side where it covers no other name and no edge.

    A name that finds no room is left out. What changes the size of the axes comes before.
    """
    from matplotlib.patheffects import withStroke

    ax.figure.canvas.figure.draw_without_rendering()  # the layout is not known until then
    size, pixel = 6.5, 72 / ax.figure.dpi
    window = ax.get_window_extent()
    taken: list[tuple[float, ...]] = []
    for point, place, name in zip(at, ax.transData.transform(at), names, strict=True):
        reach = np.array([0.34 * size * len(name), 0.55 * size]) / pixel
        for side in sides:
            middle = place + np.array(side) * (reach + 4 / pixel)
            box = (*(middle - reach), *(middle + reach))
            inside = window.contains(*box[:2]) and window.contains(*box[2:])
            if inside and not any(_overlap(box, other) for other in taken):
                break
        else:
            continue
        taken.append(box)
        ax.annotate(
            name,
            tuple(point),
            (4 * side[0], 4 * side[1]),
            textcoords="offset points",
            ha=("center", "left", "right")[side[0]],
            va=("center", "bottom", "top")[side[1]],
            fontsize=size,
            zorder=6,
            path_effects=[withStroke(linewidth=1.6, foreground="white")],
        )


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Say whether two boxes (left, bottom, right, top) overlap."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
