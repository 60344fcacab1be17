"""Null models that rewire: every neuron keeps how many partners it has, not which."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal._checks import require_whole
from graphbal.convert import as_network
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork
from graphbal.nulls import _moves
from graphbal.nulls._sampler import Sampler, rearranged

__all__ = [
    "Mixing",
    "reciprocal_sampler",
    "rewire",
    "rewire_reciprocal",
    "rewiring_diagnostics",
    "rewiring_sampler",
]

_BITS = 2**25  # as many pairs of neurons, one bit each, are near the processor: 4 MiB
_POINTS = 20  # of the trace, over the steps of a null network


def rewire(network: Any, *, seed: int = 0, attempts: float = 10.0) -> SynapticNetwork:
    r"""Draw a network uniformly among all in which each neuron has the degrees it has.

    Every neuron keeps its number of inputs and of outputs and, as a set, the weights of its outputs
    (so its out-strength and Dale's law): which of its new targets gets which is drawn uniformly,
    too. No synapse occurs twice and no self-connection is made; those of the network stay.

    The chain exchanges the targets of two synapses, a → b and c → d becoming a → d and c → b, and
    turns paths a → b → c → d into a → c → b → d. Among the latter are reversals of directed
    triangles (where d is a), which exchanges alone do not always achieve [1]_, [2]_. A step whose
    proposal would make a synapse twice or a self-connection leaves the network as it is but counts:
    only so are all networks equally likely in the long run [3]_. How long that is,
    `rewiring_diagnostics` shows.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes. Factors α of synapses go with the weights, those of
        neurons stay.
    seed : int
        Seed of the random numbers.
    attempts : float
        Steps per synapse. The default is enough wherever most proposals are possible; dense
        networks need more.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If `attempts` is negative or not finite, or `seed` is not a whole number or negative.

    Notes
    -----
    O(m) memory. A step takes two or three look-ups of a synapse: in a bit each up to 5,792 neurons,
    above by going through the outputs of a neuron. That makes 50 to 500 nanoseconds a step.

    References
    ----------
    .. [1] A. R. Rao, R. Jana, S. Bandyopadhyay, "A Markov chain Monte Carlo method for generating
       random (0,1)-matrices with given marginals", Sankhyā A 58: 225-242 (1996).
    .. [2] P. L. Erdős, I. Miklós, Z. Toroczkai, "A simple Havel-Hakimi type algorithm to realize
       graphical degree sequences of directed graphs", Electronic J Combinatorics 17: R66 (2010).
       https://doi.org/10.48550/arXiv.0905.4913
    .. [3] E. S. Roberts, A. C. C. Coolen, "Unbiased degree-preserving randomization of directed
       binary networks", Physical Review E 85: 046103 (2012).
       https://doi.org/10.1103/PhysRevE.85.046103

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import nulls
    >>> J = np.array([[0, 1.0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 3.0], [4.0, 0, 0, 0]])
    >>> nulls.rewire(J, seed=3).weights.toarray()
    array([[0., 0., 2., 0.],
           [0., 0., 0., 3.],
           [4., 0., 0., 0.],
           [0., 1., 0., 0.]])
    """
    return rewiring_sampler(as_network(network), attempts=attempts).draw(seed=seed)


def rewire_reciprocal(network: Any, *, seed: int = 0, attempts: float = 10.0) -> SynapticNetwork:
    r"""Rewire a network whose reciprocal connections stay reciprocal, and one-way ones one-way.

    Every neuron keeps its number of reciprocal partners, of those it only receives from and of
    those it only sends to; so its in- and out-degree, too, and the network its reciprocity. It
    keeps, as sets, the weights of its reciprocal and of its one-way outputs.

    The chain is that of `rewire`, with moves among reciprocal pairs and moves among one-way
    synapses; where two neurons that are to be connected are connected already, and those of the
    other pair in the same way, the connections change places. All networks that these moves reach
    are equally likely in the long run.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes. Factors α of synapses go with the weights, those of
        neurons stay.
    seed : int
        Seed of the random numbers.
    attempts : float
        Steps per synapse.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If `attempts` is negative or not finite, or `seed` is not a whole number or negative.

    Notes
    -----
    No set of small moves is known to reach all networks with the same numbers of partners. These
    reach all if there are up to four neurons; of the networks of five, 4 % belong to a family that
    falls into parts. O(m) memory; a step takes about twice as long as one of `rewire`.

    References
    ----------
    .. [1] E. S. Roberts, A. C. C. Coolen, "Unbiased degree-preserving randomization of directed
       binary networks", Physical Review E 85: 046103 (2012).
       https://doi.org/10.1103/PhysRevE.85.046103

    Examples
    --------
    >>> import graphbal as gb
    >>> worm = gb.load_dataset("celegans")
    >>> null = gb.nulls.rewire_reciprocal(worm, seed=1)
    >>> for net in worm, gb.nulls.rewire(worm, seed=1), null:
    ...     support = net.weights != 0
    ...     print(support.multiply(support.T).nnz)
    1376
    298
    1376
    """
    return reciprocal_sampler(as_network(network), attempts=attempts).draw(seed=seed)


@dataclass(frozen=True, eq=False)
class Mixing:
    """How a chain of rewiring moves away from a network: see `rewiring_diagnostics`.

    Attributes
    ----------
    trace : DataFrame
        Index: steps per synapse. Columns: "accepted", the share of the steps since the row before
        that changed the network; "overlap", the share of its synapses that are (again) where they
        were.
    n_steps : int
        Steps of a null network.
    accepted : float
        Share of these steps that changed the network.
    overlap : float
        Overlap after these steps.
    settled_overlap, settled_sd : float
        Mean and standard deviation of the overlap after twice to three times as many steps.
    is_settled : bool
        Whether `overlap` is within three of these standard deviations of that mean.

    Examples
    --------
    >>> import graphbal as gb
    >>> mixing = gb.nulls.rewiring_diagnostics("witvliet-1")
    >>> mixing.is_settled, bool(mixing.trace["overlap"].iloc[0] > mixing.overlap)
    (True, True)
    """

    trace: pd.DataFrame
    n_steps: int
    accepted: float
    overlap: float
    settled_overlap: float
    settled_sd: float
    is_settled: bool


def rewiring_diagnostics(
    network: Any, null: str = "rewire", *, seed: int = 0, attempts: float = 10.0
) -> Mixing:
    """Follow the rewiring of a network, three times as long as a null network takes.

    The overlap with the network falls from 1 to a level it then fluctuates about. If it has not
    arrived there after the steps of a null network, more `attempts` are needed.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes.
    null : {"rewire", "rewire_reciprocal"}
        The null model.
    seed : int
        Seed of the random numbers.
    attempts : float
        Steps per synapse of a null network.

    Returns
    -------
    Mixing

    Raises
    ------
    InputError
        If the null model does not rewire, `attempts` is not above 0 or not finite, or `seed` is not
        a whole number or negative.

    Notes
    -----
    Takes as long as three null networks, and 60 comparisons of O(m log m).

    Examples
    --------
    >>> from graphbal.nulls import rewiring_diagnostics
    >>> mixing = rewiring_diagnostics("celegans")
    >>> mixing.is_settled, round(mixing.overlap, 2), round(mixing.accepted, 2)
    (True, 0.1, 0.79)
    """
    prepare = {"rewire": rewiring_sampler, "rewire_reciprocal": reciprocal_sampler}.get(null)
    if prepare is None:
        raise InputError(f"{null!r} does not rewire; choose rewire or rewire_reciprocal")
    chain = prepare(as_network(network), attempts=attempts)
    if chain.n_steps == 0:
        raise InputError("there is nothing to follow: no synapses, or no attempts")
    rng = np.random.default_rng(require_whole("seed", seed))
    n, moved, post = chain.network.n_neurons, chain.places, chain.post.copy()
    pre = chain.pre[moved].astype(np.int64)
    there = pre * n + post[moved]
    at = np.linspace(0, 3 * chain.n_steps, 3 * _POINTS + 1).round().astype(int)
    rows = [(np.nan, 1.0)]
    for n_steps in np.diff(at):
        n_moves = chain.run(post, n_steps, rng)
        overlap = np.isin(pre * n + post[moved], there, assume_unique=True).mean()
        rows.append((n_moves / max(n_steps, 1), overlap))
    trace = pd.DataFrame(
        rows,
        columns=["accepted", "overlap"],
        index=pd.Index(at / moved.size, name="steps_per_synapse"),
    )
    once, late = trace.iloc[: _POINTS + 1], trace["overlap"].iloc[2 * _POINTS :]
    overlap, mean = float(once["overlap"].iloc[-1]), float(late.mean())
    # What a level fluctuates by, at the least: its synapses are where they were independently.
    sd = float(max(late.std(), np.sqrt(mean * (1 - mean) / moved.size)))
    return Mixing(
        trace,
        chain.n_steps,
        float(once["accepted"].iloc[1:].mean()),
        overlap,
        mean,
        sd,
        abs(overlap - mean) <= 3 * sd,
    )


@dataclass(frozen=True, eq=False)
class _Rewiring(Sampler):
    """Holds the synapses by presynaptic neuron, and by what weights are shuffled.

    Attributes
    ----------
    indptr, pre, post : array of int
        The synapses, by presynaptic neuron.
    sources : array of int
        Place of each in ``network.weights.data``.
    places, bounds : array of int
        Groups of synapses that share out their weights among them, as in `shuffle_within`.
    n_steps : int
        Steps of the chain.
    """

    indptr: NDArray[np.integer]
    pre: NDArray[np.integer]
    post: NDArray[np.integer]
    sources: NDArray[np.integer]
    places: NDArray[np.integer]
    bounds: NDArray[np.integer]
    n_steps: int

    def _sample(self, rng: np.random.Generator) -> SynapticNetwork:
        post = self.post.copy()
        self.run(post, self.n_steps, rng)
        shuffled = self.places.copy()
        _moves.shuffle_within(shuffled, self.bounds, rng)
        sources = self.sources.copy()
        sources[self.places] = self.sources[shuffled]
        n = self.network.n_neurons
        support = sparse.csc_array((sources, post, self.indptr), shape=(n, n)).tocsr()
        return rearranged(self.network, support.data, support)

    def run(self, post: NDArray[np.integer], n_steps: int, rng: np.random.Generator) -> int:
        """Make steps, in place; return how many changed something."""
        return _moves.rewire(self.indptr, self.pre, post, self._bits(post), n_steps, rng)

    def _bits(self, post: NDArray[np.integer]) -> NDArray[np.uint64]:
        if self.network.n_neurons**2 <= _BITS:
            return _moves.pair_bits(self.indptr, post)
        return np.empty(0, dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class _ReciprocalRewiring(_Rewiring):
    """Holds also how many of the places are those of one-way synapses; they come first."""

    n_single: int

    def run(self, post: NDArray[np.integer], n_steps: int, rng: np.random.Generator) -> int:
        """Make steps, in place; return how many changed something."""
        bits = self._bits(post)
        return _moves.rewire_reciprocal(
            self.indptr, self.pre, post, bits, self.places, self.n_single, n_steps, rng
        )


def rewiring_sampler(network: SynapticNetwork, *, attempts: float = 10.0) -> _Rewiring:
    """Prepare `rewire`."""
    indptr, pre, post, sources = _by_presynaptic(network)
    places = np.flatnonzero(pre != post)
    return _Rewiring(
        network,
        indptr,
        pre,
        post,
        sources,
        places,
        np.searchsorted(pre[places], np.arange(network.n_neurons + 1)),
        _number_of_steps(attempts, places.size),
    )


def reciprocal_sampler(network: SynapticNetwork, *, attempts: float = 10.0) -> _Rewiring:
    """Prepare `rewire_reciprocal`."""
    indptr, pre, post, sources = _by_presynaptic(network)
    n = network.n_neurons
    keys, reverse = pre.astype(np.int64) * n + post, post.astype(np.int64) * n + pre
    is_mutual = np.isin(reverse, keys, assume_unique=True)
    single, mutual = np.flatnonzero(~is_mutual), np.flatnonzero(is_mutual & (pre != post))
    # Groups by presynaptic neuron and kind: first those of the one-way synapses, then the others.
    groups = np.concatenate([pre[single], pre[mutual] + n])
    places = np.concatenate([single, mutual])
    return _ReciprocalRewiring(
        network,
        indptr,
        pre,
        post,
        sources,
        places,
        np.searchsorted(groups, np.arange(2 * n + 1)),
        _number_of_steps(attempts, places.size),
        single.size,
    )


def _by_presynaptic(network: SynapticNetwork) -> tuple[NDArray[np.integer], ...]:
    """Return the synapses by presynaptic neuron: indptr, pre, post, places in the weights."""
    weights = network.weights
    arrays = np.arange(weights.nnz), weights.indices, weights.indptr
    turned = sparse.csr_array(arrays, shape=weights.shape).tocsc()
    neurons = np.arange(network.n_neurons, dtype=turned.indices.dtype)
    return turned.indptr, np.repeat(neurons, np.diff(turned.indptr)), turned.indices, turned.data


def _number_of_steps(attempts: float, n_synapses: int) -> int:
    if not (isinstance(attempts, Real) and 0 <= attempts < np.inf):
        raise InputError(f"attempts is {attempts!r}; it must be a finite number, not negative")
    return round(attempts * n_synapses)
