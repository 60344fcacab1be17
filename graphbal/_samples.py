"""A record of finished samples: a file of lines that is only ever appended to."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import IO, Any

from graphbal.errors import InputError

__all__ = ["Samples"]

_START = b'{"run": "'


class Samples:
    """What was measured, by run and number of the sample; in a file, where one is given.

    Each line is a JSON object with the run, the sample and what was measured. A line is with the
    operating system as soon as it is added, so that it outlives this process; the last one, if it
    was torn, is cut off when the file is next opened. Floats are read back to the last bit.

    Parameters
    ----------
    path : path, optional
        The file; without one, nothing is kept.

    Raises
    ------
    InputError
        If the file is something else, or its folder does not exist.
    """

    def __init__(self, path: str | Path | None) -> None:
        self._known: dict[tuple[str, int], dict[str, Any]] = {}
        self._file: IO[bytes] | None = None
        self._synced = time.monotonic()
        if path is None:
            return
        path = Path(path)
        if not path.absolute().parent.is_dir():
            raise InputError(
                f"the checkpoint {path} has no folder to be written into; make it first"
            )
        self._file = path.open("a+b")
        try:
            self._read(self._file)
        except (ValueError, KeyError, TypeError) as error:
            self._file.close()
            raise InputError(f"{path} is no record of samples; give another checkpoint") from error

    def _read(self, file: IO[bytes]) -> None:
        file.seek(0)
        for line in file:
            if not line.endswith(b"\n") and (line.startswith(_START) or _START.startswith(line)):
                file.truncate(file.tell() - len(line))  # torn
                return
            entry = json.loads(line)
            self._known[entry["run"], entry["sample"]] = entry

    def get(self, run: str, sample: int) -> dict[str, Any] | None:
        """Return what was added of a sample, or None."""
        return self._known.get((run, sample))

    def add(self, run: str, sample: int, **measured: Any) -> None:
        """Add a sample."""
        if self._file is None:
            return
        line = json.dumps({"run": run, "sample": sample, **measured}, ensure_ascii=False)
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        if time.monotonic() - self._synced > 1:
            self._sync(self._file)

    def _sync(self, file: IO[bytes]) -> None:
        os.fsync(file.fileno())
        self._synced = time.monotonic()

    def __enter__(self) -> Samples:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._sync(self._file)
            self._file.close()
