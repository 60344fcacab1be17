"""Plots of a network: its matrix of costs, and its neurons at positions in the plane."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from graphbal.convert import as_network
from graphbal.errors import InputError
from graphbal.plotting._style import GREY, name_points, new_axes, note, power_of_ten
from graphbal.plotting.positions import layout as positions_of
from graphbal.plotting.positions import order_by_structure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from numpy.typing import NDArray

    from graphbal.balance import Equilibrium
    from graphbal.modes import Modes
    from graphbal.network import SynapticNetwork

    Array = NDArray[np.float64]

_MOST_CELLS = 160  # in a row of a heat map
_FEW_CELLS = 1_000  # up to so many with a cost, the colours reach to the extremes
_MOST_NAMES = 40  # along a side of it
_MOST_POINTS = 5_000  # neurons drawn one by one; more are binned
_MOST_LINES = 1_000  # synapses
_HEXAGONS = 45  # in a row
_FEW_NEURONS = 20  # all are named
_EXTREMES = 3  # neurons named, of either sign
_AT_ONCE = 1 << 20  # synapses


def adjacency(network: Any, ax: Any = None) -> Any:
    """Plot the matrix of costs as a heat map; for an equilibrium, before and after balancing.

    Rows are postsynaptic, columns presynaptic neurons, in an order that shows structure: by
    strongly connected component, sources first, so that synapses between components lie below the
    diagonal; within a component by the smoothest mode of its ties, which brings synapses near the
    diagonal [1]_. Components of several neurons are framed. The order is that before balancing.
    Synapses of cost zero, such as those that have vanished, are counted above.

    Parameters
    ----------
    network : Equilibrium or anything `as_network` takes
        What `graphbal.balance` returned, or a network.
    ax : matplotlib.axes.Axes, or two of them for an equilibrium, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        For an equilibrium an array of two.

    Raises
    ------
    InputError
        If there are not as many axes as heat maps, or no neurons.

    Notes
    -----
    O(m) time for m synapses, besides some tens of products for the order. Never an n × n matrix:
    of more than 160 neurons, blocks are added up, so that no side has more than 160.

    References
    ----------
    .. [1] S. T. Barnard, A. Pothen, H. D. Simon, "A spectral algorithm for envelope reduction of
       sparse matrices", Numer Linear Algebra Appl 2(4): 317-334 (1995).
       https://doi.org/10.1002/nla.1680020402

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import adjacency
    >>> adjacency(gb.load_dataset("celegans")).get_xlabel()
    'presynaptic neuron'
    >>> before, after = adjacency(gb.balance("celegans"))
    >>> after.get_title("left")
    'after (not shown: 54 of cost 0)'
    """
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator

    from graphbal.balance import Equilibrium

    if isinstance(network, Equilibrium):
        shown = {"before": network.original, "after": network.network}
    else:
        shown = {"": as_network(network)}
    net = next(iter(shown.values()))
    if net.n_neurons == 0:
        raise InputError("a network without neurons has no matrix to show")
    axes = _axes(ax, len(shown))
    order, bounds = order_by_structure(net)
    each = -(-net.n_neurons // _MOST_CELLS)
    sums = [_summed_costs(one, order, each) for one in shown.values()]
    low, high, beyond = _range_of_costs(sums)
    side = each * len(sums[0])
    for one, (when, its), block in zip(axes, shown.items(), sums, strict=True):
        mesh = one.imshow(
            np.ma.masked_equal(block, 0),
            norm=LogNorm(low, high),
            cmap=_shades(),
            interpolation="nearest",
            extent=(0, side, side, 0),
        )
        one.grid(False)
        _frame_components(one, bounds)
        one.set(xlabel="presynaptic neuron", xticks=[], yticks=[])
        one.set(xlim=(0, net.n_neurons), ylim=(net.n_neurons, 0))
        if net.n_neurons <= _MOST_NAMES:
            _name_rows_and_columns(one, [str(net.neurons[k]) for k in order])
        free = np.count_nonzero(its.costs.data == 0)
        left_out = f"not shown: {free:,} of cost 0" if free else ""
        note(one, f"{when} ({left_out})" if when and free else when or left_out)
    axes[0].set_ylabel("postsynaptic neuron")
    label = "cost" if each == 1 else f"cost, sum over {each} × {each} neurons"
    bar = axes[0].figure.colorbar(mesh, ax=axes, label=label, extend=beyond)
    if high > 100 * low:
        bar.ax.yaxis.set_major_formatter(power_of_ten)
    else:
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        bar.ax.yaxis.set_major_formatter("{x:g}")
    bar.minorticks_off()
    return np.array(axes, dtype=object) if len(axes) > 1 else axes[0]


def potentials_on_layout(eq: Equilibrium, layout: Any = None, ax: Axes | None = None) -> Axes:
    """Plot the neurons at positions in the plane, coloured by their equilibrium potential h.

    The costliest thousand synapses (before balancing) are drawn as lines, the thicker the
    costlier. The three neurons of lowest and of highest potential are named, or all of up to 20. Of
    more than 5,000 neurons, only those six are drawn, above the mean of h per hexagon.

    Parameters
    ----------
    eq : Equilibrium
        What `graphbal.balance` returned.
    layout : DataFrame with columns x and y by neuron, or mapping neuron → (x, y), optional
        Positions, such as those of cell bodies or of a layout of NetworkX; those of
        `graphbal.plotting.layout` by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If a neuron has no position.

    Notes
    -----
    O(m) time for m synapses, besides the layout.

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import potentials_on_layout
    >>> ax = potentials_on_layout(gb.balance("celegans"))
    >>> ax.get_title("left")
    'the costliest 1,000 of 3,709 synapses'
    """
    return _on_layout(eq.original, eq.h, layout, ax, "potential h", clip=True)


def mode_on_layout(modes: Modes, mode: int = 0, layout: Any = None, ax: Axes | None = None) -> Axes:
    """Plot the neurons at positions in the plane, coloured by their entry in an eigenmode.

    Otherwise as `potentials_on_layout`.

    Parameters
    ----------
    modes : Modes
        What `graphbal.eigenmodes` returned.
    mode : int
        Which of them, 0 for the first; the plot says its number in the spectrum.
    layout : DataFrame with columns x and y by neuron, or mapping neuron → (x, y), optional
        Positions; those of `graphbal.plotting.layout` by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new pyplot figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such mode, or a neuron has no position.

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import mode_on_layout
    >>> modes = gb.eigenmodes(gb.ensembles.ring(12), 5)
    >>> mode_on_layout(modes).get_title("left")
    'mode 2, time constant 1.18 (1/γ)'
    """
    count = len(modes.eigenvalues)
    if not (isinstance(mode, Integral) and 0 <= mode < count):
        raise InputError(f"mode is {mode!r}; it must be a whole number from 0 to {count - 1}")
    number = modes.modes.columns[mode]
    title = f"mode {number}, time constant {modes.time_constants[mode]:.3g} (1/γ)"
    values = modes.modes.to_numpy()[:, mode]
    return _on_layout(modes.network, values, layout, ax, f"entry of mode {number}", title=title)


def _axes(ax: Any, count: int) -> list[Axes]:
    """Return as many axes as there are heat maps."""
    if ax is None:
        import matplotlib.pyplot as plt

        size = (3.3 * count + 0.7, 3.1)
        return list(plt.subplots(1, count, figsize=size, layout="constrained", squeeze=False)[1][0])
    axes = [ax] if not hasattr(ax, "__len__") else list(np.ravel(ax))
    if len(axes) != count:
        what = "two axes" if count == 2 else "one"
        raise InputError(
            f"{len(axes)} axes were given; an equilibrium has two heat maps, a network "
            f"one: give {what}"
        )
    return axes


def _summed_costs(net: SynapticNetwork, order: NDArray[np.intp], each: int) -> Array:
    """Return the costs between blocks of so many neurons in the order, [post, pre]."""
    place = np.empty(net.n_neurons, dtype=np.int64)
    place[order] = np.arange(net.n_neurons) // each
    size = -(-net.n_neurons // each)
    costs, total = net.costs, np.zeros(size * size)
    row = np.repeat(place * size, np.diff(costs.indptr))
    for start in range(0, costs.nnz, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        block = row[part] + place[costs.indices[part]]
        total += np.bincount(block, weights=costs.data[part], minlength=total.size)
    return total.reshape(size, size)


def _range_of_costs(sums: list[Array]) -> tuple[float, float, str]:
    """Return the range of the colours, and on which sides there is something beyond."""
    positive = np.concatenate([block[block > 0] for block in sums])
    if not positive.size:
        return 0.1, 1.0, "neither"
    few = positive.size <= _FEW_CELLS or positive.min() == positive.max()
    low, high = np.quantile(positive, (0.0, 1.0) if few else (0.02, 0.98))
    return low if low < high else low / 10, high, "neither" if few else "both"


def _shades() -> LinearSegmentedColormap:
    """Return the colours of costs; the lowest, too, can be seen on white."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    visible = colormaps["YlGnBu"](np.linspace(0.2, 1, 256))
    return LinearSegmentedColormap.from_list("costs", visible)


