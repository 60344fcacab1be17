"""Files: every format gives back what it was given; every bad file is refused with its place."""

from __future__ import annotations

import gzip
import io
import json
import pickle

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from graphbal import InputError, SynapticNetwork, load_dataset, read_network, write_network
from graphbal.network import Intake

TABLES = ["csv", "tsv", "csv.gz", "tsv.gz", "parquet", "pq", "feather"]
GRAPHS = ["graphml", "gexf", "json", "graphml.gz", "gexf.gz", "json.gz"]
MATRICES = ["mtx", "mtx.gz", "npz", "npy"]
LABELLED = [*TABLES, *GRAPHS, "npz"]
IDS = [720575940599457990, 720575940599457991, 2**63 - 1]


def same(found: SynapticNetwork, net: SynapticNetwork, *, labels: bool = True) -> None:
    if labels:
        assert found.neurons.tolist() == net.neurons.tolist()
    np.testing.assert_array_equal(found.weights.toarray(), net.weights.toarray())


def network(labels, seed=0) -> SynapticNetwork:
    """Return a network without unconnected neurons whose weights have no short decimal form."""
    rng = np.random.default_rng(seed)
    n = len(labels)
    J = rng.lognormal(sigma=5, size=(n, n)) * rng.choice([-1, 1], (n, n))
    J[rng.random((n, n)) < 0.5] = 0
    J[np.arange(n), np.arange(n) - 1] = np.pi
    return SynapticNetwork.from_scipy(J, neurons=labels)


# ---------------------------------------------------------------------- round trips


@pytest.mark.parametrize("extension", LABELLED)
@pytest.mark.parametrize("labels", [["AVAL", "Größe, µ", 'quo"te'], IDS, [-5, 0, 2**53 + 1]])
def test_weights_and_labels_survive_exactly(extension, labels, tmp_path):
    net = network(sorted(labels))
    path = tmp_path / f"net.{extension}"
    write_network(net, path)
    same(read_network(path), net)


@pytest.mark.parametrize("extension", [*LABELLED, *MATRICES])
def test_the_worm_survives_every_format(extension, tmp_path):
    net = load_dataset("celegans")
    write_network(net, tmp_path / f"worm.{extension}")
    same(read_network(tmp_path / f"worm.{extension}"), net, labels=extension in LABELLED)


@pytest.mark.parametrize("extension", MATRICES)
def test_a_matrix_file_numbers_its_neurons(extension, tmp_path):
    net = network(range(4))
    write_network(net, tmp_path / f"net.{extension}")
    same(read_network(tmp_path / f"net.{extension}"), net)


@pytest.mark.parametrize("extension", ["csv", "parquet", "feather", "npz", "graphml", "json"])
def test_unsigned_64_bit_ids_survive(extension, tmp_path):
    net = network([5, 2**63, 2**64 - 1])
    write_network(net, tmp_path / f"net.{extension}")
    same(read_network(tmp_path / f"net.{extension}"), net)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("extension", ["csv", "mtx", "json", "npz"])
def test_any_weight_survives_to_the_last_bit(extension, tmp_path_factory, values):
    J = np.reshape(values, (2, 2))
    J[0, 1] = J[1, 0] = 1  # so that both neurons are in the table
    net = SynapticNetwork.from_scipy(J)
    path = tmp_path_factory.mktemp("any") / f"net.{extension}"
    write_network(net, path)
    same(read_network(path), net)


@pytest.mark.parametrize("extension", ["graphml", "gexf", "json"])
def test_graph_files_keep_attributes_and_unconnected_neurons(extension, tmp_path):
    graph = nx.DiGraph()
    graph.add_node("lonely", size=2)
    graph.add_edge("a", "b", weight=2.5, transmitter="GABA")
    write_network(graph, tmp_path / f"net.{extension}")
    net = read_network(tmp_path / f"net.{extension}")
    assert net.neurons.tolist() == ["lonely", "a", "b"]
    assert net.node_attributes["lonely"]["size"] == 2
    assert net.edge_attributes["a", "b"]["transmitter"] == "GABA"


def test_json_keeps_tuples_and_mixed_labels(tmp_path):
    net = network([("AVA", "L"), 7, "7"])
    write_network(net, tmp_path / "net.json")
    same(read_network(tmp_path / "net.json"), net)


