"""Where the border of faces comes to lie in a record that knows a set's direction alone."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

from research.usability.face_border import lowered_border, passing_scores

from probefusion.fusion import MeanFuser
from probefusion.screening.usability_record import UsabilityRecord
from probefusion.types import EmbeddingSet


def record(upper: float) -> UsabilityRecord:
    """Scores are the first coordinate; the prediction's upper end is always the same."""
    constant = (0.0,) * 9
    return UsabilityRecord(
        fuser=MeanFuser().fingerprint,
        embedder="net@1",
        appearance=(0.0, 0.0),
        appearance_offset=0.0,
        likeness=(1.0, 0.0),
        likeness_offset=0.5,
        least_likeness=0.9,
        lower=(-0.5, *constant),
        median=(0.0, *constant),
        upper=(upper, *constant),
        level=0.4,
        false_match_rate=1e-3,
        coverage=0.9,
        gain=(0.0,) * 6,
        fitted_on={},
    )


PICTURES = EmbeddingSet(
    embeddings=np.array([[1, 0], [0, 1], [-1, 0]], np.float32), embedder="net@1"
)


def test_scores_are_of_pictures_alone_as_copies_and_mixed() -> None:
    scores = passing_scores(MeanFuser(), record(0.6), PICTURES, np.random.default_rng(0))
    assert scores.shape == (4 * len(PICTURES),)
    assert scores[:6] == pytest.approx([1.5, 0.5, -0.5] * 2, abs=1e-6)
    assert (np.abs(scores[6:] - 0.5) <= 1 + 1e-6).all()


def test_where_the_prediction_is_enough_no_border_is_needed() -> None:
    scores = passing_scores(MeanFuser(), record(0.3), PICTURES, np.random.default_rng(0))
    assert np.isneginf(scores).all()


def test_the_border_lets_a_share_pass_and_is_never_raised() -> None:
    scores = np.arange(101) / 100
    assert lowered_border(0.99, scores, 0.1) == pytest.approx(0.9)
    assert lowered_border(0.5, scores, 0.1) == 0.5
