"""Arguments that cannot be are refused in words that name them, when they are given."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from gallery_people import MadeUp
from probefusion.errors import ConfigError, DtypeError, MissingFileError, UnknownNameError
from probefusion.gallery import Gallery

PEOPLE = MadeUp()


@pytest.fixture
def gallery(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as opened:
        opened.enroll("ann", PEOPLE.images(0, 0))
        yield opened


@pytest.mark.parametrize(
    ("setting", "error", "match"),
    [
        ({"kernel": "x"}, ConfigError, r"^kernel: expected"),
        ({"timeout": "x"}, DtypeError, r"^timeout: expected"),
        ({"timeout": -1}, ConfigError, r"^timeout: expected"),
        ({"timeout": float("nan")}, ConfigError, r"^timeout: expected"),
        ({"embedder": 5}, DtypeError, r"^embedder: expected"),
        ({"keys": b"x" * 32}, DtypeError, r"^keys: expected a MasterKey"),
        ({"calibration": "nofile.json"}, MissingFileError, r"^calibration: 'nofile.json'"),
    ],
)
def test_settings_that_cannot_be_are_refused_when_opening(tmp_path, setting, error, match):
    with pytest.raises(error, match=match) as caught:
        Gallery(tmp_path / "people.db", fuser="mean", **setting)
    assert "xxx" not in str(caught.value)  # a key is never shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("clock", [lambda: 5, lambda: datetime(2026, 1, 1)])
def test_a_clock_that_gives_no_time_is_named(tmp_path, clock):
    with (
        Gallery(tmp_path / "people.db", fuser="mean", clock=clock) as gallery,
        pytest.raises((DtypeError, ConfigError), match=r"^clock: expected"),
    ):
        gallery.enroll("ann", PEOPLE.images(0, 0))


def test_times_are_times(gallery):
    with pytest.raises(DtypeError, match=r"^time: expected a datetime, got int 5"):
        gallery.update("ann", PEOPLE.images(0, 1), time=5)
    with pytest.raises(DtypeError, match=r"expected a datetime, got str '2020'"):
        gallery.compact(before="2020")
    east = datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    gallery.update("ann", PEOPLE.images(0, 1), time=east)
    times = {each.time for each in gallery.person("ann").contributions}
    assert "2026-01-01T00:00:00.000+00:00" in times


@pytest.mark.parametrize(
    ("revision", "error"), [("x", DtypeError), (True, DtypeError), (2**70, ConfigError)]
)
def test_a_revision_is_a_number(gallery, revision, error):
    with pytest.raises(error, match=r"^revision: expected"):
        gallery.undo(revision)


def test_a_change_that_is_not_there_is_told_with_those_that_are(gallery):
    with pytest.raises(UnknownNameError, match=r"change '99'. Known: 1\."):
        gallery.undo(99)
    assert gallery.undo(np.int64(1)) == 2


def test_a_limit_is_a_count(gallery):
    with pytest.raises(ConfigError, match=r"^limit: expected 0 or more"):
        gallery.history(limit=-1)
    with pytest.raises(DtypeError, match=r"^limit: expected a whole number"):
        gallery.history(limit=1.5)
    assert len(gallery.history(limit=1)) == 1


@pytest.mark.parametrize("argument", ["contributions", "images"])
def test_one_id_is_no_list_of_letters(gallery, argument):
    gallery.enroll("bob", PEOPLE.images(1, 0))
    for change in (gallery.move, lambda **ids: gallery.split("ann", **ids)):
        with pytest.raises(DtypeError, match=f"^{argument}: expected a list of ids"):
            change(**{argument: "c123", "to" if change == gallery.move else "into": "bob"})


def test_a_threshold_is_a_number(gallery):
    with pytest.raises(DtypeError, match=r"^threshold: expected a number"):
        gallery.search(PEOPLE.images(0, 1), threshold="0.5")
    assert gallery.search(PEOPLE.images(0, 1), threshold=np.float32(0.5)).name == "ann"
