"""Many writers and readers at once, on every place where a gallery can lie."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from gallery_rows import change, contribution, enroll, person, vector
from gallery_writer import DIM, PEOPLE, additions

from probefusion.errors import ConfigError, StoreBusyError
from probefusion.gallery.stores.opening import open_store

WRITER = Path(__file__).resolve().parents[1] / "support" / "gallery_writer.py"
PROCESSES = 8
TIMES = 25


def test_eight_processes_add_up_to_what_one_would(store, address) -> None:
    with store.writing("people") as writer:
        for number in range(PEOPLE):
            writer.put_person(person(number, created="0"))
            nothing = np.zeros(DIM, np.int64).tobytes()
            writer.add_contribution(contribution(number, number), [], nothing, None)
        writer.put_change(change(1))
    arguments = [
        [sys.executable, str(WRITER), "add", address, str(s), str(TIMES)] for s in range(PROCESSES)
    ]
    running = [subprocess.Popen(each, stderr=subprocess.PIPE, text=True) for each in arguments]
    for process in running:
        _, said = process.communicate()
        assert process.returncode == 0, said
    sums = np.zeros((PEOPLE, DIM), np.int64)
    visits = [0] * PEOPLE
    for seed in range(PROCESSES):
        for number, numbers in additions(seed, TIMES):
            sums[number] += numbers
            visits[number] += 1
    with store.reading("people") as reader:
        assert reader.revision == 1 + PROCESSES * TIMES
        assert [row.revision for row in reader.changes()] == list(range(1, reader.revision + 1))
        for number in range(PEOPLE):
            assert reader.payload(f"c{number:04}", None) == sums[number].tobytes()
            assert reader.person(f"p{number:04}").created == str(visits[number])


def test_readers_see_one_moment_while_others_write(store) -> None:
    enroll(store, 1, b"x" * 70)
    enroll(store, 2, b"x" * 70)
    ended = threading.Event()
    torn: list[object] = []
    seen: set[int] = set()

    def read() -> None:
        while not ended.is_set():
            with store.reading("people") as reader:
                revision = reader.revision
                contents = {row.vector for row in reader.vectors("m1")}
                kept = {reader.payload(f"c000{number}", "net@1") for number in (1, 2)}
                newest = next(reader.changes(newest_first=True)).revision
                expected = {b"x" * 64} if revision == 2 else {b"%d" % revision}
                if contents != expected or newest != revision or len(kept) != 1:
                    torn.append((revision, contents, kept, newest))
                seen.add(revision)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        with store.writing("people") as writer:
            for number in (1, 2):
                content = b"%d" % writer.revision
                writer.put_vector(vector(number, writer.revision, content))
                writer.put_payload(f"c000{number}", "net@1", content, None)
            writer.put_change(change(writer.revision))
    ended.set()
    for thread in threads:
        thread.join()
    assert torn == []
    assert len(seen) > 2


def test_snapshot_stays_and_streams_are_of_it(store) -> None:
    with store.writing("people") as writer:
        for number in range(5000):
            writer.put_person(person(number))
        writer.put_change(change(1))
    with store.reading("people") as reader:
        people = reader.people()
        first = next(people)
        with store.writing("people") as writer:
            for number, row in enumerate(writer.people()):  # reads what it changes at once
                assert row.name == f"person {number}"
                writer.put_person(person(number, name=f"new {number}"))
            writer.put_change(change(2))
        rest = list(people)
        assert [first, *rest] == [person(number) for number in range(5000)]
        assert reader.revision == 1
        assert reader.person_named("new 7") is None
        assert reader.change(2) is None
    with store.reading("people") as reader:
        assert next(reader.people()).name == "new 0"


def test_connections_are_whole_after_readers_that_stop_halfway(store) -> None:
    with store.writing("people") as writer:
        for number in range(3000):
            writer.put_person(person(number))
        writer.put_change(change(1))
    for revision in range(2, 6):
        with store.reading("people") as reader:
            next(reader.people())
        with store.writing("people") as writer:
            writer.put_change(change(revision))
        with store.reading("people") as reader:
            assert reader.revision == revision
    assert store.overwrite() == ()


def test_waiting_ends_with_the_next_revision(store, address) -> None:
    enroll(store, 1, b"x" * 70)
    assert store.wait("people", after=0, timeout=0) == 1
    assert store.wait("people", after=1, timeout=0.05) == 1
    with closing(open_store(address)) as other:
        answers: list[int] = []

        def wait() -> None:
            answers.append(other.wait("people", after=1, timeout=60))

        waiting = threading.Thread(target=wait)
        waiting.start()
        enroll(store, 2, b"x" * 70)
        waiting.join()
    assert answers == [2]


def test_who_waits_too_long_is_told(store, address) -> None:
    enroll(store, 1, b"x" * 70)
    impatient = open_store(address, timeout=0.1)
    with closing(impatient), store.writing("people") as writer:
        writer.put_person(person(2))
        writer.put_change(change(2))
        with pytest.raises(StoreBusyError, match="nothing was changed"):
            impatient.writing("people").__enter__()
        with impatient.reading("people") as reader:  # readers need not wait
            assert reader.revision == 1
            assert reader.person("p0002") is None
    assert store.revision("people") == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_must_open_anew(store) -> None:
    enroll(store, 1, b"x" * 70)
    child = os.fork()
    if child == 0:
        try:
            store.collections()
        except ConfigError as error:
            os._exit(7 if "open it in each process anew" in str(error) else 8)
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert store.revision("people") == 1
