"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="Write the results into this folder."),
]
Fixed = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LABEL|@FILE",
        help="Clamp this neuron's potential at 0; may be repeated. @FILE: one label a line.",
    ),
]
P = Annotated[
    float | None,
    typer.Option("--p", help="Exponent of the cost α|J|^p.  [default: 2]", show_default=False),
]
Alpha = Annotated[
    float | None,
    typer.Option("--alpha", help="Factor of the cost α|J|^p.  [default: 1]", show_default=False),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")
]
NoFigures = Annotated[bool, typer.Option("--no-figures", help="Draw no figures.")]
