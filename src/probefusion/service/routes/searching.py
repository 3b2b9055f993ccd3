"""Who is this? Searching, verifying, explaining."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from probefusion.service.answers import Explained, Searched, Verified
from probefusion.service.bodies import Query, Search, Verify
from probefusion.service.calls import Reader
from probefusion.service.guards.deadline import wanting
from probefusion.service.json_bodies import JsonRoute
from probefusion.service.routes.people import PersonName
from probefusion.service.work.joint_work import JointWork, SearchJob

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{collection}", tags=["search"], route_class=JsonRoute)


@router.post("/search", summary="Whom images are most similar to", response_model=Searched)
async def search(collection: str, body: Search, call: Reader, request: Request) -> Response:
    joint: JointWork = request.app.state.joint
    job = SearchJob(call=call, collection=collection, body=body)
    content = await joint.search(job, wanting(request.scope))
    return Response(content, media_type="application/json")


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
