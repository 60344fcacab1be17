"""The Sphinx configuration: ``sphinx-build -W --keep-going docs docs/_build/html``."""

import re
import warnings

import matplotlib as mpl
from sphinx.util.nodes import make_refnode

from graphbal import __version__

mpl.use("Agg")
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

project = "graphbal"
author = "graphbal developers"
copyright = "2026, graphbal developers"
release = version = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_tutorials/*.ipynb", "auto_tutorials/*.json"]
templates_path = ["_templates"]

myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
# `topology` and `Topology` would be one file where names ignore case.
autosummary_filename_map = {
    "graphbal.topology": "graphbal.topology-function",
    "graphbal.compare.comparison": "graphbal.compare.comparison-function",
    "graphbal.analytic.kolmogorov": "graphbal.analytic.kolmogorov-function",
}
autodoc_typehints = "none"  # numpydoc's parameter lists say more
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "py:obj"
# Every link must lead somewhere. A bare name may be that of a parameter or an attribute instead.
nitpicky = True
nitpick_ignore_regex = [("py:obj", r"\w+")]

sphinx_gallery_conf = {
    "examples_dirs": "../tutorials",
    "gallery_dirs": "auto_tutorials",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "min_reported_time": 1,
    "reset_modules": ("matplotlib",),
    "show_memory": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "graphbal"
html_static_path = ["_static"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "graphbal"},
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}
html_sidebars = {"*": []}  # pages at the top have no neighbours to list


def escape_bars(app, what, name, obj, options, lines):
    """Let |x| in a docstring be an absolute value; to Sphinx it names a substitution."""
    in_math = False
    for at, line in enumerate(lines):
        if line.strip():
            in_math = line.lstrip().startswith(".. math::") or (in_math and line.startswith(" "))
        if not in_math:
            parts = re.split(r"(`+[^`]*`+)", line)
            parts[::2] = [re.sub(r"(?<!\\)\|", r"\|", part) for part in parts[::2]]
            lines[at] = "".join(parts)


def link_short_names(app, env, node, contnode):
    """Let `balance` lead to `graphbal.balance`, and `rewire` to the only thing of that name."""
    if node.get("reftype") != "obj":
        return None
    name = node["reftarget"]
    kinds = ("class", "data", "exception", "function")
    found = {
        full: entry
        for full, entry in env.domains["py"].objects.items()
        if full.endswith(f".{name}") and entry.objtype in kinds
    }
    full = f"graphbal.{name}" if f"graphbal.{name}" in found else "".join(found)
    if full not in found:
        return None
    page, anchor = found[full].docname, found[full].node_id
    return make_refnode(app.builder, node["refdoc"], page, anchor, contnode, full)


def setup(app):
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("missing-reference", link_short_names)
