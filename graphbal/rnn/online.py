"""Balancing a recurrent network by the local rule, while it computes."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal._checks import require_whole
from graphbal.engines import local_engine
from graphbal.errors import InputError
from graphbal.local_rule import settling_step
from graphbal.rnn.costs import cost_graph
from graphbal.rnn.model import RecurrentNetwork
from graphbal.rnn.simulation import (
    Block,
    Noise,
    checked_inputs,
    euler_step,
    initial_states,
    labelled,
    overflow,
    run_block,
    step_deviations,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["OnlineBalance", "balance_online"]

Array = NDArray[np.float64]

# The fraction of the largest step at which the total cost falls at every step.
CAUTION = 0.4


@dataclass(frozen=True, eq=False)
class OnlineBalance:
    """What the local rule made of a network while it ran.

    Attributes
    ----------
    network : RecurrentNetwork
        The network after the last step: the transform of the original by the potentials.
    potentials : pandas.Series
        Potentials h by neuron, dimensionless: the time integral of the signals γ g.
    gains : pandas.Series
        Running estimates of the mean squared gain of each neuron, after the last step.
    outputs : xarray.DataArray, dimensions (trial, time, output)
        What the network computed all the while, at the end of each time step.
    states : xarray.DataArray, dimensions (trial, neuron)
        States after the last step, to go on from with ``initial``.
    history : pandas.DataFrame
        ``total_cost``, ``gradient_norm`` (ℓ2 norm of g) and ``neuron_imbalance`` (as of a graph)
        by time t, with gains as they were estimated at that time.
    initial_cost : float
        Total cost of the original, with gains as estimated at the end.
    rate : float
        The rate γ.
    message : str
        The outcome in a sentence.

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> online = rnn.balance_online(net, np.ones((1, 400, 1)), dt=0.1)
    >>> online.n_steps, online.neuron_imbalance < 1e-6
    (400, True)
    >>> bool(online.total_cost.iloc[-1] < online.initial_cost)
    True
    """

    network: RecurrentNetwork
    potentials: pd.Series
    gains: pd.Series
    outputs: xr.DataArray
    states: xr.DataArray
    history: pd.DataFrame
    initial_cost: float
    rate: float
    message: str

    @property
    def total_cost(self) -> pd.Series:
        """Total cost by time."""
        return self.history["total_cost"]

    @property
    def gradient_norm(self) -> pd.Series:
        """Norm of the neural gradients by time."""
        return self.history["gradient_norm"]

    @property
    def neuron_imbalance(self) -> float:
        """How far the network is from balance in the end: the largest of any neuron."""
        return float(self.history["neuron_imbalance"].iloc[-1])

    @property
    def n_steps(self) -> int:
        """Number of steps that the rule took."""
        return len(self.history) - 1

    def __repr__(self) -> str:
        before, after = self.initial_cost, self.total_cost.iloc[-1]
        saved = (before - after) / before if before else 0.0
        return (
            f"OnlineBalance({self.network.n_neurons:,} neurons, {self.n_steps:,} steps, cost "
            f"{before:.6g} → {after:.6g} ({-saved:+.1%}), "
            f"neuron_imbalance={self.neuron_imbalance:.1e})"
        )


def balance_online(
    network: RecurrentNetwork,
    inputs: Any,
    dt: float | None = None,
    *,
    cost: Any = "l2",
    scope: str = "recurrent",
    rate: float | None = None,
    repeats: int = 1,
    gain_time: float = np.inf,
    floor: float = 1e-3,
    noise: Any = 0.0,
    seed: int = 0,
    substeps: int = 1,
    initial: Any = None,
) -> OnlineBalance:
    r"""Balance a recurrent network by local learning, while it computes.

    After every time step each neuron adds up the costs of its own synapses and sends them its
    neural gradient g, incoming minus outgoing cost; each synapse follows the signals of its own two
    neurons,

    .. math:: \frac{dJ_{ij}}{dt} = -γ\,(g_i - g_j)\, J_{ij}

    (equation 18 of [1]_), and the states are scaled along, :math:`x_i ← e^{-γ g_i\,dt}\, x_i`.
    The outputs are those of the network as it was, throughout.

    Parameters
    ----------
    network : RecurrentNetwork
        Of positively homogeneous neurons.
    inputs, dt
        The trials, which run in parallel, and the time step, of the rule as well; see `simulate`.
    cost : "l2", "robustness", number, pair or RobustnessCost
        As in `balance`. With ``"robustness"`` the gains in the cost are the running estimates, so
        that every neuron finds its own while it runs.
    scope : {"recurrent", "all"}
        Whether the recurrent synapses are balanced alone, or with those of inputs and readout,
        inputs and outputs held fixed.
    rate : float, optional
        Rate γ of the rule, in units of 1/(cost × time). By default γ dt is 0.4 of `stable_step` for
        the network as given, all neurons active.
    repeats : int
        Times that the trials are run, each time from their initial states. Time, potentials and
        estimates go on.
    gain_time : float
        Time constant, at least `dt`, with which the estimates of gain forget. By default all the
        past counts alike.
    floor : float
        Least mean squared gain that counts with ``cost="robustness"``, not negative.
    noise, seed
        Private noise in the states and its seed, as in `simulate`: of the same strength while the
        network changes. Outputs then differ by what the noise does.
    substeps, initial
        As in `simulate`.

    Returns
    -------
    OnlineBalance

    Raises
    ------
    InputError
        If the activation is not positively homogeneous, an argument makes no sense, γ dt is or
        becomes too large to be stable, or the states overflow.

    See Also
    --------
    balance : The equilibrium at once.
    graphbal.local_rule : The rule on a graph of synapses, without dynamics.
    graphbal.stable_step : The limit of γ dt.

    Notes
    -----
    With a cost that does not depend on gains this is gradient descent in convex potentials: the
    end is the equilibrium of `balance`, approached exponentially, with Σ h = 0 if the scope is
    "recurrent". If there is no finite equilibrium, potentials go on growing like log t. With
    running gains the end is the equilibrium for the gains in the end; without forgetting, its
    distance falls like 1/t.

    Gains are sensed as in `robustness_cost`: the mean over trials of the squared slope φ′ at what a
    neuron received in the last substep, or at its state in the form "current", at every time step.
    The transformation does not change gains.

    Weights are kept as :math:`e^{h_j - h_i} J_{ij}` of the original J, so that rounding does not
    pile up in them: eigenvalues and cycle products are conserved. A time step costs two passes over
    the synapses besides the network's own.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> inputs = np.ones((1, 400, 1))
    >>> online = rnn.balance_online(net, inputs, dt=0.1)
    >>> online
    OnlineBalance(2 neurons, 400 steps, cost 4.25 → 2 (-52.9%), neuron_imbalance=...)
    >>> online.network.w_rec.round(6)
    array([[ 0., -1.],
           [ 1.,  0.]])
    >>> bool(np.allclose(online.outputs, net.simulate(inputs, 0.1).outputs, rtol=1e-12))
    True
    """
    network.require_homogeneous()
    u = checked_inputs(network, inputs)
    delta = euler_step(network, dt, substeps)
    step = 1.0 if dt is None else float(dt)
    if not (rate is None or (isinstance(rate, Real) and 0 < rate < np.inf)):
        raise InputError(f"rate is {rate!r}; it must be a finite number above 0")
    if not (isinstance(repeats, Integral) and repeats > 0):
        raise InputError(f"repeats is {repeats!r}; it must be a whole number above 0")
    if not (isinstance(gain_time, Real) and gain_time >= step):
        raise InputError(f"gain_time is {gain_time!r}; it must be a number from dt = {step:g} on")
    if not (isinstance(floor, Real) and 0 <= floor < np.inf):
        raise InputError(f"floor is {floor!r}; it must be a finite number, not negative")
    require_whole("seed", seed)
    private = step_deviations(network, delta, "noise", noise)[:, None]
    # The streams of `simulate` for trials that fit a block: there the same noise is drawn.
    streams = np.random.SeedSequence(seed).spawn(3)
    draws = [np.random.default_rng(stream.spawn(1)[0]) for stream in streams]

    trials, times = u.shape[:2]
    x0 = initial_states(network, initial, trials)
    block = Block(network, delta, x0)
    costs = _Costs(network, cost, scope, float(floor))
    rule = _Rule(block, costs, step, rate, float(gain_time), repeats * times)
    outputs = np.empty((repeats * times, network.n_outputs, trials))
    for part in np.split(outputs, repeats):
        block.x[...] = x0 * np.exp(-rule.h)[:, None]
        run_block(
            *(block, u.transpose(1, 2, 0), substeps, Noise(private), draws),
            *(None, part[:, :, None], rule.step),
        )
        if not np.isfinite(block.x).all():
            raise InputError(overflow(network, delta))
    rule.sense()

    import xarray as xr

    columns = ["total_cost", "gradient_norm", "neuron_imbalance"]
    t = pd.Index(step * np.arange(len(rule.history)), name="t")
    history = pd.DataFrame(rule.history, index=t, columns=columns)
    return OnlineBalance(
        network=network.transform(rule.h),
        potentials=pd.Series(rule.h, index=network.neurons, name="potential"),
        gains=pd.Series(rule.gains[0], index=network.neurons, name="gain"),
        outputs=labelled(network, step, None, outputs).outputs,
        states=xr.DataArray(
            block.x.T.copy(),
            dims=("trial", "neuron"),
            coords={"neuron": network.neurons.to_numpy()},
        ),
        history=history,
        initial_cost=costs.at(np.zeros_like(rule.h), rule.gains)[2],
        rate=rule.rate,
        message=(
            f"At t = {t[-1]:.6g}, after {len(t) - 1:,} steps, a neuron is "
            f"{rule.history[-1, 2]:.1e} out of balance."
        ),
    )


class _Costs:
    """What the synapses of each neuron cost at any potentials and gains."""

    def __init__(self, network: RecurrentNetwork, cost: Any, scope: str, floor: float) -> None:
        self.network = network
        self.floor = floor
        self.counts_gains = isinstance(cost, str) and cost == "robustness"
        graph = cost_graph(network, "l2" if self.counts_gains else cost, scope)
        n, costs = network.n_neurons, graph.costs
        self.p = graph.p
        self.own = costs.diagonal()[:n]
        others = sparse.csr_array(costs[:n, :n] - sparse.diags_array(self.own))
        self.products = local_engine(others).products
        # Ends are held, so that of their synapses the sums by neuron are enough.
        self.of_inputs = costs[:n, n:].sum(axis=1)
        self.of_readout = costs[n:, :n].sum(axis=0)

    def at(self, h: Array, gains: Array) -> tuple[Array, Array, float]:
        """Return incoming and outgoing cost of each neuron and the total cost.

        Potentials are h; gains are those of what neurons receive, and of their states.
        """
        sent = received = read = own = np.ones_like(h)
        if self.counts_gains:
            own, of_states = np.maximum(gains, self.floor)
            if self.network.form == "current":
                sent = own
            else:
                received = own
            if self.network.readout == "rates":
                read = of_states
        growth = np.exp(self.p * h)
        sent = sent * growth
        received = received / growth
        incoming, outgoing = self.products(sent, received)
        incoming += self.of_inputs
        incoming *= received
        outgoing *= sent
        to_readout = read * growth * self.of_readout
        outgoing += to_readout
        return incoming, outgoing, float(incoming.sum() + to_readout.sum() + self.own @ own)


class _Rule:
    """The local rule at work on a block: neurons sense and send, synapses and states follow."""

    def __init__(
        self,
        block: Block,
        costs: _Costs,
        dt: float,
        rate: float | None,
        gain_time: float,
        n_steps: int,
    ) -> None:
        self.block, self.costs = block, costs
        self.dt, self.gain_time = dt, gain_time
        n = block.network.n_neurons
        self.h = np.zeros(n)
        self.gains = np.zeros((2, n))
        self.history = np.empty((n_steps + 1, 3))
        self.n_done = 0
        self.weights = block.weights.copy()
        if rate is None:
            largest = np.square(block.network.gains([-1.0, 1.0])).max()
            incoming, outgoing, _ = costs.at(self.h, np.full_like(self.gains, largest))
            limit = settling_step(costs.p, incoming + outgoing)
            rate = CAUTION * limit / dt if np.isfinite(limit) else 1.0
        self.rate = float(rate)

    def step(self) -> None:
        """Take a step of the rule after one of the network."""
        self._estimate_gains()
        gradient, through = self.sense()
        limit = settling_step(self.costs.p, through)
        if self.rate * self.dt > limit:
            raise InputError(
                f"the rule is unstable at t = {self.n_done * self.dt:g}: its step γ dt is "
                f"{self.rate * self.dt:.3g} and the limit there {limit:.3g}; choose a rate well "
                f"below {limit / self.dt:.3g}"
            )
        self._follow(self.rate * self.dt * gradient)
        self.n_done += 1

    def sense(self) -> tuple[Array, Array]:
        """Record the costs; return each neuron's incoming minus outgoing cost, and their sum."""
        incoming, outgoing, total = self.costs.at(self.h, self.gains)
        gradient, through = incoming - outgoing, incoming + outgoing
        apart = np.divide(gradient, through, out=np.zeros_like(through), where=through > 0)
        self.history[self.n_done] = total, np.linalg.norm(gradient), np.abs(apart).max()
        return gradient, through

    def _estimate_gains(self) -> None:
        weight = max(1 / (self.n_done + 1), self.dt / self.gain_time)
        self.gains += weight * (self.block.squared_gains() - self.gains)

    def _follow(self, move: Array) -> None:
        """Scale synapses and states as the signals say."""
        self.h += move
        block, gain = self.block, np.exp(self.h)
        block.x *= np.exp(-move)[:, None]
        block.w_out = block.network.w_out * gain
        by_source = np.ones(self.weights.shape[1])
        by_source[: gain.size] = gain
        if sparse.issparse(self.weights):
            factors = by_source[self.weights.indices]
            factors /= np.repeat(gain, np.diff(self.weights.indptr))
            np.multiply(self.weights.data, factors, out=block.weights.data)
        else:
            np.multiply(self.weights, by_source, out=block.weights)
            block.weights /= gain[:, None]
