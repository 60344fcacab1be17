"""``graphbal flow``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbal.cli._input import Source, labels, number, numbers, reads_source, synapses
from graphbal.cli._options import Alpha, AsJson, Fixed, NoFigures, Output, P, Quiet
from graphbal.cli._output import write_csv, write_figures, write_json
from graphbal.cli._words import fail, grid, report, shows_stages, size_lines, stage, table
from graphbal.errors import ConvergenceWarning, InputError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from graphbal.network import SynapticNetwork
    from graphbal.trajectory import Trajectory

# From about this multiple of the fastest relaxation time on, steps are limited by rounding.
_LATEST = 1e11


@reads_source
def flow_command(
    source: Source,
    output: Output = None,
    p: P = None,
    alpha: Alpha = None,
    until: Annotated[
        float | None, typer.Option(metavar="T", help="Follow the flow from time 0 to T.")
    ] = None,
    until_balanced: Annotated[
        float | None,
        typer.Option(metavar="TOL", help="Stop when no neuron's relative imbalance is above TOL."),
    ] = None,
    t_eval: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TIME|@FILE",
            help="Report this time instead of every step; may be repeated. @FILE: one a line.",
        ),
    ] = None,
    points: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Report N times from 0 to T.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Rate γ of the flow.")] = 1.0,
    fixed: Fixed = None,
    perturb: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TIME,PRE,POST,FACTOR|@FILE",
            help="Multiply the cost of this synapse at that time; may be repeated.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the trajectory in DIR to a later T.")
    ] = False,
    no_figures: NoFigures = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Follow the balancing flow dh/dt = γ g, the gradient descent of the total cost.

    Prints a summary. With -o DIR, writes trajectory.parquet, by_time.csv (total cost, gradient norm
    and imbalance), potentials.csv (at the end), summary.json, and three figures as PNG and SVG. The
    trajectory is also saved on the way: --resume goes on from it after an interruption.
    """
    import warnings

    if resume and (output is None or until_balanced or fixed or perturb or rate != 1):
        raise typer.BadParameter(
            "--resume takes the rate, fixed neurons, perturbations and --until-balanced from the "
            "trajectory in the folder that -o names: give -o DIR, and none of these"
        )
    if until is None and until_balanced is None and not resume:
        raise typer.BadParameter("say where to stop: --until T, --until-balanced TOL, or both")
    if points is not None and (t_eval or until is None):
        raise typer.BadParameter("--points N needs --until T, and no --t-eval")
    shown = shows_stages(quiet)
    file = None if output is None else output / "trajectory.parquet"
    if resume and file is not None and not file.exists():
        raise InputError(f"{file}: there is no trajectory to go on from")
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    with stage("reading", shown):
        from graphbal.flow import flow
        from graphbal.trajectory import Trajectory

        net = source.network(p, alpha)
        earlier = Trajectory.load(file, net) if resume and file is not None else None
    clamped = labels(net, fixed) or None
    begin = 0.0 if earlier is None else float(earlier.point.t)
    end = _end(net, clamped, earlier) if until is None else until
    times = _times(t_eval, points, begin, end)
    if times is None and earlier is not None and earlier.pending is not None:
        times = [*earlier.pending[earlier.pending <= end], end] if earlier.pending.size else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # told by message and exit code
            if earlier is not None:
                trajectory = earlier.resume(end, t_eval=times, progress=shown, checkpoint=file)
            else:
                trajectory = flow(
                    net,
                    (begin, end),
                    t_eval=times,
                    rate=rate,
                    fixed=clamped,
                    perturbations=_perturbations(net, perturb),
                    until_balanced=until_balanced,
                    progress=shown,
                    checkpoint=file,
                )
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(_how_to_go_on(net, file, until)) from error
    facts = source.facts(net) | _facts(trajectory)
    written: list[str] = []
    if output is not None:
        with stage("writing", shown):
            written = _write(trajectory, facts, output, not no_figures)
    report(
        _parts(trajectory, facts),
        facts,
        quiet=quiet,
        as_json=as_json,
        written=written,
        folder=output,
    )
    if trajectory.converged is False:
        fail(trajectory.message)
        raise typer.Exit(3)


def by_time(trajectory: Trajectory) -> pd.DataFrame:
    """Return what is measured of the whole network, by time."""
    import pandas as pd

    columns = (trajectory.total_cost, trajectory.gradient_norm, trajectory.neuron_imbalance)
    return pd.concat(columns, axis=1).reset_index()


def latest(net: SynapticNetwork) -> float:
    """Return a time to which it is cheap to follow the flow, and late for any but the slowest."""
    fastest = float((net.incoming_costs + net.outgoing_costs).max())
    return _LATEST / (fastest or 1.0)


def _end(net: SynapticNetwork, fixed: list[Any] | None, earlier: Trajectory | None) -> float:
    """Return how far to follow a flow that is to stop when it is balanced."""
    from graphbal.topology import topology

    if earlier is not None and earlier.course.until is None:
        raise InputError("say how far to go on: --until T")
    if earlier is None and not topology(net, fixed).is_balanceable:
        raise InputError(
            "there is no finite equilibrium, so that the flow never comes to balance: add "
            "--until T, or hold neurons with --fixed (graphbal topology says more)"
        )
    return latest(net)


