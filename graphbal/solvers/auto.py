"""The default: look at the network, choose, and say why."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from graphbal.solvers._memory import BLOCKS
from graphbal.solvers._problem import Problem, Report, Solution
from graphbal.solvers.closed_form import solve_by_blocks
from graphbal.solvers.dense import DENSE_LIMIT
from graphbal.solvers.newton import Newton
from graphbal.solvers.osborne import Osborne

__all__ = ["Auto"]

Array = NDArray[np.float64]

# Networks of more neurons than this, with fewer synapses each, are worth taking apart into blocks.
TINY = 200
SPARSE = 8


@dataclass(frozen=True)
class Auto:
    """Choose a method from the structure of the network.

    - Sparse networks of more than 200 neurons (up to 8 synapses each): their biconnected blocks
      apart, in closed form where there is one, the others as below.
    - `Newton`, which chooses how to solve its linear systems by how conjugate gradients fare.
    - Where costs span many orders of magnitude in more than 2,000 neurons, `Osborne`.

    ``eq.stats["solver"]`` and ``eq.stats["why"]`` tell what was chosen and why, and
    ``eq.stats["predicted_bytes"]`` about how much memory that was expected to take beside the
    costs. The logger ``graphbal.solvers`` tells these before they are spent; how many passes and
    seconds are left is told along the way, see `progress` of `graphbal.balance`.

    Examples
    --------
    >>> import graphbal as gb
    >>> eq = gb.balance([[0, 4.0], [1.0, 0]])
    >>> eq.stats["why"]
    '1 synapses a neuron: conjugate gradients suffice'
    """

    def solve(
        self, problem: Problem, start: Array | None, tol: float, report: Report | None = None
    ) -> Solution:
        """Balance the problem; see `graphbal.solvers.Solver`."""
        n, m = problem.n, problem.n_synapses
        if n <= TINY or m > SPARSE * n or start is not None:
            return _iterate(problem, start, tol, report)
        solution = solve_by_blocks(
            problem, tol, lambda rest: _iterate(rest, None, tol, report), report
        )
        why = f"{solution.stats['blocks']:,} biconnected blocks, each in closed form"
        expected = {"why": why, "predicted_bytes": 8 * BLOCKS * n}
        return replace(solution, stats=expected | solution.stats)


def _iterate(problem: Problem, start: Array | None, tol: float, report: Report | None) -> Solution:
    if problem.n > DENSE_LIMIT and problem.is_wide:
        solution = Osborne().solve(problem, start, tol, report)
        why = "costs span too many orders of magnitude for linear systems of this size"
        return replace(solution, stats=solution.stats | {"why": why})
    return Newton().solve(problem, start, tol, report)
