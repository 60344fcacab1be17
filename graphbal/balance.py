"""The front door: balance a network, get its equilibrium."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Hashable, Iterable
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal._elementwise import powers, rescaled, sums_by_neuron
from graphbal._html import card, change
from graphbal._progress import balancing
from graphbal.convert import as_network
from graphbal.engines.local import suits_tiles
from graphbal.errors import ConvergenceWarning, InfeasibleError, InputError
from graphbal.network import SynapticNetwork
from graphbal.solvers import Auto, ClosedForm, Newton, Osborne, Problem, Solution, Solver
from graphbal.solvers._problem import relative_imbalance
from graphbal.topology import Topology, topology

__all__ = ["Equilibrium", "balance"]

Array = NDArray[np.float64]

# From this many entries on, a full matrix keeps its shape when its diagonal is left out.
FULL = 1_000_000

_SOLVERS: dict[str, Callable[[], Solver]] = {
    "auto": Auto,
    "newton": Newton,
    "osborne": Osborne,
    "closed-form": ClosedForm,
}


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """The balanced network and how it was found.

    Attributes
    ----------
    original : SynapticNetwork
        The network as given.
    h : array, shape (n,)
        Equilibrium potentials, dimensionless, of mean zero in each strongly connected component (0
        at fixed neurons); `potentials` has them by label.
    topology : Topology
        Components, existence, vanishing synapses.
    total_cost, initial_cost : float
        Total cost C after and before, self-connections included; vanished synapses cost nothing.
    imbalance : float
        Σ_k |g_k| over the cost of all surviving synapses, self-connections left out.
    neuron_imbalance : float
        Largest |in_k − out_k| / (in_k + out_k) of a neuron that is not fixed.
    converged : bool
        Whether `neuron_imbalance` reached the tolerance.
    is_finite : bool
        Whether the equilibrium is one of the network itself; if not, it is the limit in which the
        synapses between components have vanished.
    message : str
        The outcome in a sentence.
    stats : dict
        What the solver chose, why, and what it cost: ``solver``, ``why``, ``iterations``,
        ``edge_passes``, ``seconds``, ``history`` (neuron imbalance by iteration) and
        ``cost_history``; from `graphbal.solvers.Auto` also ``predicted_bytes``.

    Examples
    --------
    >>> import graphbal as gb
    >>> eq = gb.balance(gb.as_network([[0, 4.0, 0], [1.0, 0, 2.0], [0, 2.0, 0]], p=1))
    >>> eq
    Equilibrium(3 neurons, cost 9 → 8, neuron_imbalance=..., converged=True, is_finite=True)
    >>> eq.neurons().round(3)[["potential", "incoming_before", "outgoing_before", "incoming_after"]]
       potential  incoming_before  outgoing_before  incoming_after
    0      0.462              4.0              1.0             2.0
    1     -0.231              3.0              6.0             4.0
    2     -0.231              2.0              2.0             2.0
    >>> eq.edges().round(3)[["pre", "post", "weight", "balanced_weight"]]
       pre  post  weight  balanced_weight
    0    1     0     4.0              2.0
    1    0     1     1.0              2.0
    2    2     1     2.0              2.0
    3    1     2     2.0              2.0
    >>> eq.largest_potentials(1).round(4).to_dict()
    {0: 0.4621}
    >>> eq.most_changed_synapses(1).round(6)
       pre  post  cost  balanced_cost
    0    1     0   4.0            2.0
    >>> eq.to_dict()["components"]
    1
    >>> print(eq.summary().splitlines()[2])
    total cost        9 → 8  (-11.1%)
    """

    original: SynapticNetwork
    h: Array
    topology: Topology
    total_cost: float
    imbalance: float
    neuron_imbalance: float
    converged: bool
    message: str
    stats: dict[str, Any] = field(repr=False)
    # Costs in and out by neuron, where the solver had no node that stands for several.
    _balanced_costs: tuple[Array, Array] | None = field(default=None, repr=False)

    @cached_property
    def potentials(self) -> pd.Series:
        """Equilibrium potentials h by neuron."""
        return pd.Series(self.h, index=self.original.neurons, name="potential")

    @property
    def is_finite(self) -> bool:
        """Whether the network has a finite equilibrium."""
        return self.topology.is_balanceable

    @property
    def initial_cost(self) -> float:
        """Total cost before balancing."""
        return self.original.total_cost

    @property
    def drop(self) -> float:
        """Cost saved: initial minus final total cost."""
        return self.initial_cost - self.total_cost

    @cached_property
    def initial_imbalance(self) -> float:
        """Imbalance before balancing, vanishing synapses included."""
        incoming, outgoing = self._initial_costs
        total = float(incoming.sum())
        return float(np.abs(incoming - outgoing).sum()) / total if total else 0.0

    @cached_property
    def initial_neuron_imbalance(self) -> float:
        """Largest relative imbalance of a free neuron before balancing."""
        return relative_imbalance(*(side[self._free] for side in self._initial_costs))

    @cached_property
    def drop_bounds(self) -> tuple[float, float]:
        """Bounds on the drop that need no solver; see `graphbal.analytic.drop_bounds`."""
        from graphbal.analytic.bounds import bounds_of

        return bounds_of(self.original, *self._initial_costs, self._free)

    @cached_property
    def network(self) -> SynapticNetwork:
        """The balanced network; vanished synapses are kept with weight 0."""
        values = rescaled(self.original.weights, self.h)
        if not self.is_finite:
            values[self.topology.vanishing] = 0.0
        return self.original.with_weights(values)

    def edges(self) -> pd.DataFrame:
        """Return the synapses: pre, post, weight, cost, balanced_weight and _cost, vanishes."""
        table = self.original.edges()
        table["balanced_weight"] = self.network.weights.data
        table["balanced_cost"] = self.network.costs.data
        table["vanishes"] = self.topology.vanishing
        return table

    def neurons(self) -> pd.DataFrame:
        """Return the neurons: potential, component, and costs in and out, before and after."""
        sides = *self._initial_costs, *self._final_costs
        names = "incoming_before", "outgoing_before", "incoming_after", "outgoing_after"
        return pd.DataFrame(
            {
                "potential": self.potentials,
                "component": self.topology.components,
                **dict(zip(names, sides, strict=True)),
            }
        )

    def largest_potentials(self, top: int = 5) -> pd.Series:
        """Return the `top` potentials of largest magnitude, the largest first."""
        magnitude = -self.potentials.abs().to_numpy()
        return self.potentials.iloc[np.argsort(magnitude, kind="stable")[:top]]

    def most_changed_synapses(self, top: int = 5) -> pd.DataFrame:
        """Return the `top` synapses whose cost changes most: pre, post, cost, balanced_cost."""
        net, before, after = self.original, self.original.costs, self.network.costs
        change = np.abs(after.data - before.data)
        top = min(top, change.size)
        most = np.argpartition(change, -top)[-top:] if top else np.empty(0, dtype=np.intp)
        most = most[np.argsort(-change[most], kind="stable")]
        post = np.searchsorted(before.indptr, most, side="right") - 1
        return pd.DataFrame(
            {
                "pre": net.neurons.take(before.indices[most]),
                "post": net.neurons.take(post),
                "cost": before.data[most],
                "balanced_cost": after.data[most],
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the scalars of the result as plain Python objects."""
        net, top = self.original, self.topology
        lower, upper = self.drop_bounds
        return {
            "neurons": net.n_neurons,
            "synapses": net.n_synapses,
            "self_connections": net.n_self_connections,
            "components": int(top.n_components),
            "fixed": len(top.fixed),
            "p": net.p,
            "initial_cost": self.initial_cost,
            "total_cost": self.total_cost,
            "drop": self.drop,
            "drop_lower_bound": lower,
            "drop_upper_bound": upper,
            "initial_imbalance": self.initial_imbalance,
            "imbalance": self.imbalance,
            "initial_neuron_imbalance": self.initial_neuron_imbalance,
            "neuron_imbalance": self.neuron_imbalance,
            "converged": self.converged,
            "is_finite": self.is_finite,
            "vanishing_synapses": int(np.count_nonzero(top.vanishing)),
            "message": self.message,
            "solver": self.stats["solver"],
            "why": self.stats["why"],
            "iterations": self.stats["iterations"],
            "edge_passes": self.stats["edge_passes"],
            "seconds": self.stats["seconds"],
        }

    def summary(self, top: int = 5) -> str:
        """Return the result as text, with the `top` most changed neurons and synapses."""
        facts = self.to_dict()
        saved = self.drop / self.initial_cost if self.initial_cost else 0.0
        lines = [
            f"{self.original!r}, {facts['components']:,} strong component(s)",
            self.message,
            f"total cost        {self.initial_cost:.6g} → {self.total_cost:.6g}  ({-saved:+.1%})",
            f"bounds on drop    {facts['drop_lower_bound']:.6g} ≤ {self.drop:.6g} "
            f"≤ {facts['drop_upper_bound']:.6g}",
            f"imbalance         {self.initial_imbalance:.3g} → {self.imbalance:.3g}",
            f"neuron imbalance  {self.initial_neuron_imbalance:.3g} → {self.neuron_imbalance:.3g}",
            f"solver            {facts['solver']}: {facts['why']}; "
            f"{facts['iterations']} iterations, {facts['edge_passes']} edge passes, "
            f"{facts['seconds']:.2g} s",
        ]
        lines += ["largest potentials"]
        lines += [f"  {label!s:<24} {h:+.4f}" for label, h in self.largest_potentials(top).items()]
        lines += ["synapses that change most"]
        lines += [
            f"  {f'{row.pre!s} → {row.post!s}':<24} {row.cost:.6g} → {row.balanced_cost:.6g}"
            for row in self.most_changed_synapses(top).itertuples()
        ]
        return "\n".join(lines)

    @cached_property
    def _initial_costs(self) -> tuple[Array, Array]:
        return sums_by_neuron(self.original.costs)

    @cached_property
    def _final_costs(self) -> tuple[Array, Array]:
        return self._balanced_costs or sums_by_neuron(self.network.costs)

    @property
    def _free(self) -> NDArray[np.bool_]:
        return ~self.original.neurons.isin(self.topology.fixed)

    def _repr_html_(self) -> str:
        stats, top = self.stats, self.topology
        facts = {
            "outcome": self.message,
            "neurons": self.original.n_neurons,
            "strong components": top.n_components,
            "vanishing synapses": int(np.count_nonzero(top.vanishing)),
            "total cost": change(self.initial_cost, self.total_cost),
            "imbalance": f"{self.initial_imbalance:.3g} → {self.imbalance:.3g}",
            "imbalance of a neuron": f"{self.initial_neuron_imbalance:.3g} → "
            f"{self.neuron_imbalance:.3g}",
            "solver": f"{stats['solver']}: {stats['why']}; {stats['iterations']} iterations, "
            f"{stats['seconds']:.2g} s",
        }
        tables = {
            "largest potentials": self.largest_potentials().to_frame(),
            "synapses that change most": self.most_changed_synapses(),
        }
        return card("Equilibrium", facts, tables)

    def __repr__(self) -> str:
        return (
            f"Equilibrium({self.original.n_neurons:,} neurons, cost {self.initial_cost:.6g} → "
            f"{self.total_cost:.6g}, neuron_imbalance={self.neuron_imbalance:.1e}, "
            f"converged={self.converged}, is_finite={self.is_finite})"
        )


