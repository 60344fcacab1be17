"""SciPy and NumPy matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from graphbal.convert.labels import label_index
from graphbal.errors import InputError
from graphbal.network import Intake, SynapticNetwork

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["canonical", "from_scipy"]


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

    Returns
    -------
    SynapticNetwork

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
        matrix, intake = canonical(weights)
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


def canonical(given: Any) -> tuple[sparse.csr_array, Intake]:
    """Return a sparse matrix as CSR, sorted, without duplicates or zeros, and what was merged."""
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
    matrix.data = matrix.data.astype(np.float64, copy=False)
    matrix.indices = matrix.indices.astype(index, copy=False)
    matrix.indptr = matrix.indptr.astype(index, copy=False)
    return matrix, Intake(repeated=stored - summed, zeros=zeros)
