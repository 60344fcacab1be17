"""A network with the statistics of a whole connectome."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphbal.ensembles._build import (
    Keys,
    begin,
    blocks,
    distinct,
    look_up,
    network_of,
    require_between,
    require_count,
    sort_keys,
)
from graphbal.ensembles.weights import LogNormalCounts, Weights
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = ["connectome_like"]


def connectome_like(
    n: int = 139_255,
    n_synapses: int = 15_000_000,
    *,
    reciprocity: float = 0.14,
    local_fraction: float = 0.6,
    weights: Weights = LogNormalCounts(),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a network with the statistics of a whole connectome; by default of the fly brain.

    - Every neuron has a propensity to receive and one to send, :math:`a_i = e^{x_i}` and
      :math:`b_j = e^{y_j}` with x, y standard normal and correlated by 0.7, so that in- and
      out-strengths are heavy-tailed and go together.
    - A synapse starts at j with probability proportional to :math:`b_j`. With probability
      1 - `local_fraction` it ends anywhere, at i with probability proportional to :math:`a_i`.
      Otherwise it ends near j: the neurons lie on a circle in the order of their labels, each
      taking up a length :math:`a_i / \sum a`, and the displacement is Laplace distributed with
      scale 1/100 of the circle (about 1,400 neurons of the fly brain).
    - Exactly a fraction `reciprocity` of the synapses (up to one pair) has a reverse; no pair
      occurs twice and no neuron contacts itself. (Pairs drawn again are drawn anew, which thins
      the densest neighbourhoods.)
    - Where few pairs are drawn twice, degrees k, the circle and the
      reverses not counted, have :math:`\langle k (k - 1) \rangle / \langle k \rangle^2 \approx e`
      in either direction and
      :math:`\langle k^{in} k^{out} \rangle / \langle k \rangle^2 \approx e^{0.7}`.
    - Weights are heavy-tailed counts unless given otherwise, 3.7 on average, as between the
      neurons of the fly brain [1]_: see `LogNormalCounts`.
    - Each neuron contacts its successor on the circle, which makes the network strongly
      connected.

    Parameters
    ----------
    n : int
        Number of neurons, at least 3.
    n_synapses : int
        Number of synapses (connected ordered pairs); met exactly.
    reciprocity : float
        Fraction of synapses whose reverse exists too, 0 to 1.
    local_fraction : float
        Probability that a synapse is local, 0 to 1.
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
        If a fraction is outside 0 to 1, or so few or so many synapses are asked for that no such
        network can be drawn, or `weights` or `seed` makes no sense.

    Notes
    -----
    O(m log m) time for m synapses and about 45 bytes of memory for each while drawing.

    References
    ----------
    .. [1] S. Dorkenwald et al., "Neuronal wiring diagram of an adult brain", Nature 634: 124-138
       (2024). https://doi.org/10.1038/s41586-024-07558-y

    Examples
    --------
    >>> from graphbal.ensembles import connectome_like
    >>> connectome_like(1000, 20_000)
    SynapticNetwork(1,000 neurons, 20,000 synapses, c = |J|^2)
    """
    require_count("n", n, 3)
    require_count("n_synapses", n_synapses, 0)
    require_between("reciprocity", reciprocity, 0, 1)
    require_between("local_fraction", local_fraction, 0, 1)
    n_mutual = int(reciprocity * n_synapses / 2)
    n_pairs = n_synapses - n_mutual  # unordered; a mutual one carries two synapses
    if n_pairs < n:
        raise InputError(
            f"{n_synapses} synapses are too few to connect {n} neurons; ask for at least "
            f"{int(np.ceil(n / (1 - reciprocity / 2))) + 1}"
        )
    rng = begin(seed, weights)
    receive = rng.standard_normal(n)
    send = 0.7 * receive + np.sqrt(1 - 0.7**2) * rng.standard_normal(n)
    reach = np.cumsum(np.exp(receive))
    reach /= reach[-1]
    outset = np.cumsum(np.exp(send))
    outset /= outset[-1]

    pairs = np.empty(0, dtype=np.int64)
    for _ in range(30):
        missing = n_pairs - n - pairs.size
        if missing <= 0:
            break
        drawn = [
            _draw_pairs(block.stop - block.start, reach, outset, local_fraction, rng)
            for block in blocks(missing + missing // 8 + 16)
        ]
        # Distinct pairs, whichever direction; the parity keeps either direction equally often.
        pairs = distinct(sort_keys(np.concatenate([pairs, *drawn]), 2 * n * n), shift=1)
    else:
        raise InputError(
            f"{n_synapses} synapses are too many to draw between {n} neurons with heavy-tailed "
            f"propensities; ask for fewer than about {n * (n - 1) // 12}"
        )
    surplus = rng.choice(pairs.size, pairs.size - (n_pairs - n), replace=False, shuffle=False)
    pairs = np.delete(pairs, surplus)

    keys = np.empty(n_synapses, dtype=np.int64)
    for block in blocks(pairs.size):
        low, high = np.divmod(pairs[block] >> 1, n)
        ascending = ((pairs[block] ^ (low + high)) & 1).astype(bool)
        keys[block] = np.where(ascending, high * n + low, low * n + high)
    del pairs
    first = np.arange(n)
    keys[n_pairs - n : n_pairs] = (first + 1) % n * n + first
    post, pre = np.divmod(keys[rng.choice(n_pairs, n_mutual, replace=False, shuffle=False)], n)
    keys[n_pairs:] = pre * n + post
    return network_of(keys, n, weights, rng, p)


def _draw_pairs(
    size: int,
    reach: NDArray[np.float64],
    outset: NDArray[np.float64],
    local_fraction: float,
    rng: np.random.Generator,
) -> Keys:
    """Return at most `size` keys, twice an unordered pair's number plus a bit for its direction."""
    n = reach.size
    pre = look_up(outset, rng.random(size))
    end = rng.random(size)
    is_local = rng.random(size) < local_fraction
    end[is_local] = reach[pre[is_local]] + rng.laplace(scale=0.01, size=np.count_nonzero(is_local))
    end -= np.floor(end)
    post = look_up(reach, end)
    apart = np.abs(post - pre)
    kept = (apart > 1) & (apart < n - 1)  # successors on the circle are connected already
    pre, post = pre[kept], post[kept]
    low, high = np.minimum(pre, post), np.maximum(pre, post)
    return 2 * (low * n + high) + ((pre < post) ^ ((low + high) & 1))
