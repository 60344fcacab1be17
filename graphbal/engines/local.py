"""The local engine: all edges in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

if TYPE_CHECKING:
    from graphbal.engines._tiles import Tiles

__all__ = [
    "Engine",
    "State",
    "by_rows",
    "cores_left_to_blas",
    "in_tiles",
    "local_engine",
    "row_blocks",
    "stored_bytes",
    "suits_blas",
    "suits_tiles",
    "tiled_engine",
    "unsigned",
]

Array = NDArray[np.float64]
Products = Callable[[Array, Array], tuple[Array, Array]]

# Below this many synapses a pass takes less time than starting threads.
SMALL = 100_000
# From so many neurons on, a look at each of them is compiled.
MANY = 100_000
# From so many neurons on, what a pass by rows reads and adds to is in no core's own cache; with so
# many synapses each it pays to put the edges into tiles first, for the price of three passes.
TILED = 30_000
CROWDED = 32
# Freed blocks up to so many bytes are kept for vectors to come.
KEPT = 31 << 20
# A matrix at least this full goes to BLAS.
DENSE_FILL = 0.5
# and is read in blocks of this many rows.
BLAS_ROWS = 512


class Engine:
    """The two edge passes, on one primitive: ``products(x, y) -> (C x, Cᵀ y)``.

    Potentials are in units of log cost, ``q = p h``, so that nothing below `balance` knows p.

    Parameters
    ----------
    n : int
        Number of neurons.
    products : callable
        One pass over the edges.
    tiles : Tiles, optional
        Where the edges are in tiles: these.

    Attributes
    ----------
    n_passes : int
        Passes made so far: the unit in which solvers report their work.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from graphbal.engines import local_engine
    >>> engine = local_engine(sparse.csr_array([[0.0, 4.0], [1.0, 0.0]]))
    >>> engine.at(np.zeros(2)).gradients
    array([ 3., -3.])
    >>> engine.products(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    (array([0., 1.]), array([1., 0.]))
    >>> engine.n_passes
    2
    """

    def __init__(self, n: int, products: Products, tiles: Tiles | None = None) -> None:
        self.n = n
        self.n_passes = 0
        self.tiles = tiles
        self._products = products

    def at(self, q: Array) -> State:
        """Return the state of the network at potentials q, in one pass."""
        gain = np.exp(q)
        loss = 1.0 / gain
        incoming, outgoing = self.products(gain, loss)
        incoming *= loss
        outgoing *= gain
        return State(self, q, incoming, outgoing, gain, loss)

    def products(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return C x and Cᵀ y, and count the pass."""
        self.n_passes += 1
        return self._products(x, y)


@dataclass(frozen=True, eq=False)
class State:
    """The network at potentials q: its costs by neuron, and its Laplacian as an operator.

    Attributes
    ----------
    q : array, shape (n,)
        Potentials in units of log cost.
    incoming, outgoing : array, shape (n,)
        Incoming and outgoing cost of each neuron.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from graphbal.engines import local_engine
    >>> state = local_engine(sparse.csr_array([[0.0, 4.0], [1.0, 0.0]])).at(np.zeros(2))
    >>> state.total_cost, state.neuron_imbalance
    (5.0, 0.6)
    >>> state.laplacian_product(np.array([1.0, -1.0]))
    array([ 10., -10.])
    """

    engine: Engine
    q: Array
    incoming: Array
    outgoing: Array
    gain: Array = field(repr=False)
    loss: Array = field(repr=False)

    @cached_property
    def through(self) -> Array:
        """Incoming plus outgoing cost, the Laplacian's diagonal; 1 for a neuron without cost."""
        if self.q.size >= MANY:
            return self._weighed[0]
        through = self.incoming + self.outgoing
        if not through.all():
            through[through == 0] = 1.0
        return through

    @cached_property
    def neuron_imbalance(self) -> float:
        """Largest |in − out| / (in + out) of any neuron."""
        if self.q.size >= MANY:
            return self._weighed[1]
        apart = self.incoming - self.outgoing
        np.abs(apart, out=apart)
        apart /= self.through
        return float(apart.max(initial=0.0))

    @cached_property
    def total_cost(self) -> float:
        """Sum of all costs."""
        return self._weighed[2] if self.q.size >= MANY else float(self.incoming.sum())

    @cached_property
    def _weighed(self) -> tuple[Array, float, float]:
        """The three above, found in one sweep over many neurons."""
        from graphbal.engines._kernels import weigh

        through = np.empty_like(self.incoming)
        return through, *weigh(self.incoming, self.outgoing, through)

    @property
    def gradients(self) -> Array:
        """Neural gradients g: incoming minus outgoing cost."""
        return self.incoming - self.outgoing

    def laplacian_product(self, x: Array) -> Array:
        """Return L x, L = diag(in + out) − (C + Cᵀ) at these potentials, in one pass."""
        gathered, scattered = self.engine.products(self.gain * x, self.loss * x)
        gathered *= self.loss
        scattered *= self.gain
        gathered += scattered
        return np.subtract(self.through * x, gathered, out=gathered)


def local_engine(costs: sparse.csr_array, largest: float = np.inf) -> Engine:
    """Return the fastest engine for this matrix: BLAS if full, SciPy if small, else compiled.

    Parameters
    ----------
    costs : scipy.sparse.csr_array, shape (n, n)
        Costs C, [post, pre].
    largest : float, optional
        The largest cost, where it is known: large networks then take less memory.

    Returns
    -------
    Engine

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from graphbal.engines import local_engine
    >>> engine = local_engine(sparse.csr_array([[0.0, 4.0], [1.0, 0.0]]))
    >>> engine.at(np.array([np.log(2), -np.log(2)]) / 2).incoming.round(9)
    array([2., 2.])
    """
    n = costs.shape[0]
    if suits_blas(n, costs.nnz):
        return Engine(n, _blas_products(costs))
    if costs.nnz < SMALL:
        return Engine(n, _scipy_products(costs))
    if suits_tiles(n, costs.nnz):
        return tiled_engine(costs, largest)
    return Engine(n, by_rows(costs))


def suits_blas(n: int, m: int) -> bool:
    """Say whether a matrix of n rows and m entries is so full that BLAS passes over it."""
    return n > 0 and m >= DENSE_FILL * n * n


def suits_tiles(n: int, m: int) -> bool:
    """Say whether passes over m synapses of n neurons are fastest in tiles."""
    return n >= TILED and m >= CROWDED * n and not suits_blas(n, m)


@contextmanager
def cores_left_to_blas(n: int, m: int) -> Iterator[None]:
    """Where BLAS passes over n rows with m entries, let compiled code run on this thread alone.

    Threads of BLAS go on spinning for a while, and others would wait for a core.
    """
    if not suits_blas(n, m):
        yield
        return
    from numba import get_num_threads, set_num_threads

    before = get_num_threads()
    set_num_threads(1)
    try:
        yield
    finally:
        set_num_threads(before)


def tiled_engine(
    matrix: sparse.csr_array, largest: float = np.inf, squared: bool = False
) -> Engine:
    """Return the engine that passes in tiles over this matrix, or over its entries' squares."""
    _keep_freed_memory()
    tiles = in_tiles(matrix, largest, squared)
    return Engine(tiles.n, tiles.products, tiles)


def _keep_freed_memory() -> None:
    """Make the C library hold on to the memory of vectors for the next ones.

    At first glibc gives large blocks back to the system as they are freed, and the first touch of
    new ones takes longer than most of what is computed on vectors. Once a block of up to 32 MiB was
    freed, it keeps all up to that size, see M_MMAP_THRESHOLD in mallopt(3). The block is never
    touched; elsewhere this does nothing.
    """
    np.empty(KEPT, dtype=np.uint8)


def stored_bytes(matrix: sparse.csr_array, largest: float = np.inf, squared: bool = False) -> int:
    """Return the bytes that a pass over this matrix reads; tiles need not have been cut yet."""
    n, m = matrix.shape[0], matrix.nnz
    if suits_tiles(n, m):
        from graphbal.engines._tiles import expected_bytes

        return expected_bytes(n, matrix.data, largest, squared)
    if suits_blas(n, m):
        return 8 * n * n
    return int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)


