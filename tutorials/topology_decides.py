"""
Topology decides the equilibrium
================================

Whether a network can be balanced, what a balanced synapse costs, and how much is saved: all this
depends less on the weights than on who is connected with whom. We take the simplest topologies
there are, pairs, trees, chains, rings and cacti, in which the equilibrium can be written down, and
ask of each what balancing can remove from it and what it cannot.
"""

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
from scipy.optimize import brentq

import graphbal as gb
from graphbal import analytic, ensembles

plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "font.size": 8}
BLUE, ORANGE, GREEN, GREY = "#0173b2", "#de8f05", "#029e73", "#949494"

# %%
# Two neurons
# -----------
# Two neurons excite each other, one synapse costs nine times as much as the other. Scaling a
# neuron multiplies the one cost and divides the other, so their product is fixed; and the sum of
# two numbers of given product is least where they are equal. Both end at the geometric mean, 3.

pair = gb.balance([[0, 3.0], [1.0, 0]])
print("costs before:", pair.original.costs.data, " after:", pair.network.costs.data.round(12))
assert np.allclose(pair.network.costs.data, np.sqrt(9 * 1))

# %%
# Trees: every pair for itself
# ----------------------------
# In a tree of such pairs there is one path between any two neurons. Moving everything on the far
# side of a pair by one and the same potential balances that pair and changes no other. So a tree
# is as easy as a pair: every synapse ends at the geometric mean of its own cost and its
# partner's, whatever the rest of the tree looks like.


def cost_table(eq):
    """Return the costs of the synapses and of their reverses, before and after."""
    table = eq.edges().set_index(["pre", "post"])[["cost", "balanced_cost"]]
    table["reverse"] = table["cost"].reindex(table.index.swaplevel()).to_numpy()
    return table


tree = gb.balance(ensembles.tree(63, seed=1))
costs = cost_table(tree)
geometric_mean = np.sqrt(costs["cost"] * costs["reverse"])
error = (costs["balanced_cost"] / geometric_mean - 1).abs().max()
print(f"largest relative error {error:.0e}")
assert np.allclose(costs["balanced_cost"], geometric_mean)

# %%
# The potentials add up along branches. From the root, each step to a neighbour changes h by
# :math:`\frac{1}{2p} \log` of the ratio of the two costs, which is a random walk when weights are
# random, and the further two neurons are apart, the further apart may be their potentials.

