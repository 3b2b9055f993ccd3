"""What was changed, taking it back, and erasing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query

from probefusion.gallery.stores.records import ChangeRow
from probefusion.service.answers import Changed
from probefusion.service.bodies import Forgetting
from probefusion.service.calls import Admin, Reader, Writer
from probefusion.service.cursors import Cursor, cursor_at, number_at
from probefusion.service.json_bodies import JsonRoute
from probefusion.service.problems import Refusal

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{collection}", tags=["changes"], route_class=JsonRoute)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change; what it replaced is not told."""

    revision: int
    time: str
    actor: str
    action: str
    subjects: tuple[str, ...]
    undoes: int | None
    undone_by: int | None


@dataclass(frozen=True, kw_only=True)
class ChangePage:
    """Changes, the newest first, and where to go on.

    Args:
        changes: What was changed.
        next: The cursor of the changes before these, or None at the end. Changes that come meanwhile do not move it.
    """

    changes: tuple[Change, ...]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a request to forget; "pending" while bytes may still lie somewhere."""

    id: str
    time: str
    subject: str
    status: str
    finished: str
    remaining: tuple[str, ...]


@router.get("/changes", summary="The newest changes first")
def changes(
    collection: str,
    call: Reader,
    person: Annotated[str | None, Query(max_length=1024)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> ChangePage:
    before = None if cursor is None else number_at(cursor)
    whom = () if person is None else (call.id_of(person),)
    rows = call.gallery.history(person, limit=limit + 1, before=before)
    call.note("history", *whom)
    shown = rows[:limit]
    return ChangePage(
        changes=tuple(_change(row) for row in shown),
        next=cursor_at(str(shown[-1].revision)) if len(rows) > limit else None,
    )


@router.post("/changes/{revision}/undo", summary="Take a change back")
def undo(collection: str, revision: Annotated[int, Path(ge=1)], call: Writer) -> Changed:
    made = call.gallery.undo(revision)
    call.note_change("undo", f"revision:{revision}")
    return Changed(revision=made)


@router.post("/forget", summary="Erase a person, a contribution or an image for good")
def forget(collection: str, body: Forgetting, call: Admin) -> Receipt:
    given = [
        name for name in ("person", "contribution", "image") if getattr(body, name) is not None
    ]
    if len(given) != 1:
        raise Refusal(
            422,
            f"expected one of person, contribution, image, got {given or 'none'}.",
            code="field",
        )
    row = call.gallery.forget(body.person, contribution=body.contribution, image=body.image)
    call.note_change("forget", row.subject)
    return _receipt(row)


@router.get("/receipts", summary="What became of requests to forget")
def receipts(collection: str, call: Admin, pending_only: bool = False) -> tuple[Receipt, ...]:
    gallery = call.gallery
    gallery.finish_forgetting()
    call.note("receipts")
    return tuple(_receipt(row) for row in gallery.receipts(pending_only=pending_only))


def _change(row: ChangeRow) -> Change:
    names = ("revision", "time", "actor", "action", "subjects", "undoes", "undone_by")
    return Change(**{name: getattr(row, name) for name in names})


def _receipt(row: object) -> Receipt:
    names = ("id", "time", "subject", "status", "finished", "remaining")
    return Receipt(**{name: getattr(row, name) for name in names})
