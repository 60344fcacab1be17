"""The figures of the balancing theory, drawn anew: each with its data and the claims it makes.

`reproduce` computes a figure, draws it, and checks every statement of its caption against the
numbers of that run. One module per figure (`fig1`, `fig2` …) with three functions, each of
which uses only what the one before returned::

    data = fig5.compute()          # {panel: DataFrame}
    fig5.claims(data)              # [Claim, ...]
    fig5.draw(data)                # matplotlib Figure
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from numbers import Integral
from pathlib import Path

import pandas as pd

from graphbal.errors import InputError
from graphbal.figures._claims import Claim

__all__ = ["FIGURES", "LONG", "PRESETS", "Claim", "Reproduction", "reproduce"]

FIGURES = ("fig1", "fig2", "fig3", "fig4", "fig5")
PRESETS = ("quick", "standard", "paper")
# Those that take minutes: they show progress and keep what they have computed.
LONG = ("fig4",)


@dataclass(frozen=True, eq=False)
class Reproduction:
    """A figure that was reproduced.

    Attributes
    ----------
    name : str
        Which figure.
    claims : pandas.DataFrame
        One row per statement of the caption: ``claim`` (with its tolerance), ``measured``,
        ``expected``, ``holds``.
    files : tuple of pathlib.Path
        The files written.

    Examples
    --------
    >>> import pandas as pd
    >>> from graphbal.figures import Claim, Reproduction
    >>> claims = pd.DataFrame([Claim("one and one is two", 2.0, 2.0, True)])
    >>> Reproduction("fig0", claims, files=())
    Reproduction(fig0: 1 of 1 claims hold, 0 files)
    """

    name: str
    claims: pd.DataFrame
    files: tuple[Path, ...]

    @property
    def all_hold(self) -> bool:
        """Whether every claim holds."""
        return bool(self.claims["holds"].all())

    def __repr__(self) -> str:
        held = int(self.claims["holds"].sum())
        return (
            f"Reproduction({self.name}: {held} of {len(self.claims)} claims hold, "
            f"{len(self.files)} files)"
        )


def reproduce(
    name: str,
    folder: str | os.PathLike[str],
    *,
    preset: str = "standard",
    seed: int = 0,
    progress: bool = False,
) -> Reproduction:
    """Compute and draw a figure, and check what its caption states.

    Writes the figure (``fig5.svg``, ``fig5.png`` at 300 dpi), each panel by itself (``fig5_a.svg``,
    ``fig5_a.png``) with the data it shows (``fig5_a.csv``), and ``claims.json``, a list of
    ``{"claim", "measured", "expected", "holds"}`` measured in this run. Each file takes the place
    of an earlier one when it is complete; ``claims.json`` is that of one figure, so give each
    figure a folder of its own.

    Parameters
    ----------
    name : str
        - ``"fig1"``: a network and its transform, which compute the same with and without noise.
        - ``"fig2"``: the local computation of a neuron and its synapses.
        - ``"fig3"``: the single synapse and the reciprocal pair.
        - ``"fig4"``: balance in training, and the robustness of balanced networks to noise. Needs
          ``pip install 'graphbal[train]'``; keeps its trained networks in the folder
          ``training``, and trains none of them again that is there.
        - ``"fig5"``: a potentiated synapse on a ring of 12 neurons.
    folder : path
        Where to write; made if it is not there.
    preset : {"quick", "standard", "paper"}
        How much to compute: of fig4, less than a minute, a few minutes, and the exact recipe of the
        paper. Figures 2, 3 and 5 are the same in all.
    seed : int
        Seed of what is drawn at random: the noise of fig1, the network of fig2, weights, trials and
        noise of fig4.
    progress : bool
        Whether to show progress bars on standard error where it takes minutes.

    Returns
    -------
    Reproduction

    Raises
    ------
    InputError
        If there is no such figure or preset, the seed is not a whole number from 0, the folder
        cannot be made, or JAX and Optax are needed and not there.

    References
    ----------
    .. [1] C. H. Stock, S. E. Harvey, S. A. Ocko, S. Ganguli, "Synaptic balancing", PLoS Comput
       Biol 18(9): e1010418 (2022). https://doi.org/10.1371/journal.pcbi.1010418

    Examples
    --------
    >>> import tempfile
    >>> from graphbal.figures import reproduce
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     reproduce("fig2", folder).all_hold
    True
    """
    if name not in FIGURES:
        raise InputError(f"there is no figure {name!r} to reproduce; give one of {_list(FIGURES)}")
    if preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}; give one of {_list(PRESETS)}")
    if not isinstance(seed, Integral) or seed < 0:
        raise InputError(f"the seed is {seed!r}; it must be a whole number from 0")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}") from error

    from graphbal.figures import _files, _style

    figure = import_module(f"graphbal.figures.{name}")
    kept = {"folder": folder / "training", "progress": progress} if name in LONG else {}
    data = figure.compute(preset=preset, seed=int(seed), **kept)
    claims = figure.claims(data)
    with _style.journal():
        files = _files.write(name, folder, figure.draw(data), data, claims)
    return Reproduction(name, pd.DataFrame(claims, columns=Claim._fields), tuple(files))


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)
