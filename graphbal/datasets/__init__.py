"""Embedded connectomes of *C. elegans*, each with its source.

Every dataset is the network among neurons: balance is a statement about the recurrent network, and
muscles and other end organs receive chemical synapses without sending any, so that their synapses
would vanish at the equilibrium. Every neuron that the publication covers is there, also one without
a synapse of the kind in question. Weights are positive; the tables do not say which synapses
inhibit. Files below this folder are derived from the published tables by
``tools/derive_datasets.py``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from graphbal.errors import InputError
from graphbal.network import SynapticNetwork

__all__ = ["list_datasets", "load_dataset", "names", "neuron_classes"]


def _read(name: str) -> dict[str, Any]:
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    return json.loads(text)


@cache
def _index() -> dict[str, dict[str, Any]]:
    return _read("index.json")


def names() -> list[str]:
    """Return the names of the embedded datasets.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from graphbal import datasets
    >>> datasets.names()[:3]
    ['celegans', 'celegans-gap', 'celegans-male']
    """
    return list(_index())


def list_datasets() -> pd.DataFrame:
    """Return the embedded datasets: size, title, source, DOI and licence.

    Returns
    -------
    DataFrame
        The columns name, neurons, synapses (number of connected pairs), title, source (the
        citation), doi, licence.

    Examples
    --------
    >>> from graphbal import list_datasets
    >>> list_datasets()[["name", "neurons", "synapses", "doi"]].head(2)
               name  neurons  synapses                        doi
    0      celegans      302      3709  10.1038/s41586-019-1352-7
    1  celegans-gap      302      2196  10.1038/s41586-019-1352-7
    """
    columns = ["name", "neurons", "synapses", "title", "source", "doi", "licence"]
    rows = [{"name": name, **about} for name, about in _index().items()]
    return pd.DataFrame(rows, columns=columns)


def load_dataset(name: str, p: float = 2.0, alpha: Any = 1.0) -> SynapticNetwork:
    """Load an embedded connectome; no connection to the internet is needed.

    Parameters
    ----------
    name : str
        ``celegans`` and ``celegans-male``: chemical synapses of both adult sexes; with ``-gap``:
        their gap junctions, symmetric [1]_. The weight is the number of electron-microscope
        sections over all synapses of the pair. ``witvliet-1`` to ``witvliet-8``: chemical synapses
        of the brain from birth to adulthood, weighed by their number [2]_.
    p, alpha
        The cost function; see `SynapticNetwork`.

    Returns
    -------
    SynapticNetwork
        Neurons sorted by name; ``graph_attributes`` says title, source and unit of the weights.

    Raises
    ------
    InputError
        If there is no such dataset; the message lists them.

    References
    ----------
    .. [1] S. J. Cook et al., "Whole-animal connectomes of both Caenorhabditis elegans sexes",
       Nature 571, 63–71 (2019). https://doi.org/10.1038/s41586-019-1352-7
    .. [2] D. Witvliet et al., "Connectomes across development reveal principles of brain
       maturation", Nature 596, 257–261 (2021). https://doi.org/10.1038/s41586-021-03778-8

    Examples
    --------
    >>> from graphbal import load_dataset
    >>> net = load_dataset("celegans")
    >>> net
    SynapticNetwork(302 neurons, 3,709 synapses, c = |J|^2)
    >>> AVAL, AVBL = net.positions(["AVAL", "AVBL"])
    >>> float(net.weights[AVBL, AVAL])   # from AVAL to AVBL
    2.0
    """
    from graphbal.convert import from_edges

    if name not in _index():
        raise InputError(
            f"there is no dataset called {name!r}; the datasets are {', '.join(_index())}"
        )
    about = _index()[name]
    with resources.files(__name__).joinpath(f"{name}.csv.gz").open("rb") as file:
        table = pd.read_csv(file, compression="gzip", keep_default_na=False)
    neurons = sorted({*table["pre"], *table["post"], *about["unconnected"]})
    network = from_edges(table, neurons=neurons, p=p, alpha=alpha)
    kept = ("title", "source", "doi", "licence", "weight")
    return replace(network, graph_attributes={"name": name} | {key: about[key] for key in kept})


def neuron_classes() -> pd.Series:
    """Return the class of every neuron of the embedded datasets.

    The classes are the headings under which Cook et al. [1]_ list the cells of both sexes, those
    of one sex only included: sensory, interneuron, motor, pharyngeal (the nervous system of the
    pharynx, whatever its function) and other (CANL and CANR, of unknown function). Other authors
    draw some lines elsewhere: AVL, DVB and the male's CA and CP neurons, here interneurons, are
    motor neurons to many.

    Returns
    -------
    Series
        Neuron → class, by class and name.

    References
    ----------
    .. [1] S. J. Cook et al., "Whole-animal connectomes of both Caenorhabditis elegans sexes",
       Nature 571, 63–71 (2019), Supplementary Information 5.
       https://doi.org/10.1038/s41586-019-1352-7

    Examples
    --------
    >>> from graphbal import datasets, load_dataset
    >>> classes = datasets.neuron_classes()
    >>> classes[["ASHL", "AVAL", "VB1"]].tolist()
    ['sensory', 'interneuron', 'motor']
    >>> classes[load_dataset("celegans").neurons].value_counts().to_dict()
    {'motor': 116, 'sensory': 83, 'interneuron': 81, 'pharyngeal': 20, 'other': 2}
    """
    members = _read("neuron_classes.json")["classes"]
    class_of = {neuron: kind for kind, neurons in members.items() for neuron in neurons}
    return pd.Series(class_of, name="class").rename_axis("neuron")
