"""Tables of synapses: CSV and TSV, Parquet, Feather, all through Apache Arrow."""

from __future__ import annotations

import csv
import re
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from graphbal.convert.labels import label_index
from graphbal.convert.tables import (
    COMPILED_FROM,
    can_be_batched,
    from_batches,
    from_columns,
    recognise_columns,
)
from graphbal.errors import InputError
from graphbal.io.compression import is_gzipped, opened
from graphbal.network import SynapticNetwork

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_Names = tuple[str | None, str | None, str | None]
_Found = tuple[str, str, str | None]
_NO_ROWS = "the table has a header but no rows, so there is no synapse in it"
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,19}")


def read(
    path: Path, format: str, *, pre: str | None, post: str | None, weight: str | None
) -> SynapticNetwork:
    """Read the three columns of a table."""
    import pyarrow as pa

    wanted = (pre, post, weight)
    try:
        if format in ("csv", "tsv"):
            table, names = _read_text(path, format, wanted)
        elif format == "parquet" and (network := _read_batches(path, wanted)) is not None:
            return network
        else:
            table, names = _read_binary(path, format, wanted)
    except (pa.ArrowException, EOFError, zlib.error, OSError) as error:
        if getattr(error, "errno", None) is not None:  # not what is in the file
            raise
        reason = " ".join(str(error).split())
        raise InputError(f"the {format} file is damaged or malformed: {reason}") from error
    if not table.num_rows:
        raise InputError(_NO_ROWS)
    columns = [table[name] for name in names if name is not None]
    del table
    numbers = [_numbers(columns.pop(), names[2])] if names[2] is not None else []
    series = _labels(columns, names[:2], text=format in ("csv", "tsv")) + numbers
    pa.default_memory_pool().release_unused()
    return from_columns(series)


def write(network: SynapticNetwork, file: IO[bytes], format: str) -> None:
    """Write the columns pre, post, weight."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import feather, parquet

    kinds = {type(label) for label in network.neurons.tolist()}
    if len(kinds) > 1 or not kinds <= {int, str}:
        raise InputError(
            "a table holds labels that are all integers or all text, not "
            f"{', '.join(sorted(kind.__name__ for kind in kinds))}; write .json instead"
        )
    post, pre = network.weights.tocoo().coords
    labels = pa.array(network.neurons.to_numpy())
    table = pa.table(
        {"pre": labels.take(pre), "post": labels.take(post), "weight": network.weights.data}
    )
    if format == "parquet":
        if pa.types.is_integer(labels.type):  # sorted ids: differences are short, and fast
            delta = dict.fromkeys(("pre", "post"), "DELTA_BINARY_PACKED")
            parquet.write_table(table, file, use_dictionary=False, column_encoding=delta)
        else:
            parquet.write_table(table, file)
    elif format == "feather":
        feather.write_feather(table, file)
    else:
        options = arrow_csv.WriteOptions(delimiter="\t" if format == "tsv" else ",")
        arrow_csv.write_csv(table, file, options)


def column_names(path: Path, format: str) -> list[str]:
    """Return the names of the columns of a table, the index of pandas left out."""
    import pyarrow as pa
    from pyarrow import parquet

    if format in ("csv", "tsv"):
        return _header(path, format)[1]
    if format == "parquet":
        columns = parquet.read_schema(path).names
    else:
        with pa.memory_map(str(path)) as source:
            columns = pa.ipc.open_file(source).schema.names
    # pandas stores its index as a column of this name.
    return [name for name in columns if not re.fullmatch(r"__index_level_\d+__", name)]


def _read_binary(path: Path, format: str, wanted: _Names) -> tuple[pa.Table, _Found]:
    names = recognise_columns(column_names(path, format), *wanted)
    wanted_columns = [name for name in names if name]
    if format == "parquet":
        from pyarrow.parquet import ParquetFile

        with ParquetFile(path) as file:  # which reads a column of numbers into one array
            return file.read(columns=wanted_columns), names
    from pyarrow import feather

    return feather.read_table(path, columns=wanted_columns), names


def _read_batches(path: Path, wanted: _Names) -> SynapticNetwork | None:
    """Read a long Parquet table of integer ids without ever holding it; return None for others."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    names = recognise_columns(column_names(path, "parquet"), *wanted)
    wanted_columns = [name for name in names if name]
    with ParquetFile(path) as file:
        size = file.metadata.num_rows
        kinds = [file.schema_arrow.field(name).type for name in wanted_columns[:2]]
        if size < COMPILED_FROM or not all(map(pa.types.is_integer, kinds)):
            return None
        if not can_be_batched(*(kind.to_pandas_dtype() for kind in kinds)):
            return None
        from graphbal.assembly import BATCH

        batches = file.iter_batches(BATCH, columns=wanted_columns)
        return from_batches((_columns(batch, wanted_columns) for batch in batches), size)


