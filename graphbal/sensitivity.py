"""How the equilibrium depends on every synapse: one Laplacian system a synapse or a neuron."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graphbal._html import card
from graphbal.balance import Equilibrium, _problem, balance
from graphbal.convert import as_network
from graphbal.errors import InputError
from graphbal.solvers import Problem
from graphbal.solvers.laplacian import SMALL, flow_response, pseudoinverse
from graphbal.trajectory import synapse_positions

__all__ = ["Sensitivity", "sensitivity"]

Array = NDArray[np.float64]

# Random probes with which influences are estimated in large networks, and how many synapses, at
# most, are then looked at exactly for each one asked for.
PROBES = 48
CANDIDATES = 10


def sensitivity(network: Any) -> Sensitivity:
    r"""Differentiate the equilibrium with respect to the log cost of every synapse.

    At a finite equilibrium, with the Laplacian L and the costs c* there,

    .. math::

        \frac{\partial h^*}{\partial \log c_{ij}} = \frac{1}{p} c^*_{ij} L^+ (e_i - e_j), \qquad
        \frac{\partial C^*}{\partial \log c_{ij}} = c^*_{ij}

    (differentiate g(h*) = 0; the total cost is stationary in h). In the limit of a network without
    a finite equilibrium the same holds within each component, and synapses that vanish have no
    influence. Neurons that were fixed stay so.

    Parameters
    ----------
    network : Equilibrium, or anything `as_network` takes
        The equilibrium; a network is balanced first.

    Returns
    -------
    Sensitivity
        An operator: nothing is solved yet.

    Raises
    ------
    InputError
        If the network cannot be read or balanced.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    In a reciprocal pair h₁ − h₀ = (1/2p) log(c₁₀/c₀₁) at the equilibrium:

    >>> import graphbal as gb
    >>> sens = gb.sensitivity([[0, 2.0], [1.0, 0]])
    >>> sens.to(0, 1).round(4).tolist()
    [-0.125, 0.125]
    >>> sens.cost
       pre  post  derivative
    0    1     0         2.0
    1    0     1         2.0
    """
    eq = network if isinstance(network, Equilibrium) else balance(as_network(network))
    problem, nodes, _ = _problem(eq.network, eq.topology)
    node_of = np.arange(problem.n)[nodes]
    fixed = eq.topology.fixed
    merged = int(node_of[eq.original.positions(fixed)[0]]) if len(fixed) else None
    return Sensitivity(eq, problem, node_of, merged)


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Derivatives of an equilibrium with respect to the log costs of its synapses.

    A potential is taken as in `Equilibrium`: of mean zero in each strongly connected component, 0
    at fixed neurons. ∂h/∂log c is what a change of the cost by a small fraction does, per that
    fraction.

    Attributes
    ----------
    equilibrium : Equilibrium
        The equilibrium that is differentiated.
    problem : Problem
        What balances there: the surviving costs at equilibrium, fixed neurons as one node.
    node_of : int array, shape (n,)
        Node of each neuron in it.
    merged : int or None
        Node of the fixed neurons.

    Examples
    --------
    >>> import graphbal as gb
    >>> sensitivity = gb.sensitivity(gb.balance([[0, 1.0, 0], [1.0, 0, 2.0], [0, 2.0, 0]]))
    >>> sensitivity.to(1, 0).round(4).tolist()  # of every neuron to one synapse
    [0.1667, -0.0833, -0.0833]
    >>> sensitivity.to_many([(1, 0), (0, 1)]).shape
    (3, 2)
    >>> sensitivity.of(2).round(4)  # of one neuron to every synapse
       pre  post  derivative
    0    1     0     -0.0833
    1    0     1      0.0833
    2    2     1     -0.1667
    3    1     2      0.1667
    >>> sensitivity.predict({(1, 0): 1.1}).round(4).tolist()
    [0.0159, -0.0079, -0.0079]
    >>> sensitivity.cost["derivative"].round(6).tolist()
    [1.0, 1.0, 4.0, 4.0]
    """

    equilibrium: Equilibrium
    problem: Problem = field(repr=False)
    node_of: NDArray[np.intp] = field(repr=False)
    merged: int | None = field(repr=False)

    @cached_property
    def cost(self) -> pd.DataFrame:
        """∂C*/∂log c of every synapse, in units of cost: pre, post, derivative.

        It is the synapse's own cost c* at equilibrium, that of self-connections included.
        """
        return self._table(self._costs)

    def to(self, pre: Hashable, post: Hashable) -> pd.Series:
        """Return ∂h/∂log c of every neuron with respect to one synapse, by one solve.

        Parameters
        ----------
        pre, post : labels
            The synapse from pre to post.

        Returns
        -------
        Series
            Derivative by neuron, dimensionless.

        Raises
        ------
        InputError
            If there is no such synapse.
        """
        return self.to_many([(pre, post)]).iloc[:, 0].rename("derivative")

    def to_many(self, synapses: Iterable[tuple[Any, Any]]) -> pd.DataFrame:
        """Return ∂h/∂log c with respect to several synapses: a row a neuron, a column a synapse.

        One solve each.

        Raises
        ------
        InputError
            If a synapse does not exist.
        """
        pairs = list(synapses)
        at = synapse_positions(self.equilibrium.original, pairs)
        neurons = self.equilibrium.original.neurons
        ends = [[pair[end] for pair in pairs] for end in (0, 1)]
        responses = np.empty((neurons.size, at.size))
        for column, synapse in zip(responses.T, at[:, None], strict=True):
            column[:] = self._response(synapse, 1.0)
        columns = pd.MultiIndex.from_arrays(ends, names=("pre", "post"))
        return pd.DataFrame(responses, index=neurons, columns=columns)

    def predict(self, factors: Mapping[tuple[Any, Any], float]) -> pd.Series:
        r"""Predict how potentials change when costs of synapses are multiplied, to first order.

        .. math:: Δh ≈ \sum \frac{\partial h^*}{\partial \log c_{ij}} \log f_{ij}

        Parameters
        ----------
        factors : mapping
            ``{(pre, post): factor}`` as in `perturb`, each above 0. One solve for all.

        Returns
        -------
        Series
            Change of the potential by neuron, dimensionless.

        Raises
        ------
        InputError
            If a synapse does not exist, or a factor is not above 0.
        """
        if not isinstance(factors, Mapping):
            raise InputError(f"the factors are {factors!r}; give {{(pre, post): factor}}")
        at = synapse_positions(self.equilibrium.original, list(factors))
        for (pre, post), factor in factors.items():
            if not (isinstance(factor, Real) and np.isfinite(factor) and factor > 0):
                raise InputError(
                    f"the factor of the synapse {pre!r} → {post!r} is {factor!r}; its logarithm "
                    "is needed, so it must be a finite number above 0"
                )
        change = self._response(at, np.log(np.array(list(factors.values()), dtype=np.float64)))
        return pd.Series(change, index=self.equilibrium.original.neurons, name="change")

    def of(self, neuron: Hashable) -> pd.DataFrame:
        """Return the derivative of one neuron's potential with respect to every synapse.

        The adjoint of `to`: with y = L⁺ e_k, ∂h_k/∂log c_ij = c*_ij (y_i − y_j) / p. One solve.

        Returns
        -------
        DataFrame
            pre, post, derivative: a row for each synapse, as in ``net.edges()``.

        Raises
        ------
        InputError
            If there is no such neuron.
        """
        return self._table(self._derivatives_of(neuron))

    def most_influential(
        self, n: int = 10, on: Hashable | None = None, *, progress: bool = False
    ) -> pd.DataFrame:
        """Return the synapses that move the potentials most.

        Parameters
        ----------
        n : int
            How many.
        on : label, optional
            The neuron whose potential counts; by default all do, in the Euclidean norm.
        progress : bool
            Show a progress bar on standard error.

        Returns
        -------
        DataFrame
            pre, post, cost (c* at equilibrium) and influence, the largest first: ‖∂h/∂log c‖, or
            with `on` the derivative of that neuron's potential, with its sign.

        Raises
        ------
        InputError
            If n is not a positive whole number, or there is no such neuron.

        Notes
        -----
        With `on`: one solve. Without: exact in up to 1,000 neurons, by as many solves. In larger
        networks ‖L⁺(e_i − e_j)‖ is first estimated for all synapses from 48 solves with random
        signs (Johnson and Lindenstrauss [1]_, as used for effective resistances by [2]_), to 10 %
        (one standard deviation); then every synapse whose estimate is at least half the n-th
        largest is looked at exactly, up to 10 n of them, by a solve each.

        References
        ----------
        .. [1] D. Achlioptas, "Database-friendly random projections: Johnson-Lindenstrauss with
           binary coins", J Comput Syst Sci 66(4): 671-687 (2003).
           https://doi.org/10.1016/S0022-0000(03)00025-4
        .. [2] D. A. Spielman, N. Srivastava, "Graph sparsification by effective resistances", SIAM
           J Comput 40(6): 1913-1926 (2011). https://doi.org/10.1137/080734029

        Examples
        --------
        >>> import graphbal as gb
        >>> table = gb.sensitivity("celegans").most_influential(3)
        >>> table.columns.tolist(), len(table)
        (['pre', 'post', 'cost', 'influence'], 3)
        """
        if not (isinstance(n, Integral) and n >= 1):
            raise InputError(f"n is {n!r}; it must be a whole number above 0")
        n = min(int(n), self._costs.size)
        if on is not None:
            influence = self._derivatives_of(on)
            chosen = _largest(np.abs(influence), n)
            return self._ranking(chosen, influence[chosen])
        estimate = np.sqrt(
            sum(np.square(self._adjoint(probe)) for probe in _shown(self._probes(), progress))
        )
        if self.problem.n <= SMALL:
            chosen = _largest(estimate, n)
            return self._ranking(chosen, estimate[chosen])
        candidates = _largest(estimate, CANDIDATES * n)
        candidates = candidates[estimate[candidates] >= 0.5 * estimate[candidates[n - 1]]]
        exact = np.array(
            [
                np.linalg.norm(self._response(synapse, 1.0))
                for synapse in _shown(list(candidates[:, None]), progress)
            ]
        )
        best = _largest(exact, n)
        return self._ranking(candidates[best], exact[best])

    def _repr_html_(self) -> str:
        eq = self.equilibrium
        facts = {"neurons": eq.original.n_neurons, "synapses": eq.original.n_synapses}
        most = self.cost.nlargest(5, "derivative").reset_index(drop=True)
        return card("Sensitivity", facts, {"∂C*/∂log c, largest": most})

    def __repr__(self) -> str:
        return f"Sensitivity({self.equilibrium!r})"

    # ------------------------------------------------------------------ private

    @cached_property
    def _costs(self) -> Array:
        return self.equilibrium.network.costs.data

    @cached_property
    def _endpoints(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the nodes of the postsynaptic and the presynaptic neuron of each synapse."""
        weights = self.equilibrium.original.weights
        return np.repeat(self.node_of, np.diff(weights.indptr)), self.node_of[weights.indices]

    @cached_property
    def _inverse(self) -> Callable[[Array], Array]:
        return pseudoinverse(self.problem)

    @cached_property
    def _flow_response(self) -> Callable[..., Array]:
        return flow_response(self.problem)

    def _response(self, synapses: NDArray[np.intp], changes: Any) -> Array:
        """Return the change of h, by neuron, for changes of the log costs of some synapses."""
        post, pre = self._endpoints
        amounts = self._costs[synapses] * changes / self.equilibrium.original.p
        x = self._flow_response(post[synapses], pre[synapses], amounts)
        if self.merged is not None:
            part = self.problem.components
            x -= np.where(part == part[self.merged], x[self.merged], 0.0)
        return x[self.node_of]

    def _adjoint(self, weights: Array) -> Array:
        """Return the derivative of Σ weights · h (by node) with respect to each log cost."""
        if self.merged is not None:
            part = self.problem.components
            weights = weights.copy()
            weights[self.merged] -= weights[part == part[self.merged]].sum()
        y = self._inverse(weights)
        post, pre = self._endpoints
        return self._costs * (y[post] - y[pre]) / self.equilibrium.original.p

    def _derivatives_of(self, neuron: Hashable) -> Array:
        weights = np.zeros(self.problem.n)
        weights[self.node_of[self.equilibrium.original.positions([neuron])]] = 1.0
        return self._adjoint(weights)

    def _probes(self) -> list[Array]:
        """Return vectors ω with Σ ω ωᵀ = 1 on the free nodes, or so on average."""
        n = self.problem.n
        if n <= SMALL:
            probes = np.eye(n)
        else:
            probes = np.random.default_rng(0).choice([-1.0, 1.0], (PROBES, n)) / np.sqrt(PROBES)
        if self.merged is not None:
            probes[:, self.merged] = 0.0
        return list(probes)

    def _ranking(self, synapses: NDArray[np.intp], influence: Array) -> pd.DataFrame:
        net = self.equilibrium.original
        post = np.searchsorted(net.weights.indptr, synapses, side="right") - 1
        return pd.DataFrame(
            {
                "pre": net.neurons.take(net.weights.indices[synapses]),
                "post": net.neurons.take(post),
                "cost": self._costs[synapses],
                "influence": influence,
            }
        )

    def _table(self, derivative: Array) -> pd.DataFrame:
        net = self.equilibrium.original
        post = np.repeat(np.arange(net.n_neurons), np.diff(net.weights.indptr))
        return pd.DataFrame(
            {
                "pre": net.neurons.take(net.weights.indices),
                "post": net.neurons.take(post),
                "derivative": derivative,
            }
        )


def _largest(values: Array, n: int) -> NDArray[np.intp]:
    """Return where the n largest values are, the largest first."""
    n = min(n, values.size)
    most = np.argpartition(-values, n - 1)[:n]
    return most[np.argsort(-values[most], kind="stable")]


def _shown(steps: list[Array], progress: bool) -> Iterable[Array]:
    """Return the steps, with a progress bar on standard error if asked for."""
    if not progress:
        return steps
    from rich.console import Console
    from rich.progress import track

    return track(steps, "influence", console=Console(stderr=True), transient=True)
