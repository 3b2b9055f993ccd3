"""A source gives the same chunks everywhere, and every file of it is in one or is told."""

from __future__ import annotations

import os
import zipfile

import pytest
from shards import write_shard

from probefusion.archives.files import storage
from probefusion.archives.images import DoneChunk, PersonRule, SourceSettings, plan, with_later
from probefusion.archives.images.plan import plan_images
from probefusion.errors import ConfigError, EmptySetError, FileFormatError, MissingFileError

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def _settings(person="folder", **changes):
    return SourceSettings(person=PersonRule.parse(person), **changes)


def _fill(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_files_in_the_order_of_their_names(tmp_path, monkeypatch):
    names = [f"p{k % 5}/{k:02d}.jpg" for k in range(23)]
    _fill(tmp_path, names)
    found = plan_images(tmp_path, _settings(chunk_size=4))
    assert [name for chunk in found.chunks for name in chunk.names] == sorted(names)
    assert [chunk.expected for chunk in found.chunks] == [4, 4, 4, 4, 4, 3]
    scandir = os.scandir

    class Backwards:
        def __init__(self, path):
            with scandir(path) as entries:
                self._entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self._entries)

        def __exit__(self, *details):
            pass

    monkeypatch.setattr(storage.os, "scandir", Backwards)
    assert plan_images(tmp_path, _settings(chunk_size=4)) == found


def test_everything_is_in_a_chunk_or_told(tmp_path):
    _fill(
        tmp_path,
        [
            "a/1.jpg",
            "a/clip.mp4",
            "a/README.md",
            "a/.hidden.jpg",
            "b/2.PNG",
            "b/odd.xyz",
            "s/x.tgz",
            "s/y.zip",
        ],
    )
    write_shard(tmp_path / "s" / "0.tar", [("a/1.jpg", b"1")])
    (tmp_path / "a" / "picture").write_bytes(
        b"\xff\xd8\xff\xe0" + b"\0" * 60
    )  # a JPEG by its first bytes
    found = plan_images(tmp_path, _settings())
    assert [(chunk.kind, chunk.names) for chunk in found.chunks] == [
        ("files", ("a/1.jpg", "a/picture", "b/2.PNG")),
        ("videos", ("a/clip.mp4",)),
        ("tar", ("s/0.tar",)),
    ]
    told = {image.source: image.reason for image in found.skipped}
    assert sorted(told) == ["b/odd.xyz", "s/x.tgz", "s/y.zip"]
    assert "unpack it" in told["s/x.tgz"]


def test_what_changes_tells_itself_by_the_tag(tmp_path):
    _fill(tmp_path, ["a/1.jpg", "a/1.cls", "b/2.jpg", "b/2.cls"])
    before = plan_images(tmp_path, _settings("cls", chunk_size=1)).chunks
    (tmp_path / "b" / "2.cls").write_bytes(b"another")
    after = plan_images(tmp_path, _settings("cls", chunk_size=1)).chunks
    assert before[0] == after[0]
    assert before[1].tag != after[1].tag
    assert plan_images(tmp_path, _settings(chunk_size=1)).skipped[0].source == "a/1.cls"


def test_what_names_the_person_of_a_clip_is_part_of_its_chunk(tmp_path):
    _fill(tmp_path, ["a/1.mp4", "a/1.cls"])
    before = plan_images(tmp_path, _settings("cls")).chunks
    (tmp_path / "a" / "1.cls").write_bytes(b"another")
    after = plan_images(tmp_path, _settings("cls")).chunks
    assert [chunk.kind for chunk in after] == ["videos"]
    assert before[0].tag != after[0].tag


def test_zip_archives(tmp_path):
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("faces/b/1.jpg", "faces/a/1.jpg", "faces/a/x.dng", "__MACOSX/a/1.jpg"):
            archive.writestr(name, b"x")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("faces/a/1.jpg", b"y")
    found = plan_images(path, _settings(chunk_size=1))
    assert [(chunk.kind, chunk.names, chunk.wrapping) for chunk in found.chunks] == [
        ("zip", ("faces/b/1.jpg",), 1)
    ]
    assert [image.source for image in found.skipped] == ["faces/a/1.jpg", "faces/a/x.dng"]
    (tmp_path / "no.zip").write_bytes(b"no zip")
    with pytest.raises(FileFormatError, match="expected a zip archive"):
        plan_images(tmp_path / "no.zip", _settings())


