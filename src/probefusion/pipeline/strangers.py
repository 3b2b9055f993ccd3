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
from probefusion.pipeline.merge import SeenPerson
from probefusion.pipeline.named_sets import join_named
from probefusion.screening import Screening, outliers, screen
from probefusion.types import EmbeddingSet, FusionState

if TYPE_CHECKING:
    from probefusion.faces import SkippedImage

__all__ = ["Screened", "Strangers", "check_strangers", "joined_sets", "screen_parts"]

Strangers: TypeAlias = Literal["tell", "refuse", "drop-outliers", "largest-person", "no-screening"]
"""What to do about images of somebody else: "tell" it; "refuse" with `SeveralPeopleError` (and templates that are not
usable with `NotUsableError`); "drop-outliers", which are unlike all other images; or keep the "largest-person", of
whom there are more images. What is left out is skipped. With "no-screening" nobody looks, which saves time."""

_ROUNDS = 12
"""Parts of one set that are looked at, at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Screened:
    """Sets after screening.

    Args:
        sets: What is fused; the sets as they were unless images were left out.
        screening: What was said of the images as they were given.
        kept: For each set, the places of its images that are fused.
        skipped: Images that were left out, with the reason.
        problems: What there is to warn of, in words.
    """

    sets: list[EmbeddingSet]
    screening: Screening
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
    fuser: Fuser,
    sets: Sequence[EmbeddingSet],
    strangers: Strangers,
    *,
    name: str = "inputs",
    states: Sequence[FusionState] = (),
    people: Sequence[SeenPerson] = (),
) -> Screened:
    """Screens everything that there is of one person together, and does about strangers what was asked for.

    Of videos a sample of the images is looked at; images of videos are never left out. Saved states do not hold their
    images, and it is said that nobody looked at them.

    Args:
        fuser: Fuses them.
        sets: The sets; may be none.
        strangers: What to do about images of somebody else.
        name: Whose they are, for messages.
        states: Saved states that are fused with them.
        people: People of videos that are fused with them.

    Raises:
        SeveralPeopleError: If the images are of several people and this is to be refused.
    """
    sets = list(sets)
    kept = [np.arange(len(images)) for images in sets]
    looked_at = [*sets, *(person.sample for person in people if person.sample is not None)]
    whole = joined_sets(looked_at)
    if strangers == "no-screening" or whole is None:
        given = sum(len(images) for images in sets)
        given += sum(item.num_images for item in (*states, *(person.state for person in people)))
        reason = _why_not(strangers, looked_at, states)
        return Screened(sets=sets, screening=Screening.absent(given, reason), kept=kept)
    screening = screen(whole, fuser)
    if states:
        hidden = sum(state.num_images for state in states)
        screening = replace(screening, beside=f"{hidden} images of which there is only a state")
    if strangers == "refuse" and screening.falls_apart:
        raise SeveralPeopleError(
            f"{name}: {screening}. Take other people's images out, or go on all the same without --strict "
            f"(strangers='tell'), or with the part of more images alone by --largest-person "
            f"(strangers='largest-person')."
        )
    dropped, reason = _dropped(whole, fuser, screening, strangers)
    if not len(dropped):
        problems = (str(screening),) if screening.falls_apart else ()
        return Screened(sets=sets, screening=screening, kept=kept, problems=problems)
    return _without(dropped, reason, sets, looked_at, fuser, screening)


def _without(
    dropped: npt.NDArray[np.intp],
    reason: str,
    sets: list[EmbeddingSet],
    looked_at: list[EmbeddingSet],
    fuser: Fuser,
    screening: Screening,
) -> Screened:
    """The sets without some images; those of videos, which stand behind them, stay and are told."""
    from probefusion.faces import SkippedImage

    starts = np.cumsum([0, *(len(images) for images in sets)])
    kept = [
        np.setdiff1d(np.arange(len(images)), dropped - start)
        for images, start in zip(sets, starts, strict=False)
    ]
    left = [images[rows] for images, rows in zip(sets, kept, strict=True) if len(rows)]
    problems = []
    staying = dropped[dropped >= starts[-1]]
    if len(staying):
        problems.append(
            f"{len(staying)} images of the video, as {screening.name_of(int(staying[0]))}, are {reason} too, and stay: "
            f"single images of a video cannot be left out. Take its tracks apart: probefusion video VIDEO -o DIR"
        )
    rest = joined_sets([*left, *looked_at[len(sets) :]])
    if rest is not None and not len(staying):
        again = screen(rest, fuser)
        problems += [f"what was kept: {again}"] if again.falls_apart else []
    return Screened(
        sets=left,
        screening=screening,
        kept=kept,
        skipped=tuple(
            SkippedImage(source=screening.name_of(int(row)), reason=reason)
            for row in dropped[dropped < starts[-1]]
        ),
        problems=tuple(problems),
    )


def _why_not(
    strangers: Strangers, looked_at: Sequence[EmbeddingSet], states: Sequence[FusionState]
) -> str:
    if strangers == "no-screening":
        return "not wanted (--no-screening)"
    if looked_at:
        return "the inputs do not go together as one set"
    return "only a state" if len(states) == 1 else "only states"


def _dropped(
    whole: EmbeddingSet, fuser: Fuser, screening: Screening, strangers: Strangers
) -> tuple[npt.NDArray[np.intp], str]:
    if strangers == "drop-outliers":
        found = np.asarray(outliers(whole, fuser), dtype=np.intp)
        return found, "unlike all other images together (--drop-outliers)"
    rows = np.arange(len(whole))
    if strangers == "largest-person" and screening.falls_apart:
        rows = _largest_person(whole, fuser, screening)
    gone = np.setdiff1d(np.arange(len(whole)), rows)
    return gone, "of somebody else than most of the images (--largest-person)"


def _largest_person(
    whole: EmbeddingSet, fuser: Fuser, screening: Screening
) -> npt.NDArray[np.intp]:
    """Places of the images of whom there are most.

    The larger part of two may be of several people, each of whom has fewer images than the person of the smaller part.
    So of all parts the largest is looked at, and taken apart again, until the largest holds together.
    """
    everything = np.arange(len(whole))
    parts = _parts_of(everything, 1.0, screening)
    for _ in range(_ROUNDS):
        place = max(range(len(parts)), key=lambda one: (len(parts[one][0]), parts[one][1]))
        rows, weight = parts[place]
        found = screen(whole[rows], fuser)
        if not found.falls_apart:
            break
        parts[place : place + 1] = _parts_of(rows, weight, found)
    rows, _ = max(parts, key=lambda part: (len(part[0]), part[1]))
    return rows


def _parts_of(
    rows: npt.NDArray[np.intp], weight: float, screening: Screening
) -> list[tuple[npt.NDArray[np.intp], float]]:
    """Places of the images of each part, and its share of the weight of all."""
    return [(rows[list(part.rows)], weight * part.weight) for part in screening.parts]


def joined_sets(sets: Sequence[EmbeddingSet]) -> EmbeddingSet | None:
    """All images as one set with names; None if there are none, or they do not go together."""
    try:
        return join_named(sets)
    except ProbeFusionError:  # fusing them says what is wrong
        return None
