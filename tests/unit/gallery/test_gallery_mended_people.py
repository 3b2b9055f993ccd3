"""What is known of people holds through merging and undoing; what is written is what was meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gallery_people import MadeUp
from probefusion.errors import ConfigError, ConflictError, DtypeError
from probefusion.gallery import Gallery
from probefusion.gallery.audit.trail import MOST_SUBJECTS, AuditEntry, append_entry
from probefusion.gallery.stores.records import ContributionRow, PersonRow, VectorRow
from probefusion.gallery.stores.sql_rows import (
    CONTRIBUTIONS,
    PEOPLE,
    VECTORS,
)

PEOPLE_MADE_UP = MadeUp()


@pytest.fixture
def gallery(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as opened:
        for who, name in enumerate(("ann", "bob", "cid")):
            opened.enroll(name, PEOPLE_MADE_UP.images(who, 0))
        yield opened


def test_who_is_different_from_a_merged_person_stays_so(gallery):
    gallery.cannot_link("bob", "cid")
    merged = gallery.merge("ann", "bob").revision
    assert gallery.person("ann").different_from == ("cid",)
    with pytest.raises(ConflictError, match="different people"):
        gallery.merge("ann", "cid")
    gallery.undo(merged)
    assert gallery.person("ann").different_from == ()
    assert gallery.person("bob").different_from == ("cid",)


def test_a_merge_that_is_made_again_heeds_what_is_known_since(gallery):
    undone = [gallery.undo(gallery.merge("ann", "bob").revision)]
    gallery.cannot_link("bob", "cid")
    undone.append(gallery.undo(gallery.undo(undone[0])))
    gallery.undo(undone[1])
    assert gallery.person("ann").different_from == ("cid",)
    gallery.undo()
    gallery.undo()


def test_people_who_are_different_are_not_merged_by_undoing(gallery):
    gallery.merge("ann", "bob")
    undone = gallery.undo()
    gallery.cannot_link("ann", "bob")
    with pytest.raises(ConflictError, match="different people"):
        gallery.undo(undone)
    assert gallery.list() == ("ann", "bob", "cid")


def test_who_is_ignored_stays_so_when_merged(gallery):
    gallery.ignore("bob")
    gallery.merge("ann", "bob")
    assert gallery.person("ann").is_ignored
    gallery.undo()
    assert not gallery.person("ann").is_ignored


def test_rejecting_is_made_again_by_undoing_its_undoing(gallery):
    held = gallery.update("ann", PEOPLE_MADE_UP.images(1, 1))
    assert held.is_held
    gallery.reject(held.contribution_id)
    undone = gallery.undo()
    assert len(gallery.held()) == 1
    gallery.undo(undone)
    assert gallery.held() == ()


@pytest.mark.parametrize("source", [3, 2.5, True, Path("x"), None, b"x"])
def test_a_source_that_is_no_text_is_refused(gallery, source):
    before = gallery.revision
    with pytest.raises(DtypeError, match=r"^source: expected a text"):
        gallery.update("ann", PEOPLE_MADE_UP.images(1, 1), source=source)
    assert (gallery.revision, gallery.held()) == (before, ())


@pytest.mark.parametrize("source", ["a\0b", "\ud800"])
def test_a_source_that_cannot_be_kept_is_refused(gallery, source):
    with pytest.raises(ConfigError, match=r"^source: expected text"):
        gallery.update("ann", PEOPLE_MADE_UP.images(0, 1), source=source)


def test_texts_of_numpy_are_texts(gallery):
    added = gallery.enroll(np.str_("dan"), PEOPLE_MADE_UP.images(3, 0), source=np.str_("door"))
    assert type(added.name) is str
    assert gallery.person("dan").contributions[0].source == "door"


def contribution(**fields):
    row = {"id": "c1", "person_id": None, "last_person": "p1", "kind": "visit", "keep": "state"}
    return ContributionRow(**{**row, "num_images": 1, "time": "", **fields})


@pytest.mark.parametrize(
    ("table", "row", "what"),
    [
        (CONTRIBUTIONS, contribution(source=3), "contributions.source: expected a text"),
        (CONTRIBUTIONS, contribution(source=None), "contributions.source: expected a text"),
        (CONTRIBUTIONS, contribution(num_images="1"), "expected a whole number"),
        (CONTRIBUTIONS, contribution(num_images=True), "expected a whole number"),
        (CONTRIBUTIONS, contribution(source=np.str_("x")), "expected a text"),
        (
            PEOPLE,
            (PersonRow(id="p", name="ann", key_id=b"k"), b"hash"),
            "people.key_id: expected a text",
        ),
        (
            VECTORS,
            VectorRow(person_id="p", model_id="m", vector="v", num_images=1, revision=1),
            "vectors.vector: expected bytes",
        ),
    ],
)
def test_values_of_another_type_are_not_written(table, row, what):
    with pytest.raises(DtypeError, match=what):
        table.write(1, row)


def test_an_audit_entry_of_many_subjects_can_be_followed():
    many = tuple(f"c{number:016x}" for number in range(MOST_SUBJECTS + 1))
    _, entry = append_entry(None, collection="c", action="compact", subjects=many)
    digest, count = AuditEntry.parse(entry).subjects
    assert (count, digest) == (
        "count:10001",
        "sha256:0fd78a85de29a57f4b72c30eaa039732d77df328b450b59f2b784a934d268fdd",
    )
    _, entry = append_entry(entry, collection="c", action="forget", subjects=many[:-1])
    assert AuditEntry.parse(entry).subjects == many[:-1]


INVISIBLE = [
    "ann\u200b",
    "a\u00adnn",
    "a\u200enn",
    "a\u200dnn",
    "\u200b",
    "\ufeff",
    "\u3164",
    "\u2800",
]


@pytest.mark.parametrize("name", INVISIBLE)
def test_names_that_only_seem_to_be_others_are_refused(gallery, name):
    with pytest.raises(ConfigError, match=r"^name: expected characters .* seen"):
        gallery.enroll(name, PEOPLE_MADE_UP.images(3, 0))
    assert name not in gallery


@pytest.mark.parametrize("name", ["می\u200cرود", "क्\u200dष", "👩\u200d🚀", "Zoë", "李 雷"])
def test_names_whose_script_needs_joiners_are_kept(gallery, name):
    gallery.enroll(name, PEOPLE_MADE_UP.images(3, 0))
    assert name in gallery


def test_a_name_in_another_spelling_is_in_the_gallery(gallery):
    gallery.enroll("e\u0301va", PEOPLE_MADE_UP.images(3, 0))
    assert "e\u0301va" in gallery
    assert "\u00e9va" in gallery
    assert not any(name in gallery for name in ("", "\ud800", 3, "eva"))


@pytest.mark.parametrize(
    ("actor", "error"), [(5, DtypeError), ("x" * 300, ConfigError), ("x\n", ConfigError)]
)
def test_an_actor_that_cannot_be_noted_is_refused_at_once(tmp_path, actor, error):
    with pytest.raises(error, match=r"^actor: expected"):
        Gallery(tmp_path / "people.db", fuser="mean", actor=actor)
