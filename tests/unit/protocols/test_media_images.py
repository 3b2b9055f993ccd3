"""Images with person, medium and width of the face: read, refused, listed."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from made_up_people import pack, write_image

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    InvalidInputError,
    MissingFileError,
)
from probefusion.protocols.media_images import (
    MediaImages,
    group_finder,
    open_face_table,
    read_media_images,
)
from probefusion.protocols.people import People

FILM = r"^(?P<medium>.+?)__"


@pytest.fixture
def folder(tmp_path):
    """PERSON/MEDIUM/IMAGE."""
    root = tmp_path / "data"
    for name in ("ann/day1/a.png", "ann/day1/b.png", "ann/day2/c.png", "bo/day1/d.png"):
        write_image(root / name, 90)
    return root


@pytest.fixture
def stills(tmp_path):
    """PERSON/IMAGE with the film in the file's name."""
    root = tmp_path / "stills"
    for name in ("ann/Up__1.png", "ann/Up__2.png", "ann/Heat__1__x.png", "bo/Up__1.png"):
        write_image(root / name, 90)
    return root


def test_a_folder_and_its_archive_hold_the_same(folder, tmp_path):
    for path in (folder, pack(folder, tmp_path / "data.zip")):
        found = read_media_images(path)
        assert dict(found.media) == {
            "ann/day1/a.png": "day1",
            "ann/day1/b.png": "day1",
            "ann/day2/c.png": "day2",
            "bo/day1/d.png": "day1",
        }
        assert list(found.people.images) == ["ann", "bo"]
        assert found.people.read("bo/day1/d.png").startswith(b"\x89PNG")
        assert found.skipped == ()
        assert np.isnan(found.widths(found.media)).all()


def test_the_medium_from_the_files_name(stills, tmp_path):
    for path in (stills, pack(stills, tmp_path / "stills.zip")):
        found = read_media_images(path, media_from=FILM)
        assert dict(found.media) == {
            "ann/Heat__1__x.png": "Heat",
            "ann/Up__1.png": "Up",
            "ann/Up__2.png": "Up",
            "bo/Up__1.png": "Up",
        }
        assert found.facts["media_from"] == FILM


def test_a_file_without_a_medium_is_listed(stills):
    write_image(stills / "ann" / "holiday.png", 90)
    write_image(stills / "cid" / "alone.png", 90)
    found = read_media_images(stills, media_from=FILM)
    assert sorted(found.people.images) == ["ann", "bo"]
    assert "ann/holiday.png" not in found.people.images["ann"]
    assert [(image.source, "no medium" in image.reason) for image in found.skipped] == [
        ("ann/holiday.png", True),
        ("cid/alone.png", True),
    ]


def test_images_elsewhere_are_listed(folder):
    write_image(folder / "ann" / "stray.png", 90)
    write_image(folder / "ann" / "day1" / "more" / "deep.png", 90)
    skipped = {
        image.source.rpartition("/")[2]: image.reason for image in read_media_images(folder).skipped
    }
    assert skipped == {
        "stray.png": "expected <person>/<medium>/<file>, got 1 folders above the file",
        "deep.png": "expected <person>/<medium>/<file>, got 3 folders above the file",
    }


def test_a_folder_without_media_says_how_to_name_them(stills):
    with pytest.raises(FileFormatError, match=r"got <person>/<file>.*--media-from PATTERN"):
        read_media_images(stills)


def test_media_folders_do_not_go_with_a_pattern(folder):
    with pytest.raises(FileFormatError, match="4 images lie elsewhere"):
        read_media_images(folder, media_from=FILM)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "expected a regular expression, got '\\('"),
        ("^(.+?)__", r"with a group \(\?P<medium>"),
        ("(?P<film>.)", r"with a group \(\?P<medium>"),
    ],
)
def test_patterns_that_find_no_medium_are_refused(stills, pattern, words):
    with pytest.raises(ConfigError, match=f"media_from: .*{words}"):
        read_media_images(stills, media_from=pattern)


def test_a_pattern_that_fits_no_file_is_refused(stills):
    with pytest.raises(FileFormatError, match="got none in 4 files"):
        read_media_images(stills, media_from="^(?P<medium>x)-")


def test_an_empty_group_is_no_medium():
    find = group_finder("(?P<medium>[0-9]*)|(?P<other>x)", "medium", "media_from")
    assert (find("12a"), find("abc")) == ("12", "")


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
@pytest.mark.parametrize("place", ["ann/day1/{}.png", "ann/{}/a.png", "{}/day1/a.png"])
def test_names_in_another_encoding_are_refused(folder, place):
    write_image(folder / place.format(os.fsdecode(b"caf\xe9")), 90)
    with pytest.raises(InvalidInputError, match="in Unicode"):
        read_media_images(folder)


def test_every_image_needs_a_medium():
    people = People(images={"ann": ("ann/a.jpg", "ann/b.jpg")})
    with pytest.raises(InvalidInputError, match=r"media: expected one of 'ann/b.jpg', got none"):
        MediaImages(people=people, media={"ann/a.jpg": "x"})


# ---- widths


TABLE = "file,face_px\nann/day1/a.png,40\nann/day1/b.png,\nbo/day1/d.png,80\nzoe/x/y.png,9\n"


def test_widths_from_a_file_and_from_inside_the_data(folder, tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text(TABLE)
    (folder / "faces.csv").write_text(TABLE)
    archive = pack(folder, tmp_path / "data.zip")
    monkeypatch.chdir(tmp_path)
    for faces, data in (
        (tmp_path / "t.csv", folder),
        ("faces.csv", folder),
        ("faces.csv", archive),
    ):
        found = read_media_images(data).with_faces(open_face_table(faces, data))
        assert dict(found.face_px) == {"ann/day1/a.png": 40.0, "bo/day1/d.png": 80.0}
        facts = found.facts["faces"]
        assert (facts["num_rows"], facts["num_rows_of_no_image"]) == (4, 1)
        widths = found.widths(["bo/day1/d.png", "ann/day2/c.png"])
        assert widths[0] == 80
        assert np.isnan(widths[1])
    (tmp_path / "faces.csv").write_text("file,face_px\nann/day1/a.png,41\n")
    assert open_face_table("faces.csv", archive).face_px.tolist() == [41.0]


def test_a_table_that_is_nowhere_is_refused(folder, tmp_path):
    archive = pack(folder, tmp_path / "data.zip")
    for data in (folder, archive):
        with pytest.raises(MissingFileError, match=r"faces.*absent.csv"):
            open_face_table("absent.csv", data)


def test_a_table_of_other_paths_is_refused(folder, tmp_path):
    images = read_media_images(folder)
    for text in ("file,face_px\ndata/ann/day1/a.png,40\n", "file,face_px\n"):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(InvalidInputError, match=r"expected a row for some of the 4 images"):
            images.with_faces(open_face_table(tmp_path / "t.csv", folder))


def test_nobody_left_is_an_error(folder):
    images = read_media_images(folder)
    with pytest.raises(FileFormatError, match="got no embedding for all 4"):
        images.without(list(images.media), "no embedding")
