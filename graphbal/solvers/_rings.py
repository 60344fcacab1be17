"""Blocks that have a closed form. Importing this module imports Numba."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["circulate", "close_blocks", "close_single_ring", "glue"]

LOG_2 = math.log(2.0)


@njit(cache=True, error_model="numpy")
def _asinh(y: float) -> float:
    """Return asinh y for y ≥ 0, accurate for small y too."""
    if y < 0.03:
        z = y * y
        return y * (1.0 - z * (1 / 6 - z * (3 / 40 - z * (15 / 336 - z * (105 / 3456)))))
    return math.log(y + math.sqrt(1.0 + y * y))


@njit(cache=True, error_model="numpy")
def circulate(forward: NDArray[np.float64], backward: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the potential drops x_k = q_k − q_{k+1} along a ring from its log costs.

    With s = √(ab) and m = ½ log(a/b), a pair carries the net flow a e^x − b e^−x = 2 s sinh(m + x),
    a one-way synapse a e^x. All flows are one circulation K, and Σ x = 0 determines it.
    """
    length = forward.size
    drops = np.empty(length)
    turn = 0.0  # Σ m over pairs
    height = 0.0  # Σ log s over pairs
    one_way = 0
    one_way_sum = 0.0
    clockwise = True
    for k in range(length):
        if backward[k] == -np.inf:
            one_way += 1
            one_way_sum += forward[k]
        elif forward[k] == -np.inf:
            clockwise = False
            one_way += 1
            one_way_sum += backward[k]
        else:
            turn += 0.5 * (forward[k] - backward[k])
            height += 0.5 * (forward[k] + backward[k])
    if one_way == 0:
        clockwise = turn >= 0
    if not clockwise:
        turn = -turn
    sign = 1.0 if clockwise else -1.0

    if one_way == 0 and turn < length:
        # Σ asinh(K / 2s) = turn is concave in K: Newton's method from below cannot overshoot.
        # Strengths are taken relative to their geometric mean.
        mean = height / length
        stiffness = 0.0
        for k in range(length):
            drops[k] = 0.5 * math.exp(mean - 0.5 * (forward[k] + backward[k]))  # 1 / 2s
            stiffness += drops[k]
        circulation = turn / stiffness
        for _ in range(200):
            value = -turn
            slope = 0.0
            lost = 0.0
            for k in range(length):
                y = circulation * drops[k]
                term = _asinh(y) - lost
                total = value + term
                lost = (total - value) - term
                value = total
                slope += drops[k] / math.sqrt(1.0 + y * y)
            step = -value / slope
            circulation += step
            if abs(step) <= 1e-8 * circulation:  # its square is left
                break
        for k in range(length):
            drops[k] = sign * _asinh(circulation * drops[k]) - 0.5 * (forward[k] - backward[k])
        return drops

    # In log K the sum is convex: Newton's method from above, where asinh(y) ≥ log 2y makes every
    # term at least its value, cannot overshoot; and K may overflow.
    log_k = (turn + one_way_sum + height) / length
    for _ in range(200):
        value = one_way * log_k - one_way_sum - turn
        lost = 0.0
        slope = float(one_way)
        for k in range(length):
            if forward[k] == -np.inf or backward[k] == -np.inf:
                continue
            t = log_k - LOG_2 - 0.5 * (forward[k] + backward[k])
            if t > 20.0:
                term = t + LOG_2
                slope += 1.0
            else:
                y = math.exp(t)
                term = _asinh(y)
                slope += y / math.sqrt(1.0 + y * y)
            term -= lost
            total = value + term
            lost = (total - value) - term
            value = total
        step = value / slope
        log_k -= step
        if abs(step) <= 1e-8:
            break
    for k in range(length):
        if backward[k] == -np.inf:
            drops[k] = log_k - forward[k]
        elif forward[k] == -np.inf:
            drops[k] = backward[k] - log_k
        else:
            t = log_k - LOG_2 - 0.5 * (forward[k] + backward[k])
            term = t + LOG_2 if t > 20.0 else _asinh(math.exp(t))
            drops[k] = sign * term - 0.5 * (forward[k] - backward[k])
    return drops


