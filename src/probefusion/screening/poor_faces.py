"""What is told of templates of poor images wherever one is made or decided about: by Python, commands and service."""

from __future__ import annotations

from probefusion.screening.usability import Usability

__all__ = ["threshold_not_verified", "told_of_poor"]

_NOT_VERIFIED = "the threshold is not verified for faces this poor"
_OFTEN = "false matches may be many times as frequent as stated"


def told_of_poor(name: str, usability: Usability, *, decides: bool) -> tuple[str, ...]:
    """What there is to warn of, in one line: that a template is not usable, or a threshold not verified for it.

    Args:
        name: Whose template it is, for the messages.
        usability: What can be expected of it.
        decides: Whether a measured threshold decides about it. That of the user was not measured with anything.

    Example:
        >>> poor = Usability.predicted(0.1, (0.0, 0.2), level=0.5, false_match_rate=0.001)
        >>> len(told_of_poor("A", poor, decides=True)), len(told_of_poor("A", poor, decides=False))
        (1, 1)
        >>> told_of_poor("A", Usability.unknown("nobody measured it"), decides=False)
        ()
    """
    if usability.is_not_usable:
        return (f"{name}: {usability}{f'; {_NOT_VERIFIED}: {_OFTEN}' if decides else ''}",)
    doubt = threshold_not_verified(name, usability) if decides else None
    return () if doubt is None else (doubt,)


def threshold_not_verified(name: str, usability: Usability) -> str | None:
    """Says that a threshold was not verified for images as poor as these, or None where there is no such doubt.

    Templates of poor images lie close together, and how close depends on what made them poor: calibrations hold for
    what they drew. Kinds that they did not draw (small, blurred, half covered, noisy) came to 3 to 100 times a stated
    0.01; no template of them was usable without doubt.

    Args:
        name: Whose template it is, for the message.
        usability: What can be expected of it.
    """
    if usability.verdict == "usable":
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
    return f"{name}: {_NOT_VERIFIED} ({why}): {_OFTEN}"
