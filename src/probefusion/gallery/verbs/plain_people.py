"""Everything that a collection holds of people, opened, person by person."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np

from probefusion.gallery.argument_checks import check_flag
from probefusion.gallery.contributions.features import Kept
from probefusion.gallery.contributions.kept_parts import is_forgotten
from probefusion.gallery.core import GalleryCore
from probefusion.gallery.stores.records import ContributionKind, ContributionRow, ModelRow
from probefusion.gallery.stores.store import Reader
from probefusion.gallery.verbs.named_rows import model_or_serving
from probefusion.types import EmbeddingSet, FloatArray

__all__ = ["PlainContribution", "PlainPeople", "PlainPerson"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainContribution:
    """What one contribution keeps, opened.

    Args:
        id: Its id.
        kind: Why it was added.
        time: UTC time, ISO 8601.
        source: Where from, or "".
        kept: Its images, with sources and media ids, those left out included; or its state.
        left_out: Places of images that were taken out.
    """

    id: str
    kind: ContributionKind
    time: str
    source: str
    kept: Kept
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainPerson:
    """A person, opened.

    Args:
        id: Opaque id.
        name: Name.
        is_ignored: Whether matches are not to be acted on.
        created: UTC time, ISO 8601.
        vector: (D,) float32 template, or None if there is none.
        num_images: Images in it.
        contributions: What the person has.
        different_from: Names of people who are known to be different.
    """

    id: str
    name: str
    is_ignored: bool
    created: str
    vector: FloatArray | None
    num_images: int
    contributions: tuple[PlainContribution, ...]
    different_from: tuple[str, ...] = ()


class PlainPeople(GalleryCore):
    """The part of `Gallery` that gives everything out."""

    def plain_people(
        self, model: str | None = None, *, chips: bool = False
    ) -> Generator[PlainPerson, None, None]:
        """Everybody who is shown with all that is kept, opened, in the order of the ids, as of one moment.

        What comes out is not encrypted: whoever writes it down must keep it safe.

        Args:
            model: Id of the model of whose embedder and templates it is; None is the one that serves.
            chips: Whether the images carry their small pictures, where there are any.

        Who was forgotten, and came back with a restored database, is left out: what is there cannot be read. Go to
        the end, or close the generator: as long as it waits, the moment is kept, and forgetting stays "pending".

        Raises:
            UnknownNameError: If there is no such model.
        """
        chips = check_flag(chips, "chips")
        with self._reading() as reader:
            rows = reader.models()
            row = model_or_serving(rows, model)
            if row is None:
                return
            names = {person.id: person.name for person in reader.people()}
            links: dict[str, list[str]] = {}
            for link in reader.links():
                for one, other in ((link.first, link.second), (link.second, link.first)):
                    if other in names:
                        links.setdefault(one, []).append(names[other])
            for person in reader.people():
                if is_forgotten(self._sealer, person.key_id):
                    continue
                stored = reader.vector(row.id, person.id)
                vector = None
                if stored is not None and stored.vector is not None:
                    key = self._sealer.key(person.key_id)
                    vector = self._sealer.open_vector(stored.vector, person.id, row.id, key)
                yield PlainPerson(
                    id=person.id,
                    name=person.name,
                    is_ignored=person.ignored,
                    created=person.created,
                    vector=vector,
                    num_images=0 if stored is None else stored.num_images,
                    contributions=tuple(
                        each
                        for contribution in reader.contributions(person.id)
                        for each in self._plain(reader, contribution, row, chips=chips)
                    ),
                    different_from=tuple(sorted(links.get(person.id, ()))),
                )

    def _plain(
        self, reader: Reader, row: ContributionRow, model: ModelRow, *, chips: bool
    ) -> Iterator[PlainContribution]:
        if is_forgotten(self._sealer, row.key_id):
            return
        kept = self._parts.kept(reader, row, model.embedder)
        if kept is None:
            return
        images = reader.images(row.id)
        if isinstance(kept, EmbeddingSet) and images:
            kept = replace(
                kept,
                sources=np.array([image.source for image in images]),
                media_ids=np.array([image.media_id for image in images]),
                chips=self._parts.chips(reader, row, images) if chips else None,
            )
        yield PlainContribution(
            id=row.id,
            kind=row.kind,
            time=row.time,
            source=row.source,
            kept=kept,
            left_out=tuple(image.place for image in images if image.left_out),
        )
