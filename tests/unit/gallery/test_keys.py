"""Keys in their file: made, found, kept from others, and refused where something is wrong."""

from __future__ import annotations

import random
import sqlite3
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    MismatchError,
    MissingFileError,
    MissingKeyError,
    ProbeFusionError,
    SealError,
    StoreBusyError,
)
from probefusion.gallery.keys.encryption import DataKey
from probefusion.gallery.keys.master_key import WRAP_MARK, KeyWrap, MasterKey, derive
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


def test_keys_are_found_again(store: KeyStore, path: Path) -> None:
    made = store.make_keys(5)
    assert len({key.secret for key in made}) == len({key.id for key in made}) == 5
    assert [store.get(key.id) for key in made] == list(made)
    store.close()
    with KeyStore(path, MASTER) as again:
        assert again.get_many(key.id for key in made) == {key.id: key for key in made}
        assert again.ids() == tuple(key.id for key in made)
        assert again.count() == {"kept": 5, "destroyed": 0}


def test_no_key_is_in_the_file_as_it_is(store: KeyStore, path: Path) -> None:
    made = store.make_keys(50)
    store.close()
    for file in path.parent.iterdir():
        raw = file.read_bytes()
        for secret in (*(key.secret for key in made), MASTER.secret):
            assert secret not in raw
            assert secret.hex().encode() not in raw
    assert path.read_bytes().count(WRAP_MARK) == 51  # the root secret too


def test_the_file_and_those_beside_it_are_private(store: KeyStore, path: Path) -> None:
    store.make_keys(1)
    names = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert names == {"people.db.keys": 0o600, "people.db.keys-journal": 0o600}


def test_ten_thousands_of_keys_are_found_at_once(store: KeyStore) -> None:
    made = store.make_keys(25_000)
    assert len(store.get_many(key.id for key in made)) == 25_000
    assert store.get_many([made[0].id, made[0].id, "unknown"]) == {made[0].id: made[0]}
    assert store.get_many([]) == {}
    assert store.make_keys(0) == ()


def test_an_unknown_key_is_told_from_a_destroyed_one(store: KeyStore) -> None:
    first, second = store.make_keys(2)
    assert store.destroy([first.id]) == ()
    with pytest.raises(MissingKeyError, match="was destroyed"):
        store.get(first.id)
    with pytest.raises(MissingKeyError, match="'nobody' is not in key file"):
        store.get("nobody")
    assert store.get(second.id) == second
    assert store.destroyed([first.id, second.id, "nobody"]) == {first.id}
    assert store.count() == {"kept": 1, "destroyed": 1}


def test_another_master_key_is_refused_at_once(store: KeyStore, path: Path) -> None:
    with pytest.raises(
        MismatchError, match=f"{MASTER.fingerprint}, got the one with {OTHER.fingerprint}"
    ):
        KeyStore(path, OTHER)
    with pytest.raises(MismatchError):
        KeyStore(path, OTHER, make=True)


def test_a_forged_fingerprint_gives_no_key(store: KeyStore, path: Path) -> None:
    (key,) = store.make_keys(1)
    store.close()
    connection = sqlite3.connect(path)
    connection.execute(
        "UPDATE facts SET value = ? WHERE name = 'fingerprint'", (OTHER.fingerprint,)
    )
    connection.commit()
    connection.close()
    with KeyStore(path, OTHER) as keys, pytest.raises(SealError, match="does not open"):
        keys.get(key.id)


def test_keys_that_were_swapped_in_the_file_are_refused(store: KeyStore, path: Path) -> None:
    first, second = store.make_keys(2)
    connection = sqlite3.connect(path)
    rows = dict(connection.execute("SELECT id, wrapped FROM keys").fetchall())
    connection.execute("UPDATE keys SET wrapped = ? WHERE id = ?", (rows[second.id], first.id))
    connection.execute("UPDATE keys SET wrapped = ? WHERE id = ?", (rows[first.id], second.id))
    connection.commit()
    connection.close()
    for key in (first, second):
        with pytest.raises(SealError, match=key.id):
            store.get(key.id)


