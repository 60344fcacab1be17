"""The command line: what it prints, what it writes, and how it ends."""

import importlib
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from command_line import failure, run

import graphbal as gb
from graphbal import cli

FIGURES = {
    f"{name}.{suffix}"
    for name in ("cost_before_after", "incoming_outgoing", "potential_distribution")
    for suffix in ("png", "svg")
}
BIG = 720575940600000000  # of the size of a FlyWire id: a float would round it


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "synapses.csv"
    rows = [(1, 2, 5), (2, 1, 1), (2, 2, 9), (2, 1, 3), (1, 3, 2)]
    rows = [(BIG + pre, BIG + post, weight) for pre, post, weight in rows]
    pd.DataFrame(rows, columns=["pre", "post", "weight"]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def worm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worm")
    return folder, run("balance", "celegans", "-o", folder)


# ------------------------------------------------------------------ balance


def test_balance_writes_everything_and_says_so(worm):
    folder, result = worm
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    written = {path.name for path in folder.iterdir()}
    assert written == FIGURES | {"potentials.csv", "edges.csv", "summary.json"}
    for text in ("302 neurons", "3,709 synapses", "353771", "bounds", "imbalance", "newton"):
        assert text in result.stdout
    assert all((folder / name).stat().st_size > 1000 for name in FIGURES)


def test_the_files_hold_the_equilibrium(worm):
    folder, _ = worm
    eq = gb.balance("celegans")
    neurons = pd.read_csv(folder / "potentials.csv", index_col="neuron")
    np.testing.assert_allclose(neurons["potential"], eq.potentials, atol=1e-9)
    assert list(neurons.index) == list(eq.original.neurons)
    edges, expected = pd.read_csv(folder / "edges.csv"), eq.edges()
    assert list(edges.columns) == list(expected.columns)
    for name in edges:
        if edges[name].dtype.kind == "f":
            np.testing.assert_allclose(edges[name], expected[name], rtol=1e-7)
        else:
            assert (edges[name].to_numpy() == expected[name].to_numpy()).all()


def test_what_is_printed_is_what_changed_most(worm):
    folder, result = worm
    edges = pd.read_csv(folder / "edges.csv")
    change = (edges["balanced_cost"] - edges["cost"]).abs()
    most = edges.loc[change.idxmax()]
    h = pd.read_csv(folder / "potentials.csv", index_col="neuron")["potential"]
    potentials, synapses = result.stdout.split("Largest potentials")[1].split("Synapses that")
    first_row = potentials.splitlines()[4].split()
    assert first_row[0] == h.abs().idxmax()
    assert float(first_row[1]) == pytest.approx(h[h.abs().idxmax()], abs=1e-4)
    assert synapses.splitlines()[4].split()[:2] == [most["pre"], most["post"]]


def test_json_is_the_summary_and_nothing_else(worm, tmp_path):
    folder, _ = worm
    result = run("balance", "celegans", "--json", "-o", tmp_path, "--no-figures")
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert printed == json.loads((tmp_path / "summary.json").read_text())
    before = json.loads((folder / "summary.json").read_text())
    assert {**printed, "seconds": 0} == {**before, "seconds": 0}
    assert printed["source"] == "celegans"
    assert printed["initial_cost"] == 353771
    assert not FIGURES & {path.name for path in tmp_path.iterdir()}


def test_quiet_prints_nothing(tmp_path):
    result = run("balance", "witvliet-1", "-q", "-o", tmp_path, "--no-figures")
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "summary.json").exists()


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("balance", "witvliet-1").exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_options_reach_the_network(table):
    facts = json.loads(
        run("balance", table, "--json", "--p", 1, "--alpha", 2, "--min-synapses", 3).stdout
    )
    assert (facts["p"], facts["synapses"]) == (1, 3)
    assert facts["initial_cost"] == 2 * (5 + 4 + 9)
    assert facts["intake"] == {
        "repeated": 1,
        "zeros": 0,
        "below_threshold": 1,
        "self_connections": 0,
        "outside_subset": 0,
    }
    facts = json.loads(
        run(
            *("balance", table, "--json", "--drop-self-connections"),
            *("--neurons", BIG + 1, "--neurons", BIG + 2),
        ).stdout
    )
    assert facts["neurons"] == facts["synapses"] == 2
    assert facts["total_cost"] == pytest.approx(2 * 5 * 4)
    pd.read_csv(table).rename(columns={"pre": "a", "post": "b", "weight": "c"}).to_csv(table)
    named = (
        "--pre",
        "b",
        "--post",
        "a",
        "--weight",
        "c",
        "--neurons",
        BIG + 3,
        "--neurons",
        BIG + 1,
    )
    assert json.loads(run("balance", table, "--json", *named).stdout)["initial_cost"] == 4


