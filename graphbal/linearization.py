"""Perturbations of a network, and the balancing flow that answers them to first order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from graphbal._html import card
from graphbal.conductance import conducting_problem
from graphbal.convert import as_network
from graphbal.errors import InputError
from graphbal.modes import Modes, eigenmodes
from graphbal.network import SynapticNetwork
from graphbal.solvers.laplacian import pseudoinverse
from graphbal.trajectory import synapse_positions

if TYPE_CHECKING:
    from graphbal.trajectory import Trajectory

__all__ = ["Response", "linear_response", "perturb"]

Array = NDArray[np.float64]

# Up to this many neurons all modes are found if their number is not given.
ALL_MODES = 3000


def perturb(
    network: Any, synapses: Mapping[tuple[Any, Any], float], *, absolute: bool = False
) -> SynapticNetwork:
    r"""Return the network with other costs of some synapses.

    The cost of a synapse is multiplied by the factor f given: its weight by :math:`f^{1/p}`, its
    sign kept.

    Parameters
    ----------
    network : anything `as_network` takes
        The network.
    synapses : mapping
        ``{(pre, post): factor}``. A factor of 0 silences the synapse, which stays in the network
        with weight 0.
    absolute : bool
        Whether the numbers given are the new costs themselves.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If there is no such synapse, or its factor is negative or not finite, or if a synapse that
        costs nothing, whose sign is unknown, is to be given a cost.

    References
    ----------
    .. [1] Stock et al. (2022), Fig. 5. https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import graphbal as gb
    >>> ring = gb.ensembles.ring(12, weights=gb.ensembles.Constant(1))
    >>> gb.perturb(ring, {(0, 1): 10.0}).costs.max().round(6)
    np.float64(10.0)
    """
    net = as_network(network)
    if not isinstance(synapses, Mapping):
        raise InputError(f"the perturbation is {synapses!r}; give {{(pre, post): factor}}")
    at = synapse_positions(net, list(synapses))
    what = "cost" if absolute else "factor"
    for (pre, post), value in synapses.items():
        if not (isinstance(value, Real) and np.isfinite(value) and value >= 0):
            raise InputError(
                f"the {what} of the synapse {pre!r} → {post!r} is {value!r}; it must be a finite "
                "number, 0 or above"
            )
    factors = np.array(list(synapses.values()), dtype=np.float64)
    if absolute:
        costs = net.costs.data[at]
        for (pre, post), cost in zip(synapses, costs, strict=True):
            if cost == 0:
                raise InputError(
                    f"the synapse {pre!r} → {post!r} costs nothing, so that its weight cannot be "
                    "scaled to a cost; give it a weight first"
                )
        factors /= costs
    weights = net.weights.data.copy()
    weights[at] *= factors ** (1 / net.p)
    return net.with_weights(weights)


@dataclass(frozen=True, eq=False)
class Response:
    """The linear response of a network: the balancing flow to first order around its state.

    Attributes
    ----------
    network : SynapticNetwork
        The network as given: h = 0.
    t : array, shape (m,)
        Times, in units in which γ is `rate`.
    modes : Modes
        The modes that were followed, at the state from which the response starts.
    amplitudes : pandas.DataFrame, shape (m, k)
        v_m · (h(t) − h₀) by time and number of the mode. If the modes are not all of them, the
        last column, ``"rest"``, is the amplitude of what stands for the others.
    initial : array, shape (n,)
        Potentials h₀ from which the response starts.
    rest : array, shape (n,), or None
        The unit vector that stands for the modes that were not followed.

    Examples
    --------
    >>> import graphbal as gb
    >>> net = gb.as_network([[0, 1.1], [1.0, 0]])
    >>> response = gb.linear_response(net, [0.0, 0.1, 1.0])
    >>> response.potentials.round(4)
              0       1
    t
    0.0  0.0000  0.0000
    0.1  0.0139 -0.0139
    1.0  0.0238 -0.0238
    >>> trajectory = gb.flow(net, (0, 1), t_eval=[0.0, 0.1, 1.0])
    >>> bool(response.error(trajectory).max() < 0.01)
    True
    """

    network: SynapticNetwork
    t: Array
    modes: Modes
    amplitudes: pd.DataFrame
    initial: Array
    rest: Array | None

    @cached_property
    def potentials(self) -> pd.DataFrame:
        """Potentials h(t), dimensionless: a row for each time, a column for each neuron."""
        vectors = self.modes.modes.to_numpy()
        if self.rest is not None:
            vectors = np.column_stack([vectors, self.rest])
        h = self.amplitudes.to_numpy() @ vectors.T
        h += self.initial
        return pd.DataFrame(h, index=self.amplitudes.index, columns=self.network.neurons)

    def error(self, trajectory: Trajectory) -> pd.Series:
        """Return ‖h(t) − flow‖ / ‖flow − h₀‖ by time, against a flow from the same state.

        Parameters
        ----------
        trajectory : Trajectory
            What `graphbal.flow` returned for the same network, start and rate.

        Returns
        -------
        Series
            Relative error by time; 0 where the flow has not moved.

        Raises
        ------
        InputError
            If the network is another, the flow starts elsewhere, or it does not reach all times.
        """
        if not trajectory.network.neurons.equals(self.network.neurons):
            raise InputError("the trajectory is of a network of other neurons")
        if not np.array_equal(trajectory.network.costs.data, self.network.costs.data):
            raise InputError("the trajectory is of a network with other costs")
        followed = np.array([trajectory.at(t).to_numpy() for t in self.t])
        if np.abs(trajectory.h[0] - self.initial).max(initial=0.0) > 1e-9:
            raise InputError(
                "the trajectory starts from other potentials than the response; give "
                "linear_response those that the flow was given as `initial`"
            )
        apart = np.linalg.norm(self.potentials.to_numpy() - followed, axis=1)
        moved = np.linalg.norm(followed - self.initial, axis=1)
        error = np.divide(apart, moved, out=np.zeros_like(apart), where=moved > 0)
        return pd.Series(error, index=self.amplitudes.index, name="error")

    def _repr_html_(self) -> str:
        facts = {
            "neurons": self.network.n_neurons,
            "times": f"{self.t.size:,}, up to {self.t.max():g}",
            "modes followed": len(self.modes.eigenvalues),
            "the others": "left out" if self.rest is None else "as one",
        }
        return card("Response", facts, {"first modes": self.modes.table().head()})

    def __repr__(self) -> str:
        rest = "" if self.rest is None else " and the rest"
        return (
            f"Response({self.network.n_neurons:,} neurons, {self.t.size} times, "
            f"{len(self.modes.eigenvalues)} modes{rest})"
        )


def linear_response(
    network: Any,
    t: ArrayLike,
    *,
    k: int | None = None,
    rate: float = 1.0,
    potentials: Any = None,
) -> Response:
    r"""Follow the balancing flow to first order around the state of the network.

    .. math::

        h(t) = h_0 + \sum_m v_m \, (v_m \cdot g_0) \,
               \frac{1 - e^{-γ p λ_m t}}{p λ_m}

    over the eigenmodes :math:`L v_m = λ_m v_m` of the Laplacian at :math:`h_0` [1]_, eq. 39.

    Parameters
    ----------
    network : anything `as_network` takes
        The network.
    t : float or array, shape (m,)
        Times from 0 on, in units in which the rate is given.
    k : int, optional
        Number of slow modes to follow one by one. All the others are then one more mode, their
        response to g₀ as a whole (see Notes). By default all modes, in up to 3,000 neurons.
    rate : float
        Rate γ of the flow dh/dt = γ g.
    potentials : array of shape (n,), Series or mapping by label, optional
        Potentials h₀ around which the flow is linearised and from which it starts; 0 by default.

    Returns
    -------
    Response

    Raises
    ------
    InputError
        If a time is negative or not finite, the rate is not above 0, there are not k modes, or
        the network is too large to find all of them.

    Notes
    -----
    With r the part of g₀ that is in none of the k modes, the rest is one vector more,
    :math:`x = L^+ r`, with its Rayleigh quotient :math:`x \cdot r / x \cdot x` as λ (Galerkin's
    method on x). It ends where the modes left out end together; on the way its error decays as
    they do, as :math:`e^{-γ p λ_{k+1} t}`. One Laplacian solve besides `eigenmodes`; O(n³) time
    and O(n²) memory for all modes.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import graphbal as gb
    >>> ring = gb.perturb(gb.ensembles.ring(12, weights=gb.ensembles.Constant(1)), {(0, 1): 1.1})
    >>> response = gb.linear_response(ring, [0.1, 1.0, 10.0])
    >>> flow = gb.flow(ring, (0, 10))
    >>> bool(response.error(flow).max() < 0.001)
    True
    """
    net = as_network(network)
    try:
        times = np.atleast_1d(np.asarray(t, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"the times must be numbers: {error}") from error
    if times.ndim != 1 or not np.isfinite(times).all() or (times < 0).any():
        raise InputError("the times must be numbers from 0 on, one or a list of them")
    if not (isinstance(rate, Real) and np.isfinite(rate) and rate > 0):
        raise InputError(f"the rate is {rate!r}; it must be a finite number above 0")
    initial = np.zeros(net.n_neurons)
    here = net
    if potentials is not None:
        initial = net.aligned(potentials, "potential")
        here = net.transform(initial)
    problem = conducting_problem(here)
    existing = net.n_neurons - problem.n_components
    if k is None and net.n_neurons > ALL_MODES:
        raise InputError(
            f"{net.n_neurons:,} neurons have too many modes to find them all; ask for the k "
            "slowest, e.g. k=20"
        )
    modes = eigenmodes(here, existing if k is None else k)
    vectors, rates = modes.modes.to_numpy(), net.p * modes.eigenvalues
    g = here.neural_gradients.to_numpy()
    drive = vectors.T @ g
    numbers: list[Any] = modes.modes.columns.tolist()
    rest = None
    if len(numbers) < existing:
        unresolved = g - vectors @ drive
        x = pseudoinverse(problem)(unresolved)
        length = np.linalg.norm(x)
        rest = x / length if length > 0 else x
        drive = np.append(drive, rest @ unresolved)
        quotient = rest @ unresolved / length if length > 0 else 1.0
        rates = np.append(rates, net.p * quotient)
        numbers.append("rest")
    amplitudes = -np.expm1(-rate * np.outer(times, rates)) * (drive / rates)
    table = pd.DataFrame(
        amplitudes, index=pd.Index(times, name="t"), columns=pd.Index(numbers, name="mode")
    )
    return Response(net, times, modes, table, initial, rest)
