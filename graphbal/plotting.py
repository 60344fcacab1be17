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

__all__ = ["cost_before_after", "incoming_outgoing", "potential_distribution"]

# The first colours of seaborn's "colorblind" palette, and its grey.
BLUE, ORANGE, GREY = "#0173b2", "#de8f05", "#949494"
_MOST_POINTS = 10_000  # drawn one by one; more are binned
_BINS = 160


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
    limits = _limits(before, after)
    _identity(ax, limits, "unchanged")
    _points(ax, before, after, limits, BLUE, "synapses", colorbar=True)
    _log_axes(ax, limits)
    ax.set(xlabel="cost before", ylabel="cost after")
    _note(
        ax,
        _count(n_vanishing, "vanishing synapse", "not shown: cost 0 after"),
        _count(n_free, "synapse", "not shown: cost 0 before"),
    )
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
    limits = _limits(*drawn["before"], *drawn["after"])
    _identity(ax, limits, "balanced")
    for (when, (incoming, outgoing)), color in zip(drawn.items(), (BLUE, ORANGE), strict=True):
        _points(ax, incoming, outgoing, limits, color, when)
    _log_axes(ax, limits)
    ax.set(xlabel="incoming cost", ylabel="outgoing cost")
    ax.legend(loc="upper left", frameon=False, handlelength=1.2, borderpad=0.1)
    _note(
        ax,
        *(
            _count(number, "neuron", f"not shown: no cost in or out {when}")
            for when, number in missing.items()
        ),
    )
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
    ax.set(xlabel="potential $h$", ylabel="neurons", ylim=(0, 1.08 * counts.max()))
    ax.text(0.98, 0.98, f"s.d. {h.std():.3g}", transform=ax.transAxes, ha="right", va="top")
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(3.5, 3.1), layout="constrained")[1]


def _limits(*values: NDArray[np.float64]) -> tuple[float, float]:
    """Return common limits in decades, a little wider than the positive values."""
    present = [v for v in values if v.size]
    if not present:
        return 0.0, 1.0
    low = float(np.log10(min(v.min() for v in present)))
    high = float(np.log10(max(v.max() for v in present)))
    margin = max(0.04 * (high - low), 0.05)
    return low - margin, high + margin


def _log_axes(ax: Axes, limits: tuple[float, float]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set(xscale="log", yscale="log", aspect="equal")
    bounds = 10.0 ** np.array(limits)
    ax.set(xlim=bounds, ylim=bounds)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(numticks=6))
        axis.set_minor_formatter(NullFormatter())


def _identity(ax: Axes, limits: tuple[float, float], label: str) -> None:
    bounds = 10.0 ** np.array(limits)
    ax.plot(bounds, bounds, color=GREY, linewidth=0.8, linestyle="--", label=label, zorder=0)


def _points(
    ax: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    limits: tuple[float, float],
    color: str,
    label: str,
    colorbar: bool = False,
) -> None:
    """Draw points one by one, or, if there are many, the number of points in each bin."""
    if x.size <= _MOST_POINTS:
        style: dict[str, Any] = {"marker": "o", "linestyle": "none", "markeredgewidth": 0}
        size = 3.0 if x.size < 1000 else 2.0
        ax.plot(
            x, y, markersize=size, alpha=0.6, color=color, label=label, rasterized=True, **style
        )
        return
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    counts = _bin_counts(x, y, limits)
    edges = np.logspace(*limits, _BINS + 1)
    pale = "#cfe3f0" if color == BLUE else "#fbe6c4"
    shades = LinearSegmentedColormap.from_list(label, [pale, color, "#10202b"])
    mesh = ax.pcolormesh(
        edges,
        edges,
        np.ma.masked_equal(counts.T, 0),
        norm=LogNorm(1, max(counts.max(), 2)),
        cmap=shades,
        rasterized=True,
        linewidth=0,
    )
    if colorbar:
        ax.figure.colorbar(mesh, ax=ax, label=f"{label} per bin", shrink=0.8)
    else:
        ax.plot([], [], "s", color=color, label=label)


def _bin_counts(
    x: NDArray[np.float64], y: NDArray[np.float64], limits: tuple[float, float]
) -> NDArray[np.int64]:
    """Return the number of points in each bin, equally wide in log x and log y, O(points)."""
    low, high = limits
    scale = _BINS / (high - low)
    total = np.zeros(_BINS * _BINS, dtype=np.int64)
    for start in range(0, x.size, 1 << 20):  # in parts that stay in the cache
        part = slice(start, start + (1 << 20))
        column = ((np.log10(x[part]) - low) * scale).astype(np.int64)
        row = ((np.log10(y[part]) - low) * scale).astype(np.int64)
        total += np.bincount(column * _BINS + row, minlength=total.size)
    return total.reshape(_BINS, _BINS)


def _count(number: int, noun: str, what: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'} {what}" if number else ""


def _note(ax: Axes, *lines: str) -> None:
    text = "\n".join(line for line in lines if line)
    if text:
        ax.text(
            0.98,
            0.02,
            text,
            transform=ax.transAxes,
            ha="right",
            va="bottom",
            fontsize="small",
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
        )
