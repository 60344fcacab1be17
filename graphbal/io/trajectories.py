"""Trajectories in Parquet files: vectors over neurons, and how to go on from them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphbal.convert import as_network
from graphbal.errors import InputError
from graphbal.integrators import Course, Jump, Point
from graphbal.io import replacing
from graphbal.network import SynapticNetwork
from graphbal.trajectory import Trajectory

__all__ = ["read", "write"]

Array = NDArray[np.float64]

KEY = b"graphbal.trajectory"
SETTINGS = ("method", "rtol", "atol", "until", "t", "is_driven")
STANDING = ("method", "t", "step", "order", "equal_steps")
MEASURES = ("total_cost", "gradient_norm", "neuron_imbalance")


def write(trajectory: Trajectory, path: Path) -> None:
    """Write a trajectory.

    A row is a vector over the neurons, of the kind that the column `record` says: the potentials h
    at a time t with the measures of that time, or one of those that the integrator needs to go on.
    Everything that is not a vector is in the metadata of the schema.
    """
    import pyarrow as pa
    from pyarrow import parquet

    course, point, m = trajectory.course, trajectory.point, trajectory.t.size
    others = [("rates", course.rates), ("initial", course.q)]
    others += [("integrator", vector) for vector in point.vectors]
    if point.base is not None:
        others.append(("base", point.base))
    vectors = np.concatenate([trajectory.h, *(vector[None, :] for _, vector in others)])
    nothing = np.full(len(others), np.nan)
    told = {
        name: np.concatenate([values, nothing])
        for name, values in zip(
            ("t", *MEASURES), (trajectory.t, *trajectory.measures.T), strict=True
        )
    }
    table = pa.table(
        {"record": ["potentials"] * m + [name for name, _ in others]}
        | told
        | {"vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])}
    )
    facts = {
        "network": fingerprint(trajectory.network),
        "converged": trajectory.converged,
        "message": trajectory.message,
        "stats": trajectory.stats,
        "pending": None if trajectory.pending is None else trajectory.pending.tolist(),
        "jumps": [(j.t, j.synapses.tolist(), j.factors.tolist()) for j in course.jumps],
        "course": {name: getattr(course, name) for name in SETTINGS},
        "point": {name: getattr(point, name) for name in STANDING},
    }
    table = table.replace_schema_metadata({KEY: json.dumps(facts).encode()})
    try:
        with replacing(path) as file:
            parquet.write_table(table, file, use_dictionary=["record"], compression="zstd")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def read(path: Path, network: Any) -> Trajectory:
    """Read what `write` wrote."""
    import pyarrow as pa
    from pyarrow import parquet

    from graphbal.flow import without_self_connections

    net = as_network(network)
    try:
        table = parquet.read_table(path)
        facts = json.loads((table.schema.metadata or {})[KEY])
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise InputError(f"{path} is not a trajectory that graphbal wrote") from error
    if facts["network"] != fingerprint(net):
        raise InputError(f"{path} is the trajectory of another network, or of another cost")
    flat = table["vector"].combine_chunks().flatten().to_numpy()
    vectors = flat.reshape(-1, net.n_neurons)
    record = table["record"].to_numpy()
    reported = record == "potentials"

    def vector(name: str) -> Array | None:
        found = vectors[record == name]
        return found[0] if len(found) else None

    rates, initial = vector("rates"), vector("initial")
    assert rates is not None
    assert initial is not None
    course = Course(
        costs=without_self_connections(net.costs),
        rates=rates,
        jumps=tuple(Jump(t, np.array(at), np.array(f)) for t, at, f in facts["jumps"]),
        drive=None,
        q=initial,
        **facts["course"],
    )
    return Trajectory(
        network=net,
        t=table["t"].to_numpy()[reported],
        h=vectors[reported],
        measures=np.column_stack([table[name].to_numpy()[reported] for name in MEASURES]),
        converged=facts["converged"],
        message=facts["message"],
        stats=facts["stats"],
        course=course,
        point=Point(vectors=vectors[record == "integrator"], base=vector("base"), **facts["point"]),
        pending=None if facts["pending"] is None else np.array(facts["pending"]),
    )


def fingerprint(net: SynapticNetwork) -> str:
    """Return a digest of the network's labels, synapses and costs."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([net.p, [str(label) for label in net.neurons]]).encode())
    digest.update(net.costs.indptr.astype(np.int64, copy=False))
    digest.update(net.costs.indices.astype(np.int64, copy=False))
    digest.update(net.costs.data)
    return digest.hexdigest()
