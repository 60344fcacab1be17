"""``graphbal topology``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphbal.cli._input import Source, labels, reads_source
from graphbal.cli._options import AsJson, Fixed, Output, Quiet
from graphbal.cli._output import write_csv, write_json
from graphbal.cli._words import (
    component_lines,
    count,
    grid,
    report,
    shows_stages,
    size_lines,
    stage,
    table,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from graphbal.topology import Topology


@reads_source
def topology_command(
    source: Source,
    output: Output = None,
    fixed: Fixed = None,
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
    with stage("reading", shows_stages(quiet)):
        net = source.network()
    top = topology(net, labels(net, fixed) or None)
    facts = source.facts(net) | {
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
    written = _write(top, facts, output) if output is not None else []
    report(
        _parts(top, facts),
        facts,
        quiet=quiet,
        as_json=as_json,
        written=written,
        folder=output,
    )


def _write(top: Topology, facts: dict[str, Any], folder: Path) -> list[str]:
    import pandas as pd

    table = pd.DataFrame({"component": top.components, "divergence_rate": top.divergence_rates})
    write_csv(table.rename_axis("neuron").reset_index(), folder / "components.csv")
    write_csv(top.vanishing_edges, folder / "vanishing.csv")
    write_json(facts, folder / "topology.json")
    return ["components.csv", "vanishing.csv", "topology.json"]


def _parts(top: Topology, facts: dict[str, Any]) -> Iterator[RenderableType]:
    import numpy as np
    import pandas as pd

    if facts["is_balanceable"]:
        existence = "finite: every synapse lies on a directed cycle"
        if facts["fixed"]:
            existence += ", or on a path between fixed neurons"
    else:
        existence = f"none finite (vanishing synapses: {facts['vanishing_synapses']:,})"
    yield grid(
        *size_lines(facts),
        *component_lines(facts),
        ("largest", f"{count(facts['largest_component'], 'neuron')} in one component"),
        (
            "blocks",
            f"{facts['blocks']:,} biconnected, {count(facts['cut_neurons'], 'cut neuron')}",
        ),
        ("equilibrium", existence),
    )
    if facts["is_balanceable"]:
        return
    rates = top.divergence_rates
    extreme = rates.iloc[np.argsort(-rates.abs().to_numpy(), kind="stable")[:10]]
    yield table(
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
