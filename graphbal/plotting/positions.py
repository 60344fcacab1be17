"""Where to draw the neurons of a network, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from graphbal.conductance import conducting
from graphbal.convert import as_network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from graphbal.network import SynapticNetwork

    Array = NDArray[np.float64]

_MOST_SPRINGS = 500  # neurons; the time grows with their square
_DOWNHILL = 0.25  # levels that a tie leads down, on average, where there is a direction to show


def layout(network: Any, seed: int = 0) -> pd.DataFrame:
    r"""Return positions at which to draw the neurons of a network.

    They depend on who is tied to whom, one way or both ways, not on the costs (but for networks in
    which more than half of all pairs are tied, where that says little).

    - "signal flow" [1]_: where the one-way synapses have a common direction, it leads downwards.
      The heights y minimise :math:`\sum (y_j - y_i - 1)^2` over one-way synapses j → i, plus
      :math:`\sum (y_j - y_i)^2` over reciprocal ones (each counted both ways), so that a one-way
      synapse leads one level down if it can. Neurons are spread from left to right in the order of
      the combination of the two smoothest modes of the ties that is uncorrelated with y.
    - "spectral": else the two smoothest modes of the ties are x and y.
    - "spring": up to 500 neurons, springs along the ties come to rest [2]_ from there.

    The modes are those of the normalised Laplacian, regularised by a weak tie between all neurons
    so that no neuron that hangs by a thread fills a mode alone [3]_; in sparse connected networks
    (up to 8 synapses a neuron) of the Laplacian itself, which is true to chains and lattices.

    Parameters
    ----------
    network : anything `as_network` takes
        The network; only synapses of positive cost count, self-connections never.
    seed : int
        Seed of the numbers that eigensolver and springs start from.

    Returns
    -------
    DataFrame
        Columns x and y by neuron, each from −1 to 1; ``attrs["method"]`` says which of the three
        it is.

    Notes
    -----
    Signal flow is chosen if a tie leads down by a quarter of a level or more on average. Sparse
    products and one Laplacian solve, some tens of passes over the synapses in a connectome; up to
    1,000 neurons, the dense modes.

    References
    ----------
    .. [1] L. R. Varshney, B. L. Chen, E. Paniagua, D. H. Hall, D. B. Chklovskii, "Structural
       properties of the Caenorhabditis elegans neuronal network", PLoS Comput Biol 7(2): e1001066
       (2011). https://doi.org/10.1371/journal.pcbi.1001066
    .. [2] T. M. J. Fruchterman, E. M. Reingold, "Graph drawing by force-directed placement",
       Software: Practice and Experience 21(11): 1129-1164 (1991).
       https://doi.org/10.1002/spe.4380211102
    .. [3] A. A. Amini, A. Chen, P. J. Bickel, E. Levina, "Pseudo-likelihood methods for community
       detection in large sparse networks", Annals of Statistics 41(4): 2097-2122 (2013).
       https://doi.org/10.1214/13-AOS1138

    Examples
    --------
    >>> import graphbal as gb
    >>> from graphbal.plotting import layout
    >>> positions = layout(gb.load_dataset("celegans"))
    >>> positions.attrs["method"]
    'signal flow'

    Sensory neurons lie above motor neurons.

    >>> classes = gb.datasets.neuron_classes()
    >>> heights = positions["y"].groupby(classes).mean()
    >>> bool(heights["sensory"] > heights["interneuron"] > heights["motor"])
    True
    """
    net = as_network(network)
    links = _links(net)
    xy, method = _positions(links, seed)
    low, high = (xy.min(axis=0), xy.max(axis=0)) if len(xy) else (0.0, 0.0)
    extent = np.asarray(high - low)
    centred = 2 * xy - (high + low)
    placed = np.divide(centred, extent, out=np.zeros_like(xy), where=extent > 0)
    positions = pd.DataFrame(placed, index=net.neurons, columns=["x", "y"])
    positions.attrs["method"] = method
    return positions


def order_by_structure(net: SynapticNetwork) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the neurons by strong component, sources first, and by smoothest mode within each.

    Also where each component begins, and the end.

    The matrix of costs is then block lower triangular, and what is tied lies near its diagonal:
    ordering by the smoothest mode minimises, over real numbers, the sum of squared distances
    between tied neurons [1]_. The mode is that of `layout`.

    References
    ----------
    .. [1] S. T. Barnard, A. Pothen, H. D. Simon, "A spectral algorithm for envelope reduction of
       sparse matrices", Numer Linear Algebra Appl 2(4): 317-334 (1995).
       https://doi.org/10.1002/nla.1680020402
    """
    from graphbal.topology import topology

    links = _links(net)
    mode = _smooth_modes(links, sparse.csr_array(links + links.T), 1, seed=0)[:, 0]
    component = topology(net).component_numbers
    ends = np.cumsum(np.bincount(component))
    return np.lexsort((mode, component)), np.concatenate([[0], ends])


def _links(net: SynapticNetwork) -> sparse.csr_array:
    """Return 1 for each synapse of positive cost, [post, pre]; √cost if most pairs have one."""
    costs = conducting(net)
    crowded = costs.nnz > 0.5 * net.n_neurons**2
    values = np.sqrt(costs.data / costs.data.max()) if crowded else np.ones(costs.nnz)
    return sparse.csr_array((values, costs.indices, costs.indptr), shape=costs.shape)


