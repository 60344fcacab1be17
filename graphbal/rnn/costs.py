"""Costs of synapses in recurrent networks: power laws and the robustness cost."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal.errors import InputError
from graphbal.network import SynapticNetwork
from graphbal.rnn.model import RecurrentNetwork, as_graph
from graphbal.rnn.simulation import Block, run_trials

__all__ = ["RobustnessCost", "cost_graph", "robustness_cost"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RobustnessCost:
    r"""How strongly synapses pass noise on: :math:`c_{ij} = α_{ij} J_{ij}^2`.

    The total cost of the recurrent synapses is the mean squared Frobenius norm of what they add to
    the Jacobian of the dynamics [1]_ (equation 13): in the form "current", where noise in x_j
    reaches x_i as :math:`J_{ij} φ'(x_j)`, :math:`α_{ij} = r_j`; in the others, where it arrives as
    :math:`φ'(\cdot_i) J_{ij}`, :math:`α_{ij} = r_i`.

    Attributes
    ----------
    gains : pandas.Series
        Mean squared gain r of each neuron over trials and time, as measured: for a ReLU the
        fraction of time that it is active.
    readout_gains : pandas.Series
        Mean squared gain with which a neuron's state is read out: 1 if outputs are linear in x.
    floor : float
        Least r that counts. A neuron that is never active would pass nothing on and cost nothing:
        without a floor its potential runs off, and where the readout is linear in x it would
        amplify that neuron's noise, unseen by the cost of the recurrent synapses.
    input_factor, output_factor : float
        Factors of the costs of input and readout weights, where they are included: the variance
        of noise in the inputs in units of that in the states, and the weight given to noise in the
        outputs.

    References
    ----------
    .. [1] Stock et al. (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [-3.0]])
    >>> cost = rnn.robustness_cost(net, np.ones((1, 100, 1)), dt=0.1)
    >>> cost.silent.tolist()  # the second neuron is inhibited throughout
    [1]
    >>> cost.graph(net).costs.toarray()
    array([[0.0e+00, 2.5e-04],
           [4.0e+00, 0.0e+00]])
    """

    gains: pd.Series
    readout_gains: pd.Series
    floor: float = 1e-3
    input_factor: float = 1.0
    output_factor: float = 1.0

    @property
    def silent(self) -> pd.Index:
        """Labels of the neurons that were never active."""
        return self.gains.index[self.gains.to_numpy() == 0]

    def graph(self, network: RecurrentNetwork, scope: str = "recurrent") -> SynapticNetwork:
        """Return the network as a graph with this cost; see `as_graph`."""
        if not self.gains.index.equals(network.neurons):
            raise InputError("the robustness cost was measured in a network of other neurons")
        graph, n = as_graph(network, scope), network.n_neurons
        r = np.maximum(self.gains.to_numpy(), self.floor)
        of_presynaptic = network.form == "current"
        if scope == "recurrent":
            return graph.with_cost(p=2, alpha=r[None, :] if of_presynaptic else r[:, None])
        post = np.repeat(np.arange(graph.n_neurons), np.diff(graph.weights.indptr))
        pre = graph.weights.indices
        is_input, is_output = pre >= n, post >= n
        alpha = np.ones(pre.size)
        chosen = ~is_output & (~is_input if of_presynaptic else True)
        alpha[chosen] = r[(pre if of_presynaptic else post)[chosen]]
        alpha[is_input] *= self.input_factor
        read = np.maximum(self.readout_gains.to_numpy(), self.floor)
        alpha[is_output] = self.output_factor * read[pre[is_output]]
        by_synapse = sparse.csr_array(
            (alpha, graph.weights.indices, graph.weights.indptr), shape=graph.weights.shape
        )
        return graph.with_cost(p=2, alpha=by_synapse)

    def __repr__(self) -> str:
        return (
            f"RobustnessCost({self.gains.size:,} neurons, {len(self.silent)} silent, mean squared "
            f"gain {self.gains.mean():.3g}, floor {self.floor:g})"
        )


def robustness_cost(
    network: RecurrentNetwork,
    inputs: Any,
    dt: float | None = None,
    *,
    floor: float = 1e-3,
    input_factor: float = 1.0,
    output_factor: float = 1.0,
    **options: Any,
) -> RobustnessCost:
    r"""Measure the gains of a network's neurons over trials, and return the robustness cost.

    Parameters
    ----------
    network : RecurrentNetwork
    inputs, dt
        The trials; see `simulate`.
    floor : float
        Least mean squared gain that counts, not negative; see `RobustnessCost`. With 0 a network
        with silent neurons can be balanced with ``scope="all"`` in the form "current" only.
    input_factor, output_factor : float
        Factors of the costs of input and readout weights with ``scope="all"``.
    **options
        Noise, seed, substeps and initial states, as in `simulate`.

    Returns
    -------
    RobustnessCost

    Raises
    ------
    InputError
        If a factor is negative, or as `simulate`.

    Notes
    -----
    Gains are those that the network computes with: at the end of every time step the squared slope
    φ′ at the states, in the form "current", or at what neurons received in the last substep, with
    the noise there was. They do not change under the transformations that balancing makes. The cost
    is that of a simulation; states are not kept.

    References
    ----------
    .. [1] Stock et al. (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal.rnn import RecurrentNetwork, robustness_cost
    >>> net = RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [-3.0]])
    >>> robustness_cost(net, np.ones((1, 100, 1)), dt=0.1).gains.to_dict()
    {0: 1.0, 1: 0.0}
    """
    for name, value in (
        ("floor", floor),
        ("input_factor", input_factor),
        ("output_factor", output_factor),
    ):
        if not (isinstance(value, Real) and 0 <= value < np.inf):
            raise InputError(f"{name} is {value!r}; it must be a finite number, not negative")
    sums: dict[int, Array] = {}

    def add(k: int, block: Block) -> None:
        sums[k] = sums.get(k, 0.0) + block.x.shape[1] * block.squared_gains()

    run = run_trials(network, inputs, dt, watch=add, **{**options, "keep_states": False})
    trials, times = run.outputs.shape[:2]
    gains, of_states = np.sum([sums[k] for k in sorted(sums)], axis=0) / (trials * times)
    read = of_states if network.readout == "rates" else np.ones(network.n_neurons)
    return RobustnessCost(
        gains=pd.Series(gains, index=network.neurons, name="gain"),
        readout_gains=pd.Series(read, index=network.neurons, name="gain"),
        floor=float(floor),
        input_factor=float(input_factor),
        output_factor=float(output_factor),
    )


def cost_graph(network: RecurrentNetwork, cost: Any, scope: str = "recurrent") -> SynapticNetwork:
    """Return the network as a graph with a cost.

    Parameters
    ----------
    network : RecurrentNetwork
    cost : "l2", number, pair or RobustnessCost
        ``"l2"`` is J²; a number p is the power law |J|^p; a pair (p, α) is α|J|^p, with α as in
        `SynapticNetwork` for the graph of this scope.
    scope : {"recurrent", "all"}
        As in `as_graph`.

    Raises
    ------
    InputError
        If the cost is none of these.
    """
    if isinstance(cost, RobustnessCost):
        return cost.graph(network, scope)
    if isinstance(cost, str) and cost == "l2":
        return as_graph(network, scope)
    if isinstance(cost, Real):
        return as_graph(network, scope).with_cost(p=float(cost))
    if isinstance(cost, tuple) and len(cost) == 2:
        return as_graph(network, scope).with_cost(p=cost[0], alpha=cost[1])
    raise InputError(
        f"the cost is {cost!r}; give 'l2', an exponent p, a pair (p, α) or a RobustnessCost"
    )
