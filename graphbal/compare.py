"""Networks side by side, and each against its null model."""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from graphbal._checks import require_whole
from graphbal._processes import results
from graphbal._samples import Samples
from graphbal._version import __version__
from graphbal.convert import as_network
from graphbal.errors import ConvergenceWarning, InputError
from graphbal.measures import DEFAULT, MEASURES, TIE, Measure, Subject
from graphbal.network import SynapticNetwork
from graphbal.nulls import NULLS, sampler

__all__ = ["Comparison", "compare", "comparison", "null_measures"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Measures of networks, and the samples of the null model behind them.

    Attributes
    ----------
    table : pandas.DataFrame
        A row per network and measure; see `compare`.
    null_values : pandas.DataFrame
        A row per network, sample and measure; see `null_measures`. Empty without a null model.
    unconverged : pandas.DataFrame
        The columns network and sample of what did not converge: a measure of it is NaN. Sample −1
        is the network itself.
    measured_now : int
        How many networks, null networks among them, were measured rather than found in the
        checkpoint.

    Examples
    --------
    >>> from graphbal.compare import comparison
    >>> found = comparison("witvliet-1", ["reciprocity"], null="rewire", n_null=9)
    >>> found
    Comparison(1 networks, 1 measures, 9 values of null networks)
    >>> found.table[["network", "measure", "n_null"]]
          network      measure  n_null
    0  witvliet-1  reciprocity       9
    >>> found.measured_now  # the network, and nine of its null model
    10
    """

    table: pd.DataFrame
    null_values: pd.DataFrame
    unconverged: pd.DataFrame
    measured_now: int

    def __repr__(self) -> str:
        return (
            f"Comparison({self.table['network'].nunique():,} networks, "
            f"{self.table['measure'].nunique():,} measures, "
            f"{len(self.null_values):,} values of null networks)"
        )


def compare(
    networks: Any,
    measures: Any = None,
    *,
    null: str | Callable[..., Any] | None = None,
    n_null: int = 100,
    seed: int = 0,
    workers: int = 1,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    r"""Measure networks, and say how far each is from its null model.

    With :math:`\#\{≤\}` and :math:`\#\{≥\}` the numbers of null networks, out of n, whose measure
    is at most and at least that of the network, the empirical two-sided p-value [1]_ [2]_ is

    .. math:: P = \min\Bigl(1,\; 2\, \frac{1 + \min(\#\{≤\}, \#\{≥\})}{n + 1}\Bigr).

    A network drawn from the null model itself has P ≤ x with a probability of at most x; no P is
    below 2 / (n + 1).

    Parameters
    ----------
    networks
        A mapping from names to networks, a sequence of networks, a single network, or an iterator
        of pairs (name, network), of which only one at a time is held. A network is anything that
        `graphbal.as_network` takes; datasets and files name themselves.
    measures : optional
        Names from `graphbal.measures.MEASURES` or functions of a `graphbal.measures.Subject`: one,
        a sequence, or a mapping from names to such. By default `graphbal.measures.DEFAULT`.
    null : str or callable, optional
        A name from `graphbal.nulls.NULLS`, or a function ``null(network, seed=...)`` that returns
        a network.
    n_null : int
        Number of null networks for each network.
    seed : int
        Seed of the null networks. The k-th depends on the network, the seed and k alone.
    workers : int
        Number of processes; the numbers are the same for any.
    checkpoint : path, optional
        A file in which finished samples are kept. Whatever it already holds of the same networks,
        null model, seed and measures is not measured again, so that an interrupted comparison goes
        on where it stopped, and one with a larger `n_null` adds what is missing. A null model or
        measure of your own is known by its name and source: give a changed one a new file.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    DataFrame
        A row per network and measure: network, measure, value; with a null model also null,
        n_null (without null networks whose measure is NaN), null_mean, null_sd, z = (value − mean)
        / sd, p_value, and p_adjusted, the Benjamini–Hochberg correction [3]_ over all rows. What
        differs by less than 1e-9 of its size counts as equal: where all null networks are, the sd
        is 0 and z is NaN.

    Raises
    ------
    InputError
        If a network cannot be read or balanced, does not suit the null model, or an argument makes
        no sense; the message names the network.
    GraphbalError
        If a worker was killed from outside.

    Warns
    -----
    ConvergenceWarning
        If something did not converge; a measure of it is NaN.

    Notes
    -----
    With the default measures and a core to itself, a null network of 300 neurons takes about
    0.05 s, one of 1,000 neurons 2 s; above, what needs a dense matrix is left out. Memory is that
    of one network in each process and of three more on their way to each worker, and 8 bytes for
    each value. BLAS and compiled functions have one thread each, since sums depend on their number.

    Rows are tests of their own, however alike the measures: leave out, with `measures`, what is not
    asked, lest the correction counts it.

    References
    ----------
    .. [1] A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application, Cambridge (1997),
       section 4.2. https://doi.org/10.1017/CBO9780511802843
    .. [2] B. Phipson, G. K. Smyth, "Permutation P-values should never be zero", Stat Appl Genet Mol
       Biol 9: 39 (2010). https://doi.org/10.2202/1544-6115.1585
    .. [3] Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", J R Stat Soc B 57(1):
       289-300 (1995). https://doi.org/10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> import graphbal as gb
    >>> table = gb.compare(
    ...     ["celegans", "witvliet-8"], ["relative_drop", "reciprocity"], null="rewire", n_null=19
    ... )
    >>> table[["network", "measure", "value", "n_null", "p_value"]].round(3)
          network        measure  value  n_null  p_value
    0    celegans  relative_drop  0.658      19      0.1
    1    celegans    reciprocity  0.364      19      0.1
    2  witvliet-8  relative_drop  0.609      19      0.1
    3  witvliet-8    reciprocity  0.310      19      0.1
    """
    found = comparison(
        networks,
        measures,
        null=null,
        n_null=n_null,
        seed=seed,
        workers=workers,
        checkpoint=checkpoint,
        progress=progress,
    )
    _warn(found)
    return found.table


def null_measures(
    networks: Any,
    measures: Any = None,
    *,
    null: str | Callable[..., Any] = "rewire",
    n_null: int = 100,
    seed: int = 0,
    workers: int = 1,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure the null networks of networks: the samples behind `compare`.

    Parameters
    ----------
    networks, measures, null, n_null, seed, workers, checkpoint, progress
        As in `compare`.

    Returns
    -------
    DataFrame
        A row per network, null network and measure: network, sample (k, from 0), measure, value.

    Raises
    ------
    InputError, GraphbalError
        As `compare`.

    Warns
    -----
    ConvergenceWarning
        If something did not converge; a measure of it is NaN.

    Examples
    --------
    >>> from graphbal.compare import null_measures
    >>> values = null_measures("witvliet-1", ["n_synapses", "reciprocity"], n_null=3)
    >>> values[values["measure"] == "n_synapses"]
          network  sample     measure  value
    0  witvliet-1       0  n_synapses  675.0
    2  witvliet-1       1  n_synapses  675.0
    4  witvliet-1       2  n_synapses  675.0
    """
    found = comparison(
        networks,
        measures,
        null=null,
        n_null=n_null,
        seed=seed,
        workers=workers,
        checkpoint=checkpoint,
        progress=progress,
    )
    _warn(found)
    return found.null_values


def comparison(
    networks: Any,
    measures: Any = None,
    *,
    null: str | Callable[..., Any] | None = None,
    n_null: int = 100,
    seed: int = 0,
    workers: int = 1,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> Comparison:
    """Return what both `compare` and `null_measures` return, from one computation.

    Parameters
    ----------
    networks, measures, null, n_null, seed, workers, checkpoint, progress
        As in `compare`.

    Returns
    -------
    Comparison
        What did not converge is listed there, without a warning.

    Raises
    ------
    InputError, GraphbalError
        As `compare`.

    Examples
    --------
    >>> from graphbal.compare import comparison
    >>> comparison("witvliet-1", "reciprocity", null="rewire", n_null=3)
    Comparison(1 networks, 1 measures, 3 values of null networks)
    """
    functions = _functions(measures)
    require_whole("workers", workers, 1)
    require_whole("seed", seed, 0)
    if null is None:
        n_null = 0
    else:
        require_whole("n_null", n_null, 1)
        if not callable(null) and null not in NULLS:
            raise InputError(f"there is no null model {null!r}; choose from {', '.join(NULLS)}")
    if progress:
        from graphbal._progress import steps_bar

        count = _count(networks)
        bar: Any = steps_bar("measuring", None if count is None else count * (n_null + 1))
    else:
        bar = nullcontext(lambda: None)
    with Samples(checkpoint) as samples, bar as step:
        campaign = _Campaign(functions, null, n_null, seed, samples, step)
        calls = campaign.calls(networks, is_sent=workers > 1)
        for (_, job), measured in results(_measured, calls, workers):
            campaign.take(job, measured)
    return campaign.comparison()


def _warn(found: Comparison) -> None:
    if count := len(found.unconverged):
        names = ", ".join(found.unconverged["network"].unique())
        warnings.warn(
            f"{count:,} network(s), null networks among them, did not converge, of {names}: their "
            "measures are NaN and left out",
            ConvergenceWarning,
            stacklevel=3,
        )


# ---------------------------------------------------------------------- what is asked for


def _functions(measures: Any) -> dict[str, Measure]:
    """Return the measures by name."""
    if measures is None:
        measures = DEFAULT
    if isinstance(measures, str) or callable(measures):
        measures = [measures]
    if isinstance(measures, Mapping):
        pairs = list(measures.items())
    else:
        pairs = [(each if isinstance(each, str) else None, each) for each in measures]
    functions: dict[str, Measure] = {}
    for given, measure in pairs:
        if isinstance(measure, str):
            if measure not in MEASURES:
                raise InputError(
                    f"there is no measure {measure!r}; choose from {', '.join(MEASURES)}, or pass "
                    "a function"
                )
            measure = MEASURES[measure]
        elif not callable(measure):
            raise InputError(f"{measure!r} is no measure; give a name or a function of a Subject")
        name = given if given is not None else getattr(measure, "__name__", repr(measure))
        if name in functions:
            raise InputError(f"two measures are called {name!r}; give a mapping from names to them")
        functions[name] = measure
    if not functions:
        raise InputError("no measure was given")
    return functions


def _count(networks: Any) -> int | None:
    """Return the number of networks, if it is known before they are looked at."""
    if isinstance(networks, Iterator):
        return None
    return len(networks) if isinstance(networks, Mapping) or _is_several(networks) else 1


def _is_several(networks: Any) -> bool:
    """Tell a sequence of networks from a nested list of numbers, which is one matrix."""
    if not isinstance(networks, (list, tuple)):
        return False
    row = networks[0] if networks else None
    is_row = isinstance(row, (list, tuple)) and all(isinstance(each, (int, float)) for each in row)
    return not is_row


def by_name(networks: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and networks, whatever way they are given."""
    pairs: Iterable[Any]
    if isinstance(networks, Mapping):
        pairs = networks.items()
    elif isinstance(networks, Iterator):
        pairs = networks
    elif _is_several(networks):
        pairs = (
            each if _is_pair(each) else (_own_name(each, str(at)), each)
            for at, each in enumerate(networks)
        )
    else:
        pairs = [(_own_name(networks, "network"), networks)]
    names = set()
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise InputError(
                f"an iterator must yield pairs (name, network), not a {type(pair).__name__}"
            )
        name, network = str(pair[0]), pair[1]
        if name in names:
            raise InputError(
                f"two networks are called {name!r}; give a mapping from names to networks"
            )
        names.add(name)
        yield name, network
    if not names:
        raise InputError("no network was given")


def _is_pair(each: Any) -> bool:
    return isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str)


def _own_name(network: Any, otherwise: str) -> str:
    if isinstance(network, (str, os.PathLike)):
        return os.fspath(network)
    attributes = getattr(network, "graph_attributes", None) or getattr(network, "graph", None)
    name = attributes.get("name") if isinstance(attributes, Mapping) else None
    return str(name) if name else otherwise


# ---------------------------------------------------------------------- measuring


class _Job(NamedTuple):
    """A network to be measured: itself, sample −1, or a null network of it."""

    network: int
    run: str
    sample: int


class _Prepared(NamedTuple):
    """What is needed to measure a network and its null networks."""

    name: str
    network: SynapticNetwork
    null: Any  # a sampler, or a function
    seed: int
    functions: dict[str, Measure]

    def drawn(self, sample: int) -> Any:
        if sample < 0:
            return self.network
        if hasattr(self.null, "draw"):
            return self.null.draw(sample, self.seed)
        stream = np.random.SeedSequence(self.seed, spawn_key=(sample,))
        return self.null(self.network, seed=int(stream.generate_state(1, np.uint64)[0]))


class _Measured(NamedTuple):
    """Values of the measures, and whether all that they rest on converged."""

    values: list[float]
    converged: bool


class _Campaign:
    """What is to be measured, and what came of it."""

    def __init__(
        self,
        functions: dict[str, Measure],
        null: Any,
        n_null: int,
        seed: int,
        samples: Samples,
        step: Callable[[], None],
    ) -> None:
        self.functions, self.null, self.n_null, self.seed = functions, null, n_null, seed
        self.samples, self.step = samples, step
        self.names: list[str] = []
        self.values: list[Array] = []  # by network: a row for itself, and for each null network
        self.unconverged: list[tuple[int, int]] = []
        self.measured_now = 0

    def calls(self, networks: Any, is_sent: bool) -> Iterator[tuple[Any, _Job]]:
        """Yield what is still to be measured, with what it takes; as bytes, if that is sent."""
        for number, (name, source) in enumerate(by_name(networks)):
            with _about(name):
                network = as_network(source)
                null = sampler(network, self.null) if isinstance(self.null, str) else self.null
            prepared = _Prepared(name, network, null, self.seed, self.functions)
            run = _fingerprint(prepared, self.null)
            self.names.append(name)
            self.values.append(np.full((self.n_null + 1, len(self.functions)), np.nan))
            missing = []
            for job in (_Job(number, run, sample) for sample in range(-1, self.n_null)):
                known = self.samples.get(run, job.sample)
                if known is None:
                    missing.append(job)
                else:
                    values = [known["values"][each] for each in self.functions]
                    self._keep(job, _Measured(values, known["converged"]))
            if missing:
                at_hand = _pickled(prepared) if is_sent else prepared
                yield from ((at_hand, job) for job in missing)

    def take(self, job: _Job, measured: _Measured) -> None:
        """Record what came of a call."""
        self.samples.add(
            job.run,
            job.sample,
            network=self.names[job.network],
            converged=measured.converged,
            values=dict(zip(self.functions, measured.values, strict=True)),
        )
        self._keep(job, measured)
        self.measured_now += 1

    def _keep(self, job: _Job, measured: _Measured) -> None:
        self.values[job.network][job.sample + 1] = measured.values
        if not measured.converged:
            self.unconverged.append((job.network, job.sample))
        self.step()

    def comparison(self) -> Comparison:
        names, measures = np.array(self.names, dtype=object), list(self.functions)
        n, m, k = len(names), len(measures), self.n_null
        values = np.stack(self.values)
        table = pd.DataFrame(
            {
                "network": names.repeat(m),
                "measure": measures * n,
                "value": values[:, 0].ravel(),
            }
        )
        if self.null is not None:
            name = (
                self.null
                if isinstance(self.null, str)
                else getattr(self.null, "__name__", repr(self.null))
            )
            against = [_against_null(each[0], each[1:]) for each in values]
            table = pd.concat(
                [table.assign(null=name), pd.concat(against, ignore_index=True)], axis=1
            )
            table["p_adjusted"] = _adjusted(table["p_value"])
        unconverged = sorted(self.unconverged)
        return Comparison(
            table=table,
            null_values=pd.DataFrame(
                {
                    "network": names.repeat(m * k),
                    "sample": np.tile(np.arange(k).repeat(m), n),
                    "measure": measures * (n * k),
                    "value": values[:, 1:].ravel(),
                }
            ),
            unconverged=pd.DataFrame(
                {
                    "network": [self.names[network] for network, _ in unconverged],
                    "sample": [sample for _, sample in unconverged],
                }
            ),
            measured_now=self.measured_now,
        )


def _measured(at_hand: _Prepared | bytes, job: _Job) -> _Measured:
    """Measure a network or a null network of it."""
    prepared = _received(at_hand) if isinstance(at_hand, bytes) else at_hand
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        with _about(prepared.name):
            subject = Subject(prepared.drawn(job.sample))
        values = []
        for name, measure in prepared.functions.items():
            with _about(f"{prepared.name}: {name}"):
                values.append(_number(measure(subject)))
    unconverged = [each for each in caught if issubclass(each.category, ConvergenceWarning)]
    for each in caught:
        if each not in unconverged:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return _Measured(values, not unconverged)


@lru_cache(maxsize=1)
def _received(sent: bytes) -> _Prepared:
    return pickle.loads(sent)


def _pickled(prepared: _Prepared) -> bytes:
    import cloudpickle

    try:
        return cloudpickle.dumps(prepared)  # functions of a script or notebook, too
    except Exception as error:
        raise InputError(
            f"the null model or a measure cannot be sent to other processes ({error}); take "
            "workers=1"
        ) from error


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"this returned {value!r}, which is no number") from error


@contextmanager
def _about(what: str) -> Iterator[None]:
    """Say in errors what they are about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
    except Exception as error:
        error.add_note(f"in {what}")
        raise


def _fingerprint(prepared: _Prepared, null: Any) -> str:
    """Return a number that tells apart all that the values of a sample depend on."""
    net = prepared.network
    alpha = net.alpha.data if sparse.issparse(net.alpha) else net.alpha
    asked = (
        __version__,
        prepared.seed,
        null if null is None or isinstance(null, str) else _source(null),
        sorted(
            (name, "" if MEASURES.get(name) is measure else _source(measure))
            for name, measure in prepared.functions.items()
        ),
        (net.p, alpha.shape, net.neurons.tolist()),
    )
    digest = hashlib.sha256(repr(asked).encode())
    for array in (net.weights.indptr, net.weights.indices, net.weights.data, alpha):
        dtype = np.int64 if array.dtype.kind in "iu" else np.float64
        digest.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
    return digest.hexdigest()[:32]


def _source(function: Callable[..., Any]) -> str:
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = ""
    where = getattr(function, "__module__", ""), getattr(function, "__qualname__", type(function))
    return f"{where} {text}"


# ---------------------------------------------------------------------- statistics


def _against_null(values: Array, nulls: Array) -> pd.DataFrame:
    """Return how far each measure is from its null values.

    Parameters
    ----------
    values : array, shape (n_measures,)
    nulls : array, shape (n_null, n_measures)
        Those that are NaN are left out.
    """
    count = np.count_nonzero(~np.isnan(nulls), axis=0)
    total = np.where(np.isnan(nulls), 0.0, nulls)
    with np.errstate(invalid="ignore", divide="ignore"):
        margin = TIE * np.maximum(np.abs(nulls), np.abs(values))
        at_most = np.count_nonzero(nulls <= values + margin, axis=0)
        at_least = np.count_nonzero(nulls >= values - margin, axis=0)
        mean = total.sum(axis=0) / count
        apart = np.where(np.isnan(nulls), 0.0, nulls - mean)
        varies = (np.abs(apart) > TIE * np.abs(mean)).any(axis=0)
        sd = np.where(varies, np.sqrt(np.square(apart).sum(axis=0) / (count - 1)), 0.0)
        sd = np.where(count > 1, sd, np.nan)
        p = np.minimum(1.0, 2 * (1 + np.minimum(at_most, at_least)) / (count + 1))
        z = np.where(sd > 0, (values - mean) / sd, np.nan)
    return pd.DataFrame(
        {
            "n_null": count,
            "null_mean": mean,
            "null_sd": sd,
            "z": z,
            "p_value": np.where(np.isnan(values) | (count == 0), np.nan, p),
        }
    )


def _adjusted(p_values: pd.Series) -> pd.Series:
    """Return the p-values after Benjamini and Hochberg; those that are NaN are no tests."""
    from scipy import stats  # takes longer to import than the rest; workers do without it

    tested = p_values.dropna()
    adjusted = stats.false_discovery_control(tested) if len(tested) else []
    return pd.Series(adjusted, index=tested.index, dtype=float).reindex(p_values.index)
