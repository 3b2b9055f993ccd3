from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from gallery_people import MadeUp
from probefusion.gallery import Gallery
from probefusion.gallery.audit.trail_check import verify_chain
from probefusion.gallery.keys.master_key import write_master_key

PEOPLE = MadeUp()
ROUNDS = int(os.environ.get("PROBEFUSION_KILL_ROUNDS", "8"))
"""Writers that are killed in one gallery; a long run names more."""

_WRITER = """
import sys
from gallery_people import MadeUp
from probefusion.gallery import Gallery
people, first = MadeUp(), int(sys.argv[2])
with Gallery(sys.argv[1], num_threads=1) as gallery:
    for number in range(first, first + 10_000):
        added = gallery.update(f"p{number % 3}", people.images(number % 3, number), guard=False)
        print("added", added.contribution_id, flush=True)
        if number % 4 == 0:
            gallery.remove(contribution=added.contribution_id)
            print("removed", added.contribution_id, flush=True)
        if number % 7 == 0:
            gallery.forget(contribution=added.contribution_id)
            print("forgotten", added.contribution_id, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is of POSIX")
@pytest.mark.parametrize("place", ["sqlite", "sqlite, encrypted", "postgres"])
def test_no_acknowledged_change_is_lost_when_writers_are_killed(tmp_path, request, place):
    path: object = tmp_path / "people.db"
    if place == "postgres":
        path = request.getfixturevalue("postgres_server").new_database()
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    master = None
    if place == "sqlite, encrypted":
        master = write_master_key(tmp_path / "master.key")
        environment["PROBEFUSION_MASTER_KEY"] = master.secret.hex()
    with Gallery(path, fuser="mean", keys=master) as gallery:
        for who in range(3):
            gallery.enroll(f"p{who}", PEOPLE.images(who, 0))
    rng = np.random.default_rng(5)
    said = []
    for turn in range(ROUNDS):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), str(1 + 1000 * turn)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            said.append(writer.stdout.readline().split())  # it has begun
            time.sleep(rng.uniform(0, 0.3))
            writer.send_signal(signal.SIGKILL)
            lines = writer.stdout.read().split("\n")
        said += [line.split() for line in lines if len(line.split()) == 2]
    with Gallery(path, keys=master) as gallery:
        gallery.finish_forgetting()
        assert gallery.check() == ()
        gallery.store.check()
        last = {item: what for what, item in said}
        assert len(last) >= ROUNDS
        with gallery.store.reading("people") as reader:
            for item, what in last.items():
                row = reader.contribution(item)
                if what == "forgotten":
                    assert row is None
                elif what == "removed":
                    assert row is None or row.person_id is None
            report = verify_chain(
                reader.audit(), collection="people", key=gallery._sealer.audit_key()
            )
            changes = [change.revision for change in reader.changes()]
            there = {
                row.id
                for person in reader.people()
                for row in (*reader.contributions(person.id), *reader.taken_out(person.id))
            }
        assert report.is_whole
        assert changes == list(range(1, gallery.revision + 1))
        kept = {item for item, what in last.items() if what == "added"}
        next_steps = kept - there  # the next step of each writer may be done and not be said
        assert len(next_steps) <= ROUNDS
        assert {receipt.status for receipt in gallery.receipts()} <= {"erased"}
