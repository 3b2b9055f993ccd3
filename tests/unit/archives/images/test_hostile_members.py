"""Archives whose members are made to mislead: each member is an image of the right person, or told."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
from shards import write_shard

from probefusion.archives.images import Chunk, PersonRule, SourceSettings, plan_images
from probefusion.archives.images.reading import ImageReader
from probefusion.archives.images.tar_members import Damage, walk_shard
from probefusion.faces import SkippedImage
from probefusion.faces.images import MAX_FILE_BYTES

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def read(source, person="folder"):
    """Whose each image is, by its name; and why the others are skipped."""
    settings = SourceSettings(person=PersonRule.parse(person))
    found, told = {}, {}
    plan = plan_images(source, settings)
    images = list(plan.skipped)
    for chunk in plan.chunks:
        images += ImageReader(settings).read(chunk)
    for image in images:
        if isinstance(image, SkippedImage):
            told[image.source] = image.reason
        else:
            found[image.source] = image.subject_id
    return found, told


def shard_of(path, entries):
    """A shard of `tarfile.TarInfo`, with the content of each."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as shard:
        for info, data in entries:
            info.size = len(data)
            shard.addfile(info, io.BytesIO(data))
    return path


def test_names_that_lead_elsewhere(tmp_path):
    long = "n" * 3000
    path = write_shard(
        tmp_path / "0.tar",
        [
            ("../x/1.jpg", b"1"),
            ("a/../../x/1.jpg", b"2"),
            ("/anna/1.jpg", b"3"),
            ("././ben/1.jpg", b"4"),
            (f"{long}/1.jpg", b"5"),
            ("carl/" + "m" * 5000 + ".jpg", b"6"),
        ],
    )
    found, told = read(path)
    assert found == {
        "0.tar/anna/1.jpg": "anna",
        "0.tar/ben/1.jpg": "ben",
        f"0.tar/{long}/1.jpg": long,
        "0.tar/carl/" + "m" * 5000 + ".jpg": "carl",
    }
    assert sorted(told) == ["0.tar/../x/1.jpg", "0.tar/a/../../x/1.jpg"]
    assert all("leads out of the archive" in reason for reason in told.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.tar"]


def test_names_that_are_no_text(tmp_path):
    path = tmp_path / "0.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as shard:
        for name in ("anna\0x/1.jpg", "ben/1.jpg"):
            info = tarfile.TarInfo("placeholder")
            info.pax_headers = {"path": name}
            info.size = 1
            shard.addfile(info, io.BytesIO(b"1"))
    raw = tarfile.TarInfo("zoë/1.jpg".encode("latin-1").decode("utf-8", "surrogateescape"))
    raw.size = 1
    content = raw.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + b"1".ljust(512, b"\0")
    (tmp_path / "1.tar").write_bytes(content + bytes(1024))
    found, told = read(tmp_path)
    assert found == {"0.tar/ben/1.jpg": "ben", "1.tar/zo\\xeb/1.jpg": "zo\\xeb"}
    assert [reason.partition(",")[0] for reason in told.values()] == [
        "a name with '..' or a zero character"
    ]


def test_members_that_are_no_plain_files(tmp_path):
    def entry(name, kind, target=""):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        return info

    path = shard_of(
        tmp_path / "0.tar",
        [
            (tarfile.TarInfo("a/1.jpg"), b"first"),
            (entry("a/2.jpg", tarfile.SYMTYPE, "/etc/passwd"), b""),
            (entry("a/3.jpg", tarfile.LNKTYPE, "a/1.jpg"), b""),
            (entry("a/4.jpg", tarfile.CHRTYPE), b""),
            (entry("a/5.jpg", tarfile.DIRTYPE), b""),
            (tarfile.TarInfo("b/1.jpg"), b"last"),
        ],
    )
    found, told = read(path)
    assert found == {"0.tar/a/1.jpg": "a", "0.tar/b/1.jpg": "b"}
    assert sorted(told) == [f"0.tar/a/{number}.jpg" for number in (2, 3, 4, 5)]
    assert {reason.partition(":")[0] for reason in told.values()} == {
        "a link, device or sparse file in the shard"
    }


def sparse_entry(name, data, real_size):
    """An old GNU sparse member: one block of data in a file that claims to be large."""
    info = tarfile.TarInfo(name)
    info.type, info.size = tarfile.GNUTYPE_SPARSE, len(data)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398] = b"%011o\0" % 0
    header[398:410] = b"%011o\0" % len(data)
    header[483:495] = b"%011o\0" % real_size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data.ljust(512, b"\0")


