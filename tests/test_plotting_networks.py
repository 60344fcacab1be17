"""Matrices, layouts, strips and comparisons: what is drawn is right, and what is not is said."""

import subprocess
import sys
from itertools import pairwise

import matplotlib as mpl
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import graphbal as gb
from graphbal import plotting
from graphbal.ensembles import chain, connectome_like, dense_gaussian, directed_cycle, ring
from graphbal.plotting import networks, positions, strips


@pytest.fixture(scope="module")
def worm():
    return gb.balance("celegans")


@pytest.fixture(scope="module")
def brain():
    return gb.balance(connectome_like(6_000, 60_000))


@pytest.fixture
def ax():
    return Figure(figsize=(3.5, 3.1), layout="constrained").add_subplot()


def two_axes():
    return Figure(figsize=(7, 3.1), layout="constrained").subplots(1, 2)


def within_the_figure(figure):
    figure.draw_without_rendering()
    bounds, size = figure.get_tightbbox().extents, figure.bbox_inches.extents
    return (bounds[:2] >= size[:2] - 0.01).all() and (bounds[2:] <= size[2:] + 0.01).all()


def names_in(ax):
    return {text.get_text() for text in ax.texts}


def layered(widths=(4, 8, 8, 4), seed=0):
    """A feed-forward network; every neuron contacts half of the next layer."""
    rng = np.random.default_rng(seed)
    graph = nx.DiGraph()
    for layer, (width, following) in enumerate(pairwise(widths)):
        for k in range(width):
            for target in rng.choice(following, following // 2, replace=False):
                graph.add_edge((layer, k), (layer + 1, int(target)))
    return graph


NOTHING_SURVIVES = nx.DiGraph([(0, 1), (1, 2)])
ODD = {
    "one synapse": nx.DiGraph([("a", "b")]),
    "limit": NOTHING_SURVIVES,
    "balanced": nx.cycle_graph(5, create_using=nx.DiGraph),
    "tuples": nx.DiGraph([((0, 1), (1, 0)), ((1, 0), (0, 1)), ((1, 0), (2, 2))]),
    "isolated": nx.DiGraph([(0, 1), (1, 0), (2, 2)]),
    "huge": nx.DiGraph([(0, 1, {"weight": 1e150}), (1, 0, {"weight": 1e-150})]),
}


# ------------------------------------------------------------------ order


@pytest.mark.parametrize("name", ["celegans", "celegans-gap", "witvliet-1"])
def test_the_order_is_a_permutation_along_the_components(name):
    net = gb.load_dataset(name)
    order, bounds = positions.order_by_structure(net)
    np.testing.assert_array_equal(np.sort(order), np.arange(net.n_neurons))
    top = gb.topology(net)
    along = top.component_numbers[order]
    assert (np.diff(along) >= 0).all()
    np.testing.assert_array_equal(np.diff(bounds), top.component_sizes)


@pytest.mark.parametrize("n", [50, 1_500])
def test_a_shuffled_chain_is_put_in_order(n):
    shuffled = np.random.default_rng(0).permutation(n)
    weights = chain(n).weights[shuffled][:, shuffled]
    order = shuffled[positions.order_by_structure(gb.as_network(weights))[0]]
    assert order.tolist() in (list(range(n)), list(range(n))[::-1])


def test_the_two_halves_of_a_network_are_kept_apart():
    rng = np.random.default_rng(0)
    half = rng.permutation(np.repeat([0, 1], 600))
    ties = rng.random((1200, 1200)) < np.where(half[:, None] == half, 0.05, 0.005)
    order, _ = positions.order_by_structure(gb.as_network(ties.astype(float)))
    assert np.count_nonzero(np.diff(half[order])) == 1


def test_regularised_modes_are_those_of_the_dense_matrix(monkeypatch):
    monkeypatch.setattr("graphbal.solvers.laplacian.SMALL", 100)
    net = connectome_like(300, 3_000)
    links = positions._links(net)
    ties = (links + links.T).tocsr()
    modes = positions._regularised_modes(ties, 2, seed=0)
    dense = ties.toarray() + ties.sum() / 300**2
    root = np.sqrt(dense.sum(axis=0))
    expected = np.linalg.eigvalsh(dense / np.outer(root, root))[-3:-1][::-1]
    vectors = modes * root[:, None]
    found = np.einsum("km,kl,lm->m", vectors, dense / np.outer(root, root), vectors)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(root @ vectors, 0, atol=1e-4)


# ------------------------------------------------------------------ adjacency


def image(ax):
    return ax.images[0].get_array().filled(0)


def test_cells_are_the_costs_in_their_order(ax):
    net = connectome_like(100, 900)
    plotting.adjacency(net, ax)
    order, _ = positions.order_by_structure(net)
    np.testing.assert_array_equal(image(ax), net.costs[order][:, order].toarray())
    assert ax.get_title("left") == ""


def test_blocks_are_sums_of_costs_before_and_after_and_lose_nothing(worm):
    axes = two_axes()
    assert list(plotting.adjacency(worm, axes)) == list(axes)
    order, _ = positions.order_by_structure(worm.original)
    for one, net in zip(axes, (worm.original, worm.network), strict=True):
        dense = np.zeros((302, 302))
        dense[:, :] = net.costs[order][:, order].toarray()
        blocks = dense.reshape(151, 2, 151, 2).sum(axis=(1, 3))
        np.testing.assert_allclose(image(one), blocks, rtol=1e-12)
        assert image(one).sum() == pytest.approx(net.total_cost)
    assert axes[0].images[0].get_clim() == axes[1].images[0].get_clim()
    assert f"{worm.topology.vanishing.sum()} of cost 0" in axes[1].get_title("left")


def test_a_large_matrix_is_small_and_its_sums_are_in_parts(brain, ax, monkeypatch):
    monkeypatch.setattr(networks, "_AT_ONCE", 1 << 10)
    plotting.adjacency(brain.original, ax)
    assert max(image(ax).shape) <= networks._MOST_CELLS
    assert image(ax).sum() == pytest.approx(brain.initial_cost)


def test_synapses_between_components_lie_below_the_diagonal_and_components_are_framed(ax):
    plotting.adjacency(layered(), ax)
    assert not np.triu(image(ax)).any()
    assert not ax.patches
    net = gb.load_dataset("witvliet-1")
    ax = Figure().add_subplot()
    plotting.adjacency(net, ax)
    sizes = gb.topology(net).component_sizes
    frames = [patch.get_width() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert frames == [size for size in sizes if size > 1 and size >= 0.01 * net.n_neurons]


def test_few_neurons_are_named_along_both_sides(ax):
    net = ring(12)
    plotting.adjacency(net, ax)
    order, _ = positions.order_by_structure(net)
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [label.get_text() for label in labels] == [str(k) for k in order]
    assert within_the_figure(ax.figure)


def test_one_cost_for_all_has_colours_too(ax):
    plotting.adjacency(nx.cycle_graph(2_000, create_using=nx.DiGraph), ax)
    low, high = ax.images[0].get_clim()
    assert low < high
    ax.figure.draw_without_rendering()


def test_as_many_axes_as_heat_maps_are_asked_for(worm, ax):
    with pytest.raises(gb.InputError, match="two axes"):
        plotting.adjacency(worm, ax)
    with pytest.raises(gb.InputError, match="2 axes were given"):
        plotting.adjacency(worm.original, two_axes())
    with pytest.raises(gb.InputError, match="without neurons"):
        plotting.adjacency(np.zeros((0, 0)), ax)


# ------------------------------------------------------------------ layout


def test_a_layout_is_the_same_for_the_same_seed_and_fills_the_square():
    for net in (gb.load_dataset("celegans"), ring(40), connectome_like(1_500, 15_000)):
        xy = plotting.layout(net, seed=1)
        assert xy.equals(plotting.layout(net, seed=1))
        assert xy.index.equals(net.neurons)
        np.testing.assert_allclose(xy.agg(["min", "max"]), [[-1, -1], [1, 1]])


def test_heights_solve_the_least_squares_problem_of_signal_flow():
    graph = layered()
    graph.add_edges_from([(v, u) for u, v in list(graph.edges)[:5]])  # both ways
    net = gb.as_network(graph)
    xy = plotting.layout(net)
    assert xy.attrs["method"] == "signal flow"
    edges = net.edges()
    place = {label: k for k, label in enumerate(net.neurons)}
    one_way = np.array(
        [not graph.has_edge(v, u) for u, v in zip(edges.pre, edges.post, strict=True)]
    )
    steps = np.zeros((len(edges), net.n_neurons))
    steps[np.arange(len(edges)), edges.pre.map(place)] += 1
    steps[np.arange(len(edges)), edges.post.map(place)] -= 1
    height = np.linalg.lstsq(steps, one_way.astype(float))[0]
    expected = 2 * (height - height.min()) / np.ptp(height) - 1
    np.testing.assert_allclose(xy["y"], expected, atol=1e-9)


def test_layers_are_level_and_signals_flow_down():
    graph = layered()
    y = plotting.layout(graph)["y"]
    for layer, height in enumerate([1, 1 / 3, -1 / 3, -1]):
        members = [label for label in y.index if label[0] == layer]
        np.testing.assert_allclose(y[members], height, atol=1e-9)


def test_a_ring_stays_a_ring():
    for n in (40, 1_500):
        xy = plotting.layout(ring(n))
        turn = np.diff(np.unwrap(np.arctan2(xy["y"], xy["x"])))
        assert (turn > 0).all() or (turn < 0).all()


@pytest.mark.parametrize(
    ("net", "method"),
    [
        (gb.load_dataset("witvliet-8"), "signal flow"),
        (gb.load_dataset("celegans-gap"), "spring"),
        (directed_cycle(9), "spring"),
        (dense_gaussian(60), "spring"),
        (connectome_like(1_500, 30_000), "spectral"),
    ],
)
def test_the_method_suits_the_network(net, method):
    assert plotting.layout(net).attrs["method"] == method


def test_neurons_without_synapses_are_not_on_top_of_each_other():
    assert plotting.layout(np.zeros((1, 1))).to_numpy().tolist() == [[0.0, 0.0]]
    assert len(plotting.layout(np.zeros((0, 0)))) == 0
    xy = plotting.layout(np.zeros((6, 6))).to_numpy()
    apart = np.linalg.norm(xy[:, None] - xy, axis=2)[np.triu_indices(6, 1)]
    assert apart.min() > 0.05


# ------------------------------------------------------------------ on a layout


def test_neurons_are_where_the_layout_says_in_the_colour_of_h(worm, ax):
    layout = plotting.layout(worm.original)
    assert plotting.potentials_on_layout(worm, layout, ax) is ax
    points = ax.collections[1]
    drawn = zip(points.get_offsets().tolist(), points.get_array(), strict=True)
    at = {tuple(xy): h for xy, h in drawn}
    expected = {(row.x, row.y): worm.potentials[row.Index] for row in layout.itertuples()}
    assert at == expected
    low, high = points.get_clim()
    assert low == -high
    assert within_the_figure(ax.figure)


def test_lines_are_the_costliest_synapses_and_the_rest_are_counted(worm, ax):
    layout = plotting.layout(worm.original)
    plotting.potentials_on_layout(worm, layout, ax)
    edges = worm.original.edges()
    costliest = edges.nlargest(1_000, "cost", keep="all")
    xy = layout.to_numpy()
    pre, post = map(worm.original.positions, (costliest.pre, costliest.post))
    ends = {(tuple(xy[a]), tuple(xy[b])) for a, b in zip(pre, post, strict=True)}
    drawn = [tuple(map(tuple, segment.tolist())) for segment in ax.collections[0].get_segments()]
    assert len(drawn) == 1_000
    assert set(drawn) <= ends
    assert ax.get_title("left") == f"the costliest 1,000 of {len(edges):,} synapses"


def test_the_extreme_neurons_are_named(worm, ax):
    plotting.potentials_on_layout(worm, ax=ax)
    h = worm.potentials.sort_values()
    assert names_in(ax) <= {*h.index[:3], *h.index[-3:]}
    assert len(names_in(ax)) >= 4


def test_all_of_few_neurons_are_named(ax):
    plotting.potentials_on_layout(gb.balance(ring(10)), ax=ax)
    assert names_in(ax) == {str(k) for k in range(10)}


def test_names_cover_no_other_name(brain, worm):
    for eq in (worm, brain):
        ax = Figure(figsize=(3.5, 3.1), layout="constrained").add_subplot()
        plotting.potentials_on_layout(eq, ax=ax)
        ax.figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in ax.texts]
        for k, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:k])


