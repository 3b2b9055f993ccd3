"""A shard is read past what is damaged, and what is lost is told."""

from __future__ import annotations

import tarfile
from itertools import chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shards import header_offset, write_shard

from probefusion.archives.images import Chunk, PersonRule, SourceSettings
from probefusion.archives.images.tar_members import Damage, walk_shard
from probefusion.archives.images.tar_samples import read_samples
from probefusion.faces import SkippedImage

MEMBERS = [(f"p{k % 3}/{k:03d}.jpg", bytes([k]) * (300 * k)) for k in range(1, 12)]


def _walk(path, **options):
    with path.open("rb") as stream:
        return list(walk_shard(stream, **options))


def _names(found):
    return [entry.name for entry in found if not isinstance(entry, Damage)]


def _damage(found):
    return [entry.reason for entry in found if isinstance(entry, Damage)]


def _read(path, start=0, stop=None, **rules):
    chunk = Chunk(kind="tar", names=(path.name,), places=(str(path),), start=start, stop=stop)
    return list(read_samples(chunk, SourceSettings(person=PersonRule(**rules))))


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_members_of_every_format(tmp_path, kind):
    long = "p/" + "x" * (90 if kind == tarfile.USTAR_FORMAT else 190) + ".jpg"
    path = write_shard(tmp_path / "0.tar", [*MEMBERS, (long, b"1"), ("./p/é.jpg", b"2")], kind=kind)
    found = _walk(path)
    assert _damage(found) == []
    assert _names(found) == [*(name for name, _ in MEMBERS), long, "p/é.jpg"]
    content = path.read_bytes()
    for entry, (_, data) in zip(found, MEMBERS, strict=False):
        assert content[entry.data_offset : entry.data_offset + entry.size] == data


def test_a_damaged_header_costs_its_own_member_only(tmp_path):
    path = write_shard(tmp_path / "0.tar", MEMBERS)
    content = bytearray(path.read_bytes())
    start = header_offset(path, MEMBERS[4][0])
    content[start : start + 300] = b"\xa7" * 300
    path.write_bytes(content)
    found = _walk(path)
    assert _names(found) == [name for k, (name, _) in enumerate(MEMBERS) if k != 4]
    stop = header_offset_after(path, MEMBERS[5][0])
    assert _damage(found) == [
        f"bytes {start:,} to {stop:,} of the shard are damaged: the files in them are lost"
    ]


def header_offset_after(path, name):
    """Python's reader stops at the damage: the offset is found in ours."""
    return next(e.offset for e in _walk(path) if not isinstance(e, Damage) and e.name == name)


def test_a_shard_that_is_cut_off(tmp_path):
    path = write_shard(tmp_path / "0.tar", MEMBERS)
    content = path.read_bytes()
    inside = header_offset(path, MEMBERS[7][0]) + 600
    path.write_bytes(content[:inside])
    found = _walk(path)
    assert _names(found) == [name for name, _ in MEMBERS[:7]]
    assert _damage(found) == [
        f"the shard is cut off inside of {MEMBERS[7][0]!r}: what follows is lost"
    ]
    path.write_bytes(content[: header_offset_of(content, path)])
    found = _walk(path)
    assert _names(found) == [name for name, _ in MEMBERS[:7]]
    assert "no end mark" in _damage(found)[0]


def header_offset_of(content, path):
    path.write_bytes(content)
    return header_offset(path, MEMBERS[7][0])


def test_what_is_no_shard_ends(tmp_path):
    path = tmp_path / "0.tar"
    for content in (b"no tar at all" * 1000, b"\0" * 100, b"x"):
        path.write_bytes(content)
        assert _names(_walk(path)) == []
        assert len(_damage(_walk(path))) == 1
    path.write_bytes(b"")
    assert _names(_walk(path)) == []
    path.write_bytes(b"\0" * 10240)  # an empty shard
    assert _walk(path) == []


def test_a_size_below_nothing_does_not_go_in_circles(tmp_path):
    path = write_shard(tmp_path / "0.tar", MEMBERS[:3])
    content = bytearray(path.read_bytes())
    start = header_offset(path, MEMBERS[1][0])
    header = content[start : start + 512]
    header[124:136] = b"\xff" + b"\xff" * 9 + b"\x00\x00"  # base 256, negative
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[start : start + 512] = header
    path.write_bytes(content)
    found = _walk(path)
    assert _names(found) == [MEMBERS[0][0], MEMBERS[2][0]]
    assert len(_damage(found)) == 1


