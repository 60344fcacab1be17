"""Where partitions come from: files, or the partitions of a Dask DataFrame."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graphbal.balance import _is_in_partitions
from graphbal.convert.tables import _encode, _numbers, recognise_columns
from graphbal.errors import InputError
from graphbal.io import _family, tables

__all__ = ["Piece", "Rows", "pieces_of", "read"]

# Rows of a Parquet file that are read at once; a row group is never divided.
_PIECE = 1 << 22
# A table of ids has up to this many places for each.
_TABLE_PER_ID = 2
_TABLES = ("csv", "tsv", "parquet", "feather")
_Names = tuple[str | None, str | None, str | None]


@dataclass(frozen=True)
class Piece:
    """Rows that one task reads: a file, some row groups of one, or a partition of a DataFrame."""

    where: str
    names: tuple[str, str, str | None]
    format: str | None = None  # None: a partition
    groups: tuple[int, ...] | None = None
    first: int = 0  # rows of the file before

    @property
    def is_text(self) -> bool:
        """Whether ids are read as text, and are numbers only if all of them are."""
        return self.format in ("csv", "tsv")


class Rows(NamedTuple):
    """Synapses as they are listed: positions among the distinct labels, and weights."""

    pre: NDArray[np.integer]
    post: NDArray[np.integer]
    labels: pd.Index
    weights: NDArray[np.float64]


def pieces_of(source: Any, pre: str | None, post: str | None, weight: str | None) -> list[Any]:
    """Return what `read` takes: pairs of a `Piece` and, of a DataFrame, its delayed partition."""
    wanted = (pre, post, weight)
    if _is_in_partitions(source):
        names = recognise_columns(map(str, source.columns), *wanted)
        parts = source[[name for name in names if name is not None]].to_delayed()
        return [(Piece(f"partition {k}", names), part) for k, part in enumerate(parts)]
    pieces: list[Any] = []
    for path in _files(source):
        try:
            pieces += [(piece, None) for piece in _pieces_of_file(path, wanted)]
        except (InputError, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: {_reason(error)}") from error
    return pieces


def read(given: tuple[Piece, pd.DataFrame | None]) -> Rows:
    """Read one piece; errors name the file, the row and the column."""
    import pyarrow as pa

    piece, frame = given
    try:
        try:
            columns = _columns_of_frame(piece, frame) if piece.format is None else _columns(piece)
        except (pa.ArrowException, EOFError, zlib.error, gzip.BadGzipFile) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"the {piece.format} file is damaged: {reason}") from error
        weights = _numbers(columns.pop()) if len(columns) == 3 else np.ones(len(columns[0]))
        (pre_codes, post_codes), labels = _coded(columns)
    except (InputError, OSError, UnicodeDecodeError) as error:
        where = piece.where
        if piece.first:
            where += f", counting from row {piece.first + 1}"
        raise InputError(f"{where}: {_reason(error)}") from error
    return Rows(pre_codes, post_codes, labels, weights)


def _coded(columns: list[pd.Series]) -> tuple[list[NDArray[np.integer]], pd.Index]:
    """Return the positions of the partners among the distinct labels, and these, ascending."""
    first, second = (column.to_numpy() for column in columns)
    if first.dtype.kind not in "iu" or first.dtype != second.dtype or not first.size:
        return _encode(columns, None)
    wide = np.uint64 if first.dtype.kind == "u" else np.int64
    codes, distinct = _factorized(np.concatenate([first, second], dtype=wide))
    return np.split(codes, 2), pd.Index(distinct)


def _factorized(ids: NDArray[np.integer]) -> tuple[NDArray[np.int32], NDArray[np.integer]]:
    """Return codes and the distinct ids, ascending: by a table if they lie close together."""
    lowest, highest = int(ids.min()), int(ids.max())
    if highest - lowest <= _TABLE_PER_ID * ids.size:
        place = (ids - ids.dtype.type(lowest)).view(np.int64)
        occurs = np.zeros(highest - lowest + 1, dtype=bool)
        occurs[place] = True
        rank = np.cumsum(occurs, dtype=np.int32) - np.int32(1)
        return rank[place], np.flatnonzero(occurs).astype(ids.dtype) + ids.dtype.type(lowest)
    codes, distinct = pd.factorize(ids)
    order = np.argsort(distinct)
    rank = np.empty(order.size, dtype=np.int32)
    rank[order] = np.arange(order.size, dtype=np.int32)
    return rank[codes], distinct[order]


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    return error.strerror or f"the file is damaged ({error})"  # Arrow knows no numbers of errors


def _files(source: Any) -> list[Path]:
    """Return the files of a pattern, a folder, a list of paths or a path, in order."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            inside = sorted(path.rglob("*"))
            files = [each for each in inside if each.is_file() and each.name[0] not in "._"]
        elif has_magic(str(source)) and not path.exists():
            files = sorted(map(Path, glob(str(source), recursive=True)))
        else:
            files = [path]
    elif isinstance(source, Sequence) and all(
        isinstance(each, (str, os.PathLike)) for each in source
    ):
        files = list(map(Path, source))
    else:
        raise InputError(
            f"a {type(source).__name__} has no partitions; give a Dask DataFrame, a folder, a "
            "pattern such as 'edges/*.parquet', or a list of files"
        )
    if not files:
        raise InputError(f"{source}: there is no such file")
    return files


def _pieces_of_file(path: Path, wanted: _Names) -> list[Piece]:
    import pyarrow as pa
    from pyarrow import parquet

    format, _ = _family(path, None)
    if format not in _TABLES:
        raise InputError(f"a {format} file is read as a whole; partitions are {', '.join(_TABLES)}")
    if not path.exists():
        raise InputError("there is no such file")
    if path.stat().st_size == 0:
        raise InputError("the file is empty")
    try:
        names = recognise_columns(tables.column_names(path, format), *wanted)
        if format != "parquet":
            return [Piece(str(path), names, format)]
        metadata = parquet.read_metadata(path)
    except (pa.ArrowException, EOFError, zlib.error, gzip.BadGzipFile) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"the {format} file is damaged or malformed: {reason}") from error
    sizes = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    ends = np.cumsum(sizes)
    pieces, begin = [], 0
    while begin < len(sizes):
        before = int(ends[begin] - sizes[begin])
        end = max(begin + 1, int(np.searchsorted(ends, before + _PIECE, side="right")))
        pieces.append(Piece(str(path), names, format, tuple(range(begin, end)), before))
        begin = end
    return pieces


def _columns(piece: Piece) -> list[pd.Series]:
    from pyarrow import feather, parquet

    path, names = Path(piece.where), piece.names
    wanted = [name for name in names if name is not None]
    if piece.is_text:
        table, _ = tables._read_text(path, str(piece.format), names)
    elif piece.format == "parquet":
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            table = file.read_row_groups(list(piece.groups or ()), columns=wanted)
    else:
        table = feather.read_table(path, columns=wanted)
    columns = [table[name] for name in wanted]
    numbers = [tables._numbers(columns.pop(), names[2])] if names[2] is not None else []
    return tables._labels(columns, names[:2], text=piece.is_text) + numbers


def _columns_of_frame(piece: Piece, frame: pd.DataFrame | None) -> list[pd.Series]:
    if frame is None:
        raise InputError("there is no table")
    columns = [str(name) for name in frame.columns]
    return [frame.iloc[:, columns.index(name)] for name in piece.names if name is not None]
