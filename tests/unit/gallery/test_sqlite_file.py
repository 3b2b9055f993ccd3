"""The file of a gallery: who may read it, and what is said of files that are damaged, full, old or new."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from gallery_rows import change, contribution, enroll, images, person

from probefusion.errors import (
    FileFormatError,
    IntegrityError,
    MissingFileError,
    ProbeFusionError,
    StoreBusyError,
    StoreError,
)
from probefusion.gallery.stores import schema, sqlite_file, sqlite_store
from probefusion.gallery.stores.opening import open_store
from probefusion.gallery.stores.sqlite_file import APPLICATION_ID

SIZE = 30_000
"""Bytes of a payload."""


@pytest.fixture
def path(tmp_path) -> Path:
    """A gallery of three people that nobody has open."""
    path = tmp_path / "gallery.db"
    with closing(open_store(path)) as store:
        store.create("people")
        for number in (1, 2, 3):
            enroll(store, number, bytes([number]) * SIZE)
    return path


def test_only_the_owner_may_read(tmp_path) -> None:
    before = os.umask(0)
    try:
        with closing(open_store(tmp_path / "g.db")) as store:
            store.create("people")
            enroll(store, 1, b"x" * 100)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    names = ("g.db", "g.db-wal", "g.db-shm", "g.db.lock", "g.db.turn")
    assert modes == dict.fromkeys(names, 0o600)


def test_every_connection_is_safe(path) -> None:
    with closing(sqlite_file.connect(path, 30)) as connection:
        settings = ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "busy_timeout")
        given = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in settings]
    assert given == ["wal", 2, 1, 1, 30000]


def test_damaged_files_are_named_and_left_alone(path) -> None:
    whole = path.read_bytes()
    damaged = {
        "text": b"name,embedding\n" * 400,
        "cut to a page": whole[:4096],
        "cut in the middle": whole[: len(whole) // 2],
        "cut by a byte": whole[:-1],
        "header": b"\xff" * 16 + whole[16:],
        "no schema": whole[:105] + b"\xff" * 300 + whole[405:],
        "empty": b"",
    }
    for name, content in damaged.items():
        path.write_bytes(content)
        with pytest.raises(ProbeFusionError, match="nothing was changed") as caught:
            look_through(path)
        assert isinstance(caught.value, FileFormatError | IntegrityError)
        assert str(path) in str(caught.value), name
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == content, name


def look_through(path: Path) -> None:
    with closing(open_store(path)) as store:
        store.check()


def test_other_programs_databases_are_refused(tmp_path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE people (id)")
        connection.commit()
    content = path.read_bytes()
    with pytest.raises(FileFormatError, match="of another program; nothing was changed"):
        open_store(path)
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["other.db"]


def test_flipped_bits_are_found_wherever_rows_lie(path) -> None:
    """Each flip is an error, or changes nothing that is read; no wrong row is ever given."""
    with closing(open_store(path)) as store:
        right = everything(store)
    whole = path.read_bytes()
    rng = np.random.default_rng(8)
    refused = 0
    for place in rng.choice(len(whole), 150, replace=False):
        content = bytearray(whole)
        content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        said = what_is_said(path, right)
        assert said is None or isinstance(said, FileFormatError | IntegrityError | StoreError), said
        assert "\n" not in str(said)
        refused += said is not None
        for rest in ("-wal", "-shm"):
            Path(f"{path}{rest}").unlink(missing_ok=True)
    assert refused > 30


def what_is_said(path: Path, right: list[object]) -> ProbeFusionError | None:
    try:
        with closing(open_store(path)) as store:
            store.check()
            assert everything(store) == right
    except ProbeFusionError as error:
        return error
    return None


def test_a_flipped_bit_in_a_template_is_found_when_it_is_read(path) -> None:
    content = path.read_bytes()
    place = content.index(b"\2" * 3000) + 1234
    path.write_bytes(content[:place] + b"\3" + content[place + 1 :])
    with closing(open_store(path)) as store, store.reading("people") as reader:
        assert reader.payload("c0001", "net@1") == b"\1" * SIZE
        with pytest.raises(IntegrityError, match=r"'c0002'.*its checksum does not fit"):
            reader.payload("c0002", "net@1")
    with closing(open_store(path)) as store, pytest.raises(IntegrityError, match="Restore"):
        store.check()


def everything(store) -> list[object]:
    with store.reading("people") as reader:
        people = list(reader.people(shown_only=False))
        kept = [row for each in people for row in reader.contributions(each.id)]
        return [
            *(reader.revision, people, kept, list(reader.vectors("m1")), reader.models()),
            *(reader.images(row.id) for row in kept),
            *(reader.payload(row.id, "net@1") for row in kept),
            list(reader.changes()),
        ]


def test_a_log_without_its_database_is_not_taken_up(path) -> None:
    store = open_store(path)
    enroll(store, 4, b"x" * 100)
    log = Path(f"{path}-wal")
    shutil.copy(log, path.with_name("other.db-wal"))
    store.close()
    with pytest.raises(FileFormatError, match="a log without its database other"):
        open_store(path.with_name("other.db"))
    assert not path.with_name("other.db").exists()


def test_missing_folders_and_folders(tmp_path) -> None:
    with pytest.raises(MissingFileError, match="make it first"):
        open_store(tmp_path / "none" / "g.db")
    with pytest.raises(FileFormatError, match="got a folder"):
        open_store(tmp_path)


def test_newer_versions_are_refused_with_the_way_out(path) -> None:
    old = open_store(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
        connection.commit()
    with pytest.raises(FileFormatError, match=r"newer probefusion made.*pip install -U"):
        open_store(path)
    with closing(old):
        with pytest.raises(FileFormatError, match="newer probefusion made"):
            old.writing("people").__enter__()
        with pytest.raises(FileFormatError, match="newer probefusion made"):
            old.reading("people").__enter__()


def test_older_versions_are_migrated_after_a_backup(path, monkeypatch) -> None:
    newer = (*schema.MIGRATIONS, ("CREATE TABLE more (id {text})", "DROP INDEX links_second"))
    for module in (schema, sqlite_file):
        monkeypatch.setattr(module, "MIGRATIONS", newer)
    with closing(open_store(path)) as store:
        with store.reading("people") as reader:
            assert reader.payload("c0002", "net@1") == b"\2" * SIZE
        assert store.overwrite() == (f"the backup {path}.before-v3-of-v2 keeps them; delete it",)
    assert (version_of(path), version_of(Path(f"{path}.before-v3-of-v2"))) == (3, 2)
    assert stat.S_IMODE(Path(f"{path}.before-v3-of-v2").stat().st_mode) == 0o600
    monkeypatch.undo()
    with closing(open_store(f"{path}.before-v3-of-v2")) as store:
        assert store.revision("people") == 3


def test_a_migration_that_fails_changes_nothing(path, monkeypatch) -> None:
    newer = (
        *schema.MIGRATIONS,
        ("CREATE TABLE more (id {text})", "INSERT INTO facts (name) VALUES ('x')"),
    )
    for module in (schema, sqlite_file):
        monkeypatch.setattr(module, "MIGRATIONS", newer)
    with pytest.raises(StoreError, match="NOT NULL"):
        open_store(path)
    monkeypatch.undo()
    assert version_of(path) == 2
    with closing(open_store(path)) as store:
        store.check()
        assert store.revision("people") == 3


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    assert ("more" in names) == (version == 3)
    return version


def test_a_full_database_changes_nothing(path, monkeypatch) -> None:
    connect = sqlite_store.connect

    def narrow(*arguments):
        connection = connect(*arguments)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 3}")
        return connection

    monkeypatch.setattr(sqlite_store, "connect", narrow)
    with closing(open_store(path)) as store:
        with pytest.raises(StoreError, match=r"the disk is full; make room .*nothing was changed"):
            enroll(store, 4, b"x" * 100_000)
        with store.writing("people") as writer:
            with pytest.raises(StoreError, match="the disk is full"):
                writer.add_contribution(contribution(4, 1), images(4), b"x" * 100_000, None)
            with pytest.raises(StoreError, match="an earlier statement of this block failed"):
                writer.put_person(person(5))
        with pytest.raises(StoreError, match="failed before its end; nothing was changed"):
            go_on_after_a_failure(store)
    monkeypatch.undo()
    with closing(open_store(path)) as store:
        store.check()
        assert [row.id for row in everything(store)[1]] == ["p0001", "p0002", "p0003"]
        enroll(store, 4, b"x" * 100_000)


def go_on_after_a_failure(store) -> None:
    with store.writing("people") as writer:
        writer.put_change(change(writer.revision))
        with suppress(StoreError):
            writer.add_contribution(contribution(4, 1), images(4), b"x" * 100_000, None)


FULL = """
import resource, sys
from contextlib import closing
from gallery_rows import enroll
from probefusion.errors import StoreError
from probefusion.gallery.stores.opening import open_store
with closing(open_store(sys.argv[1])) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    for number in range(10, 1000):
        try:
            enroll(store, number, b"x" * 20_000)
        except StoreError as error:
            sys.stdout.write(f"{number}|{error}")
            break
    with store.reading("people") as reader:
        assert reader.person(f"p{number - 1:04}") is not None
        assert reader.person(f"p{number:04}") is None
