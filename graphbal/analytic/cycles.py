"""What no potential can change: products of costs around cycles, and Kolmogorov's criterion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal.analytic._forest import SpanningForest, edge_at, spanning_forest
from graphbal.convert import as_network
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = [
    "CycleBasis",
    "Kolmogorov",
    "cycle_basis",
    "cycle_products",
    "detailed_balance",
    "kolmogorov",
]


@dataclass(frozen=True, eq=False, repr=False)
class CycleBasis:
    """Fundamental cycles of a network: each synapse outside a spanning forest closes one.

    What closes is a cycle of the undirected graph. Walking around it along the closing synapse,
    other synapses are followed along (+1) or against (−1) their direction. Self-connections and
    synapses that cost nothing take no part.

    Attributes
    ----------
    network : SynapticNetwork
        The network.
    synapses : array of int
        The synapses that take part, by their place in ``network.weights.data``.

    Examples
    --------
    >>> import graphbal as gb
    >>> basis = gb.analytic.cycle_basis([[0, 1.0, 0], [2.0, 0, 3.0], [4.0, 0, 0]])
    >>> basis.n_cycles, basis.lengths.tolist(), basis.is_directed.tolist()
    (2, [2, 3], [True, True])
    >>> basis.cycle(0)
       pre  post  direction
    0    0     1          1
    1    1     0          1
    """

    network: SynapticNetwork
    synapses: NDArray[np.intp]
    _forest: SpanningForest

    @property
    def n_cycles(self) -> int:
        """Number of independent cycles: synapses − neurons + connected parts."""
        return int(self._forest.chords.size)

    @cached_property
    def lengths(self) -> NDArray[np.integer]:
        """Number of synapses of each cycle."""
        return self._forest.lengths()

    @cached_property
    def is_directed(self) -> NDArray[np.bool_]:
        """Which cycles follow all their synapses along their direction."""
        return self._forest.followed() == self.lengths

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """The cycle matrix, shape (n_cycles, n_synapses): +1 along a synapse, −1 against it.

        Its rows are orthogonal to all differences of potentials.
        """
        cycles, edges, signs = self._forest.members(np.arange(self.n_cycles))
        shape = (self.n_cycles, self.network.n_synapses)
        return sparse.csr_array((signs, (cycles, self.synapses[edges])), shape=shape)

    def cycle(self, number: int) -> pd.DataFrame:
        """Return the synapses of a cycle in the order of the walk: pre, post, direction.

        Raises
        ------
        InputError
            If there is no cycle of that number.
        """
        if not 0 <= number < self.n_cycles:
            raise InputError(
                f"there is no cycle {number!r}; the basis has {self.n_cycles:,}, counted from 0"
            )
        _, edges, signs = self._forest.members(np.array([number]))
        neurons, forest = self.network.neurons, self._forest
        return pd.DataFrame(
            {
                "pre": neurons.take(forest.tail[edges]),
                "post": neurons.take(forest.head[edges]),
                "direction": signs,
            }
        )

    def __repr__(self) -> str:
        return f"CycleBasis({self.n_cycles:,} cycles of {self.network!r})"


def cycle_basis(network: Any) -> CycleBasis:
    """Return the fundamental cycles of a network.

    Parameters
    ----------
    network : anything `as_network` takes

    Returns
    -------
    CycleBasis

    Raises
    ------
    InputError
        If the network cannot be read.

    Notes
    -----
    O(n log n + m) for m synapses. The cycles are not listed before they are asked for: their
    lengths and directions take O(m log depth), `CycleBasis.matrix` as much for each of its entries.
    Trees are grown breadth-first from the neuron of most synapses, which keeps cycles short.

    Examples
    --------
    >>> from graphbal import analytic
    >>> basis = analytic.cycle_basis([[0, 0, 8.0], [1.0, 0, 0], [1.0, 1.0, 0]])
    >>> basis.n_cycles  # 4 synapses − 3 neurons + 1
    2
    >>> basis.matrix.toarray().tolist()
    [[1, 1, 0, 1], [1, 0, 1, 0]]
    """
    net = as_network(network)
    post, pre = net.costs.tocoo().coords
    synapses = np.flatnonzero((post != pre) & (net.costs.data > 0))
    forest = spanning_forest(post[synapses], pre[synapses], net.n_neurons)
    return CycleBasis(net, synapses, forest)


def cycle_products(network: Any, basis: CycleBasis | None = None) -> pd.DataFrame:
    r"""Return what balancing conserves: the product of costs around each cycle of a basis.

    Around a cycle every potential enters once with either sign, so that

    .. math:: \sum_{e \in \text{cycle}} ± \log c_e,

    with + for a synapse followed along its direction and − against, is the same for all
    potentials [1]_, and these numbers say all that the potentials leave undetermined. Where all
    signs are +, the cycle is directed, and its product of costs is conserved.

    Parameters
    ----------
    network : anything `as_network` takes
    basis : CycleBasis, optional
        The cycles, e.g. those of the network before balancing. By default `cycle_basis`.

    Returns
    -------
    DataFrame
        One row per cycle: ``pre``, ``post`` (its closing synapse), ``n_synapses``,
        ``is_directed`` and ``log_product``.

    Raises
    ------
    InputError
        If the network cannot be read, or its synapses are not those of the basis.

    Notes
    -----
    O(n log n + m log depth): log-costs are summed along the forest, and no cycle is listed.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> from graphbal import analytic
    >>> analytic.cycle_products([[0, 0, 8.0], [1.0, 0, 0], [0, 1.0, 0]])
       pre  post  n_synapses  is_directed  log_product
    0    0     1           3         True     4.158883
    """
    net = as_network(network)
    basis = cycle_basis(net) if basis is None else basis
    ours, theirs = net.weights, basis.network.weights
    if ours.shape != theirs.shape or not (
        np.array_equal(ours.indptr, theirs.indptr) and np.array_equal(ours.indices, theirs.indices)
    ):
        raise InputError("the basis is that of a network with other synapses; leave it out")
    costs = net.costs.data[basis.synapses]
    forest = basis._forest
    if (costs == 0).any():
        at = int(np.flatnonzero(costs == 0)[0])
        pre, post = net.neurons[forest.tail[at]], net.neurons[forest.head[at]]
        raise InputError(f"the synapse {pre!r} → {post!r} of the basis costs nothing here")
    return pd.DataFrame(
        {
            "pre": net.neurons.take(forest.tail[forest.chords]),
            "post": net.neurons.take(forest.head[forest.chords]),
            "n_synapses": basis.lengths,
            "is_directed": basis.is_directed,
            "log_product": forest.circulations(np.log(costs)),
        }
    )


@dataclass(frozen=True, eq=False)
class Kolmogorov:
    """How far a network is from detailed balance.

    Attributes
    ----------
    is_reversible : bool
        Whether the network is in detailed balance: no one-way synapse, no cycle that violates.
    largest, rms : float
        Largest magnitude, and root mean square over the cycles of the basis, of the log-ratio of
        the forward to the backward product of costs.
    cycle : pandas.Index
        Labels of the neurons of the cycle with the largest, in the order in which the product of
        costs is larger; empty if there is no cycle.
    n_cycles : int
        Number of independent cycles of reciprocal pairs.
    n_one_way : int
        Number of synapses without a reverse.
    potentials : pandas.Series
        Potentials h that put every pair on the spanning forest in balance, of mean zero in each
        part that pairs connect: the equilibrium if the network is reversible.

    Examples
    --------
    A cycle that costs 4³ one way and 1 the other:

    >>> from graphbal import analytic
    >>> found = analytic.kolmogorov([[0, 1.0, 2.0], [2.0, 0, 1.0], [1.0, 2.0, 0]])
    >>> found.is_reversible, round(found.largest, 4)
    (False, 4.1589)
    """

    is_reversible: bool
    largest: float
    rms: float
    cycle: pd.Index
    n_cycles: int
    n_one_way: int
    potentials: pd.Series


def kolmogorov(network: Any, tol: float = 1e-9) -> Kolmogorov:
    r"""Test a network for detailed balance by Kolmogorov's criterion.

    Costs can be made symmetric, :math:`c_{ij}(h) = c_{ji}(h)`, iff all synapses are reciprocal and
    around every cycle the product of costs is the same forward and backward [1]_. A basis of
    cycles suffices; the violation of each is

    .. math:: \sum_{j \to i \in \text{cycle}} \log \frac{c_{ij}}{c_{ji}},

    a quantity that balancing conserves. The equilibrium of such a network is
    :math:`\sqrt{c_{ij} c_{ji}}`.

    Parameters
    ----------
    network : anything `as_network` takes
    tol : float
        Violation that counts as none.

    Returns
    -------
    Kolmogorov
        One-way synapses violate the criterion whatever they cost; the size of the violation is
        that of the reciprocal pairs.

    Raises
    ------
    InputError
        If the network cannot be read.

    Notes
    -----
    O(n log n + m). Which cycles are in the basis depends on a breadth-first forest, and so do
    `largest` and `rms`; whether they are zero does not.

    References
    ----------
    .. [1] F. P. Kelly, "Reversibility and Stochastic Networks", Wiley (1979), section 1.5.

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import analytic
    >>> costs = np.outer([4.0, 2.0, 1.0], [1.0, 1.0, 3.0])
    >>> analytic.kolmogorov(costs).is_reversible
    True
    >>> costs[0, 1] *= 2
    >>> found = analytic.kolmogorov(costs)
    >>> found.is_reversible, round(found.largest, 4), found.cycle.tolist()
    (False, 1.3863, [2, 1, 0])
    """
    net = as_network(network)
    head, tail, there, back = _reciprocal_pairs(net.costs)
    turn = 0.5 * (np.log(there) - np.log(back))
    forest = spanning_forest(head, tail, net.n_neurons)
    violations = 2.0 * forest.circulations(turn)
    n_off_diagonal = np.count_nonzero(net.costs.data) - np.count_nonzero(net.costs.diagonal())
    n_one_way = int(n_off_diagonal) - 2 * head.size
    largest, cycle = 0.0, net.neurons[:0]
    if violations.size:
        worst = int(np.abs(violations).argmax())
        largest = float(abs(violations[worst]))
        _, edges, signs = forest.members(np.array([worst]))
        walk = np.where(signs > 0, forest.tail[edges], forest.head[edges])
        cycle = net.neurons.take(walk if violations[worst] >= 0 else walk[::-1])
    q = forest.sums(turn)[: net.n_neurons]
    return Kolmogorov(
        is_reversible=n_one_way == 0 and largest <= tol,
        largest=largest,
        rms=float(np.sqrt(np.mean(np.square(violations)))) if violations.size else 0.0,
        cycle=cycle,
        n_cycles=violations.size,
        n_one_way=n_one_way,
        potentials=pd.Series(forest.centred(q) / net.p, index=net.neurons, name="potential"),
    )


def detailed_balance(network: Any) -> pd.Series:
    r"""Return the equilibrium potentials of a network in detailed balance.

    Where Kolmogorov's criterion holds, there are potentials with
    :math:`p (h_i - h_j) = ½ \log(c_{ij} / c_{ji})` [1]_, and with them both costs of every pair
    become :math:`\sqrt{c_{ij} c_{ji}}`: trees of reciprocal pairs, symmetric networks, rank-one
    networks.

    Parameters
    ----------
    network : anything `as_network` takes

    Returns
    -------
    Series
        Potentials h by neuron, dimensionless, of mean zero in each component.

    Raises
    ------
    InputError
        If the network is not in detailed balance; the message says where.

    See Also
    --------
    kolmogorov : Whether, and by how much it is not.

    Notes
    -----
    O(n log n + m).

    References
    ----------
    .. [1] F. P. Kelly, "Reversibility and Stochastic Networks", Wiley (1979), section 1.5.

    Examples
    --------
    >>> from graphbal import analytic
    >>> analytic.detailed_balance([[0, 4.0], [1.0, 0]]).round(4).tolist()
    [0.3466, -0.3466]
    """
    found = kolmogorov(network)
    if found.n_one_way:
        raise InputError(
            f"{found.n_one_way:,} synapse(s) have no reverse, so the network is not in detailed "
            "balance; use graphbal.balance"
        )
    if not found.is_reversible:
        labels = [repr(label) for label in found.cycle[:6]]
        around = " → ".join([*labels, "…"] if len(found.cycle) > 6 else [*labels, labels[0]])
        raise InputError(
            f"the network is not in detailed balance: around {around} the product of costs is "
            f"e^{found.largest:.3g} times that of the other way; use graphbal.balance"
        )
    return found.potentials


def _reciprocal_pairs(
    costs: sparse.csr_array,
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.float64], NDArray[np.float64]]:
    """Return i, j, c_ij and c_ji of each pair joined both ways, i > j, sorted by i, then j."""
    n = costs.shape[0]
    below, above = (sparse.tril(matrix, -1, "csr") for matrix in (costs, costs.T.tocsr()))
    for side in (below, above):
        side.eliminate_zeros()
        side.sort_indices()
    keys, others = (
        np.repeat(np.arange(n) * n, np.diff(side.indptr)) + side.indices for side in (below, above)
    )
    reverse = edge_at(others, keys)
    both = np.flatnonzero(reverse >= 0)
    i, j = np.divmod(keys[both], max(n, 1))
    return i, j, below.data[both], above.data[reverse[both]]
