"""What was measured of one person's sets, by fuser; made by `python -m research.screening.measure --constants`."""

from __future__ import annotations

from probefusion.screening.expectation import Expectation

__all__ = ["CAUTIOUS", "expectation_for", "is_measured"]

_KNOWN: dict[str, Expectation] = {}

CAUTIOUS = Expectation(
    cosine=(0.0,) * 10,
    log_spread=(0.0,) * 10,
    limits=((0, 1), (0, 1)),
    threshold=9.0,
    measured_on="",
)

_MEASURED = ("mobilefacenet_128d@", "compact_128d@", "edgeface")


def expectation_for(fuser: str) -> Expectation | None:
    """What to expect of a fuser's halves, by its fingerprint; None where it was not measured."""
    return _KNOWN.get(fuser)


def is_measured(embedder: str | None) -> bool:
    """Whether the fusers that take any embedder were measured with this one."""
    return embedder is not None and embedder.lower().startswith(_MEASURED)
