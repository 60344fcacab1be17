"""Into and out of NetworkX, SciPy, NumPy and pandas without loss."""

from __future__ import annotations

import fractions
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from graphbal import InputError, SynapticNetwork, as_network, write_network
from graphbal.convert import from_edges, from_networkx, from_scipy, recognise_columns
from graphbal.convert.labels import label_index

# ---------------------------------------------------------------------- NetworkX

hashables = st.recursive(
    st.text(max_size=4) | st.integers(-(2**70), 2**70) | st.booleans() | st.binary(max_size=2),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=2),
    max_leaves=4,
)
weights = st.floats(-1e150, 1e150, allow_subnormal=False).filter(lambda w: abs(w) > 1e-150)
attributes = st.dictionaries(
    st.sampled_from(["kind", "size", "position", 7]),
    st.integers() | st.text(max_size=3) | st.lists(st.floats(allow_nan=False), max_size=2),
    max_size=2,
)


@st.composite
def digraphs(draw):
    graph = nx.DiGraph()
    graph.graph.update(draw(attributes))
    nodes = draw(st.lists(hashables, max_size=6, unique=True))
    for node in nodes:
        graph.add_node(node)
        graph.nodes[node].update(draw(attributes))
    if nodes:
        ends = st.sampled_from(nodes)
        for u, v in draw(st.lists(st.tuples(ends, ends), max_size=12)):
            graph.add_edge(u, v)
            graph.edges[u, v].update(draw(attributes), weight=draw(weights))
    return graph


@given(digraphs())
@settings(max_examples=150, deadline=None)
def test_any_digraph_survives_the_round_trip(graph):
    back = from_networkx(graph).to_networkx(cost=None)
    assert list(back.nodes(data=True)) == list(graph.nodes(data=True))
    assert dict(back.edges) == dict(graph.edges)
    assert back.graph == graph.graph


@given(digraphs())
@settings(max_examples=50, deadline=None)
def test_matrix_of_a_digraph_is_the_transposed_adjacency_matrix(graph):
    if len(graph):
        expected = nx.to_numpy_array(graph, weight="weight").T
        np.testing.assert_array_equal(from_networkx(graph).weights.toarray(), expected)


def test_reading_a_graph_leaves_it_alone():
    graph = nx.DiGraph([(0, 1, {"weight": 2, "kind": "x"})])
    net = from_networkx(graph)
    net.to_networkx().edges[0, 1]["kind"] = "changed"
    assert graph.edges[0, 1] == {"weight": 2, "kind": "x"}
    assert net.edge_attributes[0, 1] == {"kind": "x"}


def test_parallel_edges_are_summed_and_counted():
    graph = nx.MultiDiGraph()
    graph.add_edge("a", "b", weight=2, neuropil="AL_L")
    graph.add_edge("a", "b", weight=3, nt="ACh")
    graph.add_edge("b", "a", weight=1)
    net = from_networkx(graph)
    assert net.weights.toarray().tolist() == [[0, 1], [5, 0]]
    assert net.intake.repeated == 1
    assert net.edge_attributes["a", "b"] == {"neuropil": "AL_L", "nt": "ACh"}


def test_an_undirected_graph_is_read_in_both_directions_and_its_self_loops_once():
    graph = nx.Graph([("a", "b", {"weight": 3}), ("b", "b", {"weight": 7})])
    net = from_networkx(graph)
    assert net.weights.toarray().tolist() == [[0, 3], [3, 7]]
    assert net.n_self_connections == 1
    assert net.intake.repeated == 0


def test_a_missing_weight_is_one_and_the_attribute_can_be_named():
    graph = nx.DiGraph([(0, 1), (1, 0, {"size": 4})])
    assert from_networkx(graph).weights.toarray().tolist() == [[0, 1], [1, 0]]
    assert from_networkx(graph, weight="size").weights.toarray().tolist() == [[0, 4], [1, 0]]


def test_zero_weights_are_dropped_with_their_attributes_and_counted():
    graph = nx.MultiDiGraph()
    graph.add_edge(0, 1, weight=2, kind="gone")
    graph.add_edge(0, 1, weight=-2)
    graph.add_edge(1, 0, weight=1, kind="kept")
    net = from_networkx(graph)
    assert (net.n_synapses, net.intake.zeros, net.intake.repeated) == (1, 1, 1)
    assert net.edge_attributes == {(1, 0): {"kind": "kept"}}


