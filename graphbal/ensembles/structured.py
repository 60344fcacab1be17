"""Networks whose synapses are given and whose weights alone are random: rings, lattices, trees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphbal.ensembles._build import begin, network_of, require_between, require_count
from graphbal.ensembles.blocks import block_keys
from graphbal.ensembles.weights import LogNormal, Weights
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = ["chain", "directed_cycle", "feed_forward", "lattice", "ring", "tree"]


def ring(
    n: int,
    *,
    reciprocal: bool = True,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a ring, each neuron connected with the next.

    With `reciprocal`, 2 n synapses, two inputs and two outputs each, reciprocity 1; otherwise the
    directed cycle. Weights are independent. At equilibrium every pair carries the same circulation
    K, the root of :math:`\sum_k \operatorname{asinh}(K / 2 s_k) = \tfrac12 \sum_k \log(a_k/b_k)`
    with :math:`s_k = \sqrt{a_k b_k}`; see `graphbal.analytic.ring`.

    Parameters
    ----------
    n : int
        Number of neurons, at least 3.
    reciprocal : bool
        Whether neighbours are connected both ways.
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
        If `n` is below 3, or `weights` or `seed` makes no sense.

    Notes
    -----
    O(n) time and memory.

    Examples
    --------
    >>> from graphbal.ensembles import Constant, ring
    >>> ring(5, weights=Constant(1)).weights.toarray().astype(int)
    array([[0, 1, 0, 0, 1],
           [1, 0, 1, 0, 0],
           [0, 1, 0, 1, 0],
           [0, 0, 1, 0, 1],
           [1, 0, 0, 1, 0]])
    """
    require_count("n", n, 3)
    rng = begin(seed, weights)
    here = np.arange(n)
    forward = (here + 1) % n * n + here
    backward = here * n + (here + 1) % n
    keys = np.concatenate([forward, backward]) if reciprocal else forward
    return network_of(keys, n, weights, rng, p)


def directed_cycle(
    n: int, *, weights: Weights = LogNormal(0.5), seed: int = 0, p: float = 2.0
) -> SynapticNetwork:
    r"""Return a directed cycle 0 → 1 → ... → n - 1 → 0.

    n synapses, one input and one output each, reciprocity 0 (1 for n = 2). At equilibrium every
    synapse costs the geometric mean of the costs, :math:`(\prod_k c_k)^{1/n}`.

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
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
        If `n` is below 2, or `weights` or `seed` makes no sense.

    Notes
    -----
    O(n) time and memory.

    Examples
    --------
    >>> from graphbal.ensembles import Constant, directed_cycle
    >>> directed_cycle(3, weights=Constant(1)).weights.toarray().astype(int)
    array([[0, 0, 1],
           [1, 0, 0],
           [0, 1, 0]])
    """
    require_count("n", n, 2)
    rng = begin(seed, weights)
    here = np.arange(n)
    return network_of((here + 1) % n * n + here, n, weights, rng, p)


def chain(
    n: int, *, weights: Weights = LogNormal(0.5), seed: int = 0, p: float = 2.0
) -> SynapticNetwork:
    r"""Return a chain of reciprocal pairs, 0 ⇄ 1 ⇄ ... ⇄ n - 1.

    2 (n − 1) synapses, reciprocity 1. It has detailed balance: at equilibrium both synapses of a
    pair cost :math:`\sqrt{c_{ij} c_{ji}}`, and the potentials are a random walk along the chain
    with steps :math:`\log(c_{k+1,k}/c_{k,k+1}) / 2p`, whose standard deviation is
    :math:`\sigma/\sqrt2` for weights ``LogNormal(σ)``.

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
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
        If `n` is below 2, or `weights` or `seed` makes no sense.

    Notes
    -----
    O(n) time and memory.

    Examples
    --------
    >>> from graphbal.ensembles import Constant, chain
    >>> chain(4, weights=Constant(1)).weights.toarray().astype(int)
    array([[0, 1, 0, 0],
           [1, 0, 1, 0],
           [0, 1, 0, 1],
           [0, 0, 1, 0]])
    """
    require_count("n", n, 2)
    return lattice(1, n, weights=weights, seed=seed, p=p)


