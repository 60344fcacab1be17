"""Many calls of one function: here, or in other processes, always on one thread.

Sums depend on the number of threads that share them, so that results are the same for any number of
workers only where each call has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from typing import Any

from graphbal.errors import GraphbalError

__all__ = ["results"]

# Calls waiting for each worker: enough that none is idle, few enough that none piles up.
_AHEAD = 3


def results(
    function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], workers: int
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the arguments and the result of each call, as they are finished.

    Calls are only taken from the iterable as workers come free. A worker is a process of its own,
    started when there is a call for it; of one, it is this process.

    Raises
    ------
    GraphbalError
        If a worker was killed from outside. Whatever the function raises is raised here; what else
        was under way is then given up.
    """
    if workers == 1:
        with _one_thread():
            for call in calls:
                yield call, function(*call)
        return
    from loky import ProcessPoolExecutor
    from loky.process_executor import BrokenProcessPool

    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    pool = ProcessPoolExecutor(workers, timeout=20, initializer=_set_up, env=threads)
    running: dict[Future, tuple[Any, ...]] = {}
    finished = False
    try:
        for call in calls:
            running[pool.submit(function, *call)] = call
            while len(running) >= _AHEAD * workers:
                yield from _finished(running)
        while running:
            yield from _finished(running)
        finished = True
    except BrokenProcessPool as error:
        raise GraphbalError(
            "a worker process was killed, perhaps because memory ran out; try fewer workers"
        ) from error
    finally:
        pool.shutdown(kill_workers=not finished)


def _finished(running: dict[Future, tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Wait for a call to finish; yield all that have, and forget them."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        yield running.pop(future), future.result()


def _set_up() -> None:
    """Prepare a worker: one thread, and Ctrl-C is the business of the process that started it."""
    import signal

    import numba
    import scipy.linalg  # noqa: F401  its BLAS, too, is to be limited
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    numba.set_num_threads(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    import numba
    import scipy.linalg  # noqa: F401  its BLAS, too, is to be limited
    from threadpoolctl import threadpool_limits

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        numba.set_num_threads(before)
