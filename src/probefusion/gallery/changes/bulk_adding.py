"""Adding many new people within one change, in few statements and without reading back what was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from probefusion.fusion import Fuser
from probefusion.gallery.changes.edits import Edit, value_of_person
from probefusion.gallery.changes.ids import new_id
from probefusion.gallery.contributions.chips import sealed_chips
from probefusion.gallery.contributions.contribution_rows import image_rows
from probefusion.gallery.contributions.features import Kept, from_bytes, to_bytes
from probefusion.gallery.contributions.sums import Part, add_up, digest_of, part_of
from probefusion.gallery.keys.encryption import DataKey
from probefusion.gallery.keys.sealing import Sealer
from probefusion.gallery.stores.records import (
    ContributionKind,
    ContributionRow,
    ImageRow,
    ModelRow,
    NewContribution,
    PersonRow,
    VectorRow,
)
from probefusion.types import EmbeddingSet, FusionState

__all__ = ["BulkRows", "NewPart", "NewPerson", "rows_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NewPart:
    """What one contribution of a new person is to keep.

    Args:
        kept: Its images with their labels, or its state.
        kind: Why it is added.
        source: Where from.
        time: UTC time, ISO 8601.
        left_out: Places of images that are taken out.
    """

    kept: Kept
    kind: ContributionKind
    source: str
    time: str
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class NewPerson:
    """Somebody who is added.

    Args:
        name: Name.
        is_ignored: Whether matches are not to be acted on.
        parts: Contributions.
    """

    name: str
    is_ignored: bool
    parts: tuple[NewPart, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class BulkRows:
    """Rows of new people, and what a change notes of them.

    Args:
        people: The people.
        contributions: What they have.
        vectors: Their templates by the one model.
        states: What these were made of, one for each person; None where no image counts.
        edits: What undoes it.
    """

    people: tuple[PersonRow, ...]
    contributions: tuple[NewContribution, ...]
    vectors: tuple[VectorRow, ...]
    states: tuple[FusionState | None, ...]
    edits: tuple[Edit, ...]


def rows_of(
    people: Sequence[NewPerson],
    *,
    model: ModelRow,
    fuser: Fuser,
    sealer: Sealer,
    created: str,
    revision: int,
) -> BulkRows:
    """The rows of new people, whose templates are those that would be worked out of the rows.

    Args:
        people: The people.
        model: The only model of the collection.
        fuser: Its fuser.
        sealer: Of the collection; with keys enough.
        created: UTC time, ISO 8601.
        revision: Of the collection after the change.

    Raises:
        ProbeFusionError: If a template cannot be worked out, or something cannot be kept.
    """
    rows: list[PersonRow] = []
    added: list[NewContribution] = []
    vectors: list[VectorRow] = []
    states: list[FusionState | None] = []
    edits: list[Edit] = []
    for person in people:
        (key,) = sealer.new_keys(1)
        row = PersonRow(
            id=new_id("p"),
            name=person.name,
            ignored=person.is_ignored,
            key_id=None if key is None else key.id,
            created=created,
        )
        rows.append(row)
        edits.append(Edit(kind="person", id=row.id, before=None, after=value_of_person(row)))
        parts: list[Part] = []
        for given in person.parts:
            new, part = _contribution(given, row.id, fuser, sealer)
            parts.append(part)
            added.append(new)
            edits.append(Edit(kind="placement", id=new.row.id, before=None, after=row.id))
        states.append(add_up(parts))
        vectors.append(_vector(states[-1], row, key, model, fuser, sealer, revision))
    return BulkRows(
        people=tuple(rows),
        contributions=tuple(added),
        vectors=tuple(vectors),
        states=tuple(states),
        edits=tuple(edits),
    )


def _contribution(
    given: NewPart, person_id: str, fuser: Fuser, sealer: Sealer
) -> tuple[NewContribution, Part]:
    (key,) = sealer.new_keys(1)
    plain = to_bytes(given.kept)
    row = ContributionRow(
        id=new_id("c"),
        person_id=person_id,
        last_person=person_id,
        kind=given.kind,
        keep="features" if isinstance(given.kept, EmbeddingSet) else "state",
        num_images=given.kept.num_images,
        time=given.time,
        source=given.source,
        key_id=None if key is None else key.id,
    )
    images = image_rows(row.id, given.kept)
    out = [place for place in range(len(images)) if place in given.left_out]
    marked = tuple(_marked(image, image.place in given.left_out) for image in images)
    new = NewContribution(
        row=row,
        images=marked,
        payload=sealer.seal_kept(plain, row.id, given.kept.embedder, key),
        embedder=given.kept.embedder,
        chips=sealed_chips(sealer, images, given.kept, key),
    )
    kept = from_bytes(plain, origin=f"contribution {row.id}")
    return new, part_of(row.id, digest_of(plain), kept, tuple(out), fuser)


def _marked(image: ImageRow, left_out: bool) -> ImageRow:
    return replace(image, left_out=True) if left_out else image


def _vector(
    state: FusionState | None,
    person: PersonRow,
    key: DataKey | None,
    model: ModelRow,
    fuser: Fuser,
    sealer: Sealer,
    revision: int,
) -> VectorRow:
    template = None if state is None else fuser.finish(state)
    sealed = (
        None if template is None else sealer.seal_vector(template.vector, person.id, model.id, key)
    )
    return VectorRow(
        person_id=person.id,
        model_id=model.id,
        vector=sealed,
        num_images=0 if template is None else template.num_images,
        revision=revision,
    )
