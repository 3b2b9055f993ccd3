"""Merging people by their states, with reasons."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import ConfigError
from probefusion.video.clip import Person
from probefusion.video.merging import merge_people
from probefusion.video.track import Track


@pytest.fixture
def make_person(track_settings, faces):
    numbers = iter(range(1, 100))

    def make(who: int, frames) -> Person:
        track = Track(next(numbers), track_settings)
        for frame in frames:
            track.add(faces(who, frame))
        return Person([track], track_settings.fuser)

    return make


def test_the_same_person_is_merged_into_the_sum_of_states(track_settings, make_person) -> None:
    people = [make_person(0, range(20)), make_person(1, range(20)), make_person(0, range(30, 45))]
    expected = people[0].state + people[2].state
    left, decisions = merge_people(people, track_settings.fuser, 0.7)
    assert [person.num_images for person in left] == [35, 20]
    assert np.allclose(left[0].state.sums, expected.sums)
    assert left[0].number == 1
    merge = decisions[0]
    assert (merge["kind"], merge["track"], merge["other_track"]) == ("merge", 1, 3)
    assert merge["similarity"] >= merge["threshold"] == 0.7
    assert {d["kind"] for d in decisions[1:]} <= {"refused: below the threshold"}


def test_people_seen_together_are_refused_with_the_reason(track_settings, make_person) -> None:
    people = [make_person(0, range(20)), make_person(0, range(10, 30))]
    left, decisions = merge_people(people, track_settings.fuser, 0.7)
    assert len(left) == 2
    assert [d["kind"] for d in decisions] == ["refused: seen in the same frame"]


def test_a_merged_person_keeps_away_from_whom_either_met(track_settings, make_person) -> None:
    first, second = make_person(0, range(20)), make_person(0, range(40, 60))
    met_second = make_person(0, range(50, 70))
    left, decisions = merge_people([first, second, met_second], track_settings.fuser, 0.5)
    assert len(left) == 2
    assert "refused: seen in the same frame" in {d["kind"] for d in decisions}


def test_tracks_that_take_turns_can_be_merged(track_settings, make_person) -> None:
    people = [make_person(0, range(0, 20, 2)), make_person(0, range(1, 20, 2))]
    left, _ = merge_people(people, track_settings.fuser, 0.7)
    assert [person.num_images for person in left] == [20]


def test_nobody_to_merge(track_settings, make_person) -> None:
    one = make_person(0, range(5))
    assert merge_people([one], track_settings.fuser, 0.5) == ([one], [])
    assert merge_people([], track_settings.fuser, 0.5) == ([], [])
    for wrong in (1.5, -2.0, float("nan")):
        with pytest.raises(ConfigError, match="threshold"):
            merge_people([one], track_settings.fuser, wrong)