@pytest.mark.parametrize(
    "alpha", [2.0, [1.0, 2.0, 3.0], [[1.0], [2.0], [3.0]], np.arange(9.0).reshape(3, 3)]
)
def test_npz_keeps_the_cost_function_and_scipy_can_load_it(alpha, tmp_path):
    net = network(["a", "b", "c"]).with_cost(p=1.5, alpha=alpha)
    path = tmp_path / "net.npz"
    write_network(net, path)
    found = read_network(path)
    same(found, net)
    assert found.p == 1.5
    np.testing.assert_array_equal(found.costs.toarray(), net.costs.toarray())
    np.testing.assert_array_equal(sparse.load_npz(path).toarray(), net.weights.toarray())
    assert read_network(path, p=1, alpha=1).total_cost == abs(net.weights).sum()


def test_the_format_can_be_named(tmp_path):
    net = network(["a", "b", "c"])
    write_network(net, tmp_path / "net.txt", format="csv")
    same(read_network(tmp_path / "net.txt", format="csv"), net)
    with pytest.raises(InputError, match=r"net\.txt: the extension does not say the format"):
        read_network(tmp_path / "net.txt")
    with pytest.raises(InputError, match="no format 'xlsx'; give one of csv"):
        read_network(tmp_path / "net.txt", format="xlsx")


@pytest.mark.parametrize("extension", ["csv", "parquet", "npz"])
def test_labels_that_a_format_cannot_hold_are_refused(extension, tmp_path):
    with pytest.raises(InputError, match=r"write \.json"):
        write_network(network([("a", 1), ("b", 2)]), tmp_path / f"net.{extension}")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- layouts in the wild


def read_text(tmp_path, text, name="net.csv", **options):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return read_network(path, **options)


def test_flywire_codex_connections(tmp_path):
    text = (
        "pre_root_id,post_root_id,neuropil,syn_count,nt_type\n"
        "720575940599333574,720575940620517656,LOP_R,7,GABA\n"
        "720575940599333574,720575940620517656,LO_R,5,GABA\n"
        "720575940620517656,720575940599333574,LO_R,6,\n"
    )
    net = read_text(tmp_path, text)
    assert net.neurons.tolist() == [720575940599333574, 720575940620517656]
    assert net.weights.toarray().tolist() == [[0, 6], [12, 0]]
    assert net.intake.repeated == 1


def test_wormwiring_edge_list_with_padded_names(tmp_path):
    text = "Source,Target,Weight,Type\nI1L , I2L       ,10,chemical\nI2L, I1L ,2,electrical\n"
    net = read_text(tmp_path, text)
    assert net.neurons.tolist() == ["I1L", "I2L"]
    assert net.weights.toarray().tolist() == [[0, 2], [10, 0]]


def test_shiu_parquet_is_read_with_signs(tmp_path):
    frame = pd.DataFrame({
        "Presynaptic_ID": IDS[:2], "Postsynaptic_ID": IDS[1::-1], "Presynaptic_Index": [0, 1],
        "Postsynaptic_Index": [1, 0], "Connectivity": [4, 9], "Excitatory": [1, -1],
        "Excitatory x Connectivity": [4, -9],
    })  # fmt: skip
    frame.to_parquet(tmp_path / "Connectivity_783.parquet")
    net = read_network(tmp_path / "Connectivity_783.parquet")
    assert net.weights.toarray().tolist() == [[0, -9], [4, 0]]


@pytest.mark.parametrize(
    "text",
    [
        "pre;post;weight\na;b;2\n",
        "pre\tpost\tweight\na\tb\t2\n",
        "\ufeffpre,post,weight\r\na,b,2\r\n",
        'note,"weight",post,pre\n"x, y",2,b,a\n',
        "a_col,b_col,w\na,b,2",
    ],
)
def test_delimiters_line_ends_and_column_order_do_not_matter(text, tmp_path):
    named = {"pre": "a_col", "post": "b_col", "weight": "w"} if "a_col" in text else {}
    net = read_text(tmp_path, text, **named)
    assert net.edges()[["pre", "post", "weight"]].to_numpy().tolist() == [["a", "b", 2.0]]


@pytest.mark.parametrize("label", ["NA", "nan", "null", "True", "2020-01-01", "007", "1.50", "1e5"])
def test_text_labels_are_not_taken_for_anything_else(label, tmp_path):
    assert label in read_text(tmp_path, f"pre,post,weight\n{label},b,1\n").neurons


def test_integers_become_text_if_one_label_is(tmp_path):
    net = read_text(tmp_path, "pre,post,weight\n1,2,1\n2,x,1\n")
    assert net.neurons.tolist() == ["1", "2", "x"]


