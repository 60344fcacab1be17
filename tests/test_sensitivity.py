import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

import graphbal as gb
from graphbal import ensembles
from graphbal.errors import InputError

TIGHT = {"tol": 1e-12}


def finite_difference(net, synapse, fixed=None, step=1e-3):
    """Return ∂h/∂log c and ∂C/∂log c by central differences of `balance`."""
    ends = [
        gb.balance(gb.perturb(net, {synapse: np.exp(s)}), fixed=fixed, **TIGHT)
        for s in (step, -step)
    ]
    potentials = (ends[0].potentials - ends[1].potentials) / (2 * step)
    return potentials, (ends[0].total_cost - ends[1].total_cost) / (2 * step)


def synapses(net, count, seed=0):
    """Return some synapses that join two neurons, as labels."""
    table = net.edges()
    table = table[table["pre"] != table["post"]].sample(count, random_state=seed)
    return list(zip(table["pre"], table["post"], strict=True))


def entry(table, synapse):
    """Look a synapse up in a table with the columns pre and post."""
    row = table[(table["pre"] == synapse[0]) & (table["post"] == synapse[1])]
    return row["derivative"].item()


def flow_through():
    """A cycle that feeds a chain: the chain's synapses vanish without fixed neurons."""
    pre, post = list("abcbcdefa"), list("bcaadefea")
    weight = [2.0, 1.0, 3.0, 0.5, 2.0, 1.5, 0.7, 1.1, 4.0]
    return gb.SynapticNetwork.from_edges(pd.DataFrame({"pre": pre, "post": post, "weight": weight}))


CASES = {
    "worm": (lambda: gb.load_dataset("celegans"), None),
    "worm, fixed": (lambda: gb.load_dataset("witvliet-8"), ["AVAL", "RIML"]),
    "random": (lambda: ensembles.random_network(200, 4, weights=ensembles.LogNormal(1)), None),
    "lattice, p = 1": (lambda: ensembles.lattice(8, 9).with_cost(p=1), [0, 5]),
    "ring, p = 4": (
        lambda: ensembles.ring(12, weights=ensembles.LogNormal(0.25)).with_cost(p=4),
        None,
    ),
    "several components": (flow_through, None),
    "feed-forward between fixed ends": (flow_through, ["a", "f"]),
}


@pytest.mark.parametrize("name", CASES)
def test_sensitivity_equals_finite_differences_of_balance(name):
    make, fixed = CASES[name]
    net = make()
    eq = gb.balance(net, fixed=fixed, **TIGHT)
    sens = gb.sensitivity(eq)
    for synapse in synapses(net, min(5, net.n_synapses - 1)):
        potentials, cost = finite_difference(net, synapse, fixed)
        assert np.abs(sens.to(*synapse) - potentials).max() <= 1e-5 * max(potentials.abs().max(), 1)
        assert np.abs(sens.to(*synapse) - potentials).max() <= 1e-5
        assert entry(sens.cost, synapse) == pytest.approx(cost, rel=1e-5, abs=1e-7 * eq.total_cost)


@pytest.mark.parametrize("thread", [1e-4, 1e-12, 1e-100])
def test_sensitivity_across_a_thread_is_that_of_a_reciprocal_pair(thread):
    # A pair that alone joins two clusters balances by itself: h₀ − h₃₀ ~ (1/2p) log(c₀₃₀/c₃₀₀).
    costs = np.zeros((60, 60))
    costs[:30, :30] = np.random.default_rng(0).lognormal(size=(30, 30))
    costs[30:, 30:] = np.random.default_rng(1).lognormal(size=(30, 30))
    costs[0, 30], costs[30, 0] = thread, 3 * thread
    response = gb.sensitivity(gb.SynapticNetwork.from_scipy(costs, p=1)).to(30, 0)
    assert response[0] - response[30] == pytest.approx(0.5, rel=1e-9)
    assert np.allclose(response[:30], 0.25, rtol=1e-9)


