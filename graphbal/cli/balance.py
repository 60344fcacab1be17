"""``graphbal balance``."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbal.cli._distributed import (
    Cluster,
    Memory,
    Partitions,
    Resume,
    Scheduler,
    Workers,
    balance_partitions,
)
from graphbal.cli._input import Source, labels, reads_source
from graphbal.cli._options import Alpha, AsJson, Fixed, NoFigures, Output, P, Quiet
from graphbal.cli._output import write_csv, write_edges, write_figures, write_json
from graphbal.cli._words import (
    component_lines,
    fail,
    grid,
    report,
    shows_stages,
    size_lines,
    stage,
    table,
)
from graphbal.errors import ConvergenceWarning, InputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from graphbal.balance import Equilibrium


# What figures are drawn with.
DRAWING = (
    "graphbal.plotting",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
)


class SolverName(StrEnum):
    """The solvers by the names that `graphbal.balance` gives them."""

    AUTO = "auto"
    NEWTON = "newton"
    OSBORNE = "osborne"
    CLOSED_FORM = "closed-form"


class EngineName(StrEnum):
    """Where the synapses are."""

    LOCAL = "local"
    DASK = "dask"


class OnInfeasible(StrEnum):
    """What to do where there is no finite equilibrium."""

    LIMIT = "limit"
    RAISE = "raise"


@reads_source
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
    engine: Annotated[
        EngineName, typer.Option(help="Synapses in this process, or in partitions on Dask.")
    ] = EngineName.LOCAL,
    scheduler: Scheduler = None,
    workers: Workers = None,
    memory: Memory = None,
    partitions: Partitions = None,
    resume: Resume = False,
    no_figures: NoFigures = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Balance a network: find the potentials that make every neuron's costs in and out equal.

    Prints a summary. With -o DIR, writes potentials.csv, edges.csv (edges.parquet above a million
    synapses), summary.json, and three figures as PNG and SVG.

    With --engine dask, SOURCE may be a folder of tables or a pattern in quotes; the files are
    potentials.parquet, a file of edges for each partition, and summary.json.
    """
    import warnings
    from concurrent.futures import ThreadPoolExecutor

    shown = shows_stages(quiet)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(scheduler, workers, memory, partitions, resume)
    if engine is EngineName.DASK:
        refused = {"--fixed": fixed, "--solver": solver not in ("auto", "newton")}
        balance_partitions(
            *(source, cluster, refused, output),
            p=p,
            alpha=alpha,
            tol=tol,
            on_infeasible=on_infeasible.value,
            quiet=quiet,
            as_json=as_json,
            shown=shown,
        )
        return
    if cluster.given():
        raise InputError(f"{cluster.given()[0]} is for --engine dask; give that too")
    with stage("reading", shown), ThreadPoolExecutor(1) as pool:
        if Path(source.name).is_file():  # a wrong name is told at once
            pool.submit(_prepare, figures=output is not None and not no_figures)
        net = source.network(p, alpha)
    from graphbal.balance import balance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by message and exit code
        eq = balance(
            net,
            tol=tol,
            solver=solver.value,
            fixed=labels(net, fixed) or None,
            on_infeasible=on_infeasible.value,
            progress=shown,
        )
    facts, written = source.facts(net), list[str]()
    if output is None:
        facts |= eq.to_dict()
    else:
        with stage("writing", shown):
            facts, written = _write(eq, facts, output, not no_figures)
    report(
        _parts(eq, facts),
        facts,
        quiet=quiet,
        as_json=as_json,
        written=written,
        folder=output,
    )
    if not eq.converged:
        fail(eq.message)
        raise typer.Exit(3)


def _prepare(figures: bool) -> None:
    """Import what balancing and drawing need: in a thread of its own, while a file is read."""
    from importlib import import_module

    import_module("graphbal.io")
    import_module("graphbal.assembly").prepare()
    import_module("graphbal.balance")
    for name in DRAWING if figures else ():
        import_module(name)


def _write(
    eq: Equilibrium, source: dict[str, Any], folder: Path, figures: bool
) -> tuple[dict[str, Any], list[str]]:
    """Write all that is known about an equilibrium; return its scalars and the names of files."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:  # files beside each other, and what is left to compute
        neurons = eq.neurons().rename_axis("neuron").reset_index()
        table = pool.submit(write_csv, neurons, folder / "potentials.csv")
        before, after = eq.original, eq.network
        columns = {
            "weight": before.weights.data,
            "cost": before.costs.data,
            "balanced_weight": after.weights.data,
            "balanced_cost": after.costs.data,
            "vanishes": eq.topology.vanishing,
        }
        edges = pool.submit(write_edges, before, columns, folder / "edges")
        drawing = pool.submit(_write_figures, eq, folder) if figures else None
        facts = source | eq.to_dict()
        table.result()
        drawn = drawing.result() if drawing else []
        names = ["potentials.csv", edges.result(), *drawn, "summary.json"]
    write_json(facts, folder / "summary.json")
    return facts, names


def _write_figures(eq: Equilibrium, folder: Path) -> list[str]:
    from graphbal import plotting

    plots = (
        plotting.cost_before_after,
        plotting.incoming_outgoing,
        plotting.potential_distribution,
    )
    return write_figures({plot.__name__: partial(plot, eq) for plot in plots}, folder)


def _parts(eq: Equilibrium, facts: dict[str, Any]) -> Iterator[RenderableType]:
    import pandas as pd

    initial, total = facts["initial_cost"], facts["total_cost"]
    share = f" ({(total - initial) / initial:+.1%})" if initial else ""
    yield grid(
        *size_lines(facts),
        *component_lines(facts),
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
    yield table(
        "Largest potentials",
        pd.DataFrame({"neuron": largest.index, "h": largest.map("{:+.4f}".format).to_numpy()}),
        right=("h",),
    )
    changed = eq.most_changed_synapses()
    for column in ("cost", "balanced_cost"):
        changed[column] = changed[column].map("{:.6g}".format)
    changed.columns = ["pre", "post", "cost before", "cost after"]
    yield table("Synapses that change most", changed, right=("cost before", "cost after"))
