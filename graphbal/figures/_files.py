"""The files of a figure: whole, panel by panel, the data of each panel, and the claims."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbal.io import replacing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    from graphbal.figures._claims import Claim

_MARGIN = 0.04  # inches around a panel by itself


def write(
    name: str,
    folder: Path,
    figure: Figure,
    data: Mapping[str, pd.DataFrame],
    claims: Iterable[Claim],
) -> list[Path]:
    """Write everything about a figure; return the paths."""
    files = [*_write_pictures(name, folder, figure)]
    for panel, table in data.items():
        files.append(folder / f"{name}_{panel}.csv")
        with replacing(files[-1]) as file:
            table.to_csv(file, index=False, lineterminator="\n")
    files.append(folder / "claims.json")
    with replacing(files[-1]) as file:
        facts = [_finite(claim._asdict()) for claim in claims]
        file.write(json.dumps(facts, indent=2, ensure_ascii=False).encode() + b"\n")
    return files


def _write_pictures(name: str, folder: Path, figure: Figure) -> list[Path]:
    """Write the figure, then each of its panels: the same drawing with the others left out."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once: a panel by itself stays as it is
    files = _save(figure, folder / name)
    panels = {ax.get_label(): ax for ax in figure.axes}
    boxes = {letter: _box(ax) for letter, ax in panels.items()}
    for letter, box in boxes.items():
        for other, ax in panels.items():
            ax.set_visible(other == letter)
        files += _save(figure, folder / f"{name}_{letter}", bbox_inches=box)
    return files


def _box(ax: Axes) -> Bbox:
    """Return what a panel covers, in inches from the corner of its figure."""
    figure = ax.get_figure(root=True)
    box = ax.get_tightbbox()
    assert figure is not None
    assert box is not None
    return box.transformed(figure.dpi_scale_trans.inverted()).padded(_MARGIN)


def _save(figure: Figure, stem: Path, **options: Any) -> list[Path]:
    files = []
    for suffix, metadata in (("svg", {"Date": None}), ("png", None)):
        files.append(stem.with_name(f"{stem.name}.{suffix}"))
        with replacing(files[-1]) as file:
            figure.savefig(file, format=suffix, dpi=300, metadata=metadata, **options)
    return files


def _finite(facts: dict[str, Any]) -> dict[str, Any]:
    """Replace what JSON has no number for."""
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in facts.items()
    }
