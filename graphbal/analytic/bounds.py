"""Bounds on what balancing can save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from graphbal.convert import as_network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphbal.network import SynapticNetwork

__all__ = ["drop_bounds"]

# From this many synapses on, reverses are looked up by compiled threads.
LARGE = 1_000_000


def drop_bounds(network: Any, fixed: Any = None) -> tuple[float, float]:
    r"""Return a lower and an upper bound on the cost that balancing saves, C(0) − C*.

    .. math::

        \max_k \bigl(\sqrt{in_k} - \sqrt{out_k}\bigr)^2 \;\le\; C(0) - C^* \;\le\;
        \sum_{ij} c_{ij} - \sum_{ij} \sqrt{c_{ij} c_{ji}}

    Scaling a single neuron [1]_ already saves as much as the lower bound. A reciprocal pair keeps
    the product of its costs, so their sum stays above twice its root: the upper bound, which
    networks in detailed balance attain.

    Parameters
    ----------
    network : anything `as_network` takes
    fixed : labels of neurons, optional
        Neurons whose potential is clamped; they cannot be scaled.

    Returns
    -------
    lower, upper : float
        In units of cost.

    Raises
    ------
    InputError
        If the network cannot be read, or a fixed label is unknown.

    Notes
    -----
    O(n + m) for m synapses.

    References
    ----------
    .. [1] E. E. Osborne, "On pre-conditioning of matrices", J ACM 7(4): 338-345 (1960).
       https://doi.org/10.1145/321043.321048

    Examples
    --------
    >>> from graphbal import analytic
    >>> analytic.drop_bounds([[0, 4.0], [1.0, 0]])  # a pair attains both
    (9.0, 9.0)
    """
    net = as_network(network)
    free = np.ones(net.n_neurons, dtype=bool)
    if fixed is not None and np.size(fixed):  # looking up none would still cast all labels
        free[net.positions(fixed)] = False
    return bounds_of(net, net.incoming_costs.to_numpy(), net.outgoing_costs.to_numpy(), free)


def bounds_of(
    net: SynapticNetwork,
    incoming: NDArray[np.float64],
    outgoing: NDArray[np.float64],
    free: NDArray[np.bool_],
) -> tuple[float, float]:
    """Return the bounds of a network whose incoming and outgoing costs are known."""
    apart = np.square(np.sqrt(incoming) - np.sqrt(outgoing))[free]
    return float(apart.max(initial=0.0)), net.total_cost - _reciprocal_cost(net.costs)


def _reciprocal_cost(costs: sparse.csr_array) -> float:
    """Return Σ √(c_ij c_ji), self-connections included."""
    if costs.nnz < LARGE:
        roots = costs.sqrt()
        return float(roots.multiply(roots.T).sum())
    from numba import get_num_threads

    from graphbal.analytic._reciprocal import reciprocal_sum

    return float(reciprocal_sum(costs.indptr, costs.indices, costs.data, get_num_threads()))
