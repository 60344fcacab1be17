"""Labels of neurons, kept as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["label_index"]


def label_index(labels: Any) -> pd.Index:
    """Return labels as an Index that keeps them as they are: tuples whole, 64-bit integers exact.

    Examples
    --------
    >>> from graphbal.convert.labels import label_index
    >>> label_index([2**63, 1])
    Index([9223372036854775808, 1], dtype='uint64')
    >>> label_index([("AVA", "L"), ("AVA", "R")]).nlevels
    1
    """
    if isinstance(labels, pd.Index) and not isinstance(labels, pd.MultiIndex):
        return labels
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu":
        return pd.Index(labels)
    labels = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    kinds = set(map(type, labels))
    if kinds == {int} and labels == list(range(len(labels))):
        return pd.RangeIndex(len(labels))
    if kinds and all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
        smallest, largest = int(min(labels)), int(max(labels))
        if smallest >= -(2**63) and largest < 2**63:
            return pd.Index(np.array(labels, dtype=np.int64))
        if smallest >= 0 and largest < 2**64:
            return pd.Index(np.array(labels, dtype=np.uint64))
    objects = np.empty(len(labels), dtype=object)
    objects[:] = labels
    return pd.Index(objects, dtype=object, tupleize_cols=False)
