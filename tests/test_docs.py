"""The documentation: its examples run, and whatever is public has one."""

from __future__ import annotations

import doctest
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
OPTIONAL = ("bct", "pygsp")  # in the extra `docs`; sections that import them run where they are


def examples(page: Path) -> str:
    """Return the Python sessions of a page, without sections that need what is not installed."""
    absent = [f"import {package}" for package in OPTIONAL if not find_spec(package)]
    sections = re.split(r"^(?=## )", page.read_text(), flags=re.M)
    runnable = [text for text in sections if not any(needed in text for needed in absent)]
    return "\n".join(re.findall(r"^```pycon\n(.*?)^```", "\n".join(runnable), re.M | re.S))


@pytest.mark.parametrize(
    "page", [page for page in sorted(DOCS.glob("*.md")) if "```pycon" in page.read_text()], ids=str
)
def test_examples_of_a_page_run(page):
    report: list[str] = []
    test = doctest.DocTestParser().get_doctest(examples(page), {}, page.name, None, None)
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert not report, "".join(report)
