"""The plots show all that there is, and say what they cannot show."""

import importlib

import networkx as nx
import numpy as np
import pytest
from matplotlib.figure import Figure

import graphbal as gb
from graphbal import plotting
from graphbal.ensembles import connectome_like, directed_cycle
from graphbal.plotting import _style, equilibria

PLOTS = [
    plotting.cost_before_after,
    plotting.incoming_outgoing,
    plotting.potential_distribution,
]


@pytest.fixture(scope="module")
def worm():
    return gb.balance("celegans")


@pytest.fixture(scope="module")
def brain():
    return gb.balance(connectome_like(15_000, 300_000))


def drawn(plot, eq):
    """Draw on new axes, render, and return the axes."""
    figure = Figure(figsize=(3.5, 3.1), layout="constrained")
    ax = figure.add_subplot()
    assert plot(eq, ax) is ax
    figure.draw_without_rendering()
    return ax


def points(ax, label):
    (line,) = (line for line in ax.lines if line.get_label() == label)
    return line.get_data()


def counts(ax):
    return [mesh.get_array() for mesh in ax.collections]


@pytest.mark.parametrize("plot", PLOTS)
def test_without_axes_a_plot_makes_its_own(plot, worm):
    plt = importlib.import_module("matplotlib.pyplot")
    plt.switch_backend("Agg")
    first, second = plot(worm), plot(worm)
    assert first.figure is not second.figure
    plt.close("all")


@pytest.mark.parametrize("plot", PLOTS)
def test_nothing_reaches_beyond_the_figure(plot, worm, brain):
    for eq in (worm, brain):
        ax = drawn(plot, eq)
        bounds, figure = ax.figure.get_tightbbox().extents, ax.figure.bbox_inches.extents
        assert (bounds[:2] >= figure[:2] - 0.01).all()
        assert (bounds[2:] <= figure[2:] + 0.01).all()
        assert ax.get_xlabel()
        assert ax.get_ylabel()


def test_every_surviving_synapse_is_a_point_and_the_vanishing_are_counted(worm):
    ax = drawn(plotting.cost_before_after, worm)
    edges = worm.edges()
    kept = edges[~edges["vanishes"]]
    before, after = points(ax, "synapses")
    np.testing.assert_allclose(before, kept["cost"])
    np.testing.assert_allclose(after, kept["balanced_cost"])
    assert f"{edges['vanishes'].sum()} vanishing synapses" in ax.get_title("left")
    for limits, values in ((ax.get_xlim(), before), (ax.get_ylim(), after)):
        assert limits[0] < values.min()
        assert limits[1] > values.max()


def test_synapses_that_never_cost_anything_are_counted_apart():
    net = directed_cycle(4).with_cost(alpha=[1, 1, 0, 1])
    title = drawn(plotting.cost_before_after, gb.balance(net)).get_title("left")
    assert "1 of cost 0 from the start" in title


def test_neurons_lie_on_the_line_after_and_the_rest_are_counted(worm):
    ax = drawn(plotting.incoming_outgoing, worm)
    neurons = worm.neurons()
    for when in ("before", "after"):
        there = (neurons[f"incoming_{when}"] > 0) & (neurons[f"outgoing_{when}"] > 0)
        assert points(ax, when)[0].size == there.sum()
        assert f"{(~there).sum()} {when}" in ax.get_title("left")
    incoming, outgoing = points(ax, "after")
    np.testing.assert_allclose(incoming, outgoing, rtol=1e-6)
    assert ax.get_xlim() == ax.get_ylim()


def test_a_large_network_is_counted_in_bins_and_loses_nothing(brain):
    ax = drawn(plotting.cost_before_after, brain)
    assert [c.sum() for c in counts(ax)] == [brain.original.n_synapses]
    ax = drawn(plotting.incoming_outgoing, brain)
    assert [c.sum() for c in counts(ax)] == [brain.original.n_neurons] * 2
    after = counts(ax)[1].filled(0)
    assert after.sum() == np.trace(after) + np.trace(after, 1) + np.trace(after, -1)


def test_bins_hold_the_points_that_numpy_puts_there():
    rng = np.random.default_rng(0)
    x, y = 10 ** rng.normal(0, 2, 50_000), 10 ** rng.normal(1, 3, 50_000)
    bounds = (-12.0, 12.0), (-20.0, 20.0)
    edges = [np.linspace(*b, equilibria._BINS + 1) for b in bounds]
    expected = np.histogram2d(np.log10(x), np.log10(y), bins=edges)[0]
    np.testing.assert_array_equal(equilibria._bin_counts(x, y, bounds), expected)


def test_the_histogram_holds_every_neuron(worm, brain):
    for eq in (worm, brain):
        ax = drawn(plotting.potential_distribution, eq)
        heights, edges, _ = ax.patches[0].get_data()
        assert heights.sum() == eq.original.n_neurons
        h = eq.potentials
        assert (edges[0], edges[-1]) == pytest.approx((h.min(), h.max()))
        assert f"{h.std(ddof=0):.3g}" in ax.texts[0].get_text()


@pytest.mark.parametrize("plot", PLOTS)
def test_extreme_networks_can_be_drawn(plot):
    huge = nx.DiGraph([(0, 1, {"weight": 1e150}), (1, 0, {"weight": 1e-150})])
    nothing_survives = nx.DiGraph([(0, 1), (1, 2)])
    balanced_already = nx.cycle_graph(5, create_using=nx.DiGraph)
    for graph in (huge, nothing_survives, balanced_already):
        drawn(plot, gb.balance(gb.as_network(graph, p=1)))


