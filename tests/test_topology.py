"""Components, blocks, existence and divergence, against NetworkX, a QP solver and the flow."""

from __future__ import annotations

import subprocess
import sys

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.integrate import solve_ivp

import graphbal as gb
from graphbal import _components, _divergence
from graphbal._components import biconnected_blocks, strong_components
from graphbal._divergence import component_rates
from graphbal.errors import GraphbalError, InputError
from graphbal.network import SynapticNetwork

SEEDS = range(40)


def network_of(matrix, labels=None, **cost) -> SynapticNetwork:
    weights = sparse.csr_array(np.asarray(matrix, dtype=float))
    weights.sort_indices()
    labels = range(weights.shape[0]) if labels is None else labels
    return SynapticNetwork(weights, pd.Index(labels, tupleize_cols=False), **cost)


def digraph_of(net: SynapticNetwork, kept=None) -> nx.DiGraph:
    """The graph of the synapses, built without the code under test."""
    coo = net.weights.tocoo()
    graph = nx.DiGraph()
    graph.add_nodes_from(range(net.n_neurons))
    pairs = zip(coo.coords[1].tolist(), coo.coords[0].tolist(), strict=True)
    kept = np.ones(coo.nnz, dtype=bool) if kept is None else kept
    graph.add_edges_from(pair for pair, keep in zip(pairs, kept, strict=True) if keep)
    return graph


def random_csr(seed: int) -> tuple[sparse.csr_array, np.ndarray | None]:
    """A sparse graph with self-loops, isolated nodes, and (every other time) a mask of entries."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    matrix = sparse.csr_array((rng.random((n, n)) < rng.choice([0.5, 1, 2, 4]) / n).astype(float))
    return matrix, (rng.random(matrix.nnz) < 0.8 if seed % 2 else None)


def random_dag(rng, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = rng.integers(0, n, (2, m))
    pairs = np.unique(np.stack([np.minimum(a, b), np.maximum(a, b)])[:, a != b], axis=1)
    return tuple(rng.permutation(n)[pairs])


def mixed_matrix(seed: int) -> np.ndarray:
    """Weights of a connected graph of three to eight neurons with cycles and feed-forward parts."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    mask = np.tril(rng.random((n, n)) < 0.5, -1) | np.triu(rng.random((n, n)) < 0.15, 1)
    mask |= np.eye(n, k=-1, dtype=bool)
    return mask * rng.lognormal(0, 0.5, (n, n))


@pytest.fixture(params=["small", "large"])
def every_size(request, monkeypatch):
    """Run a test through the code for small networks, and again through that for large ones."""
    if request.param == "large":
        monkeypatch.setattr(_components, "_LARGE_FOR_COMPONENTS", 0)
        monkeypatch.setattr(_components, "_LARGE_FOR_BLOCKS", 0)
        monkeypatch.setattr(_divergence, "_LARGE", 0)


matrices = st.integers(2, 9).flatmap(
    lambda n: st.lists(
        st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, -2.0]), min_size=n, max_size=n),
        min_size=n,
        max_size=n,
    )
)


# ---------------------------------------------------------------------- components


@pytest.mark.parametrize("seed", SEEDS)
def test_strong_components_are_those_of_networkx_in_condensation_order(seed, every_size):
    csr, keep = random_csr(seed)
    n_components, labels = strong_components(csr.indptr, csr.indices, keep)
    graph = digraph_of(network_of(csr.toarray()), keep)
    expected = {frozenset(c) for c in nx.strongly_connected_components(graph)}
    found = {frozenset(np.flatnonzero(labels == k).tolist()) for k in range(n_components)}
    assert found == expected
    assert all(labels[pre] <= labels[post] for pre, post in graph.edges)
    assert labels.dtype == np.int32


def test_repeated_entries_are_one_synapse(every_size):
    indptr, indices = np.array([0, 2, 5]), np.array([1, 1, 0, 0, 1])
    assert strong_components(indptr, indices)[0] == 1
    assert strong_components(indptr, indices, np.array([0, 0, 1, 1, 1], dtype=bool))[0] == 2
    assert biconnected_blocks(indptr, indices).block_of_entry.tolist() == [0, 0, 0, 0, -1]


