"""What graphbal raises and warns with.

Every exception is a `ValueError` too, so that a caller need not know this module.
"""

__all__ = ["ConvergenceWarning", "GraphbalError", "InfeasibleError", "InputError"]


class GraphbalError(Exception):
    """The root of every exception that graphbal raises on purpose."""


class InputError(GraphbalError, ValueError):
    """The input cannot be read or makes no sense; the message says where and what to do."""


class InfeasibleError(GraphbalError, ValueError):
    """The network has no finite equilibrium, and the caller asked for one."""


class ConvergenceWarning(UserWarning):
    """A solver stopped before it reached the tolerance asked for."""
