from __future__ import annotations

import threading

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


def test_threads_do_the_work() -> None:
    names = set(map_in_order(lambda _: threading.current_thread().name, range(20), 2))
    assert all(name.startswith("probefusion") for name in names)
    assert available_threads() >= 1