@pytest.mark.parametrize("masked", [False, True])
def test_a_core_is_numbered_after_what_drives_it_and_before_what_it_drives(masked, every_size):
    rng = np.random.default_rng(0)
    n, tail = 300, 40
    matrix = np.zeros((n, n))
    core = slice(tail, n - tail)
    matrix[core, core] = rng.random((n - 2 * tail, n - 2 * tail)) < 0.05
    matrix[core, :tail] = rng.random((n - 2 * tail, tail)) < 0.02
    matrix[n - tail :, core] = rng.random((tail, n - 2 * tail)) < 0.02
    matrix[:tail, :tail] = np.tril(rng.random((tail, tail)) < 0.1)
    matrix[n - tail :, n - tail :] = rng.random((tail, tail)) < 0.03
    matrix = matrix[np.ix_(order := rng.permutation(n), order)]
    csr = sparse.csr_array(matrix)
    keep = rng.random(csr.nnz) < 0.9 if masked else None
    n_components, labels = strong_components(csr.indptr, csr.indices, keep)
    graph = digraph_of(network_of(matrix), keep)
    assert n_components == nx.number_strongly_connected_components(graph)
    assert set(labels.tolist()) == set(range(n_components))
    assert all(labels[pre] <= labels[post] for pre, post in graph.edges)
    giant = max(nx.strongly_connected_components(graph), key=len)
    assert len(giant) > n // 2
    assert len(set(labels[list(giant)].tolist())) == 1


def test_topology_of_long_rings_and_chains_needs_no_recursion(every_size):
    n = 20_000
    at = np.arange(n)
    after = (at + 1) % n
    both = sparse.csr_array((np.ones(2 * n), (np.r_[at, after], np.r_[after, at])), shape=(n, n))
    assert strong_components(both.indptr, both.indices)[0] == 1
    assert biconnected_blocks(both.indptr, both.indices).n_blocks == 1
    chain = sparse.csr_array((np.ones(n - 1), (at[1:], at[:-1])), shape=(n, n))
    n_components, labels = strong_components(chain.indptr, chain.indices)
    assert n_components == n
    np.testing.assert_array_equal(labels, at)
    blocks = biconnected_blocks(chain.indptr, chain.indices)
    assert blocks.n_blocks == n - 1
    assert np.count_nonzero(blocks.cut_vertices) == n - 2


# ---------------------------------------------------------------------- blocks