@pytest.mark.parametrize("weight", ["3", None, float("nan"), float("inf"), 1j, [1]])
def test_a_weight_that_is_no_finite_number_names_its_edge(weight):
    graph = nx.DiGraph([("AVAL", "DA1", {"weight": weight})])
    with pytest.raises(InputError, match="'AVAL' → 'DA1'"):
        from_networkx(graph)


def test_numpy_and_rational_weights_are_numbers():
    graph = nx.DiGraph()
    graph.add_edge(0, 1, weight=np.float32(0.5))
    graph.add_edge(1, 0, weight=fractions.Fraction(1, 4))
    assert from_networkx(graph).weights.toarray().tolist() == [[0, 0.25], [0.5, 0]]


# ---------------------------------------------------------------------- matrices

formats = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("format", formats)
@pytest.mark.parametrize("kind", [sparse.coo_array, sparse.coo_matrix])
def test_every_sparse_format_gives_the_same_canonical_matrix(format, kind, index):
    dense = np.array([[0.0, 2, 0], [1, 0, -3], [0, 0, 4]])
    given = kind(dense).asformat(format)
    if format in ("csr", "csc"):
        given.indices, given.indptr = given.indices.astype(index), given.indptr.astype(index)
    before = given.toarray().copy()
    J = from_scipy(given).weights
    np.testing.assert_array_equal(J.toarray(), dense)
    assert J.nnz == 4
    assert J.has_canonical_format
    assert (J.data.dtype, J.indices.dtype, J.indptr.dtype) == (np.float64, np.int32, np.int32)
    np.testing.assert_array_equal(given.toarray(), before)


def test_a_canonical_matrix_is_shared_not_copied():
    given = sparse.random_array((50, 50), density=0.1, format="csr", rng=0)
    J = from_scipy(given).weights
    assert np.shares_memory(J.data, given.data)
    assert np.shares_memory(J.indices, given.indices)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_an_untidy_matrix_is_tidied_in_a_copy(kind):
    # Row 0: columns out of order, one twice; row 1: a stored zero, and a pair that cancels.
    data = np.array([5.0, 1.0, 2.0, 0.0, 3.0, -3.0])
    indices, indptr = np.array([2, 0, 2, 1, 0, 0]), np.array([0, 3, 6, 6])
    given = kind((data, indices, indptr), shape=(3, 3))
    net = from_scipy(given)
    assert net.weights.toarray().tolist() == [[1, 0, 7], [0, 0, 0], [0, 0, 0]]
    assert (net.intake.repeated, net.intake.zeros) == (2, 2)
    assert given.nnz == 6
    assert given.indices.tolist() == [2, 0, 2, 1, 0, 0]
    assert given.data.tolist() == [5, 1, 2, 0, 3, -3]


def test_a_zero_in_an_otherwise_canonical_matrix_is_dropped_in_a_copy():
    given = sparse.csr_array((np.array([0.0, 2.0]), np.array([0, 1]), np.array([0, 2, 2])))
    given.resize(2, 2)
    assert from_scipy(given).n_synapses == 1
    assert given.nnz == 2


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float32, object])
def test_any_real_type_becomes_float64(dtype):
    dense = np.array([[0, 1], [1, 0]]).astype(dtype)
    assert from_scipy(dense).weights.data.tolist() == [1.0, 1.0]
    if dtype is not object:
        assert from_scipy(sparse.csr_array(dense)).weights.data.dtype == np.float64


def test_nested_lists_and_labels():
    net = SynapticNetwork.from_scipy([[0, 2], [1, 3]], neurons=[("AVA", "L"), ("AVA", "R")])
    assert net.neurons.tolist() == [("AVA", "L"), ("AVA", "R")]
    assert net.n_self_connections == 1


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([[0, np.nan], [1, 0]], r"row 0, column 1 \(counting from 0\) is nan"),
        ([[0, 1], [-np.inf, 0]], r"row 1, column 0 .* is -inf"),
        ([[0, 1, 2], [1, 0, 2]], r"shape \(2, 3\); it must be square"),
        ([0, 1], r"shape \(2,\)"),
        ([[0, 1], [1]], "differ in length"),
        ([[0, "a"], ["b", 0]], "must be real numbers"),
        ([[0, 1j], [1, 0]], "must be real numbers"),
        (np.array([[0, None], [1, 0]]), "row 0, column 1 .* is nan"),
        (np.array([[0, {}], [1, 0]]), "must hold real numbers"),
        (sparse.csr_array([[0, 1j], [1, 0]]), "must be real numbers"),
        (sparse.csr_array(np.ones((2, 3))), r"shape \(2, 3\)"),
        (sparse.csr_array([[0, np.nan], [1, 0]]), "synapse 1 → 0 is nan"),
        (sparse.coo_array(np.ones(3)), "square"),
    ],
)
def test_a_bad_matrix_is_refused_with_its_place(matrix, words):
    with pytest.raises(InputError, match=words):
        from_scipy(matrix)


