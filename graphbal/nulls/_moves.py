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

__all__ = ["pair_bits", "rewire", "shuffle_within"]


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
    """Make steps of the chain that keeps in- and out-degrees; return the moves of either kind.

    A step proposes to exchange the targets of two synapses drawn uniformly or, one time in nine,
    to reverse a directed triangle: a synapse a → b drawn uniformly, an output b → c of its target,
    and c → a. Proposals are symmetric, since the out-degrees they depend on do not change, and
    those that are not possible leave everything in place: the chain is uniform in the long run.
    """
    n, m = indptr.size - 1, post.size
    n_swaps, n_reversals = 0, 0
    for _ in range(n_steps):
        first = np.int64(rng.random() * m)
        second = np.int64(rng.random() * (m + m // 8 + 1))
        a, b = pre[first], post[first]
        if second < m:
            c, d = pre[second], post[second]
            if a in (b, c, d) or b in (c, d) or c == d:
                continue
            if _has(indptr, post, bits, a, d) or _has(indptr, post, bits, c, b):
                continue
            post[first], post[second] = d, b
            if bits.size:
                _flip(bits, n, a, b)
                _flip(bits, n, c, d)
                _flip(bits, n, a, d)
                _flip(bits, n, c, b)
            n_swaps += 1
        else:
            second = indptr[b] + np.int64(rng.random() * (indptr[b + 1] - indptr[b]))
            if second == indptr[b + 1]:  # b has no output
                continue
            c = post[second]
            if a == b or b == c or c == a:
                continue
            third = _find(indptr, post, bits, c, a)
            if (
                third < 0
                or _has(indptr, post, bits, b, a)
                or _has(indptr, post, bits, c, b)
                or _has(indptr, post, bits, a, c)
            ):
                continue
            post[first], post[second], post[third] = c, a, b
            if bits.size:
                for j, i in ((a, b), (b, c), (c, a), (b, a), (c, b), (a, c)):
                    _flip(bits, n, j, i)
            n_reversals += 1
    return n_swaps, n_reversals


@njit(inline="always")
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
