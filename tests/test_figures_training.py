"""Figure 4: it claims what its tables hold and nothing else, and what was trained is kept."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from graphbal import figures, rnn
from graphbal.figures import fig4
from graphbal.figures.fig4_panels import COSTS

TINY = fig4.Recipe(12, 1, 60, 1e-2, "cosine", (1, 1, 5), 2, 2)


@pytest.fixture(scope="module")
def tiny():
    return fig4.follow(TINY)


@pytest.fixture
def ideal():
    """Return tables as they should come out, made by hand."""
    networks = pd.DataFrame(
        [
            {
                "penalty": penalty,
                "seed": seed,
                "initial_norm": 2.0,
                "final_norm": final,
                "null_1st_percentile": 0.9 * null,
                "rmse": 1.8,
                "cost_before": 3.0,
                "cost_after": 2.7,
                "learns": True,
            }
            for penalty, final, null in ((0.0, 2.02, 2.2), (0.1, 0.8, 1.2), (0.3, 0.2, 0.8))
            for seed in range(5)
        ]
    )
    ends = zip(networks["penalty"], networks["seed"], networks["final_norm"], strict=True)
    curves = pd.DataFrame(
        [
            {"penalty": penalty, "seed": seed, "iteration": k, "gradient_norm": norm}
            for penalty, seed, final in ends
            for k, norm in enumerate(np.linspace(2.0, final, 10))
        ]
    )
    levels = [0.0, 0.03, 0.1, 0.5]
    ratios = pd.DataFrame(
        [
            {"penalty": 0.3, "seed": seed, "level": level, "ratio": ratio, "high": 1.02 * ratio}
            for seed in range(5)
            for level, ratio in zip(levels, (1.0, 0.95, 0.6, 0.9), strict=True)
        ]
    )
    ratios.loc[ratios["level"] == 0, "high"] = 1.0
    return {"networks": networks, "a": curves, "b": ratios}


def broken(data):
    return [claim.claim for claim in fig4.claims(data) if not claim.holds]


def test_all_claims_hold_of_tables_as_they_should_be(ideal):
    assert broken(ideal) == []
    assert len(fig4.claims(ideal)) == 9 + 3 * 5


@pytest.mark.parametrize(
    ("table", "where", "column", "value"),
    [
        ("networks", {"penalty": 0.0}, "initial_norm", 3.0),
        ("networks", {"penalty": 0.0}, "final_norm", 1.5),
        ("a", {"penalty": 0.0, "iteration": 4}, "gradient_norm", 2.5),
        ("networks", {"penalty": 0.3, "seed": 2}, "final_norm", 0.51),
        ("networks", {"penalty": 0.3, "seed": 2}, "null_1st_percentile", 0.19),
        ("networks", {"penalty": 0.1, "seed": 1}, "final_norm", 0.19),
        ("networks", {"penalty": 0.1, "seed": 1}, "final_norm", 2.1),
        ("networks", {"penalty": 0.1, "seed": 4}, "rmse", 2.4),
        ("networks", {"penalty": 0.3, "seed": 0}, "cost_after", 2.9),
        ("networks", {"penalty": 0.3, "seed": 0}, "cost_after", 2.0),
        ("b", {"seed": 3, "level": 0.0}, "ratio", 1.001),
        ("b", {"seed": 3, "level": 0.1}, "high", 0.86),
        ("b", {"seed": 3, "level": 0.1}, "ratio", 0.96),
        ("b", {"seed": 3, "level": 0.5}, "ratio", 1.5),
        ("b", {"seed": 4}, "seed", 3),
    ],
)
@pytest.mark.parametrize("missing", [False, True])
def test_a_wrong_or_missing_number_breaks_a_claim(ideal, table, where, column, value, missing):
    changed = ideal[table].copy()
    rows = np.logical_and.reduce([changed[name] == at for name, at in where.items()])
    assert rows.any()
    changed.loc[rows, column] = np.nan if missing else value
    assert broken({**ideal, table: changed})


def test_a_recipe_that_leaves_the_task_half_learned_claims_no_error(ideal):
    networks = ideal["networks"].assign(learns=False, rmse=5.0)
    assert broken({**ideal, "networks": networks}) == []
    assert not fig4.PRESETS["paper"].learns


def test_the_recipe_of_the_paper_is_the_published_one():
    recipe = fig4.PRESETS["paper"]
    assert (recipe.n, recipe.substeps, recipe.iterations) == (256, 10, 6000)
    assert (recipe.learning_rate, recipe.schedule, recipe.trials) == (5e-3, "constant", 300)
    net = fig4._initial(256, 0)
    for weights in (net.w_rec, net.w_in, net.w_out):
        assert weights.std() == pytest.approx(1 / 16, rel=0.1)
    assert all(
        max(each.networks) >= 5 and min(each.networks) >= 1 for each in fig4.PRESETS.values()
    )


def test_tables_tell_of_every_network_cost_and_level(tiny):
    networks, comparison = tiny["networks"], tiny["comparison"]
    assert list(networks["penalty"]) == [0, 0.1] + 5 * [0.3]
    assert list(networks["seed"]) == [0, 0, 0, 1, 2, 3, 4]
    assert len(comparison) == 7 * len(COSTS) * 8
    assert set(comparison["cost"]) == set(COSTS)
    # Balanced networks compute the same: without noise their loss is that of the original.
    np.testing.assert_allclose(comparison.query("level == 0")["ratio"], 1, rtol=1e-9)
    noisy = comparison.query("level > 0 and penalty == 0.1 and cost == 'floor'")
    mean = np.exp(np.log(noisy["ratio"]).mean())
    found = tiny["c"].query("penalty == 0.1 and cost == 'floor'")["mean_ratio"].item()
    assert found == pytest.approx(mean)
    assert set(tiny["b"]["seed"]) == {0, 1, 2, 3, 4}


def test_norms_and_null_are_those_of_the_costs(tiny):
    row = tiny["networks"].iloc[0]
    before = fig4._initial(12, 0).w_rec ** 2
    apart = before.sum(axis=1) - before.sum(axis=0)
    assert row["initial_norm"] == pytest.approx(np.linalg.norm(apart))
    first = tiny["a"].query("penalty == 0 and iteration == 0")["gradient_norm"].item()
    assert first == pytest.approx(row["initial_norm"], rel=1e-5)
    # The null permutes whole rows: its mean square is that of independent pairs.
    trained = rnn.train(fig4._initial(12, 0), fig4._TASK, 60, learning_rate=1e-2, schedule="cosine")
    costs = trained.network.w_rec**2
    received, sent = costs.sum(axis=1), costs.sum(axis=0)
    square = (received**2).sum() + (sent**2).sum() - 2 * received.sum() * sent.sum() / 12
    assert row["null_mean"] ** 2 + row["null_sd"] ** 2 == pytest.approx(square, rel=0.02)


def test_the_same_weights_for_every_penalty_and_the_same_numbers_again(tiny):
    starts = tiny["networks"].query("seed == 0")["initial_norm"]
    assert len(starts) == 3
    assert (starts == starts.iloc[0]).all()
    again = fig4.follow(TINY)
    for name, table in tiny.items():
        pd.testing.assert_frame_equal(table, again[name])
    other = fig4.follow(TINY, seed=9)
    assert not other["networks"].equals(tiny["networks"])


def test_what_was_trained_and_tested_is_kept_and_an_interruption_costs_little(
    tmp_path, tiny, monkeypatch
):
    folder = tmp_path / "training"
    measure, calls = rnn.loss_against_noise, itertools.count(1)

    def stopping_at(call):
        def measured(*arguments, **settings):
            if next(calls) == call:
                raise KeyboardInterrupt
            return measure(*arguments, **settings)

        return measured

    monkeypatch.setattr(rnn, "loss_against_noise", stopping_at(6))
    with pytest.raises(KeyboardInterrupt):
        fig4.follow(TINY, folder=folder, name="tiny")
    trained = {path: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    assert len(trained) == 7
    kept = len((folder / "tiny_losses.jsonl").read_text().splitlines())
    assert 5 <= kept < 14

    calls = itertools.count(1)
    monkeypatch.setattr(rnn, "loss_against_noise", stopping_at(None))
    again = fig4.follow(TINY, folder=folder, name="tiny")
    assert next(calls) - 1 == 14 - kept
    assert trained == {path: path.stat().st_mtime_ns for path in trained}
    for name, table in tiny.items():
        pd.testing.assert_frame_equal(table, again[name])


def test_an_error_in_one_training_stops_the_others(monkeypatch):
    train = rnn.train

    def failing(net, task, n, *, penalty, **options):
        if penalty == 0.1:
            raise RuntimeError("this one")
        return train(net, task, 10**6, penalty=penalty, **options)

    monkeypatch.setattr(rnn, "train", failing)
    with pytest.raises(RuntimeError, match="this one"):
        fig4.follow(TINY)


def test_reproduce_keeps_trained_networks_beside_the_figure(tmp_path, monkeypatch):
    monkeypatch.setitem(fig4.PRESETS, "quick", TINY)
    result = figures.reproduce("fig4", tmp_path, preset="quick")
    names = {path.name for path in result.files}
    assert {"fig4.svg", "fig4_a.png", "fig4_c.csv", "fig4_comparison.csv"} <= names
    assert len(list((tmp_path / "training").glob("quick_*.npz"))) == 7
    assert not result.all_hold  # sixty iterations teach nothing
