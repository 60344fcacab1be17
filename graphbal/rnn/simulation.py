"""Simulation of recurrent networks, batched over trials, with and without noise."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from numbers import Integral, Real
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal._checks import require_whole
from graphbal.errors import InputError
from graphbal.rnn.model import RecurrentNetwork, activate

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Simulation", "largest_step", "simulate"]

Array = NDArray[np.float64]

# Trials are run in blocks whose states, so many numbers, stay in the cache.
BLOCK = 65_536
# Up to this many neurons the eigenvalues that limit the step are computed for an error message.
SMALL = 2_000


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a network did.

    Attributes
    ----------
    outputs : xarray.DataArray, dimensions (trial, time, output)
        Outputs y at the end of each time step.
    states : xarray.DataArray, dimensions (trial, time, neuron), or None
        States x at the same times; None if they were not kept.

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> run = net.simulate(np.ones((5, 100, 1)), dt=0.1)
    >>> run
    Simulation(5 trials, 100 times, 1 outputs)
    >>> round(run.outputs.sel(trial=0).isel(time=-1, output=0).item(), 3)
    1.0
    """

    outputs: xr.DataArray
    states: xr.DataArray | None

    def __repr__(self) -> str:
        trials, times, outputs = self.outputs.shape
        return f"Simulation({trials:,} trials, {times:,} times, {outputs} outputs)"


def simulate(
    network: RecurrentNetwork,
    inputs: Any,
    dt: float | None = None,
    *,
    noise: Any = 0.0,
    shared_noise: Any = 0.0,
    input_noise: Any = 0.0,
    weight_noise: float = 0.0,
    seed: int = 0,
    substeps: int = 1,
    initial: Any = None,
    keep_states: bool = True,
) -> Simulation:
    r"""Run a network on a batch of trials.

    Each time step of length `dt` holds its input and is cut into Euler substeps δ = dt/substeps,

    .. math:: x ← x + \frac{δ}{τ} f(x, u) + σ \sqrt{2δ/τ}\; ξ

    where f is −x + J φ(x) + W_in u + b in the form "current", −x + φ(J x + W_in u + b) in the form
    "rate", and ξ is standard normal (Euler–Maruyama [1]_). In the form "discrete" a time step is
    one application of the map, plus σ ξ.

    Parameters
    ----------
    network : RecurrentNetwork
    inputs : array or DataArray, shape (trial, time, input) or (time, input)
        Inputs u, one for each time step; two dimensions are one trial. A DataArray may have its
        dimensions in any order. Without inputs the last dimension has length 0.
    dt : float
        Time step, in the units of τ; to be left out in discrete time.
    noise : float or array of shape (n,)
        Private noise: the standard deviation σ that the state of a neuron on its own would have.
        In the units of this network's own states: a network and its transform are given equal
        noise by equal numbers.
    shared_noise : float or array of shape (n,)
        The same, of a noise that all neurons of a trial have in common.
    input_noise : float or array of shape (n_inputs,)
        Standard deviation of the noise of each input, drawn anew at every time step.
    weight_noise : float
        Standard deviation of what is added to every recurrent weight that is not zero, once, for
        all trials.
    seed : int
        Seed of the random numbers. The same seed draws the same normal numbers whatever the
        network (of the same size) and whatever the strength of each noise.
    substeps : int
        Euler steps in a time step.
    initial : array of shape (n,) or (trial, n), optional
        Initial states; default ``network.x0``.
    keep_states : bool
        Whether to return the states, which take 8 bytes × trials × times × neurons.

    Returns
    -------
    Simulation
        With the coordinate ``time`` at the ends of the steps: dt, 2 dt, …; in discrete time 1, 2, …

    Raises
    ------
    InputError
        If shapes disagree, there is no trial or no time, a number is not finite, the step is too
        large, or the states overflow.

    Notes
    -----
    One product of [J W_in b] with a block of trials per substep and little besides. Blocks run on
    as many cores as BLAS may use; results do not depend on their number. A step of 2 min τ or more
    is unstable for a neuron on its own and is refused; `largest_step` tells the limit of the
    network with all neurons active.

    References
    ----------
    .. [1] P. E. Kloeden, E. Platen, Numerical Solution of Stochastic Differential Equations,
       Springer (1992). https://doi.org/10.1007/978-3-662-12616-5

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal.rnn import RecurrentNetwork, simulate
    >>> net = RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> run = simulate(net, np.ones((1, 200, 1)), dt=0.1)
    >>> run.states.dims
    ('trial', 'time', 'neuron')
    >>> run.outputs.isel(trial=0, time=-1).round(6).item()   # y = 2 x, x = 1 − y / 2
    1.0
    """
    return run_trials(
        network,
        inputs,
        dt,
        noise=noise,
        shared_noise=shared_noise,
        input_noise=input_noise,
        weight_noise=weight_noise,
        seed=seed,
        substeps=substeps,
        initial=initial,
        keep_states=keep_states,
    )


