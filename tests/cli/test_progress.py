"""Rates that are those of the work, or none."""

from __future__ import annotations

import pytest

from probefusion.cli.phases import progress_by_unit
from probefusion.cli.progress import Rate, progress_bar


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_images_counted_at_once_and_embedded_afterwards(clock) -> None:
    """40 images decoded in 20 ms and embedded in 4 s: 10 a second, not thousands."""
    rate = Rate(clock)
    for done in range(1, 41):
        clock.now += 0.0005
        assert rate.at(done) is None
    clock.now += 3.98
    assert rate.last() == pytest.approx(10, rel=0.01)


def test_one_image(clock) -> None:
    rate = Rate(clock)
    clock.now += 0.2
    assert rate.at(1) is None
    clock.now += 1.8
    assert rate.last() == pytest.approx(0.5)


def test_what_a_cache_gives_at_once_does_not_count(clock) -> None:
    rate = Rate(clock)
    clock.now += 0.1
    assert rate.at(5000) is None
    clock.now += 10
    assert rate.at(5100) == pytest.approx(10)
    rate = Rate(clock)
    rate.at(5000)
    clock.now += 10
    assert rate.last() is None  # all was there before


def test_a_first_batch_that_took_its_time_counts(clock) -> None:
    rate = Rate(clock)
    clock.now += 4
    assert rate.at(32) == pytest.approx(8)


def test_lines_of_a_short_run_tell_no_rate(capsys) -> None:
    with progress_bar("embedding", unit="images") as progress:
        progress(1, 1)
    assert capsys.readouterr().err == "embedding: 1/1 images\n"


def test_no_last_line_where_it_went_wrong(capsys) -> None:
    def fail() -> None:
        with progress_bar("embedding", unit="images") as progress:
            progress(1, 2)
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert capsys.readouterr().err == ""


def test_one_bar_after_the_other(capsys) -> None:
    with progress_by_unit({"images": "embedding", "frames": "reading"}) as progress:
        progress("images", 1, 2)
        progress("images", 2, 2)
        progress("frames", 7, None)
    assert capsys.readouterr().err == "embedding: 2/2 images\nreading: 7 frames\n"
