from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import ConfigError, MissingKeyError, UnknownNameError
from probefusion.fusion import MeanFuser
from probefusion.gallery import Gallery
from probefusion.gallery.contributions.features import to_bytes
from probefusion.gallery.keys.master_key import MasterKey
from probefusion.types import EmbeddingSet

PEOPLE = MadeUp(channels=40)

_COUNT = """
import sys
from pathlib import Path
needles = [bytes.fromhex(text) for text in Path(sys.argv[1]).read_text().split()]
for name in sys.argv[2:]:
    data = Path(name).read_bytes()
    print(name, sum(needle in data for needle in needles))
"""


def found_in(needles, folder, *files):
    """How many of the needles lie in each file; read by another process, since closing a file drops SQLite's locks."""
    listed = folder / "needles.txt"
    listed.write_text("\n".join(needle.hex() for needle in needles))
    names = [str(file) for file in files if file.exists()]
    answer = subprocess.run(
        [sys.executable, "-c", _COUNT, str(listed), *names],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {
        line.rsplit(" ", 1)[0].rsplit("/", 1)[1]: int(line.rsplit(" ", 1)[1])
        for line in answer.splitlines()
    }


def needles_of(gallery, name):
    """Fragments of what is kept of a person: features, the template, plain and as they are sealed."""
    needles = []
    with gallery.store.reading(gallery.collection) as reader:
        person = reader.person_named(name)
        (model,) = reader.models()
        for row in [*reader.contributions(person.id), *reader.taken_out(person.id)]:
            sealed = reader.payload(row.id, model.embedder)
            plain = gallery._parts.plain(reader, row, model.embedder)
            for data in (sealed, plain):
                needles += [data[start : start + 16] for start in range(200, len(data) - 16, 64)]
        vector = reader.vector(model.id, person.id).vector
        needles += [vector[start : start + 16] for start in range(20, len(vector) - 16, 32)]
    bits = stored_bits(gallery)[name][1]
    needles += [bits[start : start + 16] for start in range(0, len(bits) - 16, 32)]
    return needles


def filled(gallery):
    for who in range(3):
        gallery.enroll(f"p{who}", PEOPLE.images(who, 0))
        gallery.update(f"p{who}", PEOPLE.images(who, 1), guard=False)
    gone = gallery.update("p1", PEOPLE.images(1, 2), guard=False)
    gallery.remove(contribution=gone.contribution_id)


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_no_byte_of_a_forgotten_person_is_left(tmp_path, is_encrypted):
    path = tmp_path / "people.db"
    keys = MasterKey.generate() if is_encrypted else None
    with Gallery(path, fuser="mean", keys=keys) as gallery:
        filled(gallery)
        needles, kept = needles_of(gallery, "p1"), needles_of(gallery, "p2")
        before = stored_bits(gallery)
        files = [path, tmp_path / "people.db-wal", tmp_path / "people.db.keys"]
        assert sum(found_in(needles, tmp_path, *files).values()) > 0
        receipt = gallery.forget("p1")
        assert (receipt.status, receipt.remaining) == ("erased", ())
        assert receipt.finished
        assert set(found_in(needles, tmp_path, *files).values()) == {0}
        assert sum(found_in(kept, tmp_path, *files).values()) > 0
        assert gallery.list() == ("p0", "p2")
        del before["p1"]
        assert stored_bits(gallery) == before
        assert gallery.search(PEOPLE.images(1, 9), threshold=0.5).name is None
        assert gallery.check() == ()
        with pytest.raises(UnknownNameError):
            gallery.person("p1")
        assert all("'p1'" not in str(row.edits) for row in gallery.history())
    assert set(found_in(needles, tmp_path, *files).values()) <= {0}
    assert found_in([b"p1\x00", b'"p1"'], tmp_path, path)["people.db"] == 0


def test_the_receipt_is_pending_while_somebody_reads(tmp_path):
    path = tmp_path / "people.db"
    with Gallery(path, fuser="mean", keys=MasterKey.generate()) as gallery:
        filled(gallery)
        needles = needles_of(gallery, "p1")
        reader = sqlite3.connect(path)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM people").fetchone()
        receipt = gallery.forget("p1")
        assert receipt.status == "pending"
        assert any("reader" in words for words in receipt.remaining)
        assert gallery.receipts(pending_only=True) == (receipt,)
        reader.close()
        (finished,) = gallery.finish_forgetting()
        assert (finished.id, finished.status, finished.remaining) == (receipt.id, "erased", ())
        assert gallery.receipts(pending_only=True) == ()
        assert gallery.finish_forgetting() == ()
        files = [path, tmp_path / "people.db-wal"]
        assert set(found_in(needles, tmp_path, *files).values()) == {0}


def test_a_backup_made_before_holds_nothing_that_can_be_read(tmp_path):
    path, backup = tmp_path / "people.db", tmp_path / "backup.db"
    keys = MasterKey.generate()
    with Gallery(path, fuser="mean", keys=keys) as gallery:
        filled(gallery)
        gallery.store.overwrite()  # all is in the file itself
        p1, p2 = (gallery.person(name) for name in ("p1", "p2"))
    shutil.copy(path, backup)
    with Gallery(path, keys=keys) as gallery:
        gallery.forget("p1")
    # the database is restored; the keys are those of today
    with Gallery(backup, keys=keys, key_file=tmp_path / "people.db.keys") as restored:
        assert restored.list() == ("p0", "p2")
        assert len(restored) == 2
        assert "p1" not in restored
        found = restored.search(PEOPLE.images(1, 9), threshold=0.5)
        assert "p1" not in [each.name for each in found.candidates]
        assert restored.search(PEOPLE.images(2, 9), threshold=0.5).name == "p2"
        with restored.store.reading("people") as reader:
            assert reader.contribution(p1.contributions[0].id) is None
            assert reader.image(p1.contributions[0].images[0].id) is None
            _, lost = reader.forgotten()
            (row,) = [row for row in lost if row.id == p1.contributions[0].id]
            with pytest.raises(MissingKeyError, match="destroyed"):
                restored._parts.plain(reader, row, PEOPLE.embedder)
            other = reader.contribution(p2.contributions[0].id)
            assert restored._parts.plain(reader, other, PEOPLE.embedder)


def test_encrypted_files_hold_no_feature_and_no_template(tmp_path):
    path = tmp_path / "people.db"
    with Gallery(path, fuser="mean", keys=MasterKey.generate()) as gallery:
        filled(gallery)
        plain = to_bytes(PEOPLE.images(0, 0))
        needles = [plain[start : start + 16] for start in range(200, len(plain) - 16, 64)]
        bits = stored_bits(gallery)["p0"][1]
        needles += [bits[start : start + 16] for start in range(0, len(bits) - 16, 32)]
        files = [path, tmp_path / "people.db-wal", tmp_path / "people.db.keys"]
        assert set(found_in(needles, tmp_path, *files).values()) == {0}
        assert gallery.is_encrypted


def test_a_contribution_is_forgotten_alone(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean", keys=MasterKey.generate()) as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        before = stored_bits(gallery)
        added = gallery.update("ann", PEOPLE.images(0, 1))
        receipt = gallery.forget(contribution=added.contribution_id)
        assert receipt.status == "erased"
        assert stored_bits(gallery) == before
        assert len(gallery.person("ann").contributions) == 1


def test_people_who_were_merged_are_forgotten_together(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        filled(gallery)
        merged = gallery.person("p1").id
        gallery.merge("p0", "p1")
        gallery.forget("p0")
        with gallery.store.reading("people") as reader:
            assert [person.name for person in reader.people(shown_only=False)] == ["p2"]
            assert reader.person(merged) is None
            assert reader.count()["contributions"] == 2


def test_somebody_who_was_removed_is_forgotten_by_id(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        filled(gallery)
        person = gallery.person("p1").id
        gallery.remove("p1")
        assert gallery.forget(person).subject == person
        assert gallery.stats().num_hidden == 0


def test_other_opened_galleries_forget_in_memory_too(tmp_path):
    with (
        Gallery(tmp_path / "people.db", fuser="mean") as gallery,
        Gallery(tmp_path / "people.db", fuser="mean") as other,
    ):
        filled(gallery)
        row = gallery.person("p1").contributions[0].id
        model = gallery.models()[0].id
        other.update("p1", PEOPLE.images(1, 6))
        assert other._parts.cache.find(row, model, ()) is not None
        gallery.forget("p1")
        assert gallery._parts.cache.find(row, model, ()) is None
        assert other.search(PEOPLE.images(1, 9), threshold=0.5).name is None
        assert other._parts.cache.find(row, model, ()) is None


def test_what_to_forget_must_be_one_thing(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        filled(gallery)
        with pytest.raises(ConfigError, match="one of them"):
            gallery.forget()
        with pytest.raises(UnknownNameError, match="unknown contribution 'c1'"):
            gallery.forget(contribution="c1")


def test_sums_take_the_place_of_features(tmp_path):
    path = tmp_path / "people.db"
    with Gallery(path, fuser="mean", keys=MasterKey.generate()) as gallery:
        filled(gallery)
        image = gallery.person("p0").contributions[0].images[1]
        gallery.remove(image=image.id)
        before = stored_bits(gallery)
        size = gallery.stats().num_bytes
        receipt = gallery.compact()
        assert receipt.status == "erased"
        after = stored_bits(gallery)
        for name, (count, bits) in before.items():
            assert after[name][0] == count
            np.testing.assert_allclose(
                np.frombuffer(after[name][1], np.float32),
                np.frombuffer(bits, np.float32),
                atol=1e-6,
            )
        assert gallery.stats().num_bytes < size
        view = gallery.person("p0")
        assert {each.keep for each in view.contributions} == {"state"}
        assert sum(each.num_images for each in view.contributions) == 5
        assert gallery.compact() is None
        assert gallery.check() == ()
        gallery.update("p0", PEOPLE.images(0, 5))
        images = EmbeddingSet.concatenate(
            [PEOPLE.images(0, 0)[[0, 2]], PEOPLE.images(0, 1), PEOPLE.images(0, 5)]
        )
        np.testing.assert_allclose(
            np.frombuffer(stored_bits(gallery)["p0"][1], np.float32),
            MeanFuser().fuse(images).vector,
            atol=1e-4,
        )
