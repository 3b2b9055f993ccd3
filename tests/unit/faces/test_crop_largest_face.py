from __future__ import annotations

import numpy as np
import pytest

from probefusion.faces import ARCFACE_LANDMARKS, Face, align_face, crop_faces, crop_largest_face

pytest.importorskip("cv2")


class Finds:
    """A detector that finds given faces."""

    def __init__(self, *faces: Face) -> None:
        self.faces = faces

    def detect(self, image):
        return self.faces


def face(scale: float, landmarks=ARCFACE_LANDMARKS) -> Face:
    points = np.asarray(landmarks, np.float32) * scale
    return Face(
        box=np.array([0, 0, 112 * scale, 112 * scale], np.float32), landmarks=points, score=1
    )


def test_the_largest_face_is_cropped_and_all_are_counted() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)
    small, large = face(1.0), face(2.0)
    found = crop_largest_face(photo, Finds(small, large), size=112, source="a.jpg")
    assert found.facts.num_faces == 2
    assert found.facts.source == "a.jpg"
    assert found.face is large
    assert np.array_equal(found.crop, align_face(photo, large.landmarks, size=112))


def test_all_faces_are_cropped_by_one_search() -> None:
    photo = np.random.default_rng(1).integers(0, 256, (240, 240, 3), np.uint8)
    small, large, none = face(1.0), face(2.0), face(1.0, landmarks=np.ones((5, 2)))
    found, reasons = crop_faces(photo, Finds(large, small, none), size=112)
    assert [one.face for one in found] == [large, small]
    assert [one.facts.num_faces for one in found] == [3, 3]
    assert np.array_equal(found[1].crop, align_face(photo, small.landmarks, size=112))
    assert len(reasons) == 1
    assert "cannot be aligned" in reasons[0]


def moved(scale: float, shift, score: float = 1.0) -> Face:
    one = face(scale)
    box = one.box + np.array([*shift, 0, 0], np.float32)
    return Face(box=box, landmarks=one.landmarks + np.float32(shift), score=score)


@pytest.mark.parametrize(
    ("others", "alike"),
    [([], 1), ([1.9], 2), ([1.9, 1.5], 3), ([1.3], 1)],  # by area: .90, .56, .42 of the largest
)
def test_faces_of_about_one_size_are_counted(others, alike) -> None:
    faces = [face(2.0), *(face(scale) for scale in others)]
    facts = crop_largest_face(np.zeros((300, 300, 3), np.uint8), Finds(*faces), size=112).facts
    assert (facts.num_faces, facts.num_alike) == (len(faces), alike)


@pytest.mark.parametrize(
    ("shift", "is_cut_off"),
    [
        ((0, 0), False),
        ((-10, 0), False),  # 9 % of the width
        ((-13, 0), True),
        ((0, -13), True),
        ((200, 0), True),
        ((0, 195), False),  # 7 pixels below the last row
        ((0, 201), True),
    ],
)
def test_faces_that_reach_beyond_the_photo(shift, is_cut_off) -> None:
    photo = np.zeros((300, 300, 3), np.uint8)
    facts = crop_largest_face(photo, Finds(moved(1.0, shift, 0.83)), size=112).facts
    assert facts.is_cut_off is is_cut_off
    assert facts.face_px == 112
    assert facts.detector_score == pytest.approx(0.83)


def test_why_there_is_no_crop() -> None:
    photo = np.zeros((240, 240, 3), np.uint8)
    assert crop_largest_face(photo, Finds(), size=112) == "no face found"
    points = face(1.0, landmarks=np.ones((5, 2)))
    assert "the face cannot be aligned" in crop_largest_face(photo, Finds(points), size=112)


@pytest.mark.parametrize(
    ("shift", "is_cut_off"),
    [
        ((0, 0), False),
        ((-26, 0), False),  # to the edge of the face
        ((-36, 0), True),
        ((36, 0), True),
        ((0, -46), True),  # brows and forehead
        ((0, 20), True),  # chin
        ((0, -34), False),
    ],
)
def test_a_face_is_cut_off_by_its_landmarks_though_its_box_ends_with_the_photo(
    shift, is_cut_off
) -> None:
    """As detectors draw them that were taught boxes within photos."""
    photo = np.random.default_rng(2).integers(0, 256, (112, 112, 3), np.uint8)
    points = ARCFACE_LANDMARKS.astype(np.float32) + np.float32(shift)
    low = np.maximum(shift, 0)
    box = np.array([*low, *np.minimum(np.add(shift, 112), 112) - low], np.float32)
    one = Face(box=box, landmarks=points, score=0.9)
    assert crop_largest_face(photo, Finds(one), size=112).facts.is_cut_off is is_cut_off
