"""Graphs and arrays of other libraries, against NetworkX: an edge u → v is J[v, u] everywhere."""

from __future__ import annotations

from types import SimpleNamespace

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import sparse

import graphbal as gb
from graphbal import InputError, as_network

DENSE = np.array([[0.0, 2, 0], [1, 0, -5], [0, 3, 4]])


def random_graph(directed=True, seed=0):
    """Return a graph of strings with weights, self-loops, and a node without edges."""
    rng = np.random.default_rng(seed)
    graph = nx.DiGraph() if directed else nx.Graph()
    graph.add_nodes_from([f"n{k}" for k in rng.permutation(12)])
    for k, m in rng.integers(0, 11, (40, 2)):
        graph.add_edge(f"n{k}", f"n{m}", weight=rng.standard_normal())
    return graph


def adjacency(graph, weight="weight"):
    """Return NetworkX's word on J: its own adjacency matrix, transposed."""
    return nx.to_numpy_array(graph, weight=weight).T


# ------------------------------------------------------------------ igraph


@pytest.mark.parametrize("directed", [True, False])
def test_an_igraph_graph_is_what_networkx_says(directed):
    igraph = pytest.importorskip("igraph")
    graph = random_graph(directed)
    theirs = igraph.Graph(len(graph), directed=directed)
    theirs.vs["name"] = list(graph)
    theirs.add_edges(list(graph.edges))
    theirs.es["weight"] = [w for _, _, w in graph.edges(data="weight")]
    net = as_network(theirs, p=1)
    np.testing.assert_array_equal(net.weights.toarray(), adjacency(graph))
    assert net.neurons.tolist() == list(graph)
    assert net.p == 1
    assert dict(net.to_networkx(cost=None).edges) == dict(graph.to_directed().edges)
    eq = gb.balance(theirs)
    np.testing.assert_allclose(eq.h, list(gb.equilibrium_potentials(graph).values()), atol=1e-8)


def test_igraph_weights_by_name_parallel_edges_and_numbers_for_names():
    igraph = pytest.importorskip("igraph")
    graph = igraph.Graph(3, [(0, 1), (0, 1), (1, 2)], directed=True)
    net = as_network(graph)  # without weights each edge weighs 1, as in NetworkX
    assert net.weights.toarray().tolist() == [[0, 0, 0], [2, 0, 0], [0, 1, 0]]
    assert net.neurons.tolist() == [0, 1, 2]
    assert net.intake.repeated == 1
    graph.es["size"] = [3, 4, 5]
    assert as_network(graph, weight="size").weights.toarray()[1, 0] == 7
    with pytest.raises(InputError, match=r"no 'weight' among the edge attributes .*: 'size'"):
        as_network(graph, weight="weight")
    graph.es[2]["size"] = None
    graph.vs["name"] = ["a", "b", "c"]
    with pytest.raises(InputError, match="the 'size' of the edge 'b' → 'c' is None"):
        as_network(graph, weight="size")
    assert as_network(igraph.Graph(2)).n_synapses == 0


# ------------------------------------------------------------------ graph-tool, a stand-in


def graph_tool_graph(graph, name="weight", hidden=()):
    """Return a stand-in with what is used of graph-tool's Graph, which pip cannot install.

    It follows the documentation of `graph_tool.Graph`; `name` is that of the weights. Vertices
    are numbered; `hidden` ones are filtered out, which leaves gaps in the numbers.
    """
    labels = list(graph)
    number = {label: at for at, label in enumerate(labels)}
    shown = [v for v in range(len(labels)) if labels[v] not in hidden]
    edges = [(u, v, w) for u, v, w in graph.edges(data="weight") if not {u, v} & set(hidden)]
    ends = np.array([(number[u], number[v]) for u, v, _ in edges], dtype=np.int64).reshape(-1, 2)

    def get_edges(eprops=()):  # (edges, 2 + properties)
        return np.column_stack([ends, *eprops]) if eprops else ends

    kind = type("Graph", (SimpleNamespace,), {"__module__": "graph_tool"})
    return kind(
        get_vertices=lambda: np.array(shown),
        vertices=lambda: iter(shown),
        get_edges=get_edges,
        is_directed=graph.is_directed,
        vertex_properties={"name": labels},
        edge_properties={name: np.array([w for *_, w in edges])},
    )


