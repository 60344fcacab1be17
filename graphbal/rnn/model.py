"""Recurrent networks of rate neurons, and the transformation that preserves what they compute."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

if TYPE_CHECKING:
    from graphbal.rnn.simulation import Simulation

__all__ = ["RecurrentNetwork", "as_graph"]

Array = NDArray[np.float64]

HOMOGENEOUS = ("relu", "leaky_relu", "linear")
ACTIVATIONS = (*HOMOGENEOUS, "tanh", "softplus")
FORMS = ("current", "rate", "discrete")
READOUTS = ("states", "rates")
SCOPES = ("recurrent", "all")


@dataclass(frozen=True, eq=False, repr=False)
class RecurrentNetwork:
    r"""A frozen recurrent network of rate neurons with inputs and a linear readout.

    With states x, inputs u and the activation φ, the network obeys one of

    .. math::
        \text{current:}\quad & τ \dot x = -x + J φ(x) + W_{in} u + b \\
        \text{rate:}\quad & τ \dot x = -x + φ(J x + W_{in} u + b) \\
        \text{discrete:}\quad & x_t = φ(J x_{t-1} + W_{in} u_t + b)

    (equation 1 of [1]_ in its two customary forms, and PyTorch's ``nn.RNN``); its outputs are
    :math:`y = W_{out} x + b_{out}`, or :math:`y = W_{out} φ(x) + b_{out}` of the rates.

    Parameters
    ----------
    w_rec : array or sparse matrix, shape (n, n)
        Recurrent weights J, row = postsynaptic, column = presynaptic.
    w_in : array, shape (n, n_inputs), optional
        Weights of the inputs; none by default.
    w_out : array, shape (n_outputs, n), optional
        Weights of the readout; none by default.
    bias : array, shape (n,), optional
        Bias b; zero by default.
    activation : {"relu", "leaky_relu", "linear", "tanh", "softplus"}
        The first three are positively homogeneous, so that the network can be transformed and
        balanced; the others can be simulated.
    leak : float
        Slope of the leaky ReLU below 0.
    tau : float or array of shape (n,)
        Time constants τ, in the units of time of `dt`; without a meaning in discrete time.
    form : {"current", "rate", "discrete"}
    readout : {"states", "rates"}
        Whether outputs are linear in x or in φ(x).
    output_bias : array, shape (n_outputs,), optional
        Bias of the outputs; zero by default.
    neurons : labels, optional
        Labels of the neurons, each once; default 0 to n − 1.
    x0 : array, shape (n,), optional
        Initial states; zero by default.

    Raises
    ------
    InputError
        If shapes disagree, a weight is not finite, or a word is unknown.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal.rnn import RecurrentNetwork
    >>> net = RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> net
    RecurrentNetwork(2 neurons, 1 inputs, 1 outputs, relu, current form)
    >>> net.transform([0.0, np.log(2)]).w_rec
    array([[ 0., -1.],
           [ 1.,  0.]])
    >>> net.rates([0.5, -1.0]), net.gains([0.5, -1.0])
    (array([0.5, 0. ]), array([1., 0.]))
    >>> net.require_homogeneous()  # ReLUs are; the same with tanh raises an InputError
    """

    w_rec: Any
    w_in: Any = None
    w_out: Any = None
    bias: Any = None
    activation: str = "relu"
    leak: float = 0.01
    tau: Any = 1.0
    form: str = "current"
    readout: str = "states"
    output_bias: Any = None
    neurons: Any = None
    x0: Any = None

    def __post_init__(self) -> None:
        for name, choices in (
            ("activation", ACTIVATIONS),
            ("form", FORMS),
            ("readout", READOUTS),
        ):
            chosen = getattr(self, name)
            if chosen not in choices:
                raise InputError(f"{name} is {chosen!r}; choose one of {', '.join(choices)}")
        if not (isinstance(self.leak, Real) and 0 <= self.leak < np.inf):
            raise InputError(f"leak is {self.leak!r}; it must be a finite number, not negative")
        w_rec = _recurrent(self.w_rec)
        n = w_rec.shape[0]
        w_in = _array("w_in", self.w_in, (n, None), np.empty((n, 0)))
        w_out = _array("w_out", self.w_out, (None, n), np.empty((0, n)))
        neurons = pd.RangeIndex(n) if self.neurons is None else _labels(self.neurons)
        if len(neurons) != n:
            raise InputError(f"{len(neurons)} labels were given for {n} neurons")
        if not neurons.is_unique:
            label = neurons[neurons.duplicated()][0]
            raise InputError(f"the label {label!r} is given to more than one neuron")
        tau: Any = _array("tau", np.full(n, self.tau) if np.ndim(self.tau) == 0 else self.tau, (n,))
        if not (tau > 0).all():
            at = int(np.flatnonzero(~(tau > 0))[0])
            raise InputError(f"tau of the neuron {neurons[at]!r} is {tau[at]}; it must be above 0")
        values = {
            "w_rec": w_rec,
            "w_in": w_in,
            "w_out": w_out,
            "bias": _array("bias", self.bias, (n,), np.zeros(n)),
            "leak": float(self.leak),
            "tau": float(self.tau) if np.ndim(self.tau) == 0 else tau,
            "output_bias": _array(
                "output_bias", self.output_bias, (len(w_out),), np.zeros(len(w_out))
            ),
            "neurons": neurons,
            "x0": _array("x0", self.x0, (n,), np.zeros(n)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    # ------------------------------------------------------------------ size

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return int(self.w_rec.shape[0])

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return int(self.w_in.shape[1])

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return int(self.w_out.shape[0])

    @property
    def is_homogeneous(self) -> bool:
        """Whether φ(a x) = a φ(x) for every a > 0, so that transformations are exact."""
        return self.activation in HOMOGENEOUS

    # ------------------------------------------------------------------ dynamics

    def rates(self, x: ArrayLike) -> Array:
        """Return φ(x), elementwise."""
        values = np.array(x, dtype=np.float64)
        activate(self, values, values)
        return values

    def gains(self, x: ArrayLike) -> Array:
        """Return the slope φ′(x), elementwise; that of a ReLU at 0 is 0."""
        x = np.asarray(x, dtype=np.float64)
        match self.activation:
            case "relu":
                return (x > 0).astype(np.float64)
            case "leaky_relu":
                return np.where(x > 0, 1.0, self.leak)
            case "linear":
                return np.ones_like(x)
            case "tanh":
                return 1.0 - np.square(np.tanh(x))
            case _:
                return np.exp(-np.logaddexp(0.0, -x))

    def simulate(self, inputs: Any, dt: float | None = None, **options: Any) -> Simulation:
        """Run the network on a batch of trials; see `graphbal.rnn.simulate`."""
        from graphbal.rnn.simulation import simulate

        return simulate(self, inputs, dt, **options)

    # ------------------------------------------------------------------ transformation

    def transform(self, potentials: Any) -> RecurrentNetwork:
        r"""Return the network that computes the same with states :math:`e^{-h} x`.

        .. math:: J_{ij} → e^{h_j - h_i} J_{ij},\quad W_{in} → e^{-h} W_{in},\quad
            b → e^{-h} b,\quad x_0 → e^{-h} x_0,\quad W_{out} → W_{out} e^{h}

        (equation 4 of [1]_). Time constants and the bias of the outputs stay.

        Parameters
        ----------
        potentials : array of shape (n,), Series or mapping by label
            Potentials h, dimensionless.

        Returns
        -------
        RecurrentNetwork

        Raises
        ------
        InputError
            If the activation is not positively homogeneous, a neuron has no potential, or a
            transformed weight is not finite.

        References
        ----------
        .. [1] Stock et al. (2022). https://doi.org/10.1371/journal.pcbi.1010418
        """
        self.require_homogeneous()
        nothing = sparse.csr_array((self.n_neurons, self.n_neurons), dtype=np.float64)
        h = SynapticNetwork(nothing, self.neurons).aligned(potentials, "potential")
        with np.errstate(over="ignore", invalid="ignore"):
            if sparse.issparse(self.w_rec):
                post = np.repeat(np.arange(h.size), np.diff(self.w_rec.indptr))
                w_rec = self.w_rec.copy()
                w_rec.data *= np.exp(h[self.w_rec.indices] - h[post])
            else:
                w_rec = self.w_rec * np.exp(h - h[:, None])
            gain = np.exp(h)
            return replace(
                self,
                w_rec=w_rec,
                w_in=self.w_in / gain[:, None],
                w_out=self.w_out * gain,
                bias=self.bias / gain,
                x0=self.x0 / gain,
            )

    def require_homogeneous(self) -> None:
        """Raise an InputError if scaling a neuron would change what it computes."""
        if not self.is_homogeneous:
            raise InputError(
                f"a network of {self.activation} neurons cannot be transformed or balanced: "
                f"{self.activation}(a x) is not a {self.activation}(x), so that a scaled neuron "
                f"computes something else; that takes {', '.join(HOMOGENEOUS[:-1])} or linear"
            )

    # ------------------------------------------------------------------ files

    def save(self, path: str | Path) -> None:
        """Write the network to an .npz file, without pickle; a file there is replaced at once.

        Raises
        ------
        InputError
            If labels are neither numbers nor text, or the file cannot be written.
        """
        from graphbal.io import replacing

        labels = self.neurons.tolist()
        if not all(isinstance(label, (str, int, float)) for label in labels):
            raise InputError("files hold labels that are numbers or text; relabel the neurons")
        words = {name: getattr(self, name) for name in ("activation", "form", "readout")}
        arrays = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name not in (*words, "w_rec", "neurons")
        }
        if sparse.issparse(self.w_rec):
            arrays |= {f"w_rec_{part}": getattr(self.w_rec, part) for part in _CSR}
        else:
            arrays["w_rec"] = self.w_rec
        path = Path(path)
        try:
            with replacing(path) as file:
                np.savez(file, facts=json.dumps(words | {"neurons": labels}), **arrays)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | Path) -> RecurrentNetwork:
        """Read a network written by `save`.

        Raises
        ------
        InputError
            If the file cannot be read, or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            facts = json.loads(str(arrays.pop("facts")))
            if "w_rec" not in arrays:
                data, indices, indptr = (arrays.pop(f"w_rec_{part}") for part in _CSR)
                n = indptr.size - 1
                arrays["w_rec"] = sparse.csr_array((data, indices, indptr), shape=(n, n))
            arrays |= {"leak": float(arrays["leak"]), "neurons": pd.Index(facts.pop("neurons"))}
            return cls(**arrays, **facts)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"{path} holds no recurrent network: {error}") from error

    def __repr__(self) -> str:
        return (
            f"RecurrentNetwork({self.n_neurons:,} neurons, {self.n_inputs} inputs, "
            f"{self.n_outputs} outputs, {self.activation}, {self.form} form)"
        )


