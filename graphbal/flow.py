"""The balancing flow: every neuron's potential climbs as its incoming cost exceeds its outgoing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from copy import copy
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from graphbal._following import follow, own_costs
from graphbal.convert import as_network
from graphbal.errors import InputError
from graphbal.integrators import Course, Jump, Point
from graphbal.network import SynapticNetwork
from graphbal.trajectory import Trajectory, synapse_positions

__all__ = ["Trajectory", "flow"]

Array = NDArray[np.float64]

# No neuron is balanced any better than this along a flow.
ROUNDING = 1e-13
METHODS = ("auto", "explicit", "implicit")


def flow(
    network: Any,
    t_span: tuple[float, float],
    *,
    t_eval: ArrayLike | None = None,
    rate: Any = 1.0,
    fixed: Iterable[Hashable] | None = None,
    initial: Any = None,
    drive: Callable[[float], Any] | None = None,
    perturbations: Mapping[float, Mapping[tuple[Any, Any], float]] | None = None,
    until_balanced: float | None = None,
    rtol: float = 1e-7,
    atol: float = 1e-7,
    method: str = "auto",
    progress: bool | Callable[[dict[str, Any]], None] = False,
    checkpoint: str | Path | None = None,
) -> Trajectory:
    r"""Integrate the balancing flow.

    The potential of a neuron rises while its incoming costs exceed its outgoing ones [1]_,

    .. math:: \frac{dh_k}{dt} = γ_k \Big( \sum_j c_{kj} e^{p (h_j - h_k)}
              - \sum_i c_{ik} e^{p (h_k - h_i)} + d_k(t) \Big),

    which is gradient descent of the total cost along the task-preserving manifold; in weights,
    dJ_ij/dt = −(γ_i g_i − γ_j g_j) J_ij (eq. 18). The n potentials are integrated, not the
    synapses. A network without a finite equilibrium flows on for ever, h as log t.

    Parameters
    ----------
    network : anything `as_network` takes
        A SynapticNetwork, NetworkX graph, SciPy sparse or dense matrix, table of edges, file or
        dataset name.
    t_span : (float, float)
        First and last time, in units of 1 / (γ × cost).
    t_eval : array, shape (m,), optional
        Times to report, ascending, within the span; by default every step.
    rate : float, or array of shape (n,), Series or mapping by label
        Rates γ > 0.
    fixed : labels of neurons, optional
        Neurons whose potential stays where it is, e.g. inputs and outputs.
    initial : array of shape (n,), Series or mapping, optional
        Potentials h at the first time, dimensionless; by default 0.
    drive : callable, optional
        ``drive(t)`` returns an extra input d to each neuron, in units of cost: an array of shape
        (n,), Series or mapping. Smooth but at the times of perturbations.
    perturbations : mapping, optional
        ``{time: {(pre, post): factor}}``: at that time the costs of those synapses are multiplied
        by these factors ≥ 0, weights by factor^(1/p).
    until_balanced : float, optional
        Stop when every free neuron has come to |in − out| / (in + out) ≤ this, and no perturbation
        is to come. So that the time of it can be told, tolerances are at most a tenth of this.
        Never reached without a finite equilibrium.
    rtol, atol : float
        Error tolerated in a step: atol + rtol |p h| in p h, the logarithm of the cost, for the
        neuron where it is largest.
    method : {"auto", "explicit", "implicit"}
        Dormand–Prince of order 8, or numerical differentiation formulas of orders 1 to 5 with
        Laplacian solves; "auto" begins with the first and goes over to the second where stability
        would limit the steps.
    progress : bool or callable
        True shows a progress bar on standard error; a callable is handed a dict at each step.
    checkpoint : path, optional
        Parquet file to which the trajectory so far is written every minute, on interruption and
        at the end; `Trajectory.load` and `Trajectory.resume` go on from it.

    Returns
    -------
    Trajectory

    Raises
    ------
    InputError
        If a time, rate, tolerance, label, factor or option makes no sense.
    GraphbalError
        If the steps fall below the spacing of floating-point numbers.

    Warns
    -----
    ConvergenceWarning
        If `until_balanced` was asked for and not reached; the result says ``converged=False``.

    Notes
    -----
    An explicit step takes twelve passes over the edges, an implicit one two and as many as its
    conjugate gradients need, some three to ten. Memory O(n) besides what is reported.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022), eqs 17–19. https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    The cost of a single synapse falls as c / (1 + 2 p c t), for ever.

    >>> import graphbal as gb
    >>> traj = gb.flow([[0, 1.0], [0, 0]], (0, 1e6), t_eval=[0, 1, 100, 1e6])
    >>> (1 / traj.total_cost).round().tolist()
    [1.0, 5.0, 401.0, 4000001.0]

    A synapse of a balanced ring is potentiated, and the ring comes to rest again.

    >>> ring = gb.ensembles.ring(12)
    >>> traj = gb.flow(ring, (0, 1e3), perturbations={1.0: {(0, 1): 10.0}}, until_balanced=1e-6)
    >>> traj.message
    'Balanced to 1.0e-06 at t = 15...'
    """
    net = as_network(network)
    if net.n_neurons == 0:
        raise InputError("a network without neurons has nothing to flow")
    begin, end = span(t_span)
    times = None if t_eval is None else evaluation_times(t_eval, begin, end)
    for name, value in (("rtol", rtol), ("atol", atol), ("until_balanced", until_balanced)):
        if value is not None and not (isinstance(value, Real) and np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {value!r}; it must be a number above 0")
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}; choose one of {', '.join(METHODS)}")
    start = np.zeros(net.n_neurons)
    if initial is not None:
        start = net.p * net.aligned(initial, "initial potential")
    if until_balanced is not None:
        if until_balanced < ROUNDING:
            raise InputError(
                f"until_balanced is {until_balanced!r}; rounding allows no less than {ROUNDING:g}"
            )
        rtol, atol = min(rtol, 0.1 * until_balanced), min(atol, 0.1 * until_balanced)
    course = Course(
        costs=without_self_connections(net.costs),
        rates=net.p * _rates(net, rate, fixed),
        jumps=_jumps(net, perturbations, begin, end),
        drive=None if drive is None else driven(net, drive),
        is_driven=drive is not None,
        method=method,
        rtol=float(rtol),
        atol=float(atol),
        until=until_balanced,
        t=begin,
        q=start,
    )
    blank = Trajectory(
        network=net,
        t=np.empty(0),
        h=np.empty((0, net.n_neurons)),
        measures=np.empty((0, 3)),
        converged=None if until_balanced is None else False,
        message="",
        stats={"method": "", "steps": 0, "edge_passes": 0, "linear_iterations": 0, "seconds": 0.0},
        course=course,
        point=Point("", begin, start[None, :]),
        pending=times,
    )
    return follow(blank, end, progress, checkpoint)


def span(t_span: tuple[float, float]) -> tuple[float, float]:
    """Return the first and the last time; InputError unless they are finite and in order."""
    try:
        begin, end = map(float, t_span)
    except (TypeError, ValueError) as error:
        raise InputError(f"t_span is {t_span!r}; give two times, the first and the last") from error
    if not (np.isfinite(begin) and np.isfinite(end)):
        raise InputError(f"t_span is {t_span!r}; both times must be finite")
    if begin >= end:
        raise InputError(f"t_span is {t_span!r}; the last time must come after the first")
    return begin, end


def evaluation_times(t_eval: ArrayLike, begin: float, end: float) -> Array:
    """Return the times to report; InputError if they are not ascending within the span."""
    try:
        times = np.array(t_eval, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"t_eval must hold numbers: {error}") from error
    if times.ndim != 1 or times.size == 0:
        raise InputError(f"t_eval has shape {times.shape}; give a list of at least one time")
    outside = ~((times >= begin) & (times <= end))
    if outside.any():
        raise InputError(
            f"t_eval holds {times[outside][0]:g}, which is outside the span {begin:g} to {end:g}"
        )
    unsorted = np.diff(times) <= 0
    if unsorted.any():
        at = int(np.flatnonzero(unsorted)[0])
        raise InputError(
            f"t_eval must ascend, but {times[at]:g} is followed by {times[at + 1]:g}; sort it and "
            "drop repetitions"
        )
    return times


def driven(net: SynapticNetwork, drive: Callable[[float], Any]) -> Callable[[float], Array]:
    """Return the drive as a function to arrays."""
    if not callable(drive):
        raise InputError(f"drive is {drive!r}; it must be a function of time")
    return lambda t: net.aligned(drive(t), "drive")


def _rates(net: SynapticNetwork, rate: Any, fixed: Iterable[Hashable] | None) -> Array:
    """Return the rate of each neuron, 0 where it is fixed."""
    if isinstance(rate, Real):
        rates = np.full(net.n_neurons, float(rate))
    else:
        rates = net.aligned(rate, "rate").copy()
    wrong = ~(np.isfinite(rates) & (rates > 0))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"the rate of the neuron {net.neurons[at]!r} is {rates[at]:g}; it must be a finite "
            "number above 0 (to hold a neuron, name it in `fixed`)"
        )
    if fixed is not None:
        rates[net.positions(fixed)] = 0.0
    return rates


def _jumps(
    net: SynapticNetwork,
    perturbations: Mapping[float, Mapping[tuple[Any, Any], float]] | None,
    begin: float,
    end: float,
) -> tuple[Jump, ...]:
    jumps: list[Jump] = []
    if not isinstance(perturbations or {}, Mapping):
        raise InputError(
            f"the perturbations are {perturbations!r}; give {{time: {{(pre, post): factor}}}}"
        )
    for t, factors in (perturbations or {}).items():
        if not (isinstance(t, Real) and begin <= t < end):
            raise InputError(
                f"a perturbation is set for the time {t!r}; it must be within the span, from "
                f"{begin:g} to before {end:g}"
            )
        if not (isinstance(factors, Mapping) and factors):
            raise InputError(
                f"the perturbation at t = {t:g} is {factors!r}; give {{(pre, post): factor}}"
            )
        synapses = synapse_positions(net, list(factors))
        for (pre, post), factor in factors.items():
            if not (isinstance(factor, Real) and np.isfinite(factor) and factor >= 0):
                raise InputError(
                    f"the factor of the synapse {pre!r} → {post!r} at t = {t:g} is {factor!r}; it "
                    "must be a finite number, 0 or above"
                )
            if pre == post:
                raise InputError(
                    f"the perturbation at t = {t:g} is of the self-connection of {pre!r}, which "
                    "the flow does not feel"
                )
        values = np.array(list(factors.values()), dtype=np.float64)
        jumps.append(Jump(float(t), synapses, values))
    return tuple(sorted(jumps, key=lambda jump: jump.t))


def without_self_connections(costs: sparse.csr_array) -> sparse.csr_array:
    """Return the costs with a diagonal of zeros, every other synapse in its place."""
    n = costs.shape[0]
    if not own_costs(costs).any():
        return costs
    cleared = copy(costs)  # shares the indices
    cleared.data = costs.data.copy()
    if costs.nnz == n * n:
        cleared.data[:: n + 1] = 0.0
    else:
        cleared.data[np.repeat(np.arange(n), np.diff(costs.indptr)) == costs.indices] = 0.0
    return cleared