def test_large_shards_are_cut(tmp_path, monkeypatch):
    path = write_shard(tmp_path / "0.tar", [(f"a/{k}.jpg", b"x" * 3000) for k in range(10)])
    monkeypatch.setattr(plan, "_SHARD_BYTES", 16_000)
    chunks = plan_images(tmp_path, _settings()).chunks
    assert [chunk.start for chunk in chunks] == [0, *(chunk.stop for chunk in chunks[:-1])]
    assert len(chunks) == -(-path.stat().st_size // 16_000)
    assert chunks[-1].stop is None
    assert plan_images(path, _settings()).chunks == chunks


def test_parquet_files_by_row_groups(tmp_path):
    table = arrow.table({"image": [b"x"] * 25, "label": list(range(25))})
    parquet.write_table(table, tmp_path / "0.parquet", row_group_size=4)
    (tmp_path / "1.parquet").write_bytes(b"PAR1 broken PAR1")
    parquet.write_table(arrow.table({"pixels": [b"x"]}), tmp_path / "2.parquet")
    found = plan_images(tmp_path, _settings("column:label", chunk_size=10))
    assert [(chunk.start, chunk.stop, chunk.expected) for chunk in found.chunks] == [
        (0, 2, 8),
        (2, 4, 8),
        (4, 7, 9),
    ]
    assert [image.source for image in found.skipped] == ["1.parquet", "2.parquet"]
    assert "--image-column" in found.skipped[1].reason
    with pytest.raises(
        ConfigError, match=r"expected column:NAME, got 'folder': 0.parquet is a Parq"
    ):
        plan_images(tmp_path / "0.parquet", _settings())


def test_large_row_groups_are_cut(tmp_path):
    for name, size in (("0", 25), ("1", 4)):
        table = arrow.table({"image": [b"x"] * 25, "label": list(range(25))})
        parquet.write_table(table, tmp_path / f"{name}.parquet", row_group_size=size)
    whole = arrow.table({"image": [b"x"] * 20, "label": list(range(20))})
    with parquet.ParquetWriter(tmp_path / "2.parquet", whole.schema) as writer:
        for start, count in ((0, 3), (0, 20), (3, 2)):
            writer.write_table(whole.slice(start, count), row_group_size=100)
    chunks = plan_images(tmp_path, _settings("column:label", chunk_size=6)).chunks
    found = [
        (
            chunk.names[0][0],
            chunk.start,
            chunk.stop,
            chunk.first_row,
            chunk.num_rows,
            chunk.expected,
        )
        for chunk in chunks
    ]
    assert found == [
        *[("0", 0, 1, first, 6, 6) for first in (0, 6, 12, 18)],
        ("0", 0, 1, 24, 1, 1),
        *[("1", start, start + 1, 0, None, 4) for start in range(5)],
        ("1", 5, 7, 0, None, 5),
        ("2", 0, 1, 0, None, 3),
        *[("2", 1, 2, first, 6, 6) for first in (0, 6, 12)],
        ("2", 1, 2, 18, 2, 2),
        ("2", 2, 3, 0, None, 2),
    ]
    parts = [chunk for chunk in chunks if chunk.num_rows is not None]
    assert len({chunk.tag for chunk in parts}) == len(parts)
    assert len({str(chunk.facts) for chunk in parts}) == len(parts)


def test_a_column_names_nobody_in_files(tmp_path):
    _fill(tmp_path, ["a/1.jpg"])
    with pytest.raises(ConfigError, match=r"expected no column, got 'column:label': a/1.jpg is no"):
        plan_images(tmp_path, _settings("column:label"))


def test_nothing_to_embed(tmp_path):
    with pytest.raises(EmptySetError, match="found no images"):
        plan_images(tmp_path, _settings())
    with pytest.raises(MissingFileError):
        plan_images(tmp_path / "none", _settings())


def test_a_run_that_took_a_whole_row_group_for_one_chunk_goes_on(tmp_path):
    table = arrow.table({"image": [b"%d" % k for k in range(25)], "who": [1] * 25})
    parquet.write_table(table, tmp_path / "0.parquet")
    settings = _settings("column:who", chunk_size=10)
    uncut = plan_images(tmp_path, _settings("column:who", chunk_size=25)).chunks[0]
    now = plan_images(tmp_path, settings)
    assert [chunk.num_rows for chunk in now.chunks] == [10, 10, 5]
    parquet.write_table(table.slice(0, 3), tmp_path / "1.parquet")
    later = plan_images(tmp_path, settings)
    found = with_later(later, [uncut.facts], {0: DoneChunk()}, settings, output="out")
    assert [(chunk.names, chunk.expected) for chunk in found.chunks] == [
        (("0.parquet",), 25),
        (("1.parquet",), 3),
    ]
    assert found.chunks[0].facts == uncut.facts
    changed = {**uncut.facts, "tag": "0" * 64}
    with pytest.raises(ConfigError, match=r"chunk 0 \(0.parquet\) was changed"):
        with_later(later, [changed], {0: DoneChunk()}, settings, output="out")
