"""Derive the embedded connectomes from the published tables that the package `cect` ships.

Run ``pip install cect==0.3.5 openpyxl`` in an environment of its own, then
``python tools/derive_datasets.py [FOLDER]``; FOLDER defaults to ``graphbal/datasets``. The same
inputs give the same files byte for byte (compressed by the same zlib). The tables read and their
SHA-256 are listed in `INPUTS` and checked before anything is written.

Cook et al. 2019 (Supplementary Information 5 as corrected by the authors in July 2020) is a set of
matrices, row = presynaptic cell, column = postsynaptic cell, weight = number of electron-microscope
serial sections over all synapses of the pair. Witvliet et al. 2021 is one edge list per animal,
weight = number of synapses. What is kept:

- synapses between neurons. Balance is a statement about the recurrent network; muscles and other
  end organs receive but (through chemical synapses) never send, so that no finite equilibrium
  would exist with them, and every synapse onto them would simply vanish;
- every neuron that the publication covers, also one without a synapse of the kind in question, so
  that the chemical and the gap-junction network of an animal have the same neurons;
- self-connections, as published;
- the weights, unsigned: the tables say nothing of the sign.

Neurons are named as in the literature, without leading zeros (VB01 is VB1).

The classes of the neurons are the headings under which Cook et al. list the cells of both sexes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cect.Cells import (
    ALL_NEURON_NAMES_COOK,
    MALE_HEAD_INTERNEURONS,
    MALE_HEAD_SENSORY_NEURONS,
    PREFERRED_HERM_NEURON_NAMES,
    is_male_neuron,
)
from openpyxl import load_workbook

CECT = "0.3.5"
COOK = "SI 5 Connectome adjacency matrices, corrected July 2020.xlsx"
INPUTS = {  # file below cect/data: SHA-256
    COOK: "1f4fdbf84746b69b49a8da0816f52787860ce349b638dce37924ba80f90c70c9",
    "witvliet_2020_1 L1.xlsx": "e988deaa25d290786434a23131c1bf3f144e3ca07980233a6edbfcfb8d4d30be",
    "witvliet_2020_2 L1.xlsx": "b365bdd96dea52c261c748232dd5d333671721865be1282f3b7efa806d010e2a",
    "witvliet_2020_3 L1.xlsx": "d94d522af2a64177ebef0dea0951b2a252eb973bbed01a85a19aaafe4ff0244b",
    "witvliet_2020_4 L1.xlsx": "10f16bd1f122288e9111acabccbf3fbd4811b861ce6e3293600d4eb5e42e4fbe",
    "witvliet_2020_5 L2.xlsx": "011ebda64c379fa066254ddd5c8ff0ab89621e1e85e8d31ffc0b37b9602fc163",
    "witvliet_2020_6 L3.xlsx": "9b342751812bf42733ae7c0de8b40f41ea0af0c5c560215d59525631b220b177",
    "witvliet_2020_7 adult.xlsx": (
        "d0fd2dd32adbe5f04ce90a2e5b74c01c9a831876527b0a2b8bd5b94edc86b037"
    ),
    "witvliet_2020_8 adult.xlsx": (
        "fdead89606257c1b26e57069fbe1de14c7696633b75b59b79e74c0bcc3497e62"
    ),
}

SOURCES = {
    "cook": {
        "source": "Cook SJ, Jarrell TA, Brittin CA, Wang Y, Bloniarz AE, Yakovlev MA, Nguyen KCQ, "
        "Tang LT-H, Bayer EA, Duerr JS, Bülow HE, Hobert O, Hall DH, Emmons SW (2019). "
        "Whole-animal connectomes of both Caenorhabditis elegans sexes. Nature 571, 63–71.",
        "doi": "10.1038/s41586-019-1352-7",
        "table": COOK,
    },
    "witvliet": {
        "source": "Witvliet D, Mulcahy B, Mitchell JK, Meirovitch Y, Berger DR, Wu Y, Liu Y, "
        "Koh WX, Parvathala R, Holmyard D, Schalek RL, Shavit N, Chisholm AD, Lichtman JW, "
        "Samuel ADT, Zhen M (2021). Connectomes across development reveal principles of brain "
        "maturation. Nature 596, 257–261.",
        "doi": "10.1038/s41586-021-03778-8",
    },
}
LICENCE = f"MIT, as redistributed by cect {CECT}; cite the article"
SECTIONS = "number of electron-microscope serial sections over all synapses of the pair"
COOK_SHEETS = {
    "celegans": ("hermaphrodite chemical", "hermaphrodite, chemical synapses"),
    "celegans-gap": ("hermaphrodite gap jn symmetric", "hermaphrodite, gap junctions (symmetric)"),
    "celegans-male": ("male chemical", "male, chemical synapses"),
    "celegans-male-gap": ("male gap jn symmetric", "male, gap junctions (symmetric)"),
}
WITVLIET_STAGES = {
    1: ("L1", ", 0 h after birth"),
    2: ("L1", ", 5 h after birth"),
    3: ("L1", ", 8 h after birth"),
    4: ("L1", ", 16 h after birth"),
    5: ("L2", ", 23 h after birth"),
    6: ("L3", ", 27 h after birth"),
    7: ("adult", ""),
    8: ("adult", ""),
}
CLASS_OF_HEADING = {
    "SENSORY NEURONS": "sensory",
    "INTERNEURONS": "interneuron",
    "MOTOR NEURONS": "motor",
    "PHARYNX": "pharyngeal",
    "OTHER END ORGANS": "other",
}
# The one heading that tells the place instead of the class.
MALE_HEAD = dict.fromkeys(MALE_HEAD_SENSORY_NEURONS, "sensory") | dict.fromkeys(
    MALE_HEAD_INTERNEURONS, "interneuron"
)

Synapse = tuple[str, str, int]


def published_table(name: str) -> Any:
    """Open a table of `cect` after checking that it is the one this script was written for."""
    path = resources.files("cect") / "data" / name
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != INPUTS[name]:
        raise SystemExit(f"{name}: SHA-256 is {digest}, expected {INPUTS[name]}")
    return load_workbook(path, read_only=True, data_only=True)


def standard_name(cell: str) -> str:
    """Return the name of the literature: VB01 → VB1, CA01 → CA1."""
    return re.sub(r"^([A-Z]{2})0(\d)$", r"\1\2", cell.strip())


def cook_synapses(sheet: Any) -> Iterator[Synapse]:
    """Read a matrix: names in row 3 and column C, weights from row 4, column D."""
    rows = list(sheet.iter_rows(values_only=True))
    posts = {at: standard_name(name) for at, name in enumerate(rows[2]) if name is not None}
    for row in rows[3:]:
        if row[2] is None:  # rows of totals below the matrix
            continue
        for at, post in posts.items():
            if at < len(row) and row[at]:
                yield standard_name(row[2]), post, int(row[at])


def cook_classes(sheet: Any) -> Iterator[tuple[str, str]]:
    """Read the class of each cell: headings in columns A and B, names in column C from row 4."""
    heading = None
    for row in sheet.iter_rows(min_row=4, max_col=3, values_only=True):
        for cell in row[:2]:
            if cell in CLASS_OF_HEADING:
                heading = cell
        if row[2] is not None:
            name = standard_name(row[2])
            yield name, MALE_HEAD.get(name) or CLASS_OF_HEADING[heading]


def witvliet_rows(sheet: Any) -> Iterator[tuple[str, str, str, int]]:
    """Read an edge list with the columns pre, post, type, synapses."""
    for pre, post, kind, count in sheet.iter_rows(min_row=2, max_col=4, values_only=True):
        if pre is not None:
            yield standard_name(pre), standard_name(post), kind, int(count)


def male_neurons() -> list[str]:
    """Return the neurons of the male."""
    return [name for name in ALL_NEURON_NAMES_COOK if is_male_neuron(name)]


def networks() -> Iterator[tuple[str, dict[str, Any], list[Synapse], set[str]]]:
    """Yield name, description, synapses between neurons, and all neurons of each dataset."""
    hermaphrodite = {standard_name(name) for name in PREFERRED_HERM_NEURON_NAMES}
    male = {standard_name(name) for name in male_neurons()}
    book = published_table(COOK)
    for name, (sheet, what) in COOK_SHEETS.items():
        about = {"title": f"C. elegans adult {what}", **SOURCES["cook"], "weight": SECTIONS}
        neurons = male if "male" in name else hermaphrodite
        yield name, about, list(among(neurons, cook_synapses(book[sheet]))), neurons
    for number, (stage, age) in WITVLIET_STAGES.items():
        table = f"witvliet_2020_{number} {stage}.xlsx"
        rows = list(witvliet_rows(published_table(table).worksheets[0]))
        neurons = {cell for row in rows for cell in row[:2]} & hermaphrodite
        chemical = ((pre, post, count) for pre, post, kind, count in rows if kind == "chemical")
        about = {
            "title": f"C. elegans brain, {stage}{age} (dataset {number}), chemical synapses",
            **SOURCES["witvliet"],
            "table": table,
            "weight": "number of synapses of the pair",
        }
        yield f"witvliet-{number}", about, list(among(neurons, chemical)), neurons


def neuron_classes() -> dict[str, Any]:
    """Return the neurons of each class, all that are in any dataset, and where it is written."""
    neurons = {standard_name(name) for name in [*PREFERRED_HERM_NEURON_NAMES, *male_neurons()]}
    book = published_table(COOK)
    class_of = {
        name: kind
        for dataset in ("celegans-gap", "celegans-male-gap")  # these list all cells of a sex
        for name, kind in cook_classes(book[COOK_SHEETS[dataset][0]])
    }
    members: dict[str, list[str]] = {kind: [] for kind in CLASS_OF_HEADING.values()}
    for name in sorted(neurons):
        members[class_of[name]].append(name)
    return {
        **SOURCES["cook"],
        "table_sha256": INPUTS[COOK],
        "licence": LICENCE,
        "classes": members,
    }


def among(neurons: set[str], synapses: Iterable[Synapse]) -> Iterator[Synapse]:
    """Keep the synapses whose partners are both neurons."""
    return (synapse for synapse in synapses if {synapse[0], synapse[1]} <= neurons)


def main(folder: Path) -> None:
    """Write one ``NAME.csv.gz`` per dataset, ``index.json`` and ``neuron_classes.json``."""
    if version("cect") != CECT:
        raise SystemExit(f"cect {CECT} is needed, {version('cect')} is installed")
    index = {}
    for name, about, synapses, neurons in networks():
        synapses.sort()
        lines = ["pre,post,weight", *(f"{pre},{post},{weight}" for pre, post, weight in synapses)]
        text = ("\n".join(lines) + "\n").encode()
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text, compresslevel=9, mtime=0))
        connected = {cell for synapse in synapses for cell in synapse[:2]}
        index[name] = {
            **about,
            "table_sha256": INPUTS[about["table"]],
            "licence": LICENCE,
            "neurons": len(neurons),
            "synapses": len(synapses),
            "unconnected": sorted(neurons - connected),
        }
        print(f"{name}: {len(neurons)} neurons, {len(synapses)} synapses")
    for name, content in (("index", index), ("neuron_classes", neuron_classes())):
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    default = Path(__file__).resolve().parent.parent / "graphbal" / "datasets"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
