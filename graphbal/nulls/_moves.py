"""The random moves of the null models, compiled. Importing this module imports Numba.

Synapses are held by presynaptic neuron: those of j are ``indptr[j]:indptr[j + 1]`` in `post`, the
postsynaptic neurons, in any order. Moves change `post` alone, so that a synapse keeps its place,
its presynaptic neuron and whatever is stored at that place.

Whether j → i exists is looked up in `bits`, one bit per pair of neurons, or where that is empty by
going through the outputs of j: they lie in memory next to the synapse that a move has in its hands.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["pair_bits", "rewire", "rewire_reciprocal", "shuffle_within"]


@njit(cache=True, nogil=True)
def shuffle_within(values, bounds, rng):  # type: ignore[no-untyped-def]
    """Shuffle each group ``values[bounds[k]:bounds[k + 1]]`` in place (Fisher and Yates)."""
    for group in range(bounds.size - 1):
        begin = bounds[group]
        for at in range(bounds[group + 1] - 1, begin, -1):
            other = begin + np.int64(rng.random() * (at - begin + 1))
            values[at], values[other] = values[other], values[at]


@njit(cache=True, nogil=True)
def pair_bits(indptr, post):  # type: ignore[no-untyped-def]
    """Return the bits of all pairs, that of j → i at place j n + i."""
    n = indptr.size - 1
    bits = np.zeros((n * n + 63) // 64, np.uint64)
    for j in range(n):
        for at in range(indptr[j], indptr[j + 1]):
            _flip(bits, n, j, post[at])
    return bits


@njit(cache=True, nogil=True)
def rewire(indptr, pre, post, bits, n_steps, rng):  # type: ignore[no-untyped-def]
    """Make steps of the chain that keeps in- and out-degrees; return how many moves were made.

    Three steps in four propose that two synapses drawn uniformly exchange their targets. The others
    propose to turn a path a → b → c → d, where d may be a, into a → c → b → d: its first synapse is
    drawn uniformly, and then an output of each target. Proposals are symmetric, since the
    out-degrees they depend on do not change.
    """
    m, n_moves = post.size, 0
    for _ in range(n_steps):
        first = np.int64(rng.random() * m)
        second = np.int64(rng.random() * (m + m // 3 + 1))
        a, b = pre[first], post[first]
        if second < m:
            c, d = pre[second], post[second]
            if a in (b, c, d) or b in (c, d) or c == d:
                continue
            if _has(indptr, post, bits, a, d) or _has(indptr, post, bits, c, b):
                continue
            _aim(indptr, post, bits, a, first, d)
            _aim(indptr, post, bits, c, second, b)
        else:
            second, third = _way_on(indptr, post, b, rng)
            if second < 0:
                continue
            c, d = post[second], post[third]
            if a in (b, c) or b in (c, d) or c == d:
                continue
            if (
                _has(indptr, post, bits, a, c)
                or _has(indptr, post, bits, c, b)
                or _has(indptr, post, bits, b, d)
            ):
                continue
            _aim(indptr, post, bits, a, first, c)
            _aim(indptr, post, bits, b, second, d)
            _aim(indptr, post, bits, c, third, b)
        n_moves += 1
    return n_moves


@njit(cache=True, nogil=True)
def rewire_reciprocal(indptr, pre, post, bits, pool, n_single, n_steps, rng):  # type: ignore[no-untyped-def]
    """Make steps of the chain that keeps the numbers of reciprocal, input-only and output-only
    partners; return how many moves were made.

    `pool` has the places of the one-way synapses, `n_single` of them, then those of the reciprocal
    ones; a place keeps its kind. The moves are those of `rewire`, of synapses of one kind and of
    one-way paths. Between the pairs of neurons that get connected there may be something, the same
    for both: it goes where there is room then.
    """  # noqa: D205
    m, n_moves = pool.size, 0
    is_single = np.zeros(post.size, np.bool_)
    is_single[pool[:n_single]] = True
    for _ in range(n_steps):
        at = np.int64(rng.random() * m)
        first = pool[at]
        if at < n_single:
            other = np.int64(rng.random() * (n_single + n_single // 3 + 1))
        else:
            other = n_single + np.int64(rng.random() * (m - n_single))
        a, b = pre[first], post[first]
        if at >= n_single or other < n_single:
            second = pool[other]
            c, d = pre[second], post[second]
            if a in (c, d) or b in (c, d):
                continue
            ad, da = _find(indptr, post, bits, a, d), _find(indptr, post, bits, d, a)
            cb, bc = _find(indptr, post, bits, c, b), _find(indptr, post, bits, b, c)
            if (ad < 0) != (cb < 0) or (da < 0) != (bc < 0):
                continue
            if ad >= 0 and (da >= 0) != is_single[first]:  # of the same kind as what is exchanged
                continue
            ba, dc = _find(indptr, post, bits, b, a), _find(indptr, post, bits, d, c)
            _aim(indptr, post, bits, a, first, d)
            _aim(indptr, post, bits, c, second, b)
            _aim(indptr, post, bits, a, ad, b)
            _aim(indptr, post, bits, c, cb, d)
            _aim(indptr, post, bits, b, ba, c)
            _aim(indptr, post, bits, d, dc, a)
            _aim(indptr, post, bits, b, bc, a)
            _aim(indptr, post, bits, d, da, c)
        else:
            second, third = _way_on(indptr, post, b, rng)
            if second < 0 or not (is_single[second] and is_single[third]):
                continue
            c, d = post[second], post[third]
            if d != a:
                ac, ca = _find(indptr, post, bits, a, c), _find(indptr, post, bits, c, a)
                db, bd = _find(indptr, post, bits, d, b), _find(indptr, post, bits, b, d)
                if (ac < 0) != (db < 0) or (ca < 0) != (bd < 0):
                    continue
                _aim(indptr, post, bits, a, ac, b)
                _aim(indptr, post, bits, d, db, c)
                _aim(indptr, post, bits, c, ca, d)
                _aim(indptr, post, bits, b, bd, a)
            _aim(indptr, post, bits, a, first, c)
            _aim(indptr, post, bits, b, second, d)
            _aim(indptr, post, bits, c, third, b)
        n_moves += 1
    return n_moves


@njit(cache=True, nogil=True)
def _way_on(indptr, post, b, rng):  # type: ignore[no-untyped-def]
    """Return the places of a random output of b and of a random output of its target, or -1."""
    n_outputs = indptr[b + 1] - indptr[b]
    if n_outputs == 0:
        return -1, -1
    second = indptr[b] + np.int64(rng.random() * n_outputs)
    c = post[second]
    n_outputs = indptr[c + 1] - indptr[c]
    if n_outputs == 0:
        return -1, -1
    return second, indptr[c] + np.int64(rng.random() * n_outputs)


@njit(cache=True, nogil=True)
def _aim(indptr, post, bits, j, place, target):  # type: ignore[no-untyped-def]
    """Let the synapse of j at a place, if it is one, end at another target."""
    if place < 0:
        return
    if bits.size:
        _flip(bits, indptr.size - 1, j, post[place])
        _flip(bits, indptr.size - 1, j, target)
    post[place] = target


@njit(cache=True, nogil=True)
def _flip(bits, n, j, i):  # type: ignore[no-untyped-def]
    key = np.int64(j) * n + i
    bits[key >> 6] ^= np.uint64(1) << np.uint64(key & 63)


@njit(cache=True, nogil=True)
def _has(indptr, post, bits, j, i):  # type: ignore[no-untyped-def]
    """Whether the synapse j → i exists."""
    if bits.size:
        key = np.int64(j) * (indptr.size - 1) + i
        return (bits[key >> 6] >> np.uint64(key & 63)) & np.uint64(1) != 0
    found = False
    for at in range(indptr[j], indptr[j + 1]):
        found |= post[at] == i  # to the end, which is vectorised
    return found


@njit(cache=True, nogil=True)
def _find(indptr, post, bits, j, i):  # type: ignore[no-untyped-def]
    """Return the place of the synapse j → i, or -1."""
    if _has(indptr, post, bits, j, i):
        for at in range(indptr[j], indptr[j + 1]):
            if post[at] == i:
                return at
    return -1
