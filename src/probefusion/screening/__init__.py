"""Is a set of images one person, and good enough? Judges sets and their fusion states; never repairs silently."""

from __future__ import annotations

from probefusion.screening.screen import outliers, screen
from probefusion.screening.verdict import Part, Screening

__all__ = ["Part", "Screening", "outliers", "screen"]