def test_fixed_neurons_may_stand_in_a_file(table, tmp_path):
    listed = tmp_path / "ends.txt"
    listed.write_text(f"{BIG + 1}\n\n {BIG + 3} \n", encoding="utf-8-sig")
    by_file = json.loads(run("balance", table, "--json", "--fixed", f"@{listed}").stdout)
    by_name = json.loads(
        run("balance", table, "--json", "--fixed", BIG + 1, "--fixed", BIG + 3).stdout
    )
    assert by_file["fixed"] == 2
    assert by_file["is_finite"]
    assert by_file["total_cost"] == by_name["total_cost"] == pytest.approx(81 + 4 + 2 * 20)


def test_64_bit_ids_are_written_exactly(table, tmp_path, monkeypatch):
    for largest_csv, name in ((10, "edges.csv"), (3, "edges.parquet")):
        monkeypatch.setattr(cli._output, "_LARGEST_CSV", largest_csv)
        assert run("balance", table, "-o", tmp_path / "out", "--no-figures").exit_code == 0
        read = pd.read_csv if name.endswith("csv") else pd.read_parquet
        edges = read(tmp_path / "out" / name)
        assert edges["pre"].tolist() == [BIG + 2, BIG + 1, BIG + 2, BIG + 1]
        assert edges["post"].tolist() == [BIG + 1, BIG + 2, BIG + 2, BIG + 3]
        assert edges["vanishes"].tolist() == [False, False, False, True]
        # Only the edges of this run are there, not those of the run before.
        assert len(list((tmp_path / "out").glob("edges.*"))) == 1


def test_parquet_holds_the_same_edges_whatever_the_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(cli._output, "_LARGEST_CSV", 0)
    expected = gb.balance("witvliet-3").edges()
    for rows in (1, 100, 10**6):
        monkeypatch.setattr(cli._output, "_ROWS_AT_ONCE", rows)
        assert run("balance", "witvliet-3", "-o", tmp_path, "--no-figures").exit_code == 0
        edges = pd.read_parquet(tmp_path / "edges.parquet")
        pd.testing.assert_frame_equal(edges, expected, check_dtype=False, rtol=1e-7)


def test_labels_of_any_kind_are_written_and_printed(tmp_path):
    source = tmp_path / "graph.json"
    labels = ["[bold]a[/bold]", "b,c", 'd"e', "→"]
    links = [(labels[k], labels[(k + 1) % 4], k + 1.0) for k in range(4)]
    pd.DataFrame(links, columns=["pre", "post", "weight"]).to_csv(tmp_path / "g.csv", index=False)
    result = run("balance", tmp_path / "g.csv", "-o", tmp_path / "out", "--no-figures")
    assert "[bold]a[/bold]" in result.stdout
    assert set(pd.read_csv(tmp_path / "out" / "potentials.csv")["neuron"]) == set(labels)
    source.write_text(
        json.dumps(
            {
                "directed": True,
                "multigraph": False,
                "graph": {},
                "nodes": [{"id": ["AVA", "L"]}, {"id": 7}],
                "links": [
                    {"source": ["AVA", "L"], "target": 7, "weight": 2},
                    {"source": 7, "target": ["AVA", "L"], "weight": 1},
                ],
            }
        )
    )
    assert run("balance", source, "-o", tmp_path / "out", "--no-figures").exit_code == 0
    assert set(pd.read_csv(tmp_path / "out" / "potentials.csv")["neuron"]) == {"('AVA', 'L')", "7"}


