"""What a change replaced, so that it can be undone; and what stands in the way of that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from probefusion.errors import ConflictError, UnsupportedOperationError
from probefusion.gallery.stores.records import ChangeRow, LinkRow, PersonRow
from probefusion.gallery.stores.store import Reader, Writer

__all__ = [
    "Edit",
    "EditKind",
    "apply_edit",
    "can_be_undone",
    "current_value",
    "merged_by",
    "starts_to_serve",
    "undo_edits",
    "value_of_person",
]

EditKind: TypeAlias = Literal["person", "placement", "image", "link", "model"]
"""What an edit is about: a person's name and flags, whose a contribution is, whether an image is left out, whether two
people are known to be different, what a model is used for."""

_ABOUT = {
    "person": "person {}",
    "placement": "contribution {}",
    "image": "image {}",
    "link": "the two people {}",
    "model": "model {}",
}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One value that a change replaced.

    Args:
        kind: What it is about.
        id: Of whom or what; of a link both ids with a blank between.
        before: The value before; None for a person who was not there, and a contribution of nobody.
        after: The value after.
    """

    kind: EditKind
    id: str
    before: Any
    after: Any

    def as_row(self) -> dict[str, Any]:
        """Plain values, as a `ChangeRow` keeps them."""
        return {"kind": self.kind, "id": self.id, "before": self.before, "after": self.after}

    @staticmethod
    def from_row(row: dict[str, Any]) -> Edit:
        """What `as_row` gave."""
        return Edit(kind=row["kind"], id=row["id"], before=row["before"], after=row["after"])


def value_of_person(person: PersonRow) -> dict[str, Any]:
    """What of a person can be changed."""
    return {"name": person.name, "shown": person.shown, "ignored": person.ignored}


def current_value(writer: Reader, kind: EditKind, item: str) -> Any:
    """The value that an edit of this kind would replace now."""
    if kind == "person":
        person = writer.person(item)
        return None if person is None else value_of_person(person)
    if kind == "placement":
        contribution = writer.contribution(item)
        return None if contribution is None else contribution.person_id
    if kind == "image":
        image = writer.image(item)
        return None if image is None else image.left_out
    if kind == "link":
        return _link(item) in writer.links()
    return next((model.status for model in writer.models() if model.id == item), None)


def apply_edit(writer: Writer, kind: EditKind, item: str, value: Any) -> None:
    """Puts a value; the person, contribution, image or model must be there."""
    if kind == "person":
        person = writer.person(item)
        if person is not None:
            writer.put_person(replace(person, **value))
    elif kind == "placement":
        writer.place(item, value)
    elif kind == "image":
        writer.leave_out(item, value)
    elif kind == "link":
        (writer.put_link if value else writer.drop_link)(_link(item))
    else:
        model = next(model for model in writer.models() if model.id == item)
        writer.put_model(replace(model, status=value))


def undo_edits(writer: Writer, change: ChangeRow) -> list[Edit]:
    """Puts back what a change replaced, if everything still is as the change left it.

    Args:
        writer: Where.
        change: The change.

    Returns:
        What that replaced in turn.

    Raises:
        ConflictError: If a later change stands in the way, naming it.
        UnsupportedOperationError: If it added a model.
    """
    edits = [Edit.from_row(row) for row in reversed(change.edits)]
    done = []
    for edit in sorted(edits, key=_people_who_come_back_first):
        now = current_value(writer, edit.kind, edit.id)
        if now != edit.after:
            raise _conflict(writer, change, edit)
        before = edit.before
        if before is None and edit.kind == "person":
            before = {**edit.after, "shown": False}
        if before is None and edit.kind == "model":
            raise UnsupportedOperationError(
                f"undo of change {change.revision}: it added a model. Take it away with drop_model({edit.id!r})."
            )
        if edit.kind == "person" and before["shown"]:
            _check_name_free(writer, change, edit.id, before["name"])
        apply_edit(writer, edit.kind, edit.id, before)
        done.append(Edit(kind=edit.kind, id=edit.id, before=edit.after, after=before))
    _check_owners(writer, change, edits)
    return done


