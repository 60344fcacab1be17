"""Ten million synapses drawn at random, in sorts of as many random keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmarks.harness import Line, against, seconds
from graphbal import SynapticNetwork, ensembles

TARGET = 5


def run(quick: bool) -> Iterator[Line]:
    n, m = (10_000, 1_000_000) if quick else (100_000, 10_000_000)
    keys = np.random.default_rng(0).integers(0, 2**63, m, dtype=np.uint64)
    unique = seconds(np.unique, keys)[0]
    for what, make, target in _cases(n, m):
        make()  # compiles
        timed = against(
            prepare=lambda: None,
            ours=lambda _, make=make: make(),
            reference=partial(_unique_by_sorting, keys),
            repeats=3 if quick else 5,
        )
        net = timed.result
        yield Line(
            what,
            value=timed.ratio,
            unit="sorts",
            target=target,
            neurons=net.n_neurons,
            synapses=net.n_synapses,
            seconds=timed.seconds,
            reference_seconds=timed.reference_seconds,
            remark=f"{timed.seconds / unique:.2g} np.unique; shortest {timed.best_ratio:.2f} sorts",
            details=timed.details() | {"unique_seconds": unique},
        )


def _cases(n: int, m: int) -> list[tuple[str, Callable[[], SynapticNetwork], float | None]]:
    degree = m / n
    rng = np.random.default_rng(1)
    # Log-normal degrees, as heavy-tailed as those of connectomes.
    likely = np.exp(rng.standard_normal((2, n)))
    incoming, outgoing = (rng.multinomial(m, each / each.sum()) for each in likely)
    return [
        ("connectome_like", partial(ensembles.connectome_like, n, m), TARGET),
        ("erdos_renyi", partial(ensembles.erdos_renyi, n, degree), TARGET),
        ("configuration", partial(ensembles.configuration, incoming, outgoing), TARGET),
        ("excitatory_inhibitory", partial(ensembles.excitatory_inhibitory, n, degree), None),
        ("watts_strogatz", partial(ensembles.watts_strogatz, n, int(degree)), None),
        ("scale_free", partial(ensembles.scale_free, n, degree), None),
        ("core_periphery", partial(ensembles.core_periphery, n, degree), None),
        ("spatial", partial(ensembles.spatial, n // 100, 100, degree, 5.0), None),
    ]


def _unique_by_sorting(keys: np.ndarray) -> np.ndarray:
    """Return what `np.unique` does, faster than its hash table of NumPy 2.3 and 2.4."""
    ordered = np.sort(keys)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])]
