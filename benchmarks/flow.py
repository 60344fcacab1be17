"""The flow: n potentials against n² weights, and how many edge passes a whole brain takes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy.integrate import solve_ivp

import graphbal as gb
from benchmarks.harness import Line, against, fresh, seconds
from graphbal import SynapticNetwork, ensembles

SPAN = (0.0, 30.0)
TIMES = np.array([0.0, 1.0, 3.0, 10.0, 30.0])
SPEED, AGREEMENT, PASSES, GROWTH = 50, 1e-7, 3_000, 2.0
AT_REST = 1e-6
SYNAPSES_PER_NEURON = 19.4


def run(quick: bool) -> Iterator[Line]:
    yield from _dense(quick)
    few, many = _passes(10_000), _passes(20_000 if quick else 100_000)
    yield Line(
        "connectome-like: passes of the larger over the smaller",
        value=many.details["edge_passes"] / few.details["edge_passes"],
        unit="×",
        target=GROWTH,
        neurons=many.neurons,
        synapses=many.synapses,
        remark=f"{few.neurons:,} neurons: {few.details['edge_passes']} passes",
        details={"smaller": few.details, "larger": many.details},
    )
    if not quick:
        yield _passes(139_255, 2_700_000)


def _dense(quick: bool) -> Iterator[Line]:
    n = 64 if quick else 256
    J = np.random.default_rng(0).standard_normal((n, n)) / np.sqrt(n)
    net = SynapticNetwork.from_scipy(J)
    gb.flow(net, SPAN)  # compiles
    timed = against(
        prepare=partial(fresh, net),
        ours=lambda net: gb.flow(net, SPAN, t_eval=TIMES),
        reference=lambda: _all_weights(J),
        repeats=3 if quick else 5,
        our_calls=9,
    )
    h, weights = timed.result.h, _all_weights(J)
    ours = J * np.exp(h[:, None, :] - h[:, :, None])
    apart = float(np.abs(ours / weights - 1).max())
    yield Line(
        "Gaussian weights: potentials against all weights",
        value=1 / timed.ratio,
        unit="× as fast",
        target=SPEED,
        at_least=True,
        neurons=n,
        synapses=n * n,
        seconds=timed.seconds,
        reference_seconds=timed.reference_seconds,
        remark=f"reference: DOP853, rtol 1e-10; ours at default tolerances, "
        f"{timed.result.stats['edge_passes']} passes; shortest times {1 / timed.best_ratio:.3g}",
        details=timed.details() | {"stats": timed.result.stats},
    )
    yield Line(
        "Gaussian weights: largest relative difference of a weight",
        value=apart,
        unit="",
        target=AGREEMENT,
        neurons=n,
        synapses=n * n,
        remark=f"at {TIMES.size} times from 0 to 30",
    )


def _all_weights(J: np.ndarray) -> np.ndarray:
    """Integrate dJ_ij/dt = −(g_i − g_j) J_ij for all synapses; the weights at the times asked."""
    n = len(J)

    def velocity(t: float, flat: np.ndarray) -> np.ndarray:
        weights = flat.reshape(n, n)
        costs = weights * weights
        g = costs.sum(axis=1) - costs.sum(axis=0)
        return ((g[None, :] - g[:, None]) * weights).ravel()

    found = solve_ivp(*(velocity, SPAN, J.ravel(), "DOP853"), t_eval=TIMES, rtol=1e-10, atol=1e-12)
    return found.y.T.reshape(-1, n, n)


def _passes(n: int, m: int | None = None) -> Line:
    """Count the edge passes until ‖g‖ has fallen to a millionth, at default tolerances."""
    net = ensembles.connectome_like(n, m or int(SYNAPSES_PER_NEURON * n))
    goal = AT_REST * float(np.linalg.norm(net.neural_gradients))

    # The time it takes is not known beforehand: go on, unit by unit, until there.
    traj = gb.flow(net, (0, 0.5), t_eval=[0.5])
    taken = traj.stats["seconds"]
    while traj.gradient_norm.iloc[-1] > goal:
        end = traj.t[-1] + 0.1
        more, traj = seconds(lambda traj=traj, end=end: traj.resume(end, t_eval=[end]))
        taken += more
    return Line(
        "connectome-like: passes until ‖g‖ ≤ 1e-6 ‖g(0)‖",
        value=traj.stats["edge_passes"],
        unit="passes",
        target=PASSES,
        neurons=net.n_neurons,
        synapses=net.n_synapses,
        seconds=taken,
        remark=f"t = {traj.t[-1]:.2f}; {traj.stats['steps']} steps, {traj.stats['method']}",
        details=traj.stats | {"t": float(traj.t[-1])},
    )
