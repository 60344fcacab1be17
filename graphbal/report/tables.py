"""Tables to sort, search and save."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphbal.report.words import aligned, called, number

if TYPE_CHECKING:
    from graphbal.compare import Comparison
    from graphbal.report.findings import Findings

_MOST_ROWS = 400  # of a table, of up to four networks
_FEWEST_ROWS = 40
_LARGEST_ENTRIES = 4  # of a mode


@dataclass(frozen=True)
class Column:
    """A column of a table: texts to show, and for numbers the values to sort by and to save."""

    name: str
    texts: list[str]
    values: list[str] | None = None
    meaning: str = ""


@dataclass(frozen=True)
class Table:
    """Rows to sort, search and save."""

    id: str
    title: str
    caption: str
    columns: list[Column]
    n_all: int

    @property
    def n_rows(self) -> int:
        """Number of rows that the page holds."""
        return len(self.columns[0].texts)

    def rows(self) -> Iterator[list[tuple[Column, str, str | None]]]:
        """Yield the cells of each row: their column, text and value."""
        for at in range(self.n_rows):
            yield [
                (column, column.texts[at], None if column.values is None else column.values[at])
                for column in self.columns
            ]


def _text(name: str, labels: Any, meaning: str = "") -> Column:
    return Column(name, [str(label) for label in labels], None, meaning)


def _numbers(name: str, values: Any, meaning: str = "", *, signed: bool = False) -> Column:
    array = np.asarray(values, dtype=float)
    exact = [f"{value:.10g}" if np.isfinite(value) else "" for value in array]
    return Column(name, aligned(array, signed=signed), exact, meaning)


def most_rows(n_networks: int) -> int:
    """Return how many rows a table holds, so that a page of many networks stays small."""
    return int(np.clip(4 * _MOST_ROWS // n_networks, _FEWEST_ROWS, _MOST_ROWS))


def neuron_table(f: Findings, key: str, top: int) -> Table:
    """Return the neurons that change most: those of the largest potentials."""
    most = np.argsort(-np.abs(f.eq.h), kind="stable")[:top]
    table = f.eq.neurons().iloc[most]
    columns = [_text("neuron", f.network.neurons.take(most))]
    if f.classes is not None:
        columns.append(_text("class", f.classes.to_numpy()[most]))
    columns += [
        _numbers("potential h", f.eq.h[most], "", signed=True),
        _numbers("inputs ×", np.exp(-f.eq.h[most]), "factor on the weights of its inputs, e^(−h)"),
        _numbers("in before", table["incoming_before"], "incoming cost before balancing"),
        _numbers("out before", table["outgoing_before"], "outgoing cost before balancing"),
        _numbers("in after", table["incoming_after"], "incoming cost after balancing"),
        _numbers("out after", table["outgoing_after"], "outgoing cost after balancing"),
    ]
    if not f.eq.is_finite:
        columns.append(
            _numbers(
                "drift",
                f.eq.topology.divergence_rates.to_numpy()[most],
                "of the neuron's component: p h grows like this × log t",
                signed=True,
            )
        )
    return Table(
        f"neurons-{key}",
        "Neurons that change most",
        "The neurons of the largest potentials, up or down. Where h is positive, balancing weakens "
        "what comes in and strengthens what goes out. “Inputs ×” is the factor on the weights of "
        "its inputs; “in” and “out” are the sums of the costs of its inputs and outputs.",
        columns,
        f.network.n_neurons,
    )


def synapse_table(f: Findings, key: str, top: int) -> Table:
    """Return the synapses whose cost changes most."""
    rows = f.eq.most_changed_synapses(top)
    change = rows["balanced_cost"] - rows["cost"]
    at_end = (rows["balanced_cost"] == 0) & (rows["cost"] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(rows["cost"] > 0, rows["balanced_cost"] / rows["cost"], np.nan)
    columns = [
        _text("from", rows["pre"], "presynaptic neuron"),
        _text("to", rows["post"], "postsynaptic neuron"),
        _numbers("cost before", rows["cost"]),
        _numbers("cost after", rows["balanced_cost"]),
        _numbers("change", change, "of the cost", signed=True),
        _numbers("weight ×", factor ** (1 / f.network.p), "factor on the weight"),
    ]
    if at_end.any():
        columns.append(_text("vanishes", np.where(at_end, "yes", "")))
    return Table(
        f"synapses-{key}",
        "Synapses that change most",
        "The synapses whose cost rises or falls most when the network is balanced. “Weight ×” is "
        "the factor on the weight.",
        columns,
        f.network.n_synapses,
    )


def vanishing_table(f: Findings, key: str, top: int) -> Table | None:
    """Return the synapses that vanish, those of the largest cost first; None if there are none."""
    if f.n_vanishing == 0:
        return None
    edges = f.eq.topology.vanishing_edges
    most = edges.iloc[np.argsort(-edges["cost"].to_numpy(), kind="stable")[:top]]
    rates = f.eq.topology.divergence_rates.to_numpy()
    rate = rates[f.network.positions(most["pre"])] - rates[f.network.positions(most["post"])]
    return Table(
        f"vanishing-{key}",
        "Synapses that vanish",
        "No directed cycle leads through these synapses. Along the flow their cost falls like the "
        "power of time shown, and nothing stops it.",
        [
            _text("from", most["pre"], "presynaptic neuron"),
            _text("to", most["post"], "postsynaptic neuron"),
            _numbers("weight", most["weight"]),
            _numbers("cost", most["cost"]),
            _numbers("power of time", rate, "cost ∝ t to this power, in the end", signed=True),
        ],
        len(edges),
    )


def mode_table(f: Findings, key: str) -> Table | None:
    """Return the slowest modes and the neurons that they are made of."""
    if f.modes is None:
        return None
    vectors = f.modes.modes.to_numpy()
    largest = np.argsort(-np.abs(vectors), axis=0, kind="stable")[:_LARGEST_ENTRIES].T
    return Table(
        f"modes-{key}",
        "The slowest modes",
        "Each mode is a pattern of potentials that fades at its own pace: to 37 % of its size in "
        "one time constant, in units of 1/(γ × cost). “Spread over” is the number of neurons that "
        "it lives on, 1 / Σ v⁴; those where it is largest are named.",
        [
            _numbers("mode", np.arange(1, vectors.shape[1] + 1), "the slowest is 1"),
            _numbers("time constant", f.modes.time_constants, "in units of 1/(γ × cost)"),
            _numbers("spread over", f.modes.participation, "neurons, 1 / Σ v⁴"),
            _text(
                "largest at",
                (
                    ", ".join(
                        f"{f.network.neurons[k]} {aligned([v[k]], signed=True)[0][:5]}"
                        for k in rows
                        if abs(v[k]) >= 0.05
                    )
                    for rows, v in zip(largest, vectors.T, strict=True)
                ),
                "neurons, and the size of the mode there",
            ),
        ],
        vectors.shape[1],
    )


def null_table(compared: Comparison, name: str, key: str) -> Table:
    """Return the measures of a network against those of its null networks."""
    table = compared.table[compared.table["network"] == name]
    return Table(
        f"nulls-{key}",
        "Against the null model",
        "Each measure of the network, and the mean and standard deviation over its null networks. "
        "z is the distance from that mean in standard deviations; p is the two-sided empirical "
        "p-value, and “p adjusted” is it after the correction of Benjamini and Hochberg over all "
        "measures and networks.",
        [
            _text("measure", map(called, table["measure"])),
            _numbers_each("network", table["value"]),
            _numbers_each("null mean", table["null_mean"]),
            _numbers_each("null s.d.", table["null_sd"]),
            _numbers("z", table["z"].round(2), "(network − null mean) / null s.d.", signed=True),
            _numbers("p", table["p_value"].round(4)),
            _numbers("p adjusted", table["p_adjusted"].round(4)),
        ],
        len(table),
    )


def _numbers_each(name: str, values: Any) -> Column:
    """Return numbers of different kinds, each with digits of its own."""
    array = np.asarray(values, dtype=float)
    column = _numbers(name, array)
    return Column(name, [number(value) for value in array], column.values)