def test_shards_written_behind_each_other(tmp_path):
    one = write_shard(tmp_path / "1.tar", MEMBERS[:4]).read_bytes()
    two = write_shard(tmp_path / "2.tar", MEMBERS[4:]).read_bytes()
    (tmp_path / "0.tar").write_bytes(one + two)
    assert _names(_walk(tmp_path / "0.tar")) == [name for name, _ in MEMBERS]


@settings(max_examples=40)
@given(borders=st.lists(st.integers(0, 60_000), max_size=5))
def test_parts_hold_every_sample_once(tmp_path_factory, borders):
    members = []
    for k in range(20):
        members += [
            (f"p{k % 4}/{k:03d}.jpg", b"i" * (157 * k % 1500)),
            (f"p{k % 4}/{k:03d}.cls", b"1"),
        ]
    path = write_shard(tmp_path_factory.mktemp("shard") / "0.tar", members)
    edges = [0, *sorted(borders), None]
    parts = [
        [image.source for image in _read(path, start, stop)] for start, stop in pairwise(edges)
    ]
    assert list(chain.from_iterable(parts)) == [
        f"0.tar/{name}" for name, _ in members if name.endswith("jpg")
    ]


def test_damage_is_told_by_one_part(tmp_path):
    path = write_shard(tmp_path / "0.tar", MEMBERS)
    content = bytearray(path.read_bytes())
    start = header_offset(path, MEMBERS[4][0])
    content[start : start + 300] = b"\xa7" * 300
    path.write_bytes(content)
    edges = [0, 4000, start, start + 700, 20_000, None]
    parts = [_read(path, a, b) for a, b in pairwise(edges)]
    told = [image for part in parts for image in part if isinstance(image, SkippedImage)]
    assert len(told) == 1
    assert "damaged" in told[0].reason
    assert sum(map(len, parts)) == len(MEMBERS)


def test_samples_with_side_files(tmp_path):
    members = [
        ("a/1.json", b'{"who": "ann"}'),
        ("a/1.left.jpg", b"L"),
        ("a/1.right.png", b"R"),
        ("a/2.jpg", b"2"),
        ("a/3.npy", b"x"),
        ("notes.txt", b"x"),
        ("a/.4.jpg", b"x"),
    ]
    path = write_shard(tmp_path / "0.tar", members)
    found = _read(path, kind="json", field="who")
    assert [(image.source, image.subject_id, image.data) for image in found[:2]] == [
        ("0.tar/a/1.left.jpg", "ann", b"L"),
        ("0.tar/a/1.right.png", "ann", b"R"),
    ]
    assert [str(image).partition(":")[0] for image in found[2:]] == [
        "0.tar/a/2.jpg",
        "0.tar/a/3.npy",
    ]
    assert "a/2.json with a field 'who'" in found[2].reason
    by_key = _read(path)
    assert [image.subject_id for image in by_key[:3]] == ["a", "a", "a"]


def test_links_have_no_image(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as shard:
        link = tarfile.TarInfo("a/1.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        shard.addfile(link)
    (found,) = _read(tmp_path / "0.tar")
    assert isinstance(found, SkippedImage)
    assert "a link, device or sparse file" in found.reason


def test_a_name_that_comes_twice_is_told_and_counts_once(tmp_path):
    members = [("ann/1.jpg", b"old"), ("ann/2.jpg", b"2"), ("ben/1.jpg", b"3")]
    path = write_shard(tmp_path / "0.tar", [*members, ("./ann/1.jpg", b"newer")])
    second = _walk(path)[-1]
    for stop, told in ((None, 1), (second.offset, 0)):
        found = _read(path, stop=stop)
        images = [image for image in found if not isinstance(image, SkippedImage)]
        assert [(image.source, image.data) for image in images] == [
            (f"0.tar/{name}", data) for name, data in members
        ]
        reasons = [image.reason for image in found if isinstance(image, SkippedImage)]
        assert len(reasons) == told
        assert all("holds 'ann/1.jpg' a second time" in reason for reason in reasons)
    [told] = _read(path, start=second.offset)
    assert isinstance(told, SkippedImage)


def test_a_second_copy_takes_no_side_file_from_its_sample(tmp_path):
    members = [("1.jpg", b"old"), ("1.jpg", b"newer"), ("1.cls", b"ann")]
    told, image = _read(write_shard(tmp_path / "0.tar", members), kind="cls")
    assert "holds '1.jpg' a second time" in told.reason
    assert (image.subject_id, image.data) == ("ann", b"old")
