"""One large row group is decoded once, however many ranges it is read in; one long text does not take all memory."""

from __future__ import annotations

import io
import os
import pickle
from contextlib import contextmanager

import numpy as np
import pytest

from probefusion.archives import erase_from_archive, fuse_archive, open_archive
from probefusion.archives import manifest as plan
from probefusion.archives.engines.local import LocalEngine
from probefusion.archives.rows import parquet_archive
from probefusion.archives.rows.ids import LONGEST_ID, among, as_stored
from probefusion.errors import FileFormatError
from probefusion.files.parquet import open_parquet_stream
from probefusion.io import read_embeddings
from probefusion.types import TemplateSet
from probefusion.zoo import load_fuser

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ROWS = 20_000
ALL = frozenset({"embedding"})


def write(path, ids, *, group, sources=None, seed=0):
    matrix = np.random.default_rng(seed).standard_normal((len(ids), 4)).astype(np.float32)
    columns = {
        "template_id": pyarrow.array(ids),
        "embedding": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(matrix.reshape(-1)), 4),
    }
    if sources is not None:
        columns["source"] = sources
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(pyarrow.table(columns), path, row_group_size=group)
    return path


class Counting:
    """A Parquet file that counts the rows that are decoded, and how often it was opened."""

    decoded = opened = open_now = 0

    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def iter_batches(self, *arguments, **options):
        for batch in self._file.iter_batches(*arguments, **options):
            Counting.decoded += batch.num_rows
            yield batch


@pytest.fixture
def counted(monkeypatch):
    real = parquet_archive.open_stored_parquet

    @contextmanager
    def opened(place, size=None):
        with real(place, size) as file:
            Counting.opened += 1
            Counting.open_now += 1
            yield Counting(file)
            Counting.open_now -= 1

    Counting.decoded = Counting.opened = Counting.open_now = 0
    monkeypatch.setattr(parquet_archive, "open_stored_parquet", opened)
    return Counting


def ranges(reader, path, borders, count=700):
    found = []
    for start, stop in borders:
        for begin, part in reader.parts(str(path), start, stop, count, ALL):
            rows = reader.decoded(begin, part, path.name)
            found += zip(range(begin, begin + len(rows.ids)), rows.ids.tolist(), strict=True)
            assert len(rows.ids) <= count
    return found


def test_a_group_is_decoded_once(tmp_path, counted):
    path = write(tmp_path / "a.parquet", np.arange(ROWS) % 7, group=ROWS)
    reader = open_archive(path).reader
    counted.opened = 0
    expected = [(row, row % 7) for row in range(ROWS)]
    borders = [(start, min(start + 999, ROWS)) for start in range(0, ROWS, 999)]
    assert ranges(reader, path, borders) == expected
    assert (counted.decoded, counted.opened, counted.open_now) == (ROWS, 1, 0)
    counted.decoded = 0
    every_other = borders[::2]  # as one of two workers
    assert ranges(reader, path, every_other) == [
        pair for start, stop in every_other for pair in expected[start:stop]
    ]
    assert counted.decoded <= ROWS


def test_any_ranges_give_the_same_rows(tmp_path, counted):
    groups = 3_000
    path = write(tmp_path / "a.parquet", np.arange(ROWS), group=groups)
    reader = open_archive(path).reader
    rng = np.random.default_rng(0)
    for _ in range(40):
        start, stop = sorted(rng.integers(0, ROWS + 500, 2).tolist())
        found = ranges(reader, path, [(start, stop)], count=int(rng.integers(1, 5000)))
        assert found == [(row, row) for row in range(start, min(stop, ROWS))]
    parts = reader.parts(str(path), 100, 900, 50, ALL)
    next(parts)
    parts.close()  # whoever stops early leaves nothing open
    assert counted.open_now <= 1


def test_a_file_that_was_replaced_is_opened_anew(tmp_path):
    path = write(tmp_path / "a.parquet", np.arange(ROWS), group=ROWS)
    reader = open_archive(path).reader
    assert ranges(reader, path, [(0, 1000)])[-1] == (999, 999)
    again = write(tmp_path / "new" / "a.parquet", np.arange(ROWS) + 5, group=ROWS)
    os.utime(again, ns=(1, 1))
    again.replace(path)
    assert ranges(reader, path, [(1000, 2000)])[0] == (1000, 1005)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        ranges(reader, path, [(2000, 3000)])


def test_where_it_stopped_does_not_travel(tmp_path):
    path = write(tmp_path / "a.parquet", np.arange(ROWS), group=ROWS)
    reader = open_archive(path).reader
    ranges(reader, path, [(0, 1000)])
    other = pickle.loads(pickle.dumps(reader))
    assert other == reader
    assert ranges(other, path, [(1000, 1500)]) == [(row, row) for row in range(1000, 1500)]
    assert ranges(reader, path, [(1000, 1500)]) == [(row, row) for row in range(1000, 1500)]