@pytest.mark.parametrize("kind", ["category", "str", "int32", "uint64"])
@pytest.mark.parametrize("extension", ["parquet", "feather"])
def test_column_types_of_binary_tables(kind, extension, tmp_path):
    frame = pd.DataFrame({"pre": [1, 2], "post": [2, 1], "weight": [3, 4]})
    frame = frame.astype({"pre": kind, "post": kind})
    getattr(frame, f"to_{extension}")(tmp_path / f"net.{extension}")
    net = read_network(tmp_path / f"net.{extension}")
    assert net.neurons.tolist() == (["1", "2"] if kind == "str" else [1, 2])
    assert net.weights.toarray().tolist() == [[0, 4], [3, 0]]


def test_graphs_of_other_programs(tmp_path):
    nx.write_graphml(nx.Graph([(1, 2, {"count": 3})]), tmp_path / "net.graphml")
    net = read_network(tmp_path / "net.graphml", weight="count")
    assert net.neurons.tolist() == [1, 2]
    assert net.weights.toarray().tolist() == [[0, 3], [3, 0]]
    data = {"nodes": [{"id": 2**63}, {"id": 1}], "links": [{"source": 2**63, "target": 1}]}
    net = read_text(tmp_path, json.dumps(data), "net.json")
    assert net.edges()[["pre", "post", "weight"]].to_numpy().tolist() == [[2**63, 1, 1]]


def test_matrices_of_other_programs(tmp_path):
    J = np.array([[0.0, 2], [2, 3]])
    sparse.save_npz(tmp_path / "net.npz", sparse.coo_matrix(J))
    same(read_network(tmp_path / "net.npz"), SynapticNetwork.from_scipy(J))
    text = "%%MatrixMarket matrix coordinate integer symmetric\n2 2 2\n2 1 2\n2 2 3\n"
    same(read_text(tmp_path, text, "net.mtx"), SynapticNetwork.from_scipy(J))


# ---------------------------------------------------------------------- options


@pytest.mark.parametrize("extension", ["csv", "json", "npz"])
def test_options_leave_out_and_count(extension, tmp_path):
    graph = nx.DiGraph()
    edges = [
        ("a", "b", 5),
        ("b", "a", 2),
        ("a", "a", 9),
        ("b", "c", 7),
        ("c", "a", 1),
        ("c", "c", 1),
    ]
    graph.add_weighted_edges_from(edges)
    path = tmp_path / f"net.{extension}"
    write_network(graph, path)
    net = read_network(path, min_synapses=2, drop_self_connections=True, neurons=["b", "a"])
    assert net.neurons.tolist() == ["b", "a"]
    assert net.weights.toarray().tolist() == [[0, 5], [2, 0]]
    assert net.intake == Intake(below_threshold=2, self_connections=1, outside_subset=1)


def test_the_threshold_applies_to_summed_absolute_weights(tmp_path):
    text = "pre,post,weight\na,b,3\na,b,3\nb,a,-6\nb,c,5\n"
    net = read_text(tmp_path, text, min_synapses=6)
    assert net.weights.toarray().tolist() == [[0, -6, 0], [6, 0, 0], [0, 0, 0]]


def test_a_subset_carries_its_cost_function_and_attributes(tmp_path):
    net = network(["a", "b", "c"]).with_cost(p=1, alpha=np.arange(1.0, 10).reshape(3, 3))
    write_network(net, tmp_path / "net.npz")
    found = read_network(tmp_path / "net.npz", neurons=["c", "a"])
    expected = net.costs.toarray()[np.ix_([2, 0], [2, 0])]
    np.testing.assert_array_equal(found.costs.toarray(), expected)
    graph = nx.DiGraph([("a", "b", {"kind": "x"}), ("b", "c", {"kind": "y"})])
    write_network(graph, tmp_path / "net.json")
    assert read_network(tmp_path / "net.json", neurons=["b", "a"]).edge_attributes == {
        ("a", "b"): {"kind": "x"}
    }


def test_an_unknown_neuron_of_the_subset_is_named(tmp_path):
    with pytest.raises(InputError, match=r"net\.csv: there is no neuron labelled 'z'"):
        read_text(tmp_path, "pre,post,weight\na,b,1\n", neurons=["a", "z"])
    with pytest.raises(InputError, match="'a' is given twice"):
        read_text(tmp_path, "pre,post,weight\na,b,1\n", neurons=["a", "a"])


