"""One scenario on every engine: what comes out, what is raised, and what becomes of workers that die."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from pickle import PicklingError

import pytest
from engine_works import FailsToOpen, Line, Squares

from probefusion.errors import ShapeError, UnknownNameError, WorkerError


@pytest.fixture
def work(tmp_path: Path) -> Squares:
    return Squares(folder=str(tmp_path))


def lines(count: int = 12, **faults: str) -> list[Line]:
    """Tasks 0, 1, ...; `at3="raises"` gives the third a fault."""
    return [Line(number=number, fault=faults.get(f"at{number}", "")) for number in range(count)]


def begun(folder: Path) -> Counter[int]:
    """How often each task began."""
    return Counter(int(path.name.split("-")[1]) for path in folder.glob("began-*"))


def test_every_task_gives_its_outcome_and_is_done_once(any_engine, work, tmp_path):
    found = list(any_engine.run(work, lines()))
    assert sorted((index, square) for index, (square, _) in found) == [
        (number, number**2) for number in range(12)
    ]
    assert begun(tmp_path) == dict.fromkeys(range(12), 1)


def test_tasks_run_in_processes_of_their_own_that_open_the_work_once(any_engine, work, tmp_path):
    workers = {worker for _, (_, worker) in any_engine.run(work, lines(30))}
    assert os.getpid() not in workers
    assert len(list(tmp_path.glob("opened-*"))) == len(workers) <= 2


def test_another_work_follows_on_the_same_engine(any_engine, tmp_path):
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        assert len(dict(any_engine.run(Squares(folder=str(folder)), lines(4)))) == 4
        assert begun(folder) == dict.fromkeys(range(4), 1)


def test_no_tasks_give_nothing(any_engine, work):
    assert list(any_engine.run(work, [])) == []


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("raises", ShapeError, "line 3: expected a rectangle, got a circle."),
        ("raises of parts", UnknownNameError, "did you mean 'circle'?"),
        ("raises foreign", WorkerError, "_UnpicklableError: "),
    ],
)
def test_what_a_task_raises_arrives_as_itself(any_engine, work, fault, error, message):
    with pytest.raises(error) as caught:
        list(any_engine.run(work, lines(at3=fault)))
    assert type(caught.value) is error
    assert message in str(caught.value)
    assert "engine_works.py" in str(caught.value.__cause__)  # where it was raised is told


def test_an_outcome_that_cannot_travel_is_an_error(any_engine, work):
    with pytest.raises((AttributeError, TypeError, PicklingError), match=r"pickle|local object"):
        list(any_engine.run(work, lines(at3="unpicklable")))


def test_after_an_error_no_task_is_begun(any_engine, work, tmp_path):
    with pytest.raises(ShapeError):
        list(any_engine.run(work, lines(40, at0="raises")))
    assert len(begun(tmp_path)) < 20
    assert len(dict(any_engine.run(work, lines(4)))) == 4  # and the engine goes on


def test_a_work_that_cannot_be_opened_raises_what_it_raised(any_engine):
    with pytest.raises(ShapeError, match=r"weights: expected \(2, 2\), got \(3,\)\."):
        list(any_engine.run(FailsToOpen(), lines()))


def test_the_task_of_a_worker_that_died_is_given_to_another(any_engine, work, tmp_path):
    found = dict(any_engine.run(work, lines(at3="kills once", at7="kills once")))
    assert {index: square for index, (square, _) in found.items()} == {
        number: number**2 for number in range(12)
    }
    again = begun(tmp_path) - Counter(range(12))
    assert again[3] == again[7] == 1
    # Dask loses what a worker had finished a moment ago too, never more than that.
    assert again.total() - 2 <= (2 if any_engine.name == "dask" else 0)


def test_a_worker_killed_from_outside_costs_one_task(any_engine, tmp_path):
    outcomes = any_engine.run(Squares(folder=str(tmp_path), seconds=0.05), lines(10))
    first, (square, worker) = next(outcomes)
    os.kill(worker, signal.SIGKILL)
    found = {first: square} | {index: value for index, (value, _) in outcomes}
    assert found == {number: number**2 for number in range(10)}
    allowed = 2 if any_engine.name == "dask" else 1
    assert (begun(tmp_path) - Counter(range(10))).total() <= allowed


def test_a_task_that_always_kills_its_worker_is_named(any_engine, work, tmp_path):
    with pytest.raises(
        WorkerError, match=r"3 workers died at the task Line\(number=3, .*--workers"
    ):
        list(any_engine.run(work, lines(at3="kills")))
    assert begun(tmp_path)[3] == 3
    assert len(dict(any_engine.run(work, lines(4)))) == 4  # and the engine goes on


def test_a_run_that_is_left_in_the_middle_ends(any_engine, work, tmp_path):
    outcomes = any_engine.run(work, lines(100))
    next(outcomes)
    outcomes.close()
    assert len(begun(tmp_path)) < 50
    assert len(dict(any_engine.run(work, lines(4)))) == 4


def test_what_waits_to_be_taken_is_bounded(any_engine, work, tmp_path):
    outcomes = any_engine.run(work, lines(60))
    for taken in range(1, 60):
        next(outcomes)
        assert len(begun(tmp_path)) <= taken + 2 * any_engine.num_workers
    outcomes.close()


def test_what_workers_print_is_kept_from_standard_output(any_engine, work, capfd):
    list(any_engine.run(work, lines(at3="kills once")))
    assert capfd.readouterr().out == ""
