"""A bit that flipped in any kind of row: the others are found, anybody can be forgotten, and it is told."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from gallery_people import MadeUp
from probefusion.errors import IntegrityError, ProbeFusionError, SealError
from probefusion.gallery import Gallery, MasterKey
from probefusion.gallery.upkeep import verify_audit

PEOPLE = MadeUp()
NAMES = ("ann", "bob", "cid")

ROWS = {
    "people": "SELECT rowid FROM people WHERE id = :person",
    "contributions": "SELECT rowid FROM contributions WHERE person_id = :person ORDER BY time LIMIT 1",
    "images": "SELECT i.rowid FROM images i JOIN contributions c ON c.id = i.contribution_id "
    "WHERE c.person_id = :person ORDER BY i.id LIMIT 1",
    "payloads": "SELECT p.rowid FROM payloads p JOIN contributions c ON c.id = p.contribution_id "
    "WHERE c.person_id = :person ORDER BY c.time LIMIT 1",
    "reasons": "SELECT rowid FROM reasons",
    "vectors": "SELECT rowid FROM vectors WHERE person_id = :person",
    "links": "SELECT rowid FROM links",
    "changes": "SELECT rowid FROM changes ORDER BY revision LIMIT 1",
    "audit": "SELECT rowid FROM audit ORDER BY sequence DESC LIMIT 1",
    "receipts": "SELECT rowid FROM receipts",
}
COLUMNS = [
    *(("people", column) for column in ("name", "name_hash", "shown", "key_id", "created", "crc")),
    *(("contributions", column) for column in ("kind", "num_images", "source", "key_id", "crc")),
    *(("images", column) for column in ("place", "source", "left_out", "crc")),
    *(("payloads", column) for column in ("payload", "embedder", "crc")),
    *(("vectors", column) for column in ("vector", "num_images", "crc")),
    *(("reasons", "reasons"), ("links", "crc")),
    *(("changes", column) for column in ("action", "subjects", "edits", "crc")),
    *(("audit", column) for column in ("entry", "crc")),
    *(("receipts", column) for column in ("status", "key_ids", "crc")),
]


MASTER = bytes(range(100, 132)).hex()


def at(path, encrypted: bool) -> Gallery:
    keys = MasterKey(secret=bytes.fromhex(MASTER)) if encrypted else None
    return Gallery(path, fuser="mean", keys=keys)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "sealed"])
def original(request, tmp_path_factory):
    """Three people, a visit that is held, a link, a receipt."""
    if request.param:
        pytest.importorskip("cryptography")
    path = tmp_path_factory.mktemp("original") / "people.db"
    with at(path, request.param) as gallery:
        for who, name in enumerate(NAMES):
            gallery.enroll(name, PEOPLE.images(who, 0), source="door")
        gallery.update("ann", PEOPLE.images(0, 1), source="door")
        assert gallery.update("ann", PEOPLE.images(1, 7)).is_held
        gallery.cannot_link("ann", "bob")
        gallery.enroll("eve", PEOPLE.images(9, 0))
        gallery.forget("eve")
    return path, request.param


@pytest.fixture
def filled(original, tmp_path):
    """A copy of it, and what opens the copy."""
    path, encrypted = original
    for each in path.parent.glob("people.db*"):
        shutil.copy(each, tmp_path)
    return tmp_path / "people.db", lambda: at(tmp_path / "people.db", encrypted)


def flip(path, table: str, column: str, person_id: str) -> None:
    """Flips one bit of one value, as a disk would, and nothing else."""
    with closing(sqlite3.connect(path)) as connection:
        wanted = {"person": person_id} if ":person" in ROWS[table] else {}
        (row,) = connection.execute(ROWS[table], wanted).fetchone()
        (value,) = connection.execute(
            f"SELECT {column} FROM {table} WHERE rowid = ?",  # noqa: S608 - own names
            (row,),
        ).fetchone()
        flipped: object
        if value is None:
            flipped = "\x01"
        elif isinstance(value, int):
            flipped = value ^ (1 if column in ("shown", "left_out") else 8)
        elif isinstance(value, bytes):
            place = len(value) // 2
            flipped = value[:place] + bytes([value[place] ^ 4]) + value[place + 1 :]
        else:
            place = len(value) // 2
            flipped = value[:place] + chr(ord(value[place]) ^ 2) + value[place + 1 :]
            flipped = flipped if value else "\x02"
        connection.execute(
            f"UPDATE {table} SET {column} = ? WHERE rowid = ?",  # noqa: S608 - own names
            (flipped, row),
        )
        connection.commit()


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_one_flipped_bit_stops_nobody_else(filled, table, column) -> None:
    path, opened = filled
    with opened() as gallery:
        ids = {name: gallery.person(name).id for name in NAMES}
    flip(path, table, column, ids["ann"])
    with opened() as gallery:
        told = gallery.stats().damaged
        assert len(told) == 1
        assert table in told[0]
        assert set(told) <= set(gallery.check())
        if table in ("people", "contributions", "images", "payloads", "vectors"):
            assert ids["ann"] in told[0]
        assert gallery.search(PEOPLE.images(1, 3), threshold=0.5).name == "bob"
        found = gallery.search(PEOPLE.images(0, 3), threshold=0.5)
        if table in ("people", "vectors"):
            assert found.name is None
            assert ids["ann"] in found.warnings[0]
            assert found.gallery_size == 2
        else:
            assert (found.name, found.warnings) == ("ann", ())
        assert {"bob", "cid"} <= set(gallery.list())
        assert len(gallery.list()) == 3
        # somebody new, somebody else's visit, and somebody else forgotten
        gallery.enroll("dan", PEOPLE.images(3, 0))
        assert gallery.update("bob", PEOPLE.images(1, 1)).total_images == 6
        assert gallery.forget("cid").status == "erased"
        assert gallery.search(PEOPLE.images(3, 1), threshold=0.5).name == "dan"
        if table not in ("changes", "links"):
            assert gallery.stats().damaged == told  # nothing has hidden it
        # the damaged one, by the id that the words tell
        receipt = gallery.forget(ids["ann"])
        assert (receipt.status, receipt.subject) == ("erased", ids["ann"])
        assert gallery.list() == ("bob", "dan")
        assert gallery.search(PEOPLE.images(0, 3), threshold=0.5).name is None
        assert gallery.search(PEOPLE.images(1, 3), threshold=0.5).name == "bob"
        left = gallery.stats().damaged
        assert left == (told if table in ("changes", "audit", "receipts") else ())
        if gallery.is_encrypted:
            assert gallery._keys.count()["kept"] == 2 * 2 + 1  # bob: 2 contributions, dan: 1
    assert rows_of(path, "people") == 2
    assert rows_of(path, "contributions") == 3
    assert rows_of(path, "images") == 9


def rows_of(path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]  # noqa: S608 - own names


@pytest.mark.parametrize("column", ["name", "key_id", "crc"])
def test_a_damaged_person_is_forgotten_by_the_name_as_well(filled, column) -> None:
    path, opened = filled
    with opened() as gallery:
        flip(path, "people", column, gallery.person("ann").id)
    with opened() as gallery:
        assert gallery.forget("ann").status == "erased"
        assert gallery.list() == ("bob", "cid")
        assert gallery.stats().damaged == ()


def test_the_damaged_person_takes_no_visit_and_says_why(filled) -> None:
    path, opened = filled
    with opened() as gallery:
        person = gallery.person("ann")
        flip(path, "payloads", "payload", person.id)
    with opened() as gallery:
        part = person.contributions[0].id
        with pytest.raises(
            (IntegrityError, SealError), match=f"contribution {part} of person {person.id}"
        ):
            gallery.update("ann", PEOPLE.images(0, 5))
        gallery.forget(contribution=part)
        assert gallery.update("ann", PEOPLE.images(0, 5)).total_images == 6
        assert gallery.check() == ()


def test_a_damaged_model_stops_no_forgetting(filled) -> None:
    path, opened = filled
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE models SET dim = dim + 1")
        connection.commit()
    with opened() as gallery:
        with pytest.raises(ProbeFusionError, match="models"):
            gallery.search(PEOPLE.images(1, 3), threshold=0.5)
        assert gallery.forget("ann").status == "erased"
        assert gallery.list() == ("bob", "cid")
        assert len(gallery.stats().damaged) == 1
        assert any("models" in words for words in gallery.check())


def test_the_chain_of_the_audit_tells_a_damaged_entry_and_goes_on(filled) -> None:
    path, opened = filled
    with opened() as gallery:
        flip(path, "audit", "entry", "")
        number = gallery.revision
        gallery.enroll("dan", PEOPLE.images(3, 0))
        gallery.update("dan", PEOPLE.images(3, 1))
        report = verify_audit(gallery)
        assert not report.is_whole
        assert {fault.sequence for fault in report.faults} <= {number - 1, number, number + 1}
        assert report.num_entries == number + 2


@pytest.mark.parametrize("bit", [0x80, 0x04])
def test_bytes_that_are_no_text_any_more(filled, bit) -> None:
    """In the raw file, so that indexes hold the old value."""
    path, opened = filled
    with opened() as gallery:
        person = gallery.person("ann")
        gallery.store.overwrite()
    content = path.read_bytes()
    mark = person.created.encode()
    place = content.index(mark, content.index(person.id.encode())) + 4
    path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
    with opened() as gallery:
        assert len(gallery.stats().damaged) >= 1
        assert gallery.search(PEOPLE.images(1, 3), threshold=0.5).name == "bob"
        assert gallery.forget(person.id).status == "erased"
        assert gallery.list() == ("bob", "cid")
        assert gallery.stats().damaged == ()


def test_an_image_of_a_damaged_contribution_is_forgotten(filled) -> None:
    path, opened = filled
    with opened() as gallery:
        person = gallery.person("ann")
        flip(path, "payloads", "payload", person.id)
        image = person.contributions[0].images[1].id
        assert gallery.forget(image=image).status == "erased"
        assert gallery.stats().damaged == ()
        left = gallery.person("ann").contributions
        assert person.contributions[0].id not in {part.id for part in left}
        assert np.isfinite(gallery.template("ann").vector).all()
