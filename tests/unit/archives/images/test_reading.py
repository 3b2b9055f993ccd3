"""What cannot be read is told, and the rest goes on."""

from __future__ import annotations

import shutil
import zipfile

import pytest
from shards import write_shard

from probefusion.archives.images import (
    ImageReader,
    PersonRule,
    SourceSettings,
    plan,
    reading,
    row_groups,
)
from probefusion.archives.images.plan import plan_images
from probefusion.errors import StorageError
from probefusion.faces import SkippedImage

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def _read(source, person="folder", **changes):
    settings = SourceSettings(person=PersonRule.parse(person), **changes)
    reader = ImageReader(settings)
    try:
        return [
            image for chunk in plan_images(source, settings).chunks for image in reader.read(chunk)
        ]
    finally:
        reader.close()


def _told(found):
    return {image.source: image.reason for image in found if isinstance(image, SkippedImage)}


def test_files_of_people(tmp_path):
    for name in ("set/a/1.jpg", "set/b/deep/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(name.encode())
    found = _read(tmp_path)
    assert [(image.source, image.subject_id, image.data) for image in found] == [
        ("set/a/1.jpg", "a", b"set/a/1.jpg"),
        ("set/b/deep/2.jpg", "b", b"set/b/deep/2.jpg"),
    ]
    assert [image.subject_id for image in _read(tmp_path, "parent")] == ["a", "deep"]


def test_files_that_go_away_or_are_refused(tmp_path, monkeypatch):
    for name in ("a/1.jpg", "a/2.jpg", "a/3.jpg", "4.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a" / "5.jpg").symlink_to(tmp_path / "nowhere")
    opened = reading.open_file

    def refusing(place):
        if str(place).endswith("2.jpg"):
            raise StorageError(f"{place!r} may not be read (Forbidden).")
        return opened(place)

    monkeypatch.setattr(reading, "open_file", refusing)
    told = _told(_read(tmp_path))
    assert sorted(told) == ["4.jpg", "a/2.jpg", "a/5.jpg"]
    assert "--person" in told["4.jpg"]
    assert "Forbidden" in told["a/2.jpg"]


def test_a_store_out_of_reach_ends_the_chunk(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(b"x")

    def failing(place):
        raise StorageError(f"{place!r} could not be read (timed out). Look at the network.")

    monkeypatch.setattr(reading, "open_file", failing)
    with pytest.raises(StorageError, match="timed out"):
        _read(tmp_path)


def test_side_files_beside_images(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"x")
    (tmp_path / "1.cls").write_bytes(b"7")
    (tmp_path / "2.jpg").write_bytes(b"x")
    found = _read(tmp_path, "cls")
    assert found[0].subject_id == "7"
    assert "There is no 2.cls" in _told(found)["2.jpg"]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("1.jpg", "1.cls", "2.jpg"):
            archive.write(tmp_path / name, name) if name != "2.jpg" else archive.writestr(
                name, b"x"
            )
    again = _read(tmp_path / "all.zip", "cls")
    assert [image.subject_id for image in again[:1]] == ["7"]
    assert list(_told(again)) == ["2.jpg"]


@pytest.mark.parametrize(
    "endings",
    [("jpg", "json", "cls"), ("json", "txt", "cls", "jpg"), ("left.jpg", "right.jpg", "cls")],
)
@pytest.mark.parametrize("part_bytes", [1500, 4000, 20_000])
def test_samples_over_the_border_of_two_parts_of_a_shard(
    tmp_path, monkeypatch, endings, part_bytes
):
    members = [
        (f"{k:03d}.{ending}", b"%d" % (k % 7) if ending == "cls" else b"%d" % k * 300)
        for k in range(40)
        for ending in endings
    ]
    write_shard(tmp_path / "0.tar", members)

    def read():
        return [(image.source, image.subject_id, image.data) for image in _read(tmp_path, "cls")]

    expected = read()
    assert len(expected) == 40 * sum(ending.endswith("jpg") for ending in endings)
    monkeypatch.setattr(plan, "_SHARD_BYTES", part_bytes)
    assert len(plan_images(tmp_path, SourceSettings(person=PersonRule.parse("cls"))).chunks) > 1
    assert read() == expected


def test_members_of_a_zip_archive_with_a_wrong_checksum(tmp_path):
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for k in range(4):
            archive.writestr(f"{'ab'[k % 2]}/{k}.jpg", b"content of %d" % k)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"content of 2", b"CONTENT of 2"))
    found = _read(path)
    assert [image.source for image in found if not isinstance(image, SkippedImage)] == [
        "a/0.jpg",
        "b/1.jpg",
        "b/3.jpg",
    ]
    assert "could not be read" in _told(found)["a/2.jpg"]


