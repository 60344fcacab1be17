"""
Equilibrium potentials in a program
===================================

A graph goes in, a dictionary of potentials comes out: that is all a program needs to know. This
tutorial begins there and goes on to what programs grow into: tables of many recordings, a step in a
machine-learning pipeline, thousands of small graphs on all cores, and what happens when one of them
is broken.
"""

import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd

import graphbal as gb

plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "font.size": 8}

# %%
# A graph in, a dictionary out
# ----------------------------
# `equilibrium_potentials` behaves like one of NetworkX's own algorithms. An edge (u, v) is a
# synapse from u to v, its attribute ``weight`` what it weighs.

G = nx.DiGraph()
G.add_weighted_edges_from(
    [
        ("in", "a", 2),
        ("a", "b", 3),
        ("b", "c", 1),
        ("c", "a", 4),
        ("b", "out", 2),
        ("out", "in", 0.5),
    ]
)
h = gb.equilibrium_potentials(G)
{node: round(potential, 3) for node, potential in h.items()}

# %%
# The potential of a neuron says by which factor to scale what it sends, :math:`e^{h}`, and what it
# receives, :math:`e^{-h}`. Doing so by hand balances every node:

scaled = {(u, v): w * np.exp(h[u] - h[v]) for u, v, w in G.edges(data="weight")}
for node in G:
    received = sum(w**2 for (_, v), w in scaled.items() if v == node)
    sent = sum(w**2 for (u, _), w in scaled.items() if u == node)
    assert np.isclose(received, sent)

# %%
# (`set_potentials` writes them into the graph, as attributes of its nodes.) `balance` returns all
# there is to know instead, and ``eq.network.to_networkx()`` the balanced graph, with whatever
# attributes the nodes and edges of yours have.

eq = gb.balance(G)
figure, axes = plt.subplots(1, 2, figsize=(7, 2.9), layout="constrained")
places = nx.circular_layout(["in", "a", "c", "b", "out"])
bound = max(abs(potential) for potential in h.values())
for ax, graph, title in zip(axes, (G, eq.network.to_networkx()), ("before", "after"), strict=True):
    costs = [w**2 for _, _, w in graph.edges(data="weight")]
    nx.draw_networkx_nodes(
        graph, places, ax=ax, node_size=520, edgecolors="0.3", linewidths=0.8, cmap="RdBu_r",
        node_color=[h[node] for node in graph], vmin=-1.6 * bound, vmax=1.6 * bound,
    )  # fmt: skip
    nx.draw_networkx_labels(graph, places, ax=ax, font_size=8)
    nx.draw_networkx_edges(
        graph, places, ax=ax, width=np.sqrt(costs), node_size=520, edge_color="0.35", arrowsize=11
    )
    nx.draw_networkx_edge_labels(
        graph, places, dict(zip(graph.edges, np.round(costs, 1), strict=True)), ax=ax, font_size=7
    )
    ax.set(title=f"costs {title}: {sum(costs):.1f} in all")
    ax.axis("off")
    ax.margins(0.16)
plt.show()

# %%
# At the door of a function
# -------------------------
# A function of yours need not ask what it is given. `as_network` takes NetworkX graphs, sparse
# and dense matrices, tables, file names and the names of datasets, so that your callers may pass
# any of them.


def cost_to_be_saved(network, p=2):
    """Return the fraction of the total cost that balancing saves."""
    eq = gb.balance(gb.as_network(network, p=p))
    return eq.drop / eq.initial_cost


table = pd.DataFrame(G.edges(data="weight"), columns=["pre", "post", "weight"])
matrix = nx.to_scipy_sparse_array(G).T  # NetworkX puts sources into rows, graphbal into columns
for given in (G, table, matrix, matrix.toarray(), "celegans"):
    print(f"{type(given).__name__:<12} {cost_to_be_saved(given):.4f}")
assert np.isclose(cost_to_be_saved(G), cost_to_be_saved(table))
assert np.isclose(cost_to_be_saved(G), cost_to_be_saved(matrix))

# %%
# Many networks in one table
# --------------------------
# Databases keep the synapses of many animals in one long table. Here are eight worms, from
# hatching to adulthood (Witvliet et al. 2021, https://doi.org/10.1038/s41586-021-03778-8):

stages = [f"witvliet-{number}" for number in range(1, 9)]
synapses = pd.concat(
    {name: gb.load_dataset(name).edges()[["pre", "post", "weight"]] for name in stages},
    names=["animal", None],
).reset_index("animal")
synapses.sample(5, random_state=0)

# %%
# ``groupby`` hands out one table an animal, and a table is a network. Potentials carry labels, so
# that animals align by themselves, neurons that one of them lacks being NaN. Between strongly
# connected components the level of h means nothing; we keep the largest one of each animal and set
# its mean to zero, which is what `balance` has done already.

potentials = {}
for name, rows in synapses.groupby("animal"):
    eq = gb.balance(rows.drop(columns="animal"))
    sizes = eq.topology.component_sizes
    potentials[name] = eq.potentials[eq.topology.components == sizes.idxmax()]
