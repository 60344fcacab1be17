import numpy as np
import pytest
import scipy.sparse as sp
from oracles import exact_neuron_imbalance

import graphbal as gb
from graphbal import ensembles
from graphbal.engines import local, local_engine
from graphbal.solvers import Newton, Problem, Solution
from graphbal.solvers._anderson import extend, gram, half_log_ratios, observe, reduce
from graphbal.solvers._problem import History
from graphbal.solvers.acceleration import accelerated, strongest
from graphbal.solvers.clusters import strong_clusters

LARGE = ensembles.connectome_like(14_000, 1_500_000)


def problem_of(costs):
    costs = sp.csr_array(costs)
    return Problem(costs, np.zeros(costs.shape[0], dtype=int), 1)


def accelerate(problem, tol=1e-9, max_steps=100):
    engine, history = problem.engine(), History("newton", None)
    state, error = accelerated(
        problem, engine, engine.at(np.zeros(problem.n)), tol, max_steps, history
    )
    return problem.centred(state.q), state, error, engine.n_passes


def exact_potentials(problem):
    net = gb.SynapticNetwork.from_scipy(problem.costs, p=1)
    return gb.balance(net, tol=1e-13, solver=Newton("direct")).h


def random_costs(n, degree, sigma, seed=0):
    net = ensembles.erdos_renyi(n, degree, weights=ensembles.LogNormal(sigma), seed=seed, p=1)
    costs = net.costs.tolil()
    costs[np.arange(n), (np.arange(n) + 1) % n] = 1.0
    return sp.csr_array(costs)


@pytest.mark.parametrize("p", [1, 2])
def test_a_large_connectome_is_balanced_in_sixteen_passes(p):
    net = gb.SynapticNetwork(LARGE.weights, LARGE.neurons, p=p)
    eq = gb.balance(net)
    assert eq.converged
    assert eq.stats["edge_passes"] <= 16
    assert exact_neuron_imbalance(net, eq.h) <= 1e-9
    thorough = gb.balance(net, tol=1e-13, solver=Newton("cg"))
    np.testing.assert_allclose(p * eq.h, p * thorough.h, rtol=0, atol=1e-8)
    assert len(eq.stats["history"]) == len(eq.stats["cost_history"])


def test_signed_weights_are_squared_in_passing(monkeypatch):
    weights = LARGE.weights.copy()
    weights.data = weights.data * np.random.default_rng(0).choice([-1, 1], size=weights.nnz)
    net = gb.SynapticNetwork(weights, LARGE.neurons, p=2)
    by_rows = gb.balance(net.with_cost(alpha=2.0))
    monkeypatch.setattr(local, "TILED", 10_000)
    eq = gb.balance(net)
    assert eq.converged
    assert "costs" not in vars(net)
    assert eq.total_cost == pytest.approx(by_rows.total_cost / 2, rel=1e-12)
    assert exact_neuron_imbalance(net, eq.h) <= 1e-9
    np.testing.assert_allclose(eq.h, by_rows.h, rtol=0, atol=1e-9)


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_clusters_are_those_of_the_costs(power):
    costs = random_costs(300, 3, 8.0)
    bases = costs.copy()
    bases.data = costs.data ** (1 / power)
    components = np.zeros(300, dtype=int)
    q, incoming = np.random.default_rng(1).standard_normal(300), costs.sum(axis=1)
    solution = Solution(q, incoming, incoming, True)
    expected = strong_clusters(Problem(costs, components, 1), solution)
    found = strong_clusters(Problem(bases, components, 1, power=power), solution)
    assert 1 < expected[0] < 300
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("sigma", [0.5, 2.0, 4.0])
def test_the_error_is_not_underestimated(sigma):
    problem = problem_of(random_costs(600, 30, sigma))
    q, state, error, _ = accelerate(problem, tol=1e-8)
    if error < np.inf:
        assert state.neuron_imbalance <= 1e-8
        assert error <= 1e-7
        assert np.abs(q - exact_potentials(problem)).max() <= 2 * error
    else:
        assert sigma == 4.0


def test_where_progress_is_slow_it_stops_without_raising_the_cost():
    n = 3000  # a band around a ring: many synapses a neuron, but a diameter of hundreds
    rows = np.repeat(np.arange(n), 10)
    columns = (rows + np.tile([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5], n)) % n
    costs = np.random.default_rng(0).lognormal(sigma=1.0, size=rows.size)
    problem = problem_of(sp.coo_array((costs, (rows, columns)), shape=(n, n)))
    _, state, error, n_passes = accelerate(problem)
    assert error == np.inf
    assert n_passes <= 60
    assert state.total_cost < costs.sum()


def test_a_balanced_network_stays_as_it_is():
    costs = random_costs(300, 20, 1.0)
    problem = problem_of(costs + costs.T)
    q, state, _, _ = accelerate(problem)
    assert np.abs(q).max() <= 1e-15
    assert state.neuron_imbalance <= 1e-15


