"""Trials, curves and gains of made people, whose right values are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

from research.usability.fit_records import labelled_sets
from research.usability.measure import discard, drawn_trials, filmed_trials, gain
from research.usability.unseen_kinds import TEST_KINDS, corners, draw_test_kind, scenes

from probefusion.evaluation.probe_data import ProbeData
from probefusion.screening.usability import Usability
from probefusion.types import EmbeddingSet


def rows(count: int) -> EmbeddingSet:
    rng = np.random.default_rng(0)
    return EmbeddingSet(embeddings=rng.standard_normal((count, 8)).astype(np.float32))


def data() -> ProbeData:
    return ProbeData(
        gallery=rows(3),
        gallery_subjects=np.array(["F1_A", "F1_B", "F2_A"]),
        probes=rows(8),
        probe_subjects=np.array(["F2_A", "F1_A"]),
        severities=np.zeros((2, 4), np.float32),
        protocol="made",
    )


def test_drawn_trials_are_nested_and_point_at_their_people() -> None:
    trials = drawn_trials(data())
    assert [some.shape for some in trials.sets] == [(2, 1), (2, 2), (2, 4)]
    assert trials.sets[1].tolist() == [[0, 1], [4, 5]]
    assert trials.owners[trials.mated[0]].tolist() == ["F2_A", "F1_A"]


def test_members_of_a_family_are_apart_when_names_are_of_families() -> None:
    assert labelled_sets(data(), is_of_families=True).is_non_mated.tolist() == [
        [True, True, False],
        [False, False, True],
    ]
    assert labelled_sets(data(), is_of_families=False).is_non_mated.sum() == 4


def test_filmed_sets_come_from_other_films_than_their_clean_image() -> None:
    names = [f"{person}/{film}__{n}.jpg" for person in "ab" for film in "xyz" for n in range(6)]
    names += ["c/x__0.jpg", "d/x__0.jpg", "d/y__0.jpg"]
    images = EmbeddingSet(embeddings=rows(len(names)).embeddings, sources=np.array(names))
    trials = filmed_trials(images, media="^(.+?)__", leave=("d",))
    assert set(trials.owners.tolist()) == {"a", "b"}
    for sets, mated in zip(trials.sets, trials.mated, strict=True):
        for some, place in zip(sets, mated, strict=True):
            person, film = names[trials.gallery[place]].split("__")[0].split("/")
            assert len(set(some.tolist())) == len(some)
            for row in some:
                assert names[row].startswith(f"{person}/")
                assert not names[row].startswith(f"{person}/{film}__")


class Record:
    level = 0.5


def judged(similarity: float) -> Usability:
    verdict = "usable" if similarity >= 0.5 else "not usable"
    ends = (similarity - 0.1, similarity + 0.1)
    return Usability(similarity=similarity, interval=ends, level=0.5, verdict=verdict)


def test_a_perfect_prediction_discards_all_errors_first() -> None:
    similar = np.linspace(0.05, 0.95, 10)
    found = discard(
        {
            "similarity": similar,
            "usability": [judged(value) for value in similar],
            "others": np.full(100, 0.42),
            "set size": np.ones(10),
        },
        Record(),
    )
    assert found["curves"]["usability"]["fnmr"][:5] == pytest.approx(
        [0.4, 3 / 9, 2 / 8, 1 / 7, 0], abs=1e-3
    )
    assert found["curves"]["set size"]["fnmr"] == [0.4] * 10  # equal values are not parted
    assert found["coverage"] == 1.0
    assert found["good"] == 0.5
    assert found["good_not_usable"] == 0.0


def test_the_gain_is_compared_for_sets_of_two_and_more() -> None:
    told = np.array([9.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    columns = {
        "set size": np.array([1, 2, 2, 4, 4, 8]),
        "gain": 2 * told,
        "predicted_gain": told,
    }
    found = gain(columns)
    assert (found["num_sets"], found["correlation"], found["slope"]) == (5, 1.0, 2.0)
    assert found["mean"] == [0.3, 0.6]
    assert gain({**columns, "predicted_gain": np.zeros(6)}) == {}


def test_pictures_without_a_face() -> None:
    rng = np.random.default_rng(0)
    for kind in TEST_KINDS:
        drawn = draw_test_kind(kind, 2, rng)
        assert (drawn.shape, drawn.dtype) == ((2, 112, 112, 3), np.dtype(np.uint8))
    crop = np.full((112, 112, 3), 200, np.uint8)
    crop[34:78, 34:78] = 0  # the face
    assert corners([crop] * 5, rng).min() == 200
    frame = np.full((120, 200, 3), 200, np.uint8)
    frame[20:60, 80:120] = 0
    box = np.array([80, 20, 40, 40], np.float32)
    assert scenes([frame], [[box]], 5, rng).min() == 200
