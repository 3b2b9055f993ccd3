"""Searches and changes of many threads: joined, bit-equal, each change whole, each error its caller's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from unittest import mock

import numpy as np
import pytest
from unit_vectors import hard_vectors, unit

from probefusion.errors import ConfigError, DtypeError, InvalidInputError, ShapeError
from probefusion.gallery import BatchedSearch, Hits, SearchIndex
from probefusion.gallery.index import batched_search

DIM = 24


@pytest.fixture(params=["float32", "int8"])
def filled(request: pytest.FixtureRequest, rng: np.random.Generator) -> SearchIndex:
    if request.param == "int8":
        pytest.importorskip("numkong")
    index = SearchIndex(DIM, request.param)
    kinds = ("random", "near ties", "equal", "sparse")
    vectors = np.concatenate([hard_vectors(kind, 500, DIM, rng) for kind in kinds])
    index.put([f"p{place:04d}" for place in range(len(vectors))], vectors)
    return index


@pytest.fixture
def queries(filled: SearchIndex, rng: np.random.Generator) -> np.ndarray:
    rows = filled.vectors(filled.ids[::25])
    return unit(rows + 0.05 * rng.standard_normal(rows.shape) * (rng.random((len(rows), 1)) < 0.7))


def bits(found: tuple[Hits, ...]) -> list[tuple[tuple[str, ...], bytes]]:
    return [(hits.ids, hits.similarities.tobytes()) for hits in found]


def start_behind(
    people: BatchedSearch, pool: ThreadPoolExecutor, calls: list[Callable[[], object]]
) -> list[Future[object]]:
    """Starts calls that queue up one behind the other while a change is under way, then lets them run."""
    with people.change():
        futures = []
        for place, call in enumerate(calls, start=1):
            futures.append(pool.submit(call))
            while len(people._queue) < place:
                time.sleep(0.0005)
    return futures


ASKED = ({"top_k": 3}, {"at_least": 0.4}, {"at_least": 0.9, "top_k": 5}, {})


def test_many_threads_get_what_each_would_get_alone(
    filled: SearchIndex, queries: np.ndarray
) -> None:
    jobs = [
        (queries[start : start + 1 + start % 3], ASKED[(start + turn) % len(ASKED)])
        for turn in range(3)
        for start in range(0, len(queries), 2)
    ]
    expected = [bits(filled.search(rows, **asked)) for rows, asked in jobs]
    people = BatchedSearch(filled)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda job: bits(people.search(job[0], **job[1])), jobs))
    assert found == expected


def test_those_who_wait_share_a_product(filled: SearchIndex, queries: np.ndarray) -> None:
    people, lengths = BatchedSearch(filled), []
    together = filled.search_checked

    def counting(rows: np.ndarray, **asked: object) -> tuple[Hits, ...]:
        lengths.append(len(rows))
        return together(rows, **asked)

    calls = [lambda row=row: people.search(row[None], top_k=4) for row in queries[:20]]
    calls[5] = lambda: people.search(queries[:3], top_k=4, at_least=0.2)
    with (
        ThreadPoolExecutor(20) as pool,
        mock.patch.object(filled, "search_checked", side_effect=counting),
    ):
        found = [future.result() for future in start_behind(people, pool, calls)]
    assert lengths == [22]
    assert bits(found[5]) == bits(filled.search(queries[:3], top_k=4, at_least=0.2))
    assert [bits(hits) for hits in found[6:]] == [
        bits(filled.search(row[None], top_k=4)) for row in queries[6:20]
    ]


def test_a_product_has_at_most_so_many_queries(filled: SearchIndex, queries: np.ndarray) -> None:
    people, lengths = BatchedSearch(filled), []
    together = filled.search_checked

    def counting(rows: np.ndarray, **asked: object) -> tuple[Hits, ...]:
        lengths.append(len(rows))
        return together(rows, **asked)

    many = np.repeat(queries[:1], 300, axis=0)
    sizes = [100, 100, 100, 300, 1]
    calls = [lambda size=size: people.search(many[:size], top_k=2) for size in sizes]
    with (
        ThreadPoolExecutor(5) as pool,
        mock.patch.object(filled, "search_checked", side_effect=counting),
    ):
        found = [future.result() for future in start_behind(people, pool, calls)]
    assert lengths == [200, 100, 300, 1]
    assert [len(hits) for hits in found] == sizes
    assert len({ids for hits in found for ids, _ in bits(hits)}) == 1


def test_changes_take_their_turn(rng: np.random.Generator) -> None:
    people = BatchedSearch(SearchIndex(2))
    east = np.array([[1.0, 0.0]])
    calls = [
        lambda: people.search(east),
        lambda: people.put(["a"], east),
        lambda: people.search(east),
        lambda: people.search(east),
        lambda: people.replace(["a"], -east),
        lambda: people.search(east),
        lambda: people.remove(["a"]),
        lambda: people.search(east),
    ]
    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in start_behind(people, pool, calls)]
    seen = [[list(hits) for hits in found[place]] for place in (0, 2, 3, 5, 7)]
    assert seen == [[[]], [[("a", 1.0)]], [[("a", 1.0)]], [[("a", -1.0)]], [[]]]
    assert len(people) == 0


def test_no_search_sees_half_a_change(filled: SearchIndex, rng: np.random.Generator) -> None:
    people, target = BatchedSearch(filled), unit(rng.standard_normal((1, DIM)))
    people.put(["then"], target)
    stop, wrong, searched = threading.Event(), [], []

    def write(number: int) -> None:
        for turn in range(30):
            with people.change() as index:
                (hits,) = index.search(target, top_k=1)
                index.remove([hits.best])  # now nobody is there
                index.put([f"{number}:{turn}"], target)

    def read() -> None:
        while not stop.is_set():
            (hits,) = people.search(target, at_least=0.99)
            searched.append(len(hits))
            if len(hits) != 1:
                wrong.append(hits.ids)

    readers = [threading.Thread(target=read) for _ in range(4)]
    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    assert len(searched) > 0
    assert len(people) == 2001


def test_an_error_reaches_its_caller_alone(filled: SearchIndex, queries: np.ndarray) -> None:
    people = BatchedSearch(filled)
    expected = bits(filled.search(queries[:1], top_k=4))
    refused = [
        (lambda: people.search(queries[:1, :5]), ShapeError),
        (lambda: people.search(2 * queries[:1]), InvalidInputError),
        (lambda: people.search(queries[:1], top_k=0), ConfigError),
        (lambda: people.remove(["nobody"]), InvalidInputError),
        (lambda: people.put(["a"], np.ones((1, DIM))), InvalidInputError),
    ]
    with ThreadPoolExecutor(16) as pool:
        right = [pool.submit(people.search, queries[:1], top_k=4) for _ in range(40)]
        wrong = [(pool.submit(call), kind) for call, kind in refused * 5]
        for future, kind in wrong:
            assert type(future.exception()) is kind
        assert all(bits(future.result()) == expected for future in right)


def test_an_error_inside_a_product_reaches_its_cause_alone(
    filled: SearchIndex, queries: np.ndarray
) -> None:
    people, together = BatchedSearch(filled), filled.search_checked

    def failing(rows: np.ndarray, **asked: object) -> tuple[Hits, ...]:
        if (rows == queries[3]).all(axis=1).any():
            raise MemoryError("too many")
        return together(rows, **asked)

    calls = [lambda row=row: people.search(row[None], top_k=4) for row in queries[:8]]
    expected = [bits(filled.search(row[None], top_k=4)) for row in queries[:8]]
    for first in (0, 3):  # the one that fails waits, or runs the product
        rotated = calls[first:] + calls[:first]
        with (
            ThreadPoolExecutor(8) as pool,
            mock.patch.object(filled, "search_checked", side_effect=failing),
        ):
            futures = start_behind(people, pool, rotated)
            for place, future in enumerate(futures):
                own = (first + place) % 8
                if own == 3:
                    assert str(future.exception()) == "too many"
                else:
                    assert bits(future.result()) == expected[own]
    assert bits(people.search(queries[3:4], top_k=4)) == expected[3]


def test_whoever_is_interrupted_leaves_the_others_running(
    filled: SearchIndex, queries: np.ndarray
) -> None:
    people, together, calls_made = BatchedSearch(filled), filled.search_checked, []

    def interrupted_once(rows: np.ndarray, **asked: object) -> tuple[Hits, ...]:
        calls_made.append(len(rows))
        if len(calls_made) == 1:
            raise KeyboardInterrupt
        return together(rows, **asked)

    calls = [lambda row=row: people.search(row[None], top_k=4) for row in queries[:8]]
    with (
        ThreadPoolExecutor(8) as pool,
        mock.patch.object(filled, "search_checked", side_effect=interrupted_once),
    ):
        futures = start_behind(people, pool, calls)
        assert isinstance(futures[0].exception(), KeyboardInterrupt)
        for row, future in zip(queries[1:8], futures[1:], strict=True):
            assert bits(future.result()) == bits(
                together(row[None], top_k=4, at_least=np.full(1, -9.0))
            )
    assert calls_made[:2] == [8, 7]


class _Interrupted(threading.Event):
    """An event whose wait is interrupted: at once, or just when it is set."""

    def __init__(self, when_set: bool) -> None:
        super().__init__()
        self.when_set = when_set

    def wait(self, timeout: float | None = None) -> bool:
        if self.when_set:
            super().wait(timeout)
        raise KeyboardInterrupt


@pytest.mark.parametrize("when_set", [False, True])
def test_whoever_is_interrupted_while_waiting_leaves_the_queue(when_set: bool) -> None:
    people = BatchedSearch(SearchIndex(2))

    def remove() -> None:
        request = batched_search._Request()
        request.ready = _Interrupted(when_set)
        with mock.patch.object(batched_search, "_Request", return_value=request):
            people.remove(["a"])

    with ThreadPoolExecutor(1) as pool:
        with people.change() as index:
            future = pool.submit(remove)
            while not (people._queue if when_set else future.done()):
                time.sleep(0.0005)
            index.put(["a"], np.eye(2)[:1])
        assert isinstance(future.exception(), KeyboardInterrupt)
    assert people.search(np.eye(2)[:1])[0].ids == ("a",)
    people.remove(["a"])
    assert len(people) == 0


def test_a_block_that_would_wait_for_itself_is_refused(filled: SearchIndex) -> None:
    people = BatchedSearch(filled)
    query = filled.vectors(filled.ids[:1])
    with people.change() as index:
        for call in (lambda: people.search(query), lambda: people.remove(["p0000"])):
            with pytest.raises(ConfigError, match="inside a block of change"):
                call()
        assert len(index.search(query, top_k=2)[0]) == 2
    assert len(people.search(query, top_k=2)[0]) == 2


def test_an_error_inside_a_block_ends_the_turn(filled: SearchIndex) -> None:
    people = BatchedSearch(filled)

    def fail() -> None:
        with people.change() as index:
            index.remove(["p0000"])
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert len(people) == 1999
    people.remove(["p0001"])


def test_what_is_no_index() -> None:
    with pytest.raises(DtypeError, match="index: expected a SearchIndex, got dict"):
        BatchedSearch({})  # type: ignore[arg-type]
    assert BatchedSearch(SearchIndex(7)).dim == 7
