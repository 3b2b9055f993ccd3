"""Videos through a pipeline: the person seen most, every person, and events on the way."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from probefusion.errors import ConfigError, MissingFileError, MissingNormsError
from probefusion.pipeline import Extract, Pipeline
from probefusion.types import EmbeddingSet

pytest.importorskip("av")
pytest.importorskip("edgefirst.tracker")

from probefusion.faces.frames import VideoReader
from probefusion.video import VideoSettings


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory, videos):
    """30 frames: red is there all the time, green in the first 15."""
    frames = []
    for number in range(30):
        frame = np.full((120, 200, 3), 128, np.uint8)
        frame[20:60, 10 + number : 50 + number] = (250, 40, 40)
        if number < 15:
            frame[60:110, 120:170] = (40, 250, 40)
        frames.append(frame)
    path = tmp_path_factory.mktemp("clip") / "two.mp4"
    return videos.write_video(path, frames, options={"crf": "10"})


@pytest.fixture
def pipeline(detector, embedder):
    return Pipeline(embedder, detector=detector, fuser="mean")


def test_the_person_seen_most_is_taken_and_told(pipeline, clip_file, caplog) -> None:
    counted = []
    with caplog.at_level(logging.WARNING, "probefusion"):
        fused = pipeline.fuse(clip_file, progress=lambda *given: counted.append(given))
    assert "2 tracks, each of one person (30, 15 images)" in caplog.text
    assert (fused.num_images, fused.num_tracks) == (30, 2)
    assert int(fused.template.vector.argmax()) == 0  # red
    assert fused.sources[1] == f"{clip_file}#t=0.040"
    assert fused.template.weights == pytest.approx(np.full(30, 1 / 30), abs=1e-6)
    assert counted[-1] == ("frames", 30, 30)
    rows = fused.explain()
    assert len(rows) == 30
    assert min(row.similarity for row in rows) > 0.99
    assert "2 tracks in the video" in str(fused)


def test_a_video_and_images_are_one_person(pipeline, clip_file, draw, caplog) -> None:
    photo = draw(red=50)
    fused = pipeline.fuse([clip_file, photo])
    assert fused.num_images == 31
    assert fused.sources[0] == "input 1"
    video = pipeline.fuse(clip_file)
    again = pipeline.fuse([video.state, photo])
    assert np.abs(again.template.vector - fused.template.vector).max() < 1e-6


def test_the_fuser_is_that_of_images(clip_file, detector, embedder) -> None:
    """The same embedder and "auto": crops of a video are judged as those of photos are."""
    fused = Pipeline(embedder, detector=detector).fuse(clip_file)
    assert fused.template.fuser.startswith("universal@")


def test_a_video_without_lengths_is_not_weighed_by_them(clip_file, detector, embedder) -> None:
    class Unit(type(embedder)):
        norms_known = False

        def embed(self, crops):
            rows, style = super().embed(crops)
            return rows / np.linalg.norm(rows, axis=1, keepdims=True), style

        def embed_set(self, crops, sources=None, media_ids=None):
            rows = self.embed(crops)[0]
            return EmbeddingSet(embeddings=rows, embedder=self.fingerprint, norms_known=False)

    frames = []
    weighing = Pipeline(Unit(), detector=detector, fuser="norm-weighted")
    doors = (
        lambda: weighing.fuse(clip_file, progress=lambda *given: frames.append(given)),
        lambda: weighing.read_video(clip_file, progress=lambda *given: frames.append(given)),
        lambda: weighing.watch(clip_file),
    )
    for door in doors:
        with pytest.raises(
            MissingNormsError, match=r"'norm-weighted'.*the row is of length 1.*mean"
        ):
            door()
    assert frames == []
    assert Pipeline(Unit(), detector=detector, fuser="mean").fuse(clip_file).num_images == 30


def test_read_video_gives_everybody(pipeline, clip_file) -> None:
    with pipeline.read_video(clip_file) as clip:
        assert [person.num_images for person in clip.people] == [30, 15]
    with pipeline.read_video(clip_file, extract=Extract(every=2)) as clip:
        assert [person.num_images for person in clip.people] == [15, 8]
    few = VideoSettings(min_images=20)
    with pipeline.read_video(clip_file, settings=few) as clip:
        assert [person.num_images for person in clip.people] == [30]
    with VideoReader(clip_file, stop=0.5) as reader, pipeline.read_video(reader) as clip:
        assert clip.people[0].num_images == 13
    with VideoReader(clip_file) as reader, pytest.raises(ConfigError, match="opened video"):
        pipeline.read_video(reader, extract=Extract(every=2))


def test_watch_tells_who_comes_and_goes(pipeline, clip_file, write, draw, tmp_path) -> None:
    still = write(tmp_path / "ann.png", draw(red=60))
    events = list(pipeline.watch(clip_file, gallery=still))
    assert {event.kind for event in events} == {"appeared", "updated", "left"}
    last = {event.person.number: event for event in events if event.kind == "left"}
    assert sorted(event.person.num_images for event in last.values()) == [15, 30]
    red = next(event for event in last.values() if event.person.num_images == 30)
    assert red.match.candidates[0].name == "ann"
    assert red.match.candidates[0].similarity > 0.99
    expected = pipeline.fuse(clip_file).template.vector
    assert np.abs(red.person.template.vector - expected).max() < 1e-6


def test_watch_closes_the_video_when_broken_off(pipeline, clip_file, monkeypatch) -> None:
    closed = []
    original = VideoReader.close
    monkeypatch.setattr(VideoReader, "close", lambda reader: closed.append(1) or original(reader))
    events = pipeline.watch(clip_file)
    next(events)
    assert closed == []
    events.close()
    assert closed == [1]


def test_watch_closes_the_video_when_closed_before_the_first_event(
    pipeline, clip_file, monkeypatch
) -> None:
    closed = []
    original = VideoReader.close
    monkeypatch.setattr(VideoReader, "close", lambda reader: closed.append(1) or original(reader))
    pipeline.watch(clip_file).close()
    assert closed == [1]


def test_a_video_joins_a_state_of_the_universal_fuser(clip_file, detector, embedder) -> None:
    state = Pipeline(embedder, detector=detector, fuser="universal").fuse(clip_file).state
    joined = Pipeline(embedder, detector=detector).fuse([state, clip_file])
    assert joined.template.fuser == state.fuser
    assert joined.num_images == 2 * state.num_images


def test_what_is_wrong_is_told_at_once(pipeline, embedder, clip_file, tmp_path) -> None:
    with pytest.raises(MissingFileError):
        pipeline.watch(tmp_path / "none.mp4")
    with pytest.raises(ConfigError, match="models pull yunet_2023mar"):
        Pipeline(embedder).watch(clip_file)
    with pytest.raises(ConfigError, match="in which faces are searched"):
        Pipeline(embedder, aligned=True).fuse(clip_file)


def test_what_was_read_is_fused_when_stopped(pipeline, clip_file) -> None:
    frames = []
    fused = pipeline.fuse(
        clip_file,
        progress=lambda unit, done, total: frames.append(done),
        should_stop=lambda: len(frames) >= 10,
    )
    assert fused.was_stopped
    assert fused.num_images == 10
    assert not pipeline.fuse(clip_file, should_stop=lambda: False).was_stopped


def test_videos_after_the_one_that_was_stopped_are_left_out_and_told(pipeline, clip_file) -> None:
    frames = []
    fused = pipeline.fuse(
        [clip_file, clip_file],
        progress=lambda unit, done, total: frames.append(done),
        should_stop=lambda: len(frames) >= 10,
    )
    assert fused.was_stopped
    assert fused.num_images == 10
    assert f"{clip_file}: left out: reading was ended before it" in fused.problems
