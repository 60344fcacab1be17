"""The default: look at the network, choose, and say why."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from graphbal.solvers._problem import Problem, Report, Solution
from graphbal.solvers.closed_form import solve_by_blocks
from graphbal.solvers.annealing import MODERATE_RANGE, log_range
from graphbal.solvers.dense import DENSE_LIMIT
from graphbal.solvers.newton import Newton
from graphbal.solvers.osborne import Osborne

__all__ = ["Auto"]

Array = NDArray[np.float64]

# Up to this many neurons a dense factorisation takes a small fraction of a second,
SMALL = 1000
# and up to this many nothing is faster.
TINY = 200
# Networks with fewer synapses a neuron are worth taking apart into blocks.
SPARSE = 8
# Conjugate gradients that take longer than this on one system make way for multigrid.
PATIENCE = 25


@dataclass(frozen=True)
class Auto:
    """Choose a method from the structure of the network.

    - Sparse networks of more than 200 neurons (up to 8 synapses each): their biconnected blocks
      apart, in closed form where there is one, the others as below.
    - Up to 1,000 neurons: `Newton` with a dense factorisation.
    - Costs over more than 17 orders of magnitude: the same up to 2,000 neurons, `Osborne` above.
    - Otherwise `Newton` with conjugate gradients; if those are slow, because the network's diameter
      is large or parts of it hang on little, with multigrid from where they stopped.

    ``eq.stats["solver"]`` and ``eq.stats["why"]`` tell what was chosen and why.

    Examples
    --------
    >>> import graphbal as gb
    >>> eq = gb.balance([[0, 4.0], [1.0, 0]])
    >>> eq.stats["why"]
    '2 neurons: few enough for dense factorisation'
    """

    def solve(
        self, problem: Problem, start: Array | None, tol: float, report: Report | None = None
    ) -> Solution:
        """Balance the problem; see `graphbal.solvers.Solver`."""
        n, m = problem.n, problem.costs.nnz
        if n <= TINY or m > SPARSE * n or start is not None:
            return _iterate(problem, start, tol, report)
        solution = solve_by_blocks(
            problem, tol, lambda rest: _iterate(rest, None, tol, report), report
        )
        return _because(
            solution, f"{solution.stats['blocks']:,} biconnected blocks, each in closed form"
        )


def _iterate(
    problem: Problem, start: Array | None, tol: float, report: Report | None
) -> Solution:
    if problem.n <= SMALL:
        solution = Newton("direct").solve(problem, start, tol, report)
        return _because(solution, f"{problem.n:,} neurons: few enough for dense factorisation")
    span = log_range(problem)
    if span > MODERATE_RANGE:
        wide = Newton("direct") if problem.n <= DENSE_LIMIT else Osborne()
        return _because(
            wide.solve(problem, start, tol, report),
            f"costs span {span / np.log(10):.0f} orders of magnitude: conjugate gradients would fail",
        )
    quick = Newton("cg", max_linear_iterations=PATIENCE)
    solution = quick.solve(problem, start, tol, report)
    if solution.converged:
        return _because(solution, f"{problem.costs.nnz / problem.n:.0f} synapses a neuron: "
                                  "well connected, conjugate gradients are fast")
    thorough = Newton("amg").solve(problem, solution.q, tol, report).preceded_by(solution)
    return _because(thorough, f"conjugate gradients took more than {PATIENCE} iterations: multigrid")


def _because(solution: Solution, why: str) -> Solution:
    """Note why, unless a part of the solution has said so already."""
    return replace(solution, stats={"why": why} | solution.stats)
