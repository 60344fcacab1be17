"""The figures show what they say they show, and say so only if it is so."""

from __future__ import annotations

import importlib
import io
import itertools
import json
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import minimize_scalar

from graphbal import InputError, figures
from graphbal.figures import _claims, _files, _style

MODULES = {name: importlib.import_module(f"graphbal.figures.{name}") for name in figures.FIGURES}


SHORT = [name for name in figures.FIGURES if name not in figures.LONG]


@pytest.fixture(scope="module")
def computed():
    tables = {name: MODULES[name].compute() for name in SHORT}
    # As drawn, but hardly trained; what it claims is tested elsewhere.
    fig4 = MODULES["fig4"]
    return tables | {"fig4": fig4.follow(fig4.Recipe(16, 1, 50, 1e-2, "cosine", (1, 1, 5), 1, 2))}


@pytest.fixture(scope="module")
def drawn(computed):
    with _style.journal():
        result = {name: module.draw(computed[name]) for name, module in MODULES.items()}
        for figure in result.values():
            figure.draw_without_rendering()
        yield result  # text is measured in the journal's style


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures") / "not" / "yet"
    return folder, figures.reproduce("fig3", folder)


def of(table, **columns):
    """Return the rows with these values."""
    for name, value in columns.items():
        table = table[table[name] == value]
    return table


def balancing(J, times):
    """Integrate equation 18 on all weights, p = 2; return them at the times."""

    def rates(_t, flat):
        J = flat.reshape(n, n)
        g = (J**2).sum(axis=1) - (J**2).sum(axis=0)
        return ((g[None, :] - g[:, None]) * J).ravel()

    n = len(J)
    span = (0.0, times[-1])
    solved = solve_ivp(rates, span, J.ravel(), "DOP853", times, rtol=1e-13, atol=1e-15)
    return solved.y.T.reshape(-1, n, n)


# ---------------------------------------------------------------------- claims


@pytest.mark.parametrize("name", SHORT)
def test_all_claims_hold(name, computed):
    claims = MODULES[name].claims(computed[name])
    assert len(claims) >= 10
    assert [claim.claim for claim in claims if not claim.holds] == []
    assert len({claim.claim for claim in claims}) == len(claims)


@pytest.mark.parametrize("seed", [1, 2])
def test_claims_of_the_random_network_hold_for_other_seeds(seed):
    fig2 = MODULES["fig2"]
    assert all(claim.holds for claim in fig2.claims(fig2.compute(seed=seed)))


@pytest.mark.parametrize(
    ("name", "panel", "column"),
    [
        ("fig2", "a", "cost"),
        ("fig2", "d", "signal"),
        ("fig2", "e", "rate"),
        ("fig2", "e", "flow_rate"),
        ("fig2", "f", "total_cost"),
        ("fig2", "f", "excess_cost"),
        ("fig3", "b", "cost"),
        ("fig3", "b", "equation_31"),
        ("fig3", "c", "h1"),
        ("fig3", "e", "c12"),
        ("fig3", "e", "equation_29_c21"),
        ("fig3", "f", "h2"),
        ("fig3", "g", "c21"),
        ("fig3", "h", "total_cost"),
        ("fig5", "a", "equilibrium"),
        ("fig5", "b", "A"),
        ("fig5", "c", "D"),
        ("fig5", "c", "G"),
        ("fig5", "g", "flow"),
        ("fig5", "h", "cost"),
        ("fig5", "i", "error"),
    ],
)
@pytest.mark.parametrize("value", ["off", "nan"])
def test_data_that_are_wrong_anywhere_break_a_claim(name, panel, column, value, computed):
    table = computed[name][panel].copy()
    rows = np.random.default_rng(0).random(len(table)) < 0.4
    table[column] = table[column].where(
        ~rows, np.nan if value == "nan" else 1.3 * table[column] + 0.1
    )
    claims = MODULES[name].claims({**computed[name], panel: table})
    assert not all(claim.holds for claim in claims)


@pytest.mark.parametrize("letter", list("ABCDEF"))
def test_a_synapse_that_changes_the_other_way_breaks_a_claim(letter, computed):
    data = computed["fig5"]
    panel = "b" if letter in "AB" else "c"
    table = data[panel].copy()
    table[letter] = table[letter].iloc[0] ** 2 / table[letter]
    broken = [c.claim for c in MODULES["fig5"].claims({**data, panel: table}) if not c.holds]
    assert any(claim.startswith(f"{letter},") for claim in broken)


