"""The integrators by themselves: order, accuracy, and what they conserve, on plain arrays."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import flow
from scipy.integrate import DOP853, solve_ivp

from graphbal.integrators import Explicit, Field, Implicit
from graphbal.integrators._kernels import full_products, largest_errors


def random_field(seed, n=8, fill=1.0, **options):
    rng = np.random.default_rng(seed)
    costs = rng.lognormal(size=(n, n)) * (rng.random((n, n)) < fill)
    np.fill_diagonal(costs, 0)
    return Field(sp.csr_array(costs), rng.uniform(0.5, 2, n), **options)


def velocity_of(field):
    C, rates = field.costs.toarray(), field.rates

    def velocity(t, q):
        costs = C * np.exp(q[None, :] - q[:, None])
        drive = 0.0 if field.drive is None else field.drive(t)
        return rates * (costs.sum(axis=1) - costs.sum(axis=0) + drive)

    return velocity


def advanced(integrator, end, q):
    point = integrator.start(0.0, q)
    pieces = []
    while point.t < end:
        point, between = integrator.advance(point, end)
        pieces.append((point.t, between))
    return point, pieces


def test_explicit_step_is_that_of_scipy():
    field = random_field(0, fill=0.4)
    ours = Explicit(field, 1e-6, 1e-6)
    point = ours.start(0.0, np.zeros(8))
    theirs = DOP853(
        *(velocity_of(field), 0.0, np.zeros(8), 1.0), rtol=1e-6, atol=1e-6, first_step=point.step
    )
    theirs.step()
    following, between = ours.advance(point, 1.0)
    assert theirs.t == following.t == point.step
    assert following.q == pytest.approx(theirs.y, rel=1e-13)
    dense = theirs.dense_output()
    for t in np.linspace(0, point.step, 5):
        assert between(t) == pytest.approx(dense(t), abs=1e-15)


def test_compiled_stages_of_a_full_matrix_are_those_of_the_plain_ones():
    full = random_field(1, n=9)
    plain = Field(full.costs, full.rates, drive=lambda t: np.zeros(9))
    ours, theirs = Explicit(full, 1e-8, 1e-8), Explicit(plain, 1e-8, 1e-8)
    assert ours.full is not None
    assert theirs.full is None
    one, two = (advanced(integrator, 1.0, np.zeros(9))[0] for integrator in (ours, theirs))
    assert one.q == pytest.approx(two.q, rel=1e-12)
    assert full.work.edge_passes == plain.work.edge_passes


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 20))
@settings(max_examples=20, deadline=None)
def test_full_products_are_matrix_products(seed, n):
    rng = np.random.default_rng(seed)
    A, x, y = rng.random((n, n)), rng.random(n), rng.random(n)
    gathered, scattered = np.empty(n), np.empty(n)
    full_products(A, x, y, gathered, scattered)
    assert gathered == pytest.approx(A @ x, rel=1e-12)
    assert scattered == pytest.approx(A.T @ y, rel=1e-12)


def test_largest_errors_are_those_over_the_tolerance_and_no_number_is_overlooked():
    rng = np.random.default_rng(0)
    estimators, stages = rng.standard_normal((2, 13)), rng.standard_normal((13, 9))
    before, after = rng.standard_normal((2, 9))
    scale = 1e-3 + 1e-2 * np.maximum(np.abs(before), np.abs(after))
    expected = np.abs(estimators @ stages / scale).max(axis=1)
    assert largest_errors(estimators, stages, before, after, 1e-2, 1e-3) == pytest.approx(expected)
    for at in (0, 4, 8):
        wrong = stages.copy()
        wrong[5, at] = np.nan
        assert np.isnan(largest_errors(estimators, wrong, before, after, 1e-2, 1e-3)).all()


@pytest.mark.parametrize("integrator", [Explicit, Implicit])
@pytest.mark.parametrize("driven", [False, True])
def test_error_follows_the_tolerance_at_steps_and_between(integrator, driven):
    drive = (lambda t: np.sin(5 * t + np.arange(8))) if driven else None
    field = random_field(2, drive=drive)
    tols = {"dense_output": True, "rtol": 1e-13, "atol": 1e-14}
    exact = solve_ivp(velocity_of(field), (0, 2), np.zeros(8), "DOP853", **tols).sol
    errors = []
    for tol in (1e-5, 1e-7, 1e-9):
        begin, worst = 0.0, 0.0
        for end, between in advanced(integrator(field, tol, tol), 2.0, np.zeros(8))[1]:
            for t in np.linspace(begin, end, 4):
                worst = max(worst, np.abs(between(t) - exact(t)).max())
            begin = end
        errors.append(worst)
        assert worst <= 50 * tol
    assert errors[1] < 0.1 * errors[0]
    assert errors[2] < 0.1 * errors[1]


def test_implicit_reaches_its_highest_order():
    field = random_field(3)
    integrator = Implicit(field, 1e-9, 1e-9)
    point, orders = integrator.start(0.0, np.zeros(8)), set()
    while point.t < 1.0:
        point, _ = integrator.advance(point, 1.0)
        orders.add(point.order)
    assert max(orders) == 5


@pytest.mark.parametrize("integrator", [Explicit, Implicit])
def test_held_neurons_stay_and_the_others_conserve_nothing(integrator):
    field = random_field(4)
    field.rates[2] = 0
    start = np.linspace(-1, 1, 8)
    point, _ = advanced(integrator(field, 1e-7, 1e-7), 3.0, start)
    assert point.q[2] == start[2]
    assert field.shares.sum() == 0


@pytest.mark.parametrize("integrator", [Explicit, Implicit])
def test_means_are_conserved_to_rounding(integrator):
    field = random_field(5)
    point, _ = advanced(integrator(field, 1e-4, 1e-4), 100.0, np.zeros(8))
    assert abs((point.q / field.rates).sum()) <= 1e-13
    assert field.shares.sum() == pytest.approx(1)


def test_at_rest_one_step_reaches_the_end():
    costs = np.ones((5, 5)) - np.eye(5)
    for integrator in (Explicit, Implicit):
        field = Field(sp.csr_array(costs), np.ones(5))
        point, pieces = advanced(integrator(field, 1e-6, 1e-6), 1e6, np.zeros(5))
        assert len(pieces) == 1
        assert (point.q == 0).all()


def test_slow_modes_between_clusters_are_resolved():
    """Two dense clusters on a thread: residuals of 1e-9 do not show the drift between them."""
    rng = np.random.default_rng(6)
    costs = rng.lognormal(size=(20, 20))
    costs[:10, 10:] = costs[10:, :10] = 0
    np.fill_diagonal(costs, 0)
    costs[0, 15], costs[15, 0] = 3e-7, 1e-7
    field = Field(sp.csr_array(costs), np.ones(20))
    point, _ = advanced(Implicit(field, 1e-8, 1e-8), 2e6, np.zeros(20))
    exact = flow(costs, np.array([0.0, 2e6]))[-1]
    assert point.q == pytest.approx(exact, abs=1e-6)
    assert abs(exact[0] - exact[15]) > 0.05