def _blas_products(costs: sparse.csr_array) -> Products:
    n = costs.shape[0]
    full = costs.nnz == n * n and costs.has_sorted_indices
    dense = costs.data.reshape(costs.shape) if full else costs.toarray()
    blocks = [slice(k, k + BLAS_ROWS) for k in range(0, n, BLAS_ROWS)]

    def products(x: Array, y: Array) -> tuple[Array, Array]:
        # Both products of a block of rows follow each other, while the block is in the cache.
        gathered, scattered = np.empty(n), np.zeros(n)
        for rows in blocks:
            np.dot(dense[rows], x, out=gathered[rows])
            scattered += y[rows] @ dense[rows]
        return gathered, scattered

    return products


def _scipy_products(costs: sparse.csr_array) -> Products:
    transposed = costs.T
    return lambda x, y: (costs @ x, transposed @ y)


def by_rows(costs: sparse.csr_array) -> Products:
    """Return compiled passes over the rows as they are."""
    from graphbal.engines._kernels import gather_scatter

    n = costs.shape[0]
    bounds = row_blocks(costs.indptr)
    indptr, indices = unsigned(costs.indptr), unsigned(costs.indices)
    pairs = np.empty((bounds.size - 1, n, 2))

    def products(x: Array, y: Array) -> tuple[Array, Array]:
        gathered, scattered = np.empty(n), np.empty(n)
        gather_scatter(indptr, indices, costs.data, bounds, x, y, pairs, gathered, scattered)
        return gathered, scattered

    return products


def in_tiles(matrix: sparse.csr_array, largest: float = np.inf, squared: bool = False) -> Tiles:
    """Return the matrix, or its entries' squares, in tiles, for the price of two or three passes.

    `largest` is the largest magnitude of its entries, where it is known.
    """
    from graphbal.engines._tiles import tiles_of

    if not matrix.has_sorted_indices:
        matrix = matrix.sorted_indices()
    indptr, indices = unsigned(matrix.indptr), unsigned(matrix.indices)
    return tiles_of(indptr, indices, matrix.data, largest, squared)


def row_blocks(indptr: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Return where to cut the rows into blocks of as many entries each, one for each thread."""
    from numba import get_num_threads

    bounds = np.searchsorted(indptr, np.linspace(0, indptr[-1], get_num_threads() + 1))
    bounds[0], bounds[-1] = 0, indptr.size - 1
    return bounds.astype(np.uint64)


def unsigned(indices: NDArray[np.integer]) -> NDArray[np.unsignedinteger]:
    """Return a view that spares compiled code a sign test an entry, up to half of its time."""
    return indices.view(np.uint32 if indices.itemsize == 4 else np.uint64)
