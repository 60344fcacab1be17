"""What graphbal raises and warns with.

Every exception is a `ValueError` too, so that a caller need not know this module.
"""

__all__ = ["ConvergenceWarning", "GraphbalError", "InfeasibleError", "InputError"]


class GraphbalError(Exception):
    """The root of every exception that graphbal raises on purpose.

    Examples
    --------
    >>> import graphbal as gb
    >>> try:
    ...     gb.balance("no-such-dataset.csv")
    ... except gb.GraphbalError as error:
    ...     print(type(error).__name__)
    InputError
    """


class InputError(GraphbalError, ValueError):
    """The input cannot be read or makes no sense; the message says where and what to do.

    Examples
    --------
    >>> import graphbal as gb
    >>> try:
    ...     gb.balance([[0, float("nan")], [1.0, 0]])
    ... except gb.InputError as error:
    ...     print(error)
    the weight in row 0, column 1 (counting from 0) is nan
    """


class InfeasibleError(GraphbalError, ValueError):
    """The network has no finite equilibrium, and the caller asked for one.

    Examples
    --------
    >>> import graphbal as gb
    >>> try:
    ...     gb.balance([[0, 0], [1.0, 0]], on_infeasible="raise")
    ... except gb.InfeasibleError as error:
    ...     print(error)
    no finite equilibrium: 1 synapse(s) lie on no directed cycle, e.g. 0 → 1; fix neurons at
    both ends, or take the limit
    """


class ConvergenceWarning(UserWarning):
    """A solver stopped before it reached the tolerance asked for.

    Examples
    --------
    >>> import warnings
    >>> import graphbal as gb
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", gb.ConvergenceWarning)
    ...     eq = gb.balance("celegans", solver=gb.solvers.Newton(max_iterations=1))
    >>> eq.converged
    False
    """