def test_labels_must_be_as_many_as_neurons_and_unique():
    with pytest.raises(InputError, match="1 labels were given for 2"):
        from_scipy(np.ones((2, 2)), neurons=["a"])
    with pytest.raises(InputError, match="'a' is given to more than one"):
        from_scipy(np.ones((2, 2)), neurons=["a", "a"])


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        ([3, 1], "int64"),
        ([2**63 + 1, 0], "uint64"),
        ([2**70, -1], "object"),
        ([-1, 2**63], "object"),
        ([True, 0], "object"),
        ([("a", 1), ("b", 2)], "object"),
        (np.array([2**63 - 1, 5]), "int64"),
        (["a", "b"], "object"),
        ([1, "a"], "object"),
    ],
)
def test_labels_stay_what_they_are(labels, dtype):
    index = label_index(labels)
    assert index.dtype == dtype
    assert index.tolist() == list(labels)
    assert index.nlevels == 1


# ---------------------------------------------------------------------- edge lists


def table(pre, post, weight, names=("pre", "post", "weight")):
    return pd.DataFrame(dict(zip(names, (pre, post, weight), strict=True)))


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ("pre post weight", "pre post weight"),
        ("Weight TARGET Source", "Source TARGET Weight"),
        ("Source Target Weight Type", "Source Target Weight"),
        ("pre_root_id post_root_id neuropil syn_count nt_type",
         "pre_root_id post_root_id syn_count"),
        ("pre_pt_root_id post_pt_root_id neuropil syn_count gaba_avg",
         "pre_pt_root_id post_pt_root_id syn_count"),
        ("bodyId_pre bodyId_post weight", "bodyId_pre bodyId_post weight"),
        ("bodyId_pre bodyId_post roi weight weightHP", "bodyId_pre bodyId_post weight"),
        ("body_pre body_post weight", "body_pre body_post weight"),
        ("Presynaptic_ID Postsynaptic_ID Connectivity",
         "Presynaptic_ID Postsynaptic_ID Connectivity"),
    ],
)  # fmt: skip
def test_the_layouts_that_users_download_are_recognised(columns, found):
    assert recognise_columns(columns.split()) == tuple(found.split())


def test_the_signed_weight_of_shiu_et_al_is_preferred():
    columns = [
        "Presynaptic_ID", "Postsynaptic_ID", "Presynaptic_Index", "Postsynaptic_Index",
        "Connectivity", "Excitatory", "Excitatory x Connectivity",
    ]  # fmt: skip
    names = recognise_columns(columns)
    assert names == ("Presynaptic_ID", "Postsynaptic_ID", "Excitatory x Connectivity")


@pytest.mark.parametrize(
    ("columns", "named", "words"),
    [
        ("a b c", {}, r"name them with pre= and post=; the columns are 'a', 'b', 'c'"),
        ("pre post source target weight", {}, "not clear which columns"),
        ("pre PRE post weight", {}, "not clear which columns"),
        ("pre post x y", {}, r"weights; name it with weight=; the columns are .*'x', 'y'"),
        ("pre post weight syn_count", {}, "name it with weight="),
        ("pre post weight", {"weight": "w"}, "no column called 'w'; its columns are 'pre'"),
        ("a b w w", {"pre": "a", "post": "b", "weight": "w"}, "2 columns called 'w'"),
        ("a b c", {"pre": "a"}, "both the pre and the post"),
        ("a b c", {"pre": "a", "post": "a"}, "'a' is named twice"),
    ],
)
def test_missing_or_ambiguous_columns_are_refused_with_the_list(columns, named, words):
    with pytest.raises(InputError, match=words):
        recognise_columns(columns.split(), **named)


def test_rows_of_a_pair_are_summed_and_two_columns_weigh_one_each():
    net = from_edges(table([1, 1, 2], [2, 2, 1], [3, 4, 5]))
    assert net.weights.toarray().tolist() == [[0, 5], [7, 0]]
    assert net.intake.repeated == 1
    net = from_edges(pd.DataFrame({"source": ["a", "a"], "target": ["b", "b"]}))
    assert net.weights.toarray().tolist() == [[0, 0], [2, 0]]


