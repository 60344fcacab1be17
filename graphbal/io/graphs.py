"""Graph files through NetworkX: GraphML, GEXF and node-link JSON."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from graphbal.convert import from_networkx, to_networkx
from graphbal.errors import InputError
from graphbal.io.compression import opened
from graphbal.network import SynapticNetwork

if TYPE_CHECKING:
    import networkx as nx

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")


def read(
    path: Path, format: str, *, pre: str | None, post: str | None, weight: str | None
) -> SynapticNetwork:
    """Read a graph; an edge without weight weighs 1."""
    if pre is not None or post is not None:
        raise InputError("a graph file has no columns to name; leave out pre and post")
    try:
        with opened(path) as file:
            content = file.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"the compressed file is damaged: {error}") from error
    graph = _read_json(content) if format == "json" else _read_xml(content, format)
    return from_networkx(graph, weight=weight or "weight")


def write(network: SynapticNetwork, file: IO[bytes], format: str) -> None:
    """Write the graph with its attributes, the weight among them."""
    import networkx as nx

    graph = to_networkx(network, cost=None)
    try:
        if format == "json":
            file.write(json.dumps(nx.node_link_data(graph, edges="edges")).encode())
        elif format == "gexf":
            nx.write_gexf(graph, file)
        else:
            nx.write_graphml_xml(graph, file)
    except (TypeError, ValueError, KeyError, nx.NetworkXException) as error:
        raise InputError(f"{format} cannot hold a label or an attribute: {error}") from error


def _read_json(content: bytes) -> nx.Graph:
    import networkx as nx

    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the JSON is malformed: {error}") from error
    links = "links" if isinstance(data, dict) and "links" in data else "edges"
    if not isinstance(data, dict) or not {"nodes", links} <= data.keys():
        raise InputError('this is not a node-link graph: it needs the keys "nodes" and "edges"')
    try:
        graph = nx.node_link_graph(data, directed=True, multigraph=False, edges=links)
        if len(graph) != len(data["nodes"]):
            seen: set[str] = set()
            for label in (node["id"] for node in data["nodes"]):
                if repr(label) in seen:
                    raise InputError(f"the node {label!r} occurs twice")
                seen.add(repr(label))
            raise InputError("an edge joins a node that is not among the nodes")
    except (TypeError, KeyError, AttributeError, nx.NetworkXException) as error:
        raise InputError(f"this is not a node-link graph: {error!r}") from error
    return graph


def _read_xml(content: bytes, format: str) -> nx.Graph:
    import io

    import networkx as nx

    _check_xml(content)
    reader = nx.read_gexf if format == "gexf" else nx.read_graphml
    try:
        graph = reader(io.BytesIO(content))
    except (nx.NetworkXException, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"this is not a {format} graph: {error}") from error
    if all(_INTEGER.fullmatch(label) for label in graph):
        graph = nx.relabel_nodes(graph, {label: int(label) for label in graph})
    return graph


def _check_xml(content: bytes) -> None:
    """Refuse XML that is malformed, declares entities, or names a node twice."""
    from xml.parsers import expat

    seen: set[str] = set()

    def refuse(*declaration: Any) -> None:
        raise InputError("the XML has a document type declaration, which is refused; remove it")

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(":")[2] == "node" and "id" in attributes:
            if attributes["id"] in seen:
                raise InputError(f"the node {attributes['id']!r} occurs twice")
            seen.add(attributes["id"])

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise InputError(f"the XML is malformed: {error}") from error