# ---------------------------------------------------------------------- bad files


@pytest.mark.parametrize("extension", [*TABLES, *GRAPHS, *MATRICES])
class TestOfEveryFormat:
    def test_a_missing_file(self, extension, tmp_path):
        with pytest.raises(InputError, match=rf"net\.{extension}: there is no such file"):
            read_network(tmp_path / f"net.{extension}")

    def test_a_folder(self, extension, tmp_path):
        (tmp_path / f"net.{extension}").mkdir()
        with pytest.raises(InputError, match="this is a folder"):
            read_network(tmp_path / f"net.{extension}")

    def test_an_empty_file(self, extension, tmp_path):
        (tmp_path / f"net.{extension}").touch()
        with pytest.raises(InputError, match="the file is empty"):
            read_network(tmp_path / f"net.{extension}")

    @pytest.mark.parametrize("content", [b"\0\x01garbage\xff\xfe" * 99, b"\n", b"\x1f\x8b\x08"])
    def test_garbage(self, extension, content, tmp_path):
        (tmp_path / f"net.{extension}").write_bytes(content)
        with pytest.raises(InputError, match=rf"net\.{extension}: "):
            read_network(tmp_path / f"net.{extension}")

    @pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
    def test_a_truncated_file(self, extension, part, tmp_path):
        path = tmp_path / f"net.{extension}"
        write_network(load_dataset("witvliet-1"), path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * part)])
        if extension in ("csv", "tsv"):  # a text cut between two rows is a valid, shorter text
            path.write_bytes(path.read_bytes().rpartition(b"\n")[0] + b"\nlast")
        with pytest.raises(InputError, match=rf"net\.{extension}: "):
            read_network(path)

    def test_an_interrupted_write_leaves_the_old_file_whole(self, extension, tmp_path, monkeypatch):
        path = tmp_path / f"net.{extension}"
        write_network(load_dataset("witvliet-1"), path)
        before = path.read_bytes()

        def interrupted(network, file, format):
            file.write(b"half")
            raise KeyboardInterrupt

        family = (
            "tables" if extension in TABLES else "graphs" if extension in GRAPHS else "matrices"
        )
        monkeypatch.setattr(f"graphbal.io.{family}.write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_network(load_dataset("witvliet-2"), path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pre,post,weight\n", "header but no rows"),
        ("pre,post,weight", "header but no rows"),
        ("a,b,c\n1,2,3\n", "name them with pre= and post=; the columns are 'a', 'b', 'c'"),
        ("pre,post,w\n1,2,3\n", "name it with weight=; the columns are 'pre', 'post', 'w'"),
        ("pre,post,weight\na,b,1\nb,a,nan\n", "row 2 of the column 'weight' holds nan"),
        ("pre,post,weight\na,b,1\nb,a,\n", "row 2 of the column 'weight' holds nan"),
        ("pre,post,weight\na,b,inf\n", "row 1 of the column 'weight' holds inf"),
        ("pre,post,weight\na,b,1\nb,a,few\n", "row 2 of the column 'weight' holds 'few'"),
        ("pre,post,weight\na,b,1\n,a,1\n", "row 2 of the column 'pre' names no neuron"),
        ("pre,post,weight\na,b,1\nb, ,1\n", "row 2 of the column 'post' names no neuron"),
        ("pre,post,weight\na,b,1\nb,a\n", "damaged or malformed: .*Expected 3 columns, got 2"),
        ("\npre,post,weight\na,b,1\n", "first line is empty"),
    ],
)
def test_a_bad_table_names_the_row_or_column(text, words, tmp_path):
    with pytest.raises(InputError, match=words):
        read_text(tmp_path, text)


@pytest.mark.parametrize("extension", ["parquet", "feather"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": [1.0, np.nan]}, "row 2 of the column 'weight' holds nan"),
        ({"weight": ["1", "x"]}, "row 2 of the column 'weight' holds 'x'"),
        ({"pre": pd.array([1, None], "Int64")}, "row 2 of the column 'pre' names no neuron"),
        ({"post": ["a", None]}, "row 2 of the column 'post' names no neuron"),
        ({"weight": pd.to_datetime(["2020", "2021"])}, "is of type datetime64"),
    ],
)
def test_a_bad_binary_table_names_the_row_or_column(extension, change, words, tmp_path):
    frame = pd.DataFrame({"pre": [1, 2], "post": [2, 1], "weight": [1, 1]} | change)
    getattr(frame, f"to_{extension}")(tmp_path / f"net.{extension}")
    with pytest.raises(InputError, match=words):
        read_network(tmp_path / f"net.{extension}")


