"""Newton's method with conjugate gradients in one compiled function, for small networks.

The algorithm is that of `graphbal.solvers.newton` on an engine. Below some ten thousand synapses
the calls between its parts would cost more than the arithmetic. Importing this module imports
Numba.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["newton_cg"]

Array = NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def newton_cg(
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    costs: Array,
    q: Array,
    guess: bool,
    known: bool,
    tol: float,
    widest: float,
    max_iterations: int,
    max_linear_iterations: int,
) -> tuple[bool, Array, Array, Array, Array, int]:
    """Balance the network from potentials q, which are changed in place.

    `guess` allows to start from ½ log(in/out) instead; `known` says that the potentials of a
    balanced start are not in doubt. Stops where potentials span more than `widest`.

    Returns
    -------
    converged : bool
    incoming, outgoing : arrays, shape (n,)
    imbalances, total_costs : arrays, one entry a state
    linear_iterations : int
    """
    n = q.size
    here, incoming, outgoing = np.empty(costs.size), np.empty(n), np.empty(n)
    through, x, r, z, direction, image = (
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
    )
    alphas, betas = np.empty(max_linear_iterations), np.empty(max_linear_iterations)
    imbalances, totals = np.empty(max_iterations + 1), np.empty(max_iterations + 1)
    total = _costs_at(indptr, indices, costs, q, here, incoming, outgoing)
    if guess:
        for i in range(n):
            x[i] = 0.0
            if incoming[i] > 0.0 and outgoing[i] > 0.0:
                x[i] = 0.5 * np.log(incoming[i] / outgoing[i])
        guessed = _costs_at(indptr, indices, costs, x, here, incoming, outgoing)
        if guessed < total:
            for i in range(n):
                q[i] = x[i]
            total = guessed
        else:
            total = _costs_at(indptr, indices, costs, q, here, incoming, outgoing)
    error = 0.0 if known else np.inf
    converged = False
    linear_iterations = 0
    states = 0
    while True:
        imbalance = 0.0
        for i in range(n):
            through[i] = incoming[i] + outgoing[i]
            if through[i] == 0.0:
                through[i] = 1.0
            imbalance = max(imbalance, abs(incoming[i] - outgoing[i]) / through[i])
        imbalances[states] = imbalance
        totals[states] = total
        states += 1
        converged = imbalance <= tol and error <= 10 * tol
        lowest, highest = np.inf, -np.inf
        for i in range(n):
            lowest, highest = min(lowest, q[i]), max(highest, q[i])
        if converged or states > max_iterations or highest - lowest > widest:
            break
        if states > 6 and total >= totals[states - 7] * (1 - 1e-13):
            idle = True
            for s in range(states - 6, states):
                idle = idle and imbalances[s] >= 0.5 * imbalances[states - 7]
            if idle:
                break
        residual, wanted = max(min(0.3, imbalance) * imbalance, 1e-15), np.inf
        if residual <= 0.9 * tol:
            residual, wanted = 1e-14, 5 * tol

        # Conjugate gradients for L x = g, preconditioned by the diagonal.
        rz = 0.0
        for i in range(n):
            x[i] = 0.0
            r[i] = incoming[i] - outgoing[i]
            z[i] = r[i] / through[i]
            direction[i] = z[i]
            rz += r[i] * z[i]
        error = 0.0 if rz == 0.0 else np.inf
        left = 0.0
        k = 0
        while k < max_linear_iterations and rz > 0.0:
            for i in range(n):
                image[i] = through[i] * direction[i]
            for i in range(n):
                gathered = 0.0
                own = direction[i]
                for e in range(indptr[i], indptr[i + 1]):
                    j = indices[e]
                    gathered += here[e] * direction[j]
                    image[j] -= here[e] * own
                image[i] -= gathered
            curvature = 0.0
            for i in range(n):
                curvature += direction[i] * image[i]
            if not curvature > 0.0:
                break
            alpha = rz / curvature
            previous = rz
            rz = 0.0
            left = 0.0
            for i in range(n):
                x[i] += alpha * direction[i]
                r[i] -= alpha * image[i]
                z[i] = r[i] / through[i]
                rz += r[i] * z[i]
                left = max(left, abs(z[i]))
            alphas[k] = alpha
            betas[k] = rz / previous
            k += 1
            if left <= residual:
                error = left / _smallest_ritz_value(alphas[:k], betas[:k])
                if error <= wanted:
                    break
            for i in range(n):
                direction[i] = z[i] + betas[k - 1] * direction[i]
        if k > 0 and error == np.inf:  # stopped early, by rounding or the limit
            error = left / _smallest_ritz_value(alphas[:k], betas[:k])
        linear_iterations += k
        if k == max_linear_iterations:
            break
        length = 0.0
        for i in range(n):
            length = max(length, abs(x[i]))
        if imbalance <= tol and length + error <= 10 * tol:
            converged = True
            break

        # Halve the step until the total cost does not rise, to rounding.
        fraction = 1.0
        while True:
            for i in range(n):
                z[i] = q[i] + fraction * x[i]
            moved = _costs_at(indptr, indices, costs, z, here, incoming, outgoing)
            if moved <= total * (1 + 1e-14) or length < 1e-7:
                break
            fraction /= 2
            if fraction < 1e-6:
                break
        if fraction < 1e-6:
            total = _costs_at(indptr, indices, costs, q, here, incoming, outgoing)
            break
        for i in range(n):
            q[i] = z[i]
        total = moved
        error = error + length * length if fraction == 1.0 else np.inf
    return converged, incoming, outgoing, imbalances[:states], totals[:states], linear_iterations


@njit(cache=True, error_model="numpy")
def _costs_at(
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    costs: Array,
    q: Array,
    here: Array,
    incoming: Array,
    outgoing: Array,
) -> float:
    """Fill in the costs at potentials q, by synapse and by neuron, and return their sum."""
    gain = np.empty(q.size)
    for i in range(q.size):
        gain[i] = np.exp(q[i])
        outgoing[i] = 0.0
    total = 0.0
    for i in range(q.size):
        entering = 0.0
        loss = 1.0 / gain[i]
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            cost = costs[e] * gain[j] * loss
            here[e] = cost
            entering += cost
            outgoing[j] += cost
        incoming[i] = entering
        total += entering
    return total


@njit(cache=True, error_model="numpy")
def _smallest_ritz_value(alphas: Array, betas: Array) -> float:
    """Return the smallest eigenvalue of the Lanczos matrix of the recurrence, by bisection."""
    k = alphas.size
    low, high = 0.0, 1.0 / alphas[0]
    for _ in range(40):
        middle = 0.5 * (low + high)
        # A Sturm sequence that turns negative has an eigenvalue below `middle`.
        pivot = 1.0 / alphas[0] - middle
        below = pivot < 0.0
        for m in range(1, k):
            if below:
                break
            off = betas[m - 1] / (alphas[m - 1] * alphas[m - 1])
            pivot = 1.0 / alphas[m] + betas[m - 1] / alphas[m - 1] - middle - off / pivot
            below = pivot <= 0.0
        if below:
            high = middle
        else:
            low = middle
        if high - low <= 0.01 * high:
            break
    return max(high, 2e-16)