@pytest.mark.parametrize("directed", [True, False])
def test_a_graph_tool_graph_is_what_networkx_says(directed):
    graph = random_graph(directed)
    net = as_network(graph_tool_graph(graph))
    np.testing.assert_array_equal(net.weights.toarray(), adjacency(graph))
    assert net.neurons.tolist() == list(graph)
    hidden = list(graph)[2:4]
    net = as_network(graph_tool_graph(graph, hidden=hidden))
    shown = graph.subgraph(set(graph) - set(hidden))
    rest = nx.to_pandas_adjacency(shown).loc[net.neurons, net.neurons]
    np.testing.assert_array_equal(net.weights.toarray(), rest.to_numpy().T)


def test_graph_tool_properties_by_name():
    graph = graph_tool_graph(random_graph(), name="size")
    with pytest.raises(InputError, match=r"no 'w' among the edge properties .*: 'size'"):
        as_network(graph, weight="w")
    sized = as_network(graph, weight="size")
    assert not np.array_equal(sized.weights.data, np.ones(sized.n_synapses))
    assert (as_network(graph).weights.data == 1).all()
    graph.vertex_properties = {}
    assert as_network(graph).neurons.tolist() == list(range(12))


# ------------------------------------------------------------------ AnnData, a stand-in


def annotated(**obsp):
    kind = type("AnnData", (SimpleNamespace,), {"__module__": "anndata"})
    return kind(obs_names=pd.Index(["a", "b", "c"]), obsp=obsp)


def test_obsp_matrices_are_read_by_key():
    data = annotated(connectivities=sparse.csr_matrix(DENSE), distances=np.ones((3, 3)))
    net = as_network(data, weight="connectivities", p=1)
    np.testing.assert_array_equal(net.weights.toarray(), DENSE)
    assert net.neurons.tolist() == ["a", "b", "c"]
    only = as_network(annotated(counts=sparse.csc_matrix(DENSE)))
    np.testing.assert_array_equal(only.weights.toarray(), DENSE)
    for weight in (None, "weights"):
        with pytest.raises(InputError, match="obsp holds 'connectivities', 'distances'"):
            as_network(data, weight=weight)
    with pytest.raises(InputError, match="obsp holds none"):
        as_network(annotated())


def test_a_real_annotated_matrix():
    anndata = pytest.importorskip("anndata")
    data = anndata.AnnData(np.zeros((3, 1)), obsp={"synapses": sparse.csr_matrix(DENSE)})
    data.obs_names = ["a", "b", "c"]
    net = as_network(data)
    np.testing.assert_array_equal(net.weights.toarray(), DENSE)
    assert net.neurons.tolist() == ["a", "b", "c"]


# ------------------------------------------------------------------ xarray


def test_a_data_array_is_read_by_the_names_of_its_dimensions():
    labels = ["a", "b", "c"]
    rows = xr.DataArray(DENSE, {"post": labels, "pre": labels}, dims=("post", "pre"))
    other = xr.DataArray(DENSE, {"x": labels, "y": labels}, dims=("x", "y"))
    for array in (rows, rows.transpose("pre", "post"), other):
        net = as_network(array, p=1)
        np.testing.assert_array_equal(net.weights.toarray(), DENSE)
        assert net.neurons.tolist() == labels
        assert net.p == 1
    graph = net.to_networkx()
    assert all(rows.sel(pre=u, post=v) == w for u, v, w in graph.edges(data="weight"))
    assert as_network(xr.DataArray(DENSE)).neurons.tolist() == [0, 1, 2]
    half = xr.DataArray(DENSE, {"y": labels}, dims=("x", "y"))
    assert as_network(half).neurons.tolist() == labels


