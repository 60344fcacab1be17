"""What every null model is once it is prepared for a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal._checks import require_whole
from graphbal.network import Intake, SynapticNetwork

__all__ = ["Sampler", "rearranged"]


@dataclass(frozen=True, eq=False)
class Sampler(ABC):
    """A null model, prepared for a network; see `graphbal.nulls.sampler`.

    Attributes
    ----------
    network : SynapticNetwork
        The network whose null model it is.

    Examples
    --------
    >>> import graphbal as gb
    >>> sampler = gb.nulls.sampler("witvliet-1", "permute_weights")
    >>> sampler.draw(2, seed=1)
    SynapticNetwork(161 neurons, 675 synapses, c = |J|^2)
    >>> sampler.draw(2, seed=1).total_cost == sampler.network.total_cost
    True
    """

    network: SynapticNetwork

    def draw(self, k: int = 0, seed: int = 0) -> SynapticNetwork:
        """Return the k-th null network, which depends on the network, k and the seed alone.

        Parameters
        ----------
        k, seed : int
            Not negative.

        Raises
        ------
        InputError
            If `k` or `seed` is not a whole number or negative.
        """
        stream = np.random.SeedSequence(
            require_whole("seed", seed), spawn_key=(require_whole("k", k),)
        )
        return self._sample(np.random.default_rng(stream))

    @abstractmethod
    def _sample(self, rng: np.random.Generator) -> SynapticNetwork: ...


def rearranged(
    network: SynapticNetwork,
    sources: NDArray[np.integer],
    support: sparse.csr_array | None = None,
    alpha: NDArray[np.float64] | None = None,
) -> SynapticNetwork:
    """Return a network whose synapses have the weights of those at `sources` in the given one.

    Parameters
    ----------
    sources : array, shape (n_synapses,)
        Places in ``network.weights.data``.
    support : csr_array, optional
        The synapses, row = postsynaptic, in the order of `sources`; by default those of the
        network.
    alpha : array, shape (1, n) or (n, 1), optional
        Factors α by neuron, where they change. Factors by synapse go with the weights.
    """
    support = network.weights if support is None else support

    def gathered(values: NDArray[np.float64]) -> sparse.csr_array:
        matrix = copy(support)  # shares the indices, and spares SciPy their inspection
        matrix.data = values[sources]
        return matrix

    if sparse.issparse(network.alpha):
        factors = gathered(network.alpha.data)
    else:
        factors = network.alpha if alpha is None else alpha
    return replace(
        network,
        weights=gathered(network.weights.data),
        alpha=factors,
        edge_attributes={},
        intake=Intake(),
    )
