"""Plots of measures of networks and of their null models."""

from __future__ import annotations

import re
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbal.errors import InputError
from graphbal.plotting._style import ABOVE_SMALL_LEGEND, BLUE, GREY, ORANGE, new_axes, note

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from seaborn import FacetGrid

_SIGNIFICANT = 0.05
_MOST_BARS = 100
_SHORT_NAME = 12  # characters of a network's name that fit beside the other entry of the legend
_WIDTH = 24  # characters in a line of a panel's title


def null_distribution(
    null_values: pd.DataFrame,
    table: pd.DataFrame,
    network: Hashable,
    measure: str,
    ax: Axes | None = None,
) -> Axes:
    """Plot the distribution of a measure over null networks, and its value in the network.

    Null networks whose measure is not a finite number are left out, and counted above.

    Parameters
    ----------
    null_values : DataFrame
        What `graphbal.compare.null_measures` returned: network, sample, measure, value.
    table : DataFrame
        What `graphbal.compare` returned: network, measure, value, z, p_value, p_adjusted.
    network : label
        Name of the network.
    measure : str
        Name of the measure.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If the tables do not have that network and measure.

    Examples
    --------
    >>> from graphbal.compare import comparison
    >>> from graphbal.plotting import null_distribution
    >>> found = comparison("witvliet-1", "reciprocity", null="rewire", n_null=19)
    >>> ax = null_distribution(found.null_values, found.table, "witvliet-1", "reciprocity")
    >>> ax.get_xlabel()
    'reciprocity'
    """
    row = _rows(table, network, measure).iloc[0]
    samples = _rows(null_values, network, measure)["value"].to_numpy(dtype=np.float64)
    finite = samples[np.isfinite(samples)]
    observed = float(row["value"])
    ax = new_axes(ax)
    if finite.size:
        _draw_histogram(ax, finite)
    if np.isfinite(observed):
        ax.axvline(observed, color=ORANGE, linewidth=1.8, label=str(network))
    said = [f"{observed:.3g}" if np.isfinite(observed) else f"{network}: no finite value"]
    said += [
        f"{name} {row[column]:.2g}"
        for column, name in (("z", "z ="), ("p_value", "p ="), ("p_adjusted", "adjusted"))
        if column in row and np.isfinite(row[column])
    ]
    if finite.size < samples.size:
        said.append(f"left out: {samples.size - finite.size:,} not finite")
    columns = 2 if len(str(network)) <= _SHORT_NAME else 1
    if ax.get_legend_handles_labels()[0]:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=columns,
            frameon=False,
            handlelength=1.2,
            columnspacing=1.2,
            borderpad=0.1,
            fontsize="small",
        )
    note(ax, ", ".join(said), ABOVE_SMALL_LEGEND if columns == 2 else 2 * ABOVE_SMALL_LEGEND - 6)
    ax.margins(x=0.06)
    ax.set(xlabel=measure.replace("_", " "), ylabel="null networks")
    return ax


def comparison_grid(table: pd.DataFrame, null_values: pd.DataFrame | None = None) -> FacetGrid:
    """Plot every measure in a panel of its own: a row for each network, against its null model.

    Points are filled where the adjusted p-value is below 0.05. Bars hold the middle 95 % of the
    null networks, thick ones the middle half; without `null_values`, the mean ± 1.96 standard
    deviations that are in the table. A cross stands for a measure that is not a finite number.

    Parameters
    ----------
    table : DataFrame
        What `graphbal.compare` returned: network, measure, value and, with a null model, p_adjusted
        and more.
    null_values : DataFrame, optional
        What `graphbal.compare.null_measures` returned: network, sample, measure, value.

    Returns
    -------
    seaborn.FacetGrid
        Its ``figure`` and ``axes_dict``, by measure, are those of Matplotlib.

    Raises
    ------
    InputError
        If the table is empty, or a column is missing.

    Notes
    -----
    O(samples) time. Made for up to ten networks; with more, rows are higher than a page.

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import comparison_grid
    >>> table = gb.compare(["witvliet-1", "witvliet-8"], ["reciprocity", "relative_drop"])
    >>> list(comparison_grid(table).axes_dict)
    ['reciprocity', 'relative_drop']
    """
    import seaborn as sns

    _require_columns(table, "table", ("network", "measure", "value"))
    if table.empty:
        raise InputError("the table of the comparison is empty")
    networks = list(dict.fromkeys(table["network"]))
    measures = list(dict.fromkeys(table["measure"]))
    columns = len(measures) if len(measures) <= 3 else 4 if len(measures) <= 12 else 5
    height = 0.75 + 0.24 * len(networks)
    with sns.axes_style("whitegrid", {"axes.grid.axis": "y", "grid.color": "#ececec"}):
        grid = sns.FacetGrid(
            table,
            col="measure",
            col_wrap=columns,
            height=height,
            aspect=2.1 / height,
            sharex=False,
            sharey=True,
            despine=True,
        )
    colours = dict(zip(networks, sns.color_palette("colorblind", len(networks)), strict=True))
    grid.figure.set_layout_engine("constrained")
    for measure, ax in grid.axes_dict.items():
        of_measure = table[table["measure"] == measure].set_index("network")
        samples = _samples(null_values, measure)
        for height_of_row, network in enumerate(networks):
            if network in of_measure.index:
                row = of_measure.loc[network]
                _draw_null(ax, height_of_row, row, samples.get(network))
                _draw_value(ax, height_of_row, row, colours[network])
        _label_panel(ax, measure, networks)
    _explain(grid, "p_adjusted" in table, null_values is not None)
    return grid


