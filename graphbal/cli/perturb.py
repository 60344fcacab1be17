"""``graphbal perturb``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphbal.cli._input import Source, labels, reads_source, synapses
from graphbal.cli._options import Alpha, AsJson, Fixed, NoFigures, Output, P, Quiet
from graphbal.cli._output import write_csv, write_edges, write_figures, write_json
from graphbal.cli._words import fail, grid, report, shows_stages, size_lines, stage, table
from graphbal.cli.flow import by_time, latest
from graphbal.errors import ConvergenceWarning, InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from rich.console import RenderableType

    from graphbal.balance import Equilibrium
    from graphbal.network import SynapticNetwork
    from graphbal.trajectory import Trajectory

# Relaxation is followed to this imbalance of a neuron.
_RELAXED = 1e-6


@reads_source
def perturb_command(
    source: Source,
    synapse: Annotated[
        list[str],
        typer.Option(
            metavar="PRE,POST,FACTOR|@FILE",
            help="Multiply the cost of this synapse at equilibrium; may be repeated.",
            show_default=False,
        ),
    ],
    absolute: Annotated[
        bool, typer.Option("--absolute", help="FACTOR is the new cost itself.")
    ] = False,
    output: Output = None,
    p: P = None,
    alpha: Alpha = None,
    fixed: Fixed = None,
    no_figures: NoFigures = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Balance a network, perturb synapses of it, and follow it to its new balance.

    Prints which neurons and synapses change most, and how far the linear prediction is off. With
    -o DIR, writes neurons.csv, synapses.csv (synapses.parquet above a million), by_time.csv of the
    relaxation, summary.json, and three figures as PNG and SVG.
    """
    import warnings

    shown = shows_stages(quiet)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    with stage("reading", shown):
        from graphbal.balance import balance
        from graphbal.flow import flow
        from graphbal.linearization import perturb
        from graphbal.sensitivity import sensitivity

        net = source.network(p, alpha)
    changes = _changes(net, synapse)
    clamped = labels(net, fixed) or None
    perturb(net, changes, absolute=absolute)  # bad input is told before any work is done
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by message and exit code
        before = balance(net, fixed=clamped, progress=shown)
        factors = _factors(before.network, changes, absolute)
        perturbed = perturb(before.network, factors)
        after = balance(perturbed, fixed=clamped, progress=shown)
        relaxation = flow(
            perturbed,
            (0.0, latest(perturbed)),
            fixed=clamped,
            until_balanced=_RELAXED,
            progress=shown,
        )
        predicted = sensitivity(before).predict(factors) if min(factors.values()) > 0 else None
    run = _Run(before, perturbed, after, relaxation, factors, predicted)
    facts = source.facts(net) | run.facts()
    written: list[str] = []
    if output is not None:
        with stage("writing", shown):
            written = _write(run, facts, output, not no_figures)
    report(_parts(run, facts), facts, quiet=quiet, as_json=as_json, written=written, folder=output)
    for eq in (before, after):
        if not eq.converged:
            fail(eq.message)
            raise typer.Exit(3)


@dataclass(frozen=True)
class _Run:
    """A network before a perturbation, just after it, and at its new balance."""

    before: Equilibrium
    perturbed: SynapticNetwork
    after: Equilibrium
    relaxation: Trajectory
    factors: dict[tuple[Any, Any], float]
    predicted: pd.Series | None  # a synapse that is silenced has no linear prediction

    @cached_property
    def neurons(self) -> pd.DataFrame:
        """The change of every neuron's potential, and its linear prediction."""
        import pandas as pd

        columns = {"change": self.after.potentials, "predicted": self.predicted}
        return pd.DataFrame(
            {name: column for name, column in columns.items() if column is not None}
        )

    @cached_property
    def costs(self) -> dict[str, NDArray[np.float64]]:
        """The cost of every synapse before, just after, and at the new balance."""
        return {
            "cost_before": self.before.network.costs.data,
            "cost_perturbed": self.perturbed.costs.data,
            "cost_after": self.after.network.costs.data,
        }

    def most_changed(self, top: int) -> pd.DataFrame:
        """Return the `top` synapses whose cost changes most from balance to balance."""
        import numpy as np
        import pandas as pd

        net = self.perturbed
        change = np.abs(self.costs["cost_after"] - self.costs["cost_before"])
        most = np.argsort(-change, kind="stable")[:top]
        post = np.searchsorted(net.weights.indptr, most, side="right") - 1
        return pd.DataFrame(
            {
                "pre": net.neurons.take(net.weights.indices[most]),
                "post": net.neurons.take(post),
                **{name: costs[most] for name, costs in self.costs.items()},
            }
        )

    def facts(self) -> dict[str, Any]:
        """Return the scalars of the result."""
        import numpy as np

        net, change = self.perturbed, self.after.potentials
        error, moved = None, float(np.linalg.norm(change))
        if self.predicted is not None and moved:
            error = float(np.linalg.norm(self.predicted - change)) / moved
        return {
            "neurons": net.n_neurons,
            "synapses": net.n_synapses,
            "self_connections": net.n_self_connections,
            "fixed": len(self.before.topology.fixed),
            "p": net.p,
            "perturbation": [
                {"pre": str(pre), "post": str(post), "factor": factor}
                for (pre, post), factor in self.factors.items()
            ],
            "cost_before": self.before.total_cost,
            "cost_perturbed": net.total_cost,
            "cost_after": self.after.total_cost,
            "largest_change": float(change.abs().max()),
            "prediction_error": error,
            "converged": self.before.converged and self.after.converged,
            "message": self.after.message,
            "relaxation": self.relaxation.message,
            "relaxation_time": float(self.relaxation.t[-1]),
            "edge_passes": self.relaxation.stats["edge_passes"],
        }


