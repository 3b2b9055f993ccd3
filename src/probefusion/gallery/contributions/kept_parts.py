"""Reading back what a person's contributions keep, opened and encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from probefusion.errors import (
    InvalidInputError,
    MissingKeyError,
    MissingNormsError,
    MissingQualityError,
    MissingStyleError,
)
from probefusion.fusion import Fuser
from probefusion.gallery.contributions.chips import chips_of
from probefusion.gallery.contributions.features import Kept, from_bytes
from probefusion.gallery.contributions.judged_people import JudgedPeople
from probefusion.gallery.contributions.sums import Part, StateCache, digest_of, part_of
from probefusion.gallery.keys.sealing import Sealer
from probefusion.gallery.stores.records import ContributionRow, ImageRow, ModelRow
from probefusion.gallery.stores.store import Reader
from probefusion.types import EmbeddingSet

__all__ = ["CANNOT_FUSE", "KeptParts", "PersonParts", "has_images", "is_forgotten"]


CANNOT_FUSE = (
    InvalidInputError,
    MissingKeyError,
    MissingNormsError,
    MissingQualityError,
    MissingStyleError,
)
"""Why a fuser cannot encode what is kept: it lacks what the fuser needs, or its key is not there."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonParts:
    """What a person's contributions add up from, by one model.

    Args:
        parts: One for each contribution that the model can use.
        missing: Ids of the contributions that it cannot: they keep nothing of its embedder, or a state of another
            fuser.
    """

    parts: tuple[Part, ...]
    missing: tuple[str, ...] = ()


class KeptParts:
    """Opens what contributions keep, and encodes it once.

    Args:
        sealer: Of the collection.
        cache: Remembers states.

    Attributes:
        judged: Remembers what can be expected of templates.
    """

    def __init__(self, sealer: Sealer, cache: StateCache) -> None:
        self._sealer, self.cache = sealer, cache
        self.judged = JudgedPeople()

    def of_person(
        self, reader: Reader, person_id: str, model: ModelRow, fuser: Fuser
    ) -> PersonParts:
        """What all contributions of a person add up from.

        What was forgotten, and came back with a restored database, adds nothing: its key was destroyed.
        """
        parts, missing = [], []
        for row in reader.contributions(person_id):
            try:
                part = self.of_contribution(reader, row, model, fuser)
            except MissingKeyError:
                if not is_forgotten(self._sealer, row.key_id):
                    raise
                continue
            if part is None:
                missing.append(row.id)
            else:
                parts.append(part)
        return PersonParts(parts=tuple(parts), missing=tuple(missing))

    def missing_of_person(
        self, reader: Reader, person_id: str, model: ModelRow, fuser: Fuser
    ) -> tuple[str, ...]:
        """Ids of the contributions of a person that a model has nothing of, or that its fuser cannot fuse."""
        missing = []
        for row in reader.contributions(person_id):
            try:
                part = self.of_contribution(reader, row, model, fuser)
            except CANNOT_FUSE:
                part = None
            if part is None and not is_forgotten(self._sealer, row.key_id):
                missing.append(row.id)
        return tuple(missing)

    def of_contribution(
        self, reader: Reader, row: ContributionRow, model: ModelRow, fuser: Fuser
    ) -> Part | None:
        """What one contribution adds; None if the model cannot use it."""
        left_out = left_out_of(reader, row.id)
        known = self.cache.find(row.id, model.id, left_out)
        if known is not None:
            return known
        plain = self.plain(reader, row, model.embedder)
        if plain is None:
            return None
        kept = from_bytes(plain, origin=f"contribution {row.id}")
        if not usable(kept, model):
            return None
        part = part_of(row.id, digest_of(plain), kept, left_out, fuser)
        self.cache.keep(model.id, part)
        return part

    def kept(self, reader: Reader, row: ContributionRow, embedder: str | None) -> Kept | None:
        """What a contribution keeps of an embedder, images left out included; None if nothing."""
        plain = self.plain(reader, row, embedder)
        return None if plain is None else from_bytes(plain, origin=f"contribution {row.id}")

    def chips(
        self, reader: Reader, row: ContributionRow, images: Sequence[ImageRow]
    ) -> list[bytes | None] | None:
        """Small pictures of some images of a contribution; None if they have none."""
        return chips_of(reader, self._sealer, images, row.key_id)

    def plain(self, reader: Reader, row: ContributionRow, embedder: str | None) -> bytes | None:
        """The opened bytes."""
        sealed = reader.payload(row.id, embedder)
        if sealed is None:
            return None
        return self._sealer.open_kept(sealed, row.id, embedder, self._sealer.key(row.key_id))


def is_forgotten(sealer: Sealer, key_id: str | None) -> bool:
    """Whether a key was destroyed, so that nobody can read any more what it sealed."""
    if sealer.keys is None or key_id is None:
        return False
    return key_id in sealer.keys.destroyed([key_id])


def left_out_of(reader: Reader, contribution_id: str) -> tuple[int, ...]:
    """Places of the images of a contribution that were taken out, ascending."""
    return tuple(image.place for image in reader.images(contribution_id) if image.left_out)


def has_images(reader: Reader, row: ContributionRow) -> bool:
    """Whether a contribution adds anything: not all of its images were taken out."""
    images = reader.images(row.id)
    return not images or not all(image.left_out for image in images)


def usable(kept: Kept, model: ModelRow) -> bool:
    """Whether a model can use what is kept of its embedder: images, or a state of its own fuser."""
    return isinstance(kept, EmbeddingSet) or kept.fuser == model.fuser
