r"""What can be measured of a network: one number each, to set networks side by side.

Every measure is a function of a `Subject`, which is a network with what has been found of it (its
equilibrium, topology, modes), so that measures share the work; given anything else that
`graphbal.as_network` takes, a measure makes the subject itself. `MEASURES` has them by name, and
`DEFAULT` names those that `graphbal.compare` takes unless told otherwise. Any function that takes a
`Subject` and returns a number is a measure, too:

>>> from graphbal import compare
>>> def heaviest_synapse(subject):
...     return abs(subject.network.weights.data).max()
>>> table = compare("celegans", {"heaviest synapse": heaviest_synapse})
>>> table["value"].item()
75.0

What is not defined (the modes of a network that nothing holds together), what takes a dense matrix
of more than a thousand neurons, and what rests on an equilibrium that was not reached, is NaN.

Formulas are in the symbols of [1]_: weights J with J_ij from j to i, costs c = α|J|^p, potentials
h. "Balanced" is the network at its equilibrium: in the limit, without the synapses that vanish.
Strengths are sums of |J|. Strengths, reciprocity and assortativity leave self-connections out.

References
----------
.. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
   Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import ArpackNoConvergence, eigs, eigsh

from graphbal.analytic.bounds import drop_bounds
from graphbal.analytic.hodge import HodgeSplit, hodge
from graphbal.balance import Equilibrium, balance
from graphbal.conductance import conducting
from graphbal.convert import as_network
from graphbal.errors import ConvergenceWarning
from graphbal.modes import Modes, eigenmodes
from graphbal.network import SynapticNetwork
from graphbal.topology import Topology, topology

__all__ = [
    "DEFAULT",
    "MEASURES",
    "Subject",
    "balanced_commutator_norm",
    "balanced_departure_from_normality",
    "balanced_numerical_abscissa",
    "commutator_norm",
    "departure_from_normality",
    "fraction_on_cycles",
    "initial_cost",
    "initial_imbalance",
    "initial_imbalance_percentile",
    "largest_component",
    "median_time_constant",
    "n_components",
    "n_neurons",
    "n_synapses",
    "numerical_abscissa",
    "potential_max",
    "potential_min",
    "potential_sd",
    "reciprocity",
    "relative_drop",
    "relative_drop_lower_bound",
    "relative_drop_upper_bound",
    "removable_fraction",
    "slowest_mode_participation",
    "slowest_time_constant",
    "spectral_abscissa",
    "spectral_abscissa_change",
    "spectral_gap",
    "strength_assortativity",
    "total_cost",
    "weighted_reciprocity",
]

Array = NDArray[np.float64]
Measure = Callable[[Any], float]

# The most neurons of which a dense matrix is made: its eigenvalues take a second.
DENSE = 1_000
PERMUTATIONS = 1_000
# What differs by less, relative to its size, counts as equal: equilibria are no more accurate.
TIE = 1e-9
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, eq=False, repr=False)
class Subject:
    """A network, and what measures share of it; each thing is found when it is first asked for.

    Parameters
    ----------
    network : anything `graphbal.as_network` takes
        The network; the attribute is a `SynapticNetwork`.

    Raises
    ------
    InputError
        If the network cannot be read.

    Examples
    --------
    >>> from graphbal.measures import Subject
    >>> subject = Subject([[0, 2.0], [1.0, 0]])
    >>> subject.network, round(subject.equilibrium.total_cost, 6)
    (SynapticNetwork(2 neurons, 2 synapses, c = |J|^2), 4.0)
    """

    network: SynapticNetwork

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", as_network(self.network))

    @cached_property
    def topology(self) -> Topology:
        """Strong components, and the synapses that vanish."""
        return topology(self.network)

    @cached_property
    def equilibrium(self) -> Equilibrium:
        """The equilibrium, as `graphbal.balance` finds it by default."""
        return balance(self.network)

    @cached_property
    def hodge(self) -> HodgeSplit:
        """The Helmholtz–Hodge split of the log-costs."""
        return hodge(self.network)

    @cached_property
    def modes(self) -> Modes | None:
        """Modes of the Laplacian at equilibrium; None where there are none.

        All of them, ascending, up to 1,000 neurons; of larger networks the slowest.
        """
        n_modes = self._n_modes
        if not n_modes:
            return None
        k = n_modes if self.network.n_neurons <= DENSE else 1
        return eigenmodes(self.equilibrium.network, k)

    @cached_property
    def fastest_mode(self) -> Modes | None:
        """The fastest mode of the Laplacian at equilibrium; None where there are none."""
        return eigenmodes(self.equilibrium.network, 1, "fast") if self._n_modes else None

    @cached_property
    def eigenvalues(self) -> NDArray[np.complex128] | None:
        """Eigenvalues of J; None where a strong component has more than 1,000 neurons."""
        alone, blocks = _strong_blocks(self.network.weights)
        if max((block.shape[0] for block in blocks), default=0) > DENSE:
            return None
        return np.concatenate([alone, *(linalg.eigvals(block.toarray()) for block in blocks)])

    @cached_property
    def _n_modes(self) -> int:
        """Number of modes with λ > 0 at equilibrium."""
        costs = conducting(self.equilibrium.network)
        return (
            self.network.n_neurons - sparse.csgraph.connected_components(costs, directed=False)[0]
        )

    @cached_property
    def _between(self) -> sparse.csr_array:
        """|J| of the synapses between different neurons."""
        magnitudes = sparse.csr_array(abs(self.network.weights))
        magnitudes.setdiag(0.0)
        magnitudes.eliminate_zeros()
        return magnitudes

    def __repr__(self) -> str:
        return f"Subject({self.network!r})"


MEASURES: dict[str, Measure] = {}
"""Every measure of this module by its name."""


def _measure(function: Callable[[Subject], float]) -> Measure:
    """Enter a measure among all, and let it take networks that are no subjects yet."""

    @wraps(function)
    def measure(network: Any) -> float:
        return float(function(network if isinstance(network, Subject) else Subject(network)))

    MEASURES[function.__name__] = measure
    return measure


def _balanced_measure(function: Callable[[Subject], float]) -> Measure:
    """Do what `_measure` does; the measure is NaN where the equilibrium was not reached."""

    @wraps(function)
    def measure(subject: Subject) -> float:
        return function(subject) if subject.equilibrium.converged else math.nan

    return _measure(measure)


# ---------------------------------------------------------------------- the graph


@_measure
def n_neurons(subject: Subject) -> float:
    """Return the number of neurons n.

    Examples
    --------
    >>> n_neurons("celegans")
    302.0
    """
    return subject.network.n_neurons


@_measure
def n_synapses(subject: Subject) -> float:
    """Return the number of synapses m, self-connections included.

    Examples
    --------
    >>> n_synapses("celegans")
    3709.0
    """
    return subject.network.n_synapses


@_measure
def reciprocity(subject: Subject) -> float:
    """Return the fraction of synapses j → i whose reverse i → j exists too.

    Examples
    --------
    >>> round(reciprocity([[0, 1, 0], [1, 0, 0], [1, 0, 0]]), 4)
    0.6667
    """
    between = subject._between
    support = between.astype(bool)
    return support.multiply(support.T).nnz / support.nnz if support.nnz else math.nan


@_measure
def weighted_reciprocity(subject: Subject) -> float:
    r"""Return the fraction of the weight that comes back [1]_.

    .. math:: \frac{\sum_{i \ne j} \min(|J_{ij}|, |J_{ji}|)}{\sum_{i \ne j} |J_{ij}|}

    References
    ----------
    .. [1] T. Squartini, F. Picciolo, F. Ruzzenenti, D. Garlaschelli, "Reciprocity of weighted
       networks", Sci Rep 3: 2729 (2013). https://doi.org/10.1038/srep02729

    Examples
    --------
    >>> weighted_reciprocity([[0, 3.0], [1.0, 0]])
    0.5
    """
    between = subject._between
    return between.minimum(between.T).sum() / between.sum() if between.nnz else math.nan


@_measure
def strength_assortativity(subject: Subject) -> float:
    r"""Return the correlation, over synapses, of the strengths at their two ends [1]_.

    Pearson's, between the out-strength of the presynaptic neuron, :math:`\sum_k |J_{kj}|`, and the
    in-strength of the postsynaptic one, :math:`\sum_k |J_{ik}|`; NaN where one does not vary.

    References
    ----------
    .. [1] J. G. Foster, D. V. Foster, P. Grassberger, M. Paczuski, "Edge direction and the
       structure of networks", PNAS 107(24): 10815-10820 (2010).
       https://doi.org/10.1073/pnas.0912671107

    Examples
    --------
    >>> round(strength_assortativity([[0, 1, 0], [2, 0, 0], [1, 1, 0]]), 4)
    0.5774
    """
    between = subject._between.tocoo()
    post, pre = between.coords
    ends = between.sum(axis=0)[pre], between.sum(axis=1)[post]
    if any(np.ptp(end) <= TIE * end.max() if end.size else True for end in ends):
        return math.nan
    return float(np.corrcoef(*ends)[0, 1])


@_measure
def fraction_on_cycles(subject: Subject) -> float:
    """Return the fraction of synapses that lie on a directed cycle: those that do not vanish.

    Where it is 1, the equilibrium is finite. A self-connection is a cycle.

    Examples
    --------
    >>> round(fraction_on_cycles([[0, 1, 0], [1, 0, 0], [1, 0, 0]]), 4)
    0.6667
    """
    count = np.count_nonzero(subject.network.costs.data)
    return 1.0 - np.count_nonzero(subject.topology.vanishing) / count if count else math.nan


@_measure
def n_components(subject: Subject) -> float:
    """Return the number of strongly connected components.

    Examples
    --------
    >>> n_components([[0, 1, 0], [1, 0, 0], [1, 0, 0]])
    2.0
    """
    return subject.topology.n_components


@_measure
def largest_component(subject: Subject) -> float:
    """Return the number of neurons in the largest strongly connected component.

    Examples
    --------
    >>> largest_component([[0, 1, 0], [1, 0, 0], [1, 0, 0]])
    2.0
    """
    return subject.topology.component_sizes.max()


# ---------------------------------------------------------------------- costs


@_measure
def initial_cost(subject: Subject) -> float:
    r"""Return the total cost before balancing, :math:`C(0) = \sum_{ij} c_{ij}`.

    Examples
    --------
    >>> initial_cost([[0, 2.0], [1.0, 0]])
    5.0
    """
    return subject.network.total_cost


@_balanced_measure
def total_cost(subject: Subject) -> float:
    r"""Return the total cost at equilibrium, :math:`C^* = \min_h \sum_{ij} c_{ij} e^{p(h_j-h_i)}`.

    Examples
    --------
    >>> round(total_cost([[0, 2.0], [1.0, 0]]), 6)
    4.0
    """
    return subject.equilibrium.total_cost


@_balanced_measure
def relative_drop(subject: Subject) -> float:
    r"""Return the fraction of the cost that balancing saves, :math:`1 - C^* / C(0)`.

    Examples
    --------
    >>> round(relative_drop([[0, 2.0], [1.0, 0]]), 6)
    0.2
    """
    return _ratio(subject.equilibrium.drop, subject.network.total_cost)


@_measure
def relative_drop_lower_bound(subject: Subject) -> float:
    r"""Return a lower bound on the `relative_drop`, found without balancing.

    :math:`\max_k (\sqrt{in_k} - \sqrt{out_k})^2 / C(0)`: the best that one neuron can do
    (`graphbal.analytic.drop_bounds`).

    Examples
    --------
    >>> round(relative_drop_lower_bound([[0, 2.0], [1.0, 0]]), 6)
    0.2
    """
    return _ratio(drop_bounds(subject.network)[0], subject.network.total_cost)


@_measure
def relative_drop_upper_bound(subject: Subject) -> float:
    r"""Return an upper bound on the `relative_drop`, found without balancing.

    :math:`1 - \sum_{ij} \sqrt{c_{ij} c_{ji}} / C(0)`: reciprocal pairs keep the product of their
    costs (`graphbal.analytic.drop_bounds`).

    Examples
    --------
    >>> round(relative_drop_upper_bound([[0, 2.0], [1.0, 0]]), 6)
    0.2
    """
    return _ratio(drop_bounds(subject.network)[1], subject.network.total_cost)


@_measure
def removable_fraction(subject: Subject) -> float:
    r"""Return the fraction of the variance of the log-costs that potentials can remove.

    :math:`1 - \langle z^2 \rangle / \mathrm{Var} \log c`, with the cycle part z of the
    Helmholtz–Hodge split :math:`\log c_{ij} = μ + p (h_i - h_j) + z_{ij}`
    (`graphbal.analytic.hodge`).

    Examples
    --------
    >>> removable_fraction([[0, 2.0], [1.0, 0]])
    1.0
    """
    return subject.hodge.removable_fraction if subject.hodge.converged else math.nan


@_measure
def initial_imbalance(subject: Subject) -> float:
    r"""Return the imbalance before balancing, 0 to 2.

    .. math:: \frac{\sum_k |in_k - out_k|}{\sum_{i \ne j} c_{ij}}

    Examples
    --------
    >>> initial_imbalance([[0, 2.0], [1.0, 0]])
    1.2
    """
    return subject.network.imbalance


@_measure
def initial_imbalance_percentile(subject: Subject) -> float:
    r"""Return the percentile of ‖g‖ before balancing among networks with permuted rows of costs.

    The null of Fig. 4a of [1]_: neurons exchange their incoming costs and keep their outgoing ones,

    .. math:: \|g\|_2 = \Bigl( \sum_k \bigl(\textstyle\sum_j c_{π(k) j} - \sum_i c_{ik}\bigr)^2
        \Bigr)^{1/2},

    for 1,000 permutations π, drawn from a fixed seed; equal values count half. Near 0, the network
    is more balanced than chance has it; 50 is chance. O(1,000 n).

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> initial_imbalance_percentile("celegans") < 5
    True
    """
    costs = subject.network.costs
    incoming, outgoing = np.asarray(costs.sum(axis=1)), np.asarray(costs.sum(axis=0))
    rng = np.random.default_rng(0)
    at_once = max(min(PERMUTATIONS, (1 << 20) // incoming.size), 1)
    norms = np.concatenate(
        [
            np.linalg.norm(rng.permuted(np.tile(incoming, (rows, 1)), axis=1) - outgoing, axis=1)
            for rows in _parts(PERMUTATIONS, at_once)
        ]
    )
    own = np.linalg.norm(incoming - outgoing)
    margin = TIE * np.maximum(norms, own)
    below, tied = norms < own - margin, np.abs(norms - own) <= margin
    return 100 * (np.count_nonzero(below) + np.count_nonzero(tied) / 2) / PERMUTATIONS


# ---------------------------------------------------------------------- potentials and modes


@_balanced_measure
def potential_sd(subject: Subject) -> float:
    r"""Return the spread of the equilibrium potentials, :math:`(\sum_k h_k^2 / n)^{1/2}`.

    Their mean is zero in every strong component.

    Examples
    --------
    >>> round(potential_sd([[0, 2.0], [1.0, 0]]), 4)  # ± log(2) / 4
    0.1733
    """
    return float(np.std(subject.equilibrium.h))


@_balanced_measure
def potential_min(subject: Subject) -> float:
    r"""Return the lowest equilibrium potential, :math:`\min_k h_k`.

    Examples
    --------
    >>> round(potential_min([[0, 2.0], [1.0, 0]]), 4)
    -0.1733
    """
    return float(subject.equilibrium.h.min())


@_balanced_measure
def potential_max(subject: Subject) -> float:
    r"""Return the highest equilibrium potential, :math:`\max_k h_k`.

    Examples
    --------
    >>> round(potential_max([[0, 2.0], [1.0, 0]]), 4)
    0.1733
    """
    return float(subject.equilibrium.h.max())


@_balanced_measure
def slowest_time_constant(subject: Subject) -> float:
    r"""Return the longest time constant of the flow at equilibrium, :math:`1 / (p λ_{min})`.

    λ_min > 0 is the smallest eigenvalue of the Laplacian L at equilibrium, null vectors left out.
    In units of 1 / (γ × cost): of networks with another unit of cost, compare the `spectral_gap`.

    Examples
    --------
    >>> round(slowest_time_constant([[0, 2.0], [1.0, 0]]), 6)  # λ = 2 (2 + 2)
    0.0625
    """
    modes = subject.modes
    return modes.time_constants[0] if modes is not None and modes.converged else math.nan


@_balanced_measure
def median_time_constant(subject: Subject) -> float:
    r"""Return the median of the time constants at equilibrium, :math:`1 / (p λ_m)`, λ_m > 0.

    From the spectrum of the dense Laplacian, O(n³); NaN above 1,000 neurons.

    Examples
    --------
    >>> round(median_time_constant([[0, 2.0], [1.0, 0]]), 6)
    0.0625
    """
    modes = subject.modes if subject.network.n_neurons <= DENSE else None
    return np.median(modes.time_constants) if modes is not None and modes.converged else math.nan


@_balanced_measure
def spectral_gap(subject: Subject) -> float:
    r"""Return the gap of the Laplacian at equilibrium, relative to its width: λ_min / λ_max.

    λ_min > 0 is its smallest eigenvalue, null vectors left out. The same in any unit of cost; 1 for
    a network that relaxes at one rate everywhere, and small where a few threads hold it together
    [1]_.

    References
    ----------
    .. [1] M. Barahona, L. M. Pecora, "Synchronization in small-world systems", Phys Rev Lett 89:
       054101 (2002). https://doi.org/10.1103/PhysRevLett.89.054101

    Examples
    --------
    >>> round(spectral_gap([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), 6)
    1.0
    """
    modes = subject.modes
    if modes is None:
        return math.nan
    fastest = modes if len(modes.eigenvalues) == subject._n_modes else subject.fastest_mode
    if fastest is None or not (modes.converged and fastest.converged):
        return math.nan
    return modes.eigenvalues[0] / fastest.eigenvalues.max()


@_balanced_measure
def slowest_mode_participation(subject: Subject) -> float:
    r"""Return over how many neurons the slowest mode is spread, :math:`1 / \sum_k v_k^4`.

    Of the normalised eigenvector v of λ_min: n if it is everywhere alike, about 1 if it is
    localised at a neuron.

    Examples
    --------
    >>> round(slowest_mode_participation([[0, 2.0], [1.0, 0]]), 6)
    2.0
    """
    modes = subject.modes
    return modes.participation[0] if modes is not None and modes.converged else math.nan


# ---------------------------------------------------------------------- the weights as a matrix


@_measure
def spectral_abscissa(subject: Subject) -> float:
    r"""Return the largest real part of an eigenvalue of J, :math:`\max_k \mathrm{Re}\, λ_k(J)`.

    Strong component by component, since the spectrum of J is theirs together; balancing keeps it.
    O(n³); of components of more than 1,000 neurons by Arnoldi iterations, O(m) each.

    Examples
    --------
    >>> round(spectral_abscissa([[0, 2.0], [0.5, 0]]), 6)
    1.0
    """
    if subject.eigenvalues is not None:
        return float(subject.eigenvalues.real.max())
    return _abscissa(subject.network.weights)


@_balanced_measure
def spectral_abscissa_change(subject: Subject) -> float:
    r"""Return by how much balancing moves the spectral abscissa: 0, to rounding.

    A transformation :math:`J \to D^{-1} J D` with :math:`D = \mathrm{diag}\, e^{h}` keeps the
    eigenvalues, and so does removing the synapses between strong components, which are in no cycle.
    A check of the equilibrium rather than a measure of the network.

    Examples
    --------
    >>> abs(spectral_abscissa_change("celegans")) < 1e-9
    True
    """
    return _abscissa(subject.equilibrium.network.weights) - spectral_abscissa(subject)


@_measure
def numerical_abscissa(subject: Subject) -> float:
    r"""Return the largest growth rate under dx/dt = J x, :math:`λ_{max}((J + J^T)/2)`.

    At least the `spectral_abscissa`, and equal to it where J is normal [1]_. O(n³); above 1,000
    neurons by Lanczos iterations, O(m) each.

    References
    ----------
    .. [1] L. N. Trefethen, M. Embree, Spectra and Pseudospectra, Princeton (2005).
       https://press.princeton.edu/books/hardcover/9780691119465

    Examples
    --------
    >>> round(numerical_abscissa([[0, 2.0], [0.5, 0]]), 6)
    1.25
    """
    return _numerical_abscissa(subject.network.weights)


@_balanced_measure
def balanced_numerical_abscissa(subject: Subject) -> float:
    r"""Return the `numerical_abscissa` of the balanced network.

    Examples
    --------
    >>> round(balanced_numerical_abscissa([[0, 2.0], [0.5, 0]]), 6)
    1.0
    """
    return _numerical_abscissa(subject.equilibrium.network.weights)


@_measure
def departure_from_normality(subject: Subject) -> float:
    r"""Return Henrici's departure of J from normality [1]_.

    .. math:: \Bigl( \|J\|_F^2 - \sum_k |λ_k|^2 \Bigr)^{1/2}

    0 iff J is normal. O(n³); NaN where a strong component has more than 1,000 neurons, for which
    there is `commutator_norm`.

    References
    ----------
    .. [1] P. Henrici, "Bounds for iterates, inverses, spectral variation and fields of values of
       non-normal matrices", Numer Math 4: 24-40 (1962). https://doi.org/10.1007/BF01386294

    Examples
    --------
    >>> departure_from_normality([[0, 2.0], [0.5, 0]])
    1.5
    """
    return _departure(subject.network.weights, subject.eigenvalues)


@_balanced_measure
def balanced_departure_from_normality(subject: Subject) -> float:
    r"""Return the `departure_from_normality` of the balanced network.

    Balancing keeps the eigenvalues and, at p = 2 and α = 1, lowers :math:`\|J\|_F^2 = C` as far as
    a transformation can: no diagonal similarity departs less from normality.

    Examples
    --------
    >>> round(balanced_departure_from_normality([[0, 2.0], [0.5, 0]]), 6)
    0.0
    """
    return _departure(subject.equilibrium.network.weights, subject.eigenvalues)


@_measure
def commutator_norm(subject: Subject) -> float:
    r"""Return another distance of J from normality [1]_, which takes no eigenvalue.

    .. math:: \| J J^T - J^T J \|_F

    Its diagonal is g at p = 2: the network is balanced iff that is zero. Sparse products, a
    thousand rows at a time: O(m n) at worst in time, never in memory.

    References
    ----------
    .. [1] L. Elsner, M. H. C. Paardekooper, "On measures of nonnormality of matrices", Linear
       Algebra Appl 92: 107-123 (1987). https://doi.org/10.1016/0024-3795(87)90253-9

    Examples
    --------
    >>> round(commutator_norm([[0, 2.0], [0.5, 0]]), 4)  # diag(3.75, -3.75)
    5.3033
    """
    return _commutator(subject.network.weights)


@_balanced_measure
def balanced_commutator_norm(subject: Subject) -> float:
    r"""Return the `commutator_norm` of the balanced network.

    Examples
    --------
    >>> round(balanced_commutator_norm([[0, 2.0], [0.5, 0]]), 6)
    0.0
    """
    return _commutator(subject.equilibrium.network.weights)


DEFAULT: tuple[str, ...] = tuple(
    name
    for name in MEASURES
    if name not in ("spectral_abscissa_change", "commutator_norm", "balanced_commutator_norm")
)
"""The measures that are taken unless others are asked for."""


# ---------------------------------------------------------------------- arithmetic


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _parts(total: int, size: int) -> Iterator[int]:
    """Yield parts of at most some size that make up the total."""
    for start in range(0, total, size):
        yield min(size, total - start)


def _strong_blocks(weights: sparse.csr_array) -> tuple[Array, list[sparse.csr_array]]:
    """Return the diagonal blocks of J for its strong components.

    Of components of a single neuron they are numbers, in one array.
    """
    weights = weights.copy()
    weights.eliminate_zeros()  # to connected_components, a stored zero is an edge
    count, part = sparse.csgraph.connected_components(weights, connection="strong")
    order = np.argsort(part, kind="stable")
    ordered = sparse.csr_array(weights[order][:, order])
    ends = np.cumsum(np.bincount(part, minlength=count))
    sizes = np.diff(ends, prepend=0)
    alone = ordered.diagonal()[(ends - 1)[sizes == 1]]
    larger = zip((ends - sizes)[sizes > 1], ends[sizes > 1], strict=True)
    return alone, [ordered[start:end][:, start:end] for start, end in larger]


def _abscissa(weights: sparse.csr_array) -> float:
    alone, blocks = _strong_blocks(weights)
    return max(
        [
            float(alone.max(initial=-math.inf)),
            *(
                float(linalg.eigvals(block.toarray()).real.max())
                if block.shape[0] <= DENSE
                else _iterated(eigs, block, "LR", "spectral")
                for block in blocks
            ),
        ]
    )


def _numerical_abscissa(weights: sparse.csr_array) -> float:
    symmetric = sparse.csr_array(weights + weights.T) / 2
    last = symmetric.shape[0] - 1
    if last < DENSE:
        return float(
            linalg.eigh(symmetric.toarray(), eigvals_only=True, subset_by_index=[last, last])[0]
        )
    return _iterated(eigsh, symmetric, "LA", "numerical")


def _iterated(method: Callable[..., Any], matrix: sparse.csr_array, which: str, name: str) -> float:
    """Return the one eigenvalue that Arnoldi or Lanczos iterations find, or NaN and a warning."""
    start = np.random.default_rng(0).standard_normal(matrix.shape[0])
    try:
        found = method(matrix, 1, which=which, v0=start, return_eigenvectors=False)
    except ArpackNoConvergence:
        message = f"Not converged: the {name} abscissa of a matrix of {matrix.shape[0]:,} rows."
        warnings.warn(message, ConvergenceWarning, stacklevel=2)
        return math.nan
    return float(found.real.max())


def _departure(weights: sparse.csr_array, eigenvalues: NDArray[np.complex128] | None) -> float:
    if eigenvalues is None:
        return math.nan
    squares = float(np.square(weights.data).sum()) - float(np.square(np.abs(eigenvalues)).sum())
    return math.sqrt(max(squares, 0.0))


def _commutator(weights: sparse.csr_array) -> float:
    transposed = sparse.csr_array(weights.T)
    squares = 0.0
    for start in range(0, weights.shape[0], _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        difference = weights[rows] @ transposed - transposed[rows] @ weights
        squares += float(np.square(difference.data).sum())
    return math.sqrt(squares)