def test_rows_of_parquet_files(tmp_path):
    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    images = [{"bytes": b"%d" % k, "path": None} for k in range(9)]
    images[3] = None
    table = arrow.table({"image": arrow.array(images, kind), "who": ["x", None, "y"] * 3})
    parquet.write_table(table, tmp_path / "0.parquet", row_group_size=3, compression="none")
    found = _read(tmp_path, "column:who")
    assert [
        (image.source, image.data) for image in found if not isinstance(image, SkippedImage)
    ] == [
        ("0.parquet#0.0", b"0"),
        ("0.parquet#0.2", b"2"),
        ("0.parquet#1.2", b"5"),
        ("0.parquet#2.0", b"6"),
        ("0.parquet#2.2", b"8"),
    ]
    assert sorted(_told(found)) == [
        "0.parquet#0.1",
        "0.parquet#1.0",
        "0.parquet#1.1",
        "0.parquet#2.1",
    ]


def test_a_row_group_that_cannot_be_read_is_told_once(tmp_path):
    table = arrow.table({"image": [b"%050d" % k for k in range(30)], "who": [1] * 30})
    path = tmp_path / "0.parquet"
    parquet.write_table(table, path, row_group_size=10, use_dictionary=False)
    group = parquet.ParquetFile(path).metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    start = group.data_page_offset
    content[start : start + group.total_compressed_size] = b"\xee" * group.total_compressed_size
    path.write_bytes(content)
    found = _read(tmp_path, "column:who")
    assert len([image for image in found if not isinstance(image, SkippedImage)]) == 20
    assert len(_told(found)) == 1
    assert "row group 1: 10 of its rows" in _told(found)["0.parquet#1.0"]


