"""Tables of synapses: edge lists as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from graphbal.convert.labels import label_index
from graphbal.convert.matrices import canonical
from graphbal.errors import InputError
from graphbal.network import Intake, SynapticNetwork

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "COMPILED_FROM",
    "can_be_batched",
    "from_batches",
    "from_columns",
    "from_edges",
    "recognise_columns",
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

COMPILED_FROM = 1_000_000  # rows; below, compiling would take longer than it saves


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

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If a column is missing or ambiguous, the table is empty, or a row has no partner, an
        unknown one, or a weight that is not a finite number. Rows are counted from 1.

    Notes
    -----
    O(rows) time. From a million rows on, ids are hashed and rows sorted by compiled threads, in
    about 32 bytes per row above the table. Integer ids stay exact.

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

    The list is emptied, so that a column that nobody else holds can be freed once it has been used.
    """
    size = len(columns[0])
    if size >= COMPILED_FROM and can_be_batched(*(column.dtype for column in columns[:2])):
        from graphbal.assembly import BATCH

        whole = columns.copy()
        columns.clear()
        batches = (
            [column.iloc[row : row + BATCH] for column in whole] for row in range(0, size, BATCH)
        )
        return from_batches(batches, size, neurons=neurons, p=p, alpha=alpha)
    weights = _numbers(columns.pop()) if len(columns) == 3 else np.ones(size)
    codes, labels = _encode(columns, _given(neurons))
    columns.clear()
    matrix, intake = _assemble(codes, weights, len(labels))
    return SynapticNetwork(weights=matrix, neurons=labels, p=p, alpha=alpha, intake=intake)


def can_be_batched(pre: Any, post: Any) -> bool:
    """Say whether ids of these types are integers that `from_batches` takes."""
    kinds = {pd.api.types.is_unsigned_integer_dtype(kind) for kind in (pre, post)}
    return len(kinds) == 1 and all(pd.api.types.is_integer_dtype(kind) for kind in (pre, post))


def from_batches(
    batches: Iterable[list[pd.Series]],
    size: int,
    *,
    neurons: ArrayLike | None = None,
    p: float = 2.0,
    alpha: Any = 1.0,
) -> SynapticNetwork:
    """Do what `from_columns` does with a long table that comes in batches, `size` rows altogether.

    Batches are not held on to. Weights are in single precision where this is exact, as for counts.
    """
    from graphbal import assembly

    given = _given(neurons)
    weights: NDArray[np.floating] = np.ones(size, dtype=np.float32)
    batches = iter(batches)
    first = next(batches)
    names, kind = [column.name for column in first[:2]], _kind(first[0])

    def ids() -> Iterator[list[NDArray[np.int64]]]:
        nonlocal weights
        row = 0
        for pre, post, *weight in chain([first], batches):
            for column in weight:
                weights = _filled(weights, row, _numbers(column, row))
            for column in (pre, post):
                _refuse_missing(column, row)
            yield [_integers(column).view(np.int64) for column in (pre, post)]
            row += len(pre)

    codes, distinct = assembly.factorize(ids(), size)
    found = pd.Index(distinct.view(kind))
    labels = found.sort_values() if given is None else given
    pairs = zip(codes, names, strict=True)
    partners = [_translate(code, found, labels, name) for code, name in pairs]
    matrix, intake = _assemble(partners, weights, len(labels))
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


def _given(neurons: ArrayLike | None) -> pd.Index | None:
    given = None if neurons is None else label_index(neurons)
    if given is not None and not given.is_unique:
        raise InputError(f"the label {given[given.duplicated()][0]!r} is given twice in `neurons`")
    return given


