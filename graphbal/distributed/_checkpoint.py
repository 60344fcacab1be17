"""What is kept in a folder, so that an interrupted run goes on: each file whole or not at all."""

from __future__ import annotations

import json
import time
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbal.distributed._partitions import COMPILED, STAGES, Facts, Partitions, all_labels
from graphbal.distributed._sources import Piece
from graphbal.distributed._store import verify, writing
from graphbal.distributed._tasks import mapped
from graphbal.errors import GraphbalError, InputError
from graphbal.network import Intake

__all__ = ["Checkpoint"]

Array = NDArray[np.float64]

_VERSION = 1
# What only lives as long as a pass, or is made anew by a run that goes on.
_PASSING = ("shared-*.npy", "part-*.view-*.npy", "part-*-tile-*.npy", ".*.part")
# Time between two records of the potentials, in units of what one takes.
INTERVAL = 20.0
# Steps near the equilibrium lower the cost by less than its last digits.
_ROUNDING = 1e-14


class Checkpoint:
    """The compiled partitions of a table and the best potentials so far, in a folder.

    ``manifest.json`` says what was compiled from what, with a checksum for each file;
    ``potentials.npz``, whose members are checksummed by the format, holds h p.
    """

    def __init__(self, folder: Path, source: dict[str, Any]) -> None:
        self.folder = folder
        self.source = source
        self._due = -np.inf
        self._best = np.inf

    @property
    def _manifest(self) -> Path:
        return self.folder / "manifest.json"

    @property
    def _potentials(self) -> Path:
        return self.folder / "potentials.npz"

    def begin(self, resume: bool) -> None:
        """Claim the folder, and remove what an earlier run left; other files are not touched.

        To resume, what an interrupted run with the same source compiled stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        record = self._record()
        others = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        if others and record is None:
            raise InputError(
                f"{self.folder}: the folder holds other files; give a new one, or an empty one"
            )
        if not (resume and record):
            self._write({})
            self._remove("potentials.npz", *COMPILED)
        self._remove(*_PASSING)

    def _remove(self, *patterns: str) -> None:
        for pattern in patterns:
            for path in self.folder.glob(pattern):
                path.unlink()

    def keep(self, partitions: Partitions) -> None:
        """Record that the partitions are complete; what led to them goes."""
        facts = partitions.facts._asdict() | {"intake": asdict(partitions.facts.intake)}
        self._write({"bounds": partitions.bounds, "facts": facts, "sums": partitions.sums})
        self._remove(*STAGES)

    def _write(self, found: dict[str, Any]) -> None:
        with writing(self._manifest) as file:
            record = {"version": _VERSION, "source": self.source, **found}
            file.write(json.dumps(record).encode())

    def _record(self) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads(self._manifest.read_text())
            version = record["version"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._manifest}: this is no checkpoint of graphbal") from error
        if version != _VERSION:
            raise InputError(
                f"{self._manifest}: a checkpoint of version {version}; this is version {_VERSION}"
            )
        return record

    def partitions(self) -> Partitions | None:
        """Return the partitions if they are complete and sound, None if they are not complete."""
        record = self._record()
        if record is None:
            return None
        if record["source"] != json.loads(json.dumps(self.source)):
            changed = [key for key, value in self.source.items() if record["source"][key] != value]
            raise InputError(
                f"{self._manifest}: the checkpoint is of another run (it differs in "
                f"{', '.join(changed)}); leave out resume to begin anew"
            )
        if "sums" not in record:
            return None
        facts = record["facts"]
        partitions = Partitions(
            self.folder,
            all_labels(self.folder),
            tuple(record["bounds"]),
            Facts(**(facts | {"intake": Intake(**facts["intake"])})),
            record["sums"],
        )
        self._remove(*_PASSING, *STAGES)
        sums: dict[str, dict[str, int]] = {}
        for name, value in partitions.sums.items():
            sums.setdefault(name.partition(".")[0], {})[name] = value
        mapped(_verify, sums.values(), self.folder)
        return partitions

    @property
    def is_due(self) -> bool:
        """Whether the last record was long enough ago."""
        return time.monotonic() >= self._due

    def watch(self, q: Array, cost: float, since: float | None = None) -> None:
        """Record potentials, if that is due and none before cost less, but for rounding.

        `since` is the time at which work began that served the record alone.
        """
        if not self.is_due:
            return
        since = time.monotonic() if since is None else since
        if cost <= self._best * (1 + _ROUNDING):
            with writing(self._potentials) as file:
                np.savez(file, version=_VERSION, q=q)
            self._best = min(self._best, cost)
        now = time.monotonic()
        self._due = now + INTERVAL * (now - since)

    def potentials(self) -> Array | None:
        """Return the potentials recorded last, or None."""
        try:
            with np.load(self._potentials, allow_pickle=False) as record:
                return np.asarray(record["q"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
            raise GraphbalError(
                f"{self._potentials}: the record of potentials is damaged; remove it to start the "
                "descent anew"
            ) from error


def described(pieces: list[tuple[Piece, Any]], **settings: Any) -> dict[str, Any]:
    """Return what tells one run from another: files with sizes and times, columns, settings."""
    files = {}
    for piece, part in pieces:
        if part is None:
            stat = Path(piece.where).stat()
            files[piece.where] = [stat.st_size, stat.st_mtime_ns]
        else:
            files[str(part.key)] = [0, 0]
    return {"files": files, "columns": list(pieces[0][0].names) if pieces else [], **settings}


def _verify(sums: dict[str, int], folder: Path) -> None:
    verify(folder, sums)
