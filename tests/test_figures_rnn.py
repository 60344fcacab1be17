"""Figure 1: what two networks compute alike and what noise makes of it, checked from elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.linalg import expm

from graphbal.figures import fig1

NETWORKS = {"a": "network", "b": "transform"}


@pytest.fixture(scope="module")
def data():
    return fig1.compute()


def matrices(synapses):
    """Return J, w_in and w_out of the table of a network."""
    weight = synapses.set_index(["pre", "post"])["weight"]
    J = np.array([[weight.get((pre, post), 0.0) for pre in "12"] for post in "12"])
    w_in = np.array([weight["in", post] for post in "12"])
    return J, w_in, np.array([weight[pre, "out"] for pre in "12"])


@pytest.mark.parametrize("panel", NETWORKS)
def test_trajectories_are_those_that_scipy_integrates(data, panel):
    J, w_in, w_out = matrices(data[panel])
    course, states = data["c"], data["d"]
    x = np.linalg.solve(np.eye(2) - J, w_in * course["input"].iloc[0])
    step, y = course["t"].iloc[0], []
    for u in course["input"]:  # held during each step
        solved = solve_ivp(
            lambda _t, x, u=u: -x + J @ np.maximum(x, 0) + w_in * u, (0, step), x, rtol=1e-9
        )
        x = solved.y[:, -1]
        y.append([w_out @ x, *x])
    name = NETWORKS[panel]
    drawn = np.column_stack([course[name], states[f"{name}_1"], states[f"{name}_2"]])
    np.testing.assert_allclose(drawn, y, rtol=0.02)  # Euler steps of 0.02 τ


@pytest.mark.parametrize("panel", NETWORKS)
def test_the_variance_is_that_of_the_impulse_response(data, panel):
    J, _, w_out = matrices(data[panel])
    noise = data["g"][data["g"]["network"] == NETWORKS[panel]]
    power = quad(lambda t: 2 * np.sum((w_out @ expm((J - np.eye(2)) * t)) ** 2), 0, 60)[0]
    np.testing.assert_allclose(noise["lyapunov"], 0.04**2 * power, rtol=1e-7)
    settled = noise["variance"][noise["t"] >= 5]
    assert settled.mean() == pytest.approx(0.04**2 * power, rel=0.05)
    np.testing.assert_allclose(settled, 0.04**2 * power, rtol=0.15)


def test_the_transform_is_the_cheapest_network_that_computes_the_same(data):
    J, w_in, w_out = matrices(data["a"])

    def cost(h):
        gain = np.exp(h)
        scaled = (J * gain / gain[:, None], w_in / gain, w_out * gain)
        return sum((each**2).sum() for each in scaled)

    least = data["b"]["cost"].sum()
    h = np.log(w_in / matrices(data["b"])[1])
    assert cost(h) == pytest.approx(least, rel=1e-9)
    rng = np.random.default_rng(0)
    assert all(cost(h + step) > least for step in 0.1 * rng.standard_normal((50, 2)))


def test_the_two_networks_are_given_the_same_random_numbers(data):
    before, after = (
        data[panel].filter(like="trial_").sub(data[panel]["without_noise"], axis=0)
        for panel in "ef"
    )
    assert before.shape == after.shape == (100, 50)
    assert (before.corrwith(after) > 0.3).all()
    others = before.corrwith(after[after.columns[::-1]].set_axis(after.columns, axis=1))
    assert abs(others.mean()) < 0.15


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_claims_hold_for_other_seeds(seed):
    claims = fig1.claims(fig1.compute(preset="quick", seed=seed))
    assert [claim.claim for claim in claims if not claim.holds] == []


def test_the_same_seed_gives_the_same_numbers():
    first, again, other = (fig1.compute(preset="quick", seed=seed) for seed in (5, 5, 6))
    for panel, table in first.items():
        pd.testing.assert_frame_equal(table, again[panel])
        assert table.equals(other[panel]) == (panel in "abcd")


@pytest.mark.parametrize(
    ("panel", "column"),
    [
        ("a", "weight"),
        ("b", "weight"),
        ("b", "cost"),
        ("c", "network"),
        ("c", "transform"),
        ("d", "network_1"),
        ("d", "transform_2"),
        ("e", "without_noise"),
        ("f", "without_noise"),
        ("g", "variance"),
        ("g", "lyapunov"),
    ],
)
@pytest.mark.parametrize("value", ["off", "nan"])
def test_data_that_are_wrong_break_a_claim(panel, column, value, data):
    table = data[panel].copy()
    rows = np.random.default_rng(0).random(len(table)) < 0.4
    table[column] = table[column].where(
        ~rows, np.nan if value == "nan" else 1.3 * table[column] + 0.1
    )
    assert not all(claim.holds for claim in fig1.claims({**data, panel: table}))
