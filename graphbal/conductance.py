"""The network as conductors: its Laplacian, and how firmly neurons are tied to each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from graphbal.convert import as_network
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork
from graphbal.solvers import Problem
from graphbal.solvers.laplacian import pseudoinverse

__all__ = ["conducting", "conducting_problem", "effective_conductance", "laplacian"]


def laplacian(network: Any, potentials: Any = None) -> sparse.csr_array:
    r"""Return the Laplacian of a network, the Jacobian of the balancing flow but for a factor.

    .. math:: L = \mathrm{diag}(in + out) - (C + C^T), \qquad \partial g / \partial h = -p L

    Parameters
    ----------
    network : anything `as_network` takes
        The network. Self-connections are in no Laplacian.
    potentials : array of shape (n,), Series or mapping by label, optional
        Potentials h at which the costs are taken; h = 0 by default.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        Symmetric, positive semidefinite, in units of cost; rows and columns as ``net.neurons``.

    Raises
    ------
    InputError
        If a neuron has no potential.

    Notes
    -----
    One pass over the edges; two entries for a synapse.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import graphbal as gb
    >>> gb.laplacian([[0, 2.0], [1.0, 0]]).toarray()
    array([[ 5., -5.],
           [-5.,  5.]])
    """
    net = as_network(network)
    if potentials is not None:
        net = net.transform(potentials)
    costs = conducting(net)
    through = costs.sum(axis=0) + costs.sum(axis=1)
    return sparse.csr_array(sparse.diags_array(through) - (costs + costs.T))


def effective_conductance(network: Any, pairs: Iterable[tuple[Any, Any]]) -> pd.Series:
    r"""Return the effective conductance between neurons: how firmly their potentials are tied.

    .. math:: G_{ij} = \frac{1}{(e_i - e_j)^T L^+ (e_i - e_j)}

    is the cost per unit of p h that must flow in at i and out at j to part their potentials, at
    the network's state: a network of conductors C + Cᵀ between them, seen from outside [1]_.

    Parameters
    ----------
    network : anything `as_network` takes
        The network; for the conductances at equilibrium pass ``eq.network``.
    pairs : iterable of pairs of labels
        Between which neurons.

    Returns
    -------
    Series
        In units of cost, by pair: 0 between neurons that no path connects, infinite between a
        neuron and itself.

    Raises
    ------
    InputError
        If there is no such neuron, or something is not a pair.

    Notes
    -----
    One Laplacian solve a pair.

    References
    ----------
    .. [1] D. J. Klein, M. Randić, "Resistance distance", J Math Chem 12: 81-95 (1993).
       https://doi.org/10.1007/BF01164627

    Examples
    --------
    Two paths around a ring of four neurons with all costs 1, two steps of conductance 2 each:

    >>> import graphbal as gb
    >>> ring = gb.ensembles.ring(4, weights=gb.ensembles.Constant(1))
    >>> gb.effective_conductance(ring, [(0, 2)]).round(6).tolist()
    [2.0]
    """
    net = as_network(network)
    if not isinstance(pairs, Iterable):
        raise InputError(f"the pairs are {pairs!r}; give a list of pairs (a, b)")
    pairs = list(pairs)
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise InputError(f"{pair!r} is not a pair of neurons; give a list of pairs (a, b)")
    ends = np.array([net.positions(list(pair)) for pair in pairs], dtype=np.intp).reshape(-1, 2)
    problem = conducting_problem(net)
    inverse = pseudoinverse(problem)

    def between(a: int, b: int) -> float:
        if a == b:
            return np.inf
        if problem.components[a] != problem.components[b]:
            return 0.0
        drive = np.zeros(problem.n)
        drive[[a, b]] = 1.0, -1.0
        x = inverse(drive)
        return 1.0 / float(x[a] - x[b])

    values = np.array([between(a, b) for a, b in ends.tolist()], dtype=np.float64)
    index = pd.MultiIndex.from_tuples(pairs, names=("neuron", "other")) if pairs else pd.Index([])
    return pd.Series(values, index=index, name="effective_conductance")


def conducting(net: SynapticNetwork) -> sparse.csr_array:
    """Return the positive costs off the diagonal, [post, pre]; the costs themselves if all are."""
    costs = net.costs
    if not net.n_self_connections and (costs.nnz == 0 or costs.data.min() > 0):
        return costs
    post = np.repeat(np.arange(net.n_neurons), np.diff(costs.indptr))
    keep = (costs.data > 0) & (post != costs.indices)
    kept = sparse.coo_array((costs.data[keep], (post[keep], costs.indices[keep])), costs.shape)
    return sparse.csr_array(kept)


def conducting_problem(net: SynapticNetwork) -> Problem:
    """Return the conducting synapses, in connected parts."""
    costs = conducting(net)
    count, part = sparse.csgraph.connected_components(costs, directed=False)
    return Problem(costs, part, int(count))