def can_be_undone(reader: Reader, change: ChangeRow) -> bool:
    """Whether a change replaced something, as far as it is still known; rejecting does so without edits."""
    if change.edits or change.action == "reject":
        return True
    undone = None if change.undoes is None else reader.change(change.undoes)
    return undone is not None and can_be_undone(reader, undone)


def starts_to_serve(edits: Sequence[Edit], model_id: str) -> bool:
    """Whether a model serves after these edits that did not before."""
    return any(
        edit.kind == "model" and edit.id == model_id and edit.after == "serving" for edit in edits
    )


def merged_by(reader: Reader, edits: Sequence[Edit]) -> list[tuple[str, str]]:
    """Ids of people who got all that others had, and of these others, who are not shown any more."""
    found: dict[tuple[str, str], None] = {}
    for edit in edits:
        if edit.kind == "placement" and edit.before is not None and edit.after is not None:
            person = reader.person(edit.before)
            if person is not None and not person.shown:
                found[edit.after, edit.before] = None
    return list(found)


def _people_who_come_back_first(edit: Edit) -> int:
    is_shown = edit.kind == "person" and edit.before is not None and edit.before["shown"]
    return 0 if is_shown else 1


def _link(item: str) -> LinkRow:
    first, second = item.split(" ")
    return LinkRow(first=first, second=second)


def _check_name_free(writer: Writer, change: ChangeRow, person_id: str, name: str) -> None:
    other = writer.person_named(name)
    if other is None or other.id == person_id:
        return
    by = _latest(writer, change.revision, [("person", other.id)])
    raise ConflictError(
        f"undo of change {change.revision} ({change.action}): somebody else is named {name!r} since{_named(by)}. "
        f"Rename that person first."
    )


def _check_owners(writer: Writer, change: ChangeRow, edits: list[Edit]) -> None:
    """Refuses contributions for people who are not there any more, or would be left with nobody."""
    for edit in edits:
        if edit.kind == "placement" and edit.before is not None:
            owner = writer.person(edit.before)
            if owner is None or not owner.shown:
                by = _latest(writer, change.revision, [("person", edit.before)])
                raise ConflictError(
                    f"undo of change {change.revision} ({change.action}): contribution {edit.id} would go back to "
                    f"person {edit.before}, who was removed{_named(by)}. Undo that first."
                )
        if edit.kind == "person" and edit.before is None:
            left = writer.contributions(edit.id)
            if left:
                by = _latest(writer, change.revision, [("placement", left[0].id)])
                raise ConflictError(
                    f"undo of change {change.revision} ({change.action}): person {edit.id} has {len(left)} "
                    f"contributions of later changes{_named(by)}. Undo those first, or remove the person."
                )


def _conflict(writer: Writer, change: ChangeRow, edit: Edit) -> ConflictError:
    about = _ABOUT[edit.kind].format(edit.id)
    if edit.kind != "link" and not _is_there(writer, edit):
        return ConflictError(
            f"undo of change {change.revision} ({change.action}): {about} was erased since and cannot come back."
        )
    by = _latest(writer, change.revision, [(edit.kind, edit.id)])
    return ConflictError(
        f"undo of change {change.revision} ({change.action}): {about} was changed since{_named(by)}. Undo that first."
    )


def _is_there(writer: Writer, edit: Edit) -> bool:
    if edit.kind == "placement":
        return writer.contribution(edit.id) is not None
    return current_value(writer, edit.kind, edit.id) is not None


def _latest(writer: Reader, after: int, wanted: Iterable[tuple[EditKind, str]]) -> ChangeRow | None:
    keys = set(wanted)
    for change in writer.changes(after=after, newest_first=True):
        if any((row["kind"], row["id"]) in keys for row in change.edits):
            return change
    return None


def _named(change: ChangeRow | None) -> str:
    return "" if change is None else f" by change {change.revision} ({change.action})"