def test_coordinates_must_agree_and_are_aligned():
    array = xr.DataArray(
        DENSE, {"post": ["a", "b", "c"], "pre": ["c", "a", "b"]}, dims=("post", "pre")
    )
    net = as_network(array)
    assert net.neurons.tolist() == ["a", "b", "c"]
    assert net.to_networkx().edges["c", "b"]["weight"] == array.sel(post="b", pre="c")
    for wrong in (["c", "a", "z"], ["c", "a", "a"]):
        with pytest.raises(InputError, match="'post' and 'pre' of the DataArray are not the same"):
            as_network(array.assign_coords(pre=wrong))
    with pytest.raises(InputError, match="call both by what they are"):
        as_network(array.rename(post="neuron"))
    with pytest.raises(InputError, match="must have two"):
        as_network(xr.DataArray(np.ones((2, 2, 2))))
    with pytest.raises(InputError, match=r"shape \(2, 3\)"):
        as_network(xr.DataArray(np.ones((2, 3))))


# ------------------------------------------------------------------ PyTorch, JAX, any array


@pytest.mark.filterwarnings("ignore:Sparse")  # of PyTorch, about the tensors made here
def test_tensors_are_read_wherever_they_are_and_lose_their_gradient():
    torch = pytest.importorskip("torch")
    dense = torch.tensor(DENSE)
    leaf = dense.clone().requires_grad_()
    sparse_ones = (dense.to_sparse(), dense.to_sparse_csr(), dense.to_sparse_csc())
    for tensor in (dense, dense.T.contiguous().T, leaf, leaf * 1, dense.bfloat16(), *sparse_ones):
        net = as_network(tensor)
        np.testing.assert_array_equal(net.weights.toarray(), DENSE)
    twice = torch.sparse_coo_tensor([[0, 0], [1, 1]], [1.5, 0.5], (3, 3))
    assert as_network(twice).weights.toarray().tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 0]]
    with pytest.raises(InputError, match="complex128; they must be real"):
        as_network(dense * 1j)
    for shape in ((3,), (2, 3), (2, 2, 2)):
        for tensor in (torch.ones(shape), torch.ones(shape).to_sparse()):
            with pytest.raises(InputError, match=r"must be (square|a matrix)"):
                as_network(tensor)
    with pytest.raises(InputError, match="cannot be read"):
        as_network(torch.ones((2, 2), device="meta"))


def test_jax_arrays_are_read_through_the_array_protocol():
    jax = pytest.importorskip("jax")
    net = as_network(jax.numpy.asarray(DENSE))
    np.testing.assert_array_equal(net.weights.toarray(), DENSE)
    with pytest.raises(InputError, match="cannot be read as a NumPy array"):
        jax.jit(lambda x: as_network(x).total_cost)(jax.numpy.ones((2, 2)))


def test_whatever_speaks_a_protocol_is_an_array():
    class Exchanged:
        def __dlpack__(self, **options):
            return DENSE.__dlpack__(**options)

        def __dlpack_device__(self):
            return DENSE.__dlpack_device__()

    np.testing.assert_array_equal(as_network(Exchanged()).weights.toarray(), DENSE)


@pytest.mark.parametrize("source", [DENSE, as_network(DENSE), "celegans", xr.DataArray(DENSE)])
def test_weights_by_name_are_refused_where_there_is_one_kind_only(source):
    with pytest.raises(InputError, match="weight is 'size'"):
        as_network(source, weight="size")


def test_weights_by_name_reach_graphs_tables_and_files(tmp_path):
    graph = nx.DiGraph([(0, 1, {"size": 4.0})])
    table = pd.DataFrame({"pre": [0], "post": [1], "area": [3.0], "size": [4.0]})
    table.to_csv(tmp_path / "table.csv", index=False)
    for source in (graph, table, tmp_path / "table.csv"):
        assert as_network(source, weight="size").weights.data.tolist() == [4.0]


