"""One page about a network, or about several side by side: `report`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphbal.errors import InputError

if TYPE_CHECKING:
    from graphbal.balance import Equilibrium

__all__ = ["report"]


def report(
    networks: Any,
    path: str | os.PathLike[str],
    *,
    null: str | None = None,
    n_null: int = 100,
    seed: int = 0,
    workers: int = 1,
    progress: bool = False,
    title: str | None = None,
    command: str | None = None,
) -> dict[str, Equilibrium]:
    """Write one self-contained HTML page about a network, or about several side by side.

    The page says what each network is, whether and how it can be balanced, what changes most, how
    the balancing flow and its slow modes run, and how networks compare with each other and with a
    null model. Its figures zoom and name the neuron under the pointer, its tables sort, search and
    save as CSV. It is one file that needs no network, and the same input gives the same file.

    Parameters
    ----------
    networks : anything `graphbal.as_network` takes, or a mapping or list of several
        The networks; a mapping gives them names.
    path : path
        The HTML file; an earlier one is replaced when the new one is complete.
    null : str, optional
        Name of the null model to compare with, one of `graphbal.nulls.NULLS`.
    n_null : int
        Number of null networks of each network.
    seed : int
        Seed of the null networks.
    workers : int
        Number of processes that measure null networks.
    progress : bool
        Show progress bars on standard error.
    title : str, optional
        Heading of the page; by default it names the networks.
    command : str, optional
        What the page says that it was made by; by default the call of this function.

    Returns
    -------
    dict
        The `Equilibrium` of each network by its name.

    Raises
    ------
    InputError
        If a network cannot be read or has nothing to balance, or an option makes no sense.
    OSError
        If the file cannot be written.

    Warns
    -----
    ConvergenceWarning
        If an equilibrium was not reached; the page says so, too.

    Notes
    -----
    Balancing, some ten modes and one flow for each network, and all measures of
    `graphbal.compare` for each null network. A page holds at most some hundred rows of a table and
    some thousand points of a figure, those that change most, and says how many it leaves out: it
    stays below 5 MB, of which BokehJS is 1.3.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import graphbal as gb
    >>> path = Path(tempfile.mkdtemp()) / "ring.html"
    >>> found = gb.report({"ring": gb.ensembles.ring(12, seed=1)}, path)
    >>> found["ring"].converged, path.read_text(encoding="utf-8")[:15]
    (True, '<!DOCTYPE html>')
    """
    from graphbal.io import replacing
    from graphbal.report import page

    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: this is a folder; give the name of an HTML file")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    named = page.named_networks(networks)
    findings = [page.find(name, net, progress) for name, net in named.items()]
    compared = page.compared(named, null, n_null, seed, workers, progress)
    call = command or page.python_call(named, null, n_null, seed)
    html = page.render(findings, compared, title=title, command=call)
    with replacing(path) as file:
        file.write(html.encode())
    return {f.name: f.eq for f in findings}
