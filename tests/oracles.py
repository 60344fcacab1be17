"""Independent checks: extended precision, a generic optimiser, an ODE integrator."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy import optimize
from scipy.integrate import solve_ivp

from graphbal import SynapticNetwork


def exact_costs(net: SynapticNetwork, h) -> sp.coo_array:
    """Return α |J|^p e^{p (h_j − h_i)} off the diagonal in extended precision."""
    J = net.weights.tocoo()
    wide = np.longdouble
    h = np.asarray(h).astype(wide)
    alpha = net.alpha.tocsr()[J.row, J.col] if sp.issparse(net.alpha) else net.alpha
    if not sp.issparse(net.alpha) and net.alpha.ndim == 2:
        alpha = np.broadcast_to(net.alpha, J.shape)[J.row, J.col]
    alpha = np.broadcast_to(np.asarray(alpha, dtype=wide), J.data.shape)
    keep = (J.row != J.col) & (J.data != 0) & (alpha > 0)
    row, col = J.row[keep], J.col[keep]
    log_cost = np.log(alpha[keep]) + wide(net.p) * np.log(np.abs(J.data[keep].astype(wide)))
    return row, col, np.exp(log_cost + wide(net.p) * (h[col] - h[row]))


def exact_neuron_imbalance(net: SynapticNetwork, h, ignore=None, among=None) -> float:
    """Return max |in − out| / (in + out), computed in extended precision from weights and h.

    `ignore`: labels of strong components; synapses between two of them are left out.
    `among`: the neurons that count.
    """
    row, col, cost = exact_costs(net, h)
    if ignore is not None:
        inside = ignore[row] == ignore[col]
        row, col, cost = row[inside], col[inside], cost[inside]
    incoming = np.zeros(net.n_neurons, dtype=np.longdouble)
    outgoing = incoming.copy()
    np.add.at(incoming, row, cost)
    np.add.at(outgoing, col, cost)
    through = incoming + outgoing
    apart = np.abs(incoming - outgoing) / np.where(through > 0, through, 1)
    return float(apart.max() if among is None else apart[among].max())


def cheapest_potentials(costs: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Minimise Σ c_ij e^{q_j − q_i} over the free q, the others at 0, by SciPy's trust region."""

    def at(x):
        q = np.zeros(len(costs))
        q[free] = x
        return costs * np.exp(q[None, :] - q[:, None])

    def value(x):
        return at(x).sum()

    def gradient(x):
        c = at(x)
        return (c.sum(axis=0) - c.sum(axis=1))[free]

    def hessian(x):
        c = at(x)
        return (np.diag(c.sum(axis=0) + c.sum(axis=1)) - c - c.T)[np.ix_(free, free)]

    found = optimize.minimize(
        value,
        np.zeros(free.sum()),
        jac=gradient,
        hess=hessian,
        method="trust-exact",
        options={"gtol": 1e-12 * costs.sum(), "maxiter": 500},
    )
    q = np.zeros(len(costs))
    q[free] = found.x
    return q


def flow(costs: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Integrate dq/dt = in − out from q = 0; return q at the given times, one row each.

    Time is logarithmic, t = e^s − 1: late in the flow q changes as log t.
    """

    def costs_at(q):
        return costs * np.exp(q[None, :] - q[:, None])

    def rate(s, q):
        c = costs_at(q)
        return np.exp(s) * (c.sum(axis=1) - c.sum(axis=0))

    def jacobian(s, q):
        c = costs_at(q)
        return np.exp(s) * (c + c.T - np.diag(c.sum(axis=0) + c.sum(axis=1)))

    s = np.log1p(times)
    start = np.zeros(len(costs))
    solution = solve_ivp(
        rate, (0, s[-1]), start, method="Radau", jac=jacobian, t_eval=s, rtol=1e-8, atol=1e-9
    )
    assert solution.success
    return solution.y.T
