"""Synaptic balancing of weighted directed graphs.

graphbal finds the potentials h at which every neuron's incoming and outgoing synaptic costs are
equal: the cheapest network on the task-preserving manifold J_ij → e^{h_j − h_i} J_ij.

The names below are imported when they are first used, so that ``import graphbal`` stays light.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from graphbal._version import __version__

if TYPE_CHECKING:
    from graphbal import analytic, distributed, ensembles, measures, nulls, rnn, solvers
    from graphbal.balance import Equilibrium, balance
    from graphbal.compare import compare
    from graphbal.conductance import effective_conductance, laplacian
    from graphbal.convert import as_network
    from graphbal.datasets import list_datasets, load_dataset
    from graphbal.errors import ConvergenceWarning, GraphbalError, InfeasibleError, InputError
    from graphbal.flow import flow
    from graphbal.io import read_network, write_network
    from graphbal.linearization import Response, linear_response, perturb
    from graphbal.local_rule import LocalRun, local_rule, stable_step
    from graphbal.modes import Modes, eigenmodes
    from graphbal.network import SynapticNetwork
    from graphbal.potentials import equilibrium_potentials, set_potentials
    from graphbal.report import report
    from graphbal.sensitivity import Sensitivity, sensitivity
    from graphbal.subnetwork import subnetwork
    from graphbal.topology import Topology, topology
    from graphbal.trajectory import Trajectory

_HOME = {
    "ConvergenceWarning": "errors",
    "Equilibrium": "balance",
    "GraphbalError": "errors",
    "InfeasibleError": "errors",
    "InputError": "errors",
    "LocalRun": "local_rule",
    "Modes": "modes",
    "Response": "linearization",
    "Sensitivity": "sensitivity",
    "SynapticNetwork": "network",
    "Topology": "topology",
    "Trajectory": "trajectory",
    "as_network": "convert",
    "balance": "balance",
    "compare": "compare",
    "effective_conductance": "conductance",
    "eigenmodes": "modes",
    "equilibrium_potentials": "potentials",
    "flow": "flow",
    "laplacian": "conductance",
    "linear_response": "linearization",
    "list_datasets": "datasets",
    "load_dataset": "datasets",
    "local_rule": "local_rule",
    "perturb": "linearization",
    "read_network": "io",
    "report": "report",
    "sensitivity": "sensitivity",
    "set_potentials": "potentials",
    "stable_step": "local_rule",
    "subnetwork": "subnetwork",
    "topology": "topology",
    "write_network": "io",
}
_ROOMS = (
    "analytic",
    "distributed",
    "ensembles",
    "figures",
    "measures",
    "nulls",
    "plotting",
    "rnn",
    "solvers",
)

__all__ = [
    "ConvergenceWarning",
    "Equilibrium",
    "GraphbalError",
    "InfeasibleError",
    "InputError",
    "LocalRun",
    "Modes",
    "Response",
    "Sensitivity",
    "SynapticNetwork",
    "Topology",
    "Trajectory",
    "__version__",
    "analytic",
    "as_network",
    "balance",
    "compare",
    "distributed",
    "effective_conductance",
    "eigenmodes",
    "ensembles",
    "equilibrium_potentials",
    "flow",
    "laplacian",
    "linear_response",
    "list_datasets",
    "load_dataset",
    "local_rule",
    "measures",
    "nulls",
    "perturb",
    "read_network",
    "report",
    "rnn",
    "sensitivity",
    "set_potentials",
    "solvers",
    "stable_step",
    "subnetwork",
    "topology",
    "write_network",
]


class _Package(ModuleType):
    """The package module; where a file and its main function share a name, the function wins.

    Importing ``graphbal.balance`` would otherwise hide the function `balance` behind its module.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in _HOME and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"graphbal.{_HOME[name]}"), name)
    elif name in _ROOMS:
        value = import_module(f"graphbal.{name}")
    else:
        raise AttributeError(f"module 'graphbal' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
