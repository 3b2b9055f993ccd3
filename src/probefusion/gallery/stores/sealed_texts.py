"""Names and sources in rows: sealed before a store writes them, opened when it has read them."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from probefusion.errors import ProbeFusionError
from probefusion.gallery.stores.records import ChangeRow, ContributionRow, ImageRow, PersonRow

__all__ = ["Broken", "PlainTexts", "SealedTexts", "TextPlace", "TextSeal", "names_in"]

Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class TextPlace:
    """Where a text stands; sealed, it opens nowhere else.

    Args:
        subject: Id of the person, contribution or image.
        what: "name", "noted name", "source", "labels" or "reasons".
    """

    subject: str
    what: str


class TextSeal(ABC):
    """How texts of rows are sealed, and names looked up.

    Attributes:
        encrypts: Whether nobody can read sealed texts without the keys.
    """

    encrypts: bool

    @abstractmethod
    def lookup(self, collection: str, name: str) -> bytes:
        """What finds a name of any length in an index: 32 bytes, the same for the same name."""

    @abstractmethod
    def seal(
        self, collection: str, texts: Sequence[tuple[TextPlace, str]], key_ids: Sequence[str | None]
    ) -> list[str]:
        """Texts, each sealed by the key of an id.

        Raises:
            ConfigError: If a key is missing.
            MissingKeyError: If a key was destroyed, or is lost.
        """

    @abstractmethod
    def open(
        self, collection: str, texts: Sequence[tuple[TextPlace, str]]
    ) -> list[str | ProbeFusionError | None]:
        """The texts again: None where the key was destroyed, an error where the seal is broken or the key lost."""

    @abstractmethod
    def destroyed(self) -> frozenset[str]:
        """Ids of all keys that were destroyed."""

    @abstractmethod
    def key_of(self, text: str) -> str | None:
        """Id of the key that sealed a text, as the text says itself; None if it is no sealed one."""


class PlainTexts(TextSeal):
    """Leaves texts as they are."""

    encrypts = False

    def lookup(self, collection: str, name: str) -> bytes:
        """SHA-256 of the name in UTF-8."""
        return hashlib.sha256(name.encode()).digest()

    def seal(
        self, collection: str, texts: Sequence[tuple[TextPlace, str]], key_ids: Sequence[str | None]
    ) -> list[str]:
        """The texts."""
        return [text for _, text in texts]

    def open(
        self, collection: str, texts: Sequence[tuple[TextPlace, str]]
    ) -> list[str | ProbeFusionError | None]:
        """The texts."""
        return [text for _, text in texts]

    def destroyed(self) -> frozenset[str]:
        """None."""
        return frozenset()

    def key_of(self, text: str) -> str | None:
        """None."""
        return None


Broken: TypeAlias = Callable[[Row, ProbeFusionError | None], Row | None]
"""What becomes of a row whose text does not open."""


class SealedTexts:
    """The texts of one collection's rows.

    Where a key was destroyed, the row is of somebody who was forgotten, and came back with an older database. `broken`
    decides what becomes of a row whose seal does not open, and (without an error) of one that was forgotten.

    Args:
        collection: Name of the collection.
        seal: How texts are sealed.
    """

    def __init__(self, collection: str, seal: TextSeal) -> None:
        self.collection, self.seal = collection, seal

    @property
    def encrypts(self) -> bool:
        """Whether texts are sealed."""
        return self.seal.encrypts

    def lookup(self, name: str) -> bytes:
        """What finds a name in an index."""
        return self.seal.lookup(self.collection, name)

    def seal_text(self, subject: str, what: str, text: str, key_id: str | None) -> str:
        """One text, sealed."""
        place = TextPlace(subject=subject, what=what)
        return self.seal.seal(self.collection, [(place, text)], [key_id])[0]

    def seal_people(self, rows: Sequence[PersonRow]) -> list[PersonRow]:
        """People whose names are sealed, each by the person's key."""
        texts = [(TextPlace(subject=row.id, what="name"), row.name) for row in rows]
        sealed = self.seal.seal(self.collection, texts, [row.key_id for row in rows])
        return [replace(row, name=text) for row, text in zip(rows, sealed, strict=True)]

    def seal_contributions(self, rows: Sequence[ContributionRow]) -> list[ContributionRow]:
        """Contributions whose sources are sealed, also where there is none: the text tells the key as well."""
        texts = [(TextPlace(subject=row.id, what="source"), row.source) for row in rows]
        sealed = self.seal.seal(self.collection, texts, [row.key_id for row in rows])
        return [replace(row, source=text) for row, text in zip(rows, sealed, strict=True)]

    def seal_images(
        self, rows: Sequence[ImageRow], key_ids: Sequence[str | None]
    ) -> list[ImageRow]:
        """Images whose source and media id are sealed, together, by the keys of their contributions."""
        if not self.encrypts:
            return list(rows)
        texts = [
            (TextPlace(subject=row.id, what="labels"), json.dumps([row.source, row.media_id]))
            for row in rows
        ]
        sealed = self.seal.seal(self.collection, texts, key_ids)
        return [
            replace(row, source=text, media_id="") for row, text in zip(rows, sealed, strict=True)
        ]

    def seal_change(self, row: ChangeRow, key_ids: Mapping[str, str | None]) -> ChangeRow:
        """A change whose edits name people by sealed names.

        Args:
            row: The change.
            key_ids: For ids of people that of their key; of those who are not there no name is kept.
        """
        if not self.encrypts:
            return row
        named = [each for each in _names(row.edits) if key_ids.get(each[0].subject) is not None]
        keys = [key_ids[place.subject] for place, _ in named]
        return _renamed(row, named, self.seal.seal(self.collection, named, keys))

    def open_people(self, rows: Sequence[PersonRow], broken: Broken[PersonRow]) -> list[PersonRow]:
        """People with their names.

        Args:
            rows: As they were read.
            broken: Gives the row to take where the seal does not open, or None for no row; or raises.
        """
        texts = [(TextPlace(subject=row.id, what="name"), row.name) for row in rows]
        return self._opened(rows, texts, lambda row, text: replace(row, name=text), broken)

    def open_contributions(
        self,
        rows: Sequence[ContributionRow],
        broken: Broken[ContributionRow],
    ) -> list[ContributionRow]:
        """Contributions with their sources, as for `open_people`."""
        texts = [(TextPlace(subject=row.id, what="source"), row.source) for row in rows]
        return self._opened(rows, texts, lambda row, text: replace(row, source=text), broken)

    def open_images(self, rows: Sequence[ImageRow], broken: Broken[ImageRow]) -> list[ImageRow]:
        """Images with their sources and media ids, as for `open_people`."""

        def labelled(row: ImageRow, text: str) -> ImageRow:
            source, media_id = json.loads(text)
            return replace(row, source=source, media_id=media_id)

        texts = [(TextPlace(subject=row.id, what="labels"), row.source) for row in rows]
        return self._opened(rows, texts, labelled, broken)

    def open_text(self, subject: str, what: str, text: str) -> str | None:
        """One text, opened; None if its key was destroyed.

        Raises:
            SealError, MissingKeyError: If the seal does not open, or the key is lost.
        """
        place = TextPlace(subject=subject, what=what)
        (found,) = self.seal.open(self.collection, [(place, text)])
        if isinstance(found, ProbeFusionError):
            raise found
        return found

    def open_change(self, row: ChangeRow) -> ChangeRow:
        """A change with the names that its edits hold; those that do not open any more are empty."""
        if not self.encrypts:
            return row
        named = _names(row.edits)
        found = self.seal.open(self.collection, named) if named else []
        return _renamed(row, named, [each if isinstance(each, str) else "" for each in found])

    def _opened(
        self,
        rows: Sequence[Row],
        texts: Sequence[tuple[TextPlace, str]],
        put: Callable[[Row, str], Row],
        broken: Broken[Row],
    ) -> list[Row]:
        if not self.encrypts:
            return list(rows)
        found = []
        for row, text in zip(rows, self.seal.open(self.collection, texts), strict=True):
            kept = put(row, text) if isinstance(text, str) else broken(row, text)
            if kept is not None:
                found.append(kept)
        return found