def test_many_neurons_are_means_in_hexagons_and_the_extreme_ones(brain, ax):
    net = brain.original
    left = np.arange(net.n_neurons) % 3 == 0
    layout = pd.DataFrame({"x": np.where(left, 0.0, 1.0), "y": np.where(left, 0.0, 1.0)})
    plotting.potentials_on_layout(brain, layout, ax)
    hexagons, points = ax.collections
    means = np.sort([brain.h[left].mean(), brain.h[~left].mean()])
    np.testing.assert_allclose(np.sort(hexagons.get_array()), means)
    h = np.sort(brain.h)
    np.testing.assert_array_equal(np.sort(points.get_array()), [*h[:3], *h[-3:]])
    assert "6,000 neurons in hexagons" in ax.get_title("left")


def test_layouts_of_networkx_will_do(ax):
    graph = layered()
    at = nx.circular_layout(graph)
    plotting.potentials_on_layout(gb.balance(graph), at, ax)
    drawn = {tuple(xy) for xy in ax.collections[1].get_offsets().tolist()}
    assert drawn == {tuple(xy) for xy in np.array(list(at.values()), float).tolist()}


@pytest.mark.parametrize(
    ("layout", "why"),
    [
        (pd.DataFrame({"x": [0.0], "y": [0.0]}, index=[0]), "no position x for the neuron 1"),
        (pd.DataFrame({"x": [0.0, np.nan, 1], "y": 0.0}), "position x of the neuron 1 is nan"),
        (pd.DataFrame({"a": [0.0] * 3}), "columns x and y"),
        ([(0, 0)] * 3, "columns x and y"),
        ({0: 1.0, 1: 2.0, 2: 3.0}, "pair"),
    ],
)
def test_a_layout_without_a_place_for_every_neuron_is_refused(layout, why):
    with pytest.raises(gb.InputError, match=why):
        plotting.potentials_on_layout(gb.balance(NOTHING_SURVIVES), layout)