def _positions(links: sparse.csr_array, seed: int) -> tuple[Array, str]:
    """Return positions, not to scale, and how they were found."""
    n = links.shape[0]
    ties = sparse.csr_array(links + links.T)
    modes = _smooth_modes(links, ties, 2, seed)
    one_way = _one_way(links)
    if one_way.nnz:
        height, downhill = _signal_flow(links, one_way)
        if downhill >= _DOWNHILL * ties.nnz / 2:
            along, across = height @ modes
            if along or across:
                modes[:, 0] = along * modes[:, 1] - across * modes[:, 0]
            rank = np.empty(n)
            rank[np.argsort(modes[:, 0], kind="stable")] = np.arange(n)
            return np.column_stack([rank, height]), "signal flow"
    if 1 < n <= _MOST_SPRINGS:
        return _relaxed(ties, modes, seed), "spring"
    return modes, "spectral"


def _one_way(links: sparse.csr_array) -> sparse.csr_array:
    """Return 1 for each synapse j → i without a reverse, [i, j], and −1 for the reverse."""
    there = sparse.csr_array((np.ones(links.nnz), links.indices, links.indptr), shape=links.shape)
    one_way = sparse.csr_array(there - there.T)
    one_way.eliminate_zeros()
    return one_way


def _signal_flow(links: sparse.csr_array, one_way: sparse.csr_array) -> tuple[Array, float]:
    """Return the height of each neuron, and how far one-way synapses lead down, all together."""
    from graphbal.solvers import Problem
    from graphbal.solvers.laplacian import pseudoinverse

    there = sparse.csr_array((np.ones(links.nnz), links.indices, links.indptr), shape=links.shape)
    count, part = sparse.csgraph.connected_components(there, directed=False)
    outgoing_less_incoming = -one_way.sum(axis=1)
    height = pseudoinverse(Problem(there, part, int(count)))(outgoing_less_incoming)
    return height, float(height @ outgoing_less_incoming)


def _relaxed(ties: sparse.csr_array, start: Array, seed: int) -> Array:
    import networkx as nx

    # Neurons in the same place, such as those without a tie, would never part.
    noise = np.random.default_rng(seed).standard_normal(start.shape)
    start = start / max(np.abs(start).max(), np.finfo(float).tiny) + 0.01 * noise
    placed = nx.spring_layout(
        nx.from_scipy_sparse_array(ties), pos=dict(enumerate(start)), weight=None, seed=seed
    )
    return np.array([placed[k] for k in range(len(start))])


def _smooth_modes(links: sparse.csr_array, ties: sparse.csr_array, k: int, seed: int) -> Array:
    """Return the k modes by which the strength of ties varies least, as columns."""
    from threadpoolctl import threadpool_limits

    from graphbal._eigen import GroundedLaplacian, all_eigenpairs, extreme_eigenpairs
    from graphbal.modes import DENSE_SHARE
    from graphbal.solvers.laplacian import CROWDED

    n = ties.shape[0]
    modes = np.zeros((n, k))
    if n < 2 or not ties.nnz:
        return modes
    k = min(k, n - 1)
    laplacian = GroundedLaplacian(links, np.zeros(n))
    with threadpool_limits(1, user_api="blas"):  # too little work to share among threads
        if links.nnz > CROWDED * n or laplacian.n_zero > 1:
            found = _regularised_modes(ties, k, seed)
        elif DENSE_SHARE * k >= n:
            found = all_eigenpairs(laplacian).vectors[:, :k]
        else:
            found = extreme_eigenpairs(laplacian, k, slow=True, tol=1e-2, seed=seed).vectors
    largest = found[np.abs(found).argmax(axis=0), np.arange(k)]
    modes[:, :k] = found * np.sign(largest)
    return modes


def _regularised_modes(ties: sparse.csr_array, k: int, seed: int) -> Array:
    r"""Return D^{-1/2} v for the modes v of D^{-1/2} (W + τ/n) D^{-1/2} that follow the first.

    W are the ties, τ their mean sum at a neuron, and D the diagonal of the sums of W + τ/n.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    from graphbal.solvers.laplacian import SMALL

    n = ties.shape[0]
    sums = ties.sum(axis=0)
    tau = sums.mean()
    scale = 1 / np.sqrt(sums + tau)
    post = np.repeat(np.arange(n), np.diff(ties.indptr))
    values = ties.data * scale[post] * scale[ties.indices]
    normalised = sparse.csr_array((values, ties.indices, ties.indptr), shape=ties.shape)
    first = 1 / (scale * np.sqrt(2 * n * tau))

    def product(x: Array) -> Array:
        return normalised @ x + scale * (tau / n * (scale @ x)) - first * (first @ x)

    if n <= SMALL:
        lifted = tau / n * np.outer(scale, scale) - np.outer(first, first)
        values, vectors = np.linalg.eigh(normalised.toarray() + lifted)
    else:
        start = np.random.default_rng(seed).standard_normal(n)
        operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
        values, vectors = eigsh(operator, k=k, which="LA", v0=start, tol=1e-3)
    return scale[:, None] * vectors[:, np.argsort(-values, kind="stable")[:k]]
