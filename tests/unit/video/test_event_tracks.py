"""Events of single tracks: who comes back, splits, and the state so far."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.embedders.quality import CropQuality
from probefusion.errors import InvalidInputError
from probefusion.faces.frames import VideoReader
from probefusion.fusion.universal import UniversalFuser
from probefusion.types import FusionState
from probefusion.video import process_video
from probefusion.video.events import EventLog, VideoEvent
from probefusion.video.identities import IdentityThresholds, TrackAssigner
from probefusion.video.sighting import Sighting
from probefusion.video.track import Track, as_set

pytest.importorskip("av")
pytest.importorskip("edgefirst.tracker")


def kinds(events) -> list[tuple[int, str]]:
    return [(event.person.number, event.kind) for event in events]


def same_numbers(one: FusionState, other: FusionState) -> bool:
    arrays = ("mass", "sums", "style_sums")
    return one.num_images == other.num_images and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays
    )


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
        return list(log.take())

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