def test_a_mode_is_drawn_by_its_entries_and_named_by_its_number(ax):
    modes = gb.eigenmodes(ring(30), 4)
    plotting.mode_on_layout(modes, 2, ax=ax)
    entries = modes.modes.iloc[:, 2]
    np.testing.assert_array_equal(np.sort(ax.collections[1].get_array()), np.sort(entries))
    number = modes.modes.columns[2]
    constant = f"{modes.time_constants[2]:.3g}"
    assert ax.get_title("left") == f"mode {number}, time constant {constant} (1/γ)"
    for wrong in (4, -1, 1.5, "slow"):
        with pytest.raises(gb.InputError, match="from 0 to 3"):
            plotting.mode_on_layout(modes, wrong)


# ------------------------------------------------------------------ strips


def rows_of(ax):
    """Return the potentials of each row, bottom up, and their heights."""
    points = [line for line in ax.lines if line.get_marker() == "o"]
    return [line.get_data() for line in points]


def test_every_neuron_is_in_the_row_of_its_class_sorted(worm, ax):
    classes = gb.datasets.neuron_classes()
    plotting.potential_strip(worm, classes, ax)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    medians = []
    for label, (h, height) in zip(labels, rows_of(ax), strict=True):
        name, count = label.rstrip(")").split(" (")
        members = classes.index[classes == name].intersection(worm.original.neurons)
        assert int(count) == len(members)
        np.testing.assert_array_equal(h, np.sort(worm.potentials[members]))
        assert (np.diff(height) > 0).all()
        medians.append(np.median(h))
    assert medians == sorted(medians)
    marked = [line.get_xdata()[0] for line in ax.lines if line.get_color() == strips.ORANGE]
    assert marked == medians
    assert within_the_figure(ax.figure)


