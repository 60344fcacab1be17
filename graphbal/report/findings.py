"""What is found of one network before anything is said about it."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse

from graphbal.balance import Equilibrium, balance
from graphbal.conductance import conducting
from graphbal.errors import ConvergenceWarning, GraphbalError, InputError
from graphbal.flow import flow
from graphbal.modes import Modes, eigenmodes
from graphbal.network import SynapticNetwork
from graphbal.report.words import number
from graphbal.trajectory import Trajectory

_N_MODES = 8
_LARGEST_RESIDUAL = 0.01  # of a mode that is worth showing
_END_OF_MODE = 30  # of the flow, in time constants of the slowest mode
_END_OF_NEURON = 1e4  # and in the typical time constant of a neuron, whichever is earlier
_DECADES = 7  # of time that the flow is shown over
_N_TIMES = 140
_MOST_STATES = 1 << 24  # potentials of a trajectory that are kept


@dataclass(frozen=True, eq=False)
class Findings:
    """What is known about one network.

    Attributes
    ----------
    name : str
        What the page calls it.
    eq : Equilibrium
        Its equilibrium, or the limit of the flow.
    modes : Modes or None
        The slowest modes at equilibrium; None if there are none.
    modes_note : str
        Why there are none, or what is wrong with them.
    trajectory : Trajectory or None
        The balancing flow from the network as given; None if it could not be followed.
    """

    name: str
    eq: Equilibrium
    modes: Modes | None
    modes_note: str
    trajectory: Trajectory | None

    @property
    def network(self) -> SynapticNetwork:
        """The network as given."""
        return self.eq.original

    @cached_property
    def about(self) -> dict[str, str]:
        """Title, source, DOI and unit of the weights of an embedded dataset, or empty texts."""
        from graphbal import datasets

        given = self.network.graph_attributes
        is_dataset = given.get("name") in datasets.names()
        keys = ("name", "title", "source", "doi", "weight")
        return {key: str(given.get(key, "")) if is_dataset else "" for key in keys}

    @cached_property
    def n_vanishing(self) -> int:
        """Number of synapses that vanish."""
        return int(np.count_nonzero(self.eq.topology.vanishing))

    @cached_property
    def shares(self) -> dict[str, float]:
        """Shares of the initial cost: what remains, what rescaling saves, what vanishes."""
        eq, initial = self.eq, self.eq.initial_cost or 1.0
        vanishing = float(self.network.costs.data[eq.topology.vanishing].sum())
        return {
            "remains": eq.total_cost / initial,
            "saved": max(eq.drop - vanishing, 0.0) / initial,
            "vanishes": vanishing / initial,
        }

    @property
    def saved(self) -> float:
        """Share of the initial cost that balancing saves."""
        return self.eq.drop / self.eq.initial_cost if self.eq.initial_cost else 0.0

    @cached_property
    def classes(self) -> pd.Series | None:
        """Class of each neuron, such as "sensory", if the network is an embedded dataset."""
        if not self.about["name"]:
            return None
        from graphbal.datasets import neuron_classes

        return neuron_classes().reindex(self.network.neurons).fillna("other")

    @property
    def slowest(self) -> str:
        """The time constant of the slowest mode, as text."""
        return "–" if self.modes is None else number(self.modes.time_constants[0], 3)

    @property
    def meaning(self) -> list[str]:
        """What the equilibrium comes to, in sentences."""
        eq, names = self.eq, self.network.neurons
        low, high = int(eq.h.argmin()), int(eq.h.argmax())
        if eq.h[high] - eq.h[low] < 1e-6:
            which = "that stays " if self.n_vanishing else ""
            return [f"No weight {which}has to change: all potentials are equal."]
        return [
            f"The {which} potential is that of {names[at]}: balancing {inputs} its inputs and "
            f"{outputs} its outputs by {number(math.exp(abs(eq.h[at])), 3)}."
            for at, which, inputs, outputs in (
                (high, "highest", "divides", "multiplies"),
                (low, "lowest", "multiplies", "divides"),
            )
        ]

    def time_of(self, share: float) -> float:
        """Return when so much of the drop in cost has happened, or NaN."""
        if self.trajectory is None:
            return float("nan")
        goal = self.eq.initial_cost - share * self.eq.drop
        below = np.flatnonzero(self.trajectory.total_cost.to_numpy() <= goal)
        return float(self.trajectory.t[below[0]]) if below.size and self.eq.drop else float("nan")


def find(name: str, net: SynapticNetwork, progress: bool) -> Findings:
    """Balance a network, find the slowest modes of what it becomes, and follow its flow.

    Raises
    ------
    InputError
        If there is nothing to balance; the message names the network.
    """
    try:
        eq = balance(net, progress=progress)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the page says it
        modes, note = _slow_modes(eq, progress)
        return Findings(name, eq, modes, note, _relaxation(eq, modes, progress))


def _slow_modes(eq: Equilibrium, progress: bool) -> tuple[Modes | None, str]:
    """Return the modes that can be told, and what is to be said of the others."""
    costs = conducting(eq.network)
    n_parts, _ = sparse.csgraph.connected_components(costs, directed=False)
    n_modes = eq.original.n_neurons - n_parts
    if n_modes == 0:
        return None, "There are no modes: no synapse is left that joins two neurons."
    modes = eigenmodes(eq.network, k=min(_N_MODES, n_modes), progress=progress)
    if modes.converged:
        return modes, ""
    told = (modes.eigenvalues > 0) & (modes.residuals < _LARGEST_RESIDUAL)
    if not told.any():
        return None, modes.message
    chosen = {name: getattr(modes, name)[told] for name in ("eigenvalues", "residuals")}
    return replace(modes, modes=modes.modes.loc[:, told], **chosen), modes.message


def _relaxation(eq: Equilibrium, modes: Modes | None, progress: bool) -> Trajectory | None:
    """Follow the flow from when nothing has happened yet until little is left to happen."""
    net = eq.original
    through = (net.incoming_costs + net.outgoing_costs).to_numpy()
    if not through.any():
        return None
    end = _END_OF_NEURON / (net.p * float(np.median(through[through > 0])))
    if modes is not None:
        end = min(end, _END_OF_MODE * float(modes.time_constants[0]))
    begin = max(1e-2 / (net.p * float(through.max())), 10.0**-_DECADES * end)
    n_times = int(np.clip(_MOST_STATES // net.n_neurons, 12, _N_TIMES))
    times = np.append(0.0, np.geomspace(begin, end, n_times))
    times[-1] = end
    try:
        return flow(net, (0.0, end), t_eval=times, progress=progress)
    except GraphbalError:
        return None
