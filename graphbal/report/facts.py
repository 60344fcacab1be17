"""Facts about networks, side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbal.report.words import called, count, number, percent

if TYPE_CHECKING:
    from graphbal.compare import Comparison
    from graphbal.report.findings import Findings


@dataclass(frozen=True)
class Fact:
    """A fact about each network: what it is called, what it means, and a text for each."""

    label: str
    texts: list[str]
    meaning: str = ""


def _facts(
    findings: Sequence[Findings], *rows: tuple[str, Callable[[Findings], str], str]
) -> list[Fact]:
    return [
        Fact(label, [text(each) for each in findings], meaning) for label, text, meaning in rows
    ]


def identity_facts(findings: Sequence[Findings]) -> list[Fact]:
    """Return what each network is."""
    return _facts(
        findings,
        ("Neurons", lambda f: f"{f.network.n_neurons:,}", ""),
        ("Synapses", lambda f: f"{f.network.n_synapses:,}", "pairs of neurons with a weight"),
        (
            "Self-connections",
            lambda f: f"{f.network.n_self_connections:,}",
            "among the synapses; they cost, but never change",
        ),
        ("Inhibitory synapses", _negative, "of negative weight; only |J| matters for the cost"),
        ("Weights |J|", _range, "smallest to largest"),
        ("Cost of a synapse", _cost, "exponent p = 2 unless asked otherwise"),
        ("Total cost", lambda f: number(f.eq.initial_cost), "before balancing"),
        ("Merged or dropped on reading", _intake, ""),
    )


def topology_facts(findings: Sequence[Findings]) -> list[Fact]:
    """Return the components of each network and what they mean for its equilibrium."""
    return _facts(
        findings,
        (
            "Strong components",
            lambda f: f"{f.eq.topology.n_components:,}",
            "sets of neurons that reach each other along synapses",
        ),
        ("Largest component", _largest, ""),
        (
            "Neurons on their own",
            lambda f: f"{int((f.eq.topology.component_sizes == 1).sum()):,}",
            "components of one neuron: no loop leads through them",
        ),
        (
            "Blocks",
            lambda f: f"{f.eq.topology.n_blocks:,}",
            "parts joined by single neurons; each balances by itself",
        ),
        ("Neurons where blocks meet", lambda f: f"{len(f.eq.topology.cut_neurons):,}", ""),
        ("Synapses on no loop", _vanishing, "no directed cycle leads through them: they vanish"),
        ("Their cost", lambda f: percent(f.shares["vanishes"]), "of the total before balancing"),
        ("Finite equilibrium", lambda f: "yes" if f.eq.is_finite else "no: a limit", ""),
    )


def equilibrium_facts(findings: Sequence[Findings]) -> list[Fact]:
    """Return costs and potentials before and after."""
    return _facts(
        findings,
        ("Total cost before", lambda f: number(f.eq.initial_cost), ""),
        ("Total cost after", lambda f: number(f.eq.total_cost, 6), ""),
        ("Saved", lambda f: percent(f.saved), "of the cost before"),
        (
            "Bounds on what is saved",
            _bounds,
            "known without balancing: by the best single neuron, and by averaging every pair of "
            "opposite synapses",
        ),
        ("Imbalance before", lambda f: number(f.eq.initial_imbalance, 3), "Σ|in − out| / Σ cost"),
        ("Imbalance after", lambda f: number(f.eq.imbalance, 2), ""),
        ("Spread of the potentials", lambda f: number(f.eq.h.std(), 3), "standard deviation of h"),
        ("Lowest potential", lambda f: _extreme(f, int(f.eq.h.argmin())), ""),
        ("Highest potential", lambda f: _extreme(f, int(f.eq.h.argmax())), ""),
        ("Solver", lambda f: f"{f.eq.stats['solver']}, {f.eq.stats['iterations']} iterations", ""),
        (
            "Balanced",
            lambda f: "yes" if f.eq.converged else "NOT CONVERGED",
            "every neuron to 10⁻⁹",
        ),
    )


def flow_facts(findings: Sequence[Findings]) -> list[Fact]:
    """Return how long the flow takes."""
    return _facts(
        findings,
        *(
            (
                f"{text} of the saving is made by",
                lambda f, share=share: number(f.time_of(share), 3),
                "",
            )
            for share, text in ((0.5, "Half"), (0.9, "90 %"), (0.99, "99 %"))
        ),
        ("Slowest time constant", lambda f: f.slowest, "of the modes at equilibrium"),
    )


def _negative(f: Findings) -> str:
    return f"{int(np.count_nonzero(f.network.weights.data < 0)):,}"


def _range(f: Findings) -> str:
    size = np.abs(f.network.weights.data)
    return f"{number(size.min(), 3)} to {number(size.max(), 3)}"


def _cost(f: Findings) -> str:
    alpha = f.network.alpha
    if alpha.ndim == 0 and alpha == 1:
        factor = ""
    elif alpha.ndim == 0:
        factor = f"{number(float(alpha), 3)} · "
    else:
        factor = "α · "
    exponent = {1.0: "", 2.0: "²"}.get(f.network.p, f"^{f.network.p:g}")
    return f"{factor}|J|{exponent}"


def _intake(f: Findings) -> str:
    intake = f.network.intake
    done = (
        (intake.repeated, "row", "summed with another of the same pair"),
        (intake.zeros, "synapse", "of weight 0 dropped"),
        (intake.below_threshold, "synapse", "below the smallest weight dropped"),
        (intake.self_connections, "self-connection", "dropped"),
        (intake.outside_subset, "synapse", "with neurons left out dropped"),
    )
    return "; ".join(f"{count(n, noun)} {what}" for n, noun, what in done if n) or "nothing"


def _largest(f: Findings) -> str:
    size = int(f.eq.topology.component_sizes.max())
    return f"{count(size, 'neuron')} ({percent(size / f.network.n_neurons)})"


def _vanishing(f: Findings) -> str:
    return f"{f.n_vanishing:,} ({percent(f.n_vanishing / f.network.n_synapses)})"


def _bounds(f: Findings) -> str:
    initial = f.eq.initial_cost or 1.0
    lower, upper = f.eq.drop_bounds
    return f"{percent(lower / initial)} to {percent(upper / initial)}"


def _extreme(f: Findings, at: int) -> str:
    return f"{number(f.eq.h[at], 3)} ({f.network.neurons[at]})"


# ---------------------------------------------------------------------- comparison


def comparison_facts(compared: Comparison, names: Sequence[str]) -> list[Fact]:
    """Return every measure of every network."""
    values = compared.table.pivot(index="measure", columns="network", values="value")
    return [
        Fact(
            called(measure),
            [number(values.at[measure, name]) for name in names],
            _meaning(measure),
        )
        for measure in compared.table["measure"].unique()
    ]


def null_sentences(compared: Comparison, name: str) -> list[str]:
    """Return in words how a network differs from its null networks."""
    table = compared.table[compared.table["network"] == name].set_index("measure")
    tested = table["p_adjusted"].notna()
    differ = int((table["p_adjusted"] <= 0.05).sum())
    said = []
    if "relative_drop" in table.index and tested["relative_drop"]:
        row = table.loc["relative_drop"]
        said.append(
            f"Balancing saves {percent(row['value'])} of the cost of {name}, and "
            f"{percent(row['null_mean'])} ± {percent(row['null_sd'])} of that of its null networks "
            f"(z = {number(row['z'], 2)}, p = {number(row['p_value'], 2)})."
        )
    said.append(
        f"Of {int(tested.sum())} measures that can be tested, {differ} "
        f"{'differs' if differ == 1 else 'differ'} from the null model at an adjusted p of 0.05."
    )
    return said


def null_meaning(null: str) -> str:
    """Return what a null model does, from its documentation."""
    from graphbal import nulls

    return _first_line(getattr(nulls, null))


def _meaning(measure: str) -> str:
    from graphbal.measures import MEASURES

    return _first_line(MEASURES[measure])


def _first_line(function: Callable[..., Any]) -> str:
    """Return what a function does, without formulas and references."""
    line = (function.__doc__ or "").strip().partition("\n")[0]
    line = re.sub(r",? :math:`[^`]*`.*|:? λ_min.*|, λ_m .*| \[\d+\]_", "", line)
    line = re.sub(r"`([^`]*)`", lambda match: called(match[1]), line)
    return re.sub(r"^Return ", "", line).rstrip(".")
