"""
Balance your own connectome in ten minutes
==========================================

You have a table of synapses, one row for each pair of neurons, and want to know how far that
network is from balance, which neurons would have to change, and what cannot be balanced at all.
This is the whole way from the CSV file to results on disk, with the mistakes that such files hold.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import graphbal as gb

plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "font.size": 8}
folder = Path(tempfile.mkdtemp())

# %%
# A file
# ------
# Ours is invented, so that this page needs no download, but it has the columns of the
# ``connections.csv`` of FlyWire's Codex: ids of neurons with 18 digits, a row for each pair *and
# neuropil*, a count of synapses. If you have a file, leave this section out.

model = gb.ensembles.connectome_like(250, 4_000, seed=4).edges()
rng = np.random.default_rng(4)
ids = 720575940600000000 + rng.choice(50_000_000, 250, replace=False)
rows = pd.DataFrame(
    {
        "pre_root_id": ids[model["pre"]],
        "post_root_id": ids[model["post"]],
        "neuropil": rng.choice(["AL_L", "AL_R", "LH_R", "MB_CA_R"], len(model)),
        "syn_count": model["weight"].astype(int),
    }
)
elsewhere = rows[rows["syn_count"] > 4].assign(neuropil="SLP_R", syn_count=2)
listens_only = rows.tail(40).assign(post_root_id=720575940699999999)  # a neuron at the edge
rows = pd.concat([rows, elsewhere, listens_only], ignore_index=True).astype({"syn_count": str})
rows.loc[2718, "syn_count"] = "n/a"
path = folder / "connections.csv"
rows.to_csv(path, index=False)
print(*path.read_text().splitlines()[:4], sep="\n")

# %%
# Read it
# -------
# `read_network` recognises the columns. It does not guess what a cell means that is not a number,
# and says where it is, the first row below the header being row 1:

try:
    gb.read_network(path)
except gb.InputError as error:
    print(str(error).replace(f"{folder}/", ""))

# %%
# A file that cannot be right is yours to correct. Whether a missing count is a zero or a synapse
# that nobody counted, you know. Here we drop the row, and read again:

table = pd.read_csv(path)
unreadable = pd.to_numeric(table["syn_count"], errors="coerce").isna()
print(f"{unreadable.sum()} of {len(table):,} rows dropped")
table = table[~unreadable].astype({"syn_count": int})
table.to_csv(folder / "corrected.csv", index=False)

net = gb.read_network(folder / "corrected.csv")
net

# %%
# What was done on the way in is recorded: pairs in several neuropils have been added up.

print(net.intake)
assert net.intake.repeated == len(table) - net.n_synapses

# %%
# Ids are exact. That is worth a look in any program, because 18 digits do not fit into the
# numbers that spreadsheets, JavaScript, and pandas columns with a gap use; then neighbouring ids
# become one:

some_id = int(net.neurons[0])
print(some_id, "as a float is", int(float(some_id)))
assert set(net.neurons) == set(ids) | {720575940699999999}

# %%
# A first look
# ------------
# Does the network have an equilibrium at all? It does if every synapse lies on a directed cycle.
# In pieces of brains it is rare that all do: at the edge of the volume there are neurons whose
# inputs or outputs are missing.

top = gb.topology(net)
print(top.summary())

# %%
# The synapses that prevent it, by their targets, point to the neuron at the edge:

top.vanishing_edges["post"].value_counts().head(3)

# %%
# There are three things to do about it, and which is right is not a matter of computation:
#
# * Take the *limit*, in which these synapses vanish and the rest is balanced. This is the default.
# * *Leave out* neurons that the volume cuts off, with `subnetwork`.
# * *Hold* them (``fixed=``), if what they do is set by the world outside.

without = gb.subnetwork(net, net.neurons[net.neurons != 720575940699999999])
print(gb.topology(without).summary().splitlines()[-1])

# %%
# Balance it
# ----------

eq = gb.balance(without)
print(eq.summary())
assert eq.converged

# %%
# The first lines say all that a paper would report: the cost before and after, the bounds between
# which the drop had to be, the distance from balance before and after, and the solver. Before
# believing any of it, look at what depends on a choice of yours. Weak pairs are the least certain
# ones, and their number depends on a threshold:

kept = {}
for threshold in (1, 2, 3, 5):
    thinned = gb.read_network(folder / "corrected.csv", min_synapses=threshold)
    thinned = gb.balance(thinned)
    both = eq.potentials.index.intersection(thinned.potentials.index)
    kept[threshold] = {
        "synapses": thinned.original.n_synapses,
        "saved": thinned.drop / thinned.initial_cost,
        "correlation of h": np.corrcoef(eq.potentials[both], thinned.potentials[both])[0, 1],
    }
sensitivity = pd.DataFrame(kept).T.rename_axis("at least")
sensitivity.round(3)

# %%
# What is saved, and who would change, depends little on pairs of one or two synapses: their costs
# go with the square. Above that, where three quarters of the table are gone, it is another
# network.

assert np.ptp(sensitivity["saved"].iloc[:3]) < 0.03
assert (sensitivity["correlation of h"].iloc[:3] > 0.9).all()

# %%
# Look at it
# ----------
# Each dot is a neuron on the left, a synapse in the middle. On the right, how far neurons have to
# be rescaled: :math:`e^{h}` is the factor for what a neuron sends, :math:`e^{-h}` for what it
# receives.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.1), layout="constrained")
gb.plotting.incoming_outgoing(eq, axes[0])
gb.plotting.cost_before_after(eq, axes[1])
gb.plotting.potential_distribution(eq, axes[2])
plt.show()

# %%
# The neurons at the two ends. Those with a high h have received more than they sent:

neurons = eq.neurons().sort_values("potential")
ends = pd.concat([neurons.head(3), neurons.tail(3)])
ends.drop(columns="component").round(2)

# %%
# Is that much?
# -------------
# By itself "a third of the cost" says little. Networks in which each neuron has as many partners
# as here, but others, are one thing to compare with. `compare` draws them, and says where ours
# stands:

compared = gb.compare(
    {"ours": without}, ["initial_imbalance", "relative_drop", "potential_sd"],
    null="rewire", n_null=99,
)  # fmt: skip
assert (compared["z"].abs() < 3).all()
compared[["measure", "value", "null_mean", "null_sd", "z", "p_value"]].round(3)

# %%
# Ours is drawn from a model in which nothing but degrees and neighbourhoods is arranged, and it
# shows: no measure is far out. :doc:`is_a_worm_balanced` puts the same question to an animal.
#
# Save it
# -------
# Potentials are a pandas Series, and networks know how to write themselves. Parquet and ``.npz``
# keep ids exact and are fast; CSV does, too, as long as nothing else opens the file in between.

eq.potentials.rename_axis("root_id").to_csv(folder / "potentials.csv")
gb.write_network(eq.network, folder / "balanced.parquet")

again = pd.read_csv(folder / "potentials.csv", index_col="root_id")["potential"]
assert again.index.equals(eq.potentials.index)
assert np.allclose(again, eq.potentials)
assert gb.balance(folder / "balanced.parquet").drop < 1e-6 * eq.drop
print(sorted(file.name for file in folder.iterdir()))

# %%
# The same on the command line
# ----------------------------
# ``graphbal balance corrected.csv -o results`` does all but the choices: it reads, balances, and
# writes tables, figures and ``summary.json`` into the folder ``results``. ``--min-synapses``,
# ``--neurons`` and ``--fixed`` are the choices; see :doc:`/command_line`. ``graphbal report
# corrected.csv -o report.html`` makes a page of it that you can send to someone.
