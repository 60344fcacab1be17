"""
Read a connectome's slow modes
==============================

Which parts of a network take longest to balance, and why? Near equilibrium the balancing flow is
diffusion on a graph: its Laplacian has modes that relax one by one, each at its own rate. The slow
ones point to what hangs on thin threads, single neurons or whole regions. We look for both in the
worm (Cook et al. 2019, https://doi.org/10.1038/s41586-019-1352-7).
"""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import graphbal as gb

plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "font.size": 8}

# %%
# Modes of the balanced network
# -----------------------------
# Around equilibrium potentials obey :math:`dh/dt = -γ p L h`, with the conductances
# :math:`c_{ij} + c_{ji}` in the Laplacian L. `eigenmodes` finds a few of its eigenvectors without
# ever forming a full matrix. Where L has a zero eigenvalue nothing relaxes: that is known exactly,
# one for each component, and left out.

worm = gb.load_dataset("celegans")
top = gb.topology(worm)
core = top.components.index[top.components == top.component_sizes.idxmax()]
net = gb.subnetwork(worm, core, drop_self_connections=True)
eq = gb.balance(net)
modes = gb.eigenmodes(eq.network, k=20)
modes.table().head(8).round(4)

# %%
# The participation is an effective number of neurons, :math:`1 / \sum_k v_k^4`. The slowest mode
# is a single neuron, PDA, whose synapses cost so little that its potential hardly moves. For such a
# neuron the eigenvalue is nearly its own total cost:

through = eq.network.incoming_costs + eq.network.outgoing_costs
slowest = modes.table().iloc[0]
print(
    f"λ = {slowest['eigenvalue']:.3f}; costs of {slowest['peak']}: {through[slowest['peak']]:.3f}"
)

# %%
# It decides how the flow ends. From the network as it was found, the distance from balance falls
# at many rates at first, and at last as :math:`e^{-p λ t}` with the smallest λ:

trajectory = gb.flow(net, (0, 2.5), t_eval=np.linspace(0, 2.5, 501), rtol=1e-9, atol=1e-10)
norm = trajectory.gradient_norm
late = norm[norm.index > 1.5]
rate = -np.polyfit(late.index, np.log(late), 1)[0]
print(f"measured {rate:.4f}, foreseen {net.p * modes.eigenvalues[0]:.4f}")
assert abs(rate / (net.p * modes.eigenvalues[0]) - 1) < 0.005

figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3), layout="constrained")
left.semilogy(norm.index, norm, label="flow")
tail = norm.iloc[-1] * np.exp(-net.p * modes.eigenvalues[0] * (norm.index - norm.index[-1]))
left.semilogy(norm.index, tail, "--", label="slowest mode")
left.set(xlabel="time (1/γ)", ylabel="‖g‖", ylim=(norm.min() / 2, norm.max() * 2))
left.legend(frameon=False)
gb.plotting.time_constants(modes, right)
plt.show()

# %%
# Modes that many neurons share
# -----------------------------
# Single neurons apart, some slow modes involve ten neurons and more. Who are they?

shared = modes.modes.columns[modes.participation > 8][:2]
pd.DataFrame(
    {number: modes.modes[number].abs().nlargest(8).index for number in shared},
    index=pd.RangeIndex(1, 9, name="rank"),
)

# %%
# Motor neurons of the ventral cord, all of them. Within each class they are numbered from head to
# tail, and their numbers let us draw the modes along the body:

cord = re.compile(r"(VA|VB|VD|DA|DB|DD|AS)(\d+)")
found = [cord.fullmatch(label) for label in net.neurons]
motor = pd.DataFrame(
    [(m[0], m[1], int(m[2])) for m in found if m], columns=["neuron", "class", "number"]
)
motor["along"] = (motor["number"] - 1) / (motor.groupby("class")["number"].transform("max") - 1)
in_cord = (modes.modes.loc[motor["neuron"], shared] ** 2).sum()
print("share of the mode that lies in the cord:", in_cord.round(2).to_dict())

figure, axes = plt.subplots(1, 2, figsize=(7.6, 3), layout="constrained", sharey=True)
for ax, number in zip(axes, shared, strict=True):
    for marker, (name, group) in zip("os^vDPX", motor.groupby("class"), strict=True):
        entries = modes.modes.loc[group["neuron"], number]
        ax.plot(group["along"], entries, marker, markersize=4, alpha=0.7, label=name)
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set(xlabel="position in its class, head to tail", title=f"mode {number}")
axes[0].set_ylabel("entry of the mode")
axes[1].legend(frameon=False, ncols=2)
plt.show()

# %%
# Neighbours along the body have similar entries, whatever their class: mode 6 raises the potential
# of the hind part of the cord against the rest of the worm, mode 7 sets its front against its hind
# part. Nothing about the body went into the computation. The cord is wired locally, region by
# region, and exchanges less cost with the rest than within itself, so a surplus of one of its
# parts is slow to drain.
#
# What the slow modes carry
# -------------------------
# Their amplitudes in the equilibrium potentials say how much of balancing the worm is their doing:

amplitudes = modes.project(eq.potentials)
share = amplitudes**2 / (eq.potentials**2).sum()
print(f"the 20 slowest of {net.n_neurons} modes hold {share.sum():.0%} of ‖h‖²,")
print(f"modes {shared[0]} and {shared[1]} alone {share[shared].sum():.0%}")

# %%
# The same on the command line
# ----------------------------
# ``graphbal modes celegans -k 20 -o modes`` writes the table, the modes and their plot; see
# :doc:`/command_line`. Whole-brain networks take the same call: nothing here grows faster than the
# number of synapses, times the number of modes.
