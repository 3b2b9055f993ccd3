"""Many people at once: each batch of them is one change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias

from probefusion.errors import ConfigError, DtypeError, OutputExistsError
from probefusion.files.paths import brief
from probefusion.gallery.argument_checks import check_count, check_flag
from probefusion.gallery.changes.bulk_adding import NewPart, NewPerson, rows_of
from probefusion.gallery.changes.changing import Changing
from probefusion.gallery.contributions.contribution_rows import as_source
from probefusion.gallery.contributions.features import Kept
from probefusion.gallery.contributions.material import Material
from probefusion.gallery.contributions.models import model_to_add_to, serving
from probefusion.gallery.contributions.sums import without
from probefusion.gallery.core import check_name, check_new_name
from probefusion.gallery.results import Loaded
from probefusion.gallery.stores.records import ModelRow
from probefusion.gallery.verbs.chips import with_chips
from probefusion.gallery.verbs.judging import Judging
from probefusion.gallery.verbs.plain_people import PlainContribution, PlainPerson
from probefusion.types import EmbeddingSet, TemplateSet

__all__ = ["Loading", "PeopleToLoad"]

PeopleToLoad: TypeAlias = TemplateSet | Mapping[str, Any] | Iterable[PlainPerson | tuple[str, Any]]
"""Templates with their states, images by name, pairs of name and images, or people as `plain_people` gives them."""

_AT_ONCE = 200
"""People of one change, so that others can write in between."""


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What became of some people."""

    num_people: int
    num_contributions: int
    num_images: int
    skipped: tuple[str, ...]
    revision: int | None
    not_usable: tuple[str, ...] = ()