potentials = pd.DataFrame(potentials)
everywhere = potentials.dropna()
assert np.allclose(potentials.mean(), 0)
print(f"{len(everywhere)} of {len(potentials)} neurons are in the large component of all animals")
everywhere.loc[everywhere.mean(axis=1).sort_values().index].iloc[[0, 1, 2, -3, -2, -1]].round(2)

# %%
# A neuron's potential comes back from animal to animal, as its wiring does.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(7.4, 3), layout="constrained", width_ratios=[1.5, 1]
)
order = everywhere.mean(axis=1).sort_values().index
image = left.imshow(
    everywhere.loc[order].T, aspect="auto", cmap="RdBu_r", vmin=-2, vmax=2, interpolation="nearest"
)
left.set(xlabel="neuron, by mean potential", ylabel="animal", yticks=range(8))
left.set_yticklabels(range(1, 9))
figure.colorbar(image, ax=left, label="potential h", extend="both")
agreement = everywhere.corr()
image = right.imshow(agreement, cmap="viridis", vmin=0, vmax=1)
right.set(xticks=range(8), yticks=range(8), xlabel="animal", ylabel="animal")
right.set_xticklabels(range(1, 9))
right.set_yticklabels(range(1, 9))
figure.colorbar(image, ax=right, label="correlation of potentials")
plt.show()

pairs = agreement.to_numpy()[np.triu_indices(8, 1)]
print(f"correlation between two animals: {pairs.min():.2f} to {pairs.max():.2f}")
assert pairs.min() > 0.3

# %%
# A step in a pipeline
# --------------------
# A classifier wants a row of numbers for each graph. The measures of `graphbal.measures` are
# functions of a network, and a *subject* lets them share the equilibrium. This class has the
# ``fit`` and ``transform`` that pipelines of scikit-learn ask for, and needs nothing of it:


class BalanceFeatures:
    """Turn a sequence of graphs into a table, a row a graph, a column a measure."""

    def __init__(self, names=("fraction_on_cycles", "relative_drop", "potential_sd")):
        self.names = names

    def fit(self, graphs, y=None):
        return self

    def transform(self, graphs):
        rows = []
        for graph in graphs:
            subject = gb.measures.Subject(graph)
            rows.append([gb.measures.MEASURES[name](subject) for name in self.names])
        return pd.DataFrame(rows, columns=list(self.names))


# %%
# Three kinds of graphs with 50 nodes, about 200 edges and weights from one distribution: can the
# kind be told from how they balance?


def graph_of(kind, seed):
    rng = np.random.default_rng([seed, len(kind)])
    if kind == "random":
        graph = nx.gnm_random_graph(50, 200, seed=seed, directed=True)
    elif kind == "ring-like":
        undirected = nx.watts_strogatz_graph(50, 4, 0.1, seed=seed)
        graph = undirected.to_directed()
    else:
        several = nx.scale_free_graph(50, 0.3, 0.55, 0.15, seed=seed)  # edges may be repeated
        graph = nx.DiGraph((u, v) for u, v in several.edges() if u != v)
    for _, _, edge in graph.edges(data=True):
        edge["weight"] = rng.lognormal(sigma=0.5)
    return graph


kinds = ["random", "ring-like", "scale-free"]
graphs = [graph_of(kind, seed) for kind in kinds for seed in range(60)]
kind_of = np.repeat(kinds, 60)
started = time.perf_counter()
features = BalanceFeatures().fit(graphs).transform(graphs)
each = (time.perf_counter() - started) / len(graphs)
print(f"{1000 * each:.1f} ms a graph, all measures together")
features.groupby(kind_of).mean().round(3)

# %%
# The nearest class mean, with features in units of their spread, learnt from the first half of
# each kind and tried on the other:

standard = (features - features.mean()) / features.std()
learning = np.tile(np.arange(60) < 30, 3)
means = standard[learning].groupby(kind_of[learning]).mean()
distances = np.linalg.norm(standard.to_numpy()[:, None] - means.to_numpy(), axis=2)
guessed = means.index.to_numpy()[distances.argmin(axis=1)]
correct = (guessed == kind_of)[~learning].mean()
print(f"{correct:.0%} of the graphs that were held back are told right; by chance 33%")
assert correct > 0.8

figure, ax = plt.subplots(figsize=(4.2, 3.2), layout="constrained")
for kind, marker, color in zip(kinds, "o^s", ["#0173b2", "#029e73", "#de8f05"], strict=True):
    chosen = features[kind_of == kind]
    ax.plot(
        chosen["potential_sd"], chosen["relative_drop"], marker, color=color, label=kind,
        markersize=4, alpha=0.6, markeredgewidth=0,
    )  # fmt: skip
ax.set(xlabel="s.d. of the potentials h", ylabel="fraction of cost saved")
ax.legend(frameon=False)
plt.show()

# %%
# Scale-free graphs, as NetworkX grows them, stand apart because few of their edges lie on a cycle:
# the others vanish, and most of the cost with them. Between the other two kinds it is pairs that
# tell: where edges go both ways, as along the ring, the product of the two costs stays what it is,
# and that bounds what can be saved.

