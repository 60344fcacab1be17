"""The documentation: its examples run, and everything public has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
OPTIONAL = ("bct", "pygsp")  # sections of pages that import them run where they are installed


def run(examples: str, name: str) -> None:
    report: list[str] = []
    test = doctest.DocTestParser().get_doctest(examples, {}, name, None, None)
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert not report, "".join(report)


def examples_of(page: Path) -> str:
    """Return the Python sessions of a page, without sections that need what is not installed."""
    absent = [f"import {package}" for package in OPTIONAL if not find_spec(package)]
    sections = re.split(r"^(?=## )", page.read_text(), flags=re.M)
    runnable = [text for text in sections if not any(needed in text for needed in absent)]
    return "\n".join(re.findall(r"^```pycon\n(.*?)^```", "\n".join(runnable), re.M | re.S))


def listed() -> dict[str, Any]:
    """Return what the reference lists, by full name."""
    found = {}
    for page in sorted((DOCS / "reference").glob("*.rst")):
        for part in re.split(r"^\.\. currentmodule:: ", page.read_text(), flags=re.M)[1:]:
            module = part.split(maxsplit=1)[0]
            for names in re.findall(r"^\.\. autosummary::\n(.*?)(?=^\S|\Z)", part, re.M | re.S):
                for name in re.findall(r"^   (\w\S*)$", names, re.M):
                    home, _, last = f"{module}.{name}".rpartition(".")
                    found[f"{home}.{last}"] = getattr(importlib.import_module(home), last)
    return found


LISTED = {name: thing for name, thing in listed().items() if callable(thing)}
# What measures take and return is said once, by their module.
FUNCTIONS = {
    name: thing
    for name, thing in LISTED.items()
    if not inspect.isclass(thing) and not name.startswith("graphbal.measures.")
}
METHODS = {
    f"{name}.{attribute}": getattr(thing, attribute)
    for name, thing in LISTED.items()
    if inspect.isclass(thing)
    for attribute, value in vars(thing).items()
    if not attribute.startswith("_")
    and isinstance(getattr(thing, attribute), FunctionType | MethodType)
}


@cache
def all_examples() -> str:
    """Return the source of every example in a docstring of what the reference lists."""
    documented = [*LISTED.values(), *METHODS.values()]
    parser = doctest.DocTestParser()
    return "\n".join(
        example.source for thing in documented for example in parser.get_examples(thing.__doc__)
    )


def section(doc: str, heading: str) -> str:
    """Return a section of a docstring in the style of numpydoc; empty if it is not there."""
    found = re.search(rf"^{heading}\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", doc, re.M | re.S)
    return found[1] if found else ""


@pytest.mark.parametrize(
    "page",
    [page for page in sorted(DOCS.glob("*.md")) if "```pycon" in page.read_text()],
    ids=lambda page: page.stem,
)
def test_examples_of_a_page_run(page):
    run(examples_of(page), page.name)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_between_files_lead_somewhere(page):
    """Sphinx sees to those of the documentation."""
    text = (DOCS.parent / page).read_text()
    targets = re.findall(r"\]\(([^):#]+)\)|src=\"([^\":]+)\"", text)
    for target in filter(None, sum(targets, ())):
        assert (DOCS.parent / target).exists()


@pytest.mark.parametrize("name", LISTED)
def test_what_is_listed_has_an_example(name):
    """Pytest runs it: it collects the doctests of the package."""
    assert ">>> " in section(inspect.getdoc(LISTED[name]), "Examples")


@pytest.mark.parametrize("name", METHODS)
def test_method_is_described_and_called_in_an_example(name):
    doc = inspect.getdoc(METHODS[name])
    assert doc
    assert f".{name.rpartition('.')[2]}(" in all_examples()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_says_what_it_takes_and_returns(name):
    doc = inspect.getdoc(FUNCTIONS[name])
    lines = re.findall(r"^(?=[\w*])[^:\n]+", section(doc, "Parameters"), re.M)
    signature = inspect.signature(FUNCTIONS[name])
    assert set(signature.parameters) == set(re.findall(r"\w+", "\n".join(lines)))
    if signature.return_annotation not in (None, "None"):
        assert section(doc, "Returns") or section(doc, "Yields")


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if "+SKIP" in FUNCTIONS[name].__doc__])
def test_examples_that_need_a_framework_run_where_it_is(name):
    """Pytest skips them, since it may not be installed."""
    doc = FUNCTIONS[name].__doc__
    pytest.importorskip("torch" if "torch" in doc else "jax")
    run(doc.replace("# doctest: +SKIP", ""), name)
