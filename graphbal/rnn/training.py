"""Training of recurrent networks by gradient descent through time, on JAX and Optax."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal._checks import require_whole
from graphbal.errors import InputError
from graphbal.rnn.model import RecurrentNetwork
from graphbal.rnn.simulation import euler_step
from graphbal.rnn.tasks import Batch, Task

__all__ = ["Training", "conserved_quantities", "train"]

Array = NDArray[np.float64]
Parameters = dict[str, Any]

WEIGHTS = ("w_rec", "w_in", "w_out", "bias", "output_bias")
# Iterations in one compiled call; checkpoints lie between calls.
CHUNK = 25
# Seconds between checkpoints.
INTERVAL = 10.0
MEASURES = ("loss", "total_cost", "gradient_norm", "conservation_error")


@dataclass(frozen=True, eq=False)
class Training:
    """A trained network and how it came about.

    Attributes
    ----------
    network : RecurrentNetwork
        The trained network.
    initial : RecurrentNetwork
        The network as given.
    history : pandas.DataFrame
        By ``iteration``, before its step: ``loss``, the root-mean-square error without the penalty;
        ``total_cost``, Σ J²; ``gradient_norm``, ‖g‖ of the neural gradients of that cost;
        ``conservation_error``, how far the `conserved_quantities` have moved from their start,
        relative to their norm.

    Examples
    --------
    >>> import pandas as pd
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> rnn.Training(net, net, history=pd.DataFrame({"loss": [1.0, 0.25]}))
    Training(2 iterations, loss 1 → 0.25)
    """

    network: RecurrentNetwork
    initial: RecurrentNetwork
    history: pd.DataFrame

    def __repr__(self) -> str:
        loss = self.history["loss"]
        course = f", loss {loss.iloc[0]:.4g} → {loss.iloc[-1]:.4g}" if len(loss) else ""
        return f"Training({len(loss):,} iterations{course})"


def conserved_quantities(network: RecurrentNetwork) -> pd.Series:
    r"""Return what training by gradient flow without a penalty conserves, neuron by neuron.

    .. math:: Q_k = \sum_j J_{kj}^2 + \sum_j W^{in\,2}_{kj} + b_k^2 - \sum_i J_{ik}^2
        - \sum_i W^{out\,2}_{ik}

    Scaling a neuron changes no output, hence not the loss, whose gradient is therefore orthogonal
    to that change [1]_; a penalty on J alone adds 4 λ times the neural gradient to dQ/dt.

    Parameters
    ----------
    network : RecurrentNetwork
        Of positively homogeneous neurons that start at 0, for it to be conserved.

    Returns
    -------
    pandas.Series

    Notes
    -----
    O(n²). Steps of finite length conserve it to first order in the learning rate; Adam, which
    scales each weight's step by itself, does not.

    References
    ----------
    .. [1] S. S. Du, W. Hu, J. D. Lee, "Algorithmic regularization in learning deep homogeneous
       models: layers are automatically balanced", NeurIPS (2018).
       https://doi.org/10.48550/arXiv.1806.00900

    Examples
    --------
    >>> from graphbal.rnn import RecurrentNetwork, conserved_quantities
    >>> net = RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> conserved_quantities(net).tolist()
    [-2.75, 2.75]
    """
    J = network.w_rec.toarray() if sparse.issparse(network.w_rec) else network.w_rec
    quantities = _conserved(J, network.w_in, network.w_out, network.bias)
    return pd.Series(quantities, index=network.neurons, name="conserved")


def train(
    network: RecurrentNetwork,
    task: Task,
    n_iterations: int,
    *,
    penalty: float = 0.0,
    optimizer: str = "sgd",
    learning_rate: float = 5e-3,
    schedule: str = "constant",
    clip: float | None = 10.0,
    substeps: int = 1,
    n_trials: int | None = None,
    trained: Sequence[str] = ("w_rec", "w_in", "w_out", "bias"),
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool | Callable[[int, float], None] = False,
) -> Training:
    r"""Train a recurrent network on a task by gradient descent through time.

    The loss is the root of the mean squared error over trials, times and outputs, weighted with the
    mask of the task, plus the penalty :math:`λ \sum_{ij} J_{ij}^2` on the recurrent weights. Where
    the task is learned, the penalty drives the network towards balance; without it gradient flow
    conserves how far from balance every neuron is (`conserved_quantities`) [1]_.

    Parameters
    ----------
    network : RecurrentNetwork
        Where to start. Any form and activation; a sparse J keeps its support.
    task : Task
        What to learn: an object with ``n_inputs``, ``n_outputs``, ``dt`` and ``batch(seed,
        n_trials)``. The batch of iteration k is that of the seed (`seed`, k).
    n_iterations : int
        Number of steps of gradient descent.
    penalty : float
        λ, not negative.
    optimizer : {"sgd", "adam"}
        Plain gradient descent, or Adam.
    learning_rate : float
        Length of a step, at first.
    schedule : {"constant", "cosine"}
        Whether the learning rate stays or falls to 0 along half a cosine.
    clip : float, optional
        Largest norm of the whole gradient, that of the penalty included; a longer one is scaled
        down to it. None: no limit.
    substeps : int
        Euler steps in a time step, as in `simulate`.
    n_trials : int, optional
        Trials in a batch; by default as many as the task has conditions.
    trained : sequence of str
        What is trained, of w_rec, w_in, w_out, bias and output_bias; the rest stays.
    seed : int
        Seed of the batches.
    checkpoint : path, optional
        An .npz file that holds the state of the training every ten seconds, when it is interrupted
        and at its end. If it is there, training goes on from it, and ends with the same weights to
        the last bit. One of another training is refused and stays.
    progress : bool or callable
        Whether to show a progress bar on standard error; or what to call with the number of
        iterations done and the loss.

    Returns
    -------
    Training

    Raises
    ------
    InputError
        If network and task do not fit, an option makes no sense, the loss stops being finite, the
        checkpoint is unreadable or another training's, or JAX and Optax are not installed
        (``pip install 'graphbal[train]'``).

    Notes
    -----
    For m substeps and B trials an iteration takes 2 m products of J with (n, B) matrices, forwards
    and back, and one of (n, m B) with (m B, n): the adjoint is written by hand and keeps the states
    of all substeps. Single precision, unless ``jax_enable_x64`` is set. Clipping rescales time and
    keeps the conservation law.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import rnn
    >>> rng = np.random.default_rng(0)
    >>> net = rnn.RecurrentNetwork(
    ...     0.2 * rng.standard_normal((16, 16)),
    ...     w_in=rng.standard_normal((16, 3)) / 4,
    ...     w_out=rng.standard_normal((3, 16)) / 4,
    ... )
    >>> task = rnn.PerceptualIntegration(n_stimulus=10, n_response=5)
    >>> run = rnn.train(net, task, 100, penalty=0.01, learning_rate=0.1)
    >>> run
    Training(100 iterations, loss ...)
    """
    n_iterations = require_whole("n_iterations", n_iterations)
    descent = _Descent(
        optimizer=_word("optimizer", optimizer, ("sgd", "adam")),
        learning_rate=_number("learning_rate", learning_rate, positive=True),
        falls_over=n_iterations
        if _word("schedule", schedule, ("constant", "cosine")) == "cosine"
        else None,
        clip=None if clip is None else _number("clip", clip, positive=True),
    )
    penalty = _number("penalty", penalty)
    trained = tuple(_word("trained", name, WEIGHTS) for name in trained)
    seed = require_whole("seed", seed)
    if n_trials is not None:
        n_trials = require_whole("n_trials", n_trials, 1)
    _require_fitting(network, task)
    delta = euler_step(network, None if network.form == "discrete" else task.dt, substeps)
    try:
        import jax
        import optax  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"training needs JAX and Optax ({error}): pip install 'graphbal[train]'"
        ) from error

    rule = _Rule(network.activation, network.leak, network.form, network.readout, substeps)
    weights, constants = _on_device(network, trained, delta, penalty)
    state = (weights, descent.transformation().init(weights))
    history = np.empty((n_iterations, len(MEASURES)))
    done, file = 0, None
    if checkpoint is not None:
        first = task.batch((seed, 0), n_trials)
        facts = (asdict(rule), asdict(descent), penalty, trained, seed, float(task.dt))
        file = _Checkpoint(Path(checkpoint), _fingerprint(facts, network, first))
        leaves, structure = jax.tree.flatten(state)
        if (found := file.read(leaves)) is not None:
            leaves, earlier = found
            done = len(earlier)
            if done > n_iterations:
                raise InputError(
                    f"{checkpoint} has {done} iterations, more than the {n_iterations} asked for"
                )
            history[:done] = earlier
            state = jax.tree.unflatten(structure, leaves)

    saved, latest = done, time.monotonic()
    with _reporting(progress, n_iterations) as report:
        try:
            while done < n_iterations:
                count = min(CHUNK, n_iterations - done)
                batches = [task.batch((seed, k), n_trials) for k in range(done, done + count)]
                reached, measured = _compiled()(rule, descent, state, constants, _stacked(batches))
                rows = np.stack([np.asarray(measured[name]) for name in MEASURES], axis=1)
                if not np.isfinite(rows).all():
                    at = done + int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
                    raise InputError(
                        f"training diverged at iteration {at}: choose a lower learning rate, "
                        "clip the gradient, or take more substeps"
                    )
                history[done : done + count] = rows
                state, done = reached, done + count
                report(done, float(rows[-1, 0]))
                if file is not None and time.monotonic() - latest > INTERVAL:
                    file.write(jax.tree.leaves(state), history[:done])
                    saved, latest = done, time.monotonic()
        finally:
            if file is not None and done > saved:
                file.write(jax.tree.leaves(state), history[:done])
    return Training(
        network=_with(network, state[0]),
        initial=network,
        history=pd.DataFrame(history, columns=list(MEASURES)).rename_axis("iteration"),
    )


@dataclass(frozen=True)
class _Descent:
    """How steps follow from gradients."""

    optimizer: str
    learning_rate: float
    falls_over: int | None
    clip: float | None

    def transformation(self) -> Any:
        import optax

        rate: Any = self.learning_rate
        if self.falls_over:
            rate = optax.cosine_decay_schedule(rate, self.falls_over)
        steps = [optax.sgd(rate) if self.optimizer == "sgd" else optax.adam(rate)]
        if self.clip is not None:
            steps.insert(0, optax.clip_by_global_norm(self.clip))
        return optax.chain(*steps)


@dataclass(frozen=True)
class _Rule:
    """How states follow from weights: all of a network but its numbers."""

    activation: str
    leak: float
    form: str
    readout: str
    substeps: int

    @property
    def phi(self) -> Callable[[Any], Any]:
        """The activation φ."""
        import jax
        import jax.numpy as jnp

        return {
            "relu": lambda x: jnp.maximum(x, 0),
            "leaky_relu": lambda x: jnp.where(x > 0, x, self.leak * x),
            "linear": lambda x: x,
            "tanh": jnp.tanh,
            "softplus": jax.nn.softplus,
        }[self.activation]

    @property
    def slope(self) -> Callable[[Any], Any]:
        """The slope φ′; that of a ReLU at 0 is 0, as `RecurrentNetwork.gains` has it."""
        import jax
        import jax.numpy as jnp

        return {
            "relu": lambda x: (x > 0).astype(x.dtype),
            "leaky_relu": lambda x: jnp.where(x > 0, 1, self.leak).astype(x.dtype),
            "linear": jnp.ones_like,
            "tanh": lambda x: 1 - jnp.tanh(x) ** 2,
            "softplus": jax.nn.sigmoid,
        }[self.activation]


# ---------------------------------------------------------------------- the compiled part


@cache
def _compiled() -> Any:
    """Return `_advance`, compiled once for each rule, descent and size."""
    import jax

    return jax.jit(_advance, static_argnums=(0, 1))


def _advance(
    rule: _Rule, descent: _Descent, state: Any, constants: Parameters, batches: Any
) -> tuple[Any, Any]:
    """Take a step of the descent for each batch; return the state and the measures before each."""
    import jax
    import optax

    transformation = descent.transformation()

    def iteration(state: Any, batch: Any) -> tuple[Any, Any]:
        weights, memory = state
        slopes = jax.value_and_grad(partial(_loss, rule), has_aux=True)
        (_, rmse), gradient = slopes(weights, constants, batch)
        updates, memory = transformation.update(gradient, memory, weights)
        measured = {"loss": rmse} | _measures(weights, constants)
        return (optax.apply_updates(weights, updates), memory), measured

    return jax.lax.scan(iteration, state, batches)


def _loss(rule: _Rule, weights: Parameters, constants: Parameters, batch: Any) -> tuple[Any, Any]:
    """Return the loss of a batch with the penalty, and without."""
    import jax.numpy as jnp

    inputs, targets, mask = batch
    w = constants["weights"] | weights
    J, x0 = w["w_rec"] * constants["support"], constants["x0"]
    states = _recurrence(rule)(
        J,
        inputs @ w["w_in"].T + w["bias"],
        jnp.broadcast_to(x0, (inputs.shape[1], x0.size)),
        constants["fraction"],
    )
    read = states if rule.readout == "states" else rule.phi(states)
    errors = read @ w["w_out"].T + w["output_bias"] - targets
    mean = (mask[..., None] * errors**2).sum() / (mask.sum() * errors.shape[-1])
    rmse = jnp.sqrt(jnp.maximum(mean, jnp.finfo(mean.dtype).tiny))  # the root has no slope at 0
    return rmse + constants["penalty"] * (J**2).sum(), rmse


def _measures(weights: Parameters, constants: Parameters) -> Parameters:
    """Return what the history tells of the weights."""
    import jax.numpy as jnp

    w = constants["weights"] | weights
    J, start = w["w_rec"] * constants["support"], constants["conserved"]
    costs = J**2
    moved = _conserved(J, w["w_in"], w["w_out"], w["bias"]) - start
    scale = jnp.maximum(jnp.linalg.norm(start), jnp.finfo(start.dtype).tiny)
    return {
        "total_cost": costs.sum(),
        "gradient_norm": jnp.linalg.norm(costs.sum(axis=1) - costs.sum(axis=0)),
        "conservation_error": jnp.linalg.norm(moved) / scale,
    }


def _recurrence(rule: _Rule) -> Any:
    r"""Return the function from J, drive (time, trial, n), x₀ and f to states (time, trial, n).

    A substep is :math:`x ← (1 − f) x + f ψ(z)` with z = J s + d: in the form "current" s = φ(x) and
    ψ(z) = z, otherwise s = x and ψ = φ. Its adjoint takes l, the derivative by the new state, to
    that by the old one; m, the derivative by z, is kept, and dJ is one product over all substeps.
    """
    import jax
    import jax.numpy as jnp

    phi, slope, is_current = rule.phi, rule.slope, rule.form == "current"

    def forward(J: Any, drive: Any, x0: Any, fraction: Any) -> tuple[Any, Any]:
        def substep(x: Any, d: Any) -> tuple[Any, Any]:
            source = phi(x) if is_current else x
            z = source @ J.T + d
            new = (1 - fraction) * x + fraction * (z if is_current else phi(z))
            return new, (x if is_current else (x, z))

        def step(x: Any, d: Any) -> tuple[Any, Any]:
            x, kept = jax.lax.scan(lambda x, _: substep(x, d), x, length=rule.substeps)
            return x, (x, kept)

        return jax.lax.scan(step, x0, drive)[1]

    @jax.custom_vjp
    def states(J: Any, drive: Any, x0: Any, fraction: Any) -> Any:
        return forward(J, drive, x0, fraction)[0]

    def keep(J: Any, drive: Any, x0: Any, fraction: Any) -> tuple[Any, Any]:
        ends, kept = forward(J, drive, x0, fraction)
        return ends, (J, fraction, kept)

    def adjoint(residuals: Any, by_states: Any) -> tuple[Any, Any, Any, None]:
        J, fraction, kept = residuals

        def substep(l: Any, here: Any) -> tuple[Any, Any]:  # noqa: E741
            if is_current:
                m = fraction * l
                return (1 - fraction) * l + (m @ J) * slope(here), m
            m = fraction * l * slope(here[1])
            return (1 - fraction) * l + m @ J, m

        def step(l: Any, here: Any) -> tuple[Any, Any]:  # noqa: E741
            by_state, kept = here
            return jax.lax.scan(substep, l + by_state, kept, reverse=True)

        nothing = jnp.zeros_like(by_states[0])
        by_x0, by_z = jax.lax.scan(step, nothing, (by_states, kept), reverse=True)
        sources = phi(kept) if is_current else kept[0]
        n = J.shape[0]
        by_J = by_z.reshape(-1, n).T @ sources.reshape(-1, n)
        return by_J, by_z.sum(axis=1), by_x0, None

    states.defvjp(keep, adjoint)
    return states


def _conserved(J: Any, w_in: Any, w_out: Any, bias: Any) -> Any:
    received = (J**2).sum(axis=1) + (w_in**2).sum(axis=1) + bias**2
    return received - (J**2).sum(axis=0) - (w_out**2).sum(axis=0)


# ---------------------------------------------------------------------- to JAX and back


def _dense_weights(network: RecurrentNetwork) -> tuple[Array, Array, Array, Array]:
    J = network.w_rec.toarray() if sparse.issparse(network.w_rec) else network.w_rec
    return J, network.w_in, network.w_out, network.bias


def _on_device(
    network: RecurrentNetwork, trained: Sequence[str], delta: float, penalty: float
) -> tuple[Parameters, Parameters]:
    """Return the weights that are trained, and everything else that the loss depends on."""
    import jax
    import jax.numpy as jnp

    weights = {name: getattr(network, name) for name in WEIGHTS}
    weights["w_rec"] = _dense_weights(network)[0]
    # A sparse J is trained as a full matrix, whose other entries count as zero.
    support = weights["w_rec"] != 0 if sparse.issparse(network.w_rec) else np.ones(())
    constants = {
        "weights": {name: weights.pop(name) for name in WEIGHTS if name not in trained},
        "support": np.asarray(support, dtype=np.float64),
        "x0": network.x0,
        # In discrete time τ has no meaning.
        "fraction": np.asarray(1.0 if network.form == "discrete" else delta / network.tau),
        "penalty": np.asarray(penalty),
        "conserved": conserved_quantities(network).to_numpy(),
    }
    return jax.tree.map(jnp.asarray, (weights, constants))


def _with(network: RecurrentNetwork, weights: Parameters) -> RecurrentNetwork:
    """Return the network with its trained weights."""
    values: Parameters = {
        name: np.asarray(value, dtype=np.float64) for name, value in weights.items()
    }
    if "w_rec" in values and sparse.issparse(network.w_rec):
        w_rec = network.w_rec.copy()
        post = np.repeat(np.arange(network.n_neurons), np.diff(w_rec.indptr))
        w_rec.data = values["w_rec"][post, w_rec.indices]
        values["w_rec"] = w_rec
    return replace(network, **values)


def _stacked(batches: Sequence[Batch]) -> tuple[Any, ...]:
    """Return inputs, targets and masks, (iteration, time, trial, channel)."""
    import jax.numpy as jnp

    try:
        inputs, targets, mask = (
            np.stack([np.asarray(getattr(batch, name)) for batch in batches])
            for name in ("inputs", "targets", "mask")
        )
    except ValueError as error:
        raise InputError(
            "batches of the task differ in their number of trials or times; training takes batches "
            "of one size"
        ) from error
    return tuple(jnp.asarray(np.swapaxes(each, 1, 2)) for each in (inputs, targets, mask))


# ---------------------------------------------------------------------- checkpoints


@dataclass(frozen=True)
class _Checkpoint:
    path: Path
    fingerprint: str

    def write(self, leaves: Sequence[Any], history: Array) -> None:
        from graphbal.io import replacing

        arrays: dict[str, Any] = {f"leaf_{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}
        try:
            with replacing(self.path) as file:
                np.savez(file, fingerprint=self.fingerprint, history=history, **arrays)
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror or error}") from error

    def read(self, like: Sequence[Any]) -> tuple[list[Any], Array] | None:
        """Return the leaves of the state and the history, or None if there is no such file."""
        import zipfile

        import jax.numpy as jnp

        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                fingerprint, history = str(file["fingerprint"]), file["history"]
                found = [file[f"leaf_{k}"] for k in range(len(like))]
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.path} is no checkpoint of a training: {error}") from error
        if fingerprint != self.fingerprint or any(
            old.shape != new.shape or old.dtype != new.dtype
            for old, new in zip(found, like, strict=True)
        ):
            raise InputError(
                f"{self.path} is the checkpoint of a training with another network, task or "
                "settings; give another file, or move that one away"
            )
        return [jnp.asarray(leaf) for leaf in found], history


def _fingerprint(facts: Any, network: RecurrentNetwork, first: Batch) -> str:
    """Return a digest of all that decides the course of a training."""
    digest = hashlib.sha256(json.dumps(facts).encode())
    for array in (
        *(*_dense_weights(network), network.output_bias, network.x0, network.tau),
        *(first.inputs, first.targets, first.mask),
    ):
        array = np.ascontiguousarray(array, dtype=np.float64)
        digest.update(repr(array.shape).encode() + array.tobytes())
    return digest.hexdigest()


# ---------------------------------------------------------------------- what is asked for


def _require_fitting(network: RecurrentNetwork, task: Any) -> None:
    missing = [name for name in ("n_inputs", "n_outputs", "dt", "batch") if not hasattr(task, name)]
    if missing:
        raise InputError(f"a {type(task).__name__} is no task: it has no {missing[0]!r}")
    for what in ("inputs", "outputs"):
        has, needs = getattr(network, f"n_{what}"), getattr(task, f"n_{what}")
        if has != needs:
            raise InputError(f"the network has {has} {what}, and the task {needs}")


def _number(name: str, value: float, positive: bool = False) -> float:
    if not (isinstance(value, Real) and 0 <= value < np.inf and (value or not positive)):
        limit = "above 0" if positive else "not negative"
        raise InputError(f"{name} is {value!r}; it must be a finite number, {limit}")
    return float(value)


def _word(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InputError(f"{name} is {value!r}; choose from {', '.join(choices)}")
    return str(value)


def _reporting(progress: bool | Callable[[int, float], None], n_iterations: int) -> Any:
    from contextlib import nullcontext

    from graphbal._progress import training_bar

    if callable(progress):
        return nullcontext(progress)
    return training_bar(n_iterations) if progress else nullcontext(lambda done, loss: None)
