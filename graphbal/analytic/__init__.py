"""What can be known of balancing without a solver: closed forms, bounds, conserved quantities.

The closed forms take plain numbers; the rest takes any network that `graphbal.as_network` takes.
`graphbal.balance` with ``solver="closed-form"`` solves every network whose blocks have one.
"""

from graphbal.analytic.closed_forms import (
    RingEquilibrium,
    directed_cycle,
    pair_potentials,
    rank_one,
    reciprocal_pair,
    ring,
    single_synapse,
)

__all__ = [
    "RingEquilibrium",
    "directed_cycle",
    "pair_potentials",
    "rank_one",
    "reciprocal_pair",
    "ring",
    "single_synapse",
]
