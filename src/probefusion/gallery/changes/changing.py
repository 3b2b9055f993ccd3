"""One change of a collection: what is edited, whose templates follow, and what is noted of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from probefusion.errors import IntegrityError
from probefusion.gallery.audit.trail import append_entry, names_subject
from probefusion.gallery.changes.edits import (
    Edit,
    EditKind,
    apply_edit,
    current_value,
    merged_by,
    starts_to_serve,
    value_of_person,
)
from probefusion.gallery.changes.ids import new_id
from probefusion.gallery.changes.may_serve import check_may_serve
from probefusion.gallery.changes.renewal import TemplateRenewal
from probefusion.gallery.contributions.chips import put_chips
from probefusion.gallery.contributions.contribution_rows import (
    as_source,
    check_may_merge,
    image_rows,
)
from probefusion.gallery.contributions.features import Kept, to_bytes
from probefusion.gallery.contributions.kept_parts import KeptParts
from probefusion.gallery.contributions.models import Fusers, source_of
from probefusion.gallery.keys.sealing import Sealer
from probefusion.gallery.stores.records import (
    ChangeRow,
    ContributionKind,
    ContributionRow,
    HeldReason,
    ImageRow,
    Keep,
    ModelRow,
    ModelStatus,
    PersonRow,
)
from probefusion.gallery.stores.store import Writer
from probefusion.types import EmbeddingSet

if TYPE_CHECKING:
    from probefusion.gallery.changes.bulk_adding import BulkRows

__all__ = ["Changing"]


class Changing:
    """A change that is being made. It reaches the disk, whole, when the block of `writing` ends after `finish`.

    With `takes_away` set, as for forgetting, nothing may stand in its way: a template that cannot be worked out any
    more is taken away. `only_models` holds the ids of the models whose templates can change; None for all.

    Args:
        writer: Of the collection, for the time of the change.
        sealer: Of the collection.
        fusers: Of the gallery.
        parts: Of the gallery.
        action: What is done, as "enroll".
        actor: Who does it.
        time: UTC time, ISO 8601.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        sealer: Sealer,
        fusers: Fusers,
        parts: KeptParts,
        action: str,
        actor: str,
        time: str,
    ) -> None:
        self.writer, self.action = writer, action
        self._sealer, self._fusers, self._parts = sealer, fusers, parts
        self._actor, self._time = actor, time
        self.edits: list[Edit] = []
        self.subjects: dict[str, None] = {}
        self.touched: dict[str, None] = {}
        self.relabelled: dict[str, None] = {}
        self.undoes: int | None = None
        self.is_given_up = False
        self.takes_away = False
        self.only_models: set[str] | None = None
        self._written: list[str] = []

    @property
    def revision(self) -> int:
        """Of the collection after the change."""
        return self.writer.revision

    @property
    def sealer(self) -> Sealer:
        """What seals what the change writes."""
        return self._sealer

    @property
    def time(self) -> str:
        """UTC time of the change, ISO 8601."""
        return self._time

    def new_model(self, kept: Kept, status: ModelStatus = "serving") -> ModelRow:
        """The model of a collection's first images."""
        fuser = self._fusers.chosen_for(kept)
        dim = kept.dim if isinstance(kept, EmbeddingSet) else kept.sums.shape[1]
        row = ModelRow(
            id=new_id("m"),
            embedder=kept.embedder,
            fuser=fuser.fingerprint,
            fuser_source=source_of(fuser),
            dim=dim,
            status=status,
            created=self._time,
        )
        self.writer.put_model(row)
        return row

    def new_person(self, name: str) -> PersonRow:
        """Adds a person."""
        (key,) = self._sealer.new_keys(1)
        row = PersonRow(
            id=new_id("p"),
            name=name,
            key_id=None if key is None else key.id,
            created=self._time,
        )
        self.writer.put_person(row)
        self._note(Edit(kind="person", id=row.id, before=None, after=value_of_person(row)))
        self.touched[row.id] = None
        return row

    def add(
        self,
        kept: Kept,
        *,
        person_id: str,
        kind: ContributionKind,
        source: str = "",
        labels: EmbeddingSet | None = None,
        is_held: bool = False,
        reasons: Sequence[HeldReason] = (),
        time: str | None = None,
    ) -> ContributionRow:
        """Adds a contribution to a person.

        Args:
            kept: What it keeps.
            person_id: Whose it is.
            kind: Why it is added.
            source: Where from.
            labels: Says sources and media ids of the images; None takes those of `kept`.
            is_held: Whether nobody has it yet.
            reasons: Why it is held.
            time: UTC time, ISO 8601; None takes that of the change.

        Raises:
            DtypeError: If the source is no text.
            ConfigError: If it cannot be kept.
        """
        source = as_source(source)
        (key,) = self._sealer.new_keys(1)
        keep: Keep = "features" if isinstance(kept, EmbeddingSet) else "state"
        row = ContributionRow(
            id=new_id("c"),
            person_id=None if is_held else person_id,
            last_person=person_id,
            kind=kind,
            keep=keep,
            num_images=kept.num_images,
            time=self._time if time is None else time,
            source=source,
            key_id=None if key is None else key.id,
        )
        images = image_rows(row.id, labels or kept) if isinstance(kept, EmbeddingSet) else []
        sealed = self._sealer.seal_kept(to_bytes(kept), row.id, kept.embedder, key)
        self._written.append(row.id)
        self.writer.add_contribution(row, images, sealed, kept.embedder)
        put_chips(self.writer, self._sealer, images, labels or kept, key)
        if reasons:
            self.writer.put_reasons(row.id, reasons)
        after = None if is_held else person_id
        self._note(Edit(kind="placement", id=row.id, before=None, after=after))
        self.subjects[person_id] = None
        self.touched[person_id] = None
        return row

    def add_rows(self, rows: BulkRows) -> None:
        """Adds many new people, whose templates are worked out already."""
        self.writer.add_people(rows.people, rows.contributions, rows.vectors)
        self.edits += rows.edits
        self.subjects.update(dict.fromkeys(edit.id for edit in rows.edits))

    def add_payload(self, row: ContributionRow, kept: Kept) -> None:
        """Adds what a contribution keeps of another embedder."""
        key = self._sealer.key(row.key_id)
        sealed = self._sealer.seal_kept(to_bytes(kept), row.id, kept.embedder, key)
        self._written.append(row.id)
        self.writer.put_payload(row.id, kept.embedder, sealed, row.key_id)

    def put_person(self, row: PersonRow) -> None:
        """Changes a person's name or flags."""
        self._edit("person", row.id, value_of_person(row))

    def place(self, contribution_id: str, person_id: str | None) -> None:
        """Gives a contribution to a person or to nobody."""
        self._edit("placement", contribution_id, person_id)

    def leave_out(self, image: ImageRow, left_out: bool) -> None:
        """Takes an image out of its contribution, or in again."""
        self._edit("image", image.id, left_out)

    def link(self, first: str, second: str, is_there: bool) -> None:
        """Notes that two people are different, or that it is not known."""
        one, other = sorted((first, second))
        self._edit("link", f"{one} {other}", is_there)

    def take_over(self, first: PersonRow, second: PersonRow) -> None:
        """Notes of a person what was known of another who is merged into this one: the links, and to be ignored."""
        for link in self.writer.links():
            if second.id in (link.first, link.second):
                other = link.second if link.first == second.id else link.first
                if other != first.id:
                    self.link(first.id, other, True)
        if second.ignored and not first.ignored:
            self.put_person(replace(first, ignored=True))

    def check_may_serve(self, model: ModelRow) -> None:
        """Refuses to let a model serve that cannot find everybody, see `may_serve`."""
        check_may_serve(
            self.writer,
            model,
            self._fusers.of(model),
            parts=self._parts,
            sealer=self._sealer,
            action=self.action,
        )

    def set_status(self, model_id: str, status: ModelStatus) -> None:
        """Changes what a model is used for."""
        self._edit("model", model_id, status)

    def note_edits(self, edits: Sequence[Edit]) -> None:
        """Notes edits that were made already, as by undoing a change.

        Raises:
            ConfigError: If a model would serve by them that cannot find everybody.
            ConflictError: If people would be merged by them who are known to be different.
        """
        for edit in edits:
            self._note(edit)
            self._touch(edit)
        for model in self.writer.models():
            if starts_to_serve(edits, model.id):
                self.check_may_serve(model)
        for owner_id, merged_id in merged_by(self.writer, edits):
            owner, merged = self.writer.person(owner_id), self.writer.person(merged_id)
            if owner is not None and merged is not None:
                check_may_merge(self.writer, owner, merged)
                self.take_over(owner, merged)

    def forget_states(self) -> None:
        """Drops from memory what was worked out of contributions of this change, which was not kept."""
        for contribution_id in self._written:
            self._parts.cache.drop(contribution_id)

    def finish(self) -> ChangeRow:
        """Works out the templates of all people concerned, and notes the change and who made it."""
        for model in self._models():
            if self.only_models is not None and model.id not in self.only_models:
                continue
            self.renew_templates(model, list(self.touched))
            for person_id in self.relabelled.keys() - self.touched.keys():
                vector = self.writer.vector(model.id, person_id)
                if vector is not None:  # so that everybody hears of the new name
                    self.writer.put_vector(replace(vector, revision=self.revision))
        row = ChangeRow(
            revision=self.revision,
            time=self._time,
            actor=self._actor,
            action=self.action,
            subjects=tuple(self.subjects),
            edits=tuple(edit.as_row() for edit in self.edits),
            undoes=self.undoes,
        )
        self.writer.put_change(row)
        sequence, entry = append_entry(
            self.writer.last_audit(),
            collection=self.writer.collection,
            action=self.action,
            actor=self._actor,
            subjects=self._named_subjects(),
            revision=self.revision,
            time=self._time,
            key=self._sealer.audit_key(),
            number=self.writer.audit_length(),
        )
        self.writer.append_audit(sequence, entry)
        return row

    def _named_subjects(self) -> tuple[str, ...]:
        if not self.takes_away:
            return tuple(self.subjects)
        return tuple(each for each in self.subjects if names_subject(each))

    def _models(self) -> tuple[ModelRow, ...]:
        try:
            return self.writer.models()
        except IntegrityError:
            if self.takes_away:  # a damaged model keeps nobody from being forgotten
                return ()
            raise

    def renew_templates(
        self, model: ModelRow, people: Sequence[str], *, is_wanted: bool = False
    ) -> None:
        """Works out the templates of some people by one model, see `TemplateRenewal`.

        Args:
            model: The model.
            people: Ids of the people.
            is_wanted: Whether to raise also where the model does not serve.

        Raises:
            ProbeFusionError: If a template cannot be worked out of the model that serves, or that is wanted.
        """
        may_lack = self.takes_away or not (is_wanted or model.status == "serving")
        renewal = TemplateRenewal(self.writer, self._sealer, self._fusers, self._parts)
        renewal.renew(model, people, may_lack=may_lack)

    def _edit(self, kind: EditKind, item: str, after: object) -> None:
        before = current_value(self.writer, kind, item)
        if before == after:
            return
        edit = Edit(kind=kind, id=item, before=before, after=after)
        self._touch(edit)
        apply_edit(self.writer, kind, item, after)
        self._note(edit)
        self._touch(edit)

    def _note(self, edit: Edit) -> None:
        self.edits.append(edit)
        if edit.kind == "image":
            image = self.writer.image(edit.id)
            self.subjects[edit.id if image is None else image.contribution_id] = None
        else:
            self.subjects.update(dict.fromkeys(edit.id.split(" ")))

    def _touch(self, edit: Edit) -> None:
        """People whose templates an edit changes."""
        people: list[str | None] = []
        if edit.kind == "person":
            if edit.before and edit.after and edit.before["shown"] == edit.after["shown"]:
                self.relabelled[edit.id] = None
                self.subjects[edit.id] = None
            else:
                people = [edit.id]
        elif edit.kind == "placement":
            people = [edit.before, edit.after]
        elif edit.kind == "image":
            image = self.writer.image(edit.id)
            owner = None if image is None else self.writer.contribution(image.contribution_id)
            people = [None if owner is None else owner.person_id]
        for person_id in people:
            if person_id is not None:
                self.touched[person_id] = None
                self.subjects[person_id] = None