def test_what_a_claim_says_is_what_it_compares():
    nan = float("nan")
    table = [
        (_claims.equals("x", 1.0 + 9e-4, 1.0, 1e-3), True),
        (_claims.equals("x", 1.0 + 2e-3, 1.0, 1e-3), False),
        (_claims.equals("x", nan, 1.0, 1e-3), False),
        (_claims.everywhere("x", [True, True]), True),
        (_claims.everywhere("x", [False, True]), False),
        (_claims.at_most("x", [0.0, 1.0], 1.0), True),
        (_claims.at_most("x", [0.0, 1.1], 1.0), False),
        (_claims.at_most("x", [nan, 0.0], 1.0), False),
        (_claims.below("x", [0.0, 1.0], 1.0), False),
        (_claims.below("x", [0.0, 0.9], 1.0), True),
        (_claims.above("x", [2.0, 1.0], 1.0), False),
        (_claims.above("x", [2.0, 1.1], 1.0), True),
        (_claims.above("x", [2.0, nan], 1.0), False),
    ]
    assert [claim.holds for claim, _ in table] == [holds for _, holds in table]
    assert table[0][0].claim == "x (to 1e-03, relative)"
    assert table[5][0].expected == "at most 1"


# ---------------------------------------------------------------------- the data, from elsewhere


