"""What the generators share: their checks, sorted keys of synapses, and the network of them.

The key of the synapse j → i in a network of n neurons is i n + j: keys in ascending order are the
entries of a CSR matrix.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal.ensembles.weights import Weights
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = [
    "begin",
    "blocks",
    "choose",
    "distinct",
    "look_up",
    "network_of",
    "network_of_rows",
    "network_of_sorted",
    "require_between",
    "require_count",
    "sort_keys",
    "unite",
]

Keys = NDArray[np.int64]

# Below this many numbers NumPy is done before compiled code is loaded from its cache.
_LARGE = 500_000
# Temporary arrays of so many numbers use the same memory again, which the system need not find.
_BLOCK = 2**19


def begin(seed: Any, weights: Any = None) -> np.random.Generator:
    """Return the random numbers of a seed; refuse what is no seed or draws no weights."""
    if weights is not None and (isinstance(weights, type) or not isinstance(weights, Weights)):
        raise InputError(
            f"weights is {weights!r}; give a distribution such as LogNormal(0.5), Constant(1), "
            "Gamma(2, 1), Gaussian(0, 1), Poisson(3) or Resampled(network)"
        )
    if not isinstance(seed, Integral) or seed < 0:
        raise InputError(f"seed is {seed!r}; it must be an integer, 0 or more")
    return np.random.default_rng(int(seed))


def require_count(name: str, value: Any, least: int) -> None:
    """Refuse what is not an integer of at least so many."""
    if not isinstance(value, Integral) or value < least:
        raise InputError(f"{name} is {value!r}; it must be an integer, at least {least}")


def require_between(name: str, value: Any, low: float, high: float, what: str = "") -> None:
    """Refuse what is not a number within these limits; `what` says what the upper one is."""
    if not isinstance(value, Real) or not low <= float(value) <= high:
        raise InputError(f"{name} is {value!r}; it must be between {low:g} and {high:g}{what}")


def network_of(
    keys: Keys, n: int, weights: Weights, rng: np.random.Generator, p: float
) -> SynapticNetwork:
    """Return the network of the synapses with the given keys, in any order, each once."""
    keys = sort_keys(keys, n * n)
    return network_of_sorted(keys, weights.draw(keys.size, rng), n, p)


def network_of_sorted(keys: Keys, values: NDArray[np.float64], n: int, p: float) -> SynapticNetwork:
    """Return the network of synapses with ascending keys and these weights."""
    starts = np.searchsorted(keys, np.arange(n + 1) * n)
    partners: NDArray[np.integer]
    partners = np.empty(keys.size, dtype=np.int32 if n <= np.iinfo(np.int32).max else np.int64)
    np.remainder(keys, n, out=partners, casting="unsafe")
    return network_of_rows(starts, partners, values, p)


def network_of_rows(
    starts: NDArray[np.integer],
    partners: NDArray[np.integer],
    values: NDArray[np.float64],
    p: float,
) -> SynapticNetwork:
    """Return the network of these CSR arrays, partners ascending within rows."""
    n = starts.size - 1
    if partners.dtype == np.int32 and partners.size <= np.iinfo(np.int32).max:
        starts = starts.astype(np.int32)
    J = sparse.csr_array((values, partners, starts), shape=(n, n))
    return SynapticNetwork(J, pd.RangeIndex(n), p=p)


def blocks(size: int) -> list[slice]:
    """Cut so many numbers into pieces whose temporary arrays stay small."""
    return [slice(at, min(at + _BLOCK, size)) for at in range(0, size, _BLOCK)]


def sort_keys(keys: Keys, above: int) -> Keys:
    """Return keys from 0 to below `above` in ascending order; the argument may be overwritten."""
    if keys.size < _LARGE:
        keys.sort()
        return keys
    from graphbal.ensembles._compiled import radix_sort

    return radix_sort(keys, max(int(above - 1).bit_length(), 1))


def distinct(keys: Keys, shift: int = 0) -> Keys:
    """Return the first of ascending keys that agree but for their last `shift` bits.

    The argument may be overwritten.
    """
    if keys.size < _LARGE:
        return keys[np.diff(keys >> shift, prepend=-1) != 0]
    from graphbal.ensembles._compiled import deduplicate

    return keys[: deduplicate(keys, shift)]


def look_up(cumulative: NDArray[np.float64], u: NDArray[np.float64]) -> Keys:
    """Return where u, from 0 to 1, falls in a cumulative distribution that ends at 1."""
    if u.size < _LARGE:
        found = np.searchsorted(cumulative, u, side="right")
    else:
        from graphbal.ensembles._compiled import inverse

        found = inverse(cumulative, u)
    return np.minimum(found, cumulative.size - 1, out=found)


def unite(keys: Keys, more: Keys, above: int) -> Keys:
    """Return the union, ascending, of ascending distinct keys and more of any kind."""
    more = distinct(sort_keys(more, above))
    if not keys.size:
        return more
    at = np.searchsorted(keys, more)
    more, at = (x[keys[np.minimum(at, keys.size - 1)] != more] for x in (more, at))
    return np.insert(keys, at, more)


def choose(counts: Keys, sizes: Keys, rng: np.random.Generator) -> Keys:
    """Choose distinct items out of each of several sets, every subset equally likely.

    Parameters
    ----------
    counts, sizes : arrays of int, shape (r,)
        How many items to choose from each set, and how many it has.

    Returns
    -------
    array of int64, shape (counts.sum(),)
        The items chosen, ascending, numbered on from set to set.

    Notes
    -----
    Items are drawn until there are as many distinct ones as wanted; of a set more than half of
    which is wanted, those to leave out are drawn. O(m) draws and one sort.
    """
    ends = np.cumsum(sizes)
    bounds = np.concatenate([[0], ends])
    over = 2 * counts > sizes
    wanted = np.where(over, sizes - counts, counts)
    chosen = np.empty(0, dtype=np.int64)
    missing = wanted
    while missing.any():
        drawn = rng.integers(0, np.repeat(sizes, missing))
        drawn += np.repeat(ends - sizes, missing)
        chosen = unite(chosen, drawn, int(ends[-1]))
        missing = wanted - np.diff(np.searchsorted(chosen, bounds))
    if not over.any():
        return chosen
    # Number the items of the sets turned around on their own, and take those not drawn.
    turned = np.flatnonzero(over)
    of = np.repeat(over, wanted)
    sizes_turned = sizes[turned]
    shift = np.cumsum(sizes_turned) - sizes_turned - (ends - sizes)[turned]
    kept = np.ones(int(sizes_turned.sum()), dtype=np.bool_)
    kept[chosen[of] + np.repeat(shift, wanted[turned])] = False
    rest = np.flatnonzero(kept) - np.repeat(shift, counts[turned])
    return np.sort(np.concatenate([chosen[~of], rest]), kind="stable")  # two runs to merge
