"""Rows are read as an array gives them, and none that was not written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from probefusion.errors import FileFormatError, IntegrityError, MissingFileError
from probefusion.training.row_files import RowFile, RowWriter, check_of_rows

ARRAY = np.arange(60, dtype=np.float16).reshape(10, 3, 2)

INDICES = [
    3, -1, slice(2, 7), slice(None, None, -2), slice(5, 5), [4, 1, 1], np.array([[1, 2], [9, 0]]), np.zeros(0, int),
    np.arange(10) % 3 == 0, (slice(None), slice(None), 1), (Ellipsis, 0), (np.array([2, 3]), np.array([1, 1])), (3, 1),
]  # fmt: skip


@pytest.fixture
def file(tmp_path) -> RowFile:
    path = tmp_path / "rows.npy"
    RowWriter.create(path, ARRAY.shape, ARRAY.dtype)
    writer = RowWriter(path)
    last = writer.write(4, ARRAY[4:])
    checks = np.concatenate([writer.write(0, ARRAY[:4]), last])
    assert np.array_equal(checks, check_of_rows(ARRAY))
    assert np.array_equal(np.load(path), ARRAY)
    return RowFile(path, checks)


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_any_index_gives_what_it_gives_of_an_array(file, index) -> None:
    found = file[index]
    assert np.shape(found) == np.shape(ARRAY[index])
    assert np.array_equal(found, ARRAY[index])


def test_a_view_of_a_view(file) -> None:
    view = file.select(np.array([5, 3, 9]))
    assert view.shape == (3, 3, 2)
    assert np.array_equal(view, ARRAY[[5, 3, 9]])
    assert np.array_equal(view[[2, 0]], ARRAY[[9, 5]])
    assert np.array_equal(view.select(np.array([1, 1])), ARRAY[[3, 3]])
    assert np.asarray(view, np.float64).dtype == np.float64


def test_threads_read_the_same_file(file) -> None:
    def read(seed: int) -> bool:
        rows = np.random.default_rng(seed).integers(0, 10, 6)
        return np.array_equal(file[rows], ARRAY[rows])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(200)))


def test_a_changed_row_is_told_when_it_is_read(file) -> None:
    data = bytearray(file.path.read_bytes())
    data[-1] ^= 4
    file.path.write_bytes(data)
    assert np.array_equal(file[:9], ARRAY[:9])
    with pytest.raises(IntegrityError, match=r"rows\.npy: row 9 is not what was written"):
        file.select(np.array([2, 9]))[:]


def test_files_that_do_not_fit(file, tmp_path) -> None:
    with pytest.raises(FileFormatError, match=r"expected 4 rows, got the shape \(10, 3, 2\)"):
        RowFile(file.path, np.zeros(4, np.uint32))
    file.path.write_bytes(file.path.read_bytes()[:-5])
    with pytest.raises(FileFormatError, match="is cut off after"):
        file[9]
    with pytest.raises(FileFormatError, match="damaged or cut off"):
        RowFile(file.path)
    np.save(tmp_path / "f.npy", np.asfortranarray(np.zeros((3, 2))))
    with pytest.raises(FileFormatError, match="C order"):
        RowFile(tmp_path / "f.npy")
    with pytest.raises(MissingFileError):
        RowFile(tmp_path / "none.npy")