def test_signals_and_rates_are_those_of_the_weights(computed):
    data = computed["fig2"]
    synapses, n = data["e"], len(data["d"])
    J = np.zeros((n, n))
    J[synapses["post"], synapses["pre"]] = synapses["weight"]
    g = (J**2).sum(axis=1) - (J**2).sum(axis=0)
    np.testing.assert_allclose(data["d"]["signal"], g, atol=1e-12)
    rates = -(g[synapses["post"]] - g[synapses["pre"]]) * synapses["weight"]
    np.testing.assert_allclose(synapses["rate"], rates, atol=1e-12)
    np.testing.assert_allclose(synapses["flow_rate"], rates, atol=1e-6 * rates.abs().max())

    flow = of(data["f"], by="flow")
    few = flow.iloc[:: len(flow) // 20]
    costs = (balancing(J, few["t"].to_numpy()) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(few["total_cost"], costs, rtol=1e-8)


def test_the_neuron_shown_has_all_its_synapses(computed):
    data = computed["fig2"]
    k = data["a"]["neuron"].iloc[0]
    own = data["e"][(data["e"]["pre"] == k) | (data["e"]["post"] == k)]
    for panel in "abc":
        pd.testing.assert_frame_equal(
            data[panel][["pre", "post"]].reset_index(drop=True),
            own[["pre", "post"]].reset_index(drop=True),
        )
    assert {*own["pre"]} > {k}
    assert {*own["post"]} > {k}


def test_trajectories_are_those_of_equations_31_and_29(computed):
    single, pair = computed["fig3"]["b"], computed["fig3"]["e"]
    p, c0, t = single["p"], single["initial_cost"], single["t"]
    np.testing.assert_allclose(single["cost"], c0 / (1 + 2 * p * c0 * t), rtol=1e-8)
    assert set(single["p"]) == set(pair["p"]) == {0.5, 1, 2, 4}

    mean, u0 = np.sqrt(4.0 * 1.0), 0.5 * np.log(4.0 / 1.0)
    decay = np.exp(-4 * pair["p"] * mean * pair["t"])
    u = 2 * np.arctanh(np.tanh(u0 / 2) * decay)
    np.testing.assert_allclose(pair["c12"], mean * np.exp(u), rtol=1e-8)
    np.testing.assert_allclose(pair["c21"], mean * np.exp(-u), rtol=1e-8)


def test_the_least_cost_of_the_pair_is_where_a_minimiser_finds_it(computed):
    landscape = of(computed["fig3"]["h"], network="pair", curve="cost")
    found = minimize_scalar(lambda x: 4 * np.exp(2 * x) + np.exp(-2 * x), tol=1e-12)
    lowest = landscape.loc[landscape["total_cost"].idxmin()]
    assert lowest["difference"] == pytest.approx(found.x, abs=1e-6)
    assert lowest["total_cost"] == pytest.approx(found.fun, rel=1e-12)
    ends = of(computed["fig3"]["f"], curve="flow").groupby("line").tail(1)
    np.testing.assert_allclose(ends["h2"] - ends["h1"], found.x, atol=1e-6)
    minima = of(computed["fig3"]["f"], curve="minima")
    np.testing.assert_allclose(minima["h2"] - minima["h1"], found.x, atol=1e-6)


@pytest.fixture(scope="module")
def potentiated():
    """The ring of twelve with A = 0 → 1 potentiated by 10: weights, Laplacian, initial signals."""
    n = 12
    here, following = np.arange(n), (np.arange(n) + 1) % n
    J = np.zeros((n, n))
    J[following, here] = J[here, following] = 1.0
    J[1, 0] = np.sqrt(10.0)
    C = J**2
    L = np.diag(C.sum(axis=0) + C.sum(axis=1)) - C - C.T
    return J, L, C.sum(axis=1) - C.sum(axis=0)


def test_synapses_of_the_ring_follow_equation_18(computed, potentiated):
    courses = computed["fig5"]["b"].merge(computed["fig5"]["c"], on="t")
    few = courses.iloc[::12]
    costs = balancing(potentiated[0], few["t"].to_numpy()) ** 2
    ends = {"A": (1, 0), "B": (0, 1), "C": (1, 2), "D": (2, 1), "E": (0, 11), "F": (11, 0)}
    ends |= {"G": (4, 3), "H": (7, 6)}
    for letter, (post, pre) in ends.items():
        np.testing.assert_allclose(few[letter], costs[:, post, pre], rtol=1e-8)


def test_modes_are_eigenvectors_and_the_response_is_a_matrix_exponential(computed, potentiated):
    _, L, g = potentiated
    values, vectors = np.linalg.eigh(L)
    amplitudes = computed["fig5"]["g"]
    t = np.unique(amplitudes["t"])[::20]
    moved = [(np.eye(12) - expm(-2 * L * s)) @ np.linalg.pinv(L) @ g / 2 for s in t]
    for panel, number in zip("def", (3, 5, 7), strict=True):
        shape = computed["fig5"][panel]
        assert shape["eigenvalue"].iloc[0] == pytest.approx(values[number - 1], rel=1e-12)
        v = vectors[:, number - 1] * np.sign(vectors[1, number - 1])
        entry = shape["entry"].to_numpy()
        np.testing.assert_allclose(entry * np.sign(entry[1]), v, atol=1e-10)
        linear = of(amplitudes, mode=number).set_index("t")["equation_39"][t]
        np.testing.assert_allclose(linear, np.array(moved) @ v, atol=1e-10)


# ---------------------------------------------------------------------- files


def test_every_panel_has_its_pictures_and_its_data(reproduced):
    folder, result = reproduced
    stems = ["fig3", *(f"fig3_{panel}" for panel in "abcdefgh")]
    expected = {f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "png")}
    expected |= {f"{stem}.csv" for stem in stems[1:]} | {"claims.json"}
    assert {path.name for path in folder.iterdir()} == expected
    assert {path.name for path in result.files} == expected
    assert result.all_hold
    height, width, _ = matplotlib.image.imread(folder / "fig3.png").shape
    assert width == 7.5 * 300
    assert height <= 8.75 * 300
    for stem in stems:
        text = (folder / f"{stem}.svg").read_text()
        assert "<dc:date>" not in text
        assert ElementTree.fromstring(text).find(".//{http://www.w3.org/2000/svg}text") is not None
        assert matplotlib.image.imread(folder / f"{stem}.png")[..., :3].std() > 0.01


def test_claims_can_be_checked_again_from_the_files(reproduced):
    folder, result = reproduced
    data = {path.stem.removeprefix("fig3_"): pd.read_csv(path) for path in folder.glob("*.csv")}
    again = [claim._asdict() for claim in MODULES["fig3"].claims(data)]
    assert json.loads((folder / "claims.json").read_text()) == again
    assert result.claims.to_dict("records") == again
    assert set(again[0]) == {"claim", "measured", "expected", "holds"}


@pytest.fixture
def quick(monkeypatch, computed):
    """Reproduce fig3 from given data, without its pictures."""

    def reproduce(folder: Path, data):
        monkeypatch.setattr(MODULES["fig3"], "compute", lambda preset, seed: data)
        monkeypatch.setattr(MODULES["fig3"], "draw", lambda data: Figure())
        monkeypatch.setattr(_files, "_write_pictures", lambda *_: [])
        return figures.reproduce("fig3", folder)

    return reproduce


@pytest.mark.parametrize("wrong", [2.0, np.nan])
def test_a_claim_that_fails_is_told(wrong, quick, tmp_path, computed):
    data = computed["fig3"]
    tampered = data["b"].assign(cost=wrong * data["b"]["cost"])
    result = quick(tmp_path, {**data, "b": tampered})
    assert not result.all_hold
    told = json.loads((tmp_path / "claims.json").read_text())
    broken = [claim for claim in told if not claim["holds"]]
    assert len(broken) == 2
    assert broken[0]["claim"].startswith("The cost of a single synapse follows (31)")
    assert broken[0]["measured"] == (None if np.isnan(wrong) else pytest.approx(1.0))
    assert "8 of 10 claims hold" in repr(result)


def test_the_same_seed_makes_the_same_files_and_another_seed_others(computed):
    fig2 = MODULES["fig2"]
    again, other = fig2.compute(seed=0), fig2.compute(seed=1)
    for panel, table in computed["fig2"].items():
        assert table.to_csv() == again[panel].to_csv()
        assert table.to_csv() != other[panel].to_csv()

    def svg(data):
        with _style.journal():
            file = io.BytesIO()
            fig2.draw(data).savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

    assert svg(again) == svg(computed["fig2"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "fig7"}, "no figure 'fig7'.*fig2, fig3, "),
        ({"preset": "fast"}, "no preset 'fast'.*quick, standard, paper"),
        ({"seed": -1}, "seed is -1.*whole number"),
        ({"seed": 0.5}, "seed is 0.5.*whole number"),
    ],
)
def test_bad_input_is_told(options, told, tmp_path):
    arguments = {"name": "fig2", "folder": tmp_path} | options
    with pytest.raises(InputError, match=told):
        figures.reproduce(**arguments)


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "here").write_text("")
    with pytest.raises(InputError, match="here: File exists"):
        figures.reproduce("fig2", tmp_path / "here")


