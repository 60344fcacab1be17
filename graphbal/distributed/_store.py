"""Arrays in files of their own: written whole or not at all, mapped into memory when read."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from graphbal.errors import GraphbalError
from graphbal.io import replacing

__all__ = ["checksum", "load", "save", "verify", "writing"]


def save(folder: Path, name: str, **arrays: NDArray) -> dict[str, int]:
    """Write each array to ``name.key.npy``; return the checksum of each file's array by name."""
    sums = {}
    for key, array in arrays.items():
        path = folder / f"{name}.{key}.npy"
        with writing(path) as file:
            np.save(file, array, allow_pickle=False)
        sums[path.name] = checksum(array)
    return sums


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its place when it is complete; a full disk is told by its name."""
    try:
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise GraphbalError(f"{path}: {error.strerror or error}") from error


def load(path: Path) -> NDArray:
    """Return the array in a file, mapped: only what is read of it takes memory."""
    try:
        array: NDArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        missing = isinstance(error, FileNotFoundError)
        what = "is missing" if missing else f"is damaged ({' '.join(str(error).split())})"
        raise GraphbalError(f"{path}: this file of a partition {what}") from error
    return np.asarray(array)


def verify(folder: Path, sums: dict[str, int]) -> None:
    """Compare arrays with their checksums."""
    for name, expected in sums.items():
        if checksum(load(folder / name)) != expected:
            raise GraphbalError(
                f"{folder / name}: this file of a partition is damaged (its checksum differs)"
            )


def checksum(array: NDArray) -> int:
    """Return the CRC-32 of an array's bytes."""
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
