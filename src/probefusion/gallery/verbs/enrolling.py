"""Adding people and images, and what is held back until somebody has looked at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    IntegrityError,
    OutputExistsError,
    SealError,
    UnknownNameError,
)
from probefusion.files.paths import brief
from probefusion.fusion import Fuser
from probefusion.gallery.argument_checks import check_flag, check_id
from probefusion.gallery.changes.changing import Changing
from probefusion.gallery.changes.lineage import merges
from probefusion.gallery.contributions.features import Kept, as_kept
from probefusion.gallery.contributions.material import Material
from probefusion.gallery.contributions.models import check_fits_model, model_to_add_to, serving
from probefusion.gallery.contributions.sums import add_up
from probefusion.gallery.core import check_new_name, utc
from probefusion.gallery.index.people_index import Found
from probefusion.gallery.results import Added, Doubt, Likeness
from probefusion.gallery.stores.records import ContributionRow, ModelRow, PersonRow
from probefusion.gallery.stores.store import Reader
from probefusion.gallery.verbs.chips import with_chips
from probefusion.gallery.verbs.contribution_views import view_of
from probefusion.gallery.verbs.guard import (
    doubt_not_compared,
    doubt_of_new,
    doubt_of_nobody,
    doubts_about,
    doubts_within,
)
from probefusion.gallery.verbs.held_reasons import doubts_noted, noted_reasons
from probefusion.gallery.verbs.judging import Judging
from probefusion.gallery.verbs.likeness import likeness_of
from probefusion.gallery.views import ContributionView
from probefusion.screening.known import expectation_for
from probefusion.screening.poor_faces import told_of_poor
from probefusion.types import EmbeddingSet, FusionState

__all__ = ["Enrolling"]


class Enrolling(Judging):
    """The part of `Gallery` that adds."""

    def enroll(
        self,
        name: str,
        what: Any,
        *,
        source: str = "",
        time: datetime | None = None,
        chips: Sequence[bytes | None] | None = None,
    ) -> Added:
        """Makes a person known.

        Args:
            name: Name of the person; it must be new among those who are shown.
            what: Images of the person: (N, D) embeddings, an `EmbeddingSet`, a `FusionState`, the result of
                `Pipeline.fuse`, a found face, or a list of them.
            source: Where they are from: a folder, a camera.
            time: When they were taken; None takes the clock.
            chips: Small pictures of the faces for `chip` to show: JPEG bytes of at most 64 KiB, or None, for each
                image. None keeps those that the images carry, as a pipeline with `keep_chips=True` gives them.

        Returns:
            What was added; its doubts say if the images seem to be of several people, or of somebody who is there
            under another name.

        Raises:
            OutputExistsError: If somebody of that name is there.
            ConfigError, DtypeError, EmptySetError: If the name cannot be one, or what was given cannot be added.
            EmbedderMismatchError, FuserMismatchError, ShapeError: If it is not of the gallery's embedder or fuser.
            ProbeFusionError: If the fuser cannot fuse it, or the store cannot be written.
        """
        name = check_new_name(name)
        material = with_chips(self._material(what), chips, keep=self.keep)
        kept = material.to_keep()
        known = self._doubts_of_new(material)
        with self._changing("enroll") as change:
            if change.writer.person_named(name) is not None:
                raise OutputExistsError(
                    f"{name!r} is in {self.collection!r} already. Add to the person with update, or take another name."
                )
            _, fuser = self._model_for(change, material)
            person = change.new_person(name)
            added = self._add(
                change,
                kept,
                fuser,
                person_id=person.id,
                kind="enrolment",
                source=source,
                time=utc(time),
            )
            doubts = doubts_within(kept, fuser) + known
            revision = change.revision
        return self._told(
            added,
            name,
            added.num_images,
            revision,
            doubts=doubts,
            skipped=material.skipped,
            **self._expected(kept, fuser),
        )

    def update(
        self,
        name: str,
        what: Any,
        *,
        guard: bool = True,
        source: str = "",
        time: datetime | None = None,
        kind: str = "visit",
        chips: Sequence[bytes | None] | None = None,
    ) -> Added:
        """Adds images to a person; what seems to be of somebody else is held back.

        Held are images that are closer to another person of the gallery, that are less like the person than images
        so good usually are, or that seem to be of several people. `accept` or `reject` them later.

        Args:
            name: Name of the person.
            what: As for `enroll`.
            guard: Whether to hold back; otherwise all is added, and the doubts are told.
            source: As for `enroll`.
            time: As for `enroll`.
            kind: "visit", or "update" for what was added by hand.
            chips: As for `enroll`.

        Raises:
            UnknownNameError: If there is nobody of that name.
            ConfigError: If the kind is neither.
            ProbeFusionError: As for `enroll`.
        """
        guard = check_flag(guard, "guard")
        if kind not in ("visit", "update"):
            raise ConfigError(f"kind: expected 'visit' or 'update', got {brief(kind)}.")
        material = with_chips(self._material(what), chips, keep=self.keep)
        kept = material.to_keep()
        doubts = self._doubts(name, material)
        is_held = guard and bool(doubts)
        with self._changing("hold" if is_held else "update") as change:
            person = self._person(change.writer, name)
            _, fuser = self._model_for(change, material)
            added = self._add(
                change,
                kept,
                fuser,
                person_id=person.id,
                kind="visit" if kind == "visit" else "update",
                source=source,
                time=utc(time),
                is_held=is_held,
                reasons=noted_reasons(doubts) if is_held else (),
            )
            total = _total_images(change.writer, person.id)
            revision = change.revision
        return self._told(
            added,
            person.name,
            total,
            revision,
            doubts=doubts,
            is_held=is_held,
            skipped=material.skipped,
            **self._expected(kept, fuser),
        )

    def held(self) -> tuple[tuple[str, ContributionView], ...]:
        """What waits to be accepted or rejected: names of people and contributions with their doubts, oldest first."""
        with self._reading() as reader:
            rows = held_rows(reader)
            names = {}
            for row in rows:
                person = _owner(reader, row)
                names[row.id] = "" if person is None else person.name
            return tuple(
                (names[row.id], replace(view_of(reader, row), doubts=doubts_noted(reader, row.id)))
                for row in rows
            )

    def accept(self, contribution: str) -> Added:
        """Adds what was held back to its person, or to whom that one was merged into since.

        Raises:
            UnknownNameError: If nothing is held under this id.
            ConfigError: If the person was removed.
        """
        with self._changing("accept") as change:
            row = self._held_row(change.writer, contribution)
            person = _owner(change.writer, row)
            if person is None or not person.shown:
                raise ConfigError(
                    f"contribution {row.id}: its person was removed. Undo that first, reject it, or give it to "
                    f"somebody: move."
                )
            likeness = self._likeness_of_held(change.writer, row, person)
            change.place(row.id, person.id)
            total = _total_images(change.writer, person.id)
            revision = change.revision
        return self._told(
            replace(row, last_person=person.id), person.name, total, revision, likeness=likeness
        )

    def reject(self, contribution: str) -> int:
        """Takes what was held back from the list; it is erased when its person, or itself, is forgotten.

        Returns:
            The revision of the change.

        Raises:
            UnknownNameError: If nothing is held under this id.
        """
        with self._changing("reject") as change:
            row = self._held_row(change.writer, contribution)
            change.subjects[row.id] = None
            change.subjects[row.last_person] = None
            return change.revision

    def _model_for(self, change: Changing, material: Material) -> tuple[ModelRow, Fuser]:
        rows = change.writer.models()
        kept = material.to_keep()
        self._fusers.check_given(rows)
        model = (
            model_to_add_to(rows, material) if serving(rows) is not None else change.new_model(kept)
        )
        check_fits_model(model, material)
        fuser = self._fusers.of(model)
        if isinstance(kept, EmbeddingSet):
            fuser.check_fits(kept)
        return model, fuser

    def _add(self, change: Changing, kept: Kept, fuser: Fuser, **options: Any) -> ContributionRow:
        labels = kept if isinstance(kept, EmbeddingSet) else None
        if self.keep == "state" and labels is not None:
            kept = fuser.encode(labels)
            labels = None
        return change.add(kept, labels=labels, **options)

    def _doubts(self, name: str, material: Material) -> tuple[Doubt, ...]:
        with self._reading() as reader:
            person = self._person(reader, name)
            model = model_to_add_to(reader.models(), material)
            fuser = self._fusers.of(model)
            kept = as_kept(material.to_keep())
            if isinstance(kept, EmbeddingSet):
                fuser.check_fits(kept)
            known = add_up(self._parts.of_person(reader, person.id, model, fuser).parts)
        state = kept if isinstance(kept, FusionState) else fuser.encode(kept)
        within = doubts_within(kept, fuser)
        if known is None:
            return within + self._doubts_of_nobody(state, person, model, fuser)
        return within + doubts_about(state, known, person.id, fuser, self._index(model.id))

    def _doubts_of_nobody(
        self, state: FusionState, person: PersonRow, model: ModelRow, fuser: Fuser
    ) -> tuple[Doubt, ...]:
        found = self._index(model.id).look(fuser.finish(state).vector, top_k=2).found
        others = [each for each in found if each.person.id != person.id]
        try:
            other = self._state_of(others[0], model, fuser) if others else None
        except (FileFormatError, IntegrityError, SealError) as error:
            return (doubt_not_compared(others[0], error),)
        return () if other is None else doubt_of_nobody(state, other, others[0], fuser)

    def _doubts_of_new(self, material: Material) -> tuple[Doubt, ...]:
        with self._reading() as reader:
            rows = reader.models()
        if serving(rows) is None:
            return ()
        model = model_to_add_to(rows, material)
        fuser = self._fusers.of(model)
        kept = as_kept(material.to_keep())
        if isinstance(kept, EmbeddingSet):
            fuser.check_fits(kept)
        if fuser.embedder is None or expectation_for(fuser.fingerprint) is None:
            return ()  # what is usual was not measured with this embedder
        state = kept if isinstance(kept, FusionState) else fuser.encode(kept)
        look = self._index(model.id).look(fuser.finish(state).vector, top_k=1)
        try:
            other = self._state_of(look.found[0], model, fuser) if look.found else None
        except (FileFormatError, IntegrityError, SealError) as error:
            return (doubt_not_compared(look.found[0], error),)
        if other is None:
            return ()
        return doubt_of_new(state, other, look.found[0], fuser, size=look.size)

    def _likeness_of_held(
        self, reader: Reader, row: ContributionRow, person: PersonRow
    ) -> Likeness | None:
        model = serving(reader.models())
        if model is None:
            return None
        fuser = self._fusers.of(model)
        part = self._parts.of_contribution(reader, row, model, fuser)
        known = add_up(self._parts.of_person(reader, person.id, model, fuser).parts)
        return likeness_of(None if part is None else part.state, known, fuser)

    def _state_of(self, found: Found, model: ModelRow, fuser: Fuser) -> FusionState | None:
        """The state of somebody who was found.

        Raises:
            IntegrityError, SealError, FileFormatError: If it was damaged.
        """
        with self._reading() as reader:
            return add_up(self._parts.of_person(reader, found.person.id, model, fuser).parts)

    def _expected(self, kept: Kept, fuser: Fuser) -> dict[str, Any]:
        """What there is to tell of the usability of images that were added."""
        usability = self._judge(kept, fuser)
        told = told_of_poor("the images", usability, decides=False)
        return {"usability": usability, "warnings": told}

    def _held_row(self, reader: Reader, contribution: str) -> ContributionRow:
        check_id(contribution, "contribution")
        rows = {row.id: row for row in held_rows(reader)}
        if contribution not in rows:
            raise UnknownNameError("held contribution", contribution, rows)
        return rows[contribution]

    def _told(
        self, row: ContributionRow, name: str, total: int, revision: int, **fields: Any
    ) -> Added:
        return Added(
            person_id=row.last_person,
            name=name,
            contribution_id=row.id,
            keep=row.keep,
            num_images=row.num_images,
            total_images=total,
            revision=revision,
            **fields,
        )


def held_rows(reader: Reader) -> list[ContributionRow]:
    """Contributions that were held back, and neither accepted, rejected, moved nor forgotten since; oldest first."""
    waiting: dict[str, None] = {}
    for change in reader.changes(actions=("hold", "reject")):
        if change.action == "hold" and change.undone_by is None:
            waiting.update(
                dict.fromkeys(edit["id"] for edit in change.edits if edit["kind"] == "placement")
            )
        elif change.action == "reject" and change.undone_by is None:
            for subject in change.subjects:
                waiting.pop(subject, None)
    rows = []
    for item in waiting:
        try:
            row = reader.contribution(item)
        except (IntegrityError, SealError):
            if reader.on_damage == "raise":
                raise
            continue
        if row is not None and row.person_id is None:
            rows.append(row)
    return rows


def _owner(reader: Reader, row: ContributionRow) -> PersonRow | None:
    """Whose a held contribution would be: its person's, or of whom that one was merged into."""
    person = reader.person(row.last_person)
    if person is None or person.shown:
        return person
    known = merges(reader)
    seen = set()
    while person is not None and not person.shown and person.id in known and person.id not in seen:
        seen.add(person.id)
        person = reader.person(known[person.id].into)
    return person


def _total_images(reader: Reader, person_id: str) -> int:
    return sum(
        row.num_images - sum(image.left_out for image in reader.images(row.id))
        for row in reader.contributions(person_id)
    )