# ---------------------------------------------------------------------- pictures


def texts(figure):
    """Return what is written, with its place."""
    written = []
    for ax in figure.axes:
        written += [*ax.texts, ax.title]
        if legend := ax.get_legend():
            written += legend.get_texts()
        for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
            written += [axis.label, *(label for at, label in ticks if low <= at <= high)]
            assert not any(label.get_text() for label in axis.get_minorticklabels())
    return [(text, text.get_window_extent()) for text in written if text.get_text()]


@pytest.mark.parametrize("name", figures.FIGURES)
def test_all_is_legible_at_journal_width(name, drawn):
    figure = drawn[name]
    assert figure.get_figwidth() <= 7.5
    assert figure.get_figheight() <= 8.75
    assert min(text.get_fontsize() for text, _ in texts(figure)) >= 7


@pytest.mark.parametrize("name", figures.FIGURES)
def test_nothing_is_cut_off(name, drawn):
    figure = drawn[name]
    bounds, page = figure.get_tightbbox().extents, figure.bbox_inches.extents
    assert (bounds[:2] >= page[:2] - 0.01).all()
    assert (bounds[2:] <= page[2:] + 0.01).all()


@pytest.mark.parametrize("name", figures.FIGURES)
def test_no_text_lies_on_another(name, drawn):
    for (one, a), (other, b) in itertools.combinations(texts(drawn[name]), 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(width, height) < 1, f"{one.get_text()!r} on {other.get_text()!r}"


@pytest.mark.parametrize("name", figures.FIGURES)
def test_plots_have_labelled_axes_letters_and_legends_off_the_data(name, drawn, computed):
    figure = drawn[name]
    panels = [panel for panel in computed[name] if len(panel) == 1]  # the rest are tables only
    assert [ax.get_label() for ax in figure.axes] == panels
    for ax in figure.axes:
        assert ax.get_label() in [text.get_text() for text in ax.texts]
        if ax.axison:
            assert ax.get_xlabel()
            assert ax.get_ylabel()
        if legend := ax.get_legend():
            assert legend.get_window_extent().y0 >= ax.get_window_extent().y1 - 1


def test_colours_are_those_of_seaborns_colorblind_palette():
    seaborn = pytest.importorskip("seaborn")
    palette = seaborn.color_palette("colorblind").as_hex()
    used = (_style.BLUE, _style.ORANGE, _style.GREEN, _style.VERMILION, _style.PINK, _style.GREY)
    assert set(used) <= set(palette)
