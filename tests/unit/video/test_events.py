"""Events while a video runs: order, times, states, memory."""

from __future__ import annotations

import collections
import tempfile

import numpy as np
import pytest

from probefusion.embedders import embed_crops
from probefusion.errors import FileFormatError
from probefusion.faces.frames import VideoReader
from probefusion.gallery import Stills
from probefusion.types import FusionState
from probefusion.video import VideoSettings, process_video, watch_video
from probefusion.video.events import VideoEvent
from probefusion.zoo import load_fuser

pytest.importorskip("av")
pytest.importorskip("edgefirst.tracker")


@pytest.fixture
def watch(square_detector, colour_embedder):
    """The events of a video with the made-up detector and embedder."""

    def run(path, settings=None, *, fuser="mean", reading=None, **options) -> list[VideoEvent]:
        with VideoReader(path, **(reading or {})) as reader:
            events = watch_video(
                reader, square_detector, colour_embedder, load_fuser(fuser), settings, **options
            )
            return list(events)

    return run


def kinds(events) -> list[tuple[int, str]]:
    return [(event.person.number, event.kind) for event in events]


def same_numbers(one: FusionState, other: FusionState) -> bool:
    arrays = ("mass", "sums", "style_sums")
    return one.num_images == other.num_images and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays
    )


def test_people_appear_are_updated_and_leave(watch, two_people_clip) -> None:
    events = watch(two_people_clip)
    by_number = collections.defaultdict(list)
    for event in events:
        by_number[event.person.number].append(event)
    assert sorted(by_number) == [1, 2, 3]
    for own in by_number.values():
        assert [own[0].kind, own[-1].kind] == ["appeared", "left"]
        assert {event.kind for event in own[1:-1]} == {"updated"}
        counts = [event.person.num_images for event in own]
        assert counts == sorted(counts)
    assert [event.time for event in events] == sorted(event.time for event in events)
    red, green, blue = (
        by_number[number]
        for number in sorted(by_number, key=lambda n: -by_number[n][-1].person.num_images)
    )
    assert [e.person.num_images for e in red] == [3, 4, 6, 9, 13, 19, 28, 40]
    assert red[0].time == pytest.approx(2 / 25)  # the third image
    assert red[-1].time == pytest.approx(39 / 25)
    assert (green[-1].person.first_time, green[-1].person.last_time) == pytest.approx((0, 14 / 25))
    assert green[-1].time == pytest.approx(27 / 25, abs=0.05)  # half a second unseen
    assert (blue[0].time, blue[0].person.first_time) == pytest.approx((27 / 25, 1))
    assert kinds(events)[-2:] == [(red[0].person.number, "left"), (blue[0].person.number, "left")]


@pytest.mark.parametrize("fuser", ["mean", "norm-weighted", "universal"])
def test_the_last_states_are_those_of_the_processed_video(
    watch, two_people_clip, square_detector, colour_embedder, fuser
) -> None:
    last = {event.person.number: event.person for event in watch(two_people_clip, fuser=fuser)}
    heard: list[VideoEvent] = []
    with (
        VideoReader(two_people_clip) as reader,
        process_video(
            reader, square_detector, colour_embedder, load_fuser(fuser), on_event=heard.append
        ) as clip,
    ):
        assert len(clip.people) == len(last) == 3
        for person in clip.people:
            seen = last[person.number]
            assert same_numbers(seen.state, person.state)
            assert np.array_equal(seen.template.vector, person.template.vector)
            assert seen.num_images == seen.template.num_images == person.num_images
            assert seen.first_time == person.segments[0].first_time
            assert seen.last_time == person.segments[-1].last_time
    events = watch(two_people_clip, fuser=fuser)
    assert kinds(heard) == kinds(events)
    for one, other in zip(heard, events, strict=True):
        assert (one.time, one.match) == (other.time, other.match)
        assert same_numbers(one.person.state, other.person.state)