def test_the_ends_of_a_row_are_named(worm, ax):
    plotting.potential_strip(worm, gb.datasets.neuron_classes(), ax)
    h = worm.potentials
    assert {h.idxmin(), h.idxmax()} <= names_in(ax)
    ends = {h.idxmin(): "right", h.idxmax(): "left"}
    assert {text.get_text(): text.get_ha() for text in ax.texts}.items() >= ends.items()


def test_neurons_without_a_class_are_unclassified_and_small_classes_are_pooled(ax):
    eq = gb.balance(ring(40))
    plotting.potential_strip(eq, {0: "a", 1: "a", 2: np.nan}, ax)
    labels = {label.get_text() for label in ax.get_yticklabels()}
    assert labels == {"a (2)", "unclassified (38)"}
    ax = Figure().add_subplot()
    plotting.potential_strip(eq, np.minimum(np.arange(40), 20), ax)
    labels = {label.get_text() for label in ax.get_yticklabels()}
    assert len(labels) == 12
    assert "10 other classes (10)" in labels
    assert "20 (20)" in labels


def test_classes_that_make_no_sense_are_refused():
    eq = gb.balance(ring(4))
    with pytest.raises(gb.InputError, match="neuron 1 has two classes"):
        plotting.potential_strip(eq, pd.Series(["a", "b"], index=[1, 1]))
    with pytest.raises(gb.InputError, match="no neuron of this network has a class"):
        plotting.potential_strip(eq, gb.datasets.neuron_classes())
    with pytest.raises(gb.InputError, match="3 classes were given for 4 neurons"):
        plotting.potential_strip(eq, ["a"] * 3)


