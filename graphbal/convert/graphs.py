"""Graphs of NetworkX, igraph and graph-tool."""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import chain
from numbers import Real
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from graphbal.convert.labels import label_index
from graphbal.convert.matrices import canonical, from_scipy
from graphbal.errors import InputError
from graphbal.network import Intake, SynapticNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import networkx as nx
    from numpy.typing import NDArray

__all__ = ["from_graph_tool", "from_igraph", "from_networkx", "to_networkx"]

# ---------------------------------------------------------------------- NetworkX


def from_networkx(
    graph: nx.Graph, *, weight: str = "weight", p: float = 2.0, alpha: Any = 1.0
) -> SynapticNetwork:
    """Read a NetworkX graph; an edge (u, v) is a synapse from u to v, so it is J[v, u].

    Parameters
    ----------
    graph : networkx.DiGraph, MultiDiGraph, Graph or MultiGraph
        Parallel edges are summed (of an attribute they share, the last one's is kept). An
        undirected edge is read as a synapse in both directions, a self-loop once.
    weight : str
        Edge attribute that holds the weight; an edge without it weighs 1.
    p, alpha
        The cost function; see `SynapticNetwork`. The order of neurons is that of ``graph.nodes``.

    Returns
    -------
    SynapticNetwork
        With the attributes of the graph, its nodes and its edges; `to_networkx` gives them back.

    Raises
    ------
    InputError
        If a weight is not a finite number; the message names the edge.

    Notes
    -----
    O(nodes + edges), as fast as Python walks through the graph.

    Examples
    --------
    >>> import networkx as nx
    >>> from graphbal.convert import from_networkx
    >>> G = nx.DiGraph()
    >>> G.add_edge("AVAL", "DA1", weight=3, transmitter="ACh")
    >>> net = from_networkx(G)
    >>> net.edges()
       pre post  weight  cost
    0  AVAL  DA1     3.0   9.0
    >>> net.to_networkx(cost=None).edges["AVAL", "DA1"]
    {'transmitter': 'ACh', 'weight': 3.0}
    """
    if not hasattr(graph, "adjacency"):
        raise InputError(f"a {type(graph).__name__} is not a NetworkX graph")
    labels = list(graph)
    n = len(labels)
    neighbours = [found for _, found in graph.adjacency()]  # an undirected edge is there twice
    position = dict(zip(labels, range(n), strict=True))
    ends = map(position.__getitem__, chain.from_iterable(neighbours))
    pre = np.repeat(np.arange(n, dtype=np.int32), np.fromiter(map(len, neighbours), int, n))
    post = np.fromiter(ends, np.int32, pre.size)
    edges = list(chain.from_iterable([found.values() for found in neighbours]))
    if graph.is_multigraph():
        parallel = np.fromiter(map(len, edges), int, len(edges))
        pre, post = np.repeat(pre, parallel), np.repeat(post, parallel)
        edges = list(chain.from_iterable([keyed.values() for keyed in edges]))
    try:
        values, with_weight = list(map(itemgetter(weight), edges)), len(edges)
    except KeyError:
        values = [given.get(weight, 1.0) for given in edges]
        with_weight = sum(weight in given for given in edges)
    weights = _finite(values, weight, lambda at: (labels[pre[at]], labels[post[at]]))

    # As they come, edges are sorted by where they start.
    order = np.argsort(post, kind="stable")
    indptr = np.zeros(n + 1, dtype=np.int32)
    np.cumsum(np.bincount(post, minlength=n), out=indptr[1:])
    matrix = sparse.csr_array((weights[order], pre[order], indptr), shape=(n, n))
    intake = Intake()
    if graph.is_multigraph() or not weights.all():
        matrix, intake = canonical(matrix)
    attributes: dict[tuple[Any, Any], dict[str, Any]] = {}
    if sum(map(len, edges)) > with_weight:
        for j, i, given in zip(pre.tolist(), post.tolist(), edges, strict=True):
            others = {name: what for name, what in given.items() if name != weight}
            if others:
                attributes.setdefault((labels[j], labels[i]), {}).update(others)
    if intake.zeros and attributes:
        rows, columns = matrix.nonzero()
        alive = {(labels[j], labels[i]) for i, j in zip(rows, columns, strict=True)}
        attributes = {edge: named for edge, named in attributes.items() if edge in alive}
    return SynapticNetwork(
        weights=matrix,
        neurons=label_index(labels),
        p=p,
        alpha=alpha,
        node_attributes={label: dict(named) for label, named in graph.nodes(data=True) if named},
        edge_attributes=attributes,
        graph_attributes=dict(graph.graph),
        intake=intake,
    )


