"""Balancing with the synapses in partitions, on Dask: beyond what one process can hold.

Needs ``pip install 'graphbal[distributed]'``. The potentials, and everything else with a number
for each neuron, are held whole; synapses never are. A table's labels are encoded and its repeated
rows summed partition by partition; strong components, the limit of networks without a finite
equilibrium, and Newton's method are passes over partitions.
"""

from graphbal.distributed._equilibrium import PartitionedEquilibrium, balance
from graphbal.distributed._tasks import cluster

__all__ = ["PartitionedEquilibrium", "balance", "cluster"]
