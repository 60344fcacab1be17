"""The local learning rule: the balancing flow stepped on the weights themselves."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graphbal._html import card, change
from graphbal.convert import as_network
from graphbal.errors import ConvergenceWarning, InputError
from graphbal.network import SynapticNetwork

__all__ = ["LocalRun", "local_rule", "stable_step"]

Array = NDArray[np.float64]

# A step that changes a log-cost by more than this is far beyond any that settles.
WILD = 50.0


@dataclass(frozen=True, eq=False)
class LocalRun:
    """What the local rule did to a network.

    Attributes
    ----------
    network : SynapticNetwork
        The network after the last step.
    history : pandas.DataFrame
        ``total_cost``, ``gradient_norm`` (ℓ2 norm of g over the neurons that are not fixed),
        ``imbalance`` and ``neuron_imbalance`` (as of the network, of those neurons) by time t.
    signals : pandas.DataFrame
        What each neuron senses and sends after the last step: ``incoming`` and ``outgoing`` cost,
        their difference ``gradient``, and the ``signal`` γ g, saturated, that its synapses receive.
    potentials : pandas.Series
        Potentials h, dimensionless, of the transformation made: the time integral of the signals.
    is_stable : bool
        False if the step was too large, so that the network did not settle.
    message : str
        The outcome in a sentence.

    Examples
    --------
    >>> import graphbal as gb
    >>> run = gb.local_rule([[0, 2.0], [1.0, 0]], dt=0.02, n_steps=100)
    >>> run.is_stable, float(run.total_cost.iloc[-1].round(4))
    (True, 4.0)
    >>> run.signals[["incoming", "outgoing"]].round(4)
       incoming  outgoing
    0       2.0       2.0
    1       2.0       2.0
    """

    network: SynapticNetwork
    history: pd.DataFrame
    signals: pd.DataFrame
    potentials: pd.Series
    is_stable: bool
    message: str

    @property
    def t(self) -> Array:
        """Times recorded."""
        return self.history.index.to_numpy()

    @property
    def total_cost(self) -> pd.Series:
        """Total cost by time."""
        return self.history["total_cost"]

    @property
    def gradient_norm(self) -> pd.Series:
        """Norm of the neural gradients by time."""
        return self.history["gradient_norm"]

    @property
    def imbalance(self) -> pd.Series:
        """Imbalance by time."""
        return self.history["imbalance"]

    def _repr_html_(self) -> str:
        cost, imbalance = self.total_cost, self.history["neuron_imbalance"]
        facts = {
            "outcome": self.message,
            "neurons": self.network.n_neurons,
            "time": float(self.t[-1]),
            "total cost": change(cost.iloc[0], cost.iloc[-1]),
            "imbalance of a neuron": f"{imbalance.iloc[0]:.3g} → {imbalance.iloc[-1]:.3g}",
            "stable": self.is_stable,
        }
        return card("LocalRun", facts)

    def __repr__(self) -> str:
        first, last = self.history.iloc[0], self.history.iloc[-1]
        return (
            f"LocalRun({self.network.n_neurons:,} neurons, t = {self.t[-1]:.6g}, cost "
            f"{first['total_cost']:.6g} → {last['total_cost']:.6g}, neuron_imbalance="
            f"{last['neuron_imbalance']:.1e}, is_stable={self.is_stable})"
        )


def local_rule(
    network: Any,
    dt: float,
    n_steps: int,
    *,
    rate: Any = 1.0,
    fixed: Iterable[Hashable] | None = None,
    delay: int = 0,
    noise: float = 0.0,
    asynchronous: float | None = None,
    max_rate: float | None = None,
    seed: int = 0,
    record_every: int = 1,
    progress: bool = False,
) -> LocalRun:
    r"""Balance a network by local learning at its synapses.

    Each neuron adds up the costs of its own synapses, and sends them the signal
    :math:`s_k = γ g_k`, incoming minus outgoing cost. Each synapse needs the signals of its own
    two neurons only,

    .. math:: \frac{dJ_{ij}}{dt} = -(s_i - s_j)\, J_{ij}

    (equation 18 of [1]_), stepped as :math:`J_{ij} \leftarrow J_{ij}\, e^{-(s_i - s_j)\, dt}`.

    Parameters
    ----------
    network : anything `as_network` takes
    dt : float
        Step in units of 1/(γ × cost). `stable_step` tells how large it may be.
    n_steps : int
        Number of steps; none returns the signals of the network as it is.
    rate : float, array, Series or mapping by label
        Rates γ, one for all neurons or one each.
    fixed : labels of neurons, optional
        Neurons that send no signal, so that their potential stays 0.
    delay : int
        Steps that a signal takes from the neuron to its synapses.
    noise : float
        Standard deviation of each signal, drawn anew at every step, relative to its strength.
    asynchronous : float, optional
        Fraction of the neurons, drawn anew at every step, that send a signal; the others are
        silent. All of them by default.
    max_rate : float, optional
        Largest \|s_k\| that a neuron can send; stronger signals saturate. In units of γ × cost.
    seed : int
        Seed of the random numbers.
    record_every : int
        Steps between the entries of the history; the first and the last state are always there.
    progress : bool
        Whether to show a progress bar on standard error.

    Returns
    -------
    LocalRun

    Raises
    ------
    InputError
        If the network, a label or a setting makes no sense.

    Warns
    -----
    ConvergenceWarning
        If the step was so large that the network did not settle; the result says
        ``is_stable=False``, and its network is the last one that is finite.

    See Also
    --------
    graphbal.flow : The same dynamics integrated with error control.
    stable_step : A step that settles.

    Notes
    -----
    The exponential step, rather than :math:`J_{ij} (1 - (s_i - s_j)\, dt)`, multiplies J by
    :math:`e^{h_j - h_i}` with h = s dt: whatever the signals are (delayed, noisy, silent or
    saturated) and however large dt, the network stays on the task-preserving manifold, and
    eigenvalues, cycle products and signs hold to rounding. As every variant has the fixed points
    g = 0, each ends, if it settles, at the equilibrium of `graphbal.balance`. Without noise,
    silence, saturation and fixed neurons Σ h_k/γ_k stays 0.

    A step takes two passes over the edges, one to sum costs and one to multiply weights, and some
    40 bytes a synapse.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import graphbal as gb
    >>> run = gb.local_rule([[0, 4.0], [1.0, 0]], dt=0.01, n_steps=300)
    >>> run.network.weights.toarray().round(6).tolist()
    [[0.0, 2.0], [2.0, 0.0]]
    >>> gb.local_rule([[0, 4.0], [1.0, 0]], dt=0.01, n_steps=0).signals
       incoming  outgoing  gradient  signal
    0      16.0       1.0      15.0    15.0
    1       1.0      16.0     -15.0   -15.0
    """
    original = net = as_network(network)
    _require_number("dt", dt, above=0)
    _require_count("n_steps", n_steps, 0)
    _require_count("delay", delay, 0)
    _require_count("record_every", record_every, 1)
    if noise != 0:
        _require_number("noise", noise, above=0)
    if asynchronous is not None:
        _require_number("asynchronous", asynchronous, above=0, most=1)
    if max_rate is not None:
        _require_number("max_rate", max_rate, above=0)
    gamma = _rates(net, rate)
    free = np.ones(net.n_neurons, dtype=bool)
    if fixed is not None:
        free[net.positions(fixed)] = False

    rng = np.random.default_rng(seed)
    post, pre = (at.astype(np.intp, copy=False) for at in net.weights.tocoo().coords)
    own = np.flatnonzero(post == pre)
    h = np.zeros(net.n_neurons)
    under_way: deque[Array] = deque(np.zeros(net.n_neurons) for _ in range(delay))
    recorded: dict[float, tuple[float, ...]] = {}
    norms: list[float] = []
    is_wild = False

    for step in _shown(n_steps, progress):
        incoming, outgoing = _costs_by_neuron(net, post, pre, own)
        norms.append(float(np.linalg.norm((incoming - outgoing)[free])))
        signal = np.where(free, gamma * (incoming - outgoing), 0.0)
        if max_rate is not None:
            signal = np.clip(signal, -max_rate, max_rate)
        if step % record_every == 0 or step == n_steps:
            recorded[step * dt] = _measures(net, incoming, outgoing, free)
        if step == n_steps:
            break
        sent = signal * (1.0 + noise * rng.standard_normal(signal.size)) if noise else signal
        if asynchronous is not None:
            sent = np.where(rng.random(signal.size) < asynchronous, sent, 0.0)
        under_way.append(sent)
        move = dt * under_way.popleft()
        is_wild = net.p * float(np.ptp(move)) > WILD
        if is_wild:
            recorded[step * dt] = _measures(net, incoming, outgoing, free)
            break
        h += move
        gain = np.exp(move)
        net = net.with_weights(net.weights.data * gain[pre] / gain[post])

    stable = settling_step(net.p, (gamma * (incoming + outgoing))[free], delay)
    persists = norms[-1] > 0.999 * norms[(len(norms) - 1) // 2] and norms[-1] > 1e-12 * norms[0]
    is_stable = not is_wild and not (dt > stable and n_steps > 0 and persists)
    history = pd.DataFrame.from_dict(recorded, orient="index", columns=_MEASURES)
    run = LocalRun(
        network=net,
        history=history.rename_axis("t"),
        signals=pd.DataFrame(
            {
                "incoming": incoming,
                "outgoing": outgoing,
                "gradient": incoming - outgoing,
                "signal": signal,
            },
            index=net.neurons,
        ),
        potentials=pd.Series(h, index=net.neurons, name="potential"),
        is_stable=is_stable,
        message=_message(history, dt, stable_step(original, rate=rate, delay=delay), is_stable),
    )
    if not is_stable:
        warnings.warn(run.message, ConvergenceWarning, stacklevel=2)
    return run


def stable_step(network: Any, *, rate: Any = 1.0, delay: int = 0) -> float:
    r"""Return a step of the local rule that settles near the state of the network as given.

    .. math:: dt = \frac{2 \sin \frac{π}{4 d + 2}}{p\, \max_k 2 γ_k (in_k + out_k)}

    Near equilibrium a step multiplies the mode of eigenvalue λ of the Laplacian by 1 − p γ λ dt,
    and Gershgorin's theorem bounds λ by twice the largest cost through a neuron. A delay of d steps
    leaves the fraction :math:`\sin(π/(4d + 2))` of that [1]_. At 0.4 of the step without a delay
    the total cost falls at every step, from any state.

    Parameters
    ----------
    network : anything `as_network` takes
    rate : float, array, Series or mapping by label
        Rates γ, one for all neurons or one each.
    delay : int
        Delay of the signals in steps.

    Returns
    -------
    float
        Step in units of 1/(γ × cost); infinite for a network without synapses to balance.

    Raises
    ------
    InputError
        If the network, a rate or the delay makes no sense.

    References
    ----------
    .. [1] S. A. Levin, R. M. May, "A note on difference-delay equations", Theor Popul Biol 9(2):
       178-187 (1976). https://doi.org/10.1016/0040-5809(76)90043-5

    Examples
    --------
    >>> import graphbal as gb
    >>> gb.stable_step([[0, 4.0], [1.0, 0]])
    0.029411764705882353
    """
    net = as_network(network)
    _require_count("delay", delay, 0)
    through = (net.incoming_costs + net.outgoing_costs).to_numpy()
    return settling_step(net.p, _rates(net, rate) * through, delay)


_MEASURES = ["total_cost", "gradient_norm", "imbalance", "neuron_imbalance"]


def settling_step(p: float, through: Array, delay: int = 0) -> float:
    """Return `stable_step`, given γ (in + out) of the neurons that move."""
    fastest = 2.0 * p * float(through.max(initial=0.0))
    patience = 2.0 * np.sin(np.pi / (4 * delay + 2))
    return float(patience / fastest) if fastest else np.inf


def _costs_by_neuron(
    net: SynapticNetwork, post: NDArray[np.intp], pre: NDArray[np.intp], own: NDArray[np.intp]
) -> tuple[Array, Array]:
    """Return incoming and outgoing costs, self-connections left out."""
    costs = net.costs.data
    incoming, outgoing = (
        np.bincount(at, weights=costs, minlength=net.n_neurons).astype(np.float64, copy=False)
        for at in (post, pre)
    )
    incoming[post[own]] -= costs[own]
    outgoing[post[own]] -= costs[own]
    return incoming, outgoing


def _measures(
    net: SynapticNetwork, incoming: Array, outgoing: Array, free: NDArray[np.bool_]
) -> tuple[float, ...]:
    apart, through = np.abs(incoming - outgoing)[free], (incoming + outgoing)[free]
    relative = np.divide(apart, through, out=np.zeros_like(apart), where=through > 0)
    total = float(incoming.sum())
    return (
        net.total_cost,
        float(np.linalg.norm(apart)),
        float(apart.sum()) / total if total else 0.0,
        float(relative.max(initial=0.0)),
    )


def _rates(net: SynapticNetwork, rate: Any) -> Array:
    """Return the rate of each neuron, or say which one is not above 0."""
    is_one = np.ndim(rate) == 0 and isinstance(rate, Real)
    gamma = np.full(net.n_neurons, float(rate)) if is_one else net.aligned(rate, "rate")
    if not (gamma > 0).all() or not np.isfinite(gamma).all():
        at = int(np.flatnonzero(~((gamma > 0) & np.isfinite(gamma)))[0])
        raise InputError(
            f"the rate of the neuron {net.neurons[at]!r} is {gamma[at]:g}; it must be a number "
            "above 0 (to hold a neuron, name it in `fixed`)"
        )
    return gamma


def _shown(n_steps: int, progress: bool) -> Iterable[int]:
    """Return the numbers of the states, with a progress bar on standard error if asked for."""
    states = range(n_steps + 1)
    if not progress:
        return states
    from rich.console import Console
    from rich.progress import track

    return track(states, "local rule", console=Console(stderr=True), transient=True)


def _message(history: pd.DataFrame, dt: float, better: float, is_stable: bool) -> str:
    last = history.iloc[-1]
    state = (
        f"At t = {history.index[-1]:.6g} a neuron is {last['neuron_imbalance']:.1e} out of balance."
    )
    if is_stable:
        return state
    return (
        f"The step is too large: with dt = {dt:.3g} the network does not settle. {state} From the "
        f"network as given, steps up to {better:.3g} do (stable_step)."
    )


def _require_number(name: str, value: float, above: float, most: float = np.inf) -> None:
    if not (isinstance(value, Real) and np.isfinite(value) and above < value <= most):
        upper = "" if most == np.inf else f", up to {most:g}"
        raise InputError(f"{name} is {value!r}; it must be a finite number above {above:g}{upper}")


def _require_count(name: str, value: int, least: int) -> None:
    if not (isinstance(value, Integral) and value >= least):
        raise InputError(f"{name} is {value!r}; it must be a whole number from {least} on")
