"""Which single images are poor: usability is told of a set, and one poor image among good ones does not show in it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from probefusion.errors import ShapeError
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser
from probefusion.pipeline.results import ImageWeight
from probefusion.screening.usability import judge_states
from probefusion.types import EmbeddingSet, Usability
from probefusion.types.usability import Verdict
from probefusion.zoo.usability import usability_or_why

__all__ = ["told_of_poor_images", "verdicts_of"]

_NAMED = 5


def verdicts_of(
    fuser: Fuser, sets: Sequence[EmbeddingSet], *, is_whole: bool, calibration: Path | None = None
) -> Callable[[], tuple[Verdict, ...] | None]:
    """Gives what works out, when asked, what can be expected of each image alone; it can be pickled.

    Args:
        fuser: The fuser.
        sets: The images that were fused.
        is_whole: Whether these are all; otherwise nothing is known.
        calibration: As for `find_usability`.
    """
    return functools.partial(_verdicts, fuser, tuple(sets) if is_whole else (), calibration)


def _verdicts(
    fuser: Fuser, sets: tuple[EmbeddingSet, ...], calibration: Path | None
) -> tuple[Verdict, ...] | None:
    if not sets:
        return None
    record, _ = usability_or_why(fuser, sets[0].embedder, calibration=calibration)
    if record is None:
        return None
    found: list[Verdict] = []
    try:
        for images in sets:
            alone = fuser.encode_many(images, np.arange(len(images) + 1))
            judged = judge_states(alone, np.ones(len(images)), record)
            found += [usability.verdict for usability in judged]
    except (
        ShapeError
    ):  # a record whose numbers are not those of its fuser, which is told of the set
        return None
    return tuple(found)


def told_of_poor_images(rows: Sequence[ImageWeight], usability: Usability | None = None) -> str:
    """Says which images among good ones would not be usable alone, and how much they count.

    "" where that is none, or half of them or more: then what is told of all together says it.

    Args:
        rows: What each image counts.
        usability: What can be expected of all together. If that is not usable, it is what must be told, and nothing
            is said of single images.

    Example:
        >>> rows = [ImageWeight(source=name, weight=weight, similarity=0.5, verdict=verdict) for name, weight, verdict
        ...         in (("a.jpg", 0.6, "usable"), ("b.jpg", 0.35, "usable"), ("c.jpg", 0.05, "not usable"))]
        >>> told_of_poor_images(rows)
        'c.jpg alone would not be usable; it counts 5.0 %, the least of 3 images (an even share is 33.3 %)'
    """
    poor = [row for row in rows if row.verdict == "not usable"]
    is_bad = usability is not None and usability.is_not_usable
    if is_bad or not poor or 2 * len(poor) >= len(rows):
        return ""
    share = 100 * sum(row.weight for row in poor)
    even = f"an even share is {100 * len(poor) / len(rows):.1f} %"
    if len(poor) == 1:
        least = all(row.weight > poor[0].weight for row in rows if row is not poor[0])
        place = f", the least of {len(rows)} images" if least else f" of {len(rows)} images"
        name = in_one_line(poor[0].source)
        return f"{name} alone would not be usable; it counts {share:.1f} %{place} ({even})"
    names = ", ".join(in_one_line(row.source) for row in poor[:_NAMED])
    more = ", ..." if len(poor) > _NAMED else ""
    return (
        f"{len(poor)} of {len(rows)} images alone would not be usable; together they count {share:.1f} % ({even}): "
        f"{names}{more}"
    )
