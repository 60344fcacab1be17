"""The command line: a thin layer over the functions of the same names.

Exit codes: 0 done (and converged), 1 bad input, 2 wrong usage, 3 not converged, 130 interrupted.
Whatever takes time to import is imported where it is used, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from graphbal.errors import ConvergenceWarning, GraphbalError, InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from rich.console import Console, RenderableType
    from rich.table import Table

    from graphbal.balance import Equilibrium
    from graphbal.network import SynapticNetwork
    from graphbal.topology import Topology

__all__ = ["app", "main"]

_LARGEST_CSV = 1_000_000  # synapses; more go to Parquet
_ROWS_AT_ONCE = 1 << 20


class _Commands(TyperGroup):
    """The commands, whose failures that people can mend are one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (GraphbalError, OSError) as error:
            _fail(_sentence(error))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            _fail("interrupted; no file was left half written")
            raise typer.Exit(130) from error


class SolverName(StrEnum):
    """The solvers by the names that `graphbal.balance` gives them."""

    AUTO = "auto"
    NEWTON = "newton"
    OSBORNE = "osborne"
    CLOSED_FORM = "closed-form"


class OnInfeasible(StrEnum):
    """What to do where there is no finite equilibrium."""

    LIMIT = "limit"
    RAISE = "raise"


Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A file, or the name of a dataset.", show_default=False),
]
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
Pre = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of presynaptic neurons.")]
Post = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of postsynaptic neurons.")]
Weight = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of weights.")]
Format = Annotated[
    str | None, typer.Option("--format", help="Format of the file, if its name does not say it.")
]
MinSynapses = Annotated[
    float, typer.Option(metavar="N", help="Drop pairs of neurons whose |weight| is below N.")
]
DropSelf = Annotated[
    bool, typer.Option("--drop-self-connections", help="Drop synapses of a neuron with itself.")
]
Neurons = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LABEL|@FILE",
        help="Keep only this neuron; may be repeated. @FILE: one label a line.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")
]

app = typer.Typer(
    name="graphbal",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Balance the synapses of a weighted directed graph.",
)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # Where the terminal cannot show an arrow or a label, a question mark beats a traceback.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        from graphbal._version import __version__

        print(f"graphbal {__version__}")
        raise typer.Exit


