"""Comparison: p-values, the same numbers however they are computed, and nothing measured twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import graphbal as gb
from graphbal import measures
from graphbal.compare import comparison, null_measures
from graphbal.errors import ConvergenceWarning, InputError

QUICK = ("relative_drop", "initial_imbalance", "reciprocity")


def small(seed, n=12, density=0.4):
    """A network of n neurons whose costs are all different."""
    rng = np.random.default_rng(seed)
    return gb.as_network(rng.lognormal(size=(n, n)) * (rng.random((n, n)) < density))


def shuffled(network, seed=0):
    """A null model: the weights permuted over the synapses."""
    values = np.random.default_rng(seed).permutation(network.weights.data)
    return network.with_weights(values)


def same(one, other):
    pd.testing.assert_frame_equal(one, other, check_exact=True)


# ------------------------------------------------------------------ statistics


def test_p_values_and_z_are_those_of_the_samples():
    networks = {"a": small(1), "b": small(2)}
    found = comparison(networks, QUICK, null="permute_weights", n_null=30, seed=5)
    assert list(found.table) == [
        *("network", "measure", "value", "null", "n_null", "null_mean", "null_sd"),
        *("z", "p_value", "p_adjusted"),
    ]
    samples = found.null_values.set_index(["network", "measure"])["value"]
    for row in found.table.itertuples():
        assert row.value == measures.MEASURES[row.measure](networks[row.network])
        own = samples[row.network, row.measure].to_numpy()
        if row.measure == "reciprocity":  # which the null model keeps
            assert (row.null_sd, row.p_value) == (0, 1)
            assert np.isnan(row.z)
            continue
        assert row.z == pytest.approx((row.value - own.mean()) / own.std(ddof=1))
        expected = stats.monte_carlo_test(
            [row.value], lambda size, own=own: own.reshape(size), np.sum, n_resamples=30
        )
        assert row.p_value == pytest.approx(expected.pvalue)


def test_adjusted_p_values_are_those_of_the_step_up_procedure():
    table = gb.compare([small(1), small(2)], QUICK, null="rewire", n_null=60)
    p, q = table["p_value"].to_numpy(), table["p_adjusted"].to_numpy()
    for level in np.unique(q):
        ranked = np.sort(p)
        passed = ranked <= level * np.arange(1, p.size + 1) / p.size * (1 + 1e-12)
        accepted = ranked[passed].max() if passed.any() else 0
        np.testing.assert_array_equal(q <= level, p <= accepted)


@pytest.mark.parametrize("null", ["permute_weights", "rewire"])
def test_p_values_of_null_networks_are_uniform(null):
    """500 networks drawn from a null model, each compared with its own null model."""

    def imbalance(subject):
        costs = subject.network.costs
        return np.abs(costs.sum(axis=1) - costs.sum(axis=0)).sum()

    base, n = small(0, density=0.5), 9
    drawn = ((str(k), net) for k, net in enumerate(gb.nulls.null_networks(base, null, 500, seed=7)))
    table = gb.compare(drawn, imbalance, null=null, n_null=n, seed=11)
    assert table["value"].nunique() == 500
    # P comes in steps of 2 / (n + 1); within each, uniform noise makes it continuous.
    step = 2 / (n + 1)
    assert set(table["p_value"].round(9)) == set((step * np.arange(1, 6)).round(9))
    noise = np.random.default_rng(3).random(500)
    assert stats.kstest(table["p_value"] - step * noise, "uniform").pvalue > 0.01


def test_rounding_is_no_difference():
    """A permutation keeps the total cost, but for the order of a sum."""
    net = small(3)
    samples = null_measures(net, "initial_cost", null="permute_weights", n_null=50)["value"]
    assert samples.min() < samples.max()
    (row,) = gb.compare(net, "initial_cost", null="permute_weights", n_null=50).itertuples()
    assert (row.null_sd, row.p_value) == (0, 1)


def test_what_is_nan_is_left_out():
    def sometimes(subject):
        data = subject.network.weights.data
        return data[0] if data[0] > np.median(data) else np.nan

    net = gb.as_network(np.array([[0, 3.0, 1.0], [2.0, 0, 4.0], [5.0, 6.0, 0]]))
    found = comparison({"net": net}, [sometimes], null=shuffled, n_null=40)
    (row,) = found.table.itertuples()
    values = found.null_values["value"]
    assert np.isnan(row.value)
    assert np.isnan(row.p_value)
    assert row.n_null == values.count() < 40
    assert row.null_mean == pytest.approx(values.mean())
    assert row.null == "shuffled"


def test_without_a_null_model_networks_are_measured():
    table = gb.compare(["celegans", "witvliet-1"], QUICK)
    assert table.columns.tolist() == ["network", "measure", "value"]
    assert table["network"].tolist() == ["celegans"] * 3 + ["witvliet-1"] * 3
    assert gb.compare("witvliet-1")["measure"].tolist() == list(measures.DEFAULT)


# ------------------------------------------------------------------ the same numbers


def test_numbers_do_not_depend_on_the_number_of_workers():
    def drawn(network, seed):  # functions that only this process knows
        return shuffled(network, seed)

    def highest(subject):
        return subject.equilibrium.h.max()

    options = {"measures": [*measures.DEFAULT, highest], "null": drawn, "n_null": 5, "seed": 2}
    one = comparison(["witvliet-1", "witvliet-2"], **options)
    two = comparison(["witvliet-1", "witvliet-2"], workers=2, **options)
    same(one.null_values, two.null_values)
    same(one.table, two.table)


def test_a_null_network_depends_on_the_seed_and_its_number_alone():
    def values(networks, n_null, seed):
        return null_measures(networks, QUICK, null="rewire", n_null=n_null, seed=seed)

    few = values({"a": small(1)}, 3, 4)
    more = values({"other": small(2), "a": small(1)}, 5, 4)
    own = more[(more["network"] == "a") & (more["sample"] < 3)].reset_index(drop=True)
    same(own, few)
    assert (values({"a": small(1)}, 3, 5)["value"] != few["value"]).any()


# ------------------------------------------------------------------ nothing twice

COUNTED = """
    import os, pathlib, signal
    folder = pathlib.Path(__file__).parent

    def imbalance(subject):
        with open(folder / "measured", "a") as file:
            file.write("x")
        if (folder / "deadly").exists() and (folder / "measured").stat().st_size == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return subject.network.imbalance
