"""Plots of the potentials of all neurons, by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from graphbal.errors import InputError
from graphbal.plotting._style import (
    ABOVE_SMALL_LEGEND,
    BLUE,
    GREY,
    ORANGE,
    name_points,
    new_axes,
    note,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from graphbal.balance import Equilibrium
    from graphbal.network import SynapticNetwork

_MOST_ROWS = 12
_MOST_POINTS = 1_000  # in a row
_HEIGHT = 0.8  # of a row
_NAMED = 3  # neurons at either end, if there is one row; of several, one in each


def potential_strip(eq: Equilibrium, classes: Any = None, ax: Axes | None = None) -> Axes:
    """Plot the potentials of all neurons, sorted, in a row for each class of neurons.

    In a row every neuron is a point, from the lowest potential at the bottom to the highest at the
    top, so that the row is the distribution function of its class. Rows are sorted by their median,
    which is marked; the neurons at their ends are named. Of more than 1,000 neurons in a row, as
    many quantiles are drawn; of more than 12 classes, the smallest are drawn together.

    Parameters
    ----------
    eq : Equilibrium
        What `graphbal.balance` returned.
    classes : Series or mapping by label, or array of shape (n,), optional
        The class of each neuron, such as `graphbal.datasets.neuron_classes`; neurons without one
        (or NaN) are unclassified. By default there is one row.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If a neuron has two classes, or none of them has one.

    Notes
    -----
    O(n log n) time for n neurons.

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import potential_strip
    >>> ax = potential_strip(gb.balance("celegans"), gb.datasets.neuron_classes())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['sensory (83)', 'interneuron (81)', 'pharyngeal (20)', 'other (2)', 'motor (116)']
    """
    net, h = eq.original, eq.h
    rows = _rows(net, h, classes)
    ax = new_axes(ax)
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle="--", zorder=1)
    for row, neurons in enumerate(rows.values()):
        drawn, heights = _places(row, neurons)
        ax.plot(
            h[drawn],
            heights,
            "o",
            color=BLUE,
            markersize=2.5,
            alpha=0.6,
            markeredgewidth=0,
            rasterized=drawn.size > 500,
        )
        ax.plot(
            2 * [np.median(h[neurons])],
            [row - _HEIGHT / 2, row + _HEIGHT / 2],
            color=ORANGE,
            linewidth=1.4,
            label="median" if row == 0 else None,
        )
    ax.set(xlabel="potential h", yticks=[], ylim=(-0.75, len(rows) - 0.25))
    if classes is None:
        ax.set_ylabel("neurons, sorted")
    else:
        labels = [f"{name} ({neurons.size:,})" for name, neurons in rows.items()]
        ax.set_yticks(np.arange(len(rows)), labels)
        ax.tick_params(axis="y", length=0)
    ax.margins(x=0.25)
    ax.autoscale_view(scaley=False)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, handlelength=1, borderpad=0.1)
    if any(neurons.size > _MOST_POINTS for neurons in rows.values()):
        what = "the neurons" if classes is None else "a row"
        note(ax, f"{_MOST_POINTS:,} quantiles of {what}", ABOVE_SMALL_LEGEND)
    most = max(1, _NAMED // len(rows))
    for end, side in ((slice(None, most), (-1, 0)), (slice(-1, -most - 1, -1), (1, 0))):
        ends = [_places(row, neurons) for row, neurons in enumerate(rows.values())]
        named = np.concatenate([drawn[end] for drawn, _ in ends])
        at = np.column_stack([h[named], np.concatenate([heights[end] for _, heights in ends])])
        name_points(ax, at, [str(net.neurons[k]) for k in named], [side])
    return ax


def _rows(
    net: SynapticNetwork, h: NDArray[np.float64], classes: Any
) -> dict[str, NDArray[np.intp]]:
    """Return the neurons of each row, by potential, the row of lowest median first."""
    by_potential = np.argsort(h, kind="stable")
    if classes is None:
        return {"all neurons": by_potential}
    classes = _aligned(net, classes)
    if classes.isna().all():
        raise InputError("no neuron of this network has a class: the labels of both must agree")
    of_neuron = classes.astype(object).where(classes.notna(), "unclassified").astype(str)
    sizes = of_neuron.value_counts()
    if len(sizes) > _MOST_ROWS:
        pooled = f"{len(sizes) - _MOST_ROWS + 1:,} other classes"
        of_neuron = of_neuron.where(of_neuron.isin(sizes.index[: _MOST_ROWS - 1]), pooled)
    of_neuron = of_neuron.to_numpy()[by_potential]
    rows = {name: by_potential[of_neuron == name] for name in dict.fromkeys(of_neuron)}
    return dict(sorted(rows.items(), key=lambda row: float(np.median(h[row[1]]))))


def _aligned(net: SynapticNetwork, classes: Any) -> pd.Series:
    """Return the class of each neuron, missing where there is none."""
    if isinstance(classes, Mapping):
        index = pd.Index(list(classes), tupleize_cols=False)
        classes = pd.Series(list(classes.values()), index=index)
    if isinstance(classes, pd.Series):
        twice = classes.index[classes.index.duplicated()].tolist()
        if twice:
            raise InputError(f"the neuron {twice[0]!r} has two classes")
        return classes.reindex(net.neurons)
    if len(classes) != net.n_neurons:
        raise InputError(
            f"{len(classes)} classes were given for {net.n_neurons} neurons; give one for each"
        )
    return pd.Series(list(classes), index=net.neurons)


def _places(row: int, neurons: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the neurons of a row that are drawn, by potential, and at which height."""
    drawn = np.arange(neurons.size)
    if neurons.size > _MOST_POINTS:
        drawn = np.linspace(0, neurons.size - 1, _MOST_POINTS).round().astype(np.intp)
    return neurons[drawn], row + _HEIGHT * ((drawn + 0.5) / neurons.size - 0.5)
