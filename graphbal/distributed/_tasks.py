"""Passes over partitions as Dask tasks.

Every task is a pure function of files, so that Dask can give it to another worker when one dies.
What is the same for all tasks of a pass travels by a file too: the graph of tasks stays small, and
nothing is lost with the worker that happened to hold it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from graphbal.errors import GraphbalError, InputError

__all__ = ["cluster", "dealt", "folded", "mapped", "reduced", "shared", "total"]

# Results that are combined at once: few, so that no worker holds many.
_FAN_IN = 4
# Attempts to start a cluster; Dask gives up if a worker dies meanwhile.
_STARTS = 5


def mapped(function: Callable[..., Any], items: Iterable[Any], *arguments: Any) -> list[Any]:
    """Return ``function(item, *arguments)`` for each item, computed by whatever Dask uses."""
    return _computed(_submitted(function, items, arguments))


def reduced(
    function: Callable[..., Any],
    combine: Callable[[Sequence[Any]], Any],
    items: Iterable[Any],
    *arguments: Any,
) -> Any:
    """Return the results of all items combined, a few at a time, in order: a tree.

    The shape of the tree depends on the number of items alone, hence so does the rounding. Its root
    is here: handing out another task would take longer than a few sums.
    """
    import dask

    level = _submitted(function, items, arguments)
    combined = dask.delayed(combine, pure=False)
    while len(level) > _FAN_IN:
        level = [combined(level[k : k + _FAN_IN]) for k in range(0, len(level), _FAN_IN)]
    found = _computed(level)
    return combine(found) if len(found) > 1 else found[0]


def dealt(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Divide items among tasks, in order: on a cluster one for each thread of its workers.

    What a task returns may be a number for each neuron, so that few should be on their way at once.
    """
    n_tasks = min(_threads() or len(items), len(items))
    bounds = np.linspace(0, len(items), n_tasks + 1).astype(int)
    return [items[begin:end] for begin, end in pairwise(bounds)]


def folded(
    items: Sequence[Any],
    function: Callable[..., Any],
    combine: Callable[[Sequence[Any]], Any],
    *arguments: Any,
) -> Any:
    """Return ``function(item, *arguments)`` of all items combined, one after the other: a task."""
    first, *rest = items
    found = function(first, *arguments)
    for item in rest:
        found = combine([found, function(item, *arguments)])
    return found


def _threads() -> int:
    """Return the number of threads of the current cluster's workers, 0 if there is no cluster."""
    from distributed import default_client

    try:
        return sum(default_client().nthreads().values())
    except ValueError:
        return 0


@contextmanager
def shared(folder: Path, array: NDArray) -> Iterator[Path]:
    """Write what all tasks of a pass read; yield the path, which is gone afterwards."""
    path = folder / f"shared-{uuid4().hex}.npy"
    try:
        try:
            with path.open("xb") as file:  # needed now or never: no wait for the disk
                np.save(file, array, allow_pickle=False)
        except OSError as error:
            raise GraphbalError(f"{path}: {error.strerror or error}") from error
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def cluster(
    scheduler: str | None = None, workers: int | None = None, memory: str | None = None
) -> Iterator[None]:
    """Compute what is computed within on a Dask cluster.

    Parameters
    ----------
    scheduler : str, optional
        Address of a running scheduler, e.g. ``"tcp://head:8786"``. By default what Dask is set to
        use already, the current client or a scheduler by name; failing that, or if one of the
        others is given, a cluster of processes on this machine, one thread each, for as long as
        it is needed.
    workers : int, optional
        Number of processes on this machine; by default one a core.
    memory : str, optional
        Memory of each, e.g. ``"4GB"``; by default an equal share of this machine's.

    Yields
    ------
    None

    Examples
    --------
    >>> import dask
    >>> import graphbal as gb
    >>> with dask.config.set(scheduler="threads"), gb.distributed.cluster():
    ...     pass  # balance here; with cluster(workers=2, memory="4GB"), in two processes
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise GraphbalError(
            "partitions are balanced with Dask, which is not installed: pip install "
            "'graphbal[distributed]'"
        ) from error

    if scheduler is None and workers is None and memory is None and _is_chosen():
        yield
        return
    if scheduler is not None and (workers is not None or memory is not None):
        raise InputError("a running cluster has its own workers; leave out workers and memory")
    local = _local_cluster(workers, memory) if scheduler is None else nullcontext(scheduler)
    with local as address:
        try:
            client = Client(address)
        except (OSError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {scheduler}") from error
        # A pass is handed out as soon as the one before has come back, not once in 10 ms.
        client.scheduler_comm.interval = 0.0
        with client:
            yield


def _local_cluster(workers: int | None, memory: str | None) -> Any:
    from distributed import LocalCluster

    limit = _bytes(memory)
    for attempt in range(1, _STARTS + 1):
        try:
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=limit,
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,  # what goes wrong is raised, once
            )
        except RuntimeError as error:  # a worker died before it had begun
            if attempt == _STARTS:
                raise GraphbalError(
                    "the worker processes of a cluster die as they start (does the script that "
                    "starts them do so under `if __name__ == '__main__'`?)"
                ) from error
    return None


def _bytes(memory: str | None) -> int | str:
    from dask.utils import parse_bytes

    if memory is None:
        return "auto"
    try:
        return int(parse_bytes(memory))
    except ValueError as error:
        raise InputError(f"memory is {memory!r}; write it as in '4GB'") from error


def _is_chosen() -> bool:
    import dask
    from distributed import default_client

    if dask.config.get("scheduler", None) is not None:
        return True
    try:
        default_client()
    except ValueError:
        return False
    return True


def _submitted(
    function: Callable[..., Any], items: Iterable[Any], arguments: tuple[Any, ...]
) -> list[Any]:
    import dask

    task = dask.delayed(function, pure=False)
    return [task(item, *arguments) for item in items]


def _computed(tasks: list[Any]) -> list[Any]:
    import dask
    from distributed import KilledWorker

    try:
        return list(dask.compute(*tasks))
    except KilledWorker as error:
        raise GraphbalError(
            "workers died again and again on the same task, perhaps for lack of memory; give them "
            "more, or use more partitions"
        ) from error
    except CancelledError as error:
        raise GraphbalError(
            "the scheduler of the cluster is gone; a run with a folder can be resumed"
        ) from error


def total(arrays: Sequence[Any]) -> Any:
    """Return the sum of arrays, or of tuples of arrays term by term; none of them is changed."""
    if isinstance(arrays[0], tuple):
        return tuple(total(terms) for terms in zip(*arrays, strict=True))
    first, *rest = arrays
    result = np.array(first)
    for array in rest:
        result += array
    return result
