"""Union-find over strong synapses. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["linked_by_strong_synapses"]


@njit(cache=True, error_model="numpy")
def _root(parent: NDArray[np.int32], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, error_model="numpy")
def linked_by_strong_synapses(
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    costs: NDArray[np.float64],
    gain: NDArray[np.float64],
    weak: NDArray[np.float64],
    fewest: int,
) -> tuple[int, NDArray[np.int32]]:
    """Return the number and the labels of the parts joined by synapses that are not weak.

    A synapse j → i is weak if its cost is below ``weak[i]`` or ``weak[j]``. A few strong inputs a
    neuron usually join everything, down to the `fewest` parts that there can be; only if they do
    not, all synapses are looked at.
    """
    n = gain.size
    parent = np.arange(n).astype(np.int32)
    n_parts = n
    for few in (4, -1):
        for i in range(n):
            found = 0
            for e in range(indptr[i], indptr[i + 1]):
                j = indices[e]
                if costs[e] * gain[j] / gain[i] >= max(weak[i], weak[j]):
                    a, b = _root(parent, i), _root(parent, j)
                    if a != b:
                        parent[max(a, b)] = min(a, b)
                        n_parts -= 1
                    found += 1
                    if found == few:
                        break
        if n_parts <= fewest:
            break
    labels = np.empty(n, dtype=np.int32)
    n_labels = 0
    for i in range(n):
        root = _root(parent, i)
        if root == i:
            labels[i] = n_labels
            n_labels += 1
        else:
            labels[i] = labels[root]
    return n_labels, labels