def _times(
    t_eval: list[str] | None, points: int | None, begin: float, end: float
) -> list[float] | None:
    """Return the times to report, the end among them; None for every step."""
    import numpy as np

    if points is not None and np.isfinite(end):
        return np.linspace(begin, end, points).tolist()
    return sorted({*numbers(t_eval, "time"), end}) if t_eval else None


def _perturbations(
    net: SynapticNetwork, texts: list[str] | None
) -> dict[float, dict[tuple[Any, Any], float]] | None:
    """Return the factors by synapse by time, from options."""
    found: dict[float, dict[tuple[Any, Any], float]] = defaultdict(dict)
    for (time,), pair, factor in synapses(net, texts, "--perturb", "TIME,PRE,POST,FACTOR"):
        at = number(time, "time")
        if pair in found[at]:
            raise InputError(f"the synapse {pair[0]!s} → {pair[1]!s} is given twice at t = {at:g}")
        found[at][pair] = factor
    return found or None


def _how_to_go_on(net: SynapticNetwork, file: Path | None, until: float | None) -> str:
    """Return what there is to say about an interruption."""
    from graphbal.trajectory import Trajectory

    if file is None:
        return "interrupted; with -o DIR, a trajectory is kept from which --resume goes on"
    try:
        t = Trajectory.load(file, net).point.t
    except InputError:  # before the first step
        return "interrupted; nothing was kept"
    end = "" if until is None else f" --until {until:g}"
    return (
        f"interrupted; {file} holds the trajectory to t = {t:.6g}: go on from there with the same "
        f"source and --resume{end} -o {file.parent}"
    )


def _facts(trajectory: Trajectory) -> dict[str, Any]:
    import numpy as np

    net, free = trajectory.network, trajectory.course.rates > 0
    total_cost, gradient_norm, imbalance = trajectory.measures[-1].tolist()
    return {
        "neurons": net.n_neurons,
        "synapses": net.n_synapses,
        "self_connections": net.n_self_connections,
        "fixed": int(np.count_nonzero(~free)),
        "p": net.p,
        "t_start": float(trajectory.course.t),
        "t_end": float(trajectory.point.t),
        "times": int(trajectory.t.size),
        "initial_cost": net.total_cost,
        "total_cost": total_cost,
        "initial_gradient_norm": float(np.linalg.norm(net.neural_gradients.to_numpy()[free])),
        "gradient_norm": gradient_norm,
        "neuron_imbalance": imbalance,
        "converged": trajectory.converged,
        "message": trajectory.message,
        **trajectory.stats,
    }


def _write(trajectory: Trajectory, facts: dict[str, Any], folder: Path, figures: bool) -> list[str]:
    """Write what there is about a trajectory beside itself; return the names of the files."""
    import pandas as pd

    end = pd.Series(trajectory.h[-1], trajectory.network.neurons, name="potential")
    write_csv(by_time(trajectory), folder / "by_time.csv")
    write_csv(end.rename_axis("neuron").reset_index(), folder / "potentials.csv")
    drawn = _write_figures(trajectory, folder) if figures else []
    write_json(facts, folder / "summary.json")
    return ["trajectory.parquet", "by_time.csv", "potentials.csv", *drawn, "summary.json"]


def _write_figures(trajectory: Trajectory, folder: Path) -> list[str]:
    from graphbal import plotting

    plots = (
        plotting.total_cost_in_time,
        plotting.gradient_norm_in_time,
        plotting.potentials_in_time,
    )
    return write_figures({plot.__name__: partial(plot, trajectory) for plot in plots}, folder)


def _parts(trajectory: Trajectory, facts: dict[str, Any]) -> Iterator[RenderableType]:
    import numpy as np
    import pandas as pd

    initial, total = facts["initial_cost"], facts["total_cost"]
    share = f" ({(total - initial) / initial:+.1%})" if initial else ""
    yield grid(
        *size_lines(facts),
        ("flow", facts["message"]),
        ("total cost", f"{initial:.6g} → {total:.6g}{share}"),
        ("gradient", f"norm {facts['initial_gradient_norm']:.3g} → {facts['gradient_norm']:.3g}"),
        ("of a neuron", f"imbalance {facts['neuron_imbalance']:.3g} at most"),
        ("method", facts["method"]),
        (
            "time",
            f"{facts['seconds']:.3g} s, {facts['steps']:,} steps, "
            f"{facts['edge_passes']:,} passes over the synapses",
        ),
    )
    most = np.argsort(-np.abs(trajectory.h[-1]), kind="stable")[:5]
    yield table(
        "Largest potentials",
        pd.DataFrame(
            {
                "neuron": trajectory.network.neurons.take(most),
                "h": [f"{h:+.4f}" for h in trajectory.h[-1][most]],
            }
        ),
        right=("h",),
    )
