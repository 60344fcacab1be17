"""Slow modes of a whole-brain network against SciPy's Lanczos; the linear response by factor."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

import graphbal as gb
from benchmarks.harness import Line, seconds
from graphbal import SynapticNetwork, ensembles

K = 20
TOL = 1e-6
# SciPy is given up after this many times our time.
PATIENCE = 2.5
FACTORS = (1.01, 1.1, 1.5, 2.0, 5.0, 10.0)


def run(quick: bool) -> Iterator[Line]:
    size = (20_000, 390_000) if quick else (139_255, 2_700_000)
    net = ensembles.connectome_like(*size)
    gb.balance(net)  # compiles
    for state, here in (("as given", net), ("balanced", gb.balance(net).network)):
        yield from _slow_modes(state, here)
    yield _linear_response()


def _slow_modes(state: str, net: SynapticNetwork) -> Iterator[Line]:
    taken, modes = seconds(lambda: gb.eigenmodes(net, K, tol=TOL))
    L, v = gb.laplacian(net), modes.modes.to_numpy()
    residuals = np.linalg.norm(L @ v - v * modes.eigenvalues, axis=0) / modes.eigenvalues
    reference, finished, products = _lanczos(L, PATIENCE * taken)
    about = {"neurons": net.n_neurons, "synapses": net.n_synapses}
    yield Line(
        f"{K} slow modes, {state}: time over eigsh(which='SM')",
        value=taken / reference,
        unit="",
        target=0.5,
        **about,
        seconds=taken,
        reference_seconds=reference,
        remark=f"{modes.stats['products']} products, {modes.stats['iterations']} iterations; "
        + ("" if finished else f"SciPy given up unfinished after {products:,} products"),
        details={"stats": modes.stats, "eigenvalues": modes.eigenvalues.tolist()},
    )
    yield Line(
        f"{K} slow modes, {state}: largest ‖Lv − λv‖ / λ",
        value=float(residuals.max()),
        unit="",
        target=TOL,
        **about,
    )


def _lanczos(L, patience: float) -> tuple[float, bool, int]:
    """Return the time of SciPy's Lanczos, whether it finished in it, and its products."""
    started = time.perf_counter()
    products = 0

    def product(x: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        if time.perf_counter() - started > patience:
            raise TimeoutError
        return L @ x

    try:
        # One more, for the null vector.
        eigsh(LinearOperator(L.shape, matvec=product, dtype=float), K + 1, which="SM", tol=TOL)
    except TimeoutError:
        return time.perf_counter() - started, False, products
    return time.perf_counter() - started, True, products


def _linear_response() -> Line:
    """Report the largest relative error of eq. 39 on the ring, by the factor of one cost."""
    ring, t = ensembles.ring(12, weights=ensembles.Constant(1)), np.linspace(0, 20, 41)
    errors = {}
    for factor in FACTORS:
        net = gb.perturb(ring, {(0, 1): factor})
        flow = gb.flow(net, (0, 20), rtol=1e-9, atol=1e-12)
        errors[factor] = float(gb.linear_response(net, t).error(flow).max())
    return Line(
        "linear response of the ring to a factor of 1.1: error",
        value=100 * errors[1.1],
        unit="%",
        target=1.0,
        neurons=12,
        synapses=24,
        remark="; ".join(f"× {factor:g}: {100 * e:.3g} %" for factor, e in errors.items()),
        details={"error_by_factor": errors},
    )