def test_many_neurons_are_quantiles_with_both_ends(brain, ax):
    plotting.potential_strip(brain, ax=ax)
    ((h, _),) = rows_of(ax)
    expected = np.quantile(brain.h, np.linspace(0, 1, 1_000), method="nearest")
    np.testing.assert_allclose(h, expected, atol=np.ptp(brain.h) / 50)
    assert (h[0], h[-1]) == (brain.h.min(), brain.h.max())
    assert "1,000 quantiles" in ax.get_title("left")


# ------------------------------------------------------------------ odd networks


@pytest.mark.parametrize("name", ODD)
def test_odd_networks_can_be_drawn(name):
    eq = gb.balance(gb.as_network(ODD[name], p=1))
    plotting.adjacency(eq, axes := two_axes())
    axes[0].figure.draw_without_rendering()
    for plot in (plotting.potentials_on_layout, plotting.potential_strip):
        ax = Figure(figsize=(3.5, 3.1), layout="constrained").add_subplot()
        plot(eq, ax=ax)
        assert within_the_figure(ax.figure)


def test_a_network_without_synapses_has_an_empty_matrix(ax):
    plotting.adjacency(np.zeros((3, 3)), ax)
    assert not image(ax).any()
    ax.figure.draw_without_rendering()


# ------------------------------------------------------------------ comparisons


