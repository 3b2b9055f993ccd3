"""Which similarity decides about two templates: `probefusion.fusion.decisions`, by its name of before."""

from __future__ import annotations

from probefusion.fusion.decisions import (
    NOT_COVERED,
    Calibrated,
    Decision,
    MeasuredThreshold,
    Side,
    asked_of_pairs,
    asked_of_searches,
    decide,
    find_calibration,
)

__all__ = [
    "NOT_COVERED",
    "Calibrated",
    "Decision",
    "MeasuredThreshold",
    "Side",
    "asked_of_pairs",
    "asked_of_searches",
    "decide",
    "find_calibration",
]
