"""Null models that permute what is there, and the reversal of all synapses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal.convert import as_network
from graphbal.network import SynapticNetwork
from graphbal.nulls._moves import shuffle_within
from graphbal.nulls._sampler import Sampler, rearranged

__all__ = [
    "inputs_sampler",
    "outputs_sampler",
    "permute_inputs",
    "permute_outputs",
    "permute_rows",
    "permute_weights",
    "reversal_sampler",
    "reverse",
    "rows_sampler",
    "weights_sampler",
]


def permute_rows(network: Any, *, seed: int = 0) -> SynapticNetwork:
    r"""Permute the rows of the cost matrix: every neuron gets all the inputs of another one.

    :math:`C'_{ij} = C_{\pi(i) j}` with a permutation π drawn uniformly; the null hypothesis of
    [1]_, Fig. 4a: a neuron's outgoing cost says nothing about its incoming cost. Outgoing costs,
    self-connections included, stay; incoming costs are permuted. Self-connections are permuted
    with the rest: new ones may come about, between neurons that were connected.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes. Factors α of postsynaptic neurons and of synapses
        are permuted with the rows.
    seed : int
        Seed of the permutation.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If `seed` is not a whole number or negative.

    Notes
    -----
    O(m + n) time and memory for n neurons and m synapses.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import nulls
    >>> J = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [4.0, 5.0, 0.0]])
    >>> nulls.permute_rows(J, seed=1).weights.toarray()
    array([[3., 0., 0.],
           [0., 1., 2.],
           [4., 5., 0.]])
    """
    return rows_sampler(as_network(network)).draw(seed=seed)


def permute_weights(network: Any, *, seed: int = 0) -> SynapticNetwork:
    """Permute the weights over all synapses; who is connected with whom stays.

    The null hypothesis: weights have nothing to do with where they are. Signs go with the weights.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes. Factors α of synapses go with the weights, those of
        neurons stay.
    seed : int
        Seed of the permutation, which is uniform.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If `seed` is not a whole number or negative.

    Notes
    -----
    O(m) time and memory for m synapses. Self-connections stay.

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import nulls
    >>> J = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [4.0, 5.0, 0.0]])
    >>> nulls.permute_weights(J, seed=1).weights.toarray()
    array([[0., 3., 5.],
           [2., 0., 0.],
           [1., 4., 0.]])
    """
    return weights_sampler(as_network(network)).draw(seed=seed)


def permute_inputs(network: Any, *, seed: int = 0) -> SynapticNetwork:
    """Permute the weights of every neuron's inputs among them.

    Keeps who is connected with whom and, as sets, the input weights of every neuron; so also, where
    α does not depend on the presynaptic neuron, its incoming cost. The null hypothesis: a neuron
    does not mind which of its inputs weighs what.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes. Factors α of synapses go with the weights, those of
        neurons stay.
    seed : int
        Seed of the permutations, which are uniform and independent.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If `seed` is not a whole number or negative.

    Notes
    -----
    O(m) time and memory for m synapses. Self-connections stay.

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import nulls
    >>> J = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [4.0, 5.0, 0.0]])
    >>> nulls.permute_inputs(J, seed=1).weights.toarray()
    array([[0., 1., 2.],
           [3., 0., 0.],
           [5., 4., 0.]])
    """
    return inputs_sampler(as_network(network)).draw(seed=seed)


def permute_outputs(network: Any, *, seed: int = 0) -> SynapticNetwork:
    """Permute the weights of every neuron's outputs among them.

    Keeps who is connected with whom and, as sets, the output weights of every neuron, hence also
    Dale's law; and, where α does not depend on the postsynaptic neuron, its outgoing cost. The null
    hypothesis: a neuron does not mind which of its outputs weighs what.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes. Factors α of synapses go with the weights, those of
        neurons stay.
    seed : int
        Seed of the permutations, which are uniform and independent.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If `seed` is not a whole number or negative.

    Notes
    -----
    O(m) time and memory for m synapses. Self-connections stay.

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import nulls
    >>> J = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [4.0, 5.0, 0.0]])
    >>> nulls.permute_outputs(J, seed=1).weights.toarray()
    array([[0., 5., 2.],
           [3., 0., 0.],
           [4., 1., 0.]])
    """
    return outputs_sampler(as_network(network)).draw(seed=seed)


def reverse(network: Any, *, seed: int = 0) -> SynapticNetwork:
    """Reverse all synapses: the synapse j → i becomes i → j, with the same weight and cost.

    Potentials at equilibrium change sign and the equilibrium's cost stays, so whatever a measure
    makes of it says how it tells inputs from outputs. Nothing is random.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes. Factors α of presynaptic neurons become those of
        postsynaptic ones, and the other way round.
    seed : int
        Without effect: all null models take it.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If `seed` is not a whole number or negative.

    Notes
    -----
    O(m + n) time and memory for n neurons and m synapses.

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import nulls
    >>> nulls.reverse(np.array([[0.0, 1.0], [3.0, 0.0]])).weights.toarray()
    array([[0., 3.],
           [1., 0.]])
    """
    return reversal_sampler(as_network(network)).draw(seed=seed)


@dataclass(frozen=True, eq=False)
class _Rows(Sampler):
    def _sample(self, rng: np.random.Generator) -> SynapticNetwork:
        weights, alpha = self.network.weights, self.network.alpha
        order = rng.permutation(self.network.n_neurons)
        lengths = np.diff(weights.indptr)[order]
        indptr = np.zeros_like(weights.indptr)
        np.cumsum(lengths, out=indptr[1:])
        sources = np.repeat(weights.indptr[:-1][order] - indptr[:-1], lengths)
        sources += np.arange(sources.size, dtype=sources.dtype)
        arrays = weights.data, weights.indices[sources], indptr
        by_row = not sparse.issparse(alpha) and alpha.ndim == 2 and alpha.shape[1] == 1
        return rearranged(
            self.network,
            sources,
            sparse.csr_array(arrays, shape=weights.shape),
            alpha[order] if by_row else None,
        )


@dataclass(frozen=True, eq=False)
class _Shuffle(Sampler):
    """Permutes weights within groups.

    Attributes
    ----------
    places, bounds : array of int
        Group k has the synapses ``places[bounds[k]:bounds[k + 1]]`` of ``weights.data``.
    """

    places: NDArray[np.integer]
    bounds: NDArray[np.integer]

    def _sample(self, rng: np.random.Generator) -> SynapticNetwork:
        shuffled = self.places.copy()
        shuffle_within(shuffled, self.bounds, rng)
        sources = np.arange(self.network.n_synapses)
        sources[self.places] = shuffled
        return rearranged(self.network, sources)


@dataclass(frozen=True, eq=False)
class _Reversal(Sampler):
    def _sample(self, rng: np.random.Generator) -> SynapticNetwork:
        network = self.network
        alpha = network.alpha
        places = np.arange(network.n_synapses)
        weights = network.weights
        turned = sparse.csc_array((places, weights.indices, weights.indptr), weights.shape).tocsr()
        by_neuron = not sparse.issparse(alpha) and alpha.ndim == 2
        return replace(
            rearranged(network, turned.data, turned, alpha.T if by_neuron else None),
            edge_attributes={ends[::-1]: of for ends, of in network.edge_attributes.items()},
        )


def rows_sampler(network: SynapticNetwork) -> Sampler:
    """Prepare `permute_rows`."""
    return _Rows(network)


def weights_sampler(network: SynapticNetwork) -> Sampler:
    """Prepare `permute_weights`."""
    post, pre = endpoints(network)
    places = np.flatnonzero(post != pre)
    return _Shuffle(network, places, np.array([0, places.size]))


def inputs_sampler(network: SynapticNetwork) -> Sampler:
    """Prepare `permute_inputs`."""
    post, pre = endpoints(network)
    places = np.flatnonzero(post != pre)
    return _Shuffle(network, places, bounds_of(post[places], network.n_neurons))


def outputs_sampler(network: SynapticNetwork) -> Sampler:
    """Prepare `permute_outputs`."""
    post, pre = endpoints(network)
    places = np.flatnonzero(post != pre)
    places = places[np.argsort(pre[places], kind="stable")]
    return _Shuffle(network, places, bounds_of(pre[places], network.n_neurons))


def reversal_sampler(network: SynapticNetwork) -> Sampler:
    """Prepare `reverse`."""
    return _Reversal(network)


def endpoints(network: SynapticNetwork) -> tuple[NDArray[np.intp], NDArray[np.integer]]:
    """Return the postsynaptic and the presynaptic neuron of each synapse."""
    return np.repeat(np.arange(network.n_neurons), np.diff(network.weights.indptr)), (
        network.weights.indices
    )


def bounds_of(groups: NDArray[np.integer], n: int) -> NDArray[np.intp]:
    """Return where each of the groups 0..n-1 begins in an ascending list of them, and the end."""
    return np.searchsorted(groups, np.arange(n + 1))
