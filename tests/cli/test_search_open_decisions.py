"""`probefusion search` where the rate cannot be resolved for some of the people only."""

from __future__ import annotations

import numpy as np

from probefusion.cli.gallery.search import _tell
from probefusion.gallery.results import RankedPerson, SearchResult
from probefusion.types import Usability


def _result(*limits: float | None) -> SearchResult:
    people = tuple(
        RankedPerson(
            person_id=str(place),
            name=f"person {place}",
            similarity=0.5,
            num_images=4,
            threshold=limit,
            is_match=None if limit is None else bool(np.less_equal(limit, 0.5)),
            is_ignored=False,
        )
        for place, limit in enumerate(limits)
    )
    return SearchResult(
        candidates=people,
        num_images=3,
        gallery_size=len(people),
        false_match_rate=1e-3,
        false_positive_rate=None,
        why_none="too few comparisons",
        model_id="model",
        revision=1,
        usability=Usability.unknown("not measured"),
    )


def test_it_says_about_how_many_nothing_is_decided(capsys) -> None:
    _tell(_result(0.4, None, 0.6), None)
    assert "no decision about 1 of them: too few comparisons" in capsys.readouterr().out
    _tell(_result(None, None), None)
    assert "no decision: too few comparisons" in capsys.readouterr().out
