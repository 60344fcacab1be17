"""The Helmholtz–Hodge split of log-costs: what potentials can remove, and what nothing can."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal.convert import as_network
from graphbal.errors import ConvergenceWarning
from graphbal.network import SynapticNetwork
from graphbal.solvers._problem import Problem
from graphbal.solvers.laplacian import pseudoinverse

__all__ = ["HodgeSplit", "hodge"]

Array = NDArray[np.float64]

# What is left is free of divergence to this, relative to the log-costs.
ACCURACY = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class HodgeSplit:
    """Log-costs as a mean, a gradient and a cycle part.

    Attributes
    ----------
    network : SynapticNetwork
        The network.
    synapses : array of int, shape (m,)
        The synapses that take part, by their place in ``network.weights.data``: all but
        self-connections and those that cost nothing.
    potentials : pandas.Series
        Potentials h of least squares, dimensionless, of mean zero in each connected part: the
        transformed network has the log-costs mean + cycle.
    mean : float
        The level common to all synapses. 0 if a gradient can take its place, as in a network
        whose layers all paths cross in order.
    gradient : array, shape (m,)
        p (h_i − h_j), which potentials can remove.
    cycle : array, shape (m,)
        What is left: a part of mean zero that flows around cycles, as much into each neuron as out
        of it.
    removable_fraction : float
        Fraction of the variance of the log-costs that potentials can remove, 0 to 1.
    converged : bool
        Whether the cycle part is free of divergence to 1e-9 of the largest log-cost.

    Examples
    --------
    >>> import graphbal as gb
    >>> net = gb.as_network([[0, 4.0, 0], [1.0, 0, 2.0], [0, 1.0, 0]])
    >>> split = gb.analytic.hodge(net)
    >>> split.edges().round(3)
       pre  post  log_cost  gradient  cycle
    0    1     0     2.773     1.386  0.347
    1    0     1     0.000    -1.386  0.347
    2    2     1     1.386     0.693 -0.347
    3    1     2     0.000    -0.693 -0.347
    >>> round(split.removable_fraction, 3), round(split.removed_by(split.potentials), 3)
    (0.909, 0.909)
    """

    network: SynapticNetwork
    synapses: NDArray[np.intp]
    potentials: pd.Series
    mean: float
    gradient: Array
    cycle: Array
    removable_fraction: float
    converged: bool

    def removed_by(self, potentials: Any) -> float:
        """Return the fraction of the variance of the log-costs that given potentials remove.

        At most `removable_fraction`; negative if they add variance.

        Parameters
        ----------
        potentials : array of shape (n,), Series or mapping by label
            Potentials h, such as those of the equilibrium.
        """
        before = self.mean + self.gradient + self.cycle
        h = self.network.aligned(potentials, "potential")
        post, pre = _endpoints(self.network, self.synapses)
        after = before + self.network.p * (h[pre] - h[post])
        variance = float(np.var(before)) if before.size else 0.0
        return 1.0 - float(np.var(after)) / variance if variance else 0.0

    def edges(self) -> pd.DataFrame:
        """Return the table of synapses: pre, post, log_cost, gradient, cycle."""
        post, pre = _endpoints(self.network, self.synapses)
        return pd.DataFrame(
            {
                "pre": self.network.neurons.take(pre),
                "post": self.network.neurons.take(post),
                "log_cost": self.mean + self.gradient + self.cycle,
                "gradient": self.gradient,
                "cycle": self.cycle,
            }
        )

    def __repr__(self) -> str:
        return (
            f"HodgeSplit({self.network!r}, removable_fraction={self.removable_fraction:.3f}, "
            f"converged={self.converged})"
        )


def hodge(network: Any) -> HodgeSplit:
    r"""Split log-costs into what balancing can remove and what it cannot.

    .. math:: \log c_{ij} = μ + p\,(h_i - h_j) + z_{ij},

    with the level μ and the potentials h that leave the least squares,
    :math:`\min_{μ, h} \sum_{ij} z_{ij}^2`, all synapses weighing the same [1]_. The remainder z
    has mean zero and no divergence, :math:`\sum_j z_{kj} = \sum_i z_{ik}` at every neuron. Since
    a transformation adds a gradient to the log-costs, it changes h alone; and since the level is
    taken out, the split is the same in any unit of cost.

    Parameters
    ----------
    network : anything `as_network` takes

    Returns
    -------
    HodgeSplit

    Raises
    ------
    InputError
        If the network cannot be read.

    Warns
    -----
    ConvergenceWarning
        If the cycle part is not free of divergence; the result says ``converged=False``.

    Notes
    -----
    The normal equations are those of the graph Laplacian with conductance 1 for every synapse: two
    solves by conjugate gradients, one pass over the edges an iteration, tens of them on a
    well-connected network; approximate Cholesky factors where that is slow. O(m) memory.

    Balancing minimises Σ c rather than the variance of log c; its potentials remove
    ``HodgeSplit.removed_by(eq.potentials)``, no more than `removable_fraction`.

    References
    ----------
    .. [1] X. Jiang, L.-H. Lim, Y. Yao, Y. Ye, "Statistical ranking and combinatorial Hodge
       theory", Math Program 127: 203-244 (2011). https://doi.org/10.1007/s10107-010-0419-x

    Examples
    --------
    In detailed balance between equal pairs, all is gradient; around a cycle, nothing is:

    >>> import numpy as np
    >>> from graphbal import analytic
    >>> h = np.array([0.0, 1.0, 3.0])
    >>> round(analytic.hodge(np.exp(h[:, None] - h[None, :])).removable_fraction, 6)
    1.0
    >>> split = analytic.hodge([[0, 0.5, 2.0], [2.0, 0, 0.5], [0.5, 2.0, 0]])
    >>> round(split.removable_fraction, 6), split.cycle.round(3).tolist()
    (0.0, [-1.386, 1.386, 1.386, -1.386, -1.386, 1.386])
    """
    net = as_network(network)
    n, costs = net.n_neurons, net.costs
    post, pre = costs.tocoo().coords
    synapses = np.flatnonzero((post != pre) & (costs.data > 0))
    post, pre = post[synapses], pre[synapses]
    log_costs = np.log(costs.data[synapses])

    def divergence(values: Array) -> Array:
        entering = np.bincount(post, weights=values, minlength=n)
        return np.subtract(entering, np.bincount(pre, weights=values, minlength=n), dtype=float)

    ones = np.ones(synapses.size)
    support = sparse.csr_array((ones, (post, pre)), shape=(n, n))
    n_parts, parts = sparse.csgraph.connected_components(support, directed=False)
    solve = pseudoinverse(Problem(support, parts, int(n_parts)))
    q, of_level = solve(divergence(log_costs)), solve(divergence(ones))

    # The level is fitted with what no gradient can do for it.
    left = log_costs - (q[post] - q[pre])
    bare = 1.0 - (of_level[post] - of_level[pre])
    weight = float(bare @ bare)
    mean = float(bare @ left) / weight if weight > 1e-12 * synapses.size else 0.0
    q = q - mean * of_level
    gradient = q[post] - q[pre]
    cycle = log_costs - mean - gradient
    variance = float(np.var(log_costs)) if synapses.size else 0.0
    kept = float(np.mean(np.square(cycle))) / variance if variance else 1.0
    degree = np.maximum(np.bincount(post, minlength=n) + np.bincount(pre, minlength=n), 1)
    leak = float(np.abs(divergence(cycle) / degree).max(initial=0.0))
    split = HodgeSplit(
        network=net,
        synapses=synapses,
        potentials=pd.Series(q / net.p, index=net.neurons, name="potential"),
        mean=mean,
        gradient=gradient,
        cycle=cycle,
        removable_fraction=min(max(1.0 - kept, 0.0), 1.0),
        converged=leak <= ACCURACY * max(float(np.abs(log_costs).max(initial=0.0)), 1.0),
    )
    if not split.converged:
        warnings.warn(
            f"the cycle part diverges by {leak:.0e}: the least-squares potentials are not accurate",
            ConvergenceWarning,
            stacklevel=2,
        )
    return split


def _endpoints(
    net: SynapticNetwork, synapses: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.integer]]:
    post = np.searchsorted(net.weights.indptr, synapses, side="right") - 1
    return post, net.weights.indices[synapses]
