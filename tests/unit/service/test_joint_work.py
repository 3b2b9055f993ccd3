"""Requests that come at once: joined, answered as alone, bounded, and not begun for who is gone."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from probefusion.service.bodies import Query
from probefusion.service.guards.deadline import CLIENT_GONE, Deadline, wanting
from probefusion.service.problems import Refusal
from probefusion.service.settings import Limits
from probefusion.service.work.joint_work import is_light
from probefusion.service.work.lane import Lane

SEARCH = "/v1/collections/people/search"
PEOPLE = "/v1/collections/people/people"
LONG = 60.0
"""For which a test waits for what must come."""


def wanted() -> bool:
    return True


class Held:
    """Lets nothing through a function until it is opened; notes what it was called with."""

    def __init__(self, function) -> None:
        self._function, self.calls = function, []
        self.begun, self._open = threading.Event(), threading.Event()

    def __call__(self, *arguments, **named):
        self.calls.append(arguments)
        self.begun.set()
        assert self._open.wait(LONG)
        return self._function(*arguments, **named)

    def open(self) -> None:
        self._open.set()


def until(is_so) -> None:
    """Waits for something that must come to pass."""
    ended = threading.Event()
    for _ in range(round(LONG / 0.005)):
        if is_so():
            return
        ended.wait(0.005)
    raise AssertionError("it did not come to pass")


def test_jobs_that_wait_are_worked_on_together():
    held = Held(lambda jobs: [2 * job for job in jobs])
    lane: Lane[int, int] = Lane(held, name="test", most=3)

    async def ask() -> list[int]:
        tasks = [asyncio.create_task(lane.ask(0, wanted))]
        await asyncio.to_thread(held.begun.wait, LONG)
        tasks += [asyncio.create_task(lane.ask(job, wanted)) for job in range(1, 6)]
        await asyncio.sleep(0)
        held.open()
        return await asyncio.gather(*tasks)

    assert asyncio.run(ask()) == [0, 2, 4, 6, 8, 10]
    assert held.calls == [([0],), ([1, 2, 3],), ([4, 5],)]
    lane.close()


def test_jobs_nobody_waits_for_are_not_begun():
    held = Held(lambda jobs: list(jobs))
    lane: Lane[str, str] = Lane(held, name="test", most=8)
    gone = {}

    async def ask() -> list:
        first = asyncio.create_task(lane.ask("first", wanted))
        await asyncio.to_thread(held.begun.wait, LONG)
        second = asyncio.create_task(lane.ask("second", wanting({"state": gone})))
        third = asyncio.create_task(lane.ask("third", wanted))
        fourth = asyncio.create_task(lane.ask("fourth", wanted))
        await asyncio.sleep(0)
        gone[CLIENT_GONE] = True
        fourth.cancel()
        await asyncio.sleep(0)
        held.open()
        return await asyncio.gather(first, second, third, fourth, return_exceptions=True)

    first, second, third, fourth = asyncio.run(ask())
    assert (first, third) == ("first", "third")
    assert isinstance(second, Refusal)
    assert isinstance(fourth, asyncio.CancelledError)
    assert held.calls == [(["first"],), (["third"],)]
    lane.close()


def test_an_error_of_one_reaches_that_one_alone():
    def work(jobs):
        if "all" in jobs:
            raise OSError("all")
        return [ValueError(job) if job == "bad" else job for job in jobs]

    lane: Lane[str, str] = Lane(work, name="test", most=8)

    async def ask(*jobs: str) -> list:
        return await asyncio.gather(
            *(lane.ask(job, wanted) for job in jobs), return_exceptions=True
        )

    good, bad = asyncio.run(ask("good", "bad"))
    assert good == "good"
    assert isinstance(bad, ValueError)
    assert all(isinstance(each, OSError) for each in asyncio.run(ask("all")))
    lane.close()
    lane.close()


def test_searches_that_come_at_once_are_one_product_and_answer_as_alone(serve, query, monkeypatch):
    client = serve()
    for person in range(12):
        body = {"name": f"p{person}", "query": query(person)}
        assert client.post(PEOPLE, json=body).status_code == 201
    bodies = [
        {"query": query(place % 12, 1 + place % 5, seed=place), "top_k": 1 + place % 3}
        for place in range(16)
    ]
    bodies += [
        {"query": query(1), "threshold": 0.2},
        {"query": query(2), "fmr": 0.1},
        {"query": query(2), "fmr": 0.1, "threshold": 0.2},
        {"query": {"embeddings": {"rows": [[1.0, 2.0, 3.0]]}}},
    ]
    alone = [client.post(SEARCH, json=body) for body in bodies]
    gallery = client.app.state.hub.galleries["people"]
    held = Held(gallery.search_together)
    monkeypatch.setattr(gallery, "search_together", held)
    with ThreadPoolExecutor(len(bodies) + 1) as pool:
        first = pool.submit(client.post, SEARCH, json=bodies[0])
        assert held.begun.wait(LONG)
        futures = [pool.submit(client.post, SEARCH, json=body) for body in bodies]
        lane = client.app.state.joint.searches
        until(lambda: lane._queue.qsize() == len(bodies))
        held.open()
        together = [future.result() for future in futures]
    assert first.result().status_code == 200
    assert [len(queries) for (queries,) in held.calls] == [1, len(bodies)]
    for one, joined in zip(alone, together, strict=True):
        assert (joined.status_code, joined.content) == (one.status_code, one.content)
    assert {answer.status_code for answer in alone} == {200, 422}


def test_heavy_queries_take_threads_of_their_own(filled, query):
    """Images, sessions, states and many embeddings must not keep the light ones waiting."""
    light, heavy = query(1), query(1, number=65)
    assert is_light(Query.model_validate(light))
    assert not is_light(Query.model_validate(heavy))
    assert is_light(Query(embeddings={"rows": [[1.0, 2.0]] * 64}))
    assert not is_light(Query(embeddings={"rows": [[1.0, 2.0]] * 65}))
    assert not is_light(Query(session="s"))
    session = filled.post("/v1/sessions").json()["id"]
    assert filled.post(f"/v1/sessions/{session}/images", json=light).status_code == 200
    joint = filled.app.state.joint
    joint.close()
    joint.searches.ask = joint.fuses.ask = None  # no lane may be used
    for held in (heavy, {"session": session}):
        found = filled.post(SEARCH, json={"query": held})
        assert found.json()["candidates"][0]["name"] == "p1"
        assert filled.post("/v1/fuse", json=held).status_code == 200
    assert filled.post("/v1/fuse", json={"session": "none"}).status_code == 404
    assert filled.post(SEARCH, json={"query": {"session": "none"}}).status_code == 404


def test_what_is_full_refuses_at_once_and_takes_again_afterwards(serve, query, monkeypatch):
    client = serve(limits=replace(Limits(), max_running=3))
    assert client.post(PEOPLE, json={"name": "a", "query": query(0)}).status_code == 201
    gallery = client.app.state.hub.galleries["people"]
    held = Held(gallery.search_together)
    with monkeypatch.context() as patch, ThreadPoolExecutor(3) as pool:
        patch.setattr(gallery, "search_together", held)
        body = {"query": query(0)}
        running = [pool.submit(client.post, SEARCH, json=body)]
        assert held.begun.wait(LONG)
        running += [pool.submit(client.post, SEARCH, json=body) for _ in range(2)]
        lane = client.app.state.joint.searches
        until(lambda: lane._queue.qsize() == 2)
        refused = [client.post(SEARCH, json=body) for _ in range(20)]
        assert client.get("/v1/health").status_code == 200
        assert lane._queue.qsize() == 2  # nothing of what was refused waits
        held.open()
        served = [future.result() for future in running]
    assert {answer.status_code for answer in refused} == {429}
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    assert {answer.json()["type"] for answer in refused} == {"urn:probefusion:problem:full"}
    assert {answer.status_code for answer in served} == {200}
    assert client.post(SEARCH, json={"query": query(0)}).status_code == 200


def test_an_answer_that_takes_too_long_is_told_and_the_work_goes_on(serve, query, monkeypatch):
    client = serve(limits=replace(Limits(), request_seconds=0.3))
    gallery = client.app.state.hub.galleries["people"]
    done = threading.Event()
    enroll = type(gallery).enroll

    def slowly(self, *arguments, **named):
        begun.set()
        assert late.wait(LONG)
        try:
            return enroll(self, *arguments, **named)
        finally:
            done.set()

    late, begun = threading.Event(), threading.Event()
    monkeypatch.setattr(type(gallery), "enroll", slowly)
    end = Deadline._end

    def ending(self) -> None:  # not before the work has begun, however slow the machine is
        if begun.is_set():
            end(self)
        else:
            self._timer = self._loop.call_later(0.01, self._end)

    monkeypatch.setattr(Deadline, "_end", ending)
    # The test client gives the answer back when the application has ended, so the work must go on meanwhile.
    tell = Deadline._tell

    async def telling(self) -> None:
        await tell(self)
        late.set()

    monkeypatch.setattr(Deadline, "_tell", telling)
    answer = client.post(PEOPLE, json={"name": "a", "query": query(0)})
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:probefusion:problem:late"
    assert done.wait(LONG)
    assert gallery.list() == ("a",)


def test_nothing_is_told_of_what_cannot_be_noted(serve, query, tmp_path, monkeypatch):
    from probefusion.errors import StoreError

    client = serve(access_log=tmp_path / "accesses.log")
    assert client.post(PEOPLE, json={"name": "a", "query": query(0)}).status_code == 201

    def full(entries) -> None:
        raise StoreError("the disk is full.")

    monkeypatch.setattr(client.app.state.hub.log, "note_all", full)
    for body in ({"query": query(0)}, {"query": query(0), "fmr": 0.1}):
        answer = client.post(SEARCH, json=body)
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:probefusion:problem:access-log"