def _frame_components(ax: Axes, bounds: NDArray[np.intp]) -> None:
    """Draw a frame around each of several components that is large enough to be seen."""
    from matplotlib.patches import Rectangle

    sizes = np.diff(bounds)
    seen = (sizes > 1) & (sizes >= 0.01 * bounds[-1]) & (sizes < bounds[-1])
    for start, size in zip(bounds[:-1][seen], sizes[seen], strict=True):
        ax.add_patch(Rectangle((start, start), size, size, fill=False, color=GREY, linewidth=0.6))


def _name_rows_and_columns(ax: Axes, names: list[str]) -> None:
    size = min(8.0, 150 / len(names))
    ticks = np.arange(len(names)) + 0.5
    ax.set_xticks(ticks, names, rotation=90, fontsize=size)
    ax.set_yticks(ticks, names, fontsize=size)
    ax.tick_params(length=0)


def _on_layout(
    net: SynapticNetwork,
    values: Array,
    layout: Any,
    ax: Axes | None,
    label: str,
    *,
    title: str = "",
    clip: bool = False,
) -> Axes:
    """Draw synapses and neurons, or the mean value per hexagon."""
    xy, flows_down = _placed(net, layout)
    ax = new_axes(ax)
    ax.grid(False)
    ax.set_facecolor("none")
    ax.set(xticks=[], yticks=[], aspect="auto" if flows_down else "equal")
    ax.spines[:].set_visible(False)
    if flows_down:
        ax.set_ylabel("← signal flow")
    by_value = np.argsort(values, kind="stable")
    extreme = np.unique(np.concatenate([by_value[:_EXTREMES], by_value[-_EXTREMES:]]))
    extreme = extreme[np.abs(values[extreme]) > 1e-9]
    if net.n_neurons > _MOST_POINTS:
        mesh = ax.hexbin(
            xy[:, 0],
            xy[:, 1],
            C=values,
            gridsize=_HEXAGONS,
            linewidths=0.1,
            edgecolors="face",
            cmap="RdBu_r",
        )
        label = f"mean {label}"
        said = f"{net.n_neurons:,} neurons in hexagons"
        drawn = extreme
    else:
        mesh = None
        said = _draw_synapses(ax, net, xy)
        ordinary = np.setdiff1d(by_value, extreme)
        # The extreme above the others.
        drawn = np.concatenate([ordinary[np.argsort(np.abs(values[ordinary]))], extreme])
    extent = _extent(values if mesh is None else np.asarray(mesh.get_array()), clip)
    beyond = "both" if np.abs(values[drawn]).max(initial=0.0) > extent else "neither"
    size = float(np.clip(6000 / max(net.n_neurons, 1), 5, 60))
    points = ax.scatter(
        xy[drawn, 0],
        xy[drawn, 1],
        c=values[drawn],
        s=np.where(np.isin(drawn, extreme), max(size, 14), size),
        cmap="RdBu_r",
        vmin=-extent,
        vmax=extent,
        edgecolors="#404040",
        linewidths=0.3,
        zorder=3,
        rasterized=drawn.size > 1000,
    )
    if mesh is not None:
        mesh.set_clim(-extent, extent)
    ax.margins(0.06)
    ax.figure.colorbar(points, ax=ax, label=label, extend=beyond, shrink=0.8)
    note(ax, "\n".join(filter(None, (title, said))))
    named = extreme if net.n_neurons > _FEW_NEURONS else drawn[::-1]
    name_points(ax, xy[named], [str(net.neurons[k]) for k in named])
    return ax