def balance(
    network: Any,
    tol: float = 1e-9,
    solver: str | Solver = "auto",
    fixed: Iterable[Hashable] | None = None,
    *,
    initial: Any = None,
    on_infeasible: str = "limit",
    progress: bool | Callable[[dict[str, Any]], None] = False,
) -> Equilibrium:
    r"""Balance a network: make every neuron's incoming and outgoing costs equal.

    Finds the potentials h that minimise the convex total cost

    .. math:: C(h) = \sum_{ij} c_{ij} e^{p (h_j - h_i)}

    over the task-preserving manifold [1]_. A finite minimiser exists if and only if every synapse
    lies on a directed cycle. Where it does not, the result is the limit of the balancing flow: each
    strongly connected component balances on its own and the synapses between components vanish.

    Parameters
    ----------
    network : anything `as_network` takes
        A SynapticNetwork, NetworkX graph, SciPy sparse or dense matrix, table of edges, file or
        dataset name. A Dask DataFrame is balanced in its partitions, see
        `graphbal.distributed.balance`, and the result is that of the function there.
    tol : float
        Largest |in_k − out_k| / (in_k + out_k) that counts as balanced. Potentials are determined
        to about ten times this.
    solver : {"auto", "newton", "osborne", "closed-form"} or a solver object
        See `graphbal.solvers`.
    fixed : labels of neurons, optional
        Neurons whose potential is clamped at 0, e.g. inputs and outputs; they need not balance.
    initial : array, Series or mapping, optional
        Potentials h to start from, e.g. those of a similar network.
    on_infeasible : {"limit", "raise"}
        What to do if no finite equilibrium exists.
    progress : bool or callable
        True shows a progress bar on standard error; a callable is handed a dict at each iteration:
        ``solver``, ``iteration``, ``neuron_imbalance``, ``total_cost``, ``passes``, ``bytes_read``
        and, if the imbalance goes on falling as in the last five, ``passes_left`` and
        ``seconds_left``, else None.

    Returns
    -------
    Equilibrium

    Raises
    ------
    InputError
        If the network, a label or an option makes no sense.
    InfeasibleError
        If no finite equilibrium exists and ``on_infeasible="raise"``.

    Warns
    -----
    ConvergenceWarning
        If the tolerance was not reached; the result then says ``converged=False``.

    Notes
    -----
    Two passes over the edges an iteration, tens of passes on a well-connected network; see the
    chosen solver.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import graphbal as gb
    >>> eq = gb.balance("celegans")
    >>> eq.converged
    True
    >>> eq.total_cost < eq.initial_cost
    True

    A single synapse has no finite equilibrium; between fixed ends, a chain has.

    >>> import networkx as nx
    >>> G = nx.DiGraph()
    >>> G.add_weighted_edges_from([("in", "a", 2.0), ("a", "out", 1.0)])
    >>> gb.balance(G).is_finite
    False
    >>> gb.balance(G, fixed=["in", "out"]).potentials.round(4).to_dict()
    {'in': 0.0, 'a': 0.3466, 'out': 0.0}
    """
    started = time.perf_counter()
    if _is_in_partitions(network):
        if solver not in ("auto", "newton") or fixed is not None or initial is not None:
            raise InputError(
                "a network in partitions is balanced by Newton's method from potentials of 0, "
                "without fixed neurons; leave out solver, fixed and initial"
            )
        return _balanced_in_partitions(network, tol, on_infeasible, progress)
    net = as_network(network)
    if not (isinstance(tol, Real) and 0 < tol < np.inf):
        raise InputError(f"tol is {tol!r}; it must be a number above 0")
    if on_infeasible not in ("limit", "raise"):
        raise InputError(f"on_infeasible is {on_infeasible!r}; choose 'limit' or 'raise'")
    method = _solver(solver)
    if net.n_neurons < 2:
        raise InputError(f"a network of {net.n_neurons} neuron(s) has nothing to balance")
    if net.n_synapses == 0:
        raise InputError(f"none of the {net.n_neurons:,} neurons has a synapse: nothing to balance")
    top = topology(net, fixed)
    if not top.is_balanceable and on_infeasible == "raise":
        raise InfeasibleError(_infeasible_message(top))
    problem, node_of, unchanging = _problem(net, top)
    start = None
    if initial is not None:
        start = np.zeros(problem.n)
        start[node_of] = net.p * net.aligned(initial, "initial potential")
        start = problem.centred(start)
    with balancing(progress, tol, lambda: {"bytes_read": problem.bytes_per_pass}) as report:
        solution = method.solve(problem, start, tol, report)

    q = problem.centred(solution.q)
    incoming, outgoing = solution.incoming, solution.outgoing
    through = float(incoming.sum())
    if len(top.fixed):
        q -= np.where(problem.components == problem.components[-1], q[-1], 0.0)
        incoming, outgoing = incoming[:-1], outgoing[:-1]
    neuron_imbalance = relative_imbalance(incoming, outgoing)
    eq = Equilibrium(
        original=net,
        h=q[node_of] / net.p,
        topology=top,
        total_cost=through + unchanging,
        imbalance=float(np.abs(incoming - outgoing).sum()) / through if through else 0.0,
        neuron_imbalance=neuron_imbalance,
        converged=solution.converged,
        message=_message(top, solution, neuron_imbalance, tol),
        stats={"why": "asked for"} | solution.stats | {"seconds": time.perf_counter() - started},
        _balanced_costs=None if len(top.fixed) else (incoming, outgoing),
    )
    if not eq.converged:
        warnings.warn(eq.message, ConvergenceWarning, stacklevel=2)
    return eq