def _numbers(column: pd.Series, before: int = 0) -> NDArray[np.float64]:
    """Return a column of finite numbers, or say which row is not one: so many are before it."""
    name = column.name
    if column.dtype.kind not in "biuf":
        if column.dtype.kind != "O" and not pd.api.types.is_string_dtype(column.dtype):
            raise InputError(f"the column {name!r} is of type {column.dtype}, not numeric")
        read = pd.to_numeric(column, errors="coerce")
        bad = np.flatnonzero(read.isna() & column.notna())
        if bad.size:
            at = int(bad[0])
            raise InputError(
                f"row {before + at + 1} of the column {name!r} holds {column.iloc[at]!r}, not a "
                "number"
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
            f"row {before + at + 1} of the column {name!r} holds {values[at]}; it must be a finite "
            "number"
        )
    return values


def _filled(
    weights: NDArray[np.floating], row: int, values: NDArray[np.float64]
) -> NDArray[np.floating]:
    """Put values among the weights, which become double where single precision is not exact."""
    here = slice(row, row + values.size)
    with np.errstate(over="ignore"):
        weights[here] = values
    if not np.array_equal(weights[here], values):
        weights = weights.astype(np.float64)
        weights[here] = values
    return weights


def _encode(
    columns: list[pd.Series], neurons: pd.Index | None
) -> tuple[list[NDArray[np.integer]], pd.Index]:
    """Return the positions of the partners among the labels, and the labels."""
    for column in columns:
        _refuse_missing(column)
    found = [_factorize(column) for column in columns]
    labels = _union(*(index for _, index in found)) if neurons is None else neurons
    pairs = zip(found, columns, strict=True)
    return [_translate(*each, labels, column.name) for each, column in pairs], labels


def _refuse_missing(column: pd.Series, before: int = 0) -> None:
    missing = column.isna()
    if missing.any():
        at = int(np.flatnonzero(missing)[0])
        raise InputError(f"row {before + at + 1} of the column {column.name!r} names no neuron")


def _integers(column: pd.Series) -> NDArray[np.integer]:
    return np.ascontiguousarray(column.to_numpy(dtype=_kind(column)))


def _kind(column: pd.Series) -> type[np.integer]:
    unsigned = pd.api.types.is_unsigned_integer_dtype(column.dtype)
    return np.uint64 if unsigned else np.int64


def _factorize(column: pd.Series) -> tuple[NDArray[np.integer], pd.Index]:
    """Return codes and the distinct labels of a column, each of which occurs."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        return column.cat.codes.to_numpy(), column.cat.categories
    if column.dtype.kind == "f" and (column.abs() > 2**53).any():
        raise InputError(
            f"the column {column.name!r} holds ids above 2^53 as floating-point numbers, which are "
            "no longer exact; read it as integers"
        )
    whole = pd.api.types.is_integer_dtype(column.dtype)
    codes, distinct = pd.factorize(_integers(column) if whole else column.to_numpy())
    return codes, label_index(distinct)


def _translate(
    codes: NDArray[np.integer], distinct: pd.Index, labels: pd.Index, name: str
) -> NDArray[np.integer]:
    """Return the positions among the labels of what codes mean by position in distinct."""
    position = labels.get_indexer(distinct)
    if (position < 0).any():
        at = int(np.flatnonzero(position[codes] < 0)[0])
        raise InputError(
            f"row {at + 1} of the column {name!r} holds {distinct[codes[at]]!r}, which is not "
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
    codes: list[NDArray[np.integer]], weights: NDArray[np.floating], n: int
) -> tuple[sparse.csr_array, Intake]:
    """Return the CSR matrix of a list of synapses, repeated ones summed, zeros dropped."""
    pre, post = codes
    if weights.size < COMPILED_FROM:
        return canonical(sparse.coo_array((weights, (post, pre)), shape=(n, n)))
    from graphbal import assembly

    data, indices, indptr, repeated, zeros = assembly.sort_synapses(
        post.astype(np.int32, copy=False), pre.astype(np.int32, copy=False), weights, n
    )
    matrix = sparse.csr_array((data, indices, indptr), shape=(n, n))
    matrix.has_canonical_format = True
    return matrix, Intake(repeated=repeated, zeros=zeros)
