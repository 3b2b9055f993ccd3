"""What a gallery holds: people, changes, sums that are checked again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from probefusion.errors import IntegrityError, InvalidInputError, ProbeFusionError, SealError
from probefusion.gallery.argument_checks import check_count, check_flag
from probefusion.gallery.contributions.models import serving
from probefusion.gallery.contributions.sums import template_of
from probefusion.gallery.core import GalleryCore, check_name
from probefusion.gallery.stores.records import ChangeRow, ModelRow, PersonRow
from probefusion.gallery.stores.store import Reader
from probefusion.gallery.verbs.contribution_views import view_of
from probefusion.gallery.verbs.enrolling import held_rows
from probefusion.gallery.views import ModelView, PersonView, Stats

__all__ = ["Looking"]


class Looking(GalleryCore):
    """The part of `Gallery` that tells what there is."""

    def __len__(self) -> int:
        """How many people are shown."""
        with self._reading() as reader:
            return reader.count()["people"]

    def __contains__(self, name: object) -> bool:
        try:
            wanted = check_name(name, is_new=False)
        except InvalidInputError:  # nobody can be named so
            return False
        with self._reading() as reader:
            return reader.person_named(wanted) is not None

    def list(self) -> tuple[str, ...]:
        """Names of all people who are shown, in order; of those whose row was damaged the ids."""
        with self._reading() as reader:
            reader.on_damage = "pass over"
            names = [person.name for person in reader.people()]
            names += [row.person_id for row in reader.damaged if row.person_id is not None]
            return tuple(sorted(names))

    def ids(self) -> dict[str, str]:
        """Names of all people who are shown, in order, each with the opaque id; as `list`."""
        with self._reading() as reader:
            reader.on_damage = "pass over"
            found = {person.name: person.id for person in reader.people()}
            found |= {row.person_id: row.person_id for row in reader.damaged if row.person_id}
            return dict(sorted(found.items()))

    def person(self, name: str) -> PersonView:
        """What there is of a person.

        Raises:
            UnknownNameError: If there is nobody of that name.
        """
        with self._reading() as reader:
            row = self._person(reader, name)
            model = serving(reader.models())
            vector = None if model is None else reader.vector(model.id, row.id)
            rows = sorted(reader.contributions(row.id), key=lambda each: (each.time, each.id))
            return PersonView(
                id=row.id,
                name=row.name,
                num_images=0 if vector is None else vector.num_images,
                is_ignored=row.ignored,
                created=row.created,
                contributions=tuple(view_of(reader, each) for each in rows),
                different_from=_different(reader, row),
            )

    def history(
        self, name: str | None = None, *, limit: int | None = None, before: int | None = None
    ) -> tuple[ChangeRow, ...]:
        """Changes, the newest first.

        Args:
            name: Of a person, to see only what concerns that person.
            limit: How many at most.
            before: Only changes before this revision. The revision of the last change that was given leads to those
                that follow it, whatever is changed meanwhile.

        Raises:
            DtypeError, ConfigError: If the limit or the revision is no whole number of 0 or more.
            UnknownNameError: If there is nobody of that name.
        """
        limit = None if limit is None else check_count(limit, "limit")
        before = None if before is None else check_count(before, "before")
        with self._reading() as reader:
            wanted = None if name is None else self._person(reader, name).id
            rows = reader.changes(before=before, newest_first=True)
            found = (row for row in rows if wanted is None or wanted in row.subjects)
            return tuple(islice(found, limit))

    def stats(self, *, looks_for_damage: bool = True) -> Stats:
        """How much there is.

        Args:
            looks_for_damage: Whether every row is read and compared with its checksum, which takes seconds where there
                are many people; otherwise the database counts, and `damaged` is ().
        """
        looks_for_damage = check_flag(looks_for_damage, "looks_for_damage")
        with self._reading() as reader:
            found = reader.damaged_rows() if looks_for_damage else ()
            damaged = tuple(str(row) for row in found)
            reader.on_damage = "pass over"
            counts = reader.count()
            model = serving(_readable_models(reader))
            return Stats(
                collection=self.collection,
                revision=reader.revision,
                num_people=counts["people"],
                num_hidden=counts["hidden"],
                num_contributions=counts["contributions"],
                num_images=counts["images"],
                num_held=len(held_rows(reader)),
                num_bytes=counts["bytes"],
                is_encrypted=self.is_encrypted,
                model=None if model is None else self._model_view(reader, model),
                damaged=damaged,
            )

    def models(self) -> tuple[ModelView, ...]:
        """The embedders and fusers of the collection, in the order in which they were added."""
        with self._reading() as reader:
            return tuple(self._model_view(reader, row) for row in reader.models())

    def check(self) -> tuple[str, ...]:
        """Works all templates out again from the contributions, and compares them bit by bit.

        Returns:
            What is wrong, in words; () if all is as it must be.
        """
        with self._reading() as reader:
            return tuple(self._faults(reader))

    def _faults(self, reader: Reader) -> Iterator[str]:
        self._parts.cache.drop()
        damaged = list(reader.damaged_rows())
        yield from (str(row) for row in damaged)
        told = {row.person_id for row in damaged}
        reader.on_damage = "pass over"
        models = [
            (row, self._fusers.of(row))
            for row in _readable_models(reader)
            if row.status == "serving"
        ]
        for person in reader.people():
            if person.id in told:
                continue
            for model, fuser in models:
                try:
                    found = self._parts.of_person(reader, person.id, model, fuser)
                    for item in found.missing:
                        yield f"contribution {item}: nothing of it is in the template by {model.id}, which serves"
                    template = template_of(found.parts, fuser)
                    stored = reader.vector(model.id, person.id)
                    sealed = None if stored is None else stored.vector
                    if template is None or sealed is None:
                        if template is not None or sealed is not None:
                            yield f"person {person.id}: template and contributions do not go together"
                        continue
                    key = self._sealer.key(person.key_id)
                    vector = self._sealer.open_vector(sealed, person.id, model.id, key)
                except ProbeFusionError as error:
                    yield f"person {person.id}: {error}"
                    continue
                if vector.tobytes() != template.vector.astype("<f4").tobytes():
                    yield f"person {person.id}: the template is not that of the contributions"

    def _model_view(self, reader: Reader, row: ModelRow) -> ModelView:
        return ModelView(
            id=row.id,
            embedder=row.embedder,
            fuser=row.fuser,
            dim=row.dim,
            status=row.status,
            num_people=reader.count_templates(row.id),
            num_missing=len(self._missing(reader, row)),
        )

    def _missing(self, reader: Reader, model: ModelRow) -> tuple[str, ...]:
        """Ids of contributions of people who are shown that a model cannot use yet."""
        if model.status == "serving":
            # it had all when it began; what came since must be of its embedder
            return reader.without_payload(model.embedder)
        fuser = self._fusers.of(model)
        missing: list[str] = []
        for person in reader.people():
            try:
                missing += self._parts.missing_of_person(reader, person.id, model, fuser)
            except (IntegrityError, SealError):
                if reader.on_damage == "raise":
                    raise
        return tuple(missing)


def _readable_models(reader: Reader) -> tuple[ModelRow, ...]:
    """The models; none if one was damaged: without its embedder and fuser nothing can be said of the others."""
    try:
        return reader.models()
    except IntegrityError:
        return ()


def _different(reader: Reader, person: PersonRow) -> tuple[str, ...]:
    found = []
    for link in reader.links():
        if person.id in (link.first, link.second):
            other = reader.person(link.second if link.first == person.id else link.first)
            if other is not None and other.shown:
                found.append(other.name)
    return tuple(sorted(found))
