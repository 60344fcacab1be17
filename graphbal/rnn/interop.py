"""Networks of any shape whose weights are named arrays or a JAX pytree: wired up, balanced.

A *wiring* says of each array which populations of neurons its axes are, and which way its synapses
run: ``"hidden <- input"`` for a matrix [post, pre], ``"input -> hidden"`` for its transpose (as in
``x @ W``), ``"hidden"`` for a bias or an initial state, ``"hidden <- left + right"`` where an axis
is two populations one after the other. `graphbal.rnn.pytorch` writes such wirings for modules.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from graphbal.balance import balance
from graphbal.convert.labels import label_index
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from graphbal.balance import Equilibrium

    Array = NDArray[np.float64]

__all__ = ["BalancedParameters", "balance_arrays", "balance_pytree"]


@dataclass(frozen=True, eq=False)
class BalancedParameters:
    """What was balanced, of the kind it was given, and its equilibrium.

    Attributes
    ----------
    parameters
        The balanced arrays, pytree, state dict or modules.
    equilibrium : Equilibrium
        Potentials by neuron, labelled (population, number); total cost before and after. A state
        handed to the network from outside, such as the initial state of a population, must be
        multiplied by :math:`e^{-h}`.

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import rnn
    >>> arrays = {"w_in": np.array([[8.0]]), "w_out": np.array([[2.0]])}
    >>> wiring = {"w_in": "hidden <- input", "w_out": "output <- hidden"}
    >>> balanced = rnn.balance_arrays(arrays, wiring)
    >>> {name: array.round(6).tolist() for name, array in balanced.parameters.items()}
    {'w_in': [[4.0]], 'w_out': [[4.0]]}
    >>> balanced.equilibrium.potentials.round(4).to_dict()
    {('hidden', 0): 0.6931, ('input', 0): 0.0, ('output', 0): 0.0}
    """

    parameters: Any
    equilibrium: Equilibrium

    def __repr__(self) -> str:
        eq = self.equilibrium
        return (
            f"BalancedParameters({eq.original.n_neurons:,} neurons, cost {eq.initial_cost:.6g} → "
            f"{eq.total_cost:.6g})"
        )


@dataclass(frozen=True)
class Axes:
    """The populations that the axes of an array are; ``pre`` is None for one value a neuron."""

    post: tuple[str, ...]
    pre: tuple[str, ...] | None = None
    transposed: bool = False

    @classmethod
    def read(cls, name: str, text: Any) -> Axes:
        """Return what a line of a wiring says."""
        parts = re.split("(<-|->)", text) if isinstance(text, str) else []
        ends = [tuple(each.strip() for each in part.split("+")) for part in parts[::2]]
        if len(ends) in (1, 2) and all(map(all, ends)):
            if len(ends) == 1:
                return cls(ends[0])
            transposed = parts[1] == "->"
            post, pre = reversed(ends) if transposed else ends
            return cls(post, pre, transposed)
        raise InputError(
            f"the wiring of {name!r} is {text!r}; write 'post <- pre', 'pre -> post' for a matrix "
            "[pre, post], or the name of a population for one value per neuron"
        )

    def by_dimension(self) -> list[tuple[str, ...]]:
        """Return the populations along each dimension of the array."""
        if self.pre is None:
            return [self.post]
        return [self.pre, self.post] if self.transposed else [self.post, self.pre]


def balance_arrays(
    arrays: Mapping[str, Any],
    wiring: Mapping[str, str],
    *,
    fixed: Iterable[str] | None = None,
    p: float = 2.0,
    alpha: Any = 1.0,
    tol: float = 1e-9,
) -> BalancedParameters:
    r"""Balance a network given as named arrays, its inputs and outputs held fixed.

    Minimises :math:`\sum_{ij} \alpha_{ij} |J_{ij}|^p e^{p (h_j - h_i)}` over the potentials h of
    all free neurons [1]_, J being all weight matrices together, and returns
    :math:`J_{ij} e^{h_j - h_i}` and :math:`b_i e^{-h_i}`. If every free neuron is positively
    homogeneous (ReLU, leaky ReLU, linear), the fixed ones are as before on every input. Biases and
    initial states cost nothing; they follow.

    Parameters
    ----------
    arrays : mapping of name to array
        Weight matrices, biases and initial states: NumPy, JAX or PyTorch, of any float type. Those
        that the wiring does not name stay as they are.
    wiring : mapping of name to str
        ``"hidden <- input"`` for a matrix [post, pre], ``"input -> hidden"`` for a matrix
        [pre, post], ``"hidden"`` for one value per neuron; ``+`` joins populations that follow
        one another along an axis.
    fixed : names of populations, optional
        Those whose potential is 0. By default the ends: populations onto which nothing projects,
        and those that project nowhere.
    p, alpha
        The cost; see `graphbal.SynapticNetwork`. The neurons are labelled (population, number).
    tol : float
        As in `graphbal.balance`.

    Returns
    -------
    BalancedParameters
        Its parameters are a dict of all arrays; those that changed are new, of the same type.

    Raises
    ------
    InputError
        If the wiring names an array that is not there, shapes disagree, a number is not finite, or
        every population is fixed.

    Notes
    -----
    One pass over the arrays, and one call of `graphbal.balance` on the synapses. Neurons that lead
    from nowhere or to nowhere have no finite equilibrium; they stop at some finite potential, so
    that the network computes the same all the same, and ``equilibrium.is_finite`` says so.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    A chain of one neuron between input and output: both synapses end at the geometric mean.

    >>> import numpy as np
    >>> from graphbal.rnn.interop import balance_arrays
    >>> arrays = {"w_in": np.array([[8.0]]), "b": np.array([4.0]), "w_out": np.array([[2.0]])}
    >>> wiring = {"w_in": "hidden <- input", "b": "hidden", "w_out": "output <- hidden"}
    >>> balanced = balance_arrays(arrays, wiring)
    >>> {name: array.ravel().round(6).tolist() for name, array in balanced.parameters.items()}
    {'w_in': [4.0], 'b': [2.0], 'w_out': [4.0]}
    >>> balanced
    BalancedParameters(3 neurons, cost 68 → 32)
    """
    for name in wiring:
        if name not in arrays:
            raise InputError(
                f"the wiring names {name!r}, which is not among the arrays: {_listed(arrays)}"
            )
    axes = {name: Axes.read(name, text) for name, text in wiring.items()}
    new, equilibrium = balance_wired(arrays, axes, fixed, p=p, alpha=alpha, tol=tol)
    return BalancedParameters({**arrays, **new}, equilibrium)


def balance_pytree(
    parameters: Any,
    wiring: Any,
    *,
    fixed: Iterable[str] | None = None,
    p: float = 2.0,
    alpha: Any = 1.0,
    tol: float = 1e-9,
) -> BalancedParameters:
    """Balance a network whose arrays are the leaves of a JAX pytree.

    Parameters
    ----------
    parameters : pytree
        Of arrays, as Flax, Haiku, Equinox or your own functions keep them.
    wiring : pytree
        The same with, in the place of each array, its wiring as in `balance_arrays`, or None where
        the array stays as it is. Kernels of Flax and Haiku are [pre, post]:
        ``"input -> hidden"``.
    fixed, p, alpha, tol
        As in `balance_arrays`.

    Returns
    -------
    BalancedParameters
        Its parameters are a pytree of the same structure and types.

    Raises
    ------
    InputError
        As `balance_arrays`, and if JAX is not installed or the wiring has another structure.

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal.rnn.interop import balance_pytree
    >>> parameters = [{"kernel": np.array([[8.0]]), "bias": np.array([4.0])},
    ...               {"kernel": np.array([[2.0]]), "bias": np.array([1.0])}]
    >>> wiring = [{"kernel": "x -> a", "bias": "a"}, {"kernel": "a -> y", "bias": None}]
    >>> balance_pytree(parameters, wiring).parameters[0]["bias"]  # doctest: +SKIP
    array([2.])
    """
    try:
        from jax import tree_util
    except ImportError as error:
        raise InputError(
            "reading a pytree needs JAX: pip install jax, or give the arrays by name to "
            "balance_arrays"
        ) from error
    paths, structure = tree_util.tree_flatten_with_path(parameters)
    try:
        texts = structure.flatten_up_to(wiring)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"the wiring must have the structure of the parameters: {error}"
        ) from error
    arrays = {tree_util.keystr(path): leaf for path, leaf in paths}
    wired = {name: text for name, text in zip(arrays, texts, strict=True) if text is not None}
    balanced = balance_arrays(arrays, wired, fixed=fixed, p=p, alpha=alpha, tol=tol)
    new = tree_util.tree_unflatten(structure, list(balanced.parameters.values()))
    return BalancedParameters(new, balanced.equilibrium)


def balance_wired(
    arrays: Mapping[str, Any], axes: Mapping[str, Axes], fixed: Iterable[str] | None, **cost: Any
) -> tuple[dict[str, Any], Equilibrium]:
    """Return the arrays that change, balanced, and the equilibrium; see `balance_arrays`."""
    values = {name: _numbers(name, arrays[name], each) for name, each in axes.items()}
    sizes = _sizes(values, axes)
    held = _ends(axes) if fixed is None else _among(fixed, sizes)
    if len(held) == len(sizes):
        raise InputError(
            f"every population is fixed ({_listed(held)}), so there is nothing to balance"
        )
    network = _network(values, axes, sizes, cost.pop("p"), cost.pop("alpha"))
    labels = [(name, k) for name in held for k in range(sizes[name])]
    equilibrium = balance(network, fixed=labels or None, **cost)
    bounds = np.cumsum([0, *sizes.values()])
    h = {name: equilibrium.h[a:b] for name, (a, b) in zip(sizes, pairwise(bounds), strict=True)}
    new = {
        name: _like(arrays[name], _transformed(values[name], each, h), name)
        for name, each in axes.items()
    }
    return new, equilibrium


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(str, names))


def _numbers(name: str, array: Any, axes: Axes) -> Array:
    """Return an array in float64, of as many dimensions as its wiring has."""
    if hasattr(array, "detach"):  # a PyTorch tensor
        array = array.detach().cpu()
        array = (array.double() if array.is_floating_point() else array).numpy()
    try:
        if np.iscomplexobj(array):
            raise TypeError(f"these are of type {array.dtype}")
        values = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name!r} must hold real numbers: {error}") from error
    expected = 1 if axes.pre is None else 2
    if values.ndim != expected:
        raise InputError(
            f"{name!r} has shape {values.shape}; its wiring asks for {expected} dimension(s)"
        )
    if not np.isfinite(values).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise InputError(f"{name!r} holds {values[at]} at {list(at)} (counting from 0)")
    return values


def _sizes(values: Mapping[str, Array], axes: Mapping[str, Axes]) -> dict[str, int]:
    """Return the number of neurons of each population, in order of first appearance."""
    lengths = [
        (name, populations, length)
        for name, each in axes.items()
        for populations, length in zip(each.by_dimension(), values[name].shape, strict=True)
    ]
    sizes: dict[str, int] = {}
    source: dict[str, str] = {}
    for name, populations, length in lengths:
        if len(populations) == 1 and populations[0] not in sizes:
            sizes[populations[0]], source[populations[0]] = length, name
    for name, populations, length in lengths:
        unknown = [each for each in populations if each not in sizes]
        if unknown:
            raise InputError(f"no array alone tells the size of the population {unknown[0]!r}")
        if length != (expected := sum(sizes[each] for each in populations)):
            told = _listed(dict.fromkeys(repr(source[each]) for each in populations))
            raise InputError(
                f"{name!r} has shape {values[name].shape}, with {length} where the population "
                f"{' + '.join(populations)!r} has {expected} neurons by {told}"
            )
    order = dict.fromkeys(each for _, populations, _ in lengths for each in populations)
    return {name: sizes[name] for name in order}


def _ends(axes: Mapping[str, Axes]) -> list[str]:
    """Return the populations onto which nothing projects, or that project nowhere."""
    matrices = [each for each in axes.values() if each.pre is not None]
    posts = dict.fromkeys(name for each in matrices for name in each.post)
    pres = dict.fromkeys(name for each in matrices for name in each.pre or ())
    return [name for name in (posts | pres) if name not in posts or name not in pres]


def _among(fixed: Iterable[str], sizes: Mapping[str, int]) -> list[str]:
    names = [fixed] if isinstance(fixed, str) else list(fixed)
    for name in names:
        if name not in sizes:
            raise InputError(f"there is no population {name!r} to fix; there are {_listed(sizes)}")
    return list(dict.fromkeys(names))


def _network(
    values: Mapping[str, Array],
    axes: Mapping[str, Axes],
    sizes: Mapping[str, int],
    p: float,
    alpha: Any,
) -> SynapticNetwork:
    """Return all neurons as one graph, population by population."""
    place = {name: at for at, name in enumerate(sizes)}
    blocks: list[list[Any]] = [[None] * len(sizes) for _ in sizes]
    source: dict[tuple[str, str], str] = {}
    for name, each in axes.items():
        if each.pre is None:
            continue
        matrix = values[name].T if each.transposed else values[name]
        for post, rows in _pieces(each.post, sizes):
            for pre, columns in _pieces(each.pre, sizes):
                if (post, pre) in source:
                    raise InputError(
                        f"{source[post, pre]!r} and {name!r} both project from {pre!r} onto "
                        f"{post!r}; join them into one array"
                    )
                source[post, pre] = name
                blocks[place[post]][place[pre]] = sparse.csr_array(matrix[rows, columns])
    for name, size in sizes.items():  # a population without synapses has its size all the same
        at = place[name]
        if blocks[at][at] is None:
            blocks[at][at] = sparse.csr_array((size, size))
    weights = sparse.csr_array(sparse.block_array(blocks))
    weights.sum_duplicates()
    labels: pd.Index = label_index([(name, k) for name, size in sizes.items() for k in range(size)])
    return SynapticNetwork(weights=weights, neurons=labels, p=p, alpha=alpha)


def _pieces(populations: tuple[str, ...], sizes: Mapping[str, int]) -> list[tuple[str, slice]]:
    """Return the populations along an axis with the part of it that each of them is."""
    bounds = np.cumsum([0, *(sizes[name] for name in populations)])
    return [(name, slice(a, b)) for name, (a, b) in zip(populations, pairwise(bounds), strict=True)]


def _transformed(values: Array, axes: Axes, h: Mapping[str, Array]) -> Array:
    """Return e^{h_j − h_i} J, or e^{−h} b."""
    post = np.concatenate([h[name] for name in axes.post])
    if axes.pre is None:
        return values * np.exp(-post)
    pre = np.concatenate([h[name] for name in axes.pre])
    gain = pre[:, None] - post if axes.transposed else pre - post[:, None]
    return values * np.exp(gain, out=gain)


def _like(original: Any, values: Array, name: str) -> Any:
    """Return numbers in the kind, type and place of the array they replace."""
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    new: Any
    if torch is not None and isinstance(original, torch.Tensor):
        new = torch.from_numpy(values).to(original)
        finite = bool(torch.isfinite(new).all())
    elif jax is not None and isinstance(original, jax.Array):
        new = jax.numpy.asarray(values, dtype=original.dtype)
        finite = bool(jax.numpy.isfinite(new).all())
    else:
        given = np.asarray(original).dtype
        with np.errstate(over="ignore"):
            new = values.astype(given if given.kind == "f" else np.float64)
        finite = bool(np.isfinite(new).all())
    if not finite:
        raise InputError(
            f"the balanced {name!r} is too large for its number type; give it in float64"
        )
    return new
