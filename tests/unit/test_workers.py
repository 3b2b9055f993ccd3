from __future__ import annotations

import threading
import time

import pytest

from probefusion.workers import available_threads, map_in_order


@pytest.mark.parametrize("num_threads", [1, 2, 5])
@pytest.mark.parametrize("ahead", [None, 1, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_results_come_in_order(num_threads, ahead, count) -> None:
    results = map_in_order(lambda x: x * x, range(count), num_threads, ahead=ahead)
    assert list(results) == [x * x for x in range(count)]


def test_items_are_taken_as_needed() -> None:
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = map_in_order(lambda x: x, items(), 2, ahead=6)
    assert next(results) == 0
    assert len(taken) <= 8
    results.close()


def test_errors_reach_the_caller() -> None:
    def fail(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    with pytest.raises(ValueError, match="three"):
        list(map_in_order(fail, range(9), 2))


def test_threads_and_the_caller_do_the_work() -> None:
    meeting = threading.Barrier(2)  # the first two calls wait for each other

    def work(item: int) -> str:
        if item < 2:
            meeting.wait(600)
        return threading.current_thread().name

    names = list(map_in_order(work, range(40), 2))
    assert names[0] == threading.current_thread().name
    assert names[1].startswith("probefusion")
    assert set(names) == set(names[:2])
    assert available_threads() >= 1


def test_nothing_is_computed_twice() -> None:
    calls = []

    def work(item: int) -> int:
        calls.append(item)
        time.sleep(0.001 * (item % 3))
        return item

    assert list(map_in_order(work, range(60), 3)) == list(range(60))
    assert sorted(calls) == list(range(60))


def test_an_error_rises_in_its_turn() -> None:
    def fail(item: int) -> int:
        if item == 5:
            raise ValueError("five")
        time.sleep(0.005)
        return item

    results = map_in_order(fail, range(20), 2, ahead=8)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(results)
