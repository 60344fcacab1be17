"""Newton's method with conjugate gradients in one compiled function, for small networks.

The algorithm is that of `graphbal.solvers.newton` on an engine, with one difference that needs
neurons in turn: a sweep of Gauss and Seidel is the preconditioner. Below some ten thousand
synapses the calls between the parts would cost more than the arithmetic. Importing this module
imports Numba, which compiles loops in a fraction of the time that it needs for whole arrays.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["newton_cg"]

Array = NDArray[np.float64]
Index = NDArray[np.unsignedinteger]
# indptr and indices of a CSR matrix with sorted rows, and where each row passes the diagonal.
# Unsigned, they spare a sign test an entry, and with it half the time.
Pattern = tuple[Index, Index, Index]


@njit(cache=True, error_model="numpy")
def newton_cg(
    indptr: Index,
    indices: Index,
    costs: Array,
    q: Array,
    guess: bool,
    known: bool,
    tol: float,
    widest: float,
    max_linear_iterations: int,
    incoming: Array,
    outgoing: Array,
    states: Array,
) -> tuple[bool, int, int]:
    """Balance the network from potentials q, which are changed in place.

    `guess` allows to start from ½ log(in/out) instead; `known` says that the potentials of a
    balanced start are not in doubt. Stops where potentials span more than `widest`, or `states`
    is full, whose rows are the imbalance and total cost of each state passed. Indices are sorted
    within rows; incoming and outgoing costs are filled in. Returns whether the iteration
    converged, how many states there were, and how many linear iterations.
    """
    n = q.size
    pattern = (indptr, indices, _diagonal(indptr, indices))
    here, through, x, there = np.empty(costs.size), np.empty(n), np.empty(n), np.empty(n)
    total = _costs_at(pattern, costs, q, here, incoming, outgoing)
    if guess:
        _rank_one_potentials(incoming, outgoing, there)
        guessed = _costs_at(pattern, costs, there, here, incoming, outgoing)
        if guessed < total:
            total = guessed
            for i in range(n):
                q[i] = there[i]
        else:
            total = _costs_at(pattern, costs, q, here, incoming, outgoing)
    error = 0.0 if known else np.inf
    converged = False
    linear_iterations = 0
    n_states = 0
    while True:
        imbalance = _neuron_imbalance(incoming, outgoing, through)
        states[n_states, 0] = imbalance
        states[n_states, 1] = total
        n_states += 1
        converged = imbalance <= tol and error <= 10 * tol
        lowest, highest = np.inf, -np.inf
        for i in range(n):
            lowest, highest = min(lowest, q[i]), max(highest, q[i])
        if converged or n_states == len(states) or highest - lowest > widest:
            break
        if _idles(states, n_states):
            break
        residual, wanted = max(min(0.3, imbalance) * imbalance, 1e-15), np.inf
        if residual <= 0.9 * tol:
            residual, wanted = 1e-14, 5 * tol
        iterations, error = _conjugate_gradients(
            *(pattern, here, incoming, outgoing, through, residual, wanted),
            *(max_linear_iterations, x),
        )
        linear_iterations += iterations
        if iterations == max_linear_iterations:
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
                there[i] = q[i] + fraction * x[i]
            moved = _costs_at(pattern, costs, there, here, incoming, outgoing)
            if moved <= total * (1 + 1e-14) or length < 1e-7:
                break
            fraction /= 2
            if fraction < 1e-6:
                break
        if fraction < 1e-6:
            total = _costs_at(pattern, costs, q, here, incoming, outgoing)
            break
        for i in range(n):
            q[i] = there[i]
        total = moved
        error = error + length * length if fraction == 1.0 else np.inf
    return converged, n_states, linear_iterations


@njit(cache=True, error_model="numpy")
def _diagonal(indptr: Index, indices: Index) -> Index:
    """Return the first entry of each row that is not left of the diagonal."""
    n = indptr.size - 1
    diagonal = np.empty(n, dtype=indptr.dtype)
    for i in range(n):
        diagonal[i] = indptr[i + 1]
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] >= i:
                diagonal[i] = e
                break
    return diagonal


@njit(cache=True, error_model="numpy")
def _costs_at(
    pattern: Pattern, costs: Array, q: Array, here: Array, incoming: Array, outgoing: Array
) -> float:
    """Fill in the costs at potentials q, by synapse and by neuron, and return their sum."""
    indptr, indices, _ = pattern
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
def _rank_one_potentials(incoming: Array, outgoing: Array, q: Array) -> None:
    """Fill in ½ log(in/out), which balances rank-one costs."""
    for i in range(q.size):
        q[i] = 0.0
        if incoming[i] > 0.0 and outgoing[i] > 0.0:
            q[i] = 0.5 * np.log(incoming[i] / outgoing[i])


@njit(cache=True, error_model="numpy")
def _neuron_imbalance(incoming: Array, outgoing: Array, through: Array) -> float:
    """Fill in the Laplacian's diagonal, and return the largest relative imbalance."""
    largest = 0.0
    for i in range(through.size):
        through[i] = incoming[i] + outgoing[i]
        if through[i] == 0.0:
            through[i] = 1.0
        largest = max(largest, abs(incoming[i] - outgoing[i]) / through[i])
    return largest


