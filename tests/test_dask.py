"""Networks in partitions: results as in one process, and what happens when things break."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import failure, run
from scipy import sparse

import graphbal as gb

dask = pytest.importorskip("dask")
pytest.importorskip("distributed")
frames = pytest.importorskip("dask.dataframe")

from graphbal.distributed import (  # noqa: E402
    _checkpoint,
    _components,
    _partitions,
    _problem,
    _sources,
    _tasks,
)
from graphbal.engines import local  # noqa: E402
from graphbal.engines.dask import DaskEngine  # noqa: E402
from graphbal.solvers import laplacian  # noqa: E402


@pytest.fixture(autouse=True)
def _in_this_thread():
    """Without a client, tasks run one after the other in the test's own thread."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(params=["rows", "tiles"])
def either_way(request, monkeypatch):
    """Run a test as for few neurons and as for many."""
    if request.param == "tiles":
        monkeypatch.setattr(local, "TILED", 1)
        monkeypatch.setattr(local, "CROWDED", 0)
        monkeypatch.setattr(local, "DENSE_FILL", np.inf)
    return request.param


# Potentials are known to ten times the tolerance.
TOL = 1e-11


def table(seed, n=200, m=1500, ids=None, reach=None):
    """Return random rows with repetitions and self-connections, in no order."""
    rng = np.random.default_rng(seed)
    ids = np.arange(n) if ids is None else ids
    pre = rng.integers(0, n, m)
    post = rng.integers(0, n, m) if reach is None else (pre + rng.integers(-1, reach, m)) % n
    weights = rng.integers(1, 30, m) * rng.choice([-1.0, 1.0], m, p=[0.2, 0.8])
    rows = pd.DataFrame({"pre": ids[pre], "post": ids[post], "weight": weights})
    again = rows.sample(m // 5, random_state=seed).assign(weight=2.0)
    own = pd.DataFrame({"pre": ids[:5], "post": ids[:5], "weight": 3.0})
    return pd.concat([rows, again, own]).sample(frac=1, random_state=seed, ignore_index=True)


def written(rows, folder, n_files=3, suffix="parquet"):
    """Write rows to files, of which each pair of neurons may be in several; return the pattern."""
    for k in range(n_files):
        path = folder / f"edges-{k}.{suffix}"
        part = rows.iloc[k::n_files]
        part.to_parquet(path) if suffix == "parquet" else part.to_csv(path, index=False)
    return str(folder / f"*.{suffix}")


def assert_balanced_as(rows, found, **cost):
    """The oracle keeps all synapses in one matrix, and finds components by another algorithm."""
    expected = gb.balance(gb.SynapticNetwork.from_edges(rows, **cost), tol=1e-13)
    assert found.converged
    assert found.potentials.index.tolist() == expected.potentials.index.tolist()
    assert np.abs(found.h - expected.h).max() <= 1e-9
    assert found.total_cost == pytest.approx(expected.total_cost, rel=1e-9)
    assert found.initial_cost == pytest.approx(expected.initial_cost, rel=1e-12)
    assert found.is_finite == expected.is_finite
    assert found.vanishing_synapses == np.count_nonzero(expected.topology.vanishing)
    assert found.neuron_imbalance <= 1e-9


LARGE_IDS = np.random.default_rng(9).choice(2**62, 200, replace=False)
NAMES = np.array([f"neuron {k}" for k in range(200)], dtype=object)


@pytest.mark.parametrize(
    ("rows", "suffix", "cost"),
    [
        (table(0, ids=LARGE_IDS), "parquet", {}),
        (table(1, ids=LARGE_IDS.astype(np.uint64) + np.uint64(2**63)), "parquet", {"p": 1.0}),
        (table(2, ids=NAMES), "csv", {"p": 1.5, "alpha": 3.0}),
        (table(3, m=350), "csv", {}),
        (table(4, m=500, ids=NAMES), "parquet", {"p": 3.0}),
    ],
    ids=["64 bits", "unsigned", "text", "numbers as text, infeasible", "names, infeasible"],
)
def test_partitions_do_not_matter(rows, suffix, cost, tmp_path, either_way):
    eq = gb.distributed.balance(written(rows, tmp_path, 3, suffix), TOL, npartitions=4, **cost)
    assert_balanced_as(rows, eq, **cost)
    net = gb.SynapticNetwork.from_edges(rows)
    assert len(eq.partitions.parts) == 4
    assert eq.partitions.facts.intake == net.intake
    assert eq.partitions.facts.synapses == net.n_synapses
    read = eq.stats["bytes_per_pass"] - 8 * (net.n_neurons + 4)
    if either_way == "rows":
        assert 6 * net.n_synapses <= read <= 12 * net.n_synapses
    tiles = list(eq.partitions.folder.glob("part-*.*-tile-*.npy"))
    assert len(tiles) == (16 if either_way == "tiles" else 0)


@pytest.mark.usefixtures("either_way")
def test_a_dask_frame_is_balanced_in_its_partitions():
    rows = table(5, m=800)
    eq = gb.balance(frames.from_pandas(rows, npartitions=5), tol=TOL)
    assert isinstance(eq, gb.distributed.PartitionedEquilibrium)
    assert_balanced_as(rows, eq)
    with pytest.raises(gb.InputError, match="without fixed neurons"):
        gb.balance(frames.from_pandas(rows, npartitions=5), fixed=[0])


@pytest.mark.usefixtures("either_way")
def test_potentials_may_span_more_than_exponentials_hold():
    """On a chain of pairs the potentials are known: h_j − h_i = ½ log(c_ij / c_ji) / p."""
    n, ratio = 80, 1e5
    k = np.arange(n - 1)
    rows = pd.DataFrame(
        {
            "pre": np.concatenate([k, k + 1]),
            "post": np.concatenate([k + 1, k]),
            "weight": np.concatenate([np.full(n - 1, ratio), np.ones(n - 1)]),
        }
    )
    eq = gb.balance(frames.from_pandas(rows, npartitions=3))
    expected = np.arange(n) * np.log(ratio) / 2
    assert eq.converged
    assert np.abs(eq.h - (expected - expected.mean())).max() <= 1e-8
    assert 2 * np.ptp(eq.h) > 800


@pytest.mark.usefixtures("either_way")
def test_costs_over_many_orders_of_magnitude_are_approached_in_stages():
    rng = np.random.default_rng(6)
    rows = table(6, n=60, m=900).assign(weight=lambda rows: np.exp(12 * rng.normal(size=len(rows))))
    eq = gb.balance(frames.from_pandas(rows, npartitions=3), tol=1e-6)
    net = gb.SynapticNetwork.from_edges(rows)
    assert eq.converged
    assert np.abs(eq.h - gb.balance(net).h).max() <= 1e-5


@pytest.mark.parametrize("thread", [1e-5, 1e-12])
def test_parts_that_hang_on_by_a_thread_are_balanced_as_a_whole(thread):
    """Two cliques, between which all that flows is what the threads carry."""
    left, right = table(19, n=30, m=600), table(20, n=30, m=600)
    right[["pre", "post"]] += 30
    threads = pd.DataFrame({"pre": [3, 41], "post": [40, 7], "weight": [50 * thread, thread]})
    rows = pd.concat([left, right, threads], ignore_index=True)
    eq = gb.balance(frames.from_pandas(rows, npartitions=4), tol=TOL)
    assert eq.stats["clusters"] == 2
    assert_balanced_as(rows, eq)


# ------------------------------------------------------------------ components


def compiled(rows, folder, n_parts):
    pieces = _sources.pieces_of(frames.from_pandas(rows, npartitions=2), None, None, None)
    return _partitions.compiled_partitions(pieces, folder, 1.0, 1.0, n_parts)


@pytest.mark.parametrize("gathered", [0, 60, 10**6])
@pytest.mark.parametrize(("m", "reach"), [(150, None), (260, None), (300, 3), (700, None)])
def test_components_are_those_of_scipy(gathered, m, reach, tmp_path, monkeypatch):
    """However much of the network may be taken apart in this process."""
    monkeypatch.setattr(_components, "GATHERED", gathered)
    rows = table(m, n=150, m=m, reach=reach)
    net = gb.SynapticNetwork.from_edges(rows)
    n_components, found = _components.components_of(compiled(rows, tmp_path, 3))
    n_expected, expected = sparse.csgraph.connected_components(net.weights, connection="strong")
    assert n_components == n_expected
    assert len(set(zip(found, expected, strict=True))) == n_expected
    first = np.unique(found, return_index=True)[1]
    assert (np.diff(first) > 0).all()


def test_a_long_chain_without_cycles_takes_no_pass_for_each_neuron(tmp_path, monkeypatch):
    monkeypatch.setattr(_components, "GATHERED", 0)
    passes = []
    reduced = _partitions.Partitions.reduced
    monkeypatch.setattr(
        _partitions.Partitions,
        "reduced",
        lambda self, *arguments: passes.append(1) or reduced(self, *arguments),
    )
    n = 300
    rows = pd.DataFrame({"pre": np.arange(n - 1), "post": np.arange(1, n), "weight": 1.0})
    n_components, _ = _components.components_of(compiled(rows, tmp_path, 3))
    assert n_components == n
    assert len(passes) < 100


# ------------------------------------------------------------------ files


def test_what_is_written_is_the_balanced_network(tmp_path):
    rows = table(7, m=500, ids=NAMES)
    eq = gb.distributed.balance(written(rows, tmp_path), npartitions=3)
    names = eq.write(tmp_path / "out")
    assert names == ["potentials.parquet", *(f"edges/part-0000{k}.parquet" for k in range(3))]
    expected = gb.balance(gb.SynapticNetwork.from_edges(rows))
    found = pd.concat([pd.read_parquet(tmp_path / "out" / name) for name in names[1:]])
    both = found.merge(expected.edges(), on=["pre", "post"], suffixes=("", "_expected"))
    assert len(both) == len(found) == expected.original.n_synapses
    for column in ("weight", "cost", "balanced_weight", "balanced_cost"):
        np.testing.assert_allclose(both[column], both[f"{column}_expected"], rtol=1e-8)
    assert (both["vanishes"] == both["vanishes_expected"]).all()
    potentials = pd.read_parquet(tmp_path / "out" / "potentials.parquet")
    assert potentials["neuron"].tolist() == expected.potentials.index.tolist()
    assert potentials["potential"].tolist() == eq.h.tolist()


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    pattern = written(table(22), tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(gb.InputError, match="the folder holds other files"):
        gb.distributed.balance(pattern, folder=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_temporary_folder_goes_with_the_result(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    eq = gb.balance(frames.from_pandas(table(8), npartitions=2))
    assert len(list(tmp_path.iterdir())) == 1
    del eq
    assert not list(tmp_path.iterdir())
    with pytest.raises(gb.InfeasibleError, match="lie on no directed cycle"):
        gb.balance(frames.from_pandas(table(8, m=250), npartitions=2), on_infeasible="raise")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changed",
    [
        lambda rows: [rows.astype({"pre": "int32"})[::2], rows[1::2], rows[:0]],
        lambda rows: [rows.astype({"pre": "uint64"})[::2], rows[1::2]],
        lambda rows: [rows[["pre", "post"]][::2], rows[["pre", "post"]][1::2]],
        lambda rows: [rows.assign(pre=rows["pre"].astype(str), post=rows["post"].astype(str))],
        lambda rows: [rows.astype(str).astype({"post": "category", "weight": float})],
    ],
    ids=["widths, and no rows", "signs", "no weights", "text", "categories"],
)
def test_columns_may_be_of_any_kind(changed, tmp_path):
    parts = changed(table(21, m=800))
    for k, part in enumerate(parts):
        part.to_parquet(tmp_path / f"edges-{k}.parquet")
    eq = gb.distributed.balance(tmp_path, TOL, npartitions=2)
    assert_balanced_as(pd.concat([part for part in parts if len(part)]), eq)


def spoilt(name, column, value):
    """Return a change to the second file: this value in the third row of the column."""

    def change(folder):
        rows = pd.read_csv(folder / name)
        rows[column] = rows[column].astype(object)
        rows.loc[2, column] = value
        rows.to_csv(folder / name, index=False)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoilt("edges-1.csv", "weight", "many"), r"edges-1.csv: row 3 of the column 'weight'"),
        (spoilt("edges-1.csv", "post", None), r"edges-1.csv: row 3 of the column 'post' names no"),
        (spoilt("edges-1.csv", "weight", 1e200), r"costs inf, which a floating-point number"),
        (lambda folder: (folder / "edges-0.csv").write_text(""), r"edges-0.csv: the file is empty"),
        (lambda folder: (folder / "edges-2.csv").write_text("a,b,c\n1,2,3\n"), r"edges-2.csv: it"),
    ],
    ids=["weight", "label", "cost", "empty", "columns"],
)
def test_bad_input_is_one_error_that_names_the_place(change, message, tmp_path):
    pattern = written(table(10), tmp_path, suffix="csv")
    change(tmp_path)
    with pytest.raises(gb.InputError, match=message):
        gb.distributed.balance(pattern, npartitions=2)


