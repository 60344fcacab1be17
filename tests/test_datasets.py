"""The embedded connectomes: their size, their sources, and facts known from the publications."""

from __future__ import annotations

import gzip
from importlib import resources

import numpy as np
import pytest

from graphbal import InputError, list_datasets, load_dataset
from graphbal.datasets import names, neuron_classes

FOLDER = resources.files("graphbal.datasets")


def test_every_dataset_of_the_issue_is_there():
    expected = {"celegans", "celegans-gap", "celegans-male", "celegans-male-gap"}
    assert set(names()) == expected | {f"witvliet-{stage}" for stage in range(1, 9)}


def test_the_list_tells_size_source_doi_and_licence():
    table = list_datasets()
    assert list(table.columns) == [
        "name", "neurons", "synapses", "title", "source", "doi", "licence",
    ]  # fmt: skip
    assert table["doi"].str.fullmatch(r"10\.1038/s41586-\d{3}-\d{4,5}-\w").all()
    assert table["source"].str.contains(r"\(20(?:19|21)\)\..*Nature \d{3}, \d+–\d+\.$").all()
    assert not table.isna().any(axis=None)


@pytest.mark.parametrize("name", names())
def test_a_dataset_is_as_large_as_the_list_says(name):
    net = load_dataset(name)
    row = list_datasets().set_index("name").loc[name]
    assert (net.n_neurons, net.n_synapses) == (row["neurons"], row["synapses"])
    assert net.intake.repeated == net.intake.zeros == 0
    # An independent count: lines of the file below its header.
    text = gzip.decompress(FOLDER.joinpath(f"{name}.csv.gz").read_bytes()).decode()
    assert text.count("\n") - 1 == net.n_synapses


@pytest.mark.parametrize("name", names())
def test_weights_are_positive_integers_and_neurons_sorted(name):
    net = load_dataset(name)
    assert (net.weights.data >= 1).all()
    assert (net.weights.data % 1 == 0).all()
    assert net.neurons.tolist() == sorted(net.neurons)
    assert net.neurons.str.fullmatch(r"[A-Zv][A-Za-z0-9]*").all()


def test_the_hermaphrodite_has_302_neurons_and_the_published_connections():
    net = load_dataset("celegans")
    assert net.n_neurons == 302
    assert 3_650 < net.n_synapses < 3_750
    weight = net.edges().set_index(["pre", "post"])["weight"]
    assert weight["I1L", "I2L"] == 10  # first entries of the published matrix
    assert weight["I1R", "I2R"] == 6
    # The command interneurons are among the strongest receivers.
    received = weight.groupby("post").sum().nlargest(10)
    assert {"AVAL", "AVAR", "AVBL", "AVBR"} <= set(received.index)


def test_both_networks_of_an_animal_have_the_same_neurons():
    for chemical in ("celegans", "celegans-male"):
        assert load_dataset(chemical).neurons.equals(load_dataset(f"{chemical}-gap").neurons)


@pytest.mark.parametrize("name", ["celegans-gap", "celegans-male-gap"])
def test_gap_junctions_are_symmetric(name):
    J = load_dataset(name).weights
    assert abs(J - J.T).max() == 0


def test_chemical_synapses_are_directed():
    J = load_dataset("celegans").weights
    assert abs(J - J.T).max() > 10


def test_the_brain_gains_synapses_from_birth_to_adulthood():
    totals = [load_dataset(f"witvliet-{stage}").weights.sum() for stage in range(1, 9)]
    assert np.all(np.diff(totals) > 0)


def test_the_cost_function_is_passed_on():
    net = load_dataset("witvliet-1", p=1, alpha=2.0)
    assert net.total_cost == 2 * net.weights.sum()


def test_an_unknown_dataset_is_refused_with_the_list():
    with pytest.raises(InputError, match=r"no dataset called 'human'.*witvliet-8"):
        load_dataset("human")


def test_files_are_small_and_reproducible():
    files = [file for file in FOLDER.iterdir() if file.name.endswith((".gz", ".json"))]
    assert sum(len(file.read_bytes()) for file in files) < 2_000_000
    for file in files:
        if file.name.endswith(".gz"):
            assert file.read_bytes()[4:8] == b"\0\0\0\0"  # no time of writing


def test_a_loaded_dataset_may_be_changed_without_harm_to_the_next():
    load_dataset("celegans").graph_attributes["title"] = "mine"
    assert "hermaphrodite" in load_dataset("celegans").graph_attributes["title"]


def test_every_neuron_of_every_dataset_has_a_class_and_nothing_else_has():
    classes = neuron_classes()
    assert classes.index.is_unique
    neurons = {neuron for name in names() for neuron in load_dataset(name).neurons}
    assert set(classes.index) == neurons


def test_classes_are_as_many_as_published():
    """Cook et al. 2019: 302 neurons of the hermaphrodite, 20 of them in the pharynx."""
    classes = neuron_classes()
    counts = classes[load_dataset("celegans").neurons].value_counts()
    assert counts.to_dict() == {
        "sensory": 83, "interneuron": 81, "motor": 116, "pharyngeal": 20, "other": 2,
    }  # fmt: skip
    male = set(load_dataset("celegans-male").neurons) - set(load_dataset("celegans").neurons)
    assert classes[sorted(male)].value_counts().to_dict() == {"sensory": 56, "interneuron": 34}
    known = {"ASEL": "sensory", "CEMVR": "sensory", "MCML": "interneuron", "AVAR": "interneuron",
             "HSNL": "motor", "DD1": "motor", "M4": "pharyngeal", "CANR": "other"}  # fmt: skip
    assert classes[list(known)].to_dict() == known
