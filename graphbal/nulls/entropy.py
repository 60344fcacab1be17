"""The null model of maximum entropy whose degrees and strengths are right on average."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import optimize, sparse

from graphbal.convert import as_network
from graphbal.errors import InputError
from graphbal.network import Intake, SynapticNetwork
from graphbal.nulls._sampler import Sampler

__all__ = ["entropy_sampler", "maximum_entropy"]

_TOLERANCE = 1e-6  # of expected degrees and strengths, relative
_ITERATIONS = 200


def maximum_entropy(network: Any, *, seed: int = 0) -> SynapticNetwork:
    r"""Draw a network whose degrees and strengths are, on average, those of the given one.

    Synapses exist independently, j → i with probability

    .. math:: p_{ij} = \frac{x_j y_i}{1 + x_j y_i}, \qquad i ≠ j,

    the distribution of largest entropy among all whose mean in- and out-degrees are those of the
    network [1]_. Where it exists, its :math:`|J_{ij}|` is exponential with mean
    :math:`a_j b_i / p_{ij}`, the largest entropy for that mean, so that
    :math:`\langle |J_{ij}| \rangle = a_j b_i`: out- and in-strengths
    :math:`\sum_i |J_{ij}|` and :math:`\sum_j |J_{ij}|` are met on average (model B of [2]_, with
    what self-connections would take put right). A synapse is inhibitory with the share of
    inhibitory ones among the outputs of its presynaptic neuron, which keeps Dale's law.

    Unlike `rewire` this lets degrees fluctuate, and weights with them.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes. Factors α of neurons stay; synapses must not have
        their own. Synapses of weight zero do not count.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    SynapticNetwork
        Self-connections are those of the network. Weights are not counts, even if those of the
        network are.

    Raises
    ------
    InputError
        If α is given by synapse, `seed` is not a whole number or negative, or no such x, y, a and b
        were found: a handful of neurons may have degrees that only chances of 0 and 1 make. The
        message names the neuron that is furthest off.

    Notes
    -----
    x and y are found by Newton steps on :math:`\log x` and :math:`\log y` in turn, until expected
    degrees are right to a relative 1e-6: some five passes of O(d²) for d different pairs of in- and
    out-degree. a and b solve one equation in one unknown, O(n). All are found once for
    the networks that a `graphbal.nulls.sampler` draws. Drawing takes O(n + m) time and memory:
    targets are gone through in the order of y, in geometric leaps [3]_.

    References
    ----------
    .. [1] T. Squartini, D. Garlaschelli, "Analytical maximum-likelihood method to detect patterns
       in real networks", New J Physics 13: 083001 (2011).
       https://doi.org/10.1088/1367-2630/13/8/083001
    .. [2] F. Parisi, T. Squartini, D. Garlaschelli, "A faster horse on a safer trail: generalized
       inference for the efficient reconstruction of weighted networks", New J Physics 22: 053053
       (2020). https://doi.org/10.1088/1367-2630/ab74a7
    .. [3] J. C. Miller, A. Hagberg, "Efficient generation of networks with given expected
       degrees", WAW 2011, LNCS 6732: 115-126. https://doi.org/10.1007/978-3-642-21286-4_10

    Examples
    --------
    >>> import graphbal as gb
    >>> worm = gb.load_dataset("celegans")
    >>> null = gb.nulls.maximum_entropy(worm, seed=1)
    >>> null.n_synapses, worm.n_synapses
    (3813, 3709)
    >>> print(f"{null.weights.sum() / worm.weights.sum():.2f}")
    1.02
    """
    return entropy_sampler(as_network(network)).draw(seed=seed)


@dataclass(frozen=True, eq=False)
class _Entropy(Sampler):
    """Holds the model's parameters, by neuron.

    Attributes
    ----------
    x, y : array
        Of outputs and of inputs: p = x y / (1 + x y).
    a, b : array
        Of outputs and of inputs: expected |weight| = a b.
    own : array
        Weights of self-connections.
    inhibitory : array
        Share of inhibitory ones among the outputs.
    order : array of int
        Neurons by descending y.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    own: NDArray[np.float64]
    inhibitory: NDArray[np.float64]
    order: NDArray[np.integer]

    def _sample(self, rng: np.random.Generator) -> SynapticNetwork:
        indptr, post, values = _draw(
            self.x,
            self.y[self.order],
            self.a,
            self.b[self.order],
            self.order,
            self.own,
            self.inhibitory,
            self.network.n_synapses,
            rng,
        )
        n = self.network.n_neurons
        weights = sparse.csc_array((values, post, indptr), shape=(n, n)).tocsr()
        return replace(self.network, weights=weights, edge_attributes={}, intake=Intake())