# ------------------------------------------------------------------ attributes of NetworkX graphs


def test_potentials_become_node_attributes_and_balanced_weights_edge_attributes():
    graph = random_graph(seed=3)
    graph.add_edge("n0", "n11", weight=2.0)  # vanishes: nothing leaves n11
    before = graph.copy()
    gb.set_potentials(graph, "h", balanced="after", p=1)
    assert nx.get_node_attributes(graph, "h") == gb.equilibrium_potentials(before, p=1)
    eq = gb.balance(gb.as_network(before, p=1))
    assert len(eq.topology.vanishing_edges) == 1
    np.testing.assert_allclose(
        adjacency(graph, "after"), eq.network.weights.toarray(), rtol=1e-12, atol=0
    )
    assert graph.edges["n0", "n11"]["after"] == 0
    for *_, edge in graph.edges(data=True):
        del edge["after"]
    assert dict(graph.edges) == dict(before.edges)


def test_potentials_given_are_written_as_they_are():
    graph = nx.MultiDiGraph([(0, 1, {"weight": 2}), (0, 1, {"weight": 3}), (1, 0), (1, 0)])
    graph.edges[1, 0, 1]["weight"] = 0
    h = {1: np.log(2.0), 0: 0.0, "elsewhere": 5.0}
    assert gb.set_potentials(graph, potentials=pd.Series(h), balanced="weight") is None
    assert dict(graph.nodes(data="potential")) == {0: 0.0, 1: np.log(2.0)}
    weights = [w for *_, w in graph.edges(data="weight")]
    np.testing.assert_allclose(weights, [1.0, 1.5, 2.0, 0.0], rtol=1e-15)


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (nx.path_graph(3), {"balanced": "w"}, "undirected edge has one weight"),
        (nx.path_graph(3, nx.DiGraph), {"potentials": {0: 1.0, 1: 2.0}}, "neuron 2"),
        (nx.DiGraph([(0, 1)]), {"potentials": [800.0, -800.0], "balanced": "w"}, "is inf"),
        (nx.DiGraph([(0, 1), (1, 0)]), {"fixed": [7]}, "no neuron labelled 7"),
        (nx.empty_graph(3), {}, "nothing to balance"),
        (DENSE, {}, "ndarray is not a NetworkX graph"),
    ],
)
def test_a_graph_stays_as_it_was_where_something_is_wrong(given, options, words):
    with pytest.raises(InputError, match=words):
        gb.set_potentials(given, **options)
    if isinstance(given, nx.Graph):
        assert not any(attributes for _, attributes in given.nodes(data=True))
        assert not any(attributes for *_, attributes in given.edges(data=True))


# ------------------------------------------------------------------ a thousand small graphs


def test_small_graphs_are_balanced_one_by_one():
    """Balance as NetworkX can check it: the squares of the weights into and out of each node."""
    for seed in range(40):
        graph = nx.gnp_random_graph(50, 0.18, seed=seed, directed=True)
        rng = np.random.default_rng(seed)
        for *_, edge in graph.edges(data=True):
            edge["weight"] = rng.lognormal()
        if not nx.is_strongly_connected(graph):
            continue
        gb.set_potentials(graph, balanced="after")
        for *_, edge in graph.edges(data=True):
            edge["cost"] = edge["after"] ** 2
        incoming = np.array([d for _, d in graph.in_degree(weight="cost")])
        outgoing = np.array([d for _, d in graph.out_degree(weight="cost")])
        assert (np.abs(incoming - outgoing) <= 2e-9 * (incoming + outgoing)).all()
        assert sum(nx.get_node_attributes(graph, "potential").values()) == pytest.approx(
            0, abs=1e-12
        )
