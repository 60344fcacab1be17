"""Costs that differ by hundreds of orders of magnitude, approached by way of tamer ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from graphbal.solvers._problem import MODERATE_RANGE, Problem, Solution

__all__ = ["annealed"]

Array = NDArray[np.float64]

# What an intermediate stage is balanced to; the next one starts from twice its potentials.
STAGE_TOL = 0.1


def annealed(
    solve: Callable[[Problem, Array | None, float], Solution],
    problem: Problem,
    start: Array | None,
    tol: float,
) -> Solution:
    r"""Solve for costs :math:`c^s`, doubling s up to 1, each stage from the potentials of the last.

    A Newton step changes the logarithm of a dominating cost by about one, so that a range of e^900
    would take hundreds of steps. As s grows the potentials of :math:`c^s` become proportional to s
    (their slope solves the max-balancing problem, where only the largest costs of a cut count), so
    twice the last ones are a good start, and the number of stages grows with the logarithm of the
    range.
    """
    if start is not None or not problem.is_wide:
        return solve(problem, start, tol)
    stages = int(np.ceil(np.log2(problem.log_range / MODERATE_RANGE)))
    solution = solve(problem.tempered(0.5**stages), None, STAGE_TOL)
    for stage in range(stages - 1, -1, -1):
        warmer = solution
        solution = solve(
            problem.tempered(0.5**stage), 2.0 * warmer.q, tol if stage == 0 else STAGE_TOL
        ).preceded_by(warmer)
    return solution
