"""Losses against noise: paired, averaged, weighted, and with intervals that cover."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import graphbal as gb
from graphbal.rnn import Batch, NoiseCurves, RecurrentNetwork, loss_against_noise, simulate

FORMS = ["current", "rate", "discrete"]


def network(n=10, seed=0, **settings):
    rng = np.random.default_rng(seed)
    return RecurrentNetwork(
        **{
            "w_rec": 0.6 * rng.standard_normal((n, n)) / np.sqrt(n),
            "w_in": rng.standard_normal((n, 3)),
            "w_out": rng.standard_normal((2, n)),
            "bias": rng.standard_normal(n),
        }
        | settings
    )


def batch(trials=6, times=20, seed=1):
    rng = np.random.default_rng(seed)
    return Batch(
        inputs=rng.standard_normal((trials, times, 3)),
        targets=rng.standard_normal((trials, times, 2)),
        mask=np.ones((trials, times)),
        conditions=np.arange(trials) % 3,
    )


@dataclass
class Noisy:
    """A task that remembers what it was asked for."""

    dt: float = 0.2
    asked: tuple = ()

    def batch(self, seed, n_trials=None):
        self.asked += ((seed, n_trials),)
        return batch(trials=n_trials or 6, seed=seed)


def step(net):
    return {} if net.form == "discrete" else {"dt": 0.2}


# ------------------------------------------------------------------ losses


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["noise", "shared_noise", "input_noise", "weight_noise"])
def test_a_loss_is_the_squared_error_of_that_simulation(form, kind):
    net, trials = network(form=form), batch()
    curves = loss_against_noise(
        {"net": net}, trials, [0.0, 0.1, 0.3], kind=kind, seeds=[3, 8], **step(net)
    )
    assert list(curves.losses.columns) == ["network", "level", "seed", "loss"]
    assert len(curves.losses) == 6
    for row in curves.losses.itertuples():
        run = simulate(net, trials.inputs, seed=row.seed, **{kind: row.level}, **step(net))
        assert row.loss == pytest.approx(np.mean((run.outputs - trials.targets) ** 2).item())


@pytest.mark.parametrize("masked", [False, True])
def test_averages_over_conditions_are_as_by_hand(masked):
    net, trials = network(), batch(trials=8)  # two conditions of three trials, one of two
    mask = np.random.default_rng(2).integers(0, 3, (8, 20)).astype(float) if masked else 1.0
    trials = replace(trials, mask=mask * trials.mask)
    outputs = simulate(net, trials.inputs, 0.2, noise=0.3, seed=5).outputs.to_numpy()
    total = weight = 0.0
    for condition, t, k in np.ndindex(3, 20, 2):
        members = np.flatnonzero(trials.conditions == condition)
        w = trials.mask[members, t]
        if w.any():
            there = np.average(outputs[members, t, k], weights=w)
            wanted = np.average(trials.targets[members, t, k], weights=w)
            total += w.sum() * (there - wanted) ** 2
            weight += w.sum()
    found = loss_against_noise({"net": net}, trials, [0.3], dt=0.2, seeds=[5], average=True)
    assert found.losses["loss"].item() == pytest.approx(total / weight)
    # Every trial a condition of its own: nothing to average over.
    alone = replace(trials, conditions=np.arange(8))
    losses = [
        loss_against_noise({"net": net}, alone, [0.3], dt=0.2, seeds=[5], average=each).losses
        for each in (True, False)
    ]
    pd.testing.assert_frame_equal(*losses)


def test_what_is_masked_does_not_count():
    net, trials = network(), batch()
    trials.mask[:, 5:] = 0.0
    trials.mask[4] = 0.0
    elsewhere = trials.targets + 1e3 * (trials.mask == 0)[..., None]
    losses = [
        loss_against_noise({"net": net}, each, [0.1], dt=0.2, average=average).losses["loss"]
        for each in (trials, replace(trials, targets=elsewhere))
        for average in (False, True)
    ]
    np.testing.assert_array_equal(losses[0], losses[2])
    np.testing.assert_array_equal(losses[1], losses[3])
    assert (losses[1] != losses[0]).all()
    whole = loss_against_noise({"net": net}, (trials.inputs, trials.targets), [0.1], dt=0.2)
    assert (whole.losses["loss"] != losses[0]).all()


def test_without_conditions_all_trials_are_averaged():
    net, trials = network(), batch()
    pair = trials.inputs, trials.targets
    together = replace(trials, conditions=np.zeros(6, dtype=int))
    found = [
        loss_against_noise({"net": net}, each, [0.1], dt=0.2, average=True).losses
        for each in (pair, together)
    ]
    pd.testing.assert_frame_equal(*found)


def test_a_task_gives_each_seed_trials_of_its_own_and_the_time_step():
    net, task = network(), Noisy()
    curves = loss_against_noise({"a": net, "b": net}, task, [0.1, 0.2], seeds=3, n_trials=4)
    assert task.asked == ((0, 4), (1, 4), (2, 4))
    one = loss_against_noise({"a": net}, batch(trials=4, seed=2), [0.2], dt=0.2, seeds=[2])
    chosen = curves.losses.query("network == 'b' and level == 0.2 and seed == 2")["loss"]
    assert chosen.item() == one.losses["loss"].item()
    in_steps = network(form="discrete")
    assert len(loss_against_noise({"a": in_steps}, task, [0.1], seeds=2).losses) == 2


def test_progress_changes_nothing_and_is_silent_without_a_terminal(capfd):
    call = {"networks": {"net": network()}, "task": batch(), "levels": [0.1], "dt": 0.2}
    shown = loss_against_noise(**call, progress=True).losses
    assert capfd.readouterr() == ("", "")
    pd.testing.assert_frame_equal(shown, loss_against_noise(**call).losses)


# ------------------------------------------------------------------ pairing and ratios


@pytest.mark.parametrize("kind", ["noise", "shared_noise", "input_noise", "weight_noise"])
def test_the_same_network_under_two_names_has_the_same_losses(kind):
    curves = loss_against_noise(
        {"one": network(), "two": network()}, batch(), [0.0, 0.1, 0.5], dt=0.2, kind=kind
    )
    one, two = (curves.losses.query(f"network == '{name}'") for name in ("one", "two"))
    np.testing.assert_array_equal(one["loss"], two["loss"])
    assert (one.query("level > 0").groupby("level")["loss"].nunique() == 10).all()
    ratios = curves.ratios("one")
    np.testing.assert_array_equal(ratios[["ratio", "low", "high"]], 1.0)
    assert list(ratios["network"]) == ["two"] * 3
    assert list(ratios["level"]) == [0.0, 0.1, 0.5]


@pytest.mark.parametrize("form", FORMS)
def test_a_transform_has_the_same_loss_without_noise_and_another_with(form):
    net = network(form=form)
    moved = net.transform(np.random.default_rng(0).standard_normal(10))
    curves = loss_against_noise({"net": net, "moved": moved}, batch(), [0.0, 0.5], **step(net))
    quiet, noisy = curves.ratios("net")[["ratio", "low", "high"]].to_numpy()
    np.testing.assert_allclose(quiet, 1.0, rtol=1e-10)
    assert abs(np.log(noisy[0])) > 0.01


def test_pairing_narrows_the_interval_of_a_ratio():
    net = network()
    near = net.transform(np.linspace(-0.1, 0.1, 10))
    curves = loss_against_noise({"net": net, "near": near}, batch(), [0.5], dt=0.2)
    paired = curves.ratios("net").iloc[0]
    losses = curves.losses.assign(seed=lambda each: each["seed"] + 10 * (each["network"] == "near"))
    apart = losses.pivot_table(index="network", columns="seed", values="loss")
    spread = np.log(apart).std(axis=1)
    unpaired = 2 * stats.t.ppf(0.975, 18) * np.sqrt((spread**2).sum() / 10)
    assert np.log(paired["high"] / paired["low"]) < unpaired / 3


# ------------------------------------------------------------------ intervals


def curves_of(table):
    """Return curves with these losses: networks × levels × seeds."""
    rows = [
        (f"net {i}", float(level), seed, table[i, level, seed])
        for i, level, seed in np.ndindex(table.shape)
    ]
    return NoiseCurves(pd.DataFrame(rows, columns=["network", "level", "seed", "loss"]))


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_intervals_cover_as_often_as_they_say(confidence):
    # Every level an experiment of its own, of five seeds.
    rng = np.random.default_rng(0)
    common = rng.standard_normal((1, 4_000, 5))
    logs = common + [[[0.3]], [[0.0]]] + 0.2 * rng.standard_normal((2, 4_000, 5))
    ratios = curves_of(np.exp(logs)).ratios("net 1", confidence)
    covered = ratios["low"].lt(np.exp(0.3)) & ratios["high"].gt(np.exp(0.3))
    assert covered.mean() == pytest.approx(confidence, abs=0.025)
    assert np.log(ratios["ratio"]).mean() == pytest.approx(0.3, abs=0.01)
    losses = curves_of(10 + logs).summary(confidence)
    first = losses[losses["network"] == "net 0"]
    covered = first["low"].lt(10.3) & first["high"].gt(10.3)
    assert covered.mean() == pytest.approx(confidence, abs=0.025)


def test_the_interval_is_that_of_the_t_test():
    table = np.random.default_rng(0).uniform(1, 2, (2, 1, 8))
    curves = curves_of(table)
    found = curves.summary(0.9).set_index("network").loc["net 1"]
    expected = stats.ttest_1samp(table[1, 0], 0).confidence_interval(0.9)
    np.testing.assert_allclose(found[["low", "high"]].astype(float), expected)
    found = curves.ratios("net 0", 0.9).iloc[0]
    expected = stats.ttest_rel(*np.log(table[::-1, 0])).confidence_interval(0.9)
    np.testing.assert_allclose(np.log(found[["low", "high"]].astype(float)), expected)


def test_tables_keep_the_order_given_and_one_seed_has_no_interval():
    nets = {"z": network(), "a": network(seed=1), "m": network(seed=2)}
    curves = loss_against_noise(nets, batch(), [0.3, 0.1], dt=0.2, seeds=1)
    summary = curves.summary()
    assert list(summary["network"]) == ["z", "z", "a", "a", "m", "m"]
    assert list(summary["level"]) == [0.3, 0.1] * 3
    assert summary["low"].isna().all()
    ratios = curves.ratios("a")
    assert list(ratios["network"]) == ["z", "z", "m", "m"]
    expected = summary.query("network == 'm'")["loss"].to_numpy() / (
        summary.query("network == 'a'")["loss"].to_numpy()
    )
    np.testing.assert_allclose(ratios.query("network == 'm'")["ratio"], expected)
    assert repr(curves) == "NoiseCurves(3 networks, 2 levels, 1 seeds)"


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": {}}, "no networks to compare"),
        ({"kind": "thermal"}, "kind is 'thermal'; choose one of noise, shared_noise"),
        ({"levels": [-0.1]}, "none of them negative"),
        ({"levels": []}, "levels are"),
        ({"levels": [0.1, 0.1]}, "give each once"),
        ({"levels": [0.1, np.nan]}, r"levels\[1\] is nan"),
        ({"seeds": 0}, "seeds are 0; give their number"),
        ({"seeds": [1, 1]}, "or each once"),
        ({"seeds": 2.5}, "seeds are 2.5"),
        ({"seeds": [-1]}, "network 'net': seed is -1"),
        ({"n_trials": 3}, "n_trials is for a task"),
        ({"task": 3}, "a int is no task"),
        ({"dt": None}, "network 'net': dt, the time step, is needed"),
        ({"dt": 3.0}, "network 'net': .*the limit is 2 min τ = 2"),
        (
            {"networks": {"few": network(w_in=np.ones((10, 2)))}},
            "network 'few': the inputs have shape",
        ),
        ({"networks": {"few": network(w_out=None)}}, "there are 0 outputs, and targets for 2"),
        (
            {"networks": {"grows": network(w_rec=9.0 * np.eye(10))}, "dt": 1.9},
            "'grows': at the level 0.1 the.*unstable",
        ),
    ],
)
def test_bad_comparisons_are_named(changes, message):
    call = {"networks": {"net": network()}, "task": batch(times=400), "levels": [0.1], "dt": 0.2}
    with pytest.raises(gb.InputError, match=message):
        loss_against_noise(**call | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": np.ones((6, 20))}, r"inputs has shape \(6, 20\)"),
        ({"targets": np.ones((5, 20, 2))}, r"targets has shape \(5, 20, 2\)"),
        ({"targets": np.full((6, 20, 2), np.inf)}, r"targets\[0, 0, 0\] is inf"),
        ({"inputs": np.ones((0, 20, 3)), "targets": np.ones((0, 20, 2))}, "nothing to compare"),
        ({"mask": np.ones((6, 19))}, r"mask has shape \(6, 19\)"),
        ({"mask": np.zeros((6, 20))}, "mask must leave something"),
        ({"mask": -np.ones((6, 20))}, "weights are not negative"),
        ({"conditions": np.ones(5)}, r"conditions has shape \(5,\)"),
    ],
)
def test_bad_trials_are_named(changes, message):
    with pytest.raises(gb.InputError, match=message):
        loss_against_noise({"net": network()}, replace(batch(), **changes), [0.1], dt=0.2)


def test_ratios_need_a_reference_and_losses():
    net, trials = network(), batch()
    exact = trials.inputs, simulate(net, trials.inputs, 0.2).outputs.to_numpy()
    moved = net.transform(np.linspace(-1, 1, 10))
    curves = loss_against_noise({"net": net, "moved": moved}, exact, [0.0, 0.1], dt=0.2)
    with pytest.raises(gb.InputError, match="the loss of 'net' is 0 at the level 0, so"):
        curves.ratios("net")
    with pytest.raises(gb.InputError, match="no network 'none'; choose from net, moved"):
        curves.ratios("none")
    for confidence in (0, 1, 95, "high"):
        with pytest.raises(gb.InputError, match="confidence is"):
            curves.summary(confidence)
