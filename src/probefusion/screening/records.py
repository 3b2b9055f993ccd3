"""The expectations that are kept in a file; made by `python -m research.screening.measure --constants`."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from probefusion.screening.expectation import Expectation

__all__ = ["recorded"]

_FILES = ("expectations.json", "former_expectations.json")
"""What was measured of the embedders of today, and of former revisions and their fusers."""


def recorded(name: str) -> Expectation | None:
    """What to expect by a view, a view "of" an embedder, or of the "templates of" a fuser; None if not measured."""
    return _all().get(name)


@cache
def _all() -> dict[str, Expectation]:
    texts = [(files("probefusion.screening") / name).read_text(encoding="utf-8") for name in _FILES]
    return {name: _expectation(facts) for text in texts for name, facts in json.loads(text).items()}


def _expectation(facts: dict[str, Any]) -> Expectation:
    masses, counts = facts["limits"]
    return Expectation(
        cosine=tuple(facts["cosine"]),
        log_spread=tuple(facts["log_spread"]),
        limits=((masses[0], masses[1]), (counts[0], counts[1])),
        threshold=facts["threshold"],
        measured_on=facts["measured_on"],
        sharpness=facts["sharpness"],
    )
