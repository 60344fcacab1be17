"""Files that may be compressed by gzip, whatever their name says."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, cast


def is_gzipped(path: Path) -> bool:
    """Tell whether the file starts like a gzip file."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading, uncompressed on the way where it is a gzip file."""
    return cast("IO[bytes]", gzip.open(path)) if is_gzipped(path) else path.open("rb")
