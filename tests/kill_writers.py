"""Kills writing processes at random moments, and looks whether a gallery lost or tore anything.

    python tests/kill_writers.py --store sqlite --rounds 200
    python tests/kill_writers.py --store postgres --rounds 200 --kill-server-every 20

In each round a process writes change after change, each to many tables, and tells of those that are done. It is
killed (SIGKILL) at a random moment; then every change that it told of must be there, and every change that is there
must be whole. The last line is JSON with the figures; the exit status is 1 if anything was lost or torn.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

SUPPORT = Path(__file__).resolve().parent / "support"
sys.path.insert(0, str(SUPPORT))

from gallery_writer import checksum_of  # noqa: E402
from postgres_server import PostgresServer  # noqa: E402

from probefusion.errors import MissingFileError, UnknownNameError  # noqa: E402
from probefusion.gallery.stores.opening import open_store  # noqa: E402

ROUNDS_EACH = 20
"""Rounds with one database; then a new one is begun, so that kills meet its making too."""


def kill_one(address: str, seed: int, server: PostgresServer | None) -> dict[int, str]:
    """Changes that a writer said were done, before it or the server was killed."""
    chance = random.Random(seed)
    writer = subprocess.Popen(
        [sys.executable, str(SUPPORT / "gallery_writer.py"), "append", address, str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    starts = chance.random() < 0.2  # some are killed before they wrote anything
    line = b"" if starts else writer.stdout.readline()
    with suppress(subprocess.TimeoutExpired):
        writer.wait(chance.uniform(0, 0.7))
    if server is not None:
        server.kill()
        writer.wait()
    writer.kill()
    lines = (line + writer.stdout.read()).decode().splitlines(keepends=True)
    writer.wait()
    writer.stdout.close()
    return {int(said.split()[0]): said.split()[1] for said in lines if said.endswith("\n")}


def look(address: str, told: dict[int, str], seen: int) -> tuple[int, int, int]:
    """The newest revision, changes that were lost, and changes after `seen` that are torn."""
    try:
        store = open_store(address, create=False)
    except MissingFileError:
        return 0, len(told), 0
    with closing(store):
        try:
            newest = store.revision("people")
        except UnknownNameError:
            return 0, len(told), 0
        with store.reading("people") as reader:
            audit = dict(enumerate(reader.audit(), start=1))
            lost = sum(audit.get(number, b"").hex() != said for number, said in told.items())
            torn = int(reader.revision != newest or len(audit) != newest)
            torn += [row.revision for row in reader.changes()] != list(range(1, newest + 1))
            erased = {number - 3 for number in range(7, newest + 1, 7)}
            for number in range(max(1, seen - 4), newest + 1):
                if number in erased:
                    torn += reader.person(f"p{number:04}") is not None
                    torn += reader.contribution(f"c{number:04}") is not None
                else:
                    torn += audit.get(number) != checksum_of(reader, number)
            alive = {f"p{number:04}" for number in range(1, newest + 1) if number not in erased}
            torn += {row.id for row in reader.people()} != alive
            torn += reader.count()["contributions"] != len(alive)
        store.check()
    return newest, lost, torn


@contextmanager
def databases(kind: str) -> Iterator[tuple[Iterator[str], PostgresServer | None]]:
    """New addresses, and the server that they are on."""
    if kind == "postgres":
        with PostgresServer() as server:
            yield iter(server.new_database, ""), server
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield (f"{folder}/{number}.db" for number in range(1_000_000)), None


def run(kind: str, rounds: int, *, seed: int = 0, kill_server_every: int = 0) -> dict[str, int]:
    """Figures of so many rounds."""
    figures = {"rounds": 0, "server_kills": 0, "told": 0, "kept": 0, "lost": 0, "torn": 0}
    with databases(kind) as (addresses, server):
        for number in range(rounds):
            if number % ROUNDS_EACH == 0:
                address, seen, all_told = next(addresses), 0, {}
            dies = kill_server_every and number % kill_server_every == kill_server_every - 1
            told = kill_one(address, seed + number, server if dies else None)
            if dies:
                server.start()
            all_told |= told
            newest, lost, torn = look(address, all_told, seen)
            figures["rounds"] += 1
            figures["server_kills"] += bool(dies)
            figures["told"] += len(told)
            figures["kept"] += newest - seen
            figures["lost"] += lost
            figures["torn"] += torn
            seen = newest
            if lost or torn:
                break
    return figures


def main() -> int:
    """Runs the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", choices=("sqlite", "postgres"), required=True)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kill-server-every", type=int, default=0, metavar="N")
    given = parser.parse_args()
    figures = run(
        given.store, given.rounds, seed=given.seed, kill_server_every=given.kill_server_every
    )
    sys.stdout.write(json.dumps({"store": given.store, **figures}) + "\n")
    return 1 if figures["lost"] or figures["torn"] else 0


if __name__ == "__main__":
    sys.exit(main())