def run_trials(
    network: RecurrentNetwork,
    inputs: Any,
    dt: float | None,
    *,
    noise: Any = 0.0,
    shared_noise: Any = 0.0,
    input_noise: Any = 0.0,
    weight_noise: float = 0.0,
    seed: int = 0,
    substeps: int = 1,
    initial: Any = None,
    keep_states: bool = True,
    watch: Callable[[int, Block], None] | None = None,
) -> Simulation:
    """Do what `simulate` does, and show every block, by number, after each of its time steps."""
    u = checked_inputs(network, inputs)
    delta = euler_step(network, dt, substeps)
    require_whole("seed", seed)
    private = step_deviations(network, delta, "noise", noise)
    shared = step_deviations(network, delta, "shared_noise", shared_noise)
    noisy_inputs = deviations("input_noise", input_noise, network.n_inputs)
    x0 = initial_states(network, initial, len(u))
    *streams, of_weights = np.random.SeedSequence(seed).spawn(4)
    model = _with_weight_noise(network, weight_noise, of_weights)
    sds = (sd[:, None] if sd.any() else None for sd in (private, shared, noisy_inputs))
    states = np.empty((u.shape[1], network.n_neurons, len(u))) if keep_states else None
    outputs, is_finite = _run_all(
        model, u, delta, substeps, Noise(*sds), streams, x0, states, watch
    )
    if not is_finite.all():
        raise InputError(overflow(network, delta))
    return labelled(network, 1.0 if dt is None else float(dt), states, outputs[:, :, 0])


def outputs_against_noise(
    network: RecurrentNetwork,
    inputs: Any,
    dt: float | None,
    kind: str,
    levels: Sequence[float],
    *,
    seed: int = 0,
    substeps: int = 1,
) -> list[Array]:
    """Return the outputs of `simulate`, (trial, time, output), at each level of a kind of noise.

    All levels advance side by side, so that their normal numbers are drawn once.
    """
    u = checked_inputs(network, inputs)
    delta = euler_step(network, dt, substeps)
    require_whole("seed", seed)
    x0 = initial_states(network, None, len(u))
    *streams, of_weights = np.random.SeedSequence(seed).spawn(4)

    def run(model: RecurrentNetwork, noise: Noise, levels: Sequence[float]) -> list[Array]:
        outputs, is_finite = _run_all(model, u, delta, substeps, noise, streams, x0)
        if not is_finite.all():
            level = levels[int(np.argmin(is_finite))]
            raise InputError(f"at the level {level:g} {overflow(network, delta)}")
        return [outputs[:, :, k].transpose(2, 0, 1) for k in range(len(levels))]

    match kind:
        case "noise":
            sd = np.outer(step_deviations(network, delta, kind, 1.0), levels)
            return run(network, Noise(private=sd), levels)
        case "shared_noise":
            sd = np.outer(step_deviations(network, delta, kind, 1.0), levels)
            return run(network, Noise(shared=sd), levels)
        case "input_noise":
            return run(network, Noise(inputs=np.outer(np.ones(network.n_inputs), levels)), levels)
        case _:
            models = (_with_weight_noise(network, level, of_weights) for level in levels)
            runs = (
                run(model, Noise(), [level]) for model, level in zip(models, levels, strict=True)
            )
            return [outputs for (outputs,) in runs]


class Noise(NamedTuple):
    """Standard deviations in a substep, and of the inputs, (channel, level); None for no noise."""

    private: Array | None = None
    shared: Array | None = None
    inputs: Array | None = None

    @property
    def n_levels(self) -> int:
        """Number of levels that advance side by side."""
        return max((sd.shape[1] for sd in self if sd is not None), default=1)


