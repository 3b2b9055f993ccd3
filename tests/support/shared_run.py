"""For pytest: runs those files of tests that no other process of the run has taken (see side_by_side.py)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

RUN = Path(os.environ.get("TESTS_RUN_FOLDER", "."))
WORKER = os.environ.get("TESTS_WORKER", "0")

LONG_FIRST = ("parity", "docs", "training", "cli", "research", "pipeline", "assets", "api")
"""Folders whose tests take long: begun last, one of them would be waited for by all others."""


def pytest_configure() -> None:
    """The way to this module is not for commands that tests start."""
    own = str(Path(__file__).parent)
    ways = [way for way in os.environ.get("PYTHONPATH", "").split(os.pathsep) if way != own]
    os.environ["PYTHONPATH"] = os.pathsep.join(ways)
    if not any(ways):
        del os.environ["PYTHONPATH"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Takes file after file; tests and fixtures of one file stay together and in order."""
    if session.testsfailed or session.config.option.collectonly:
        return None  # pytest says what is wrong
    _note("collected", *(item.nodeid for item in session.items))
    taken = _taken(session.items)
    item = next(taken, None)
    while item is not None:
        following = next(taken, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        _note("ran", item.nodeid)
        if session.shouldfail or session.shouldstop:
            (RUN / "stop").touch()
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            raise session.Interrupted(session.shouldstop)
        item = following
    return True


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Adds a letter to the progress of the whole run."""
    failed_beside = report.when != "call" and report.failed
    letter = "E" if failed_beside else "F" if report.failed else "s" if report.skipped else "."
    if hasattr(report, "wasxfail"):
        letter = "x" if report.skipped else "X"
    if report.when == "call" or not report.passed:
        with (RUN / "progress").open("a") as progress:
            progress.write(letter)


def _taken(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    for path in sorted(files, key=_rank):
        if (RUN / "stop").exists():
            return
        mark = hashlib.sha256(str(path).encode()).hexdigest()
        try:
            (RUN / f"{mark}.taken").touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from files[path]


def _rank(path: Path) -> int:
    ranks = [LONG_FIRST.index(part) for part in path.parts if part in LONG_FIRST]
    return min(ranks, default=len(LONG_FIRST))


def _note(kind: str, *lines: str) -> None:
    with (RUN / f"{WORKER}.{kind}").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
