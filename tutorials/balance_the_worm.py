"""
Balance the worm
================

How expensive is the wiring of a nervous system, and how much cheaper could the same function be
had? We balance the chemical synapses of *Caenorhabditis elegans* (Cook et al. 2019,
https://doi.org/10.1038/s41586-019-1352-7), look at which neurons change, and see what happens to
the ends of the network.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import graphbal as gb

plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "font.size": 8}

# %%
# The network
# -----------
# A weight is the number of electron-microscope sections that the synapses of a pair of neurons
# cover. Its cost is the weight squared, unless we say otherwise.

net = gb.load_dataset("celegans")
net

# %%
# Before anything else: does a finite equilibrium exist? It does if and only if every synapse lies
# on a directed cycle.

top = gb.topology(net)
print(top.summary())

# %%
# Nearly all neurons form one strongly connected component, but some only send and some only
# receive. The synapses between components lie on no cycle:

top.vanishing_edges.head()

# %%
top.component_sizes.sort_values(ascending=False).head(3)

# %%
# As the network balances, the potentials of the components drift apart without end, and these
# synapses vanish. `divergence_rates` says how fast: ``p h`` grows like rate times log t. Sinks go
# up, sources down.

top.divergence_rates.groupby(top.components).first().round(2)

# %%
# The equilibrium
# ---------------
# `balance` returns the limit of that process: every component balanced by itself.

eq = gb.balance(net)
print(eq.summary())

# %%
# The message and ``is_finite`` say that this is a limit. Of the drop in cost only a small part is
# due to the synapses that vanish:

vanished = top.vanishing_edges["cost"].sum()
print(f"{eq.drop / eq.initial_cost:.1%} of the cost saved,")
print(f"{vanished / eq.drop:.1%} of that by synapses that vanish")
assert not eq.is_finite
assert eq.neuron_imbalance < 1e-9

# %%
# Before balancing, a neuron's incoming and outgoing costs have little to do with each other; after
# it they are equal. Two synapses in three have become cheaper, among the expensive ones nearly
# all; many that cost little before cost more now.

figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.6), layout="constrained")
gb.plotting.incoming_outgoing(eq, left)
gb.plotting.cost_before_after(eq, right)
plt.show()

# %%
# Who changes most?
# -----------------
# A neuron with a high potential has its inputs weakened, by :math:`e^{-h}`, and its outputs
# strengthened: it received more than it sent. In the worm these are motor neurons of the ventral
# cord; at the other end are neurons that mainly send.

neurons = eq.neurons()
columns = ["potential", "incoming_before", "outgoing_before", "incoming_after"]
ranked = neurons.sort_values("potential")[columns]
pd.concat([ranked.head(4), ranked.tail(4)]).round(2)

# %%
# The most expensive synapses, and what became of them:

edges = eq.edges()
edges.nlargest(5, "cost")[["pre", "post", "cost", "balanced_cost"]].round(1)

# %%
# Keeping the ends in place
# -------------------------
# Sensory neurons listen to the world and motor neurons speak to muscles; these ends may not be
# free to rescale. With every neuron outside the large component held at h = 0, every synapse lies
# on a cycle or on a path between fixed neurons, and a finite equilibrium exists. Nothing vanishes.

core = top.component_sizes.idxmax()
ends = top.components.index[top.components != core]
held = gb.balance(net, fixed=ends)
print(held.message)
print(f"{len(ends)} neurons fixed, {held.drop / held.initial_cost:.1%} of the cost saved")
assert held.is_finite

# %%
# Does it matter how cost is counted?
# -----------------------------------
# With p = 1 cost is proportional to the weight. The larger p, the more a few strong synapses
# dominate, and the more there is to be saved.

by_p = {p: gb.balance(net.with_cost(p=p)) for p in (1, 2, 4)}
pd.DataFrame(
    {
        "saved": [e.drop / e.initial_cost for e in by_p.values()],
        "s.d. of h": [e.potentials.std() for e in by_p.values()],
    },
    index=pd.Index(by_p, name="p"),
).round(3)

# %%
# The potentials agree broadly: what balances the worm is a property of its wiring more than of the
# exponent.

in_core = top.components == core
figure, axes = plt.subplots(1, 3, figsize=(7.6, 2.7), layout="constrained")
for ax, p in zip(axes[:2], (1, 4), strict=True):
    x, y = by_p[2].potentials[in_core], by_p[p].potentials[in_core]
    ax.plot(x, y, "o", markersize=3, alpha=0.6, markeredgewidth=0)
    ax.set(xlabel="h, p = 2", ylabel=f"h, p = {p}", title=f"r = {np.corrcoef(x, y)[0, 1]:.2f}")
gb.plotting.potential_distribution(eq, axes[2])
plt.show()

# %%
# The same on the command line
# ----------------------------
# ``graphbal balance celegans -o worm`` writes the tables and figures of this page into the folder
# ``worm``; see :doc:`/command_line`.
