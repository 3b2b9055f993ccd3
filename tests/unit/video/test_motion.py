"""Motion: boxes that go on with each other have one name."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import ConfigError
from probefusion.faces import Face

pytest.importorskip("edgefirst.tracker")
from probefusion.video.motion import MotionTracker


def face(x: float, y: float = 50, size: float = 40, score: float = 0.9) -> Face:
    return Face(
        box=np.array([x, y, size, size], np.float32),
        landmarks=np.zeros((5, 2), np.float32),
        score=score,
    )


def test_two_faces_that_move_keep_their_names_whatever_their_order() -> None:
    tracker = MotionTracker()
    first = tracker.update([face(10), face(300)], 0.0)
    assert first[0] != first[1]
    for step in range(1, 20):
        faces = [face(10 + 5 * step), face(300 - 4 * step)]
        names = first
        if step % 2:
            faces, names = faces[::-1], first[::-1]
        assert tracker.update(faces, step / 25) == names


def test_a_face_far_away_has_another_name() -> None:
    tracker = MotionTracker()
    (one,) = tracker.update([face(10)], 0.0)
    (two,) = tracker.update([face(400)], 0.04)
    assert two not in (None, one)


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    tracker = MotionTracker(max_gap=0.5)
    names = [tracker.update([face(10)], step / 25)[0] for step in range(5)]
    assert len(set(names)) == 1
    for step in range(5, 10):
        tracker.update([], step / 25)
    assert tracker.update([face(11)], 0.4) == names[:1]
    for step in range(11, 60):
        tracker.update([], step / 25)
    assert tracker.update([face(11)], 2.4) != names[:1]


def test_an_unsure_detection_goes_on_but_does_not_begin() -> None:
    tracker = MotionTracker()
    assert tracker.update([face(10, score=0.3)], 0.0) == [None]
    (name,) = tracker.update([face(10, score=0.9)], 0.04)
    assert tracker.update([face(11, score=0.3)], 0.08) == [name]


def test_odd_boxes_do_no_harm() -> None:
    tracker = MotionTracker()
    (name,) = tracker.update([face(10)], 0.0)
    odd = [face(float("nan")), face(1e30), face(0, size=0), face(-500, size=1)]
    tracker.update([face(10), *odd], 0.04)
    assert tracker.update([face(10)], 0.08) == [name]
    assert tracker.update([], 0.12) == []


def test_settings_are_checked() -> None:
    for gap in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="max_gap"):
            MotionTracker(max_gap=gap)