"""


def test_a_log_that_cannot_grow_changes_nothing(path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    number, said = done.stdout.split("|")
    assert "nothing was changed" in said
    with closing(open_store(path)) as store:
        store.check()
        assert store.revision("people") == 3 + int(number) - 10
        enroll(store, int(number), b"x" * 20_000)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def as_nobody(do) -> str:
    """What an action says that a process without rights does."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            do()
            os.write(writing, b"nothing")
        except ProbeFusionError as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_read_only_files_and_folders(path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = folder / "g.db"
        shutil.copy(path, copy)
        copy.chmod(0o444)
        folder.chmod(0o555)
        content = copy.read_bytes()
        said = as_nobody(lambda: open_store(copy).create("more"))
        assert said.startswith("StoreError: "), said
        assert "nothing was changed" in said
        said = as_nobody(lambda: open_store(folder / "new.db"))
        assert said.startswith("StoreError: "), said
        assert "cannot be written (Permission denied); nothing was changed" in said
        folder.chmod(0o777)
        said = as_nobody(lambda: open_store(copy).create("more"))
        assert said.startswith("StoreError: "), said
        assert "nothing was changed" in said
        assert copy.read_bytes() == content


def test_a_file_that_was_replaced_takes_no_changes(path, tmp_path) -> None:
    with closing(open_store(path)) as store:
        other = tmp_path / "other.db"
        open_store(other).close()
        other.replace(path)
        with pytest.raises(StoreError, match="deleted or replaced since it was opened"):
            store.create("more")
        path.unlink()
        with pytest.raises(StoreError, match="Open the gallery again"):
            store.overwrite()


def test_other_programs_that_write_are_waited_for(path) -> None:
    store = open_store(path, timeout=0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, closing(store):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match="another program keeps it locked"):
            store.create("more")
        other.execute("ROLLBACK")
        assert store.create("more")


def test_leftovers_of_a_killed_start_do_no_harm(tmp_path) -> None:
    (tmp_path / "g.db.new").write_bytes(b"half")
    (tmp_path / "g.db.new-wal").write_bytes(b"half")
    (tmp_path / "g.db.lock").write_bytes(b"")
    with closing(open_store(tmp_path / "g.db")) as store:
        store.create("people")
        enroll(store, 1, b"x" * 100)
        with store.writing("people") as writer:
            writer.put_change(change(2))
        store.check()
    assert {each.name for each in tmp_path.iterdir()} == {"g.db", "g.db.lock", "g.db.turn"}


def test_names_that_look_like_patterns(tmp_path) -> None:
    path = tmp_path / "a [b] ?x=1&mode=ro #%20.db"
    with closing(open_store(path)) as store:
        store.create("people")
        path.with_name(f"{path.name}.before-v3-of-v2").write_bytes(b"")
        assert len(store.overwrite()) == 1
    assert path.stat().st_size > 0
