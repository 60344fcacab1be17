"""Plots of an equilibrium: its costs and potentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphbal.plotting._style import (
    ABOVE_LEGEND,
    BLUE,
    GREY,
    ORANGE,
    decades,
    log_axes,
    new_axes,
    note,
    power_of_ten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from graphbal.balance import Equilibrium
    from graphbal.plotting._style import Decades

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
    ax = new_axes(ax)
    before, after = eq.original.costs.data, eq.network.costs.data
    shown = (before > 0) & (after > 0)
    n_free, n_vanishing = np.count_nonzero(before == 0), np.count_nonzero((before > 0) & ~shown)
    if not shown.all():
        before, after = before[shown], after[shown]
    bounds = decades(before), decades(after)
    _points(ax, before, after, bounds, BLUE, "synapses", colorbar=True)
    log_axes(ax, bounds, "unchanged")
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
        note(ax, f"not shown: {', '.join(not_shown)}", ABOVE_LEGEND)
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
    ax = new_axes(ax)
    neurons = eq.neurons()
    drawn, missing = {}, {}
    for when in ("before", "after"):
        incoming = neurons[f"incoming_{when}"].to_numpy()
        outgoing = neurons[f"outgoing_{when}"].to_numpy()
        shown = (incoming > 0) & (outgoing > 0)
        drawn[when] = incoming[shown], outgoing[shown]
        missing[when] = np.count_nonzero(~shown)
    both = decades(*drawn["before"], *drawn["after"])
    for (when, (incoming, outgoing)), color in zip(drawn.items(), (BLUE, ORANGE), strict=True):
        _points(ax, incoming, outgoing, (both, both), color, when)
    log_axes(ax, (both, both), "balanced")
    ax.set(xlabel="incoming cost", ylabel="outgoing cost", aspect="equal")
    if any(missing.values()):
        numbers = ", ".join(f"{number:,} {when}" for when, number in missing.items())
        note(ax, f"not shown (no cost in or out): {numbers}", ABOVE_LEGEND)
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
    ax = new_axes(ax)
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
        bar = ax.figure.colorbar(mesh, ax=ax, label=f"{label} per bin", format=power_of_ten)
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
