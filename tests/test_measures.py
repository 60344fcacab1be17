"""Measures against independent oracles: NetworkX, dense linear algebra, exhaustive enumeration."""

from __future__ import annotations

import functools
import itertools
import math
import warnings

import networkx as nx
import numpy as np
import pytest
from oracles import cheapest_potentials
from scipy import linalg

import graphbal as gb
from graphbal import measures
from graphbal.errors import ConvergenceWarning
from graphbal.measures import DEFAULT, MEASURES, Subject

AT_EQUILIBRIUM = (
    *("total_cost", "relative_drop", "potential_sd", "potential_min", "potential_max"),
    *("slowest_time_constant", "median_time_constant", "spectral_gap"),
    *("slowest_mode_participation", "spectral_abscissa_change", "balanced_numerical_abscissa"),
    *("balanced_departure_from_normality", "balanced_commutator_norm"),
)


def signed_matrix(seed, n=14, density=0.25, connected=False):
    """Weights of both signs, self-connections among them."""
    rng = np.random.default_rng(seed)
    J = rng.normal(size=(n, n)) * (rng.random((n, n)) < density)
    if connected:
        J[np.arange(1, n), np.arange(n - 1)] = rng.lognormal(size=n - 1)
        J[0, n - 1] = 1.0
    return J


def graph(J):
    """The NetworkX graph of |J| without self-connections: an edge j → i of weight |J_ij|."""
    J = np.abs(J) * (1 - np.eye(len(J)))
    return nx.from_numpy_array(J.T, create_using=nx.DiGraph)


def ring(n):
    """Each neuron contacts both neighbours with weight 1."""
    return np.roll(np.eye(n), 1, axis=0) + np.roll(np.eye(n), -1, axis=0)


def all_of(network, names=MEASURES):
    subject = Subject(network)
    return {name: MEASURES[name](subject) for name in names}


SEEDS = range(5)
MATRICES = [signed_matrix(seed) for seed in SEEDS]
MATRICES += [gb.load_dataset("witvliet-1").weights.toarray()]


@pytest.mark.parametrize("J", MATRICES)
def test_the_graph_is_as_networkx_sees_it(J):
    G, found = graph(J), all_of(J)
    assert found["n_neurons"] == len(J)
    assert found["n_synapses"] == np.count_nonzero(J)
    assert found["reciprocity"] == pytest.approx(nx.overall_reciprocity(G))
    assert found["strength_assortativity"] == pytest.approx(
        nx.degree_pearson_correlation_coefficient(G, x="out", y="in", weight="weight")
    )
    components = list(nx.strongly_connected_components(G))
    assert found["n_components"] == len(components)
    assert found["largest_component"] == max(map(len, components))
    of = {neuron: number for number, each in enumerate(components) for neuron in each}
    leaving = sum(of[u] != of[v] for u, v in G.edges)
    assert found["fraction_on_cycles"] == pytest.approx(1 - leaving / np.count_nonzero(J))