def _rows(table: pd.DataFrame, network: Hashable, measure: str) -> pd.DataFrame:
    _require_columns(table, "table", ("network", "measure", "value"))
    found = table[(table["network"] == network) & (table["measure"] == measure)]
    if found.empty:
        raise InputError(
            f"there is no measure {measure!r} of a network {network!r}; there are "
            f"{', '.join(dict.fromkeys(table['measure']))} of "
            f"{', '.join(map(str, dict.fromkeys(table['network'])))}"
        )
    return found


def _require_columns(table: pd.DataFrame, what: str, columns: tuple[str, ...]) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(f"the {what} has no column {missing[0]!r}")


def _draw_histogram(ax: Axes, values: NDArray[np.float64]) -> None:
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # equal but for rounding: one bar
        margin = 0.02 * abs(high) or 0.5
        edges = np.array([low - margin, high + margin])
    else:
        n_bars = int(np.clip(2 * np.cbrt(values.size), 8, _MOST_BARS))
        edges = np.linspace(low, high, n_bars + 1)
    counts = np.histogram(values, np.concatenate([[-np.inf], edges[1:-1], [np.inf]]))[0]
    ax.stairs(
        counts, edges, fill=True, color=BLUE, alpha=0.85, linewidth=0,
        label=f"{values.size:,} null networks",
    )  # fmt: skip


def _samples(null_values: pd.DataFrame | None, measure: str) -> dict[Hashable, NDArray[np.float64]]:
    """Return the finite null values of a measure by network."""
    if null_values is None:
        return {}
    _require_columns(null_values, "table of null values", ("network", "measure", "value"))
    chosen = null_values[(null_values["measure"] == measure) & np.isfinite(null_values["value"])]
    return {name: rows.to_numpy() for name, rows in chosen.groupby("network")["value"]}


def _draw_null(ax: Axes, height: int, row: pd.Series, samples: NDArray[np.float64] | None) -> None:
    if samples is not None:
        low, lower, upper, high = np.quantile(samples, (0.025, 0.25, 0.75, 0.975))
        ax.plot([lower, upper], 2 * [height], color=GREY, linewidth=6, **_BAR)
    elif np.isfinite(row.get("null_sd", np.nan)):
        low, high = row["null_mean"] + 1.96 * row["null_sd"] * np.array([-1, 1])
    else:
        return
    ax.plot([low, high], 2 * [height], color=GREY, linewidth=2.5, **_BAR)


_BAR: dict[str, Any] = {"alpha": 0.6, "solid_capstyle": "butt", "zorder": 2}


def _draw_value(ax: Axes, height: int, row: pd.Series, colour: Any) -> None:
    if not np.isfinite(row["value"]):
        ax.plot(
            0.02, height, "x", color=GREY, markersize=4, zorder=4,
            transform=ax.get_yaxis_transform(),
        )  # fmt: skip
        return
    significant = row.get("p_adjusted", 0.0) < _SIGNIFICANT
    ax.plot(
        row["value"], height, "o", markersize=5.5, markeredgecolor=colour, markeredgewidth=1.4,
        markerfacecolor=colour if significant else "white", zorder=4,
    )  # fmt: skip


def _label_panel(ax: Axes, measure: str, networks: list[Hashable]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.set_title(fill(measure.replace("_", " "), _WIDTH), fontsize="small", pad=4)
    ax.set(xlabel="", ylabel="", yticks=range(len(networks)), ylim=(len(networks) - 0.4, -0.6))
    ax.set_yticklabels([str(name) for name in networks], fontsize="small")
    ax.margins(x=0.12)
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter(FuncFormatter(_short))
    ax.tick_params(axis="x", labelsize="small")


def _short(value: float, _position: float | None = None) -> str:
    """Return the number of a tick: 1e5 instead of 1e+05."""
    return re.sub(r"e([+-])0*", lambda found: "e" + found[1].strip("+"), f"{value:.4g}")


def _explain(grid: FacetGrid, has_p: bool, has_samples: bool) -> None:
    """Write above the panels what points and bars mean."""
    from matplotlib.lines import Line2D

    point: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 5.5, "color": BLUE}
    handles = []
    if has_p:
        handles = [
            Line2D([], [], **point, label=f"adjusted p < {_SIGNIFICANT}"),
            Line2D([], [], **point, markerfacecolor="white", label="not significant"),
            Line2D(
                [], [], color=GREY, linewidth=2.5, alpha=0.6,
                label="null networks: 95 %, 50 %" if has_samples else "null mean ± 1.96 s.d.",
            ),
        ]  # fmt: skip
        wide = grid.figure.get_figwidth() > 6
        grid.figure.legend(
            handles=handles,
            loc="outside upper center",
            ncols=3 if wide else 1,
            frameon=False,
            fontsize="small",
        )
