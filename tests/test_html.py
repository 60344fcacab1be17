"""How results look in a notebook."""

from html.parser import HTMLParser

import numpy as np
import pytest

import graphbal as gb

HOSTILE = "<script>alert('&')</script>"
VOID = {"br", "img", "hr"}


def network():
    labels = [HOSTILE, *(f"n{k}" for k in range(11)), "last"]
    rng = np.random.default_rng(0)
    J = rng.lognormal(size=(13, 13)) * (rng.random((13, 13)) < 0.4)
    J[:, 12] = 0  # sends nothing, so that its synapses vanish
    J[0, 1] = J[1, 0] = 40.0
    return gb.SynapticNetwork.from_scipy(J, neurons=labels)


def results():
    net = network()
    eq = gb.balance(net)
    core = gb.subnetwork(net, net.neurons[:12])
    return {
        "SynapticNetwork": net,
        "Equilibrium": eq,
        "Topology": eq.topology,
        "Modes": gb.eigenmodes(core, 4),
        "Trajectory": gb.flow(core, (0, 1)),
        "LocalRun": gb.local_rule(core, 1e-5, 10),
        "Response": gb.linear_response(core, [0.1, 1.0], k=3),
        "Sensitivity": gb.sensitivity(core),
    }


RESULTS = results()


class Reader(HTMLParser):
    """Collects text, and complains of tags that are not closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.tags, self.styles = [], [], set(), []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.styles += [value for name, value in attrs if name == "style"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data.split("\n")


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_sound_html_that_runs_nothing(name):
    text = RESULTS[name]._repr_html_()
    page = Reader(text)
    assert page.words[0] == name
    assert page.tags <= {"div", "strong", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert len(text) < 10_000
    # Light or dark: every colour is left to the notebook.
    assert not any("color" in style or "background" in style for style in page.styles)


def test_labels_are_escaped():
    for name in ("SynapticNetwork", "Equilibrium"):
        text = RESULTS[name]._repr_html_()
        assert "<script" not in text
        assert any(HOSTILE in word for word in Reader(text).words)


def test_what_a_network_and_its_equilibrium_say():
    net, eq = RESULTS["SynapticNetwork"], RESULTS["Equilibrium"]
    words = Reader(net._repr_html_()).words
    assert f"13: {HOSTILE}, n0, n1, …, last" in words
    assert f"{net.n_synapses:,}" in words
    assert "40" in words[words.index("weights") + 1].split()
    words = Reader(eq._repr_html_()).words
    assert (
        f"{eq.initial_cost:.6g} → {eq.total_cost:.6g} ({-eq.drop / eq.initial_cost:+.1%})" in words
    )
    assert words[words.index("vanishing synapses") + 1] == str(len(eq.topology.vanishing_edges))
    assert eq.message in words
    words = Reader(eq.topology._repr_html_()).words
    assert words[words.index("finite equilibrium") + 1] == "no"


def test_networks_without_synapses_or_labels_to_spare_are_shown():
    for size, shown in ((1, "1: 0"), (4, "4: 0, 1, 2, 3"), (5, "5: 0, 1, 2, …, 4"), (0, "0: ")):
        net = gb.SynapticNetwork.from_scipy(np.zeros((size, size)))
        words = Reader(net._repr_html_()).words
        assert shown in words
        assert "none" in words
    assert Reader(gb.topology(net)._repr_html_()).words[0] == "Topology"
