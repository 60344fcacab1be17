"""The loops over millions of synapses, compiled; imported only where there are so many."""

import numpy as np
from numba import njit

__all__ = ["deduplicate", "inverse", "pair", "radix_sort", "repair"]


@njit(nogil=True, cache=True)
def radix_sort(keys, bits):  # type: ignore[no-untyped-def]
    """Return keys of the given number of bits in ascending order; the argument is overwritten.

    Least significant digit first, at most 11 bits each: the buckets of a pass stay in the cache.
    """
    passes = (bits + 10) // 11
    width = (bits + passes - 1) // passes
    mask = (1 << width) - 1
    other = np.empty_like(keys)
    for digit in range(passes):
        shift = digit * width
        starts = np.zeros(mask + 2, np.int64)
        for k in range(keys.size):
            starts[((keys[k] >> shift) & mask) + 1] += 1
        for bucket in range(mask):
            starts[bucket + 1] += starts[bucket]
        for k in range(keys.size):
            bucket = (keys[k] >> shift) & mask
            other[starts[bucket]] = keys[k]
            starts[bucket] += 1
        keys, other = other, keys
    return keys


@njit(nogil=True, cache=True)
def deduplicate(keys, shift):  # type: ignore[no-untyped-def]
    """Move the first of ascending keys that agree above `shift` bits forward; return their number.

    In place.
    """
    kept = 0
    for k in range(keys.size):
        if kept == 0 or keys[k] >> shift != keys[kept - 1] >> shift:
            keys[kept] = keys[k]
            kept += 1
    return kept


@njit(nogil=True, cache=True)
def inverse(cumulative, u):  # type: ignore[no-untyped-def]
    """Return ``np.searchsorted(cumulative, u, side="right")`` for u in 0..1, in O(1) each.

    A table tells for equally spaced values where to begin; less than one step is left on average.
    """
    n = cumulative.size
    cells = 1
    while cells < n:
        cells *= 2
    begin = np.empty(cells + 1, np.int64)
    at = 0
    for cell in range(cells + 1):
        while at < n and cumulative[at] <= cell / cells:
            at += 1
        begin[cell] = at
    found = np.empty(u.size, np.int64)
    for k in range(u.size):
        at = begin[int(u[k] * cells)]
        while at < n and cumulative[at] <= u[k]:
            at += 1
        found[k] = at
    return found


@njit(nogil=True, cache=True)
def pair(incoming, outgoing, rng):  # type: ignore[no-untyped-def]
    """Pair the stubs of all neurons, every pairing equally likely.

    Returns
    -------
    indptr, pre : arrays of int
        Row i holds the presynaptic partners of i in ascending order, repetitions included.

    Notes
    -----
    Postsynaptic stubs are shuffled in pieces that fit the cache: each goes to one of 256 piles
    at random, and each pile is shuffled on its own (the algorithm of Rao and Sandelius). Taken
    in the order of the presynaptic stubs, they fill all rows in ascending order.
    """
    n = incoming.size
    indptr = np.zeros(n + 1, np.int64)
    for i in range(n):
        indptr[i + 1] = indptr[i] + incoming[i]
    m = indptr[n]
    piles = np.empty(m, np.uint8)
    ends = np.zeros(257, np.int64)
    for k in range(m):
        pile = int(rng.random() * 256)
        piles[k] = pile
        ends[pile + 1] += 1
    ends = np.cumsum(ends)
    free = ends.copy()
    post = np.empty(m, np.int32)
    k = 0
    for i in range(n):
        for _ in range(incoming[i]):
            post[free[piles[k]]] = i
            free[piles[k]] += 1
            k += 1
    for pile in range(256):
        for k in range(ends[pile + 1] - 1, ends[pile], -1):
            other = ends[pile] + int(rng.random() * (k + 1 - ends[pile]))
            post[k], post[other] = post[other], post[k]
    free = indptr[:n].copy()
    pre = np.empty(m, np.int32)
    k = 0
    for j in range(n):
        for _ in range(outgoing[j]):
            pre[free[post[k]]] = j
            free[post[k]] += 1
            k += 1
    return indptr, pre


@njit(nogil=True, cache=True)
def repair(indptr, pre, rng):  # type: ignore[no-untyped-def]
    """Swap partners, in place, until no row repeats an entry or holds its own number.

    Parameters
    ----------
    indptr, pre : arrays of int
        Row i holds the presynaptic partners of i in ascending order, repetitions included.

    Returns
    -------
    bool
        False if no network without collisions has these degrees.
    """
    m = pre.size
    posts, pres = _collisions(indptr, pre)
    # The collisions that no exchange resolves, listed by presynaptic neuron: the first, the next.
    first, following = np.full(indptr.size - 1, -1), np.full(posts.size, -1)
    stuck = np.zeros(posts.size, np.bool_)
    for c in range(posts.size):
        i, j = posts[c], pres[c]
        resolved = not _collides(indptr, pre, i, j)
        attempts = 0
        while not resolved and attempts < 200:
            at = int(rng.random() * m)
            k = np.searchsorted(indptr, at, side="right") - 1
            resolved = _swap(indptr, pre, i, j, k, pre[at])
            attempts += 1
        if not (resolved or _swap_with_any(indptr, pre, i, j, rng)):
            stuck[c] = True
            following[c] = first[j]
            first[j] = c
    left = True
    while left:  # a path may hand what one collision gave on to another, of either number
        left = False
        for c in range(posts.size):
            if stuck[c] and _collides(indptr, pre, posts[c], pres[c]):
                left = True
                if not _augment(indptr, pre, posts, pres, first, following, c, rng):
                    return False
    return True


