"""The approximate Cholesky factorisation, and Newton's method on it."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import exact_neuron_imbalance
from scipy.sparse import csgraph

import graphbal as gb
from graphbal import ensembles
from graphbal.engines import local_engine
from graphbal.solvers import Newton, Problem, _conjugate, cholesky
from graphbal.solvers import laplacian as laplacian_systems
from graphbal.solvers.cholesky import Conductances, approximate_cholesky
from graphbal.solvers.laplacian import cholesky_cg


def graph(i, j, values, n):
    """Return symmetric conductances from a list of edges."""
    i, j, values = (np.concatenate(pair) for pair in ((i, j), (j, i), (values, values)))
    return sp.csr_array((values, (i, j)), shape=(n, n))


def laplacian(conductances, ground=0.0):
    dense = conductances.toarray()
    return np.diag(dense.sum(axis=1) + ground) - dense


def multiplied_out(factors):
    """Return U D Uᵀ, dense."""
    n = factors.order.size
    columns = np.repeat(factors.order, np.diff(factors.starts))
    U = np.eye(n)
    U[factors.rows, columns] = -factors.shares
    pivots = np.empty(n)
    pivots[factors.order] = factors.pivots
    return U @ np.diag(pivots) @ U.T


def random_problem(n, n_synapses, sigma, seed):
    """Return a symmetric-support problem of any number of components, and its state at 0."""
    rng = np.random.default_rng(seed)
    i, j = rng.integers(0, n, (2, n_synapses))
    i, j = i[i != j], j[i != j]
    support = sp.coo_array(graph(i, j, np.ones(i.size), n))
    costs = sp.csr_array(
        (rng.lognormal(sigma=sigma, size=support.nnz), (support.row, support.col)), shape=(n, n)
    )
    n_components, components = csgraph.connected_components(costs)
    problem = Problem(costs, components, n_components)
    return problem, local_engine(costs).at(rng.normal(size=n))


# ------------------------------------------------------------------ the factorisation


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 60), decades=st.floats(0, 250), ring=st.booleans(), seed=st.integers(0))
def test_trees_and_rings_are_factorised_exactly_over_hundreds_of_decades(n, decades, ring, seed):
    rng = np.random.default_rng(seed)
    i = np.arange(1, n)
    j = (rng.random(n - 1) * i).astype(int)
    if ring and n > 2:
        i, j = np.arange(n), np.roll(np.arange(n), 1)
    values = 10.0 ** rng.uniform(-decades / 2, decades / 2, i.size)
    conductances = graph(i, j, values, n)
    exact = laplacian(conductances)
    error = np.abs(multiplied_out(approximate_cholesky(conductances)) - exact)
    scale = np.sqrt(exact.diagonal())
    assert (error <= 1e-14 * np.outer(scale, scale)).all()


@pytest.mark.parametrize("grounded", [False, True])
def test_the_factors_are_right_on_average(grounded):
    rng = np.random.default_rng(0)
    i, j = np.triu_indices(6, 1)
    conductances = graph(i, j, rng.lognormal(size=i.size), 6)
    ground = rng.lognormal(size=6) if grounded else np.zeros(6)
    exact = laplacian(conductances, ground)
    products = np.array(
        [multiplied_out(approximate_cholesky(conductances, ground, seed)) for seed in range(4_000)]
    )
    deviation = products.std(axis=0)
    assert deviation.max() > 0.01 * exact.max()  # it is approximate indeed
    error = np.abs(products.mean(axis=0) - exact)
    assert (error <= 4 * deviation / np.sqrt(len(products)) + 1e-12).all()


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(1, 80),
    degree=st.integers(1, 10),
    decades=st.floats(0, 40),
    seed=st.integers(0, 10_000),
)
def test_nothing_is_lost_where_conductances_differ_widely(n, degree, decades, seed):
    rng = np.random.default_rng(seed)
    i, j = rng.integers(0, n, (2, n * degree))
    i, j = i[i != j], j[i != j]
    conductances = graph(i, j, 10.0 ** rng.uniform(-decades / 2, decades / 2, i.size), n)
    factors = approximate_cholesky(conductances, seed=seed)
    n_components = csgraph.connected_components(conductances)[0]
    assert sorted(factors.order) == list(range(n))
    assert (factors.pivots == 0).sum() == n_components
    assert (factors.shares > 0).all()
    # What flows out of a neuron flows into its neighbours, and a constant needs no current.
    sums = np.bincount(np.repeat(np.arange(n), np.diff(factors.starts)), factors.shares, n)
    np.testing.assert_allclose(sums[factors.pivots > 0], 1.0, rtol=1e-13)


def test_the_same_seed_gives_the_same_factors():
    conductances = random_problem(300, 1500, 1.0, 0)[0].costs
    conductances = sp.csr_array(conductances + conductances.T)
    first, second, other = (approximate_cholesky(conductances, seed=seed) for seed in (1, 1, 2))
    for name in ("order", "starts", "rows", "shares", "pivots"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.shares.size != other.shares.size or (first.shares != other.shares).any()


def lattice(side):
    """Return the conductances of a square lattice."""
    line = sp.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(side, side))
    here = sp.eye_array(side)
    grid = sp.coo_array(sp.kron(line, here) + sp.kron(here, line))
    above = grid.row < grid.col
    values = np.random.default_rng(0).lognormal(size=above.sum())
    return graph(grid.row[above], grid.col[above], values, side**2)


@pytest.mark.parametrize("grounded", [False, True])
def test_parts_are_eliminated_by_themselves(monkeypatch, grounded):
    conductances, side = lattice(30), 30
    ground = np.random.default_rng(1).random(side**2) if grounded else None
    monkeypatch.setattr(cholesky, "PART", 200)
    factors = approximate_cholesky(conductances, ground)
    n_blocks = factors.blocks.size - 1
    assert n_blocks == 5
    assert factors.blocks[-1] - factors.blocks[-2] < 0.4 * side**2
    assert sorted(factors.order) == list(range(side**2))
    block = np.empty(side**2, dtype=int)
    block[factors.order] = np.repeat(np.arange(n_blocks), np.diff(factors.blocks))
    of = np.repeat(block[factors.order], np.diff(factors.starts))
    assert ((block[factors.rows] == of) | (block[factors.rows] == n_blocks - 1)).all()
    # The call multiplies by the inverse of U D Uᵀ.
    product = multiplied_out(factors)
    b = np.random.default_rng(2).normal(size=side**2)
    b -= 0.0 if grounded else b.mean()
    np.testing.assert_allclose(product @ factors(b), b, rtol=0, atol=1e-10)
    exact = laplacian(conductances, 0.0 if ground is None else ground)
    spectrum = np.linalg.eigvals(np.linalg.pinv(product) @ exact).real
    assert np.sort(spectrum)[1] > 0.2
    assert spectrum.max() < 5


def test_parts_are_the_same_for_any_number_of_threads(monkeypatch):
    conductances = lattice(40)
    monkeypatch.setattr(cholesky, "PART", 100)
    monkeypatch.setattr(cholesky, "WIDE_BORDER", 1.0)
    many = approximate_cholesky(conductances)
    monkeypatch.setattr(cholesky.os, "cpu_count", lambda: 1)
    one = approximate_cholesky(conductances)
    for name in ("blocks", "order", "starts", "rows", "shares", "pivots", "gathered"):
        np.testing.assert_array_equal(getattr(many, name), getattr(one, name))


def test_factors_in_parts_are_right_on_average(monkeypatch):
    conductances = lattice(5)
    monkeypatch.setattr(cholesky, "PART", 8)
    monkeypatch.setattr(cholesky, "WIDE_BORDER", 1.0)
    exact = laplacian(conductances)
    factors = [approximate_cholesky(conductances, seed=seed) for seed in range(4_000)]
    assert factors[0].blocks.size == 5
    products = np.array([multiplied_out(each) for each in factors])
    deviation = products.std(axis=0)
    assert deviation.max() > 0.01 * exact.max()
    error = np.abs(products.mean(axis=0) - exact)
    assert (error <= 4.5 * deviation / np.sqrt(len(products)) + 1e-12).all()


def test_what_has_wide_borders_is_left_whole(monkeypatch):
    monkeypatch.setattr(cholesky, "PART", 50)
    conductances = random_problem(500, 3000, 1.0, 0)[0].costs
    conductances = sp.csr_array(conductances + conductances.T)
    assert approximate_cholesky(conductances).blocks.tolist() == [0, 500]


@pytest.mark.parametrize("kind", ["hub", "complete", "none"])
def test_graphs_of_extreme_degrees_are_factorised(kind):
    n = 400
    i, j = {
        "hub": (np.zeros(n - 1, int), np.arange(1, n)),
        "complete": np.triu_indices(n, 1),
        "none": (np.zeros(0, int), np.zeros(0, int)),
    }[kind]
    conductances = graph(i, j, np.ones(i.size), n)
    factors = approximate_cholesky(conductances, ground=np.ones(n))
    b = np.random.default_rng(0).normal(size=n)
    energy = b @ factors(b)
    exact = b @ np.linalg.solve(laplacian(conductances, 1.0), b)
    assert exact / 3 < energy < 3 * exact
    assert factors.shares.size <= conductances.nnz


# ------------------------------------------------------------------ linear systems


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 60),
    degree=st.floats(0.3, 6),
    sigma=st.floats(0, 3),
    shifted=st.booleans(),
    compiled=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_solutions_are_those_of_the_dense_pseudoinverse(n, degree, sigma, shifted, compiled, seed):
    problem, state = random_problem(n, max(1, int(degree * n)), sigma, seed)
    rng = np.random.default_rng(seed)
    b = rng.normal(size=n) * state.through
    shift = rng.lognormal(sigma=sigma, size=n) if shifted else None
    here = problem.shifted(state.q).costs
    exact = laplacian(sp.csr_array(here + here.T), shift if shifted else 0.0)
    if not shifted:
        b = problem.centred(b)
        alone = problem.sizes[problem.components] == 1
        b[alone] = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laplacian_systems, "MANY", 1 if compiled else 100_000)
        step = cholesky_cg(problem, 1000)(state, b, 1e-13, 1e-9, shift)
    x = step.x if shifted else problem.centred(step.x)
    if shifted:
        expected = np.linalg.solve(exact, b)
    else:
        expected = problem.centred(np.linalg.lstsq(exact, b, rcond=1e-14)[0])
    np.testing.assert_allclose(x, expected, atol=1e-8 * max(1.0, np.abs(expected).max()))
    assert step.iterations <= 60


@pytest.mark.parametrize("n", [1, 5000])
def test_the_vector_work_is_that_of_numpy(n):
    rng = np.random.default_rng(n)
    x, r, z, direction, image = rng.normal(size=(5, n))
    diagonal, share = rng.lognormal(size=(2, n))
    assert _conjugate.dot(x, r) == pytest.approx(x @ r, abs=1e-12 * n)
    rest = _conjugate.without(2.0, share, r)
    np.testing.assert_allclose(rest, r - 2.0 * share, rtol=1e-14, atol=1e-14)
    further, left, turned = x.copy(), r.copy(), direction.copy()
    largest = _conjugate.advance(0.3, direction, image, diagonal, further, left)
    np.testing.assert_allclose(further, x + 0.3 * direction, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(left, r - 0.3 * image, rtol=1e-14, atol=1e-14)
    assert largest == np.max(np.abs(left) / diagonal)
    _conjugate.redirect(-0.5, z, turned)
    np.testing.assert_allclose(turned, z - 0.5 * direction, rtol=1e-14, atol=1e-14)
    image[n // 2] = np.nan
    assert np.isnan(_conjugate.advance(0.3, direction, image, diagonal, further, left))


def test_conductances_are_those_of_the_assembled_laplacian():
    rng = np.random.default_rng(0)
    costs = sp.random_array((50, 50), density=0.1, rng=rng, format="csr")
    costs.setdiag(0)
    costs.eliminate_zeros()
    state = local_engine(costs).at(rng.normal(size=50))
    here = np.exp(state.q - state.q[:, None]) * costs.toarray()
    np.testing.assert_allclose(Conductances(costs).at(state).toarray(), here + here.T, rtol=1e-14)


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_iterations_hardly_grow_with_the_size_of_a_lattice(sigma):
    iterations = []
    for side in (20, 80, 320):
        net = ensembles.lattice(side, side, weights=ensembles.LogNormal(sigma), p=1)
        problem = Problem(net.costs, np.zeros(side**2, dtype=int), 1)
        state = local_engine(net.costs).at(np.zeros(side**2))
        residual = 1e-9 * np.abs(state.gradients / state.through).max()
        step = cholesky_cg(problem, 1000)(state, state.gradients, residual, np.inf)
        iterations.append(step.iterations)
    assert iterations[-1] <= 50
    assert iterations[-1] <= iterations[0] * 256**0.2


# ------------------------------------------------------------------ balancing


@pytest.mark.parametrize("name", gb.list_datasets()["name"])
def test_every_dataset_is_balanced_as_by_direct_factorisation(name):
    eq = gb.balance(name, solver=Newton("cholesky"))
    reference = gb.balance(name, solver=Newton("direct"))
    assert eq.converged
    assert np.abs(eq.potentials - reference.potentials).max() <= 1e-8


@pytest.mark.parametrize(
    "net",
    [
        ensembles.lattice(16, 16, weights=ensembles.LogNormal(9), p=1),
        ensembles.random_network(250, 3, weights=ensembles.LogNormal(9), p=1, seed=1),
        ensembles.scale_free(250, 3, weights=ensembles.LogNormal(9), p=1),
        ensembles.tree(300, weights=ensembles.LogNormal(7), p=1),
        ensembles.ring(300, weights=ensembles.LogNormal(7), p=1),
    ],
    ids=["lattice", "random", "scale-free", "tree", "ring"],
)
def test_costs_over_twenty_decades_are_balanced(net):
    costs = net.costs.data
    eq = gb.balance(net, solver=Newton("cholesky"))
    reference = gb.balance(net, solver=Newton("direct"), tol=1e-12)
    assert np.log10(costs.max() / costs.min()) > 20
    assert eq.converged
    components = eq.topology.components.to_numpy()
    assert exact_neuron_imbalance(net, eq.potentials, components) <= 1e-9
    assert np.abs(eq.potentials - reference.potentials).max() <= 1e-7


@pytest.mark.parametrize("thread", [1e-6, 1e-12, 1e-30])
def test_two_lattices_on_a_thread_are_balanced_against_each_other(thread):
    lattice = ensembles.lattice(12, 12, weights=ensembles.LogNormal(1), p=1).costs
    n = lattice.shape[0]
    costs = sp.block_diag([lattice, lattice], format="lil")
    costs[5, n + 7], costs[n + 100, 99] = 3 * thread, thread
    eq = gb.balance(gb.as_network(costs.tocsr(), p=1), solver=Newton("cholesky"))
    assert eq.converged
    balanced = eq.network.costs
    assert abs(np.log(balanced[5, n + 7] / balanced[n + 100, 99])) < 1e-6


def test_one_factorisation_serves_several_steps(monkeypatch):
    made = []

    def counted(*arguments):
        made.append(1)
        return approximate_cholesky(*arguments)

    monkeypatch.setattr(cholesky, "approximate_cholesky", counted)
    eq = gb.balance(ensembles.lattice(60, 60), solver=Newton("cholesky"))
    assert eq.converged
    assert 1 <= len(made) < eq.stats["iterations"]
