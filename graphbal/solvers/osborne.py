"""Osborne's iteration: balance one neuron after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal.engines import local_engine
from graphbal.errors import InputError
from graphbal.solvers._problem import History, Problem, Report, Solution
from graphbal.solvers.annealing import annealed
from graphbal.solvers.clusters import settle_clusters

__all__ = ["Osborne"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Osborne:
    r"""Osborne's iteration: cyclic coordinate descent on the total cost.

    Each step balances one neuron exactly, :math:`e^{2 p h_i} = (C E)_i / (C^T Z)_i` with
    :math:`E = e^{ph}`, :math:`Z = 1/E` [1]_. Random orders have the better guarantee [2]_. A sweep
    costs two products with the matrix; on networks of large diameter thousands may be needed, and
    `Newton` is the better choice.

    The iteration stops when the imbalance is below the tolerance and the potentials, extrapolated
    from the rate at which their changes shrink, are known to ten times the tolerance.

    Parameters
    ----------
    order : {"cyclic", "random"}
        Order of the neurons: as stored, or a new random permutation each sweep.
    max_sweeps : int
        Sweeps before giving up.
    seed : int
        Seed of the permutations.

    References
    ----------
    .. [1] E. E. Osborne, "On pre-conditioning of matrices", J ACM 7(4): 338-345 (1960).
       https://doi.org/10.1145/321043.321048
    .. [2] J. M. Altschuler, P. A. Parrilo, "Near-linear convergence of the Random Osborne algorithm
       for matrix balancing", Math Program 198: 363-397 (2023).
       https://doi.org/10.1007/s10107-022-01825-4

    Examples
    --------
    >>> import graphbal as gb
    >>> eq = gb.balance([[0, 4.0], [1.0, 0]], solver=gb.solvers.Osborne())
    >>> eq.potentials.round(4).tolist()
    [0.3466, -0.3466]
    """

    order: Literal["cyclic", "random"] = "cyclic"
    max_sweeps: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.order not in ("cyclic", "random"):
            raise InputError(f"order is {self.order!r}; choose 'cyclic' or 'random'")
        if self.max_sweeps < 1:
            raise InputError(f"max_sweeps is {self.max_sweeps}; it must be at least 1")

    def solve(
        self, problem: Problem, start: Array | None, tol: float, report: Report | None = None
    ) -> Solution:
        """Balance the problem; see `graphbal.solvers.Solver`."""

        def descend(problem: Problem, start: Array | None, tol: float, settled: bool) -> Solution:
            return self._descend(problem, start, tol, settled, report)

        def settle(problem: Problem, start: Array | None, tol: float) -> Solution:
            return settle_clusters(descend, settle, problem, start, tol)

        return annealed(settle, problem, start, tol)

    def _descend(
        self,
        problem: Problem,
        start: Array | None,
        tol: float,
        settled: bool,
        report: Report | None,
    ) -> Solution:
        from graphbal.solvers._sweeps import sweep

        history = History("osborne", report)
        rng = np.random.default_rng(self.seed)
        order = np.arange(problem.n)
        base = np.zeros(problem.n) if start is None else start
        if base.any():
            problem = problem.shifted(base)
        rows, columns = problem.costs, sparse.csr_array(problem.costs.T)
        engine = local_engine(rows)
        gain, loss = np.ones(problem.n), np.ones(problem.n)
        changes: list[float] = []
        while True:
            if len(changes) % 10 == 0 or changes[-1] <= tol or len(changes) == self.max_sweeps:
                state = engine.at(np.log(gain))
                imbalance = state.neuron_imbalance
                history.record(imbalance, state.total_cost, engine.n_passes + 2 * len(changes))
                error = 0.0 if settled and not changes else _remaining_change(changes)
                converged = imbalance <= tol and error <= 10 * tol
                if converged or len(changes) >= self.max_sweeps:
                    break
            if self.order == "random":
                order = rng.permutation(problem.n)
            change = sweep(
                order,
                *(rows.indptr, rows.indices, rows.data),
                *(columns.indptr, columns.indices, columns.data),
                *(gain, loss),
            )
            changes.append(change)
        stats = history.stats(engine.n_passes + 2 * len(changes)) | {"iterations": len(changes)}
        q = problem.centred(base + state.q)
        return Solution(q, state.incoming, state.outgoing, converged, stats)


def _remaining_change(changes: list[float]) -> float:
    """Extrapolate the changes still to come, a geometric series, from those of the last sweeps."""
    recent = changes[-11:]
    if len(recent) < 2 or recent[-1] == 0:
        return 0.0 if recent and recent[-1] == 0 else np.inf
    ratio = (recent[-1] / recent[0]) ** (1 / (len(recent) - 1))
    return recent[-1] * ratio / (1 - ratio) if ratio < 1 else np.inf
