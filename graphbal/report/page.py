"""The page: facts, tables and figures put into words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from typing import Any

from graphbal._version import __version__
from graphbal.compare import Comparison, by_name, comparison
from graphbal.convert import as_network
from graphbal.network import SynapticNetwork
from graphbal.report import facts, figures, tables
from graphbal.report.findings import Findings, find
from graphbal.report.words import count, listed, number, percent

__all__ = ["compared", "find", "named_networks", "python_call", "render"]


def named_networks(networks: Any) -> dict[str, SynapticNetwork]:
    """Return networks by name, however they are given, under the names that `compare` gives."""
    return {name: as_network(network) for name, network in by_name(networks)}


def compared(
    named: Mapping[str, SynapticNetwork],
    null: str | None,
    n_null: int,
    seed: int,
    workers: int,
    progress: bool,
) -> Comparison | None:
    """Return the comparison of networks with each other and with their nulls; None without any."""
    if null is None and len(named) == 1:
        return None
    return comparison(
        named, null=null, n_null=n_null, seed=seed, workers=workers, progress=progress
    )


def python_call(named: Mapping[str, Any], null: str | None, n_null: int, seed: int) -> str:
    """Return the call of `graphbal.report`, but for the path."""
    names = list(named)
    given = repr(names[0]) if len(names) == 1 else repr(names)
    options = f", null={null!r}, n_null={n_null}, seed={seed}" if null else ""
    return f"graphbal.report({given}, …{options})"


def render(
    findings: Sequence[Findings], compared: Comparison | None, *, title: str | None, command: str
) -> str:
    """Return the HTML of the page."""
    n = len(findings)
    networks = [_Shown(f, f"{place}", n, compared) for place, f in enumerate(findings, 1)]
    flow_figure = figures.cost_in_time(findings)
    constants_figure = figures.time_constants(findings)
    drawn = [flow_figure, constants_figure, *(each for shown in networks for each in shown.figures)]
    sources: dict[tuple[str, str], list[str]] = {}
    for f in findings:
        if f.about["source"]:
            sources.setdefault((f.about["source"], f.about["doi"]), []).append(f.name)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title or _title(findings),
            networks=networks,
            several=n > 1,
            contents=_contents(n, compared),
            comparison=None
            if compared is None
            else facts.comparison_facts(compared, [f.name for f in findings]),
            null=_null(compared),
            identity=facts.identity_facts(findings),
            topology=facts.topology_facts(findings),
            equilibrium=facts.equilibrium_facts(findings),
            flow=facts.flow_facts(findings),
            any_limit=not all(f.eq.is_finite for f in findings),
            no_flow=[f.name for f in findings if f.trajectory is None],
            flow_figure=flow_figure,
            constants_figure=constants_figure,
            figures=[each for each in drawn if each is not None],
            sources=sources,
            version=__version__,
            versions={
                name: metadata.version(name) for name in ("numpy", "scipy", "pandas", "bokeh")
            },
            command=command,
            dark=figures.DARK,
            **_files(),
        )
    )


class _Shown:
    """Findings of a network, with its tables and figures."""

    def __init__(self, f: Findings, key: str, n: int, compared: Comparison | None) -> None:
        rows, points = tables.most_rows(n), figures.most_points(n)
        self._findings = f
        self.vanishing = tables.vanishing_table(f, key, rows)
        self.neuron_rows = tables.neuron_table(f, key, rows)
        self.synapse_rows = tables.synapse_table(f, key, rows)
        self.mode_rows = tables.mode_table(f, key)
        self.map = figures.network_map(f, key, points)
        self.inout = figures.incoming_outgoing(f, key, points)
        self.strip = figures.potential_strip(f, key, points)
        self.costs = figures.cost_before_after(f, key, points)
        self.movers = figures.potentials_in_time(f, key)
        self.entries = figures.mode_entries(f, key)
        self.null_words: list[str] = []
        self.null_rows = self.distances = None
        if compared is not None and "z" in compared.table:
            self.null_words = facts.null_sentences(compared, f.name)
            self.null_rows = tables.null_table(compared, f.name, key)
            self.distances = figures.null_distances(compared, f.name, key)

    @property
    def figures(self) -> tuple[figures.Figure | None, ...]:
        """The figures in the order of the page."""
        return (
            self.map,
            self.inout,
            self.strip,
            self.costs,
            self.movers,
            self.entries,
            self.distances,
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._findings, name)


def _title(findings: Sequence[Findings]) -> str:
    names = [f.name for f in findings]
    if len(names) > 3:
        return f"The synaptic balance of {len(names)} networks"
    return f"The synaptic balance of {listed(names)}"


def _null(compared: Comparison | None) -> dict[str, Any] | None:
    """Return what the page says of the null model, if there is one."""
    if compared is None or "null" not in compared.table:
        return None
    name, n = str(compared.table["null"].iloc[0]), int(compared.null_values["sample"].max()) + 1
    return {
        "name": name.replace("_", " "),
        "meaning": facts.null_meaning(name),
        "n": n,
        "least_p": 2 / (n + 1),
        "unconverged": len(compared.unconverged),
    }


def _contents(n: int, compared: Any) -> list[tuple[str, str]]:
    return [
        ("network", "The networks" if n > 1 else "The network"),
        ("topology", "Topology"),
        ("equilibrium", "Equilibrium"),
        ("changes", "What changes most"),
        ("flow-section", "The way to balance"),
        ("modes", "Slow modes"),
        *([("comparison", "Comparison")] if compared is not None else []),
        ("methods", "Methods"),
    ]


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("graphbal.report"),
        autoescape=True,  # labels of neurons are whatever the file said
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "count": count,
        "filename": lambda name: re.sub(r"[^\w.-]+", "-", name).strip("-.") or "network",
        "json": _json,
        "listed": listed,
        "number": number,
        "percent": percent,
    }
    return environment


def _json(value: Any) -> Any:
    """Return data for a script element, which nothing in it can end."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", r"\u003c"))


def _files() -> dict[str, Any]:
    """Return the style and the scripts that the page holds."""
    from markupsafe import Markup

    home = resources.files("graphbal.report")
    names = {"style": "style.css", "tables_js": "tables.js", "figures_js": "figures.js"}
    texts = {key: (home / name).read_text(encoding="utf-8") for key, name in names.items()}
    texts["bokeh_js"] = figures.inline_scripts()
    return {key: Markup(text) for key, text in texts.items()}