def to_networkx(
    network: SynapticNetwork, *, weight: str = "weight", cost: str | None = "cost"
) -> nx.DiGraph:
    """Return a NetworkX DiGraph with weights, costs and the attributes that came with the network.

    Parameters
    ----------
    network : SynapticNetwork
    weight : str
        Edge attribute for the weight.
    cost : str or None
        Edge attribute for the cost; None leaves it out.

    Returns
    -------
    networkx.DiGraph
        The synapse j → i as the edge (j, i), neurons in the order of the network. The exponent p
        and the factors α are not part of the graph.

    Examples
    --------
    >>> from graphbal import SynapticNetwork
    >>> net = SynapticNetwork.from_scipy([[0, 2], [1, 0]])
    >>> sorted(net.to_networkx().edges(data=True))
    [(0, 1, {'weight': 1.0, 'cost': 1.0}), (1, 0, {'weight': 2.0, 'cost': 4.0})]
    """
    import networkx as nx

    graph = nx.DiGraph()
    graph.graph.update(network.graph_attributes)
    labels = network.neurons.tolist()
    nodes = network.node_attributes
    graph.add_nodes_from((label, nodes.get(label, {})) for label in labels)
    post, pre = (at.tolist() for at in network.weights.tocoo().coords)
    columns = {weight: network.weights.data.tolist()}
    if cost is not None:
        columns[cost] = network.costs.data.tolist()
    edges = network.edge_attributes
    for j, i, *values in zip(pre, post, *columns.values(), strict=True):
        named = edges.get((labels[j], labels[i]), {})
        graph.add_edge(labels[j], labels[i])
        graph[labels[j]][labels[i]].update({**named, **dict(zip(columns, values, strict=True))})
    return graph


# ---------------------------------------------------------------------- igraph and graph-tool


def from_igraph(graph: Any, *, weight: str | None = None, **cost: Any) -> SynapticNetwork:
    """Read an igraph Graph: labels in the vertex attribute "name", weights in `weight`."""
    edges = np.array(graph.get_edgelist(), dtype=np.int64).reshape(-1, 2)
    held = graph.es.attributes()
    name = _attribute(weight, held, "edge attributes of the igraph graph")
    values = [1.0] * len(edges) if name is None else graph.es[name]
    n = graph.vcount()
    labels = graph.vs["name"] if "name" in graph.vs.attributes() else range(n)
    pre, post = edges.T
    weights = _finite(values, name, lambda at: (labels[pre[at]], labels[post[at]]))
    return _from_arrays(pre, post, weights, labels, graph.is_directed(), cost)


def from_graph_tool(graph: Any, *, weight: str | None = None, **cost: Any) -> SynapticNetwork:
    """Read a graph-tool Graph: labels in the vertex property "name", weights in `weight`."""
    vertices = np.asarray(graph.get_vertices())  # with gaps, if some are filtered out
    name = _attribute(
        weight, list(graph.edge_properties), "edge properties of the graph-tool graph"
    )
    edges = graph.get_edges([] if name is None else [graph.edge_properties[name]])
    pre, post = np.searchsorted(vertices, edges[:, :2].T.astype(np.int64))
    names = graph.vertex_properties
    labels = [names["name"][v] for v in graph.vertices()] if "name" in names else vertices.tolist()
    values = np.ones(len(edges)) if name is None else edges[:, 2]
    weights = _finite(values, name, lambda at: (labels[pre[at]], labels[post[at]]))
    return _from_arrays(pre, post, weights, labels, graph.is_directed(), cost)


# ---------------------------------------------------------------------- what they share


def _attribute(weight: str | None, held: Sequence[str], what: str) -> str | None:
    """Return the name of the weights among those held; None where there are none to be found."""
    if weight is not None and weight not in held:
        listed = ", ".join(map(repr, held)) or "none"
        raise InputError(f"there is no {weight!r} among the {what}: {listed}")
    return weight or ("weight" if "weight" in held else None)


def _finite(
    values: Any, name: str | None, pair: Callable[[int], tuple[Any, Any]]
) -> NDArray[np.float64]:
    """Return weights as an array, or say which edge, `pair` of its position, has none."""
    with suppress(ValueError):  # of shapes that differ
        array = np.array(values)
        if array.dtype.kind in "biuf" and array.ndim == 1:
            array = array.astype(np.float64, copy=False)
            if np.isfinite(array.sum()) or np.isfinite(array).all():
                return array
    for at, value in enumerate(values):
        with suppress(OverflowError):
            if isinstance(value, Real) and math.isfinite(value):
                continue
        u, v = pair(at)
        raise InputError(
            f"the {name!r} of the edge {u!r} → {v!r} is {value!r}; it must be a finite number"
        )
    return np.array([float(value) for value in values])


def _from_arrays(
    pre: NDArray[np.integer],
    post: NDArray[np.integer],
    weights: NDArray[np.float64],
    labels: Any,
    directed: bool,
    cost: dict[str, Any],
) -> SynapticNetwork:
    if not directed:
        ends = np.flatnonzero(pre != post)  # a self-loop is there once
        weights = np.concatenate([weights, weights[ends]])
        pre, post = np.concatenate([pre, post[ends]]), np.concatenate([post, pre[ends]])
    n = len(labels)
    return from_scipy(
        sparse.coo_array((weights, (post, pre)), shape=(n, n)), neurons=label_index(labels), **cost
    )
