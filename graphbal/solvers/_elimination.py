"""Elimination without subtraction. Importing this module imports Numba."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["star_mesh"]


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
