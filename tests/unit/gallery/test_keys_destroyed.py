"""After `destroy` and `rotate` the old bytes are in no file; while somebody reads, that is told."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import key_file_processes
import pytest

from probefusion.errors import ConfigError, MismatchError, MissingKeyError
from probefusion.gallery.keys.encryption import Cipher, Place
from probefusion.gallery.keys.key_file import KeyFile
from probefusion.gallery.keys.master_key import WRAP_MARK, MasterKey
from probefusion.gallery.keys.wrapped_keys import KeyStore

MASTER = MasterKey(secret=bytes(range(32)))
OTHER = MasterKey(secret=bytes(range(1, 33)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db.keys"


@pytest.fixture
def store(path: Path) -> Iterator[KeyStore]:
    with KeyStore(path, MASTER, make=True) as keys:
        yield keys


def wrapped_by_id(path: Path) -> dict[str, bytes]:
    connection = sqlite3.connect(path)
    rows = dict(connection.execute("SELECT id, wrapped FROM keys").fetchall())
    connection.close()
    return rows


def fragments_left(path: Path, wrapped: bytes) -> list[str]:
    """Files of the folder that hold any eight bytes in a row of a wrapped key, its mark aside."""
    secret = wrapped[len(WRAP_MARK) :]
    pieces = [secret[start : start + 8] for start in range(0, len(secret) - 8, 4)]
    return [
        file.name
        for file in path.parent.iterdir()
        if file.is_file() and any(piece in file.read_bytes() for piece in pieces)
    ]


def test_destroyed_bytes_are_in_no_file(store: KeyStore, path: Path) -> None:
    rng = random.Random(0)
    made = [key for _ in range(40) for key in store.make_keys(rng.randrange(1, 40))]
    before = wrapped_by_id(path)
    gone = rng.sample(made, len(made) // 3)
    assert fragments_left(path, before[gone[0].id]) != []
    for key in gone[:10]:
        assert store.destroy([key.id]) == ()
    assert store.destroy([key.id for key in gone]) == ()
    store.close()
    for key in gone:
        assert fragments_left(path, before[key.id]) == []
    with KeyStore(path, MASTER) as again:
        kept = {key.id: key for key in made if key not in gone}
        assert again.get_many(key.id for key in made) == kept
        assert again.count() == {"kept": len(kept), "destroyed": len(gone)}


def test_what_a_destroyed_key_sealed_stays_sealed_in_every_copy(
    store: KeyStore, path: Path
) -> None:
    (key,) = store.make_keys(1)
    place = Place(collection="main", subject="c1", what="features")
    backup_of_the_database = Cipher().seal(b"features", place, key)
    assert Cipher().open(backup_of_the_database, place, store.get(key.id)) == b"features"
    store.destroy([key.id])
    with pytest.raises(MissingKeyError, match="cannot be read any more"):
        store.get(key.id)
    with pytest.raises(ConfigError, match="expected a key"):
        Cipher().open(backup_of_the_database, place, store.get_many([key.id]).get(key.id))


def test_what_the_old_master_key_opens_is_in_no_file(store: KeyStore, path: Path) -> None:
    made = store.make_keys(300)
    before = wrapped_by_id(path)
    assert store.rotate(OTHER) == ()
    assert store.fingerprint == OTHER.fingerprint
    assert store.get_many(key.id for key in made) == {key.id: key for key in made}
    store.close()
    for wrapped in before.values():
        assert fragments_left(path, wrapped) == []
    with pytest.raises(MismatchError):
        KeyStore(path, MASTER)
    with KeyStore(path, OTHER) as again:
        assert len(again.get_many(key.id for key in made)) == 300


def test_the_same_master_key_is_no_change(store: KeyStore) -> None:
    with pytest.raises(ConfigError, match="expected a new one"):
        store.rotate(MasterKey(secret=MASTER.secret))


def test_a_changed_key_stops_the_change_of_the_master_key(store: KeyStore, path: Path) -> None:
    made = store.make_keys(3)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE keys SET wrapped = zeroblob(68) WHERE id = ?", (made[2].id,))
    connection.commit()
    connection.close()
    with pytest.raises(ValueError, match="does not open"):
        store.rotate(OTHER)
    assert store.fingerprint == MASTER.fingerprint
    assert store.get(made[0].id) == made[0]


def test_others_notice_a_new_master_key(store: KeyStore, path: Path) -> None:
    (key,) = store.make_keys(1)
    with KeyStore(path, MASTER) as late, KeyStore(path, MASTER, read_only=True) as reader:
        assert late.get(key.id) == reader.get(key.id) == key
        store.rotate(OTHER)
        for use in (
            lambda: late.get(key.id),
            lambda: late.make_keys(1),
            lambda: late.rotate(MasterKey.generate()),
            lambda: reader.get(key.id),
            lambda: reader.count(),
        ):
            with pytest.raises(MismatchError, match="may have been changed since"):
                use()
    assert store.count() == {"kept": 1, "destroyed": 0}


def test_keys_are_found_at_the_moment_of_the_change(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = store.make_keys(1)
    found = []
    writing = type(store._file).writing

    @contextmanager
    def observed(self: KeyFile, *, wait: float | None = None) -> Iterator[sqlite3.Connection]:
        with writing(self, wait=wait) as connection:
            yield connection
        found.append(store.get(key.id))  # as another thread would

    monkeypatch.setattr(type(store._file), "writing", observed)
    assert store.rotate(OTHER) == ()
    assert found == [key, key]


def test_an_open_reader_is_told_and_the_rest_is_done_later(store: KeyStore, path: Path) -> None:
    gone, kept = store.make_keys(2)
    before = wrapped_by_id(path)
    command = [sys.executable, key_file_processes.__file__, "read", str(path), ""]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reads\n"
        (pending,) = store.destroy([gone.id], wait=0.1)
        assert "another process reads or changes key file" in pending
        assert store.get(gone.id) == gone  # nothing was destroyed yet
        reader.communicate("end\n")
    assert store.destroy([gone.id], wait=30) == ()
    assert store.get(kept.id) == kept
    store.close()
    assert fragments_left(path, before[gone.id]) == []


def test_a_reader_that_came_between_is_told(
    store: KeyStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is destroyed, but its bytes are in the journal still; the next call, or the next opening, ends it."""
    gone, _ = store.make_keys(2)
    before = wrapped_by_id(path)
    holder = sqlite3.connect(path, isolation_level=None)
    scrub = type(store._file).scrub

    def late(self: object, *, wait: float | None = None) -> None:
        holder.execute("BEGIN IMMEDIATE")
        scrub(self, wait=0.05)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store._file), "scrub", late)
    (pending,) = store.destroy([gone.id])
    assert "its journal may still hold old bytes" in pending
    monkeypatch.undo()
    store.close()
    holder.execute("ROLLBACK")
    holder.close()
    assert fragments_left(path, before[gone.id]) == ["people.db.keys-journal"]
    with KeyStore(path, MASTER) as again:
        assert again.destroyed([gone.id]) == {gone.id}
        again.close()
    assert fragments_left(path, before[gone.id]) == []


