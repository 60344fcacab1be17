"""Divergence rates: how fast the potentials of the components part when synapses vanish."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from graphbal._components import compiled
from graphbal.errors import GraphbalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["component_rates"]

# Below this many pairs, interpreting takes less time than loading compiled code.
_LARGE = 1_000


def component_rates(
    sizes: NDArray[np.float64], pre: NDArray[np.integer], post: NDArray[np.integer]
) -> NDArray[np.float64]:
    r"""Return the q̂ that minimises ½ Σ_a n_a q_a² subject to q_b − q_a ≥ 1 for every pair a → b.

    Parameters
    ----------
    sizes : array, shape (n,)
        Number n_a > 0 of neurons of each component; infinite where q is held at zero (at most
        one component of each connected piece).
    pre, post : arrays of int, shape (m,)
        The pairs a → b, which form no directed cycle.

    Returns
    -------
    array, shape (n,)

    Raises
    ------
    GraphbalError
        If the result does not satisfy the Karush–Kuhn–Tucker conditions to rounding.

    Notes
    -----
    The dual active-set method of Goldfarb and Idnani [1]_. Active pairs always form a forest, each
    tree of which moves rigidly, so that a step takes the place of a matrix factorisation by one
    traversal of the two trees joined by a violated pair. At the end the differences within a tree
    are whole numbers and the mean of q̂ over its neurons is zero, so that q̂ is exact up to one
    rounding. A step costs O(n) and a search for violated pairs O(m); some two steps a component
    are typical, and a search serves all trees that it finds apart.

    References
    ----------
    .. [1] D. Goldfarb, A. Idnani, "A numerically stable dual method for solving strictly convex
       quadratic programs", Mathematical Programming 27 (1983).
       https://doi.org/10.1007/BF02591962

    Examples
    --------
    >>> component_rates(np.array([1.0, 1.0]), np.array([0]), np.array([1]))
    array([-0.5,  0.5])
    """
    if pre.size == 0:
        return np.zeros(sizes.size)
    solve = compiled(_dual_active_set) if pre.size >= _LARGE else _dual_active_set
    tolerance = 1e-9 + 1e-12 * sizes.size
    q, active, multipliers = solve(sizes, pre, post, tolerance)
    q = _centred(sizes, pre[active], post[active], q)
    _verify(sizes, pre, post, q, active, multipliers, 10 * tolerance)
    return q


def _centred(
    sizes: NDArray[np.float64],
    pre: NDArray[np.integer],
    post: NDArray[np.integer],
    q: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return q with whole differences within each tree of pairs, and its mean zero there."""
    n = sizes.size
    forest = sparse.coo_array((np.ones(pre.size), (post, pre)), shape=(n, n))
    n_trees, tree = sparse.csgraph.connected_components(forest, directed=False)
    heaviest = np.empty(n_trees, dtype=np.intp)
    by_size = np.argsort(sizes, kind="stable")
    heaviest[tree[by_size]] = by_size  # the last assignment to a tree is of its heaviest node
    level = np.rint(q - q[heaviest][tree])
    free = np.isfinite(sizes)
    moment = np.bincount(tree[free], weights=sizes[free] * level[free], minlength=n_trees)
    return level - (moment / np.bincount(tree, weights=sizes))[tree]


def _verify(
    sizes: NDArray[np.float64],
    pre: NDArray[np.integer],
    post: NDArray[np.integer],
    q: NDArray[np.float64],
    active: NDArray[np.integer],
    multipliers: NDArray[np.float64],
    tolerance: float,
) -> None:
    """Check the Karush–Kuhn–Tucker conditions; the problem is convex, so they prove the optimum."""
    n = sizes.size
    slack = q[post] - q[pre] - 1
    free = np.isfinite(sizes)
    force = sizes[free] * q[free]
    pull = np.bincount(post[active], weights=multipliers, minlength=n)
    pull -= np.bincount(pre[active], weights=multipliers, minlength=n)
    scale = max(1.0, np.abs(force).sum())
    met = (
        slack.min() >= -tolerance
        and np.abs(slack[active]).max(initial=0.0) <= tolerance
        and multipliers.min(initial=0.0) >= -tolerance * scale
        and np.abs(force - pull[free]).max(initial=0.0) <= tolerance * scale
        and not q[~free].any()
    )
    if not met:
        raise GraphbalError(
            f"the divergence rates of {n:,} components with {pre.size:,} pairs fail their "
            "optimality conditions; please report this network"
        )


# ------------------------------------------------------------------ kernel
#
# Plain Python on arrays, compiled for large networks and interpreted for small ones.