def entropy_sampler(network: SynapticNetwork) -> Sampler:
    """Prepare `maximum_entropy`."""
    if sparse.issparse(network.alpha):
        raise InputError(
            "α is given by synapse, but maximum_entropy makes new synapses; give α by neuron"
        )
    weights = network.weights.tocoo()
    kept = (weights.row != weights.col) & (weights.data != 0)
    pre, post, values = weights.col[kept], weights.row[kept], weights.data[kept]
    n = network.n_neurons

    def summed(ends: NDArray[np.integer], what: Any = None) -> NDArray[np.float64]:
        return np.bincount(ends, what, minlength=n).astype(float)

    sent, received = summed(pre), summed(post)
    x, y = _fit_degrees(network, sent, received)
    a, b = _fit_strengths(network, summed(pre, np.abs(values)), summed(post, np.abs(values)))
    return _Entropy(
        network,
        x,
        y,
        a,
        b,
        network.weights.diagonal(),
        summed(pre, values < 0) / np.maximum(sent, 1),
        np.argsort(-y, kind="stable").astype(network.weights.indices.dtype),
    )


def _fit_degrees(
    network: SynapticNetwork, sent: NDArray[np.float64], received: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y, at which the expected out- and in-degrees are those given."""
    n = network.n_neurons
    # Neurons of the same degrees have the same x and y.
    keys, where, counts = np.unique(sent * n + received, return_inverse=True, return_counts=True)
    outputs, inputs = np.divmod(keys, n)
    scale = np.sqrt(max(sent.sum(), 1))
    x, y = outputs / scale, inputs / scale
    for _ in range(_ITERATIONS):
        found_out = _newton_step(outputs, x, y, counts)
        found_in = _newton_step(inputs, y, x, counts)
        if _agree(found_out, outputs) and _agree(found_in, inputs):
            break
    _require(network, "out-degree", found_out[where], sent)
    _require(network, "in-degree", found_in[where], received)
    return x[where], y[where]


def _fit_strengths(
    network: SynapticNetwork, sent: NDArray[np.float64], received: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a and b, at which a_j Σ_{i≠j} b_i and b_i Σ_{j≠i} a_j are the strengths given.

    With u = a / Σ a, v = b / Σ b and z = 1 / (Σ a Σ b) every neuron has u (1 - v) = z sent and
    v (1 - u) = z received, a quadratic equation. What remains is one unknown, such that Σ u = 1:
    the square root in the solution for the neuron of largest strengths, which may take either sign.
    """
    if not sent.any():
        return np.zeros_like(sent), np.zeros_like(sent)
    both, apart = sent + received, sent - received
    hub = int(np.argmax(np.sqrt(sent) + np.sqrt(received)))

    def shares(root: float) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        z = (1 - root**2) / (
            both[hub] + np.sqrt(4 * sent[hub] * received[hub] + (apart[hub] * root) ** 2)
        )
        roots = np.sqrt(np.maximum(1 - 2 * both * z + (apart * z) ** 2, 0))
        u, v = (2 * z * s / (1 + z * d + roots) for s, d in ((sent, apart), (received, -apart)))
        if root < 0:
            u[hub], v[hub] = (1 + z * apart[hub] - root) / 2, (1 - z * apart[hub] - root) / 2
        return u, v, z

    def surplus(root: float) -> float:
        return float(shares(root)[0].sum()) - 1

    root = -1 + 1e-8  # close to the limit: the solution of a star, whose hub has everything
    if both[hub] < (1 - 1e-6) * sent.sum():
        root = optimize.brentq(surplus, root, 1.0, xtol=1e-15)
    u, v, z = shares(root)
    a, b = u / np.sqrt(z), v / np.sqrt(z)
    for what, one, other, wanted in ("out", a, b, sent), ("in", b, a, received):
        others = other.sum() - other
        others[hub] = np.delete(other, hub).sum()  # lest digits be lost
        _require(network, f"{what}-strength", one * others, wanted)
    return a, b


def _agree(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> bool:
    return bool((np.abs(found - wanted) <= _TOLERANCE * wanted).all())


def _require(
    network: SynapticNetwork, what: str, found: NDArray[np.float64], wanted: NDArray[np.float64]
) -> None:
    if not _agree(found, wanted):
        at = int(np.argmax(np.abs(found - wanted) / np.maximum(wanted, 1e-300)))
        raise InputError(
            f"no model of maximum entropy was found: the neuron {network.neurons[at]!r} gets an "
            f"expected {what} of {found[at]:.9g} instead of {wanted[at]:.9g}; rewire the network "
            "instead"
        )


@njit(cache=True, nogil=True, fastmath={"reassoc"})  # sums in any order: vectorised
def _newton_step(degrees, x, y, counts):  # type: ignore[no-untyped-def]
    """Return the expected degrees, and let x take a Newton step towards those given.

    It solves for the odds of the mean probability, which makes it exact where all y are equal.
    """
    found = np.zeros(x.size)
    reachable = np.where(y > 0, counts, 0).astype(np.float64)
    for c in range(x.size):
        if degrees[c] == 0:
            continue
        expected, missing, slope = 0.0, 0.0, 0.0
        for d in range(x.size):
            q = 1 / (1 + x[c] * y[d])
            expected += reachable[d] * (1 - q)
            missing += reachable[d] * q
            slope += reachable[d] * (1 - q) * q
        if y[c] > 0:  # itself
            q = 1 / (1 + x[c] * y[c])
            expected, missing, slope = expected - (1 - q), missing - q, slope - (1 - q) * q
        found[c] = expected
        possible = expected + missing
        wanted = np.log(degrees[c] / max(possible - degrees[c], 0.1 * _TOLERANCE * degrees[c]))
        step = (wanted - np.log(expected / missing)) * expected * missing / (possible * slope)
        x[c] *= np.exp(min(max(step, -20.0), 20.0))
    return found


@njit(cache=True, nogil=True)
def _draw(x, y, a, b, order, own, inhibitory, room, rng):  # type: ignore[no-untyped-def]
    """Return the synapses of a network by presynaptic neuron: indptr, post and weights.

    y and b come in `order`, y descending. There is room for so many synapses at first.
    """
    n = x.size
    indptr = np.zeros(n + 1, order.dtype)
    post, weights = np.empty(room + 1, order.dtype), np.empty(room + 1)
    number = 0
    for j in range(n):
        if own[j] != 0:
            post[number], weights[number] = j, own[j]
            number += 1
        at, bound = 0, 1.0
        while at < n:
            if number >= post.size - 1:
                post = np.concatenate((post, np.empty_like(post)))
                weights = np.concatenate((weights, np.empty_like(weights)))
            # The chances fall from here on: leap over all that the last one says do not exist.
            if bound < 1:
                leap = np.log(1 - rng.random()) / np.log1p(-bound)
                if leap >= n - at:
                    break
                at += np.int64(leap)
            odds = x[j] * y[at]
            chance = odds / (1 + odds)
            if rng.random() * bound < chance and order[at] != j:
                mean = a[j] * b[at] / chance
                sign = -1.0 if rng.random() < inhibitory[j] else 1.0
                post[number] = order[at]
                weights[number] = sign * mean * rng.standard_exponential()
                number += 1
            if chance == 0:
                break
            bound = chance
            at += 1
        indptr[j + 1] = number
    return indptr, post[:number], weights[:number]