def test_every_state_is_that_of_the_images_until_then(watch, two_people_clip) -> None:
    """Watching a video that is cut off after an event gives the state of that event."""
    for event in watch(two_people_clip)[2:9:3]:
        until = watch(two_people_clip, reading={"stop": event.time + 0.02})
        (same,) = [e for e in until if e.person.number == event.person.number and e.kind == "left"]
        assert same.person.num_images == event.person.num_images
        assert np.allclose(same.person.state.sums, event.person.state.sums, rtol=1e-6)


def test_short_tracks_cause_no_events(watch, two_people_clip) -> None:
    events = watch(two_people_clip, VideoSettings(min_images=16))
    assert {event.person.number for event in events} == {events[0].person.number}
    assert events[0].kind == "appeared"
    assert events[0].person.num_images == 16  # three of them wait for their block
    assert events[-1].person.num_images == 40


def test_a_gallery_is_searched_at_each_event(watch, two_people_clip, colour_embedder) -> None:
    crops = [np.full((112, 112, 3), colour, np.uint8) for colour in ((250, 40, 40), (40, 250, 40))]
    images = embed_crops(crops, colour_embedder).images
    vectors = load_fuser("mean").fuse_many(images, [0, 1, 2])
    stills = Stills(names=("red", "green"), vectors=vectors, mean_vectors=vectors)
    events = watch(two_people_clip, stills=stills, threshold=0.9)
    last = {event.person.number: event for event in events}
    found = {
        event.match.name: (event.person.num_images, event.match.is_match) for event in last.values()
    }
    assert found == {"red": (40, True), "green": (15, True), None: (15, False)}
    assert all(event.match.threshold == 0.9 for event in events)
    assert all(event.match is None for event in watch(two_people_clip))


def test_events_come_while_the_video_is_read(
    two_people_clip, square_detector, colour_embedder
) -> None:
    with VideoReader(two_people_clip) as reader:
        events = watch_video(reader, square_detector, colour_embedder, load_fuser("mean"))
        assert reader.num_read == 0
        first = next(events)
        assert first.kind == "appeared"
        assert 3 <= reader.num_read < 40
        events.close()
        assert list(events) == []


def test_stopping_lets_the_people_leave(watch, two_people_clip) -> None:
    read = []
    events = watch(
        two_people_clip,
        progress=lambda done, total: read.append((done, total)),
        should_stop=lambda: len(read) >= 20,
    )
    assert read[-1] == (20, 40)
    assert [event.kind for event in events[-2:]] == ["left", "left"]
    assert sorted(event.person.num_images for event in events[-2:]) == [15, 20]


def test_a_video_without_people_gives_no_event(watch, tmp_path, videos) -> None:
    path = videos.write_video(tmp_path / "black.mp4", [np.zeros((64, 64, 3), np.uint8)] * 5)
    assert watch(path) == []
    with pytest.raises(FileFormatError, match="no frame"):
        watch(path, reading={"start": 100})


def test_a_consumer_that_fails_leaves_no_file_behind(
    two_people_clip, square_detector, colour_embedder, monkeypatch
) -> None:
    made = []
    open_file = tempfile.TemporaryFile

    def remember(*arguments, **settings):
        made.append(open_file(*arguments, **settings))
        return made[-1]

    def fail(event) -> None:
        raise KeyError(event.kind)

    monkeypatch.setattr(tempfile, "TemporaryFile", remember)
    fuser = load_fuser("mean")
    with VideoReader(two_people_clip) as reader, pytest.raises(KeyError, match="appeared"):
        process_video(reader, square_detector, colour_embedder, fuser, on_event=fail)
    assert [file.closed for file in made] == [True]
    with VideoReader(two_people_clip) as reader:
        list(watch_video(reader, square_detector, colour_embedder, fuser))
    assert len(made) == 1  # watching writes nothing


# What becomes of tracks, told in moving faces.