@njit(nogil=True, cache=True)
def _collisions(indptr, pre):  # type: ignore[no-untyped-def]
    """Return the self-connections, and the repetitions beyond the first: post and pre."""
    posts, pres = np.empty(0, np.int64), np.empty(0, np.int64)
    for fill in range(2):
        count = 0
        for i in range(indptr.size - 1):
            for at in range(indptr[i], indptr[i + 1]):
                if pre[at] == i or (at > indptr[i] and pre[at] == pre[at - 1]):
                    if fill:
                        posts[count], pres[count] = i, pre[at]
                    count += 1
        if not fill:
            posts, pres = np.empty(count, np.int64), np.empty(count, np.int64)
    return posts, pres


@njit(nogil=True, cache=True)
def _find(indptr, pre, i, j):  # type: ignore[no-untyped-def]
    """Return where j is first in row i, or would be."""
    low, high = indptr[i], indptr[i + 1]
    while low < high:
        middle = (low + high) // 2
        if pre[middle] < j:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True, cache=True)
def _holds(indptr, pre, i, j):  # type: ignore[no-untyped-def]
    at = _find(indptr, pre, i, j)
    return at < indptr[i + 1] and pre[at] == j


@njit(nogil=True, cache=True)
def _collides(indptr, pre, i, j):  # type: ignore[no-untyped-def]
    at, end = _find(indptr, pre, i, j), indptr[i + 1]
    if at == end or pre[at] != j:
        return False
    return i == j or (at + 1 < end and pre[at + 1] == j)


@njit(nogil=True, cache=True)
def _replace(indptr, pre, i, old, new):  # type: ignore[no-untyped-def]
    """Put new in the place of one old in row i, which stays sorted."""
    at = _find(indptr, pre, i, old)
    while at + 1 < indptr[i + 1] and pre[at + 1] < new:
        pre[at] = pre[at + 1]
        at += 1
    while at > indptr[i] and pre[at - 1] > new:
        pre[at] = pre[at - 1]
        at -= 1
    pre[at] = new


@njit(nogil=True, cache=True)
def _swap(indptr, pre, i, j, k, other):  # type: ignore[no-untyped-def]
    """Turn j → i and other → k into other → i and j → k if neither collides; say whether."""
    if other == i or k == j or _holds(indptr, pre, i, other) or _holds(indptr, pre, k, j):
        return False
    _replace(indptr, pre, i, j, other)
    _replace(indptr, pre, k, other, j)
    return True


@njit(nogil=True, cache=True)
def _swap_with_any(indptr, pre, i, j, rng):  # type: ignore[no-untyped-def]
    """Swap j → i with any synapse that admits it, looking from a random row on."""
    n = indptr.size - 1
    start = int(rng.random() * n)
    for k in range(start, start + n):
        k %= n
        if k != j and not _holds(indptr, pre, k, j):
            for at in range(indptr[k], indptr[k + 1]):
                if _swap(indptr, pre, i, j, k, pre[at]):
                    return True
    return False


@njit(nogil=True, cache=True)
def _augment(indptr, pre, posts, pres, first, following, c, rng):  # type: ignore[no-untyped-def]
    """Resolve collision c along an alternating path, found breadth first; say whether there is one.

    The path adds a synapse, takes a synapse of the same presynaptic neuron away elsewhere, adds one
    there, and so on, until it adds one of a neuron that a collision still has to give away. By
    the theorem of augmenting paths there is one if any network has these degrees.
    """
    n = indptr.size - 1
    added_to = np.full(n, -1)  # by presynaptic neuron
    taken = np.full(n, -1)  # by postsynaptic neuron
    reached = np.zeros(n, np.bool_)
    reached[posts[c]] = True
    unseen = rng.permutation(n)
    front = np.full(1, posts[c])
    end = -1
    while front.size and end < 0:
        for k in front:
            left = 0
            for a in unseen:
                if a == k or _holds(indptr, pre, k, a):
                    unseen[left] = a
                    left += 1
                    continue
                added_to[a] = k
                while first[a] >= 0 and not _collides(indptr, pre, posts[first[a]], a):
                    first[a] = following[first[a]]  # resolved by now
                if first[a] >= 0:
                    end = a
                    break
            if end >= 0:
                break
            unseen = unseen[:left]
        if end < 0:
            front = _rows_with(indptr, pre, added_to, taken, reached)
    if end < 0:
        return False
    a = end
    while added_to[a] != posts[c]:
        k = added_to[a]
        _replace(indptr, pre, k, taken[k], a)
        a = taken[k]
    _replace(indptr, pre, posts[c], pres[c], a)
    if end != pres[c]:  # another collision gave `end`, and takes in exchange what this one gave
        d = first[end]
        first[end] = following[d]
        following[d] = first[pres[c]]
        first[pres[c]] = d
        _replace(indptr, pre, posts[d], end, pres[c])
        pres[d] = pres[c]
    return True


@njit(nogil=True, cache=True)
def _rows_with(indptr, pre, added_to, taken, reached):  # type: ignore[no-untyped-def]
    """Return the rows reached now: those that hold a neuron added elsewhere, which they give."""
    found = np.empty(reached.size, np.int64)
    count = 0
    for k in range(reached.size):
        if not reached[k]:
            for at in range(indptr[k], indptr[k + 1]):
                if added_to[pre[at]] >= 0:
                    taken[k] = pre[at]
                    reached[k] = True
                    found[count] = k
                    count += 1
                    break
    return found[:count]
