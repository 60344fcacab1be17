"""The compiled sweep of Osborne's iteration. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["sweep"]


@njit(cache=True, error_model="numpy")
def sweep(
    order: NDArray[np.integer],
    in_ptr: NDArray[np.integer],
    in_indices: NDArray[np.integer],
    in_costs: NDArray[np.float64],
    out_ptr: NDArray[np.integer],
    out_indices: NDArray[np.integer],
    out_costs: NDArray[np.float64],
    gain: NDArray[np.float64],
    loss: NDArray[np.float64],
) -> float:
    """Balance each neuron in turn, in place; return the largest change of a potential."""
    largest = 0.0
    for i in order:
        entering = 0.0
        for e in range(in_ptr[i], in_ptr[i + 1]):
            entering += in_costs[e] * gain[in_indices[e]]
        leaving = 0.0
        for e in range(out_ptr[i], out_ptr[i + 1]):
            leaving += out_costs[e] * loss[out_indices[e]]
        if entering > 0.0 and leaving > 0.0:
            balanced = np.sqrt(entering / leaving)
            largest = max(largest, abs(np.log(balanced * loss[i])))
            gain[i] = balanced
            loss[i] = 1.0 / balanced
    return largest
