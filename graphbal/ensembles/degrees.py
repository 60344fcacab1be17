"""Random networks with given degrees: Erdős–Rényi, configuration, small-world, scale-free."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphbal.ensembles._build import (
    Keys,
    begin,
    blocks,
    choose,
    look_up,
    network_of,
    network_of_rows,
    network_of_sorted,
    require_between,
    require_count,
    unite,
)
from graphbal.ensembles.weights import LogNormal, Weights
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = [
    "configuration",
    "erdos_renyi",
    "erdos_renyi_keys",
    "random_network",
    "scale_free",
    "watts_strogatz",
]


def erdos_renyi(
    n: int,
    mean_degree: float = 10.0,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a directed Erdős–Rényi network (Gilbert's G(n, q)).

    Each ordered pair of different neurons is connected independently with probability
    q = `mean_degree` / (n − 1) [1]_, the expected density. In- and out-degrees are binomial,
    Bin(n − 1, q), and independent of each other; the number of synapses is Bin(n (n − 1), q); a
    synapse has a reverse with probability q. Not strongly connected in general: see
    `random_network`.

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
    mean_degree : float
        Expected number of inputs of a neuron, 0 to n − 1.
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
        If `n` is below 2, `mean_degree` is outside 0 to n − 1, or `weights` or `seed` makes no
        sense.

    Notes
    -----
    The gaps between connected pairs are geometric [2]_: O(m) time for m synapses, no sort, and
    about 35 bytes of memory for each while drawing.

    References
    ----------
    .. [1] E. N. Gilbert, "Random graphs", Ann Math Statist 30: 1141-1144 (1959).
       https://doi.org/10.1214/aoms/1177706098
    .. [2] V. Batagelj, U. Brandes, "Efficient generation of large random networks", Phys Rev E 71:
       036113 (2005). https://doi.org/10.1103/PhysRevE.71.036113

    Examples
    --------
    >>> from graphbal.ensembles import erdos_renyi
    >>> erdos_renyi(100, mean_degree=5)
    SynapticNetwork(100 neurons, 456 synapses, c = |J|^2)
    """
    require_count("n", n, 2)
    require_between("mean_degree", mean_degree, 0, n - 1, ", n - 1")
    rng = begin(seed, weights)
    keys = erdos_renyi_keys(n, mean_degree, rng)
    return network_of_sorted(keys, weights.draw(keys.size, rng), n, p)