"""


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A measure in a module of its own, and the file that grows by a byte for each call."""
    (tmp_path / "counted_measure.py").write_text(textwrap.dedent(COUNTED))
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("counted_measure", None)
    from counted_measure import imbalance

    (tmp_path / "measured").touch()
    return imbalance, tmp_path / "measured"


def test_what_was_finished_before_a_kill_is_not_measured_again(counted, tmp_path):
    imbalance, calls = counted
    (tmp_path / "deadly").touch()
    code = (
        "import graphbal as gb, counted_measure as c; gb.compare(['witvliet-1', 'witvliet-2'], "
        "c.imbalance, null='rewire', n_null=6, seed=1, checkpoint='samples.jsonl')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert result.returncode == -signal.SIGKILL
    assert calls.stat().st_size == 9  # eight finished, and the one that was under way
    (tmp_path / "deadly").unlink()
    options = {"null": "rewire", "n_null": 6, "seed": 1}
    networks = ["witvliet-1", "witvliet-2"]
    found = comparison(networks, imbalance, checkpoint=tmp_path / "samples.jsonl", **options)
    assert found.measured_now == 2 * 7 - 8
    assert calls.stat().st_size == 9 + 2 * 7 - 8
    same(found.table, gb.compare(networks, imbalance, **options))


def test_more_null_networks_add_to_those_that_are_there(counted, tmp_path):
    imbalance, _ = counted
    file = tmp_path / "samples.jsonl"

    def measured(**changed):
        options = {"null": "rewire", "n_null": 4, "seed": 1} | changed
        networks = options.pop("networks", [small(1)])
        chosen = options.pop("measures", imbalance)
        return comparison(networks, chosen, checkpoint=file, **options).measured_now

    assert measured() == 5
    assert measured() == 0
    assert measured(n_null=7) == 3
    assert measured(n_null=2) == 0
    assert measured(networks={"another name": small(1)}) == 0
    # Anything else is another run, and the file holds both.
    assert measured(seed=2) == 5
    assert measured(null="permute_weights") == 5
    assert measured(null=shuffled) == 5
    assert measured(null=None) == 1
    assert measured(measures={"imbalance": lambda subject: 1.0}) == 5
    assert measured(networks=[small(2)]) == 5
    assert measured(networks=[small(1).with_cost(p=1)]) == 5
    assert measured(networks=[small(1).with_cost(alpha=np.arange(12.0) + 1)]) == 5
    assert measured() == 0


def test_a_torn_line_is_measured_again(tmp_path):
    file = tmp_path / "samples.jsonl"
    options = {"null": "rewire", "n_null": 4, "checkpoint": file}
    whole = comparison(small(1), QUICK, **options)
    text = file.read_bytes()
    for cut in (1, 30, len(text.splitlines()[-1]) - 3):
        file.write_bytes(text[: text.rstrip().rindex(b"\n") + 1 + cut])
        again = comparison(small(1), QUICK, **options)
        assert again.measured_now == 1
        same(again.null_values, whole.null_values)
        assert file.read_bytes() == text


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\x89PNG without end of line", b"[]\n"])
def test_another_file_is_no_checkpoint_and_stays_as_it_is(tmp_path, content):
    file = tmp_path / "precious"
    file.write_bytes(content)
    with pytest.raises(InputError, match="precious is no record of samples"):
        gb.compare(small(1), QUICK, checkpoint=file)
    assert file.read_bytes() == content


def test_values_are_kept_to_the_last_bit(tmp_path):
    odd = [0.1 + 0.2, 5e-324, -0.0, np.nan, np.inf, 2 / 3]
    asked = {str(k): (lambda subject, value=value: value) for k, value in enumerate(odd)}
    first = gb.compare(small(1), asked, checkpoint=tmp_path / "samples")
    found = comparison(small(1), asked, checkpoint=tmp_path / "samples")
    assert found.measured_now == 0
    np.testing.assert_array_equal(found.table["value"], odd)
    same(found.table, first)


# ------------------------------------------------------------------ what is taken


def test_networks_come_from_whatever_holds_them():
    def names(networks):
        return gb.compare(networks, "n_neurons")["network"].unique().tolist()

    matrix = [[0, 1.0], [2.0, 0]]
    assert names({"a": matrix, 3: "witvliet-1"}) == ["a", "3"]
    assert names(["witvliet-1", small(1)]) == ["witvliet-1", "1"]
    assert names([("a", matrix), ("b", matrix)]) == ["a", "b"]
    assert names(matrix) == names(np.array(matrix)) == ["network"]
    assert names([matrix, matrix]) == ["0", "1"]
    assert names((each, each) for each in ("witvliet-1", "witvliet-2")) == [
        "witvliet-1",
        "witvliet-2",
    ]
    assert names(nx.DiGraph([(0, 1)], name="pair")) == ["pair"]


def test_of_an_iterator_only_one_network_is_held():
    taken = []

    def networks():
        for k in range(3):
            taken.append(k)
            yield str(k), small(k)

    at_measuring = []
    gb.compare(networks(), lambda subject: at_measuring.append(len(taken)) or 0.0)
    assert at_measuring == [1, 2, 3]


def test_measures_are_names_and_functions():
    def doubled(subject):
        return 2 * measures.initial_cost(subject)

    table = gb.compare(small(1), ["initial_cost", doubled]).set_index("measure")["value"]
    assert table["doubled"] == 2 * table["initial_cost"]
    named = gb.compare(small(1), {"cost": "initial_cost", "twice": doubled})
    assert named["measure"].tolist() == ["cost", "twice"]


def test_one_equilibrium_serves_all_measures(monkeypatch):
    calls = []
    monkeypatch.setattr(measures, "balance", lambda net: calls.append(net) or gb.balance(net))
    gb.compare(small(1), null="rewire", n_null=3)
    assert len(calls) == 4


def test_what_does_not_converge_is_warned_of(monkeypatch):
    monkeypatch.setattr(measures, "balance", lambda net: gb.balance(net, tol=1e-300))
    with pytest.warns(ConvergenceWarning, match=r"4 network\(s\).* did not converge, of net"):
        table = gb.compare({"net": small(1)}, QUICK, null="rewire", n_null=3)
    table = table.set_index("measure")
    assert np.isnan(table.loc["relative_drop", "value"])
    assert table.loc["relative_drop", "n_null"] == 0
    assert table.loc["reciprocity", "n_null"] == 3
    found = comparison({"net": small(1)}, QUICK, null="rewire", n_null=3)
    assert found.unconverged["sample"].tolist() == [-1, 0, 1, 2]


MATRIX = [[0, 1.0], [2.0, 0]]


@pytest.mark.parametrize(
    ("networks", "options", "message"),
    [
        ({}, {}, "no network was given"),
        ([], {}, "no network was given"),
        (["nobody"], {}, "nobody: there is no file and no dataset called 'nobody'"),
        (["witvliet-1", "witvliet-1"], {}, "two networks are called 'witvliet-1'"),
        (iter([3]), {}, "an iterator must yield pairs"),
        ({"a": [[0, 1.0]]}, {}, "a: "),
        ({"alone": [[0.0]]}, {}, "alone: total_cost: a network of 1 neuron"),
        (MATRIX, {"measures": "weight"}, "there is no measure 'weight'; choose from n_neurons"),
        (MATRIX, {"measures": [3]}, "3 is no measure"),
        (MATRIX, {"measures": []}, "no measure was given"),
        (MATRIX, {"measures": ["n_neurons", "n_neurons"]}, "two measures are called 'n_neurons'"),
        (MATRIX, {"measures": {"a": lambda s: "b"}}, "network: a: this returned 'b'"),
        (MATRIX, {"null": "shuffle"}, "there is no null model 'shuffle'; choose from permute_rows"),
        (MATRIX, {"null": "rewire", "n_null": 0}, "n_null is 0"),
        (MATRIX, {"seed": -1}, "seed is -1"),
        (MATRIX, {"workers": 1.5}, "workers is 1.5"),
        (MATRIX, {"checkpoint": "no/such/folder/x"}, "no folder to be written into"),
    ],
)
def test_bad_input_is_named(networks, options, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        gb.compare(networks, **({"measures": ["total_cost"]} | options))


def test_a_failing_measure_says_where():
    def divide(subject):
        return 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        gb.compare({"net": MATRIX}, divide)
    assert caught.value.__notes__ == ["in net: divide"]
