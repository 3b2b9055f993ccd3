"""Tables of the widths of faces."""

from __future__ import annotations

import hashlib
import math

import pytest

from probefusion.errors import FileFormatError, UnknownNameError
from probefusion.io.face_table import read_face_table


def read(text: str, **options):
    return read_face_table(text.encode(), origin="faces.csv", **options)


def test_widths_by_file():
    text = "file,face_px,detector_score,yaw\nann/a.jpg,33.8,0.86,0.2\nann/b.jpg,,,\nbo/c.jpg,7,1,-0.4\n"
    table = read(text)
    assert table.files == ("ann/a.jpg", "ann/b.jpg", "bo/c.jpg")
    assert table.face_px[[0, 2]].tolist() == [33.8, 7.0]
    assert math.isnan(table.face_px[1])
    assert table.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_two_columns_any_case_other_marks_and_a_byte_order_mark():
    table = read("\ufeffFace_PX;File\r\n12;a,b/c.jpg\r\nnan;d/e.jpg\r\n")
    assert table.files == ("a,b/c.jpg", "d/e.jpg")
    assert table.face_px[0] == 12
    assert math.isnan(table.face_px[1])


def test_columns_can_be_passed_over():
    text = "file,face_px,width\na/b.jpg,5,6\n"
    assert read(text, ignore=["Width"]).face_px.tolist() == [5.0]
    with pytest.raises(FileFormatError, match=r"'width' is unknown.*--ignore-columns width"):
        read(text)
    with pytest.raises(UnknownNameError, match="column to ignore"):
        read(text, ignore=["height"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'file' is missing"),
        ("face_px\n5\n", "'file' is missing"),
        ("file,facepx\na/b,5\n", "did you mean 'face_px'"),
        ("file,yaw\na/b,5\n", "'face_px' is missing"),
        ("file,face_px,file\na/b,5,a/b\n", "'file' comes twice"),
        ("file,face_px\na/b,5,6\n", "line 2: expected 2 columns, got 3"),
        ("file,face_px\na/b,5\na/b,6\n", "line 3: .* got 'a/b' a second time"),
        ("file,face_px\n,6\n", "line 2: .* got none"),
        ("file,face_px\na/b,0\n", "line 2: expected a width in pixels above 0 as face_px"),
        ("file,face_px\na/b,-3\n", "line 2: expected a width in pixels above 0"),
        ("file,face_px\na/b,inf\n", "line 2: expected a width in pixels above 0"),
        ("file,face_px\na/b,1_0\n", "line 2: expected a width in pixels above 0"),
        ("file,face_px,yaw\na/b,10,left\n", "line 2: expected a number as yaw, .* got 'left'"),
        ('file,face_px\n"a/b,10\n', "no valid CSV|expected 2 columns"),
    ],
)
def test_damaged_tables_are_refused_by_line(text, words):
    with pytest.raises(FileFormatError, match=words):
        read(text)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(FileFormatError, match=r"faces.csv: expected UTF-8 text"):
        read_face_table(b"file,face_px\n\xff\xfe,3\n", origin="faces.csv")


def test_an_open_quote_in_the_first_line_is_one_line():
    with pytest.raises(FileFormatError, match=r"line 2: .*a quote is open") as refusal:
        read('"file,face_px\na/b,10\n')
    assert "\n" not in str(refusal.value)
