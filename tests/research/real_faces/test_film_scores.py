"""Scores of films: who is compared with whom when people are left out, and a share chosen by one half for the other."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from research.real_faces.cross_fit_share import chosen, judged, rate_of
from research.real_faces.film_scores import FilmScores

NUM_PEOPLE = 80


def scores_of(right: np.ndarray, seed: int = 0) -> FilmScores:
    """Two replicates; the people in `right` are found, the others are as alike as strangers."""
    rng = np.random.default_rng(seed)
    parts, people = [], []
    for _ in range(2):
        similarities = rng.uniform(0, 0.3, (NUM_PEOPLE, NUM_PEOPLE)).astype(np.float32)
        similarities[np.arange(NUM_PEOPLE), np.arange(NUM_PEOPLE)] = np.where(right, 0.9, 0.0)
        parts.append(similarities)
        people.append(np.arange(NUM_PEOPLE))
    return FilmScores(similarities=tuple(parts), people=tuple(people))


def test_some_people_are_compared_with_each_other_alone() -> None:
    right = np.arange(NUM_PEOPLE) % 2 == 0
    found = scores_of(right)
    kept = np.arange(NUM_PEOPLE) < 40
    among = found.among(kept)
    assert len(among.mated) == 2 * 40
    assert len(among.non_mated) == 2 * 40 * 39
    assert np.allclose(among.mated, np.tile(np.where(right[:40], 0.9, 0), 2))
    assert rate_of(among) == pytest.approx(0.5)


def test_probes_put_together_again_are_the_whole() -> None:
    found = scores_of(np.arange(NUM_PEOPLE) < 7)
    half = np.arange(NUM_PEOPLE) % 3 == 0
    again = found.of_probes(half).with_probes(found.of_probes(~half)).whole
    whole = found.whole
    assert np.array_equal(again.mated, whole.mated)
    assert np.array_equal(np.sort(again.non_mated), np.sort(whole.non_mated))
    assert rate_of(whole) == pytest.approx(7 / NUM_PEOPLE)


def test_each_half_is_judged_with_what_the_other_chose() -> None:
    """Share .25 finds the first half of the people, share 1 the second: either helps only those who chose it."""
    half = np.arange(NUM_PEOPLE) < NUM_PEOPLE // 2
    column = ("all", 4)
    by_share = {0.25: {column: scores_of(half, 1)}, 1.0: {column: scores_of(~half, 2)}}
    assert chosen(by_share, half) == 0.25
    assert chosen(by_share, ~half) == 1.0
    scores, choices = judged(by_share, half)
    assert choices == [0.25, 1.0]
    assert rate_of(scores[column].whole) == pytest.approx(0)
