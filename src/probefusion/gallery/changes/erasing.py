"""Erasing within one change: rows, the places where the same images lie once more, and what the history noted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import numpy as np

from probefusion.errors import FileFormatError, IntegrityError, MissingKeyError, SealError
from probefusion.gallery.changes.changing import Changing
from probefusion.gallery.changes.lineage import left_edits, same_images
from probefusion.gallery.contributions.kept_parts import KeptParts
from probefusion.gallery.stores.records import ChangeRow, ContributionRow, ImageRow
from probefusion.gallery.stores.store import Reader
from probefusion.types import EmbeddingSet

__all__ = ["Erasing", "all_of"]

_KEY_ID = re.compile("[0-9a-f]{32}")


class Erasing:
    """What one change erases.

    Args:
        change: The change.
        parts: Opens what is kept.

    Attributes:
        keys: Ids of keys to destroy.
        contributions: Ids of what was erased.
        lost: Ids of contributions that should have been written anew without some images and were erased whole, as
            they were damaged; and of images whose picture was damaged.
    """

    def __init__(self, change: Changing, parts: KeptParts) -> None:
        self._change, self._writer, self._parts = change, change.writer, parts
        self.keys: list[str] = []
        self.contributions: dict[str, None] = {}
        self._gone: set[str] = set()
        self._renamed: dict[str, str] = {}
        self.lost: list[str] = []

    def erase(
        self,
        rows: Sequence[ContributionRow],
        *,
        people: Sequence[str] = (),
        images: Iterable[str] = (),
        in_place: dict[str, str] | None = None,
        with_given_away: bool = False,
    ) -> None:
        """Erases contributions, people and images, and the same images where they lie once more.

        Args:
            rows: Contributions.
            people: Ids of people, who have no other contributions.
            images: Ids of images of other contributions.
            in_place: For ids of contributions those that take their places, so that changes before can be undone.
            with_given_away: Whether to erase the same images also where others have them now.
        """
        whole = {row.id: row for row in rows}
        asked = [image.id for row in rows for image in self._writer.images(row.id)]
        asked += images
        wanted = same_images(self._writer, asked, with_given_away=with_given_away)
        for item in dict.fromkeys(self._owner_of(image) for image in wanted):
            row = self._writer.contribution(item)
            if row is not None and item not in whole:
                self._without(row, wanted)
        self._renamed.update(in_place or {})
        for row in rows:
            self._erase_row(row)
        for person_id in people:
            self._erase_person(person_id)
        self._forget_in_history()

    def _owner_of(self, image_id: str) -> str:
        image = self._writer.image(image_id)
        return "" if image is None else image.contribution_id

    def _erase_row(self, row: ContributionRow) -> None:
        self.keys += self._keys_of(row.id, row.key_id)
        images = [image.id for image in self._writer.images(row.id)]
        self._gone.update(image for image in images if image not in self._renamed)
        if row.id not in self._renamed:
            self._gone.add(row.id)
        self._writer.erase_contribution(row.id)
        self.contributions[row.id] = None
        self._change.subjects[row.id] = None
        if row.person_id is not None:
            self._change.touched[row.person_id] = None

    def _erase_person(self, person_id: str) -> None:
        person = self._writer.person(person_id)
        if person is None:
            return
        self.keys += self._keys_of(person_id, person.key_id)
        self._writer.erase_person(person_id)
        self._gone.add(person_id)
        self._change.touched.pop(person_id, None)
        self._change.subjects[person_id] = None

    def _keys_of(self, subject: str, key_id: str | None) -> list[str]:
        if self._writer.on_damage != "as found":
            return [] if key_id is None else [key_id]
        return [each for each in self._writer.key_ids(subject) if _KEY_ID.fullmatch(each)]

    def _without(self, row: ContributionRow, images: Iterable[str]) -> None:
        """Writes a contribution anew without some of its images, sealed by another key; the old one is erased."""
        known, self._writer.on_damage = self._writer.on_damage, "raise"
        try:
            self._write_anew(row, set(images))
        except (FileFormatError, IntegrityError, MissingKeyError, SealError):
            if known != "as found":
                raise
            self.lost.append(row.id)
        finally:
            self._writer.on_damage = known
        self._erase_row(row)

    def _write_anew(self, row: ContributionRow, unwanted: AbstractSet[str]) -> None:
        left = [image for image in self._writer.images(row.id) if image.id not in unwanted]
        new = None
        for embedder in dict.fromkeys(model.embedder for model in self._writer.models()):
            kept = self._parts.kept(self._writer, row, embedder) if left else None
            if not isinstance(kept, EmbeddingSet):
                continue
            part = kept[[image.place for image in left]]
            chips = self._chips(row, left)
            if new is not None:
                self._change.add_payload(new, part)
                continue
            new = self._change.add(
                part,
                person_id=row.last_person,
                kind=row.kind,
                source=row.source,
                labels=labelled(part, left, chips),
                is_held=row.person_id is None,
                reasons=self._writer.reasons(row.id),
                time=row.time,
            )
        if new is not None:
            self._renamed[row.id] = new.id
            for old, image in zip(left, self._writer.images(new.id), strict=True):
                self._renamed[old.id] = image.id
                if old.left_out:
                    self._writer.leave_out(image.id, True)

    def _chips(
        self, row: ContributionRow, images: Sequence[ImageRow]
    ) -> Sequence[bytes | None] | None:
        """Pictures of the images that stay; one that was damaged is left behind, as it cannot be opened."""
        chips: list[bytes | None] = []
        for image in images:
            try:
                chips += self._parts.chips(self._writer, row, [image]) or [None]
            except (IntegrityError, SealError):
                chips.append(None)
                self.lost.append(image.id)
        return chips if any(chip is not None for chip in chips) else None

    def _forget_in_history(self) -> None:
        about = self._gone | self._renamed.keys()
        whole = {item for item in about if item.partition(".")[0] not in about or "." not in item}
        if self._writer.on_damage == "as found":
            whole = set()  # damaged changes may be about anybody
        rejected = {
            subject
            for noted in self._writer.changes(actions=("reject",))
            if noted.undone_by is None
            for subject in noted.subjects
        }
        for noted in list(self._writer.changes(about=sorted(whole))):
            if self._is_damaged(noted):
                left: tuple[dict[str, Any], ...] = ()
            else:
                left = left_edits(noted, self._gone, self._renamed, rejected)
            if left != noted.edits or self._is_damaged(noted):
                self._writer.put_change(replace(noted, edits=left))

    def _is_damaged(self, change: ChangeRow) -> bool:
        key = str(change.revision)
        return any(row.table == "changes" and row.key == key for row in self._writer.damaged)


def all_of(reader: Reader, people: Iterable[str]) -> list[ContributionRow]:
    """What people have, and what they had last and nobody has now."""
    return [row for who in people for row in (*reader.contributions(who), *reader.taken_out(who))]


def labelled(
    images: EmbeddingSet, rows: Sequence[ImageRow], chips: Sequence[bytes | None] | None
) -> EmbeddingSet:
    """Images with the sources, media ids and pictures that are kept of them."""
    return replace(
        images,
        sources=np.array([row.source for row in rows]),
        media_ids=np.array([row.media_id for row in rows]),
        chips=chips,
    )
