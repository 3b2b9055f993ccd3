"""IJB-S: tables of exactly the documented format, and every broken one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from probefusion.errors import (
    DtypeError,
    FileFormatError,
    InvalidInputError,
    MissingFileError,
    ShapeError,
    UnknownNameError,
)
from probefusion.protocols.ijb_s import IJB_S_TASKS, IjbS, parse_face_paths, read_ijb_s
from probefusion.protocols.media import media_mean_then_sum_ragged

TABLES = {
    # Subjects 1 and 2 in video 10, 1 in 11 (a gallery video) and 12 (UAV), 3 in 10 and 13.
    "cs6_metadata.csv": (
        "SUBJECT_ID,FILENAME,FRAME_NUM,FACE_X\n"
        "2,videos/10.mp4,1,5\n1,videos/10.mp4,1,6\n1,videos/10.mp4,2,6\n1,videos/11.mp4,1,5\n"
        "1,img/1.jpg,0,4\n2,img/2.png,0,4\n1,videos/12.mp4,1,5\n2,img/9.jpg,0,3\n1,img/9.jpg,0,3\n"
        "3,videos/10.mp4,3,5\n3,videos/13.mp4,3,5\n"
    ),
    "cs6_surveillance_to_single-booking_probe.csv": "FILENAME\nvideos/10.mp4\nvideos/13.mp4\n",
    "cs6_surveillance_to_surveillance_probe.csv": "FILENAME\nvideos/10.mp4\n",
    "cs6_uav_to_single-booking_probe.csv": "FILENAME\nvideos/12.mp4\nimg/9.jpg\n",
    "galleries/cs6_surveillance_to_single_g1.csv": "T,SUBJECT_ID,FILENAME\n900,1,img/1.jpg\n",
    "galleries/cs6_surveillance_to_single_g2.csv": "T,SUBJECT_ID,FILENAME\n901,2,img/2.png\n",
    "galleries/cs6_surveillance_to_booking_g1.csv": (
        "T,SUBJECT_ID,FILENAME\n1,1,img/1.jpg\n1,1,img/3.jpg\n2,4,img/5.jpg\n1,1,img/4.jpg\n"
    ),
    "galleries/cs6_surveillance_to_booking_g2.csv": "T,SUBJECT_ID,FILENAME\n3,2,img/2.png\n",
    "galleries/cs6_surveillance_to_surveillance_g1.csv": (
        "T,SUBJECT_ID,FILENAME\n1,1,videos/11.mp4\n1,1,videos/11.mp4\n"
    ),
    "galleries/cs6_surveillance_to_surveillance_g2.csv": (
        "T,SUBJECT_ID,FILENAME\n2,3,videos/13.mp4\n"
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "galleries").mkdir()
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def read(folder: Path) -> IjbS:
    return read_ijb_s(folder, check_counts=False)


def described(given: IjbS, positions: np.ndarray) -> list[tuple[int, tuple[str, ...]]]:
    return [(int(given.subjects[i]), given.files[i]) for i in positions]


def test_all_six_searches_are_read(folder: Path) -> None:
    given = read(folder)
    assert set(given.tasks) == set(IJB_S_TASKS)
    # Pairs of subject and video in the order of the metadata come first.
    assert described(given, np.arange(6)) == [
        (2, ("videos/10.mp4",)),
        (1, ("videos/10.mp4",)),
        (1, ("videos/11.mp4",)),
        (1, ("videos/12.mp4",)),
        (3, ("videos/10.mp4",)),
        (3, ("videos/13.mp4",)),
    ]
    single = given.task("surveillance_to_single")
    assert single.probes.templates.tolist() == [0, 1, 4, 5]
    assert single.probes.subjects.tolist() == [2, 1, 3, 3]
    assert described(given, single.galleries[0].templates) == [(1, ("img/1.jpg",))]
    assert described(given, single.galleries[1].templates) == [(2, ("img/2.png",))]

    booking = given.task("surveillance_to_booking")
    assert booking.probes.templates.tolist() == single.probes.templates.tolist()
    assert described(given, booking.galleries[0].templates) == [
        (1, ("img/1.jpg", "img/3.jpg", "img/4.jpg")),
        (4, ("img/5.jpg",)),
    ]
    assert booking.galleries[1].name == "booking_g2"

    multiview = given.task("multiview_surveillance_to_booking")
    assert described(given, multiview.probes.templates) == [
        (2, ("videos/10.mp4",)),
        (1, ("videos/10.mp4", "videos/11.mp4", "videos/12.mp4")),
        (3, ("videos/10.mp4", "videos/13.mp4")),
    ]
    videos = given.task("surveillance_to_surveillance")
    assert videos.probes.templates.tolist() == [0, 1, 4]
    assert [gallery.templates.tolist() for gallery in videos.galleries] == [[2], [5]]

    for name in ("uav_surveillance_to_single", "uav_surveillance_to_booking"):
        uav = given.task(name)
        assert described(given, uav.probes.templates) == [
            (1, ("videos/12.mp4",)),
            (2, ("img/9.jpg",)),
        ]
    assert len(given.files) == len(given.subjects) == given.num_templates
    with pytest.raises(UnknownNameError, match="did you mean 'surveillance_to_single'"):
        given.task("surveillance_to_singel")


def test_faces_are_assigned_and_templates_without_any_are_failures(folder: Path) -> None:
    given = read(folder)
    paths = [
        "crops/1/videos_10_00001.jpg",
        "crops/1/img_1.jpg",
        "crops/2/videos_10_00001.jpg",
        "crops/1/videos_10_00002.jpg",
        "crops/7/videos_10_00002.jpg",
        "crops/1/videos_12_00002.jpg",
        "crops/3/videos_11_00002.jpg",
    ]
    found = given.assign_faces(*parse_face_paths(paths))
    templates = found.templates
    assert len(templates) == given.num_templates
    rows = {
        (int(subject), files): templates.rows_of(i).tolist()
        for i, (subject, files) in enumerate(zip(given.subjects, given.files, strict=True))
    }
    assert rows[1, ("videos/10.mp4",)] == [0, 3]
    assert rows[2, ("videos/10.mp4",)] == [2]
    assert rows[1, ("videos/10.mp4", "videos/11.mp4", "videos/12.mp4")] == [0, 3, 5]
    assert rows[1, ("img/1.jpg", "img/3.jpg", "img/4.jpg")] == [1]
    # Media differ between the videos of a multi-view template and agree inside one video.
    multiview = int(given.task("multiview_surveillance_to_booking").probes.templates[1])
    media = templates.media_ids[templates.offsets[multiview] :]
    assert media[0] == media[1] != media[2]
    assert found.unassigned.tolist() == [4, 6]
    assert found.failures_to_acquire.tolist() == [i for i, n in enumerate(templates.sizes) if not n]
    assert (3, ("videos/13.mp4",)) in described(given, found.failures_to_acquire)

    vectors = media_mean_then_sum_ragged(np.ones((7, 2)), templates, empty="zero")
    assert not vectors[found.failures_to_acquire].any()


def test_faces_may_be_given_by_the_names_of_the_tables(folder: Path) -> None:
    given = read(folder)
    found = given.assign_faces([2, 1], ["videos/10.mp4", "img/1.jpg"])
    assert found.templates.rows_of(0).tolist() == [0]
    assert found.unassigned.tolist() == []
    nothing = given.assign_faces([], [])
    assert len(nothing.failures_to_acquire) == given.num_templates
    with pytest.raises(ShapeError, match="files"):
        given.assign_faces([1], [])
    with pytest.raises(DtypeError, match="subjects"):
        given.assign_faces(["1"], ["videos/10.mp4"])


@pytest.mark.parametrize(
    "path",
    ["videos_1_2.jpg", "bob/videos_1_2.jpg", "1/videos_1.jpg", "1/frame_1_2.jpg", "1/img.jpg", ""],
)
def test_face_paths_of_another_form_are_refused(path: str) -> None:
    with pytest.raises(InvalidInputError, match="paths 1: expected"):
        parse_face_paths(["1/img_1.jpg", path])


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"\n", b" \n"),
        lambda data: b"\xef\xbb\xbf" + data + b"\n",
    ],
)
def test_line_ends_blanks_and_marks_are_tolerated(
    folder: Path, change: Callable[[bytes], bytes]
) -> None:
    before = read(folder)
    for name in TABLES:
        (folder / name).write_bytes(change((folder / name).read_bytes()))
    after = read(folder)
    assert after.files == before.files
    assert after.subjects.tolist() == before.subjects.tolist()


SINGLE = "galleries/cs6_surveillance_to_single_g1.csv"
BOOKING = "galleries/cs6_surveillance_to_booking_g1.csv"
VIDEOS = "galleries/cs6_surveillance_to_surveillance_g1.csv"
PROBES = "cs6_surveillance_to_single-booking_probe.csv"
UAV = "cs6_uav_to_single-booking_probe.csv"


@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        ("cs6_metadata.csv", "S,F\n1,videos/10.mp4\n1\n", 3, "expected at least 2 columns"),
        ("cs6_metadata.csv", "S,F\nBob,videos/10.mp4\n", 2, "subject id: expected a whole number"),
        ("cs6_metadata.csv", "S,F\n1,\n", 2, "file: expected a text, got an empty field"),
        ("cs6_metadata.csv", "1,videos/10.mp4\n", 1, "expected a header"),
        (SINGLE, "T,S,F\n1,1,img/1.jpg\n2,1,img/1.jpg\n", 3, "listed already in line 2"),
        (SINGLE, "T,S,F\n1,1\n", 2, "expected at least 3 columns"),
        (SINGLE, "T,S,F\n1,x,img/1.jpg\n", 2, "subject id"),
        (SINGLE, "1,1,img/1.jpg\n", 1, "expected a header"),
        (BOOKING, "T,S,F\n1,1,img/1.jpg\n1,1,img/1.jpg\n", 3, "listed already in line 2"),
        (VIDEOS, "T,S,F\n1,9,videos/10.mp4\n", 2, "no face of subject 9 in 'videos/10.mp4'"),
        (PROBES, "F\nvideos/10.mp4\nvideos/99.mp4\n", 3, "no face in 'videos/99.mp4'"),
        (PROBES, "F\nvideos/10.mp4\nvideos/10.mp4\n", 3, "listed already in line 2"),
        (PROBES, "F\nvideos/10.mp4,3\n", 2, "expected 1 columns"),
        (PROBES, "videos/10.mp4\n", 1, "expected a header"),
        (UAV, "F\nimg/77.jpg\n", 2, "no face in 'img/77.jpg'"),
    ],
)
def test_a_broken_line_is_named(folder: Path, name: str, text: str, line: int, says: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(FileFormatError) as caught:
        read(folder)
    assert str(caught.value).startswith(f"{Path(name).name}, line {line}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_or_empty_table_is_named(folder: Path, name: str) -> None:
    (folder / name).write_text("")
    with pytest.raises(FileFormatError, match=f"{Path(name).name} is empty"):
        read(folder)
    (folder / name).unlink()
    with pytest.raises(MissingFileError, match="Expected layout:\n  protocols/"):
        read(folder)


def test_an_incomplete_copy_is_refused_unless_allowed(folder: Path) -> None:
    with pytest.raises(FileFormatError, match=r"expected 398 videos and 3852 pairs.* got 4 and 6"):
        read_ijb_s(folder)
