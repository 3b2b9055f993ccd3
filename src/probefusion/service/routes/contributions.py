"""What people consist of: added, moved, merged, split, taken out, held back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Response

from probefusion.gallery.results import Merged
from probefusion.gallery.views import ContributionView
from probefusion.service.answers import Changed, Taken
from probefusion.service.bodies import Decide, Difference, Merge, Split, Visit
from probefusion.service.calls import Reader, Writer
from probefusion.service.json_bodies import JsonRoute
from probefusion.service.problems import Refusal
from probefusion.service.routes.people import PersonName

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/collections/{collection}", tags=["contributions"], route_class=JsonRoute
)

ItemId = Annotated[str, Path(max_length=128)]


@dataclass(frozen=True, kw_only=True)
class Held:
    """Images that wait for a decision.

    Args:
        name: Of the person they are said to be of.
        contribution: What was added.
    """

    name: str
    contribution: ContributionView


@router.post("/people/{person}/contributions", status_code=201, summary="Add images to a person")
def update(collection: str, person: PersonName, body: Visit, call: Writer) -> Taken:
    what = call.hub.to_keep(body.query, call.owner, keep_chips=body.keep_chips)
    added = call.gallery.update(person, what, guard=body.guard, source=body.source)
    call.note_change("update", added.person_id, added.contribution_id)
    return Taken(**vars(added), problems=call.hub.problems_of(what))


@router.post("/people/{person}/merge", summary="Put another person's images to a person")
def merge(collection: str, person: PersonName, body: Merge, call: Writer) -> Merged:
    merged = call.gallery.merge(person, body.other)
    call.note_change("merge", merged.person_id)
    return merged


@router.post("/people/{person}/split", summary="Put a part of a person to a new one")
def split(collection: str, person: PersonName, body: Split, call: Writer) -> Changed:
    whom = call.id_of(person)
    revision = call.gallery.split(
        person, body.into, contributions=body.contributions, images=body.images
    )
    call.note_change("split", whom)
    return Changed(revision=revision)


@router.post("/people/{person}/different", summary="Say that two people are different")
def different(collection: str, person: PersonName, body: Difference, call: Writer) -> Changed:
    whom = call.id_of(person)
    revision = call.gallery.cannot_link(person, body.other, body.are_different)
    call.note_change("different", whom)
    return Changed(revision=revision)


@router.delete("/contributions/{contribution}", summary="Take a contribution out; can be undone")
def remove_contribution(collection: str, contribution: ItemId, call: Writer) -> Changed:
    revision = call.gallery.remove(contribution=contribution)
    call.note_change("remove", contribution)
    return Changed(revision=revision)


@router.delete("/images/{image}", summary="Take an image out; can be undone")
def remove_image(collection: str, image: ItemId, call: Writer) -> Changed:
    revision = call.gallery.remove(image=image)
    call.note_change("remove", image)
    return Changed(revision=revision)


@router.get(
    "/images/{image}/chip",
    summary="The small picture of a face, where it was kept",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
def chip(collection: str, image: ItemId, call: Reader) -> Response:
    found = call.gallery.chip(image)
    if found is None:
        raise Refusal(404, f"chip: none was kept of image {image}.", code="no-chip")
    call.note("chip", image)
    return Response(found, media_type="image/jpeg")


@router.get("/held", summary="Images that are held back")
def held(collection: str, call: Reader) -> tuple[Held, ...]:
    found = call.gallery.held()
    call.note("held")
    return tuple(Held(name=name, contribution=view) for name, view in found)


@router.post("/held/{contribution}", summary="Accept or reject images that are held back")
def decide(collection: str, contribution: ItemId, body: Decide, call: Writer) -> Changed:
    gallery = call.gallery
    revision = (
        gallery.accept(contribution).revision
        if body.decision == "accept"
        else gallery.reject(contribution)
    )
    call.note_change(body.decision, contribution)
    return Changed(revision=revision)
