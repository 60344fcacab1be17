"""Plots of what a perturbation does to an equilibrium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphbal.plotting._style import BLUE, GREY, new_axes, note

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def exact_against_linear(
    exact: pd.Series, linear: pd.Series, ax: Axes | None = None, *, top: int = 3
) -> Axes:
    """Plot the change of each neuron's potential against its linear prediction.

    On the dashed line the prediction is exact; the `top` neurons that move most are named.

    Parameters
    ----------
    exact, linear : pandas.Series, shape (n,)
        Change of the potential h of each neuron, as found and as predicted by
        `graphbal.sensitivity`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.
    top : int
        How many neurons to name.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import pandas as pd
    >>> from graphbal.plotting import exact_against_linear
    >>> change = pd.Series({"a": 0.1, "b": -0.1})
    >>> exact_against_linear(change, 1.1 * change).get_xlabel()
    'predicted change of h'
    """
    ax = new_axes(ax)
    x, y = linear.to_numpy(), exact.to_numpy()
    both = np.concatenate([x, y])
    low, high = both.min(initial=0.0), both.max(initial=0.0)
    margin = 0.06 * (high - low) or 1.0
    ends = [low - margin, high + margin]
    ax.plot(ends, ends, color=GREY, linewidth=0.8, linestyle="--")
    ax.plot(
        x, y, "o", color=BLUE, markersize=3, alpha=0.5, markeredgewidth=0, rasterized=x.size > 1000
    )
    ax.set(xlabel="predicted change of h", ylabel="change of h", xlim=ends, ylim=ends)
    error = np.linalg.norm(y - x) / np.linalg.norm(y) if y.any() else 0.0
    note(ax, f"prediction off by {error:.2g} of the change")
    for k in np.argsort(-np.abs(y), kind="stable")[:top]:
        to_the_left = x[k] > (low + high) / 2
        ax.annotate(
            str(exact.index[k]),
            (x[k], y[k]),
            xytext=(-4 if to_the_left else 4, 0),
            textcoords="offset points",
            ha="right" if to_the_left else "left",
            va="center",
            fontsize="x-small",
        )
    return ax
