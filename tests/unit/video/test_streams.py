"""Streams that never end: memory, blocks of a live source, what is kept of people."""

from __future__ import annotations

import collections
import gc
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest

from probefusion.embedders import EmbedderSpec
from probefusion.faces import Face
from probefusion.faces.frames import VideoFrame
from probefusion.types import FusionState
from probefusion.video import watch_video
from probefusion.video.events import VideoEvent
from probefusion.video.sighting import Sighting
from probefusion.video.track import Track
from probefusion.zoo import load_fuser

pytest.importorskip("av")
pytest.importorskip("edgefirst.tracker")


class Stream:
    """Frames with one plain square each: person k is in frames 25 k to 25 k + 7, in colour k."""

    step = 1 / 25

    def __init__(self, num_people: int, *, seen: int = 8, every: int = 25) -> None:
        self.facts = SimpleNamespace(is_live=True, num_frames=None)
        self.num_read = 0
        self.problems = ()
        self._size = (num_people, seen, every)

    def __iter__(self):
        num_people, seen, every = self._size
        for who in range(num_people):
            for step in range(every):
                frame = np.zeros((60, 60, 3), np.uint8)
                if step < seen:
                    frame[10:50, 10:50] = colour_of(who)
                self.num_read += 1
                index = who * every + step
                yield VideoFrame(index=index, time=index / 25, image=frame)


def colour_of(who: int) -> tuple[int, int, int]:
    return 30 + 30 * (who % 8), 30 + 30 * (who // 8 % 8), 30 + 30 * (who // 64 % 8)


class MiddleDetector:
    def detect(self, image):
        if not image.any():
            return ()
        landmarks = np.array([[22, 24], [38, 24], [30, 34], [24, 42], [36, 42]], np.float32)
        return (Face(box=np.array([10, 10, 40, 40], np.float32), landmarks=landmarks, score=0.9),)


class TableEmbedder:
    """A vector for each colour, from a table."""

    norms_known = True

    def __init__(self) -> None:
        self.spec = EmbedderSpec(name="table", sha256="1" * 64, dim=64)
        self.fingerprint = self.spec.fingerprint
        self._table = np.random.default_rng(1).standard_normal((512, 64)).astype(np.float32)

    def embed(self, crops):
        levels = np.round((crops[:, 56, 56].astype(float) - 30) / 30).astype(int).clip(0, 7)
        return self._table[levels @ (1, 8, 64)], None


def count_living() -> collections.Counter[str]:
    gc.collect()
    counted = {Track, FusionState, Sighting, VideoEvent}
    found = [type(item) for item in gc.get_objects()]
    return collections.Counter(kind.__name__ for kind in found if kind in counted)


def test_memory_stays_the_same_however_long_a_stream_is(monkeypatch) -> None:
    def refuse(*arguments, **settings):
        raise AssertionError("watching writes nothing to disk")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    before = count_living()
    living, sizes, numbers = {}, set(), set()
    events = watch_video(Stream(300), MiddleDetector(), TableEmbedder(), load_fuser("mean"))
    for event in events:
        numbers.add(event.person.number)
        sizes.add(len(event.person.state.to_bytes()))
        if event.kind == "left" and event.person.number in (100, 200, 290):
            living[event.person.number] = count_living() - before
    assert numbers == set(range(1, 301))
    assert max(sizes) < 4096
    assert sorted(living) == [100, 200, 290]
    assert 60 <= living[100]["Track"] <= 70  # the 64 last seen may come back
    for name in ("Track", "FusionState", "Sighting", "VideoEvent"):
        assert abs(living[200][name] - living[100][name]) <= 10
        assert abs(living[290][name] - living[100][name]) <= 10
    del event, events
    assert not (count_living() - before)["Track"]


def test_one_person_for_long_keeps_a_few_sightings() -> None:
    before = count_living()
    stream = Stream(1, seen=2000, every=2000)
    events = watch_video(stream, MiddleDetector(), TableEmbedder(), load_fuser("mean"))
    gaps, last = [], 0
    for event in events:
        gaps.append(event.person.num_images - last)
        last = event.person.num_images
        if event.person.num_images % 256 == 0:
            assert (count_living() - before)["Sighting"] <= 64
            assert (count_living() - before)["FusionState"] <= 8
    assert last == 2000
    assert max(gaps) <= 32


def test_a_live_source_does_not_wait_for_a_full_batch() -> None:
    stream = Stream(1, seen=20, every=40)
    events = watch_video(stream, MiddleDetector(), TableEmbedder(), load_fuser("mean"))
    assert next(events).kind == "appeared"
    assert stream.num_read <= 14  # half a second at 25 frames a second
    assert [event.kind for event in events][-1] == "left"


def test_a_stream_of_people_who_come_and_go_keeps_two_segments(track_settings, faces) -> None:
    from dataclasses import replace

    track = Track(1, replace(track_settings, row_file=None))
    for stay in range(50):
        for step in range(3):
            track.add(faces(0, 100 * stay + step))
    assert [segment.first_frame for segment in track.segments] == [0, 4900]
    assert track.num_images == 150
