"""How results look in a notebook: a title, facts, small tables; every colour is the notebook's."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

__all__ = ["card", "change"]

_SIDE_BY_SIDE = "display: flex; flex-wrap: wrap; align-items: flex-start; gap: 0 2em"
_LEFT = "text-align: left"
_NAME = "text-align: left; white-space: nowrap; vertical-align: top; padding-right: 1em"


def card(
    title: str,
    facts: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame] | None = None,
) -> str:
    """Return HTML with facts by name and tables by caption; all text in it is escaped.

    Examples
    --------
    >>> "1,000 &lt;b&gt;" in card("Title", {"size": "1,000 <b>"})
    True
    """
    rows = "".join(
        f'<tr><th scope="row" style="{_NAME}">{escape(name)}</th>'
        f'<td style="{_LEFT}">{escape(_text(value))}</td></tr>'
        for name, value in facts.items()
    )
    parts = [f"<table><tbody>{rows}</tbody></table>"]
    for caption, table in (tables or {}).items():
        if len(table):
            labelled = not isinstance(table.index, pd.RangeIndex)
            html = table.to_html(border=0, index=labelled, float_format="{:.4g}".format)
            at = html.index(">") + 1
            caption = f'<caption style="{_NAME}">{escape(caption)}</caption>'
            parts.append(html[:at] + caption + html[at:])
    return (
        f'<div style="overflow-x: auto"><strong>{escape(title)}</strong>'
        f'<div style="{_SIDE_BY_SIDE}">{"".join(parts)}</div></div>'
    )


def change(before: float, after: float) -> str:
    """Return two costs and by how much the second is less or more.

    Examples
    --------
    >>> change(8.0, 6.0)
    '8 → 6 (-25.0%)'
    """
    relative = f" ({after / before - 1:+.1%})" if before else ""
    return f"{before:.6g} → {after:.6g}{relative}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
