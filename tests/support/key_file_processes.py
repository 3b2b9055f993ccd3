"""Processes that use a key file, started by tests: `python key_file_processes.py WHAT PATH MASTER [ARGUMENT]`."""

from __future__ import annotations

import os
import sqlite3
import sys

from probefusion.gallery.keys.master_key import MasterKey
from probefusion.gallery.keys.wrapped_keys import KeyStore


def say(text: str) -> None:
    """One line to the test, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def make(path: str, master: str, times: str) -> None:
    """Opens the file, which may not exist yet, and makes two keys many times; tells their ids."""
    with KeyStore(path, MasterKey(secret=bytes.fromhex(master)), make=True) as keys:
        for _ in range(int(times)):
            for key in keys.make_keys(2):
                say(f"{key.id} {key.secret.hex()}")


def rotate(path: str, master: str, other: str) -> None:
    """Changes the master key to and fro without end; tells when it writes the change to the disk."""
    pair = [MasterKey(secret=bytes.fromhex(text)) for text in (other, master)]
    with KeyStore(path, MasterKey(secret=bytes.fromhex(master))) as keys:
        with keys._file.reading() as connection:
            connection.set_trace_callback(
                lambda query: say("commits") if query == "COMMIT" else None
            )
        say("begins")
        while True:
            left = keys.rotate(pair[0])
            say(f"rotated {left}")
            pair.reverse()


def destroy(path: str, master: str, ids: str) -> None:
    """Destroys keys, one after the other; tells each that is gone."""
    with KeyStore(path, MasterKey(secret=bytes.fromhex(master))) as keys:
        say("begins")
        for key_id in ids.split(","):
            if not keys.destroy([key_id]):
                say(key_id)


def read(path: str, master: str, _: str = "") -> None:
    """Holds a reading transaction open until the test writes a line."""
    connection = sqlite3.connect(path)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM keys").fetchone()
    say("reads")
    sys.stdin.readline()
    connection.close()


def fork(path: str, master: str, _: str = "") -> None:
    """Parent and child of a fork use the same object, each by a connection of its own."""
    keys = KeyStore(path, MasterKey(secret=bytes.fromhex(master)))
    (before,) = keys.make_keys(1)
    with keys._file.reading() as connection:
        of_parent = connection
    child = os.fork()
    made = keys.make_keys(5)
    found = len(keys.get_many([before.id, *(key.id for key in made)]))
    with keys._file.reading() as connection:
        is_own = (connection is of_parent) == (child != 0)
    if child == 0:
        os._exit(0 if found == 6 and is_own else 1)
    _, status = os.waitpid(child, 0)
    say(f"{found} {is_own} {os.waitstatus_to_exitcode(status)} {keys.count()['kept']}")
    keys.close()


if __name__ == "__main__":
    {"make": make, "rotate": rotate, "destroy": destroy, "read": read, "fork": fork}[sys.argv[1]](
        *sys.argv[2:]
    )
