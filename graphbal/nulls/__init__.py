"""Null models: networks that keep one thing of a given network and randomise the rest.

============================  ==============================================  =================
model                         keeps                                           randomises
============================  ==============================================  =================
`permute_rows`                every neuron's outgoing cost; the incoming      which neuron has
                              costs as a set                                  which inputs
`permute_weights`             which neurons are connected; the weights        what they weigh
`permute_inputs`              also every neuron's input weights               their sources
`permute_outputs`             also every neuron's output weights              their targets
`rewire`                      every neuron's in- and out-degree and its       who connects with
                              output weights                                  whom
`rewire_reciprocal`           also how many of its partners are reciprocal    the same
`maximum_entropy`             mean degrees and strengths                      everything else
`reverse`                     everything but the direction                    nothing
============================  ==============================================  =================

Self-connections change in no balancing; except for `permute_rows` and `reverse`, which act on the
whole matrix, they stay as they are, and "synapse" means one between different neurons below.
Factors α of the cost that are given per neuron stay with the neuron, and those given per synapse go
with the weight. Null networks keep labels, p, and attributes of neurons and of the graph; those of
synapses are left out, except by `reverse`.

The k-th null network depends on the network, the seed and k alone, in whatever order or process it
is drawn: its random numbers are those of ``np.random.SeedSequence(seed, spawn_key=(k,))``. What the
functions return is the first, k = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphbal._checks import require_whole
from graphbal.convert import as_network
from graphbal.errors import InputError
from graphbal.network import SynapticNetwork
from graphbal.nulls import entropy, permutations, rewiring
from graphbal.nulls._sampler import Sampler
from graphbal.nulls.entropy import maximum_entropy
from graphbal.nulls.permutations import (
    permute_inputs,
    permute_outputs,
    permute_rows,
    permute_weights,
    reverse,
)
from graphbal.nulls.rewiring import Mixing, rewire, rewire_reciprocal, rewiring_diagnostics

__all__ = [
    "NULLS",
    "Mixing",
    "Sampler",
    "maximum_entropy",
    "null_networks",
    "permute_inputs",
    "permute_outputs",
    "permute_rows",
    "permute_weights",
    "reverse",
    "rewire",
    "rewire_reciprocal",
    "rewiring_diagnostics",
    "sampler",
]

NULLS: Mapping[str, Callable[..., Sampler]] = {
    "permute_rows": permutations.rows_sampler,
    "permute_weights": permutations.weights_sampler,
    "permute_inputs": permutations.inputs_sampler,
    "permute_outputs": permutations.outputs_sampler,
    "rewire": rewiring.rewiring_sampler,
    "rewire_reciprocal": rewiring.reciprocal_sampler,
    "maximum_entropy": entropy.entropy_sampler,
    "reverse": permutations.reversal_sampler,
}
"""What prepares each null model: from a `SynapticNetwork` (and the options of the function of that
name) to its `Sampler`."""


def sampler(network: Any, null: str = "rewire", **options: Any) -> Sampler:
    """Prepare a null model of a network, once for all that are drawn.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes.
    null : str
        Name of a model in `NULLS`: that of the function, such as "rewire".
    **options
        Those of the function, except `seed`.

    Returns
    -------
    Sampler
        ``draw(k, seed)`` returns the k-th null network. It can be pickled, for other processes.

    Raises
    ------
    InputError
        If there is no such null model, or the network does not suit it.

    Examples
    --------
    >>> import graphbal as gb
    >>> draw = gb.nulls.sampler("celegans", "rewire").draw
    >>> draw(3, seed=1)
    SynapticNetwork(302 neurons, 3,709 synapses, c = |J|^2)
    """
    if null not in NULLS:
        raise InputError(f"there is no null model {null!r}; choose from {', '.join(NULLS)}")
    return NULLS[null](as_network(network), **options)


def null_networks(
    network: Any, null: str = "rewire", n: int = 100, seed: int = 0, **options: Any
) -> Iterator[SynapticNetwork]:
    """Draw null networks one after the other; none is kept.

    Parameters
    ----------
    network
        Anything `graphbal.as_network` takes.
    null : str
        Name of a model in `NULLS`.
    n : int
        How many.
    seed : int
        Seed of the random numbers; the k-th network depends on it and on k alone.
    **options
        Those of the function of that name.

    Returns
    -------
    iterator of SynapticNetwork

    Raises
    ------
    InputError
        If there is no such null model, the network does not suit it, or `n` or `seed` is not a
        whole number or negative.

    Examples
    --------
    >>> import graphbal as gb
    >>> for net in gb.nulls.null_networks("celegans", "permute_weights", n=3):
    ...     print(f"{net.imbalance:.2f}")
    1.04
    1.04
    1.02
    """
    prepared = sampler(network, null, **options)
    require_whole("n", n)
    require_whole("seed", seed)
    return (prepared.draw(k, seed) for k in range(n))
