"""From people's images to a calibration: sets are drawn, embedded, fused and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.errors import EmptySetError
from probefusion.protocols.draw_settings import checked_sizes
from probefusion.protocols.people import namesake_key

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.fusion import Fuser
    from probefusion.fusion.calibration import CalibrationRecord, CalibrationSource
    from probefusion.fusion.fit_non_mated import Sets
    from probefusion.pipeline.kinship import Kinship
    from probefusion.protocols.people import People

__all__ = ["FALSE_MATCH_RATES", "check_num_people", "chosen_people", "fused_sets", "measure"]

FALSE_MATCH_RATES = (1e-2, 1e-3, 1e-4, 1e-5)
"""Rates that are measured, where the comparisons support them."""

_KINDS = 3
"""Kinds of sets of a population: as they are, one poor image, several poor ones."""


def check_num_people(
    populations: Sequence[People],
    folds: Sequence[int],
    num_people: int,
    kinship: Kinship,
    leave_out: Sequence[str],
    *,
    is_needed: bool,
) -> str | None:
    """Why there can be no calibration of so few people, or None.

    Raises:
        EmptySetError: If there must be one.
    """
    from probefusion.evaluation.threshold_evidence import MIN_PEOPLE

    kinships = {
        (place, kinship.family(person))
        for place, people in enumerate(populations)
        for person in chosen_people(people, folds if place == 0 else None, num_people, leave_out)
    }
    if len(kinships) >= MIN_PEOPLE:
        return None
    why = (
        f"--data: {len(kinships)} people who are not related; a calibration needs at least {MIN_PEOPLE}. "
        f"Faces of others without a label will do, one file each"
    )
    if is_needed:
        raise EmptySetError(f"{why}.")
    return why


def fused_sets(
    fuser: Fuser,
    embedder: Embedder,
    populations: Sequence[People],
    *,
    folds: Sequence[int],
    sizes: Sequence[int],
    num_people: int,
    num_poor: int,
    kinship: Kinship,
    medium_by: str | None,
    leave_out: Sequence[str],
    cache: str | Path | None,
    num_threads: int | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[Sets, list[CalibrationSource]]:
    """Draws, embeds and fuses; arguments as for `probefusion.calibrate`.

    Populations are taken in the order of their names and people, so that the one in which they were given means
    nothing; but for `folds`, which are those of the first.

    Returns:
        The templates, with kinds 3 p for sets as they are of population p, 3 p + 1 for one poor image of it and
        3 p + 2 for several; and what each population is.

    Raises:
        ConfigError: If many people are given twice, by the same picture files.
    """
    from probefusion.embedders import CropQuality, JudgedEmbedder
    from probefusion.evaluation.calibration_sets import draw_sets, embed_sets
    from probefusion.fusion.calibration import CalibrationSource
    from probefusion.fusion.fit_non_mated import Sets
    from probefusion.pipeline.repeated_pictures import check_not_repeated, pictures_of

    sizes = checked_sizes(sizes)
    judged = JudgedEmbedder(embedder, CropQuality(num_threads=num_threads))
    numbers: dict[tuple[object, ...], int] = {}

    def number(*key: object) -> int:
        return numbers.setdefault(key, len(numbers))

    parts, sources = [], []
    given = [
        (people, chosen_people(people, folds if place == 0 else None, num_people, leave_out))
        for place, people in enumerate(populations)
    ]
    ordered = sorted(given, key=lambda each: _identity(*each))
    all_drawn = [
        draw_sets(people, subjects=chosen, sizes=sizes, num_poor=num_poor, medium_by=medium_by)
        for people, chosen in ordered
    ]
    check_not_repeated(
        [
            (_name(people), pictures_of(people, drawn))
            for (people, _), drawn in zip(ordered, all_drawn, strict=True)
        ],
        kinship.family,
    )
    for place, ((people, chosen), drawn) in enumerate(zip(ordered, all_drawn, strict=True)):
        embedded = embed_sets(people, drawn, judged, cache=cache, progress=progress)
        vectors, counts, owners = embedded.templates(fuser, sizes)
        whose = [drawn[owner] for owner in owners]
        poor = np.array([each.is_poor for each in whose])
        parts.append(
            Sets(
                vectors=vectors,
                num_images=counts,
                kinds=_KINDS * place + poor * (1 + (counts > 1)),
                populations=np.full(len(counts), place),
                people=np.array(
                    [number("person", place, kinship.family(each.person)) for each in whose]
                ),
                individuals=np.array([number("individual", place, each.person) for each in whose]),
                media=np.array(
                    [number("medium", each.medium) if each.medium else -1 for each in whose]
                ),
            )
        )
        sources.append(
            CalibrationSource(name=_name(people), num_people=len(chosen), num_sets=len(drawn))
        )
    return Sets(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in Sets.__dataclass_fields__
        }
    ), sources


def measure(
    fuser: Fuser, embedder: Embedder, populations: Sequence[People], **settings: Any
) -> CalibrationRecord:
    """As `fused_sets`, with its settings; fits and measures."""
    from probefusion.evaluation.calibration_sets import SETS_VERSION
    from probefusion.evaluation.threshold_evidence import make_calibration
    from probefusion.fusion.fit_non_mated import Sets

    whole, sources = fused_sets(fuser, embedder, populations, **settings)
    used, kinds = np.unique(whole.kinds, return_inverse=True)
    return make_calibration(
        Sets(**{**vars(whole), "kinds": kinds}),
        [bool(kind % _KINDS) for kind in used],
        embedder=embedder.fingerprint,
        fuser=fuser.fingerprint,
        protocol=SETS_VERSION,
        sources=sources,
        rates=FALSE_MATCH_RATES,
    )


def chosen_people(
    people: People, folds: Sequence[int] | None, num_people: int, leave_out: Sequence[str]
) -> list[str]:
    """Whom to take: of these folds, in the order of the hash of their names, namesakes once."""
    from probefusion.evaluation.calibration_sets import in_order_of_hash
    from probefusion.protocols.degraded_folder import fold_of

    fitting = [
        person
        for person in people.images
        if person not in leave_out and (folds is None or fold_of(person) in folds)
    ]
    return in_order_of_hash({namesake_key(person): person for person in fitting}.values())[
        :num_people
    ]


def _name(people: People) -> str:
    return "data" if people.path is None else people.path.stem


def _identity(people: People, chosen: Sequence[str]) -> tuple[Any, ...]:
    """What orders populations whatever the order they were given in: their names, then whose images they hold."""
    return _name(people), [(person, people.images[person]) for person in chosen]
