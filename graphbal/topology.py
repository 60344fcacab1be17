"""Components, blocks, existence of a finite equilibrium, and what vanishes without one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from graphbal._components import Blocks, biconnected_blocks, strong_components
from graphbal._divergence import component_rates
from graphbal._html import card
from graphbal.convert import as_network
from graphbal.network import SynapticNetwork

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Topology", "topology"]


def topology(network: Any, fixed: Any = None) -> Topology:
    """Find the strong components of a network, and whether it has a finite equilibrium.

    A finite equilibrium exists iff every synapse lies on a directed cycle, that is, iff no
    synapse joins two strongly connected components [1]_. Synapses that do vanish as the balancing
    flow goes on. Only synapses of positive cost count; self-connections never matter.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes.
    fixed : label or labels, optional
        Neurons whose potential is clamped at h = 0. They act as one neuron: components, blocks and
        existence are those of the network in which they are merged.

    Returns
    -------
    Topology

    Raises
    ------
    InputError
        If the network cannot be read, or a fixed label is unknown.

    Notes
    -----
    Time O(n_neurons + n_synapses). Blocks and divergence rates are found when asked for.

    References
    ----------
    .. [1] J. Osborne, "On pre-conditioning of matrices", Journal of the ACM 7 (1960).
       https://doi.org/10.1145/321043.321048

    Examples
    --------
    A reciprocal pair a ⇄ b that drives c; the synapse b → c vanishes:

    >>> import networkx as nx
    >>> import graphbal as gb
    >>> graph = nx.DiGraph([("a", "b"), ("b", "a"), ("b", "c")])
    >>> top = gb.topology(graph)
    >>> top.is_balanceable, top.components.to_dict()
    (False, {'a': 0, 'b': 0, 'c': 1})
    >>> top.vanishing_edges
      pre post  weight  cost
    0   b    c     1.0   1.0
    >>> top.divergence_rates.round(3).to_dict()
    {'a': -0.333, 'b': -0.333, 'c': 0.667}
    >>> gb.topology(graph, fixed=["a", "c"]).is_balanceable
    True
    """
    net = as_network(network)
    at = _positions(net, fixed)
    graph = _merged(net, at)
    if net.n_synapses == net.n_neurons**2 > 0 and graph.keep is None:
        n_components, of_node = 1, np.zeros(graph.indptr.size - 1, dtype=np.int32)
    else:
        n_components, of_node = strong_components(graph.indptr, graph.indices, graph.keep)
    fixed_neurons = net.neurons[at] if at.size else net.neurons[:0]
    return Topology(net, fixed_neurons, of_node[graph.node_of], n_components)


@dataclass(frozen=True, eq=False, repr=False)
class Topology:
    """Components and blocks of a network, and what they mean for its equilibrium.

    Attributes
    ----------
    network : SynapticNetwork
        The network.
    fixed : pandas.Index
        Labels of the fixed neurons, which act as one, in the order of the network.
    component_numbers : int array, shape (n,)
        Number of the strong component of each neuron. Sources come first: a synapse between
        components leads from a lower to a higher number.
    n_components : int
        Number of strong components.

    Examples
    --------
    Two rings of pairs that share neuron 2, which sends to 5:

    >>> import networkx as nx
    >>> import graphbal as gb
    >>> pairs = nx.Graph([(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 2)]).to_directed()
    >>> pairs.add_edge(2, 5)
    >>> top = gb.topology(pairs)
    >>> top.n_blocks, top.cut_neurons.tolist(), top.component_sizes.tolist()
    (2, [2], [5, 1])
    >>> top.vanishing_edges[["pre", "post"]].to_numpy().tolist()
    [[2, 5]]
    >>> top.divergence_rates.round(3).tolist()
    [-0.167, -0.167, -0.167, -0.167, -0.167, 0.833]
    """

    network: SynapticNetwork
    fixed: pd.Index
    component_numbers: NDArray[np.int32]
    n_components: int

    # ------------------------------------------------------------------ components

    @cached_property
    def components(self) -> pd.Series:
        """Number of the strong component of each neuron, by label."""
        return pd.Series(self.component_numbers, index=self.network.neurons, name="component")

    @property
    def component_sizes(self) -> pd.Series:
        """Number of neurons of each component."""
        return pd.Series(
            np.bincount(self.component_numbers, minlength=self.n_components),
            index=pd.RangeIndex(self.n_components, name="component"),
            name="size",
        )

    @cached_property
    def condensation(self) -> pd.DataFrame:
        """Pairs of components joined by synapses: pre, post, n_synapses."""
        post, pre = self._endpoints(np.flatnonzero(self.vanishing))
        of_neuron = self.component_numbers.astype(np.int64)
        pairs, counts = np.unique(
            of_neuron[pre] * self.n_components + of_neuron[post], return_counts=True
        )
        pre, post = np.divmod(pairs, max(self.n_components, 1))
        return pd.DataFrame({"pre": pre, "post": post, "n_synapses": counts})

    @property
    def self_connections(self) -> pd.Index:
        """Labels of the neurons with a synapse onto themselves."""
        return self.network.neurons[self.network.weights.diagonal() != 0]

    # ------------------------------------------------------------------ existence

    @property
    def is_balanceable(self) -> bool:
        """Whether a finite equilibrium exists."""
        return self.n_components <= 1 or not self.vanishing.any()

    @cached_property
    def vanishing(self) -> NDArray[np.bool_]:
        """Which synapses vanish, in the order of ``network.weights.data``."""
        weights = self.network.weights
        if self.n_components <= 1:
            return np.zeros(weights.nnz, dtype=bool)
        of_neuron = self.component_numbers
        vanishing = np.repeat(of_neuron, np.diff(weights.indptr)) != of_neuron[weights.indices]
        keep = _support(self.network)
        return vanishing if keep is None else vanishing & keep

    @cached_property
    def vanishing_edges(self) -> pd.DataFrame:
        """Table of the synapses that vanish: pre, post, weight, cost."""
        net = self.network
        entries = np.flatnonzero(self.vanishing)
        post, pre = self._endpoints(entries)
        return pd.DataFrame(
            {
                "pre": net.neurons.take(pre),
                "post": net.neurons.take(post),
                "weight": net.weights.data[entries],
                "cost": net.costs.data[entries],
            }
        )

    @cached_property
    def divergence_rates(self) -> pd.Series:
        r"""Rates q̂ at which the potentials diverge: p h(t) = q̂ log t + O(1) along the flow.

        They minimise ½ Σ_k q_k² over the neurons, where q is equal within a component and
        q_i − q_j ≥ 1 for every vanishing synapse j → i (0 in the component of fixed neurons). All
        are zero iff the network is balanceable. The cost of a vanishing synapse falls like
        :math:`t^{q_j - q_i}`.
        """
        sizes = self.component_sizes.to_numpy().astype(float)
        of_neuron = self.component_numbers
        sizes[of_neuron[_positions(self.network, self.fixed)]] = np.inf
        pairs = self.condensation
        rates = component_rates(sizes, pairs["pre"].to_numpy(), pairs["post"].to_numpy())
        return pd.Series(rates[of_neuron], index=self.network.neurons, name="divergence_rate")

    # ------------------------------------------------------------------ blocks

    @property
    def n_blocks(self) -> int:
        """Number of biconnected blocks within the components, each of which balances alone."""
        return self._blocks[0].n_blocks

    @property
    def synapse_blocks(self) -> NDArray[np.int32]:
        """Block of each synapse, in the order of ``network.weights.data``.

        −1 for synapses in no block: self-connections, vanishing ones and those of cost zero.
        """
        return self._blocks[0].block_of_entry

    @property
    def cut_neurons(self) -> pd.Index:
        """Labels of the neurons where blocks meet; of all the fixed ones if they do as one."""
        blocks, node_of = self._blocks
        return self.network.neurons[blocks.cut_vertices[node_of]]

    # ------------------------------------------------------------------ text

    def summary(self) -> str:
        """Return a few readable lines.

        Examples
        --------
        >>> import networkx as nx
        >>> import graphbal as gb
        >>> print(gb.topology(nx.path_graph(3, create_using=nx.DiGraph)).summary())
        3 neurons, 2 synapses
        3 strong components, the largest of 1 neuron
        0 blocks, 0 cut neurons
        No finite equilibrium: 2 synapses lie on no directed cycle and vanish,
        e.g. 0 → 1; p h parts at up to 2 log t.
        """
        net = self.network
        size = f"{_count(net.n_neurons, 'neuron')}, {_count(net.n_synapses, 'synapse')}"
        if len(self.self_connections):
            size += f" ({_count(len(self.self_connections), 'self-connection')})"
        if len(self.fixed):
            size += f", {_count(len(self.fixed), 'fixed neuron')} acting as one"
        largest = int(self.component_sizes.max()) if self.n_components else 0
        lines = [
            size,
            f"{_count(self.n_components, 'strong component')}, "
            f"the largest of {_count(largest, 'neuron')}",
            f"{_count(self.n_blocks, 'block')}, {_count(len(self.cut_neurons), 'cut neuron')}",
        ]
        if self.is_balanceable:
            lines.append("A finite equilibrium exists: every synapse lies on a directed cycle.")
        else:
            vanishing = int(np.count_nonzero(self.vanishing))
            post, pre = self._endpoints(np.flatnonzero(self.vanishing)[:1])
            rates = self.divergence_rates
            lies, vanish = ("lies", "vanishes") if vanishing == 1 else ("lie", "vanish")
            lines += [
                f"No finite equilibrium: {_count(vanishing, 'synapse')} {lies} on no directed "
                f"cycle and {vanish},",
                f"e.g. {net.neurons[pre[0]]!s} → {net.neurons[post[0]]!s}; p h parts at up to "
                f"{rates.max() - rates.min():.3g} log t.",
            ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        facts = {
            "neurons": self.network.n_neurons,
            "synapses": self.network.n_synapses,
            "self-connections": len(self.self_connections),
            "fixed neurons": len(self.fixed),
            "strong components": self.n_components,
            "largest component": int(self.component_sizes.max()) if self.n_components else 0,
            "finite equilibrium": self.is_balanceable,
            "vanishing synapses": int(np.count_nonzero(self.vanishing)),
        }
        first = (
            {} if self.is_balanceable else {"first vanishing synapses": self.vanishing_edges.head()}
        )
        return card("Topology", facts, first)

    def __repr__(self) -> str:
        return (
            f"Topology({_count(self.network.n_neurons, 'neuron')}, "
            f"{_count(self.n_components, 'strong component')}, "
            f"{'' if self.is_balanceable else 'not '}balanceable)"
        )

    # ------------------------------------------------------------------ private

    @cached_property
    def _blocks(self) -> tuple[Blocks, NDArray[np.intp] | slice]:
        """Return the blocks with synapses in the network's order, and the node of each neuron."""
        net = self.network
        graph = _merged(net, _positions(net, self.fixed))
        of_node = np.empty(graph.indptr.size - 1, dtype=np.int32)
        of_node[graph.node_of] = self.component_numbers
        blocks = biconnected_blocks(graph.indptr, graph.indices, of_node, graph.keep)
        if graph.order is not None:
            block_of_entry = np.empty_like(blocks.block_of_entry)
            block_of_entry[graph.order] = blocks.block_of_entry
            blocks = blocks._replace(block_of_entry=block_of_entry)
        return blocks, graph.node_of

    def _endpoints(self, entries: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray]:
        """Return the positions of the postsynaptic and presynaptic neurons of some synapses."""
        weights = self.network.weights
        post = np.searchsorted(weights.indptr, entries, side="right") - 1
        return post, weights.indices[entries]


