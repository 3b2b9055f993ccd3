"""What a threshold was measured on, in plain words."""

from __future__ import annotations

import pytest

from probefusion.fusion.threshold import Threshold


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "degraded-folder/v1/hard@6886da983d27, fold 3, 16 probe sets of each person",
            "measured on artificially degraded faces of people not trained on",
        ),
        (
            "degraded-folder/v1/hard@6886da983d27, 40 people, net@1",
            "measured on artificially degraded faces of 40 people",
        ),
        ("a test", "a test"),
    ],
)
def test_sources_in_plain_words(source, words) -> None:
    threshold = Threshold(
        false_match_rate=0.001, similarity=0.4, num_images=4, num_non_mated=9, source=source
    )
    assert threshold.measured_on == words
    assert str(threshold) == f"threshold 0.4000 at false match rate 0.001 ({words})"