bounds = BalanceFeatures(["relative_drop", "relative_drop_upper_bound"]).transform(graphs)
bounds.groupby(kind_of).mean().round(3)

# %%
# Thousands of graphs on all cores
# --------------------------------
# A graph of this size takes about a millisecond, so that a thousand need no more than a loop. For
# many more, the processes of the standard library each take a share. Three habits make that fast:
# let a worker *make or read* its graph, so that none has to travel; return numbers, not
# equilibria; and hand out graphs by the hundred (``chunksize``). A function that workers call is
# found by its name, and so belongs to a module; the guard around the main part is what keeps
# workers from starting workers. Here is the whole program:

program = '''
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import networkx as nx
import numpy as np
import pandas as pd

import graphbal as gb


def measured(seed):
    """Make the graph of this seed, balance it, and return what is wanted of it."""
    rng = np.random.default_rng(seed)
    graph = nx.gnm_random_graph(50, 200, seed=seed, directed=True)
    for _, _, edge in graph.edges(data=True):
        edge["weight"] = rng.lognormal(sigma=0.5)
    eq = gb.balance(graph)
    return {
        "seed": seed,
        "saved": eq.drop / eq.initial_cost,
        "sd": eq.potentials.std(),
        "finite": eq.is_finite,
        "converged": eq.converged,
    }


if __name__ == "__main__":
    started = time.perf_counter()
    with ProcessPoolExecutor(max_workers=min(os.cpu_count(), 4)) as pool:
        table = pd.DataFrame(pool.map(measured, range(2000), chunksize=100))
    print(f"{time.perf_counter() - started:.1f} s for {len(table)} graphs", file=sys.stderr)
    table.to_csv(sys.stdout, index=False)
'''
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "many_graphs.py")
path.write_text(program)
ran = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
Path(folder.name, "many_graphs.csv").write_text(ran.stdout)
print(ran.stderr)
many = pd.read_csv(Path(folder.name, "many_graphs.csv"), index_col="seed")
many.describe().loc[["mean", "std", "min", "max"]].round(3)

# %%
# Which process did a graph does not matter: every number depends on its seed alone.

rng = np.random.default_rng(7)
graph = nx.gnm_random_graph(50, 200, seed=7, directed=True)
for _, _, edge in graph.edges(data=True):
    edge["weight"] = rng.lognormal(sigma=0.5)
assert np.isclose(many.loc[7, "saved"], cost_to_be_saved(graph))
assert many["converged"].all()
print(f"{1 - many['finite'].mean():.0%} of the graphs have no finite equilibrium")

# %%
# When a graph is broken
# ----------------------
# Of thousands of graphs some will be wrong, and the program should say which. There are three
# things to tell apart:
#
# * Input that makes no sense raises `InputError`, a ``ValueError`` whose message names the place.
# * A graph that has no finite equilibrium is no error. ``eq.is_finite`` says so, and the result is
#   the limit in which some edges have vanished. With ``on_infeasible="raise"`` it raises
#   `InfeasibleError`.
# * A solver that gave up warns with `ConvergenceWarning` and says ``converged=False``.


def outcome(graph, **options):
    """Return what became of a graph, in a word and a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", gb.ConvergenceWarning)  # the result says it, too
            eq = gb.balance(graph, **options)
    except gb.InfeasibleError as error:
        return "no equilibrium", str(error)
    except gb.InputError as error:
        return "bad input", str(error)
    if not eq.converged:
        return "not converged", eq.message
    return ("balanced" if eq.is_finite else "limit"), eq.message


broken = G.copy()
broken.edges["a", "b"]["weight"] = float("nan")
cases = {
    "as it should be": (G, {}),
    "a weight is not a number": (broken, {}),
    "no edges": (nx.empty_graph(3, nx.DiGraph), {}),
    "no way back": (nx.path_graph(4, nx.DiGraph), {}),
    "no way back, and asked": (nx.path_graph(4, nx.DiGraph), {"on_infeasible": "raise"}),
    "both ends held": (nx.path_graph(4, nx.DiGraph), {"fixed": [0, 3]}),
    "an end that is not there": (nx.path_graph(4, nx.DiGraph), {"fixed": [0, 4]}),
    "too few iterations": (graph, {"solver": gb.solvers.Newton("cg", max_iterations=1)}),
}
found = {name: outcome(given, **options) for name, (given, options) in cases.items()}
for name, (word, sentence) in found.items():
    print(f"{name}: {word}\n    {sentence}")
assert [word for word, _ in found.values()] == [
    "balanced", "bad input", "bad input", "limit", "no equilibrium", "balanced", "bad input",
    "not converged",
]  # fmt: skip

# %%
# On the command line exit codes tell the same apart, 1 for bad input and 3 for not converged; see
# :doc:`/command_line`. For whole studies, several networks, many measures and null models, with
# workers and a record from which an interrupted run goes on, there is `graphbal.compare`.
