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
    seaborn = pytest.importorskip("seaborn")
    palette = seaborn.color_palette("colorblind").as_hex()
    assert {_style.BLUE, _style.ORANGE, _style.GREY} <= set(palette)
