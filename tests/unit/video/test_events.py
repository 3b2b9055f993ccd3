"""Events while a video runs: order, times, states, memory."""

from __future__ import annotations

import collections
import gc
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest

from probefusion.embedders import EmbedderSpec, embed_crops
from probefusion.embedders.quality import CropQuality
from probefusion.errors import FileFormatError, InvalidInputError
from probefusion.faces import Face
from probefusion.faces.frames import VideoFrame, VideoReader
from probefusion.fusion.universal import UniversalFuser
from probefusion.gallery import Stills
from probefusion.types import FusionState
from probefusion.video import VideoSettings, process_video, watch_video
from probefusion.video.events import EventLog, VideoEvent
from probefusion.video.identities import IdentityThresholds, TrackAssigner
from probefusion.video.sighting import Sighting
from probefusion.video.track import Track, as_set
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


@pytest.fixture
def told(track_settings, faces):
    """Events of (frame, name of the moving face, person) with the assigner's rules."""

    def run(seen, *, min_images=3) -> list[VideoEvent]:
        log = EventLog(track_settings.fuser, min_images)
        thresholds = IdentityThresholds(split_below=0.3, reenter_from=0.5)
        assigner = TrackAssigner(track_settings, thresholds, log)
        for frame, name, who in seen:
            sighting = faces(who, frame)
            assigner.expire(sighting.time)
            assigner.place(name, sighting)
        assigner.finish()
        return log.take()

    return run


def test_who_comes_back_appears_again_with_the_same_number(told) -> None:
    seen = [(k, "a", 0) for k in range(10)] + [(k, "b", 0) for k in range(100, 110)]
    events = told(seen)
    assert {event.person.number for event in events} == {1}
    bounds = [event for event in events if event.kind != "updated"]
    assert [event.kind for event in bounds] == ["appeared", "left", "appeared", "left"]
    assert [event.person.num_images for event in bounds] == [3, 10, 13, 20]
    assert [event.person.first_time for event in bounds] == [0.0] * 4
    assert bounds[2].time == pytest.approx(102 / 25)


def test_a_split_lets_one_leave_and_the_other_appear(told) -> None:
    events = told([(k, "a", 0 if k < 20 else 1) for k in range(40)])
    bounds = [(e.person.number, e.kind) for e in events if e.kind != "updated"]
    assert bounds == [(1, "appeared"), (1, "left"), (2, "appeared"), (2, "left")]
    left, appeared = (event for event in events if event.time == pytest.approx(22 / 25))
    assert (left.kind, left.person.num_images, left.person.last_time) == ("left", 20, 19 / 25)
    assert (appeared.kind, appeared.person.first_time) == ("appeared", 20 / 25)


def test_a_glimpse_appears_and_leaves_at_once_where_one_image_is_enough(told) -> None:
    seen = [(0, "a", 0), (100, "b", 1)]
    assert kinds(told(seen, min_images=1)) == [
        (1, "appeared"), (1, "left"), (2, "appeared"), (2, "left"),
    ]  # fmt: skip
    assert told(seen) == []


def test_the_state_so_far_is_the_final_one_and_disturbs_nothing(any_fuser) -> None:
    from dataclasses import replace

    from probefusion.video.row_file import RowFile
    from probefusion.video.track import TrackSettings

    rng = np.random.default_rng(4)
    with RowFile() as row_file:
        settings = TrackSettings(
            fuser=any_fuser,
            embedder="net@1",
            norms_known=True,
            row_file=row_file,
            chunk_size=6,
            max_gap=0.5,
        )
        asked, quiet = Track(1, settings), Track(2, settings)
        watched = Track(3, replace(settings, row_file=None))
        for frame in range(23):
            embedding = rng.standard_normal(16).astype(np.float32)
            sighting = Sighting(
                frame=frame,
                time=frame / 25,
                box=np.zeros(4, np.float32),
                score=0.9,
                crop=np.zeros((8, 8, 3), np.uint8),
                embedding=embedding,
                style=rng.standard_normal((6, 2)).astype(np.float32),
                own_template=embedding / np.linalg.norm(embedding),
            )
            for track in (asked, quiet, watched):
                track.add(sighting)
            assert asked.state_so_far().num_images == frame + 1
            assert same_numbers(asked.state_so_far(), watched.state_so_far())
        so_far = asked.state_so_far()
        assert same_numbers(so_far, quiet.state())
        assert same_numbers(so_far, asked.state())
        assert same_numbers(so_far, asked.state_so_far())
        with pytest.raises(InvalidInputError, match="no record"):
            watched.state()


def test_quality_goes_into_the_set_of_a_track(track_settings, faces) -> None:
    from dataclasses import replace

    sightings = [replace(faces(0, frame), quality=frame / 10) for frame in range(3)]
    assert as_set(sightings, track_settings).quality == pytest.approx([0, 0.1, 0.2])


def test_the_universal_fuser_weighs_a_video_by_the_look_of_its_crops(
    two_people_clip, square_detector, colour_embedder
) -> None:
    fuser = UniversalFuser()
    with (
        VideoReader(two_people_clip) as reader,
        process_video(reader, square_detector, colour_embedder, fuser) as clip,
    ):
        person = clip.people[0]
        weights = np.concatenate([weights for _, weights in person.blocks()])
        assert weights.sum() == pytest.approx(1)
        assert weights.std() > 0
        crops = {item.frame: item for item in person.thumbnails()}
        judged = CropQuality(num_threads=1)
        assert person.state.fuser == fuser.fingerprint
        assert person.template.num_images == 40
        import cv2

        rows = np.concatenate([rows for rows, _ in person.blocks()])
        for frame, item in crops.items():
            decoded = cv2.imdecode(np.frombuffer(item.jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            quality = judged.judge(np.ascontiguousarray(decoded)[None])[0]
            share = rows["shares"][rows["frame"] == frame][0, 0]
            assert np.log(share) == pytest.approx(quality, abs=0.2)  # JPEG changes it a little


# A stream that never ends.


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