def names_in(edits: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ids of the people whom edits name."""
    return list(dict.fromkeys(place.subject for place, _ in _names(edits)))


def _names(edits: Sequence[Mapping[str, Any]]) -> list[tuple[TextPlace, str]]:
    """All names in edits, with the place of each."""
    return [
        (TextPlace(subject=str(edit.get("id")), what="noted name"), edit[side]["name"])
        for edit in edits
        for side in _SIDES
        if _is_named(edit, side)
    ]


def _is_named(edit: Mapping[str, Any], side: str) -> bool:
    value = edit.get(side)
    return isinstance(value, dict) and isinstance(value.get("name"), str) and value["name"] != ""


def _renamed(
    row: ChangeRow, named: Sequence[tuple[TextPlace, str]], texts: Sequence[str]
) -> ChangeRow:
    """A change with other texts in place of some names; of other names none is left."""
    known = dict(zip(named, texts, strict=True))
    edits = []
    for edit in row.edits:
        changed = dict(edit)
        for side in _SIDES:
            if _is_named(edit, side):
                place = TextPlace(subject=str(edit.get("id")), what="noted name")
                name = known.get((place, edit[side]["name"]), "")
                changed[side] = {**edit[side], "name": name}
        edits.append(changed)
    return replace(row, edits=tuple(edits))


_SIDES = ("before", "after")
