"""Interactive figures: each a Bokeh plot as data that the page draws, with its words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graphbal.report.words import aligned, called, count

Axis = Literal["linear", "log"]

if TYPE_CHECKING:
    from graphbal.compare import Comparison
    from graphbal.report.findings import Findings

BLUE, ORANGE, GREY, TEXT, GRID = "#0173b2", "#de8f05", "#8b929c", "#4d5560", "#e4e7eb"
SERIES = (BLUE, ORANGE, "#029e73", "#d55e00", "#cc78bc", "#7a5195", "#56a0d3", "#8a6d3b")
# From low to high potentials, through none.
SCALE = (BLUE, "#5d9fcc", "#abc8dd", "#d5d9de", "#ecd09f", "#e6b052", ORANGE)
# What each colour becomes on a dark page.
DARK = {
    **dict(zip(SCALE[1:-1], ("#4a8ab3", "#3f647d", "#4b525c", "#7a6539", "#b88b37"), strict=True)),
    BLUE: "#5ab4ee",
    ORANGE: "#f2b03d",
    GREY: "#858d98",
    TEXT: "#b6bdc8",
    GRID: "#2b313a",
    "#029e73": "#3fcfa2",
    "#d55e00": "#ff8a4c",
    "#cc78bc": "#e3a3d7",
    "#7a5195": "#b48fd0",
    "#56a0d3": "#a5d3f3",
    "#8a6d3b": "#c9a86a",
}
_MOST_POINTS = 8_000  # of a kind, on a page
_FEWEST_POINTS = 400  # in a figure
_MOST_LINES = 8
_N_NAMED = 6  # neurons on a map
_N_ENTRIES = 60  # neurons shown of each mode
_MOST_NULLS = 100  # null networks drawn, and the largest |z| that has its place
_FARTHEST = 12.0
_NARROW = 283  # pixels of a figure on a phone
_FONT = "system-ui, sans-serif"


@dataclass(frozen=True)
class Figure:
    """A figure on the page: what it shows, and the data that BokehJS draws it from."""

    id: str
    title: str
    caption: str
    item: dict[str, Any]


def inline_scripts() -> str:
    """Return BokehJS itself; plots need no more of it than its first part."""
    from bokeh.resources import Resources

    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)


def most_points(n_networks: int) -> int:
    """Return how many points a figure holds, so that a page of many networks stays small."""
    return int(np.clip(_MOST_POINTS // n_networks, _FEWEST_POINTS, _MOST_POINTS // 2))


# ---------------------------------------------------------------------- of one network


def network_map(f: Findings, key: str, top: int) -> Figure | None:
    """Draw the neurons in the colours of their potentials; None if they are too many."""
    net = f.network
    if net.n_neurons > top:
        return None
    from bokeh.models import LinearColorMapper, Range1d
    from bokeh.models.annotations import ColorBar

    from graphbal.plotting.positions import layout

    places = layout(net)
    x, y = (places[axis].to_numpy() for axis in ("x", "y"))
    costs = net.costs.data
    most = np.sort(np.argsort(-costs, kind="stable")[:top])
    post = np.searchsorted(net.weights.indptr, most, side="right") - 1
    pre = net.weights.indices[most]
    vanishing = f.eq.topology.vanishing[most]
    plot = _plot("", "", height=460)
    plot.axis.visible = plot.grid.visible = False
    plot.x_range = Range1d(start=-1.08, end=1.08)
    plot.y_range = Range1d(start=-1.1, end=1.14)
    for these, color, alpha, legend in (
        (~vanishing, GREY, float(np.clip(400 / most.size, 0.06, 0.5)), "synapses"),
        (vanishing, "#d55e00", 0.45, "synapses that vanish"),
    ):
        if these.any():
            plot.segment(
                "x0",
                "y0",
                "x1",
                "y1",
                source=_source(
                    x0=x[pre[these]], y0=y[pre[these]], x1=x[post[these]], y1=y[post[these]]
                ),
                color=color,
                alpha=alpha,
                legend_label=legend,
            )
    h, names = f.eq.h, [str(name) for name in net.neurons]
    bound = float(np.abs(h).max()) or 1.0
    groups = {} if f.classes is None else {"group": f.classes.to_numpy()}
    colors = LinearColorMapper(palette=SCALE, low=-bound, high=bound)
    points = plot.scatter(
        "x",
        "y",
        source=_source(x=x, y=y, h=h, neuron=names, **groups),
        size=9 if len(h) < 500 else 6,
        fill_color={"field": "h", "transform": colors},
        line_color=GREY,
    )
    _hover(plot, points, "@neuron", *([("class", "@group")] if groups else []), ("h", "@h{%+.4f}"))
    named: list[int] = []
    for k in np.argsort(-np.abs(h), kind="stable")[: 3 * _N_NAMED]:
        if len(named) < _N_NAMED and all(
            abs(x[k] - x[j]) > 0.3 or abs(y[k] - y[j]) > 0.1 for j in named
        ):
            named.append(int(k))
    _names(plot, x[named], y[named], [names[k] for k in named])
    bar = ColorBar(
        color_mapper=colors,
        major_label_text_color=TEXT,
        major_label_text_font=_FONT,
        major_tick_line_color=None,
        background_fill_color=None,
        width=10,
        padding=8,
    )
    plot.add_layout(bar, "right")
    _legend(plot)
    flows = places.attrs.get("method") == "signal flow"
    words = (
        "Neurons are dots, synapses lines. "
        + ("Signals flow downwards on the whole. " if flows else "")
        + "The colour is the potential at balance: where it is orange, inputs are weakened and "
        "outputs strengthened; where it is blue, the reverse. Some neurons that change much are "
        "named."
    )
    return _figure(
        f"map-{key}",
        "Map of the network",
        words + _left_out(net.n_synapses, most.size, "synapses of the largest cost are drawn"),
        plot,
    )


def incoming_outgoing(f: Findings, key: str, top: int) -> Figure:
    """Draw outgoing against incoming cost of each neuron, before and after."""
    table = f.eq.neurons()
    chosen = np.sort(np.argsort(-np.abs(f.eq.h), kind="stable")[:top])
    names = [str(name) for name in f.network.neurons.take(chosen)]
    plot = _plot("incoming cost", "outgoing cost", x="log", y="log", height=400)
    extent, missing = [], {}
    for when, color, marker in (("before", BLUE, "circle"), ("after", ORANGE, "diamond")):
        incoming = table[f"incoming_{when}"].to_numpy()[chosen]
        outgoing = table[f"outgoing_{when}"].to_numpy()[chosen]
        shown = (incoming > 0) & (outgoing > 0)
        missing[when] = int(np.count_nonzero(~shown))
        extent += [incoming[shown], outgoing[shown]]
        points = plot.scatter(
            "x",
            "y",
            source=_source(
                x=incoming[shown],
                y=outgoing[shown],
                neuron=[name for name, there in zip(names, shown, strict=True) if there],
            ),
            marker=marker,
            size=7 if marker == "circle" else 8,
            color=color,
            fill_alpha=0.55,
            line_alpha=0.9,
            legend_label=when,
        )
        _hover(plot, points, f"@neuron, {when}", ("in", "@x{%.6g}"), ("out", "@y{%.6g}"))
    _diagonal(plot, extent, "balanced")
    _legend(plot)
    words = (
        "Each neuron twice: before balancing (circles), and after (diamonds), when its outgoing "
        "cost equals its incoming cost and it lies on the dashed line."
    )
    hidden = ", ".join(f"{n:,} {when}" for when, n in missing.items() if n)
    if hidden:
        words += f" Without a place on these axes, for want of cost in or out: {hidden}."
    return _figure(
        f"inout-{key}",
        "What comes in and what goes out",
        words + _left_out(f.network.n_neurons, chosen.size, "neurons of the largest |h| are shown"),
        plot,
    )


def potential_strip(f: Findings, key: str, top: int) -> Figure:
    """Draw the potentials, sorted, in the colours of neuron classes where these are known."""
    order = np.argsort(f.eq.h, kind="stable")
    if order.size > top:
        order = order[np.unique(np.linspace(0, order.size - 1, top).astype(int))]
    h, place = f.eq.h[order], np.arange(1, order.size + 1)
    names = np.array([str(name) for name in f.network.neurons.take(order)], dtype=object)
    groups = np.full(order.size, "neuron", dtype=object)
    if f.classes is not None:
        groups = f.classes.to_numpy()[order]
    plot = _plot("neurons, from lowest to highest potential", "potential h", height=400)
    plot.line([1, order.size], [0, 0], color=GREY, line_dash="dashed")
    for group, color in zip(dict.fromkeys(sorted(groups)), _cycle(), strict=False):
        of_group = groups == group
        named = {"legend_label": group} if f.classes is not None else {}
        points = plot.scatter(
            "x",
            "y",
            source=_source(
                x=place[of_group],
                y=h[of_group],
                neuron=names[of_group],
                factor=np.exp(-h[of_group]),
                **({"group": groups[of_group]} if named else {}),
            ),
            size=6,
            color=color,
            fill_alpha=0.6,
            **named,
        )
        _hover(
            plot,
            points,
            "@neuron",
            *([("class", "@group")] if named else []),
            ("h", "@y{%+.4f}"),
            ("inputs ×", "@factor{%.4g}"),
        )
    if f.classes is not None:
        _legend(plot)
    words = (
        "Each neuron once. Above the dashed line, balancing weakens a neuron's inputs and "
        "strengthens its outputs; below it, the reverse."
    )
    if f.classes is not None:
        means = f.eq.potentials.groupby(f.classes).mean().sort_values().round(2)
        texts = aligned(means, signed=True)
        said = [f"{group} {text}" for group, text in zip(means.index, texts, strict=True)]
        words += f" Mean by class: {', '.join(said)}."
    return _figure(
        f"potentials-{key}",
        "The potential of every neuron" if order.size == f.network.n_neurons else "Potentials",
        words + _left_out(f.network.n_neurons, order.size, "neurons, evenly by rank, are shown"),
        plot,
    )


def cost_before_after(f: Findings, key: str, top: int) -> Figure | None:
    """Draw the cost of each synapse after balancing against before; None if nothing is left."""
    net = f.network
    before, after = net.costs.data, f.eq.network.costs.data
    there = np.flatnonzero((before > 0) & (after > 0))
    if there.size == 0:
        return None
    if there.size > top:
        ratio = np.abs(np.log(after[there] / before[there]))
        there = np.sort(there[np.argsort(-ratio, kind="stable")[:top]])
    post = np.searchsorted(net.weights.indptr, there, side="right") - 1
    plot = _plot("cost before", "cost after", x="log", y="log", height=400)
    points = plot.scatter(
        "x",
        "y",
        source=_source(
            x=before[there],
            y=after[there],
            pre=[str(name) for name in net.neurons.take(net.weights.indices[there])],
            post=[str(name) for name in net.neurons.take(post)],
        ),
        size=6,
        color=BLUE,
        fill_alpha=0.35,
        line_alpha=0.6,
    )
    _hover(plot, points, "@pre → @post", ("before", "@x{%.6g}"), ("after", "@y{%.6g}"))
    _diagonal(plot, [before[there]], "unchanged")
    _legend(plot)
    words = "Each synapse once. On the dashed line the cost stays; below it, it falls."
    if f.n_vanishing:
        words += f" Not shown: {count(f.n_vanishing, 'synapse')} whose cost ends at zero."
    n_possible = int(np.count_nonzero((before > 0) & (after > 0)))
    return _figure(
        f"costs-{key}",
        "The cost of every synapse" if there.size == n_possible else "Costs of synapses",
        words
        + _left_out(n_possible, there.size, "synapses of the largest relative change are shown"),
        plot,
    )


def potentials_in_time(f: Findings, key: str) -> Figure | None:
    """Draw the potentials of the neurons that move most, along the flow."""
    if f.trajectory is None:
        return None
    t, h = f.trajectory.t[1:], f.trajectory.h[1:]
    most = np.argsort(-np.abs(h[-1]), kind="stable")[:_MOST_LINES]
    plot = _plot("time, in units of 1/(γ × cost)", "potential h", x="log", height=340)
    for k, (at, color) in enumerate(zip(most, SERIES, strict=False)):
        name = str(f.network.neurons[at])
        line = plot.line(
            "x",
            "y",
            source=_source(x=t, y=h[:, at], neuron=[name] * t.size),
            color=color,
            line_width=2,
            line_dash="solid" if k % 2 == 0 else "dashed",
            legend_label=_short(name),
        )
        _hover(plot, line, "@neuron", ("time", "@x{%.4g}"), ("h", "@y{%+.3f}"))
    _legend(plot)
    return _figure(
        f"movers-{key}",
        "The neurons that move furthest",
        "Their potentials along the flow. "
        + (
            "A line that levels off has found its balance."
            if f.eq.is_finite
            else "Where a line rises or falls for ever, some of the neuron's synapses vanish."
        ),
        plot,
    )


def mode_entries(f: Findings, key: str) -> Figure | None:
    """Draw the entries of the slowest modes by neuron."""
    if f.modes is None:
        return None
    vectors = f.modes.modes.to_numpy()
    names = f.network.neurons
    n_shown = min(_N_ENTRIES, len(names))
    largest = np.argsort(-np.abs(vectors), axis=0, kind="stable")[:n_shown]
    entries = np.take_along_axis(vectors, largest, axis=0)
    mode = np.broadcast_to(np.arange(1, vectors.shape[1] + 1), entries.shape)
    plot = _plot("mode, the slowest first", "size of the mode at a neuron", height=340)
    plot.xaxis.ticker = list(range(1, vectors.shape[1] + 1))
    plot.xgrid.visible = False
    plot.line([0.5, vectors.shape[1] + 0.5], [0, 0], color=GREY, line_dash="dashed")
    points = plot.scatter(
        "x",
        "y",
        source=_source(
            x=mode.ravel(),
            y=entries.ravel(),
            neuron=[str(name) for name in names.take(largest.ravel())],
        ),
        size=8,
        color=BLUE,
        fill_alpha=0.45,
    )
    _hover(plot, points, "@neuron", ("mode", "@x"), ("size", "@y{%+.3f}"))
    _names(plot, mode[0], entries[0], [str(name) for name in names.take(largest[0])])
    plot.y_range.start, plot.y_range.end = min(-0.25, 1.1 * entries.min()), 1.18
    words = (
        "Each dot is a neuron in one of the slowest modes; the neuron where a mode is largest is "
        "named. A mode of one tall dot is a single neuron that hangs on weak synapses."
    )
    if n_shown < len(names):
        words += f" The {n_shown} largest entries of each mode are shown."
    return _figure(f"entries-{key}", "Where the slow modes live", words, plot)


# ---------------------------------------------------------------------- of all networks together


def cost_in_time(findings: Sequence[Findings]) -> Figure | None:
    """Draw the total cost along the flow, relative to the first."""
    flowing = [(f, f.trajectory) for f in findings if f.trajectory is not None]
    if not flowing:
        return None
    plot = _plot("time, in units of 1/(γ × cost)", "total cost, relative", x="log", height=340)
    several = len(findings) > 1
    for (f, trajectory), color in zip(flowing, _cycle(), strict=False):
        t, cost = trajectory.t[1:], trajectory.total_cost.to_numpy()[1:] / f.eq.initial_cost
        line = plot.line(
            "x",
            "y",
            source=_source(x=t, y=cost, network=[f.name] * t.size),
            color=color,
            line_width=2.5,
            **({"legend_label": _short(f.name, 24)} if several else {}),
        )
        final = f.eq.total_cost / f.eq.initial_cost
        plot.line([t[0], t[-1]], [final, final], color=color, line_dash="dashed", line_alpha=0.8)
        _hover(plot, line, "@network", ("time", "@x{%.4g}"), ("cost", "@y{0.0%}"))
    plot.y_range.start, plot.y_range.end = 0, 1.05
    plot.yaxis.formatter = _percentages()
    if several:
        _legend(plot)
    return _figure(
        "flow",
        "The cost along the flow",
        "Every neuron adjusts its potential by a local rule until its costs in and out agree. The "
        "total cost can only fall; the dashed line is where it ends.",
        plot,
    )


def time_constants(findings: Sequence[Findings]) -> Figure | None:
    """Draw the slowest time constants."""
    with_modes = [(f, f.modes) for f in findings if f.modes is not None]
    if not with_modes:
        return None
    plot = _plot("mode, the slowest first", "time constant", y="log", height=340)
    several = len(findings) > 1
    for (f, modes), color in zip(with_modes, _cycle(), strict=False):
        table = modes.table()
        place = np.arange(1, len(table) + 1)
        source = _source(
            x=place,
            y=table["time_constant"].to_numpy(),
            spread=table["participation"].to_numpy(),
            neuron=[str(name) for name in table["peak"]],
            network=[f.name] * len(table),
        )
        named = {"legend_label": _short(f.name, 24)} if several else {}
        plot.line("x", "y", source=source, color=color, line_alpha=0.5, **named)
        points = plot.scatter("x", "y", source=source, color=color, size=9, **named)
        _hover(
            plot,
            points,
            "@neuron",
            *([("network", "@network")] if several else []),
            ("mode", "@x"),
            ("time constant", "@y{%.4g}"),
            ("spread over", "@spread{%.1f} neurons"),
        )
    plot.xaxis.ticker = list(range(1, max(len(modes.eigenvalues) for _, modes in with_modes) + 1))
    if several:
        _legend(plot)
    return _figure(
        "constants",
        "The slowest time constants",
        "How long each of the slowest modes takes to fade to 37 % of its size. Under the pointer: "
        "the neuron where the mode is largest.",
        plot,
    )


def null_distances(compared: Comparison, name: str, key: str) -> Figure | None:
    """Draw every measure of a network, and of its null networks, in units of their spread.

    None if no measure of the null networks varies.
    """
    table = compared.table[compared.table["network"] == name].set_index("measure")
    table = table[table["z"].notna()]
    if table.empty:
        return None
    samples = compared.null_values[compared.null_values["network"] == name]
    samples = samples[samples["sample"] < _MOST_NULLS].set_index("measure")["value"]
    labels = [called(measure) for measure in table.index]
    plot = _plot(
        "standard deviations from the null mean",
        "",
        y_range=labels[::-1],
        height=110 + 21 * len(labels),
    )
    plot.ygrid.visible = False
    x, y = [], []
    for measure, label in zip(table.index, labels, strict=True):
        values = samples.loc[[measure]].to_numpy()
        values = values[np.isfinite(values)]
        x.append((values - table.at[measure, "null_mean"]) / table.at[measure, "null_sd"])
        y += [label] * values.size
    plot.scatter(
        "x",
        "y",
        source=_source(x=np.concatenate(x).clip(-_FARTHEST, _FARTHEST), y=y),
        size=5,
        color=GREY,
        fill_alpha=0.25,
        line_alpha=0,
    )
    z = table["z"].to_numpy()
    for differs, color in ((False, BLUE), (True, ORANGE)):
        these = (table["p_adjusted"].to_numpy() <= 0.05) == differs
        points = plot.scatter(
            "x",
            "y",
            source=_source(
                x=z[these].clip(-_FARTHEST, _FARTHEST),
                y=[label for label, each in zip(labels, these, strict=True) if each],
                z=z[these],
                value=table["value"].to_numpy()[these],
                mean=table["null_mean"].to_numpy()[these],
                p=table["p_adjusted"].to_numpy()[these],
            ),
            marker="diamond",
            size=13,
            color=color,
        )
        _hover(
            plot,
            points,
            "@y",
            ("network", "@value{%.6g}"),
            ("null mean", "@mean{%.6g}"),
            ("z", "@z{%+.1f}"),
            ("adjusted p", "@p{%.3f}"),
        )
    plot.line([0, 0], [labels[-1], labels[0]], color=GREY, line_dash="dashed")
    words = (
        "Each row is a measure: the network as a diamond, its null networks as grey dots, all in "
        "standard deviations from the mean of the null networks. Orange diamonds differ from the "
        "null model at an adjusted p of 0.05, blue ones do not."
    )
    if (np.abs(z) > _FARTHEST).any():
        words += (
            f" Diamonds farther out than ±{_FARTHEST:.0f} are drawn there; the table has their z."
        )
    if (table["n_null"] > _MOST_NULLS).any():
        words += f" Of the null networks {_MOST_NULLS} are drawn."
    return _figure(f"distances-{key}", "Distance from the null model", words, plot)


# ---------------------------------------------------------------------- Bokeh


def _plot(
    x_label: str,
    y_label: str,
    *,
    x: Axis = "linear",
    y: Axis = "linear",
    height: int,
    **options: Any,
) -> Any:
    from bokeh.models import BoxZoomTool, PanTool, ResetTool, SaveTool, WheelZoomTool
    from bokeh.plotting import figure

    zoom = BoxZoomTool()
    if "y_range" not in options:
        options["y_axis_type"] = y
    plot = figure(
        x_axis_type=x,
        x_axis_label=x_label,
        y_axis_label=y_label,
        height=height,
        sizing_mode="stretch_width",
        min_width=240,
        tools=[zoom, PanTool(), WheelZoomTool(), ResetTool(), SaveTool()],
        active_drag=zoom,
        active_scroll=None,
        toolbar_location="above",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        **options,
    )
    plot.toolbar.logo = None
    plot.toolbar.stylesheets = ["@media print { :host { display: none; } }"]
    for axis in plot.axis:
        axis.axis_line_color = axis.major_tick_line_color = GREY
        axis.minor_tick_line_color = None
        axis.axis_label_text_color = axis.major_label_text_color = TEXT
        axis.axis_label_text_font = axis.major_label_text_font = _FONT
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = "13px"
        axis.major_label_text_font_size = "12px"
    plot.grid.grid_line_color = GRID
    return plot


def _source(**columns: Any) -> Any:
    """Return columns for glyphs; seven digits of a number are more than a screen can show."""
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(
        {
            name: _single(values) if _is_floating(values) else list(values)
            for name, values in columns.items()
        }
    )


def _single(values: Any) -> Any:
    """Return numbers in single precision, unless it cannot hold them."""
    size = np.abs(values[values != 0])
    return values if ((size < 1e-37) | (size > 1e37)).any() else values.astype(np.float32)


def _is_floating(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == "f"


def _hover(plot: Any, renderer: Any, title: str, *rows: tuple[str, str]) -> None:
    """Say what is under the pointer. Bokeh escapes what it puts in the place of "@neuron"."""
    from bokeh.models import HoverTool

    lines = "".join(f"<div>{label} <b>{value}</b></div>" for label, value in rows)
    tooltips = f'<div style="font-size:13px"><div><b>{title}</b></div>{lines}</div>'
    numbers = re.findall(r"@\w+(?={%)", lines)
    plot.add_tools(
        HoverTool(
            renderers=[renderer],
            tooltips=tooltips,
            formatters=dict.fromkeys(numbers, "printf"),
            point_policy="follow_mouse",
            visible=False,
        )
    )


def _names(plot: Any, x: Any, y: Any, names: Sequence[str]) -> None:
    """Write names above points."""
    plot.text(
        "x",
        "y",
        text="neuron",
        source=_source(x=x, y=y, neuron=[_short(name) for name in names]),
        y_offset=-7,
        text_align="center",
        text_baseline="bottom",
        text_font={"value": _FONT},
        text_font_size="11px",
        text_color=TEXT,
    )


def _diagonal(plot: Any, values: Sequence[Any], label: str) -> None:
    """Draw the line on which both axes are equal."""
    present = [v for v in values if v.size]
    if not present:
        return
    ends = [float(min(v.min() for v in present)), float(max(v.max() for v in present))]
    plot.line(ends, ends, color=GREY, line_dash="dashed", line_width=1.5, legend_label=label)


def _legend(plot: Any) -> None:
    """Put the legend above the plot, where it covers no point; a click hides what it names."""
    (legend,) = plot.legend
    plot.add_layout(legend, "above")
    legend.orientation = "horizontal"
    legend.location = "left"
    legend.ncols = _n_columns([item.label.value for item in legend.items])
    legend.click_policy = "hide"
    legend.background_fill_color = legend.border_line_color = None
    legend.label_text_color = TEXT
    legend.label_text_font = _FONT
    legend.label_text_font_size = "12px"
    legend.padding = legend.margin = 0
    legend.spacing = 14


def _n_columns(labels: Sequence[str]) -> int:
    """Return how many columns of labels fit beside each other on a phone."""
    for n in range(4, 1, -1):
        widest = [max(map(len, labels[column::n]), default=0) for column in range(n)]
        if sum(40 + 7 * width for width in widest) <= _NARROW:
            return n
    return 1


def _percentages() -> Any:
    from bokeh.models import NumeralTickFormatter

    return NumeralTickFormatter(format="0%")


def _cycle() -> Iterator[str]:
    while True:
        yield from SERIES


def _short(name: str, most: int = 14) -> str:
    half = most // 2  # names of a kind often differ at their ends
    return name if len(name) <= most else f"{name[:half]}…{name[1 - half :]}"


def _left_out(n_all: int, n_shown: int, what: str) -> str:
    return "" if n_shown >= n_all else f" Of {n_all:,}, the {n_shown:,} {what}."


def _figure(id: str, title: str, caption: str, plot: Any) -> Figure:
    """Return the plot as data, under names that depend on nothing but the plot."""
    from bokeh.core.types import ID
    from bokeh.embed import json_item

    item: dict[str, Any] = dict(json_item(plot, ID(id)))
    names: dict[str, str] = {}
    item = _renamed(item, names)
    item["root_id"] = names[item["root_id"]]
    return Figure(id, title, caption, item)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """Return the data with its models numbered from 1; Bokeh counts through those of a process."""
    if isinstance(value, dict):
        return {
            key: names.setdefault(part, f"m{len(names) + 1}")
            if key == "id" and isinstance(part, str)
            else _renamed(part, names)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [_renamed(part, names) for part in value]
    return value