def test_sensitivity_survives_costs_over_a_hundred_decades():
    rng = np.random.default_rng(0)
    around = np.arange(30)
    costs = np.zeros((30, 30))
    costs[around, np.roll(around, 1)] = 10.0 ** rng.uniform(-50, 50, 30)
    costs[rng.integers(0, 30, 40), rng.integers(0, 30, 40)] = 10.0 ** rng.uniform(-50, 50, 40)
    np.fill_diagonal(costs, 0)
    net = gb.SynapticNetwork.from_scipy(costs, p=1)
    sens = gb.sensitivity(gb.balance(net, **TIGHT))
    for synapse in synapses(net, 8):
        potentials, _ = finite_difference(net, synapse)
        assert np.abs(sens.to(*synapse) - potentials).max() <= 1e-5


def test_cost_derivative_is_the_cost_at_equilibrium_self_connections_included():
    net = flow_through()
    sens = gb.sensitivity(net)
    at = gb.balance(net).network.edges()
    assert np.allclose(sens.cost["derivative"], at["cost"], rtol=1e-9, atol=0)
    assert entry(sens.cost, ("a", "a")) == 16
    assert not sens.to("a", "a").any()


def test_synapses_that_vanish_have_no_influence():
    sens = gb.sensitivity(flow_through())
    for synapse in (("c", "d"), ("d", "e")):
        assert not sens.to(*synapse).any()
        assert entry(sens.cost, synapse) == 0
    assert sens.to("a", "b")[["d", "e", "f"]].abs().max() == 0


def test_fixed_neurons_do_not_respond():
    net = gb.load_dataset("celegans")
    sens = gb.sensitivity(gb.balance(net, fixed=["AVAL", "AVAR"]))
    assert not sens.to("AVAL", "PVCL")[["AVAL", "AVAR"]].any()
    assert not sens.of("AVAL")["derivative"].any()


@settings(max_examples=15, deadline=None)
@given(n=st.integers(2, 12), seed=st.integers(0, 1000), fix=st.booleans())
def test_adjoint_and_direct_derivatives_agree_with_the_dense_formula(n, seed, fix):
    net = ensembles.dense_gaussian(n, seed=seed)
    fixed = [0] if fix else None
    eq = gb.balance(net, fixed=fixed, **TIGHT)
    sens = gb.sensitivity(eq)
    costs = eq.network.costs.toarray()
    np.fill_diagonal(costs, 0)
    L = np.diag(costs.sum(axis=0) + costs.sum(axis=1)) - costs - costs.T
    inverse = linalg.pinvh(L)
    if fix:  # grounded at neuron 0
        inverse = np.zeros((n, n))
        inverse[1:, 1:] = linalg.inv(L[1:, 1:])
    columns = sens.of(n - 1)
    for pre, post, derivative in columns.itertuples(index=False):
        expected = costs[post, pre] / net.p * (inverse[:, post] - inverse[:, pre])
        assert np.abs(sens.to(pre, post) - expected).max() <= 1e-9
        assert derivative == pytest.approx(expected[n - 1], abs=1e-9)


def test_several_synapses_at_once_and_their_prediction():
    net = gb.load_dataset("celegans")
    eq = gb.balance(net, **TIGHT)
    sens = gb.sensitivity(eq)
    chosen = synapses(net, 3)
    table = sens.to_many(chosen)
    assert table.columns.tolist() == chosen
    assert sens.to_many([]).shape == (net.n_neurons, 0)
    factors = dict(zip(chosen, (1.002, 0.999, 1.001), strict=True))
    predicted = sens.predict(factors)
    assert np.allclose(predicted, table @ np.log(list(factors.values())), rtol=0, atol=1e-12)
    found = gb.balance(gb.perturb(net, factors), **TIGHT).potentials - eq.potentials
    assert np.abs(predicted - found).max() <= 1e-2 * found.abs().max()


def test_most_influential_synapses_are_those_of_the_whole_table():
    net = gb.load_dataset("witvliet-3")
    sens = gb.sensitivity(net)
    table = net.edges()
    every = sens.to_many(zip(table["pre"], table["post"], strict=True))
    norms = np.linalg.norm(every, axis=0)
    best = np.argsort(-norms)[:8]
    found = sens.most_influential(8)
    assert np.allclose(found["influence"], norms[best], rtol=1e-8)
    assert list(zip(found["pre"], found["post"], strict=True)) == [every.columns[k] for k in best]
    on = sens.most_influential(4, on="RIAL")
    row = every.loc["RIAL"]
    assert np.allclose(on["influence"], row.iloc[np.argsort(-row.abs())[:4]], rtol=1e-8)


