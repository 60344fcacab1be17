"""What balancing a connectome in a program takes: one of the runs of `benchmarks.endtoend`."""

import sys

import graphbal as gb

eq = gb.balance(sys.argv[1])
print(len(eq.potentials), eq.topology.n_components, eq.total_cost)
eq.neurons().rename_axis("neuron").to_parquet(sys.argv[2])
