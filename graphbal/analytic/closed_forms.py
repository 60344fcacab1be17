"""Equilibria and trajectories of the balancing flow that can be written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphbal.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "RingEquilibrium",
    "directed_cycle",
    "pair_potentials",
    "rank_one",
    "reciprocal_pair",
    "ring",
    "single_synapse",
]

Array = NDArray[np.float64]


def single_synapse(cost: ArrayLike, t: ArrayLike, p: float = 2.0, rate: float = 1.0) -> Array:
    r"""Return the cost of a single synapse along the balancing flow.

    .. math:: c(t) = \frac{c_0}{1 + 2 p γ c_0 t}

    is equation 31 of [1]_: nothing balances the synapse, and its cost falls like 1/t.

    Parameters
    ----------
    cost : float or array
        Cost c₀ at t = 0.
    t : float or array
        Times, in units of 1/(γ × cost); `cost` and `t` are broadcast against each other.
    p : float
        Exponent of the cost.
    rate : float
        Rate γ of the flow.

    Returns
    -------
    array
        c(t), in units of `cost`.

    Raises
    ------
    InputError
        If a cost or time is negative or not finite, or p or the rate is not above 0.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> from graphbal import analytic
    >>> analytic.single_synapse(1.0, [0, 1, 10, 100]).round(4).tolist()
    [1.0, 0.2, 0.0244, 0.0025]
    """
    c0 = _not_negative(cost, "cost")
    return c0 / (1.0 + c0 * _saturating_time(c0, np.zeros(()), t, p, rate))


def reciprocal_pair(
    forward: ArrayLike, backward: ArrayLike, t: ArrayLike, p: float = 2.0, rate: float = 1.0
) -> tuple[Array, Array]:
    r"""Return both costs of a reciprocal pair along the balancing flow.

    Equation 29 of [1]_ is :math:`\tanh(u/2) = \tanh(u_0/2)\, e^{-4 p γ c^* t}` with
    :math:`c^* = \sqrt{c_{12} c_{21}}` and :math:`u = ½ \log(c_{12}/c_{21})`. Solved for the costs,

    .. math::

        c_{12}(t) = c_{12} \frac{1 + θ c_{21}}{1 + θ c_{12}}, \qquad
        c_{21}(t) = c_{21} \frac{1 + θ c_{12}}{1 + θ c_{21}}, \qquad
        θ(t) = \frac{\tanh(2 p γ c^* t)}{c^*},

    which nothing cancels in and nothing overflows; where one of the two is 0, θ = 2 p γ t, and this
    is `single_synapse`.

    Parameters
    ----------
    forward, backward : float or array
        Costs c₁₂ and c₂₁ at t = 0.
    t : float or array
        Times, in units of 1/(γ × cost). All three are broadcast against each other.
    p : float
        Exponent of the cost.
    rate : float
        Rate γ of the flow.

    Returns
    -------
    c12, c21 : arrays
        Costs at the times, in units of `forward`. Their product is constant.

    Raises
    ------
    InputError
        If a cost or time is negative or not finite, or p or the rate is not above 0.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> from graphbal import analytic
    >>> c12, c21 = analytic.reciprocal_pair(4.0, 1.0, [0, 0.1, 10])
    >>> c12.round(4).tolist(), c21.round(4).tolist()
    ([4.0, 2.2886, 2.0], [1.0, 1.7478, 2.0])
    """
    c12, c21 = _not_negative(forward, "cost"), _not_negative(backward, "cost")
    theta = _saturating_time(c12, c21, t, p, rate)
    ratio = (1.0 + theta * c21) / (1.0 + theta * c12)
    return c12 * ratio, c21 / ratio


def pair_potentials(
    forward: ArrayLike, backward: ArrayLike, t: ArrayLike, p: float = 2.0, rate: float = 1.0
) -> tuple[Array, Array]:
    r"""Return the potentials of two neurons along the balancing flow from h = 0.

    .. math:: h_1(t) = -h_2(t) = \frac{1}{2p} \log \frac{1 + θ c_{12}}{1 + θ c_{21}},

    with θ(t) of `reciprocal_pair`, of whose costs these are the logarithms [1]_. A single synapse
    (one cost 0) has potentials that part like log t.

    Parameters
    ----------
    forward, backward, t, p, rate
        As in `reciprocal_pair`; `forward` is the cost of the synapse 2 → 1.

    Returns
    -------
    h1, h2 : arrays
        Potentials at the times, dimensionless; their sum is 0.

    Raises
    ------
    InputError
        As in `reciprocal_pair`.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> from graphbal import analytic
    >>> h1, h2 = analytic.pair_potentials(4.0, 1.0, t=100.0)
    >>> round(float(h1 - h2), 4)  # (1/2p) log(4/1)
    0.3466
    """
    c12, c21 = _not_negative(forward, "cost"), _not_negative(backward, "cost")
    theta = _saturating_time(c12, c21, t, p, rate)
    h = (np.log1p(theta * c12) - np.log1p(theta * c21)) / (2.0 * p)
    return h, -h


def directed_cycle(costs: ArrayLike) -> float:
    r"""Return the cost that every synapse of a directed cycle has at equilibrium.

    What enters a neuron leaves it by one synapse, so all costs are equal; balancing keeps their
    product. So they equal the geometric mean.

    Parameters
    ----------
    costs : array
        Costs of the synapses, above 0.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If there is no cost, or one is not a number above 0.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> from graphbal import analytic
    >>> round(analytic.directed_cycle([8.0, 1.0, 1.0]), 12)
    2.0
    """
    return float(np.exp(np.log(_positive(costs, "cost")).mean()))


class RingEquilibrium(NamedTuple):
    """The equilibrium of a ring.

    Attributes
    ----------
    circulation : float
        Net cost K = a*_k − b*_k that every neighbour pair passes on, in units of cost; above 0 if
        it runs forward, k → k + 1.
    forward, backward : array, shape (n,)
        Costs a*_k of k → k + 1 and b*_k of k + 1 → k.
    potentials : array, shape (n,)
        Potentials h, dimensionless, of mean zero.

    Examples
    --------
    >>> from graphbal import analytic
    >>> found = analytic.ring([3.0, 3.0, 3.0], [1.0, 1.0, 1.0])  # balanced as it is
    >>> round(found.circulation, 9), found.forward.round(9).tolist()
    (2.0, [3.0, 3.0, 3.0])
    """

    circulation: float
    forward: Array
    backward: Array
    potentials: Array


def ring(forward: ArrayLike, backward: ArrayLike, p: float = 2.0) -> RingEquilibrium:
    r"""Return the equilibrium of a ring of neurons joined with their neighbours.

    With :math:`s_k = \sqrt{a_k b_k}` the circulation K is the root of one increasing function,

    .. math:: \sum_k \operatorname{asinh} \frac{K}{2 s_k} = ½ \sum_k \log \frac{a_k}{b_k},

    and then :math:`a^*_k = K/2 + \sqrt{K^2/4 + s_k^2}`, :math:`b^*_k = s_k^2 / a^*_k`: at
    equilibrium no neuron accumulates cost, and a pair keeps its product [1]_.

    Parameters
    ----------
    forward : array, shape (n,)
        Costs a_k of the synapses k → k + 1 (the last leads to neuron 0), n ≥ 3.
    backward : array, shape (n,)
        Costs b_k of the synapses k + 1 → k. A synapse that is not there costs 0, but all those one
        way or all those the other way must be there.
    p : float
        Exponent of the cost.

    Returns
    -------
    RingEquilibrium

    Raises
    ------
    InputError
        If the two directions differ in length, a cost is negative or not finite, or so many are
        0 that the ring cannot be walked around one way.

    Notes
    -----
    O(n): a few Newton steps on K.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> from graphbal import analytic
    >>> found = analytic.ring([8.0, 1.0, 1.0], [1.0, 1.0, 1.0], p=1)
    >>> round(found.circulation, 4)
    0.9085
    >>> (found.forward * found.backward).round(12).tolist()
    [8.0, 1.0, 1.0]
    """
    from graphbal.solvers._rings import circulate

    a, b = (_not_negative(side, "cost") for side in (forward, backward))
    if a.ndim != 1 or a.shape != b.shape or a.size < 3:
        raise InputError(
            f"the costs forward and backward have shapes {a.shape} and {b.shape}; a ring takes one "
            "cost each way per neuron, of three neurons or more"
        )
    if (a == 0).any() and (b == 0).any():
        raise InputError(
            "the ring cannot be walked around in either direction, so it has no finite "
            "equilibrium; give positive costs for all synapses of one direction"
        )
    _require_positive(p, "p")
    with np.errstate(divide="ignore"):
        log_a, log_b = np.log(a), np.log(b)
    x = circulate(log_a, log_b)
    balanced_a, balanced_b = np.exp(log_a + x), np.exp(log_b - x)
    # The circulation is cancelled least where it is largest against the costs that carry it.
    at = int(np.argmin(log_a + log_b))
    potentials = -np.concatenate([[0.0], np.cumsum(x[:-1])]) / p
    return RingEquilibrium(
        circulation=float(balanced_a[at] - balanced_b[at]),
        forward=balanced_a,
        backward=balanced_b,
        potentials=potentials - potentials.mean(),
    )


def rank_one(incoming: ArrayLike, outgoing: ArrayLike, p: float = 2.0) -> Array:
    r"""Return the equilibrium potentials of a network with costs :math:`c_{ij} = a_i b_j`.

    .. math:: h_k = \frac{1}{2p} \log \frac{a_k}{b_k}, \qquad
              c^*_{ij} = \sqrt{a_i b_i a_j b_j}.

    Such a network is in detailed balance: its transform is symmetric. It need not have
    self-connections.

    Parameters
    ----------
    incoming, outgoing : array, shape (n,)
        Factors a (postsynaptic) and b (presynaptic), above 0.
    p : float
        Exponent of the cost.

    Returns
    -------
    array, shape (n,)
        Potentials h, dimensionless, of mean zero.

    Raises
    ------
    InputError
        If the factors differ in length, or one is not a number above 0.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> from graphbal import analytic
    >>> analytic.rank_one([4.0, 1.0], [1.0, 1.0], p=1).round(4).tolist()
    [0.3466, -0.3466]
    """
    a, b = _positive(incoming, "factor"), _positive(outgoing, "factor")
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(
            f"the factors have shapes {a.shape} and {b.shape}; give one each way per neuron"
        )
    _require_positive(p, "p")
    h = (np.log(a) - np.log(b)) / (2.0 * p)
    return h - h.mean()


def _saturating_time(c12: Array, c21: Array, t: ArrayLike, p: float, rate: float) -> Array:
    """Return θ = tanh(2 p γ c* t) / c*, which is 2 p γ t for c* = 0."""
    _require_positive(p, "p")
    _require_positive(rate, "rate")
    time = 2.0 * p * rate * _not_negative(t, "time")
    mean = np.sqrt(c12) * np.sqrt(c21)
    time, mean = np.broadcast_arrays(time, mean)
    return np.divide(np.tanh(mean * time), mean, out=time.copy(), where=mean > 0)


def _not_negative(values: ArrayLike, what: str) -> Array:
    array = np.asarray(values, dtype=np.float64)
    bad = ~((array >= 0) & np.isfinite(array))
    if bad.any():
        at = float(array[bad].flat[0])
        raise InputError(f"a {what} is {at}; it must be a finite number not below 0")
    return array


def _positive(values: ArrayLike, what: str) -> Array:
    array = np.asarray(values, dtype=np.float64)
    bad = ~((array > 0) & np.isfinite(array))
    if bad.any() or array.size == 0:
        named = f"a {what} is {float(array[bad].flat[0])}" if bad.any() else f"there is no {what}"
        raise InputError(f"{named}; give finite numbers above 0")
    return array


def _require_positive(value: Any, name: str) -> None:
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{name} is {value!r}; it must be a finite number above 0")
