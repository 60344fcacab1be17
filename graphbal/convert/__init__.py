"""Graphs, matrices and tables of other libraries  <->  SynapticNetwork."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from graphbal.convert.arrays import as_array, from_anndata, from_torch, from_xarray
from graphbal.convert.graphs import from_graph_tool, from_igraph, from_networkx, to_networkx
from graphbal.convert.matrices import from_scipy
from graphbal.convert.tables import from_edges, recognise_columns
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = [
    "as_network",
    "from_edges",
    "from_networkx",
    "from_scipy",
    "recognise_columns",
    "to_networkx",
]

# By package and class, so that nothing is imported to recognise it.
_WEIGHTED: dict[str, Callable[..., SynapticNetwork]] = {
    "networkx.Graph": from_networkx,
    "igraph.Graph": from_igraph,
    "graph_tool.Graph": from_graph_tool,
    "anndata.AnnData": from_anndata,
    "pandas.DataFrame": from_edges,
}
_ARRAYS: dict[str, Callable[..., SynapticNetwork]] = {
    "xarray.DataArray": from_xarray,
    "torch.Tensor": from_torch,
}


def as_network(
    source: Any, p: float | None = None, alpha: Any = None, *, weight: str | None = None
) -> SynapticNetwork:
    """Return a SynapticNetwork from anything that describes one.

    Parameters
    ----------
    source
        - A `SynapticNetwork`, returned as it is; a `graphbal.rnn.RecurrentNetwork`, for its
          recurrent synapses.
        - The name of an embedded dataset (`graphbal.load_dataset`), or the path of a file
          (`graphbal.read_network`).
        - A graph of NetworkX (`from_networkx`), igraph or graph-tool, whose edge u → v is a synapse
          from u to v and whose undirected edges are synapses in both directions.
        - A matrix J, row = postsynaptic: SciPy sparse, NumPy, nested lists (`from_scipy`), a
          PyTorch tensor (sparse ones too), a JAX array, or whatever else speaks the array protocol.
        - An xarray DataArray of two dimensions, labelled by its coordinates. Its rows are
          postsynaptic, unless its dimensions are named "pre" and "post".
        - An AnnData object, for a matrix of its ``obsp``, row = postsynaptic.
        - A pandas edge list (`from_edges`).
    p : float, optional
        Exponent of the cost; by default 2, or what the source says.
    alpha : scalar or array, optional
        Factor of the cost; by default 1, or what the source says.
    weight : str, optional
        Which weights, where a source may hold several: an edge attribute or property (default
        "weight", or 1 each if there is none), a column of a table or a file (by default as
        recognised), a key of ``obsp`` (by default the only one).

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If the source is none of these, or is not a sensible network.

    Examples
    --------
    >>> from graphbal import as_network
    >>> as_network([[0, 2], [1, 0]])
    SynapticNetwork(2 neurons, 2 synapses, c = |J|^2)
    >>> as_network("celegans", p=1)
    SynapticNetwork(302 neurons, 3,709 synapses, c = |J|^1)
    >>> import xarray as xr
    >>> labels = {"pre": ["A", "B"], "post": ["A", "B"]}
    >>> as_network(xr.DataArray([[0, 2], [1, 0]], labels, dims=("pre", "post"))).edges()
      pre post  weight  cost
    0   B    A     1.0   1.0
    1   A    B     2.0   4.0
    """
    cost: dict[str, Any] = {
        name: value for name, value in (("p", p), ("alpha", alpha)) if value is not None
    }
    if isinstance(source, SynapticNetwork) and weight is None:
        return source.with_cost(**cost) if cost else source
    if isinstance(source, (str, os.PathLike)):
        return _from_name(source, weight, cost)
    kinds = [
        f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(source).__mro__
    ]
    for kind in kinds:
        if kind in _WEIGHTED:
            return _WEIGHTED[kind](source, **cost, **({} if weight is None else {"weight": weight}))
    if weight is not None:
        raise InputError(f"weight is {weight!r}, but a {kinds[0]} holds no weights by name")
    for kind in kinds:
        if kind in _ARRAYS:
            return _ARRAYS[kind](source, **cost)
    if sparse.issparse(source) or isinstance(source, (np.ndarray, Sequence)):
        return from_scipy(source, **cost)
    if hasattr(source, "__array__") or hasattr(source, "__dlpack__"):
        return from_scipy(as_array(source), **cost)
    if "graphbal.RecurrentNetwork" in kinds:
        from graphbal.rnn.model import as_graph

        return as_network(as_graph(source), **cost)
    raise InputError(
        f"a {kinds[0]} is not a network; give a SynapticNetwork, a graph of NetworkX, igraph or "
        "graph-tool, a matrix, an edge list as a DataFrame, a file or the name of a dataset"
    )


def _from_name(
    source: str | os.PathLike[str], weight: str | None, cost: dict[str, Any]
) -> SynapticNetwork:
    from graphbal import datasets, io

    if isinstance(source, str) and source in datasets.names():
        if weight is not None:
            raise InputError(
                f"weight is {weight!r}, but the dataset {source!r} has one weight only"
            )
        return datasets.load_dataset(source, **cost)
    if os.path.exists(source) or os.path.splitext(source)[1]:
        return io.read_network(source, weight=weight, **cost)
    raise InputError(
        f"there is no file and no dataset called {os.fspath(source)!r}; the datasets are "
        f"{', '.join(datasets.names())}"
    )
