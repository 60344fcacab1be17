"""A compiled cyclic Osborne iteration that owes nothing to the package."""

from __future__ import annotations

import time

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.generic import TOL, Attempt, costs_of

__all__ = ["osborne"]

Array = NDArray[np.float64]
Index = NDArray[np.int32]


def osborne(weights: sparse.csr_array, p: float) -> Attempt:
    """Balance neuron after neuron until all are balanced; 100,000 sweeps at most."""
    started = time.perf_counter()
    rows = costs_of(weights, p)
    columns = rows.tocsc()
    rows_of, columns_of = (
        (matrix.indptr, matrix.indices, matrix.data) for matrix in (rows, columns)
    )
    gain, sweeps = _sweep(*rows_of, *columns_of, TOL, 100_000)
    taken = time.perf_counter() - started
    return Attempt(np.log(gain) / p, taken, {"iterations": sweeps})


@njit(cache=True, fastmath={"reassoc", "contract"})
def _sweep(
    row_starts: Index,
    row_indices: Index,
    row_costs: Array,
    column_starts: Index,
    column_indices: Index,
    column_costs: Array,
    tol: float,
    limit: int,
) -> tuple[Array, int]:
    n = row_starts.size - 1
    gain, loss = np.ones(n), np.ones(n)
    for sweep in range(limit):
        worst = 0.0
        for i in range(n):
            incoming = 0.0
            for e in range(row_starts[i], row_starts[i + 1]):
                incoming += row_costs[e] * gain[row_indices[e]]
            outgoing = 0.0
            for e in range(column_starts[i], column_starts[i + 1]):
                outgoing += column_costs[e] * loss[column_indices[e]]
            here, there = incoming * loss[i], outgoing * gain[i]
            worst = max(worst, abs(here - there) / (here + there))
            gain[i] = np.sqrt(incoming / outgoing)
            loss[i] = 1.0 / gain[i]
        # What a sweep finds out of balance bounds what it leaves so, but for constant factors.
        if worst <= tol:
            return gain, sweep + 1
    return gain, limit