def test_the_wrapped_form_is_that_of_the_master_key(store: KeyStore, path: Path) -> None:
    (key,) = store.make_keys(1)
    connection = sqlite3.connect(path)
    (wrapped,) = connection.execute("SELECT wrapped FROM keys WHERE id = ?", (key.id,)).fetchone()
    connection.close()
    assert KeyWrap(MASTER).unwrap(wrapped, key.id) == key.secret


def test_a_lost_file_is_not_replaced(path: Path) -> None:
    with pytest.raises(MissingFileError, match="nothing that was encrypted can be read"):
        KeyStore(path, MASTER)
    with pytest.raises(MissingFileError):
        KeyStore(path, MASTER, make=True, read_only=True)
    assert list(path.parent.iterdir()) == []
    path.touch(0o600)
    with pytest.raises(FileFormatError, match="another database or an empty file"):
        KeyStore(path, MASTER)


def test_no_folder_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no folder"):
        KeyStore(tmp_path / "nowhere" / "keys", MASTER, make=True)


def test_making_twice_opens(store: KeyStore, path: Path) -> None:
    (key,) = store.make_keys(1)
    with KeyStore(path, MASTER, make=True) as again:
        assert again.get(key.id) == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700])
def test_a_file_that_others_may_open_is_refused(mode: int, store: KeyStore, path: Path) -> None:
    store.close()
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"got {mode:04o}.*chmod 600"):
        KeyStore(path, MASTER)


def test_other_files_are_refused(tmp_path: Path) -> None:
    text, database = tmp_path / "text", tmp_path / "database"
    text.write_bytes(b"no database at all, though long enough to be one" * 100)
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE keys (a)")
    connection.commit()
    connection.close()
    for path in (text, database):
        path.chmod(0o600)
        content = path.read_bytes()
        for make in (False, True):
            with pytest.raises(FileFormatError, match="expected a file of gallery keys"):
                KeyStore(path, MASTER, make=make)
        assert path.read_bytes() == content
    with pytest.raises(FileFormatError, match="got a folder"):
        KeyStore(tmp_path, MASTER)


def test_a_newer_version_is_refused(store: KeyStore, path: Path) -> None:
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(FileFormatError, match="expected version 1, got 2"):
        KeyStore(path, MASTER)