def test_a_cluster_that_makes_no_sense_is_refused():
    for arguments, message in (
        ({"memory": "lots"}, "memory is 'lots'"),
        ({"scheduler": "tcp://127.0.0.1:1", "workers": 2}, "has its own workers"),
        ({"scheduler": "nowhere"}, "no Dask scheduler answers at nowhere"),
    ):
        with pytest.raises(gb.InputError, match=message), gb.distributed.cluster(**arguments):
            pass


def test_damaged_mixed_and_missing_files_are_named(tmp_path):
    pattern = written(table(11), tmp_path)
    with pytest.raises(gb.InputError, match=r"no-such.*: there is no such file"):
        gb.distributed.balance(str(tmp_path / "no-such-*.parquet"))
    with pytest.raises(gb.InputError, match="tol is 0"):
        gb.distributed.balance(pattern, tol=0)
    table(12, ids=NAMES).to_parquet(tmp_path / "names.parquet")
    with pytest.raises(gb.InputError, match=r"edges-.*integers as ids, .*names.parquet holds text"):
        gb.distributed.balance(pattern)
    damaged = tmp_path / "names.parquet"
    table(12).astype({"pre": float, "post": float}).to_parquet(damaged)
    with pytest.raises(gb.InputError, match=r"names.parquet: the id .*neither an integer nor text"):
        gb.distributed.balance(pattern)
    content = damaged.read_bytes()
    damaged.write_bytes(content[:300] + bytes(600) + content[900:])
    with pytest.raises(gb.InputError, match=r"names.parquet: the file is damaged \(Corrupt snappy"):
        gb.distributed.balance(str(damaged))


