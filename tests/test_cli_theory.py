"""graphbal flow, modes, perturb and reproduce: what they print, write, and how they end."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
from command_line import failure, run

import graphbal as gb
from graphbal.integrators import Course

PAIR = "pre,post,weight\n{0},{1},2\n{1},{0},1\n"


def values(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def figures(*names):
    return {f"{name}.{suffix}" for name in names for suffix in ("png", "svg")}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two neurons, costs 4 and 1, whose labels need quotes."""
    path = tmp_path_factory.mktemp("pair") / "pair.csv"
    path.write_text(PAIR.format('"b,c"', '"d ""e"""'))
    return path


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """A network with a finite equilibrium."""
    path = tmp_path_factory.mktemp("ring") / "ring.npz"
    gb.write_network(gb.ensembles.ring(12, seed=1), path)
    return path


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A network without."""
    path = tmp_path_factory.mktemp("chain") / "chain.csv"
    path.write_text("pre,post,weight\na,b,2\nb,a,1\nb,c,1\n")
    return path


# ------------------------------------------------------------------ flow


@pytest.fixture(scope="module")
def flowed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flow")
    return folder, run("flow", "celegans", "--until", 0.1, "-o", folder)


def test_flow_writes_everything_and_says_so(flowed):
    folder, result = flowed
    assert result.exit_code == 0, result.output
    assert {path.name for path in folder.iterdir()} == {
        *("trajectory.parquet", "by_time.csv", "potentials.csv", "summary.json"),
        *figures("total_cost_in_time", "gradient_norm_in_time", "potentials_in_time"),
    }
    for text in ("302 neurons", "Finished at t = 0.1", "353771 →", "steps", "passes"):
        assert text in result.stdout


def test_the_files_of_a_flow_are_of_one_trajectory(flowed):
    folder, _ = flowed
    net = gb.load_dataset("celegans")
    trajectory = gb.Trajectory.load(folder / "trajectory.parquet", net)
    table = pd.read_csv(folder / "by_time.csv")
    assert list(table) == ["t", "total_cost", "gradient_norm", "neuron_imbalance"]
    np.testing.assert_array_equal(table.to_numpy()[:, 1:], trajectory.measures)
    end = pd.read_csv(folder / "potentials.csv", index_col="neuron")["potential"]
    np.testing.assert_array_equal(end, trajectory.h[-1])
    facts = json.loads((folder / "summary.json").read_text())
    balanced = net.transform(end.to_numpy())
    assert facts["initial_cost"] == 353771
    assert facts["total_cost"] == pytest.approx(balanced.total_cost)
    assert facts["gradient_norm"] == pytest.approx(np.linalg.norm(balanced.neural_gradients))
    assert facts["initial_gradient_norm"] == pytest.approx(np.linalg.norm(net.neural_gradients))


def test_flow_follows_the_closed_form_at_the_times_asked_for(pair, tmp_path):
    times = (0.01, 0.1, 0.03)
    (tmp_path / "times").write_text("0.01\n0.1\n\n")
    given = ("--t-eval", f"@{tmp_path / 'times'}", "--t-eval", 0.03, "--until", 1)
    result = run("flow", pair, *given, "--rate", 2, "-o", tmp_path, "--no-figures")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "by_time.csv", index_col="t")
    assert table.index.tolist() == [*sorted(times), 1.0]
    for t, cost in table["total_cost"].items():
        # tanh(u/2) = tanh(u₀/2) e^{−4 p c* γ t} with c* = 2, u₀ = log 2, p = 2, γ = 2 (29)
        u = 2 * np.arctanh(np.tanh(np.log(2) / 2) * np.exp(-32 * t))
        assert cost == pytest.approx(4 * np.cosh(u), rel=1e-5)
    assert len(pd.read_csv(tmp_path / "potentials.csv")) == 2


def test_points_are_equally_far_apart(pair, tmp_path):
    run("flow", pair, "--until", 2, "--points", 5, "-q", "-o", tmp_path, "--no-figures")
    assert pd.read_csv(tmp_path / "by_time.csv")["t"].tolist() == [0, 0.5, 1, 1.5, 2]


def test_flow_stops_at_balance_or_ends_with_3(ring, chain):
    facts = values(run("flow", ring, "--until-balanced", 1e-5, "--json"))
    assert facts["converged"]
    assert facts["neuron_imbalance"] == pytest.approx(1e-5)
    assert facts["total_cost"] == pytest.approx(gb.balance(ring).total_cost)
    result = run("flow", chain, "--until-balanced", 1e-5, "--until", 10, "-q")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "Not balanced" in result.stderr


def test_a_perturbation_names_a_synapse_whatever_its_labels(pair, tmp_path):
    given = ("--perturb", '0.5,"b,c","d ""e""",16')
    facts = values(run("flow", pair, "--until", 50, *given, "--json"))
    assert facts["total_cost"] == pytest.approx(2 * np.sqrt(16 * 4 * 1))
    (tmp_path / "list").write_text('0.5, "b,c", "d ""e""", 4\n0.6, "b,c", "d ""e""", 4\n')
    listed = values(
        run("flow", pair, "--until", 50, "--perturb", f"@{tmp_path / 'list'}", "--json")
    )
    assert listed["total_cost"] == pytest.approx(16)


