"""Random and model networks with known statistics: test problems, benchmarks, null hypotheses.

Every generator returns a `SynapticNetwork` labelled 0, 1, ..., n - 1, is deterministic in its
`seed`, and takes the cost exponent `p` of the network that it returns. "Log-normal costs" means
log c ~ N(0, σ²) independently for every synapse; the weights are c^(1/p), so the costs are the same
whatever p.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "chain",
    "connectome_like",
    "dense_gaussian",
    "directed_cycle",
    "lattice",
    "random_network",
    "ring",
]


def connectome_like(
    n: int = 139_255,
    n_synapses: int = 15_000_000,
    *,
    reciprocity: float = 0.14,
    local_fraction: float = 0.6,
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
    - Weights are counts, :math:`\lceil e^z \rceil` with z ~ N(0.65, 1): 3.7 on average, as
      between the neurons of the fly brain [1]_.
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
        network can be drawn.

    Notes
    -----
    O(m log m) time for m synapses and about 70 bytes of memory for each while drawing.

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
    _require_at_least(n, 3)
    for name, value in {"reciprocity": reciprocity, "local_fraction": local_fraction}.items():
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value!r}; it must be between 0 and 1")
    n_mutual = int(reciprocity * n_synapses / 2)
    n_pairs = n_synapses - n_mutual  # unordered; a mutual one carries two synapses
    if n_pairs < n:
        raise InputError(
            f"{n_synapses} synapses are too few to connect {n} neurons; ask for at least "
            f"{int(np.ceil(n / (1 - reciprocity / 2))) + 1}"
        )
    rng = np.random.default_rng(seed)
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
        drawn = _draw_pairs(missing + missing // 8 + 16, reach, outset, local_fraction, rng)
        # Distinct pairs, whichever direction; the parity keeps either direction equally often.
        pairs = np.concatenate([pairs, drawn])
        pairs.sort()
        pairs = pairs[np.diff(pairs >> 1, prepend=-1) != 0]
    else:
        raise InputError(
            f"{n_synapses} synapses are too many to draw between {n} neurons with heavy-tailed "
            f"propensities; ask for fewer than about {n * (n - 1) // 12}"
        )
    surplus = rng.choice(pairs.size, pairs.size - (n_pairs - n), replace=False, shuffle=False)
    pairs = np.delete(pairs, surplus)

    low, high = np.divmod(pairs >> 1, n)
    ascending = ((pairs ^ (low + high)) & 1).astype(bool)
    first = np.arange(n)
    keys = np.concatenate(
        [np.where(ascending, high * n + low, low * n + high), (first + 1) % n * n + first]
    )
    del pairs, low, high, ascending
    post, pre = np.divmod(keys[rng.choice(n_pairs, n_mutual, replace=False, shuffle=False)], n)
    keys = np.concatenate([keys, pre * n + post])
    keys.sort()
    counts = rng.standard_normal(keys.size)
    counts += 0.65
    np.ceil(np.exp(counts, out=counts), out=counts)
    return _from_keys(keys, counts, n, p)


def ring(
    n: int, sigma: float = 1.0, reciprocal: bool = True, seed: int = 0, p: float = 2.0
) -> SynapticNetwork:
    """Return a ring, each neuron connected with the next, with log-normal costs.

    Parameters
    ----------
    n : int
        Number of neurons, at least 3.
    sigma : float
        Standard deviation of the log-costs.
    reciprocal : bool
        Whether neighbours are connected both ways (2 n synapses); otherwise the ring is a
        directed cycle (n synapses).
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
        If `n` is below 3.

    Examples
    --------
    >>> from graphbal.ensembles import ring
    >>> ring(5, sigma=0.0).weights.toarray().astype(int)
    array([[0, 1, 0, 0, 1],
           [1, 0, 1, 0, 0],
           [0, 1, 0, 1, 0],
           [0, 0, 1, 0, 1],
           [1, 0, 0, 1, 0]])
    """
    _require_at_least(n, 3)
    here = np.arange(n)
    forward = (here + 1) % n * n + here
    backward = here * n + (here + 1) % n
    return _log_normal(np.concatenate([forward, backward][: 1 + reciprocal]), n, sigma, seed, p)


def directed_cycle(n: int, sigma: float = 1.0, seed: int = 0, p: float = 2.0) -> SynapticNetwork:
    """Return a directed cycle 0 → 1 → ... → n - 1 → 0 with log-normal costs.

    At equilibrium every synapse costs the geometric mean of the costs.

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
    sigma : float
        Standard deviation of the log-costs.
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
        If `n` is below 2.

    Examples
    --------
    >>> from graphbal.ensembles import directed_cycle
    >>> directed_cycle(3, sigma=0.0).weights.toarray().astype(int)
    array([[0, 0, 1],
           [1, 0, 0],
           [0, 1, 0]])
    """
    _require_at_least(n, 2)
    here = np.arange(n)
    return _log_normal((here + 1) % n * n + here, n, sigma, seed, p)


def chain(n: int, sigma: float = 1.0, seed: int = 0, p: float = 2.0) -> SynapticNetwork:
    r"""Return a chain of reciprocal pairs with log-normal costs.

    It has detailed balance: at equilibrium both synapses of a pair cost
    :math:`\sqrt{c_{ij} c_{ji}}`, and the potentials are a random walk along the chain with steps
    of standard deviation σ / (√2 p).

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
    sigma : float
        Standard deviation of the log-costs.
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
        If `n` is below 2.

    Examples
    --------
    >>> from graphbal.ensembles import chain
    >>> chain(4, sigma=0.0).weights.toarray().astype(int)
    array([[0, 1, 0, 0],
           [1, 0, 1, 0],
           [0, 1, 0, 1],
           [0, 0, 1, 0]])
    """
    return lattice(1, n, sigma, seed, p)


def lattice(
    rows: int, columns: int, sigma: float = 1.0, seed: int = 0, p: float = 2.0
) -> SynapticNetwork:
    """Return a two-dimensional lattice of reciprocal pairs with log-normal costs.

    The neuron in row r and column c has the label r × `columns` + c and is connected both ways
    with the neighbours above, below, left and right; the edges of the lattice are open.

    Parameters
    ----------
    rows, columns : int
        Size of the lattice, at least two neurons.
    sigma : float
        Standard deviation of the log-costs.
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
        If the lattice has fewer than two neurons.

    Examples
    --------
    >>> from graphbal.ensembles import lattice
    >>> lattice(3, 4)
    SynapticNetwork(12 neurons, 34 synapses, c = |J|^2)
    """
    n = rows * columns if min(rows, columns) > 0 else 0
    _require_at_least(n, 2)
    place = np.arange(n).reshape(rows, columns)
    one = np.concatenate([place[:, :-1].ravel(), place[:-1].ravel()])
    other = np.concatenate([place[:, 1:].ravel(), place[1:].ravel()])
    return _log_normal(np.concatenate([one * n + other, other * n + one]), n, sigma, seed, p)


def random_network(
    n: int, mean_degree: float = 10.0, sigma: float = 1.0, seed: int = 0, p: float = 2.0
) -> SynapticNetwork:
    """Return a strongly connected Erdős–Rényi network with log-normal costs.

    Each ordered pair of different neurons is connected independently with probability
    `mean_degree` / (n - 1); a directed cycle through all neurons in random order is added, which
    makes the network strongly connected and gives each neuron at most one more input.

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
    mean_degree : float
        Expected number of inputs of a neuron, before the cycle is added; 0 to n - 1.
    sigma : float
        Standard deviation of the log-costs.
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
        If `n` is below 2, or `mean_degree` is outside 0 to n - 1.

    Notes
    -----
    O(m log m) time and O(m) memory for m synapses: the gaps between connected pairs are drawn.

    Examples
    --------
    >>> from graphbal.ensembles import random_network
    >>> random_network(100, mean_degree=5)
    SynapticNetwork(100 neurons, 554 synapses, c = |J|^2)
    """
    _require_at_least(n, 2)
    if not 0 <= mean_degree <= n - 1:
        raise InputError(f"mean_degree is {mean_degree!r}; it must be between 0 and n - 1")
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    cycle = np.roll(order, -1) * n + order
    probability = mean_degree / (n - 1)
    expected = n * mean_degree
    if probability > 0:
        # Ten standard deviations more than expected: the gaps reach past the last pair.
        gaps = rng.geometric(probability, int(expected + 10 * np.sqrt(expected)) + 10)
        chosen = np.cumsum(gaps) - 1
        post, pre = np.divmod(chosen[chosen < n * (n - 1)], n - 1)
        pre += pre >= post
        cycle = np.union1d(cycle, post * n + pre)
    return _log_normal(cycle, n, sigma, rng, p)


def dense_gaussian(n: int, seed: int = 0, p: float = 2.0) -> SynapticNetwork:
    """Return a dense network with J_ij ~ N(0, 1/n), self-connections included.

    The spectral radius of J is close to 1: the usual initialisation of a recurrent network.

    Parameters
    ----------
    n : int
        Number of neurons, at least 1.
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
        If `n` is below 1.

    Examples
    --------
    >>> from graphbal.ensembles import dense_gaussian
    >>> dense_gaussian(100)
    SynapticNetwork(100 neurons, 10,000 synapses, c = |J|^2)
    """
    _require_at_least(n, 1)
    J = np.random.default_rng(seed).standard_normal((n, n))
    J /= np.sqrt(n)
    return _from_keys(np.arange(n * n), J.ravel(), n, p)


def _draw_pairs(
    size: int,
    reach: NDArray[np.float64],
    outset: NDArray[np.float64],
    local_fraction: float,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return at most `size` keys, twice an unordered pair's number plus a bit for its direction."""
    n = reach.size
    pre = np.searchsorted(outset, rng.random(size), side="right")
    end = rng.random(size)
    is_local = rng.random(size) < local_fraction
    end[is_local] = reach[pre[is_local]] + rng.laplace(scale=0.01, size=np.count_nonzero(is_local))
    end -= np.floor(end)
    post = np.minimum(np.searchsorted(reach, end, side="right"), n - 1)
    apart = np.abs(post - pre)
    kept = (apart > 1) & (apart < n - 1)  # successors on the circle are connected already
    pre, post = pre[kept], post[kept]
    low, high = np.minimum(pre, post), np.maximum(pre, post)
    return 2 * (low * n + high) + ((pre < post) ^ ((low + high) & 1))


def _log_normal(
    keys: NDArray[np.int64], n: int, sigma: float, seed: int | np.random.Generator, p: float
) -> SynapticNetwork:
    """Return the network of the synapses with the given keys, post × n + pre, in any order."""
    log_costs = sigma * np.random.default_rng(seed).standard_normal(keys.size)
    return _from_keys(np.sort(keys), np.exp(log_costs / p), n, p)


def _from_keys(
    keys: NDArray[np.int64], weights: NDArray[np.float64], n: int, p: float
) -> SynapticNetwork:
    """Return the network of synapses with ascending keys post × n + pre."""
    index = np.int32 if max(n, keys.size) <= np.iinfo(np.int32).max else np.int64
    starts = np.searchsorted(keys, np.arange(n + 1) * n).astype(index)
    J = sparse.csr_array((weights, (keys % n).astype(index), starts), shape=(n, n))
    return SynapticNetwork(J, pd.RangeIndex(n), p=p)


def _require_at_least(n: int, least: int) -> None:
    if n < least:
        raise InputError(f"{n} neurons were asked for; this network needs at least {least}")