def test_one_group_and_many_give_the_same_templates(tmp_path, monkeypatch):
    monkeypatch.setattr("probefusion.archives.fusing.planning._MOST_ROWS", 1024)
    ids = np.random.default_rng(1).integers(0, 50, ROWS)
    found = []
    for name, group in (("one", ROWS), ("many", 1024)):
        archive = open_archive(write(tmp_path / name / "a.parquet", ids, group=group))
        output = tmp_path / f"{name}.npz"
        with LocalEngine(2) as engine:
            fuse_archive(archive, load_fuser("mean"), output, engine=engine, screening=False)
        found.append(TemplateSet.load(output))
    assert plan.chunk_borders(archive.files[0], 1024)[:2] == (0, 1024)
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name].vector, found[1][name].vector)


def test_long_ids_are_refused_with_file_and_row(tmp_path):
    ids = [f"p{row % 50}" for row in range(6_000)]
    ids[4_500] = "x" * 5_000
    write(tmp_path / "long" / "0.parquet", ids, group=6_000)
    told = r"0\.parquet: column 'template_id': .* at most 256 characters, got 5,000 in row 4500"
    with pytest.raises(FileFormatError, match=told):
        fuse_archive(open_archive(tmp_path / "long"), load_fuser("mean"), tmp_path / "t.npz")
    coded = pyarrow.array(ids).dictionary_encode()
    write(tmp_path / "coded.parquet", coded, group=6_000)
    with pytest.raises(FileFormatError, match="got 5,000 in row 4500"):
        list(open_archive(tmp_path / "coded.parquet").ids())
    longest = "ü" * LONGEST_ID  # characters count, not bytes
    write(tmp_path / "fits" / "0.parquet", [longest, "b", longest], group=3)
    fuse_archive(open_archive(tmp_path / "fits"), load_fuser("mean"), tmp_path / "u.npz")
    assert sorted(TemplateSet.load(tmp_path / "u.npz").ids) == ["b", longest]


def test_arrays_that_were_made_for_longer_texts(tmp_path):
    wide = np.array(["anna", "ben"], "U5000")
    narrow = as_stored(wide, "texts", "ids.npy")
    assert (narrow.tolist(), narrow.dtype) == (["anna", "ben"], np.dtype("U4"))
    wide[1] = "x" * 300
    with pytest.raises(FileFormatError, match=r"ids of ids\.npy: .* got one of 300"):
        as_stored(wide, "texts", "ids.npy")


def test_long_names_of_images_are_no_trouble(tmp_path):
    sources = [f"{row}.jpg" for row in range(3_000)]
    sources[2_500] = "y" * 100_000
    path = write(tmp_path / "a" / "0.parquet", np.arange(3_000), group=3_000, sources=sources)
    erased = erase_from_archive(
        archives=[path.parent], images=["7.jpg", sources[2_500], "none.jpg"]
    )
    assert erased.not_found == ("none.jpg",)
    left = parquet.read_table(path)["source"].to_pylist()
    assert left == [name for name in sources if name not in ("7.jpg", sources[2_500])]
    assert among(np.array(["a", "b"], object), ["b"]).tolist() == [False, True]


def test_tables_of_which_one_name_is_endless(tmp_path):
    header = "source,e0,e1"
    rows = [f"{row}.jpg,1,{row + 1}" for row in range(3_000)]
    rows[10] = "z" * 100_000 + ",1,1"
    path = tmp_path / "a.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"a\.csv: column 'source': 3,000 texts of up to 100"):
        read_embeddings(path)
    rows[10] = "z" * 200 + ",1,1"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    assert read_embeddings(path).sources[10] == "z" * 200


@pytest.mark.parametrize(("largest", "is_in_pieces"), [(1 << 10, True), (1 << 30, False)])
def test_a_large_group_behind_a_url_comes_in_pieces(tmp_path, monkeypatch, largest, is_in_pieces):
    monkeypatch.setattr("probefusion.files.parquet._LARGEST_BUFFERED", largest)
    monkeypatch.setattr("probefusion.files.parquet._READ_AHEAD_BYTES", 1 << 14)
    path = write(tmp_path / "a.parquet", np.arange(ROWS), group=ROWS)
    table = parquet.read_table(path)
    parquet.write_table(table, path, use_dictionary=False, data_page_size=1 << 12)
    read = 0

    class Counted(io.FileIO):
        def readinto(self, buffer):
            nonlocal read
            count = super().readinto(buffer)
            read += count
            return count

        def read(self, size=-1):
            nonlocal read
            data = super().read(size)
            read += len(data)
            return data

    size = path.stat().st_size
    with (
        Counted(path) as stream,
        open_parquet_stream(stream, "a.parquet", size=size) as file,
    ):
        columns = file.iter_batches(100, columns=["template_id", "embedding"], use_threads=False)
        assert next(columns).num_rows == 100
        assert (read < size / 2) == is_in_pieces
        assert sum(batch.num_rows for batch in columns) == ROWS - 100
