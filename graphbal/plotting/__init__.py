"""Plots: each takes its data and an optional `ax`, and returns the axes.

Networks with more points than can be told apart are drawn as counts per bin, so that a plot of 15
million synapses takes a second and hides nothing; where single neurons are shown, they are those
that matter most, and the plot says how many it leaves out. What a logarithmic axis cannot show (a
cost of zero) is counted in the plot.
"""

from graphbal.plotting.equilibria import (
    cost_before_after,
    incoming_outgoing,
    potential_distribution,
)

__all__ = ["cost_before_after", "incoming_outgoing", "potential_distribution"]
