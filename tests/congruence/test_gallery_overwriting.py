"""What was erased lies nowhere in the files of a database any more, once `overwrite` says so."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg
import pytest
from gallery_rows import change, contribution, images, model, person, vector

from probefusion.gallery.stores.opening import open_store

NUM = 40
ERASED = range(5, 35)
MARK = 16
"""Bytes that tell contents apart."""

SEARCH = """
import json
import sys
from pathlib import Path
paths, marks = json.load(sys.stdin)
found = {}
for path in paths:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        continue  # the server has deleted it since
    found[path] = sum(bytes.fromhex(mark) in content for mark in marks)
json.dump({path: number for path, number in found.items() if number}, sys.stdout)
"""


def found_in(paths: list[Path], marks: list[bytes]) -> dict[str, int]:
    """How many of the marks stand in each file; another process reads, as closing a file drops SQLite's locks."""
    done = subprocess.run(
        [sys.executable, "-c", SEARCH],
        input=json.dumps([[str(path) for path in paths], [mark.hex() for mark in marks]]),
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def fill(store) -> dict[int, list[bytes]]:
    """People with payloads, chips and templates of several sizes; the marks in what is each one's."""
    rng = np.random.default_rng(3)
    marks: dict[int, list[bytes]] = {}
    for number in range(NUM):
        own = [rng.bytes(MARK) for _ in range(4)]
        size = int(rng.choice([2, 30, 120, 600]))
        with store.writing("people") as writer:
            if number == 0:
                writer.put_model(model())
            writer.put_person(person(number, name=own[0].hex()))
            kept = contribution(number, number, source=own[0].hex())
            writer.add_contribution(kept, images(number), own[1] * size, "net@1")
            writer.put_chip(f"c{number:04}i0", own[2] * size)
            writer.put_vector(vector(number, writer.revision, own[3] * 4))
            writer.put_change(change(writer.revision, edits=({"name": own[0].hex()},)))
        with store.writing("people") as writer:  # what is replaced is to be gone as well
            writer.put_vector(vector(number, writer.revision, own[3] * 5))
            writer.put_payload(f"c{number:04}", "net@1", own[1] * (size + 1), None)
            writer.put_change(change(writer.revision))
        marks[number] = [own[0].hex().encode(), *own[1:]]
    return marks


def erase(store) -> None:
    with store.writing("people") as writer:
        for number in ERASED:
            writer.erase_contribution(f"c{number:04}")
            writer.erase_person(f"p{number:04}")
            writer.put_change(change(2 * number + 1))
        writer.put_change(change(writer.revision, action="forget"))


def both(marks: dict[int, list[bytes]]) -> tuple[list[bytes], list[bytes]]:
    erased = [mark for number in ERASED for mark in marks[number]]
    kept = [mark for number in marks if number not in ERASED for mark in marks[number]]
    return erased, kept


@pytest.fixture
def sqlite_store(tmp_path) -> Iterator:
    store = open_store(tmp_path / "g.db")
    store.create("people")
    yield store
    store.close()


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()]


def test_sqlite_file_and_log(sqlite_store, tmp_path) -> None:
    erased, kept = both(fill(sqlite_store))
    everywhere = found_in(files_of(tmp_path), erased)
    assert sum(everywhere.values()) >= len(erased)
    erase(sqlite_store)
    assert found_in(files_of(tmp_path), erased) != {}
    assert sqlite_store.overwrite() == ()
    assert found_in(files_of(tmp_path), erased) == {}
    assert found_in([tmp_path / "g.db"], kept) == {str(tmp_path / "g.db"): len(kept)}
    sqlite_store.check()


def test_sqlite_says_that_an_open_reader_keeps_bytes(sqlite_store, tmp_path) -> None:
    erased, _ = both(fill(sqlite_store))
    with sqlite_store.reading("people") as reader:
        assert reader.person("p0010") is not None
        erase(sqlite_store)
        (said,) = sqlite_store.overwrite()
        assert "an open reader keeps" in said
        assert reader.payload("c0010", "net@1") is not None
        assert found_in(files_of(tmp_path), erased) != {}
    assert sqlite_store.overwrite() == ()
    assert found_in(files_of(tmp_path), erased) == {}


def test_sqlite_says_that_a_backup_keeps_bytes(sqlite_store, tmp_path) -> None:
    backup = tmp_path / "g.db.before-v2-of-v1"
    backup.write_bytes(b"")
    assert sqlite_store.overwrite() == (f"the backup {backup} keeps them; delete it",)
    backup.unlink()
    assert sqlite_store.overwrite() == ()


def test_sqlite_small_rows_that_were_moved_between_pages(sqlite_store, tmp_path) -> None:
    rng = np.random.default_rng(0)
    marks = {rng.bytes(8).hex(): rng.bytes(MARK) for _ in range(2500)}
    for times in (3, 7):
        with sqlite_store.writing("people") as writer:
            writer.put_model(model())
            for name, mark in marks.items():
                writer.put_person(person(0, id=name, name=name))
                content = mark * int(rng.integers(1, times))
                writer.put_vector(vector(0, writer.revision, content, person_id=name))
            writer.put_change(change(writer.revision))
    gone = list(marks)[::3]
    with sqlite_store.writing("people") as writer:
        for name in gone:
            writer.erase_person(name)
        writer.put_change(change(writer.revision))
    assert sqlite_store.overwrite() == ()
    assert found_in(files_of(tmp_path), [marks[name] for name in gone]) == {}