@pytest.mark.parametrize("within_components", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_blocks_are_those_of_networkx(seed, within_components, every_size):
    csr, keep = random_csr(seed)
    post, pre = csr.tocoo().coords
    labels = strong_components(csr.indptr, csr.indices, keep)[1] if within_components else None
    counts = (pre != post) if keep is None else (pre != post) & keep
    if within_components:
        counts &= labels[pre] == labels[post]
    graph = nx.Graph()
    graph.add_nodes_from(range(csr.shape[0]))
    graph.add_edges_from(zip(pre[counts].tolist(), post[counts].tolist(), strict=True))

    blocks = biconnected_blocks(csr.indptr, csr.indices, labels, keep)
    np.testing.assert_array_equal(blocks.block_of_entry >= 0, counts)
    ends = [
        {frozenset((int(pre[e]), int(post[e]))) for e in np.flatnonzero(blocks.block_of_entry == k)}
        for k in range(blocks.n_blocks)
    ]
    expected = {frozenset(map(frozenset, edges)) for edges in nx.biconnected_component_edges(graph)}
    assert {frozenset(block) for block in ends} == expected
    assert set(np.flatnonzero(blocks.cut_vertices).tolist()) == set(nx.articulation_points(graph))

    met: set[int] = set()
    for block, root in zip(ends, blocks.block_roots.tolist(), strict=True):
        vertices = set().union(*block)
        assert root in vertices
        assert not (vertices - {root}) & met, "a block meets earlier ones in its root alone"
        met |= vertices


# ---------------------------------------------------------------------- existence


@given(matrices)
@settings(max_examples=80, deadline=None)
def test_balanceable_iff_every_synapse_lies_on_a_directed_cycle(matrix):
    net = network_of(matrix)
    top = gb.topology(net)
    graph = digraph_of(net)
    on_no_cycle = [(u, v) for u, v in graph.edges if not nx.has_path(graph, v, u)]
    assert top.is_balanceable == (not on_no_cycle)
    table = top.vanishing_edges
    assert sorted(zip(table["pre"], table["post"], strict=True)) == sorted(on_no_cycle)
    assert np.count_nonzero(top.vanishing) == len(on_no_cycle)
    assert top.condensation["n_synapses"].sum() == len(on_no_cycle)
    assert (top.condensation["pre"] < top.condensation["post"]).all()
    assert top.component_sizes.sum() == net.n_neurons
    assert (top.divergence_rates == 0).all() == top.is_balanceable


@given(matrices, st.data())
@settings(max_examples=80, deadline=None)
def test_fixed_neurons_act_as_one_merged_neuron(matrix, data):
    net = network_of(matrix)
    n = net.n_neurons
    fixed = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    top = gb.topology(net, fixed=fixed)

    free = [k for k in range(n) if k not in fixed]
    node_of = {k: free.index(k) if k in free else len(free) for k in range(n)}
    merged = np.zeros((len(free) + 1,) * 2)
    post, pre = net.weights.tocoo().coords
    for i, j in zip(post.tolist(), pre.tolist(), strict=True):
        merged[node_of[i], node_of[j]] += 1
    expected = gb.topology(network_of(merged))

    nodes = [node_of[k] for k in range(n)]
    same = expected.components.to_numpy()[nodes]
    np.testing.assert_array_equal(
        same[:, None] == same, top.components.to_numpy()[:, None] == top.components.to_numpy()
    )
    assert len(set(top.components.loc[sorted(fixed)])) == 1
    assert top.is_balanceable == expected.is_balanceable
    assert top.n_blocks == expected.n_blocks
    cut = set(expected.cut_neurons)
    assert set(top.cut_neurons) == {k for k in range(n) if node_of[k] in cut}
    within = np.isin(post, list(fixed)) & np.isin(pre, list(fixed))
    assert not top.vanishing[within].any()
    assert (top.synapse_blocks[within] == -1).all()
    assert (top.divergence_rates.loc[sorted(fixed)] == 0).all()
    # One block to each: the synapse blocks of the merged network, seen through the merger.
    by_pair = dict(
        zip(
            zip(*(x.tolist() for x in expected.network.weights.tocoo().coords), strict=True),
            expected.synapse_blocks.tolist(),
            strict=True,
        )
    )
    seen = {
        (block, by_pair[node_of[i], node_of[j]])
        for i, j, block in zip(
            post.tolist(), pre.tolist(), top.synapse_blocks.tolist(), strict=True
        )
    }
    assert len(seen) == len({a for a, _ in seen}) == len({b for _, b in seen})


def test_a_feed_forward_chain_with_fixed_ends_is_balanceable():
    net = network_of(np.eye(4, k=-1), labels=list("abcd"))
    assert not gb.topology(net).is_balanceable
    assert not gb.topology(net, fixed="a").is_balanceable
    top = gb.topology(net, fixed=["d", "a"])
    assert top.is_balanceable
    assert list(top.fixed) == ["a", "d"]
    assert top.n_components == 1
    assert top.n_blocks == 1


def test_synapses_without_cost_do_not_count():
    matrix = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    free = np.array([[1.0], [1.0], [0.0]])  # nothing that neuron 2 receives has a cost
    top = gb.topology(network_of(matrix, alpha=free))
    assert top.is_balanceable
    assert top.n_components == 2
    assert top.synapse_blocks.tolist() == [0, 0, -1]
    one_way = gb.topology(network_of(matrix, alpha=[0.0, 1.0, 1.0]))
    assert one_way.vanishing.tolist() == [True, False, True]
    net = network_of(matrix)
    stored = net.with_weights(np.array([0.0, 1.0, 1.0]))
    assert gb.topology(stored).n_components == 3
    assert gb.topology(stored).vanishing_edges["pre"].tolist() == [0, 1]


def test_self_connections_are_listed_and_change_nothing():
    matrix = np.array([[5.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 7.0]])
    top = gb.topology(network_of(matrix, labels=list("xyz")))
    without = gb.topology(network_of(matrix - np.diag(np.diag(matrix)), labels=list("xyz")))
    assert list(top.self_connections) == ["x", "z"]
    assert top.components.tolist() == without.components.tolist()
    assert top.n_blocks == without.n_blocks == 1
    assert not top.vanishing[top.network.weights.tocoo().coords[0] == 0].any()


@given(matrices, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_relabelling_the_neurons_relabels_the_topology(matrix, random):
    matrix = np.asarray(matrix)
    n = matrix.shape[0]
    order = list(range(n))
    random.shuffle(order)
    top = gb.topology(network_of(matrix))
    other = gb.topology(network_of(matrix[np.ix_(order, order)], labels=order))
    other_components = other.components.loc[range(n)].to_numpy()
    components = top.components.to_numpy()
    np.testing.assert_array_equal(
        components[:, None] == components, other_components[:, None] == other_components
    )
    np.testing.assert_allclose(
        other.divergence_rates.loc[range(n)], top.divergence_rates, atol=1e-12
    )
    assert set(other.cut_neurons) == set(top.cut_neurons)
    assert other.n_blocks == top.n_blocks
    vanishing = [
        set(zip(t.vanishing_edges["pre"], t.vanishing_edges["post"], strict=True))
        for t in (top, other)
    ]
    assert vanishing[0] == vanishing[1]


@given(matrices)
@settings(max_examples=40, deadline=None)
def test_reversing_the_network_negates_the_divergence_rates(matrix):
    forward = gb.topology(network_of(matrix)).divergence_rates
    backward = gb.topology(network_of(np.transpose(matrix))).divergence_rates
    np.testing.assert_allclose(backward, -forward, atol=1e-12)


# ---------------------------------------------------------------------- divergence rates


def test_known_divergence_rates(every_size):
    single = gb.topology(network_of([[0, 0], [1, 0]])).divergence_rates
    assert single.tolist() == [-0.5, 0.5]
    chain = gb.topology(network_of(np.eye(5, k=-1))).divergence_rates
    assert chain.tolist() == [-2, -1, 0, 1, 2]
    clamped = gb.topology(network_of(np.eye(5, k=-1)), fixed=0).divergence_rates
    assert clamped.tolist() == [0, 1, 2, 3, 4]
    star = np.zeros((5, 5))
    star[1:, 0] = 1
    np.testing.assert_allclose(
        gb.topology(network_of(star)).divergence_rates, [-0.8, 0.2, 0.2, 0.2, 0.2]
    )


@pytest.mark.parametrize("seed", range(20))
def test_divergence_rates_agree_with_an_independent_qp_solver(seed, every_size):
    cp = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 30))
    pre, post = random_dag(rng, n, int(rng.integers(1, 4 * n)))
    sizes = rng.integers(1, 2 if seed % 2 else 2000, n, endpoint=True).astype(float)
    held = np.zeros(n, dtype=bool)
    if seed % 3 == 0:
        held[rng.integers(n)] = True
    rates = component_rates(np.where(held, np.inf, sizes), pre, post)

    # Scaled so that the solver's accuracy does not depend on the sizes.
    x = cp.Variable(n)
    q = cp.multiply(1 / np.sqrt(sizes), x)
    limits = [q[post] - q[pre] >= 1, *([q[np.flatnonzero(held)] == 0] if held.any() else [])]
    problem = cp.Problem(cp.Minimize(cp.sum_squares(x)), limits)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    np.testing.assert_allclose(rates, q.value, atol=1e-4)
    assert rates[post].size == 0 or (rates[post] - rates[pre]).min() >= 1 - 1e-9


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("clamp", [False, True])
def test_divergence_rates_are_the_log_slopes_of_the_flow(seed, clamp):
    matrix = mixed_matrix(seed)
    n = matrix.shape[0]
    net = network_of(matrix)
    fixed = [0, n - 1] if clamp and n > 4 else None
    rates = gb.topology(net, fixed=fixed).divergence_rates.to_numpy()
    costs = matrix**2 * (1 - np.eye(n))
    moves = ~np.isin(np.arange(n), fixed or [])

    # In s = log t, with q = p h and the rate of the flow set to 1/p: dq/ds = t g(q).
    def costs_at(q):
        return costs * np.exp(q[None, :] - q[:, None])

    def drift(s, q):
        now = costs_at(q)
        return np.exp(s) * moves * (now.sum(axis=1) - now.sum(axis=0))

    def jacobian(s, q):
        now = costs_at(q)
        laplacian = np.diag(now.sum(axis=0) + now.sum(axis=1)) - now - now.T
        return -np.exp(s) * moves[:, None] * laplacian

    late = np.array([12.0, 16.0])
    run = solve_ivp(
        drift, (-6, 16), np.zeros(n), "Radau", t_eval=late, jac=jacobian, rtol=1e-5, atol=1e-6
    )
    slopes = (run.y[:, 1] - run.y[:, 0]) / 4
    np.testing.assert_allclose(rates, slopes, atol=1e-2)


