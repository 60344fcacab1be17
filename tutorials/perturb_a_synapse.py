"""
Perturb a synapse and follow it
===============================

A balanced network is disturbed: one of its synapses becomes ten times as expensive, as if by
learning. Which synapses answer, how far does the disturbance travel, and how well does linear
theory foresee it? We ask the worm (Cook et al. 2019, https://doi.org/10.1038/s41586-019-1352-7).
"""

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd

import graphbal as gb

plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "font.size": 8}

# %%
# A network at rest
# -----------------
# We take the part of the worm's wiring in which every synapse lies on a directed cycle: there a
# finite equilibrium exists. Neurons outside it would drift off for ever.

worm = gb.load_dataset("celegans")
top = gb.topology(worm)
core = top.components.index[top.components == top.component_sizes.idxmax()]
net = gb.subnetwork(worm, core, drop_self_connections=True)
eq = gb.balance(net)
rest = eq.network
print(eq.message)

# %%
# The synapse that matters most
# -----------------------------
# `sensitivity` holds the derivative of every potential with respect to the logarithm of every
# cost, as an operator that solves one Laplacian system a synapse. Its table lists the synapses
# that move the potentials most:

sensitivity = gb.sensitivity(eq)
influential = sensitivity.most_influential(5)
influential

# %%
# These are not the most expensive synapses, of which some cost several times as much, but those
# whose cost has few other ways to go. We potentiate the first.

pre, post = influential[["pre", "post"]].iloc[0]
kicked = gb.perturb(rest, {(pre, post): 10})
print(f"{pre} → {post} now costs ten times as much")

# %%
# The relaxation
# --------------
# `flow` integrates dh/dt = γ g until the network is balanced again. It begins with an explicit
# method and goes over to an implicit one when the fast neurons have settled and the slow ones have
# not: rates differ by orders of magnitude, in this network as in most.

times = np.geomspace(1e-5, 100, 400)
trajectory = gb.flow(kicked, (0, 100), t_eval=[0, *times], until_balanced=1e-6)
print(trajectory.message)
assert trajectory.converged

# %%
# The perturbed synapse weakens at once. So do the other synapses into its target, which now
# receives too much, while those out of the target grow and carry the cost away. Around the source,
# which sends too much, it is the other way round. Of each kind we look at the strongest:

edges = rest.edges().set_index(["pre", "post"])["cost"]
others = edges.drop((pre, post))
kinds = {
    f"into {post}": others.xs(post, level="post", drop_level=False).idxmax(),
    f"out of {post}": others.xs(post, level="pre", drop_level=False).idxmax(),
    f"into {pre}": others.xs(pre, level="post", drop_level=False).idxmax(),
    f"out of {pre}": others.xs(pre, level="pre", drop_level=False).idxmax(),
}
watched = {f"{pre} → {post}": (pre, post)} | kinds
costs = trajectory.costs(list(watched.values()))
relative = costs / edges[list(watched.values())].to_numpy()
pd.DataFrame(
    {"at once": relative.iloc[0].to_numpy(), "in the end": relative.iloc[-1].to_numpy()},
    index=[f"{kind}: {a} → {b}" for kind, (a, b) in watched.items()],
).round(2)

# %%
# Most of it is over within a hundredth of the time that the last neuron takes.

figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.2), layout="constrained")
styles = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]
for kind, style, values in zip(watched, styles, relative.to_numpy().T, strict=True):
    left.plot(trajectory.t, values, linestyle=style, label=kind)
left.set(xscale="log", yscale="log", xlabel="time (1/γ)", ylabel="cost, relative to rest")
left.set_xlim(1e-5, None)
left.set_yticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
left.minorticks_off()
left.legend(frameon=False)
gb.plotting.potentials_in_time(trajectory, right)
plt.show()

# %%
# The new equilibrium
# -------------------
# Where the flow ends, `balance` arrives directly.

after = gb.balance(kicked)
ended = trajectory.potentials.iloc[-1]
print(f"largest difference in h: {(ended - after.potentials).abs().max():.0e}")
assert np.allclose(ended, after.potentials, atol=1e-5)

# %%
# Most of what was added is taken away again, by moving cost elsewhere. How far does it reach? A
# neuron's distance is the number of synapses, in either direction, to the nearer end of the
# perturbed one.

added, left_over = kicked.total_cost - rest.total_cost, after.total_cost - rest.total_cost
print(f"cost added {added:,.0f}, of which {left_over / added:.0%} remains")

wiring = nx.Graph(rest.to_networkx())
distances = nx.multi_source_dijkstra_path_length(wiring, {pre, post}, weight=lambda *_: 1)
moved = after.potentials.abs().groupby(pd.Series(distances, name="distance"))
moved.agg(["size", "median", "max"]).round(3)

# %%
# What linear theory foresees
# ---------------------------
# The derivative that picked the synapse also predicts what its potentiation does. It is a
# derivative with respect to *log* cost, so that factors enter as logarithms, and it carries far:

factors = [1.1, 2, 10, 100]
predicted = [sensitivity.predict({(pre, post): factor}) for factor in factors]
exact = [gb.balance(gb.perturb(rest, {(pre, post): factor})).potentials for factor in factors]
errors = [
    np.linalg.norm(found - foreseen) / np.linalg.norm(found)
    for found, foreseen in zip(exact, predicted, strict=True)
]
pd.Series(errors, index=pd.Index(factors, name="factor"), name="relative error").round(3)

# %%
figure, ax = plt.subplots(figsize=(3.6, 3.2), layout="constrained")
gb.plotting.exact_against_linear(exact[2], predicted[2], ax)
plt.show()

# %%
# `linear_response` linearises in time instead, around the state just after the perturbation. A
# factor of ten is too much for it, one of 1.1 is not:

for factor in (1.1, 10):
    nudged = gb.perturb(rest, {(pre, post): factor})
    flowing = gb.flow(nudged, (0, 2))
    response = gb.linear_response(nudged, np.geomspace(1e-4, 2, 50))
    print(f"factor {factor}: largest error {response.error(flowing).max():.1%}")

# %%
# Again and again
# ---------------
# `perturbations` repeats the disturbance while the flow goes on: a slow plasticity that keeps
# pushing against a fast homeostasis. Each push costs, and each is mostly undone, but products of
# costs along cycles are not restored by balancing: what was learnt stays.

pushes = {float(t): {(pre, post): 1.5} for t in np.arange(0.05, 0.5, 0.05)}
times = sorted({*np.linspace(0, 0.6, 1201), *pushes})
pushed = gb.flow(rest, (0, 0.6), perturbations=pushes, t_eval=times)

figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(pushed.t, pushed.costs([(pre, post)]))
ax.set(xlabel="time (1/γ)", ylabel=f"cost of {pre} → {post}")
plt.show()

# %%
# The same on the command line
# ----------------------------
# ``graphbal perturb celegans --synapse VD1,VB1,10 -o kicked`` does the same on the whole network
# and writes tables and figures; see :doc:`/command_line`.
