"""Plots of a trajectory of the balancing flow, against time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphbal.plotting._style import BLUE, LINES, PALE_GREY, new_axes, note, power_of_ten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from graphbal.trajectory import Trajectory

_MOST_TIMES = 200  # at which the spread over all neurons is shown
_FAST = 0.02  # share of the time after which half of the fall is too early for a linear axis
_NOTHING = 1e-9  # of the cost: too little to be a fall
_START = 1e-3  # share of the fall with which a logarithmic axis starts


def total_cost_in_time(trajectory: Trajectory, ax: Axes | None = None) -> Axes:
    """Plot the total cost C over time.

    The time axis is logarithmic where most of the fall would otherwise hide in its first percents.

    Parameters
    ----------
    trajectory : Trajectory
        What `graphbal.flow` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import total_cost_in_time
    >>> trajectory = gb.flow(gb.ensembles.ring(8), (0, 1))
    >>> total_cost_in_time(trajectory).get_ylabel()
    'total cost'
    """
    ax = new_axes(ax)
    cost = trajectory.total_cost.to_numpy()
    ax.plot(trajectory.t, cost, color=BLUE)
    ax.set(ylabel="total cost", ylim=(0, 1.05 * cost.max() or 1.0))
    return _in_time(ax, trajectory)


def gradient_norm_in_time(trajectory: Trajectory, ax: Axes | None = None) -> Axes:
    """Plot the norm ‖g‖ of the neural gradients over time, on a logarithmic axis.

    Parameters
    ----------
    trajectory : Trajectory
        What `graphbal.flow` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import gradient_norm_in_time
    >>> trajectory = gb.flow(gb.ensembles.ring(8), (0, 1))
    >>> gradient_norm_in_time(trajectory).get_yscale()
    'log'
    """
    ax = new_axes(ax)
    norm = trajectory.gradient_norm.to_numpy()
    ax.plot(trajectory.t, np.where(norm > 0, norm, np.nan), color=BLUE)
    ax.set(ylabel="gradient norm ‖g‖", yscale="log")
    ax.yaxis.set_major_formatter(power_of_ten)
    return _in_time(ax, trajectory)


def potentials_in_time(trajectory: Trajectory, ax: Axes | None = None, *, top: int = 6) -> Axes:
    """Plot the potentials of the neurons that move most over time.

    The grey band holds the middle nine tenths of all neurons.

    Parameters
    ----------
    trajectory : Trajectory
        What `graphbal.flow` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.
    top : int
        How many neurons.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import potentials_in_time
    >>> trajectory = gb.flow(gb.ensembles.ring(8), (0, 1))
    >>> len(potentials_in_time(trajectory, top=3).lines)
    3
    """
    ax = new_axes(ax)
    h = trajectory.potentials
    values = h.to_numpy()
    most = np.argsort(-np.abs(values[-1] - values[0]), kind="stable")[:top]
    n = values.shape[1]
    if n > most.size:
        shown = np.unique(np.linspace(0, len(values) - 1, _MOST_TIMES).astype(int))
        low, high = np.quantile(values[shown], (0.05, 0.95), axis=1)
        ax.fill_between(trajectory.t[shown], low, high, color=PALE_GREY, linewidth=0)
        note(ax, f"{most.size} of {n:,} neurons; grey: the middle 90 %")
    _lines(ax, trajectory.t, values[:, most], [str(h.columns[k]) for k in most])
    ax.set(ylabel="potential h")
    return _in_time(ax, trajectory)


def costs_in_time(
    trajectory: Trajectory,
    synapses: Sequence[tuple[Hashable, Hashable]],
    ax: Axes | None = None,
) -> Axes:
    """Plot the costs of chosen synapses over time.

    Parameters
    ----------
    trajectory : Trajectory
        What `graphbal.flow` returned.
    synapses : sequence of (pre, post)
        Ten at most can be told apart.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such synapse.

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import costs_in_time
    >>> trajectory = gb.flow(gb.ensembles.ring(8), (0, 1))
    >>> costs_in_time(trajectory, [(0, 1), (1, 0)]).get_yscale()
    'log'
    """
    ax = new_axes(ax)
    costs = trajectory.costs(synapses).to_numpy()
    names = [f"{pre} → {post}" for pre, post in synapses]
    _lines(ax, trajectory.t, np.where(costs > 0, costs, np.nan), names)
    ax.set(ylabel="cost", yscale="log")
    return _in_time(ax, trajectory)


def _in_time(ax: Axes, trajectory: Trajectory) -> Axes:
    """Label and scale the time axis."""
    from matplotlib.ticker import NullLocator

    t, cost = trajectory.t, trajectory.total_cost.to_numpy()
    fall = cost[0] - cost
    half = t[np.argmax(fall >= fall[-1] / 2)]
    if t[0] >= 0 and fall[-1] > _NOTHING * cost[0] and half < _FAST * t[-1]:
        first = max(t[t > 0][0], t[np.argmax(fall >= _START * fall[-1])] / 10)
        ax.set(xscale="log", xlim=(first, t[-1]))
        ax.xaxis.set_major_formatter(power_of_ten)
        ax.xaxis.set_minor_locator(NullLocator())
    elif t.size > 1:
        ax.set(xlim=(t[0], t[-1]))
    rates = trajectory.course.rates
    in_units_of_rate = np.isin(rates, (0.0, trajectory.network.p)).all()  # γ = 1
    ax.set(xlabel="time t (1/γ)" if in_units_of_rate else "time t")
    return ax


def _lines(
    ax: Axes, t: NDArray[np.float64], values: NDArray[np.float64], names: Sequence[str]
) -> None:
    """Draw lines, each with its name at its end, in the order of the ends."""
    for column, name, style in zip(values.T, names, LINES * len(names), strict=False):
        ax.plot(t, column, label=name, **style)
    by_end = np.argsort(-values[-1], kind="stable")
    handles = [ax.lines[len(ax.lines) - len(names) + k] for k in by_end]
    ax.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        fontsize="small",
        handlelength=1.8,
    )
