"""Time against synapses on random networks, a hundred to ten million of them, and its plot."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import linalg

import graphbal as gb
from benchmarks.accuracy import neuron_imbalance
from benchmarks.generic import TOL, Attempt
from benchmarks.harness import Line, fresh, product_of, seconds
from benchmarks.peers import PEERS, Peer
from graphbal import SynapticNetwork, ensembles

__all__ = ["draw", "run"]

OURS, PRODUCT = "graphbal.balance", "a product of SciPy's CSR matrix"
# A peer that took longer (s) is not tried on larger networks, nor LAPACK on more neurons than that.
PATIENCE, LARGEST_DENSE = 1.5, 10_000
# Short calls of which the median counts: as many as fit into so many seconds, and at most so many.
LONG_ENOUGH, CALLS = 0.2, 15
# Osborne's iteration judges a neuron before the others move: within a factor of two it is there.
REACHED = 2 * TOL

Method = Callable[[SynapticNetwork], Attempt]


def run(quick: bool) -> Iterator[Line]:
    methods: dict[str, list[Method]] = {
        OURS: [_ours],
        **{name: [partial(_of_arrays, peer) for peer in each.values()] for name, each, _ in PEERS},
        "LAPACK, dense, to powers of two": [_lapack],
    }
    for method in (way for ways in methods.values() for way in ways):
        method(_network(1000))  # compiles
    for exponent in np.arange(2, 5.5 if quick else 7.5, 0.5):
        net = _network(10**exponent)
        gb.balance(fresh(net))  # compiles what networks of this size use
        for name, ways in list(methods.items()):
            if "dense" in name and net.n_neurons > LARGEST_DENSE:
                continue
            line, longest = _line(name, ways, net)
            yield line
            if name != OURS and "Osborne" not in name and longest > PATIENCE:
                del methods[name]


def draw(lines: list[Line], path: Path) -> list[Path]:
    """Plot times against synapses, by method, to `path` with .svg and .png; return both."""
    from matplotlib.figure import Figure

    from graphbal.figures import _style as style

    looks: tuple[dict[str, Any], ...] = (
        {"color": style.BLUE, "linestyle": "-", "marker": "o"},
        {"color": style.ORANGE, "linestyle": "--", "marker": "s"},
        {"color": style.GREEN, "linestyle": "-.", "marker": "^"},
        {"color": style.VERMILION, "linestyle": ":", "marker": "v"},
        {"color": style.PINK, "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "D"},
        {"color": style.INK, "linestyle": (0, (8, 2)), "marker": ">"},
    )
    files = [path.with_suffix(suffix) for suffix in (".svg", ".png")]
    with style.journal():
        figure = Figure(figsize=(5.2, 4.2), layout="constrained")
        ax = figure.subplots()
        names = list(dict.fromkeys(line.what for line in lines))
        for name, look in zip(names, looks, strict=False):
            mine = [line for line in lines if line.what == name]
            m, t = np.array([(line.synapses, line.seconds) for line in mine], dtype=float).T
            short = np.array([line.details["neuron_imbalance"] > REACHED for line in mine])
            ax.plot(m, t, label=name, zorder=3, **look)
            ax.plot(m[short], t[short], **look | {"linestyle": "", "mfc": "white", "zorder": 4})
        unit = {line.synapses: line.reference_seconds for line in lines if line.what == OURS}
        ax.plot(list(unit), list(unit.values()), color=style.GREY, label=PRODUCT, zorder=2)
        ax.set(xscale="log", yscale="log", xlabel="synapses", ylabel="time (s)")
        style.log_ticks(ax.xaxis)
        style.log_ticks(ax.yaxis)
        style.legend_above(ax, 2)
        ax.annotate(
            f"open: a neuron is still out of balance by more than {REACHED:.0e}",
            (1, 0),
            (-2, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            fontsize=7,
        )
        figure.savefig(files[0], metadata={"Date": None})
        figure.savefig(files[1], dpi=300)
    return files


def _network(m: float) -> SynapticNetwork:
    """Return a random network of about m synapses, with as many neurons as lie on the way.

    On logarithmic axes, neurons against synapses, it is between the worm and the fly.
    """
    n = round(302 * (m / 3709) ** (math.log(139_255 / 302) / math.log(15_000_000 / 3709)))
    return ensembles.random_network(n, m / n - 1)


def _line(name: str, ways: list[Method], net: SynapticNetwork) -> tuple[Line, float]:
    """Return the line of the best of several ways, and how long the slowest took."""
    product = product_of(net)
    before = _median_time(product)
    tried = []
    for way in ways:
        whole, attempt = seconds(way, net)
        imbalance = neuron_imbalance(net.weights, net.p, attempt.potentials)
        tried.append((max(imbalance, REACHED), attempt.seconds, imbalance, whole, way))
    _, taken, imbalance, whole, way = min(tried, key=lambda result: result[:2])
    times = [taken]
    if whole < LONG_ENOUGH:
        times = [way(net).seconds for _ in range(min(CALLS, round(LONG_ENOUGH / whole)))]
    reference = (before + _median_time(product)) / 2
    taken = statistics.median(times)
    line = Line(
        name,
        value=taken / reference,
        unit="products",
        target=None,
        neurons=net.n_neurons,
        synapses=net.n_synapses,
        seconds=taken,
        reference_seconds=reference,
        remark=f"imbalance {imbalance:.0e}",
        details={"times": times, "neuron_imbalance": imbalance},
    )
    return line, max(whole for *_, whole, _ in tried)


def _median_time(product: Callable[[], Any]) -> float:
    first, _ = seconds(product)
    calls = max(3, min(CALLS, round(LONG_ENOUGH / first)))
    return statistics.median(seconds(product)[0] for _ in range(calls))


def _ours(net: SynapticNetwork) -> Attempt:
    taken, eq = seconds(gb.balance, fresh(net))
    return Attempt(eq.h, taken)


def _of_arrays(peer: Peer, net: SynapticNetwork) -> Attempt:
    return peer(net.weights, net.p)


def _lapack(net: SynapticNetwork) -> Attempt:
    balancing = partial(linalg.matrix_balance, permute=False, separate=True)
    taken, (_, (scale, _)) = seconds(balancing, net.weights.toarray())
    return Attempt(np.log(scale), taken)  # D⁻¹ J D: the scale of a neuron is e^h
