"""Whether the threshold of a decision holds for images as poor as a template's."""

from __future__ import annotations

from probefusion.screening.usability import Usability

__all__ = ["threshold_not_verified"]


def threshold_not_verified(name: str, usability: Usability | None) -> str | None:
    """Says that a threshold was not verified for images as poor as these, or None where there is no such doubt.

    Templates of poor images lie close together, and how close depends on what made them poor: calibrations hold for
    what they drew. Kinds that they did not draw (small, blurred, half covered, noisy) came to 3 to 100 times a stated
    0.01; no template of them was usable without doubt.

    Args:
        name: Whose template it is, for the message.
        usability: What can be expected of it; None for a template whose images nobody can judge any more.
    """
    if usability is None or usability.verdict == "usable":
        return None
    if usability.similarity is None or usability.level is None:
        return (
            f"{name}: how poor its images are is not known ({usability.reason}), so nor is whether the threshold "
            f"holds for them"
        )
    why = (
        usability.reason
        if usability.interval is None
        else f"predicted similarity to a clean image {usability.similarity:.2f}, below {usability.level:.2f}"
    )
    return (
        f"{name}: the threshold is not verified for faces this poor ({why}): false matches may be many times as "
        f"frequent as stated"
    )