def _extent(values: Array, clip: bool) -> float:
    """Return how far colours reach on either side of zero."""
    magnitude = np.abs(values)
    largest = float(magnitude.max(initial=0.0))
    usual = float(np.quantile(magnitude, 0.98)) if clip and magnitude.size else largest
    # Lest a few pale all others.
    return usual if 0 < 2 * usual < largest else largest or 1.0


def _placed(net: SynapticNetwork, layout: Any) -> tuple[Array, bool]:
    """Return the position of each neuron, and whether signals flow downwards."""
    if layout is None:
        layout = positions_of(net)
    elif isinstance(layout, Mapping):
        index = pd.Index(list(layout), tupleize_cols=False)
        try:
            layout = pd.DataFrame(list(layout.values()), index=index, columns=["x", "y"])
        except ValueError as error:
            raise InputError(f"each position must be a pair (x, y): {error}") from error
    if not isinstance(layout, pd.DataFrame) or not {"x", "y"} <= set(layout):
        raise InputError(
            "the layout must be a DataFrame with the columns x and y by neuron, or a mapping from "
            "neurons to positions (x, y)"
        )
    xy = np.column_stack([net.aligned(layout[axis], f"position {axis}") for axis in "xy"])
    return xy, layout.attrs.get("method") == "signal flow"


def _draw_synapses(ax: Axes, net: SynapticNetwork, xy: Array) -> str:
    """Draw the costliest synapses; say what is not drawn."""
    from matplotlib.collections import LineCollection

    costs = net.costs
    most = min(_MOST_LINES, costs.nnz)
    drawn = np.argpartition(-costs.data, most - 1)[:most] if most else np.empty(0, dtype=np.intp)
    drawn = drawn[np.argsort(costs.data[drawn], kind="stable")]
    drawn = drawn[costs.data[drawn] > 0]
    post = np.searchsorted(costs.indptr, drawn, side="right") - 1
    size = np.sqrt(costs.data[drawn] / costs.data.max()) if drawn.size else np.empty(0)
    lines = LineCollection(
        list(np.stack([xy[costs.indices[drawn]], xy[post]], axis=1)),
        colors=GREY,
        linewidths=0.25 + 1.25 * size,
        alpha=0.45,
        zorder=1,
        rasterized=True,
    )
    ax.add_collection(lines)
    if drawn.size == costs.nnz:
        return ""
    return f"the costliest {drawn.size:,} of {costs.nnz:,} synapses"
