"""What decides about given pairs: a calibration, or else the thresholds of the fuser's card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from probefusion.fusion.decisions import Calibrated, Decision, decide, find_calibration
from probefusion.fusion.decisions import Side as DecidedSide
from probefusion.types import Template, TemplateSet

if TYPE_CHECKING:
    from probefusion.fusion import Fuser
    from probefusion.fusion.threshold import Threshold

__all__ = ["CardDecision", "Made", "decisions_of"]

Made: TypeAlias = Template | TemplateSet
"""What says which fuser and embedder made templates."""

_OF_ONE_SIDE = (
    "the thresholds in the fuser's card hold for a poor set beside one clean image; of two poor sets, false "
    "matches were up to 9 times as frequent. Calibrate: probefusion calibrate"
)


@dataclass(frozen=True, kw_only=True)
class CardDecision:
    """As `Decision`, of a card's thresholds."""

    threshold: Threshold | None
    why_none: str | None
    warnings: tuple[str, ...]


def decisions_of(
    given: Calibrated,
    fuser: Fuser | None,
    first: DecidedSide,
    second: DecidedSide,
    made: Made,
    rate: float,
    search_rate: float | None,
    gallery_size: int | None = None,
) -> list[Decision] | list[CardDecision]:
    """What decides about each pair: the calibration, or else the thresholds of the fuser's card.

    Args:
        given: As for `find_calibration`.
        fuser: The fuser, if it is here.
        first: One side of the pairs.
        second: The other.
        made: What says which fuser and embedder made them.
        rate: Rate of false matches that is wanted.
        search_rate: Rate wanted of a whole search instead, or None.
        gallery_size: As for `decide`.
    """
    record = find_calibration(given, fuser, made.fuser, made.embedder)
    if record is not None:
        return decide(
            record,
            first,
            second,
            false_match_rate=rate,
            false_positive_rate=search_rate,
            gallery_size=gallery_size,
        )
    counts = np.maximum(first.num_images, second.num_images).tolist()
    return [_of_card(fuser, made.fuser, rate, count, search_rate) for count in counts]


def _of_card(
    fuser: Fuser | None,
    made_by: str | None,
    rate: float,
    num_images: int,
    search_rate: float | None,
) -> CardDecision:
    """The threshold of the card, if this fuser made the templates."""
    name = made_by or "a fuser not named"
    if search_rate is not None:
        why = f"{name} has no calibration, which a rate of searches needs"
        return CardDecision(threshold=None, why_none=why, warnings=())
    is_its = fuser is not None and made_by == fuser.fingerprint
    threshold = fuser.threshold_for(rate, num_images) if fuser is not None and is_its else None
    if threshold is None:
        why = f"{name} carries no threshold at FMR {rate:g}"
        return CardDecision(threshold=None, why_none=why, warnings=())
    return CardDecision(threshold=threshold, why_none=None, warnings=(_OF_ONE_SIDE,))