@njit(cache=True, error_model="numpy")
def close_blocks(
    indptr: NDArray[np.integer],
    indices: NDArray[np.integer],
    log_costs: NDArray[np.float64],
    block_of_entry: NDArray[np.int32],
    block_roots: NDArray[np.int32],
    tol: float,
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.bool_]]:
    """Solve the blocks that have a closed form.

    Returns
    -------
    relative : array, shape (n,)
        Potential of each neuron relative to the root of its block (the block nearest the root of
        the whole that holds it), where that block has a closed form.
    block_of : int array, shape (n,)
        That block; −1 for the roots of the whole.
    is_open : bool array, shape (n_blocks,)
        The blocks that have none.
    """
    n = indptr.size - 1
    n_blocks = block_roots.size
    relative = np.zeros(n)
    block_of = np.full(n, -1, dtype=np.int32)
    is_open = np.zeros(n_blocks, dtype=np.bool_)

    # Entries sorted by block.
    start = np.zeros(n_blocks + 1, dtype=np.int64)
    for e in range(indices.size):
        if block_of_entry[e] >= 0:
            start[block_of_entry[e] + 1] += 1
    for b in range(n_blocks):
        start[b + 1] += start[b]
    posts = np.empty(start[n_blocks], dtype=np.int32)
    entries = np.empty(start[n_blocks], dtype=indptr.dtype)
    at = start[:-1].copy()
    largest = 0
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            b = block_of_entry[e]
            if b >= 0:
                posts[at[b]] = i
                entries[at[b]] = e
                at[b] += 1
    for b in range(n_blocks):
        largest = max(largest, start[b + 1] - start[b])

    most = min(n, largest + 1)
    local = np.full(n, -1, dtype=np.int32)
    members = np.empty(most, dtype=np.int32)
    slot_ptr = np.zeros(most + 2, dtype=np.int32)
    slot = np.empty(2 * largest, dtype=np.int32)
    entering = np.full(most, -np.inf)
    leaving = np.full(most, -np.inf)
    queue = np.empty(most, dtype=np.int32)
    seen = np.zeros(most, dtype=np.bool_)

    for b in range(n_blocks):
        first, last = start[b], start[b + 1]
        root = block_roots[b]
        # Local numbers, the root's is 0.
        members[0] = root
        local[root] = 0
        size = 1
        for k in range(first, last):
            for end in range(2):
                v = np.int64(posts[k]) if end == 0 else np.int64(indices[entries[k]])
                if local[v] < 0:
                    local[v] = size
                    members[size] = v
                    block_of[v] = b
                    size += 1
        relative_root = relative[root]
        relative[root] = 0.0
        closed = False
        if size > 2 and last - first <= 2 * size:
            closed = _close_ring(
                size, first, last, posts, indices, entries, log_costs, local, members, relative
            )
        if not closed:
            # Synapses by neuron, each at both its ends: coded 2 k if it enters, 2 k + 1 if it
            # leaves.
            slot_ptr[: size + 2] = 0
            for k in range(first, last):
                slot_ptr[local[posts[k]] + 2] += 1
                slot_ptr[local[indices[entries[k]]] + 2] += 1
            for v in range(size):
                slot_ptr[v + 2] += slot_ptr[v + 1]
            for k in range(first, last):
                a = local[posts[k]]
                slot[slot_ptr[a + 1]] = 2 * (k - first)
                slot_ptr[a + 1] += 1
                a = local[indices[entries[k]]]
                slot[slot_ptr[a + 1]] = 2 * (k - first) + 1
                slot_ptr[a + 1] += 1
        # Detailed balance: sum ½ log(c_out/c_in) along a spanning tree, then look for a pair that
        # disagrees.
        seen[:size] = False
        seen[0] = True
        queue[0] = 0
        head, tail = 0, 1
        balanced = True
        while head < tail and balanced and not closed:
            a = queue[head]
            head += 1
            for s in range(slot_ptr[a], slot_ptr[a + 1]):
                k = first + slot[s] // 2
                if slot[s] % 2 == 0:
                    entering[local[indices[entries[k]]]] = log_costs[entries[k]]
                else:
                    leaving[local[posts[k]]] = log_costs[entries[k]]
            for s in range(slot_ptr[a], slot_ptr[a + 1]):
                k = first + slot[s] // 2
                other = local[indices[entries[k]]] if slot[s] % 2 == 0 else local[posts[k]]
                comes, goes = entering[other], leaving[other]
                if comes == np.inf:
                    continue  # the other synapse of a pair already dealt with
                if comes == -np.inf or goes == -np.inf:
                    balanced = False
                else:
                    q = relative[members[a]] + 0.5 * (goes - comes)
                    if not seen[other]:
                        seen[other] = True
                        queue[tail] = other
                        tail += 1
                        relative[members[other]] = q
                    elif abs(q - relative[members[other]]) > tol + 1e-15 * abs(q):
                        balanced = False
                entering[other] = np.inf
            for s in range(slot_ptr[a], slot_ptr[a + 1]):
                k = first + slot[s] // 2
                other = local[indices[entries[k]]] if slot[s] % 2 == 0 else local[posts[k]]
                entering[other] = leaving[other] = -np.inf
        is_open[b] = not (closed or balanced)
        relative[root] = relative_root
        for v in range(size):
            local[members[v]] = -1
    return relative, block_of, is_open