def lattice(
    rows: int, columns: int, *, weights: Weights = LogNormal(0.5), seed: int = 0, p: float = 2.0
) -> SynapticNetwork:
    """Return a two-dimensional lattice of reciprocal pairs.

    The neuron in row r and column c has the label r × `columns` + c and is connected both ways
    with the neighbours above, below, left and right; the edges of the lattice are open. There are
    2 (rows (columns − 1) + (rows − 1) columns) synapses, reciprocity 1.

    Parameters
    ----------
    rows, columns : int
        Size of the lattice, at least two neurons.
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
        If the lattice has fewer than two neurons, or `weights` or `seed` makes no sense.

    Notes
    -----
    O(n) time and memory.

    Examples
    --------
    >>> from graphbal.ensembles import lattice
    >>> lattice(3, 4)
    SynapticNetwork(12 neurons, 34 synapses, c = |J|^2)
    """
    require_count("rows", rows, 1)
    require_count("columns", columns, 1)
    if rows * columns < 2:
        raise InputError("a lattice of 1 × 1 has no synapse; give at least two neurons")
    rng = begin(seed, weights)
    n = rows * columns
    place = np.arange(n).reshape(rows, columns)
    one = np.concatenate([place[:, :-1].ravel(), place[:-1].ravel()])
    other = np.concatenate([place[:, 1:].ravel(), place[1:].ravel()])
    keys = np.concatenate([one * n + other, other * n + one])
    return network_of(keys, n, weights, rng, p)


def tree(
    n: int,
    branching: int = 2,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a tree of reciprocal pairs, filled level by level.

    Neuron k > 0 is connected both ways with its parent, ⌊(k − 1) / branching⌋: 2 (n − 1)
    synapses, reciprocity 1. It has detailed balance: at equilibrium both synapses of a pair cost
    :math:`\sqrt{c_{ij} c_{ji}}`.

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
    branching : int
        Children of a neuron, at least 1 (a chain); n − 1 makes a star.
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
        If `n` or `branching` is too small, or `weights` or `seed` makes no sense.

    Notes
    -----
    O(n) time and memory.

    Examples
    --------
    >>> from graphbal.ensembles import Constant, tree
    >>> tree(7, weights=Constant(1)).edges()["pre"].tolist()     # parents and children in turn
    [1, 2, 0, 3, 4, 0, 5, 6, 1, 1, 2, 2]
    """
    require_count("n", n, 2)
    require_count("branching", branching, 1)
    rng = begin(seed, weights)
    child = np.arange(1, n)
    parent = (child - 1) // branching
    keys = np.concatenate([child * n + parent, parent * n + child])
    return network_of(keys, n, weights, rng, p)


def feed_forward(
    layers: Sequence[int],
    density: float = 1.0,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return layers of neurons, each connected to the next.

    Every neuron of a layer contacts every neuron of the next independently with probability
    `density`: :math:`\sum_l s_l s_{l+1}` times `density` synapses on average, binomial degrees,
    reciprocity 0. No synapse lies on a cycle, so that there is no finite equilibrium unless neurons
    are fixed: ``balance(net, fixed=...)`` with the first and the last layer.

    Parameters
    ----------
    layers : sequence of int
        Sizes of the layers, from the input to the output, at least 1 each. Labels go through them
        in this order.
    density : float
        Probability of a connection, 0 to 1.
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
        If there are fewer than two layers, one is empty, `density` is outside 0 to 1, or `weights`
        or `seed` makes no sense.

    Notes
    -----
    O(m log m) time for m synapses, about 45 bytes of memory for each.

    Examples
    --------
    >>> from graphbal.ensembles import feed_forward
    >>> feed_forward([3, 4, 2])
    SynapticNetwork(9 neurons, 20 synapses, c = |J|^2)
    """
    layers = list(layers)
    if len(layers) < 2:
        raise InputError(f"{len(layers)} layers were given; there must be at least 2")
    for at, size in enumerate(layers):
        require_count(f"layers[{at}]", size, 1)
    require_between("density", density, 0, 1)
    rng = begin(seed, weights)
    sizes = np.array(layers, dtype=np.int64)
    following = np.arange(1, sizes.size)
    probabilities = np.full(following.size, float(density))
    keys = block_keys(sizes, following, following - 1, probabilities, rng)
    return network_of(keys, int(sizes.sum()), weights, rng, p)
