"""A training iteration of a recurrent network, in units of its matrix products alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.harness import Line, against
from graphbal import rnn

TARGET = 2.0
ITERATIONS = 25


def run(quick: bool) -> Iterator[Line]:
    n, substeps = (64, 2) if quick else (256, 10)
    task = rnn.ContextIntegration()
    rng = np.random.default_rng(0)
    J, w_in, w_out = (rng.standard_normal(shape) / np.sqrt(n) for shape in ((n, n), (n, 6), (2, n)))
    net = rnn.RecurrentNetwork(J, w_in, w_out)

    def ours(_: None) -> rnn.Training:
        return rnn.train(net, task, ITERATIONS, penalty=0.1, substeps=substeps)

    ours(None)  # compiles
    trials, steps = 8, task.n_times * substeps
    timed = against(
        prepare=lambda: None,
        ours=ours,
        reference=_products(n, trials, steps),
        repeats=5 if quick else 9,
        calls=3,
    )
    yield Line(
        "training iteration over its matrix products alone",
        value=timed.ratio,
        unit="×",
        target=TARGET,
        neurons=n,
        synapses=n * n,
        seconds=timed.seconds / ITERATIONS,
        reference_seconds=timed.reference_seconds / ITERATIONS,
        remark=f"{trials} trials × {steps} steps, single precision; shortest times "
        f"{timed.best_ratio:.3g}",
        details=timed.details(),
    )


def _products(n: int, trials: int, steps: int):
    """Return the products of as many iterations: J and Jᵀ with every step's states, and dJ."""
    rng = np.random.default_rng(1)
    J, x = (rng.standard_normal(shape, dtype=np.float32) for shape in ((n, n), (n, trials)))
    errors, states = (
        rng.standard_normal(shape, dtype=np.float32)
        for shape in ((n, steps * trials), (steps * trials, n))
    )
    out, slope = np.empty_like(x), np.empty_like(J)

    def reference() -> None:
        for _ in range(ITERATIONS):
            for weights in (J, J.T):
                for _ in range(steps):
                    np.matmul(weights, x, out=out)
            np.matmul(errors, states, out=slope)

    return reference
