"""Records written byte by byte from the format's description, then read; and damaged ones."""

from __future__ import annotations

import struct

import pytest
from research.official_data.record_files import RecordFile, read_record_list

from probefusion.errors import FileFormatError, MissingFileError, UnknownNameError

MAGIC = bytes([0x0A, 0x23, 0xD7, 0xCE])


def part(data: bytes, flag: int = 0) -> bytes:
    """uint32 magic, uint32 flag and length, data, zeros to a multiple of four."""
    word = (flag << 29) | len(data)
    return MAGIC + word.to_bytes(4, "little") + data + bytes(-len(data) % 4)


def header(label: float, identifier: int, labels: tuple[float, ...] = ()) -> bytes:
    number = len(labels)
    fixed = number.to_bytes(4, "little") + struct.pack("<f", 0.0 if labels else label)
    ids = identifier.to_bytes(8, "little") + bytes(8)
    return fixed + ids + b"".join(struct.pack("<f", value) for value in labels)


def as_record(data: bytes) -> bytes:
    """As the writer does: the magic number at a multiple of four is cut out, the parts flagged."""
    pieces, start = [], 0
    for place in range(0, len(data) - 3, 4):
        if data[place : place + 4] == MAGIC:
            pieces.append(data[start:place])
            start = place + 4
    pieces.append(data[start:])
    if len(pieces) == 1:
        return part(data)
    flags = [1, *[2] * (len(pieces) - 2), 3]
    return b"".join(part(piece, flag) for piece, flag in zip(pieces, flags, strict=True))


def write(folder, datas, *, index=True, keys=None):
    blob, lines = b"", []
    for number, data in enumerate(datas):
        lines.append(f"{number if keys is None else keys[number]}\t{len(blob)}\n")
        blob += as_record(data)
    (folder / "train.rec").write_bytes(blob)
    if index:
        (folder / "train.idx").write_text("".join(lines))
    return folder / "train.rec"


PAYLOADS = [
    b"",
    b"a",
    b"abcd",
    b"x" * 4097,
    MAGIC,
    b"1234" + MAGIC,
    MAGIC * 3 + b"yz",
    b"12" + MAGIC,
]


@pytest.mark.parametrize("index", [True, False])
def test_records_come_back_byte_for_byte(tmp_path, index):
    datas = [header(n + 0.5, 10 + n) + payload for n, payload in enumerate(PAYLOADS)]
    with RecordFile(write(tmp_path, datas, index=index)) as records:
        found = list(records)
        assert [record.payload for record in found] == PAYLOADS
        assert [record.labels for record in found] == [(n + 0.5,) for n in range(len(PAYLOADS))]
        assert [record.identifier for record in found] == [10 + n for n in range(len(PAYLOADS))]
        assert [record.key for record in found] == list(range(len(PAYLOADS)))
        assert [record.offset % 4 for record in found] == [0] * len(PAYLOADS)
        assert records.keys() == (tuple(range(len(PAYLOADS))) if index else ())


def test_several_labels_and_any_order_of_keys(tmp_path):
    datas = [header(0, 1, (5.0, 7.0, 9.0)) + b"first", header(3, 2) + b"second"]
    with RecordFile(write(tmp_path, datas, keys=[42, 7])) as records:
        assert records.keys() == (42, 7)
        assert records.read(42).labels == (5.0, 7.0, 9.0)
        assert records.read(42).payload == b"first"
        assert records.read(7).payload == b"second"
        with pytest.raises(UnknownNameError, match="record '8'"):
            records.read(8)


def test_magic_numbers_out_of_step_are_data(tmp_path):
    """The eight bytes before it make the payload's fourth byte no multiple of four of the data."""
    data = header(1, 1) + b"abc" + MAGIC + b"d"
    with RecordFile(write(tmp_path, [data])) as records:
        assert records.read(0).payload == b"abc" + MAGIC + b"d"


GOOD = header(1, 1) + b"payload!"


@pytest.mark.parametrize(
    ("blob", "offset", "words"),
    [
        (b"\x00" + part(GOOD)[1:], 0, "magic number 0xced7230a, got 0x"),
        (part(GOOD)[:-4], 0, "32 bytes of data, got 28"),
        (part(GOOD) + b"tail", 40, "beginning of a record"),
        (part(GOOD) + MAGIC + b"\xff\xff\xff\x1f", 40, "536870911 bytes of data, got 0"),
        (part(GOOD) + part(b"short"), 40, "a header of 24 bytes, got 5"),
        (part(GOOD) + part(GOOD, flag=3), 40, "flag 0 or 1, got flag 3"),
        (part(GOOD) + part(GOOD, flag=1) + part(GOOD), 40, "flag 2 or 3, got flag 0"),
        (part(GOOD) + part(GOOD, flag=1), 80, "beginning of a record"),
        (part(GOOD) + part(GOOD, flag=5), 40, "got flag 5"),
        (part(GOOD) + part(header(0, 1, (1.0, 2.0))[:-4]), 40, "2 labels, got 4 bytes"),
        (part(GOOD) + part(b"\xff" * 24), 40, "4294967295 labels"),
    ],
)
def test_damaged_records_name_the_byte(tmp_path, blob, offset, words):
    (tmp_path / "train.rec").write_bytes(blob)
    with (
        RecordFile(tmp_path / "train.rec") as records,
        pytest.raises(FileFormatError, match=rf"train\.rec, byte {offset}: .*{words}"),
    ):
        list(records)


@pytest.mark.parametrize("offset", ["-4", "2", "4000", str(10**30)])
def test_an_index_that_points_elsewhere_is_found_out(tmp_path, offset):
    path = write(tmp_path, [GOOD])
    (tmp_path / "train.idx").write_text(f"0\t{offset}\n")
    with RecordFile(path) as records, pytest.raises(FileFormatError, match=f"byte {offset}"):
        records.read(0)


@pytest.mark.parametrize("line", ["0", "a\t5", "0\t1\t2", "0\t0\n0\t8", "\xff"])
def test_broken_indices_are_refused(tmp_path, line):
    path = write(tmp_path, [GOOD])
    (tmp_path / "train.idx").write_bytes(line.encode("latin-1"))
    with pytest.raises(FileFormatError, match=r"train\.idx"):
        RecordFile(path)


def test_an_empty_file_holds_no_record(tmp_path):
    (tmp_path / "train.rec").write_bytes(b"")
    with RecordFile(tmp_path / "train.rec") as records:
        assert list(records) == []
    with pytest.raises(MissingFileError):
        RecordFile(tmp_path / "none.rec")
    with pytest.raises(FileFormatError, match="folder"):
        RecordFile(tmp_path)


def test_lists(tmp_path):
    path = tmp_path / "train.lst"
    path.write_text("0\t0.000000\t0_0_0000039/0_573.jpg\n\n7\t1.0\t2.0\tb/c d.png\n")
    first, second = read_record_list(path)
    assert (first.key, first.labels, first.path) == (0, (0.0,), "0_0_0000039/0_573.jpg")
    assert (second.key, second.labels, second.path) == (7, (1.0, 2.0), "b/c d.png")
    for bad in ("0\t1", "x\t1\tp", "0\ty\tp", "0\t1\t "):
        path.write_text("0\t0\ta\n" + bad)
        with pytest.raises(FileFormatError, match=r"train\.lst, line 2"):
            read_record_list(path)
