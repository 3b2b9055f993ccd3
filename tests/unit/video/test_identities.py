"""Who is who: new tracks, splits, re-entries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from probefusion.video.identities import IdentityThresholds, TrackAssigner
from probefusion.zoo import load_fuser

THRESHOLDS = IdentityThresholds(split_below=0.3, reenter_from=0.5)


def run(track_settings, events, thresholds=THRESHOLDS):
    """Feeds (frame, name, sighting) and gives the assigner and its tracks."""
    assigner = TrackAssigner(track_settings, thresholds)
    for _, name, sighting in events:
        assigner.expire(sighting.time)
        assigner.place(name, sighting)
    return assigner, assigner.finish()


def frames_of(track) -> list[int]:
    return [int(frame) for rows in track.blocks() for frame in rows["frame"]]


def test_one_moving_face_is_one_track(track_settings, faces) -> None:
    assigner, tracks = run(track_settings, [(k, "a", faces(0, k)) for k in range(30)])
    assert len(tracks) == 1
    assert frames_of(tracks[0]) == list(range(30))
    assert tracks[0].vector @ faces.people[0] > 0.95
    assert assigner.decisions == []
    assert len(tracks[0].segments) == 1


def test_a_jump_to_another_face_splits_at_the_first_strange_image(track_settings, faces) -> None:
    events = [(k, "a", faces(0 if k < 20 else 1, k)) for k in range(40)]
    assigner, tracks = run(track_settings, events)
    assert [frames_of(track) for track in tracks] == [list(range(20)), list(range(20, 40))]
    (decision,) = assigner.decisions
    assert (decision["kind"], decision["track"]) == ("split", 1)
    assert decision["time"] == pytest.approx(20 / 25)
    assert decision["similarity"] < decision["threshold"] == 0.3


def test_a_few_poor_images_do_not_split(track_settings, faces) -> None:
    events = [(k, "a", faces(0, k, noise=12 if k in (10, 11) else 0.3)) for k in range(20)]
    assert events[10][2].own_template @ faces.people[0] < 0.3
    assigner, tracks = run(track_settings, events)
    assert len(tracks) == 1
    assert frames_of(tracks[0]) == list(range(20))
    assert assigner.decisions == []


def test_a_person_who_comes_back_goes_on_with_the_track(track_settings, faces) -> None:
    events = [(k, "a", faces(0, k)) for k in range(10)]
    events += [(k, "b", faces(0, k)) for k in range(100, 110)]
    assigner, tracks = run(track_settings, events)
    assert len(tracks) == 1
    assert frames_of(tracks[0]) == [*range(10), *range(100, 110)]
    assert [(s.first_frame, s.last_frame) for s in tracks[0].segments] == [(0, 9), (100, 109)]
    assert [d["kind"] for d in assigner.decisions] == ["re-entry"]


def test_another_person_at_the_same_place_does_not(track_settings, faces) -> None:
    events = [(k, "a", faces(0, k)) for k in range(10)]
    events += [(k, "b", faces(1, k)) for k in range(100, 110)]
    assigner, tracks = run(track_settings, events)
    assert len(tracks) == 2
    assert assigner.decisions == []


def test_twins_seen_together_stay_two(track_settings, faces) -> None:
    events = [(k, name, faces(0, k)) for k in range(20) for name in ("a", "b")]
    _, tracks = run(track_settings, events)
    assert [track.num_images for track in tracks] == [20, 20]


def test_a_split_that_jumps_to_a_known_person_goes_on_with_that_one(track_settings, faces) -> None:
    events = [(k, "a", faces(1, k)) for k in range(10)]
    events += [(k, "b", faces(0 if k < 60 else 1, k)) for k in range(50, 70)]
    assigner, tracks = run(track_settings, events)
    assert [frames_of(track) for track in tracks] == [
        [*range(10), *range(60, 70)],
        list(range(50, 60)),
    ]
    assert [d["kind"] for d in assigner.decisions] == ["split", "re-entry"]


def test_every_image_given_is_in_exactly_one_track(track_settings, faces) -> None:
    rng = np.random.default_rng(1)
    events = []
    for k in range(200):
        for name in ("a", "b", "c"):
            if rng.random() < 0.8:
                who = int(rng.integers(4)) if rng.random() < 0.1 else "abc".index(name)
                events.append((k, f"{name}{k // 50}", faces(who, k, noise=rng.uniform(0.2, 3))))
    _, tracks = run(track_settings, events)
    placed = sorted(frame for track in tracks for frame in frames_of(track))
    assert placed == sorted(frame for frame, _, _ in events)
    for track in tracks:
        assert frames_of(track) == sorted(set(frames_of(track)))  # never two faces of one frame
        assert track.state().num_images == track.num_images


def test_thresholds_come_from_the_calibration_where_there_is_one() -> None:
    assert IdentityThresholds.of(load_fuser("mean")) == IdentityThresholds(
        split_below=0.2, reenter_from=0.5
    )
    fuser = load_fuser("exact")
    calibrated = IdentityThresholds.of(fuser)
    assert calibrated.split_below == fuser.card.threshold_for(1e-2, 3).similarity
    assert calibrated.reenter_from == fuser.card.threshold_for(1e-4, 3).similarity
    given = IdentityThresholds.of(fuser, split_below=0.1, reenter_from=0.9)
    assert given == IdentityThresholds(split_below=0.1, reenter_from=0.9)


def test_people_who_left_long_ago_are_closed_and_keep_their_results(track_settings, faces) -> None:
    rng = np.random.default_rng(9)
    people = rng.standard_normal((100, 32)).astype(np.float32)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    events = []
    for who in range(100):
        for step in range(4):
            sighting = faces(0, 100 * who + step)
            own = replace(sighting, embedding=people[who], own_template=people[who])
            events.append((own.frame, f"m{who}", own))
    assigner = TrackAssigner(track_settings, IdentityThresholds(split_below=0.3, reenter_from=0.95))
    for _, name, sighting in events:
        assigner.expire(sighting.time)
        assigner.place(name, sighting)
    assert sum(track._is_closed for track in assigner.tracks) >= 30
    tracks = assigner.finish()
    assert [track.num_images for track in tracks] == [4] * 100
    for who, track in enumerate(tracks):
        assert track.vector @ people[who] > 0.999
        assert len(frames_of(track)) == track.state().num_images == 4
