"""The weighted directed graph whose synapses carry costs: what every room passes on."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from graphbal._elementwise import (
    count_self_connections,
    extremes,
    magnitudes,
    powers,
    sums_by_neuron,
)
from graphbal._html import card
from graphbal.errors import InputError

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Intake", "SynapticNetwork"]

_SMALLEST_NORMAL = np.finfo(float).tiny


@dataclass(frozen=True)
class Intake:
    """What was merged or left out when a network was read.

    Attributes
    ----------
    repeated
        Number of rows beyond the first of their (pre, post) pair; their weights were summed.
    zeros
        Number of synapses dropped because their (summed) weight is zero.
    below_threshold
        Number of synapses dropped because their |weight| is below the minimum asked for.
    self_connections
        Number of self-connections dropped on request. (Unless asked, they are kept.)
    outside_subset
        Number of synapses dropped because a partner is outside the subset of neurons asked for.

    Examples
    --------
    >>> import pandas as pd
    >>> import graphbal as gb
    >>> rows = [("a", "b", 2), ("a", "b", 3), ("b", "a", 1), ("b", "c", 0)]
    >>> gb.as_network(pd.DataFrame(rows, columns=["pre", "post", "weight"])).intake
    Intake(repeated=1, zeros=1, below_threshold=0, self_connections=0, outside_subset=0)
    """

    repeated: int = 0
    zeros: int = 0
    below_threshold: int = 0
    self_connections: int = 0
    outside_subset: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class SynapticNetwork:
    r"""A frozen network of neurons whose synapses carry costs.

    The cost of the synapse j → i is :math:`c_{ij} = \alpha_{ij} |J_{ij}|^p`. Build one with
    `from_edges`, `from_networkx`, `from_scipy`, `graphbal.read_network` or `graphbal.as_network`;
    the constructor itself takes what these prepare.

    Parameters
    ----------
    weights : scipy.sparse.csr_array, shape (n, n)
        Weights J, row = postsynaptic, column = presynaptic, signs kept: indices sorted within
        rows, no duplicate entries.
    neurons : pandas.Index, shape (n,)
        Labels of the neurons, any hashable kind, each once.
    p : float
        Exponent of the cost, p > 0.
    alpha : scalar or array
        Factor of the cost, α ≥ 0. A scalar; shape (n,) or (1, n), one value per presynaptic
        neuron; shape (n, 1), one per postsynaptic neuron; shape (n, n), dense or sparse, one per
        synapse; or a Series over neurons (presynaptic).
    node_attributes, edge_attributes, graph_attributes : mapping
        Attributes carried along for other tools: ``{label: {name: value}}``,
        ``{(pre, post): {name: value}}`` and ``{name: value}``.
    intake : Intake
        What was merged or left out on reading.

    Raises
    ------
    InputError
        If shapes disagree, a label occurs twice, a weight or cost is not finite, or α < 0.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import numpy as np
    >>> from graphbal import SynapticNetwork
    >>> net = SynapticNetwork.from_scipy(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> net
    SynapticNetwork(2 neurons, 2 synapses, c = |J|^2)
    >>> net.total_cost, net.cost_range
    (5.0, (1.0, 4.0))
    >>> net.neural_gradients
    0    3.0
    1   -3.0
    dtype: float64
    >>> net.to_scipy().toarray()
    array([[0., 2.],
           [1., 0.]])

    A NetworkX graph and a table are read with their labels:

    >>> import networkx as nx
    >>> import pandas as pd
    >>> SynapticNetwork.from_networkx(nx.DiGraph([("a", "b"), ("b", "a")])).neurons.tolist()
    ['a', 'b']
    >>> table = pd.DataFrame({"pre": ["a", "b"], "post": ["b", "a"], "weight": [2.0, 1.0]})
    >>> SynapticNetwork.from_edges(table, p=1).total_cost
    3.0
    """

    weights: sparse.csr_array
    neurons: pd.Index
    p: float = 2.0
    alpha: Any = 1.0
    node_attributes: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    edge_attributes: Mapping[tuple[Any, Any], Mapping[str, Any]] = field(default_factory=dict)
    graph_attributes: Mapping[str, Any] = field(default_factory=dict)
    intake: Intake = Intake()

    def __post_init__(self) -> None:
        rows, columns = self.weights.shape
        if rows != columns:
            raise InputError(
                f"the weight matrix has shape ({rows}, {columns}); it must be square, one row and "
                "one column per neuron"
            )
        if len(self.neurons) != rows:
            raise InputError(f"{len(self.neurons)} labels were given for {rows} neurons")
        if not self.neurons.is_unique:
            label = self.neurons[self.neurons.duplicated()][0]
            raise InputError(f"the label {label!r} is given to more than one neuron")
        if not (isinstance(self.p, Real) and np.isfinite(self.p) and self.p > 0):
            raise InputError(f"the exponent p is {self.p!r}; it must be a finite number above 0")
        object.__setattr__(self, "p", float(self.p))
        self.weights.has_canonical_format = True  # by contract; spares SciPy the check
        self._require_finite(self.weights.data, "weight")
        object.__setattr__(self, "alpha", self._aligned_alpha(self.alpha))

    # ------------------------------------------------------------------ construction

    @classmethod
    def from_networkx(
        cls, graph: nx.Graph, *, weight: str = "weight", p: float = 2.0, alpha: Any = 1.0
    ) -> SynapticNetwork:
        """Read a NetworkX graph; an edge (u, v) is a synapse from u to v.

        See `graphbal.convert.from_networkx`.
        """
        from graphbal import convert

        return convert.from_networkx(graph, weight=weight, p=p, alpha=alpha)

    @classmethod
    def from_scipy(
        cls,
        weights: Any,
        *,
        neurons: ArrayLike | None = None,
        p: float = 2.0,
        alpha: Any = 1.0,
    ) -> SynapticNetwork:
        """Read a sparse or dense matrix J, row = postsynaptic, column = presynaptic.

        See `graphbal.convert.from_scipy`.
        """
        from graphbal import convert

        return convert.from_scipy(weights, neurons=neurons, p=p, alpha=alpha)

    @classmethod
    def from_edges(
        cls,
        edges: pd.DataFrame,
        *,
        pre: str | None = None,
        post: str | None = None,
        weight: str | None = None,
        neurons: ArrayLike | None = None,
        p: float = 2.0,
        alpha: Any = 1.0,
    ) -> SynapticNetwork:
        """Read a table of synapses, one row each; repeated pairs are summed.

        See `graphbal.convert.from_edges`.
        """
        from graphbal import convert

        return convert.from_edges(
            edges, pre=pre, post=post, weight=weight, neurons=neurons, p=p, alpha=alpha
        )

    def to_networkx(self, *, weight: str = "weight", cost: str | None = "cost") -> nx.DiGraph:
        """Return a NetworkX DiGraph; see `graphbal.convert.to_networkx`."""
        from graphbal import convert

        return convert.to_networkx(self, weight=weight, cost=cost)

    def to_scipy(self) -> sparse.csr_array:
        """Return a copy of the weights J, row = postsynaptic, column = presynaptic."""
        return self.weights.copy()

    def with_cost(self, p: float | None = None, alpha: Any = None) -> SynapticNetwork:
        """Return the same network with another cost function; what is not given stays.

        Examples
        --------
        >>> import numpy as np
        >>> net = SynapticNetwork.from_scipy(np.array([[0.0, 2.0], [1.0, 0.0]]))
        >>> net.with_cost(p=1).total_cost
        3.0
        >>> net.with_cost(alpha=[3.0, 1.0]).total_cost   # per presynaptic neuron
        7.0
        """
        return replace(
            self,
            p=self.p if p is None else p,
            alpha=self.alpha if alpha is None else alpha,
        )

    def with_weights(self, values: NDArray[np.float64]) -> SynapticNetwork:
        """Return the network with other weights on the same synapses.

        Parameters
        ----------
        values : array, shape (n_synapses,)
            New weights in the order of ``weights.data`` (by postsynaptic, then presynaptic
            neuron). Zeros are kept as synapses of cost 0.

        Examples
        --------
        >>> net = SynapticNetwork.from_scipy([[0.0, 2.0], [1.0, 0.0]])
        >>> net.with_weights([3.0, 4.0]).edges()
           pre  post  weight  cost
        0    1     0     3.0   9.0
        1    0     1     4.0  16.0
        """
        weights = sparse.csr_array(
            (values, self.weights.indices, self.weights.indptr), shape=self.weights.shape
        )
        return replace(self, weights=weights)

    # ------------------------------------------------------------------ size and labels

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return int(self.weights.shape[0])

    @property
    def n_synapses(self) -> int:
        """Number of synapses, self-connections included."""
        return int(self.weights.nnz)

    @property
    def n_self_connections(self) -> int:
        """Number of self-connections (autapses); they count in the cost but never change."""
        return count_self_connections(self.weights)

    def positions(self, labels: Any) -> NDArray[np.intp]:
        """Return the positions of the neurons with the given labels.

        Raises
        ------
        InputError
            If a label is unknown; the message names it.

        Examples
        --------
        >>> net = SynapticNetwork.from_scipy([[0.0, 2.0], [1.0, 0.0]], neurons=["AVAL", "AVAR"])
        >>> net.positions(["AVAR", "AVAL"])
        array([1, 0])
        """
        if isinstance(labels, str) or not hasattr(labels, "__iter__"):
            labels = [labels]
        # An Index of tuples would become a MultiIndex; an object array keeps labels as they are.
        wanted = np.empty(len(labels := list(labels)), dtype=object)
        wanted[:] = labels
        positions = self.neurons.get_indexer(pd.Index(wanted, tupleize_cols=False))
        unknown = [label for label, at in zip(labels, positions, strict=True) if at < 0]
        if unknown:
            more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
            raise InputError(f"there is no neuron labelled {unknown[0]!r}{more} in this network")
        return positions

    # ------------------------------------------------------------------ costs

    @cached_property
    def costs(self) -> sparse.csr_array:
        r"""Synaptic costs :math:`c_{ij} = \alpha_{ij} |J_{ij}|^p`, [post, pre].

        Raises
        ------
        InputError
            If a cost is too large for a floating-point number, or too small while weight and α
            are not zero.
        """
        _ = self.cost_range  # which refuses those that are no numbers
        costs = copy(self.weights)  # shares the indices, and spares SciPy their inspection
        costs.data = self._cost_values
        return costs

    @cached_property
    def _cost_values(self) -> NDArray[np.float64]:
        """The costs by synapse, of which some may be too large or too small to be told apart."""
        weights, alpha = self.weights.data, self.alpha
        if self._are_powers and self.p == 1 and not self._magnitudes[2]:
            return weights
        values = powers(weights, self.p)
        if alpha.ndim or alpha != 1:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                values *= self._alpha_by_synapse() if alpha.ndim else alpha
        return values

    @property
    def _are_powers(self) -> bool:
        """Whether costs are |J| or J², of which the range is known from that of |J|."""
        return self.p in (1, 2) and self.alpha.ndim == 0 and bool(self.alpha == 1)

    @cached_property
    def _magnitudes(self) -> tuple[float, float, bool]:
        return magnitudes(self.weights.data)

    @cached_property
    def cost_range(self) -> tuple[float, float]:
        """The smallest and the largest cost of a synapse; infinity and 0 if there is none.

        Raises
        ------
        InputError
            As `costs` does.
        """
        if self._are_powers:
            smallest, largest, _ = self._magnitudes
            if self.p == 2:
                smallest, largest = smallest * smallest, largest * largest
        else:
            smallest, largest = extremes(self._cost_values)
        self._require_normal(smallest, largest)
        return smallest, largest

    @property
    def has_free_synapses(self) -> bool:
        """Whether a synapse costs nothing, its weight or α being zero."""
        return self.cost_range[0] == 0

    @cached_property
    def total_cost(self) -> float:
        """Total cost C = Σ c_ij, self-connections included."""
        return float(self.costs.data.sum())

    @cached_property
    def _costs_by_neuron(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return sums_by_neuron(self.costs)

    @property
    def incoming_costs(self) -> pd.Series:
        """Incoming cost Σ_j c_kj of each neuron, self-connections left out."""
        return pd.Series(self._costs_by_neuron[0].copy(), index=self.neurons)

    @property
    def outgoing_costs(self) -> pd.Series:
        """Outgoing cost Σ_i c_ik of each neuron, self-connections left out."""
        return pd.Series(self._costs_by_neuron[1].copy(), index=self.neurons)

    @property
    def neural_gradients(self) -> pd.Series:
        """Neural gradients g_k: incoming minus outgoing cost; they sum to zero."""
        incoming, outgoing = self._costs_by_neuron
        return pd.Series(incoming - outgoing, index=self.neurons)

    @property
    def imbalance(self) -> float:
        """Σ_k |g_k| over the total cost without self-connections; 0 where there is none."""
        incoming, outgoing = self._costs_by_neuron
        total = float(incoming.sum())
        return float(np.abs(incoming - outgoing).sum()) / total if total else 0.0

    @property
    def neuron_imbalance(self) -> float:
        """Largest |in_k − out_k| / (in_k + out_k); a neuron without cost counts as balanced."""
        incoming, outgoing = self._costs_by_neuron
        through = incoming + outgoing
        apart = np.divide(
            np.abs(incoming - outgoing), through, out=np.zeros_like(through), where=through > 0
        )
        return float(apart.max(initial=0.0))

    # ------------------------------------------------------------------ views and transforms

    def edges(self) -> pd.DataFrame:
        """Return the table of synapses: pre, post, weight, cost; by postsynaptic neuron."""
        post, pre = self._endpoints()
        return pd.DataFrame(
            {
                "pre": self.neurons.take(pre),
                "post": self.neurons.take(post),
                "weight": self.weights.data.copy(),
                "cost": self.costs.data.copy(),
            }
        )

    def transform(self, potentials: Any) -> SynapticNetwork:
        r"""Return the network :math:`J_{ij} → e^{h_j - h_i} J_{ij}`.

        A network of positively homogeneous neurons (ReLU, leaky ReLU, linear) computes the same
        before and after [1]_, eq. 4.

        Parameters
        ----------
        potentials : array of shape (n,), Series or mapping by label
            Potentials h, dimensionless.

        Returns
        -------
        SynapticNetwork

        Raises
        ------
        InputError
            If a neuron has no potential, or a transformed weight is not finite.

        References
        ----------
        .. [1] Stock et al. (2022). https://doi.org/10.1371/journal.pcbi.1010418

        Examples
        --------
        >>> import numpy as np
        >>> net = SynapticNetwork.from_scipy(np.array([[0.0, 4.0], [1.0, 0.0]]))
        >>> net.transform([np.log(2), 0.0]).weights.toarray()
        array([[0., 2.],
               [2., 0.]])
        """
        h = self.aligned(potentials, "potential")
        post, pre = self._endpoints()
        with np.errstate(over="ignore"):
            values = self.weights.data * np.exp(h[pre] - h[post])
        return self.with_weights(values)

    def aligned(self, values: Any, what: str) -> NDArray[np.float64]:
        """Return one finite number per neuron from an array, a Series or a mapping by label.

        Raises
        ------
        InputError
            If the length is wrong, a neuron is missing, or a value is not finite.

        Examples
        --------
        >>> net = SynapticNetwork.from_scipy([[0.0, 2.0], [1.0, 0.0]], neurons=["AVAL", "AVAR"])
        >>> net.aligned({"AVAR": 0.5, "AVAL": -0.5}, "potential")
        array([-0.5,  0.5])
        """
        if isinstance(values, Mapping):
            values = pd.Series(
                list(values.values()), index=pd.Index(list(values), tupleize_cols=False)
            )
        if isinstance(values, pd.Series):
            if not values.index.equals(self.neurons):
                missing = self.neurons.difference(values.index, sort=False)
                if len(missing):
                    raise InputError(f"there is no {what} for the neuron {missing[0]!r}")
                values = values.reindex(self.neurons)
            values = values.to_numpy()
        try:
            array = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"each {what} must be a number: {error}") from error
        if array.shape != (self.n_neurons,):
            raise InputError(
                f"the {what} array has shape {array.shape}; it must be ({self.n_neurons},), one "
                "value per neuron"
            )
        if not np.isfinite(array).all():
            at = int(np.flatnonzero(~np.isfinite(array))[0])
            raise InputError(f"the {what} of the neuron {self.neurons[at]!r} is {array[at]}")
        return array

    def _repr_html_(self) -> str:
        weights, intake = self.weights.data, asdict(self.intake)
        alpha = "" if self.alpha.ndim == 0 and self.alpha == 1 else "α "
        facts = {
            "neurons": f"{self.n_neurons:,}: {_some(self.neurons)}",
            "synapses": self.n_synapses,
            "self-connections": self.n_self_connections,
            "weights": f"{weights.min():.6g} to {weights.max():.6g}" if weights.size else "none",
            "cost of a synapse": f"{alpha}|J|^{self.p:g}",
        }
        merged = {name.replace("_", " "): number for name, number in intake.items() if number}
        return card("SynapticNetwork", facts | merged)

    def __repr__(self) -> str:
        alpha = "" if self.alpha.ndim == 0 and self.alpha == 1 else "α "
        return (
            f"SynapticNetwork({self.n_neurons:,} neurons, {self.n_synapses:,} synapses, "
            f"c = {alpha}|J|^{self.p:g})"
        )

    # ------------------------------------------------------------------ private

    def _endpoints(self) -> tuple[NDArray[np.intp], NDArray[np.integer]]:
        post = np.repeat(np.arange(self.n_neurons), np.diff(self.weights.indptr))
        return post, self.weights.indices

    def _name_of(self, synapse: int) -> str:
        post = int(np.searchsorted(self.weights.indptr, synapse, side="right")) - 1
        pre = int(self.weights.indices[synapse])
        return f"{self.neurons[pre]!r} → {self.neurons[post]!r}"

    def _require_finite(self, values: NDArray[np.float64], what: str) -> None:
        # A finite sum proves finite terms without a second array; an infinite one proves nothing.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(values.sum()):
                return
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            at = int(bad[0])
            raise InputError(f"the {what} of the synapse {self._name_of(at)} is {values[at]}")

    def _require_normal(self, smallest: float, largest: float) -> None:
        """Refuse costs that overflowed, and positive ones that lost digits: below normal range."""
        if not largest < np.inf:
            where = self._name_of(int(self._cost_values.argmax()))  # of a NaN if there is one
            raise InputError(
                f"the cost α |J|^{self.p:g} of the synapse {where} is too large for a "
                "floating-point number; rescale the weights or choose a smaller p"
            )
        if smallest < _SMALLEST_NORMAL:
            lost = (self._cost_values < _SMALLEST_NORMAL) & (self.weights.data != 0)
            lost &= self._alpha_by_synapse() != 0
            if lost.any():
                raise InputError(
                    f"the cost α |J|^{self.p:g} of the synapse "
                    f"{self._name_of(int(np.flatnonzero(lost)[0]))} is too small for a "
                    "floating-point number; rescale the weights or choose a smaller p"
                )

    def _aligned_alpha(self, alpha: Any) -> NDArray[np.float64] | sparse.csr_array:
        """Return α as an array of shape (), (1, n) or (n, 1), or a CSR array on the support."""
        n = self.n_neurons
        if isinstance(alpha, (pd.Series, Mapping)):
            values = self.aligned(alpha, "α")[None, :]
        elif sparse.issparse(alpha):
            if alpha.shape != (n, n):
                raise InputError(f"α has shape {alpha.shape}; a matrix must be ({n}, {n})")
            if alpha.format == "csr" and np.may_share_memory(alpha.indices, self.weights.indices):
                values = alpha.data  # already on the support, as `replace` passes it on
            elif not self.weights.nnz:
                values = np.empty(0)
            else:
                post, pre = self._endpoints()
                values = np.asarray(alpha.tocsr()[post, pre], dtype=np.float64).ravel()
        else:
            try:
                values = np.array(alpha, dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise InputError(f"α must be numeric: {error}") from error
            if values.shape == (n, n) and n > 1:
                post, pre = self._endpoints()
                values = values[post, pre]
            elif values.shape == (n,):
                values = values[None, :]
            elif values.shape not in ((), (1, n), (n, 1)):
                raise InputError(
                    f"α has shape {values.shape}; give a scalar, ({n},) or (1, {n}) for "
                    f"presynaptic neurons, ({n}, 1) for postsynaptic ones, or ({n}, {n})"
                )
        if values.ndim == 0 and 0 <= values < np.inf:
            return values
        bad = ~(np.isfinite(values) & (values >= 0))
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            if values.ndim == 0:
                where = ""
            elif values.ndim == 2:
                where = f" of the neuron {self.neurons[at]!r}"
            else:
                where = f" of the synapse {self._name_of(at)}"
            raise InputError(
                f"α{where} is {values.ravel()[at]}; it must be finite and not negative"
            )
        if values.ndim != 1:
            return values
        weights = self.weights
        return sparse.csr_array((values, weights.indices, weights.indptr), shape=weights.shape)

    def _alpha_by_synapse(self) -> NDArray[np.float64]:
        """Return α as a scalar array or as one value per synapse, in the order of the weights."""
        if sparse.issparse(self.alpha):
            return self.alpha.data
        if self.alpha.ndim == 0:
            return self.alpha
        post, pre = self._endpoints()
        return self.alpha[0, pre] if self.alpha.shape[0] == 1 else self.alpha[post, 0]


def _some(labels: pd.Index) -> str:
    """Return the first labels as text, and the last."""
    shown = [str(label) for label in labels[:3]]
    more = [] if len(labels) <= 4 else ["…"]
    return ", ".join(shown + more + [str(label) for label in labels[3:][-1:]])
