"""Numbers as a page says them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 4) -> str:
    """Return a number to so many significant digits; whole numbers in full."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size < 1e15 and float(value).is_integer():
        text = f"{value:,.0f}"
    elif 1e-3 <= size < 1e7:
        text = f"{value:,.{max(digits - 1 - math.floor(math.log10(size)), 0)}f}"
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa}\u00a0×\u00a010{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """Return a share in per cent."""
    if math.isnan(share):
        return "–"
    text = f"{100 * share:.1f}"
    if text in ("0.0", "-0.0") and share:
        text = "less than 0.1"
    elif text == "100.0" and share < 1:
        text = "more than 99.9"
    return text.replace("-", "−") + "\u00a0%"


def count(n: int, noun: str) -> str:
    """Return a number of things, the noun in the plural but for one."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(names: Iterable[str]) -> str:
    """Return names as a list in a sentence."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def called(measure: str) -> str:
    """Return the name of a measure as words."""
    return measure.replace("_", " ")


def aligned(values: ArrayLike, *, signed: bool = False) -> list[str]:
    """Return numbers of one column, all with the same decimals, so that their points align."""
    array = np.asarray(values, dtype=float)
    size = np.abs(array[np.isfinite(array) & (array != 0)])
    sign = "+" if signed else ""
    if size.size == 0:
        shape = f"{sign},.0f"
    elif size.max() >= 1e9 or np.median(size) < 1e-3:
        shape = f"{sign}.3e"
    else:
        most = int(np.clip(3 - np.floor(np.log10(np.median(size))), 0, 5))
        enough = (d for d in range(most) if np.allclose(size, size.round(d), rtol=1e-9, atol=0))
        shape = f"{sign},.{next(enough, most)}f"
    return ["–" if math.isnan(v) else _minus(format(v, shape)) for v in array]


def _minus(text: str) -> str:
    """Return a number with a minus sign where it has a hyphen; zero has no sign."""
    if not text.strip("+-0.,"):
        return text.lstrip("+-")
    return text.replace("-", "−")
