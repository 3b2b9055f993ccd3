"""A match in a few words."""

from __future__ import annotations

import pytest

from probefusion.gallery import Candidate, Match


@pytest.mark.parametrize(
    ("is_match", "text"),
    [(True, "lin 0.670 (match)"), (False, "lin 0.670 (no match)"), (None, "lin 0.670")],
)
def test_the_first_candidate_is_told(is_match, text) -> None:
    candidates = (Candidate(name="lin", similarity=0.67), Candidate(name="bo", similarity=0.1))
    match = Match(candidates=candidates, threshold=0.5, false_match_rate=0.001, is_match=is_match)
    assert str(match) == text
