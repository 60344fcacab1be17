"""The report: what the page says, that it is safe, and how it behaves in a browser."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from command_line import failure, run
from scipy import sparse

import graphbal as gb
from graphbal.report import findings as findings_module
from graphbal.report import page as page_module
from graphbal.report.words import aligned, count, listed, number, percent

HOSTILE = [
    "<script>hit()</script>",
    "</script><script>hit()",
    '"><img src=x onerror=hit()>',
    "{{7*7}}",
]
SECTIONS = ["network", "topology", "equilibrium", "changes", "flow-section", "modes", "methods"]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


class Page(HTMLParser):
    """The elements of a page: tags with their attributes, texts, and the rows of its tables."""

    def __init__(self, path):
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.tags, self.tables, self.open = [], {}, []
        self.words = ""
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.open.append(tag)
        if tag == "table":
            self.rows = self.tables.setdefault(attributes.get("id"), [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append(attributes.get("data-v", ""))
            self.value = attributes.get("data-v")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if {"td", "th"} & set(self.open) and self.value is None:
            self.rows[-1][-1] += data
        if not {"script", "style"} & set(self.open):
            self.words += data

    @property
    def ids(self):
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def count(self, tag):
        return sum(each == tag for each, _ in self.tags)


def hostile_network():
    weights = np.array([[0, 3, 0, 0], [1, 0, 2, 0], [0, 1, 0, 0], [0, 0, 5, 0.0]])
    return gb.SynapticNetwork.from_scipy(weights, neurons=HOSTILE)


def made(networks, folder, **options):
    path = folder / "page.html"
    gb.report(networks, path, **options)
    return Page(path)


@pytest.fixture(scope="module")
def worm(tmp_path_factory):
    """The page of a connectome without finite equilibrium."""
    return made("celegans", tmp_path_factory.mktemp("worm"))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The page of two networks and their null networks."""
    names = ["witvliet-1", "witvliet-8"]
    return made(names, tmp_path_factory.mktemp("two"), null="permute_weights", n_null=2)


# ------------------------------------------------------------------ what it says


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (gb.ensembles.ring(12, seed=1), ["Every synapse lies on a directed cycle", "finite: yes"]),
        ([[0, 2, 0], [1, 0, 0], [1, 0, 0]], ["1 synapse of 3 lies on no directed cycle"]),
        ([[0, 0], [1, 0]], ["saves 100.0 % of the total cost", "There are no modes"]),
        ([[0, 2, 0], [2, 0, 0], [0, 0, 3]], ["saves nothing", "all potentials are equal"]),
    ],
    ids=["ring", "one vanishes", "all vanish", "balanced"],
)
def test_every_network_has_its_page(network, words, tmp_path):
    page = made({"mine": network}, tmp_path)
    assert [each for each in page.ids if each in SECTIONS] == SECTIONS
    said = " ".join(page.words.split()).replace("Finite equilibriumyes", "finite: yes")
    for each in words:
        assert each in said
    assert "NaN" not in page.html.replace(page_module.figures.inline_scripts(), "")


def test_numbers_on_the_page_are_those_of_the_equilibrium(worm):
    eq = gb.balance("celegans")
    assert f"{eq.drop / eq.initial_cost:.1%}".replace("%", "\N{NO-BREAK SPACE}%") in worm.words
    assert "54 synapses of 3,709 lie on no directed cycle" in " ".join(worm.words.split())
    head, *rows = worm.tables["neurons-1-rows"]
    table = pd.DataFrame(rows, columns=head).set_index("neuron")
    assert len(table) == 302
    np.testing.assert_allclose(
        table["potential h"].astype(float), eq.potentials[table.index], rtol=1e-9
    )
    np.testing.assert_allclose(
        table["out after"].astype(float), eq.network.outgoing_costs[table.index], rtol=1e-9
    )
    head, *rows = worm.tables["synapses-1-rows"]
    most = eq.most_changed_synapses(len(rows))
    assert [row[:2] for row in rows] == most[["pre", "post"]].to_numpy().tolist()


