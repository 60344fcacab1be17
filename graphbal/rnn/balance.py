"""Balancing a recurrent network: the same computation at the least cost."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from graphbal.balance import Equilibrium
from graphbal.balance import balance as balance_graph
from graphbal.errors import InfeasibleError
from graphbal.rnn.costs import cost_graph
from graphbal.rnn.model import RecurrentNetwork, ends

__all__ = ["Balanced", "balance"]


@dataclass(frozen=True, eq=False)
class Balanced:
    """A balanced recurrent network and how it came about.

    Attributes
    ----------
    network : RecurrentNetwork
        The balanced network; its outputs are those of the original.
    original : RecurrentNetwork
        The network as given.
    equilibrium : Equilibrium
        The equilibrium of its graph of synapses, with costs before and after.

    Examples
    --------
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> balanced = rnn.balance(net)
    >>> balanced.potentials.round(4).tolist()
    [-0.3466, 0.3466]
    >>> balanced.initial_cost, round(balanced.total_cost, 6)
    (4.25, 2.0)
    """

    network: RecurrentNetwork
    original: RecurrentNetwork
    equilibrium: Equilibrium

    @property
    def potentials(self) -> pd.Series:
        """Potentials h by neuron: the states of the balanced network are e^−h x."""
        return self.equilibrium.potentials.iloc[: self.original.n_neurons]

    @property
    def initial_cost(self) -> float:
        """Total cost before balancing."""
        return self.equilibrium.initial_cost

    @property
    def total_cost(self) -> float:
        """Total cost after balancing."""
        return self.equilibrium.total_cost

    def __repr__(self) -> str:
        before, after = self.initial_cost, self.total_cost
        saved = (before - after) / before if before else 0.0
        return (
            f"Balanced({self.original.n_neurons:,} neurons, cost {before:.6g} → {after:.6g} "
            f"({-saved:+.1%}))"
        )


def balance(
    network: RecurrentNetwork,
    cost: Any = "l2",
    *,
    scope: str = "recurrent",
    fixed: Iterable[Hashable] | None = None,
    tol: float = 1e-9,
    solver: Any = "auto",
    on_infeasible: str = "raise",
    progress: bool = False,
) -> Balanced:
    r"""Balance a recurrent network: the least cost at which it computes the same.

    Parameters
    ----------
    network : RecurrentNetwork
        Of positively homogeneous neurons.
    cost : "l2", number, pair or RobustnessCost
        ``"l2"`` is J²; a number p is the power law \|J\|^p; a pair (p, α) is α\|J\|^p with any α
        per synapse; `robustness_cost` measures the cost of passing noise on.
    scope : {"recurrent", "all"}
        Whether the recurrent synapses are balanced alone, or with those of inputs and readout,
        inputs and outputs held fixed.
    fixed : labels of neurons, optional
        Neurons that are not scaled; with ``scope="all"`` besides inputs and outputs.
    tol, solver, progress
        As in `graphbal.balance`.
    on_infeasible : {"raise", "limit"}
        What to do if there is no finite equilibrium. In the limit each strong component is balanced
        on its own, and the synapses between components stay, transformed: their cost is not in
        `Balanced.total_cost`.

    Returns
    -------
    Balanced

    Raises
    ------
    InputError
        If the activation is not positively homogeneous, or the cost or an option makes no sense.
    InfeasibleError
        If there is no finite equilibrium, e.g. because neurons are silent.

    Warns
    -----
    ConvergenceWarning
        If the tolerance was not reached.

    See Also
    --------
    graphbal.balance : The same on any graph; what converging and existing mean.
    balance_online : The same by a local rule, while the network runs.

    Notes
    -----
    With ``scope="recurrent"`` potentials are of mean zero in each strong component, since scaling
    all neurons alike changes no recurrent cost. It does change how large states are, and with them
    what a given noise does: with ``scope="all"`` the fixed ends settle that too.

    The recurrent cost sees neither W_in nor W_out. A neuron that is never active costs nothing when
    it sends; its potential would run off if a floor did not hold it, and a readout linear in x then
    amplifies its noise. With ``scope="all"`` the readout is in the cost, and the equilibrium of the
    form "current" is finite without a floor.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> from graphbal import rnn
    >>> net = rnn.RecurrentNetwork([[0, -0.5], [2.0, 0]], w_in=[[1.0], [0]], w_out=[[0, 1.0]])
    >>> balanced = rnn.balance(net)
    >>> balanced
    Balanced(2 neurons, cost 4.25 → 2 (-52.9%))
    >>> balanced.network.w_rec.round(6)
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    network.require_homogeneous()
    graph = cost_graph(network, cost, scope)
    held = [*(ends(network) if scope == "all" else ()), *(fixed or ())]
    try:
        equilibrium = balance_graph(
            graph,
            tol,
            solver,
            fixed=held or None,
            on_infeasible=on_infeasible,
            progress=progress,
        )
    except InfeasibleError as error:
        raise InfeasibleError(
            f"{error}. In a recurrent network: give silent neurons a floor (robustness_cost), "
            "include the readout (scope='all'), or take on_infeasible='limit'"
        ) from error
    h = equilibrium.h[: network.n_neurons]
    return Balanced(network.transform(np.asarray(h)), network, equilibrium)
