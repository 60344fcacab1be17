"""Random networks of blocks of neurons: communities, a core and its periphery."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphbal.ensembles._build import (
    Keys,
    begin,
    choose,
    network_of,
    require_between,
    require_count,
)
from graphbal.ensembles.weights import LogNormal, Weights
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = ["block_keys", "core_periphery", "stochastic_block"]


def stochastic_block(
    sizes: Sequence[int],
    probabilities: ArrayLike,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a network of blocks that are connected with given probabilities.

    The synapse j → i, i ≠ j, exists independently of all others with the probability
    :math:`P_{ab}` of the block a of i and the block b of j [1]_. A neuron of block a has
    :math:`\sum_b P_{ab} (s_b - \delta_{ab})` inputs on average, with variance
    :math:`\sum_b P_{ab} (1 - P_{ab}) (s_b - \delta_{ab})`; outputs likewise, with
    :math:`P^\mathsf{T}`. A synapse of block b to block a has a reverse with probability
    :math:`P_{ba}`.

    Parameters
    ----------
    sizes : sequence of int
        Sizes of the blocks, at least 1 each. Labels go through them in this order.
    probabilities : array, shape (blocks, blocks)
        P, row = postsynaptic block, column = presynaptic block, entries 0 to 1.
    weights : Weights
        Distribution of the weights.
    seed : int
        Seed of the random numbers.
    p : float
        Exponent of the cost.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If a block is empty, P has another shape or an entry outside 0 to 1, or `weights` or
        `seed` makes no sense.

    Notes
    -----
    The number of synapses of each block is binomial, and then every set of so many pairs equally
    likely. O(m log m) time for m synapses, about 45 bytes of memory for each.

    References
    ----------
    .. [1] P. W. Holland, K. B. Laskey, S. Leinhardt, "Stochastic blockmodels: first steps", Social
       Networks 5: 109-137 (1983). https://doi.org/10.1016/0378-8733(83)90021-7

    Examples
    --------
    >>> from graphbal.ensembles import stochastic_block
    >>> stochastic_block([40, 60], [[0.2, 0.01], [0.05, 0.2]])
    SynapticNetwork(100 neurons, 1,121 synapses, c = |J|^2)
    """
    given = list(sizes)
    if not given:
        raise InputError("no block was given; there must be at least 1")
    for at, size in enumerate(given):
        require_count(f"sizes[{at}]", size, 1)
    try:
        P = np.asarray(probabilities, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the probabilities must be numbers: {error}") from error
    if P.shape != (len(given), len(given)):
        raise InputError(
            f"the probabilities have shape {P.shape}; {len(given)} blocks need "
            f"({len(given)}, {len(given)})"
        )
    if not ((P >= 0) & (P <= 1)).all():
        a, b = np.argwhere(~((P >= 0) & (P <= 1)))[0]
        raise InputError(f"probabilities[{a}, {b}] is {P[a, b]}; it must be between 0 and 1")
    rng = begin(seed, weights)
    post, pre = np.nonzero(P)
    counts = np.array(given, dtype=np.int64)
    keys = block_keys(counts, post, pre, P[post, pre], rng)
    return network_of(keys, int(counts.sum()), weights, rng, p)


def core_periphery(
    n: int,
    mean_degree: float = 10.0,
    core_fraction: float = 0.2,
    ratio: float = 0.25,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a dense core and a sparse periphery.

    The first :math:`n_c` neurons are the core, n times `core_fraction`, rounded; the other
    :math:`n_p` are the periphery.
    The synapse j → i, i ≠ j, exists independently with probability q within the core,
    q ρ between core and periphery and q ρ² within the periphery, ρ being the `ratio`: the
    Bernoulli form of the ideal pattern of [1]_. q makes the mean degree d what was asked for,

    .. math:: q = \frac{n d}{n_c (n_c - 1) + 2 \rho\, n_c n_p + \rho^2 n_p (n_p - 1)} .

    Degrees within core and periphery are sums of two binomials. A fraction

    .. math:: \frac{q \left( n_c (n_c - 1) + 2 \rho^2 n_c n_p + \rho^4 n_p (n_p - 1) \right)}
              {n_c (n_c - 1) + 2 \rho\, n_c n_p + \rho^2 n_p (n_p - 1)}

    of the synapses is reciprocated.

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
    mean_degree : float
        Expected number of inputs, averaged over all neurons; as large as q ≤ 1 allows.
    core_fraction : float
        Fraction of the neurons in the core, 0 to 1.
    ratio : float
        ρ, 0 to 1; 1 is the Erdős–Rényi network.
    weights : Weights
        Distribution of the weights.
    seed : int
        Seed of the random numbers.
    p : float
        Exponent of the cost.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If a number is outside its limits, or `weights` or `seed` makes no sense.

    Notes
    -----
    O(m log m) time for m synapses, about 45 bytes of memory for each.

    References
    ----------
    .. [1] S. P. Borgatti, M. G. Everett, "Models of core/periphery structures", Social Networks
       21: 375-395 (2000). https://doi.org/10.1016/S0378-8733(99)00019-2

    Examples
    --------
    >>> from graphbal.ensembles import core_periphery
    >>> core_periphery(200)
    SynapticNetwork(200 neurons, 2,024 synapses, c = |J|^2)
    """
    require_count("n", n, 2)
    require_between("core_fraction", core_fraction, 0, 1)
    require_between("ratio", ratio, 0, 1)
    n_core = round(n * core_fraction)
    n_rest = n - n_core
    pairs = n_core * (n_core - 1) + 2 * ratio * n_core * n_rest + ratio**2 * n_rest * (n_rest - 1)
    require_between("mean_degree", mean_degree, 0, pairs / n, ", where the core is full")
    q = n * mean_degree / pairs if pairs else 0.0
    rng = begin(seed, weights)
    sizes = np.array([n_core, n_rest], dtype=np.int64)
    post, pre = np.divmod(np.arange(4), 2)
    probabilities = np.minimum(q * ratio ** (post + pre).astype(float), 1.0)
    keys = block_keys(sizes, post, pre, probabilities, rng)
    return network_of(keys, n, weights, rng, p)


def block_keys(
    sizes: Keys,
    post: NDArray[np.integer],
    pre: NDArray[np.integer],
    probabilities: NDArray[np.float64],
    rng: np.random.Generator,
) -> Keys:
    """Return the keys, block by block, of independent synapses without self-connections.

    Parameters
    ----------
    sizes : array of int, shape (blocks,)
        Neurons in each block.
    post, pre : arrays of int, shape (b,)
        Pairs of blocks, those connected.
    probabilities : array, shape (b,)
        Probability of a synapse, for each pair of blocks.
    """
    starts, n = np.cumsum(sizes) - sizes, int(sizes.sum())
    within = post == pre
    width = np.maximum(sizes[pre] - within, 1)  # candidates of one neuron; a lone one has none
    pairs = sizes[post] * (sizes[pre] - within)
    counts = rng.binomial(pairs, probabilities)
    chosen = choose(counts, pairs, rng)
    chosen -= np.repeat(np.cumsum(pairs) - pairs, counts)
    i, j = np.divmod(chosen, np.repeat(width, counts))
    j += np.repeat(within, counts) & (j >= i)
    i += np.repeat(starts[post], counts)
    j += np.repeat(starts[pre], counts)
    i *= n
    i += j
    return i
