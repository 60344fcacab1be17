"""The NetworkX way: potentials by node, or as attributes of the graph."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

from graphbal.balance import balance
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["equilibrium_potentials", "set_potentials"]


def equilibrium_potentials(
    graph: nx.Graph,
    weight: str = "weight",
    p: float = 2.0,
    alpha: Any = 1.0,
    fixed: Iterable[Hashable] | None = None,
    tol: float = 1e-9,
) -> dict[Hashable, float]:
    r"""Return the equilibrium potential of each node of a NetworkX graph.

    Parameters
    ----------
    graph : networkx.Graph, DiGraph or multigraph
        An edge (u, v) is a synapse from u to v; an undirected edge is one each way.
    weight : str
        Edge attribute that holds the weight; an edge without it has weight 1.
    p, alpha : float
        Cost of a synapse, :math:`c = \alpha |J|^p`.
    fixed : nodes, optional
        Nodes whose potential is clamped at 0.
    tol : float
        As in `balance`.

    Returns
    -------
    dict
        Node → potential h, dimensionless, mean zero in each strongly connected component.

    Raises
    ------
    InputError
        As `balance`.

    See Also
    --------
    balance : The same, with everything there is to know about the result.
    set_potentials : The same, as attributes of the nodes.

    References
    ----------
    .. [1] Stock et al. (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import networkx as nx
    >>> import graphbal as gb
    >>> G = nx.DiGraph()
    >>> G.add_weighted_edges_from([("a", "b", 4.0), ("b", "a", 1.0)])
    >>> h = gb.equilibrium_potentials(G)
    >>> round(h["b"] - h["a"], 4)  # (1/2p) log(16/1)
    0.6931
    """
    net = SynapticNetwork.from_networkx(graph, weight=weight, p=p, alpha=alpha)
    h = balance(net, tol=tol, fixed=fixed).h
    return dict(zip(graph, h.tolist(), strict=True))


def set_potentials(
    graph: nx.Graph,
    name: str = "potential",
    *,
    potentials: Any = None,
    balanced: str | None = None,
    weight: str = "weight",
    p: float = 2.0,
    alpha: Any = 1.0,
    fixed: Iterable[Hashable] | None = None,
    tol: float = 1e-9,
) -> None:
    r"""Write potentials into the nodes of a NetworkX graph, and balanced weights into its edges.

    Like ``networkx.set_node_attributes``, and unlike everything else in graphbal, this changes what
    it is given: each node gets an attribute.

    Parameters
    ----------
    graph : networkx.Graph, DiGraph or multigraph
        As in `equilibrium_potentials`; it is changed.
    name : str
        Node attribute for the potential.
    potentials : mapping, Series or array, optional
        Potentials h by node, or in the order of the nodes. By default those of the equilibrium.
    balanced : str, optional
        Edge attribute for the transformed weight :math:`e^{h_u - h_v} J_{vu}` of the edge (u, v);
        0 if it vanishes at the equilibrium. By default edges stay as they are.
    weight, p, alpha, fixed, tol
        As in `equilibrium_potentials`.

    Raises
    ------
    InputError
        As `balance`; if a node has no potential; or if balanced weights are asked for in an
        undirected graph, whose edges have one weight for both directions. The graph is then as it
        was.

    Notes
    -----
    That of `balance`, and O(nodes + edges) in Python.

    References
    ----------
    .. [1] Stock et al. (2022), eq. 4. https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import networkx as nx
    >>> import graphbal as gb
    >>> G = nx.DiGraph()
    >>> G.add_weighted_edges_from([("a", "b", 4.0), ("b", "a", 1.0)])
    >>> gb.set_potentials(G, balanced="balanced")
    >>> {node: round(h, 4) for node, h in G.nodes(data="potential")}
    {'a': -0.3466, 'b': 0.3466}
    >>> [(u, v, round(w, 4)) for u, v, w in G.edges(data="balanced")]
    [('a', 'b', 2.0), ('b', 'a', 2.0)]
    """
    net = SynapticNetwork.from_networkx(graph, weight=weight, p=p, alpha=alpha)
    if balanced is not None and not graph.is_directed():
        raise InputError(
            "an undirected edge has one weight, and balancing scales its two directions apart; "
            "take graph.to_directed()"
        )
    vanished: set[tuple[Hashable, Hashable]] = set()
    if potentials is None:
        eq = balance(net, tol=tol, fixed=fixed)
        h, gone = eq.h, eq.topology.vanishing_edges
        vanished.update(zip(gone["pre"], gone["post"], strict=True))
    else:
        h = net.aligned(potentials, "potential")
    of_node = dict(zip(graph, h.tolist(), strict=True))
    if balanced is not None:
        net.transform(h)  # names a weight that overflows, before anything is written
        for u, v, edge in graph.edges(data=True):
            value = float(edge.get(weight, 1.0))
            if value:
                value *= 0.0 if (u, v) in vanished else math.exp(of_node[u] - of_node[v])
            edge[balanced] = value
    for node, potential in of_node.items():
        graph.nodes[node][name] = potential
