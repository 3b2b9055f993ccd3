"""Erasing people and contributions: rows, pages, keys; with a receipt that says when nothing is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from probefusion.errors import ConfigError, UnknownNameError
from probefusion.gallery.changing import Changing, new_id
from probefusion.gallery.core import GalleryCore, check_name, utc
from probefusion.gallery.models import serving
from probefusion.gallery.records import ContributionRow, ReceiptRow
from probefusion.gallery.store import Writer

__all__ = ["Forgetting"]

_NOT_YET = "not overwritten yet"


class Forgetting(GalleryCore):
    """The part of `Gallery` that erases. None of it can be undone."""

    def forget(self, name: str | None = None, *, contribution: str | None = None) -> ReceiptRow:
        """Erases a person with all that the person has or had, or a contribution.

        The rows are deleted and their pages overwritten. Where the gallery is encrypted the keys are destroyed: what
        they sealed cannot be read any more in any copy of the database, as backups and replicas. Without keys, copies
        made before keep what they hold.

        Args:
            name: The person: a name, or the id of one who was removed.
            contribution: Or: the id of a contribution.

        Returns:
            The receipt: "erased", or "pending" with what still keeps bytes, as somebody who reads. Then call
            `finish_forgetting` later.

        Raises:
            UnknownNameError: If there is no such person or contribution.
            ConfigError: If not exactly one is named.
        """
        if (name is None) == (contribution is None):
            raise ConfigError("forget: expected a name or a contribution, and one of them.")
        with self._changing("forget") as change:
            if name is not None:
                subject, rows, people = self._of_person(change.writer, name)
            else:
                row = change.writer.contribution(str(contribution))
                if row is None:
                    raise UnknownNameError("contribution", str(contribution), ())
                subject, rows, people = row.id, [row], []
                if row.person_id is not None:
                    change.touched[row.person_id] = None
            keys = self._erase(change, rows, people)
            receipt = self._note_receipt(change, subject, keys)
        return self._finished(receipt, rows)

    def compact(
        self, name: str | None = None, *, before: datetime | None = None
    ) -> ReceiptRow | None:
        """Puts the sums over each contribution in place of its images' features, which are erased.

        This needs less room and keeps less of people; single images cannot be taken out, split off or explained any
        more, and the gallery not moved to another fuser. Templates stay as they are, up to rounding (1e-6).

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
            people = (
                [self._person(change.writer, name)]
                if name is not None
                else list(change.writer.people())
            )
            rows = [
                (person.id, row)
                for person in people
                for row in change.writer.contributions(person.id)
                if row.keep == "features" and (limit is None or row.time < limit)
            ]
            if model is None or not rows:
                change.is_given_up = True
                return None
            fuser = self._fusers.of(model)
            for person_id, row in rows:
                part = self._parts.of_contribution(change.writer, row, model, fuser)
                if part is not None and part.state is not None:
                    change.add(
                        part.state,
                        person_id=person_id,
                        kind=row.kind,
                        source=row.source,
                        time=row.time,
                    )
            keys = self._erase(change, [row for _, row in rows], [])
            receipt = self._note_receipt(change, model.id if name is None else people[0].id, keys)
        return self._finished(receipt, [row for _, row in rows])

    def finish_forgetting(self) -> tuple[ReceiptRow, ...]:
        """Goes on with all that is pending: destroys keys, overwrites pages.

        Returns:
            The receipts that were pending, as they are now.
        """
        with self._reading() as reader:
            pending = reader.receipts(pending_only=True)
        if not pending:
            return ()
        keys = [key_id for receipt in pending for key_id in receipt.key_ids]
        remaining = () if self._keys is None or not keys else self._keys.destroy(keys)
        remaining += self.store.overwrite()
        now = self._now()
        finished = tuple(
            replace(receipt, remaining=remaining)
            if remaining
            else replace(receipt, status="erased", finished=now, remaining=())
            for receipt in pending
        )
        if finished != pending:
            with self._changing("receipt") as change:
                for receipt in finished:
                    change.writer.put_receipt(receipt)
                    change.subjects[receipt.subject] = None
        return finished

    def receipts(self, *, pending_only: bool = False) -> tuple[ReceiptRow, ...]:
        """What became of requests to forget, oldest first."""
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

    def _finished(self, receipt: ReceiptRow, rows: Sequence[ContributionRow]) -> ReceiptRow:
        for row in rows:
            self._parts.cache.drop(row.id)
        done = {each.id: each for each in self.finish_forgetting()}
        return done.get(receipt.id, receipt)

    def _of_person(self, writer: Writer, name: str) -> tuple[str, list[ContributionRow], list[str]]:
        wanted = check_name(name)
        person = writer.person_named(wanted) or writer.person(wanted)
        if person is None:
            person = self._person(writer, name)
        people = [person.id, *_merged_into(writer, person.id)]
        rows = {
            row.id: row
            for each in people
            for row in (*writer.contributions(each), *writer.taken_out(each))
        }
        return person.id, list(rows.values()), people

    def _erase(
        self, change: Changing, rows: Sequence[ContributionRow], people: Sequence[str]
    ) -> list[str]:
        """Erases contributions and people, and all that changes noted of them; gives their keys."""
        writer = change.writer
        keys = [row.key_id for row in rows]
        gone = {row.id for row in rows} | set(people)
        for row in rows:
            writer.erase_contribution(row.id)
        for person_id in people:
            person = writer.person(person_id)
            keys.append(None if person is None else person.key_id)
            change.touched.pop(person_id, None)
            writer.erase_person(person_id)
        for noted in list(writer.changes()):
            if noted.edits and gone.intersection(noted.subjects):
                writer.put_change(replace(noted, edits=()))
        change.subjects.update(dict.fromkeys(gone))
        return [key_id for key_id in keys if key_id is not None]


def _merged_into(writer: Writer, person_id: str) -> list[str]:
    """People who are not shown any more since they were merged into one, directly or by others."""
    merges = [
        (set(change.subjects), [edit["id"] for edit in change.edits if edit["kind"] == "person"])
        for change in writer.changes()
        if change.action == "merge" and change.undone_by is None
    ]
    found: dict[str, None] = {person_id: None}
    for subjects, hidden in reversed(merges):  # whom others were merged into was there before
        for other in hidden:
            person = writer.person(other)
            is_hidden = person is not None and not person.shown
            if other not in found and is_hidden and subjects.intersection(found):
                found[other] = None
    del found[person_id]
    return list(found)
