"""Compiled passes over one partition, on the thread of its task. Importing this imports Numba.

A partition holds the rows of consecutive postsynaptic neurons, the first of them `begin`. Entries
of cost zero are no synapses: self-connections, and what vanishes.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["colour", "degrees", "join", "link", "reach", "reach_back"]

# Sweeps over a partition before others hear of what it found.
_PATIENCE = 20


@njit(cache=True, nogil=True)
def degrees(
    begin: int,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    costs: NDArray,
    labels: NDArray[np.int32],
    incoming: NDArray[np.int64],
    outgoing: NDArray[np.int64],
) -> None:
    """Count the synapses of each neuron among those without a label."""
    for row in range(indptr.size - 1):
        i = begin + row
        if labels[i] >= 0:
            continue
        for e in range(indptr[row], indptr[row + 1]):
            j = indices[e]
            if labels[j] < 0 and costs[e] > 0:
                incoming[i] += 1
                outgoing[j] += 1


@njit(cache=True, nogil=True)
def reach(
    begin: int,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    costs: NDArray,
    labels: NDArray[np.int32],
    marks: NDArray[np.uint8],
) -> None:
    """Pass mark 1 on along the synapses, and mark 2 against them, among neurons without a label."""
    rows = indptr.size - 1
    for sweep in range(_PATIENCE):
        changed = False
        for k in range(rows):
            row = k if sweep % 2 == 0 else rows - 1 - k
            i = begin + row
            if labels[i] >= 0:
                continue
            own = marks[i]
            for e in range(indptr[row], indptr[row + 1]):
                j = indices[e]
                if labels[j] < 0 and costs[e] > 0:
                    own |= marks[j] & 1
                    if own & 2 and not marks[j] & 2:
                        marks[j] |= 2
                        changed = True
            if own != marks[i]:
                marks[i] |= own
                changed = True
        if not changed:
            break


@njit(cache=True, nogil=True)
def colour(
    begin: int,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    costs: NDArray,
    labels: NDArray[np.int32],
    colours: NDArray[np.int32],
) -> None:
    """Give each neuron without a label the largest colour that reaches it."""
    rows = indptr.size - 1
    for sweep in range(_PATIENCE):
        changed = False
        for k in range(rows):
            row = k if sweep % 2 == 0 else rows - 1 - k
            i = begin + row
            if labels[i] >= 0:
                continue
            own = colours[i]
            for e in range(indptr[row], indptr[row + 1]):
                j = indices[e]
                if labels[j] < 0 and costs[e] > 0:
                    own = max(own, colours[j])
            if own != colours[i]:
                colours[i] = own
                changed = True
        if not changed:
            break


@njit(cache=True, nogil=True)
def reach_back(
    begin: int,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    costs: NDArray,
    colours: NDArray[np.int32],
    marks: NDArray[np.uint8],
) -> None:
    """Pass the mark on against the synapses within a colour; colours below 0 are none."""
    rows = indptr.size - 1
    for sweep in range(_PATIENCE):
        changed = False
        for k in range(rows):
            row = k if sweep % 2 == 0 else rows - 1 - k
            i = begin + row
            if not marks[i] or colours[i] < 0:
                continue
            for e in range(indptr[row], indptr[row + 1]):
                j = indices[e]
                if colours[j] == colours[i] and not marks[j] and costs[e] > 0:
                    marks[j] = 1
                    changed = True
        if not changed:
            break


@njit(cache=True, nogil=True)
def _root(parent: NDArray[np.int32], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True, error_model="numpy")
def link(
    begin: int,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    costs: NDArray,
    gain: NDArray[np.float64],
    weak: NDArray[np.float64],
    parent: NDArray[np.int32],
) -> None:
    """Join the neurons of each synapse that is not weak, that is, below weak[i] or weak[j].

    Each neuron of `parent` comes out with the smallest of its part.
    """
    for row in range(indptr.size - 1):
        i = begin + row
        for e in range(indptr[row], indptr[row + 1]):
            j = indices[e]
            if costs[e] > 0 and costs[e] * gain[j] / gain[i] >= max(weak[i], weak[j]):
                a, b = _root(parent, i), _root(parent, j)
                if a != b:
                    parent[max(a, b)] = min(a, b)
    for i in range(parent.size):
        parent[i] = _root(parent, i)


@njit(cache=True, nogil=True)
def join(other: NDArray[np.int32], parent: NDArray[np.int32]) -> None:
    """Join what another forest joins."""
    for i in range(parent.size):
        a, b = _root(parent, i), _root(parent, other[i])
        if a != b:
            parent[max(a, b)] = min(a, b)
    for i in range(parent.size):
        parent[i] = _root(parent, i)