def _is_in_partitions(network: Any) -> bool:
    """Tell a Dask DataFrame without importing Dask."""
    return any(
        kind.__name__ == "DataFrame" and kind.__module__.startswith("dask.")
        for kind in type(network).__mro__
    )


def _balanced_in_partitions(network: Any, tol: float, on_infeasible: str, progress: Any) -> Any:
    from graphbal import distributed

    return distributed.balance(network, tol, on_infeasible=on_infeasible, progress=progress)


def _solver(solver: str | Solver) -> Solver:
    if isinstance(solver, str):
        if solver not in _SOLVERS:
            raise InputError(
                f"there is no solver {solver!r}; choose one of {', '.join(_SOLVERS)}, or pass an "
                "object of graphbal.solvers"
            )
        return _SOLVERS[solver]()
    if not callable(getattr(solver, "solve", None)):
        raise InputError(f"{solver!r} is not a solver; see graphbal.solvers")
    return solver


def _problem(
    net: SynapticNetwork, top: Topology
) -> tuple[Problem, NDArray[np.intp] | slice, float]:
    """Return what is left to solve, the node that stands for each neuron, and the constant cost.

    Fixed neurons are one node; a slice says that all others are their own. Left out are synapses
    that vanish, cost nothing, or join a node to itself; the last keep their cost.
    """
    components = top.component_numbers
    node_of = slice(None)
    is_whole = top.is_balanceable and not len(top.fixed) and not net.has_free_synapses
    n, has_alpha = net.n_neurons, net.alpha.ndim > 0 or net.alpha != 1
    if is_whole and not net.n_self_connections:
        # Tiles square weights as they pass, which are held in less memory than costs.
        lazy = net.p == 2 and not has_alpha and suits_tiles(n, net.n_synapses)
        bases, power = (net.weights, 2.0) if lazy else (net.costs, 1.0)
        return Problem(bases, components, top.n_components, net.cost_range, power), node_of, 0.0
    if is_whole and net.n_synapses == n * n >= FULL:
        is_cheap = net.p in (1, 2) and not has_alpha  # no dearer than a copy
        values = powers(net.weights.data, net.p) if is_cheap else net.costs.data.copy()
        unchanging = float(values[:: n + 1].sum())
        values[:: n + 1] = 0.0
        off_diagonal = copy(net.weights)
        off_diagonal.data = values
        return Problem(off_diagonal, components, top.n_components), node_of, unchanging
    if len(top.fixed):
        return _merged_problem(net, top)
    from graphbal.engines._kernels import within_components

    costs = net.costs
    values, indices, indptr, unchanging = within_components(
        costs.indptr, costs.indices, costs.data, components
    )
    kept = sparse.csr_array((values, indices, indptr), shape=costs.shape)
    return Problem(kept, components, top.n_components), node_of, unchanging


