"""The balancing flow against closed forms and against an integration of all its weights."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import linear_sum_assignment

import graphbal as gb
from graphbal import ensembles

METHODS = ["explicit", "implicit", "auto"]
THREE_DECADES = np.concatenate([[0.0], np.geomspace(1e-2, 10.0, 31)])


def network(costs, p=1.0):
    """Return the network with these costs whatever p."""
    return gb.SynapticNetwork.from_scipy(np.asarray(costs, dtype=float) ** (1 / p), p=p)


def weights_by_time(J, p, times, rates=1.0, fixed=(), drive=None, rtol=1e-10):
    """Integrate eq. 18, dJ_ij/dt = −(v_i − v_j) J_ij with v = γ (g + d), on all n² weights."""
    n = len(J)
    rates = np.broadcast_to(np.asarray(rates, dtype=float), n).copy()
    rates[list(fixed)] = 0

    def velocity(t, flat):
        J = flat.reshape(n, n)
        costs = np.abs(J) ** p
        g = costs.sum(axis=1) - costs.sum(axis=0)
        v = rates * (g if drive is None else g + drive(t))
        return ((v[None, :] - v[:, None]) * J).ravel()

    atol = 1e-3 * rtol * np.abs(J[J != 0]).min()
    span = (times[0], times[-1])
    found = solve_ivp(velocity, span, J.ravel(), "DOP853", t_eval=times, rtol=rtol, atol=atol)
    assert found.success
    return found.y.T.reshape(-1, n, n)


def weights_of(traj):
    """Return the weights along a trajectory from its potentials, e^{h_j − h_i} J_ij."""
    J = traj.network.weights.toarray()
    h = traj.potentials.to_numpy()
    return J * np.exp(h[:, None, :] - h[:, :, None])


def synapse_of(net, row=0):
    """Return (pre, post) of one synapse of a network."""
    edge = net.edges().iloc[row]
    return edge["pre"], edge["post"]


def random_weights(rng, n, fill=0.5):
    J = rng.standard_normal((n, n)) * (rng.random((n, n)) < fill)
    J[np.arange(n), np.arange(n) - 1] = rng.standard_normal(n)  # a cycle through all
    return J


# ------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("p", [0.5, 1, 2, 4])
def test_single_synapse_decays_as_equation_31(p, method):
    tol = 1e-12 if method == "implicit" else 1e-11
    net, t = network([[0, 3.0], [0, 0]], p), THREE_DECADES
    traj = gb.flow(net, (0, 10), t_eval=t, method=method, rtol=tol, atol=tol)
    expected = 3 / (1 + 2 * p * 3 * t)
    assert traj.total_cost.to_numpy() == pytest.approx(expected, rel=1e-8)
    assert traj.costs([(1, 0)]).to_numpy()[:, 0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("p", [0.5, 1, 2, 4])
def test_reciprocal_pair_relaxes_as_equation_29(p, method):
    c12, c21 = 5.0, 0.2
    star, u = np.sqrt(c12 * c21), 0.5 * np.log(c12 / c21)
    u = 2 * np.arctanh(np.tanh(u / 2) * np.exp(-4 * p * star * THREE_DECADES))
    net = network([[0, c12], [c21, 0]], p)
    traj = gb.flow(net, (0, 10), t_eval=THREE_DECADES, method=method, rtol=1e-11, atol=1e-11)
    costs = traj.costs([(1, 0), (0, 1)]).to_numpy()
    assert costs[:, 0] == pytest.approx(star * np.exp(u), rel=1e-8)
    assert costs[:, 1] == pytest.approx(star * np.exp(-u), rel=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cost", [1e-290, 1e290])
def test_extreme_costs_only_change_the_unit_of_time(cost, method):
    t = THREE_DECADES / cost
    traj = gb.flow(network([[0, cost], [0, 0]]), (0, t[-1]), t_eval=t, method=method)
    assert traj.total_cost.to_numpy() == pytest.approx(cost / (1 + 2 * THREE_DECADES), rel=1e-5)


# ------------------------------------------------------------------ against all the weights


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 7),
    p=st.sampled_from([0.5, 1.0, 2.0, 3.0]),
    n_fixed=st.integers(0, 2),
    driven=st.booleans(),
    method=st.sampled_from(METHODS),
)
def test_flow_is_that_of_all_weights(seed, n, p, n_fixed, driven, method):
    rng = np.random.default_rng(seed)
    J = random_weights(rng, n)
    rates = rng.uniform(0.3, 3, n)
    fixed = list(range(min(n_fixed, n - 1)))
    push = rng.standard_normal(n)
    drive = (lambda t: push * np.sin(3 * t)) if driven else None
    times = np.array([0.0, 0.03, 0.2, 1.0])
    net = gb.SynapticNetwork.from_scipy(sp.csr_array(J), p=p)
    traj = gb.flow(
        *(net, (0, 1)), t_eval=times, rate=rates, fixed=fixed, drive=drive, method=method,
        rtol=1e-9, atol=1e-9,
    )  # fmt: skip
    expected = weights_by_time(J, p, times, rates, fixed, drive)
    assert weights_of(traj) == pytest.approx(expected, rel=1e-6, abs=0)
    assert (traj.h[:, fixed] == 0).all()


def test_dense_gaussian_is_that_of_all_weights():
    J = np.random.default_rng(0).standard_normal((64, 64)) / 8
    times = np.array([0.0, 0.1, 0.5, 2.0])
    traj = gb.flow(gb.SynapticNetwork.from_scipy(J), (0, 2), t_eval=times)
    assert weights_of(traj) == pytest.approx(weights_by_time(J, 2, times), rel=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_perturbations_multiply_costs_at_their_times(method):
    rng = np.random.default_rng(3)
    J = random_weights(rng, 6, fill=1.0)
    net = gb.SynapticNetwork.from_scipy(J)
    perturbations = {0.2: {(0, 1): 10.0, (3, 2): 0.1}, 0.5: {(0, 1): 4.0}}
    times = np.array([0.0, 0.1, 0.2, 0.4, 0.5, 0.9])
    tols = {"rtol": 1e-10, "atol": 1e-10, "method": method}
    traj = gb.flow(net, (0, 0.9), t_eval=times, perturbations=perturbations, **tols)
    before = weights_by_time(J, 2, times[:3])
    J = before[-1].copy()
    J[1, 0] *= 10**0.5
    J[2, 3] *= 0.1**0.5
    between = weights_by_time(J, 2, times[2:5])
    J = between[-1].copy()
    J[1, 0] *= 2
    after = weights_by_time(J, 2, times[4:])
    expected = np.concatenate([before[:-1], between[:-1], after])
    for t, J in zip(times, expected, strict=True):
        assert traj.network_at(t).weights.toarray() == pytest.approx(J, rel=1e-7)
    assert traj.total_cost.to_numpy() == pytest.approx((expected**2).sum(axis=(1, 2)), rel=1e-7)
    assert traj.costs([(0, 1)]).to_numpy()[:, 0] == pytest.approx(expected[:, 1, 0] ** 2, rel=1e-7)
    g = (expected**2).sum(axis=2) - (expected**2).sum(axis=1)
    assert traj.gradient_norm.to_numpy() == pytest.approx(np.linalg.norm(g, axis=1), rel=1e-6)
    # A default run reports the time of a perturbation once, as it is just after.
    traj = gb.flow(net, (0, 0.9), perturbations=perturbations, **tols)
    assert (np.diff(traj.t) > 0).all()
    assert traj.total_cost[0.2] == pytest.approx((expected[2] ** 2).sum(), rel=1e-7)


# ------------------------------------------------------------------ where it goes, what it keeps


@pytest.mark.parametrize("seed", range(50))
def test_flow_ends_at_the_equilibrium_and_keeps_what_it_must(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 13))
    J = random_weights(rng, n, fill=rng.uniform(0.2, 1))
    p = float(rng.choice([0.5, 1, 2, 4]))
    net = gb.SynapticNetwork.from_scipy(J, p=p)
    eq = gb.balance(net, tol=1e-12)
    traj = gb.flow(net, (0, 1e9))
    assert np.abs(traj.h[-1] - eq.potentials.to_numpy()).max() <= 1e-7
    assert (np.diff(traj.total_cost) <= 1e-14 * traj.total_cost.iloc[0]).all()
    assert np.abs(traj.h.sum(axis=1)).max() <= 1e-9

    end = traj.network_at(traj.t[-1]).weights.toarray()
    before, after = np.linalg.eigvals(J), np.linalg.eigvals(end)
    apart = np.abs(before[:, None] - after)
    assert apart[linear_sum_assignment(apart)].max() <= 1e-9 * np.abs(before).max()
    graph = nx.from_numpy_array(J.T, create_using=nx.DiGraph)
    for cycle in itertools.islice(nx.simple_cycles(graph, length_bound=5), 50):
        hops = (np.roll(cycle, -1), cycle)
        assert np.prod(end[hops]) == pytest.approx(np.prod(J[hops]), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_components_conserve_their_own_means(method):
    rng = np.random.default_rng(5)
    one, two = random_weights(rng, 5), random_weights(rng, 4)
    net = gb.SynapticNetwork.from_scipy(sp.block_diag([one, 3 * two], format="csr"))
    rate = rng.uniform(0.1, 10, 9)
    traj = gb.flow(net, (0, 1), rate=rate, method=method)
    slow = traj.h / rate
    assert np.abs(slow[:, :5].sum(axis=1)).max() <= 1e-9
    assert np.abs(slow[:, 5:].sum(axis=1)).max() <= 1e-9
    assert np.abs(traj.h).max() > 0.1


@pytest.mark.parametrize("method", ["implicit", "auto"])
def test_without_finite_equilibrium_potentials_diverge_as_the_logarithm_of_time(method):
    net = gb.SynapticNetwork.from_scipy(ensembles.random_network(8, 2).weights, p=2)
    weights = sp.block_array([[net.weights, None], [sp.eye_array(8, k=1), net.weights]])
    net = gb.SynapticNetwork.from_scipy(weights)
    traj = gb.flow(net, (0, 1e10), t_eval=[1e8, 1e10], method=method)
    slopes = (traj.h[1] - traj.h[0]) / np.log(100)
    assert slopes == pytest.approx(gb.topology(net).divergence_rates / net.p, abs=1e-5)
    assert traj.stats["steps"] < 1000


@pytest.mark.parametrize("method", METHODS)
def test_potentials_may_span_more_than_an_exponential_holds(method):
    net = ensembles.chain(61)
    far = np.linspace(-600, 600, 61)  # e^{p h} overflows, no cost does
    near = gb.flow(net, (0, 1), t_eval=[1], method=method)
    back = gb.flow(net.transform(-far), (0, 1), t_eval=[1], initial=far, method=method)
    assert back.h[0] - far == pytest.approx(near.h[0], abs=1e-3)
    assert back.total_cost.to_numpy() == pytest.approx(near.total_cost.to_numpy(), rel=1e-5)


def test_potentials_may_run_further_apart_than_an_exponential_holds():
    up = np.zeros((12, 12))
    up[np.arange(11), np.arange(1, 12)] = 1e120
    up[np.arange(1, 12), np.arange(11)] = 1e-120
    traj = gb.flow(network(up), (0, 1e5))
    assert -np.diff(traj.h[-1]) == pytest.approx(np.full(11, 120 * np.log(10)), rel=1e-7)


# ------------------------------------------------------------------ stiff and large


def stiff_network():
    rng = np.random.default_rng(1)
    net = ensembles.random_network(40, 6, weights=ensembles.LogNormal(1))
    return net, 10 ** rng.uniform(-3, 3, 40)


def test_rates_over_six_decades_need_no_tiny_steps():
    net, rate = stiff_network()
    times = np.geomspace(1e-3, 1e6, 10)
    traj = gb.flow(net, (0, 1e6), rate=rate, t_eval=times)
    assert traj.stats["steps"] <= 700
    C, p = net.costs.toarray(), net.p

    def costs_at(h):
        return C * np.exp(p * (h[None, :] - h[:, None]))

    def velocity(t, h):
        c = costs_at(h)
        return rate * (c.sum(axis=1) - c.sum(axis=0))

    def jacobian(t, h):
        c = costs_at(h)
        return p * rate[:, None] * (c + c.T - np.diag(c.sum(axis=0) + c.sum(axis=1)))

    span, start = (0, 1e6), np.zeros(40)
    tols = {"jac": jacobian, "rtol": 1e-9, "atol": 1e-10}
    radau = solve_ivp(velocity, span, start, "Radau", t_eval=times, **tols)
    assert np.abs(traj.h - radau.y.T).max() <= 1e-5
    # The explicit method would take steps of the fastest neuron's time constant.
    fastest = (rate * (net.incoming_costs + net.outgoing_costs).to_numpy()).max()
    assert 1e6 * fastest / traj.stats["steps"] > 1e6


def test_passes_of_a_connectome_are_few_and_grow_little():
    passes = []
    for n in (1_000, 5_000):
        net = ensembles.connectome_like(n, 19 * n)
        traj = gb.flow(net, (0, 2), t_eval=[2])
        start = np.linalg.norm(net.neural_gradients)
        assert traj.gradient_norm.iloc[-1] <= 1e-6 * start
        passes.append(traj.stats["edge_passes"])
    assert passes[1] <= min(2000, 1.5 * passes[0])


@pytest.mark.parametrize(
    "net",
    [
        ensembles.ring(400),
        ensembles.lattice(35, 35),
        ensembles.chain(300, weights=ensembles.LogNormal(1)),
    ],
)
def test_networks_of_large_diameter_come_to_rest(net):
    traj = gb.flow(net, (0, 1e8), t_eval=[1e8])
    assert np.abs(traj.h[-1] - gb.balance(net).potentials.to_numpy()).max() <= 1e-7


# ------------------------------------------------------------------ stopping at balance


@pytest.mark.parametrize("method", METHODS)
def test_stops_where_balance_is_reached(method):
    c12, c21, tol = 5.0, 0.2, 1e-5
    traj = gb.flow(network([[0, c12], [c21, 0]]), (0, 100), until_balanced=tol, method=method)
    # The imbalance of a reciprocal pair is tanh u.
    u0 = 0.5 * np.log(c12 / c21)
    expected = np.log(np.tanh(u0 / 2) / np.tanh(np.arctanh(tol) / 2)) / 4
    assert traj.converged is True
    assert traj.t[-1] == pytest.approx(expected, rel=0.02)
    assert tol * (1 - 1e-6) <= traj.neuron_imbalance.iloc[-1] <= tol
    assert (traj.neuron_imbalance.iloc[:-1] > tol).all()
    assert "Balanced" in traj.message
    assert traj.resume(200.0).t[-1] == 200


def test_balance_counts_only_after_the_last_perturbation():
    ring = ensembles.ring(12)
    balanced = gb.balance(ring).network
    traj = gb.flow(balanced, (0, 1e3), perturbations={2.0: {(0, 1): 10.0}}, until_balanced=1e-6)
    assert traj.converged
    assert traj.t[-1] > 3
    assert gb.flow(balanced, (0, 1e3), until_balanced=1e-6).t.tolist() == [0]


def test_balance_that_is_not_reached_is_said():
    with pytest.warns(gb.ConvergenceWarning, match="Not balanced to 1.0e-06 when the end"):
        traj = gb.flow(ensembles.random_network(20, 4), (0, 0.01), until_balanced=1e-6)
    assert traj.converged is False
    assert gb.flow(ensembles.random_network(20, 4), (0, 0.01)).converged is None


# ------------------------------------------------------------------ at rest


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", [2 * np.pi, 5.0])
def test_a_drive_that_begins_and_ends_with_nothing_is_felt(method, end):
    J = np.roll(np.eye(6), 1, axis=0) + np.roll(np.eye(6), -1, axis=0)  # balanced
    push = np.array([1.0, -1, 0.5, -0.5, 2, -2])

    def drive(t):
        return push * np.sin(t)

    times = np.array([0.0, end / 4, end / 2, end])
    traj = gb.flow(J, (0, end), t_eval=times, drive=drive, method=method)
    expected = weights_by_time(J, 2, times, drive=drive)
    assert weights_of(traj) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_drive_after_a_long_silence_is_felt_where_a_perturbation_tells_of_it(method):
    ring = ensembles.ring(6, weights=ensembles.Constant(1))
    push = np.array([1.0, -1, 0.5, -0.5, 2, -2])
    traj = gb.flow(
        *(ring, (0, 100)), t_eval=[50.0, 52.0, 100.0], method=method,
        drive=lambda t: push * np.exp(-((t - 50) ** 2)), perturbations={45.0: {(0, 1): 1.0}},
    )  # fmt: skip
    J, times = ring.weights.toarray(), np.array([0.0, 5, 7, 55])
    expected = weights_by_time(J, 2, times, drive=lambda t: push * np.exp(-((t - 5) ** 2)))[1:]
    assert weights_of(traj) == pytest.approx(expected, rel=1e-6)


def test_a_network_almost_at_rest_takes_one_implicit_step():
    net = gb.balance(ensembles.random_network(50, 5), tol=1e-12).network
    traj = gb.flow(net, (0, 1e3), method="implicit")
    assert traj.stats["steps"] == 1
    assert np.abs(traj.h).max() <= 1e-9


# ------------------------------------------------------------------ what a trajectory offers


def test_tables_are_labelled():
    net = gb.SynapticNetwork.from_edges(
        pd.DataFrame({"pre": ["a", "b", "b"], "post": ["b", "a", "b"], "weight": [1.0, 2.0, 3.0]})
    )
    traj = gb.flow(net, (0, 1), t_eval=[0, 0.5, 1], initial={"a": 0.1, "b": 0.0})
    assert traj.potentials.columns.tolist() == ["a", "b"]
    assert traj.potentials.index.tolist() == [0, 0.5, 1]
    assert traj.potentials.loc[0].tolist() == [0.1, 0]
    assert traj.costs().columns.tolist() == [("b", "a"), ("a", "b"), ("b", "b")]
    assert (traj.costs()[("b", "b")] == 9).all()
    assert traj.costs().sum(axis=1).to_numpy() == pytest.approx(traj.total_cost.to_numpy())
    tidy = traj.to_frame()
    assert tidy.columns.tolist() == ["t", "neuron", "potential"]
    wide = tidy.pivot_table(index="t", columns="neuron", values="potential")
    assert wide.to_numpy() == pytest.approx(traj.h)
    imbalance = [traj.network_at(t).neuron_imbalance for t in traj.t]
    assert traj.neuron_imbalance.to_numpy() == pytest.approx(imbalance)
    assert "2 neurons, 3 times" in repr(traj)


@pytest.mark.parametrize("method", METHODS)
def test_at_and_t_eval_read_the_same_solution_between_steps(method):
    net = ensembles.random_network(30, 5)
    times = np.geomspace(1e-3, 5, 40)
    options = {"method": method, "perturbations": {0.1: {synapse_of(net): 5.0}}}
    steps = gb.flow(net, (0, 5), **options)
    asked = gb.flow(net, (0, 5), t_eval=times, **options)
    for t, h in zip(times, asked.h, strict=True):
        assert steps.at(t).to_numpy() == pytest.approx(h, abs=1e-14)
    # A trajectory that kept no polynomials integrates again.
    fine = gb.flow(net, (0, 5), rtol=1e-11, atol=1e-11, **(options | {"method": "explicit"}))
    bare = gb.trajectory.Trajectory(**{**vars(asked), "pieces": ()})
    for t in (0.5 * times[0], 0.07, 0.1, 0.3, 4.0):
        assert bare.at(t).to_numpy() == pytest.approx(fine.at(t).to_numpy(), abs=2e-5)
    for t in (5.1, -1, np.nan, "x"):
        with pytest.raises(gb.InputError, match="runs from t = 0 to 5"):
            steps.at(t)


def test_progress_is_told_and_shown(capsys):
    told = []
    gb.flow(ensembles.random_network(20, 4), (0, 10), progress=told.append)
    assert told[-1]["t"] == 10
    assert [step["t"] for step in told] == sorted(step["t"] for step in told)
    gb.flow(ensembles.random_network(20, 4), (0, 10), progress=True)
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------ save, load, resume


def interrupt_after(t):
    def report(step):
        if step["t"] > t:
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("t_eval", [None, np.linspace(0, 50, 11)])
def test_interrupted_flow_resumes_to_the_last_bit(tmp_path, method, t_eval):
    net, rate = stiff_network()
    path = tmp_path / "flow.parquet"
    options = {
        "rate": rate, "fixed": [3], "method": method, "t_eval": t_eval,
        "perturbations": {0.01: {synapse_of(net): 3.0}, 40.0: {synapse_of(net, 7): 0.2}},
    }  # fmt: skip
    end, stop = (50, 2.0) if method != "explicit" else (0.05, 0.02)
    if method == "explicit":
        options["t_eval"] = None if t_eval is None else t_eval / 1000
        options["perturbations"] = {0.01: {synapse_of(net): 3.0}}
    whole = gb.flow(net, (0, end), **options)
    with pytest.raises(KeyboardInterrupt):
        gb.flow(net, (0, end), progress=interrupt_after(stop), checkpoint=path, **options)
    part = gb.Trajectory.load(path, net)
    assert part.t[-1] < end
    assert "Interrupted at" in part.message
    resumed = part.resume(end)
    assert np.array_equal(resumed.t, whole.t)
    assert np.array_equal(resumed.h, whole.h)
    assert np.array_equal(resumed.measures, whole.measures)
    assert resumed.stats["steps"] == whole.stats["steps"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("t_eval", [None, np.linspace(0, 3, 13)])
def test_interrupted_flow_of_a_full_matrix_resumes_to_the_last_bit(tmp_path, method, t_eval):
    net, path = ensembles.dense_gaussian(100, seed=1), tmp_path / "flow.parquet"
    options = {"method": method, "t_eval": t_eval}
    whole = gb.flow(net, (0, 3), **options)
    with pytest.raises(KeyboardInterrupt):
        gb.flow(net, (0, 3), progress=interrupt_after(0.05), checkpoint=path, **options)
    resumed = gb.Trajectory.load(path, net).resume(3)
    assert np.array_equal(resumed.t, whole.t)
    assert np.array_equal(resumed.h, whole.h)
    assert np.array_equal(resumed.measures, whole.measures)


def test_a_finished_flow_goes_on(tmp_path):
    net = ensembles.random_network(30, 5)
    push = np.random.default_rng(0).standard_normal(30)
    push -= push.mean()

    def drive(t):
        return push * np.cos(t)

    path = tmp_path / "flow.parquet"
    first = gb.flow(net, (0, 2), drive=drive, t_eval=[1, 2], checkpoint=path)
    loaded = gb.Trajectory.load(path, net)
    assert np.array_equal(loaded.h, first.h)
    assert loaded.stats == first.stats
    with pytest.raises(gb.InputError, match="drive"):
        loaded.resume(4)
    resumed = loaded.resume(4, drive=drive, t_eval=[3, 4])
    straight = gb.flow(net, (0, 4), drive=drive, t_eval=[1, 2, 3, 4])
    assert resumed.t.tolist() == [1, 2, 3, 4]
    assert np.abs(resumed.h - straight.h).max() <= 1e-6
    assert np.array_equal(resumed.h, first.resume(4, t_eval=[3, 4]).h)
    every_step = first.resume(4)
    assert every_step.t[-1] == 4
    assert every_step.t.size > 6
    with pytest.raises(gb.InputError, match="must come after"):
        resumed.resume(3)


def test_files_of_other_networks_and_other_files_are_refused(tmp_path):
    net = ensembles.random_network(10, 3)
    path = tmp_path / "flow.parquet"
    gb.flow(net, (0, 1)).save(path)
    with pytest.raises(gb.InputError, match="another network, or of another cost"):
        gb.Trajectory.load(path, net.with_cost(p=1))
    with pytest.raises(gb.InputError, match="another network"):
        gb.Trajectory.load(path, ensembles.random_network(10, 3, seed=1))
    with pytest.raises(gb.InputError, match="missing"):
        gb.Trajectory.load(tmp_path / "missing.parquet", net)
    gb.write_network(net, tmp_path / "net.parquet")
    with pytest.raises(gb.InputError, match="not a trajectory"):
        gb.Trajectory.load(tmp_path / "net.parquet", net)
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(gb.InputError, match="not a trajectory"):
        gb.Trajectory.load(tmp_path / "junk.parquet", net)


# ------------------------------------------------------------------ bad input

PAIR = [[0, 2.0], [1.0, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"t_span": (1, 0)}, "last time must come after"),
        ({"t_span": (1, 1)}, "last time must come after"),
        ({"t_span": (0, np.inf)}, "must be finite"),
        ({"t_span": (np.nan, 1)}, "must be finite"),
        ({"t_span": 3}, "give two times"),
        ({"t_span": ()}, "give two times"),
        ({"t_eval": [0, 2]}, "holds 2, which is outside the span 0 to 1"),
        ({"t_eval": [-1, 0]}, "holds -1"),
        ({"t_eval": [0, np.nan]}, "holds nan"),
        ({"t_eval": [0.5, 0.2]}, "0.5 is followed by 0.2"),
        ({"t_eval": []}, "at least one time"),
        ({"t_eval": ["x"]}, "must hold numbers"),
        ({"rate": 0}, "rate of the neuron 0 is 0"),
        ({"rate": {0: 1.0, 1: -2.0}}, "rate of the neuron 1 is -2"),
        ({"rate": np.nan}, "rate of the neuron 0 is nan"),
        ({"rate": [1.0]}, "rate array has shape"),
        ({"fixed": ["x"]}, "no neuron labelled 'x'"),
        ({"initial": {0: 1.0}}, "no initial potential for the neuron 1"),
        ({"initial": [1000.0, -1000.0]}, "too large for a floating-point number"),
        ({"rtol": 0}, "rtol is 0"),
        ({"atol": -1}, "atol is -1"),
        ({"until_balanced": 0}, "until_balanced is 0"),
        ({"until_balanced": 1e-17}, "rounding allows no less than 1e-13"),
        ({"method": "euler"}, "no method 'euler'"),
        ({"drive": 3}, "must be a function of time"),
        ({"drive": lambda t: [1.0]}, "drive array has shape"),
        ({"drive": lambda t: [1.0, np.nan]}, "drive of the neuron 1 is nan"),
        ({"perturbations": {2.0: {(0, 1): 2.0}}}, "set for the time 2.0"),
        ({"perturbations": {"x": {(0, 1): 2.0}}}, "set for the time 'x'"),
        ({"perturbations": {0.5: {}}}, "give {(pre, post): factor}"),
        ({"perturbations": {0.5: {(0, 1): -2.0}}}, "0 → 1 at t = 0.5 is -2.0"),
        ({"perturbations": {0.5: {(0, 2): 2.0}}}, "no neuron labelled 2"),
        ({"perturbations": {0.5: {(0, 0): 2.0}}}, "no synapse 0 → 0"),
        ({"perturbations": {0.5: {"ab": 2.0}}}, "is not a synapse"),
        ({"perturbations": {0.5: {(0, 1, 1): 2.0}}}, "(0, 1, 1) is not a synapse"),
        ({"perturbations": {0.5: {7: 2.0}}}, "7 is not a synapse"),
        ({"perturbations": [(0.5, (0, 1))]}, "give {time: {(pre, post): factor}}"),
        ({"checkpoint": "nowhere/flow.parquet"}, "nowhere/flow.parquet has no folder"),
    ],
)
def test_bad_input_is_named(arguments, message):
    arguments = {"t_span": (0, 1)} | arguments
    with pytest.raises(gb.InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
        gb.flow(PAIR, **arguments)


def test_unknown_synapses_are_named():
    with pytest.raises(gb.InputError, match="no synapse 2 → 0"):
        gb.flow(np.eye(3, k=-1), (0, 1), perturbations={0.5: {(1, 2): 2.0, (2, 0): 1.0}})
    with pytest.raises(gb.InputError, match="no synapse 2 → 1"):
        gb.flow(np.eye(3, k=-1), (0, 1)).costs([(2, 1)])
    with pytest.raises(gb.InputError, match="self-connection of 0, which the flow does not feel"):
        gb.flow([[1.0, 2.0], [1.0, 0]], (0, 1), perturbations={0.5: {(0, 0): 2.0}})


def test_a_drive_that_is_not_smooth_is_said():
    rng = np.random.default_rng(0)
    with pytest.raises(gb.GraphbalError, match="the drive is not smooth there"):
        gb.flow(PAIR, (1e6, 1e6 + 1), drive=lambda t: 1e6 * rng.standard_normal(2))
