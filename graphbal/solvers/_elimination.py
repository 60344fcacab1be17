"""Elimination without subtraction. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["elimination_order", "star_mesh"]


@njit(cache=True, error_model="numpy")
def star_mesh(conductance: NDArray[np.float64], flow: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve Σ_j s_kj (x_k − x_j) = Σ_j f_kj by eliminating one neuron after the other.

    Parameters
    ----------
    conductance : array, shape (n, n)
        Conductances s_kj = s_jk ≥ 0; only the part below the diagonal is read, and overwritten.
    flow : array, shape (n, n)
        Net flows f_kj = −f_jk from j into k, likewise.

    Returns
    -------
    x : array, shape (n,)
        The solution; 0 at the first neuron of each connected part.

    Notes
    -----
    Neuron k is a star of conductances, each with an electromotive force f_kj / s_kj; eliminating
    it leaves a mesh between its neighbours,

        s_ij += s_ki s_kj / d,   f_ij += (s_ki f_kj − f_ki s_kj) / d,   d = Σ_j s_kj.

    Diagonals are sums of what is left, never differences (Grassmann, Taksar and Heyman [1]_), so
    every conductance keeps its relative accuracy; and right-hand sides stay on the edges, so that
    the strong flows within a cluster never drown the weak ones that fix its potential. A thread
    10⁻¹⁰⁰ times as strong as what it joins is resolved to rounding. Cost: n³/3 updates.

    References
    ----------
    .. [1] W. K. Grassmann, M. I. Taksar, D. P. Heyman, "Regenerative analysis and steady state
       distributions for Markov chains", Oper Res 33(5): 1107-1116 (1985).
       https://doi.org/10.1287/opre.33.5.1107
    """
    n = conductance.shape[0]
    total = np.zeros(n)
    for k in range(n - 1, 0, -1):
        d = 0.0
        for j in range(k):
            d += conductance[k, j]
        total[k] = d
        if d == 0.0:
            continue
        for i in range(1, k):
            s = conductance[k, i]
            if s == 0.0:
                continue
            s /= d
            f = flow[k, i] / d
            for j in range(i):
                conductance[i, j] += s * conductance[k, j]
                flow[i, j] += s * flow[k, j] - f * conductance[k, j]
    x = np.zeros(n)
    for k in range(1, n):
        if total[k] == 0.0:
            continue
        value = 0.0
        for j in range(k):
            value += (conductance[k, j] / total[k]) * x[j] + flow[k, j] / total[k]
        x[k] = value
    return x


@njit(cache=True, error_model="numpy")
def elimination_order(
    post: NDArray[np.integer], pre: NDArray[np.integer], n: int
) -> NDArray[np.intp]:
    """Return an order of n neurons in which `star_mesh` joins few pairs of them anew.

    It begins with the last, which has the fewest neighbours, then takes the one that has the fewest
    after that, and so on, until half of those that are left are neighbours of any [1]_. Time n² and
    the square of the neighbours of each; memory n² bytes.

    Parameters
    ----------
    post, pre : int array, shape (m,)
        The two ends of each synapse. Those of a pair in either direction may be several; one from
        a neuron to itself is left out.
    n : int
        Number of neurons.

    Returns
    -------
    order : int array, shape (n,)

    References
    ----------
    .. [1] A. George, J. W. H. Liu, "The evolution of the minimum degree ordering algorithm",
       SIAM Review 31(1): 1-19 (1989). https://doi.org/10.1137/1031001
    """
    joined = np.zeros((n, n), dtype=np.bool_)
    degree = np.zeros(n, dtype=np.int64)
    for e in range(post.size):
        i, j = post[e], pre[e]
        if i != j and not joined[i, j]:
            joined[i, j] = joined[j, i] = True
            degree[i] += 1
            degree[j] += 1
    order = np.empty(n, dtype=np.intp)
    left = np.ones(n, dtype=np.bool_)
    neighbours = np.empty(n, dtype=np.int64)
    for place in range(n - 1, -1, -1):
        k = degree.argmin()
        if 2 * degree[k] > place:
            order[: place + 1] = np.flatnonzero(left)
            break
        order[place] = k
        left[k] = False
        number = 0
        for j in range(n):
            if joined[k, j] and left[j]:
                neighbours[number] = j
                number += 1
        degree[k] = n
        for a in range(number):
            i = neighbours[a]
            degree[i] -= 1
            for b in range(a):
                j = neighbours[b]
                if not joined[i, j]:
                    joined[i, j] = joined[j, i] = True
                    degree[i] += 1
                    degree[j] += 1
    return order
