"""Weight matrices J, row = postsynaptic: Matrix Market, SciPy .npz and NumPy .npy."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from scipy import sparse

from graphbal.convert import from_scipy
from graphbal.errors import InputError
from graphbal.io.compression import opened
from graphbal.network import SynapticNetwork


def read(
    path: Path, format: str, *, pre: str | None, post: str | None, weight: str | None
) -> SynapticNetwork:
    """Read a square matrix."""
    if (pre, post, weight) != (None, None, None):
        raise InputError("a matrix file has no columns to name; leave out pre, post and weight")
    reader = {"mtx": _read_mtx, "npz": _read_npz, "npy": _read_npy}[format]
    try:
        matrix, about = reader(path)
    except InputError:
        raise
    except (ValueError, KeyError, EOFError, OverflowError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split()) or "it ends too early"
        raise InputError(f"the {format} file is damaged or malformed: {reason}") from error
    return from_scipy(matrix, **about)


def write(network: SynapticNetwork, file: IO[bytes], format: str) -> None:
    """Write the weights; .npz with labels, p and α, in a form `scipy.sparse.load_npz` reads."""
    if format == "mtx":
        from scipy.io import mmwrite

        mmwrite(file, network.weights.tocoo(), field="real", symmetry="general", precision=17)
    elif format == "npy":
        np.save(file, network.weights.toarray(), allow_pickle=False)
    else:
        weights, alpha = network.weights, network.alpha
        np.savez(
            file,
            allow_pickle=False,
            format=np.array(b"csr"),
            shape=np.array(weights.shape),
            data=weights.data,
            indices=weights.indices,
            indptr=weights.indptr,
            _is_array=np.array(True),
            neurons=_plain(network.neurons),
            p=np.array(network.p),
            alpha=alpha.data if sparse.issparse(alpha) else alpha,
        )


def _plain(neurons: Any) -> np.ndarray:
    """Return the labels as an array that needs no pickle."""
    labels = neurons.to_numpy()
    if labels.dtype.kind in "iu":
        return labels
    for label in neurons:
        if not isinstance(label, str) or label.endswith("\0"):
            raise InputError(
                f"the labels of a .npz file are integers or text, not {label!r}; write .json"
            )
    return labels.astype(str)


def _read_mtx(path: Path) -> tuple[Any, dict[str, Any]]:
    from scipy.io import mmread

    with opened(path) as file:
        return mmread(file), {}


def _read_npz(path: Path) -> tuple[Any, dict[str, Any]]:
    about: dict[str, Any]
    with np.load(path, allow_pickle=False) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile) or "format" not in archive.files:
            raise InputError(
                "this is not a sparse matrix as scipy.sparse.save_npz writes it; save it that way, "
                "or a dense one as .npy"
            )
        about = {name: archive[name] for name in ("neurons", "p", "alpha") if name in archive.files}
    matrix = sparse.load_npz(path)
    if matrix.format in ("csr", "csc", "bsr"):
        matrix.check_format(full_check=True)  # indices out of range would reach compiled code
    if "p" in about:
        about["p"] = about["p"].item()
    if "alpha" in about and about["alpha"].ndim == 1:  # one value per synapse
        about["alpha"] = sparse.csr_array(
            (about["alpha"], matrix.indices, matrix.indptr), shape=matrix.shape
        )
    return matrix, about


def _read_npy(path: Path) -> tuple[Any, dict[str, Any]]:
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError("this is an archive of arrays, not a .npy file; name the format npz")
    return array, {}
