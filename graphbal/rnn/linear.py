"""The locally linear dynamics of a recurrent network: its noise, and how far it overshoots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, optimize, sparse

from graphbal.errors import InputError
from graphbal.rnn.model import RecurrentNetwork, _array
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

# What decays more slowly than this, relative to the size of the Jacobian, may as well not decay.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class StationaryNoise:
    """Noise of the locally linear dynamics, once it has settled.

    Attributes
    ----------
    states : pandas.DataFrame, shape (n, n)
        Covariance of the states.
    outputs : pandas.DataFrame, shape (n_outputs, n_outputs)
        Covariance of the outputs.

    Examples
    --------
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> noise = rnn.output_noise(net, 0.1)
    >>> noise.states.round(6)
              0        1
    0  0.008125  0.00375
    1  0.003750  0.01750
    >>> noise.output_variance.round(6).tolist()
    [0.0175]
    """

    states: pd.DataFrame
    outputs: pd.DataFrame

    @property
    def output_variance(self) -> pd.Series:
        """Variance of each output."""
        return pd.Series(np.diag(self.outputs), index=self.outputs.index, name="variance")

    def __repr__(self) -> str:
        variances = ", ".join(f"{variance:.4g}" for variance in self.output_variance)
        return f"StationaryNoise(output variance [{variances}])"


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
        Inputs u at that state; zero by default. In the form "current" they make no difference.

    Returns
    -------
    array, shape (n, n)
        In units of 1/τ; in discrete time without.

    Raises
    ------
    InputError
        If a shape is wrong, a number is not finite, or inputs are given without a state.

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
    n = network.n_neurons
    J = network.w_rec.toarray() if sparse.issparse(network.w_rec) else network.w_rec
    if state is None and inputs is not None:
        raise InputError("inputs are given without the state that the network is in; give both")
    gains = np.ones(n)
    if state is not None:
        at = _array("state", state, (n,))
        u = _array("inputs", inputs, (network.n_inputs,), np.zeros(network.n_inputs))
        if network.form != "current":
            at = J @ at + network.w_in @ u + network.bias
        gains = network.gains(at)
    A = J * gains if network.form == "current" else gains[:, None] * J
    if network.form == "discrete":
        return A
    return (A - np.eye(n)) / np.broadcast_to(network.tau, n)[:, None]


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
        Q = \operatorname{diag} q^2 + r r^T, \quad q_i = \sqrt{2/τ_i}\, σ_i, \quad
        r_i = \sqrt{2/τ_i}\, s_i

    with the Jacobian A, private noise σ and shared noise s as in `simulate` [1]_. In discrete time
    it solves :math:`P = A P A^T + Q`, with q = σ and r = s. That of the outputs is
    :math:`W_{out} P W_{out}^T`, with the gains at the state where rates are read out.

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
        If noise or step make no sense, or the dynamics is not stable there, so that noise never
        settles; or as `jacobian`.

    Notes
    -----
    O(n³): a Schur decomposition of the Jacobian [2]_, in steps after a bilinear map. Balancing
    lowers the noise of networks of uneven neurons, but not of every network: a cost bounds what
    single synapses pass on, not what many together do.

    References
    ----------
    .. [1] C. W. Gardiner, Stochastic Methods, 4th ed., Springer (2009), section 4.5.6.
       https://link.springer.com/book/9783540707127
    .. [2] R. H. Bartels, G. W. Stewart, "Solution of the matrix equation AX + XB = C", Commun ACM
       15, 820 (1972). https://doi.org/10.1145/361573.361582

    Examples
    --------
    >>> from graphbal.rnn import RecurrentNetwork, output_noise
    >>> net = RecurrentNetwork([[0, -0.5], [2.0, 0]], w_out=[[0, 1.0]])
    >>> output_noise(net, 0.1)
    StationaryNoise(output variance [0.0175])
    >>> output_noise(net, 0.1, dt=0.1).output_variance.round(6).item()
    0.01949
    """
    n = network.n_neurons
    private, shared = deviations("noise", noise, n), deviations("shared_noise", shared_noise, n)
    A = jacobian(network, state, inputs)
    Q = np.diag(np.square(private)) + np.outer(shared, shared)
    if network.form != "discrete":
        spread = np.sqrt(2 / np.broadcast_to(network.tau, n))
        Q *= np.outer(spread, spread)
    if network.form != "discrete" and dt is None and substeps == 1:
        _require_below(_abscissa(A), 0.0, "spectral abscissa")
        P = linalg.solve_continuous_lyapunov(A, -Q)
    else:
        delta = euler_step(network, dt, substeps)
        if network.form != "discrete":
            A, Q = np.eye(n) + delta * A, delta * Q
        _require_below(_radius(A), 1.0, "spectral radius")
        P = linalg.solve_discrete_lyapunov(A, Q, method="bilinear")
    read = network.w_out
    if network.readout == "rates" and state is not None:
        read = read * network.gains(state)
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
        As `jacobian`.

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
    return _radius(A) if network.form == "discrete" else _abscissa(A)


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
        As `jacobian`.

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
    network: RecurrentNetwork, state: Any = None, inputs: Any = None
) -> float:
    r"""Return the largest growth of any deviation at any time, :math:`\max_t \|e^{A t}\|_2`.

    In discrete time it is :math:`\max_k \|A^k\|_2` [1]_.

    Parameters
    ----------
    network : RecurrentNetwork
    state, inputs : array, optional
        Where to linearise; see `jacobian`.

    Returns
    -------
    float
        At least 1, the value at t = 0; infinite if the dynamics is not stable, to rounding.

    Raises
    ------
    InputError
        As `jacobian`.

    Notes
    -----
    Once :math:`\|e^{A t}\| ≤ 1` nothing larger than before can come. Up to there times are tried
    in a geometric sequence, eight an octave, and the best of them is refined: a matrix exponential
    (in discrete time a power) and a spectral norm, O(n³), for each.

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
    >>> round(rnn.transient_amplification(net), 4)
    1.139
    """
    A = jacobian(network, state, inputs)
    is_discrete, size = network.form == "discrete", float(np.linalg.norm(A, 2))
    rate = _radius(A) - 1 if is_discrete else _abscissa(A) / max(size, ROUNDING)
    if rate > -ROUNDING:
        return np.inf

    def growth(octave: float) -> float:
        t = 2**octave
        evolved = np.linalg.matrix_power(A, round(t)) if is_discrete else linalg.expm(A * t)
        return float(np.linalg.norm(evolved, 2))

    # Within the first of these times nothing grows by more than a hundredth.
    octaves = [0.0 if is_discrete else float(np.log2(0.01 / size))]
    tried = [growth(octaves[0])]
    while tried[-1] > 1:
        octaves.append(octaves[-1] + 1 / 8)
        tried.append(growth(octaves[-1]))
    best = octaves[int(np.argmax(tried))]
    peak = optimize.minimize_scalar(
        lambda octave: -growth(octave), bounds=(best - 1 / 8, best + 1 / 8), method="bounded"
    )
    return max(1.0, *tried, float(-peak.fun))


def _abscissa(A: Array) -> float:
    return float(np.linalg.eigvals(A).real.max())


def _radius(A: Array) -> float:
    return float(np.abs(np.linalg.eigvals(A)).max())


def _require_below(value: float, limit: float, name: str) -> None:
    if value >= limit:
        raise InputError(
            f"the dynamics is not stable there (its {name} is {value:g}, not below {limit:g}): "
            "noise never settles"
        )
