"""Signals: the first asks, the second ends, and handlers are given back."""

from __future__ import annotations

import signal
import threading

import pytest

from probefusion.cli.interrupt import interruption, sigterm_as_interrupt

BOTH = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers():
    """No test leaves another handler behind."""
    before = [signal.getsignal(number) for number in BOTH]
    yield
    assert [signal.getsignal(number) for number in BOTH] == before


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_asks_and_the_second_ends(number, capsys) -> None:
    with interruption("what was read is finished") as stop:
        assert stop() is False
        signal.raise_signal(number)
        assert stop() is True
        error = capsys.readouterr().err
        assert error == "stopping; what was read is finished (again: at once)\n"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_while_nothing_waits_the_first_signal_ends(capsys) -> None:
    with pytest.raises(KeyboardInterrupt), interruption("kept", is_patient=False) as stop:
        signal.raise_signal(signal.SIGTERM)
    assert stop() is False
    with interruption("kept", is_patient=False) as stop:
        stop.is_patient = True
        signal.raise_signal(signal.SIGTERM)
        assert stop() is True
    assert capsys.readouterr().err == "stopping; kept (again: at once)\n"


def test_sigterm_ends_as_ctrl_c_does_and_a_question_inside_comes_first() -> None:
    with sigterm_as_interrupt():
        with interruption("kept") as stop:
            signal.raise_signal(signal.SIGTERM)
            assert stop() is True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_outside_the_main_thread_nothing_is_changed() -> None:
    found = []

    def work() -> None:
        with sigterm_as_interrupt(), interruption("kept") as stop:
            found.append(([signal.getsignal(number) for number in BOTH], stop()))

    before = [signal.getsignal(number) for number in BOTH]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(before, False)]
