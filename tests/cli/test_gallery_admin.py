"""Commands that look after a gallery: what is held, keys, the audit trail; and one run on a PostgreSQL server."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from probefusion.gallery import Gallery, write_master_key

pytest.importorskip("cryptography")


def fill(path, **more):
    with Gallery(path, fuser="mean", **more) as gallery:
        for row, name in enumerate(("ann", "bob", "cid")):
            gallery.enroll(name, np.eye(3, 64)[[row, row]] * [[1.0], [2.0]])


def hold(path):
    """Images of bob for ann, which the guard holds back; gives the id of the contribution."""
    with Gallery(path) as gallery:
        added = gallery.update("ann", np.eye(3, 64)[[1, 1]])
        assert added.is_held
        return added.contribution_id


@pytest.fixture
def library(tmp_path):
    fill(tmp_path / "library.db")
    return tmp_path / "library.db"


def test_what_is_held_is_accepted_or_rejected(command, library):
    first = hold(library)
    held = json.loads(command("gallery", "held", library, "--json")[1])["held"]
    assert [(row["name"], row["id"]) for row in held] == [("ann", first)]
    assert held[0]["doubts"][0]["kind"] == "closer to another person"
    assert "closer to bob" in command("gallery", "held", library)[1]
    code, out, _ = command("gallery", "accept", library, first)
    assert code == 0
    assert "to undo it: probefusion undo" in out
    assert "it was held back: closer to bob" in out
    assert json.loads(command("gallery", "show", library, "ann", "--json")[1])["num_images"] == 4
    command("undo", library)
    second = json.loads(command("gallery", "held", library, "--json")[1])["held"][0]["id"]
    assert command("gallery", "reject", library, second)[0] == 0
    assert command("gallery", "held", library)[1] == "nothing is held back\n"
    assert json.loads(command("gallery", "show", library, "ann", "--json")[1])["num_images"] == 2
    assert command("gallery", "accept", library, "c_none")[0] == 1


def test_keys_are_rotated_and_the_old_one_opens_nothing(command, tmp_path):
    old, new, path = tmp_path / "old.key", tmp_path / "new.key", tmp_path / "sealed.db"
    write_master_key(old)
    fill(path, keys=old)
    assert command("gallery", "new-key", new)[0] == 0
    written = new.read_bytes()
    assert command("gallery", "new-key", new)[0] == 1
    assert new.read_bytes() == written
    assert command("gallery", "rotate-key", path, "--keys", old, "--new-key", new)[0] in (0, 3)
    assert command("gallery", "list", path, "--keys", new)[1].split() == ["ann", "bob", "cid"]
    code, out, err = command("gallery", "list", path, "--keys", old)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert command("gallery", "audit", path, "--keys", new)[0] == 0


def test_an_audit_trail_that_was_cut_shows_by_its_anchor(command, library):
    last = json.loads(command("gallery", "audit", library, "--json")[1])["last"]
    assert command("gallery", "audit", library, "--anchor", last)[0] == 0
    number, _, digest = last.partition(":")
    assert command("gallery", "audit", library, "--anchor", f"9{number}:{digest}")[0] == 1
    assert command("gallery", "audit", library, "--anchor", "nonsense")[0] == 1


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="modes bind everybody but root"
)
def test_a_read_only_gallery_is_left_alone(command, library):
    before = library.read_bytes()
    library.chmod(0o400)
    try:
        code, out, err = command("gallery", "rename", library, "ann", "x")
        assert (code, out) == (1, "")
        assert str(library) in err
    finally:
        library.chmod(0o600)
    assert library.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ("undo", "999"),
        ("gallery", "show", "nobody"),
        ("gallery", "rename", "ann", "bob"),
        ("gallery", "rename", "ann", "a\x00b"),
        ("gallery", "rename", "ann", "x" * 5000),
        ("gallery", "serve", "m_none"),
        ("gallery", "rollback"),
        ("gallery", "cannot-link", "ann", "ann"),
        ("merge", "ann", "ann"),
        ("merge", "ann", "zoe"),
        ("remove", "--image", "i_none"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line_and_changes_nothing(command, library, words):
    place = 2 if words[0] == "gallery" else 1
    code, out, err = command(*words[:place], library, *words[place:])
    assert (code, out, err.count("\n")) == (1, "", 1)
    with Gallery(library) as gallery:
        assert gallery.revision == 3


def test_twins_in_unicode_are_one_person(command, library):
    assert command("gallery", "rename", library, "ann", "zoe\u0308")[0] == 0
    assert command("gallery", "show", library, "zo\u00eb")[0] == 0


def test_a_server_does_as_a_file_does(command, postgres_server, tmp_path):
    address, output = postgres_server.new_database(), tmp_path / "all.npz"
    fill(address, collection="admin")
    on = ["--collection", "admin"]
    assert command("gallery", "list", address, *on)[1].split() == ["ann", "bob", "cid"]
    assert command("merge", address, "ann", "bob", *on)[0] == 0
    assert command("undo", address, *on)[0] == 0
    assert command("gallery", "check", address, *on)[:2] == (0, "3 people checked, 0 faults\n")
    assert command("gallery", "audit", address, *on)[0] == 0
    assert command("gallery", "export", address, *on, "-o", output)[0] == 0
    file = tmp_path / "copy.db"
    assert command("gallery", "import", file, output)[0] == 0
    with Gallery(file) as copy, Gallery(address, "admin") as server:
        kept = [
            {p.name: p.vector.tobytes() for p in each.plain_people()} for each in (copy, server)
        ]
    assert kept[0] == kept[1]
    code, out, _ = command("gallery", "forget", address, "ann", "--yes", "--json", *on)
    assert (code, json.loads(out)["receipts"][0]["status"]) in ((0, "erased"), (3, "pending"))
    assert command("gallery", "list", address, *on)[1].split() == ["bob", "cid"]