@pytest.fixture(scope="module")
def compared():
    """What `compare` returns, made up: three networks, four measures, one of them odd."""
    rng = np.random.default_rng(0)
    rows, samples = [], []
    for k, network in enumerate(["worm", "fly", "mouse"]):
        for measure in ("drop", "imbalance_of_all", "constant", "odd"):
            null = rng.normal(k, 1, 200) if measure != "constant" else np.full(200, 3.0)
            if measure == "odd":
                null[:7] = np.nan, np.inf, -np.inf, np.nan, np.nan, np.nan, np.nan
            value = np.nan if (measure, network) == ("odd", "fly") else k + 2.5
            rows.append((network, measure, value, null[7:].mean(), null[7:].std(), k / 20))
            samples += [(network, s, measure, v) for s, v in enumerate(null)]
    columns = ["network", "measure", "value", "null_mean", "null_sd", "p_adjusted"]
    table = pd.DataFrame(rows, columns=columns).assign(z=2.5, p_value=0.01)
    return table, pd.DataFrame(samples, columns=["network", "sample", "measure", "value"])


def test_the_histogram_holds_every_null_network_and_the_value_is_marked(compared, ax):
    table, null_values = compared
    assert plotting.null_distribution(null_values, table, "fly", "drop", ax) is ax
    heights, edges, _ = ax.patches[0].get_data()
    chosen = null_values[(null_values.network == "fly") & (null_values.measure == "drop")].value
    assert heights.sum() == 200
    np.testing.assert_array_equal(heights, np.histogram(chosen, edges)[0])
    (line,) = ax.lines
    assert line.get_xdata()[0] == 3.5
    assert ax.get_title("left") == "3.5, z = 2.5, p = 0.01, adjusted 0.05"
    assert ax.get_xlim()[0] < chosen.min()
    assert ax.get_xlim()[1] > 3.5
    assert within_the_figure(ax.figure)


def test_a_long_name_stays_within_the_figure(compared, ax):
    table, null_values = compared
    long = {"fly": "the-connectome-of-a-fly.csv.gz"}
    tables = (each.replace({"network": long}) for each in (null_values, table))
    plotting.null_distribution(*tables, long["fly"], "drop", ax)
    assert within_the_figure(ax.figure)


def test_what_is_not_finite_is_left_out_and_counted(compared, ax):
    table, null_values = compared
    plotting.null_distribution(null_values, table, "fly", "odd", ax)
    assert ax.patches[0].get_data()[0].sum() == 193
    assert not ax.lines
    title = ax.get_title("left")
    assert "left out: 7 not finite" in title
    assert "fly: no finite value" in title


def test_equal_null_values_are_one_bar(compared, ax):
    table, null_values = compared
    plotting.null_distribution(null_values, table, "worm", "constant", ax)
    heights, edges, _ = ax.patches[0].get_data()
    assert heights.tolist() == [200]
    assert edges[0] < 3 < edges[1]
    ax.figure.draw_without_rendering()


def test_an_unknown_network_or_measure_is_refused_with_those_there_are(compared):
    table, null_values = compared
    with pytest.raises(gb.InputError, match=r"no measure 'dorp'.*drop, imbalance.*worm, fly"):
        plotting.null_distribution(null_values, table, "fly", "dorp")
    with pytest.raises(gb.InputError, match="network 'human'"):
        plotting.null_distribution(null_values, table, "human", "drop")
    with pytest.raises(gb.InputError, match="no column 'value'"):
        plotting.comparison_grid(table.drop(columns="value"))
    with pytest.raises(gb.InputError, match="empty"):
        plotting.comparison_grid(table[:0])


