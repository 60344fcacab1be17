"""Approximate Cholesky factorisation of Laplacians: elimination that stays sparse.

Neuron i with conductances s_ij to its neighbours is a star; eliminating it leaves a mesh, a clique
with s_ij s_ik / Σ s_i. Where that would fill up, each neighbour in turn, the weakest first, keeps
one edge of the clique, drawn with probability proportional to what is left, with the conductance
of all that it stands for: s_ij Σ_{k>j} s_ik / Σ s_i. On average that is the clique. Nothing is
ever subtracted, so that conductances keep their relative accuracy however widely they differ.

References
----------
.. [1] R. Kyng, S. Sachdeva, "Approximate Gaussian elimination for Laplacians: fast, sparse, and
   simple", arXiv 1605.02353 (2016). https://doi.org/10.48550/arXiv.1605.02353
.. [2] Y. Gao, R. Kyng, D. A. Spielman, "Robust and practical solution of Laplacian equations by
   approximate elimination", arXiv 2303.00709 (2023). https://doi.org/10.48550/arXiv.2303.00709
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graphbal.engines import State
from graphbal.engines.local import unsigned

__all__ = ["ApproximateCholesky", "Conductances", "approximate_cholesky"]

Array = NDArray[np.float64]
Index = NDArray[np.integer]


# Neurons of a part that is eliminated by itself.
PART = 40_000
# Edges a neuron, counted from both ends, from which a graph is neither tree nor ring,
BRANCHED = 3
# and the share of neurons at the borders of parts from which there is little left within.
WIDE_BORDER = 0.25
# Shares of a conductance below this are rounding.
ROUNDING = 1e-15


@dataclass(frozen=True, eq=False)
class ApproximateCholesky:
    """A factorisation L + S ≈ U D Uᵀ, with the inverse of the right-hand side as a call.

    Attributes
    ----------
    blocks : int array, shape (n_blocks + 1,)
        First position, in the order, of each block of neurons. Blocks touch none but the last.
    order : int array, shape (n,)
        Neurons in the order of their elimination.
    starts, rows, shares : arrays
        The neighbours of the k-th one when it goes are ``rows[starts[k]:starts[k + 1]]``, and
        `shares` the fractions of its current that go to each: the column of U, without a minus.
    pivots : array, shape (n,)
        D, the sum of its conductances; 0 for the last one of a component without ground.
    gathered : array, shape (n,)
        Conductances, at first, of the neurons whose currents gather there, by the shares that do:
        rounding in their balance is of this size, times that of the potentials.
    """

    blocks: Index
    order: Index
    starts: Index
    rows: Index
    shares: Array
    pivots: Array
    gathered: Array

    def blind_to(self, relative: float = ROUNDING) -> ApproximateCholesky:
        """Return factors that leave alone what hangs on less than this times what gathers there.

        A cluster on a thread weaker than rounding within it would be sent anywhere.
        """
        seen = self.pivots >= relative * self.gathered
        return replace(self, pivots=np.where(seen, self.pivots, 0.0))

    def __call__(self, b: Array) -> Array:
        """Return x with U D Uᵀ x = b, 0 at the last neuron of a component without ground."""
        from graphbal.solvers._cholesky import substitute

        x = b.copy()
        positions = (unsigned(each) for each in (self.blocks, self.order, self.starts, self.rows))
        substitute(*positions, self.shares, self.pivots, x)
        return x


def approximate_cholesky(
    conductances: sparse.csr_array, ground: Array | None = None, seed: int = 0
) -> ApproximateCholesky:
    """Factorise the Laplacian of a graph, plus a nonnegative diagonal.

    Neurons are eliminated in the order of their degree at the time, about. Trees, chains and rings
    come out exactly.

    Parameters
    ----------
    conductances : scipy.sparse.csr_array, shape (n, n)
        Symmetric and nonnegative, without a diagonal; units of cost.
    ground : array, shape (n,), optional
        The diagonal S: conductances to a ground at potential 0.
    seed : int
        Of the edges drawn. The same seed gives the same factors.

    Returns
    -------
    ApproximateCholesky

    Notes
    -----
    Expected time O(m log n) for m edges; 24 bytes an edge and 80 a neuron while it runs, and 12 an
    entry of the factor, which has about as many as the matrix, less than twice as many on graphs
    with hubs.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from graphbal.solvers.cholesky import approximate_cholesky
    >>> path = sparse.csr_array([[0.0, 2.0, 0.0], [2.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    >>> x = approximate_cholesky(path)(np.array([1.0, 0.0, -1.0]))
    >>> (x - x[0]).tolist()
    [0.0, -0.5, -1.5]
    """
    from graphbal.solvers._cholesky import eliminate, graph_of

    n = conductances.shape[0]
    ground = np.zeros(n) if ground is None else ground.copy()
    # Positions of entries, of which an edge has two, as the matrix has.
    index = np.int32 if conductances.nnz < 2**31 else np.int64
    target, following = np.empty((2, conductances.nnz), dtype=index)
    graph = graph_of(
        *(conductances.indptr, conductances.indices, conductances.data),
        *(ground, target, following),
    )
    *interiors, borders = _parts(conductances)
    seeds = [seed + (k << 32) for k in range(len(interiors) + 1)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(eliminate, interiors, repeat(graph), seeds[1:]))
    found.append(eliminate(borders, graph, seeds[0]))
    order, starts, rows, shares, pivots, gathered = zip(*found, strict=True)
    sizes = np.concatenate([np.diff(each) for each in starts])
    return ApproximateCholesky(
        np.cumsum([0] + [each.size for each in order]),
        np.concatenate(order),
        np.concatenate([[0], np.cumsum(sizes)]),
        *(np.concatenate(each) for each in (rows, shares, pivots, gathered)),
    )


def _parts(conductances: sparse.csr_array) -> list[Index]:
    """Return the neurons within each part of the graph, and last those at the borders of parts.

    What is within a part can be eliminated beside what is within others, and stays in a core's
    own cache. Parts follow each other breadth first. Trees and rings are left whole: their exact
    elimination knows no borders.
    """
    from graphbal.solvers._cholesky import at_border, breadth_first

    n = conductances.shape[0]
    whole = [np.arange(n, dtype=np.int32)]
    n_parts = n // PART
    if n_parts < 2 or conductances.nnz < BRANCHED * n:
        return whole
    part = np.empty(n, dtype=np.int32)
    part[breadth_first(conductances.indptr, conductances.indices)] = np.arange(n) * n_parts // n
    border = at_border(conductances.indptr, conductances.indices, part)
    if np.count_nonzero(border) > WIDE_BORDER * n:
        return whole
    part[border] = n_parts
    members = np.argsort(part, kind="stable").astype(np.int32)
    return np.split(members, np.cumsum(np.bincount(part))[:-1])


class Conductances:
    """The symmetric conductances C + Cᵀ of a network, at any potentials, in one pattern.

    Parameters
    ----------
    costs : scipy.sparse.csr_array, shape (n, n)
        Costs C.

    Notes
    -----
    24 bytes for each entry of C + Cᵀ, besides the indices.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from graphbal.engines import local_engine
    >>> from graphbal.solvers.cholesky import Conductances
    >>> costs = sparse.csr_array([[0.0, 4.0], [1.0, 0.0]])
    >>> state = local_engine(costs).at(np.array([0.0, -np.log(2)]))
    >>> Conductances(costs).at(state).toarray()
    array([[0., 4.],
           [4., 0.]])
    """

    def __init__(self, costs: sparse.csr_array) -> None:
        from graphbal.solvers._cholesky import symmetrised

        costs = costs if costs.has_sorted_indices else costs.sorted_indices()
        self.shape = costs.shape
        self._starts, self._columns, self._forward, self._backward = symmetrised(
            costs.indptr, costs.indices, costs.data
        )

    def at(self, state: State) -> sparse.csr_array:
        """Return C + Cᵀ at the potentials of a state."""
        from graphbal.solvers._cholesky import conductances_at

        values = np.empty(self._columns.size)
        conductances_at(
            *(self._starts, self._columns, self._forward, self._backward),
            *(state.gain, state.loss, values),
        )
        return sparse.csr_array((values, self._columns, self._starts), shape=self.shape)
