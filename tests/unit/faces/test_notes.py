from __future__ import annotations

from dataclasses import replace

import pytest

from probefusion.faces import FaceFacts, faces_to_tell, notes_on_faces

PLAIN = FaceFacts(
    source="a.jpg",
    detector_score=0.93,
    num_faces=1,
    num_alike=1,
    turned=0,
    face_px=80.0,
    is_cut_off=False,
)


def test_nothing_to_tell() -> None:
    small_beside = replace(PLAIN, num_faces=4)  # people in the background
    assert notes_on_faces([]) == []
    assert notes_on_faces([PLAIN, small_beside]) == []
    assert faces_to_tell([PLAIN, small_beside]) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"turned": 90}, "1 of 2 photos turned, and put upright: b.jpg (90 degrees)"),
        (
            {"num_faces": 3, "num_alike": 2},
            "1 of 2 photos of several faces of about one size, of which the largest was taken: b.jpg (3 faces)",
        ),
        (
            {"detector_score": 0.62},
            "1 of 2 photos of a face that the detector is not sure of (a score below 0.7): b.jpg (0.62)",
        ),
        ({"face_px": 19.6}, "1 of 2 photos of a face of fewer than 24 pixels: b.jpg (20 pixels)"),
        (
            {"is_cut_off": True},
            "1 of 2 photos of a face that reaches beyond the photo: b.jpg (cut off)",
        ),
    ],
)
def test_each_kind_is_told_by_name(changes, expected) -> None:
    other = replace(PLAIN, source="b.jpg", **changes)
    assert notes_on_faces([PLAIN, other]) == [expected]
    (told,) = faces_to_tell([PLAIN, other])
    assert told["source"] == "b.jpg"
    assert told.items() >= changes.items()


@pytest.mark.parametrize("changes", [{"detector_score": 0.7}, {"face_px": 24.0}])
def test_the_stated_levels_themselves_are_fine(changes) -> None:
    assert notes_on_faces([replace(PLAIN, **changes)]) == []


def test_many_are_counted_and_five_named() -> None:
    faces = [replace(PLAIN, source=f"{k}.jpg", turned=180) for k in range(7)]
    (line,) = notes_on_faces(faces)
    assert line.startswith("7 of 7 photos turned")
    assert line.endswith("4.jpg (180 degrees) and 2 more")
    assert len(faces_to_tell(faces)) == 7


def test_a_name_of_several_lines_stays_in_one() -> None:
    (line,) = notes_on_faces([replace(PLAIN, source="a\nb.jpg", turned=180)])
    assert "\n" not in line