def test_steps_are_limited():
    problem = problem_of(random_costs(600, 30, 1.0))
    _, _, error, n_passes = accelerate(problem, max_steps=3)
    assert error == np.inf
    assert n_passes == 4


def test_beside_blas_vectors_are_left_to_one_thread(monkeypatch):
    numba = pytest.importorskip("numba")
    threads, used = numba.get_num_threads(), []
    passes = local.Engine.products

    def noted(engine, *pair):
        used.append(numba.get_num_threads())
        return passes(engine, *pair)

    monkeypatch.setattr(local.Engine, "products", noted)
    weights = np.random.default_rng(0).lognormal(size=(1100, 1100))
    net = gb.SynapticNetwork.from_scipy(weights)
    eq = gb.balance(net)
    assert exact_neuron_imbalance(net, eq.h) <= 1e-9
    assert used[:2] == [threads, threads]  # the start
    assert set(used[2:-1]) == {1}
    with pytest.raises(ZeroDivisionError), local.cores_left_to_blas(2, 4):
        _ = 1 / 0
    assert numba.get_num_threads() == threads


def test_a_large_network_that_resists_is_handed_on():
    blocks = 40  # dense blocks in a chain, joined by single pairs
    size = 170
    rng = np.random.default_rng(0)
    parts = [sp.csr_array(rng.lognormal(size=(size, size))) for _ in range(blocks)]
    costs = sp.block_diag(parts, format="lil")
    costs.setdiag(0)
    for k in range(1, blocks):
        a, b = k * size - 1, k * size
        costs[a, b], costs[b, a] = 3e-2, 1e-2
    net = gb.SynapticNetwork.from_scipy(sp.csr_array(costs), p=1)
    assert net.n_synapses > 1_000_000
    eq = gb.balance(net)
    assert eq.converged
    assert exact_neuron_imbalance(net, eq.h) <= 1e-9
    # Each pair alone joins what is on either side of it, so its flows must be equal.
    cuts = np.arange(1, blocks) * size
    np.testing.assert_allclose(eq.h[cuts - 1] - eq.h[cuts], 0.5 * np.log(3.0), rtol=0, atol=1e-8)


def test_the_preconditioner_is_symmetric_and_positive():
    problem = problem_of(random_costs(200, 20, 3.0))
    q = 0.3 * np.random.default_rng(1).standard_normal(200)
    state = local_engine(problem.costs).at(q)
    strong, scales = strongest(problem, state), (state.gain, state.loss, state.through)
    factors, rows = np.zeros(0), np.zeros((0, 200), dtype=np.float32)
    inverse = []
    for column in np.diag(1 / state.through):
        rest, pairs, move = np.empty(200), np.empty((2, 200)), np.empty(200)
        reduce(column, factors, rows, state.gain, state.loss, rest, pairs)
        extend(rest, *strong.products(*pairs), *scales, factors, rows, move)
        inverse.append(move)
    np.testing.assert_allclose(inverse, np.transpose(inverse), rtol=1e-12, atol=1e-15)
    assert np.linalg.eigvalsh(inverse).min() > 0


def test_the_vector_work_is_that_of_numpy():
    n, window = 5000, 5
    rng = np.random.default_rng(3)
    moves, changes = rng.standard_normal((2, window, n))
    before, u, weights, factors = *rng.standard_normal((2, n)), rng.random(n), rng.random(3)
    *after, slope = observe(before, u, weights, moves, changes, 2)
    np.testing.assert_array_equal(changes[2], before - u)
    np.testing.assert_allclose(after, moves @ (weights * u), rtol=1e-12)
    assert slope == pytest.approx(moves[2] @ (weights * before), rel=1e-12)
    np.testing.assert_allclose(gram(moves[:3], weights), moves[:3] @ (weights * moves[:3]).T)
    gain, loss, through, gathered, scattered = rng.random((5, n)) + 0.5
    rest, pairs, move = np.empty(n), np.empty((2, n)), np.empty(n)
    reduce(u, factors, changes, gain, loss, rest, pairs)
    np.testing.assert_allclose(rest, u - factors @ changes[:3], rtol=0, atol=1e-14)
    np.testing.assert_array_equal(pairs, [gain * rest, loss * rest])
    extend(rest, gathered, scattered, gain, loss, through, factors, moves, move)
    preconditioned = rest + (loss * gathered + gain * scattered) / through
    np.testing.assert_allclose(move, preconditioned + factors @ moves[:3], rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", [1e-16, 1e-9, 1e-3, 0.124])
def test_half_a_log_ratio_by_its_series_is_the_logarithm(size):
    rng = np.random.default_rng(4)
    outgoing = rng.random(5000) + 0.1
    incoming = outgoing * np.exp(2 * size * rng.uniform(-1, 1, 5000))
    u = np.empty(5000)
    half_log_ratios(incoming, outgoing, incoming + outgoing, u)
    np.testing.assert_allclose(
        u, 0.5 * np.log1p((incoming - outgoing) / outgoing), rtol=4e-15, atol=0
    )
