"""Statements of a caption, each held against a number measured in the run that drew the figure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Claim(NamedTuple):
    """A statement and whether it holds.

    Attributes
    ----------
    claim : str
        The statement, with its tolerance.
    measured : float
        The number measured.
    expected : float or str
        The number it must equal within the tolerance, or the bound that it must keep.
    holds : bool
        Whether it does.

    Examples
    --------
    >>> from graphbal.figures import Claim
    >>> Claim("one and one is at most three", measured=2.0, expected="at most 3", holds=True).holds
    True
    """

    claim: str
    measured: float
    expected: float | str
    holds: bool


# A comparison with NaN is false, so a number that could not be measured never holds.


def equals(claim: str, measured: Any, expected: Any, tol: float) -> Claim:
    """Claim that a number equals another to a relative tolerance."""
    measured, expected = float(measured), float(expected)
    holds = abs(measured - expected) <= tol * abs(expected)
    return Claim(f"{claim} (to {tol:.0e}, relative)", measured, expected, holds)


def everywhere(claim: str, holds: Any) -> Claim:
    """Claim that something holds everywhere; `holds` is an array of booleans."""
    measured = float(np.count_nonzero(~np.asarray(holds)))
    return Claim(f"{claim} (number of exceptions)", measured, 0.0, measured == 0)


def at_most(claim: str, measured: Any, bound: float) -> Claim:
    """Claim that a number, or the largest of several, is not above a bound."""
    measured = float(np.asarray(measured).max())
    return Claim(claim, measured, f"at most {bound:g}", measured <= bound)


def below(claim: str, measured: Any, bound: float) -> Claim:
    """Claim that a number, or the largest of several, is below a bound."""
    measured = float(np.asarray(measured).max())
    return Claim(claim, measured, f"below {bound:g}", measured < bound)


def above(claim: str, measured: Any, bound: float) -> Claim:
    """Claim that a number, or the smallest of several, is above a bound."""
    measured = float(np.asarray(measured).min())
    return Claim(claim, measured, f"above {bound:g}", measured > bound)


def relative_error(measured: Any, expected: Any) -> Array:
    """Return |measured − expected| / |expected|, entry by entry."""
    expected = np.asarray(expected, dtype=float)
    return np.abs(np.asarray(measured, dtype=float) - expected) / np.abs(expected)
