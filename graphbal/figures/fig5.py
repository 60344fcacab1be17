"""Figure 5: one synapse of a ring is potentiated, and the whole ring finds a new equilibrium.

Panels
------
a
    Twelve neurons, each connected both ways with its neighbours by synapses of cost 1. The cost of
    A: j → i is raised to 10. The other letters name its reciprocal partner B, the synapses into and
    out of i and j (C–F), and two distant ones (G, H).
b, c
    Their costs on the way to the new equilibrium.
d, e, f
    The modes v₃, v₅ and v₇ of the Laplacian on the ring. (v₁ is constant; v₂, v₄ …
    v₁₀ are symmetric about A, and nothing excites them.)
g
    The potentials projected on these modes, against the linear response (39).
h
    The new equilibrium against the factor by which A is potentiated.
i
    The error of the linear response against the factor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import graphbal as gb
from graphbal import analytic
from graphbal.figures import _claims
from graphbal.figures.fig5_panels import NEURONS, SHOWN, SMALL, draw

if TYPE_CHECKING:
    from graphbal.figures._claims import Claim
    from graphbal.linearization import Response
    from graphbal.network import SynapticNetwork

__all__ = ["claims", "compute", "draw"]

_LETTERS = {
    "A": ("j", "i"),
    "B": ("i", "j"),
    "C": ("n3", "i"),
    "D": ("i", "n3"),
    "E": ("n12", "j"),
    "F": ("j", "n12"),
    "G": ("n4", "n5"),
    "H": ("n7", "n8"),
}
_FACTOR = 10.0
_TIMES = np.concatenate([[0.0], np.logspace(-3, 1.5, 181)])
_TIGHT: Any = {"rtol": 1e-11, "atol": 1e-13}


def compute(*, preset: str = "standard", seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return the data of each panel; nothing in it is random.

    Parameters
    ----------
    preset : str
        The same in all.
    seed : int
        Not used.

    Returns
    -------
    dict of DataFrame
    """
    net = _potentiated(_FACTOR)
    course = gb.flow(net, (0.0, _TIMES[-1]), t_eval=_TIMES, **_TIGHT)
    costs = course.costs(list(_LETTERS.values())).set_axis(list(_LETTERS), axis=1)
    costs = costs.rename_axis("t").reset_index()
    response = gb.linear_response(net, _TIMES)
    modes = response.modes
    shapes = [
        pd.DataFrame(
            {
                "neuron": NEURONS,
                "mode": number,
                "eigenvalue": modes.eigenvalues[number - 2],
                "time_constant": modes.time_constants[number - 2],
                "entry": modes.modes[number].to_numpy(),
            }
        )
        for number in SHOWN
    ]
    sweep, errors = _sweep()
    return {
        "a": _synapses(net),
        "b": costs[["t", "A", "B"]],
        "c": costs.drop(columns=["A", "B"]),
        **dict(zip("def", shapes, strict=True)),
        "g": _amplitudes(course.potentials, response),
        "h": sweep,
        "i": errors,
    }


def claims(data: dict[str, pd.DataFrame]) -> list[Claim]:
    """Return what the figure states, held against its data."""
    synapses = data["a"]
    courses = data["b"].merge(data["c"], on="t").set_index("t")
    changes = np.log(courses / courses.iloc[0])
    end = courses.iloc[-1]
    ahead = synapses[synapses["clockwise"] & (synapses["synapse"] != "A")]["equilibrium"]
    back = synapses[~synapses["clockwise"] & (synapses["synapse"] != "B")]["equilibrium"]
    half = _half_times(changes)
    amplitudes = data["g"]
    last = amplitudes[amplitudes["t"] == amplitudes["t"].max()].set_index("mode")["flow"]
    excited = amplitudes.pivot_table("flow", "t", "mode")[list(SHOWN)]
    silent = amplitudes[amplitudes["mode"].isin(range(2, len(NEURONS), 2))]
    errors = data["i"].set_index("factor")["error"]
    sweep = data["h"]
    later = changes.iloc[1:]
    return [
        _claims.below("A, potentiated, weakens again (change of log cost)", later["A"], 0),
        _claims.above("B, out of i and into j, is strengthened", later["B"], 0),
        _claims.below("C, into i, is weakened", later["C"], 0),
        _claims.above("D, out of i, is strengthened", later["D"], 0),
        _claims.above("E, into j, is strengthened", later["E"], 0),
        _claims.below("F, out of j, is weakened", later["F"], 0),
        _claims.above("A stays stronger than it was before (cost at the end)", end["A"], 1),
        _claims.above(
            "The distant synapses G and H change more slowly than A–F (time until half of the "
            "change, less the longest among A–F, 1/γ)",
            half[["G", "H"]].min() - half[list("ABCDEF")].max(),
            0,
        ),
        _claims.above(
            "H, the farther one, changes more slowly than G (difference of these times, 1/γ)",
            half["H"] - half["G"],
            0,
        ),
        _claims.equals("G and H end equal", end["G"], end["H"], 1e-9),
        _claims.equals("They end equal to D, next to i", end["H"], end["D"], 1e-9),
        _claims.at_most(
            "All synapses along the ring in the direction of A end equal, but A itself (largest "
            "relative difference)",
            _claims.relative_error(ahead, ahead.mean()),
            1e-9,
        ),
        _claims.at_most(
            "All synapses in the other direction end equal, but B (largest relative difference)",
            _claims.relative_error(back, back.mean()),
            1e-9,
        ),
        _claims.at_most(
            "A pair keeps the product of its costs: A B = 10 at all times (largest relative error)",
            _claims.relative_error(courses["A"] * courses["B"], _FACTOR),
            1e-9,
        ),
        _claims.at_most(
            "The flow ends at the equilibrium (largest relative difference of cost)",
            _claims.relative_error(end, synapses.set_index("synapse")["equilibrium"][end.index]),
            1e-8,
        ),
        _claims.at_most(
            "For every factor the equilibrium is that of the closed form of a ring (largest "
            "relative difference of cost)",
            _claims.relative_error(sweep["cost"], sweep["closed_form"]),
            1e-9,
        ),
        _claims.at_most(
            "The modes symmetric about A, v₂, v₄ … v₁₀, are not excited (largest amplitude over "
            "that of v₃)",
            silent["flow"].abs() / abs(last[SHOWN[0]]),
            1e-9,
        ),
        _claims.above(
            "Of v₃, v₅ and v₇, each carries more of the change than the next (smallest ratio of "
            "amplitudes at the end)",
            last[list(SHOWN[:-1])].to_numpy() / last[list(SHOWN[1:])].to_numpy(),
            1,
        ),
        _claims.above(
            "v₃, v₅ and v₇ arrive in the order of their eigenvalues, the slowest last (smallest "
            "difference of the times until half of the way, 1/γ)",
            -np.diff(_half_times(excited)),
            0,
        ),
        _claims.below(
            f"The error of the linear response (39) at a factor of {SMALL:g} (largest over time, "
            "relative)",
            errors[SMALL],
            0.01,
        ),
        _claims.above(
            "The error of the linear response grows with the factor (smallest ratio of errors at "
            "successive factors)",
            errors.to_numpy()[1:] / errors.to_numpy()[:-1],
            1,
        ),
    ]


