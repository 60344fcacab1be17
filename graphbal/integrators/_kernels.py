"""The stages of an explicit step on a full matrix, compiled. Importing this imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["full_products", "full_stages", "full_state", "largest_errors"]

Array = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def full_products(costs: Array, x: Array, y: Array, gathered: Array, scattered: Array) -> None:
    """Compute C x and Cᵀ y, four rows at a time: each cost is read once."""
    n = x.size
    scattered[:] = 0.0
    whole = n - n % 4
    for i in range(0, whole, 4):
        s0 = s1 = s2 = s3 = 0.0
        y0, y1, y2, y3 = y[i], y[i + 1], y[i + 2], y[i + 3]
        for j in range(n):
            c0, c1, c2, c3 = costs[i, j], costs[i + 1, j], costs[i + 2, j], costs[i + 3, j]
            s0 += c0 * x[j]
            s1 += c1 * x[j]
            s2 += c2 * x[j]
            s3 += c3 * x[j]
            scattered[j] += (c0 * y0 + c1 * y1) + (c2 * y2 + c3 * y3)
        gathered[i], gathered[i + 1], gathered[i + 2], gathered[i + 3] = s0, s1, s2, s3
    for i in range(whole, n):
        total = 0.0
        for j in range(n):
            total += costs[i, j] * x[j]
            scattered[j] += costs[i, j] * y[i]
        gathered[i] = total


@njit(cache=True, nogil=True, error_model="numpy")
def full_state(costs: Array, q: Array, state: Array) -> None:
    """Compute gain e^q, loss e^−q, incoming and outgoing costs at potentials q, a row each."""
    gain, loss, incoming, outgoing = state[0], state[1], state[2], state[3]
    for i in range(q.size):
        gain[i] = np.exp(q[i])
        loss[i] = 1.0 / gain[i]
    full_products(costs, gain, loss, incoming, outgoing)
    for i in range(q.size):
        incoming[i] *= loss[i]
        outgoing[i] *= gain[i]


@njit(cache=True, nogil=True, error_model="numpy")
def full_stages(
    costs: Array,
    rates: Array,
    q: Array,
    base: Array,
    h: float,
    table: Array,
    first: int,
    stages: Array,
) -> tuple[Array, Array]:
    """Fill the stages from `first` on of a step h from q, a pass for each row of the table.

    Costs are those at `base`. Returns the potentials of the last stage and their `full_state`.
    """
    moved, here, state = np.empty(q.size), np.empty(q.size), np.empty((4, q.size))
    for row in range(len(table)):
        k = first + row
        moved[:] = 0.0
        for past in range(k):
            if table[row, past] != 0.0:
                weight = h * table[row, past]
                for i in range(q.size):
                    moved[i] += weight * stages[past, i]
        for i in range(q.size):
            moved[i] += q[i]
            here[i] = moved[i] - base[i]
        full_state(costs, here, state)
        for i in range(q.size):
            stages[k, i] = rates[i] * (state[2, i] - state[3, i])
    return moved, state


@njit(cache=True, nogil=True, error_model="numpy")
def largest_errors(
    estimators: Array, stages: Array, before: Array, after: Array, rtol: float, atol: float
) -> tuple[float, float]:
    """Return the largest of two estimates of the error per unit of time, over the tolerance."""
    n = before.size
    errors = np.zeros((2, n))
    for k in range(len(stages)):
        for e in range(2):
            if estimators[e, k] != 0.0:
                for i in range(n):
                    errors[e, i] += estimators[e, k] * stages[k, i]
    largest = np.zeros(2)
    for i in range(n):
        scale = atol + rtol * max(abs(before[i]), abs(after[i]))
        for e in range(2):
            error = abs(errors[e, i]) / scale
            if error > largest[e] or error != error:  # not a number, for good
                largest[e] = error
    return largest[0], largest[1]