class Loading(Judging):
    """The part of `Gallery` that takes many people in."""

    def load(
        self,
        people: PeopleToLoad,
        *,
        skip_existing: bool = False,
        people_at_once: int = _AT_ONCE,
        source: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> Loaded:
        """Enrols many people, far faster than one after the other; memory holds one batch of them.

        Nobody looks whether images are of several people, or of somebody who is there under another name: `enroll`
        does. A batch is there as a whole or not at all, so a load that was stopped is repeated as it was with
        `skip_existing=True`.

        Args:
            people: A `TemplateSet` with states, a mapping of names to images, or an iterable, which is read once, of
                pairs of name and images (anything that `enroll` takes) or of people as `plain_people` gives them.
                Each name comes once.
            skip_existing: Whether to pass over people whose names are there; otherwise the load ends at the first.
            people_at_once: How many are one change, which `undo` takes back as a whole.
            source: Where the images are from; what people of `plain_people` say themselves stays.
            progress: Called after each batch with the number of people read so far.

        Returns:
            What was added, and who was passed over.

        Raises:
            OutputExistsError: If somebody of such a name is there, or a name comes twice; batches before stay.
            ConfigError, DtypeError: If a name cannot be one, or an argument is wrong; templates without states.
            EmbedderMismatchError, FuserMismatchError, ShapeError: If images are not of the gallery's embedder, or
                states of its fuser.
            ProbeFusionError: If the fuser cannot fuse what is given, or the store cannot be written.
        """
        skip_existing = check_flag(skip_existing, "skip_existing")
        at_once = check_count(people_at_once, "people_at_once", at_least=1)
        source = as_source(source)
        batches: list[_Batch] = []
        num_read = 0
        rest = self._people_to_load(people, source)
        while some := list(islice(rest, at_once)):
            before = sum(batch.num_people for batch in batches)
            batches.append(self._load_batch(some, before, skip_existing=skip_existing))
            num_read += len(some)
            if progress is not None:
                progress(num_read)
        revisions = [batch.revision for batch in batches if batch.revision is not None]
        return Loaded(
            num_people=sum(batch.num_people for batch in batches),
            num_contributions=sum(batch.num_contributions for batch in batches),
            num_images=sum(batch.num_images for batch in batches),
            skipped=tuple(name for batch in batches for name in batch.skipped),
            revisions=tuple(revisions),
            not_usable=tuple(name for batch in batches for name in batch.not_usable),
        )

    def take_people(self, people: Iterable[PlainPerson]) -> int:
        """Adds people as `plain_people` gave them, with new ids, one change for each.

        Args:
            people: Their names must be new. Who is different from whom is noted where both are there.

        Returns:
            How many were added.

        Raises:
            OutputExistsError: If somebody of such a name is there; those before are added.
            MismatchError, ShapeError: If they are not of the gallery's embedder and fuser.
        """
        return self.load(people, people_at_once=1).num_people

    def _people_to_load(self, people: object, source: str) -> Iterator[PlainPerson]:
        if isinstance(people, TemplateSet):
            if people.states is None:
                raise ConfigError(
                    "people: expected templates with their states, to which images can be added later, got templates "
                    "alone. Make them with states: Pipeline.fuse_people(..., keep_states=True), --states."
                )
            pairs: Iterable[Any] = zip(people.ids.tolist(), people.states, strict=True)
        elif isinstance(people, Mapping):
            pairs = people.items()
        elif isinstance(people, Iterable) and not isinstance(people, str | bytes):
            pairs = people
        else:
            raise DtypeError(
                f"people: expected a TemplateSet, a mapping of names to images, or pairs of them, got {brief(people)}."
            )
        for item in pairs:
            if isinstance(item, PlainPerson):
                yield item
            elif isinstance(item, tuple) and len(item) == 2:
                yield self._plain_person(item[0], item[1], source)
            else:
                raise DtypeError(
                    f"people: expected pairs of name and images, or people of plain_people, got {brief(item)}."
                )

    def _plain_person(self, name: str, what: Any, source: str) -> PlainPerson:
        kept = with_chips(self._material(what), None, keep=self.keep).to_keep()
        part = PlainContribution(id="", kind="enrolment", time="", source=source, kept=kept)
        return PlainPerson(
            id="",
            name=name,
            is_ignored=False,
            created="",
            vector=None,
            num_images=kept.num_images,
            contributions=(part,),
        )

    def _load_batch(self, people: list[PlainPerson], before: int, *, skip_existing: bool) -> _Batch:
        names = [check_new_name(person.name) for person in people]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise OutputExistsError(f"people: expected each name once, got {twice!r} twice.")
        with self._reading() as reader:
            there = reader.names_there(names)
        known = tuple(name for name in names if name in there)
        if known and not skip_existing:
            raise self._is_there(known[0], before)
        new = [person for person, name in zip(people, names, strict=True) if name not in there]
        if not new:
            return _Batch(
                num_people=0, num_contributions=0, num_images=0, skipped=known, revision=None
            )
        parts = sum(len(person.contributions) for person in new)
        with self._changing("import", num_keys=len(new) + parts) as change:
            for name in change.writer.names_there([check_name(person.name) for person in new]):
                raise self._is_there(name, before)  # another process was faster
            not_usable = self._take(change, new)
            revision = change.revision
        return _Batch(
            num_people=len(new),
            num_contributions=parts,
            num_images=sum(part.kept.num_images for who in new for part in who.contributions),
            skipped=known,
            revision=revision,
            not_usable=not_usable,
        )

    def _is_there(self, name: str, before: int) -> OutputExistsError:
        return OutputExistsError(
            f"{name!r} is in {self.collection!r} already; {before} people were added before. Pass over those who are "
            f"there (skip_existing=True), or rename or remove one of the two."
        )

    def _take(self, change: Changing, people: list[PlainPerson]) -> tuple[str, ...]:
        """Adds them; gives the names of those whose templates are not usable."""
        first = next((part.kept for who in people for part in who.contributions), None)
        if first is not None and serving(change.writer.models()) is None:
            change.new_model(first)
        rows = change.writer.models()
        new: list[NewPerson] = []
        for person in people:
            kept = [(each, self._kept_here(rows, each)) for each in person.contributions]
            parts = tuple(
                NewPart(
                    kept=what,
                    kind=each.kind,
                    source=as_source(each.source),
                    time=each.time or change.time,
                    left_out=each.left_out,
                )
                for each, what in kept
                if what is not None
            )
            name = check_new_name(person.name)
            new.append(NewPerson(name=name, is_ignored=person.is_ignored, parts=parts))
        not_usable = self._add_new(change, rows, new)
        self._link(change, people)
        return not_usable

    def _add_new(
        self, change: Changing, rows: Sequence[ModelRow], people: list[NewPerson]
    ) -> tuple[str, ...]:
        first = serving(rows)
        if first is None:  # people without any image, in a gallery without any
            for person in people:
                added = change.new_person(person.name)
                change.put_person(replace(added, ignored=person.is_ignored))
            return ()
        fuser = self._fusers.of(first)
        bulk = rows_of(
            people,
            model=first,
            fuser=fuser,
            sealer=change.sealer,
            created=change.time,
            revision=change.revision,
        )
        change.add_rows(bulk)
        for row in rows:
            if row.id != first.id:
                change.renew_templates(row, [person.id for person in bulk.people])
        return tuple(
            person.name
            for person, state in zip(bulk.people, bulk.states, strict=True)
            if state is not None and self._judge(state, fuser).is_not_usable
        )

    def _link(self, change: Changing, people: list[PlainPerson]) -> None:
        """Notes who is different from whom, where both are there."""
        for person in people:
            for other_name in person.different_from:
                one = change.writer.person_named(check_name(person.name))
                other = change.writer.person_named(check_name(other_name))
                if one is not None and other is not None:
                    change.link(one.id, other.id, True)

    def _kept_here(self, rows: Sequence[ModelRow], part: PlainContribution) -> Kept | None:
        """What this gallery keeps of a contribution; None if it is a state of no image that counts."""
        model = model_to_add_to(rows, Material(kept=part.kept))
        if not isinstance(part.kept, EmbeddingSet):
            return part.kept
        fuser = self._fusers.of(model)
        fuser.check_fits(part.kept)
        if self.keep == "features":
            return part.kept
        left = without(part.kept, part.left_out)
        return fuser.encode(left) if isinstance(left, EmbeddingSet) else None
