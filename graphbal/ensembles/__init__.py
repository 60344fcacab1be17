"""Model networks with known statistics: test problems, benchmarks, hypotheses.

Every generator returns a `SynapticNetwork` labelled 0, 1, ..., n − 1 and has one signature: the
size; degree, density or shape; then by name the distribution of the weights, the seed and the
exponent `p` of the cost. Weights are independent of each other and of where the synapses are. The
same arguments always give the same network.

NetworkX's generators serve as well: `as_network` takes their graphs.
"""

from graphbal.ensembles.blocks import core_periphery, stochastic_block
from graphbal.ensembles.connectomes import connectome_like
from graphbal.ensembles.degrees import (
    configuration,
    erdos_renyi,
    random_network,
    scale_free,
    watts_strogatz,
)
from graphbal.ensembles.neural import dense_gaussian, excitatory_inhibitory, low_rank
from graphbal.ensembles.spatial import spatial
from graphbal.ensembles.structured import (
    chain,
    directed_cycle,
    feed_forward,
    lattice,
    ring,
    tree,
)
from graphbal.ensembles.weights import (
    Constant,
    Gamma,
    Gaussian,
    LogNormal,
    LogNormalCounts,
    Poisson,
    Resampled,
    Weights,
)

__all__ = [
    "Constant",
    "Gamma",
    "Gaussian",
    "LogNormal",
    "LogNormalCounts",
    "Poisson",
    "Resampled",
    "Weights",
    "chain",
    "configuration",
    "connectome_like",
    "core_periphery",
    "dense_gaussian",
    "directed_cycle",
    "erdos_renyi",
    "excitatory_inhibitory",
    "feed_forward",
    "lattice",
    "low_rank",
    "random_network",
    "ring",
    "scale_free",
    "spatial",
    "stochastic_block",
    "tree",
    "watts_strogatz",
]