_CSR = ("data", "indices", "indptr")


def as_graph(network: RecurrentNetwork, scope: str = "recurrent") -> SynapticNetwork:
    """Return the network as a graph of synapses.

    Parameters
    ----------
    network : RecurrentNetwork
    scope : {"recurrent", "all"}
        The recurrent synapses alone; or those of inputs and readout as well, with the neurons
        ``("in", k)`` and ``("out", k)`` after the others. Biases are no synapses.

    Returns
    -------
    SynapticNetwork

    Raises
    ------
    InputError
        If the scope is unknown.

    Examples
    --------
    >>> from graphbal.rnn import RecurrentNetwork, as_graph
    >>> net = RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> as_graph(net, scope="all").edges()
             pre      post  weight  cost
    0          1         0    -0.5  0.25
    1    (in, 0)         0     1.0  1.00
    2          0         1     2.0  4.00
    3          1  (out, 0)     1.0  1.00
    """
    if scope not in SCOPES:
        raise InputError(f"scope is {scope!r}; choose 'recurrent' or 'all'")
    if scope == "recurrent":
        return SynapticNetwork.from_scipy(network.w_rec, neurons=network.neurons)
    n_out = network.n_outputs
    blocks = [
        [network.w_rec, network.w_in, None],
        [None, None, sparse.csr_array((network.n_inputs, n_out))],
        [network.w_out, None, None],
    ]
    labels = [*network.neurons, *ends(network)]
    neurons = pd.Index(_objects(labels), tupleize_cols=False)
    return SynapticNetwork.from_scipy(
        sparse.block_array([[_sparse(each) for each in row] for row in blocks]).tocsr(),
        neurons=neurons,
    )