# ------------------------------------------------------------------ command line


def test_a_damaged_tile_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "TILED", 1)
    monkeypatch.setattr(local, "CROWDED", 1)
    eq = gb.balance(frames.from_pandas(table(5), npartitions=2))
    path = next(eq.partitions.folder.glob("part-00000.*-tile-values.npy"))
    path.write_bytes(path.read_bytes()[:100])
    engine = DaskEngine(eq.partitions, path.name.split(".")[1].split("-")[0])
    with pytest.raises(gb.GraphbalError, match=r"tile-values\.npy: this file of a partition is"):
        engine.at(np.zeros(200))


def test_the_command_writes_partitions_and_says_so(tmp_path):
    rows, out = table(16, m=500, ids=NAMES), tmp_path / "out"
    pattern = written(rows, tmp_path)
    options = ("--engine", "dask", "--partitions", 3, "--tol", TOL, "-o", out)
    result = run("balance", pattern, *options, "--p", 1)
    assert result.exit_code == 0, result.output
    net = gb.SynapticNetwork.from_edges(rows, p=1)
    assert f"{net.n_synapses} synapses" in result.stdout
    assert "passes over 3 partitions" in result.stdout
    assert {path.name for path in out.iterdir()} == {"potentials.parquet", "edges", "summary.json"}
    expected = gb.balance(net, tol=1e-13)
    facts = json.loads((out / "summary.json").read_text())
    assert facts["source"] == pattern
    assert facts["total_cost"] == pytest.approx(expected.total_cost, rel=1e-9)
    assert facts["vanishing_synapses"] == np.count_nonzero(expected.topology.vanishing)
    potentials = pd.read_parquet(out / "potentials.parquet").set_index("neuron")["potential"]
    assert (potentials - expected.potentials).abs().max() <= 1e-9
    assert json.loads(run("balance", pattern, *options, "--p", 1, "--json").stdout)["p"] == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", 2), "--workers is for --engine dask"),
        (("--engine", "dask", "--fixed", 1), "--fixed needs all synapses in one process"),
        (("--engine", "dask", "--neurons", 1), "--neurons needs all synapses in one process"),
        (("--engine", "dask", "--solver", "osborne"), "--solver needs all synapses in one process"),
        (("--engine", "dask", "--resume"), "--resume goes on with what -o DIR"),
        (("--engine", "dask", "--weight", "size"), "edges-0.parquet: the table has no column"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_partitions_cannot_do_is_refused(options, message, tmp_path):
    assert message in failure("balance", written(table(17), tmp_path), *options)


# ------------------------------------------------------------------ interruptions


class InterruptionError(Exception):
    """Stands for whatever ends a run."""


def interrupted(pattern, folder, after=3, **settings):
    """Run until some iterations are done; return the imbalance that was reached."""
    reached = []

    def stop(step):
        reached.append(step["neuron_imbalance"])
        if step["iteration"] == after:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        gb.distributed.balance(pattern, folder=folder, npartitions=3, progress=stop, **settings)
    return reached[-1]


@pytest.mark.usefixtures("either_way")
def test_an_interrupted_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "INTERVAL", 0.0)
    rows, folder = table(13, m=700), tmp_path / "work"
    pattern = written(rows, tmp_path)
    reached = interrupted(pattern, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("part-*.weights.npy")}
    imbalances = []
    eq = gb.distributed.balance(
        pattern,
        TOL,
        folder=folder,
        npartitions=3,
        resume=True,
        progress=lambda step: imbalances.append(step["neuron_imbalance"]),
    )
    assert_balanced_as(rows, eq)
    assert imbalances[0] == pytest.approx(reached)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert len(before) == 3