@njit(cache=True, error_model="numpy")
def _close_ring(
    size: int,
    first: int,
    last: int,
    posts: NDArray[np.integer],
    indices: NDArray[np.integer],
    entries: NDArray[np.integer],
    log_costs: NDArray[np.float64],
    local: NDArray[np.integer],
    members: NDArray[np.integer],
    relative: NDArray[np.float64],
) -> bool:
    """Solve the block if it is a ring, directed or reciprocal or between; say whether it was."""
    neighbours, onward, homeward = _nobody(size)
    for k in range(first, last):
        e = entries[k]
        if not _note(
            local[posts[k]], local[indices[e]], log_costs[e], neighbours, onward, homeward
        ):
            return False
    closed, q = _walk(neighbours, onward, homeward)
    for v in range(size):
        relative[members[v]] = q[v]
    return closed


@njit(cache=True, error_model="numpy")
def close_single_ring(
    indptr: NDArray[np.integer], indices: NDArray[np.integer], log_costs: NDArray[np.float64]
) -> tuple[bool, NDArray[np.float64]]:
    """Return whether the whole network is one ring, and its potentials relative to neuron 0."""
    n = indptr.size - 1
    neighbours, onward, homeward = _nobody(n)
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            if not _note(i, indices[e], log_costs[e], neighbours, onward, homeward):
                return False, np.empty(0)
    return _walk(neighbours, onward, homeward)


@njit(cache=True, error_model="numpy")
def _nobody(
    size: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """Return places for two neighbours of each neuron, and for the log costs to and from each."""
    costs = (np.full((size, 2), -np.inf), np.full((size, 2), -np.inf))
    return np.full((size, 2), -1, dtype=np.int32), costs[0], costs[1]


@njit(cache=True, error_model="numpy")
def _note(
    i: int,
    j: int,
    log_cost: float,
    neighbours: NDArray[np.int32],
    onward: NDArray[np.float64],
    homeward: NDArray[np.float64],
) -> bool:
    """Note the synapse j → i at both its ends, unless that makes one neighbour too many."""
    side, other = _side(neighbours, i, j), _side(neighbours, j, i)
    if side == 2 or other == 2:
        return False
    homeward[i, side] = log_cost
    onward[j, other] = log_cost
    return True


@njit(cache=True, error_model="numpy")
def _walk(
    neighbours: NDArray[np.int32], onward: NDArray[np.float64], homeward: NDArray[np.float64]
) -> tuple[bool, NDArray[np.float64]]:
    """Walk around the ring from neuron 0; return whether it is one, and its potentials."""
    size = neighbours.shape[0]
    forward = np.empty(size)
    backward = np.empty(size)
    ring = np.empty(size, dtype=np.int32)
    q = np.zeros(size)
    a, came_from = 0, -1
    for step in range(size):
        if neighbours[a, 1] < 0 or (step > 0 and a == 0):
            return False, q
        ring[step] = a
        side = 0 if neighbours[a, 0] != came_from else 1
        forward[step] = onward[a, side]
        backward[step] = homeward[a, side]
        a, came_from = neighbours[a, side], a
    drops = circulate(forward, backward)
    height, lost = 0.0, 0.0
    for step in range(size):
        q[ring[step]] = height
        term = -drops[step] - lost
        total = height + term
        lost = (total - height) - term
        height = total
    return True, q


@njit(cache=True, error_model="numpy")
def _side(neighbours: NDArray[np.int32], a: int, b: int) -> int:
    """Return which neighbour of `a` is `b`, noted if it is new; 2 if that is one too many."""
    for side in range(2):
        if neighbours[a, side] < 0:
            neighbours[a, side] = b
        if neighbours[a, side] == b:
            return side
    return 2


@njit(cache=True, error_model="numpy")
def glue(
    relative: NDArray[np.float64],
    block_of: NDArray[np.int32],
    block_roots: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Add up potentials outward from the roots: q of a neuron is its own plus its root's."""
    n = relative.size
    q = relative.copy()
    # Neurons by block; a block comes after the block that holds its root.
    start = np.zeros(block_roots.size + 1, dtype=np.int64)
    for v in range(n):
        if block_of[v] >= 0:
            start[block_of[v] + 1] += 1
    for b in range(block_roots.size):
        start[b + 1] += start[b]
    order = np.empty(start[-1], dtype=np.int32)
    for v in range(n):
        if block_of[v] >= 0:
            order[start[block_of[v]]] = v
            start[block_of[v]] += 1
    for k in range(order.size):
        v = order[k]
        q[v] += q[block_roots[block_of[v]]]
    return q
