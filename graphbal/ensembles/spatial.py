"""Random networks in space: nearby neurons are more likely to be connected."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graphbal.ensembles._build import begin, choose, network_of, require_between, require_count
from graphbal.ensembles.weights import LogNormal, Weights
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = ["spatial"]


def spatial(
    rows: int,
    columns: int,
    mean_degree: float = 10.0,
    length: float = 2.0,
    *,
    weights: Weights = LogNormal(0.5),
    seed: int = 0,
    p: float = 2.0,
) -> SynapticNetwork:
    r"""Return a sheet of neurons connected with a probability that decays with distance.

    The neuron in row r and column c of the sheet has the label r × `columns` + c; the sheet is
    closed in both directions (a torus), so that all neurons are alike. The synapse j → i, i ≠ j,
    exists independently of all others with probability

    .. math:: P(d) = \min(1,\, q\, e^{-d/\ell})

    of the distance d between i and j, in units of that between neighbours: the exponential
    distance rule of cortex [1]_. q makes the mean degree what was asked for. In- and out-degrees
    have mean Σ P and variance Σ P (1 − P), the sums going over all other neurons, and are
    independent of each other; a fraction Σ P² / Σ P of the synapses is reciprocated.

    Parameters
    ----------
    rows, columns : int
        Size of the sheet, at least two neurons; `rows` = 1 is a ring.
    mean_degree : float
        Expected number of inputs of a neuron, 0 to n − 1.
    length : float
        Length ℓ over which the probability decays by e, in distances of neighbours; at least
        0.001, where only the nearest are connected.
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
    For each displacement the number of synapses is binomial, and every set of so many neurons
    equally likely. O(m log m) time for m synapses, about 55 bytes of memory for each.

    References
    ----------
    .. [1] M. Ercsey-Ravasz et al., "A predictive network model of cerebral cortical connectivity
       based on a distance rule", Neuron 80: 184-197 (2013).
       https://doi.org/10.1016/j.neuron.2013.07.036

    Examples
    --------
    >>> from graphbal.ensembles import spatial
    >>> spatial(10, 12)
    SynapticNetwork(120 neurons, 1,254 synapses, c = |J|^2)
    """
    require_count("rows", rows, 1)
    require_count("columns", columns, 1)
    n = rows * columns
    if n < 2:
        raise InputError("a sheet of 1 × 1 has no synapse; give at least two neurons")
    require_between("mean_degree", mean_degree, 0, n - 1, ", n - 1")
    require_between("length", length, 1e-3, np.finfo(float).max)
    rng = begin(seed, weights)
    down, right = np.divmod(np.arange(1, n), columns)
    distances = np.hypot(np.minimum(down, rows - down), np.minimum(right, columns - right))
    probabilities = _probabilities(distances, mean_degree, length)

    counts = rng.binomial(n, probabilities)
    post = choose(counts, np.full(n - 1, n), rng) % n
    row, column = np.divmod(post, columns)
    row += np.repeat(down, counts)
    row %= rows
    column += np.repeat(right, counts)
    column %= columns
    return network_of(post * n + row * columns + column, n, weights, rng, p)


def _probabilities(
    distances: NDArray[np.float64], mean_degree: float, length: float
) -> NDArray[np.float64]:
    """Return min(1, q e^(−d/ℓ)) with the sum `mean_degree`."""
    # Where the nearest k are certain, the rest share mean_degree − k; q follows for the first k
    # that leaves nobody else above 1.
    order = np.argsort(distances, kind="stable")
    log_decay = (distances[order[0]] - distances[order]) / length
    log_left = np.logaddexp.accumulate(log_decay[::-1])[::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_share = np.log(mean_degree - np.arange(distances.size))
        k = int(np.argmax(log_share + log_decay <= log_left))
    found = np.ones(distances.size)
    found[k:] = np.minimum(1.0, np.exp(log_share[k] + log_decay[k:] - log_left[k]))
    probabilities = np.empty_like(found)
    probabilities[order] = found
    return probabilities