def test_networks_stand_side_by_side_with_their_nulls(two):
    head, *rows = two.tables["nulls-2-rows"]
    table = pd.DataFrame(rows, columns=head).set_index("measure")
    measures = ["relative_drop", "reciprocity", "potential_max"]
    known = gb.compare("witvliet-8", measures, null="permute_weights", n_null=2)
    known = known.set_index("measure")
    for column, theirs in (("network", "value"), ("null mean", "null_mean"), ("z", "z")):
        ours = pd.to_numeric(table.loc[[each.replace("_", " ") for each in measures], column])
        np.testing.assert_allclose(ours, known[theirs], rtol=1e-8, atol=0.005 * (column == "z"))
    assert "witvliet-1 and witvliet-8" in two.words
    assert "comparison" in two.ids


def test_methods_name_versions_sources_and_the_command(two, tmp_path):
    for text in (
        f"graphbal {gb.__version__}",
        f"NumPy {np.__version__}",
        "doi:10.1371/journal.pcbi.1010418",
        "doi:10.1038/s41586-021-03778-8",
        "null='permute_weights', n_null=2, seed=0",
    ):
        assert text in two.words
    path = tmp_path / "my page.html"
    given = ("witvliet-1", "--min-synapses", "2", "--p", "1", "-o", path, "--quiet")
    result = run("report", *given)
    assert (result.exit_code, result.output) == (0, "")
    command = f"graphbal report witvliet-1 --output '{path}' --p 1.0 --quiet --min-synapses 2.0"
    assert sorted(command.split()) == sorted(
        re.search(r"graphbal report .*", Page(path).words)[0].split()
    )


def test_large_networks_are_thinned_and_the_page_says_so(tmp_path):
    weights = sparse.random_array((4500, 4500), density=0.0008, rng=np.random.default_rng(3))
    page = made({"large": weights}, tmp_path)
    assert len(page.html.encode()) < 5e6
    assert len(page.tables["neurons-1-rows"]) == 401
    said = " ".join(page.words.split())
    assert "The first 400 of 4,500 are here" in said
    assert "Of 4,500, the 4,000 neurons" in said
    assert "map-1" not in page.ids
    assert "No map is drawn" in said


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (353771.0, "353,771"),
        (0.19388, "0.1939"),
        (-2.5839, "−2.584"),
        (1.07e-4, "1.070\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10⁻⁴"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
    ],
)
def test_numbers_in_words(value, text):
    assert number(value) == text


def test_words():
    assert percent(0.6579) == "65.8\N{NO-BREAK SPACE}%"
    assert percent(1e-5).startswith("less than 0.1")
    assert percent(0.99999).startswith("more than 99.9")
    assert aligned([1, 20, -300]) == ["1", "20", "−300"]
    assert aligned([3.3736, -2.5, 0], signed=True) == ["+3.374", "−2.500", "0.000"]
    assert aligned([-1.0, -1.0]) == ["−1", "−1"]
    assert count(1, "synapse") == "1 synapse"
    assert count(2000, "synapse") == "2,000 synapses"
    assert listed(["a", "b", "c"]) == "a, b and c"


# ------------------------------------------------------------------ that it is safe


def test_labels_are_text_whatever_they_are(tmp_path):
    harmless = made({"mine": gb.SynapticNetwork.from_scipy(hostile_network().weights)}, tmp_path)
    page = made({HOSTILE[0]: hostile_network()}, tmp_path, title=HOSTILE[2])
    for tag in ("script", "img", "style", "table"):
        assert page.count(tag) == harmless.count(tag)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    for label in HOSTILE:
        assert label in page.words
        assert label not in page.html or label == HOSTILE[3]