def test_fixed_neurons_stay(ring, tmp_path):
    run("flow", ring, "--until", 5, "--fixed", 3, "-q", "-o", tmp_path, "--no-figures")
    h = pd.read_csv(tmp_path / "potentials.csv", index_col="neuron")["potential"]
    assert h[3] == 0
    assert (h.drop(3) != 0).all()


def test_after_an_interruption_resume_ends_as_if_nothing_had_happened(tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    given = ("--until", 10, "--perturb", "0.01,RIAL,RMDVL,10", "--fixed", "AVBL", "--no-figures")
    assert run("flow", "witvliet-8", *given, "-o", whole).exit_code == 0
    legs = Course.legs

    def interrupted(*args):
        for count, leg in enumerate(legs(*args)):
            if count == 40:
                raise KeyboardInterrupt
            yield leg

    with monkeypatch.context() as patch:
        patch.setattr(Course, "legs", interrupted)
        result = run("flow", "witvliet-8", *given, "-o", cut)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.count("\n") == 1
    assert f"--resume --until 10 -o {cut}" in result.stderr
    assert [path.name for path in cut.iterdir()] == ["trajectory.parquet"]
    again = run("flow", "witvliet-8", "--resume", "--until", 10, "-o", cut, "--no-figures")
    assert again.exit_code == 0, again.output
    for name in ("by_time.csv", "potentials.csv"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_resume_reports_the_times_that_had_not_come(pair, tmp_path):
    given = ("-q", "-o", tmp_path, "--no-figures")
    run("flow", pair, "--until", 1, "--points", 3, *given)
    run("flow", pair, "--until", 2, "--resume", "--points", 3, *given)
    assert pd.read_csv(tmp_path / "by_time.csv")["t"].tolist() == [0, 0.5, 1, 1.5, 2]


def test_an_interruption_without_a_folder_is_one_line(pair, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("graphbal.flow"), "flow", interrupted)
    result = run("flow", pair, "--until", 1)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (130, "", 1)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["--until", -1], "last time must come after the first"),
        (["--until", 0], "last time must come after the first"),
        (["--until", "inf"], "finite"),
        (["--until", "inf", "--points", 3], "finite"),
        (["--until", 1, "--t-eval", 2], "outside the span 0 to 1"),
        (["--until", 1, "--t-eval", "soon"], "'soon'"),
        (["--until", 1, "--t-eval", "@nolist"], "nolist"),
        (["--until", 1, "--rate", 0], "rate"),
        (["--until", 1, "--fixed", 17], "17"),
        (["--until", 1, "--fixed", "AVAL"], "AVAL"),
        (["--until", 1, "--perturb", "0.5,1,5,2"], "no synapse 1 → 5"),
        (["--until", 1, "--perturb", "0.5,1,99,2"], "99"),
        (["--until", 1, "--perturb", "0.5,1,2,-3"], "-3"),
        (["--until", 1, "--perturb", "0.5,1,2,nan"], "nan"),
        (["--until", 1, "--perturb", "0.5,1,2,x"], "'x'"),
        (["--until", 1, "--perturb", "1.5,1,2,3"], "1.5"),
        (["--until", 1, "--perturb", "1,2,3"], "TIME,PRE,POST,FACTOR"),
        (["--until", 1, "--perturb", '0.5,"1,2,3'], "double quotes"),
        (["--until", 1, "--perturb", ".5,1,2,3", "--perturb", "0.5,1,2,4"], "twice"),
        (["--until-balanced", 0], "until_balanced"),
        (["--resume", "--until", 1, "-o", "nowhere"], "no trajectory to go on from"),
    ],
)
def test_bad_input_to_flow_is_one_line_that_names_the_place(
    arguments, place, ring, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert place in failure("flow", ring, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_trajectory_of_another_network_is_not_gone_on_from(pair, ring, tmp_path):
    run("flow", pair, "--until", 1, "-q", "-o", tmp_path, "--no-figures")
    given = ("--resume", "--until", 2, "-o", tmp_path)
    assert "another network" in failure("flow", ring, *given)
    assert "another cost" in failure("flow", pair, *given, "--p", 1)
    assert "after the first" in failure("flow", pair, "--resume", "--until", 1, "-o", tmp_path)
    assert "--until T" in failure("flow", pair, "--resume", "-o", tmp_path)


def test_a_flow_that_never_comes_to_balance_needs_an_end(chain):
    assert "no finite equilibrium" in failure("flow", chain, "--until-balanced", 1e-3)
    given = ("--fixed", "a", "--fixed", "c", "--until-balanced", 1e-3, "--json")
    assert values(run("flow", chain, *given))["converged"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--resume", "--until", 1],
        ["--resume", "--until", 1, "-o", "x", "--rate", 2],
        ["--until", 1, "--points", 1],
        ["--until", 1, "--points", 3, "--t-eval", 0.5],
        ["--until-balanced", 1e-3, "--points", 3],
    ],
)
def test_wrong_usage_of_flow_ends_with_2(arguments, ring):
    assert run("flow", ring, *arguments).exit_code == 2


# ------------------------------------------------------------------ modes


def test_modes_are_those_of_the_dense_laplacian(tmp_path):
    result = run("modes", "witvliet-1", "-k", 4, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == {
        *("eigenvalues.csv", "modes.csv", "summary.json"),
        *figures("time_constants", "mode_entries"),
    }
    c = gb.load_dataset("witvliet-1").costs.toarray()
    np.fill_diagonal(c, 0)
    dense = np.linalg.eigvalsh(np.diag(c.sum(0) + c.sum(1)) - c - c.T)
    n_zero = int((dense < 1e-9).sum())
    table = pd.read_csv(tmp_path / "eigenvalues.csv")
    np.testing.assert_allclose(table["eigenvalue"], dense[n_zero : n_zero + 4])
    np.testing.assert_allclose(table["time_constant"], 1 / (2 * table["eigenvalue"]))
    modes = pd.read_csv(tmp_path / "modes.csv", index_col="neuron")
    assert list(modes) == [f"v{number}" for number in table["mode"]]
    assert modes.abs().idxmax().tolist() == table["peak"].tolist()
    facts = json.loads((tmp_path / "summary.json").read_text())
    assert facts["zero_eigenvalues"] == n_zero
    assert [mode["eigenvalue"] for mode in facts["modes"]] == table["eigenvalue"].tolist()
    for text in ("4 slow", "as given", table["peak"][0]):
        assert text in result.stdout


def test_modes_of_the_balanced_network_and_the_fast_ones(ring):
    given = ("modes", ring, "-k", 2, "--json")
    for options, state, which in (
        (("--balanced",), gb.balance(ring).network, "slow"),
        (("--which", "fast"), gb.as_network(ring), "fast"),
        (("--fixed", 3), gb.as_network(ring), "slow"),
    ):
        fixed = [3] if "--fixed" in options else None
        expected = gb.eigenmodes(state, 2, which, fixed=fixed).eigenvalues
        found = [mode["eigenvalue"] for mode in values(run(*given, *options))["modes"]]
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("k", [0, -1, 12, 10**9])
def test_more_modes_than_there_are_is_one_line_that_names_the_limit(k, ring):
    message = failure("modes", ring, "-k", k)
    assert str(k) in message
    assert "11" in message


# ------------------------------------------------------------------ perturb


def test_perturb_writes_what_changes_from_balance_to_balance(tmp_path):
    result = run("perturb", "witvliet-8", "--synapse", "RIAL,RMDVL,10", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == {
        *("neurons.csv", "synapses.csv", "by_time.csv", "summary.json"),
        *figures("costs_in_time", "gradient_norm_in_time", "exact_against_linear"),
    }
    before = gb.balance("witvliet-8").network
    perturbed = gb.perturb(before, {("RIAL", "RMDVL"): 10})
    after = gb.balance(perturbed)
    neurons = pd.read_csv(tmp_path / "neurons.csv", index_col="neuron")
    np.testing.assert_allclose(neurons["change"], after.potentials, atol=1e-8)
    synapses = pd.read_csv(tmp_path / "synapses.csv")
    for column, net in zip(
        ("cost_before", "cost_perturbed", "cost_after"),
        (before, perturbed, after.network),
        strict=True,
    ):
        np.testing.assert_allclose(synapses[column], net.costs.data, rtol=1e-6)
    assert pd.read_csv(tmp_path / "by_time.csv")["neuron_imbalance"].iloc[-1] <= 1e-6
    most = neurons["change"].abs().idxmax()
    assert result.stdout.split("Neurons that move most")[1].split("\n")[4].split()[0] == most


def test_the_prediction_is_good_for_small_perturbations(ring, tmp_path):
    errors = []
    for factor in (1.02, 1.01):
        given = ("--synapse", f"1,2,{factor}", "--json", "-o", tmp_path, "--no-figures")
        errors.append(values(run("perturb", ring, *given))["prediction_error"])
    assert errors[1] < 0.01
    assert errors[0] == pytest.approx(2 * errors[1], rel=0.05)  # its error is of first order


def test_several_synapses_and_absolute_costs(ring):
    net = gb.balance(ring).network
    given = ("--synapse", "1,2,3", "--synapse", "7,6,0.5", "--absolute", "--json")
    facts = values(run("perturb", ring, *given))
    expected = gb.perturb(net, {(1, 2): 3.0, (7, 6): 0.5}, absolute=True)
    assert facts["cost_perturbed"] == pytest.approx(expected.total_cost)
    assert facts["cost_after"] == pytest.approx(gb.balance(expected).total_cost)


def test_a_silenced_synapse_has_no_prediction(ring, tmp_path):
    given = ("--synapse", "1,2,0", "--json", "-o", tmp_path)
    assert values(run("perturb", ring, *given))["prediction_error"] is None
    assert list(pd.read_csv(tmp_path / "neurons.csv")) == ["neuron", "change"]
    assert not (tmp_path / "exact_against_linear.png").exists()


@pytest.mark.parametrize(
    ("synapses", "place"),
    [
        (["1,5,2"], "no synapse 1 → 5"),
        (["1,99,2"], "99"),
        (["1,2,-1"], "-1"),
        (["1,2,inf"], "inf"),
        (["1,2,much"], "'much'"),
        (["1,2"], "PRE,POST,FACTOR"),
        (["1,2,3", "1,2,4"], "twice"),
        (["@nolist"], "nolist"),
    ],
)
def test_bad_input_to_perturb_is_one_line_that_names_the_place(synapses, place, ring):
    assert place in failure("perturb", ring, *(t for each in synapses for t in ("--synapse", each)))


def test_a_synapse_that_vanishes_cannot_be_perturbed(chain):
    assert "b → c costs nothing" in failure("perturb", chain, "--synapse", "b,c,2")


# ------------------------------------------------------------------ reproduce


def test_reproduce_writes_one_figure_into_the_folder(tmp_path):
    result = run("reproduce", "fig3", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    claims = json.loads((tmp_path / "claims.json").read_text())
    assert (tmp_path / "fig3.png").exists()
    assert result.stdout.count(" yes ") == len(claims)


def test_reproduce_ends_with_3_where_a_claim_does_not_hold(tmp_path, monkeypatch):
    figures_room = importlib.import_module("graphbal.figures")

    def reproduced(name, folder, preset, seed, progress):
        claims = [
            {"claim": "one", "measured": 1.0, "expected": 1.0, "holds": True},
            {
                "claim": "two",
                "measured": 1.0,
                "expected": "at most 0",
                "holds": name in ("fig1", "fig2"),
            },
        ]
        return figures_room.Reproduction(name, pd.DataFrame(claims), (folder / "claims.json",))

    monkeypatch.setattr(figures_room, "reproduce", reproduced)
    result = run("reproduce", "all", "-o", tmp_path, "--json")
    assert result.exit_code == 3
    assert "3 claim(s)" in result.stderr
    facts = json.loads(result.stdout)
    assert [claim["holds"] for claim in facts["fig5"]] == [True, False]
    assert list(facts) == list(figures_room.FIGURES)
    assert str(tmp_path / "fig5") in run("reproduce", "fig5", "fig2", "-o", tmp_path).stdout
    assert run("reproduce", "fig2", "fig2", "-o", tmp_path).exit_code == 0


def test_reproduce_takes_a_preset_and_a_seed(tmp_path, monkeypatch):
    figures_room = importlib.import_module("graphbal.figures")
    assert "'fast'" in failure("reproduce", "fig1", "-o", tmp_path / "x", "--preset", "fast")
    assert "seed is -1" in failure("reproduce", "fig1", "-o", tmp_path / "x", "--seed", "-1")
    asked = {}

    def reproduced(name, folder, **options):
        asked[name] = options
        claims = pd.DataFrame({"claim": [], "measured": [], "expected": [], "holds": []})
        return figures_room.Reproduction(name, claims, (folder / "claims.json",))

    monkeypatch.setattr(figures_room, "reproduce", reproduced)
    options = ("--preset", "quick", "--seed", "3")
    assert run("reproduce", "fig1", "-o", tmp_path, *options).exit_code == 0
    assert asked == {"fig1": {"preset": "quick", "seed": 3, "progress": False}}


def test_an_unknown_figure_is_one_line_and_nothing_is_drawn(tmp_path):
    assert "fig7" in failure("reproduce", "fig3", "fig7", "-o", tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert run("reproduce", "fig3").exit_code == 2
