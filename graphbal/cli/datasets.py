"""``graphbal datasets``."""

from __future__ import annotations

from graphbal.cli._options import AsJson
from graphbal.cli._words import console, json_text, table


def datasets_command(as_json: AsJson = False) -> None:
    """List the embedded connectomes and their sources."""
    from graphbal.datasets import list_datasets

    listed = list_datasets()
    if as_json:
        print(json_text(listed.to_dict(orient="records")))
        return
    lines = console()
    sizes = ("neurons", "synapses")
    texts = listed.assign(**{name: listed[name].map("{:,}".format) for name in sizes})
    lines.print(table("", texts[["name", *sizes, "title", "doi"]], right=sizes))
    for source, doi in listed[["source", "doi"]].drop_duplicates().itertuples(index=False):
        lines.print(f"{source} https://doi.org/{doi}", markup=False, soft_wrap=True)
