"""NetworkX graphs, SciPy and NumPy matrices, pandas edge lists  <->  SynapticNetwork."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from graphbal.errors import InputError
from graphbal.network import Intake, SynapticNetwork

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "as_network",
    "from_edges",
    "from_networkx",
    "from_scipy",
    "recognise_columns",
    "to_networkx",
]

# Column names, lower case, of the tables that connectome users download.
_PARTNERS = (
    ("pre", "post"),
    ("source", "target"),  # generic; WormWiring
    ("pre_root_id", "post_root_id"),  # FlyWire Codex
    ("pre_pt_root_id", "post_pt_root_id"),  # FlyWire and MICrONS through CAVE
    ("bodyid_pre", "bodyid_post"),  # neuPrint
    ("body_pre", "body_post"),  # male CNS, flat files
    ("presynaptic_id", "postsynaptic_id"),  # Shiu et al. 2024
)
# Shiu et al. give the synapse count next to its product with the sign; the sign is worth keeping.
_WEIGHTS = (("weight",), ("syn_count",), ("excitatory x connectivity", "connectivity"))

_COMPILED_FROM = 1_000_000  # rows; below, compiling would take longer than it saves


def as_network(source: Any, p: float | None = None, alpha: Any = None) -> SynapticNetwork:
    """Return a SynapticNetwork from anything that describes one.

    Parameters
    ----------
    source
        A `SynapticNetwork` (returned as it is); a NetworkX graph (`from_networkx`); a SciPy sparse
        matrix, NumPy array or nested list J, row = postsynaptic (`from_scipy`); a pandas edge list
        (`from_edges`); a `graphbal.rnn.RecurrentNetwork`, for its recurrent synapses; the name of
        an embedded dataset (`graphbal.load_dataset`) or the path of a file
        (`graphbal.read_network`).
    p : float, optional
        Exponent of the cost; by default 2, or what the source says.
    alpha : scalar or array, optional
        Factor of the cost; by default 1, or what the source says.

    Raises
    ------
    InputError
        If the source is none of these, or is not a sensible network.

    Examples
    --------
    >>> from graphbal import as_network
    >>> as_network([[0, 2], [1, 0]])
    SynapticNetwork(2 neurons, 2 synapses, c = |J|^2)
    >>> as_network("celegans", p=1)
    SynapticNetwork(302 neurons, 3,709 synapses, c = |J|^1)
    """
    cost: dict[str, Any] = {
        name: value for name, value in (("p", p), ("alpha", alpha)) if value is not None
    }
    if isinstance(source, SynapticNetwork):
        return source.with_cost(**cost) if cost else source
    if isinstance(source, (str, os.PathLike)):
        from graphbal import datasets, io

        if isinstance(source, str) and source in datasets.names():
            return datasets.load_dataset(source, **cost)
        if os.path.exists(source) or os.path.splitext(source)[1]:
            return io.read_network(source, **cost)
        raise InputError(
            f"there is no file and no dataset called {os.fspath(source)!r}; the datasets are "
            f"{', '.join(datasets.names())}"
        )
    if isinstance(source, pd.DataFrame):
        return from_edges(source, **cost)
    networkx = sys.modules.get("networkx")  # whoever holds a graph has imported it
    if networkx is not None and isinstance(source, networkx.Graph):
        return from_networkx(source, **cost)
    if sparse.issparse(source) or isinstance(source, (np.ndarray, Sequence)):
        return from_scipy(source, **cost)
    rnn = sys.modules.get("graphbal.rnn.model")
    if rnn is not None and isinstance(source, rnn.RecurrentNetwork):
        return as_network(rnn.as_graph(source), **cost)
    raise InputError(
        f"a {type(source).__name__} is not a network; give a SynapticNetwork, a NetworkX graph, a "
        "SciPy or NumPy matrix, a pandas edge list, a file or the name of a dataset"
    )


# ---------------------------------------------------------------------- matrices


def from_scipy(
    weights: Any, *, neurons: ArrayLike | None = None, p: float = 2.0, alpha: Any = 1.0
) -> SynapticNetwork:
    """Read a sparse or dense matrix J, row = postsynaptic, column = presynaptic.

    A canonical float64 CSR matrix (sorted, no duplicates, no stored zeros) and a dense float64
    array in row order without zeros are shared, not copied;
    otherwise duplicates are summed and zeros dropped in a copy. The matrix given never changes.

    Parameters
    ----------
    weights : sparse matrix, array or nested list, shape (n, n)
        Weights J, real.
    neurons : sequence of n labels, optional
        Default 0 to n − 1.
    p, alpha
        The cost function; see `SynapticNetwork`.

    Raises
    ------
    InputError
        If the matrix is not square or not of finite real numbers, or a label occurs twice.

    Notes
    -----
    O(nnz log nnz) for an unsorted sparse matrix, O(nnz) for a canonical one, O(n²) for a dense one.

    Examples
    --------
    >>> from scipy import sparse
    >>> from graphbal.convert import from_scipy
    >>> J = sparse.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    >>> net = from_scipy(J, neurons=["A", "B"])
    >>> net.edges()
      pre post  weight  cost
    0   B    A     3.0   9.0
    1   A    B     4.0  16.0
    >>> net.intake.repeated
    1
    """
    if not sparse.issparse(weights):
        matrix, intake = _from_dense(_dense(weights)), Intake()
    else:
        matrix, intake = _canonical(weights)
    n = matrix.shape[0]
    return SynapticNetwork(
        weights=matrix,
        neurons=pd.RangeIndex(n) if neurons is None else label_index(neurons),
        p=p,
        alpha=alpha,
        intake=intake,
    )


def _dense(weights: Any) -> NDArray[np.float64]:
    try:
        array = np.asarray(weights)
    except ValueError as error:
        raise InputError(f"the rows of the weight matrix differ in length: {error}") from error
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise InputError(f"the weight matrix has shape {array.shape}; it must be square, (n, n)")
    if array.dtype.kind not in "biufO":
        raise InputError(f"the weights are of type {array.dtype}; they must be real numbers")
    try:
        array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the weight matrix must hold real numbers: {error}") from error
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(array.sum())  # overflow, perhaps
    if suspicious and not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InputError(
            f"the weight in row {row}, column {column} (counting from 0) is {array[row, column]}"
        )
    return array


def _from_dense(array: NDArray[np.float64]) -> sparse.csr_array:
    """Return a dense matrix as CSR; one without zeros shares its memory."""
    n = len(array)
    if n == 0 or not array.all():
        return sparse.csr_array(array)
    index = sparse.get_index_dtype(maxval=n * n)
    indices = np.tile(np.arange(n, dtype=index), n)
    indptr = np.arange(0, n * n + 1, n, dtype=index)
    return sparse.csr_array((array.ravel(), indices, indptr), shape=array.shape)


def _canonical(given: Any) -> tuple[sparse.csr_array, Intake]:
    if given.ndim != 2:
        raise InputError(f"the weight matrix has shape {given.shape}; it must be square, (n, n)")
    if given.dtype.kind not in "biuf":
        raise InputError(f"the weights are of type {given.dtype}; they must be real numbers")
    stored = given.nnz
    matrix = sparse.csr_array(given)  # shares the arrays of a CSR matrix
    if not matrix.has_canonical_format:
        if given.format == "csr":
            matrix = matrix.copy()
        matrix.sum_duplicates()
    summed = matrix.nnz
    zeros = summed - int(np.count_nonzero(matrix.data))
    if zeros:
        if given.format == "csr" and np.may_share_memory(matrix.data, given.data):
            matrix = matrix.copy()
        matrix.eliminate_zeros()
    index = sparse.get_index_dtype(maxval=max(*matrix.shape, matrix.nnz))
    arrays = (
        matrix.data.astype(np.float64, copy=False),
        matrix.indices.astype(index, copy=False),
        matrix.indptr.astype(index, copy=False),
    )
    intake = Intake(repeated=stored - summed, zeros=zeros)
    return sparse.csr_array(arrays, shape=matrix.shape), intake


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
    labels = list(graph)
    position = {label: at for at, label in enumerate(labels)}
    pre: list[int] = []
    post: list[int] = []
    values: list[float] = []
    attributes: dict[tuple[Any, Any], dict[str, Any]] = {}
    both_ways = not graph.is_directed()
    for u, v, given in graph.edges(data=True):
        value = given.get(weight, 1.0)
        if not isinstance(value, Real) or not math.isfinite(value):
            raise InputError(
                f"the {weight!r} of the edge {u!r} → {v!r} is {value!r}; it must be a finite number"
            )
        others = {name: what for name, what in given.items() if name != weight}
        for a, b in ((u, v), (v, u)) if both_ways and u != v else ((u, v),):
            pre.append(position[a])
            post.append(position[b])
            values.append(float(value))
            if others:
                attributes.setdefault((a, b), {}).update(others)
    n = len(labels)
    matrix, intake = _canonical(
        sparse.coo_array(
            (np.array(values, dtype=np.float64), (np.array(post, int), np.array(pre, int))),
            shape=(n, n),
        )
    )
    if intake.zeros and attributes:
        rows, columns = matrix.nonzero()
        alive = {(labels[j], labels[i]) for i, j in zip(rows, columns, strict=True)}
        attributes = {edge: named for edge, named in attributes.items() if edge in alive}
    return SynapticNetwork(
        weights=matrix,
        neurons=label_index(labels),
        p=p,
        alpha=alpha,
        node_attributes={label: dict(named) for label, named in graph.nodes.items() if named},
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


# ---------------------------------------------------------------------- edge lists


def from_edges(
    edges: pd.DataFrame,
    *,
    pre: str | None = None,
    post: str | None = None,
    weight: str | None = None,
    neurons: ArrayLike | None = None,
    p: float = 2.0,
    alpha: Any = 1.0,
) -> SynapticNetwork:
    """Read a table of synapses, one row each; the rows of a repeated pair are summed.

    Parameters
    ----------
    edges : DataFrame
    pre, post, weight : str, optional
        Names of the columns; by default those that `recognise_columns` finds. Where a table has
        two columns only, every row weighs 1.
    neurons : sequence of labels, optional
        All neurons in the order wanted, those without synapses included. By default the labels
        that occur, sorted; where they cannot be compared, in order of first appearance, the
        presynaptic column first.
    p, alpha
        The cost function; see `SynapticNetwork`.

    Raises
    ------
    InputError
        If a column is missing or ambiguous, the table is empty, or a row has no partner, an
        unknown one, or a weight that is not a finite number. Rows are counted from 1.

    Notes
    -----
    O(rows) time. From a million rows on, ids are hashed and rows sorted by compiled threads, in
    about 48 bytes per row above the table. Integer ids stay exact.

    Examples
    --------
    >>> import pandas as pd
    >>> from graphbal.convert import from_edges
    >>> table = pd.DataFrame({
    ...     "pre_root_id": [720575940599457990, 720575940599457990, 720575940600000001],
    ...     "post_root_id": [720575940600000001, 720575940600000001, 720575940599457990],
    ...     "neuropil": ["AL_L", "AL_R", "AL_R"],
    ...     "syn_count": [3, 4, 5],
    ... })
    >>> net = from_edges(table)
    >>> net.weights.toarray()
    array([[0., 5.],
           [7., 0.]])
    >>> net.neurons.tolist()
    [720575940599457990, 720575940600000001]
    """
    names = [str(column) for column in edges.columns]
    pre, post, weight = recognise_columns(names, pre, post, weight)
    if edges.empty and neurons is None:
        raise InputError("the table has no rows, so there is no synapse in it")
    columns = [edges.iloc[:, names.index(name)] for name in (pre, post, weight) if name is not None]
    return from_columns(columns, neurons=neurons, p=p, alpha=alpha)


def from_columns(
    columns: list[pd.Series], *, neurons: ArrayLike | None = None, p: float = 2.0, alpha: Any = 1.0
) -> SynapticNetwork:
    """Do what `from_edges` does with the columns [pre, post] or [pre, post, weight] of a table.

    The list is emptied on the way, so that a column that nobody else holds is freed once it has
    been used.
    """
    weights = _numbers(columns.pop()) if len(columns) == 3 else np.ones(len(columns[0]))
    given = None if neurons is None else label_index(neurons)
    if given is not None and not given.is_unique:
        raise InputError(f"the label {given[given.duplicated()][0]!r} is given twice in `neurons`")
    codes, labels = _encode(columns, given)
    columns.clear()
    matrix, intake = _assemble(codes, weights, len(labels))
    return SynapticNetwork(weights=matrix, neurons=labels, p=p, alpha=alpha, intake=intake)


def recognise_columns(
    columns: Iterable[str],
    pre: str | None = None,
    post: str | None = None,
    weight: str | None = None,
) -> tuple[str, str, str | None]:
    """Return the names of the presynaptic, postsynaptic and weight column of a table.

    Recognised, in upper or lower case: ``pre, post`` and ``source, target`` with ``weight``
    (WormWiring's ``Source, Target, Weight, Type`` too; its chemical and electrical rows are summed
    unless you select them first); ``pre_root_id, post_root_id, syn_count`` (FlyWire Codex);
    ``pre_pt_root_id, post_pt_root_id, syn_count`` (CAVE); ``bodyId_pre, bodyId_post, weight``
    (neuPrint); ``body_pre, body_post, weight``; ``Presynaptic_ID, Postsynaptic_ID`` with
    ``Excitatory x Connectivity``, signed, or else ``Connectivity`` (Shiu et al. 2024,
    https://doi.org/10.1038/s41586-024-07763-9).

    Parameters
    ----------
    columns : iterable of str
        The columns of the table.
    pre, post, weight : str, optional
        Names that need not be recognised; they must be among the columns.

    Returns
    -------
    pre, post : str
    weight : str or None
        None where the table has two columns only: each row weighs 1.

    Raises
    ------
    InputError
        If a column is missing or could be more than one; the message lists the columns.

    Examples
    --------
    >>> from graphbal.convert import recognise_columns
    >>> recognise_columns(["pre_root_id", "post_root_id", "neuropil", "syn_count", "nt_type"])
    ('pre_root_id', 'post_root_id', 'syn_count')
    """
    columns = list(columns)
    listed = ", ".join(repr(column) for column in columns)
    for name in (pre, post, weight):
        if name is not None and columns.count(name) != 1:
            count = columns.count(name)
            what = "no column" if count == 0 else f"{count} columns"
            raise InputError(f"the table has {what} called {name!r}; its columns are {listed}")
    by_name: dict[str, list[str]] = {}
    for column in columns:
        by_name.setdefault(column.strip().lower(), []).append(column)
    named = [name for name in (pre, post, weight) if name is not None]
    for name in named:
        if named.count(name) > 1:
            raise InputError(f"the column {name!r} is named twice, for pre, post or weight")
    if (pre is None) != (post is None):
        raise InputError("name both the pre and the post column, or neither")
    if pre is None or post is None:
        found = [pair for pair in _PARTNERS if pair[0] in by_name and pair[1] in by_name]
        if len(found) != 1 or any(len(by_name[name]) > 1 for name in found[0]):
            raise InputError(
                "it is not clear which columns hold the pre- and postsynaptic neurons; name them "
                f"with pre= and post=; the columns are {listed}"
            )
        pre, post = (by_name[name][0] for name in found[0])
    if weight is None and len(columns) > 2:
        known = [next((name for name in names if name in by_name), None) for names in _WEIGHTS]
        matches = [column for name in known if name for column in by_name[name]]
        if len(matches) != 1:
            raise InputError(
                "it is not clear which column holds the weights; name it with weight=; the "
                f"columns are {listed}"
            )
        weight = matches[0]
    return pre, post, weight


def label_index(labels: Any) -> pd.Index:
    """Return labels as an Index that keeps them as they are: tuples whole, 64-bit integers exact.

    Examples
    --------
    >>> from graphbal.convert import label_index
    >>> label_index([2**63, 1])
    Index([9223372036854775808, 1], dtype='uint64')
    >>> label_index([("AVA", "L"), ("AVA", "R")]).nlevels
    1
    """
    if isinstance(labels, pd.Index) and not isinstance(labels, pd.MultiIndex):
        return labels
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu":
        return pd.Index(labels)
    labels = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    kinds = {type(label) for label in labels}
    if kinds and all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
        smallest, largest = int(min(labels)), int(max(labels))
        if smallest >= -(2**63) and largest < 2**63:
            return pd.Index(np.array(labels, dtype=np.int64))
        if smallest >= 0 and largest < 2**64:
            return pd.Index(np.array(labels, dtype=np.uint64))
    objects = np.empty(len(labels), dtype=object)
    objects[:] = labels
    return pd.Index(objects, dtype=object, tupleize_cols=False)


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    """Return a column of finite numbers, or say which row is not one."""
    name = column.name
    if column.dtype.kind not in "biuf":
        if column.dtype.kind != "O" and not pd.api.types.is_string_dtype(column.dtype):
            raise InputError(f"the column {name!r} is of type {column.dtype}, not numeric")
        read = pd.to_numeric(column, errors="coerce")
        bad = np.flatnonzero(read.isna() & column.notna())
        if bad.size:
            at = int(bad[0])
            raise InputError(
                f"row {at + 1} of the column {name!r} holds {column.iloc[at]!r}, not a number"
            )
        column = read
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # a finite sum proves finite terms without a second array
            return values
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        at = int(bad[0])
        raise InputError(
            f"row {at + 1} of the column {name!r} holds {values[at]}; it must be a finite number"
        )
    return values


def _encode(
    columns: list[pd.Series], neurons: pd.Index | None
) -> tuple[list[NDArray[np.integer]], pd.Index]:
    """Return the positions of the partners among the labels, and the labels."""
    for column in columns:
        missing = column.isna()
        if missing.any():
            at = int(np.flatnonzero(missing)[0])
            raise InputError(f"row {at + 1} of the column {column.name!r} names no neuron")
    ids = [_integers(column) for column in columns]
    found: list[tuple[NDArray[np.integer], pd.Index]]
    first, second = ids
    if (
        first is not None
        and second is not None
        and first.dtype == second.dtype
        and len(first) >= _COMPILED_FROM
    ):
        from graphbal import assembly

        codes, distinct = assembly.factorize(first.view(np.int64), second.view(np.int64))
        found = [(code, pd.Index(distinct.view(first.dtype))) for code in codes]
    else:
        found = [_factorize(*pair) for pair in zip(columns, ids, strict=True)]
    labels = _union(*(index for _, index in found)) if neurons is None else neurons
    pairs = zip(found, columns, strict=True)
    return [_translate(*code_and_index, labels, column) for code_and_index, column in pairs], labels


def _integers(column: pd.Series) -> NDArray[np.integer] | None:
    if not pd.api.types.is_integer_dtype(column.dtype):
        return None
    unsigned = pd.api.types.is_unsigned_integer_dtype(column.dtype)
    return np.ascontiguousarray(column.to_numpy(dtype=np.uint64 if unsigned else np.int64))


def _factorize(
    column: pd.Series, ids: NDArray[np.integer] | None
) -> tuple[NDArray[np.integer], pd.Index]:
    """Return codes and the distinct labels of a column, each of which occurs."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        return column.cat.codes.to_numpy(), column.cat.categories
    if column.dtype.kind == "f" and (column.abs() > 2**53).any():
        raise InputError(
            f"the column {column.name!r} holds ids above 2^53 as floating-point numbers, which are "
            "no longer exact; read it as integers"
        )
    codes, distinct = pd.factorize(column.to_numpy() if ids is None else ids)
    return codes, label_index(distinct)


def _translate(
    codes: NDArray[np.integer], distinct: pd.Index, labels: pd.Index, column: pd.Series
) -> NDArray[np.integer]:
    """Return the positions among the labels of what codes mean by position in distinct."""
    position = labels.get_indexer(distinct)
    if (position < 0).any():
        at = int(np.flatnonzero(position[codes] < 0)[0])
        raise InputError(
            f"row {at + 1} of the column {column.name!r} holds {column.iloc[at]!r}, which is not "
            "among the neurons given"
        )
    if np.array_equal(position, np.arange(position.size)):
        return codes
    return position.astype(np.int32)[codes]


def _union(first: pd.Index, second: pd.Index) -> pd.Index:
    """Return all labels once, sorted where they can be compared, else as they come."""
    if first.dtype == second.dtype and first.dtype != object:
        return first.append(second).unique().sort_values()
    labels = list(dict.fromkeys([*first.tolist(), *second.tolist()]))
    with suppress(TypeError):
        labels.sort()
    return label_index(labels)


def _assemble(
    codes: list[NDArray[np.integer]], weights: NDArray[np.float64], n: int
) -> tuple[sparse.csr_array, Intake]:
    """Return the CSR matrix of a list of synapses, repeated ones summed, zeros dropped."""
    pre, post = codes
    if weights.size < _COMPILED_FROM:
        return _canonical(sparse.coo_array((weights, (post, pre)), shape=(n, n)))
    from graphbal import assembly

    data, indices, indptr, repeated, zeros = assembly.sort_synapses(
        post.astype(np.int32, copy=False), pre.astype(np.int32, copy=False), weights, n
    )
    matrix = sparse.csr_array((data, indices, indptr), shape=(n, n))
    matrix.has_canonical_format = True
    return matrix, Intake(repeated=repeated, zeros=zeros)
