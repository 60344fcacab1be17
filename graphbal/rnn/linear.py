"""The locally linear dynamics of a recurrent network: its noise, and how far it overshoots."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, sparse

from graphbal.errors import InputError
from graphbal.rnn.model import RecurrentNetwork
from graphbal.rnn.simulation import deviations, euler_step

__all__ = [
    "StationaryNoise",
    "jacobian",
    "numerical_abscissa",
    "output_noise",
    "spectral_abscissa",
    "transient_amplification",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StationaryNoise:
    """Noise of the locally linear dynamics, once it has settled.

    Attributes
    ----------
    states : pandas.DataFrame, shape (n, n)
        Covariance of the states.
    outputs : pandas.DataFrame, shape (n_outputs, n_outputs)
        Covariance of the outputs.
    """

    states: pd.DataFrame
    outputs: pd.DataFrame

    @property
    def output_variance(self) -> pd.Series:
        """Variance of each output."""
        return pd.Series(np.diag(self.outputs), index=self.outputs.index, name="variance")

    def __repr__(self) -> str:
        return f"StationaryNoise(output variance {self.output_variance.tolist()})"


def jacobian(network: RecurrentNetwork, state: Any = None, inputs: Any = None) -> Array:
    r"""Return the Jacobian of the dynamics at a state.

    With the gains D = diag φ′: (−1 + J D)/τ in the form "current", (−1 + D J)/τ in the form
    "rate", D J in discrete time.

    Parameters
    ----------
    network : RecurrentNetwork
    state : array, shape (n,), optional
        State x. By default every neuron has gain 1: all ReLUs are active.
    inputs : array, shape (n_inputs,), optional
        Inputs u there; zero by default, and without a meaning in the form "current".

    Returns
    -------
    array, shape (n, n)
        In units of 1/τ; in discrete time without.

    Raises
    ------
    InputError
        If a shape is wrong.

    Examples
    --------
    >>> from graphbal.rnn import RecurrentNetwork, jacobian
    >>> net = RecurrentNetwork([[0, -0.5], [2.0, 0]])
    >>> jacobian(net)
    array([[-1. , -0.5],
           [ 2. , -1. ]])
    >>> jacobian(net, [1.0, -1.0])
    array([[-1., -0.],
           [ 2., -1.]])
    """
    J = network.w_rec.toarray() if sparse.issparse(network.w_rec) else network.w_rec
    gains = np.ones(network.n_neurons)
    if state is not None:
        x = _vector("state", state, network.n_neurons)
        if network.form == "current":
            gains = network.gains(x)
        else:
            u = np.zeros(network.n_inputs)
            if inputs is not None:
                u = _vector("inputs", inputs, network.n_inputs)
            gains = network.gains(J @ x + network.w_in @ u + network.bias)
    if network.form == "discrete":
        return gains[:, None] * J
    A = J * gains if network.form == "current" else gains[:, None] * J
    A = A - np.eye(len(A))
    return A / np.broadcast_to(network.tau, len(A))[:, None]


def output_noise(
    network: RecurrentNetwork,
    noise: Any = 1.0,
    *,
    shared_noise: Any = 0.0,
    state: Any = None,
    inputs: Any = None,
    dt: float | None = None,
    substeps: int = 1,
) -> StationaryNoise:
    r"""Return the stationary noise of states and outputs in the locally linear dynamics.

    The covariance P of the states solves the Lyapunov equation

    .. math:: A P + P A^T + Q = 0, \qquad
        Q = \tfrac{2}{τ} \operatorname{diag} σ^2 + \tfrac{2}{τ} s s^T

    with the Jacobian A, private noise σ and shared noise s as in `simulate` [1]_; in discrete time
    :math:`P = A P A^T + \operatorname{diag} σ^2 + s s^T`. That of the outputs is
    :math:`W_{out} P W_{out}^T`.

    Parameters
    ----------
    network : RecurrentNetwork
    noise, shared_noise : float or array of shape (n,)
        Standard deviations, as in `simulate`.
    state, inputs : array, optional
        Where to linearise; see `jacobian`. The noise must be too small to change which neurons are
        active.
    dt, substeps : optional
        Given a time step, the noise of the Euler–Maruyama scheme that `simulate` steps, which is
        larger by terms of the order of the step; by default that of the differential equation.

    Returns
    -------
    StationaryNoise

    Raises
    ------
    InputError
        If a shape is wrong, or the dynamics is not stable there, so that noise never settles.

    Notes
    -----
    O(n³): a Schur decomposition of the Jacobian (Bartels and Stewart), twice that in discrete
    time. A network balanced with ``scope="all"`` for a cost close to its noise has less of it, in
    most cases: the cost bounds what a synapse passes on, not what many together do.

    References
    ----------
    .. [1] C. W. Gardiner, Stochastic Methods, 4th ed., Springer (2009), section 4.5.6.
       https://link.springer.com/book/9783540707127

    Examples
    --------
    >>> from graphbal.rnn import RecurrentNetwork, output_noise
    >>> net = RecurrentNetwork([[0, -0.5], [2.0, 0]], w_out=[[0, 1.0]])
    >>> output_noise(net, 0.1).outputs.round(6).loc[0, 0]
    0.02
    >>> output_noise(net, 0.1, dt=0.1, substeps=10).outputs.round(6).loc[0, 0]
    0.02025
    """
    n = network.n_neurons
    tau = np.broadcast_to(network.tau, n)
    private, shared = deviations("noise", noise, n), deviations("shared_noise", shared_noise, n)
    A = jacobian(network, state, inputs)
    is_discrete = network.form == "discrete"
    if not is_discrete:
        private, shared = private * np.sqrt(2 / tau), shared * np.sqrt(2 / tau)
    Q = np.diag(np.square(private)) + np.outer(shared, shared)
    if dt is not None or is_discrete:
        if not is_discrete:
            delta = euler_step(network, dt, substeps)
            A, Q = np.eye(n) + delta * A, delta * Q
        _require_below(np.abs(np.linalg.eigvals(A)).max(), 1.0, "spectral radius")
        P = linalg.solve_discrete_lyapunov(A, Q, method="bilinear")
    else:
        _require_below(_abscissa(A), 0.0, "spectral abscissa")
        P = linalg.solve_continuous_lyapunov(A, -Q)
    read = network.w_out
    if network.readout == "rates" and state is not None:
        read = read * network.gains(_vector("state", state, n))
    return StationaryNoise(
        states=pd.DataFrame(P, index=network.neurons, columns=network.neurons),
        outputs=pd.DataFrame(read @ P @ read.T),
    )


def spectral_abscissa(network: RecurrentNetwork, state: Any = None, inputs: Any = None) -> float:
    r"""Return the largest real part of an eigenvalue of the Jacobian: the rate of the slowest mode.

    In discrete time the spectral radius takes its place: the largest modulus of an eigenvalue.

    Parameters
    ----------
    network : RecurrentNetwork
    state, inputs : array, optional
        Where to linearise; see `jacobian`.

    Returns
    -------
    float
        In units of 1/τ. The same for a network and its transform.

    Raises
    ------
    InputError
        If a shape is wrong.

    Notes
    -----
    O(n³).

    Examples
    --------
    >>> from graphbal.rnn import RecurrentNetwork, numerical_abscissa, spectral_abscissa
    >>> net = RecurrentNetwork([[0, 0.1], [2.5, 0]])
    >>> round(spectral_abscissa(net), 6), round(numerical_abscissa(net), 6)
    (-0.5, 0.3)
    """
    A = jacobian(network, state, inputs)
    if network.form == "discrete":
        return float(np.abs(np.linalg.eigvals(A)).max())
    return _abscissa(A)


def numerical_abscissa(network: RecurrentNetwork, state: Any = None, inputs: Any = None) -> float:
    r"""Return the largest initial growth rate of any deviation, :math:`λ_{max}((A + A^T)/2)`.

    Above 0, some deviations grow before they decay [1]_. In discrete time the largest growth in one
    step takes its place: the spectral norm of A.

    Parameters
    ----------
    network : RecurrentNetwork
    state, inputs : array, optional
        Where to linearise; see `jacobian`.

    Returns
    -------
    float
        In units of 1/τ.

    Raises
    ------
    InputError
        If a shape is wrong.

    Notes
    -----
    O(n³). At least the `spectral_abscissa`, and equal to it for a symmetric (normal) Jacobian.

    References
    ----------
    .. [1] L. N. Trefethen, M. Embree, Spectra and Pseudospectra, Princeton (2005).
       https://press.princeton.edu/books/hardcover/9780691119465

    Examples
    --------
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, 0.1], [2.5, 0]])
    >>> round(rnn.numerical_abscissa(rnn.balance(net).network), 6)   # symmetric now
    -0.5
    """
    A = jacobian(network, state, inputs)
    if network.form == "discrete":
        return float(np.linalg.norm(A, 2))
    return float(np.linalg.eigvalsh((A + A.T) / 2)[-1])


def transient_amplification(
    network: RecurrentNetwork,
    state: Any = None,
    inputs: Any = None,
    *,
    horizon: float | None = None,
    n_times: int = 200,
) -> float:
    r"""Return the largest growth of any deviation at any time, :math:`\max_t \|e^{A t}\|_2`.

    Parameters
    ----------
    network : RecurrentNetwork
    state, inputs : array, optional
        Where to linearise; see `jacobian`.
    horizon : float, optional
        Latest time that is looked at, in the units of τ; in discrete time a number of steps. By
        default ten times the decay time of the slowest mode.
    n_times : int
        Number of times looked at, evenly spaced from 0; in discrete time all are, up to this many.

    Returns
    -------
    float
        At least 1, the value at t = 0; infinite if the dynamics is not stable and no horizon is
        given.

    Raises
    ------
    InputError
        If a shape is wrong, or the horizon or the number of times makes no sense.

    Notes
    -----
    One matrix exponential, and a product and a spectral norm for each time: O(n_times n³). The
    largest value found is a lower bound of the maximum.

    References
    ----------
    .. [1] L. N. Trefethen, M. Embree, Spectra and Pseudospectra, Princeton (2005).
       https://press.princeton.edu/books/hardcover/9780691119465

    Examples
    --------
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, 0.1], [2.5, 0]])
    >>> rnn.transient_amplification(rnn.balance(net).network)
    1.0
    >>> rnn.transient_amplification(net) > 1.1
    True
    """
    if n_times < 1:
        raise InputError(f"n_times is {n_times!r}; it must be a whole number above 0")
    A = jacobian(network, state, inputs)
    is_discrete = network.form == "discrete"
    if is_discrete:
        with np.errstate(divide="ignore"):
            decay = float(np.log(np.abs(np.linalg.eigvals(A)).max()))
    else:
        decay = _abscissa(A)
    if horizon is None:
        if decay >= 0:
            return np.inf
        horizon = 10.0 / -decay
    if not (isinstance(horizon, Real) and 0 <= horizon < np.inf):
        raise InputError(f"horizon is {horizon!r}; it must be a finite number, not negative")
    steps = min(n_times, int(np.ceil(horizon))) if is_discrete else n_times
    step = A if is_discrete else linalg.expm(A * (horizon / n_times))
    power, largest = step, 1.0
    for _ in range(steps):
        largest = max(largest, float(np.linalg.norm(power, 2)))
        power = power @ step
    return largest


def _abscissa(A: Array) -> float:
    return float(np.linalg.eigvals(A).real.max())


def _require_below(value: float, limit: float, name: str) -> None:
    if value >= limit:
        raise InputError(
            f"the dynamics is not stable there (its {name} is {value:g}, not below {limit:g}): "
            "noise never settles"
        )


def _vector(name: str, values: Any, n: int) -> Array:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (n,) or not np.isfinite(vector).all():
        raise InputError(f"{name} must be {n} finite numbers; its shape is {vector.shape}")
    return vector
