"""Matrices in tiles, against SciPy's."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbal.engines import _tiles, local, local_engine
from graphbal.engines.local import in_tiles

# Three strips of columns, or two where rows are short, and several bands of rows; the last ones
# not full.
N = 2 * 2**14 + 100


@pytest.fixture(params=["as wide as rows ask for", "narrow"])
def width(request, monkeypatch):
    """Let short rows have wide tiles, or narrow ones nevertheless."""
    if request.param == "narrow":
        monkeypatch.setattr(_tiles, "RUN", 0)


def random_matrix(n, per_row, seed, integers=np.int32):
    rng = np.random.default_rng(seed)
    post, pre = rng.integers(0, n, size=(2, per_row * n))
    values = rng.integers(1, 100, size=post.size).astype(float)
    matrix = sp.csr_array(sp.coo_array((values, (post, pre)), shape=(n, n)))
    matrix.indptr, matrix.indices = matrix.indptr.astype(integers), matrix.indices.astype(integers)
    return matrix


def matrix_of(tiles):
    """Return the entries of tiles as a sparse matrix, by what their attributes say."""
    post, pre, values = [], [], []
    for strip, band in np.ndindex(tiles.starts.shape):
        rows = slice(int(tiles.begins[strip, band]), int(tiles.ends[strip, band]))
        each = np.ones_like(tiles.order) if tiles.sizes is None else tiles.sizes
        sizes = each[rows].astype(int)
        assert (sizes > 0).all()
        begin = int(tiles.starts[strip, band])
        entries = slice(begin, begin + sizes.sum())
        post.append(np.repeat(int(tiles.rows[band]) + tiles.order[rows].astype(int), sizes))
        pre.append((strip << tiles.bits) + tiles.columns[entries].astype(int))
        values.append(tiles.values[entries])
    coordinates = np.concatenate(post), np.concatenate(pre)
    return sp.coo_array((np.concatenate(values), coordinates), shape=(tiles.n, tiles.n)).tocsr()


@pytest.mark.usefixtures("width")
@pytest.mark.parametrize("integers", [np.int32, np.int64])
@pytest.mark.parametrize("factor", [1.0, 0.25, np.pi])
def test_a_pass_gives_both_products(integers, factor):
    matrix = factor * random_matrix(N, 5, 0, integers)
    x, y = np.random.default_rng(1).standard_normal((2, N))
    for largest in (matrix.data.max(), np.inf):
        gathered, scattered = in_tiles(matrix, largest).products(x, y)
        np.testing.assert_allclose(gathered, matrix @ x, rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(scattered, matrix.T @ y, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (0.0, np.uint16),
        (2.0**16 - 1, np.uint16),
        (2.0**16, np.float32),
        (2.0**24, np.float32),
        (2.0**64, np.float32),
        (0.5, np.float32),
        (-1.0, np.float32),
        (np.inf, np.float32),
        (-np.inf, np.float32),
        (2.0**24 + 1, np.float64),
        (1e-50, np.float64),
        (1e50, np.float64),
        (0.1, np.float64),
    ],
)
@pytest.mark.parametrize("factor", [1.0, 0.25, np.pi])
def test_values_are_kept_to_the_last_digit(last, kind, factor):
    matrix = factor * random_matrix(N, 2, 2)
    matrix.data[-1] = last  # not among the values that are looked at first
    tiles = in_tiles(matrix, matrix.data.max())
    others = {1.0: np.uint16, 0.25: np.float32, np.pi: np.float64}[factor]
    assert tiles.values.dtype == max(kind, others, key=lambda each: np.dtype(each).itemsize)
    assert (matrix_of(tiles) != matrix).nnz == 0
    unknown = in_tiles(matrix)
    assert unknown.values.dtype in (np.float32, np.float64)
    assert (matrix_of(unknown) != matrix).nnz == 0


@pytest.mark.usefixtures("width")
@pytest.mark.parametrize("per_row", [1, 30, 200])
def test_rows_come_by_their_number_of_entries(per_row):
    matrix = random_matrix(N, per_row, 7)
    tiles = in_tiles(matrix)
    heights = np.diff(tiles.rows.astype(int))
    assert heights.max() <= _tiles.MOST_ROWS
    assert heights.min() >= _tiles.FEWEST_ROWS // 2
    for strip, band in np.ndindex(tiles.starts.shape):
        rows = slice(int(tiles.begins[strip, band]), int(tiles.ends[strip, band]))
        assert len(set(tiles.order[rows])) == tiles.order[rows].size
        assert (np.diff(tiles.sizes[rows].astype(int)) <= 0).all()
    assert (matrix_of(tiles) != matrix).nnz == 0


@pytest.mark.usefixtures("width")
@pytest.mark.parametrize("per_row", [1, 6, 40])
@pytest.mark.parametrize("factor", [1.0, 0.25, np.pi])
def test_their_size_is_known_before_they_are_cut(per_row, factor, monkeypatch):
    monkeypatch.setattr(local, "CROWDED", 0)
    matrix = factor * random_matrix(N, per_row, 15)
    largest = matrix.data.max()
    tiles = in_tiles(matrix, largest)
    runs = int((tiles.ends - tiles.begins).sum())
    size = tiles.columns.nbytes + tiles.values.nbytes + 4 * runs
    assert local.stored_bytes(matrix, largest) == pytest.approx(size, rel=0.01)


@pytest.mark.usefixtures("width")
@pytest.mark.parametrize("factor", [1.0, 0.25, np.pi])
@pytest.mark.parametrize("largest", [100.0, np.inf])
def test_squares_are_taken_in_passing(factor, largest):
    roots = factor * random_matrix(N, 3, 9)
    roots.data *= np.random.default_rng(10).choice([-1, 1], size=roots.nnz)
    squares = roots.copy()
    squares.data = roots.data**2
    tiles = in_tiles(roots, factor * largest, squared=True)
    if factor == 1:
        assert tiles.values.dtype == (np.uint16 if largest == 100 else np.float32)
    assert (matrix_of(tiles) != abs(roots)).nnz == 0
    x, y = np.random.default_rng(11).standard_normal((2, N))
    gathered, scattered = tiles.products(x, y)
    np.testing.assert_allclose(gathered, squares @ x, rtol=1e-12, atol=1e-6)
    np.testing.assert_allclose(scattered, squares.T @ y, rtol=1e-12, atol=1e-6)
    strong = tiles.above(np.ones(N), np.full(N, np.quantile(squares.data, 0.9)), 0.2)
    assert strong.squared
    assert (strong.ends - strong.begins).sum() == (
        squares.data >= np.quantile(squares.data, 0.9)
    ).sum()


@pytest.mark.parametrize(
    ("n", "per_row", "bits"),
    [
        (2**14, 1, 14),  # one strip, which cannot be too narrow
        (139_255, 108, 14),
        (928_367, 108, 15),
        (2**18, 30, 15),
        (2**18, 3, 16),
        (2**20, 100, 15),
        (2**20, 1000, 14),
    ],
)
def test_short_rows_have_wide_tiles(n, per_row, bits):
    strips = _tiles._n_strips(n, _tiles._bits(n, n, per_row * n))
    assert _tiles._bits_of(n, strips) == bits


@pytest.mark.usefixtures("width")
def test_rows_of_any_length():
    lengths = [0, 1, 2, 3, _tiles.LONG - 1, _tiles.LONG, _tiles.LONG + 1, N, 10, 0]
    rng = np.random.default_rng(12)
    pre = np.concatenate([np.sort(rng.choice(N, k, replace=False)) for k in lengths])
    post = np.repeat(np.arange(len(lengths)), lengths)
    values = rng.integers(1, 100, post.size).astype(float)
    matrix = sp.csr_array((values, (post, pre)), shape=(N, N))
    assert (matrix_of(in_tiles(matrix)) != matrix).nnz == 0


@given(st.integers(1, 60), st.integers(0, 10**6), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_matrix_survives(n, seed, shuffled):
    matrix = random_matrix(n, 3, seed)
    if shuffled:
        for row in range(n):
            own = slice(matrix.indptr[row], matrix.indptr[row + 1])
            matrix.indices[own] = matrix.indices[own][::-1]
            matrix.data[own] = matrix.data[own][::-1]
        matrix.has_sorted_indices = False
    np.testing.assert_array_equal(matrix_of(in_tiles(matrix)).toarray(), matrix.toarray())


@pytest.mark.usefixtures("width")
@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_entries_above_are_those_of_the_matrix(share):
    matrix = random_matrix(N, 4, 3)
    right, enough = np.random.default_rng(4).random((2, N))
    enough *= 60
    post = np.repeat(np.arange(N), np.diff(matrix.indptr))
    above = matrix.data * right[matrix.indices] >= enough[post]
    kept = sp.coo_array(
        (matrix.data[above], (post[above], matrix.indices[above])), shape=matrix.shape
    )
    found = in_tiles(matrix).above(right, enough, share)
    assert 0 < kept.nnz < matrix.nnz
    assert (found.ends - found.begins).sum() == kept.nnz
    assert (matrix_of(found) != kept.tocsr()).nnz == 0
    x, y = np.random.default_rng(5).standard_normal((2, N))
    gathered, scattered = found.products(x, y)
    np.testing.assert_allclose(gathered, kept @ x, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(scattered, kept.T @ y, rtol=1e-12, atol=1e-9)


def test_many_neurons_with_many_synapses_each_go_to_tiles(monkeypatch):
    matrix = random_matrix(N, 4, 6)
    assert local_engine(matrix).tiles is None
    monkeypatch.setattr(local, "CROWDED", 3)
    engine = local_engine(matrix)
    assert engine.tiles is not None
    state = engine.at(np.zeros(N))
    np.testing.assert_allclose(state.incoming, matrix.sum(axis=1))
    np.testing.assert_allclose(state.outgoing, matrix.sum(axis=0))
