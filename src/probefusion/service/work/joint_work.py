"""What many requests ask for at once, worked on in one thread: searches by one product, and sets that are fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from anyio import to_thread
from pydantic import TypeAdapter

from probefusion.errors import ProbeFusionError, UnknownNameError
from probefusion.gallery.results import SearchResult
from probefusion.gallery.verbs.search_query import SearchQuery
from probefusion.service.answers import FusedAnswer, Searched, fused_answer
from probefusion.service.bodies import Query, Search
from probefusion.service.calls import Call, note_all
from probefusion.service.guards.deadline import nobody_waits
from probefusion.service.problems import Refusal
from probefusion.service.work.lane import Lane

__all__ = ["FuseJob", "JointWork", "SearchJob", "is_light"]

_MOST_SEARCHES = 128
"""Searches in one product."""

_LIGHT = 64
"""Embeddings that are searched for or fused beside others."""

_TEXT_BYTES = 16 / 3
"""Characters of base64 for a float32 number."""

Job = TypeVar("Job")

_searched: TypeAdapter[Searched] = TypeAdapter(Searched)
_fused: TypeAdapter[FusedAnswer] = TypeAdapter(FusedAnswer)


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchJob:
    """A search.

    Args:
        call: Whose.
        collection: Where.
        body: What is asked for.
    """

    call: Call
    collection: str
    body: Search


@dataclass(frozen=True, kw_only=True, eq=False)
class FuseJob:
    """A set to be fused."""

    call: Call
    body: Query
    with_state: bool


class JointWork:
    """Two lanes: one for searches, one for sets that are fused. What is heavy takes a thread of its own.

    Answers are finished JSON.
    """

    def __init__(self) -> None:
        self.searches: Lane[SearchJob, bytes] = Lane(
            search_together, name="searches", most=_MOST_SEARCHES
        )
        self.fuses: Lane[FuseJob, bytes] = Lane(fuse_in_turn, name="fuses", most=1)

    async def search(self, job: SearchJob, is_wanted: Callable[[], bool]) -> bytes:
        """Answers a search.

        Raises:
            Refusal, ProbeFusionError: If it cannot be answered, or nobody waits for the answer any more.
        """
        if is_light(job.body.query):
            return await self.searches.ask(job, is_wanted)
        return await to_thread.run_sync(_alone, search_together, job, is_wanted)

    async def fuse(self, job: FuseJob, is_wanted: Callable[[], bool]) -> bytes:
        """Fuses a set.

        Raises:
            Refusal, ProbeFusionError: If it cannot be fused, or nobody waits for the answer any more.
        """
        if is_light(job.body):
            return await self.fuses.ask(job, is_wanted)
        return await to_thread.run_sync(_alone, fuse_in_turn, job, is_wanted)

    def close(self) -> None:
        """Ends both lanes."""
        self.searches.close()
        self.fuses.close()


def is_light(query: Query) -> bool:
    """Whether what a query holds is at hand, and soon worked on: no images, no session, not very many embeddings."""
    if query.template is not None:
        return True
    if query.embeddings is None:
        return False
    if query.embeddings.rows is not None:
        return len(query.embeddings.rows) <= _LIGHT
    return len(query.embeddings.base64 or "") <= _LIGHT * (query.embeddings.dim or 0) * _TEXT_BYTES


def _alone(
    work: Callable[[Sequence[Job]], Sequence[bytes | BaseException]],
    job: Job,
    is_wanted: Callable[[], bool],
) -> bytes:
    if not is_wanted():
        raise nobody_waits()
    (answer,) = work([job])
    if isinstance(answer, BaseException):
        raise answer
    return answer


def search_together(jobs: Sequence[SearchJob]) -> list[bytes | BaseException]:
    """Answers searches; those of one collection by one product."""
    answers: list[bytes | BaseException | None] = [None] * len(jobs)
    by_collection: dict[str, list[tuple[int, SearchJob, Any]]] = {}
    for place, job in enumerate(jobs):
        try:
            hub = job.call.hub
            if job.collection not in hub.galleries:
                raise UnknownNameError("collection", job.collection, hub.galleries)
            what = hub.material(job.body.query, job.call.owner)
        except Exception as error:  # noqa: BLE001 - rises in the request
            answers[place] = error
        else:
            by_collection.setdefault(job.collection, []).append((place, job, what))
    for group in by_collection.values():
        found = _search_collection([(job, what) for _, job, what in group])
        for (place, _, _), answer in zip(group, found, strict=True):
            answers[place] = answer
    return [answer for answer in answers if answer is not None]


def _search_collection(group: Sequence[tuple[SearchJob, Any]]) -> list[bytes | BaseException]:
    first = group[0][0]
    gallery = first.call.hub.galleries[first.collection]
    queries = [
        SearchQuery(
            what=what,
            top_k=job.body.top_k,
            fmr=job.body.fmr,
            fpir=job.body.fpir,
            threshold=job.body.threshold,
        )
        for job, what in group
    ]
    try:
        results = gallery.search_together(queries)
    except Exception as error:  # noqa: BLE001 - rises in the request
        if len(group) == 1:
            return [error]
        return [answer for each in group for answer in _search_collection([each])]
    entries = [
        job.call.entry("search", *(person.person_id for person in result.candidates))
        for (job, _), result in zip(group, results, strict=True)
        if isinstance(result, SearchResult)
    ]
    try:
        note_all(first.call.hub, entries)
    except Refusal as error:
        return [error if isinstance(each, SearchResult) else each for each in results]
    return [_told(job, what, each) for (job, what), each in zip(group, results, strict=True)]


def _told(
    job: SearchJob, what: Any, result: SearchResult | ProbeFusionError
) -> bytes | BaseException:
    if isinstance(result, ProbeFusionError):
        return result
    try:
        return _searched.dump_json(Searched(**vars(result), **job.call.hub.told_of(what)))
    except Exception as error:  # noqa: BLE001 - rises in the request
        return error


def fuse_in_turn(jobs: Sequence[FuseJob]) -> list[bytes | BaseException]:
    """Fuses one set after the other."""
    answers: list[bytes | BaseException] = []
    for job in jobs:
        try:
            answers.append(_fused_json(job))
        except Exception as error:  # noqa: BLE001 - rises in the request
            answers.append(error)
    return answers


def _fused_json(job: FuseJob) -> bytes:
    """Fuses one set.

    Raises:
        Refusal: If it is a finished template, or no query.
        ProbeFusionError: If it cannot be fused.
    """
    what = job.call.hub.material(job.body, job.call.owner)
    if job.body.template is not None:
        raise Refusal(
            422, "/template: it is finished; expected images.", code="field", field="/template"
        )
    fused = what if job.body.images is not None else job.call.hub.fuse(what)
    job.call.note("fuse")
    return _fused.dump_json(fused_answer(fused, with_state=job.with_state))
