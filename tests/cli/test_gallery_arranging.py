"""Commands that arrange, look at, keep safe and forget, by what they print and keep."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.gallery import Gallery

pytest.importorskip("cryptography")


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "library.db"
    with Gallery(path, fuser="mean") as gallery:
        for row, name in enumerate(("ann", "bob", "cid")):
            gallery.enroll(name, np.eye(3, 64)[[row, row]] * [[1.0], [2.0]])
    return path


def test_merge_and_undo_say_their_revisions(command, library):
    code, out, _ = command("merge", library, "ann", "bob")
    assert code == 0
    assert f"revision 4; to undo it: probefusion undo {library} 4" in out
    assert command("gallery", "list", library)[1].split() == ["ann", "cid"]
    code, out, _ = command("undo", library, "4", "--json")
    assert (code, json.loads(out)["undoes"], json.loads(out)["undone_action"]) == (0, 4, "merge")
    assert command("gallery", "list", library)[1].split() == ["ann", "bob", "cid"]
    assert command("gallery", "check", library)[:2] == (0, "3 people checked, 0 faults\n")


def test_an_image_is_removed_by_its_id(command, library):
    person = json.loads(command("gallery", "show", library, "ann", "--json")[1])
    image = person["contributions"][0]["images"][0]["id"]
    assert command("remove", library, "--image", image)[0] == 0
    assert json.loads(command("gallery", "show", library, "ann", "--json")[1])["num_images"] == 1


def test_split_gives_named_images(command, library):
    person = json.loads(command("gallery", "show", library, "ann", "--json")[1])
    image = person["contributions"][0]["images"][1]["id"]
    code, out, _ = command("split", library, "ann", "dan", "--images", image, "--json")
    facts = json.loads(out)
    assert (code, facts["num_images"], facts["num_images_into"]) == (0, 1, 1)


def test_forget_asks_and_gives_a_receipt(command, library):
    code, _, err = command("gallery", "forget", library, "ann")
    assert code == 1
    assert "--yes" in err
    code, out, _ = command("gallery", "forget", library, "ann", "--yes", "--json")
    assert (code, json.loads(out)["receipts"][0]["status"]) == (0, "erased")
    assert command("gallery", "list", library)[1].split() == ["bob", "cid"]
    receipts = json.loads(command("gallery", "receipts", library, "--json")[1])["receipts"]
    assert [row["status"] for row in receipts] == ["erased"]


def test_another_fuser_serves_and_is_rolled_back(command, library):
    out = command("gallery", "re-fuse", library, "--fuser", "norm-weighted", "--json")[1]
    model = json.loads(out)["model"]
    assert command("gallery", "serve", library, model)[0] == 0
    assert json.loads(command("gallery", "stats", library, "--json")[1])["model"]["id"] == model
    assert command("gallery", "rollback", library)[0] == 0
    assert json.loads(command("gallery", "stats", library, "--json")[1])["model"]["id"] != model


def test_a_fuser_that_cannot_fuse_what_is_kept_leaves_no_model(command, tmp_path):
    path = tmp_path / "unit.db"
    with Gallery(path, fuser="mean") as gallery:
        gallery.enroll("ann", np.eye(2, 64))
    assert command("gallery", "re-fuse", path, "--fuser", "norm-weighted")[0] == 1
    assert len(json.loads(command("gallery", "models", path, "--json")[1])["models"]) == 1


def test_keys_are_rotated_and_the_old_one_is_refused(command, tmp_path):
    old, new, path = tmp_path / "old", tmp_path / "new", tmp_path / "sealed.db"
    assert command("gallery", "new-key", old)[0] == command("gallery", "new-key", new)[0] == 0
    assert command("gallery", "new-key", old)[0] == 1
    with Gallery(path, fuser="mean", keys=old) as gallery:
        gallery.enroll("ann", np.eye(2, 64))
    assert command("gallery", "list", path)[0] == 1
    assert command("gallery", "rotate-key", path, "--keys", old, "--new-key", new)[0] == 0
    assert command("gallery", "list", path, "--keys", old)[0] == 1
    assert command("gallery", "list", path, "--keys", new)[1] == "ann\n"
    code, out, _ = command("gallery", "audit", path, "--keys", new)
    assert code == 0
    assert "0 faults, signatures checked" in out


@pytest.mark.parametrize("name", ["", "x" * 10_000_000, "a\x00b", "'; DROP TABLE people; --"])
def test_hostile_names_change_nothing(command, library, name):
    code, _, err = command("gallery", "show", library, name)
    assert code == 1
    assert len(err) < 2000
    assert command("gallery", "list", library)[1].split() == ["ann", "bob", "cid"]


def test_what_is_no_gallery_is_refused(command, library, tmp_path):
    text = tmp_path / "text.db"
    text.write_text("no database")
    assert command("gallery", "list", text)[0] == 1
    assert text.read_text() == "no database"
    assert command("gallery", "list", tmp_path / "absent.db")[0] == 1
    assert not (tmp_path / "absent.db").exists()
    assert command("gallery", "list", library, "--collection", "none")[0] == 1
    assert command("gallery", "frobnicate", library)[0] == 2
