"""Dense matrices, against LAPACK's balancing through SciPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import linalg

import graphbal as gb
from benchmarks.accuracy import neuron_imbalance
from benchmarks.harness import Line, against, fresh
from graphbal import SynapticNetwork, ensembles

TARGET = 8


def run(quick: bool) -> Iterator[Line]:
    n = 1024 if quick else 4096
    gb.balance(ensembles.dense_gaussian(512))
    gaussian = ensembles.dense_gaussian(n)
    J = gaussian.weights.toarray()
    yield _compare("Gaussian: close to balance", gaussian, J, partial(fresh, gaussian), None)
    # Neurons that receive and send with propensities of their own: a matrix worth balancing.
    receive, send = np.random.default_rng(1).standard_normal((2, n))
    J *= np.exp(receive[:, None] + send)
    uneven = SynapticNetwork.from_scipy(J)
    what = "Gaussian, uneven neurons"
    yield _compare(f"{what}: SynapticNetwork", uneven, J, partial(fresh, uneven), TARGET)
    yield _compare(f"{what}: NumPy array", uneven, J, lambda: J, TARGET)


def _compare(
    what: str,
    net: SynapticNetwork,
    J: np.ndarray,
    argument: Callable[[], Any],
    target: float | None,
) -> Line:
    def lapack() -> np.ndarray:
        return linalg.matrix_balance(J, permute=False, separate=True)[1][0]

    # matrix_balance returns D⁻¹ J D, so that its scale of a neuron is e^h.
    theirs = neuron_imbalance(net.weights, net.p, np.log(lapack()))
    timed = against(argument, gb.balance, lapack, repeats=3, our_calls=5)
    eq = timed.result
    imbalance = neuron_imbalance(net.weights, net.p, eq.potentials.to_numpy())
    return Line(
        what,
        value=1 / timed.ratio if imbalance <= 1e-9 else 0.0,
        unit="× as fast",
        target=target,
        at_least=True,
        neurons=net.n_neurons,
        synapses=net.n_synapses,
        seconds=timed.seconds,
        reference_seconds=timed.reference_seconds,
        remark=f"imbalance {imbalance:.0e}, theirs {theirs:.2f}; "
        f"{eq.stats['edge_passes']} edge passes",
        details=timed.details()
        | {"neuron_imbalance": imbalance, "their_imbalance": theirs, "stats": eq.stats},
    )
