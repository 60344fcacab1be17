"""Simulating a recurrent network: many trials, in units of the matrix products alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from benchmarks.harness import Line, against, seconds
from graphbal import rnn

TARGET = 1.5
STEP = 0.1
DRAWN_AT_ONCE = 2**14


def run(quick: bool) -> Iterator[Line]:
    n, trials, steps = (128, 1200, 100) if quick else (256, 2400, 500)
    rng = np.random.default_rng(0)
    net = rnn.RecurrentNetwork(
        0.9 * rng.standard_normal((n, n)) / np.sqrt(n),
        w_in=rng.standard_normal((n, 6)) / np.sqrt(n),
        w_out=rng.standard_normal((2, n)) / np.sqrt(n),
    )
    inputs = rng.standard_normal((trials, steps, 6))
    products, width = _fastest_products(net.w_rec, trials, steps)
    draws = _draws(n * trials * steps)
    measure = partial(_line, net, inputs, f"products of {width} trials at a time", repeats=5)
    yield measure("without noise", products, TARGET, keep_states=False)
    yield measure("without noise, states kept", products, None)
    both = _one_after_the_other(products, draws)
    yield measure("private noise", both, TARGET, noise=0.1, keep_states=False)
    yield measure("private noise, states kept", both, None, noise=0.1)


def _line(
    net: rnn.RecurrentNetwork,
    inputs: np.ndarray,
    remark: str,
    what: str,
    reference: Callable[[], None],
    target: float | None,
    *,
    repeats: int,
    **options: Any,
) -> Line:
    timed = against(
        prepare=lambda: None,
        ours=lambda _: rnn.simulate(net, inputs, STEP, **options),
        reference=reference,
        repeats=repeats,
    )
    trials, steps = inputs.shape[:2]
    return Line(
        f"{trials:,} trials × {steps} steps, {what}",
        value=timed.ratio,
        unit="×",
        target=target,
        neurons=net.n_neurons,
        synapses=net.n_neurons**2,
        seconds=timed.seconds,
        reference_seconds=timed.reference_seconds,
        remark=f"reference: {remark}; shortest times {timed.best_ratio:.3g}",
        details=timed.details(),
    )


def _fastest_products(J: np.ndarray, trials: int, steps: int) -> tuple[Callable[[], None], int]:
    """Return all products J x, with as many trials in each as is fastest, on all cores."""
    choices = [width for width in (120, 240, 600, 1200, 2400) if width <= trials]
    few = {width: _products(J, width, max(steps // 10, 1) * trials // width) for width in choices}
    times = {width: min(seconds(call)[0] for _ in range(5)) for width, call in few.items()}
    width = min(choices, key=times.__getitem__)
    return _products(J, width, steps * trials // width), width


def _products(J: np.ndarray, width: int, count: int) -> Callable[[], None]:
    x = np.random.default_rng(1).standard_normal((len(J), width))
    out = np.empty_like(x)

    def multiply() -> None:
        for _ in range(count):
            np.matmul(J, x, out=out)

    return multiply


def _draws(count: int) -> Callable[[], None]:
    """Return the draws of so many normal numbers, on all cores, each with a stream of its own."""
    cores = os.cpu_count() or 1

    def some(seed: int) -> None:
        rng, normal = np.random.default_rng(seed), np.empty(DRAWN_AT_ONCE)
        for _ in range(count // cores // DRAWN_AT_ONCE):
            rng.standard_normal(out=normal)

    def draw() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(some, range(cores)))

    return draw


def _one_after_the_other(*calls: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        for call in calls:
            call()

    return both
