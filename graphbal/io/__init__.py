"""Networks in files: one module per family of formats, `read_network` and `write_network` for all.

========== ============================ ==========================================================
format     extension                    besides weights, it keeps
========== ============================ ==========================================================
csv, tsv   .csv .tsv (also .gz)         labels that are integers or text
parquet    .parquet .pq                 the same
feather    .feather                     the same
graphml    .graphml (also .gz)          the same, all neurons, and attributes that GraphML can type
gexf       .gexf (also .gz)             the same, as GEXF can
json       .json (also .gz)             all neurons; labels and attributes that JSON knows, tuples
npz        .npz                         all neurons, p, α; labels that are integers or text
npy, mtx   .npy .mtx (also .gz)         all neurons, as 0 … n − 1
========== ============================ ==========================================================

A table has no room for neurons without synapses, nor for attributes; the neurons it is read back
with are sorted. Text formats cannot tell the label 7 from "7", nor keep blanks around a label:
labels that are all integers are read as integers, exactly. Only npz keeps p and α.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

from graphbal.errors import InputError
from graphbal.network import SynapticNetwork
from graphbal.subnetwork import subnetwork

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["read_network", "write_network"]

_FAMILIES = {
    "csv": "tables",
    "tsv": "tables",
    "parquet": "tables",
    "feather": "tables",
    "graphml": "graphs",
    "gexf": "graphs",
    "json": "graphs",
    "mtx": "matrices",
    "npz": "matrices",
    "npy": "matrices",
}
_EXTENSIONS = {**{name: name for name in _FAMILIES}, "pq": "parquet"}
_GZIPPED = ("csv", "tsv", "graphml", "gexf", "json", "mtx")


def read_network(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    pre: str | None = None,
    post: str | None = None,
    weight: str | None = None,
    p: float | None = None,
    alpha: Any = None,
    min_synapses: float = 0,
    drop_self_connections: bool = False,
    neurons: ArrayLike | None = None,
) -> SynapticNetwork:
    r"""Read a network from a file.

    Parameters
    ----------
    path : str or path
        A table of synapses (csv, tsv, parquet, feather), a graph (graphml, gexf, node-link json) or
        a matrix J, row = postsynaptic (mtx, npz, npy).
    format : str, optional
        One of these names; by default the extension says it.
    pre, post, weight : str, optional
        Columns of a table; by default those that `graphbal.convert.recognise_columns` finds.
        `weight` also names the edge attribute of a graph (default "weight"; without it an edge
        weighs 1).
    p, alpha
        The cost function, see `SynapticNetwork`; by default what the file says (npz), else 2 and 1.
    min_synapses : float
        Drop pairs whose summed |weight| is below. Neurons stay.
    drop_self_connections : bool
    neurons : sequence of labels, optional
        Keep these neurons, in this order, and the synapses among them.

    Returns
    -------
    SynapticNetwork
        Its `intake` counts what was merged or left out, in the order: repeated rows, zeros, below
        the threshold, self-connections, outside the subset.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no sensible network; the message says where. Rows of a
        table are counted from 1, the header not included.

    Notes
    -----
    Linear in the size of the file; of a table only the three columns are read, of a Parquet table
    of a million rows and integer ids no more than a batch at a time. Nothing in a file is ever
    executed or unpickled, and XML with a document type (hence entities) is refused.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from graphbal import read_network
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "connections.csv")
    ...     _ = path.write_text("bodyId_pre,bodyId_post,weight\n1,2,5\n2,1,1\n2,2,9\n")
    ...     net = read_network(path, drop_self_connections=True, min_synapses=2)
    >>> net.edges()
       pre  post  weight  cost
    0    1     2     5.0  25.0
    >>> net.intake
    Intake(repeated=0, zeros=0, below_threshold=1, self_connections=1, outside_subset=0)
    """
    path = Path(path)
    name, family = _family(path, format)
    try:
        if path.is_dir():
            raise InputError("this is a folder, not a file")
        if not path.exists():
            raise InputError("there is no such file")
        if path.stat().st_size == 0:
            raise InputError("the file is empty")
        network = family.read(path, name, pre=pre, post=post, weight=weight)
        network = subnetwork(network, neurons, min_synapses, drop_self_connections)
    except (InputError, OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: {reason}") from error
    return network if p is None and alpha is None else network.with_cost(p=p, alpha=alpha)


def write_network(
    network: SynapticNetwork, path: str | os.PathLike[str], *, format: str | None = None
) -> None:
    """Write a network to a file; not every format keeps everything (see "Files and formats").

    The file is written next to its place and then moved there, so that a write that fails or is
    interrupted leaves an earlier file whole.

    Parameters
    ----------
    network : SynapticNetwork, or anything `graphbal.as_network` takes
    path : str or path
    format : str, optional
        One of csv, tsv, parquet, feather, graphml, gexf, json, mtx, npz, npy; by default the
        extension says it. A name that ends in .gz is compressed.

    Raises
    ------
    InputError
        If the format cannot hold the labels or attributes, or the file cannot be written.

    Notes
    -----
    O(synapses); npy writes the dense matrix, O(neurons²).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from graphbal import load_dataset, read_network, write_network
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_network(load_dataset("witvliet-1"), pathlib.Path(folder, "worm.npz"))
    ...     read_network(pathlib.Path(folder, "worm.npz"))
    SynapticNetwork(161 neurons, 675 synapses, c = |J|^2)
    """
    from graphbal.convert import as_network

    network, path = as_network(network), Path(path)
    name, family = _family(path, format)
    try:
        with replacing(path) as file:
            if path.suffix.lower() == ".gz":
                import gzip

                with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed:
                    family.write(network, compressed, name)
            else:
                family.write(network, file, name)
    except (InputError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: {reason}") from error


def _family(path: Path, format: str | None) -> tuple[str, ModuleType]:
    """Return the name of the format and the module that reads and writes it."""
    known = ", ".join(_FAMILIES)
    if format is None:
        suffixes = [suffix[1:].lower() for suffix in path.suffixes[-2:]]
        zipped = bool(suffixes) and suffixes[-1] == "gz"
        suffix = suffixes[-2] if zipped and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
        format = _EXTENSIONS.get(suffix)
        if format is None or (zipped and format not in _GZIPPED):
            raise InputError(
                f"{path}: the extension does not say the format; name it with format=, one of "
                f"{known}"
            )
    elif format not in _FAMILIES:
        raise InputError(f"there is no format {format!r}; give one of {known}")
    return format, import_module(f"graphbal.io.{_FAMILIES[format]}")


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file that takes the place of `path` when, and only when, all went well."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
