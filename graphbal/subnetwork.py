"""Parts of a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from graphbal.convert import as_network
from graphbal.convert.labels import label_index
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = ["subnetwork"]


def subnetwork(
    network: Any,
    neurons: ArrayLike | None = None,
    min_synapses: float = 0,
    drop_self_connections: bool = False,
) -> SynapticNetwork:
    """Return the network that some neurons form among themselves.

    Parameters
    ----------
    network : anything `as_network` takes
        The network.
    neurons : labels, optional
        The neurons to keep, in this order; all by default.
    min_synapses : float
        Leave out synapses whose |weight| is below this.
    drop_self_connections : bool
        Leave out synapses of a neuron with itself.

    Returns
    -------
    SynapticNetwork
        With the attributes of what is left; ``intake`` counts what was left out.

    Raises
    ------
    InputError
        If there is no such neuron, or it is named twice.

    Notes
    -----
    O(n + m) time for n neurons and m synapses.

    Examples
    --------
    The strong component of the worm's wiring, which has a finite equilibrium:

    >>> import graphbal as gb
    >>> worm = gb.load_dataset("celegans")
    >>> components = gb.topology(worm).components
    >>> core = gb.subnetwork(worm, components.index[components == components.mode()[0]])
    >>> gb.balance(core).is_finite
    True
    """
    network = as_network(network)
    if not min_synapses and not drop_self_connections and neurons is None:
        return network
    n = network.n_neurons
    weights = network.weights
    post = np.repeat(np.arange(n), np.diff(weights.indptr))
    pre = weights.indices
    counts = {}
    keep = np.abs(weights.data) >= min_synapses
    counts["below_threshold"] = int(keep.size - np.count_nonzero(keep))
    if drop_self_connections:
        counts["self_connections"] = int(np.count_nonzero(keep & (post == pre)))
        keep &= post != pre
    labels, position = network.neurons, np.arange(n)
    if neurons is not None:
        labels = label_index(neurons)
        if not labels.is_unique:
            twice = labels[labels.duplicated()][0]
            raise InputError(f"the label {twice!r} is given twice in `neurons`")
        chosen = network.positions(labels)
        position = np.full(n, -1)
        position[chosen] = np.arange(chosen.size)
        inside = (position[post] >= 0) & (position[pre] >= 0)
        counts["outside_subset"] = int(np.count_nonzero(keep & ~inside))
        keep &= inside

    def selected(values: NDArray[np.float64]) -> sparse.csr_array:
        ends = position[post[keep]], position[pre[keep]]
        matrix = sparse.coo_array((values[keep], ends), shape=(len(labels), len(labels))).tocsr()
        matrix.sort_indices()
        return matrix

    alpha = network.alpha
    if sparse.issparse(alpha):
        alpha = selected(alpha.data)
    elif alpha.ndim and neurons is not None:
        alpha = alpha[:, chosen] if alpha.shape[0] == 1 else alpha[chosen]
    names = set(labels)
    alive = set()
    if network.edge_attributes:
        at = network.neurons
        alive = set(zip(at.take(pre[keep]).tolist(), at.take(post[keep]).tolist(), strict=True))
    return replace(
        network,
        weights=selected(weights.data),
        neurons=labels,
        alpha=alpha,
        node_attributes={at: named for at, named in network.node_attributes.items() if at in names},
        edge_attributes={at: named for at, named in network.edge_attributes.items() if at in alive},
        intake=replace(network.intake, **counts),
    )
