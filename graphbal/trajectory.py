"""What a flow leaves behind: potentials, costs and distances from balance by time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from graphbal._html import card, change
from graphbal.errors import InputError
from graphbal.integrators import Course, Dense, Point
from graphbal.network import SynapticNetwork

__all__ = ["Trajectory", "synapse_positions"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The balancing flow of a network, as `graphbal.flow` returns it.

    Attributes
    ----------
    network : SynapticNetwork
        The network as given: h = 0, before any perturbation.
    t : array, shape (m,)
        Times reported, ascending.
    h : array, shape (m, n)
        Potentials, dimensionless; `potentials` has them with labels.
    measures : array, shape (m, 3)
        Total cost, norm of the gradient, neuron imbalance; see the properties of these names. At
        the time of a perturbation they are those just after it.
    converged : bool or None
        Whether balance was reached; None if it was not asked for.
    message : str
        How the flow ended, in a sentence.
    stats : dict
        What it cost: ``method``, ``steps``, ``edge_passes``, ``linear_iterations``, ``seconds``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import graphbal as gb
    >>> net = gb.as_network([[0, 4.0], [1.0, 0]])
    >>> traj = gb.flow(net, (0, 1), t_eval=[0, 0.1, 1])
    >>> traj.costs([(1, 0)]).round(4)
    pre         1
    post        0
    t
    0.0   16.0000
    0.1    4.2006
    1.0    4.0000
    >>> traj.at(0.05).round(4).tolist(), round(traj.network_at(1.0).total_cost, 4)
    ([0.2857, -0.2857], 8.0)
    >>> traj.to_frame().shape
    (6, 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     traj.save(Path(folder, "flow.parquet"))
    ...     longer = gb.Trajectory.load(Path(folder, "flow.parquet"), net).resume(2.0)
    >>> float(longer.t[-1])
    2.0
    """

    network: SynapticNetwork
    t: Array
    h: Array = field(repr=False)
    measures: Array = field(repr=False)
    converged: bool | None
    message: str
    stats: dict[str, Any] = field(repr=False)
    # What it takes to go on: the equations, where the integrator stands, the times to report, and
    # the polynomials of the steps made so far, each with the time of its end.
    course: Course = field(repr=False)
    point: Point = field(repr=False)
    pending: Array | None = field(default=None, repr=False)
    pieces: tuple[tuple[float, Dense], ...] = field(default=(), repr=False)

    @cached_property
    def potentials(self) -> pd.DataFrame:
        """Potentials h, dimensionless: a row for each time, a column for each neuron."""
        return pd.DataFrame(self.h, index=self._times, columns=self.network.neurons, copy=False)

    @property
    def total_cost(self) -> pd.Series:
        """Total cost C by time, self-connections included."""
        return pd.Series(self.measures[:, 0], index=self._times, name="total_cost")

    @property
    def gradient_norm(self) -> pd.Series:
        """Euclidean norm of the neural gradients of the free neurons by time, in units of cost."""
        return pd.Series(self.measures[:, 1], index=self._times, name="gradient_norm")

    @property
    def neuron_imbalance(self) -> pd.Series:
        """Largest |in − out| / (in + out) of a free neuron by time."""
        return pd.Series(self.measures[:, 2], index=self._times, name="neuron_imbalance")

    def costs(self, synapses: Iterable[tuple[Any, Any]] | None = None) -> pd.DataFrame:
        """Return the costs of synapses: a row for each time, a column for each (pre, post).

        Parameters
        ----------
        synapses : pairs of labels, optional
            (pre, post) of each; by default all synapses, which takes m × n_synapses numbers.

        Raises
        ------
        InputError
            If there is no such synapse.
        """
        net = self.network
        if synapses is None:
            chosen = np.arange(net.n_synapses)
        else:
            chosen = synapse_positions(net, list(synapses))
        post = np.searchsorted(net.weights.indptr, chosen, side="right") - 1
        pre = net.weights.indices[chosen]
        exponent = self.h[:, pre]
        exponent -= self.h[:, post]
        exponent *= net.p
        values = np.exp(exponent, out=exponent)
        values *= net.costs.data[chosen]
        for jump in self.course.jumps:
            factors = np.ones(net.n_synapses)
            factors[jump.synapses] = jump.factors
            values[self.t >= jump.t] *= factors[chosen]
        ends = [net.neurons.take(pre), net.neurons.take(post)]
        columns = pd.MultiIndex.from_arrays(ends, names=["pre", "post"])
        return pd.DataFrame(values, index=self._times, columns=columns)

    def at(self, t: float) -> pd.Series:
        """Return the potentials h at a time.

        Read off the integrator's own polynomial. Where that was not kept, because it took more
        than 256 MiB or the trajectory comes from a file, the flow is integrated again from the
        nearest time reported.

        Raises
        ------
        InputError
            If the flow has not come to that time.
        """
        first, last = self.course.t, self.point.t
        if not (isinstance(t, Real) and first <= t <= last):
            raise InputError(f"the trajectory runs from t = {first:g} to {last:g}; t is {t!r}")
        return pd.Series(self._q(float(t)) / self.network.p, self.network.neurons, name=t)

    def network_at(self, t: float) -> SynapticNetwork:
        """Return the network at a time, perturbations up to it included; see `at`."""
        net, factors = self.network, self.course.factors(t)
        potentials = self.at(t)
        if factors is not None:
            net = net.with_weights(net.weights.data * factors ** (1 / net.p))
        return net.transform(potentials)

    def to_frame(self) -> pd.DataFrame:
        """Return the tidy table: a row for each time and neuron, with its potential."""
        m, n = self.h.shape
        return pd.DataFrame(
            {
                "t": np.repeat(self.t, n),
                "neuron": self.network.neurons.take(np.tile(np.arange(n), m)),
                "potential": self.h.ravel(),
            }
        )

    def resume(
        self,
        t_end: float,
        *,
        t_eval: ArrayLike | None = None,
        drive: Callable[[float], Any] | None = None,
        progress: bool | Callable[[dict[str, Any]], None] = False,
        checkpoint: str | Path | None = None,
    ) -> Trajectory:
        """Go on to a later time, exactly as if the flow had never stopped.

        Parameters
        ----------
        t_end : float
            Time to go to.
        t_eval : array, optional
            Times to report, from where the flow stands to `t_end`; by default those asked for
            earlier that have not come yet, or every step.
        drive : callable, optional
            As in `graphbal.flow`: to be given again if the trajectory was read from a file.
        progress, checkpoint
            As in `graphbal.flow`.

        Returns
        -------
        Trajectory
            The whole, from its first time.

        Raises
        ------
        InputError
            If `t_end` is not a later time, or the drive is missing.
        """
        from graphbal._following import follow
        from graphbal.flow import driven, evaluation_times, span

        begin, end = span((self.point.t, t_end))
        course = self.course
        if drive is not None:
            course = replace(course, drive=driven(self.network, drive))
        elif course.is_driven and course.drive is None:
            raise InputError("files do not hold the drive; give it again: resume(…, drive=…)")
        if self.converged:
            course = replace(course, until=None)
        pending = self.pending if self.pending is not None and self.pending.size else None
        if t_eval is not None:
            pending = evaluation_times(t_eval, begin, end)
        return follow(replace(self, course=course, pending=pending), end, progress, checkpoint)

    def save(self, path: str | Path) -> None:
        """Write the trajectory to a Parquet file; see `load`."""
        from graphbal.io.trajectories import write

        write(self, Path(path))

    @classmethod
    def load(cls, path: str | Path, network: Any) -> Trajectory:
        """Read a trajectory written by `save`.

        Parameters
        ----------
        path : path
            The Parquet file.
        network : anything `as_network` takes
            The network it is the flow of; files do not hold it.

        Raises
        ------
        InputError
            If the file cannot be read, or is of another network.
        """
        from graphbal.io.trajectories import read

        return read(Path(path), network)

    @property
    def _times(self) -> pd.Index:
        return pd.Index(self.t, name="t")

    def _q(self, t: float) -> Array:
        row = int(np.searchsorted(self.t, t))
        if row < self.t.size and self.t[row] == t:
            return self.h[row] * self.network.p
        piece = bisect_left(self.pieces, t, key=lambda piece: piece[0])
        if piece < len(self.pieces):
            return self.pieces[piece][1](t)
        point = Point("", self.course.t, self.course.q[None, :])
        if row:
            point = Point("", self.t[row - 1], self.h[row - 1][None, :] * self.network.p)
        for leg in self.course.legs(point, t):
            point = leg.point
        return point.q

    def _repr_html_(self) -> str:
        cost, imbalance = self.total_cost, self.neuron_imbalance
        facts = {
            "outcome": self.message,
            "neurons": self.network.n_neurons,
            "times": f"{self.t.size:,}, from {self.t[0]:g} to {self.t[-1]:g}",
            "total cost": change(cost.iloc[0], cost.iloc[-1]),
            "imbalance of a neuron": f"{imbalance.iloc[0]:.3g} → {imbalance.iloc[-1]:.3g}",
            "steps": self.stats["steps"],
        }
        return card("Trajectory", facts)

    def __repr__(self) -> str:
        return (
            f"Trajectory({self.network.n_neurons:,} neurons, {self.t.size:,} times, "
            f"t = {self.course.t:g} to {self.point.t:g}; {self.message})"
        )


def synapse_positions(net: SynapticNetwork, pairs: Sequence[tuple[Any, Any]]) -> NDArray[np.intp]:
    """Return the positions among the weights of the synapses (pre, post)."""
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise InputError(f"{pair!r} is not a synapse; give pairs (pre, post)")
    pre = net.positions([pair[0] for pair in pairs])
    post = net.positions([pair[1] for pair in pairs])
    indptr, indices = net.weights.indptr, net.weights.indices
    positions = np.empty(len(pairs), dtype=np.intp)
    for k, (i, j) in enumerate(zip(post, pre, strict=True)):
        at = indptr[i] + np.searchsorted(indices[indptr[i] : indptr[i + 1]], j)
        if at == indptr[i + 1] or indices[at] != j:
            raise InputError(
                f"there is no synapse {pairs[k][0]!r} → {pairs[k][1]!r} in this network"
            )
        positions[k] = at
    return positions