def _merged_problem(net: SynapticNetwork, top: Topology) -> tuple[Problem, NDArray[np.intp], float]:
    """Do what `_problem` does with the fixed neurons merged into one node, the last."""
    costs = net.costs
    positions = net.positions(top.fixed)
    is_free = np.ones(net.n_neurons, dtype=bool)
    is_free[positions] = False
    node_of = np.cumsum(is_free) - 1
    n = net.n_neurons - len(positions) + 1
    node_of[positions] = n - 1
    post, pre = np.repeat(node_of, np.diff(costs.indptr)), node_of[costs.indices]
    keep = ~top.vanishing & (costs.data > 0) & (post != pre)
    kept = sparse.csr_array(
        sparse.coo_array((costs.data[keep], (post[keep], pre[keep])), shape=(n, n))
    )
    components = np.zeros(n, dtype=np.int32)
    components[node_of] = top.component_numbers
    unchanging = float(costs.data[~top.vanishing & (post == pre)].sum())
    return Problem(kept, components, top.n_components), node_of, unchanging


def _infeasible_message(top: Topology) -> str:
    edges = top.vanishing_edges
    return (
        f"no finite equilibrium: {len(edges):,} synapse(s) lie on no directed cycle, e.g. "
        f"{edges['pre'].iloc[0]!s} → {edges['post'].iloc[0]!s}; fix neurons at both ends, or take "
        "the limit"
    )


def _message(top: Topology, solution: Solution, neuron_imbalance: float, tol: float) -> str:
    if solution.converged:
        outcome = f"Balanced: every neuron to {neuron_imbalance:.1e}."
    else:
        outcome = (
            f"Not converged: a neuron is {neuron_imbalance:.1e} out of balance, or its potential "
            f"is uncertain, after {solution.stats['iterations']} iterations (tolerance {tol:.0e})."
        )
    if top.is_balanceable:
        return outcome
    count = int(np.count_nonzero(top.vanishing))
    return (
        f"{outcome} There is no finite equilibrium: this is the limit, in which {count:,} "
        "synapse(s) that lie on no directed cycle have vanished and each component is balanced."
    )
