"""Refuses people who are given twice: each would count as two, and support rates that so few people cannot."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from probefusion.errors import ConfigError

if TYPE_CHECKING:
    from probefusion.evaluation.calibration_sets import DrawnSet
    from probefusion.protocols.people import People

__all__ = ["check_not_repeated", "pictures_of"]

_MOST_REPEATED = 0.1
"""Share of the people of a population who may be on a picture of somebody else: that many wrong labels there are."""


def pictures_of(people: People, drawn: Iterable[DrawnSet]) -> dict[str, frozenset[bytes]]:
    """Of each person, the SHA-256 of the files that were drawn; each file is read once.

    Args:
        people: Whose files they are.
        drawn: The sets.
    """
    sources: dict[str, set[str]] = {}
    for each in drawn:
        sources.setdefault(each.person, set()).update(image.source for image in each.images)
    return {
        person: frozenset(hashlib.sha256(people.read(source)).digest() for source in files)
        for person, files in sources.items()
    }


def check_not_repeated(
    populations: Sequence[tuple[str, Mapping[str, frozenset[bytes]]]],
    family: Callable[[str], str],
) -> None:
    """Refuses data of which many people stand under two names, or in two data, by the same picture files.

    Args:
        populations: Name of each, and of each person in it the hashes of the pictures.
        family: Gives the name of a person's family; within a population relatives may share a picture.

    Raises:
        ConfigError: If more than a tenth of the people of one are repeated.
    """
    for place, (name, people) in enumerate(populations):
        for other, (second, others) in enumerate(populations[: place + 1]):
            owners: dict[bytes, set[str]] = {}
            for person, pictures in others.items():
                for picture in pictures:
                    owners.setdefault(picture, set()).add(
                        family(person) if other == place else person
                    )
            repeated = [
                person
                for person, pictures in people.items()
                if any(
                    owners.get(picture, set()) - ({family(person)} if other == place else set())
                    for picture in pictures
                )
            ]
            if len(repeated) > _MOST_REPEATED * len(people):
                where = "under another name too" if other == place else f"in {second!r} too"
                raise ConfigError(
                    f"data: {len(repeated)} of {len(people)} people of {name!r} stand {where}, by the same picture "
                    f"files (first {repeated[0]!r}). Everybody counts once: give each data once, and one file of each "
                    f"person of a pile."
                )