def test_the_page_asks_for_nothing(worm):
    (policy,) = (
        attributes["content"]
        for tag, attributes in worm.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy
    for tag, attributes in worm.tags:
        assert "src" not in attributes
        if tag == "link":
            assert attributes["href"].startswith("data:")
    assert len(worm.html.encode()) < 5e6


def test_the_same_input_gives_the_same_bytes(tmp_path):
    ring = gb.ensembles.ring(30, seed=2)
    made({"ring": ring}, tmp_path, null="permute_weights", n_null=2)
    first = (tmp_path / "page.html").read_bytes()
    made({"ring": ring}, tmp_path, null="permute_weights", n_null=2)
    assert (tmp_path / "page.html").read_bytes() == first


@pytest.mark.parametrize("where", ["computing", "writing"])
def test_an_interrupted_report_leaves_the_old_file(where, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    if where == "computing":
        monkeypatch.setattr(findings_module, "flow", interrupted)
    else:
        monkeypatch.setattr("os.fsync", interrupted)
    result = run("report", "witvliet-1", "-o", path)
    assert result.exit_code == 130
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_did_not_converge_is_said_first_of_all(tmp_path, monkeypatch):
    eq = dataclasses.replace(
        gb.balance("witvliet-1"), converged=False, message="Not converged: ..."
    )
    monkeypatch.setattr(findings_module, "balance", lambda *args, **options: eq)
    result = run("report", "witvliet-1", "-o", tmp_path / "page.html")
    assert result.exit_code == 3
    assert "witvliet-1: Not converged" in result.stderr
    page = Page(tmp_path / "page.html")
    assert any(attributes.get("role") == "alert" for _, attributes in page.tags)
    assert page.words.index("not converged") < page.words.index("Topology")


def test_bad_input_is_one_sentence(tmp_path):
    path = tmp_path / "page.html"
    (tmp_path / "one.csv").write_text("pre,post,weight\na,a,1\n")
    assert "no dataset called 'no-worm'" in failure("report", "no-worm", "-o", path)
    assert "there is no folder" in failure(
        "report", "celegans", "-o", tmp_path / "no" / "page.html"
    )
    assert "this is a folder" in failure("report", "celegans", "-o", tmp_path)
    assert "null model 'chance'" in failure("report", "witvliet-1", "--null", "chance", "-o", path)
    message = failure("report", "witvliet-1", tmp_path / "one.csv", "-o", path)
    assert f"{tmp_path / 'one.csv'}: a network of 1 neuron(s) has nothing to balance" in message
    assert not path.exists()


def test_the_command_prints_what_it_wrote(tmp_path):
    files = [tmp_path / f"{name}.csv" for name in "ab"]
    for weight, file in enumerate(files, 1):
        file.write_text(f"pre,post,weight\na,b,{weight}\nb,a,4\n")
    result = run("report", *files, "-o", tmp_path / "page.html", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert list(facts) == [str(file) for file in files]
    assert facts[str(files[1])]["total_cost"] == pytest.approx(16)


def test_nothing_else_imports_bokeh():
    code = (
        "import sys, graphbal, graphbal.cli, graphbal.balance, graphbal.plotting;"
        "print({'bokeh', 'jinja2'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


# ------------------------------------------------------------------ in a browser


class Browser:
    """Headless Chromium, and what is asked of it."""

    def __init__(self, driver, folder):
        self.driver, self.folder = driver, folder
        self.run = driver.execute_script

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def open(self, page, *, width=1440, scheme="light", media=""):
        """Open a page, and wait until its figures are drawn."""
        path = self.folder / "page.html"
        path.write_text(page.html, encoding="utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.emulate(scheme, media)
        self.driver.get(path.as_uri())
        self.wait("document.documentElement.dataset.ready")

    def emulate(self, scheme, media=""):
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.command("Emulation.setEmulatedMedia", media=media, features=features)

    def wait(self, condition):
        end = time.monotonic() + 30
        while not self.run(f"return {condition}"):
            assert time.monotonic() < end, condition
            time.sleep(0.02)

    def click(self, selector):
        from selenium.webdriver.common.by import By

        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def hover(self, figure, neuron):
        """Put the pointer over a neuron in a figure; return what is said there."""
        x, y = self.run(
            """
            const [id, neuron] = arguments;
            const view = [...Bokeh.index].find((each) => each.el.closest(`#${id}`));
            view.el.scrollIntoView({ block: "center", behavior: "instant" });
            const glyphs = view.model.renderers.filter((each) => each.glyph.type === "Scatter");
            const data = glyphs[0].data_source.data;
            const at = [...data.neuron].indexOf(neuron);
            const box = view.el.getBoundingClientRect();
            return [box.x + view.frame.x_scale.compute(data.x[at]),
                    box.y + view.frame.y_scale.compute(data.y[at])];
            """,
            figure,
            neuron,
        )
        for step in (5, 0):
            self.command("Input.dispatchMouseEvent", type="mouseMoved", x=x + step, y=y)
        self.wait(f"({SHADOW})('.bk-tooltip-content, .bk-Tooltip').length > 0")
        return self.run(
            f"return ({SHADOW})('.bk-Tooltip').map((each) => each.shadowRoot.textContent)"
        )


# Elements that match a selector, in shadow trees too.
SHADOW = """(selector) => {
    const found = [];
    const search = (root) => {
        for (const each of root.querySelectorAll("*")) {
            if (each.matches(selector)) found.push(each);
            if (each.shadowRoot) search(each.shadowRoot);
        }
    };
    search(document);
    return found;
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    folder = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    yield Browser(driver, folder)
    driver.quit()


@pytest.fixture(scope="module")
def opened(browser, worm):
    """The page of the worm in a browser; tests may sort and filter, but not leave it."""
    browser.open(worm)
    return browser


def test_it_opens_without_errors_and_asks_the_network_for_nothing(opened):
    errors = [each for each in opened.driver.get_log("browser") if each["level"] != "INFO"]
    assert errors == []
    sent = [json.loads(each["message"])["message"] for each in opened.driver.get_log("performance")]
    urls = [
        each["params"]["request"]["url"]
        for each in sent
        if each["method"] == "Network.requestWillBeSent"
    ]
    assert any(url.endswith("/page.html") for url in urls)
    assert all(url.startswith(("file:", "data:", "blob:")) for url in urls)
    assert opened.run("return document.querySelectorAll('figure').length") == opened.run(
        f"return ({SHADOW})('.bk-Figure').length"
    )


FIRST = "return [...document.querySelectorAll('#{} tbody tr')].map((row) => row.cells[{}].{})"


def test_a_header_sorts_by_click_and_by_key(opened):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    eq = gb.balance("celegans")
    button = "#neurons-1-rows thead th:nth-child(5) button"  # in before
    opened.click(button)
    values = opened.run(FIRST.format("neurons-1-rows", 4, "dataset.v"))
    expected = eq.original.incoming_costs.sort_values(ascending=False)
    np.testing.assert_allclose(np.array(values, dtype=float), expected)
    header = "document.querySelector('#neurons-1-rows thead th:nth-child(5)')"
    assert opened.run(f"return {header}.ariaSort") == "descending"
    opened.driver.find_element(By.CSS_SELECTOR, button).send_keys(Keys.ENTER)
    assert opened.run(f"return {header}.ariaSort") == "ascending"
    values = opened.run(FIRST.format("neurons-1-rows", 4, "dataset.v"))
    np.testing.assert_allclose(np.array(values, dtype=float), expected[::-1])
    opened.click("#neurons-1-rows thead th:nth-child(1) button")
    names = opened.run(FIRST.format("neurons-1-rows", 0, "textContent"))
    assert names[:3] == ["ADAL", "ADAR", "ADEL"]
    assert names.index("VD2") < names.index("VD10")
    assert opened.run("return document.querySelectorAll('[aria-sort]').length") == 1


def test_a_search_filters_and_the_csv_holds_the_rows(opened):
    from selenium.webdriver.common.by import By

    field = opened.driver.find_element(By.CSS_SELECTOR, "#synapses-1 input")
    assert field.accessible_name == "Search"
    field.send_keys("aval ria")
    shown = [
        row
        for row in zip(
            *(opened.run(FIRST.format("synapses-1-rows", at, "textContent")) for at in (0, 1)),
            opened.run(
                "return [...document.querySelectorAll('#synapses-1-rows tbody tr')]"
                ".map((row) => row.checkVisibility())"
            ),
            strict=True,
        )
        if row[2]
    ]
    field.clear()
    field.send_keys("AVAL")
    output = opened.run("return document.querySelector('#synapses-1 output').textContent")
    opened.click("#synapses-1 a[download]")
    path = opened.folder / "celegans-synapses.csv"
    end = time.monotonic() + 10
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    table = pd.read_csv(path)
    eq = gb.balance("celegans")
    expected = eq.most_changed_synapses(400)
    expected = expected[(expected[["pre", "post"]] == "AVAL").any(axis=1)]
    assert shown == []  # both words must be in the row
    assert output == f"{len(expected)} of 400 rows"
    assert (
        table[["from", "to"]].to_numpy().tolist() == expected[["pre", "post"]].to_numpy().tolist()
    )
    np.testing.assert_allclose(table["cost after"], expected["balanced_cost"], rtol=1e-9)


def test_a_hover_names_the_neuron(opened):
    assert any("ALA" in text for text in opened.hover("map-1", "ALA"))
    assert any("DD3" in text for text in opened.hover("inout-1", "DD3"))


# The contrast of every text with what is behind it, by the formula of WCAG 2.1; the least of them.
CONTRAST = """
const channels = (color) => color.match(/[\\d.]+/g).map(Number);
const luminance = (color) => {
    const [r, g, b] = channels(color).map((c) => (c / 255 <= 0.03928
        ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
        const color = getComputedStyle(each).backgroundColor;
        if (channels(color)[3] !== 0) return color;
    }
};
const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
};
const texts = [...document.querySelectorAll("body *")].filter((each) =>
    each.checkVisibility() && !each.closest(".plot")
    && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
const least = Math.min(...texts.map((each) =>
    contrast(getComputedStyle(each).color, behind(each))));
const hex = (color) => `rgb(${[1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16))})`;
const page = behind(document.body);
const axes = [...Bokeh.index].filter((view) => view.model.type === "Figure")
    .flatMap((view) => view.model.left.concat(view.model.below))
    .filter((axis) => axis.major_label_text_color)
    .map((axis) => contrast(hex(axis.major_label_text_color), page));
return { least, axes: Math.min(...axes), page: luminance(page) };
"""


def test_light_and_dark_can_be_read(opened):
    light = opened.run(CONTRAST)
    opened.run("delete document.documentElement.dataset.ready")
    opened.emulate("dark")
    opened.wait("document.documentElement.dataset.ready")
    dark = opened.run(CONTRAST)
    opened.emulate("light")
    assert light["page"] > 0.9
    assert dark["page"] < 0.05
    for colors in (light, dark):
        assert colors["least"] >= 4.5
        assert colors["axes"] >= 4.5


def test_on_paper_there_are_no_controls_and_nothing_scrolls(opened):
    opened.emulate("light", media="print")
    shown = opened.run(
        "return [...document.querySelectorAll('nav, .tools, .screen')]"
        ".filter((each) => each.checkVisibility()).length"
    )
    overflow = opened.run(
        "return [...document.querySelectorAll('.scroll')]"
        ".map((each) => getComputedStyle(each).overflow)"
    )
    opened.emulate("light")
    assert shown == 0
    assert set(overflow) == {"visible"}


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_overflows(browser, two, width):
    browser.open(two, width=width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return innerWidth") == width
    outside = browser.run(
        """
        return [...document.querySelectorAll("body *")].filter((each) => {
            if (each.closest(".skip") || each.parentElement.closest(".scroll")) return false;
            const box = each.getBoundingClientRect();
            return box.width > 0 && (box.left < -1 || box.right > innerWidth + 1);
        }).map((each) => each.outerHTML.slice(0, 80))
        """
    )
    assert outside == []
    # What is in a container that scrolls can be reached; what is not fits into its parent.
    wide = browser.run(
        """
        return [...document.querySelectorAll(".card, .tiles div, figure, figcaption, .tools, nav")]
            .filter((each) => each.scrollWidth > each.clientWidth + 1)
            .map((each) => each.outerHTML.slice(0, 80))
        """
    )
    assert wide == []
    legends = browser.run(
        f"""
        return ({SHADOW})(".bk-Legend").filter((each) => {{
            const plot = each.getRootNode().host.getBoundingClientRect();
            return each.getBoundingClientRect().right > plot.right + 1;
        }}).map((each) => each.shadowRoot.textContent.slice(-60))
        """
    )
    assert legends == []


def test_a_browser_shows_labels_as_text(browser, tmp_path):
    page = made({"mine": hostile_network()}, tmp_path)
    browser.open(page)
    browser.run("window.hits = 0; window.hit = () => { hits += 1 }")
    texts = browser.hover("map-1", HOSTILE[2])
    assert any(HOSTILE[2] in text for text in texts)
    assert browser.run("return hits") == 0
    assert browser.run(f"return ({SHADOW})('img').length") == 0