@pytest.fixture
def in_batches(monkeypatch):
    """Let short tables be read as long ones are, seven rows at a time."""
    monkeypatch.setattr("graphbal.io.tables.COMPILED_FROM", 1)
    monkeypatch.setattr("graphbal.convert.tables.COMPILED_FROM", 1)
    monkeypatch.setattr("graphbal.assembly.BATCH", 7)
    monkeypatch.setattr("graphbal.assembly.CHUNK", 3)


@pytest.mark.parametrize("kind", ["int64", "int32", "uint64", "int16 and int64"])
@pytest.mark.parametrize("weight", ["counts", "reals from row 30 on", "large integers", None])
def test_a_long_parquet_table_is_read_in_batches(kind, weight, in_batches, tmp_path):
    rng = np.random.default_rng(3)
    pre, post = rng.integers(1, 20, (2, 50))
    if kind == "uint64":
        pre, post = (ids.astype(np.uint64) + np.uint64(2**63 - 9) for ids in (pre, post))
    kinds = kind.split(" and ")
    frame = pd.DataFrame({"pre": pre.astype(kinds[0]), "post": post.astype(kinds[-1])})
    if weight:
        frame["weight"] = rng.integers(1, 1000, 50)
    if weight == "reals from row 30 on":
        frame["weight"] = np.where(np.arange(50) < 30, frame["weight"], np.pi)
    if weight == "large integers":
        frame["weight"] += 2**40
    frame["neuropil"] = "AL_L"
    frame = frame if weight else frame[["pre", "post"]]
    frame.to_parquet(tmp_path / "net.parquet", row_group_size=11)
    net = read_network(tmp_path / "net.parquet")
    labels = np.union1d(pre, post)
    places = np.searchsorted(labels, post), np.searchsorted(labels, pre)
    values = frame["weight"].to_numpy(float) if weight else np.ones(50)
    expected = sparse.coo_array((values, places), shape=2 * labels.shape).toarray()
    assert net.neurons.tolist() == labels.tolist()
    np.testing.assert_array_equal(net.weights.toarray(), expected)
    assert net.intake.repeated == 50 - net.n_synapses


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("weight", np.nan, "row 24 of the column 'weight' holds nan"),
        ("weight", np.inf, "row 24 of the column 'weight' holds inf"),
        ("weight", None, "row 2 of the column 'weight' holds nan"),
        ("pre", None, "row 24 of the column 'pre' names no neuron"),
        ("post", None, "row 24 of the column 'post' names no neuron"),
        ("pre", None, "row 2 of the column 'pre' names no neuron"),
    ],
)
def test_a_bad_row_of_a_batch_is_named(column, value, words, in_batches, tmp_path):
    frame = pd.DataFrame({"pre": range(30), "post": range(1, 31), "weight": 1.0})
    frame = frame.astype({"pre": "Int64", "post": "Int64"})
    frame.loc[int(words.split()[1]) - 1, column] = value
    frame.to_parquet(tmp_path / "net.parquet")
    with pytest.raises(InputError, match=words):
        read_network(tmp_path / "net.parquet")


def test_a_batch_that_is_damaged_is_refused(in_batches, tmp_path):
    path = tmp_path / "net.parquet"
    frame = pd.DataFrame({"pre": range(30), "post": range(1, 31), "weight": 1.0})
    frame.to_parquet(path, row_group_size=10, compression="zstd")
    read_network(path)
    content = bytearray(path.read_bytes())
    content[300:400] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged or malformed"):
        read_network(path)


def test_an_empty_parquet_table(tmp_path):
    pd.DataFrame({"pre": [], "post": [], "weight": []}).to_parquet(tmp_path / "net.parquet")
    with pytest.raises(InputError, match="header but no rows"):
        read_network(tmp_path / "net.parquet")