def compiled_problem(rows, folder, n_parts=3):
    partitions = compiled(rows, folder, n_parts)
    found = _components.components_of(partitions)
    return _problem.limit_problem(partitions, *found, None)[0]


class Notebook:
    """A checkpoint that is always due."""

    is_due = True

    def __init__(self):
        self.records = []

    def watch(self, q, cost, since=None):
        self.records.append((q.copy(), cost))


def test_what_is_recorded_amid_a_linear_system_is_what_conjugate_gradients_have_found(tmp_path):
    """The iterates of SciPy's solver on the assembled Laplacian, from its callback."""
    rows, notes = table(23, n=80, m=900, reach=4), Notebook()
    problem = dataclasses.replace(compiled_problem(rows, tmp_path), checkpoint=notes)
    q = np.random.default_rng(0).normal(size=problem.n) / 5
    state = problem.engine().at(q)
    step = laplacian.jacobi_cg(problem, 30)(state, state.gradients, 0.0, None)
    J = gb.SynapticNetwork.from_edges(rows).weights.toarray()
    C = np.abs(J) * np.exp(q[None, :] - q[:, None]) * (1 - np.eye(problem.n))
    through = C.sum(0) + C.sum(1)
    expected = []
    sparse.linalg.cg(
        np.diag(through) - C - C.T,
        C.sum(1) - C.sum(0),
        maxiter=30,
        rtol=0,
        M=np.diag(1 / through),
        callback=lambda x: expected.append(x.copy()),
    )
    found = [record[0] - q for record in notes.records[1:]]
    assert len(found) == len(expected) == 30
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(found[-1], step.x, atol=1e-12)
    costs = [cost for _, cost in notes.records]
    for potentials, cost in notes.records:
        rest = potentials - q
        assert cost == pytest.approx((C * np.exp(rest[None, :] - rest[:, None])).sum())
    assert costs[-1] < costs[0]


