"""Plots of an equilibrium: each takes its data and an optional `ax`, and returns the axes.

Networks with more points than can be told apart are drawn as counts per bin, so that a plot of 15
million synapses takes a second and hides nothing. What a logarithmic axis cannot show (a cost of
zero) is counted in the plot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from graphbal.balance import Equilibrium

    Decades = tuple[float, float]

__all__ = ["cost_before_after", "incoming_outgoing", "potential_distribution"]

# The first colours of seaborn's "colorblind" palette, and its grey.
BLUE, ORANGE, GREY = "#0173b2", "#de8f05", "#949494"
_PALE = {BLUE: "#c5ddec", ORANGE: "#f3c677"}
_DARK = {BLUE: "#00233a", ORANGE: ORANGE}
_LAYER = {BLUE: 2, ORANGE: 4}  # the line of equality lies between
_MOST_POINTS = 10_000  # drawn one by one; more are binned
_BINS = 120


def cost_before_after(eq: Equilibrium, ax: Axes | None = None) -> Axes:
    """Plot the cost of every synapse after balancing against its cost before, on log axes.

    Synapses on the dashed line keep their cost. Vanishing synapses, whose cost ends at zero, and
    synapses without cost have no place on log axes; the plot says how many there are.

    Parameters
    ----------
    eq : Equilibrium
        What `graphbal.balance` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    O(m) time for m synapses. More than 10,000 synapses are shown as counts per bin.

    Examples
    --------
    >>> import graphbal
    >>> from graphbal.plotting import cost_before_after
    >>> eq = graphbal.balance(graphbal.load_dataset("celegans"))
    >>> cost_before_after(eq).get_xlabel()
    'cost before'
    """
    ax = _axes(ax)
    before, after = eq.original.costs.data, eq.network.costs.data
    shown = (before > 0) & (after > 0)
    n_free, n_vanishing = np.count_nonzero(before == 0), np.count_nonzero((before > 0) & ~shown)
    if not shown.all():
        before, after = before[shown], after[shown]
    bounds = _decades(before), _decades(after)
    _points(ax, before, after, bounds, BLUE, "synapses", colorbar=True)
    _log_axes(ax, bounds, "unchanged")
    ax.set(xlabel="cost before", ylabel="cost after")
    not_shown = [
        f"{number:,} {what}"
        for number, what in (
            (n_vanishing, "vanishing synapses (cost 0)"),
            (n_free, "of cost 0 from the start"),
        )
        if number
    ]
    if not_shown:
        _note(ax, f"not shown: {', '.join(not_shown)}")
    return ax


def incoming_outgoing(eq: Equilibrium, ax: Axes | None = None) -> Axes:
    """Plot the outgoing against the incoming cost of every neuron, before and after, on log axes.

    At equilibrium the neurons lie on the dashed line: what comes in goes out. Self-connections
    are left out. Neurons without incoming or without outgoing cost have no place on log axes; the
    plot says how many there are.

    Parameters
    ----------
    eq : Equilibrium
        What `graphbal.balance` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    O(m) time for m synapses. More than 10,000 neurons are shown as shades of their count per bin.

    Examples
    --------
    >>> import graphbal
    >>> from graphbal.plotting import incoming_outgoing
    >>> eq = graphbal.balance(graphbal.load_dataset("celegans"))
    >>> incoming_outgoing(eq).get_ylabel()
    'outgoing cost'
    """
    ax = _axes(ax)
    neurons = eq.neurons()
    drawn, missing = {}, {}
    for when in ("before", "after"):
        incoming = neurons[f"incoming_{when}"].to_numpy()
        outgoing = neurons[f"outgoing_{when}"].to_numpy()
        shown = (incoming > 0) & (outgoing > 0)
        drawn[when] = incoming[shown], outgoing[shown]
        missing[when] = np.count_nonzero(~shown)
    both = _decades(*drawn["before"], *drawn["after"])
    for (when, (incoming, outgoing)), color in zip(drawn.items(), (BLUE, ORANGE), strict=True):
        _points(ax, incoming, outgoing, (both, both), color, when)
    _log_axes(ax, (both, both), "balanced")
    ax.set(xlabel="incoming cost", ylabel="outgoing cost", aspect="equal")
    if any(missing.values()):
        numbers = ", ".join(f"{number:,} {when}" for when, number in missing.items())
        _note(ax, f"not shown (no cost in or out): {numbers}")
    return ax


def potential_distribution(eq: Equilibrium, ax: Axes | None = None) -> Axes:
    """Plot the distribution of the equilibrium potentials h over the neurons.

    Parameters
    ----------
    eq : Equilibrium
        What `graphbal.balance` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import graphbal
    >>> from graphbal.plotting import potential_distribution
    >>> eq = graphbal.balance(graphbal.load_dataset("celegans"))
    >>> potential_distribution(eq).get_ylabel()
    'neurons'
    """
    ax = _axes(ax)
    h = eq.potentials.to_numpy()
    # A spread at the level of rounding is drawn as none: one bar at zero.
    low, high = (h.min(), h.max()) if np.ptp(h) > 1e-9 else (-0.5, 0.5)
    n_bins = int(np.clip(2 * np.cbrt(h.size), 11, 100))
    counts, edges = np.histogram(h, bins=n_bins, range=(low, high))
    ax.stairs(counts, edges, fill=True, color=BLUE, alpha=0.85, linewidth=0)
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle="--")
    ax.set(xlabel="potential h", ylabel="neurons", ylim=(0, 1.08 * counts.max()))
    ax.text(0.98, 0.98, f"s.d. {h.std():.3g}", transform=ax.transAxes, ha="right", va="top")
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(3.5, 3.1), layout="constrained")[1]


def _decades(*values: NDArray[np.float64]) -> Decades:
    """Return the range of log10 of positive values, a little widened; (0, 1) if there are none."""
    present = [v for v in values if v.size]
    if not present:
        return 0.0, 1.0
    low = float(np.log10(min(v.min() for v in present)))
    high = float(np.log10(max(v.max() for v in present)))
    margin = max(0.04 * (high - low), 0.05)
    return low - margin, high + margin


def _log_axes(ax: Axes, bounds: tuple[Decades, Decades], identity: str) -> None:
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
        axis.set_major_formatter(_power_of_ten)
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


def _power_of_ten(value: float, _position: float | None = None) -> str:
    # Superscript characters: the mathematical typesetting takes longer than the rest of the plot.
    return "10" + f"{np.log10(value):.0f}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _points(
    ax: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    bounds: tuple[Decades, Decades],
    color: str,
    label: str,
    colorbar: bool = False,
) -> None:
    """Draw points one by one, or, if there are many, the number of points in each bin."""
    if x.size <= _MOST_POINTS:
        size = 3.0 if x.size < 1000 else 2.0
        style: dict[str, Any] = {
            "linestyle": "none",
            "marker": "o",
            "markeredgewidth": 0,
            "zorder": _LAYER[color],
        }
        ax.plot(
            x, y, color=color, markersize=size, alpha=0.5, label=label, rasterized=True, **style
        )
        return
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    counts = _bin_counts(x, y, bounds)
    shades = LinearSegmentedColormap.from_list(label, [_PALE[color], color, _DARK[color]])
    mesh = ax.pcolormesh(
        *(np.logspace(*b, _BINS + 1) for b in bounds),
        np.ma.masked_equal(counts.T, 0),
        norm=LogNorm(1, max(counts.max(), 2)),
        cmap=shades,
        rasterized=True,
        zorder=_LAYER[color],
    )
    if colorbar:
        bar = ax.figure.colorbar(mesh, ax=ax, label=f"{label} per bin", format=_power_of_ten)
        bar.minorticks_off()
    else:
        ax.plot([], [], "s", color=color, markersize=4, label=label)


def _bin_counts(
    x: NDArray[np.float64], y: NDArray[np.float64], bounds: tuple[Decades, Decades]
) -> NDArray[np.int64]:
    """Return the number of points per bin [column, row], equally wide in log10 of x and y."""
    total = np.zeros(_BINS * _BINS, dtype=np.int64)
    for start in range(0, x.size, 1 << 17):  # in parts that stay in the cache
        column, row = (
            ((np.log10(values[start : start + (1 << 17)]) - low) * (_BINS / (high - low)))
            for values, (low, high) in zip((x, y), bounds, strict=True)
        )
        bins = column.astype(np.int32) * _BINS + row.astype(np.int32)
        total += np.bincount(bins, minlength=total.size)
    return total.reshape(_BINS, _BINS)


def _note(ax: Axes, text: str) -> None:
    ax.set_title(text, loc="left", fontsize="small", pad=17)  # above the legend
