"""Photos with several faces: the face common to all is taken, or it is said that none is."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.pipeline import Pipeline
from probefusion.pipeline.common_face import choose_common


def units(*angles: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)] for angle in np.radians(angles)])


def test_the_common_face_is_chosen_wherever_it_stands() -> None:
    chosen = choose_common([units(0, 90), units(180, 92), units(-88, 91)])
    assert chosen.places == [1, 1, 1]
    assert chosen.reason == ""


def test_photos_of_one_face_help() -> None:
    chosen = choose_common([units(0, 90), units(91)])
    assert chosen.places == [1, 0]
    assert chosen.reason == ""


@pytest.mark.parametrize(
    ("photos", "reason"),
    [
        ([units(0, 90)], "no other photo"),
        ([units(0, 90), units(2, 91), units(1, 89)], "several people"),
        ([units(0, 180), units(90, 270)], "no face"),
    ],
)
def test_where_it_cannot_be_told_the_largest_are_taken(photos, reason) -> None:
    chosen = choose_common(photos)
    assert chosen.places == [0] * len(photos)
    assert reason in chosen.reason


@pytest.fixture
def pipeline(embedder, detector):
    return Pipeline(embedder, detector=detector, fuser="mean")


def test_the_person_in_all_photos_is_fused(pipeline, draw, write, tmp_path) -> None:
    write(tmp_path / "p" / "0.png", draw(red=60, green=66))
    write(tmp_path / "p" / "1.png", draw(blue=66, red=60))
    write(tmp_path / "p" / "2.png", draw(red=60))
    fused = pipeline.fuse(tmp_path / "p")
    assert fused.face_choice is not None
    assert fused.face_choice.is_clear
    assert fused.face_choice.num_photos == 2
    assert fused.face_choice.num_changed == 2
    assert fused.problems == ()
    assert fused.num_faces is not None
    assert fused.num_faces.tolist() == [2, 2, 1]
    red = pipeline.fuse(tmp_path / "p" / "2.png")
    assert red.face_choice is None
    assert fused.template.vector == pytest.approx(red.template.vector, abs=0.02)
    assert "taken is the face common to all photos" in str(fused)


def test_two_people_in_all_photos_are_told(pipeline, draw, write, tmp_path) -> None:
    for number in range(3):
        write(tmp_path / "p" / f"{number}.png", draw(red=60, green=66))
    fused = pipeline.fuse(tmp_path / "p")
    assert fused.face_choice is not None
    assert not fused.face_choice.is_clear
    assert len(fused.problems) == 1
    assert "several people are in all photos" in fused.problems[0]
    green = write(tmp_path / "green.png", draw(green=66))
    assert fused.template.vector == pytest.approx(pipeline.fuse(green).template.vector, abs=0.02)


def test_small_faces_in_the_background_are_not_meant(pipeline, draw, write, tmp_path) -> None:
    for number in range(2):
        write(tmp_path / "p" / f"{number}.png", draw(red=66, green=30))
    fused = pipeline.fuse(tmp_path / "p")
    assert fused.face_choice is None
    assert fused.problems == ()
