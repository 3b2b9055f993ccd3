"""Taking changes back."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from probefusion.errors import ConflictError, UnknownNameError, UnsupportedOperationError
from probefusion.gallery.argument_checks import check_count
from probefusion.gallery.changes.edits import can_be_undone, undo_edits
from probefusion.gallery.core import GalleryCore
from probefusion.gallery.stores.records import ChangeRow
from probefusion.gallery.stores.store import Reader

__all__ = ["Undoing"]

_LISTED = 50
"""Changes that a message names."""

_NOT_UNDONE = {
    "forget": "what was forgotten is erased",
    "compact": "the images were erased, their sums are left",
    "receipt": "it notes what became of a request to forget",
    "add model": "take the model away with drop_model",
    "drop model": "add the model again with add_model",
    "embed anew": "it only added what another model needs",
    "fuse anew": "it only worked out templates",
}


class Undoing(GalleryCore):
    """The part of `Gallery` that takes changes back."""

    def undo(self, revision: int | None = None) -> int:
        """Takes a change back, exactly: the templates are the same, bit for bit, as if it had not been made.

        Args:
            revision: Of the change, whoever made it; see `history`. None takes the newest change **of this actor** that
                was not undone and undoes nothing itself: what other programs and people did meanwhile stays.
                Galleries that were opened without `actor` are one actor. A change that undid another can be undone
                as well.

        Returns:
            The revision of this change.

        Raises:
            UnknownNameError: If there is no such change, or none of this actor.
            ConflictError: If a later change stands in the way, naming it; if it was undone already.
            UnsupportedOperationError: If it cannot be undone, as forgetting.
        """
        with self._changing("undo") as change:
            row = _change(change.writer, revision, self.actor)
            if row.action in _NOT_UNDONE:
                raise UnsupportedOperationError(
                    f"undo: change {row.revision} ({row.action}) cannot be undone: {_NOT_UNDONE[row.action]}."
                )
            if row.undone_by is not None:
                raise _undone(row.revision, row.undone_by)
            if not can_be_undone(change.writer, row):
                raise UnsupportedOperationError(
                    f"undo: change {row.revision} ({row.action}) cannot be undone: it changed nothing, or what it "
                    f"replaced was forgotten."
                )
            change.subjects.update(dict.fromkeys(row.subjects))
            change.note_edits(undo_edits(change.writer, row))
            change.undoes = row.revision
            change.writer.put_change(replace(row, undone_by=change.revision))
            if row.undoes is not None:
                undone = change.writer.change(row.undoes)
                if undone is not None:
                    change.writer.put_change(replace(undone, undone_by=None))
            return change.revision


def _change(reader: Reader, revision: int | None, actor: str) -> ChangeRow:
    if revision is not None:
        wanted = check_count(revision, "revision")
        row = reader.change(wanted)
        if row is None:
            latest = islice(reader.changes(newest_first=True), _LISTED)
            raise UnknownNameError("change", str(wanted), (str(row.revision) for row in latest))
        return row
    newest: ChangeRow | None = None
    for row in reader.changes(newest_first=True):
        is_open = row.undone_by is None and row.undoes is None and row.action not in _NOT_UNDONE
        if not is_open or not (row.edits or row.action == "reject"):
            continue
        if row.actor == actor:
            return row
        newest = newest or row
    step = "Nothing is there to undo."
    if newest is not None:
        step = (
            f"The newest change is {newest.revision} ({newest.action}) of {newest.actor!r}. Name it to take it back: "
            f"undo({newest.revision})."
        )
    raise UnknownNameError("change that can be undone, of actor", actor, (), step=step)


def _undone(revision: int, by: int) -> ConflictError:
    return ConflictError(
        f"undo: change {revision} was undone already by change {by}. To make it again, undo change {by}."
    )