@pytest.mark.parametrize("J", MATRICES)
def test_what_comes_back_is_the_smaller_weight_of_each_pair(J):
    W = np.abs(J) * (1 - np.eye(len(J)))
    assert all_of(J)["weighted_reciprocity"] == pytest.approx(np.minimum(W, W.T).sum() / W.sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_equilibria_are_those_of_a_generic_optimiser(seed):
    J = signed_matrix(seed, n=9, connected=True)
    n, C = len(J), np.square(J)
    q = cheapest_potentials(C, np.arange(n) > 0)
    h = (q - q.mean()) / 2
    balanced = J * np.exp(h[None, :] - h[:, None])
    found = all_of(J)
    assert found["fraction_on_cycles"] == 1
    assert found["initial_cost"] == pytest.approx(C.sum())
    assert found["total_cost"] == pytest.approx(np.square(balanced).sum())
    assert found["relative_drop"] == pytest.approx(1 - np.square(balanced).sum() / C.sum())
    assert found["potential_sd"] == pytest.approx(h.std(), rel=1e-5)
    assert found["potential_min"] == pytest.approx(h.min(), rel=1e-5)
    assert found["potential_max"] == pytest.approx(h.max(), rel=1e-5)
    conductances = np.square(balanced) * (1 - np.eye(n))
    conductances += conductances.T
    values, vectors = linalg.eigh(np.diag(conductances.sum(axis=0)) - conductances)
    assert found["slowest_time_constant"] == pytest.approx(1 / (2 * values[1]), rel=1e-4)
    assert found["median_time_constant"] == pytest.approx(np.median(1 / (2 * values[1:])), rel=1e-4)
    assert found["spectral_gap"] == pytest.approx(values[1] / values[-1], rel=1e-4)
    assert found["slowest_mode_participation"] == pytest.approx(
        1 / np.sum(vectors[:, 1] ** 4), rel=1e-4
    )


@pytest.mark.parametrize("J", MATRICES)
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_bounds_enclose_the_drop(J, p):
    found = all_of(gb.as_network(J, p=p))
    low, high = found["relative_drop_lower_bound"], found["relative_drop_upper_bound"]
    assert 0 < low <= found["relative_drop"] <= high < 1


@pytest.mark.parametrize("J", MATRICES)
def test_spectra_are_those_of_the_dense_matrices(J):
    B = gb.balance(J).network.weights.toarray()
    found = all_of(J)
    for prefix, M in (("", J), ("balanced_", B)):
        assert found[f"{prefix}numerical_abscissa"] == pytest.approx(
            np.linalg.eigvalsh((M + M.T) / 2).max()
        )
        # Henrici's departure is the length of what a Schur form has above its diagonal.
        schur, _ = linalg.schur(M, output="complex")
        assert found[f"{prefix}departure_from_normality"] == pytest.approx(
            np.linalg.norm(np.triu(schur, 1)), rel=1e-6, abs=1e-6
        )
        assert found[f"{prefix}commutator_norm"] == pytest.approx(np.linalg.norm(M @ M.T - M.T @ M))
    assert found["spectral_abscissa"] == pytest.approx(np.linalg.eigvals(J).real.max(), rel=1e-6)
    assert abs(found["spectral_abscissa_change"]) < 1e-8 * np.linalg.norm(J)


@pytest.mark.parametrize("J", MATRICES)
def test_balancing_brings_weights_closer_to_normal(J):
    found = all_of(J)
    assert found["balanced_departure_from_normality"] < found["departure_from_normality"]


def test_balancing_makes_a_scaled_symmetric_matrix_normal():
    rng = np.random.default_rng(3)
    S, d = rng.normal(size=(8, 8)), rng.lognormal(size=8)
    found = all_of((S + S.T) * d[:, None] / d[None, :])
    assert found["departure_from_normality"] > 5
    assert found["balanced_departure_from_normality"] == pytest.approx(0, abs=1e-5)
    assert found["balanced_commutator_norm"] == pytest.approx(0, abs=1e-6)


def test_the_diagonal_of_the_commutator_is_the_gradient():
    J = signed_matrix(1)
    g = gb.as_network(J).neural_gradients
    np.testing.assert_allclose(np.diag(J @ J.T - J.T @ J), g, atol=1e-12)


def test_the_removable_fraction_is_that_of_least_squares():
    J = signed_matrix(4, connected=True)
    post, pre = np.nonzero(J * (1 - np.eye(len(J))))
    logs = np.log(np.square(J[post, pre]))
    design = np.zeros((logs.size, len(J) + 1))
    design[np.arange(logs.size), post] = 1
    design[np.arange(logs.size), pre] -= 1
    design[:, -1] = 1
    left = logs - design @ np.linalg.lstsq(design, logs)[0]
    expected = 1 - np.square(left).mean() / logs.var()
    assert all_of(J)["removable_fraction"] == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_percentile_is_that_of_all_permutations(seed):
    C = np.square(signed_matrix(seed, n=6, density=0.6))
    incoming, outgoing = C.sum(axis=1), C.sum(axis=0)
    norms = [
        np.linalg.norm(incoming[list(order)] - outgoing)
        for order in itertools.permutations(range(6))
    ]
    own = norms[0]
    exact = np.mean(np.array(norms) < own) + np.mean(np.isclose(norms, own)) / 2
    found = all_of(np.sqrt(C))["initial_imbalance_percentile"]
    assert abs(found - 100 * exact) < 100 * 4 * math.sqrt(exact * (1 - exact) / 1000)


def test_equal_costs_are_at_the_middle_of_their_permutations():
    assert all_of(ring(7))["initial_imbalance_percentile"] == 50


@pytest.mark.parametrize("J", MATRICES)
def test_reversal_mirrors_the_potentials_and_keeps_the_rest(J):
    forward, backward = all_of(J), all_of(J.T)
    for name, value in forward.items():
        mirrored = -backward["potential_max"] if name == "potential_min" else backward[name]
        mirrored = -backward["potential_min"] if name == "potential_max" else mirrored
        if name in ("initial_imbalance_percentile", "spectral_abscissa_change"):
            continue  # other permutations; rounding
        assert mirrored == pytest.approx(value, rel=1e-6, abs=1e-6), name


@pytest.mark.parametrize("J", MATRICES)
def test_numbers_without_unit_are_the_same_in_any_unit(J):
    one, other = all_of(J), all_of(1024 * J)
    with_unit = {"initial_cost", "total_cost", "slowest_time_constant", "median_time_constant"}
    with_unit |= {name for name in MEASURES if "abscissa" in name or "norm" in name}
    for name in set(MEASURES) - with_unit:
        assert other[name] == pytest.approx(one[name], rel=1e-9), name


@pytest.mark.parametrize("J", [signed_matrix(0, connected=True), MATRICES[-1]])
def test_large_networks_are_measured_without_dense_matrices(J, monkeypatch):
    dense = all_of(J)
    monkeypatch.setattr(measures, "DENSE", 20 if len(J) > 20 else 5)
    monkeypatch.setattr(measures, "_ROWS_AT_ONCE", 10)
    # From a fifth of all modes on the solver of modes takes the dense matrix; one is no fifth.
    found = all_of(J)
    left_out = {name for name, value in found.items() if math.isnan(value)}
    assert left_out == {
        "median_time_constant",
        "departure_from_normality",
        "balanced_departure_from_normality",
    }
    for name in set(MEASURES) - left_out:
        assert found[name] == pytest.approx(dense[name], rel=1e-6, abs=1e-8), name


def test_what_is_not_defined_is_nan():
    chain = all_of(gb.as_network(np.diag([1.0, 2.0], k=-1)))
    assert chain["fraction_on_cycles"] == chain["total_cost"] == 0
    assert chain["relative_drop"] == 1
    assert chain["spectral_abscissa"] == chain["balanced_departure_from_normality"] == 0
    for name in ("slowest_time_constant", "spectral_gap", "slowest_mode_participation"):
        assert math.isnan(chain[name])
    alike = all_of(ring(7))
    assert math.isnan(alike["strength_assortativity"])


def test_without_an_equilibrium_nothing_is_said_of_it(monkeypatch):
    stopped = functools.partial(gb.balance, tol=1e-300)
    monkeypatch.setattr(measures, "balance", stopped)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = all_of(signed_matrix(0, connected=True))
    assert {name for name, value in found.items() if math.isnan(value)} == set(AT_EQUILIBRIUM)


def test_a_measure_takes_whatever_describes_a_network():
    assert measures.reciprocity("celegans") == measures.reciprocity(Subject("celegans"))
    assert set(DEFAULT) < set(MEASURES)
    assert set(MEASURES) < set(measures.__all__)
    with pytest.raises(gb.InputError, match="no dataset called"):
        measures.reciprocity("nobody")