def test_a_truncated_file_is_refused(store: KeyStore, path: Path) -> None:
    made = store.make_keys(500)
    store.close()
    whole = path.read_bytes()
    for length in (100, 1000, 4096, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises((FileFormatError, SealError)):
            read_all(path, [key.id for key in made])


def read_all(path: Path, ids: list[str]) -> None:
    with KeyStore(path, MASTER) as keys:
        assert len(keys.get_many(ids)) == len(ids)


@pytest.mark.parametrize(
    ("column", "value"),
    [("wrapped", 5), ("wrapped", "text"), ("wrapped", b""), ("id", b"\xff\xfe")],
)
def test_values_of_another_type_are_refused(
    column: str, value: object, store: KeyStore, path: Path
) -> None:
    (key,) = store.make_keys(1)
    connection = sqlite3.connect(path)
    statement = (
        "UPDATE keys SET wrapped = ?"
        if column == "wrapped"
        else "UPDATE keys SET id = CAST(? AS TEXT)"
    )
    connection.execute(f"{statement} WHERE seq = 2", (value,))
    connection.commit()
    connection.close()
    if column == "wrapped":
        with pytest.raises(SealError, match="does not open"):
            store.get(key.id)
    else:
        with pytest.raises(MissingKeyError, match="is not in key file"):
            store.get(key.id)
        with pytest.raises(FileFormatError, match="Restore it from its backup"):
            store.ids()


def test_flipped_bits_give_no_wrong_key(store: KeyStore, path: Path) -> None:
    """Either an error of ours, or the very keys; one that is damaged may be missing, never another."""
    made = {key.id: key for key in store.make_keys(60)}
    store.close()
    path.with_name(path.name + "-journal").unlink()
    whole, rng = path.read_bytes(), random.Random(0)
    outcomes: Counter[str] = Counter()
    for _ in range(300):
        changed = bytearray(whole)
        changed[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        try:
            with KeyStore(path, MASTER, read_only=True) as keys:
                found = keys.get_many(made)
        except ProbeFusionError as error:
            outcomes[type(error).__name__] += 1
            continue
        assert all(made[key_id] == key for key_id, key in found.items())
        outcomes["read"] += 1
    assert outcomes["read"] > 0
    assert outcomes["SealError"] > 0
    assert outcomes["FileFormatError"] > 0


def test_reading_alone_changes_nothing(store: KeyStore, path: Path) -> None:
    made = store.make_keys(3)
    root = store.derive("audit")
    store.close()
    path.with_name(path.name + "-journal").unlink()
    path.chmod(0o400)
    before = path.stat()
    with KeyStore(path, MASTER, read_only=True) as keys:
        assert len(keys.get_many(key.id for key in made)) == 3
        assert keys.derive("audit") == root
        for change in (
            lambda: keys.make_keys(1),
            lambda: keys.destroy([made[0].id]),
            lambda: keys.rotate(OTHER),
        ):
            with pytest.raises(ConfigError, match="opened read-only"):
                change()
    after = path.stat()
    assert (before.st_mtime_ns, before.st_size, before.st_ino) == (
        after.st_mtime_ns,
        after.st_size,
        after.st_ino,
    )
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_derived_secrets_outlive_a_change_of_the_master_key(store: KeyStore, path: Path) -> None:
    audit = store.derive("audit")
    assert store.derive("other") != audit
    assert derive(MASTER.secret, "audit") != audit
    store.rotate(OTHER)
    assert store.derive("audit") == audit


def test_the_root_secret_is_none_of_the_keys(store: KeyStore) -> None:
    assert store.ids() == ()
    with pytest.raises(ConfigError, match="got 'root'"):
        store.destroy(["root"])


def test_a_full_disk_changes_nothing(store: KeyStore) -> None:
    made = store.make_keys(50)
    with store._file.reading() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OSError, match="the disk is full; nothing was changed"):
        store.make_keys(5000)
    assert store.count() == {"kept": 50, "destroyed": 0}
    assert len(store.get_many(key.id for key in made)) == 50


def test_a_busy_file_is_told(store: KeyStore, path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with KeyStore(path, MASTER, timeout=0.05) as keys:
        with pytest.raises(StoreBusyError, match="another process uses it"):
            keys.make_keys(1)
        with pytest.raises(StoreBusyError):
            keys.rotate(OTHER)
        connection.execute("ROLLBACK")
        assert len(keys.make_keys(1)) == 1
    connection.close()


def test_threads_use_one_store_while_the_master_key_changes(store: KeyStore, path: Path) -> None:
    made: list[DataKey] = []
    errors: list[Exception] = []

    def use() -> None:
        try:
            for _ in range(15):
                keys = store.make_keys(2)
                assert len(store.get_many(key.id for key in keys)) == 2
                made.extend(keys)
        except Exception as error:  # noqa: BLE001 - whatever it is
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for master in (OTHER, MASTER) * 5:
        assert store.rotate(master) == ()
    for thread in threads:
        thread.join()
    assert errors == []
    store.close()
    with KeyStore(path, MASTER) as again:
        assert again.get_many(key.id for key in made) == {key.id: key for key in made}
        assert again.count()["kept"] == 120


def test_ids_may_come_from_the_store_itself(store: KeyStore) -> None:
    made = store.make_keys(3)
    ids = (store.get(key.id).id for key in made)
    assert len(store.get_many(ids)) == 3
    assert store.destroy(store.get(key.id).id for key in made[:2]) == ()
    assert store.count() == {"kept": 1, "destroyed": 2}


def test_a_closed_store_is_told(store: KeyStore) -> None:
    store.close()
    store.close()
    with pytest.raises(ConfigError, match="is closed"):
        store.count()


def test_names_that_mean_something_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory#%41 ü'.keys"
    with KeyStore(path, MASTER, make=True) as keys:
        (key,) = keys.make_keys(1)
        hostile = "'; DROP TABLE keys; --"
        assert keys.get_many([hostile, key.id]) == {key.id: key}
        assert keys.destroy([hostile]) == ()
    assert path.is_file()
    assert KeyStore.__name__ in repr(keys)
    assert MASTER.secret.hex() not in repr(keys)
