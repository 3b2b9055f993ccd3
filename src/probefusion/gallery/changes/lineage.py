"""Where images and people went, read from the history: what was merged into whom, what was copied where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from probefusion.gallery.stores.records import ChangeRow
from probefusion.gallery.stores.store import Reader

__all__ = ["Copied", "Merged", "copies", "left_edits", "merged_into", "merges", "same_images"]


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Into whom somebody was merged.

    Args:
        into: Id of the person who stayed.
        revision: Of the change.
    """

    into: str
    revision: int


@dataclass(frozen=True, kw_only=True)
class Copied:
    """Images that were given away one by one: they lie in two contributions.

    Args:
        to: Id of the contribution that was made of them.
        images: For ids of the images in the old contribution, those in the new one.
        is_undone: Whether the old contribution has them again.
    """

    to: str
    images: Mapping[str, str]
    is_undone: bool


def merges(reader: Reader) -> dict[str, Merged]:
    """For ids of people who are not shown since they were merged into others: into whom."""
    found: dict[str, Merged] = {}
    for change in reader.changes(actions=("merge",)):
        if change.undone_by is not None or not change.subjects:
            continue
        for edit in change.edits:
            if edit["kind"] != "person":
                continue
            person = reader.person(edit["id"])
            if person is not None and not person.shown and edit["id"] != change.subjects[0]:
                found[edit["id"]] = Merged(into=change.subjects[0], revision=change.revision)
    return found


def merged_into(known: Mapping[str, Merged], people: Iterable[str]) -> list[str]:
    """Some people, and all who were merged into them, directly or by others."""
    found = dict.fromkeys(people)
    while True:
        more = [who for who, merged in known.items() if merged.into in found and who not in found]
        if not more:
            return list(found)
        found.update(dict.fromkeys(more))


def copies(reader: Reader) -> list[Copied]:
    """All images that were given away one by one."""
    return [
        Copied(
            to=to,
            images={image: f"{to}.{place}" for place, image in enumerate(images)},
            is_undone=change.undone_by is not None,
        )
        for change in reader.changes(actions=("move", "split"))
        for to, images in _groups(change.edits)
        if to is not None and images
    ]


def same_images(
    reader: Reader, images: Iterable[str], *, with_given_away: bool = False
) -> dict[str, None]:
    """Images, and the other places in which the same images lie, so that none is left when they are erased.

    Args:
        reader: The collection.
        images: Ids.
        with_given_away: Whether also those that others have now.
    """
    known = copies(reader)
    found = dict.fromkeys(images)
    while True:
        more: dict[str, None] = {}
        for copied in known:
            to = reader.contribution(copied.to)
            is_stale = copied.is_undone and (to is None or to.person_id is None)
            for old, new in copied.images.items():
                if new in found and old not in found:
                    image = reader.image(old)
                    is_given_away = image is not None and image.left_out and not copied.is_undone
                    if image is not None and (with_given_away or is_given_away):
                        more[old] = None
                is_wanted = with_given_away or is_stale
                if old in found and new not in found and is_wanted and reader.image(new):
                    more[new] = None
        if not more:
            return found
        found.update(more)


def left_edits(
    change: ChangeRow,
    gone: AbstractSet[str],
    renamed: Mapping[str, str],
    rejected: AbstractSet[str] = frozenset(),
) -> tuple[dict[str, Any], ...]:
    """What is left of the edits of a change once some of what they are about was erased.

    Args:
        change: The change.
        gone: Ids of people, contributions and images that were erased.
        renamed: For ids of contributions and images that were written anew, the new ids.
        rejected: Ids of contributions that are not held any more.
    """
    about_gone = [any(item in gone for item in edit["id"].split(" ")) for edit in change.edits]
    has_images = any(edit["kind"] == "image" for edit in change.edits)
    if has_images and change.action == "undo" and any(about_gone):
        return ()
    groups = {to: images for to, images in _groups(change.edits) if to is not None}
    left: list[dict[str, Any]] = []
    group: str | None = None
    for edit, is_gone in zip(change.edits, about_gone, strict=True):
        if edit["kind"] == "placement":
            group = edit["id"] if edit["before"] is None else None
        is_copy = edit["kind"] == "image" or (edit["kind"] == "placement" and group is not None)
        if change.action in ("move", "split") and is_copy and group is not None:
            images = groups[group]
            if images and (group in gone or all(image in gone for image in images)):
                continue
        if is_gone or (change.action == "hold" and edit["id"] in rejected & renamed.keys()):
            continue
        left.append({**edit, "id": renamed.get(edit["id"], edit["id"])})
    return tuple(left)


def _groups(edits: Sequence[dict[str, Any]]) -> list[tuple[str | None, list[str]]]:
    """New contributions, and the images that they were made of: each is followed by its images."""
    groups: list[tuple[str | None, list[str]]] = []
    for edit in edits:
        if edit["kind"] == "placement":
            groups.append((edit["id"] if edit["before"] is None else None, []))
        elif edit["kind"] == "image" and groups:
            groups[-1][1].append(edit["id"])
    return groups
