"""Networks as they are trained, simulated and analysed: dense, low-rank, excitatory–inhibitory."""

from __future__ import annotations

import numpy as np

from graphbal.ensembles._build import begin, network_of_sorted, require_between, require_count
from graphbal.ensembles.degrees import erdos_renyi_keys
from graphbal.ensembles.weights import LogNormal, Weights
from graphbal.network import SynapticNetwork

__all__ = ["dense_gaussian", "excitatory_inhibitory", "low_rank"]


def dense_gaussian(n: int, gain: float = 1.0, *, seed: int = 0, p: float = 2.0) -> SynapticNetwork:
    r"""Return a dense network with J_ij ~ N(0, g²/n), self-connections included.

    The eigenvalues of J fill a disc of radius g, the `gain`: with g = 1, the usual
    initialisation of a recurrent network, at the edge of chaos [1]_. Density and reciprocity
    are 1. (The weights are what defines it; there is no `weights`.)

    Parameters
    ----------
    n : int
        Number of neurons, at least 1.
    gain : float
        g, above 0.
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
        If `n` is below 1, or `gain` or `seed` makes no sense.

    Notes
    -----
    O(n²) time, and about 40 bytes of memory for each of n² synapses.

    References
    ----------
    .. [1] H. Sompolinsky, A. Crisanti, H. J. Sommers, "Chaos in random neural networks", Phys Rev
       Lett 61: 259-262 (1988). https://doi.org/10.1103/PhysRevLett.61.259

    Examples
    --------
    >>> from graphbal.ensembles import dense_gaussian
    >>> dense_gaussian(100)
    SynapticNetwork(100 neurons, 10,000 synapses, c = |J|^2)
    """
    require_count("n", n, 1)
    require_between("gain", gain, np.finfo(float).tiny, np.finfo(float).max)
    J = begin(seed).standard_normal((n, n))
    J *= gain
    J /= np.sqrt(n)
    return network_of_sorted(np.arange(n * n), J.ravel(), n, p)


def low_rank(
    n: int,
    rank: int = 1,
    strength: float = 1.5,
    gain: float = 0.5,
    *,
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a dense network of low rank plus noise, as training makes them.

    .. math:: J = \frac{g}{\sqrt n} X + \frac1n \sum_{r=1}^{R} m_r n_r^\mathsf{T},
              \qquad n_r = \lambda m_r + z_r ,

    where X, the :math:`m_r` and the :math:`z_r` are independent and standard normal [1]_. R
    eigenvalues lie near λ, the `strength`, within :math:`O(\sqrt{R/n})`; the others fill a disc
    of radius g, the `gain`. Off the diagonal, J_ij has mean 0 and variance
    :math:`g^2/n + R (1 + \lambda^2)/n^2`; on it, the mean is :math:`R \lambda / n`. Density and
    reciprocity are 1. (The weights are what defines it; there is no `weights`.)

    Parameters
    ----------
    n : int
        Number of neurons, at least `rank`.
    rank : int
        R, at least 1.
    strength : float
        λ, the outlying eigenvalue.
    gain : float
        g, above 0.
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
        If a number is outside its limits, or `seed` makes no sense.

    Notes
    -----
    O(n² R) time, and about 40 bytes of memory for each of n² synapses.

    References
    ----------
    .. [1] F. Mastrogiuseppe, S. Ostojic, "Linking connectivity, dynamics, and computations in
       low-rank recurrent neural networks", Neuron 99: 609-623 (2018).
       https://doi.org/10.1016/j.neuron.2018.07.003

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal.ensembles import low_rank
    >>> J = low_rank(200, strength=2.0).weights.toarray()
    >>> np.sort(np.abs(np.linalg.eigvals(J)))[-2:].round(1)
    array([0.5, 1.9])
    """
    require_count("rank", rank, 1)
    require_count("n", n, rank)
    largest = np.finfo(float).max
    require_between("strength", strength, -largest, largest)
    require_between("gain", gain, np.finfo(float).tiny, largest)
    rng = begin(seed)
    J = rng.standard_normal((n, n))
    J *= gain / np.sqrt(n)
    left, right = rng.standard_normal((2, rank, n))
    right += strength * left
    J += left.T @ right / n
    return network_of_sorted(np.arange(n * n), J.ravel(), n, p)


def excitatory_inhibitory(
    n: int,
    mean_degree: float = 10.0,
    excitatory: float = 0.8,
    inhibition: float = 4.0,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return an Erdős–Rényi network that obeys Dale's law.

    All outputs of the first :math:`n_E = \operatorname{round}(n \cdot \text{excitatory})` neurons
    are positive, all those of the others negative and `inhibition` times as large: weights are
    :math:`w` and :math:`-g w` with w the magnitude drawn from `weights` (its sign is dropped) and
    g the `inhibition`. Degrees, density and reciprocity are those of `erdos_renyi`.

    Excitatory weights have mean E[w] and variance Var[w], inhibitory ones −g E[w] and g² Var[w].
    The summed weight of a neuron's inputs is zero on average, up to one neuron, if
    :math:`g = n_E / (n - n_E)`, the default: excitation and inhibition balance [1]_, [2]_.

    Parameters
    ----------
    n : int
        Number of neurons, at least 2.
    mean_degree : float
        Expected number of inputs of a neuron, 0 to n − 1.
    excitatory : float
        Fraction of the neurons that are excitatory, 0 to 1.
    inhibition : float
        g, above 0.
    weights : Weights
        Distribution of the magnitudes.
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
    O(m) time for m synapses, about 40 bytes of memory for each.

    References
    ----------
    .. [1] N. Brunel, "Dynamics of sparsely connected networks of excitatory and inhibitory spiking
       neurons", J Comput Neurosci 8: 183-208 (2000). https://doi.org/10.1023/A:1008925309027
    .. [2] K. Rajan, L. F. Abbott, "Eigenvalue spectra of random matrices for neural networks",
       Phys Rev Lett 97: 188104 (2006). https://doi.org/10.1103/PhysRevLett.97.188104

    Examples
    --------
    >>> from graphbal.ensembles import Constant, excitatory_inhibitory
    >>> J = excitatory_inhibitory(5, 4, weights=Constant(1)).weights     # all pairs connected
    >>> J.toarray()[0]
    array([ 0.,  1.,  1.,  1., -4.])
    """
    require_count("n", n, 2)
    require_between("mean_degree", mean_degree, 0, n - 1, ", n - 1")
    require_between("excitatory", excitatory, 0, 1)
    require_between("inhibition", inhibition, np.finfo(float).tiny, np.finfo(float).max)
    rng = begin(seed, weights)
    keys = erdos_renyi_keys(n, mean_degree, rng)
    values = np.abs(weights.draw(keys.size, rng))
    values *= np.where(keys % n < round(n * excitatory), 1.0, -inhibition)
    return network_of_sorted(keys, values, n, p)
