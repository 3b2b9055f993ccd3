"""Erasing people, contributions and images: rows, pages, keys; with a receipt that says when nothing is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from probefusion.errors import (
    ConfigError,
    ConflictError,
    DtypeError,
    FileFormatError,
    IntegrityError,
    SealError,
    StoreBusyError,
)
from probefusion.files.paths import brief
from probefusion.gallery.argument_checks import check_flag
from probefusion.gallery.changes.changing import Changing
from probefusion.gallery.changes.erasing import Erasing, all_of
from probefusion.gallery.changes.ids import new_id
from probefusion.gallery.changes.lineage import Merged, merged_into, merges
from probefusion.gallery.contributions.models import serving
from probefusion.gallery.core import GalleryCore, check_name, utc
from probefusion.gallery.stores.records import PersonRow, ReceiptRow
from probefusion.gallery.stores.store import Reader, Writer
from probefusion.gallery.verbs.named_rows import contribution_of, image_of
from probefusion.gallery.views import RemovedPerson

__all__ = ["Forgetting"]

_NOT_YET = "not overwritten yet"


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What is to be forgotten: people, or a contribution, or an image."""

    names: tuple[str, ...] = ()
    contribution: str | None = None
    image: str | None = None


class Forgetting(GalleryCore):
    """The part of `Gallery` that erases. None of it can be undone."""

    def forget(
        self,
        name: str | None = None,
        *,
        contribution: str | None = None,
        image: str | None = None,
    ) -> ReceiptRow:
        """Erases a person with all that the person has or had, or a contribution, or an image.

        The rows are deleted and their pages overwritten. Where the gallery is encrypted the keys are destroyed: what
        they sealed, names and sources included, cannot be read any more in any copy of the database, as backups and
        replicas. Without keys, copies made before keep what they hold. What was exported is not reached at all. Other
        collections of the same file are not touched. Damaged rows are no hindrance.

        Of a person goes all: what was taken out or held back, who was merged into the person, everybody of that name
        who was removed before, and what is left of images that were moved to the person one by one. What was moved
        to others stays theirs. A template that cannot be worked out without what was erased is taken away; `check`
        names it.

        Args:
            name: The person: a name, also of somebody who was removed, or an id to mean one alone (see `removed`).
            contribution: Or: the id of a contribution.
            image: Or: the id of an image; it is erased wherever it lies.

        Returns:
            The receipt: "erased", or "pending" with what still keeps bytes, as somebody who reads. Then call
            `finish_forgetting` later.

        Raises:
            UnknownNameError: If there is no such person, contribution or image.
            ConflictError: If the person was merged into somebody else, whose images cannot be told apart now.
            ConfigError: If not exactly one is named.
        """
        if sum(item is not None for item in (name, contribution, image)) != 1:
            raise ConfigError(
                "forget: expected a name, a contribution or an image, and one of them."
            )
        asked = _Asked(
            names=() if name is None else (name,), contribution=contribution, image=image
        )
        return self._erase(asked)[0]

    def forget_people(self, names: Iterable[str]) -> tuple[ReceiptRow, ...]:
        """Erases several people as `forget` does, in one change: all or nobody.

        What is overwritten and destroyed is so once for all of them, which is many times faster than one by one.

        Args:
            names: Names or ids, as for `forget`.

        Returns:
            The receipts, one for each that was named, in that order.

        Raises:
            DtypeError: If it is no list, or one of them no text.
            UnknownNameError, ConflictError: As for `forget`; nobody was erased.
        """
        if isinstance(names, str | bytes) or not isinstance(names, Iterable):
            raise DtypeError(
                f"names: expected a list of names, got {brief(names)}. Give [NAME, ...]."
            )
        wanted = tuple(dict.fromkeys(names))
        return self._erase(_Asked(names=wanted)) if wanted else ()

    def _erase(self, asked: _Asked) -> tuple[ReceiptRow, ...]:
        """Erases in one change. Where rows were damaged, once more with what can be read of them."""
        try:
            receipts, erasing = self._erase_once(asked, as_found=False)
        except (FileFormatError, IntegrityError, SealError):
            receipts, erasing = self._erase_once(asked, as_found=True)
        for item in erasing.contributions:
            self._parts.cache.drop(item)
        after_it = self.acting_as(self.actor)  # at whatever revision: this change made another
        done = {each.id: each for each in after_it._finish()}
        told = [done.get(receipt.id, receipt) for receipt in receipts]
        return (replace(told[0], lost=tuple(erasing.lost)), *told[1:])

    def _erase_once(
        self, asked: _Asked, *, as_found: bool
    ) -> tuple[tuple[ReceiptRow, ...], Erasing]:
        with self._changing("forget") as change:
            change.takes_away = True
            writer = change.writer
            if as_found:
                writer.take_as_found()
            erasing = Erasing(change, self._parts)
            subjects: list[str] = []
            if asked.names:
                people: dict[str, None] = {}
                known = merges(writer)
                for name in asked.names:
                    found = self._people_to_forget(writer, name, known)
                    subjects.append(found[0])
                    people.update(dict.fromkeys(found))
                erasing.erase(all_of(writer, people), people=tuple(people))
            elif asked.contribution is not None:
                row = contribution_of(writer, asked.contribution)
                subjects.append(row.id)
                erasing.erase([row])
            else:
                subjects.append(image_of(writer, cast("str", asked.image)).id)
                erasing.erase([], images=subjects, with_given_away=True)
            writer.on_damage = "raise"
            # The first receipt has the keys of all: they are destroyed together.
            receipts = tuple(
                self._note_receipt(change, subject, () if place else erasing.keys)
                for place, subject in enumerate(subjects)
            )
        return receipts, erasing

    def removed(self) -> tuple[RemovedPerson, ...]:
        """Everybody who is not shown any more and was not forgotten: removed, merged, or taken back by undoing."""
        with self._reading() as reader:
            known = merges(reader)
            return tuple(
                RemovedPerson(
                    id=person.id,
                    name=person.name,
                    created=person.created,
                    merged_into=known[person.id].into if person.id in known else "",
                )
                for person in reader.people(shown_only=False)
                if not person.shown
            )

    def compact(
        self, name: str | None = None, *, before: datetime | None = None
    ) -> ReceiptRow | None:
        """Puts the sums over each contribution in place of its images' features, which are erased.

        This needs less room and keeps less of people; single images cannot be taken out, split off or explained any
        more, and the gallery not moved to another fuser. Templates stay as they are, up to rounding (1e-6). What was
        taken out, held back or moved away is compacted as well, and so are people who were removed. Changes before
        can still be undone, but for those of single images.

        Args:
            name: Of one person; None for all.
            before: Only what was taken before that time; None for all.

        Returns:
            The receipt of erasing, as `forget` gives it; None if there was nothing to do.

        Raises:
            UnknownNameError: If there is nobody of that name.
            ConfigError: If there is another model, for which the images are needed; or a time without its zone.
        """
        limit = None if before is None else utc(before)
        with self._changing("compact") as change:
            models = change.writer.models()
            model = serving(models)
            if len(models) > 1:
                raise ConfigError(
                    f"compact: there are {len(models)} models, and each needs the images. Drop those that are not "
                    f"needed any more: drop_model."
                )
            first = None if name is None else self._person(change.writer, name)
            people = (
                [person.id for person in change.writer.people(shown_only=False)]
                if first is None
                else merged_into(merges(change.writer), [first.id])
            )
            rows = [
                row
                for row in all_of(change.writer, people)
                if row.keep == "features" and (limit is None or row.time < limit)
            ]
            if model is None or not rows:
                change.is_given_up = True
                return None
            fuser = self._fusers.of(model)
            in_place = {}
            for row in rows:
                part = self._parts.of_contribution(change.writer, row, model, fuser)
                if part is not None and part.state is not None:
                    new = change.add(
                        part.state,
                        person_id=row.last_person,
                        kind=row.kind,
                        source=row.source,
                        is_held=row.person_id is None,
                        reasons=change.writer.reasons(row.id),
                        time=row.time,
                    )
                    in_place[row.id] = new.id
            erasing = Erasing(change, self._parts)
            erasing.erase(rows, in_place=in_place)
            receipt = self._note_receipt(
                change, model.id if first is None else first.id, erasing.keys
            )
        return self._finished(receipt, erasing.contributions)

    def finish_forgetting(self) -> tuple[ReceiptRow, ...]:
        """Goes on with all that is pending: destroys keys, overwrites pages.

        A database that was restored from a backup beside a newer file of keys holds rows of people who were
        forgotten since: they are erased again, with a receipt.

        Returns:
            The receipts that were pending, as they are now.
        """
        self._forget_again()
        return self._finish()

    def _finish(self) -> tuple[ReceiptRow, ...]:
        with self._reading() as reader:
            reader.on_damage = "pass over"
            pending = reader.receipts(pending_only=True)
        if not pending:
            return ()
        keys = [key_id for receipt in pending for key_id in receipt.key_ids]
        remaining = () if self._keys is None or not keys else self._keys.destroy(keys)
        try:
            remaining += self.store.overwrite()
        except StoreBusyError as error:
            remaining += (f"another process writes, so that nothing was overwritten: {error}",)
        now = self._now()
        finished = tuple(
            replace(receipt, remaining=remaining)
            if remaining
            else replace(receipt, status="erased", finished=now, remaining=())
            for receipt in pending
        )
        if finished != pending:
            try:
                self._note_finished(finished)
            except StoreBusyError:
                return pending  # all is as before: pending
        with self._reading() as reader:
            reader.on_damage = "pass over"
            known = {receipt.id: receipt for receipt in reader.receipts()}
        return tuple(known.get(receipt.id, receipt) for receipt in finished)

    def _note_finished(self, finished: Sequence[ReceiptRow]) -> None:
        with self._changing("receipt") as change:
            change.takes_away = True
            change.writer.on_damage = "pass over"
            open_still = {row.id: row for row in change.writer.receipts(pending_only=True)}
            for receipt in finished:  # another process may have finished some meanwhile
                if receipt.id in open_still and receipt != open_still[receipt.id]:
                    change.writer.put_receipt(receipt)
                    change.subjects[receipt.subject] = None
            if not change.subjects:
                change.is_given_up = True

    def _forget_again(self) -> None:
        """Erases what was sealed by keys that were destroyed, as after a backup was restored."""
        if self._keys is None:
            return
        with self._reading() as reader:
            if reader.forgotten() == ((), ()):
                return
        with self._changing("forget") as change:
            change.takes_away = True
            gone, lost = change.writer.forgotten()
            if not gone and not lost:
                change.is_given_up = True
                return
            change.writer.on_damage = "as found"  # nothing else shows who was forgotten
            rows = {row.id: row for row in (*all_of(change.writer, gone), *lost)}
            erasing = Erasing(change, self._parts)
            erasing.erase(list(rows.values()), people=gone)
            change.writer.on_damage = "raise"
            subjects = gone or tuple(rows)
            for subject in subjects[1:]:
                self._note_receipt(change, subject, ())
            self._note_receipt(change, subjects[0], erasing.keys)
        for item in erasing.contributions:
            self._parts.cache.drop(item)

    def receipts(self, *, pending_only: bool = False) -> tuple[ReceiptRow, ...]:
        """What became of requests to forget, oldest first.

        Args:
            pending_only: Whether to leave out what is erased.
        """
        pending_only = check_flag(pending_only, "pending_only")
        with self._reading() as reader:
            return reader.receipts(pending_only=pending_only)

    def _note_receipt(self, change: Changing, subject: str, keys: Sequence[str]) -> ReceiptRow:
        receipt = ReceiptRow(
            id=new_id("r"),
            time=self._now(),
            subject=subject,
            status="pending",
            remaining=(_NOT_YET,),
            key_ids=tuple(keys),
        )
        change.writer.put_receipt(receipt)
        change.subjects[subject] = None
        return receipt

    def _finished(self, receipt: ReceiptRow, contributions: Iterable[str]) -> ReceiptRow:
        for item in contributions:
            self._parts.cache.drop(item)
        done = {each.id: each for each in self._finish()}
        return done.get(receipt.id, receipt)

    def _people_to_forget(
        self, writer: Writer, name: str, known: Mapping[str, Merged]
    ) -> list[str]:
        """Ids of a person and all who are the same; the first is the one that is meant.

        Args:
            writer: Of the collection.
            name: A name or an id.
            known: Who was merged into whom.

        Raises:
            UnknownNameError: If there is nobody.
            ConflictError: If one of them was merged into somebody else.
        """
        wanted = check_name(name)
        person = writer.person(wanted)
        found = [person] if person is not None else list(writer.all_named(wanted))
        if not found:  # what finds the name may be damaged
            found = [row for row in writer.people(shown_only=False) if row.name == wanted]
        if not found:
            self._person(writer, name)  # says who there is
        found.sort(key=lambda row: not row.shown)
        people = merged_into(known, [row.id for row in found])
        for row in found:
            merged = known.get(row.id)
            if merged is not None and merged.into not in people:
                raise _is_merged(writer, row, merged, by_id=person is not None)
        return people


def _is_merged(reader: Reader, row: PersonRow, merged: Merged, *, by_id: bool) -> ConflictError:
    other = reader.person(merged.into)
    named = merged.into if other is None else f"{other.name!r} ({other.id})"
    alone = "" if by_id else ", or give the id of the person whom you mean (see removed())"
    return ConflictError(
        f"forget: {row.name!r} ({row.id}) was merged into {named} by change {merged.revision}, who has the images now. "
        f"Undo that first: undo({merged.revision}); or forget {named} with all{alone}."
    )
