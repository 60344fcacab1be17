"""The judge of accuracy: nothing of the package, extended precision, original weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

__all__ = ["neuron_imbalance"]


def neuron_imbalance(weights: sparse.csr_array, p: float, potentials: NDArray[np.float64]) -> float:
    """Return max |in_k − out_k| / (in_k + out_k) of the costs |J_ij|^p e^{p (h_j − h_i)}.

    Left out are self-connections and synapses between strong components, which vanish.

    Parameters
    ----------
    weights : scipy.sparse.csr_array, shape (n, n)
        Weights J as given, row = postsynaptic.
    p : float
        Exponent of the cost.
    potentials : array, shape (n,)
        Potentials h.
    """
    n = weights.shape[0]
    post = np.repeat(np.arange(n, dtype=np.int32), np.diff(weights.indptr))
    pre = weights.indices
    components = csgraph.connected_components(weights, connection="strong")[1]
    h = potentials.astype(np.longdouble)
    costs = np.abs(weights.data.astype(np.longdouble)) ** np.longdouble(p)
    costs *= np.exp(np.longdouble(p) * (h[pre] - h[post]))
    costs[(post == pre) | (components[post] != components[pre])] = 0
    incoming = _sums(costs, post, n)
    by_pre = np.argsort(pre, kind="stable")
    outgoing = _sums(costs[by_pre], pre[by_pre], n)
    through = incoming + outgoing
    apart = np.abs(incoming - outgoing)
    return float(np.divide(apart, through, out=np.zeros_like(apart), where=through > 0).max())


def _sums(
    values: NDArray[np.longdouble], keys: NDArray[np.integer], n: int
) -> NDArray[np.longdouble]:
    """Return the sum of the values of each key; keys ascend."""
    sums = np.zeros(n, dtype=np.longdouble)
    present, starts = np.unique(keys, return_index=True)
    if starts.size:
        sums[present] = np.add.reduceat(values, starts)
    return sums