def _potentiated(factor: float) -> SynapticNetwork:
    weights = gb.ensembles.ring(len(NEURONS), weights=gb.ensembles.Constant(1)).weights
    net = gb.SynapticNetwork.from_scipy(weights, neurons=NEURONS)
    return gb.perturb(net, {_LETTERS["A"]: factor})


def _synapses(net: SynapticNetwork) -> pd.DataFrame:
    """Return every synapse with its letter, its cost after the potentiation and in the end."""
    synapses = net.edges().drop(columns="weight")
    pairs = pd.MultiIndex.from_frame(synapses[["pre", "post"]])
    letters = pd.Series(list(_LETTERS), index=pd.MultiIndex.from_tuples(_LETTERS.values()))
    synapses.insert(0, "synapse", letters.reindex(pairs).fillna("").to_numpy())
    place = pd.Series(range(len(NEURONS)), index=NEURONS)
    steps = place[synapses["post"]].to_numpy() - place[synapses["pre"]].to_numpy()
    synapses["clockwise"] = steps % len(NEURONS) == 1
    synapses["equilibrium"] = gb.balance(net, tol=1e-12).network.costs.data
    return synapses


def _amplitudes(potentials: pd.DataFrame, response: Response) -> pd.DataFrame:
    """Return the projections on all modes by time, along the flow and by (39)."""
    modes = response.modes
    # The sign of a mode is arbitrary: as drawn, i is on the positive side.
    sign = np.sign(modes.modes.loc["i"].to_numpy())
    flow = sign * (potentials.to_numpy() @ modes.modes.to_numpy())
    linear = sign * response.amplitudes.to_numpy()
    numbers = modes.modes.columns.to_numpy()
    return pd.DataFrame(
        {
            "t": np.repeat(_TIMES, numbers.size),
            "mode": np.tile(numbers, _TIMES.size),
            "flow": flow.ravel(),
            "equation_39": linear.ravel(),
        }
    )


def _sweep() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return equilibria, and errors of the linear response, against the factor."""
    factors = np.concatenate([[1.01, SMALL], 10 ** (np.arange(1, 21) / 10)])
    ones = np.ones(len(NEURONS))
    equilibria, errors = [], []
    for factor in factors:
        net = _potentiated(factor)
        forward = ones.copy()
        forward[0] = factor
        known = analytic.ring(forward, ones)
        exact = {
            "A": known.forward[0],
            "B": known.backward[0],
            "D": known.forward[1],
            "C": known.backward[1],
        }
        costs = gb.balance(net, tol=1e-12).network.costs
        for letter, cost in exact.items():
            pre, post = net.positions(_LETTERS[letter])
            equilibria.append((factor, letter, costs[post, pre], cost))
        course = gb.flow(net, (0.0, _TIMES[-1]), **_TIGHT)
        errors.append((factor, gb.linear_response(net, _TIMES).error(course).max()))
    return (
        pd.DataFrame(equilibria, columns=["factor", "synapse", "cost", "closed_form"]),
        pd.DataFrame(errors, columns=["factor", "error"]),
    )


def _half_times(changes: pd.DataFrame) -> pd.Series:
    """Return when each synapse has first gone half of its way."""
    return (changes / changes.iloc[-1] >= 0.5).idxmax()