def test_divergence_rates_of_a_large_feed_forward_network_are_certified(every_size, monkeypatch):
    rng = np.random.default_rng(0)
    n = 400
    pre, post = random_dag(rng, n, 3 * n)
    rates = component_rates(np.ones(n), pre, post)
    assert (rates[post] - rates[pre]).min() >= 1 - 1e-9

    def wrong(sizes, pre, post, tolerance):
        return np.zeros(n), np.zeros(0, dtype=np.int64), np.zeros(0)

    monkeypatch.setattr(_divergence, "_dual_active_set", wrong)
    monkeypatch.setattr(_divergence, "_LARGE", 10**9)
    with pytest.raises(GraphbalError, match="optimality"):
        component_rates(np.ones(n), pre, post)


# ---------------------------------------------------------------------- doors


def test_labels_may_be_tuples():
    net = network_of(np.eye(3, k=-1), labels=[("a", 1), ("b", 2), ("c", 3)])
    top = gb.topology(net, fixed=[("a", 1), ("c", 3)])
    assert top.is_balanceable
    assert top.n_blocks == 1
    assert top.divergence_rates.tolist() == [0, 0, 0]


def test_unknown_fixed_neurons_are_named():
    with pytest.raises(InputError, match="'nobody'"):
        gb.topology(network_of(np.eye(3, k=-1), labels=list("abc")), fixed=["a", "nobody"])


