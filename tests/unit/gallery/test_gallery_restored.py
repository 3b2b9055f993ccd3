"""A database, or its key file, that is put in place of a newer one while galleries are open."""

from __future__ import annotations

import os
import shutil
import sqlite3

import numpy as np
import pytest

from probefusion.errors import ConfigError, MissingKeyError, ProbeFusionError
from probefusion.gallery import Gallery, MasterKey

pytest.importorskip("cryptography")

DIM = 32


def images(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(DIM) + 0.2 * rng.standard_normal((3, DIM))).astype(np.float32)


def first(gallery: Gallery, seed: int) -> str | None:
    return gallery.search(images(seed), threshold=0.9).name


def restore(backup, database) -> None:
    """As `sqlite3 .restore` does: pages are written into the open file."""
    with sqlite3.connect(backup) as source, sqlite3.connect(database) as target:
        source.backup(target)
    source.close()
    target.close()


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_database_restored_in_place_is_read_anew(tmp_path, encrypted) -> None:
    path, backup = tmp_path / "people.db", tmp_path / "backup.db"
    keys = MasterKey.generate() if encrypted else None
    with Gallery(path, fuser="mean", keys=keys) as reader:
        with Gallery(path, fuser="mean", keys=keys) as writer:
            writer.enroll("ann", images(1))
            with sqlite3.connect(path) as source, sqlite3.connect(backup) as target:
                source.backup(target)
            source.close()
            target.close()
            writer.enroll("cid", images(3))
        assert first(reader, 3) == "cid"
        restore(backup, path)
        assert first(reader, 3) is None
        assert first(reader, 1) == "ann"
        with Gallery(path, fuser="mean", keys=keys) as writer:
            writer.enroll("dan", images(4))  # the revision that cid had
        assert first(reader, 4) == "dan"
        assert first(reader, 3) is None
        assert reader.search(images(4), threshold=0.9).gallery_size == 2


def test_a_collection_made_again_is_read_anew(tmp_path) -> None:
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", images(1))
        assert first(gallery, 1) == "ann"
        gallery.store.drop("people")
        gallery.store.create("people")
        with Gallery(tmp_path / "people.db", fuser="mean") as other:
            other.enroll("bob", images(2))
        assert first(gallery, 2) == "bob"
        assert first(gallery, 1) is None


def test_readers_notice_that_the_file_was_replaced(tmp_path) -> None:
    path = tmp_path / "people.db"
    with Gallery(path, fuser="mean") as gallery:
        gallery.enroll("ann", images(1))
        for beside in tmp_path.glob("people.db-*"):
            beside.unlink()
        path.unlink()
        with Gallery(path, fuser="mean") as other:
            other.enroll("bob", images(2))
        with pytest.raises(ProbeFusionError, match="deleted or replaced"):
            first(gallery, 1)


def test_lost_keys_are_told_from_destroyed_ones(tmp_path) -> None:
    path, keys = tmp_path / "people.db", MasterKey.generate()
    with Gallery(path, fuser="mean", keys=keys) as gallery:
        gallery.enroll("ann", images(1))
    older = tmp_path / "older.keys"
    shutil.copy(tmp_path / "people.db.keys", older)
    with Gallery(path, fuser="mean", keys=keys) as gallery:
        gallery.enroll("bob", images(2))
        gallery.forget("ann")
        assert first(gallery, 2) == "bob"
    with Gallery(path, fuser="mean", keys=keys) as gallery:
        assert gallery.search(images(1), threshold=0.9).gallery_size == 1
    shutil.copy(older, tmp_path / "people.db.keys")
    with (
        Gallery(path, fuser="mean", keys=keys) as gallery,
        pytest.raises(MissingKeyError, match="lacks 1 keys of people who were not forgotten"),
    ):
        first(gallery, 2)


def test_nothing_plain_is_written_into_a_sealed_database(tmp_path) -> None:
    path = tmp_path / "people.db"
    with Gallery(path, fuser="mean", create=True) as plain:
        plain.store.drop("people")  # as if both had opened the empty file at once
        with Gallery(path, fuser="mean", keys=MasterKey.generate()) as sealed:
            sealed.enroll("ann", images(1))
        with pytest.raises(ConfigError, match="gave it keys meanwhile"):
            plain.enroll("bob", images(2))
        (name,) = written_names(path)
        assert name.startswith("sealed1:")
        assert sealed.address == plain.address


def written_names(path) -> list[str]:
    with sqlite3.connect(path) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM people")]


def test_a_change_of_folder_leaves_the_gallery_where_it_is(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Gallery("people.db", fuser="mean") as gallery:
        gallery.enroll("ann", images(1))
        (tmp_path / "elsewhere").mkdir()
        os.chdir(tmp_path / "elsewhere")
        gallery.enroll("bob", images(2))
        assert gallery.list() == ("ann", "bob")
        assert list(tmp_path.joinpath("elsewhere").iterdir()) == []


def test_a_link_leads_to_the_keys(tmp_path) -> None:
    (tmp_path / "real").mkdir()
    keys = MasterKey.generate()
    with Gallery(tmp_path / "real" / "people.db", fuser="mean", keys=keys) as gallery:
        gallery.enroll("ann", images(1))
    (tmp_path / "link.db").symlink_to(tmp_path / "real" / "people.db")
    with Gallery(tmp_path / "link.db", keys=keys) as gallery:
        assert first(gallery, 1) == "ann"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.db", "real"]
