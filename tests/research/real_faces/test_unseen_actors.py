"""Shares of a correction judged on some actors alone."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from research.real_faces.film_scores import FilmScores
from research.real_faces.unseen_actors import average_rate, differences, page

NUM_PEOPLE = 90
HALF = np.arange(NUM_PEOPLE) < NUM_PEOPLE // 2


def found_of(right: np.ndarray) -> FilmScores:
    """One replicate; the people in `right` are found, the others are as alike as strangers."""
    rng = np.random.default_rng(0)
    similarities = rng.uniform(0, 0.3, (NUM_PEOPLE, NUM_PEOPLE)).astype(np.float32)
    similarities[np.arange(NUM_PEOPLE), np.arange(NUM_PEOPLE)] = np.where(right, 0.9, 0.0)
    return FilmScores(similarities=(similarities,), people=(np.arange(NUM_PEOPLE),))


def test_only_the_people_of_the_folds_count() -> None:
    """A fuser that finds the seen people alone finds none of those who are judged."""
    scores = {("all", 1): found_of(~HALF), ("all", 4): found_of(HALF), ("..60", 1): found_of(~HALF)}
    rates = average_rate(scores, HALF, 1e-2)
    assert rates["all, 1"] == pytest.approx(0)
    assert rates["all, 4"] == pytest.approx(1)
    assert rates["mean"] == pytest.approx(0.5)


def test_differences_are_of_those_people_and_shown() -> None:
    scores = {"mean": {("all", 1): found_of(~HALF)}, "exact 0.5": {("all", 1): found_of(HALF)}}
    rows = differences(scores, [("exact 0.5", "mean")], HALF, 200)
    assert len(rows) == 1
    assert rows[0]["difference"] == pytest.approx(1)
    assert rows[0]["adjusted_p_value"] < 0.05
    facts = {
        "embedder": "net@1",
        "folds": [2, 3],
        "num_people": 45,
        "tar": {
            "0.001": {label: average_rate(found, HALF, 1e-3) for label, found in scores.items()}
        },
        "probes": {"mean": {"hard, 1": 0.25}, "exact 0.5": {}},
        "differences": rows,
    }
    text = "\n".join(page(facts))
    assert "folds 2 and 3" in text
    assert "| exact 0.5 | 1.000 | 1.000 |" in text
    assert "| mean | 0.250 |" in text
    assert "+1.000 (+1.000, +1.000) *" in text
