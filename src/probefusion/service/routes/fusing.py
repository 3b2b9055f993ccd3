"""Fusing without a gallery: one set, two sets, or images as they come."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from probefusion.service.answers import (
    Compared,
    FusedAnswer,
    SessionAnswer,
    fused_answer,
    skipped_facts,
)
from probefusion.service.bodies import Comparison, Query, SessionImages
from probefusion.service.calls import Call, Reader
from probefusion.service.problems import Refusal

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["fusing"])

SessionId = Annotated[str, Path(max_length=128)]


@router.post("/fuse", summary="One template of images, embeddings or a state")
def fuse(body: Query, call: Reader, with_state: bool = False) -> FusedAnswer:
    what = call.hub.material(body, call.owner)
    if body.template is not None:
        raise Refusal(
            422, "/template: it is finished; expected images.", code="field", field="/template"
        )
    fused = what if body.images is not None else call.hub.fuse(what)
    call.note("fuse")
    return fused_answer(fused, with_state=with_state)


@router.post("/compare", summary="Whether two sets of images are of one person")
def compare(body: Comparison, call: Reader) -> Compared:
    first, second = (_side(call, query) for query in (body.first, body.second))
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
        warnings=found.warnings,
        problems=found.problems,
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
    found.add(sets, skipped)
    return SessionAnswer(id=found.id, num_images=found.num_images, skipped=skipped_facts(skipped))


@router.get("/sessions/{session}", summary="The template so far")
def read_session(session: SessionId, call: Reader, with_state: bool = False) -> FusedAnswer:
    found = call.hub.sessions.get(session, call.owner)
    fused = call.hub.fuse(found.images())
    call.note("fuse")
    return fused_answer(fused, with_state=with_state)


@router.delete("/sessions/{session}", status_code=204, summary="Close a session")
def close_session(session: SessionId, call: Reader) -> Response:
    call.hub.sessions.close(session, call.owner)
    return Response(status_code=204)


def _side(call: Call, query: Query) -> object:
    what = call.hub.material(query, call.owner)
    return what.template if query.images is not None else what
