from __future__ import annotations

import numpy as np
import pytest

from probefusion.faces import ARCFACE_LANDMARKS, Face, align_face
from probefusion.faces.detect import crop_largest_face

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
    crop, count = crop_largest_face(photo, Finds(small, large), size=112)
    assert count == 2
    assert np.array_equal(crop, align_face(photo, large.landmarks, size=112))


def test_why_there_is_no_crop() -> None:
    photo = np.zeros((240, 240, 3), np.uint8)
    assert crop_largest_face(photo, Finds(), size=112) == "no face found"
    points = face(1.0, landmarks=np.ones((5, 2)))
    assert "the face cannot be aligned" in crop_largest_face(photo, Finds(points), size=112)
