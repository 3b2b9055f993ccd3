"""What can be expected of people's templates, by the fuser's record or one of the user's own; damage ends nothing."""

from __future__ import annotations

import logging

import pytest
from tests.support.judged_fusers import record_beside

from probefusion.faces.frames import VideoReader
from probefusion.fusion import MeanFuser
from probefusion.video import merge_clip, process_video, watch_video

pytest.importorskip("av")
pytest.importorskip("edgefirst.tracker")


@pytest.fixture
def read(square_detector, colour_embedder, two_people_clip):
    """The events and the clip of the two people."""

    def run(calibration):
        events = []
        with VideoReader(two_people_clip) as reader:
            clip = process_video(
                reader, square_detector, colour_embedder, MeanFuser(),
                calibration=calibration, on_event=events.append,
            )  # fmt: skip
        with VideoReader(two_people_clip) as reader:
            watched = watch_video(
                reader, square_detector, colour_embedder, MeanFuser(), calibration=calibration
            )
            return clip, [*events, *watched]

    return run


def verdicts(clip, events) -> set[str]:
    templates = [person.template for person in clip.people]
    templates += [event.person.template for event in events]
    return {template.usability.verdict for template in templates}


def test_a_calibration_of_ones_own_judges_people_and_events(read, tmp_path) -> None:
    clip, events = read(None)
    with clip:
        assert verdicts(clip, events) == {"not known"}
        state = clip.people[0].state
    for level, verdict in ((0.4, "usable"), (0.6, "doubtful"), (0.8, "not usable")):
        record_beside(tmp_path / "own.json", state, level)
        clip, events = read(tmp_path / "own.json")
        with clip:
            assert verdicts(clip, events) == {verdict}
            merge_clip(clip, -1.0)
            assert verdicts(clip, ()) == {verdict}


def test_a_damaged_record_costs_no_template_and_is_told(read, tmp_path, caplog) -> None:
    clip, _ = read(None)
    with clip:
        record_beside(tmp_path / "own.json", clip.people[0].state)
    (tmp_path / "own.usability.json").write_text('{"level": 0.9}')
    with caplog.at_level(logging.WARNING, logger="probefusion"):
        clip, events = read(tmp_path / "own.json")
    with clip:
        assert verdicts(clip, events) == {"not known"}
        assert "own.usability.json" in clip.people[0].template.usability.reason
    told = [record.getMessage() for record in caplog.records]
    (warning,) = [text for text in told if "usability" in text]
    assert warning.startswith("usability is not known: ")
    assert "own.usability.json" in warning
