"""In a gallery with keys no name and no source stands readable in any file, wherever the gallery lies."""

from __future__ import annotations

import shutil
import sqlite3
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import MissingKeyError, OutputExistsError, SealError
from probefusion.gallery import Gallery, MasterKey
from probefusion.gallery.stores.opening import open_store
from probefusion.gallery.stores.sealed_texts import PlainTexts

pytest.importorskip("cryptography")

PEOPLE = MadeUp()
NAMES = ("Quirrelwyn Zanderloop", "Ottokar Vexhollow", "Brixaby Underthorne")
WORDS = (
    *(word for name in NAMES for word in name.split()),
    *("doorcam-quoxley", "holiday-grebulon", "stillmedia-zorple", "Renamedwick"),
)


@pytest.fixture
def keyed(address, tmp_path):
    """Opens a gallery at the address with always the same keys."""
    master = MasterKey.generate()

    def opened(at: str = address) -> Gallery:
        return Gallery(at, fuser="mean", keys=master, key_file=tmp_path / "the.keys")

    return opened


def labelled(who: int, visit: int):
    images = PEOPLE.images(who, visit)
    sources = np.array([f"holiday-grebulon/{row}.jpg" for row in range(len(images))])
    media = np.array([f"stillmedia-zorple-{row}" for row in range(len(images))])
    return replace(images, sources=sources, media_ids=media)


def fill(gallery: Gallery) -> None:
    """People, visits, a visit that is held, a rename, a merge and its undoing."""
    for who, name in enumerate(NAMES):
        gallery.enroll(name, labelled(who, 0), source="doorcam-quoxley")
    gallery.update(NAMES[0], labelled(0, 1), source="doorcam-quoxley")
    assert gallery.update(NAMES[0], labelled(1, 5), source="doorcam-quoxley").is_held
    gallery.rename(NAMES[1], "Renamedwick")
    gallery.undo()
    gallery.merge(NAMES[1], NAMES[2])
    gallery.undo()
    gallery.cannot_link(NAMES[1], NAMES[2])


def words_in(address: str, folder: Path, request) -> dict[str, list[str]]:
    """Which of the words stand in which file of the database, the folder of a server included."""
    folders = [folder]
    if "://" in address:
        folders.append(Path(request.getfixturevalue("postgres_server").data))
    found = {}
    for path in (each for top in folders for each in top.rglob("*") if each.is_file()):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # the server has deleted it since
        words = [word for word in WORDS if word.encode() in content]
        if words:
            found[str(path)] = words
    return found


def test_no_name_and_no_source_stands_in_any_file(address, keyed, tmp_path, request) -> None:
    with keyed() as gallery:
        fill(gallery)
        assert words_in(address, tmp_path, request) == {}
        if "://" not in address:
            with (
                sqlite3.connect(address) as source,
                sqlite3.connect(tmp_path / "backup.db") as target,
            ):
                source.backup(target)
            source.close()
            target.close()
        with gallery.store.reading("people") as reader:
            entries = b"".join(reader.audit())
        assert [word for word in WORDS if word.encode() in entries] == []
    assert words_in(address, tmp_path, request) == {}


def test_all_is_read_as_it_was_given(keyed) -> None:
    with keyed() as gallery:
        fill(gallery)
    with keyed() as gallery:
        assert gallery.list() == tuple(sorted(NAMES))
        assert gallery.search(PEOPLE.images(1, 9), threshold=0.5).name == NAMES[1]
        view = gallery.person(NAMES[0])
        assert {part.source for part in view.contributions} == {"doorcam-quoxley"}
        image = view.contributions[0].images[2]
        assert (image.source, image.media_id) == ("holiday-grebulon/2.jpg", "stillmedia-zorple-2")
        assert gallery.person(NAMES[1]).different_from == (NAMES[2],)
        ((name, held),) = gallery.held()
        assert name == NAMES[0]
        assert f"closer to {NAMES[1]}" in str(held.doubts)
        named = [
            edit["after"]["name"]
            for change in gallery.history()
            for edit in change.edits
            if edit["kind"] == "person" and edit["after"]
        ]
        assert set(named) == {*NAMES, "Renamedwick"}
        gallery.remove(image=image.id)
        assert gallery.person(NAMES[0]).contributions[0].images[2].source == image.source
        assert gallery.check() == ()


