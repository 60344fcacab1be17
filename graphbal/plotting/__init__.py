"""Plots: each takes its data and an optional `ax`, and returns the axes.

Networks with more points than can be told apart are drawn as counts per bin, so that a plot of 15
million synapses takes a second and hides nothing, or some ten where positions or an order of the
neurons are to be found first; where single neurons are shown, they are those that matter most, and
the plot says how many it leaves out. What a logarithmic axis cannot show (a cost of zero) is
counted in the plot.

Plots follow the style that is set: ``seaborn.set_theme()`` before, and they are seaborn's.
"""

from graphbal.plotting.comparison import comparison_grid, null_distribution
from graphbal.plotting.equilibria import (
    cost_before_after,
    incoming_outgoing,
    potential_distribution,
)
from graphbal.plotting.modes import mode_entries, time_constants
from graphbal.plotting.networks import adjacency, mode_on_layout, potentials_on_layout
from graphbal.plotting.perturbations import exact_against_linear
from graphbal.plotting.positions import layout
from graphbal.plotting.strips import potential_strip
from graphbal.plotting.trajectories import (
    costs_in_time,
    gradient_norm_in_time,
    potentials_in_time,
    total_cost_in_time,
)

__all__ = [
    "adjacency",
    "comparison_grid",
    "cost_before_after",
    "costs_in_time",
    "exact_against_linear",
    "gradient_norm_in_time",
    "incoming_outgoing",
    "layout",
    "mode_entries",
    "mode_on_layout",
    "null_distribution",
    "potential_distribution",
    "potential_strip",
    "potentials_in_time",
    "potentials_on_layout",
    "time_constants",
    "total_cost_in_time",
]