def test_a_driver_that_dies_amid_a_linear_system_loses_no_more_than_an_interval(
    tmp_path, monkeypatch
):
    """It dies thirty passes into one; what it had come to by then is gone on from."""
    monkeypatch.setattr(_checkpoint, "INTERVAL", 0.0)
    rows, folder = table(24, n=150, m=800, reach=2), tmp_path / "work"
    pattern = written(rows, tmp_path)
    reduced, since, told = _tasks.reduced, [0], []

    def dying(*arguments):
        since[0] += 1
        if told and since[0] > 30:
            raise InterruptionError
        return reduced(*arguments)

    def note(step):
        told.append(step)
        since[0] = 0

    with monkeypatch.context() as patch:
        patch.setattr("graphbal.engines.dask.reduced", dying)
        with pytest.raises(InterruptionError):
            gb.distributed.balance(pattern, TOL, folder=folder, npartitions=3, progress=note)
    before = told[-1]
    eq = gb.distributed.balance(
        pattern, TOL, folder=folder, npartitions=3, progress=note, resume=True
    )
    assert told[told.index(before) + 1]["total_cost"] < before["total_cost"]
    assert_balanced_as(rows, eq)


def test_what_was_compiled_before_an_interruption_is_not_compiled_again(tmp_path, monkeypatch):
    rows, folder = table(25, m=900), tmp_path / "work"
    pattern = written(rows, tmp_path)

    def compile_first_only(part, **settings):
        if part.number:
            raise InterruptionError
        return compile_part(part, **settings)

    compile_part = _partitions._compile
    with monkeypatch.context() as patch:
        patch.setattr(_partitions, "_compile", compile_first_only)
        with pytest.raises(InterruptionError):
            gb.distributed.balance(pattern, folder=folder, npartitions=3)
    assert len(list(folder.glob("rows-*.npy"))) == 3 * 4
    before = {path: path.stat().st_mtime_ns for path in folder.glob("part-00000.*.npy")}
    with monkeypatch.context() as patch:
        patch.delattr(_partitions, "read")  # no task needs the source any more
        eq = gb.distributed.balance(pattern, TOL, folder=folder, npartitions=3, resume=True)
    assert_balanced_as(rows, eq)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert not list(folder.glob("rows-*"))
    with pytest.raises(gb.InputError, match="another run"):
        gb.distributed.balance(pattern, folder=folder, npartitions=2, resume=True)