def test_labels_are_sorted_where_they_can_be_compared():
    assert from_edges(table(["b", "a"], ["c", "b"], [1, 1])).neurons.tolist() == ["a", "b", "c"]
    assert from_edges(table([10, 9], [2, 10], [1, 1])).neurons.tolist() == [2, 9, 10]
    mixed = from_edges(table(["b", 7], [7, "a"], [1, 1]))
    assert mixed.neurons.tolist() == ["b", 7, "a"]
    tuples = from_edges(table([("b", 1), ("a", 2)], [("a", 2), ("b", 1)], [1, 2]))
    assert tuples.neurons.tolist() == [("a", 2), ("b", 1)]


def test_neurons_fix_the_order_and_add_the_unconnected():
    net = from_edges(table(["b"], ["a"], [2]), neurons=["b", "x", "a"])
    assert net.neurons.tolist() == ["b", "x", "a"]
    assert net.weights.toarray().tolist() == [[0, 0, 0], [0, 0, 0], [2, 0, 0]]
    with pytest.raises(InputError, match="row 2 of the column 'post' holds 'z'"):
        from_edges(table(["a", "b"], ["b", "z"], [1, 1]), neurons=["a", "b"])
    with pytest.raises(InputError, match="'a' is given twice"):
        from_edges(table(["a"], ["a"], [1]), neurons=["a", "a"])


@pytest.mark.parametrize("dtype", ["int64", "Int64", "int64[pyarrow]", "category"])
def test_64_bit_ids_stay_exact(dtype):
    ids = np.array([720575940599457990, 720575940599457991, 720575940599457992])
    frame = table(ids[[0, 1]], ids[[1, 2]], [1, 1]).astype({"pre": dtype})
    assert from_edges(frame).neurons.tolist() == ids.tolist()


def test_unsigned_and_signed_ids_meet_without_loss():
    frame = table(np.array([2**63 + 1, 5], np.uint64), np.array([5, 2**53 + 1]), [1, 1])
    assert from_edges(frame).neurons.tolist() == [5, 2**53 + 1, 2**63 + 1]


def test_unused_categories_are_no_neurons():
    pre = pd.Categorical(["a", "b"], categories=["z", "b", "a"])
    assert from_edges(table(pre, ["b", "a"], [1, 1])).neurons.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (table(["a", None], ["b", "a"], [1, 1]), "row 2 of the column 'pre' names no neuron"),
        (table([1, 2], [2, np.nan], [1, 1]), "row 2 of the column 'post' names no neuron"),
        (table([1, 2], pd.array([None, 2], "Int64"), [1, 1]), "row 1 of the column 'post'"),
        (table(["a", "b"], ["b", "a"], [1, np.nan]), "row 2 of the column 'weight' holds nan"),
        (table(["a", "b"], ["b", "a"], [-np.inf, 1]), "row 1 of the column 'weight' holds -inf"),
        (table(["a", "b"], ["b", "a"], [1, "five"]), "row 2 .* holds 'five', not a number"),
        (table(["a", "b"], ["b", "a"], [1, None]), "row 2 of the column 'weight' holds nan"),
        (table(["a", "b"], ["b", "a"], [1j, 1]), "'weight' is of type complex128"),
        (table([], [], []), "no rows"),
        (table([2.0**60], [1.0], [1]), r"above 2\^53"),
    ],
)
def test_a_bad_row_is_named(frame, words):
    with pytest.raises(InputError, match=words):
        from_edges(frame)


def test_a_sum_that_overflows_names_the_synapse():
    with pytest.raises(InputError, match="'a' → 'b' is inf"):
        from_edges(table(["a", "a"], ["b", "b"], [1.7e308, 1.7e308]))


def test_the_network_gives_its_own_edges_back():
    rng = np.random.default_rng(0)
    net = from_scipy(sparse.random_array((30, 30), density=0.2, rng=rng))
    again = from_edges(net.edges()[["pre", "post", "weight"]], neurons=net.neurons)
    assert abs(again.weights - net.weights).max() == 0