def test_stale_copies_are_found_and_written_over(store: KeyStore, path: Path) -> None:
    (gone, *_) = store.make_keys(100)
    before = wrapped_by_id(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("CREATE TABLE copies AS SELECT * FROM keys")
    connection.execute("DROP TABLE copies")
    connection.commit()
    connection.close()
    assert path.read_bytes().count(before[gone.id]) > 1
    assert store.destroy([gone.id]) == ()
    store.close()
    assert fragments_left(path, before[gone.id]) == []
    assert path.read_bytes().count(WRAP_MARK) == 100


def test_a_journal_of_another_kind_is_given_up(store: KeyStore, path: Path) -> None:
    (gone,) = store.make_keys(1)
    before = wrapped_by_id(path)
    store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    connection.execute("UPDATE facts SET value = value")
    connection.commit()
    connection.close()
    with KeyStore(path, MASTER) as again:
        assert again.destroy([gone.id]) == ()
        assert not path.with_name(path.name + "-wal").exists()
        again.close()
    assert fragments_left(path, before[gone.id]) == []


def test_behind_a_link_the_journal_is_cleaned_too(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link, target = path, elsewhere / "target.keys"
    KeyStore(target, MASTER, make=True).close()
    link.symlink_to(target)
    with KeyStore(link, MASTER) as keys:
        made = keys.make_keys(500)
        gone, kept = made[::50], made[1]
        before = wrapped_by_id(target)
        assert keys.destroy([key.id for key in gone]) == ()
        assert keys.get(kept.id) == kept
    assert [fragments_left(target, before[key.id]) for key in gone] == [[]] * 10
    assert fragments_left(target, before[kept.id]) == ["target.keys"]


def test_where_one_cannot_look_all_is_written_anew(
    store: KeyStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(store._file), "may_have_stale_copies", lambda self: True)
    gone, kept = store.make_keys(2)
    before = wrapped_by_id(path)
    assert store.destroy([gone.id]) == ()
    assert store.get(kept.id) == kept
    store.close()
    assert fragments_left(path, before[gone.id]) == []
    assert len(fragments_left(path, before[kept.id])) == 1
