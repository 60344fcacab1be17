"""Balance a network whose synapses are in partitions."""

from __future__ import annotations

import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from numbers import Real
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from weakref import finalize

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graphbal._progress import balancing
from graphbal.distributed import _checkpoint
from graphbal.distributed._clusters import contracted, strong_clusters
from graphbal.distributed._components import components_of
from graphbal.distributed._partitions import Part, Partitions, all_labels, compiled_partitions
from graphbal.distributed._problem import PartitionedProblem, limit_problem
from graphbal.distributed._sources import pieces_of
from graphbal.distributed._store import load, writing
from graphbal.distributed._tasks import cluster
from graphbal.errors import ConvergenceWarning, InfeasibleError, InputError
from graphbal.solvers import Newton, Solution
from graphbal.solvers._problem import relative_imbalance
from graphbal.solvers.annealing import annealed
from graphbal.solvers.clusters import settle_clusters
from graphbal.solvers.newton import _descend

__all__ = ["PartitionedEquilibrium", "balance"]

Array = NDArray[np.float64]

_log = logging.getLogger("graphbal.distributed")

# Conjugate-gradient iterations on one system before giving up.
_PATIENCE = 1000


class _Scratch:
    """A temporary folder that goes with its last user."""

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="graphbal-"))
        finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


