"""What is done about images of somebody else among a person's: told, refused, or left out by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    ConfigError,
    ProbeFusionError,
    SeveralPeopleError,
)
from probefusion.fusion import Fuser
from probefusion.types import EmbeddingSet

if TYPE_CHECKING:
    from probefusion.faces import SkippedImage
    from probefusion.screening import Screening

__all__ = ["Screened", "Strangers", "check_strangers", "joined_sets", "screen_parts"]

Strangers: TypeAlias = Literal["tell", "refuse", "drop-outliers", "largest-person"]
"""What to do about images of somebody else: "tell" it; "refuse" with `SeveralPeopleError` (and templates that are not
usable with `NotUsableError`); "drop-outliers", which are
unlike all other images; or keep the "largest-person", of whom there are more images. What is left out is skipped."""

_ROUNDS = 4
"""People taken out of one set, at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Screened:
    """Sets after screening.

    Args:
        sets: What is fused; the sets as they were unless images were left out.
        screening: What was said of the images as they were given, None if there were none to be judged.
        kept: For each set, the places of its images that are fused.
        skipped: Images that were left out, with the reason.
        problems: What there is to warn of, in words.
    """

    sets: list[EmbeddingSet]
    screening: Screening | None
    kept: list[npt.NDArray[np.intp]]
    skipped: tuple[SkippedImage, ...] = ()
    problems: tuple[str, ...] = ()


def check_strangers(strangers: str) -> Strangers:
    """The argument, if it is one of the known.

    Raises:
        ConfigError: If it is not.
    """
    known = get_args(Strangers)
    if strangers not in known:
        raise ConfigError(f"strangers: expected {', '.join(known)}; got {strangers!r}.")
    return strangers  # type: ignore[return-value]


def screen_parts(
    fuser: Fuser, sets: Sequence[EmbeddingSet], strangers: Strangers, *, name: str = "inputs"
) -> Screened:
    """Screens sets of one person together, and does about strangers what was asked for.

    Images of videos and saved states are not among them: of videos one track is taken, and a state does not hold its
    images.

    Args:
        fuser: Fuses them.
        sets: The sets; may be none.
        strangers: What to do about images of somebody else.
        name: Whose they are, for messages.

    Raises:
        SeveralPeopleError: If the images are of several people and this is to be refused.
    """
    sets = list(sets)
    kept = [np.arange(len(images)) for images in sets]
    whole = joined_sets(sets)
    if whole is None:
        return Screened(sets=sets, screening=None, kept=kept)
    from probefusion.screening import screen

    screening = screen(whole, fuser)
    if strangers == "refuse" and screening.falls_apart:
        raise SeveralPeopleError(
            f"{name}: {screening}. Take other people's images out, or fuse all the same without --strict "
            f"(strangers='tell'), or the part of more images alone with --largest-person "
            f"(strangers='largest-person')."
        )
    dropped, reason = _dropped(whole, fuser, screening, strangers)
    if not len(dropped):
        problems = (str(screening),) if screening.falls_apart else ()
        return Screened(sets=sets, screening=screening, kept=kept, problems=problems)
    from probefusion.faces import SkippedImage

    starts = np.cumsum([0, *(len(images) for images in sets)])
    kept = [
        np.setdiff1d(np.arange(len(images)), dropped - start)
        for images, start in zip(sets, starts, strict=False)
    ]
    left = [images[rows] for images, rows in zip(sets, kept, strict=True) if len(rows)]
    again = screen(joined_sets(left) or left[0], fuser)
    return Screened(
        sets=left,
        screening=screening,
        kept=kept,
        skipped=tuple(
            SkippedImage(source=screening.name_of(int(row)), reason=reason) for row in dropped
        ),
        problems=(f"what was kept: {again}",) if again.falls_apart else (),
    )


def _dropped(
    whole: EmbeddingSet, fuser: Fuser, screening: Screening, strangers: Strangers
) -> tuple[npt.NDArray[np.intp], str]:
    from probefusion.screening import outliers, screen

    if strangers == "drop-outliers":
        found = np.asarray(outliers(whole, fuser), dtype=np.intp)
        return found, "unlike all other images together (--drop-outliers)"
    rows = np.arange(len(whole))
    if strangers == "largest-person":
        for _ in range(_ROUNDS):
            if not screening.falls_apart:
                break
            larger = max(screening.parts, key=lambda part: (len(part.rows), part.weight))
            rows = rows[list(larger.rows)]
            screening = screen(whole[rows], fuser)
    gone = np.setdiff1d(np.arange(len(whole)), rows)
    return gone, "of somebody else than most of the images (--largest-person)"


def joined_sets(sets: Sequence[EmbeddingSet]) -> EmbeddingSet | None:
    """All images as one set with names; None if there are none, or they do not go together."""
    if not sets:
        return None
    if len(sets) == 1:
        return sets[0]
    named = [
        images
        if images.sources is not None
        else replace(
            images,
            sources=np.array(
                [f"{images.origin or f'set {place}'}[{row}]" for row in range(len(images))]
            ),
        )
        for place, images in enumerate(sets)
    ]
    try:
        return EmbeddingSet.concatenate(named)
    except ProbeFusionError:  # fusing them says what is wrong
        return None
