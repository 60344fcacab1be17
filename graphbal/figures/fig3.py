"""Figure 3: the two networks that can be solved by hand, a single synapse and a reciprocal pair.

Panels
------
a, d
    The networks. :math:`c_{12}` is the cost of the synapse 2 → 1.
b, e
    Costs along the flow, against equations 31 and 29.
c, f
    The flow in the plane of the two potentials. It conserves h₁ + h₂, so from h = 0 only the line
    h₁ + h₂ = 0 is feasible; the cost depends on h₂ − h₁ alone. The pair has a line of minima, the
    single synapse none.
g
    The trade-off of the pair: the product of the two costs is conserved.
h
    Total cost against h₂ − h₁: the pair has a finite minimum, the single synapse falls for ever.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import graphbal as gb
from graphbal import analytic
from graphbal.figures import _claims
from graphbal.figures.fig3_panels import REACH, P, draw, of

if TYPE_CHECKING:
    from graphbal.figures._claims import Claim
    from graphbal.flow import Trajectory
    from graphbal.network import SynapticNetwork

__all__ = ["claims", "compute", "draw"]

_EXPONENTS = (0.5, 1.0, 2.0, 4.0)
_SINGLE, _SINGLES = 4.0, (0.4, 4.0, 40.0)  # initial cost of the single synapse
_PAIR = (4.0, 1.0)  # initial costs c₁₂ and c₂₁
_FLOW_LINES = (-1.2, -0.6, 0.0, 0.6, 1.2)  # their h₁ + h₂
_TIGHT: Any = {"rtol": 1e-11, "atol": 1e-12}


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
    return {
        "a": _network(_SINGLE, 0.0).edges(),
        "b": _single_courses(),
        "c": _plane(_SINGLE, 0.0),
        "d": _network(*_PAIR).edges(),
        "e": _pair_courses(),
        "f": _plane(*_PAIR),
        "g": _trade_off(),
        "h": _landscape(),
    }


def claims(data: dict[str, pd.DataFrame]) -> list[Claim]:
    """Return what the figure states, held against its data."""
    single, pair = data["b"], data["e"]
    c21, c12 = data["d"].sort_values("pre")["cost"]
    mean, rest = np.sqrt(c12 * c21), np.log(c21 / c12) / (2 * P)
    late = single[single["t"] == single["t"].max()]
    settled = pair[pair["t"] == pair["t"].max()][["c12", "c21"]]
    lines = pd.concat([of("flow", data[plane]).assign(plane=plane) for plane in "cf"])
    sums = (lines["h1"] + lines["h2"]).groupby([lines["plane"], lines["line"]])
    ends = of("flow", data["f"]).groupby("line").tail(1)
    landscape = of("cost", data["h"])
    valley, slope = (landscape[landscape["network"] == name] for name in ("pair", "single"))
    lowest = valley.loc[valley["total_cost"].idxmin()]
    along = pd.concat([pair[["c12", "c21"]], of("flow", data["g"])[["c12", "c21"]]])
    return [
        _claims.at_most(
            "The cost of a single synapse follows (31) over six decades of time for p = 0.5, 1, 2, "
            "4 (largest relative error)",
            _claims.relative_error(single["cost"], single["equation_31"]),
            1e-8,
        ),
        _claims.at_most(
            "Whatever its initial cost, a single synapse ends as 1/(2 p γ t) (largest relative "
            "difference at t = 1000/γ)",
            _claims.relative_error(late["cost"] * 2 * late["p"] * late["t"], 1.0),
            0.003,
        ),
        _claims.everywhere(
            "A single synapse has no finite minimum: the total cost falls as h₂ − h₁ does, all the "
            "way",
            np.diff(slope["total_cost"]) > 0,
        ),
        _claims.at_most(
            "The costs of a reciprocal pair follow (29) over four decades of time for p = 0.5, 1, "
            "2, 4 (largest relative error)",
            [
                _claims.relative_error(pair[name], pair[f"equation_29_{name}"]).max()
                for name in ("c12", "c21")
            ],
            1e-8,
        ),
        _claims.at_most(
            "Both costs of the pair end at the geometric mean √(c₁₂ c₂₁) (largest relative "
            "difference)",
            _claims.relative_error(settled, mean),
            1e-8,
        ),
        _claims.at_most(
            "The product c₁₂ c₂₁ is conserved (largest relative change)",
            _claims.relative_error(along["c12"] * along["c21"], c12 * c21),
            1e-9,
        ),
        _claims.at_most(
            "The flow conserves h₁ + h₂: flow lines have slope −1 (largest change)",
            sums.transform(lambda total: np.abs(total - total.iloc[0])),
            1e-9,
        ),
        _claims.at_most(
            "From wherever it starts, the flow of the pair ends on the line h₂ − h₁ = (1/2p) "
            "log(c₂₁/c₁₂) (largest distance)",
            (ends["h2"] - ends["h1"] - rest).abs(),
            1e-8,
        ),
        _claims.equals(
            "The least total cost of the pair is 2 √(c₁₂ c₂₁)",
            lowest["total_cost"],
            2 * mean,
            1e-9,
        ),
        _claims.equals(
            "The least total cost of the pair is at h₂ − h₁ = (1/2p) log(c₂₁/c₁₂)",
            lowest["difference"],
            rest,
            1e-9,
        ),
    ]


def _network(c12: float, c21: float, p: float = P) -> SynapticNetwork:
    """Return the network of the neurons 1 and 2; a cost of 0 is no synapse."""
    costs = np.array([[0.0, c12], [c21, 0.0]])
    return gb.SynapticNetwork.from_scipy(costs ** (1 / p), neurons=[1, 2], p=p)


def _single_courses() -> pd.DataFrame:
    t = np.logspace(-3, 3, 61)
    courses = []
    for p, c0 in product(_EXPONENTS, _SINGLES):
        course = gb.flow(_network(c0, 0.0, p), (0.0, t[-1]), t_eval=t, **_TIGHT)
        cost, formula = course.total_cost.to_numpy(), analytic.single_synapse(c0, t, p)
        courses.append(
            pd.DataFrame({"p": p, "initial_cost": c0, "t": t, "cost": cost, "equation_31": formula})
        )
    return pd.concat(courses, ignore_index=True)


def _pair_courses() -> pd.DataFrame:
    t = np.logspace(-3, 1, 61)
    courses = []
    for p in _EXPONENTS:
        course = gb.flow(_network(*_PAIR, p), (0.0, t[-1]), t_eval=t, **_TIGHT)
        c12, c21 = analytic.reciprocal_pair(*_PAIR, t, p)
        courses.append(
            _pair_costs_along(course).assign(p=p, equation_29_c12=c12, equation_29_c21=c21)
        )
    return pd.concat(courses, ignore_index=True)


def _pair_costs_along(course: Trajectory) -> pd.DataFrame:
    costs = course.costs([(2, 1), (1, 2)]).to_numpy()
    return pd.DataFrame({"t": course.t, "c12": costs[:, 0], "c21": costs[:, 1]})


def _plane(c12: float, c21: float) -> pd.DataFrame:
    """Return lines in the (h₁, h₂) plane: of the flow, of equal cost, feasible, of minima."""
    net = _network(c12, c21)
    t = np.concatenate([[0.0], np.logspace(-4, 2, 81)])
    starts = [
        (total, way * (2 * REACH - abs(total)))
        for total in _FLOW_LINES
        for way in ((1, -1) if c21 else (1,))
    ]
    lines = []
    for number, (total, difference) in enumerate(starts):
        start = {1: (total - difference) / 2, 2: (total + difference) / 2}
        h = gb.flow(net, (0.0, t[-1]), t_eval=t, initial=start, **_TIGHT).potentials
        lines.append(_line("flow", number, t, h[1], h[2]))
    for number, difference in enumerate(np.linspace(-1.5, 1.5, 7)):
        lines.append(_parallel("equal cost", number, difference))
    lines.append(_line("feasible", 0, np.nan, [-REACH, REACH], [REACH, -REACH]))
    if c21:
        lines.append(_parallel("minima", 0, np.log(c21 / c12) / (2 * P)))
    table = pd.concat(lines, ignore_index=True)
    difference = P * (table["h2"] - table["h1"])
    return table.assign(total_cost=c12 * np.exp(difference) + c21 * np.exp(-difference))


def _parallel(curve: str, number: int, difference: float) -> pd.DataFrame:
    """Return the line of one h₂ − h₁ across the square shown."""
    reach = REACH - abs(difference) / 2
    h1 = np.array([-reach, reach]) - difference / 2
    return _line(curve, number, np.nan, h1, h1 + difference)


def _line(curve: str, number: int, t: Any, h1: Any, h2: Any) -> pd.DataFrame:
    columns = {"t": t, "h1": np.asarray(h1), "h2": np.asarray(h2)}
    return pd.DataFrame({"curve": curve, "line": number} | columns)


def _trade_off() -> pd.DataFrame:
    """Return what the costs of the pair can be, where they are equally dear, and two flows."""
    conserved, least = _PAIR[0] * _PAIR[1], 2 * np.sqrt(_PAIR[0] * _PAIR[1])
    c12 = np.geomspace(0.5, 8, 121)
    feasible = pd.DataFrame({"curve": "feasible", "c12": c12, "c21": conserved / c12})
    tables = [feasible]
    for total in (least, sum(_PAIR), conserved / 0.5 + 0.5):
        ends = {"c12": [0.0, total], "c21": [total, 0.0]}
        tables.append(pd.DataFrame({"curve": "equal cost", **ends}))
    t = np.concatenate([[0.0], np.logspace(-2.5, 1, 15)])
    for first in (8.0, 0.5):
        # h₂ − h₁ that takes c₁₂ to the start of this flow
        difference = np.log(first / _PAIR[0]) / P
        start = {1: -difference / 2, 2: difference / 2}
        course = gb.flow(_network(*_PAIR), (0.0, t[-1]), t_eval=t, initial=start, **_TIGHT)
        tables.append(_pair_costs_along(course).assign(curve="flow"))
    return pd.concat(tables, ignore_index=True)


def _landscape() -> pd.DataFrame:
    """Return total cost by h₂ − h₁, and where flows from h = 0 are at times."""
    rest = np.log(_PAIR[1] / _PAIR[0]) / (2 * P)
    differences = rest + np.linspace(-2.4, 1.0, 341)
    t = np.concatenate([[0.0], np.logspace(-2, 1, 10)])
    tables = []
    for name, costs in (("single", (_SINGLE, 0.0)), ("pair", _PAIR)):
        net = _network(*costs)
        totals = [net.transform({1: -x / 2, 2: x / 2}).total_cost for x in differences]
        tables.append(_points(name, "cost", differences, totals))
        course = gb.flow(net, (0.0, t[-1]), t_eval=t, **_TIGHT)
        h = course.potentials
        tables.append(_points(name, "flow", h[2] - h[1], course.total_cost))
    return pd.concat(tables, ignore_index=True)


def _points(network: str, curve: str, difference: Any, total: Any) -> pd.DataFrame:
    columns = {"difference": np.asarray(difference), "total_cost": np.asarray(total)}
    return pd.DataFrame({"network": network, "curve": curve} | columns)