def _columns(batch: pa.RecordBatch, names: list[str]) -> list[pd.Series]:
    """Return pre, post and perhaps weight of a batch of rows; ids are integers, or missing."""
    pre, post, *weight = (batch.column(name) for name in names)
    ids = [
        pd.Series(column.to_numpy(zero_copy_only=False), name=name, copy=False)
        for column, name in zip((pre, post), names[:2], strict=True)
    ]
    return ids + [_numbers(column, names[2]) for column in weight]


def _read_text(path: Path, format: str, wanted: _Names) -> tuple[pa.Table, _Found]:
    """Read ids as text, so that none loses a digit, and weights as numbers."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    delimiter, columns, has_rows = _header(path, format)
    names = recognise_columns(columns, *wanted)
    if not has_rows:  # Arrow calls a header without line end malformed
        raise InputError(_NO_ROWS)
    text = pa.dictionary(pa.int32(), pa.string())
    kinds = dict(zip(names, (text, text, pa.float64()), strict=True))
    kinds.pop(None, None)

    def parsed(kinds: dict[Any, pa.DataType]) -> pa.Table:
        with pa.input_stream(str(path), compression="gzip" if is_gzipped(path) else None) as stream:
            return arrow_csv.read_csv(
                stream,
                parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=list(kinds), column_types=kinds
                ),
            )

    try:
        table = parsed(kinds)
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise
        table = parsed({**kinds, names[2]: pa.string()})  # from_edges names the row
    return table, names


def _header(path: Path, format: str) -> tuple[str, list[str], bool]:
    """Return the delimiter, the names of the columns, and whether rows follow."""
    with opened(path) as file:
        header = file.readline(1 << 20).decode("utf-8-sig").rstrip("\r\n")
        has_rows = bool(file.read(1))
    if not header:
        raise InputError("the first line is empty; it must name the columns")
    delimiter = "\t" if format == "tsv" else max(",;\t", key=header.count)
    columns = next(csv.reader([header], delimiter=delimiter))
    return delimiter, columns, has_rows


def _numbers(column: pa.ChunkedArray | pa.Array, name: str) -> pd.Series:
    import pyarrow as pa

    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if column.null_count or not _is_number(column.type):
        return column.to_pandas().rename(name)
    return pd.Series(column.to_numpy(), name=name, copy=False)


def _labels(
    columns: list[pa.ChunkedArray], names: tuple[str, ...], *, text: bool
) -> list[pd.Series]:
    """Empty the list of columns of ids; return them, numbers as they are, else as categories.

    Ids read as text become integers if they all are, in both columns.
    """
    import pyarrow as pa

    found: list[Any] = []
    for name in names:
        column = columns.pop(0)
        if column.null_count:
            _refuse_row(column.is_null().to_numpy(), name)
        if _is_number(column.type):
            found.append(column.to_numpy())
            continue
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        whole = column.unify_dictionaries().combine_chunks()
        codes, labels = whole.indices.to_numpy(), whole.dictionary.to_pylist()
        if text:
            labels = [label.strip() for label in labels]
            if "" in labels:
                _refuse_row(codes == labels.index(""), name)
        found.append((codes, labels))
    if text and all(_INTEGER.fullmatch(label) for _, labels in found for label in labels):
        found = [(codes, list(map(int, labels))) for codes, labels in found]
    pairs = zip(found, names, strict=True)
    return [pd.Series(_categories(ids), name=name, copy=False) for ids, name in pairs]


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _categories(ids: Any) -> Any:
    """Return codes and labels as categories, an array of numbers as it is."""
    if not isinstance(ids, tuple):
        return ids
    codes, labels = ids
    merged, distinct = pd.factorize(label_index(labels))  # blanks stripped, two may be one
    return pd.Categorical.from_codes(merged[codes], categories=label_index(distinct))


def _refuse_row(bad: NDArray[np.bool_], name: str) -> None:
    at = int(np.flatnonzero(bad)[0])
    raise InputError(f"row {at + 1} of the column {name!r} names no neuron")
