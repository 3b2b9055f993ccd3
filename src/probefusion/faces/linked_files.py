"""A file that lies in a folder under several names, by links: its picture counts once."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["SAME_FILE", "EachOnce", "each_file_once"]

SAME_FILE = "the same file as "
"""What the reason of a name that does not count begins with."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class EachOnce(Generic[_Item]):
    """Which names of files count.

    Args:
        kept: Those that count, in their order.
        others: Those that do not, each with the reason.
    """

    kept: tuple[_Item, ...]
    others: tuple[tuple[_Item, str], ...]


def each_file_once(items: Sequence[tuple[_Item, Path | None]]) -> EachOnce[_Item]:
    """Takes a file once that several links lead to, symbolic or hard ones, and says which names do not count.

    A link adds no look at a person: counted again it would weigh twice. Copies are files of their own, and count.

    Args:
        items: Anything of one person with its path; None, and what cannot be looked at, is kept.

    Returns:
        What counts: of each file the first name that is no symbolic link, else the first.
    """
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, (_, path) in enumerate(items):
        found = _identity(path)
        if found is not None:
            groups[found].append(place)
    dropped: dict[int, str] = {}
    for places in groups.values():
        for same in _really_same(items, places):
            first = next((place for place in same if not _path(items, place).is_symlink()), same[0])
            reason = f"{SAME_FILE}{_path(items, first).name!r}, by a link: its picture counts once"
            dropped |= {place: reason for place in same if place != first}
    return EachOnce(
        kept=tuple(item for place, (item, _) in enumerate(items) if place not in dropped),
        others=tuple((items[place][0], dropped[place]) for place in sorted(dropped)),
    )


def _really_same(
    items: Sequence[tuple[_Item, Path | None]], places: Sequence[int]
) -> list[list[int]]:
    """Places of one file by their numbers; those of a file system that gives a number twice are told apart."""
    if len(places) == 1:
        return []
    if _path(items, places[0]).stat().st_nlink > 1:
        return [list(places)]
    by_target: dict[str, list[int]] = defaultdict(list)
    for place in places:
        by_target[os.path.realpath(_path(items, place))].append(place)
    return [same for same in by_target.values() if len(same) > 1]


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Device and number of a file; None where there is none, or the system gives none."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:  # reading it says so
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None


def _path(items: Sequence[tuple[_Item, Path | None]], place: int) -> Path:
    path = items[place][1]
    return Path() if path is None else path