def test_colours_are_those_of_seaborns_colorblind_palette():
    seaborn = importlib.import_module("seaborn")
    palette = seaborn.color_palette("colorblind").as_hex()
    assert {_style.BLUE, _style.ORANGE, _style.GREY} <= set(palette)


# ------------------------------------------------------------------ in time


@pytest.fixture(scope="module")
def course():
    """A flow whose fall is over long before its end."""
    return gb.flow("celegans", (0, 1))


IN_TIME = [
    plotting.total_cost_in_time,
    plotting.gradient_norm_in_time,
    plotting.potentials_in_time,
    lambda trajectory, ax: plotting.costs_in_time(trajectory, [("AVAL", "AVAR")], ax),
]


@pytest.mark.parametrize("plot", IN_TIME)
def test_plots_in_time_stay_within_the_figure(plot, course):
    ax = drawn(plot, course)
    bounds, figure = ax.figure.get_tightbbox().extents, ax.figure.bbox_inches.extents
    assert (bounds[:2] >= figure[:2] - 0.01).all()
    assert (bounds[2:] <= figure[2:] + 0.01).all()
    assert ax.get_xlabel() == "time t (1/γ)"
    assert ax.get_ylabel()


def test_time_has_no_unit_of_a_rate_that_is_in_the_numbers():
    fast = gb.flow(gb.ensembles.ring(8), (0, 1), rate=3.0)
    assert drawn(plotting.total_cost_in_time, fast).get_xlabel() == "time t"
    clamped = gb.flow(gb.ensembles.ring(8), (0, 1), fixed=[0])
    assert drawn(plotting.total_cost_in_time, clamped).get_xlabel() == "time t (1/γ)"


def test_the_time_axis_shows_the_fall(course):
    ax = drawn(plotting.total_cost_in_time, course)
    assert ax.get_xscale() == "log"
    slow = gb.flow(gb.ensembles.ring(8, weights=gb.ensembles.LogNormal(0.05)), (0, 0.1))
    assert drawn(plotting.total_cost_in_time, slow).get_xscale() == "linear"
    at_rest = gb.flow(gb.ensembles.ring(8, weights=gb.ensembles.Constant(1)), (0, 1))
    for plot in IN_TIME[:3]:
        assert drawn(plot, at_rest).get_xlim() == (0, 1)


def test_lines_in_time_are_the_measures(course):
    for plot, values in (
        (plotting.total_cost_in_time, course.total_cost),
        (plotting.gradient_norm_in_time, course.gradient_norm),
    ):
        (line,) = drawn(plot, course).lines
        np.testing.assert_array_equal(line.get_xdata(), course.t)
        np.testing.assert_array_equal(line.get_ydata(), values)


def test_the_neurons_that_move_most_are_drawn_and_named_by_their_ends(course):
    ax = drawn(plotting.potentials_in_time, course)
    end = course.potentials.iloc[-1]
    most = end[end.abs().nlargest(6).index].sort_values(ascending=False)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(most.index)
    for name in most.index:
        np.testing.assert_array_equal(points(ax, name)[1], course.potentials[name])
    styles = {(line.get_color(), line.get_linestyle()) for line in ax.lines}
    assert len(styles) == 6
    assert "6 of 302 neurons" in ax.get_title("left")


def test_costs_in_time_are_those_of_the_transformed_network(course):
    ax = drawn(IN_TIME[3], course)
    net, t = course.network_at(0.3), course.t
    at = {(row.pre, row.post): row.cost for row in net.edges().itertuples()}
    (line,) = ax.lines
    found = np.interp(0.3, t, line.get_ydata())
    assert found == pytest.approx(at["AVAL", "AVAR"], rel=1e-3)
    with pytest.raises(gb.InputError, match="no synapse"):
        plotting.costs_in_time(course, [("AVAL", "ADAL")], ax)


# ------------------------------------------------------------------ modes and perturbations


@pytest.mark.parametrize("k", [1, 5, 30])
@pytest.mark.parametrize("plot", [plotting.time_constants, plotting.mode_entries])
def test_modes_are_drawn_by_their_number(plot, k):
    modes = gb.eigenmodes("witvliet-1", k)
    ax = drawn(plot, modes)
    assert ax.get_xlabel() == "mode"
    if plot is plotting.time_constants:
        numbers, heights = ax.collections[0].get_offsets().T
        np.testing.assert_array_equal(numbers, modes.modes.columns)
        np.testing.assert_allclose(heights, modes.time_constants)
    else:
        shown = [label.get_text() for label in ax.get_yticklabels()]
        expected = modes.modes.loc[shown].to_numpy()[:, :20]
        np.testing.assert_array_equal(ax.images[0].get_array(), expected)
        assert set(modes.table()["peak"][:20]) <= set(shown)
        assert ("not shown" in ax.get_title("left")) == (k > 20)


def test_a_prediction_is_held_against_the_line_of_equality(worm):
    exact = worm.potentials
    ax = drawn(lambda _, ax: plotting.exact_against_linear(exact, 0.9 * exact, ax), None)
    x, y = ax.lines[1].get_data()
    np.testing.assert_allclose(x, 0.9 * y)
    assert "off by 0.1 of" in ax.get_title("left")
    named = {text.get_text() for text in ax.texts}
    assert named == set(exact.abs().nlargest(3).index)
    drawn(lambda _, ax: plotting.exact_against_linear(0 * exact, 0 * exact, ax), None)
