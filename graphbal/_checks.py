"""What arguments must be, in the same words everywhere."""

from __future__ import annotations

from numbers import Integral

from graphbal.errors import InputError

__all__ = ["require_whole"]


def require_whole(name: str, value: int, least: int = 0) -> int:
    """Return the number, if it is whole and large enough."""
    if not (isinstance(value, Integral) and value >= least):
        enough = f"at least {least}" if least else "not negative"
        raise InputError(f"{name} is {value!r}; it must be a whole number, {enough}")
    return int(value)
