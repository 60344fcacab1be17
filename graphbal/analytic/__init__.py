"""What can be known of balancing without a solver: closed forms, bounds, conserved quantities.

The closed forms take plain numbers; the rest takes any network that `graphbal.as_network` takes.
`graphbal.balance` with ``solver="closed-form"`` solves every network whose blocks have one.
"""

from graphbal.analytic.bounds import drop_bounds
from graphbal.analytic.closed_forms import (
    RingEquilibrium,
    directed_cycle,
    pair_potentials,
    rank_one,
    reciprocal_pair,
    ring,
    single_synapse,
)
from graphbal.analytic.cycles import (
    CycleBasis,
    Kolmogorov,
    cycle_basis,
    cycle_products,
    detailed_balance,
    kolmogorov,
)
from graphbal.analytic.hodge import HodgeSplit, hodge

__all__ = [
    "CycleBasis",
    "HodgeSplit",
    "Kolmogorov",
    "RingEquilibrium",
    "cycle_basis",
    "cycle_products",
    "detailed_balance",
    "directed_cycle",
    "drop_bounds",
    "hodge",
    "kolmogorov",
    "pair_potentials",
    "rank_one",
    "reciprocal_pair",
    "ring",
    "single_synapse",
]