@pytest.mark.parametrize("bad", [42, np.full((2, 2), np.nan), np.ones((2, 3))])
def test_what_is_no_network_is_refused(bad):
    with pytest.raises(InputError):
        gb.topology(bad)


def test_one_neuron_without_synapses_is_balanced():
    top = gb.topology(network_of([[0.0]]))
    assert top.is_balanceable
    assert (top.n_components, top.n_blocks) == (1, 0)
    assert top.vanishing_edges.empty
    assert top.divergence_rates.tolist() == [0]
    assert "A finite equilibrium exists" in top.summary()


def test_results_are_reproducible_and_the_network_is_untouched():
    net = network_of(mixed_matrix(3))
    before = net.weights.copy()
    first, second = gb.topology(net), gb.topology(net)
    assert first.components.equals(second.components)
    assert first.divergence_rates.equals(second.divergence_rates)
    np.testing.assert_array_equal(first.synapse_blocks, second.synapse_blocks)
    assert (net.weights != before).nnz == 0
    assert first.summary() == second.summary()
    assert repr(first).startswith("Topology(")


def test_small_networks_do_not_wait_for_numba():
    code = (
        "import sys, numpy as np, graphbal as gb; "
        "top = gb.topology(np.eye(50, k=-1) + np.eye(50, k=3)); "
        "top.n_blocks, top.divergence_rates, top.summary(); "
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
