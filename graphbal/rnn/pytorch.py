"""PyTorch: recurrent and feed-forward modules of ReLU units, balanced in place or copied.

PyTorch is imported only by the functions that are handed its modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbal.errors import InputError
from graphbal.rnn.interop import Axes, BalancedParameters, balance_wired
from graphbal.rnn.model import RecurrentNetwork

if TYPE_CHECKING:
    from torch import nn

__all__ = ["balance_state_dict", "balance_torch", "from_torch"]

INPUT = "in"

_NAME = re.compile(
    r"(?P<prefix>.*?)\.?(?P<kind>weight|bias)(_(?P<of>ih|hh)_(?P<layer>l\d+)(?P<way>_reverse)?)?"
)
_HOMOGENEOUS = ("Linear", "ReLU", "LeakyReLU", "PReLU", "Identity", "Dropout", "Flatten")
_WHY = "φ(a x) is not a φ(x) for a > 0, so that no unit can be scaled and compute the same"


def balance_torch(
    module: nn.Module,
    readout: nn.Linear | None = None,
    *,
    in_place: bool = False,
    p: float = 2.0,
    alpha: Any = 1.0,
    tol: float = 1e-9,
) -> BalancedParameters:
    r"""Balance a PyTorch module of ReLU units; what it puts out stays the same.

    Hidden units are balanced jointly over all layers and both directions: the weights that project
    onto a unit are multiplied by :math:`e^{-h}`, its biases too, and the weights by which it
    projects by :math:`e^{h}` [1]_. Inputs and outputs are fixed. The outputs of ``nn.RNN`` are the
    states of its last layer, so that only the layers below are balanced; unless the ``nn.Linear``
    that reads them is given, whose outputs are fixed instead.

    Parameters
    ----------
    module : torch.nn.RNN or torch.nn.Sequential
        ``nn.RNN(nonlinearity="relu")`` with any number of layers, in one or both directions; or
        ``nn.Sequential`` with ReLU, LeakyReLU, PReLU, Identity, Dropout and Flatten between its
        Linear layers. Whatever stands before the first Linear or after the last is left alone.
    readout : torch.nn.Linear, optional
        What reads the states of the last layer of an ``nn.RNN``; nothing else may read them.
    in_place : bool
        Write the weights into the module (and the readout) instead of a copy. An optimiser that
        keeps a momentum of the weights should be made anew.
    p, alpha
        The cost; see `graphbal.SynapticNetwork`. Neurons are labelled (layer, number), e.g.
        ``("l0", 3)`` and ``("l0_reverse", 3)`` in an ``nn.RNN``, ``("2", 3)`` for the third entry
        of an ``nn.Sequential``, ``("in", 3)`` for inputs, ``("readout", 3)``. Biases cost nothing.
    tol : float
        As in `graphbal.balance`.

    Returns
    -------
    BalancedParameters
        Its parameters are the module, or the pair (module, readout) where a readout was given.

    Raises
    ------
    InputError
        If a unit is not positively homogeneous (LSTM, GRU, tanh), weights are shared between
        layers or computed from others, or nothing is left to balance. Nothing was written then.

    Notes
    -----
    An initial state h_0 handed to ``nn.RNN`` must be multiplied by :math:`e^{-h}`, and the final
    states h_n of balanced layers come out multiplied by it; zero, the default, stays zero.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import torch                                                          # doctest: +SKIP
    >>> from graphbal.rnn import balance_torch
    >>> model = torch.nn.RNN(3, 20, num_layers=2, nonlinearity="relu")        # doctest: +SKIP
    >>> readout = torch.nn.Linear(20, 2)                                      # doctest: +SKIP
    >>> balanced = balance_torch(model, readout, in_place=True)               # doctest: +SKIP
    >>> balanced.equilibrium.total_cost < balanced.equilibrium.initial_cost   # doctest: +SKIP
    True
    """
    import torch

    if not in_place:
        module, readout = deepcopy((module, readout))
    parameters = _parameters(module, readout)
    axes, last = _wiring(parameters)
    new, equilibrium = balance_wired(parameters, axes, (INPUT, *last), p=p, alpha=alpha, tol=tol)
    with torch.no_grad():
        for name, values in new.items():
            parameters[name].copy_(values)
    return BalancedParameters(module if readout is None else (module, readout), equilibrium)


def balance_state_dict(
    state: Mapping[str, Any], *, p: float = 2.0, alpha: Any = 1.0, tol: float = 1e-9
) -> BalancedParameters:
    """Balance the weights of a ReLU network from its state dict alone.

    Reads layers under PyTorch's names, in the order of the dict: those of ``nn.RNN``
    (``weight_ih_l0`` …) and of ``nn.Linear`` (``weight``, ``bias``), with any prefix, each layer
    taking the states of the one before. Inputs and the units of the last layer are fixed.

    Parameters
    ----------
    state : mapping of name to tensor or array
        The state dict of an ``nn.RNN``, an ``nn.Sequential`` or a module of your own whose layers
        were registered in the order in which they compute. A state dict does not tell the
        activation: it must be positively homogeneous between the layers (ReLU, leaky ReLU, linear).
    p, alpha, tol
        As in `balance_torch`; the layer of a label has the prefix, e.g. ``("rnn.l0", 3)``.

    Returns
    -------
    BalancedParameters
        Its parameters are a dict of the same names, each value of the same kind.

    Raises
    ------
    InputError
        If a name is not one of these layers, the weights are those of an LSTM or a GRU, shapes do
        not follow one another, or there is nothing to balance.

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal.rnn import balance_state_dict
    >>> state = {"0.weight": np.array([[8.0]]), "0.bias": np.array([4.0]),
    ...          "2.weight": np.array([[2.0]]), "2.bias": np.array([1.0])}
    >>> balanced = balance_state_dict(state).parameters
    >>> {name: round(array.item(), 6) for name, array in balanced.items()}
    {'0.weight': 4.0, '0.bias': 2.0, '2.weight': 4.0, '2.bias': 1.0}
    """
    axes, last = _wiring(state)
    new, equilibrium = balance_wired(state, axes, (INPUT, *last), p=p, alpha=alpha, tol=tol)
    return BalancedParameters({**state, **new}, equilibrium)


def from_torch(module: nn.RNN, readout: nn.Linear | None = None) -> RecurrentNetwork:
    """Return a one-layer ``nn.RNN``, and the ``nn.Linear`` that reads it, as a network.

    Parameters
    ----------
    module : torch.nn.RNN
        One layer, one direction, ReLU or tanh.
    readout : torch.nn.Linear, optional

    Returns
    -------
    RecurrentNetwork
        In discrete form, in float64; ``bias`` is the sum of the two that PyTorch keeps.

    Raises
    ------
    InputError
        If the module has gates, several layers or two directions. (Layers compute within one time
        step, one after another; `balance_torch` balances them.)

    Examples
    --------
    >>> import torch                                                          # doctest: +SKIP
    >>> from graphbal.rnn import from_torch
    >>> from_torch(torch.nn.RNN(3, 20, nonlinearity="relu"), torch.nn.Linear(20, 2))
    ... # doctest: +SKIP
    RecurrentNetwork(20 neurons, 3 inputs, 2 outputs, relu, discrete form)
    """
    _require_recurrent(module)
    if module.num_layers > 1 or module.bidirectional:
        raise InputError(
            "an nn.RNN of several layers or two directions is not a RecurrentNetwork, whose "
            "neurons all see the states of the step before; balance it with balance_torch"
        )

    def numbers(tensor: Any) -> Any:
        return None if tensor is None else tensor.detach().cpu().double().numpy()

    return RecurrentNetwork(
        numbers(module.weight_hh_l0),
        w_in=numbers(module.weight_ih_l0),
        w_out=None if readout is None else numbers(readout.weight),
        bias=numbers(module.bias_ih_l0 + module.bias_hh_l0) if module.bias else None,
        activation=module.nonlinearity,
        form="discrete",
        output_bias=None if readout is None else numbers(readout.bias),
    )


def _parameters(module: nn.Module, readout: nn.Linear | None) -> dict[str, Any]:
    """Return the weights and biases to balance by name, layers in order."""
    from torch import nn

    layers: dict[str, nn.Module]
    if isinstance(module, nn.Sequential):
        if readout is not None:
            raise InputError("a readout goes with an nn.RNN; append it to the nn.Sequential")
        layers = _linear_layers(module)
    else:
        _require_recurrent(module)
        if module.nonlinearity != "relu":
            raise InputError(f"the nn.RNN computes with {module.nonlinearity}: {_WHY}")
        layers = {"": module}
        if readout is not None:
            if not isinstance(readout, nn.Linear):
                raise InputError(f"the readout is of type {type(readout).__name__}, not nn.Linear")
            layers["readout"] = readout
        elif module.num_layers == 1:
            raise InputError(
                "every unit of a one-layer nn.RNN is an output, so there is nothing to balance; "
                "give the nn.Linear that reads its states as readout"
            )
    parameters: dict[str, Any] = {}
    names: dict[int, str] = {}
    for layer, each in layers.items():
        for name, parameter in each.named_parameters(layer, remove_duplicate=False):
            if not _NAME.fullmatch(name):
                raise InputError(
                    f"weights are computed from {name!r}; remove the parametrisation first"
                )
            if (first := names.setdefault(id(parameter), name)) != name:
                raise InputError(
                    f"{first!r} and {name!r} are the same parameter; layers that share weights "
                    "cannot be balanced apart"
                )
            parameters[name] = parameter
    return parameters


def _require_recurrent(module: nn.Module) -> None:
    from torch import nn

    if isinstance(module, nn.RNN):
        return
    kind = type(module).__name__
    if isinstance(module, (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell)):
        raise InputError(f"an nn.{kind} gates its states with sigmoids and tanh: {_WHY}")
    raise InputError(
        f"a module of type {kind} cannot be read; give its nn.RNN (and the nn.Linear that reads "
        "it), an nn.Sequential, or its state dict to balance_state_dict"
    )


def _linear_layers(module: nn.Sequential) -> dict[str, nn.Module]:
    """Return the Linear layers of an nn.Sequential; between them all must be homogeneous."""
    from torch import nn

    entries = list(_leaves(module))
    linear = [at for at, (_, each) in enumerate(entries) if isinstance(each, nn.Linear)]
    if len(linear) < 2:
        raise InputError(
            f"the nn.Sequential has {len(linear)} nn.Linear, so there are no hidden units between "
            "input and output to balance"
        )
    allowed = tuple(getattr(nn, kind) for kind in _HOMOGENEOUS)
    for name, each in entries[linear[0] : linear[-1]]:
        if not isinstance(each, allowed):
            raise InputError(
                f"entry {name!r} of the nn.Sequential is of type {type(each).__name__}, and "
                f"between Linear layers only {', '.join(_HOMOGENEOUS[1:])} are known to be "
                f"positively homogeneous: otherwise {_WHY}"
            )
    return {entries[at][0]: entries[at][1] for at in linear}


def _leaves(module: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    from torch import nn

    for name, each in module._modules.items():  # named_children would pass over repeated ones
        if isinstance(each, nn.Sequential):
            yield from _leaves(each, f"{prefix}{name}.")
        else:
            yield prefix + name, each


def _wiring(arrays: Mapping[str, Any]) -> tuple[dict[str, Axes], tuple[str, ...]]:
    """Return what the axes of each array are, and the populations of the last layer."""
    axes: dict[str, Axes] = {}
    layer = ""
    before: tuple[str, ...] = ()
    here: tuple[str, ...] = (INPUT,)
    for name, array in arrays.items():
        match = _NAME.fullmatch(name)
        if match is None or np.ndim(array) != (1 if match["kind"] == "bias" else 2):
            raise InputError(
                f"{name!r}, of shape {tuple(np.shape(array))}, is not a weight or bias of nn.RNN "
                "or nn.Linear; leave it out if it stands before the input or after the output"
            )
        own = ".".join(filter(None, (match["prefix"], match["layer"]))) or "linear"
        if own != layer:
            layer, before, here = own, here, ()
        units = own + (match["way"] or "")
        here = tuple(dict.fromkeys((*here, units)))
        if match["kind"] == "bias":
            axes[name] = Axes((units,))
        elif match["of"] == "hh":
            _require_ungated(name, np.shape(array))
            axes[name] = Axes((units,), (units,))
        else:
            axes[name] = Axes((units,), before)
    return axes, here


def _require_ungated(name: str, shape: tuple[int, ...]) -> None:
    post, pre = shape
    if post in (3 * pre, 4 * pre) and pre:
        kind = "a GRU" if post == 3 * pre else "an LSTM"
        raise InputError(
            f"{name!r}, of shape {tuple(shape)}, belongs to {kind}, which gates its states with "
            f"sigmoids and tanh: {_WHY}"
        )
