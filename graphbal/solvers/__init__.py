"""Solvers: small frozen objects that hold their own settings, one method per file.

``solver.solve(problem, start, tol, report)`` takes a `Problem` in plain arrays and returns a
`Solution`; `graphbal.balance` does the labels.
"""

from graphbal.solvers._problem import Problem, Solution, Solver
from graphbal.solvers.auto import Auto
from graphbal.solvers.closed_form import ClosedForm
from graphbal.solvers.newton import Newton
from graphbal.solvers.osborne import Osborne

__all__ = ["Auto", "ClosedForm", "Newton", "Osborne", "Problem", "Solution", "Solver"]
