import numpy as np
import pytest
import scipy.sparse as sp

import graphbal as gb
from graphbal import _elementwise
from graphbal._elementwise import (
    count_self_connections,
    extremes,
    magnitudes,
    powers,
    rescaled,
    sums_by_neuron,
)


@pytest.fixture(params=["small", "large"])
def either_way(request, monkeypatch):
    """Run a test as for few synapses and as for many, in parts and threads."""
    monkeypatch.setattr(_elementwise, "LARGE", 1 if request.param == "large" else 10**9)
    monkeypatch.setattr(_elementwise, "AT_ONCE", 10)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("p", [1, 2, 0.5])
def test_powers_are_those_of_the_absolute_values(p):
    weights = np.random.default_rng(0).standard_normal(1001)
    before = weights.copy()
    np.testing.assert_allclose(powers(weights, p), np.abs(before) ** p, rtol=1e-15)
    np.testing.assert_array_equal(weights, before)


@pytest.mark.usefixtures("either_way")
def test_magnitudes_come_with_the_sign():
    weights = np.arange(1.0, 100.0)
    assert magnitudes(weights) == (1.0, 99.0, False)
    weights[57] = -200.0
    assert magnitudes(weights) == (1.0, 200.0, True)
    assert magnitudes(-weights) == (1.0, 200.0, True)
    assert magnitudes(np.array([-0.0, 0.5])) == (0.0, 0.5, False)


@pytest.mark.parametrize("p", [1, 2, 3, 0.5])
@pytest.mark.parametrize("alpha", [1.0, 2.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_range_of_costs_is_that_of_the_array(p, alpha, sign):
    weights = np.random.default_rng(1).lognormal(sigma=3, size=(20, 20))
    weights[3] *= sign
    net = gb.SynapticNetwork.from_scipy(weights, p=p, alpha=alpha)
    assert net.cost_range == (net.costs.data.min(), net.costs.data.max())


@pytest.mark.usefixtures("either_way")
def test_rescaling_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    matrix = sp.random_array((40, 40), density=0.1, rng=rng, format="csr")
    matrix = sp.csr_array(sp.block_diag([sp.csr_array((3, 3)), matrix, sp.csr_array((2, 2))]))
    h = rng.standard_normal(45)
    expected = matrix.toarray() * np.exp(h[None, :] - h[:, None])
    rows, columns = matrix.tocoo().coords
    np.testing.assert_allclose(rescaled(matrix, h), expected[rows, columns], rtol=1e-14)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("diagonal", [True, False])
def test_sums_by_neuron_leave_out_the_diagonal(diagonal):
    costs = np.random.default_rng(0).random((40, 40))
    costs[:, 3] = costs[7] = 0.0
    rest = costs - np.diag(costs.diagonal())
    incoming, outgoing = sums_by_neuron(sp.csr_array(costs if diagonal else rest))
    np.testing.assert_allclose(incoming, rest.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(outgoing, rest.sum(axis=0), rtol=1e-12)


@pytest.mark.usefixtures("either_way")
def test_extremes_betray_a_nan():
    many = np.linspace(1.0, 2.0, 100)
    assert extremes(np.append(many, [0.0, np.inf])) == (0.0, np.inf)
    many[57] = np.nan
    assert np.isnan(extremes(many)).all()


@pytest.mark.usefixtures("either_way")
def test_zeros_on_the_diagonal_are_no_self_connections():
    matrix = sp.csr_array(np.array([[0.0, 2.0, 0.0], [1.0, 3.0, 4.0], [5.0, 0.0, 6.0]]))
    matrix[2, 2] = 0.0
    assert matrix.nnz == 6
    assert count_self_connections(matrix) == 1


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("weight", [1e200, 1e-170])
def test_costs_out_of_range_are_refused_by_name(weight):
    net = gb.SynapticNetwork.from_scipy([[0, 1.0], [weight, 0]], neurons=["AVAL", "AVAR"])
    with pytest.raises(gb.InputError, match="'AVAL' → 'AVAR' is too"):
        assert net.with_cost(p=2).costs
