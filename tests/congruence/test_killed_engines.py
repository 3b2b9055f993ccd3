"""What becomes of workers when the process that gives them their tasks is interrupted or killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from interruptible import interruptible

DRIVER = Path(__file__).parent.parent / "support" / "engine_driver.py"
PATIENCE = 120.0
"""Seconds after which something that has to come is taken never to come."""


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """For temporary files of Ray, whose sockets take short names only, and which a killed driver leaves behind."""
    folder = Path(tempfile.mkdtemp(prefix="pf-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(engine: str, folder: Path, temporary: Path) -> subprocess.Popen[bytes]:
    """Starts the driver, and waits until both workers are at a task and one outcome arrived."""
    library = {"ray": "ray", "dask": "distributed"}.get(engine)
    if library is not None and find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    driver = subprocess.Popen(
        interruptible([str(DRIVER), engine, str(folder), "400", "0.2"]),
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,  # as a shell gives every command its own group
        stdout=subprocess.DEVNULL,
    )
    until(lambda: driver.poll() is not None or any(folder.glob("ended-*")))
    until(lambda: driver.poll() is not None or len(workers_of(folder)) == 2)
    assert driver.poll() is None
    return driver


def until(is_so) -> None:
    """Waits."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def workers_of(folder: Path) -> set[int]:
    """Processes that did tasks."""
    return {int(text) for path in folder.glob("began-*") if (text := path.read_text())}


def lives(process: int) -> bool:
    """Whether a process is there, and no zombie that nobody waited for."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("engine", ["local", "ray", "dask"])
def test_workers_end_when_their_driver_is_killed(engine, tmp_path, short_folder):
    driver = start(engine, tmp_path, short_folder)
    workers = workers_of(tmp_path)
    driver.kill()
    driver.wait()
    until(lambda: not any(lives(worker) for worker in workers))
    begun = len(list(tmp_path.glob("began-*")))
    ended = len(list(tmp_path.glob("ended-*")))
    assert begun - ended <= 4  # two under way, and two that had just ended


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("engine", "number"),
    [("local", signal.SIGINT), ("local", signal.SIGTERM), ("ray", signal.SIGTERM)],
)
def test_an_interrupt_ends_the_workers(engine, number, tmp_path, short_folder):
    driver = start(engine, tmp_path, short_folder)
    workers = workers_of(tmp_path)
    os.killpg(driver.pid, number)  # as Ctrl-C in a terminal does
    assert driver.wait(PATIENCE) != 0
    until(lambda: not any(lives(worker) for worker in workers))
    assert list(short_folder.iterdir()) == []
