"""Who is this? Searching, verifying, explaining."""

from __future__ import annotations

from fastapi import APIRouter

from probefusion.service.answers import Explained, Searched, Verified
from probefusion.service.bodies import Query, Search, Verify
from probefusion.service.calls import Reader
from probefusion.service.routes.people import PersonName

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{collection}", tags=["search"])


@router.post("/search", summary="Whom images are most similar to")
def search(collection: str, body: Search, call: Reader) -> Searched:
    what = call.hub.material(body.query, call.owner)
    result = call.gallery.search(
        what, top_k=body.top_k, fmr=body.fmr, fpir=body.fpir, threshold=body.threshold
    )
    call.note("search", *(person.person_id for person in result.candidates))
    return Searched(**vars(result), **call.hub.told_of(what))


@router.post("/people/{person}/verify", summary="Whether images are of a named person")
def verify(collection: str, person: PersonName, body: Verify, call: Reader) -> Verified:
    what = call.hub.material(body.query, call.owner)
    result = call.gallery.verify(person, what, fmr=body.fmr, threshold=body.threshold)
    call.note("verify", result.person_id)
    return Verified(**vars(result), **call.hub.told_of(what))


@router.post("/people/{person}/explain", summary="What carries a match")
def explain(collection: str, person: PersonName, body: Query, call: Reader) -> Explained:
    what = call.hub.material(body, call.owner)
    result = call.gallery.explain(what, person)
    call.note("explain", result.person_id)
    return Explained(**vars(result), **call.hub.told_of(what))
