"""Many processes use a key file at once, and are killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import key_file_processes
import pytest

from probefusion.errors import MismatchError
from probefusion.gallery.keys.master_key import WRAP_MARK, WRAPPED_BYTES, MasterKey
from probefusion.gallery.keys.wrapped_keys import KeyStore

MASTER = MasterKey(secret=bytes(range(32)))
OTHER = MasterKey(secret=bytes(range(1, 33)))


def started(what: str, path: Path, master: MasterKey, argument: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        key_file_processes.__file__,
        what,
        str(path),
        master.secret.hex(),
        argument,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_eight_processes_make_keys_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    processes = [started("make", path, MASTER, "10") for _ in range(8)]
    told = [line.split() for process in processes for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * 8
    assert len({key_id for key_id, _ in told}) == 160
    with KeyStore(path, MASTER) as keys:
        found = keys.get_many(key_id for key_id, _ in told)
        assert {key.id: key.secret.hex() for key in found.values()} == dict(told)  # type: ignore[arg-type]
        assert keys.count() == {"kept": 160, "destroyed": 0}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_both_sides_of_a_fork_use_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    KeyStore(path, MASTER, make=True).close()
    process = started("fork", path, MASTER, "")
    assert process.communicate()[0] == "6 True 0 11\n"


def test_killed_in_the_middle_of_a_new_master_key(tmp_path: Path) -> None:
    """All keys are wrapped by one of the two master keys, whatever the moment."""
    path = tmp_path / "keys"
    rng = random.Random(0)
    with KeyStore(path, MASTER, make=True) as keys:
        made = {key.id: key for key in keys.make_keys(2000)}
        root = keys.derive("audit")
        begin = time.perf_counter()
        keys.rotate(OTHER)
        lasts = time.perf_counter() - begin
        keys.rotate(MASTER)
    current = MASTER
    for round_number in range(30):
        other = OTHER if current is MASTER else MASTER
        process = started("rotate", path, current, other.secret.hex())
        assert line_of(process) == "begins"
        if round_number % 3:  # most of them while the pages themselves are written
            assert line_of(process) == "commits"
            time.sleep(rng.uniform(0, lasts / 4))
        else:
            time.sleep(rng.uniform(0, 2 * lasts))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        current = the_only_one(path)
        with KeyStore(path, current) as keys:
            assert keys.get_many(made) == made
            assert keys.derive("audit") == root
            keys.close()
        of_now = set(wrapped_in(path))
        assert len(wrapped_in(path)) == len(of_now) == 2001
        beside = [file for file in tmp_path.iterdir() if file != path]
        assert of_now.issuperset(wrapped for file in beside for wrapped in wrapped_in(file))


def wrapped_in(file: Path) -> list[bytes]:
    """All wrapped keys in the raw bytes of a file."""
    raw, found = file.read_bytes(), []
    place = raw.find(WRAP_MARK)
    while place >= 0:
        found.append(raw[place : place + WRAPPED_BYTES])
        place = raw.find(WRAP_MARK, place + 1)
    return found


def the_only_one(path: Path) -> MasterKey:
    """The one of two master keys with which the file opens."""
    fitting = []
    for master in (MASTER, OTHER):
        try:
            KeyStore(path, master).close()
        except MismatchError:
            continue
        fitting.append(master)
    (only,) = fitting
    return only


def test_killed_while_destroying(tmp_path: Path) -> None:
    """What was told to be gone is gone, from the journal too; the rest can be destroyed again."""
    path = tmp_path / "keys"
    rng = random.Random(1)
    with KeyStore(path, MASTER, make=True) as keys:
        made = {key.id: key for key in keys.make_keys(3000)}
    left = list(made)
    for _ in range(8):
        process = started("destroy", path, MASTER, ",".join(left))
        assert line_of(process) == "begins"
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        gone = process.communicate()[0].split("\n")[:-1]
        with KeyStore(path, MASTER) as keys:
            destroyed = keys.destroyed(left)
            assert set(gone) <= destroyed
            assert len(destroyed) <= len(gone) + 1
            left = [key_id for key_id in left if key_id not in destroyed]
            assert keys.get_many(made) == {key_id: made[key_id] for key_id in left}
            keys.close()
        assert path.read_bytes().count(WRAP_MARK) == len(left) + 1
    with KeyStore(path, MASTER) as keys:
        assert keys.destroy(left) == ()
        assert keys.count() == {"kept": 0, "destroyed": 3000}
