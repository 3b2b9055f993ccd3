from __future__ import annotations

import sqlite3
import unicodedata
from datetime import datetime, timedelta, timezone

import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import (
    ConfigError,
    DtypeError,
    MismatchError,
    MissingFileError,
    OutputExistsError,
    ProbeFusionError,
    UnknownNameError,
)
from probefusion.gallery import Gallery
from probefusion.gallery.keys.master_key import MasterKey

PEOPLE = MadeUp()
NAMES = [
    "'; DROP TABLE people; --",
    '" OR 1=1',
    "%_\\",
    "../../etc/passwd",
    "🧑‍🚀 ann",
    "אנה",
    "x" * 1024,
    "NULL",
    "p0123456789abcdeg",
]


@pytest.fixture
def gallery(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
def test_names_are_text_and_nothing_else(gallery, name):
    gallery.enroll("other", PEOPLE.images(1, 0))
    gallery.enroll(name, PEOPLE.images(0, 0))
    assert gallery.search(PEOPLE.images(0, 1), threshold=0.5).name == name
    assert gallery.update(name, PEOPLE.images(0, 2)).total_images == 6
    gallery.rename(name, name[:1000] + "2")
    gallery.undo()
    assert sorted(gallery.list()) == sorted(["other", name])
    gallery.forget(name)
    assert gallery.list() == ("other",)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        " ann",
        "ann ",
        "x" * 1025,
        "ä" * 513,
        "a\0b",
        "a\nb",
        "a\ud800",
        "a\u202eb",
        "\u2028",
    ],
)
def test_names_that_cannot_be_are_refused(gallery, name):
    with pytest.raises(ConfigError, match=r"^name: expected"):
        gallery.enroll(name, PEOPLE.images(0, 0))
    assert gallery.revision == 0


def test_a_name_of_ten_megabytes_is_refused_in_one_short_line(gallery):
    with pytest.raises(ConfigError) as caught:
        gallery.enroll("a" * 10_000_000, PEOPLE.images(0, 0))
    assert len(str(caught.value)) < 200


def test_a_name_that_is_no_text(gallery):
    with pytest.raises(DtypeError, match="name: expected a text"):
        gallery.enroll(7, PEOPLE.images(0, 0))


def test_twins_of_unicode_are_one_name(gallery):
    composed = unicodedata.normalize("NFC", "José")
    split = unicodedata.normalize("NFD", "José")
    assert composed != split
    gallery.enroll(split, PEOPLE.images(0, 0))
    assert gallery.list() == (composed,)
    with pytest.raises(OutputExistsError):
        gallery.enroll(composed, PEOPLE.images(1, 0))
    assert gallery.person(split).name == composed


def test_the_clock_may_go_backwards(tmp_path):
    now = [datetime(2026, 5, 1, tzinfo=timezone.utc)]
    with Gallery(tmp_path / "a.db", fuser="mean", clock=lambda: now[0]) as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        now[0] -= timedelta(days=4000)
        before = stored_bits(gallery)
        gallery.update("ann", PEOPLE.images(0, 1))
        now[0] -= timedelta(days=4000)
        gallery.undo()
        assert stored_bits(gallery) == before
        assert [change.action for change in gallery.history()] == ["undo", "update", "enroll"]
        assert [change.time[:4] for change in gallery.history()] == ["2004", "2015", "2026"]
    with Gallery(tmp_path / "b.db", fuser="mean") as other:
        other.enroll("ann", PEOPLE.images(0, 0))
        assert stored_bits(other) == before


def test_times_need_a_zone(gallery):
    with pytest.raises(ConfigError, match="time: expected a time with its zone"):
        gallery.enroll("ann", PEOPLE.images(0, 0), time=datetime(2026, 5, 1))
    taken = datetime(2020, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    gallery.enroll("ann", PEOPLE.images(0, 0), time=taken, source="door")
    (part,) = gallery.person("ann").contributions
    assert (part.time, part.source) == ("2020-05-01T10:00:00.000+00:00", "door")


def test_flipped_bits_are_told_and_nothing_else_suffers(tmp_path):
    path = tmp_path / "people.db"
    with Gallery(path, fuser="mean", keys=MasterKey.generate()) as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        gallery.enroll("bob", PEOPLE.images(1, 0))
        bits = stored_bits(gallery)
        with sqlite3.connect(path) as connection:
            (kept,) = connection.execute(
                "SELECT payload FROM payloads ORDER BY rowid LIMIT 1"
            ).fetchone()
            flipped = bytearray(kept)
            flipped[100] ^= 4
            connection.execute(
                "UPDATE payloads SET payload = ? WHERE payload = ?", (bytes(flipped), kept)
            )
        connection.close()
        (fault,) = gallery.check()
        assert "checksum" in fault or "sealed bytes" in fault
        assert stored_bits(gallery) == bits
        assert gallery.search(PEOPLE.images(1, 1), threshold=0.5).name == "bob"


def test_keys_that_are_missing_wrong_or_too_many(tmp_path, monkeypatch):
    monkeypatch.delenv("PROBEFUSION_MASTER_KEY", raising=False)
    master = MasterKey.generate()
    with Gallery(tmp_path / "sealed.db", fuser="mean", keys=master) as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
    with Gallery(tmp_path / "plain.db", fuser="mean") as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
    with pytest.raises(ConfigError, match=r"encrypted and no master key .* PROBEFUSION_MASTER_KEY"):
        Gallery(tmp_path / "sealed.db")
    with pytest.raises(ConfigError, match="made without keys"):
        Gallery(tmp_path / "plain.db", keys=master)
    with pytest.raises(MismatchError, match="wrapped by the master key"):
        Gallery(tmp_path / "sealed.db", keys=MasterKey.generate())
    with Gallery(tmp_path / "second.db", fuser="mean", keys=master) as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
    with pytest.raises(MismatchError, match="belongs to another database"):
        Gallery(tmp_path / "sealed.db", keys=master, key_file=tmp_path / "second.db.keys")
    (tmp_path / "sealed.db.keys").rename(tmp_path / "away.keys")
    with pytest.raises(MissingFileError):
        Gallery(tmp_path / "sealed.db", keys=master)
    with Gallery(tmp_path / "sealed.db", keys=master, key_file=tmp_path / "away.keys") as gallery:
        assert gallery.check() == ()
    monkeypatch.setenv("PROBEFUSION_MASTER_KEY", master.secret.hex())
    with Gallery(tmp_path / "second.db") as gallery:
        assert gallery.is_encrypted
        assert gallery.search(PEOPLE.images(0, 1), threshold=0.5).name == "ann"


def test_a_gallery_that_is_not_there(tmp_path):
    with pytest.raises(MissingFileError):
        Gallery(tmp_path / "none.db", create=False)
    assert list(tmp_path.iterdir()) == []
    Gallery(tmp_path / "a.db").close()
    with pytest.raises(UnknownNameError, match="others"):
        Gallery(tmp_path / "a.db", "others", create=False)


def test_a_gallery_that_was_closed(gallery):
    gallery.enroll("ann", PEOPLE.images(0, 0))
    gallery.close()
    with pytest.raises(ProbeFusionError):
        gallery.search(PEOPLE.images(0, 0))


def test_settings_that_cannot_be(tmp_path):
    with pytest.raises(ConfigError, match="keep: expected 'features' or 'state'"):
        Gallery(tmp_path / "a.db", keep="photos")
    with pytest.raises(DtypeError, match="collection: expected a text"):
        Gallery(tmp_path / "a.db", 3)
    assert list(tmp_path.iterdir()) == []
