"""People: listed, looked at, enrolled, renamed, removed."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from probefusion.gallery.views import PersonView, Stats
from probefusion.service.answers import Changed, Named, Page, Taken
from probefusion.service.bodies import Enrolment, PersonChange
from probefusion.service.calls import Reader, Writer
from probefusion.service.cursors import Cursor, cursor_at, text_at
from probefusion.service.json_bodies import JsonRoute
from probefusion.service.problems import Refusal
from probefusion.service.versions import IfNoneMatch, tagged

__all__ = ["PersonName", "router"]

router = APIRouter(prefix="/v1/collections/{collection}", tags=["people"], route_class=JsonRoute)

PersonName = Annotated[str, Path(max_length=1024, description="Name or id of the person.")]


@router.get("", summary="How much a collection holds")
def stats(collection: str, call: Reader) -> Stats:
    return call.gallery.stats(looks_for_damage=False)


@router.get("/people", summary="Names of people, in order", response_model=Page)
def list_people(
    collection: str,
    call: Reader,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
    name: Annotated[
        str | None, Query(max_length=1024, description="Only who has this name.")
    ] = None,
    contains: Annotated[
        str | None,
        Query(
            max_length=256,
            description="Only who has this in the name, in small or capital letters.",
        ),
    ] = None,
    if_none_match: IfNoneMatch = None,
) -> Any:
    gallery = call.gallery
    unchanged = tagged(response, gallery.version, if_none_match)
    if unchanged is not None:
        return unchanged
    ids = gallery.ids()
    wanted = None if name is None else unicodedata.normalize("NFC", name)
    part_of_name = _folded(contains or "")
    names = [each for each in ids if wanted in (None, each) and part_of_name in _folded(each)]
    begin = 0 if cursor is None else bisect_right(names, text_at(cursor))
    part = names[begin : begin + limit]
    more = begin + limit < len(names)
    call.note("list")
    return Page(
        people=tuple(Named(id=ids[each], name=each) for each in part),
        next=cursor_at(part[-1]) if more else None,
        total=len(names),
    )


@router.post("/people", status_code=201, summary="Enrol a new person")
def enroll(collection: str, body: Enrolment, call: Writer) -> Taken:
    what = call.hub.to_keep(body.query, call.owner, keep_chips=body.keep_chips)
    added = call.gallery.enroll(body.name, what, source=body.source)
    call.note_change("enroll", added.person_id, added.contribution_id)
    return Taken(**vars(added), problems=call.hub.problems_of(what))


@router.get(
    "/people/{person}",
    summary="A person and what the person consists of",
    response_model=PersonView,
)
def person(
    collection: str,
    person: PersonName,
    call: Reader,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Any:
    gallery = call.gallery
    version = gallery.version
    view = gallery.person(person)
    call.note("read", view.id)
    return tagged(response, version, if_none_match) or view


@router.patch("/people/{person}", summary="Rename a person, or ignore matches")
def change_person(
    collection: str,
    person: PersonName,
    body: PersonChange,
    call: Writer,
) -> Changed:
    gallery = call.gallery
    whom = call.id_of(person)
    if (body.name is None) == (body.is_ignored is None):
        raise Refusal(422, "expected name or is_ignored, one of them.", code="field", field="")
    if body.name is not None:
        revision = gallery.rename(person, body.name)
    else:
        revision = gallery.ignore(person, bool(body.is_ignored))
    call.note_change("change", whom)
    return Changed(revision=revision)


@router.delete("/people/{person}", summary="Remove a person; can be undone")
def remove_person(collection: str, person: PersonName, call: Writer) -> Changed:
    gallery = call.gallery
    whom = call.id_of(person)
    revision = gallery.remove(person)
    call.note_change("remove", whom)
    return Changed(revision=revision)


def _folded(name: str) -> str:
    """As names are looked for: without regard to capitals."""
    return unicodedata.normalize("NFC", name).casefold()
