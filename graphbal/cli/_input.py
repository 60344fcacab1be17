"""What a command reads: a network, and labels of its neurons."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbal.errors import InputError

if TYPE_CHECKING:
    from graphbal.network import SynapticNetwork


def complete_dataset(incomplete: str) -> list[str]:
    """Return the names of datasets that begin like this; where none does, shells offer files."""
    import json
    from importlib import resources

    # `graphbal.datasets` imports pandas, which takes longer than one waits for a completion.
    index = resources.files("graphbal").joinpath("datasets", "index.json")
    return [name for name in json.loads(index.read_text("utf-8")) if name.startswith(incomplete)]


@dataclass(frozen=True)
class Source:
    """A file or the name of a dataset, and how to read it: argument and options of a command."""

    name: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file, or the name of a dataset.",
            show_default=False,
            autocompletion=complete_dataset,
        ),
    ]
    pre: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of presynaptic neurons.")
    ] = None
    post: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of postsynaptic neurons.")
    ] = None
    weight: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of weights.")] = None
    format: Annotated[
        str | None, typer.Option(help="Format of the file, if its name does not say it.")
    ] = None
    min_synapses: Annotated[
        float, typer.Option(metavar="N", help="Drop pairs of neurons whose |weight| is below N.")
    ] = 0
    drop_self_connections: Annotated[
        bool, typer.Option("--drop-self-connections", help="Drop synapses of a neuron with itself.")
    ] = False
    neurons: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL|@FILE",
            help="Keep only this neuron; may be repeated. @FILE: one label a line.",
        ),
    ] = None

    def network(self, p: float | None = None, alpha: float | None = None) -> SynapticNetwork:
        """Return the network in the file or, if there is no such file, of the dataset."""
        from graphbal import datasets, io
        from graphbal.convert import as_network
        from graphbal.subnetwork import subnetwork

        path = Path(self.name)
        if self.name in datasets.names() and (path.is_dir() or not path.exists()):
            net = as_network(self.name, p, alpha)
        elif path.is_dir():
            raise InputError(f"{self.name}: this is a folder, not a file")
        elif path.exists() or path.suffix:
            net = io.read_network(
                path,
                format=self.format,
                pre=self.pre,
                post=self.post,
                weight=self.weight,
                p=p,
                alpha=alpha,
            )
        else:
            from difflib import get_close_matches

            nearest = get_close_matches(self.name.lower(), datasets.names(), n=1)
            hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
            raise InputError(
                f"there is no file and no dataset called {self.name!r}{hint}; the datasets are "
                f"{', '.join(datasets.names())}"
            )
        chosen = None if self.neurons is None else labels(net, self.neurons)
        return subnetwork(net, chosen, self.min_synapses, self.drop_self_connections)

    def facts(self, net: SynapticNetwork) -> dict[str, Any]:
        """Return what was read, and what was merged or dropped on the way."""
        from dataclasses import asdict

        from graphbal._version import __version__

        return {"source": self.name, "version": __version__, "intake": asdict(net.intake)}


def reads_source(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take a `Source` as its first argument: its fields become the options."""
    name, *_ = signature(Source, eval_str=True).parameters.values()
    return _reading(command, name, lambda name, **options: Source(name, **options))


def reads_sources(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take a list of sources, all read the same way, as its first argument."""
    names = Parameter(
        "names",
        Parameter.KEYWORD_ONLY,
        annotation=Annotated[
            list[str],
            typer.Argument(
                metavar="SOURCE...",
                help="Files, or names of datasets.",
                show_default=False,
                autocompletion=complete_dataset,
            ),
        ],
    )
    return _reading(
        command, names, lambda names, **options: [Source(name, **options) for name in names]
    )


def _reading(
    command: Callable[..., None], argument: Parameter, read: Callable[..., Any]
) -> Callable[..., None]:
    """Return the command with the options of a `Source`, which `read` makes its first argument."""
    _, *own = signature(command, eval_str=True).parameters.values()
    _, *reading = signature(Source, eval_str=True).parameters.values()
    fields = [argument.name, *(field.name for field in reading)]

    def run(**values: Any) -> None:
        source = read(**{field: values.pop(field) for field in fields})
        command(source, **values)

    parameters = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in (argument, *own, *reading)]
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__doc__ = command.__doc__
    return run


def labels(net: SynapticNetwork, texts: Sequence[str] | None) -> list[Any]:
    """Return the labels of a network that are written as given, "@file" standing for its lines."""
    return [label(net, line) for text in texts or () for line in _lines(text)]


def label(net: SynapticNetwork, text: str) -> Any:
    """Return the label of a network that is written as given."""
    if net.neurons.dtype.kind not in "iu":
        return text
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        raise InputError(
            f"there is no neuron labelled {text!r} in this network; its labels are integers"
        )
    return int(text)


def synapses(
    net: SynapticNetwork, texts: Sequence[str] | None, option: str, fields: str
) -> list[tuple[list[str], tuple[Any, Any], float]]:
    """Return synapses, each with a number, from options that end in PRE,POST,NUMBER.

    Each option, or each line of "@file", is a line of CSV. What stands before PRE is returned as it
    is written.
    """
    import csv

    wanted = fields.count(",") + 1
    found = []
    for line in (line for text in texts or () for line in _lines(text)):
        try:
            (record,) = csv.reader([line], skipinitialspace=True, strict=True)
        except csv.Error:
            record = []
        if len(record) != wanted:
            raise InputError(
                f"{option} {line!r} is not {fields}; a label that holds a comma goes into double "
                "quotes, as in a CSV file"
            )
        *before, pre, post, value = (field.strip() for field in record)
        what = fields.rpartition(",")[2].lower()
        found.append((before, (label(net, pre), label(net, post)), number(value, what)))
    return found


def numbers(texts: Sequence[str], what: str) -> list[float]:
    """Return the numbers that are written as given, "@file" standing for its lines."""
    return [number(line, what) for text in texts for line in _lines(text)]


def number(text: str, what: str) -> float:
    """Return the number that is written as given."""
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"the {what} {text!r} is not a number") from error


def _lines(text: str) -> list[str]:
    """Return the text itself, or of "@file" the lines that are not blank."""
    if not text.startswith("@"):
        return [text]
    try:
        lines = Path(text[1:]).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{text[1:]}: the list is not UTF-8 text") from error
    return [line.strip() for line in lines if line.strip()]