@njit(cache=True, error_model="numpy")
def _idles(states: Array, n_states: int) -> bool:
    """Say whether neither cost nor imbalance has moved for some steps."""
    first, last = n_states - 7, n_states - 1
    if first < 0:
        return False
    least = np.inf
    for later in range(first + 1, n_states):
        least = min(least, states[later, 0])
    return least >= 0.5 * states[first, 0] and states[last, 1] >= states[first, 1] * (1 - 1e-13)


@njit(cache=True, error_model="numpy")
def _conjugate_gradients(
    pattern: Pattern,
    here: Array,
    incoming: Array,
    outgoing: Array,
    through: Array,
    residual: float,
    wanted: float,
    max_iterations: int,
    x: Array,
) -> tuple[int, float]:
    """Solve L x = in − out until the change that a sweep would make is below `residual`.

    With L = D − E − Eᵀ, E below the diagonal, the preconditioner is (D − E) D⁻¹ (D − Eᵀ). The
    residual r is carried as (D − E)⁻¹ r and the direction d as (D − Eᵀ) d; then (D − E)⁻¹ L d =
    d + (D − E)⁻¹ (D − Eᵀ − D) d takes a backward and a forward sweep and no product [1]_. Returns
    the number of iterations and the error of x, estimated to be below `wanted`.

    References
    ----------
    .. [1] S. C. Eisenstat, "Efficient implementation of a class of preconditioned conjugate
       gradient methods", SIAM J Sci Stat Comput 2(1): 1-4 (1981). https://doi.org/10.1137/0902001
    """
    n = x.size
    inverse, r, carried = np.empty(n), np.empty(n), np.empty(n)
    direction, image = np.empty(n), np.empty(n)
    alphas, betas = np.empty(max_iterations), np.empty(max_iterations)
    for i in range(n):
        inverse[i] = 1.0 / through[i]
        r[i] = incoming[i] - outgoing[i]
        x[i] = 0.0
    _forward(pattern, here, inverse, r)
    energy = 0.0
    for i in range(n):
        carried[i] = through[i] * r[i]
        energy += carried[i] * r[i]
    left = 0.0
    error = 0.0 if energy == 0.0 else np.inf
    k = 0
    while k < max_iterations and energy > 0.0:
        _backward(pattern, here, inverse, carried, direction, image)
        _forward(pattern, here, inverse, image)
        curvature = 0.0
        for i in range(n):
            image[i] += direction[i]
            curvature += carried[i] * image[i]
        if not curvature > 0.0:
            break
        step, before = energy / curvature, energy
        energy = left = 0.0
        for i in range(n):
            x[i] += step * direction[i]
            r[i] -= step * image[i]
            energy += through[i] * r[i] * r[i]
            left = max(left, abs(r[i]))
        alphas[k], betas[k] = step, energy / before
        k += 1
        if left <= residual:
            error = left / _smallest_ritz_value(alphas[:k], betas[:k])
            if error <= wanted:
                break
        for i in range(n):
            carried[i] = through[i] * r[i] + betas[k - 1] * carried[i]
    if k > 0 and error == np.inf:  # stopped early, by rounding or the limit
        error = left / _smallest_ritz_value(alphas[:k], betas[:k])
    return k, error


@njit(cache=True, error_model="numpy")
def _forward(pattern: Pattern, here: Array, inverse: Array, x: Array) -> None:
    """Solve (D − E) y = x in place: rows give what is left of the diagonal, columns the rest."""
    indptr, indices, diagonal = pattern
    for i in range(x.size):
        value = x[i]
        for e in range(indptr[i], diagonal[i]):
            value += here[e] * x[indices[e]]
        value *= inverse[i]
        x[i] = value
        for e in range(diagonal[i], indptr[i + 1]):
            x[indices[e]] += here[e] * value


@njit(cache=True, error_model="numpy")
def _backward(
    pattern: Pattern, here: Array, inverse: Array, x: Array, y: Array, rest: Array
) -> None:
    """Solve (D − Eᵀ) y = x, and fill in the rest x − D y = −Eᵀ y."""
    indptr, indices, diagonal = pattern
    for i in range(x.size):
        y[i] = x[i]
    for i in range(x.size - 1, -1, -1):
        value = y[i]
        for e in range(diagonal[i], indptr[i + 1]):
            value += here[e] * y[indices[e]]
        rest[i] = x[i] - value
        value *= inverse[i]
        y[i] = value
        for e in range(indptr[i], diagonal[i]):
            y[indices[e]] += here[e] * value


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