@dataclass(frozen=True, eq=False)
class PartitionedEquilibrium:
    """The balanced network, its synapses in partitions, and how it was found.

    Attributes
    ----------
    partitions : Partitions
        The network as given, compiled, in files; those in a temporary folder last as long as this
        object.
    h : array, shape (n,)
        Equilibrium potentials, dimensionless, of mean zero in each strongly connected component;
        `potentials` has them by label.
    component_numbers : int array, shape (n,)
        Number of the strong component of each neuron, in the order of their first neurons.
    n_components : int
        Number of strong components.
    vanishing_synapses : int
        Number of synapses that join two components, and vanish.
    total_cost : float
        Total cost after, self-connections included; vanished synapses cost nothing.
    imbalance : float
        Σ_k |g_k| over the cost of all surviving synapses, self-connections left out.
    neuron_imbalance : float
        Largest |in_k − out_k| / (in_k + out_k) of a neuron.
    converged : bool
        Whether `neuron_imbalance` reached the tolerance.
    message : str
        The outcome in a sentence.
    p, alpha : float
        The cost function.
    stats : dict
        What it took: ``solver``, ``iterations``, ``edge_passes``, ``linear_iterations``,
        ``seconds``, ``partitions``, ``bytes_per_pass`` (read of all partitions), ``history``
        (neuron imbalance by iteration), ``cost_history``.

    Examples
    --------
    >>> import dask
    >>> import dask.dataframe as dd
    >>> import pandas as pd
    >>> import graphbal as gb
    >>> table = pd.DataFrame({"pre": [1, 0, 2, 1], "post": [0, 1, 1, 2], "weight": [4, 1, 2, 2]})
    >>> with dask.config.set(scheduler="synchronous"):
    ...     eq = gb.balance(dd.from_pandas(table, npartitions=2))
    >>> eq
    PartitionedEquilibrium(3 neurons, 4 synapses in 1 partition, cost 25 → 16, converged=True)
    >>> eq.potentials.round(4).tolist()
    [0.4621, -0.231, -0.231]
    >>> eq.to_dict()["components"]
    1
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="synchronous"):
    ...     eq.write(folder)
    ['potentials.parquet', 'edges/part-00000.parquet']
    """

    partitions: Partitions
    h: Array
    component_numbers: NDArray[np.int32]
    n_components: int
    vanishing_synapses: int
    total_cost: float
    imbalance: float
    neuron_imbalance: float
    converged: bool
    message: str
    p: float
    alpha: float
    stats: dict[str, Any] = field(repr=False)
    _scratch: _Scratch | None = field(default=None, repr=False)

    @cached_property
    def potentials(self) -> pd.Series:
        """Equilibrium potentials h by neuron."""
        return pd.Series(self.h, index=self.partitions.labels, name="potential")

    @cached_property
    def components(self) -> pd.Series:
        """Number of the strong component of each neuron, by label."""
        return pd.Series(self.component_numbers, self.partitions.labels, name="component")

    @property
    def is_finite(self) -> bool:
        """Whether the network has a finite equilibrium."""
        return self.vanishing_synapses == 0

    @property
    def initial_cost(self) -> float:
        """Total cost before balancing."""
        return self.partitions.facts.initial_cost

    @property
    def drop(self) -> float:
        """Cost saved: initial minus final total cost."""
        return self.initial_cost - self.total_cost

    def to_dict(self) -> dict[str, Any]:
        """Return the scalars of the result as plain Python objects."""
        facts = self.partitions.facts
        return {
            "neurons": self.partitions.n,
            "synapses": facts.synapses,
            "self_connections": facts.self_connections,
            "components": self.n_components,
            "p": self.p,
            "alpha": self.alpha,
            "initial_cost": self.initial_cost,
            "total_cost": self.total_cost,
            "drop": self.drop,
            "imbalance": self.imbalance,
            "neuron_imbalance": self.neuron_imbalance,
            "converged": self.converged,
            "is_finite": self.is_finite,
            "vanishing_synapses": self.vanishing_synapses,
            "message": self.message,
            "intake": asdict(facts.intake),
            **{key: value for key, value in self.stats.items() if "history" not in key},
        }

    def write(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write ``potentials.parquet`` and, a file for each partition, ``edges``.

        The columns are neuron, potential, component; and pre, post, weight, cost, balanced_weight,
        balanced_cost, vanishes. Each file takes the place of an earlier one when it is complete.

        Parameters
        ----------
        folder : path
            Where to; made if need be. Workers must be able to write there.

        Returns
        -------
        list of str
            Names of the files, relative to the folder.

        Raises
        ------
        GraphbalError
            If a file cannot be written; the message names it.
        """
        folder = Path(folder).absolute()
        (folder / "edges").mkdir(parents=True, exist_ok=True)
        neurons = pd.DataFrame(
            {
                "neuron": self.partitions.labels,
                "potential": self.h,
                "component": self.component_numbers,
            }
        )
        with writing(folder / "potentials.parquet") as file:
            neurons.to_parquet(file, index=False)
        with cluster():
            written = self.partitions.mapped(
                _write_edges,
                np.stack([self.h, self.component_numbers.astype(float)]),
                folder / "edges",
                self.p,
                self.alpha,
            )
        for left in set((folder / "edges").glob("part-*.parquet")):
            if left.name not in written:  # of an earlier run with more partitions
                left.unlink()
        return ["potentials.parquet", *(f"edges/{name}" for name in written)]

    def __repr__(self) -> str:
        n_parts = len(self.partitions.parts)
        return (
            f"PartitionedEquilibrium({self.partitions.n:,} neurons, "
            f"{self.partitions.facts.synapses:,} synapses in {n_parts} "
            f"partition{'' if n_parts == 1 else 's'}, cost {self.initial_cost:.6g} → "
            f"{self.total_cost:.6g}, converged={self.converged})"
        )


def balance(
    source: Any,
    tol: float = 1e-9,
    *,
    pre: str | None = None,
    post: str | None = None,
    weight: str | None = None,
    p: float = 2.0,
    alpha: float = 1.0,
    on_infeasible: str = "limit",
    npartitions: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | Callable[[dict[str, Any]], None] = False,
) -> PartitionedEquilibrium:
    r"""Balance a network whose synapses need not fit into one process.

    Does what `graphbal.balance` does, with the synapses in partitions and each pass over them as
    Dask tasks: on the cluster of the current ``distributed.Client``, or the scheduler that Dask is
    set to use, or else a cluster of processes on this machine, started for the purpose. Arrays
    with a number for each neuron are held whole.

    Parameters
    ----------
    source : Dask DataFrame, path, pattern, or list of paths
        Synapses, a row each; rows of a pair are summed. Files are Parquet, Feather, CSV or TSV; a
        path may be a folder of them, or a pattern such as ``"edges/*.parquet"``.
    tol : float
        Largest |in_k − out_k| / (in_k + out_k) that counts as balanced.
    pre, post, weight : str, optional
        Names of the columns; by default those that `graphbal.convert.recognise_columns` finds.
    p, alpha : float
        The cost of a synapse of weight J is α |J|^p.
    on_infeasible : {"limit", "raise"}
        What to do if no finite equilibrium exists.
    npartitions : int, optional
        Number of partitions; by default of 2 million synapses each, or four a neuron. Fewer may
        result where many synapses belong to one neuron.
    folder : path, optional
        Where compiled partitions and checkpoints are kept, seen by all workers under this name: a
        new folder, an empty one, or that of an earlier run. By default a temporary one of this
        machine.
    resume : bool
        Go on from what an interrupted run on the same source left in `folder`.
    progress : bool or callable
        True shows a progress bar on standard error; a callable is handed a dict at each iteration,
        with ``iteration``, ``neuron_imbalance``, ``total_cost``, ``passes``, ``bytes_read`` (of
        partitions), ``bytes_moved`` (potentials to them and sums back), ``seconds_left`` (a
        forecast, or None).

    Returns
    -------
    PartitionedEquilibrium

    Raises
    ------
    InputError
        If a file cannot be read or makes no sense; the message names it.
    InfeasibleError
        If no finite equilibrium exists and ``on_infeasible="raise"``.
    GraphbalError
        If a file of a partition is damaged, or workers keep dying.

    Warns
    -----
    ConvergenceWarning
        If the tolerance was not reached; the result then says ``converged=False``.

    Notes
    -----
    Newton's method with conjugate gradients preconditioned by the diagonal, as on one machine
    (`graphbal.solvers.Newton`). Per pass each partition is read once, 5 to 12 bytes a synapse, and
    gives back 8 bytes a neuron, summed in a tree.

    Examples
    --------
    >>> import tempfile
    >>> import dask
    >>> import graphbal as gb
    >>> with tempfile.TemporaryDirectory() as folder, dask.config.set(scheduler="synchronous"):
    ...     gb.write_network(gb.load_dataset("celegans"), f"{folder}/worm.parquet")
    ...     eq = gb.distributed.balance(f"{folder}/*.parquet", npartitions=3)
    >>> eq.converged, eq.is_finite, eq.vanishing_synapses
    (True, False, 54)
    """
    started = time.perf_counter()
    _check(tol=tol, p=p, alpha=alpha)
    if on_infeasible not in ("limit", "raise"):
        raise InputError(f"on_infeasible is {on_infeasible!r}; choose 'limit' or 'raise'")
    if npartitions is not None and npartitions < 1:
        raise InputError(f"npartitions is {npartitions}; it must be at least 1")
    if resume and folder is None:
        raise InputError("resume needs the folder of the run to go on with")
    pieces = pieces_of(source, pre, post, weight)
    scratch = _Scratch() if folder is None else None
    place = scratch.folder if scratch is not None else Path(str(folder)).absolute()
    settings = {"p": float(p), "alpha": float(alpha), "npartitions": npartitions}
    checkpoint = _checkpoint.Checkpoint(place, _checkpoint.described(pieces, **settings))
    with cluster():
        partitions = checkpoint.partitions() if resume else None
        if partitions is None:
            checkpoint.begin(resume)
            partitions = compiled_partitions(pieces, place, float(p), float(alpha), npartitions)
            checkpoint.keep(partitions)
        _check_size(partitions)
        n_parts = len(partitions.parts)
        _log.info("%d pieces compiled into %d partitions in %s", len(pieces), n_parts, place)
        n_components, components = components_of(partitions)
        _log.info("%d neurons in %d strong components", partitions.n, n_components)
        problem, vanishing = limit_problem(
            partitions, n_components, components, None if scratch else checkpoint
        )
        if vanishing and on_infeasible == "raise":
            raise InfeasibleError(
                f"no finite equilibrium: {vanishing:,} synapse(s) lie on no directed cycle; take "
                "the limit"
            )
        solution = _solved(problem, checkpoint.potentials() if resume else None, tol, progress)
    incoming, outgoing = solution.incoming, solution.outgoing
    through = float(incoming.sum())
    neuron_imbalance = relative_imbalance(incoming, outgoing)
    eq = PartitionedEquilibrium(
        partitions=partitions,
        h=problem.centred(solution.q) / p,
        component_numbers=components,
        n_components=n_components,
        vanishing_synapses=vanishing,
        total_cost=through + partitions.facts.own_cost,
        imbalance=float(np.abs(incoming - outgoing).sum()) / through if through else 0.0,
        neuron_imbalance=neuron_imbalance,
        converged=solution.converged,
        message=_message(solution, neuron_imbalance, tol, vanishing),
        p=float(p),
        alpha=float(alpha),
        stats=solution.stats
        | {
            "partitions": n_parts,
            "bytes_per_pass": problem.bytes_per_pass,
            "seconds": time.perf_counter() - started,
        },
        _scratch=scratch,
    )
    if not eq.converged:
        warnings.warn(eq.message, ConvergenceWarning, stacklevel=2)
    return eq


def _check(**numbers: Any) -> None:
    for name, value in numbers.items():
        if not (isinstance(value, Real) and 0 < float(value) < np.inf):
            raise InputError(f"{name} is {value!r}; it must be a number above 0")


def _check_size(partitions: Partitions) -> None:
    if partitions.n < 2:
        raise InputError(f"a network of {partitions.n} neuron(s) has nothing to balance")
    if partitions.facts.synapses == 0:
        raise InputError(f"none of the {partitions.n:,} neurons has a synapse: nothing to balance")


def _solved(
    problem: PartitionedProblem,
    start: Array | None,
    tol: float,
    progress: bool | Callable[[dict[str, Any]], None],
) -> Solution:
    settings = Newton("cg", max_linear_iterations=_PATIENCE)
    with balancing(progress, tol, lambda: _bytes_per_pass(problem)) as report:

        def descend(problem: Any, start: Array | None, tol: float, settled: bool) -> Solution:
            return _descend(problem, start, tol, settled, settings, report)

        def settle(problem: Any, start: Array | None, tol: float) -> Solution:
            return settle_clusters(
                descend, Newton().solve, problem, start, tol, strong_clusters, contracted
            )

        given: Any = problem
        return annealed(settle, given, start, tol)


def _bytes_per_pass(problem: PartitionedProblem) -> dict[str, int]:
    """Return what a pass reads, and what it moves: two numbers a neuron to all, one from each."""
    moved = 8 * problem.n * (2 + len(problem.partitions.parts))
    return {"bytes_read": problem.bytes_per_pass, "bytes_moved": moved}


def _message(solution: Solution, neuron_imbalance: float, tol: float, vanishing: int) -> str:
    if solution.converged:
        outcome = f"Balanced: every neuron to {neuron_imbalance:.1e}."
    else:
        outcome = (
            f"Not converged: a neuron is {neuron_imbalance:.1e} out of balance, or its potential "
            f"is uncertain, after {solution.stats['iterations']} iterations (tolerance {tol:.0e})."
        )
    if not vanishing:
        return outcome
    return (
        f"{outcome} There is no finite equilibrium: this is the limit, in which {vanishing:,} "
        "synapse(s) that lie on no directed cycle have vanished and each component is balanced."
    )


def _write_edges(part: Part, path: Path, folder: Path, p: float, alpha: float) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    h, components = load(path)
    begin, indptr, pre, weights = part.arrays("weights")
    post = np.repeat(np.arange(begin, part.end, dtype=np.int32), np.diff(indptr))
    weights = weights.astype(np.float64)
    vanishes = components[pre] != components[post]
    balanced = weights * np.exp(h[pre] - h[post])
    balanced[vanishes] = 0.0
    labels = pa.array(all_labels(part.folder).to_numpy())
    table = pa.table(
        {
            "pre": labels.take(pa.array(pre)),
            "post": labels.take(pa.array(post)),
            "weight": weights,
            "cost": alpha * np.abs(weights) ** p,
            "balanced_weight": balanced,
            "balanced_cost": alpha * np.abs(balanced) ** p,
            "vanishes": vanishes,
        }
    )
    name = f"{part.name}.parquet"
    with writing(folder / name) as file:
        parquet.write_table(table, file)
    return name