def test_one_name_has_one_person_and_one_spelling(keyed) -> None:
    composed, split = (unicodedata.normalize(form, "José Ångström") for form in ("NFC", "NFD"))
    with keyed() as gallery:
        gallery.enroll(split, PEOPLE.images(0, 0))
        assert composed in gallery
        assert gallery.person(split).name == composed
        with pytest.raises(OutputExistsError):
            gallery.enroll(composed, PEOPLE.images(1, 0))
        gallery.remove(composed)
        gallery.enroll(composed, PEOPLE.images(1, 0))
        assert "josé ångström" not in gallery


def test_seals_open_at_their_place_alone(address, keyed) -> None:
    with keyed() as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        gallery.enroll("bob", PEOPLE.images(1, 0))
        with gallery.store.reading("people") as reader:
            ann, bob = sorted(reader.people(), key=lambda row: row.name)
        gallery.store.use_texts(PlainTexts())
        with gallery.store.writing("people") as writer:
            rows = {row.id: row for row in writer.people()}
            writer.put_person(replace(rows[ann.id], name=rows[bob.id].name, shown=False))
            writer.put_change(next(iter(writer.changes())))
            change = next(iter(writer.changes()))
            writer.put_change(replace(change, revision=writer.revision, edits=()))
    with keyed() as gallery:
        (told,) = gallery.stats().damaged
        assert told.startswith(f"person {ann.id}")
        with gallery.store.reading("people") as reader, pytest.raises(SealError, match="name of"):
            reader.person(ann.id)


def test_galleries_of_older_versions_are_sealed(address, keyed, tmp_path, request) -> None:
    with keyed() as gallery:
        fill(gallery)
        bits, history = stored_bits(gallery), gallery.history()
        views = [gallery.person(name) for name in NAMES]
        held = gallery.held()
        as_older_versions_wrote(gallery)
    assert len({word for words in words_in(address, tmp_path, request).values() for word in words})
    with keyed() as gallery:
        assert (stored_bits(gallery), gallery.history()) == (bits, history)
        assert [gallery.person(name) for name in NAMES] == views
        assert gallery.held() == held
        assert gallery.check() == ()
        if "://" not in address:  # of a server's log the tests of overwriting speak
            assert words_in(address, tmp_path, request) == {}
    with keyed() as gallery:
        assert gallery.list() == tuple(sorted(NAMES))


def as_older_versions_wrote(gallery: Gallery) -> None:
    """Writes all names and sources plain, as if they had never been sealed."""
    store = gallery.store
    with store.changes() as session:
        session.run("DELETE FROM facts WHERE name = 'texts'")
    with store.reading("people") as reader:
        rows = list(reader.people(shown_only=False))
        parts = [part for row in rows for part in reader.contributions(row.id)]
        parts += [part for row in rows for part in reader.taken_out(row.id)]
        images = {part.id: reader.images(part.id) for part in parts}
        reasons = {part.id: reader.reasons(part.id) for part in parts}
        changes = list(reader.changes())
    store.use_texts(PlainTexts())
    with store.writing("people") as writer:
        for row in rows:
            writer.put_person(row)
        for part in parts:
            writer._put_contribution(part)
            writer._put_images(images[part.id], part.key_id)
            if reasons[part.id]:
                writer.put_reasons(part.id, reasons[part.id])
        for change in changes:
            writer._put_change(change)
        writer.changed = True


def test_tables_of_the_first_version_are_migrated_after_a_copy(address, keyed) -> None:
    """Why visits were held was not noted then."""
    with keyed() as gallery:
        fill(gallery)
        bits, history = stored_bits(gallery), gallery.history()
        as_older_versions_wrote(gallery)
        with gallery.store.changes() as session:
            for statement in FIRST_VERSION:
                session.run(statement)
            session.run(
                "UPDATE tables_version SET version = 1"
                if "://" in address
                else "PRAGMA user_version = 1"
            )
    with keyed() as gallery:
        assert (stored_bits(gallery), gallery.history()) == (bits, history)
        ((name, held),) = gallery.held()
        assert (name, held.doubts) == (NAMES[0], ())
        assert gallery.update(NAMES[0], labelled(1, 6)).is_held
        assert [len(each.doubts) > 0 for _, each in gallery.held()] == [False, True]
        assert gallery.check() == ()
        remaining = gallery.store.overwrite()
    assert any("before" in words and "of_v1" in words.replace("-", "_") for words in remaining)