def test_estimated_ranking_of_a_large_network_agrees_with_the_exact_one():
    net = ensembles.random_network(1200, 6, weights=ensembles.LogNormal(1))
    eq = gb.balance(net)
    found = gb.sensitivity(eq).most_influential(5)
    costs = eq.network.costs.toarray()
    L = np.diag(costs.sum(axis=0) + costs.sum(axis=1)) - costs - costs.T
    inverse = linalg.inv(L + np.full(L.shape, L.max() / len(L)))  # the constant does no harm
    post, pre = costs.nonzero()
    norms = costs[post, pre] / net.p * np.linalg.norm(inverse[post] - inverse[pre], axis=1)
    best = np.argsort(-norms)[:5]
    assert found[["pre", "post"]].to_numpy().tolist() == np.stack([pre, post])[:, best].T.tolist()
    assert np.allclose(found["influence"], norms[best], rtol=1e-6)


def test_sensitivity_of_a_network_balances_it_first():
    net = ensembles.ring(12)
    assert np.allclose(
        gb.sensitivity(net).to(0, 1), gb.sensitivity(gb.balance(net)).to(0, 1), atol=1e-9
    )


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s: s.to(0, 5), "no synapse 0 → 5"),
        (lambda s: s.to(0, "x"), "'x'"),
        (lambda s: s.of("x"), "'x'"),
        (lambda s: s.most_influential(0), "n is 0"),
        (lambda s: s.most_influential(3, on="x"), "'x'"),
        (lambda s: s.predict({(0, 1): 0.0}), "above 0"),
        (lambda s: s.predict({(0, 1): np.nan}), "is nan"),
        (lambda s: s.predict({(0, 1, 2): 2.0}), "is not a synapse"),
        (lambda s: s.predict([(0, 1)]), "give {"),
    ],
)
def test_bad_questions_are_named(ask, message):
    with pytest.raises(InputError, match=message):
        ask(gb.sensitivity(ensembles.ring(12)))


# ------------------------------------------------------------------ effective conductance


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 10), seed=st.integers(0, 1000))
def test_effective_conductance_is_the_current_at_unit_potential_difference(n, seed):
    net = ensembles.dense_gaussian(n, seed=seed)
    costs = net.costs.toarray()
    np.fill_diagonal(costs, 0)
    L = np.diag(costs.sum(axis=0) + costs.sum(axis=1)) - costs - costs.T
    # Kirchhoff: hold neuron 0 at 1 and the last at 0, and measure the current.
    free = np.arange(1, n - 1)
    x = np.zeros(n)
    x[0] = 1
    if n > 2:
        x[free] = linalg.solve(L[np.ix_(free, free)], -L[free, 0])
    current = float(L[0] @ x)
    assert gb.effective_conductance(net, [(0, n - 1)]).item() == pytest.approx(current, rel=1e-9)


def test_effective_conductance_in_series_across_parts_and_to_itself():
    edges = pd.DataFrame(
        [("a", "b", 2.0), ("b", "c", 6.0), ("x", "y", 1.0)], columns=["pre", "post", "weight"]
    )
    net = gb.SynapticNetwork.from_edges(edges, p=1)
    pairs = [("a", "b"), ("a", "c"), ("c", "a"), ("a", "x"), ("b", "b")]
    found = gb.effective_conductance(net, pairs)
    assert np.allclose(found, [2, 1.5, 1.5, 0, np.inf])
    assert found["a", "c"] == pytest.approx(1.5)
    assert gb.effective_conductance(net, []).empty


@pytest.mark.parametrize("n", [400, 3000])
def test_effective_conductance_around_a_ring(n):
    found = gb.effective_conductance(
        ensembles.ring(n, weights=ensembles.Constant(1)), [(0, n // 4)]
    )
    # Conductance 2 a step: paths of n/4 and 3n/4 steps side by side.
    assert found.item() == pytest.approx(2 / (n / 4) + 2 / (3 * n / 4), rel=1e-8)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [([(0, "x")], "'x'"), ([0, 1], "not a pair"), (["ab"], "not a pair"), (7, "give a list")],
)
def test_bad_pairs_are_named(pairs, message):
    with pytest.raises(InputError, match=message):
        gb.effective_conductance(ensembles.ring(5), pairs)