def test_an_unreachable_tolerance_ends_with_3_and_still_writes(tmp_path):
    result = run("balance", "celegans", "--tol", "1e-300", "-q", "-o", tmp_path, "--no-figures")
    assert result.exit_code == 3
    assert "not converged" in result.stderr.lower()
    assert not json.loads((tmp_path / "summary.json").read_text())["converged"]
    assert (tmp_path / "edges.csv").exists()


def test_an_interrupt_ends_with_130_and_one_line(monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("graphbal.balance"), "balance", interrupted)
    result = run("balance", "celegans")
    assert result.exit_code == 130
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)


def test_an_interrupted_write_leaves_the_old_files_whole(tmp_path, monkeypatch):
    assert run("balance", "witvliet-1", "-o", tmp_path, "--no-figures").exit_code == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    batches = cli._output._batches

    def interrupted(*args):
        yield next(batches(*args))
        raise KeyboardInterrupt

    monkeypatch.setattr(cli._output, "_batches", interrupted)
    result = run("balance", "witvliet-1", "-o", tmp_path, "--p", 1, "--no-figures")
    assert result.exit_code == 130
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    assert after["edges.csv"] == before["edges.csv"]
    assert after["summary.json"] == before["summary.json"]


def test_figures_are_the_same_files_each_time(worm, tmp_path):
    folder, _ = worm
    run("balance", "celegans", "-q", "-o", tmp_path)
    for name in FIGURES:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


# ------------------------------------------------------------------ bad input


def test_an_unknown_source_suggests_the_nearest_dataset():
    message = failure("balance", "celgans")
    assert "did you mean 'celegans'?" in message
    assert "witvliet-8" in message
    assert "did you mean" not in failure("topology", "zebra")


def test_a_file_wins_over_a_dataset_and_a_folder_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "celegans").mkdir()
    assert json.loads(run("balance", "celegans", "--json").stdout)["neurons"] == 302
    (tmp_path / "celegans").rmdir()
    (tmp_path / "celegans").write_text("pre,post,weight\na,b,1\nb,a,2\n")
    facts = json.loads(run("balance", "celegans", "--format", "csv", "--json").stdout)
    assert facts["neurons"] == 2


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["nofile.csv"], "nofile.csv"),
        (["."], "folder"),
        (["TABLE", "--fixed", "17"], "17"),
        (["TABLE", "--fixed", "AVAL"], "AVAL"),
        (["celegans", "--fixed", "AVAX"], "AVAX"),
        (["TABLE", "--neurons", "@nolist.txt"], "nolist.txt"),
        (["TABLE", "--pre", "sender"], "sender"),
        (["TABLE", "--format", "odt"], "odt"),
        (["TABLE", "--tol", "-1"], "tol"),
        (["TABLE", "--p", "0"], "p is 0"),
        (["TABLE", "--alpha", "-2"], "-2"),
        (["TABLE", "--on-infeasible", "raise"], str(BIG + 3)),
        (["TABLE", "--pre", "pre", "--post", "post", "--weight", "pre"], "named twice"),
        (["TABLE", "-o", "TABLE"], "synapses.csv"),
    ],
)
def test_bad_input_is_one_line_that_names_the_place(arguments, place, table):
    message = failure("balance", *(table if a == "TABLE" else a for a in arguments))
    assert place in message


def test_a_list_of_neurons_that_is_not_text_is_named(table, tmp_path):
    (tmp_path / "list").write_bytes(b"\xff\xfe\x00")
    assert "list" in failure("balance", table, "--fixed", f"@{tmp_path / 'list'}")


@pytest.mark.parametrize(
    "arguments", [["balance"], ["balance", "celegans", "--solver", "magic"], ["dance"], []]
)
def test_wrong_usage_ends_with_2(arguments):
    assert run(*arguments).exit_code == 2


