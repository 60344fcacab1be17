import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbal.engines import Engine, State, local, local_engine
from graphbal.engines._kernels import goes_beyond
from graphbal.engines.local import _blas_products, _scipy_products, by_rows

ENGINES = {"blas": _blas_products, "scipy": _scipy_products, "compiled": by_rows}


def random_costs(n, density, seed, index_dtype=np.int32):
    rng = np.random.default_rng(seed)
    dense = rng.lognormal(size=(n, n)) * (rng.random((n, n)) < density)
    costs = sp.csr_array(dense)
    costs.indices = costs.indices.astype(index_dtype)
    costs.indptr = costs.indptr.astype(index_dtype)
    return costs


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 30), density=st.floats(0, 1), seed=st.integers(0, 1000))
def test_one_pass_is_what_the_formulas_say(kind, index_dtype, n, density, seed):
    costs = random_costs(n, density, seed, index_dtype)
    engine = Engine(n, ENGINES[kind](costs))
    rng = np.random.default_rng(seed + 1)
    q, x = rng.normal(size=n), rng.normal(size=n)
    here = costs.toarray() * np.exp(q[None, :] - q[:, None])
    state = engine.at(q)
    np.testing.assert_allclose(state.incoming, here.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(state.outgoing, here.sum(axis=0), rtol=1e-12)
    laplacian = np.diag(state.through) - here - here.T
    np.testing.assert_allclose(state.laplacian_product(x), laplacian @ x, rtol=1e-9, atol=1e-9)
    assert engine.n_passes == 2


@pytest.mark.parametrize("n", [1, 5000])
@pytest.mark.parametrize("broken", [None, np.nan, np.inf])
def test_many_neurons_are_weighed_as_few_are(monkeypatch, n, broken):
    rng = np.random.default_rng(n)
    incoming, outgoing = rng.lognormal(size=(2, n))
    incoming[::7] = outgoing[::7] = 0.0
    if broken is not None:
        incoming[n // 2] = broken
    q = np.zeros(n)

    def weighed():
        with np.errstate(invalid="ignore"):
            state = State(None, q, incoming, outgoing, q, q)
            return state.through, state.neuron_imbalance, state.total_cost

    few = weighed()
    monkeypatch.setattr(local, "MANY", 1)
    many = weighed()
    np.testing.assert_array_equal(many[0], few[0])
    assert many[1] == few[1] or (np.isnan(many[1]) and np.isnan(few[1]))
    np.testing.assert_allclose(many[2], few[2], rtol=1e-13)


def test_the_matrix_decides_the_engine(monkeypatch):
    chosen = []
    for name in ("_blas_products", "_scipy_products", "by_rows"):
        monkeypatch.setattr(
            f"{local_engine.__module__}.{name}", lambda costs, name=name: chosen.append(name)
        )
    local_engine(random_costs(30, 1.0, 0))
    local_engine(random_costs(30, 0.1, 0))
    local_engine(sp.random_array((2000, 2000), density=0.05, format="csr", rng=0))
    assert chosen == ["_blas_products", "_scipy_products", "by_rows"]


def test_sums_agree_to_rounding_whatever_the_number_of_threads():
    numba = pytest.importorskip("numba")
    costs = random_costs(500, 0.2, 3)
    x = np.random.default_rng(0).random(500)
    results = []
    before = numba.get_num_threads()
    for threads in {1, before}:
        numba.set_num_threads(threads)
        results.append(np.concatenate(by_rows(costs)(x, x)))
        results.append(np.concatenate(by_rows(costs)(x, x)))
    numba.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[1])
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_depth_is_that_of_scipys_paths(seed):
    A = sp.random_array((60, 60), density=0.03, format="csr", rng=seed)
    steps = sp.csgraph.dijkstra(A, unweighted=True, indices=0)  # upstream: from post to pre
    levels = np.bincount(steps[np.isfinite(steps)].astype(int))
    depth = levels.size - 1
    assert not goes_beyond(A.indptr, A.indices, 0, depth, 60)
    for steps in range(depth):
        widest = levels[1 : steps + 2].max()
        assert goes_beyond(A.indptr, A.indices, 0, steps, widest)
        assert not goes_beyond(A.indptr, A.indices, 0, steps, widest - 1)
