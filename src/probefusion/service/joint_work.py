"""What many requests ask for at once, worked on in one thread: searches by one product, and sets that are fused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from probefusion.errors import ProbeFusionError, UnknownNameError
from probefusion.gallery.results import SearchResult
from probefusion.gallery.verbs.search_query import SearchQuery
from probefusion.service.answers import FusedAnswer, Searched, fused_answer
from probefusion.service.bodies import Query, Search
from probefusion.service.calls import Call, note_all
from probefusion.service.lane import Lane
from probefusion.service.problems import Refusal

__all__ = ["FuseJob", "JointWork", "SearchJob", "fused_json"]

_MOST_SEARCHES = 128
"""Searches in one product."""

_searched: TypeAdapter[Searched] = TypeAdapter(Searched)
_fused: TypeAdapter[FusedAnswer] = TypeAdapter(FusedAnswer)


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchJob:
    """A search.

    Args:
        call: Whose.
        collection: Where.
        body: What is asked for.
        what: What the query holds, where it was read already: images.
    """

    call: Call
    collection: str
    body: Search
    what: Any = None


@dataclass(frozen=True, kw_only=True, eq=False)
class FuseJob:
    """A set to be fused."""

    call: Call
    body: Query
    with_state: bool


class JointWork:
    """Two lanes: one for searches, one for sets that are fused. Their answers are finished JSON."""

    def __init__(self) -> None:
        self.searches: Lane[SearchJob, bytes] = Lane(
            search_together, name="searches", most=_MOST_SEARCHES
        )
        self.fuses: Lane[FuseJob, bytes] = Lane(fuse_in_turn, name="fuses", most=1)

    def close(self) -> None:
        """Ends both."""
        self.searches.close()
        self.fuses.close()


def search_together(jobs: Sequence[SearchJob]) -> list[bytes | BaseException]:
    """Answers searches; those of one collection by one product."""
    answers: list[bytes | BaseException | None] = [None] * len(jobs)
    by_collection: dict[str, list[tuple[int, SearchJob, Any]]] = {}
    for place, job in enumerate(jobs):
        try:
            hub = job.call.hub
            if job.collection not in hub.galleries:
                raise UnknownNameError("collection", job.collection, hub.galleries)
            what = job.what
            if what is None:
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
            answers.append(fused_json(job))
        except Exception as error:  # noqa: BLE001 - rises in the request
            answers.append(error)
    return answers


def fused_json(job: FuseJob) -> bytes:
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
