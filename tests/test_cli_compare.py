"""graphbal compare: what it prints and writes, and how it ends."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from command_line import failure, run

import graphbal as gb
from graphbal import measures
from graphbal.cli import compare as command
from graphbal.compare import null_measures

QUICK = ("relative_drop", "reciprocity")
GIVEN = ("--measures", ",".join(QUICK), "--null", "permute_weights", "--n-null", 19, "--seed", 4)
OPTIONS = {"measures": QUICK, "null": "permute_weights", "n_null": 19, "seed": 4}


def no_constant(text):
    raise AssertionError(f"{text} is no JSON")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return folder, run("compare", "witvliet-1", "witvliet-2", *GIVEN, "-o", folder)


def test_compare_writes_everything_and_says_so(compared):
    folder, result = compared
    assert result.exit_code == 0, result.output
    assert {path.name for path in folder.iterdir()} == {
        *("comparison.csv", "null_values.csv", "samples.jsonl", "summary.json"),
        *(f"comparison_grid.{suffix}" for suffix in ("png", "svg")),
        *(f"null_distribution.{suffix}" for suffix in ("png", "svg")),
    }
    for text in (
        "161 neurons",
        "permute_weights, 19 for each network",
        "relative_drop",
        "0.692967",
    ):
        assert text in result.stdout
    assert str(folder) in result.stdout.replace("\n", "")


def test_the_files_are_what_the_functions_return(compared):
    folder, _ = compared
    networks = ["witvliet-1", "witvliet-2"]
    table = gb.compare(networks, **OPTIONS)
    written = pd.read_csv(folder / "comparison.csv")
    pd.testing.assert_frame_equal(written, table, check_exact=True, check_dtype=False)
    values = pd.read_csv(folder / "null_values.csv")
    pd.testing.assert_frame_equal(values, null_measures(networks, **OPTIONS), check_exact=True)
    facts = json.loads((folder / "summary.json").read_text(), parse_constant=no_constant)
    assert [each["source"] for each in facts["networks"]] == networks
    assert facts["unconverged"] == []
    rows = pd.DataFrame(facts["comparison"])
    np.testing.assert_array_equal(rows["z"].astype(float), table["z"])


def test_json_is_the_summary(compared):
    folder, _ = compared
    result = run("compare", "witvliet-1", "witvliet-2", *GIVEN, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout, parse_constant=no_constant)
    assert facts == json.loads((folder / "summary.json").read_text())
    assert facts["null"] == "permute_weights"
    assert [row["measure"] for row in facts["comparison"]] == 2 * list(QUICK)


def test_without_a_null_model_networks_stand_side_by_side(tmp_path):
    names = [f"witvliet-{k}" for k in range(1, 9)]
    result = run("compare", *names, "--measures", "relative_drop", "-o", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == {
        *("comparison.csv", "samples.jsonl", "summary.json"),
    }
    # Two tables, for as many networks as fit on a line.
    assert result.stdout.count("relative_drop") == 2
    assert all(name in result.stdout for name in names)
    assert "z:" not in result.stdout
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert table.columns.tolist() == ["network", "measure", "value"]
    assert table["network"].tolist() == names


def test_all_sources_are_read_the_same_way(tmp_path):
    for name, weight in (("a", 2), ("b", 3)):
        text = f"from,to,w\nx,y,{weight}\ny,x,1\nx,x,5\n"
        (tmp_path / f"{name}.csv").write_text(text)
    result = run(
        *("compare", tmp_path / "a.csv", tmp_path / "b.csv", "--measures", "initial_cost"),
        *("--pre", "from", "--post", "to", "--weight", "w", "--p", 1, "--drop-self-connections"),
        "--json",
    )
    assert [row["value"] for row in json.loads(result.stdout)["comparison"]] == [3, 4]


def test_an_interrupted_comparison_goes_on(tmp_path, monkeypatch):
    calls = []

    def counted(subject):
        calls.append(subject)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return subject.network.n_neurons

    monkeypatch.setitem(measures.MEASURES, "n_neurons", counted)
    given = ("compare", "witvliet-1", "--measures", "n_neurons", "--null", "rewire", "--n-null", 9)
    result = run(*given, "-q", "-o", tmp_path, "--no-figures")
    assert result.exit_code == 130
    assert "samples.jsonl holds what was finished" in result.stderr
    assert f"-o {tmp_path} goes on" in result.stderr
    assert not (tmp_path / "comparison.csv").exists()
    assert run(*given, "-q", "-o", tmp_path, "--no-figures").exit_code == 0
    assert len(calls) == 8 + 3
    calls[:] = []
    assert run(*given, "-q", "-o", tmp_path, "--no-figures").exit_code == 0
    assert calls == []


def test_interrupted_without_a_folder_it_says_what_would_keep_the_rest(monkeypatch):
    def interrupt(subject):
        raise KeyboardInterrupt

    monkeypatch.setitem(measures.MEASURES, "n_neurons", interrupt)
    result = run("compare", "witvliet-1", "--measures", "n_neurons")
    assert result.exit_code == 130
    assert "with -o DIR, what is finished is kept" in result.stderr


def test_what_does_not_converge_ends_with_3(monkeypatch, tmp_path):
    monkeypatch.setattr(measures, "balance", lambda net: gb.balance(net, tol=1e-300))
    given = ("--measures", "relative_drop", "--null", "rewire", "--n-null", 2)
    result = run("compare", "witvliet-1", *given, "-o", tmp_path)
    assert result.exit_code == 3
    assert "not converged: 3 networks of witvliet-1" in result.stderr
    assert "witvliet-1 itself among them" in result.stderr
    facts = json.loads((tmp_path / "summary.json").read_text(), parse_constant=no_constant)
    assert [each["sample"] for each in facts["unconverged"]] == [-1, 0, 1]
    assert facts["comparison"][0]["value"] is None
    assert math.isnan(pd.read_csv(tmp_path / "comparison.csv")["value"].item())


def test_many_values_go_to_parquet(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_LARGEST_CSV", 10)
    given = ("--measures", "n_synapses", "--null", "permute_weights", "-q", "--no-figures")
    for n_null, suffix in ((11, "parquet"), (10, "csv")):
        run("compare", "witvliet-1", *given, "--n-null", n_null, "-o", tmp_path)
        (file,) = tmp_path.glob("null_values.*")
        assert file.suffix == f".{suffix}"
    run("compare", "witvliet-1", *given, "--n-null", 11, "-o", tmp_path)
    assert pd.read_parquet(tmp_path / "null_values.parquet")["value"].tolist() == 11 * [675]


def test_quiet_is_quiet():
    result = run("compare", "witvliet-1", "--measures", "n_neurons", "-q")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("witvliet-1", "--measures", "weight"), "there is no measure 'weight'"),
        (("witvliet-1", "--null", "shuffle"), "there is no null model 'shuffle'"),
        (("witvliet-1", "nobody"), "no dataset called 'nobody'"),
        (("witvliet-1", "witvliet-1"), "two networks are called 'witvliet-1'"),
        (("witvliet-1", "--neurons", "AVAL"), "witvliet-1: "),
    ],
)
def test_bad_input_is_a_line_and_a_code(given, message):
    assert message in failure("compare", *given)


def test_a_folder_with_another_file_in_place_of_the_record_is_refused(tmp_path):
    (tmp_path / "samples.jsonl").write_text("mine\n")
    assert "is no record of samples" in failure("compare", "witvliet-1", "-o", tmp_path)
    assert (tmp_path / "samples.jsonl").read_text() == "mine\n"