@pytest.mark.parametrize("size", [7, 64, 65, 100, 400])
def test_a_row_group_gives_the_same_in_parts_and_whole(tmp_path, size, monkeypatch):
    rows = [b"%040d" % k if k % 11 else None for k in range(300)]
    table = arrow.table({"image": arrow.array(rows, arrow.binary()), "who": list(range(300))})
    parquet.write_table(table, tmp_path / "0.parquet")
    opened = []
    real = row_groups.open_file
    whole = _read(tmp_path, "column:who")
    monkeypatch.setattr(row_groups, "open_file", lambda place: opened.append(place) or real(place))
    settings = SourceSettings(person=PersonRule.parse("column:who"), chunk_size=size)
    chunks = plan_images(tmp_path, settings).chunks
    assert len(chunks) == (1 if size > 140 else -(-300 // size))
    opened.clear()
    reader = ImageReader(settings)
    parts = [image for chunk in chunks for image in reader.read(chunk)]
    assert len(opened) == 1  # it goes on where it ended

    def told(found):
        return [(item.source, getattr(item, "data", None)) for item in found]

    assert len(parts) == 300
    assert told(parts) == told(whole)
    opened.clear()
    for chunk in chunks:  # where somebody looks at the first ones alone
        assert told([next(reader.read(chunk))]) == told(parts)[chunk.first_row :][:1]
    assert len(opened) <= 2
    for chunk in chunks[::-1]:  # in any order, and where somebody stopped in the middle
        right = told(parts)[chunk.first_row :][: chunk.num_rows]
        begun = reader.read(chunk)
        next(begun)
        assert told(reader.read(chunk)) == right
    reader.close()


def test_a_part_that_a_store_did_not_give_is_read_again_in_full(tmp_path, monkeypatch):
    table = arrow.table({"image": [b"%050d" % k for k in range(40)], "who": [1] * 40})
    parquet.write_table(table, tmp_path / "0.parquet")
    settings = SourceSettings(person=PersonRule.parse("column:who"), chunk_size=10)
    first = plan_images(tmp_path, settings).chunks[0]
    real = row_groups._rows_of

    def away(*_):
        raise StorageError("away for a moment")
        yield

    reader = ImageReader(settings)
    monkeypatch.setattr(row_groups, "_rows_of", away)
    with pytest.raises(StorageError):
        list(reader.read(first))
    monkeypatch.setattr(row_groups, "_rows_of", real)
    assert [image.data for image in reader.read(first)] == [b"%050d" % k for k in range(10)]
    reader.close()


def test_each_part_of_a_row_group_tells_what_it_lost(tmp_path):
    table = arrow.table({"image": [b"%050d" % k for k in range(40)], "who": [1] * 40})
    path = tmp_path / "0.parquet"
    parquet.write_table(table, path, use_dictionary=False, compression="none", data_page_size=600)
    content = path.read_bytes()
    place = content.index(b"%050d" % 25)
    path.write_bytes(content[: place - 4] + b"\xee" * 40 + content[place + 36 :])
    for size in (10, 40):
        found = _read(tmp_path, "column:who", chunk_size=size)
        good = [image for image in found if not isinstance(image, SkippedImage)]
        lost = [
            int(reason.split()[3]) for reason in _told(found).values() if "of its rows" in reason
        ]
        assert len(good) + sum(lost) == 40
        assert [image.data for image in good] == [b"%050d" % k for k in range(len(good))]
        assert len(lost) >= 1


def test_frames_of_clips(tmp_path, videos):
    (tmp_path / "ann").mkdir()
    videos.write_video(tmp_path / "ann" / "one.mp4", videos.numbered_frames(20))
    videos.write_video(tmp_path / "two.mp4", videos.numbered_frames(5))
    (tmp_path / "ann" / "broken.mp4").write_bytes(b"no clip at all")
    found = _read(tmp_path, every=6)
    frames = [image for image in found if not isinstance(image, SkippedImage)]
    assert [(frame.source, frame.subject_id, frame.media_id) for frame in frames] == [
        ("ann/one.mp4#t=0.000", "ann", "ann/one.mp4"),
        ("ann/one.mp4#t=0.240", "ann", "ann/one.mp4"),
        ("ann/one.mp4#t=0.480", "ann", "ann/one.mp4"),
        ("ann/one.mp4#t=0.720", "ann", "ann/one.mp4"),
        ("two.mp4#t=0.000", "two.mp4", "two.mp4"),
    ]
    assert frames[0].data.shape == (64, 96, 3)
    assert list(_told(found)) == ["ann/broken.mp4"]


def test_clips_of_different_people_stay_apart(tmp_path, videos):
    for name, owner in (("anna/01", "Anna"), ("ben/01", "Ben"), ("carl/01", None)):
        path = tmp_path / f"{name}.mp4"
        path.parent.mkdir()
        videos.write_video(path, videos.numbered_frames(2))
        if owner:
            path.with_suffix(".cls").write_text(owner)
    found = _read(tmp_path, "cls")
    assert [image.subject_id for image in found if not isinstance(image, SkippedImage)] == [
        "Anna",
        "Ben",
    ]
    assert list(_told(found)) == ["carl/01.mp4"]
    assert "There is no carl/01.cls" in _told(found)["carl/01.mp4"]
    for name in ("carl.mp4", "dora.mp4", "dora.avi"):  # in no folder: each is a person of its own
        shutil.copy(tmp_path / "anna" / "01.mp4", tmp_path / name)
    people = [image.subject_id for image in _read(tmp_path)]
    assert people == ["anna", "ben", "carl.mp4", "carl", "dora.avi", "dora.mp4"]
