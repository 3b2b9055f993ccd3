"""The rules of reading that all benchmark tables share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from probefusion.errors import FileFormatError, MissingFileError
from probefusion.protocols import text_tables
from probefusion.protocols.text_tables import (
    line_of_row,
    list_files,
    read_fields,
    read_integer_columns,
    real_numbers,
    require_paths,
    whole_number,
)

COLUMNS = ("one", "two", "three")


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "table.txt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        b"1 11065 1\n2 3 0\n",
        b"1 11065 1\n2 3 0",
        b"1 11065 1\r\n2 3 0\r\n",
        b"1 11065 1   \n2 3 0\t\n",
        b"  1   11065\t1\n2 3 0\n\n\n",
        b"\n1 11065 1\n  \n2 3 0\n",
        b"\xef\xbb\xbf1 11065 1\n2 3 0\n",
        b"\xef\xbb\xbf1 11065 1\r\n\r\n2 3 0 \r\n",
        b"0000000000001 11065 1\n2 3 0\n",
    ],
)
def test_integer_columns_give_the_numbers_whatever_the_line_ends(
    tmp_path: Path, data: bytes
) -> None:
    table = read_integer_columns(write(tmp_path, data), columns=COLUMNS)
    assert table.dtype == np.int32
    assert table.tolist() == [[1, 11065, 1], [2, 3, 0]]


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"1 2 3\n1 2\n", 2, "expected 3 columns (one, two, three), got 2: '1 2'"),
        (b"1 2 3\n1 2 3 4\n", 2, "got 4"),
        (b"1 2\n3 4 5 6\n", 1, "got 2"),
        (b"1 2 3\n\n4 5\n", 3, "got 2"),
        (b"1 2 3\n1 x 3\n", 2, "two: expected a whole number"),
        (b"1 2 -3\n", 1, "three: expected a whole number from 0"),
        (b"1 2 1.0\n", 1, "three: expected a whole number"),
        (b"1_0 2 1\n", 1, "one: expected a whole number"),
        (b"1,2,3\n", 1, "got 1"),
        (b"1 2 2147483648\n", 1, "got '2147483648'"),
        (b"1 2 99999999999999999999\n", 1, "three"),
        ("1 2 ٣\n".encode(), 1, "three"),
        (b"1 2 3\n\x00\x00 1 2\n", 2, "one"),
    ],
)
def test_integer_columns_refuse_a_broken_line_by_number(
    tmp_path: Path, data: bytes, line: int, says: str
) -> None:
    with pytest.raises(FileFormatError) as caught:
        read_integer_columns(write(tmp_path, data), columns=COLUMNS)
    assert str(caught.value).startswith(f"table.txt, line {line}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \r\n", b"\xef\xbb\xbf"])
def test_integer_columns_refuse_an_empty_file(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"table\.txt is empty"):
        read_integer_columns(write(tmp_path, data), columns=COLUMNS)


def test_utf16_is_refused_clearly(tmp_path: Path) -> None:
    path = write(tmp_path, "1 2 3\n".encode("utf-16"))
    with pytest.raises(FileFormatError, match="UTF-16"):
        read_integer_columns(path, columns=COLUMNS)
    with pytest.raises(FileFormatError, match="UTF-16"):
        list(read_fields(path, columns=COLUMNS))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"absent\.txt"):
        read_integer_columns(tmp_path / "absent.txt", columns=COLUMNS)


@pytest.mark.parametrize("block", [1, 7, 64, 4096])
def test_the_size_of_blocks_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    rng = np.random.default_rng(3)
    expected = rng.integers(0, 100_000, (97, 3))
    path = write(tmp_path, "".join("{} {} {}\r\n".format(*row) for row in expected).encode())
    monkeypatch.setattr(text_tables, "_BLOCK_BYTES", block)
    assert read_integer_columns(path, columns=COLUMNS).tolist() == expected.tolist()
    with path.open("ab") as stream:
        stream.write(b"1 2\n")
    with pytest.raises(FileFormatError, match="line 98: "):
        read_integer_columns(path, columns=COLUMNS)


def test_a_binary_file_is_given_up_early(tmp_path: Path) -> None:
    path = write(tmp_path, b"7" * (text_tables._BLOCK_BYTES + 10))
    with pytest.raises(FileFormatError, match="not a text table"):
        read_integer_columns(path, columns=COLUMNS)


def test_200_000_lines_are_read_lean_and_without_a_loop_over_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    expected = np.stack(
        [
            rng.integers(1, 3532, 200_000),
            rng.integers(3532, 23125, 200_000),
            rng.integers(0, 2, 200_000),
        ],
        axis=1,
    )
    path = write(tmp_path, b"".join(b"%d %d %d\n" % tuple(row) for row in expected.tolist()))

    def refuse(*_: object) -> None:
        raise AssertionError("a regular block went through the loop over lines")

    monkeypatch.setattr(text_tables, "_parse_lines", refuse)
    table = read_integer_columns(path, columns=COLUMNS)
    assert table.dtype == np.int32
    assert table.nbytes == 200_000 * 12
    assert np.array_equal(table, expected)


def test_fields_keep_line_numbers_over_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbfa, b\r\n\r\n 1 , x \r\n2,y,z\r\n")
    rows = read_fields(path, columns=("a", "b"), delimiter=",", more=True, header=True)
    assert list(rows) == [(3, [b"1", b"x"]), (4, [b"2", b"y", b"z"])]
    assert line_of_row(path, 0, header=True) == 3
    assert line_of_row(path, 2) == 4
    with pytest.raises(FileFormatError, match="changed while"):
        line_of_row(path, 3)


def test_fields_refuse_a_header_alone_and_too_many_columns(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="header and nothing else"):
        list(read_fields(write(tmp_path, b"a,b\n"), columns=("a",), delimiter=",", header=True))
    with pytest.raises(FileFormatError, match="line 1: expected 1 columns"):
        list(read_fields(write(tmp_path, b"a,b\n"), columns=("a",), delimiter=","))


@pytest.mark.parametrize("field", [b"", b"-1", b"1.5", b"1e3", b"\xd9\xa3", b"9" * 30])
def test_whole_number_takes_digits_only(field: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"t\.csv, line 4: id: expected a whole number"):
        whole_number(field, path=Path("t.csv"), line=4, name="id")
    assert whole_number(b"2147483647", path=Path("t.csv"), line=4, name="id") == 2**31 - 1


@pytest.mark.parametrize("field", [b"nan", b"inf", b"-Infinity", b"1_0", b"x", b"1e31", b"0x1"])
def test_real_numbers_name_the_column(field: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"t\.txt, line 9: y: expected a number, got"):
        real_numbers([b"1", field, b"2"], path=Path("t.txt"), line=9, names=("x", "y", "z"))
    assert real_numbers([b"1", b"-2.5e-1"], path=Path("t"), line=1, names=("x", "y")) == [1, -0.25]


def test_missing_paths_show_the_layout(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"absent.*\n  root/\n    meta"):
        require_paths([tmp_path, tmp_path / "absent"], layout="  root/\n    meta")


def test_list_files_is_sorted_recursive_and_takes_images_only(tmp_path: Path) -> None:
    for name in ("b.jpg", "sub/a.PNG", "a.txt", ".hidden.jpg", "a.jpeg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_files(tmp_path) == ["a.jpeg", "b.jpg", "sub/a.PNG"]