BOMB = """<?xml version="1.0"?><!DOCTYPE graphml [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="directed">
<node id="&b;"/></graph></graphml>"""
TWICE = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="directed">
<node id="a"/><node id="a"/></graph></graphml>"""
TEXT_WEIGHT = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="w" for="edge" attr.name="weight" attr.type="string"/><graph edgedefault="directed">
<node id="a"/><node id="b"/><edge source="a" target="b"><data key="w">few</data></edge>
</graph></graphml>"""


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("net.graphml", BOMB, "document type declaration, which is refused"),
        ("net.gexf", BOMB.replace("graphml", "gexf"), "which is refused"),
        ("net.graphml", TWICE, "node 'a' occurs twice"),
        ("net.graphml", TEXT_WEIGHT, "'a' → 'b' is 'few'"),
        ("net.graphml", "<graphml><node></graphml>", r"malformed: mismatched tag: line 1"),
        ("net.graphml", "<html/>", "not a graphml graph"),
        ("net.gexf", "<gexf version='1.2'/>", "not a gexf graph"),
        ("net.json", '{"nodes": [', "JSON is malformed: .* line 1"),
        ("net.json", "[" * 100_000, "JSON is malformed"),
        ("net.json", "[1, 2]", "not a node-link graph"),
        ("net.json", '{"nodes": [{"id": 1}, {"id": 1}], "edges": []}', "node 1 occurs twice"),
        ("net.json", '{"nodes": [{"name": 1}], "edges": 3}', "not a node-link graph"),
        ("net.json", '{"nodes": [], "edges": [{"source": 1, "target": 2}]}', "not among"),
        ("net.mtx", "%%MatrixMarket matrix coordinate real general\n2 3 1\n1 3 1\n", "square"),
        ("net.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n9 9 1\n", "malformed"),
        ("net.mtx", "%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 1 1\n", "real"),
        ("net.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 2 nan\n", "1 → 0 is"),
    ],
)  # fmt: skip
def test_a_bad_text_file_is_refused(name, text, words, tmp_path):
    with pytest.raises(InputError, match=words):
        read_text(tmp_path, text, name)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_a_pickle_in_an_array_file_is_not_loaded(tmp_path):
    np.save(tmp_path / "net.npy", np.array([[Bomb()]], dtype=object), allow_pickle=True)
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(Bomb()))
    arrays = {"format": np.array("csr"), "data": np.array([Bomb()], dtype=object)}
    np.savez(tmp_path / "net.npz", **arrays)
    for name in ("net.npy", "raw.npy", "net.npz"):
        with pytest.raises(InputError, match=name):
            read_network(tmp_path / name)


def test_a_sparse_file_with_indices_out_of_range_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.savez(
        buffer, format=b"csr", shape=[2, 2], data=[1.0], indices=[10**6], indptr=[0, 1, 1],
    )  # fmt: skip
    (tmp_path / "net.npz").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="damaged or malformed"):
        read_network(tmp_path / "net.npz")


def test_matrices_must_be_square_and_archives_sparse(tmp_path):
    np.save(tmp_path / "net.npy", np.ones((2, 3)))
    with pytest.raises(InputError, match=r"net\.npy: .*\(2, 3\); it must be square"):
        read_network(tmp_path / "net.npy")
    np.savez(tmp_path / "net.npz", J=np.ones((2, 2)))
    with pytest.raises(InputError, match="not a sparse matrix"):
        read_network(tmp_path / "net.npz")


def test_columns_are_named_for_tables_only(tmp_path):
    write_network([[0, 1], [1, 0]], tmp_path / "net.json")
    write_network([[0, 1], [1, 0]], tmp_path / "net.npy")
    for name in ("net.json", "net.npy"):
        with pytest.raises(InputError, match="no columns to name"):
            read_network(tmp_path / name, pre="pre", post="post")


def test_duplicate_labels_of_an_archive_are_refused(tmp_path):
    matrix = sparse.csr_array(np.ones((2, 2)))
    np.savez(
        tmp_path / "net.npz", format=b"csr", shape=matrix.shape, data=matrix.data,
        indices=matrix.indices, indptr=matrix.indptr, neurons=np.array(["a", "a"]),
    )  # fmt: skip
    with pytest.raises(InputError, match="'a' is given to more than one neuron"):
        read_network(tmp_path / "net.npz")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none.net\.csv"):
        write_network([[0, 1], [1, 0]], tmp_path / "none" / "net.csv")


def test_compressed_files_do_not_depend_on_the_clock(tmp_path):
    write_network(load_dataset("witvliet-1"), tmp_path / "net.csv.gz")
    content = (tmp_path / "net.csv.gz").read_bytes()
    assert content[4:8] == b"\0\0\0\0"
    assert gzip.decompress(content).splitlines()[0].replace(b'"', b"") == b"pre,post,weight"
