"""Erasing people and contributions: rows, pages, keys; with a receipt that says when nothing is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from probefusion.errors import ConfigError, UnknownNameError
from probefusion.gallery.changing import Changing, new_id
from probefusion.gallery.core import GalleryCore, check_name
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
        for row in rows:
            self._parts.cache.drop(row.id)
        done = {each.id: each for each in self.finish_forgetting()}
        return done.get(receipt.id, receipt)

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

    def _of_person(self, writer: Writer, name: str) -> tuple[str, list[ContributionRow], list[str]]:
        wanted = check_name(name)
        person = writer.person_named(wanted) or writer.person(wanted)
        if person is None:
            person = self._person(writer, name)
        rows = [*writer.contributions(person.id), *writer.taken_out(person.id)]
        return person.id, rows, [person.id]

    def _erase(
        self, change: Changing, rows: Sequence[ContributionRow], people: list[str]
    ) -> list[str]:
        """Erases contributions and people, and all that changes noted of them; gives their keys."""
        writer = change.writer
        keys = [row.key_id for row in rows]
        gone = {row.id for row in rows} | set(people)
        for row in rows:
            writer.erase_contribution(row.id)
        people += self._merged_into(writer, gone, people)
        gone |= set(people)
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

    def _merged_into(self, writer: Writer, gone: set[str], people: Sequence[str]) -> list[str]:
        """Those who were merged into the people, or were named so in changes of them, and have nothing left."""
        if not people:
            return []
        named = {
            subject
            for noted in writer.changes()
            if gone.intersection(noted.subjects)
            for subject in noted.subjects
        }
        found = []
        for subject in sorted(named - gone):
            person = writer.person(subject)
            if person is None or person.shown:
                continue
            if not writer.contributions(subject) and not writer.taken_out(subject):
                found.append(subject)
        return found