@pytest.fixture
def postgres(postgres_server) -> Iterator:
    address = postgres_server.new_database()
    store = open_store(address)
    store.create("people")
    with psycopg.connect(address, autocommit=True) as connection:
        yield store, connection, postgres_server.data
    store.close()


def heap_files(connection, data: Path) -> list[Path]:
    rows = connection.execute(
        "SELECT pg_relation_filepath(c.oid) FROM pg_class c WHERE c.relkind IN ('r', 't', 'i') "
        "AND pg_relation_filepath(c.oid) IS NOT NULL AND c.relfilenode > 0"
    )
    return [data / name for (name,) in rows]


def test_postgres_tables_and_log(postgres) -> None:
    store, connection, data = postgres
    erased, kept = both(fill(store))
    connection.execute("ANALYZE")  # samples that the server keeps are to hold nothing of people
    erase(store)
    connection.execute("CHECKPOINT")
    assert found_in(heap_files(connection, data), erased) != {}
    for table in ("payloads", "chips", "vectors", "people", "contributions", "changes"):
        connection.execute(f"VACUUM probefusion.{table}")
    connection.execute("CHECKPOINT")
    assert (
        found_in(heap_files(connection, data), erased) != {}
    )  # VACUUM alone frees, and leaves the bytes
    assert store.overwrite() == ()
    assert found_in(heap_files(connection, data), erased) == {}
    log = [path for path in (data / "pg_wal").iterdir() if path.is_file()]
    assert log
    assert found_in(log, erased) == {}
    everything = [path for path in data.rglob("*") if path.is_file()]
    assert found_in(everything, erased) == {}
    assert sum(found_in(heap_files(connection, data), kept).values()) >= len(kept)
    store.check()


def test_postgres_says_what_an_open_reader_keeps(postgres) -> None:
    store, connection, data = postgres
    erased, _ = both(fill(store))
    with store.reading("people") as reader:
        assert reader.person("p0010") is not None
        erase(store)
        said = " ".join(store.overwrite())
        assert "the table people is in use by others" in said
        assert "a transaction that began before keeps rows of payloads" in said
        assert reader.payload("c0010", "net@1") is not None
        assert found_in(heap_files(connection, data), erased) != {}
    assert store.overwrite() == ()
    assert found_in(heap_files(connection, data), erased) == {}


def test_postgres_says_which_rights_are_missing(postgres) -> None:
    _, connection, _ = postgres
    connection.execute("CREATE ROLE guest LOGIN PASSWORD 'x'")
    try:
        connection.execute("GRANT USAGE ON SCHEMA probefusion TO guest")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA probefusion TO guest")
        connection.execute("GRANT UPDATE ON probefusion.collections TO guest")
        url = address_of(connection).replace("postgres:@", "guest:x@")
        with closing(open_store(url)) as guest:
            said = " ".join(guest.overwrite())
            assert guest.collections() == ("people",)
            with pytest.raises(OSError, match=r"a right is missing .*nothing was changed"):
                guest.create("other")
    finally:
        connection.execute("DROP OWNED BY guest")
        connection.execute("DROP ROLE guest")
    assert "the table payloads was not written anew" in said
    assert "let a superuser finish, or grant the rights" in said


def test_postgres_rights_that_an_owner_needs(postgres_server) -> None:
    """As docs/how-to/postgres.md says: no superuser is needed to forget."""
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE faces LOGIN PASSWORD 'secret'")
        connection.execute("CREATE DATABASE faces OWNER faces ENCODING 'UTF8' TEMPLATE template0")
        address = postgres_server.url.replace("postgres:@/postgres", "faces:secret@/faces")
        try:
            with closing(open_store(address)) as store:
                store.create("people")
                erased, _ = both(fill(store))
                erase(store)
                (said,) = store.overwrite()
                assert "let a superuser finish, or grant the rights" in said
                connection.execute("GRANT pg_monitor, pg_checkpoint TO faces")
                inside = address.replace("faces:secret@", "postgres:@")
                with psycopg.connect(inside, autocommit=True) as other:
                    other.execute("GRANT EXECUTE ON FUNCTION pg_switch_wal() TO faces")
            with closing(open_store(address)) as store:
                assert store.overwrite() == ()
        finally:
            connection.execute("DROP DATABASE faces WITH (FORCE)")
            connection.execute("DROP OWNED BY faces")
            connection.execute("DROP ROLE faces")
    everything = [path for path in postgres_server.data.rglob("*") if path.is_file()]
    assert found_in(everything, erased) == {}


def address_of(connection) -> str:
    info = connection.info
    return f"postgresql://postgres:@/{info.dbname}?host={info.host}"
