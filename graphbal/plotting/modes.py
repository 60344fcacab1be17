"""Plots of the eigenmodes of a network's Laplacian."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphbal.plotting._style import new_axes, note

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from graphbal.modes import Modes

_MOST_ROWS = 20


def time_constants(modes: Modes, ax: Axes | None = None) -> Axes:
    """Plot the time constant 1/(p λ) of each mode, coloured by how many neurons take part in it.

    Parameters
    ----------
    modes : Modes
        What `graphbal.eigenmodes` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import time_constants
    >>> time_constants(gb.eigenmodes(gb.ensembles.ring(12), 5)).get_xlabel()
    'mode'
    """
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import MaxNLocator

    ax = new_axes(ax)
    participation = np.asarray(modes.participation)
    points = ax.scatter(
        modes.modes.columns,
        modes.time_constants,
        c=participation,
        norm=LogNorm(1, max(participation.max(), 10.0)),
        cmap="viridis",
        s=22,
        edgecolors="black",
        linewidths=0.4,
    )
    ax.figure.colorbar(points, ax=ax, label="neurons taking part")
    ax.set(xlabel="mode", ylabel="time constant 1/(p λ)", yscale="log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def mode_entries(modes: Modes, ax: Axes | None = None) -> Axes:
    """Plot the entries of each mode at the neurons where the modes are largest.

    About twenty neurons are shown, as many of each mode, and no more than twenty modes.

    Parameters
    ----------
    modes : Modes
        What `graphbal.eigenmodes` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import mode_entries
    >>> mode_entries(gb.eigenmodes(gb.ensembles.ring(12), 5)).get_ylabel()
    'neuron'
    """
    ax = new_axes(ax)
    entries = modes.modes.to_numpy()[:, :_MOST_ROWS]
    n_modes = entries.shape[1]
    each = min(_MOST_ROWS // n_modes, len(entries))
    largest = np.argpartition(-np.abs(entries), each - 1, axis=0)[:each].T
    shown = np.array(list(dict.fromkeys(largest.ravel().tolist())))
    extent = np.abs(entries[shown]).max()
    mesh = ax.imshow(
        entries[shown],
        cmap="RdBu_r",
        vmin=-extent,
        vmax=extent,
        aspect="auto",
        interpolation="nearest",
    )
    ax.figure.colorbar(mesh, ax=ax, label="entry of the mode")
    step = -(-n_modes // 10)
    ax.set(
        xlabel="mode",
        ylabel="neuron",
        xticks=np.arange(0, n_modes, step),
        xticklabels=modes.modes.columns[:n_modes:step],
        yticks=np.arange(shown.size),
    )
    ax.set_yticklabels([str(modes.modes.index[k]) for k in shown], fontsize="x-small")
    left_out = modes.modes.shape[1] - n_modes
    if left_out:
        note(ax, f"{left_out} more modes are not shown")
    return ax
