"""``graphbal balance --engine dask``: what it does with synapses in partitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbal.cli._input import Source
from graphbal.cli._output import write_json
from graphbal.cli._words import component_lines, count, fail, grid, report, size_lines
from graphbal.errors import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Dask: scheduler of a running cluster."),
]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Dask: processes on this machine; default one a core."),
]
Memory = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Dask: memory of each process, such as 4GB."),
]
Partitions = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Dask: partitions to compile the synapses into."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Dask: go on with the interrupted run in the folder of -o.")
]

# Where -o keeps partitions and checkpoints until the results are written.
_WORK = "partitions"


@dataclass(frozen=True)
class Cluster:
    """Options of a command that only Dask knows."""

    scheduler: str | None
    workers: int | None
    memory: str | None
    partitions: int | None
    resume: bool

    def given(self) -> list[str]:
        """Return the options that were given."""
        return [f"--{option.name}" for option in fields(self) if getattr(self, option.name)]


def balance_partitions(
    source: Source,
    cluster: Cluster,
    refused: dict[str, Any],
    output: Path | None,
    *,
    p: float | None,
    alpha: float | None,
    tol: float,
    on_infeasible: str,
    quiet: bool,
    as_json: bool,
    shown: bool,
) -> None:
    """Balance what is in partitions, print a summary, write the results."""
    import shutil
    import warnings

    refused = refused | {
        "--format": source.format,
        "--min-synapses": source.min_synapses,
        "--drop-self-connections": source.drop_self_connections,
        "--neurons": source.neurons,
    }
    for option, value in refused.items():
        if value:
            raise InputError(f"{option} needs all synapses in one process; leave out --engine dask")
    if cluster.resume and output is None:
        raise InputError("--resume goes on with what -o DIR of the interrupted run holds; give it")

    from graphbal import distributed
    from graphbal._version import __version__
    from graphbal.errors import ConvergenceWarning

    with distributed.cluster(cluster.scheduler, cluster.workers, cluster.memory):
        if shown:
            _tell_dashboard()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # told by message and exit code
            eq = distributed.balance(
                source.name,
                tol,
                pre=source.pre,
                post=source.post,
                weight=source.weight,
                p=2.0 if p is None else p,
                alpha=1.0 if alpha is None else alpha,
                on_infeasible=on_infeasible,
                npartitions=cluster.partitions,
                folder=None if output is None else output / _WORK,
                resume=cluster.resume,
                progress=shown,
            )
        facts: dict[str, Any] = {"source": source.name, "version": __version__, "fixed": 0}
        facts |= eq.to_dict()
        written: list[str] = []
        if output is not None:
            eq.write(output)
            write_json(facts, output / "summary.json")
            shutil.rmtree(output / _WORK)
            written = ["potentials.parquet", f"{count(facts['partitions'], 'file')} of edges"]
            written.append("summary.json")
    report(_parts(facts), facts, quiet=quiet, as_json=as_json, written=written, folder=output)
    if not eq.converged:
        fail(eq.message)
        raise typer.Exit(3)


def _tell_dashboard() -> None:
    from distributed import default_client
    from rich.console import Console

    try:
        link = default_client().dashboard_link
    except ValueError:  # tasks run without a cluster
        return
    Console(stderr=True).print(f"dashboard at {link}", markup=False)


def _parts(facts: dict[str, Any]) -> Iterator[RenderableType]:
    initial, total = facts["initial_cost"], facts["total_cost"]
    share = f" ({(total - initial) / initial:+.1%})" if initial else ""
    yield grid(
        *size_lines(facts),
        *component_lines(facts),
        ("equilibrium", facts["message"]),
        ("total cost", f"{initial:.6g} → {total:.6g}{share}"),
        ("imbalance", f"{facts['imbalance']:.3g}"),
        ("of a neuron", f"{facts['neuron_imbalance']:.3g} at most"),
        (
            "time",
            f"{facts['seconds']:.3g} s, {facts['iterations']} iterations, {facts['edge_passes']} "
            f"passes over {count(facts['partitions'], 'partition')}",
        ),
    )