@pytest.fixture(autouse=True)
def no_windows():
    mpl.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_the_grid_has_a_panel_for_each_measure_and_a_point_for_each_network(compared):
    table, null_values = compared
    grid = plotting.comparison_grid(table, null_values)
    assert list(grid.axes_dict) == ["drop", "imbalance_of_all", "constant", "odd"]
    for measure, ax in grid.axes_dict.items():
        assert ax.get_title() == measure.replace("_", " ")
        values = table[table.measure == measure].value
        drawn = [line for line in ax.lines if line.get_marker() == "o"]
        assert [line.get_xdata()[0] for line in drawn] == values.dropna().tolist()
        assert len([line for line in ax.lines if line.get_marker() == "x"]) == values.isna().sum()
    first, second, third = (
        line for line in grid.axes_dict["drop"].lines if line.get_marker() == "o"
    )
    assert to_rgba(first.get_markerfacecolor()) == to_rgba(first.get_markeredgecolor())
    for hollow in (second, third):  # p of 0.05 and 0.1
        assert hollow.get_markerfacecolor() == "white"
    labels = [label.get_text() for label in grid.axes_dict["drop"].get_yticklabels()]
    assert labels == ["worm", "fly", "mouse"]
    assert grid.axes_dict["drop"].yaxis_inverted()


@pytest.mark.parametrize("n_measures", [1, 2, 4])
def test_the_explanation_fits_above_a_small_grid(compared, n_measures):
    table, null_values = compared
    some = table[table["measure"].isin(table["measure"].unique()[:n_measures])]
    assert within_the_figure(plotting.comparison_grid(some, null_values).figure)


def test_bars_of_the_grid_hold_what_is_said(compared):
    table, null_values = compared

    def bars(grid):
        lines = grid.axes_dict["drop"].lines
        return [line.get_xdata() for line in lines if line.get_marker() in ("", "None", None)]

    half, most = bars(plotting.comparison_grid(table, null_values))[:2]
    chosen = null_values[(null_values.network == "worm") & (null_values.measure == "drop")].value
    np.testing.assert_allclose(half, np.quantile(chosen, [0.25, 0.75]))
    np.testing.assert_allclose(most, np.quantile(chosen, [0.025, 0.975]))
    (first, *_) = bars(plotting.comparison_grid(table))
    row = table.iloc[0]
    np.testing.assert_allclose(first, row.null_mean + 1.96 * row.null_sd * np.array([-1, 1]))


@pytest.mark.parametrize(("n_networks", "n_measures"), [(1, 6), (10, 20)])
def test_a_grid_of_many_measures_can_be_read(n_networks, n_measures):
    measures = [f"a measure with a long name number {k}" for k in range(n_measures)]
    table = pd.DataFrame(
        [
            (f"network {j}", m, 10.0 ** (k - 8) * j)
            for j in range(n_networks)
            for k, m in enumerate(measures)
        ],
        columns=["network", "measure", "value"],
    )
    before = dict(mpl.rcParams)
    grid = plotting.comparison_grid(table)
    assert dict(mpl.rcParams) == before
    assert within_the_figure(grid.figure)
    boxes = [ax.get_tightbbox() for ax in grid.axes.flat]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])


def test_measures_of_real_networks_fill_the_grid():
    table = gb.compare(["witvliet-1", "witvliet-2"], ["reciprocity", "relative_drop"])
    grid = plotting.comparison_grid(table)
    assert len(grid.axes_dict) == 2
    assert within_the_figure(grid.figure)


# ------------------------------------------------------------------ style


def test_plots_follow_seaborns_theme_without_a_grid_over_the_matrix(worm):
    import seaborn as sns

    with mpl.rc_context():
        sns.set_theme()
        axes = plotting.adjacency(worm)
        ax = plotting.potentials_on_layout(worm)
        strip = plotting.potential_strip(worm, gb.datasets.neuron_classes())
    for one in (*axes, ax):
        assert not any(line.get_visible() for line in one.get_xgridlines() if line.get_xdata())
    assert strip.get_facecolor() == to_rgba("#EAEAF2")


def test_seaborn_is_imported_by_the_plot_that_needs_it_alone():
    code = (
        "import sys, graphbal as gb; from matplotlib.figure import Figure; "
        "ax = Figure().add_subplot(); eq = gb.balance([[0, 1], [2, 0]]); "
        "gb.plotting.potentials_on_layout(eq, ax=ax); gb.plotting.potential_strip(eq, ax=ax); "
        "print('seaborn' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.strip() == "False"