def test_sparse_members_and_what_follows(tmp_path):
    before = write_shard(tmp_path / "x", [("a/1.jpg", b"1")]).read_bytes()[:1024]
    after = write_shard(tmp_path / "x", [("b/1.jpg", b"3")]).read_bytes()
    (tmp_path / "x").unlink()
    path = tmp_path / "0.tar"
    path.write_bytes(before + sparse_entry("a/2.jpg", b"2" * 100, 1 << 32) + after)
    with tarfile.open(path) as shard:
        assert shard.getmember("a/2.jpg").issparse()
    found, told = read(path)
    assert found == {"0.tar/a/1.jpg": "a", "0.tar/b/1.jpg": "b"}
    assert "sparse file in the shard" in told["0.tar/a/2.jpg"]
    path.write_bytes(before + sparse_entry("a/2.jpg", b"2" * 100, 1 << 32)[:600])
    with path.open("rb") as stream:
        last = list(walk_shard(stream))[-1]
    assert isinstance(last, Damage)


def test_shards_in_shards_and_empty_ones(tmp_path):
    inner = write_shard(tmp_path / "inner", [("a/1.jpg", b"1")]).read_bytes()
    (tmp_path / "inner").unlink()
    write_shard(tmp_path / "0.tar", [("a/inner.tar", inner), ("a/2.jpg", b"2")])
    write_shard(tmp_path / "1.tar", [])
    (tmp_path / "2.tar").write_bytes(b"")
    found, told = read(tmp_path)
    assert found == {"0.tar/a/2.jpg": "a"}
    assert list(told) == ["0.tar/a/inner.tar", "2.tar"]
    assert "no image" in told["0.tar/a/inner.tar"]
    assert "no end mark" in told["2.tar"]


def test_members_of_zip_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "0.zip", "w") as archive:
        for name in ("../x/1.jpg", "/anna/1.jpg", "./ben/1.jpg", "carl/1.jpg"):
            archive.writestr(name, b"1")
    found, told = read(tmp_path / "0.zip")
    assert found == {"/anna/1.jpg": "anna", "./ben/1.jpg": "ben", "carl/1.jpg": "carl"}
    assert list(told) == ["../x/1.jpg"]


def test_side_files_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("probefusion.archives.images.naming.LONGEST_SIDE", 100)
    monkeypatch.setattr("probefusion.archives.images.tar_samples.LONGEST_SIDE", 100)
    write_shard(
        tmp_path / "0.tar",
        [("1.jpg", b"1"), ("1.txt", b"x" * 101), ("2.jpg", b"2"), ("2.txt", b"ben")],
    )
    (tmp_path / "3.jpg").write_bytes(b"3")
    (tmp_path / "3.txt").write_bytes(b"y" * 101)
    found, told = read(tmp_path, "txt")
    assert found == {"0.tar/2.jpg": "ben"}
    assert sorted(told) == ["0.tar/1.jpg", "3.jpg"]


def test_values_that_a_parquet_file_holds_once(tmp_path, monkeypatch):
    """100 rows of one value of 2 MB are a kilobyte on the disk; they come a few at a time, and too large ones not."""
    value = bytes(2_000_000)
    table = arrow.table({"image": [value] * 100, "who": ["a"] * 100})
    parquet.write_table(table, tmp_path / "0.parquet", compression="zstd")
    del table
    monkeypatch.setattr("probefusion.archives.images.row_groups._BYTES_AT_ONCE", 4_000_000)
    pool = arrow.default_memory_pool()
    before, peak, count = pool.bytes_allocated(), 0, 0
    settings = SourceSettings(person=PersonRule.parse("column:who"))
    (chunk,) = plan_images(tmp_path / "0.parquet", settings).chunks
    for image in ImageReader(settings).read(chunk):
        peak = max(peak, pool.bytes_allocated() - before)
        count += len(image.data) == len(value)
    assert count == 100
    assert peak < 10 * len(value)
    monkeypatch.setattr("probefusion.archives.images.row_groups.MAX_FILE_BYTES", 1000)
    told = list(ImageReader(settings).read(chunk))
    assert len(told) == 100
    assert told[0].reason == f"file of 2,000,000 bytes, expected at most {MAX_FILE_BYTES:,} bytes"


def test_a_parquet_file_that_claims_far_more_than_it_has(tmp_path, monkeypatch):
    monkeypatch.setattr("probefusion.files.reading._SMALL_BYTES", 1_000_000)
    numbers = [number.to_bytes(4, "big") * 100_000 for number in range(20)]
    table = arrow.table({"image": numbers, "who": ["a"] * 20})
    parquet.write_table(table, tmp_path / "0.parquet", compression="zstd", use_dictionary=False)
    parquet.write_table(arrow.table({"image": [b"1"], "who": ["b"]}), tmp_path / "1.parquet")
    found, told = read(tmp_path, "column:who")
    assert found == {"1.parquet#0.0": "b"}
    assert "claims to hold" in told["0.parquet"]


def test_a_chunk_of_a_shard_that_is_gone(tmp_path):
    chunk = Chunk(kind="tar", names=("0.tar",), places=(str(tmp_path / "0.tar"),))
    (told,) = ImageReader(SourceSettings()).read(chunk)
    assert "does not exist" in told.reason
