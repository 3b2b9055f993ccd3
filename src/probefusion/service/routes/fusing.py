"""Fusing without a gallery: one set, two sets, or images as they come."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from probefusion.gallery import Gallery
from probefusion.pipeline import Fused
from probefusion.service.answers import (
    Beside,
    Compared,
    FusedAnswer,
    SessionAnswer,
    fused_answer,
    skipped_facts,
)
from probefusion.service.bodies import Comparison, SessionImages
from probefusion.service.bodies import Query as Asked
from probefusion.service.calls import Reader
from probefusion.service.guards.deadline import wanting
from probefusion.service.json_bodies import JsonRoute
from probefusion.service.problems import Refusal
from probefusion.service.work.joint_work import FuseJob, JointWork
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["fusing"], route_class=JsonRoute)

SessionId = Annotated[str, Path(max_length=128)]


@router.post(
    "/fuse", summary="One template of images, embeddings or a state", response_model=FusedAnswer
)
async def fuse(body: Asked, call: Reader, request: Request, with_state: bool = False) -> Response:
    joint: JointWork = request.app.state.joint
    job = FuseJob(call=call, body=body, with_state=with_state)
    content = await joint.fuse(job, wanting(request.scope))
    return Response(content, media_type="application/json")


@router.post("/compare", summary="Whether two sets of images are of one person")
def compare(body: Comparison, call: Reader) -> Compared:
    given = [call.hub.material(query, call.owner) for query in (body.first, body.second)]
    first, second = map(_side, given)
    found = call.hub.compare(first, second, false_match_rate=body.fmr or 1e-3)
    threshold = body.threshold
    if threshold is None and found.threshold is not None:
        threshold = found.threshold.similarity
    call.note("compare")
    return Compared(
        similarity=found.similarity,
        num_images=found.num_images,
        threshold=threshold,
        is_match=None if threshold is None else found.similarity >= threshold,
        why_none=None if threshold is not None else found.why_none,
        warnings=found.warnings if body.threshold is None else (),
        problems=found.problems,
        usability=found.usability,
        skipped=tuple(left for what in given for left in call.hub.told_of(what).get("skipped", ())),
    )


@router.post("/sessions", status_code=201, summary="Open a session")
def open_session(call: Reader) -> SessionAnswer:
    session = call.hub.sessions.open(call.owner)
    call.note("session")
    return SessionAnswer(id=session.id, num_images=0)


@router.post("/sessions/{session}/images", summary="Add images to a session as they come")
def add_images(session: SessionId, body: SessionImages, call: Reader) -> SessionAnswer:
    found = call.hub.sessions.get(session, call.owner)
    sets, skipped = call.hub.embed(body)
    found.add(sets)
    call.note("embed")
    return SessionAnswer(id=found.id, num_images=found.num_images, skipped=skipped_facts(skipped))


@router.get("/sessions/{session}", summary="The template so far, also beside a person")
def read_session(
    session: SessionId,
    call: Reader,
    with_state: bool = False,
    collection: Annotated[str | None, Query(max_length=256)] = None,
    person: Annotated[str | None, Query(max_length=1024)] = None,
) -> FusedAnswer:
    if collection is not None and person is None:
        raise Refusal(
            422,
            "collection: expected with person alone, who is looked for there.",
            code="field",
            field="collection",
        )
    images = call.hub.sessions.get(session, call.owner).images()
    fused = call.hub.fuse(images)
    beside = None
    if person is not None:
        whose = collection or "people"
        beside = _beside(call.gallery_named(whose), person, images)
        call.note("verify", beside.person_id, collection=whose)
    call.note("fuse")
    return fused_answer(fused, with_state=with_state, beside=beside)


@router.delete("/sessions/{session}", status_code=204, summary="Close a session")
def close_session(session: SessionId, call: Reader) -> Response:
    call.hub.sessions.close(session, call.owner)
    return Response(status_code=204)


def _side(what: object) -> object:
    """Images as their set, so that they are looked at: whether of one person, and good enough."""
    if not isinstance(what, Fused):
        return what
    return what.template if what.images is None else what.images


def _beside(gallery: Gallery, person: str, images: EmbeddingSet) -> Beside:
    found = gallery.verify(person, images)
    kept = gallery.images_of(person)
    mean = None
    if kept is not None:
        plain = load_fuser("mean")
        query, known = (plain.fuse(part).vector for part in (images, kept))
        mean = float(query @ known)
    return Beside(
        person_id=found.person_id,
        name=found.name,
        similarity=found.similarity,
        threshold=found.threshold,
        is_match=found.is_match,
        mean_similarity=mean,
        usability=found.usability[1],
        warnings=found.warnings,
    )