forward = costs["cost"].loc[[((k - 1) // 2, k) for k in range(1, 63)]].to_numpy()  # from the parent
backward = costs["reverse"].loc[[((k - 1) // 2, k) for k in range(1, 63)]].to_numpy()
summed = np.zeros(63)
for k in range(1, 63):
    summed[k] = summed[(k - 1) // 2] + np.log(forward[k - 1] / backward[k - 1]) / (2 * 2)
assert np.allclose(tree.potentials, summed - summed.mean())

graph = tree.network.to_networkx()
depth = np.floor(np.log2(np.arange(63) + 1)).astype(int)
angle = [2 * np.pi * (k - (2**d - 1) + 0.5) / 2**d for k, d in zip(range(63), depth, strict=True)]
places = {
    k: (d * np.cos(a), d * np.sin(a)) for k, (d, a) in enumerate(zip(depth, angle, strict=True))
}
figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.5), layout="constrained")
drawn = nx.draw_networkx_nodes(
    graph, places, ax=left, node_size=90, node_color=list(tree.potentials), cmap="RdBu_r",
    vmin=-1.5, vmax=1.5, edgecolors="0.3", linewidths=0.6,
)  # fmt: skip
nx.draw_networkx_edges(graph.to_undirected(), places, ax=left, edge_color="0.5")
left.set(aspect="equal", title="potentials of a tree")
left.axis("off")
figure.colorbar(drawn, ax=left, shrink=0.7, label="potential h")
for own, partner, after in costs.loc[costs["cost"] < costs["reverse"]][
    ["cost", "reverse", "balanced_cost"]
].to_numpy():
    right.loglog([own, partner], [after, after], "o-", color=BLUE, markersize=3, linewidth=0.7)
right.axline((1, 1), (2, 2), color=GREY, linewidth=0.8, linestyle="--")
right.set(xlabel="costs of a pair before", ylabel="cost after", title="to the geometric mean")
right.set(xlim=(0.05, 12), ylim=(0.05, 12), aspect="equal")
plt.show()

# %%
# Directed cycles: one cost for all
# ---------------------------------
# In a cycle that goes one way, what enters a neuron leaves it by a single synapse. All costs must
# be equal; their product is fixed; so all become the geometric mean.

cycle = gb.balance(ensembles.directed_cycle(12, seed=3))
print("before:", np.sort(cycle.original.costs.data).round(2))
print("after: ", np.unique(cycle.network.costs.data.round(9)))
assert np.allclose(cycle.network.costs.data, analytic.directed_cycle(cycle.original.costs.data))

# %%
# Feed-forward chains: no rest
# ----------------------------
# Cut the cycle open, and there is no equilibrium. The first neuron only sends: the lower its
# potential, the cheaper its synapse, without end; the last one only receives, and rises.
# `topology` says so, and at which rates the potentials part.

steps = nx.DiGraph()
steps.add_weighted_edges_from([(k, k + 1, w) for k, w in enumerate([2.0, 0.5, 1.0, 3.0])])
top = gb.topology(steps)
print(top.summary())
print("divergence rates:", top.divergence_rates.to_list())
assert not top.is_balanceable

# %%
# Each synapse dies like 1/t. (A lone one follows :math:`c_0 / (1 + 2 p c_0 t)` exactly.) If the
# first and the last neuron are held, as inputs and outputs are by the world outside, the two ends
# are as good as one neuron, the chain is as good as a cycle, and every synapse ends at the
# geometric mean.

falling = gb.flow(steps, (0, 1e4), t_eval=np.geomspace(1e-3, 1e4, 200))
held = gb.flow(steps, (0, 1e4), t_eval=falling.t, fixed=[0, 4])
slopes = np.log(falling.costs().iloc[-1] / falling.costs().iloc[-20]) / np.log(
    falling.t[-1] / falling.t[-20]
)
print("exponents at the end:", slopes.round(3).to_list())
mean = analytic.directed_cycle(falling.network.costs.data)
assert np.allclose(slopes, -1, atol=0.01)
assert np.allclose(held.costs().iloc[-1], mean)

figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.8), layout="constrained", sharey=True)
for ax, trajectory, title in zip(axes, (falling, held), ("free", "both ends held"), strict=True):
    for (pre, post), values in trajectory.costs().items():
        ax.loglog(trajectory.t, values, label=f"{pre} → {post}")
    ax.set(xlabel="time (1/γ)", title=title)
axes[0].loglog(falling.t[120:], 1 / falling.t[120:], "k:", linewidth=1, label="1/t")
axes[1].axhline(mean, color="k", linestyle=":", linewidth=1)
axes[0].set(ylabel="cost of a synapse", ylim=(1e-5, 30))
axes[0].legend(frameon=False)
plt.show()

# %%
# In broader feed-forward networks, layers take the part of neurons. With both ends held, no neuron
# between them accumulates cost: every stage of processing costs the same, however many synapses it
# has.

layers = [6, 20, 4, 10, 6]
network = ensembles.feed_forward(layers, weights=ensembles.LogNormal(1.0), seed=2)
layer = np.repeat(np.arange(len(layers)), layers)
ends = network.neurons[(layer == 0) | (layer == 4)]
stages = gb.balance(network, fixed=ends).edges()
by_stage = stages.groupby(layer[stages["pre"]])[["cost", "balanced_cost"]].sum().round(3)
by_stage.index = [f"{k + 1} → {k + 2}" for k in by_stage.index]
assert np.allclose(by_stage["balanced_cost"], by_stage["balanced_cost"].iloc[0], rtol=1e-3)
by_stage

# %%
# Rings: what circulates
# ----------------------
# Now close a chain of pairs to a ring. There are two ways around, and in general their products
# of costs differ. Balancing can change neither product; so it cannot make both directions equal,
# as it would in a tree. What remains is a *circulation* K: at rest, every pair passes on K more
# forward than backward. With :math:`s_k = \sqrt{a_k b_k}`, which each pair keeps,
#
# .. math:: \sum_k \operatorname{asinh} \frac{K}{2 s_k} = \tfrac12 \sum_k \log \frac{a_k}{b_k},
#    \qquad a_k^* = \tfrac K2 + \sqrt{\tfrac{K^2}{4} + s_k^2}.

n = 12
rng = np.random.default_rng(4)
a, b = rng.lognormal(1.0, 1.0, n), rng.lognormal(0.0, 1.0, n)  # forward is more expensive
s, imbalance = np.sqrt(a * b), 0.5 * np.log(a / b).sum()
K = brentq(lambda K: np.arcsinh(K / (2 * s)).sum() - imbalance, -1e3, 1e3, xtol=1e-13)

ring = nx.DiGraph()
for k in range(n):
    ring.add_edge(k, (k + 1) % n, weight=np.sqrt(a[k]))  # cost = weight², p being 2
    ring.add_edge((k + 1) % n, k, weight=np.sqrt(b[k]))
eq = gb.balance(ring, solver="newton")  # an iteration that knows nothing of the formula
balanced = eq.network.to_networkx()
found = np.array([
    [balanced.edges[k, (k + 1) % n]["cost"], balanced.edges[(k + 1) % n, k]["cost"]]
    for k in range(n)
])  # fmt: skip
print(f"circulation by the formula {K:.6f}, by balancing {np.ptp(found @ [1, -1]):.0e} around it")
assert np.allclose(found[:, 0] - found[:, 1], K)
assert np.allclose(found[:, 0], K / 2 + np.sqrt(K**2 / 4 + s**2))
assert np.isclose(analytic.ring(a, b).circulation, K)

# %%
# Every pair has its own two costs still, but their difference is the same all around:

figure, axes = plt.subplots(1, 3, figsize=(7.6, 2.7), layout="constrained")
for ax, (onward, back), title in zip(axes, ((a, b), found.T), ("before", "after"), strict=False):
    ax.bar(np.arange(n) - 0.2, onward, 0.4, color=BLUE, label="forward, a")
    ax.bar(np.arange(n) + 0.2, back, 0.4, color=ORANGE, label="backward, b")
    ax.plot(np.arange(n), onward - back, "k_", markersize=9, label="a − b")
    ax.axhline(0, color="k", linewidth=0.6)
    ax.set(xlabel="pair", title=title, ylim=(-6, 23), xticks=range(0, n, 2))
axes[0].set(ylabel="cost")
axes[0].legend(frameon=False, loc="upper right")
axes[1].axhline(K, color="k", linewidth=0.8, linestyle=":")

# The circulation grows with the bias of the two directions, and vanishes without one.
biases = np.linspace(-2, 2, 81)
circulations = [analytic.ring(s * np.exp(x), s * np.exp(-x)).circulation for x in biases]
axes[2].plot(biases, circulations, color=GREEN)
axes[2].axhline(0, color="k", linewidth=0.6)
axes[2].plot(imbalance / n, K, "ko", markersize=4)
axes[2].set(xlabel="mean of ½ log(a/b)", title="circulation K")
plt.show()
assert abs(circulations[40]) < 1e-12

# %%
# If both products happen to be equal, *Kolmogorov's criterion*, nothing circulates, the ring has
# detailed balance, and each pair is for itself, as in a tree. One number, then, is all that a ring
# has beyond a tree.

kolmogorov = analytic.kolmogorov(ring)
print(f"log-ratio of the products: {kolmogorov.largest:.4f}, and after balancing", end=" ")
print(f"{analytic.kolmogorov(balanced).largest:.4f}")
assert np.isclose(kolmogorov.largest, 2 * imbalance)
assert np.isclose(analytic.kolmogorov(balanced).largest, 2 * imbalance)

# %%
# Cacti: blocks do not see each other
# -----------------------------------
# Hang rings and pairs on one another so that any two share at most one neuron: a *cactus*. A whole
# ring beyond such a shared neuron can be moved by one potential without changing any of its costs.
# So each balances as if it were alone, and a cactus is no harder than a ring.

rings = [[0, 1, 2, 3, 4, 5], [3, 6, 7, 8], [5, 9, 10], [7, 11, 12, 13, 14], [0, 15], [10, 16]]
rings += [[13, 17, 18]]
cactus = nx.DiGraph()
for members in rings:
    for u, v in zip(members, members[1:] + members[:1], strict=True):
        cactus.add_edge(u, v, weight=rng.lognormal())
        cactus.add_edge(v, u, weight=rng.lognormal())
whole = gb.balance(cactus)
print(f"{whole.topology.summary()}\nsolver: {whole.stats['solver']}, {whole.stats['why']}")

in_closed_form = gb.balance(cactus, solver="closed-form")
assert np.allclose(whole.network.costs.data, in_closed_form.network.costs.data)
after = whole.network.to_networkx()
for members in rings:
    alone = gb.balance(cactus.subgraph(members)).network.to_networkx()
    for u, v, cost in alone.edges(data="cost"):
        assert np.isclose(cost, after.edges[u, v]["cost"])
print(f"{len(rings)} blocks, each balanced as if alone")

# %%
# Colours are potentials; what circulates in each ring is drawn as an arrow of that width. Pairs,
# of course, have none.

places = nx.kamada_kawai_layout(cactus.to_undirected(), weight=None)
figure, ax = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
h = whole.potentials
drawn = nx.draw_networkx_nodes(
    cactus, places, ax=ax, node_color=[h[k] for k in cactus], cmap="RdBu_r", node_size=150,
    vmin=-h.abs().max(), vmax=h.abs().max(), edgecolors="0.3", linewidths=0.6,
)  # fmt: skip
for u, v, cost in after.edges(data="cost"):
    net_cost = cost - after.edges[v, u]["cost"]
    if net_cost > 1e-6:
        nx.draw_networkx_edges(
            cactus, places, [(u, v)], ax=ax, node_size=150, width=0.5 + net_cost, edge_color=GREEN
        )
    elif u < v and net_cost > -1e-6:
        nx.draw_networkx_edges(
            cactus, places, [(u, v)], ax=ax, node_size=150, edge_color=GREY, arrows=False
        )
figure.colorbar(drawn, ax=ax, shrink=0.7, label="potential h")
ax.axis("off")
plt.show()

# %%
# What can be removed
# -------------------
# All this is one principle. There is a potential for each neuron, and a constant changes nothing:
# n neurons can adjust n − 1 things. The logarithms of m costs are m things. What the potentials
# cannot reach are the m − n + 1 independent cycles (counting pairs as cycles), and these they do
# not change at all. If log-costs are independent and equally spread, potentials can remove a
# fraction
#
# .. math:: \frac{n - 1}{m - 1}
#
# of their variance, on average: `analytic.hodge` measures it. It does not depend on *what* the
# weights are. Sparser means more removable, down to trees and cycles, and a dense network is
# stuck with what it has.

kinds = {
    "directed cycle": lambda seed: ensembles.directed_cycle(64, seed=seed),
    "tree of pairs": lambda seed: ensembles.tree(64, seed=seed),
    "ring of pairs": lambda seed: ensembles.ring(64, seed=seed),
    "random, 2 inputs": lambda seed: ensembles.random_network(64, 2, seed=seed),
    "lattice": lambda seed: ensembles.lattice(8, 8, seed=seed),
    "random, 5 inputs": lambda seed: ensembles.random_network(64, 5, seed=seed),
    "random, 16 inputs": lambda seed: ensembles.random_network(64, 16, seed=seed),
    "all to all": lambda seed: ensembles.erdos_renyi(64, 63, seed=seed),
}
rows = []
for kind, draw in kinds.items():
    for seed in range(20):
        network = draw(seed)
        eq = gb.balance(network)
        rows.append({
            "kind": kind,
            "(n − 1)/(m − 1)": (network.n_neurons - 1) / (network.n_synapses - 1),
            "removable": analytic.hodge(network).removable_fraction,
            "saved": eq.drop / eq.initial_cost,
        })  # fmt: skip
samples = pd.DataFrame(rows)
means = samples.groupby("kind", sort=False).mean()
assert np.allclose(means["removable"], means["(n − 1)/(m − 1)"], atol=0.05)
means.round(3)

# %%
# What is saved follows: the fewer synapses share a neuron, the more of their cost is a matter of
# scale. (Pairs save less than one-way synapses of the same number, since each pair keeps its
# product.)

figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
colors = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(kinds)))
for (kind, group), color, marker in zip(
    samples.groupby("kind", sort=False), colors, "osD^v<>P", strict=True
):
    style = {"color": color, "alpha": 0.55, "markersize": 4, "markeredgewidth": 0}
    left.plot(group["(n − 1)/(m − 1)"], group["removable"], marker, label=kind, **style)
    right.plot(group["removable"], group["saved"], marker, **style)
left.axline((0, 0), slope=1, color=GREY, linewidth=0.8, linestyle="--")
left.set(xlabel="(n − 1) / (m − 1)", ylabel="removable fraction of the variance of log-costs")
left.legend(frameon=False)
right.set(xlabel="removable fraction", ylabel="fraction of the cost that balancing saves")
plt.show()

# %%
# A connectome
# ------------
# And a nervous system? The worm (Cook et al. 2019, https://doi.org/10.1038/s41586-019-1352-7) has
# twelve synapses a neuron, so that counting gives it about one twelfth. It has twice that, and it
# is its weights that make the difference. Shuffled over the same synapses they obey the count:

worm = gb.load_dataset("celegans")
counted = (worm.n_neurons - 1) / (worm.n_synapses - 1)
removable = analytic.hodge(worm).removable_fraction
shuffled = [
    analytic.hodge(network).removable_fraction
    for network in gb.nulls.null_networks(worm, "permute_weights", n=20)
]
print(f"by counting {counted:.3f}, measured {removable:.3f}", end=", ")
print(f"shuffled {np.mean(shuffled):.3f} ± {np.std(shuffled):.3f}")
assert removable > max(shuffled)
assert abs(np.mean(shuffled) - counted) < 0.01

# %%
# Log-costs are not independent in the worm. Some neurons have thick synapses altogether, coming
# in or going out, and such a neuron's share is what one potential removes. Topology decides what
# *can* be balanced; what says something about the animal is how far it departs from networks of
# the same topology. :doc:`is_a_worm_balanced` makes that comparison.