class _Graph(NamedTuple):
    """CSR arrays in which the fixed neurons are one node, the last."""

    indptr: NDArray[np.integer]
    indices: NDArray[np.integer]
    keep: NDArray[np.bool_] | None  # the entries of positive cost; None for all
    order: NDArray[np.intp] | None  # the synapse of each entry; None if they are the same
    node_of: NDArray[np.intp] | slice  # by neuron; a slice of all if they are the same


def _positions(net: SynapticNetwork, fixed: Any) -> NDArray[np.intp]:
    """Return the positions of the fixed neurons, ascending."""
    if fixed is None or (isinstance(fixed, pd.Index) and not len(fixed)):
        return np.empty(0, dtype=np.intp)  # a look-up would cast all labels to objects
    return np.unique(net.positions(fixed))


def _merged(net: SynapticNetwork, fixed: NDArray[np.intp]) -> _Graph:
    weights, keep = net.weights, _support(net)
    if fixed.size <= 1:
        return _Graph(weights.indptr, weights.indices, keep, None, slice(None))
    is_free = np.ones(net.n_neurons, dtype=bool)
    is_free[fixed] = False
    node_of = np.cumsum(is_free) - 1
    n_nodes = net.n_neurons - fixed.size + 1
    node_of[fixed] = n_nodes - 1
    post = np.repeat(node_of, np.diff(weights.indptr))
    order = np.argsort(post, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(post, minlength=n_nodes))])
    indices = node_of[weights.indices[order]]
    return _Graph(indptr, indices, None if keep is None else keep[order], order, node_of)


def _support(net: SynapticNetwork) -> NDArray[np.bool_] | None:
    """Return which synapses have a positive cost, or None if all do."""
    return net.costs.data > 0 if net.has_free_synapses else None


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