def random_network(
    n: int,
    mean_degree: float = 10.0,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    """Return a strongly connected Erdős–Rényi network: every synapse lies on a directed cycle.

    A directed cycle through all neurons in random order is added to the network of `erdos_renyi`.
    It gives each neuron at most one more input and one more output: the expected number of
    synapses is n (1 + d (n − 2) / (n − 1)) with d = `mean_degree`, and the equilibrium is always
    finite. A pair is connected with probability q + (1 − q) / (n − 1), q = d / (n − 1), which is
    also close to the reciprocity.

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
    mean_degree : float
        Expected number of inputs of a neuron, before the cycle is added; 0 to n − 1.
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
        If `n` is below 2, `mean_degree` is outside 0 to n − 1, or `weights` or `seed` makes no
        sense.

    Notes
    -----
    O(m + n log n) time for m synapses, and about 35 bytes of memory for each while drawing.

    Examples
    --------
    >>> from graphbal.ensembles import random_network
    >>> random_network(100, mean_degree=5)
    SynapticNetwork(100 neurons, 554 synapses, c = |J|^2)
    """
    require_count("n", n, 2)
    require_between("mean_degree", mean_degree, 0, n - 1, ", n - 1")
    rng = begin(seed, weights)
    order = rng.permutation(n)
    keys = erdos_renyi_keys(n, mean_degree, rng)
    keys = unite(keys, np.roll(order, -1) * n + order, n * n)
    return network_of_sorted(keys, weights.draw(keys.size, rng), n, p)


def configuration(
    in_degrees: ArrayLike,
    out_degrees: ArrayLike,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a random network with given in- and out-degrees, met exactly.

    There are neither self-connections nor repeated synapses. Where degrees are small against
    :math:`\sqrt m`, the synapse j → i exists with probability about
    :math:`k^{in}_i k^{out}_j / m`, m being the number of synapses, and a fraction of about
    :math:`\langle k^{in} k^{out} \rangle^2 / (\langle k \rangle^3 n)` is reciprocated [1]_.

    Parameters
    ----------
    in_degrees, out_degrees : array of int, shape (n,)
        Numbers of inputs and outputs of each neuron, 0 to n − 1, with equal sums.
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
        If the sums differ, a degree is outside 0 to n − 1, no network without self-connections and
        repetitions has these degrees, or `weights` or `seed` makes no sense.

    Notes
    -----
    All stubs are paired in uniformly random order. Of every self-connection, and of every copy of
    a synapse beyond the first, the presynaptic end is then exchanged with that of a synapse drawn
    uniformly, anew until both results are admissible. Where 200 draws are in vain, every synapse is
    tried; where there is no such exchange, a longer alternating path is found breadth first, which
    exists if any network has these degrees (Ford and Fulkerson's augmenting path [2]_). If more
    than half of all pairs are connected, the pairs left out are drawn instead.

    Pairing followed by repair is close to uniform over all such networks where collisions are
    few, not exactly so.

    O(m) time for m synapses if collisions are few (one search each), about 30 bytes of memory for
    each. Degrees that hardly any network has, near those of a threshold network, take up to O(m)
    for each of O(m) collisions: half a minute for 600 such neurons with 150,000 synapses.

    References
    ----------
    .. [1] M. E. J. Newman, S. H. Strogatz, D. J. Watts, "Random graphs with arbitrary degree
       distributions and their applications", Phys Rev E 64: 026118 (2001).
       https://doi.org/10.1103/PhysRevE.64.026118
    .. [2] L. R. Ford, D. R. Fulkerson, "Maximal flow through a network", Canad J Math 8: 399-404
       (1956). https://doi.org/10.4153/CJM-1956-045-5

    Examples
    --------
    >>> from graphbal.ensembles import configuration
    >>> net = configuration([2, 1, 1, 0], [0, 1, 1, 2])
    >>> (net.weights != 0).sum(axis=1).tolist(), (net.weights != 0).sum(axis=0).tolist()
    ([2, 1, 1, 0], [0, 1, 1, 2])
    """
    incoming = _degrees("in_degrees", in_degrees)
    outgoing = _degrees("out_degrees", out_degrees)
    n = incoming.size
    if outgoing.size != n:
        raise InputError(f"{n} in-degrees and {outgoing.size} out-degrees were given")
    if incoming.sum() != outgoing.sum():
        raise InputError(
            f"the in-degrees sum to {incoming.sum()} and the out-degrees to {outgoing.sum()}; "
            "every synapse counts once in either"
        )
    rng = begin(seed, weights)
    if 2 * incoming.sum() <= n * (n - 1):
        starts, partners = _paired(incoming, outgoing, rng)
    else:
        left_out = _paired(n - 1 - incoming, n - 1 - outgoing, rng)
        there = ~np.eye(n, dtype=np.bool_)
        there[np.repeat(np.arange(n), n - 1 - incoming), left_out[1]] = False
        starts = np.concatenate([[0], np.cumsum(incoming)])
        partners = np.nonzero(there)[1].astype(np.int32)
    return network_of_rows(starts, partners, weights.draw(partners.size, rng), p)


def watts_strogatz(
    n: int,
    degree: int = 10,
    rewiring: float = 0.1,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a directed small-world network.

    Each neuron receives from its k = `degree` nearest neighbours on a circle, half of them on
    either side. Each of these synapses is then lost with probability β = `rewiring`, independently
    of the others, and replaced by one from a neuron farther away, all of them equally likely and
    none twice. (In [1]_, which is undirected, a shortcut may also end nearby.)

    Every neuron has k inputs. Its number of outputs is the sum of the independent
    Bin(k, 1 − β) and Bin(n − 1 − k, k β / (n − 1 − k)): k on average. A fraction
    (1 − β)² + k β² / (n − 1 − k) of the synapses is reciprocated on average.

    Parameters
    ----------
    n : int
        Number of neurons, at least 2 `degree` + 1.
    degree : int
        k, even, at least 2.
    rewiring : float
        β, 0 (a regular ring) to 1 (every synapse a random one).
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
    O(m log m) time for m = n k synapses, about 60 bytes of memory for each.

    References
    ----------
    .. [1] D. J. Watts, S. H. Strogatz, "Collective dynamics of 'small-world' networks", Nature
       393: 440-442 (1998). https://doi.org/10.1038/30918

    Examples
    --------
    >>> from graphbal.ensembles import watts_strogatz
    >>> watts_strogatz(100, 4)
    SynapticNetwork(100 neurons, 400 synapses, c = |J|^2)
    """
    require_count("degree", degree, 2)
    if degree % 2:
        raise InputError(f"degree is {degree}; it must be even, half of it on either side")
    require_count("n", n, 2 * degree + 1)
    require_between("rewiring", rewiring, 0, 1)
    rng = begin(seed, weights)
    half = degree // 2
    steps = np.concatenate([np.arange(-half, 0), np.arange(1, half + 1)])
    kept = rng.random((n, degree)) >= rewiring
    post, at = np.nonzero(kept)
    regular = post * n + (post + steps[at]) % n
    lost = degree - kept.sum(axis=1)
    farther = np.full(n, n - 1 - degree)
    chosen = choose(lost, farther, rng)
    post, step = np.divmod(chosen, n - 1 - degree)
    shortcuts = post * n + (post + half + 1 + step) % n
    return network_of(np.concatenate([regular, shortcuts]), n, weights, rng, p)


def scale_free(
    n: int,
    mean_degree: float = 10.0,
    in_exponent: float = 2.5,
    out_exponent: float = 2.5,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a network whose in- and out-degrees follow power laws: the static model.

    The neuron of rank r = 1, ..., n receives with propensity
    :math:`a_r \propto r^{-1/(\gamma_{in} - 1)}` and sends with
    :math:`b_r \propto r^{-1/(\gamma_{out} - 1)}`, both of sum 1; the two rankings are independent
    and random [1]_. Pairs j → i are drawn with probability :math:`a_i b_j`, and those drawn before
    or i = j rejected, until there are m = round(n · `mean_degree`) synapses: exactly m. So

    - :math:`P(j \to i) \approx 1 - e^{-\lambda a_i b_j}`, where λ makes the sum m;
    - the in-degree of rank r is about :math:`m a_r` where :math:`\lambda a_r b_1 \ll 1`, and
      degrees k above the mean have :math:`P(k) \propto k^{-\gamma_{in}}`, up to
      :math:`m a_1`; out-degrees likewise;
    - in- and out-degrees are uncorrelated, and the reciprocity is close to the density
      m / n (n − 1).

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
    mean_degree : float
        Number of synapses per neuron, 0 to (n − 1) / 2.
    in_exponent, out_exponent : float
        Exponents γ of the degree distributions, above 2 (a finite mean), at most 1000.
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
    O(m log m) time where few pairs are drawn twice, about 45 bytes of memory for each synapse.

    References
    ----------
    .. [1] K.-I. Goh, B. Kahng, D. Kim, "Universal behavior of load distribution in scale-free
       networks", Phys Rev Lett 87: 278701 (2001). https://doi.org/10.1103/PhysRevLett.87.278701

    Examples
    --------
    >>> from graphbal.ensembles import scale_free
    >>> scale_free(1000, mean_degree=5)
    SynapticNetwork(1,000 neurons, 5,000 synapses, c = |J|^2)
    """
    require_count("n", n, 2)
    require_between("mean_degree", mean_degree, 0, (n - 1) / 2, ", (n - 1) / 2")
    for name, exponent in {"in_exponent": in_exponent, "out_exponent": out_exponent}.items():
        require_between(name, exponent, np.nextafter(2, 3), 1000)
    rng = begin(seed, weights)
    ranks = np.arange(1.0, n + 1)
    receivers, senders = rng.permutation(n), rng.permutation(n)
    reach = _cumulative(ranks ** (-1 / (in_exponent - 1)))
    outset = _cumulative(ranks ** (-1 / (out_exponent - 1)))
    m = round(n * mean_degree)
    keys = np.empty(0, dtype=np.int64)
    while keys.size < m:
        post = receivers[look_up(reach, rng.random(m - keys.size))]
        pre = senders[look_up(outset, rng.random(m - keys.size))]
        keys = unite(keys, (post * n + pre)[post != pre], n * n)
    return network_of_sorted(keys, weights.draw(m, rng), n, p)


def erdos_renyi_keys(n: int, mean_degree: float, rng: np.random.Generator) -> Keys:
    """Return the ascending keys of a network of `erdos_renyi`."""
    probability = mean_degree / (n - 1)
    if probability == 0:
        return np.empty(0, dtype=np.int64)
    expected = n * mean_degree
    # Ten standard deviations more than expected: the gaps reach past the last pair.
    keys = np.empty(int(expected + 10 * np.sqrt(expected)) + 10, dtype=np.int64)
    last = -1
    for block in blocks(keys.size):
        at = keys[block]
        gaps = rng.geometric(probability, at.size)
        np.minimum(gaps, n * n, out=gaps)  # a gap of nearly 2⁶³ would overflow the sum
        np.cumsum(gaps, out=at)
        at += last
        last = int(at[-1])
        # Pairs are numbered by postsynaptic neuron, that skips itself among the others.
        post = at // (n - 1)
        at += (at - post * (n - 1) >= post) + post
    return keys[: np.searchsorted(keys, n * n)]


def _paired(
    incoming: Keys, outgoing: Keys, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the CSR arrays, starts and partners, of a simple network with these degrees."""
    from graphbal.ensembles._compiled import pair, repair

    starts, partners = pair(incoming, outgoing, rng)
    if not repair(starts, partners, rng):
        raise InputError(
            "no network without self-connections and repeated synapses has these degrees: some "
            "neurons need more partners than the others can offer"
        )
    return starts, partners


def _degrees(name: str, degrees: Any) -> Keys:
    """Return degrees as an array of integers from 0 to n − 1."""
    values = np.asarray(degrees)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iu":
        raise InputError(f"{name} must be a list of integers, one per neuron")
    bad = np.flatnonzero((values < 0) | (values > values.size - 1))
    if bad.size:
        at = int(bad[0])
        raise InputError(
            f"{name}[{at}] is {values[at]}; it must be between 0 and n - 1 = {values.size - 1}"
        )
    return values.astype(np.int64)


def _cumulative(propensities: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.cumsum(propensities)
    return total / total[-1]
