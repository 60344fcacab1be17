"""What reading a connectome by hand takes: the reference of `benchmarks.endtoend`."""

import sys

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

table = pd.read_parquet(sys.argv[1])
m = len(table)
codes, ids = pd.factorize(np.concatenate([table["pre_root_id"], table["post_root_id"]]))
pre, post = codes[:m], codes[m:]
J = sparse.coo_array((table["syn_count"].to_numpy(float), (post, pre)), shape=2 * (len(ids),))
J = J.tocsr()
J.sum_duplicates()
print(len(ids), J.nnz, csgraph.connected_components(J, connection="strong")[0])