@app.callback()
def _graphbal(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command("balance")
def balance_command(
    source: Source,
    output: Output = None,
    p: P = None,
    alpha: Alpha = None,
    tol: Annotated[
        float, typer.Option(help="Largest relative imbalance of a neuron that counts as balanced.")
    ] = 1e-9,
    solver: Annotated[SolverName, typer.Option(help="Method.")] = SolverName.AUTO,
    fixed: Fixed = None,
    on_infeasible: Annotated[
        OnInfeasible, typer.Option(help="Without a finite equilibrium: take the limit, or fail.")
    ] = OnInfeasible.LIMIT,
    pre: Pre = None,
    post: Post = None,
    weight: Weight = None,
    format: Format = None,
    min_synapses: MinSynapses = 0,
    drop_self_connections: DropSelf = False,
    neurons: Neurons = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Draw no figures.")] = False,
) -> None:
    """Balance a network: find the potentials that make every neuron's costs in and out equal.

    Prints a summary. With -o DIR, writes potentials.csv, edges.csv (edges.parquet above a million
    synapses), summary.json, and three figures as PNG and SVG.
    """
    import warnings

    show_stages = sys.stderr.isatty() and not quiet
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    with _stage("reading", show_stages):
        from graphbal.balance import balance

        columns = {"pre": pre, "post": post, "weight": weight, "format": format}
        net = _load(source, columns, p, alpha, min_synapses, drop_self_connections, neurons)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by message and exit code
        eq = balance(
            net,
            tol=tol,
            solver=solver.value,
            fixed=_labels(net, fixed) or None,
            on_infeasible=on_infeasible.value,
            progress=show_stages,
        )
    facts = _facts(source, net) | eq.to_dict()
    if output is not None:
        with _stage("writing", show_stages):
            written = _write_equilibrium(eq, facts, output, not no_figures)
    if as_json:
        print(_as_json(facts))
    elif not quiet:
        console = _console()
        for part in _equilibrium_report(eq, facts):
            console.print(part)
        if output is not None:
            console.print(f"wrote {', '.join(written)} into {output}", markup=False)
    if not eq.converged:
        _fail(eq.message)
        raise typer.Exit(3)


@app.command("topology")
def topology_command(
    source: Source,
    output: Output = None,
    fixed: Fixed = None,
    pre: Pre = None,
    post: Post = None,
    weight: Weight = None,
    format: Format = None,
    min_synapses: MinSynapses = 0,
    drop_self_connections: DropSelf = False,
    neurons: Neurons = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show components, blocks, and whether a finite equilibrium exists.

    With -o DIR, writes components.csv (component and divergence rate of every neuron),
    vanishing.csv (the synapses that vanish) and topology.json.
    """
    from graphbal.topology import topology

    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    columns = {"pre": pre, "post": post, "weight": weight, "format": format}
    with _stage("reading", sys.stderr.isatty() and not quiet):
        net = _load(source, columns, None, None, min_synapses, drop_self_connections, neurons)
    top = topology(net, _labels(net, fixed) or None)
    facts = _facts(source, net) | {
        "neurons": net.n_neurons,
        "synapses": net.n_synapses,
        "self_connections": len(top.self_connections),
        "fixed": len(top.fixed),
        "components": int(top.n_components),
        "largest_component": int(top.component_sizes.max()),
        "blocks": int(top.n_blocks),
        "cut_neurons": len(top.cut_neurons),
        "is_balanceable": bool(top.is_balanceable),
        "vanishing_synapses": int(top.vanishing.sum()),
    }
    if output is not None:
        _write_topology(top, facts, output)
    if as_json:
        print(_as_json(facts))
    elif not quiet:
        console = _console()
        for part in _topology_report(top, facts):
            console.print(part)


@app.command("datasets")
def datasets_command(as_json: AsJson = False) -> None:
    """List the embedded connectomes and their sources."""
    from graphbal.datasets import list_datasets

    listed = list_datasets()
    if as_json:
        print(_as_json(listed.to_dict(orient="records")))
        return
    console = _console()
    sizes = ("neurons", "synapses")
    texts = listed.assign(**{name: listed[name].map("{:,}".format) for name in sizes})
    console.print(_table("", texts[["name", *sizes, "title", "doi"]], right=sizes))
    for source, doi in listed[["source", "doi"]].drop_duplicates().itertuples(index=False):
        console.print(f"{source} https://doi.org/{doi}", markup=False, soft_wrap=True)


# ---------------------------------------------------------------------- input


def _load(
    source: str,
    columns: dict[str, Any],
    p: float | None,
    alpha: float | None,
    min_synapses: float,
    drop_self_connections: bool,
    neurons: list[str] | None,
) -> SynapticNetwork:
    """Return the network in a file or, if there is no such file, of a dataset."""
    from graphbal import datasets, io
    from graphbal.convert import as_network

    path = Path(source)
    if source in datasets.names() and (path.is_dir() or not path.exists()):
        net = as_network(source, p, alpha)
    elif path.is_dir():
        raise InputError(f"{source}: this is a folder, not a file")
    elif path.exists() or path.suffix:
        net = io.read_network(path, p=p, alpha=alpha, **columns)
    else:
        from difflib import get_close_matches

        nearest = get_close_matches(source.lower(), datasets.names(), n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise InputError(
            f"there is no file and no dataset called {source!r}{hint}; the datasets are "
            f"{', '.join(datasets.names())}"
        )
    chosen = None if neurons is None else _labels(net, neurons)
    return io.select(net, min_synapses, drop_self_connections, chosen)


def _labels(net: SynapticNetwork, texts: list[str] | None) -> list[Any]:
    """Return the labels of a network that are written as given, "@file" standing for its lines."""
    written: list[str] = []
    for text in texts or ():
        if text.startswith("@"):
            try:
                lines = Path(text[1:]).read_text(encoding="utf-8-sig").splitlines()
            except UnicodeDecodeError as error:
                raise InputError(f"{text[1:]}: the list of neurons is not UTF-8 text") from error
            written += [line.strip() for line in lines if line.strip()]
        else:
            written.append(text)
    if net.neurons.dtype.kind not in "iu":
        return written
    for text in written:
        if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
            raise InputError(
                f"there is no neuron labelled {text!r} in this network; its labels are integers"
            )
    return [int(text) for text in written]


# ---------------------------------------------------------------------- files


def _write_equilibrium(
    eq: Equilibrium, facts: dict[str, Any], folder: Path, figures: bool
) -> list[str]:
    """Write everything that is known about an equilibrium; return the names of the files."""
    from concurrent.futures import ThreadPoolExecutor

    from graphbal.io import replacing

    edges = "edges.csv" if eq.original.n_synapses <= _LARGEST_CSV else "edges.parquet"
    _write_csv(eq.neurons().rename_axis("neuron").reset_index(), folder / "potentials.csv")
    with ThreadPoolExecutor(1) as pool:  # the figures are drawn while Arrow writes
        drawing = pool.submit(_write_figures, eq, folder) if figures else None
        _write_edges(eq, folder / edges)
        drawn = drawing.result() if drawing else []
    # An earlier run may have left the other one, about another network.
    (folder / ("edges.parquet" if edges == "edges.csv" else "edges.csv")).unlink(missing_ok=True)
    with replacing(folder / "summary.json") as file:
        file.write(_as_json(facts).encode() + b"\n")
    return ["potentials.csv", edges, *drawn, "summary.json"]


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import csv

    from graphbal.io import replacing

    columns = {
        str(name): _arrow_labels(table[name]) if table[name].dtype == object else table[name]
        for name in table
    }
    with replacing(path) as file:
        csv.write_csv(pa.table(columns), file)


def _write_edges(eq: Equilibrium, path: Path) -> None:
    """Write one row per synapse, a million at a time."""
    from pyarrow import csv, parquet

    from graphbal.io import replacing

    batches = _edge_batches(eq)
    first = next(batches)
    with replacing(path) as file:
        if path.suffix == ".csv":
            writer = csv.CSVWriter(file, first.schema)
        else:
            # Dictionaries only where values repeat nearby. By its name, Arrow writes the file
            # itself; through a Python object it takes twice as long.
            writer = parquet.ParquetWriter(
                file.name,
                first.schema,
                use_dictionary=["post", "weight", "cost"],
                compression="none",
                store_schema=False,
            )
        with writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)


def _edge_batches(eq: Equilibrium) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `Equilibrium.edges` without ever holding them all."""
    import numpy as np
    import pyarrow as pa

    before, after = eq.original, eq.network
    indptr, indices = before.weights.indptr, before.weights.indices
    labels = _arrow_labels(before.neurons)
    n_rows = before.n_neurons
    bounds = np.searchsorted(indptr, np.arange(0, indptr[-1] + _ROWS_AT_ONCE, _ROWS_AT_ONCE))
    bounds = np.unique(np.minimum(bounds, n_rows))
    for start, stop in zip([0, *bounds[1:-1]], [*bounds[1:-1], n_rows], strict=True):
        part = slice(indptr[start], indptr[stop])
        post = np.repeat(np.arange(start, stop), np.diff(indptr[start : stop + 1]))
        yield pa.record_batch(
            {
                "pre": labels.take(pa.array(indices[part])),
                "post": labels.take(pa.array(post)),
                "weight": before.weights.data[part],
                "cost": before.costs.data[part],
                "balanced_weight": after.weights.data[part],
                "balanced_cost": after.costs.data[part],
                "vanishes": eq.topology.vanishing[part],
            }
        )


def _arrow_labels(labels: pd.Index | pd.Series) -> pa.Array:
    """Return labels as a column: numbers and text as they are, anything else as it is printed."""
    import pyarrow as pa

    if labels.dtype == object and not all(isinstance(label, str) for label in labels):
        return pa.array([str(label) for label in labels])
    return pa.array(labels)


def _write_figures(eq: Equilibrium, folder: Path) -> list[str]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from graphbal import plotting
    from graphbal.io import replacing

    names = []
    style: Any = {
        "font.size": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "graphbal",  # the same figure, the same file
    }
    with rc_context(style):
        for plot in (
            plotting.cost_before_after,
            plotting.incoming_outgoing,
            plotting.potential_distribution,
        ):
            figure = Figure(figsize=(3.5, 3.1), layout="constrained")
            plot(eq, figure.add_subplot())
            for suffix, metadata in (("png", None), ("svg", {"Date": None})):
                names.append(f"{plot.__name__}.{suffix}")
                with replacing(folder / names[-1]) as file:
                    figure.savefig(file, format=suffix, dpi=300, metadata=metadata)
                figure.set_layout_engine("none")  # laid out once is enough
    return names


def _write_topology(top: Topology, facts: dict[str, Any], folder: Path) -> None:
    import pandas as pd

    from graphbal.io import replacing

    table = pd.DataFrame({"component": top.components, "divergence_rate": top.divergence_rates})
    _write_csv(table.rename_axis("neuron").reset_index(), folder / "components.csv")
    _write_csv(top.vanishing_edges, folder / "vanishing.csv")
    with replacing(folder / "topology.json") as file:
        file.write(_as_json(facts).encode() + b"\n")


# ---------------------------------------------------------------------- words for people


def _facts(source: str, net: SynapticNetwork) -> dict[str, Any]:
    from dataclasses import asdict

    from graphbal._version import __version__

    return {"source": source, "version": __version__, "intake": asdict(net.intake)}


def _equilibrium_report(eq: Equilibrium, facts: dict[str, Any]) -> Iterator[RenderableType]:
    import pandas as pd

    initial, total = facts["initial_cost"], facts["total_cost"]
    share = f" ({(total - initial) / initial:+.1%})" if initial else ""
    yield _grid(
        *_size_lines(facts),
        ("equilibrium", eq.message),
        ("total cost", f"{initial:.6g} → {total:.6g}{share}"),
        (
            "drop",
            f"{facts['drop']:.6g}, bounds {facts['drop_lower_bound']:.6g} to "
            f"{facts['drop_upper_bound']:.6g}",
        ),
        ("imbalance", f"{facts['initial_imbalance']:.3g} → {facts['imbalance']:.3g}"),
        (
            "of a neuron",
            f"{facts['initial_neuron_imbalance']:.3g} → {facts['neuron_imbalance']:.3g} at most",
        ),
        ("solver", f"{facts['solver']}: {facts['why']}"),
        (
            "time",
            f"{facts['seconds']:.3g} s, {facts['iterations']} iterations, "
            f"{facts['edge_passes']} passes over the synapses",
        ),
    )
    largest = eq.largest_potentials()
    yield _table(
        "Largest potentials",
        pd.DataFrame({"neuron": largest.index, "h": largest.map("{:+.4f}".format).to_numpy()}),
        right=("h",),
    )
    changed = eq.most_changed_synapses()
    for column in ("cost", "balanced_cost"):
        changed[column] = changed[column].map("{:.6g}".format)
    changed.columns = ["pre", "post", "cost before", "cost after"]
    yield _table("Synapses that change most", changed, right=("cost before", "cost after"))


def _topology_report(top: Topology, facts: dict[str, Any]) -> Iterator[RenderableType]:
    import numpy as np
    import pandas as pd

    if facts["is_balanceable"]:
        existence = "finite: every synapse lies on a directed cycle"
        if facts["fixed"]:
            existence += ", or on a path between fixed neurons"
    else:
        existence = f"none finite (vanishing synapses: {facts['vanishing_synapses']:,})"
    yield _grid(
        *_size_lines(facts),
        ("largest", f"{_count(facts['largest_component'], 'neuron')} in one component"),
        (
            "blocks",
            f"{facts['blocks']:,} biconnected, {_count(facts['cut_neurons'], 'cut neuron')}",
        ),
        ("equilibrium", existence),
    )
    if facts["is_balanceable"]:
        return
    rates = top.divergence_rates
    extreme = rates.iloc[np.argsort(-rates.abs().to_numpy(), kind="stable")[:10]]
    yield _table(
        "Fastest divergence, p h / log t",
        pd.DataFrame(
            {
                "neuron": extreme.index,
                "component": top.components.loc[extreme.index].to_numpy(),
                "rate": extreme.map("{:+.4f}".format).to_numpy(),
            }
        ),
        right=("component", "rate"),
    )


def _size_lines(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    sizes = f"{_count(facts['neurons'], 'neuron')}, {_count(facts['synapses'], 'synapse')}"
    yield "network", f"{facts['source']}: {sizes}"
    if own := facts["self_connections"]:
        yield "", f"{_count(own, 'self-connection')} among them: cost, but never change"
    done = {
        "repeated": ("row", "summed with an earlier one of the same pair"),
        "zeros": ("synapse", "dropped: weight zero"),
        "below_threshold": ("synapse", "dropped: weight below the minimum"),
        "self_connections": ("self-connection", "dropped"),
        "outside_subset": ("synapse", "dropped: a partner is not among the neurons kept"),
    }
    for name, (noun, words) in done.items():
        if number := facts["intake"][name]:
            yield "", f"{_count(number, noun)} {words}"
    fixed = f", {_count(facts['fixed'], 'neuron')} fixed" if facts["fixed"] else ""
    yield "components", f"{facts['components']:,} strongly connected{fixed}"


def _count(number: int, noun: str) -> str:
    plural = noun if number == 1 else noun + "s"
    return f"{number:,} {plural}"


def _grid(*lines: tuple[str, str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, text in lines:
        grid.add_row(Text(name, style="bold"), Text(text))
    return grid


def _table(title: str, rows: pd.DataFrame, right: tuple[str, ...] = ()) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in rows:
        table.add_column(str(name), justify="right" if name in right else "left", overflow="fold")
    for row in rows.itertuples(index=False):
        table.add_row(*(Text(str(cell)) for cell in row))
    return Group(Text(title, style="bold"), table) if title else table


def _console() -> Console:
    from rich.console import Console

    # Into a file or a pipe, lines are as long as they need to be.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def _stage(text: str, shown: bool) -> AbstractContextManager[Any]:
    """Say on a terminal's standard error what is being done."""
    if not shown:
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)


def _as_json(facts: Any) -> str:
    return json.dumps(facts, indent=2)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())


def _fail(message: str) -> None:
    print(f"Error: {message}", file=sys.stderr)
