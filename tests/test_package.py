"""The package as a whole: what it exports, how light it is, and that everything is documented."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import graphbal

DOCS = Path(__file__).parents[1] / "docs"
README = (DOCS.parent / "README.md").read_text()
ROOMS = (
    "analytic",
    "convert",
    "datasets",
    "distributed",
    "engines",
    "ensembles",
    "errors",
    "figures",
    "io",
    "measures",
    "nulls",
    "plotting",
    "solvers",
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def public_names() -> list[tuple[str, str]]:
    """Return (module, name) of everything public, each where users find it."""
    at_home = [
        ("graphbal", name)
        for name in graphbal.__all__
        if name != "__version__" and not inspect.ismodule(getattr(graphbal, name))
    ]
    elsewhere = [
        (f"graphbal.{room}", name)
        for room in ROOMS
        for name in importlib.import_module(f"graphbal.{room}").__all__
        if name not in dict.fromkeys(graphbal.__all__)
    ]
    return at_home + elsewhere


def test_import_loads_nothing_heavy():
    code = (
        "import sys, graphbal; "
        "print(*{'numpy', 'scipy', 'pandas', 'numba', 'networkx', 'matplotlib', 'pyarrow', 'rich'}"
        " & set(sys.modules))"
    )
    result = run("-c", code)
    assert (result.returncode, result.stdout.strip()) == (0, "")


def test_every_exported_name_is_there():
    assert set(graphbal.__all__) <= set(dir(graphbal))
    for name in graphbal.__all__:
        assert getattr(graphbal, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = graphbal.no_such_name


@pytest.mark.parametrize("order", ["import graphbal.balance, graphbal.topology; ", ""])
def test_functions_win_over_the_modules_of_their_names(order):
    result = run("-c", f"{order}import graphbal as gb; print(gb.balance([[0, 1], [1, 0]]).drop)")
    assert result.stdout.strip() == "0.0"


def test_version_is_that_of_the_distribution():
    try:
        installed = metadata.version("graphbal")
    except metadata.PackageNotFoundError:
        pytest.skip("graphbal is run from its source, not installed")
    assert graphbal.__version__ == installed


def test_version_is_the_cited_and_the_latest_of_the_changelog():
    root = DOCS.parent
    cited = re.search(r"^version: (.+)$", (root / "CITATION.cff").read_text(), re.M)
    latest = re.search(r"^## (\S+)", (root / "CHANGELOG.md").read_text(), re.M)
    assert cited is not None
    assert latest is not None
    assert cited[1] == latest[1] == graphbal.__version__


def test_data_and_type_marker_are_installed():
    home = Path(graphbal.__file__).parent
    assert (home / "py.typed").exists()
    for name in graphbal.list_datasets()["name"]:
        assert (home / "datasets" / f"{name}.csv.gz").exists()


def test_module_runs_as_a_program():
    result = run("-m", "graphbal", "--help")
    assert result.returncode == 0
    for command in ("balance", "topology", "datasets"):
        assert command in result.stdout


@pytest.mark.parametrize(("module", "name"), public_names())
def test_public_name_is_documented(module, name):
    """It has a docstring of its own and a place in the reference."""
    thing = getattr(importlib.import_module(module), name)
    assert inspect.getdoc(thing)
    home = "graphbal" if module in ("graphbal.datasets", "graphbal.io") else module
    homes = (f"currentmodule:: {home}\n", "currentmodule:: graphbal.errors\n")
    pages = [page.read_text() for page in (DOCS / "reference").glob("*.rst")]
    at_home = "".join(page for page in pages if any(each in page for each in homes))
    listed = re.findall(r"^   (\S+)$", at_home, re.M)
    assert name in {entry.rpartition(".")[2] for entry in listed}


def test_every_option_of_the_command_line_is_documented():
    import typer

    from graphbal.cli import app

    text = (DOCS / "command_line.md").read_text()
    program = typer.main.get_command(app)
    for command in program.commands.values():
        assert f"graphbal {command.name}" in text
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("-"):
                    assert re.search(rf"`{option}\b", text), f"{command.name} {option}"


def test_layouts_that_are_recognised_are_documented():
    from graphbal.convert.tables import _PARTNERS, _WEIGHTS

    text = (DOCS / "files.md").read_text().lower()
    for name in {*sum(_PARTNERS, ()), *sum(_WEIGHTS, ())}:
        assert f"`{name}`" in text


def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


def test_readme_says_what_the_worm_says():
    eq = graphbal.balance("celegans")
    vanishing = eq.topology.vanishing_edges
    assert f"{len(vanishing)} of its {eq.original.n_synapses:,} synapses" in README
    assert f"{100 * eq.drop / eq.initial_cost:.1f} % less" in README
    assert f"({eq.initial_cost:,.0f} → {eq.total_cost:,.0f} at p = 2" in README
    assert f"{100 * vanishing['cost'].sum() / eq.drop:.0f} % of the drop" in README
    assert len(graphbal.list_datasets()) == 12
    assert "twelve connectomes" in README