def _changes(net: SynapticNetwork, texts: list[str]) -> dict[tuple[Any, Any], float]:
    """Return the numbers by synapse, from options."""
    found: dict[tuple[Any, Any], float] = {}
    for _, pair, value in synapses(net, texts, "--synapse", "PRE,POST,FACTOR"):
        if pair in found:
            raise InputError(f"the synapse {pair[0]!s} → {pair[1]!s} is given twice")
        found[pair] = value
    return found


def _factors(
    net: SynapticNetwork, changes: dict[tuple[Any, Any], float], absolute: bool
) -> dict[tuple[Any, Any], float]:
    """Return by what the costs of a balanced network are multiplied."""
    from graphbal.trajectory import synapse_positions

    costs = net.costs.data[synapse_positions(net, list(changes))].tolist()
    for (pre, post), cost in zip(changes, costs, strict=True):
        if cost == 0:
            raise InputError(
                f"the synapse {pre!s} → {post!s} costs nothing at equilibrium: no factor changes it"
            )
    if not absolute:
        return changes
    return {pair: changes[pair] / cost for pair, cost in zip(changes, costs, strict=True)}


def _write(run: _Run, facts: dict[str, Any], folder: Path, figures: bool) -> list[str]:
    """Write everything that is known about the perturbation; return the names of the files."""
    write_csv(run.neurons.rename_axis("neuron").reset_index(), folder / "neurons.csv")
    edges = write_edges(run.perturbed, run.costs, folder / "synapses")
    write_csv(by_time(run.relaxation), folder / "by_time.csv")
    drawn = _write_figures(run, folder) if figures else []
    write_json(facts, folder / "summary.json")
    return ["neurons.csv", edges, "by_time.csv", *drawn, "summary.json"]


def _write_figures(run: _Run, folder: Path) -> list[str]:
    from graphbal import plotting

    changed = run.most_changed(6)
    pairs = list(zip(changed["pre"], changed["post"], strict=True))
    plots: dict[str, Any] = {
        "costs_in_time": partial(plotting.costs_in_time, run.relaxation, pairs),
        "gradient_norm_in_time": partial(plotting.gradient_norm_in_time, run.relaxation),
    }
    if run.predicted is not None:
        plots["exact_against_linear"] = partial(
            plotting.exact_against_linear, run.after.potentials, run.predicted
        )
    return write_figures(plots, folder)


def _parts(run: _Run, facts: dict[str, Any]) -> Iterator[RenderableType]:
    import numpy as np

    costs = (facts["cost_before"], facts["cost_perturbed"], facts["cost_after"])
    error = facts["prediction_error"]
    prediction = "none" if error is None else f"off by {error:.2g} of the change, to first order"
    yield grid(
        *size_lines(facts),
        ("balance", facts["message"]),
        ("total cost", " → ".join(f"{cost:.6g}" for cost in costs)),
        ("relaxation", f"{facts['relaxation']} {facts['edge_passes']:,} passes"),
        ("prediction", prediction),
    )
    most = np.argsort(-run.after.potentials.abs().to_numpy(), kind="stable")[:5]
    moved = run.neurons.iloc[most].map("{:+.4f}".format).rename_axis("neuron").reset_index()
    yield table("Neurons that move most", moved, right=("change", "predicted"))
    changed = run.most_changed(8)
    for name in run.costs:
        changed[name] = changed[name].map("{:.6g}".format)
    changed.columns = ["pre", "post", "cost before", "perturbed", "after"]
    yield table("Synapses that change most", changed, right=("cost before", "perturbed", "after"))