@pytest.mark.parametrize(
    "order", ["sorted by pre", "shuffled", "few neurons", "unsigned", "multiples of 2^46"]
)
def test_the_compiled_way_agrees_with_scipy(order, monkeypatch):
    """Exactly: integer weights sum exactly in any order; rows, sums and labels must agree."""
    monkeypatch.setattr("graphbal.convert.tables.COMPILED_FROM", 1)
    rng = np.random.default_rng(1)
    n, m = (3, 1_200_000) if order == "few neurons" else (40_000, 1_200_000)
    ids = np.sort(rng.integers(-(2**62), 2**62, n))
    if order == "unsigned":
        ids = ids.astype(np.uint64)
    if order == "multiples of 2^46":  # alike in their lower bits, where hashes like to look
        ids = np.arange(-n // 2, n - n // 2) << 46
    pre, post = rng.integers(0, n, (2, m))
    if order == "sorted by pre":
        pre.sort()
    weight = rng.integers(-3, 4, m)
    net = from_edges(table(ids[pre], ids[post], weight))
    expected = sparse.coo_array((weight.astype(float), (post, pre)), shape=(n, n)).tocsr()
    distinct = expected.nnz
    expected.eliminate_zeros()
    np.testing.assert_array_equal(np.sort(ids), net.neurons)
    at = np.argsort(ids)
    assert abs(net.weights - expected[at][:, at]).max() == 0
    assert net.n_synapses == expected.nnz
    assert (net.intake.repeated, net.intake.zeros) == (m - distinct, distinct - expected.nnz)
    assert net.weights.indices.dtype == np.int32
    rows = np.repeat(np.arange(n), np.diff(net.weights.indptr))
    flat = rows * n + net.weights.indices
    assert (np.diff(flat) > 0).all()  # sorted, each pair once


@pytest.mark.parametrize("unit", [1.0, 0.5, 0.1, 1e-300, 1e300])
def test_weights_of_any_precision_are_kept_to_the_last_bit(unit, monkeypatch):
    monkeypatch.setattr("graphbal.convert.tables.COMPILED_FROM", 1)
    rng = np.random.default_rng(2)
    n, m = 500, 40_000
    post, pre = np.divmod(rng.permutation(n * n)[:m], n)
    weight = unit * rng.integers(1, 100, m)
    net = from_edges(table(pre, post, weight), neurons=range(n))
    found = net.weights.tocoo()
    by_place = np.lexsort((pre, post))
    np.testing.assert_array_equal(found.col, pre[by_place])
    np.testing.assert_array_equal(found.data, weight[by_place])
    again = pd.concat([table(pre, post, weight), table(pre, post, -weight)])
    nothing = from_edges(again, neurons=range(n))
    assert (nothing.n_synapses, nothing.intake.zeros) == (0, m)


def test_long_tables_name_the_row_and_the_neuron(monkeypatch):
    monkeypatch.setattr("graphbal.convert.tables.COMPILED_FROM", 1)
    monkeypatch.setattr("graphbal.assembly.BATCH", 4)
    frame = table(range(10), range(1, 11), 1.0)
    with pytest.raises(InputError, match=r"row 7 of the column 'pre' holds .*6.*not among"):
        from_edges(frame, neurons=[*range(6), *range(7, 11)])
    frame.loc[8, "weight"] = np.nan
    with pytest.raises(InputError, match="row 9 of the column 'weight' holds nan"):
        from_edges(frame)
    with pytest.raises(InputError, match="given twice"):
        from_edges(frame, neurons=[*range(11), 3])
    frame = frame.astype({"pre": "Int64"})
    frame.loc[2, "pre"] = None
    with pytest.raises(InputError, match="row 3 of the column 'pre' names no neuron"):
        from_edges(frame)


# ---------------------------------------------------------------------- as_network


def test_a_network_passes_through_unchanged():
    net = from_scipy([[0, 2], [1, 0]], p=3)
    assert as_network(net) is net
    assert as_network(net, p=1).p == 1
    assert as_network(net, alpha=2.0).total_cost == 2 * net.total_cost


@pytest.mark.parametrize("kind", ["digraph", "sparse", "dense", "list", "frame", "path", "str"])
def test_all_doors_lead_to_the_same_network(kind, tmp_path):
    dense = np.array([[0.0, 2, 0], [1, 0, 5], [0, 3, 0]])
    net = from_scipy(dense)
    file = tmp_path / "net.npz"
    write_network(net, file)
    source = {
        "digraph": nx.from_numpy_array(dense.T, create_using=nx.DiGraph),
        "sparse": sparse.coo_matrix(dense),
        "dense": dense,
        "list": dense.tolist(),
        "frame": net.edges()[["pre", "post", "weight"]],
        "path": Path(file),
        "str": str(file),
    }[kind]
    found = as_network(source, p=1, alpha=2.0)
    np.testing.assert_array_equal(found.weights.toarray(), dense)
    assert found.total_cost == 2 * dense.sum()


@pytest.mark.parametrize("source", [3.5, None, {"a": 1}, "elegans"])
def test_anything_else_is_refused(source):
    with pytest.raises(InputError, match=r"is not a network|no file and no dataset"):
        as_network(source)