FIRST_VERSION = ("DROP TABLE reasons", "DROP INDEX people_named", "DROP INDEX changes_by_action")
"""What leads back to it."""


@pytest.mark.parametrize("table", ["people", "contributions", "vectors", "changes", "audit"])
def test_damaged_rows_stop_nobody_else(address, keyed, table) -> None:
    with keyed() as gallery:
        for who, name in enumerate(NAMES):
            gallery.enroll(name, PEOPLE.images(who, 0), source="door")
        gone = gallery.person(NAMES[0]).id
        whose = {"people": "id", "contributions": "person_id", "vectors": "person_id"}.get(table)
        with gallery.store.changes() as session:
            number = {"changes": "revision = 1", "audit": "sequence = 3"}.get(table)
            where = f"{whose} = '{gone}'" if whose else number
            session.run(f"UPDATE {table} SET crc = crc + 1 WHERE {where}")  # noqa: S608 - own names
    with keyed() as gallery:
        (told,) = gallery.stats().damaged
        assert table in told
        assert gallery.search(PEOPLE.images(1, 1), threshold=0.5).name == NAMES[1]
        gallery.enroll("dan", PEOPLE.images(3, 0))
        gallery.forget(NAMES[2])
        gallery.forget(gone)
        assert gallery.list() == tuple(sorted([NAMES[1], "dan"]))
        assert gallery.stats().damaged == (() if whose else (told,))


def test_forgotten_names_cannot_be_read_in_older_copies(address, keyed, tmp_path) -> None:
    if "://" in address:
        pytest.skip("copies of a server's database are made by its own tools")
    backup = str(tmp_path / "backup.db")
    with keyed() as gallery:
        fill(gallery)
        gallery.store.overwrite()
        gone = gallery.person(NAMES[0]).id
    shutil.copy(address, backup)
    with keyed() as gallery:
        assert gallery.forget(NAMES[0]).status == "erased"
    with keyed(backup) as restored:
        assert restored.list() == tuple(sorted(NAMES[1:]))
        assert (len(restored), restored.stats().num_contributions) == (2, 2)
        assert NAMES[0] not in restored
        assert gone not in str(restored.search(PEOPLE.images(0, 3), threshold=0.1).candidates)
        assert restored.held() == ()
        assert NAMES[0] not in str(restored.history())
        assert restored.check() == ()
        with restored.store.reading("people") as reader:
            assert reader.forgotten()[0] == (gone,)
            assert restored._keys.destroyed([row.key_id for row in reader.forgotten()[1]])
        # the name is free again
        restored.enroll(NAMES[0], PEOPLE.images(7, 0))
        assert restored.search(PEOPLE.images(7, 1), threshold=0.5).name == NAMES[0]
        restored.finish_forgetting()
        assert restored.list() == tuple(sorted(NAMES))
        with restored.store.reading("people") as reader:
            assert reader.forgotten() == ((), ())


def test_lost_keys_are_no_forgetting(keyed, tmp_path) -> None:
    with keyed() as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
    shutil.copy(tmp_path / "the.keys", tmp_path / "older.keys")
    with keyed() as gallery:
        gallery.enroll("bob", PEOPLE.images(1, 0))
    shutil.copy(tmp_path / "older.keys", tmp_path / "the.keys")
    with keyed() as gallery, pytest.raises(MissingKeyError, match="lacks 1 keys of people"):
        gallery.list()


def test_without_keys_all_stays_as_it_was(address) -> None:
    with Gallery(address, fuser="mean") as gallery:
        gallery.enroll("ann", labelled(0, 0), source="doorcam-quoxley")
    store = open_store(address)
    with store.reading("people") as reader:
        (row,) = reader.people()
        assert reader.images(reader.contributions(row.id)[0].id)[0].source.startswith("holiday")
    store.close()
