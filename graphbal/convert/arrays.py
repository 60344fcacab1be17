"""Arrays that know more or live elsewhere: xarray, AnnData, PyTorch, JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from graphbal.convert.labels import label_index
from graphbal.convert.matrices import from_scipy
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = ["as_array", "from_anndata", "from_torch", "from_xarray"]


def from_xarray(array: Any, **cost: Any) -> SynapticNetwork:
    """Read a DataArray of weights, (post, pre) unless the names of its dimensions say otherwise.

    Coordinates along the dimensions are the labels. Where both have them they are the same labels;
    the order of neurons is that of the postsynaptic dimension.
    """
    if array.ndim != 2:
        raise InputError(
            f"the DataArray has dimensions {array.dims}; it must have two, post and pre"
        )
    if set(array.dims) == {"post", "pre"}:
        array = array.transpose("post", "pre")
    elif {"post", "pre"} & set(array.dims):
        raise InputError(
            f"the dimensions of the DataArray are called {array.dims}; call both by what they are, "
            "'post' and 'pre', or neither: then rows are postsynaptic"
        )
    post, pre = (
        label_index(array.indexes[name].tolist()) if name in array.indexes else None
        for name in array.dims
    )
    if post is not None and pre is not None and not post.equals(pre):
        at = pre.get_indexer(post) if pre.is_unique else np.full(len(post), -1)
        if len(post) != len(pre) or (at < 0).any():
            raise InputError(
                f"the coordinates {array.dims[0]!r} and {array.dims[1]!r} of the DataArray are not "
                "the same labels, each once"
            )
        array = array[:, at]
    return from_scipy(as_array(array), neurons=pre if post is None else post, **cost)


def from_anndata(data: Any, *, weight: str | None = None, **cost: Any) -> SynapticNetwork:
    """Read a matrix of ``obsp``, row = postsynaptic, neurons labelled by ``obs_names``."""
    names = [str(name) for name in data.obsp]
    if weight is None and len(names) == 1:
        weight = names[0]
    if weight is None or weight not in names:
        what = "name one" if weight is None else f"there is no {weight!r}"
        listed = ", ".join(map(repr, names)) or "none"
        raise InputError(f"which matrix of obsp? {what} with weight=; obsp holds {listed}")
    return from_scipy(data.obsp[weight], neurons=pd.Index(data.obs_names), **cost)


def from_torch(tensor: Any, **cost: Any) -> SynapticNetwork:
    """Read a tensor, dense or sparse, wherever it lives; nothing flows back into its gradient."""
    try:
        tensor = tensor.detach().cpu()
    except RuntimeError as error:
        raise InputError(f"the tensor cannot be read: {error}") from error
    if tensor.is_complex():
        raise InputError(f"the weights are of type {tensor.dtype}; they must be real numbers")
    tensor = tensor.double()  # NumPy knows no bfloat16
    if "sparse" not in str(tensor.layout):
        return from_scipy(tensor.numpy(), **cost)
    entries = tensor.to_sparse_coo().coalesce()
    if entries.dense_dim() or entries.sparse_dim() != 2:
        raise InputError(f"the tensor has shape {(*tensor.shape,)}; it must be a matrix")
    positions = tuple(entries.indices().numpy())
    return from_scipy(
        sparse.coo_array((entries.values().numpy(), positions), shape=tuple(tensor.shape)), **cost
    )


def as_array(source: Any) -> np.ndarray:
    """Return what the array protocol makes of an object."""
    try:
        return np.asarray(source) if hasattr(source, "__array__") else np.from_dlpack(source)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"the {type(source).__name__} cannot be read as a NumPy array: {error}"
        ) from error