def _run_all(
    network: RecurrentNetwork,
    inputs: Array,
    delta: float,
    substeps: int,
    noise: Noise,
    streams: list[np.random.SeedSequence],
    x0: Array,
    states: Array | None = None,
    watch: Callable[[int, Block], None] | None = None,
) -> tuple[Array, NDArray[np.bool_]]:
    """Run all trials in blocks, write the states if wanted, (time, neuron, trial).

    Returns outputs, (time, output, level, trial), and at which levels the states stayed finite.
    """
    n, trials = x0.shape
    n_levels = noise.n_levels
    n_blocks = min(-(-trials * n // BLOCK), trials)
    edges = np.linspace(0, trials, n_blocks + 1).astype(int)
    seeds = [stream.spawn(n_blocks) for stream in streams]
    outputs = np.empty((inputs.shape[1], network.n_outputs, n_levels, trials))
    is_finite = np.empty((n_blocks, n_levels), dtype=bool)

    def run(k: int) -> None:
        part = slice(edges[k], edges[k + 1])
        block = Block(network, delta, np.tile(x0[:, part], n_levels))
        run_block(
            block,
            inputs[part].transpose(1, 2, 0),
            substeps,
            noise,
            [np.random.default_rng(blocks[k]) for blocks in seeds],
            None if states is None else states[:, :, part],
            outputs[:, :, :, part],
            None if watch is None else partial(watch, k, block),
        )
        is_finite[k] = np.isfinite(block.x.reshape(n, n_levels, -1)).all(axis=(0, 2))

    _on_all_cores(run, n_blocks)
    return outputs, np.logical_and.reduce(is_finite)


def euler_step(network: RecurrentNetwork, dt: float | None, substeps: int) -> float:
    """Return the length of a substep, 1 in discrete time, if there is one that makes sense."""
    if network.form == "discrete":
        if dt is not None or substeps != 1:
            raise InputError("in discrete time there is no dt and there are no substeps")
        return 1.0
    if dt is None:
        raise InputError("dt, the time step, is needed unless the network is in discrete time")
    if not (isinstance(dt, Real) and 0 < dt < np.inf):
        raise InputError(f"dt is {dt!r}; it must be a number above 0")
    if not (isinstance(substeps, Integral) and substeps > 0):
        raise InputError(f"substeps is {substeps!r}; it must be a whole number above 0")
    delta = float(dt) / int(substeps)
    limit = 2 * float(np.min(network.tau))
    if delta >= limit:
        raise InputError(
            f"a step of {delta:g} is unstable: the limit is 2 min τ = {limit:g}; choose a smaller "
            "dt or more substeps"
        )
    return delta


def largest_step(network: RecurrentNetwork) -> float:
    r"""Return the largest Euler step that is stable with all neurons active.

    .. math:: \min\Bigl(2 \min τ,\; \min_λ \frac{-2 \operatorname{Re} λ}{|λ|^2}\Bigr)

    over the eigenvalues λ of (J − 1)/τ with negative real part; modes that grow in continuous time
    grow at any step.

    Parameters
    ----------
    network : RecurrentNetwork
        In the form "current" or "rate".

    Returns
    -------
    float
        Step in the units of τ.

    Raises
    ------
    InputError
        If the network is in discrete time.

    Notes
    -----
    O(n³): the eigenvalues of a dense matrix. Other sets of active neurons have other limits; that
    of silent neurons is 2 τ.

    References
    ----------
    .. [1] E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, Springer (1996).
       https://doi.org/10.1007/978-3-642-05221-7

    Examples
    --------
    >>> from graphbal.rnn import RecurrentNetwork, largest_step
    >>> round(largest_step(RecurrentNetwork([[-4.0]])), 12)   # λ = −5
    0.4
    """
    if network.form == "discrete":
        raise InputError("in discrete time there is no step to choose")
    J = network.w_rec.toarray() if sparse.issparse(network.w_rec) else network.w_rec
    tau = np.broadcast_to(network.tau, network.n_neurons)
    modes = np.linalg.eigvals((J - np.eye(tau.size)) / tau[:, None])
    falling = modes[modes.real < 0]
    limits = -2 * falling.real / np.square(np.abs(falling))
    return float(min(2 * tau.min(), limits.min(initial=np.inf)))


class Block:
    """A block of trials: its states, (neuron, trial), and how they advance by a step.

    Below the states, or the rates, lie the inputs and a row of ones, so that one product with
    [J W_in b] yields all that a neuron receives.
    """

    def __init__(self, network: RecurrentNetwork, delta: float, initial: Array) -> None:
        n, n_in, trials = network.n_neurons, network.n_inputs, initial.shape[1]
        self.network = network
        self.w_out = network.w_out
        self.sources = np.ones((n + n_in + 1, trials))
        self.rates = self.sources[:n]
        self.inputs = self.sources[n : n + n_in]
        bias = network.bias[:, None]
        fraction: Any = delta / network.tau
        scale: Any = 1.0
        if network.form == "current":
            self.x = np.array(initial, order="C")
            scale = np.broadcast_to(fraction, n)[:, None]
        else:
            self.x = self.rates
            self.x[...] = initial
        self.received = np.empty((n, trials))
        # Of homogeneous neurons what they received keeps its sign, all that a gain depends on.
        self.activated = self.received if network.is_homogeneous else np.empty((n, trials))
        self.fraction = fraction if np.ndim(fraction) == 0 else fraction[:, None]
        self.step: Callable[[], None] = getattr(self, f"_{network.form}")
        if sparse.issparse(network.w_rec):
            stacked = [sparse.csr_array(part) for part in (network.w_in, bias)]
            weights = sparse.hstack([network.w_rec, *stacked], format="csr") * scale
            self.weights = sparse.csr_array(weights)
        else:
            self.weights = np.hstack([network.w_rec, network.w_in, bias]) * scale

    def _current(self) -> None:
        activate(self.network, self.x, self.rates)
        self._receive()
        self.x *= 1 - self.fraction
        self.x += self.received

    def _rate(self) -> None:
        self._receive()
        activate(self.network, self.received, self.activated)
        self.activated *= self.fraction
        self.x *= 1 - self.fraction
        self.x += self.activated

    def _discrete(self) -> None:
        self._receive()
        activate(self.network, self.received, self.x)

    def _receive(self) -> None:
        if sparse.issparse(self.weights):
            self.received[...] = self.weights @ self.sources
        else:
            np.matmul(self.weights, self.sources, out=self.received)

    def squared_gains(self) -> Array:
        """Return mean squared gains over trials, those in the recurrent cost and of the states.

        The first are taken at what neurons received in the last step or, in the form "current",
        at their states.
        """
        network = self.network
        of_states = np.square(network.gains(self.x)).mean(axis=1)
        if network.form == "current":
            return np.stack([of_states, of_states])
        return np.stack([np.square(network.gains(self.received)).mean(axis=1), of_states])

    def read(self) -> Array:
        """Return the outputs, (output, trial)."""
        network = self.network
        x = self.x if network.readout == "states" else network.rates(self.x)
        outputs: Array = self.w_out @ x
        outputs += network.output_bias[:, None]
        return outputs


# BLAS has one number of threads for the whole process: whoever changes it does so alone.
_BLAS = Lock()


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def _on_all_cores(run: Callable[[int], None], n_blocks: int) -> None:
    """Run all blocks, each on one core, in whose cache it then stays; as many at once as BLAS may.

    A product shared among cores, with all else done by one of them, would pass the states from
    cache to cache at every step, which takes as long as the product.
    """
    blas = _blas()
    cores = max((each.num_threads for each in blas.lib_controllers), default=os.cpu_count() or 1)
    if n_blocks == 1 or cores == 1:
        for k in range(n_blocks):
            run(k)
        return
    with _BLAS, blas.limit(limits=1), ThreadPoolExecutor(cores) as pool:
        list(pool.map(run, range(n_blocks)))


def run_block(
    block: Block,
    inputs: Array,
    substeps: int,
    noise: Noise,
    draws: list[np.random.Generator],
    states: Array | None,
    outputs: Array,
    after: Callable[[], None] | None = None,
) -> None:
    """Advance a block, all trials at one level of noise after the other, to the end.

    Inputs and states are (time, channel, trial), outputs (time, output, level, trial). All levels
    see the same draws. `after` is called after every time step; it may change the block.
    """
    n, trials = block.x.shape[0], inputs.shape[2]
    apart = (noise.n_levels, trials)
    x, received = block.x.reshape(n, *apart), block.inputs.reshape(-1, *apart)
    private, shared, of_inputs = (None if sd is None else sd[:, :, None] for sd in noise)
    if private is not None:
        normal, scaled = np.empty((n, 1, trials)), np.empty((n, *apart))
    with np.errstate(over="ignore", invalid="ignore"):
        for t, u in enumerate(inputs):
            received[...] = u[:, None]
            if of_inputs is not None:
                received += of_inputs * draws[2].standard_normal(u.shape)[:, None]
            for _ in range(substeps):
                block.step()
                if private is not None:
                    draws[0].standard_normal(out=normal)
                    x += np.multiply(normal, private, out=scaled)
                if shared is not None:
                    x += shared * draws[1].standard_normal(trials)
            if states is not None:
                states[t] = block.x
            outputs[t] = block.read().reshape(-1, *apart)
            if after is not None:
                after()


def labelled(
    network: RecurrentNetwork, dt: float, states: Array | None, outputs: Array
) -> Simulation:
    import xarray as xr

    t = dt * np.arange(1, len(outputs) + 1)

    def array(values: Array, last: str, labels: Any) -> xr.DataArray:
        return xr.DataArray(
            values.transpose(2, 0, 1),
            dims=("trial", "time", last),
            coords={"time": t, last: labels},
        )

    return Simulation(
        outputs=array(outputs, "output", np.arange(network.n_outputs)),
        states=None if states is None else array(states, "neuron", network.neurons.to_numpy()),
    )


def checked_inputs(network: RecurrentNetwork, inputs: Any) -> Array:
    """Return the inputs as an array (trial, time, input)."""
    dims = getattr(inputs, "dims", None)
    if dims is not None and {"time", "input"} <= set(dims):
        inputs = inputs.transpose(*(name for name in ("trial", "time", "input") if name in dims))
    u = _numbers("the inputs", inputs)
    if u.ndim == 2:
        u = u[None]
    if u.ndim != 3 or u.shape[2] != network.n_inputs:
        raise InputError(
            f"the inputs have shape {np.shape(inputs)}; it must be (trial, time, "
            f"{network.n_inputs}) or (time, {network.n_inputs})"
        )
    if not u.shape[0] or not u.shape[1]:
        raise InputError(f"the inputs hold {u.shape[0]} trials of {u.shape[1]} times: none to run")
    if not np.isfinite(u).all():
        trial, time, channel = (int(k) for k in np.argwhere(~np.isfinite(u))[0])
        value = u[trial, time, channel]
        raise InputError(f"input {channel} is {value} in trial {trial} at time {time}")
    return u


def initial_states(network: RecurrentNetwork, initial: Any, trials: int) -> Array:
    """Return the initial states, (neuron, trial)."""
    n = network.n_neurons
    x = _numbers("initial", network.x0 if initial is None else initial)
    if x.shape not in ((n,), (trials, n)):
        raise InputError(
            f"initial has shape {x.shape}; it must be ({n},) or ({trials}, {n}), by trial"
        )
    if not np.isfinite(x).all():
        neuron = network.neurons[int(np.argwhere(~np.isfinite(x))[0][-1])]
        raise InputError(f"the initial state of the neuron {neuron!r} is not finite")
    return np.broadcast_to(x, (trials, n)).T


def deviations(name: str, values: Any, n: int) -> Array:
    sd = _numbers(name, values)
    if sd.shape not in ((), (n,)):
        raise InputError(f"{name} has shape {sd.shape}; it must be a number or ({n},)")
    if not (np.isfinite(sd) & (sd >= 0)).all():
        raise InputError(f"{name} is {values!r}; standard deviations are finite and not negative")
    return np.broadcast_to(sd, n)


def _numbers(name: str, values: Any) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers: {error}") from error


def step_deviations(network: RecurrentNetwork, delta: float, name: str, values: Any) -> Array:
    """Return the standard deviation of what noise in the states adds in a substep."""
    sd = deviations(name, values, network.n_neurons)
    return sd if network.form == "discrete" else sd * np.sqrt(2 * delta / network.tau)


def _with_weight_noise(
    network: RecurrentNetwork, sd: float, stream: np.random.SeedSequence
) -> RecurrentNetwork:
    if not (isinstance(sd, Real) and 0 <= sd < np.inf):
        raise InputError(f"weight_noise is {sd!r}; it must be a finite number, not negative")
    if sd == 0:
        return network
    rng = np.random.default_rng(stream)
    if sparse.issparse(network.w_rec):
        w_rec = network.w_rec.copy()
        w_rec.data += sd * rng.standard_normal(w_rec.nnz)
    else:
        w_rec = network.w_rec + sd * rng.standard_normal(network.w_rec.shape) * (network.w_rec != 0)
    return replace(network, w_rec=w_rec)


def overflow(network: RecurrentNetwork, delta: float) -> str:
    what = "the states overflowed: the network is unstable"
    if network.form == "discrete" or network.n_neurons > SMALL:
        return what
    limit = largest_step(network)
    if delta >= limit:
        return (
            f"the states overflowed: a step of {delta:g} is unstable with all neurons active, the "
            f"limit is {limit:g}; choose a smaller dt or more substeps"
        )
    return f"{what} at any step, or noise drove it there"