def _dual_active_set(
    sizes: NDArray[np.float64],
    pre: NDArray[np.integer],
    post: NDArray[np.integer],
    tolerance: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return q, the active pairs, which form a forest, and their multipliers."""
    n = sizes.size
    q = np.zeros(n)

    # Active pairs live in slots. Slot s has the half-edges 2 s at its tail and 2 s + 1 at its
    # head; those of a node form a doubly linked list.
    pair = np.full(n, -1, dtype=np.int64)
    tail = np.empty(n, dtype=np.int64)
    head = np.empty(n, dtype=np.int64)
    multiplier = np.zeros(n)
    slope = np.zeros(n)
    first = np.full(n, -1, dtype=np.int64)
    following = np.empty(2 * n, dtype=np.int64)
    preceding = np.empty(2 * n, dtype=np.int64)
    free_slots = np.arange(n)
    n_free = n

    order = np.empty(n, dtype=np.int64)  # nodes of the two trees, from the violated pair outwards
    via = np.empty(n, dtype=np.int64)  # slot that leads to a node
    share = np.zeros(n)  # of the tree's neurons that lie beyond that slot
    touched = np.full(n, -1, dtype=np.int64)  # search during which a node last moved
    search = 0
    steps_left = 1_000 + 100 * (n + pre.size)

    while steps_left > 0:
        worst = tolerance
        for e in range(pre.size):
            worst = max(worst, 1.0 - q[post[e]] + q[pre[e]])
        if worst == tolerance:
            break
        # Near-worst pairs of trees that have not moved since: many merge in one search.
        for e in range(pre.size):
            a, b = pre[e], post[e]
            if touched[a] == search or touched[b] == search:
                continue
            if 1.0 - q[b] + q[a] <= 0.8 * worst:
                continue
            gained = 0.0  # multiplier of the violated pair
            is_tight = False
            while not is_tight and steps_left > 0:
                steps_left -= 1

                # Traverse the tree of b, then that of a, unless they are the same.
                count = split = 0
                is_cycle = False
                weight_b = weight_a = 0.0
                for root in (b, a):
                    k = count
                    order[count] = root
                    via[root] = -1
                    count += 1
                    weight_b, weight_a = weight_a, 0.0
                    while k < count:
                        v = order[k]
                        k += 1
                        weight_a += sizes[v]
                        touched[v] = search
                        is_cycle = is_cycle or (v == a and root == b)
                        h = first[v]
                        while h >= 0:
                            s = h >> 1
                            if s != via[v]:
                                u = tail[s] if h & 1 else head[s]
                                via[u] = s
                                order[count] = u
                                count += 1
                            h = following[h]
                    if is_cycle:
                        break
                    if root == b:
                        split = count

                dropped = -1
                if is_cycle:
                    # Nothing can move: shift the force from the path b … a to the violated pair
                    # until an active pair on the path lets go.
                    step = np.inf
                    v = a
                    while v != b:
                        s = via[v]
                        if head[s] != v and multiplier[s] < step:
                            step = multiplier[s]
                            dropped = s
                        v = tail[s] if head[s] == v else head[s]
                    v = a
                    while v != b:
                        s = via[v]
                        if head[s] == v:
                            multiplier[s] += step
                            v = tail[s]
                        else:
                            multiplier[s] -= step
                            v = head[s]
                else:
                    # Push b up and a down, each with its tree, until the pair is tight or an
                    # active pair lets go.
                    for k in range(count):
                        v = order[k]
                        weight = weight_b if k < split else weight_a
                        if weight < np.inf:
                            share[v] = sizes[v] / weight
                        else:
                            share[v] = 0.0 if sizes[v] < np.inf else 1.0
                    step = (1.0 - q[b] + q[a]) / (1.0 / weight_b + 1.0 / weight_a)
                    for k in range(count - 1, -1, -1):
                        v = order[k]
                        s = via[v]
                        if s < 0:
                            continue
                        share[tail[s] if head[s] == v else head[s]] += share[v]
                        slope[s] = share[v] if (head[s] == v) == (k < split) else -share[v]
                        if multiplier[s] + step * slope[s] < 0.0:
                            step = -multiplier[s] / slope[s]
                            dropped = s
                    for k in range(count):
                        v = order[k]
                        s = via[v]
                        if s >= 0:
                            multiplier[s] += step * slope[s]
                        q[v] += step / weight_b if k < split else -step / weight_a
                gained += step

                is_tight = dropped < 0
                if is_tight:
                    n_free -= 1
                    s = free_slots[n_free]
                    pair[s], tail[s], head[s], multiplier[s] = e, a, b, gained
                    for h in (2 * s, 2 * s + 1):
                        v = head[s] if h & 1 else tail[s]
                        following[h] = first[v]
                        preceding[h] = -1
                        if first[v] >= 0:
                            preceding[first[v]] = h
                        first[v] = h
                else:
                    s = dropped
                    free_slots[n_free] = s
                    n_free += 1
                    pair[s] = -1
                    for h in (2 * s, 2 * s + 1):
                        v = head[s] if h & 1 else tail[s]
                        if preceding[h] >= 0:
                            following[preceding[h]] = following[h]
                        else:
                            first[v] = following[h]
                        if following[h] >= 0:
                            preceding[following[h]] = preceding[h]
        search += 1

    used = np.flatnonzero(pair >= 0)
    return q, pair[used], multiplier[used]