def test_progress_tells_bytes_and_the_time_that_is_left(tmp_path):
    told = []
    eq = gb.distributed.balance(written(table(26), tmp_path), npartitions=4, progress=told.append)
    last = told[-1]
    assert last["bytes_read"] == last["passes"] * eq.stats["bytes_per_pass"]
    assert last["bytes_moved"] == last["passes"] * 8 * 200 * (2 + 4)
    assert told[0]["seconds_left"] is None
    assert all(step["seconds_left"] is None or step["seconds_left"] >= 0 for step in told)
    assert last["seconds_left"] == 0


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path):
    rows, folder = table(14), tmp_path / "work"
    pattern = written(rows, tmp_path)
    interrupted(pattern, folder)
    with pytest.raises(gb.InputError, match=r"manifest.json: .*another run \(it differs in p\)"):
        gb.distributed.balance(pattern, folder=folder, npartitions=3, p=1, resume=True)
    for content, message in (("{}", "no checkpoint"), ('{"version": 99}', "of version 99")):
        other = tmp_path / "other"
        other.mkdir(exist_ok=True)
        (other / "manifest.json").write_text(content)
        with pytest.raises(gb.InputError, match=f"manifest.json: .*{message}"):
            gb.distributed.balance(pattern, folder=other, resume=True)
    for name, message in (
        ("part-00001.costs.npy", "checksum differs"),
        ("part-00001.weights.npy", "is missing"),
        ("labels.parquet", "is damaged"),
        ("potentials.npz", "is damaged"),
    ):
        victim = folder / name
        whole = victim.read_bytes()
        if message == "is missing":
            victim.unlink()
        else:
            victim.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
        if name == "labels.parquet":
            victim.write_bytes(whole[:-9])
        with pytest.raises(gb.GraphbalError, match=f"{name}: .*{message}"):
            gb.distributed.balance(pattern, folder=folder, npartitions=3, resume=True)
        victim.write_bytes(whole)
    eq = gb.distributed.balance(pattern, TOL, folder=folder, npartitions=3, resume=True)
    assert_balanced_as(rows, eq)


@pytest.mark.parametrize("writes", [8, 20, 31])
def test_a_full_disk_is_named_and_costs_nothing_but_the_rest(writes, tmp_path, monkeypatch):
    """It fills up while rows are sorted, partitions compiled, or potentials recorded."""
    monkeypatch.setattr(_checkpoint, "INTERVAL", 0.0)
    rows, folder = table(18, m=700), tmp_path / "work"
    pattern, left = written(rows, tmp_path), [writes]

    def fsync(file):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("graphbal.io.os.fsync", fsync)
        with pytest.raises(gb.GraphbalError, match=r"work/.*np[yz]: No space left on device"):
            gb.distributed.balance(pattern, folder=folder, npartitions=3)
    assert not list(folder.glob("*.part"))
    eq = gb.distributed.balance(pattern, TOL, folder=folder, npartitions=3, resume=True)
    assert_balanced_as(rows, eq)


@pytest.mark.usefixtures("either_way")
def test_a_worker_that_is_killed_is_not_missed(tmp_path):
    """Two processes, one of which dies without a word amid tasks of some partitions each."""
    from distributed import get_client

    rows = table(15, m=600)
    killed = []

    def kill(step):
        if step["iteration"] == 2 and not killed:
            pids = get_client().run(os.getpid)
            killed.append(next(iter(pids.values())))
            os.kill(killed[0], signal.SIGKILL)

    with dask.config.set(scheduler=None), gb.distributed.cluster(workers=2, memory="1GB"):
        eq = gb.distributed.balance(written(rows, tmp_path), TOL, npartitions=9, progress=kill)
    assert killed
    assert not Path(f"/proc/{killed[0]}").exists()
    assert_balanced_as(rows, eq)