# ------------------------------------------------------------------ the other commands


def test_topology_says_what_vanishes(table, tmp_path):
    result = run("topology", table, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "vanishing synapses: 1" in result.stdout
    facts = json.loads((tmp_path / "out" / "topology.json").read_text())
    assert not facts["is_balanceable"]
    assert (facts["components"], facts["largest_component"], facts["blocks"]) == (2, 2, 1)
    assert (facts["self_connections"], facts["vanishing_synapses"]) == (1, 1)
    vanishing = pd.read_csv(tmp_path / "out" / "vanishing.csv")
    assert vanishing[["pre", "post"]].to_numpy().tolist() == [[BIG + 1, BIG + 3]]
    neurons = pd.read_csv(tmp_path / "out" / "components.csv", index_col="neuron")
    # ½‖q‖² is least under q₃ − q₁ = 1, q₁ = q₂ at these values.
    np.testing.assert_allclose(neurons.loc[[BIG + 1, BIG + 3], "divergence_rate"], [-1 / 3, 2 / 3])


def test_topology_of_fixed_ends_is_balanceable(table):
    fixed = ("--fixed", BIG + 1, "--fixed", BIG + 3)
    facts = json.loads(run("topology", table, "--json", *fixed).stdout)
    assert facts["is_balanceable"]
    assert facts["fixed"] == 2
    assert "on a path between fixed neurons" in run("topology", table, *fixed).stdout


def test_datasets_lists_sizes_and_sources():
    text = run("datasets").stdout
    for name, doi in (("celegans", "s41586-019-1352-7"), ("witvliet-8", "s41586-021-03778-8")):
        assert name in text
        assert f"https://doi.org/10.1038/{doi}" in text
    listed = json.loads(run("datasets", "--json").stdout)
    assert [entry["name"] for entry in listed] == gb.list_datasets()["name"].tolist()


# ------------------------------------------------------------------ as a program


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys; from graphbal.cli import main; sys.argv = ['graphbal', {!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({{'numpy', 'pandas', 'scipy', 'numba', 'matplotlib'}} & set(sys.modules)))"
    )
    for option, expected in (("--help", "balance"), ("--version", gb.__version__)):
        done = subprocess.run(
            [sys.executable, "-c", code.format(option)], capture_output=True, text=True, check=True
        )
        assert expected in done.stdout
        assert done.stdout.endswith("[]\n")


def test_python_m_graphbal_is_the_command_line_even_on_an_ascii_terminal():
    done = subprocess.run(
        [sys.executable, "-m", "graphbal", "balance", "witvliet-1"],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)},
        check=True,
    )
    assert b"161 neurons" in done.stdout
    assert done.stderr == b""


# ------------------------------------------------------------------ completion


def completed(shell, line):
    """Return what a shell is told when the tab key is pressed at the end of a line."""
    words = line.split(" ")
    told = {
        "_GRAPHBAL_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
    }
    code = (
        "import sys, graphbal.cli; sys.argv = ['graphbal']\n"
        "try: graphbal.cli.main()\n"
        "finally: print({'numpy', 'pandas', 'scipy'} & set(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | told,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stderr.strip() == "set()"  # the tab key waits for nothing heavy
    return result.stdout.strip()


@pytest.mark.parametrize("command", ["balance", "topology", "flow --until 3", "compare celegans"])
def test_names_of_datasets_are_completed(command):
    names = [name for name in gb.list_datasets()["name"] if name.startswith("witvliet-")]
    assert len(names) == 8
    assert completed("bash", f"graphbal {command} witvliet-").split() == names


def test_completion_speaks_to_each_shell_and_leaves_files_to_it():
    assert completed("bash", "graphbal bal") == "balance"
    assert completed("zsh", "graphbal bal").startswith('_arguments \'*: :(("balance"')
    assert completed("bash", "graphbal balance ./no") == ""
    assert completed("zsh", "graphbal balance ./no") == "_files"
    assert "--on-infeasible" in completed("bash", "graphbal balance celegans --on")