def ends(network: RecurrentNetwork) -> list[tuple[str, int]]:
    """Return the labels of inputs and outputs in the graph of all synapses."""
    return [("in", k) for k in range(network.n_inputs)] + [
        ("out", k) for k in range(network.n_outputs)
    ]


def activate(network: RecurrentNetwork, x: Array, out: Array) -> None:
    """Write φ(x) into `out`, which may be x itself."""
    match network.activation:
        case "relu":
            np.maximum(x, 0.0, out=out)
        case "leaky_relu":
            np.multiply(x, np.where(x > 0, 1.0, network.leak), out=out)
        case "linear":
            if out is not x:
                out[...] = x
        case "tanh":
            np.tanh(x, out=out)
        case _:
            np.logaddexp(0.0, x, out=out)


def _recurrent(weights: Any) -> Any:
    if not sparse.issparse(weights):
        w_rec = _array("w_rec", weights, (None, None))
        values = w_rec
    else:
        w_rec = sparse.csr_array(weights, dtype=np.float64, copy=True)
        w_rec.sum_duplicates()
        values = w_rec.data
        if not np.isfinite(values).all():
            at = w_rec.tocoo()
            k = int(np.flatnonzero(~np.isfinite(at.data))[0])
            raise InputError(f"w_rec[{at.coords[0][k]}, {at.coords[1][k]}] is {at.data[k]}")
    if w_rec.shape[0] != w_rec.shape[1] or not w_rec.shape[0]:
        raise InputError(
            f"w_rec has shape {w_rec.shape}; it must be square, one row and one column per neuron"
        )
    return w_rec


def _array(
    name: str, values: Any, shape: tuple[int | None, ...], default: Array | None = None
) -> Array:
    """Return float64 values of the given shape (None: any length), in row order."""
    if values is None:
        assert default is not None
        return default
    try:
        values = values.toarray() if sparse.issparse(values) else values
        array = np.array(values, dtype=np.float64, order="C")  # a copy: training writes in place
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers: {error}") from error
    if np.ndim(values) != len(shape) or any(
        want not in (None, got) for want, got in zip(shape, array.shape, strict=True)
    ):
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        comma = "," if len(shape) == 1 else ""
        raise InputError(f"{name} has shape {np.shape(values)}; it must be ({wanted}{comma})")
    if not np.isfinite(array).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{name}[{', '.join(map(str, at))}] is {array[at]}")
    return array


def _labels(labels: Any) -> pd.Index:
    if isinstance(labels, pd.Index):
        return labels
    labels = list(labels)
    if any(isinstance(label, tuple) for label in labels):
        return pd.Index(_objects(labels), tupleize_cols=False)
    return pd.Index(labels)


def _objects(labels: list[Any]) -> NDArray[np.object_]:
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


def _sparse(block: Any) -> Any:
    return None if block is None else sparse.csr_array(block)
