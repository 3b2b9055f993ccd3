"""A video whose pictures are turned: its people are found, put upright, and that is told."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from drawn_video import ColourEmbedder, SquareDetector

from probefusion.faces import Face
from probefusion.faces.frames import VideoReader
from probefusion.fusion import MeanFuser
from probefusion.video import process_video

pytest.importorskip("av")


class UpsideDown(SquareDetector):
    """Knows how the pictures stand only where it may look for it; counts how often that was."""

    def __init__(self) -> None:
        self.asked: list[int | None] = []

    def detect(self, image):
        self.asked.append(None)
        return self._turned(image, 180)

    def detect_turned(self, image, turned):
        self.asked.append(turned)
        return self._turned(image, turned)

    def _turned(self, image, turned):
        found = []
        for face in super().detect(image):
            centre = face.box[:2] + face.box[2:] / 2
            points = face.landmarks if turned == 0 else 2 * centre - face.landmarks
            found.append(Face(box=face.box, landmarks=points.astype(np.float32), score=face.score))
        return tuple(found)


def test_frames_are_searched_in_the_turn_of_the_first(two_people_clip, caplog) -> None:
    detector = UpsideDown()
    with VideoReader(two_people_clip) as reader, caplog.at_level(logging.WARNING, "probefusion"):
        clip = process_video(reader, detector, ColourEmbedder(), MeanFuser())
    with clip:
        assert clip.counts.faces_turned == clip.counts.faces_found > 60
    assert detector.asked == [None, 180] * 3 + [180] * 37
    assert "faces are turned by 90, 180 or 270 degrees; their crops were put upright" in caplog.text
