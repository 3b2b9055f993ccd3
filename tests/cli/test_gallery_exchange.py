"""`gallery export|import` by what they print, write and refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.gallery import Gallery, write_master_key

pytest.importorskip("cryptography")


def fill(path, **more):
    with Gallery(path, fuser="mean", **more) as gallery:
        for row, name in enumerate(("ann", "bob", "cid")):
            gallery.enroll(name, np.eye(3, 64)[[row, row]] * [[1.0], [2.0]])
        gallery.cannot_link("ann", "bob")


def vectors(path, **more):
    with Gallery(path, **more) as gallery:
        return {person.name: person.vector.tobytes() for person in gallery.plain_people()}


@pytest.fixture
def library(tmp_path):
    fill(tmp_path / "library.db")
    return tmp_path / "library.db"


@pytest.mark.parametrize("name", ["all.parquet", "all.npz", "all"])
def test_a_collection_goes_out_and_in(command, library, tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    out_path, other = tmp_path / name, tmp_path / "other.db"
    code, out, err = command("gallery", "export", library, "-o", out_path)
    assert (code, err) == (0, "")
    assert out == f"{out_path}: 3 people, 3 contributions, 6 images (0 of them taken out)\n"
    code, out, err = command("gallery", "import", other, out_path)
    assert (code, err) == (0, "")
    assert out.startswith("3 people added, 3 contributions, 6 images\nrevisions 1 to 3")
    assert out.endswith(f"probefusion undo {other} 3\n")
    assert vectors(other) == vectors(library)  # by the fuser of the export, though none was named
    assert command("undo", other, "3")[0] == 0
    left = command("gallery", "list", other)[1].split()  # people come in the order of their ids
    assert len(left) == 2
    code, out, err = command("gallery", "import", other, out_path, "--skip-existing", "--json")
    facts = json.loads(out)
    assert (code, facts["num_people"], facts["skipped"]) == (3, 1, left)
    assert vectors(other) == vectors(library)


def test_export_overwrites_nothing_unasked(command, library, tmp_path):
    output = tmp_path / "all.npz"
    assert command("gallery", "export", library, "-o", output)[0] == 0
    before = output.read_bytes()
    code, out, err = command("gallery", "export", library, "-o", output)
    assert (code, out, output.read_bytes()) == (1, "", before)
    assert "--force" in err
    code, out, _ = command("gallery", "export", library, "-o", output, "--force", "--json")
    assert (code, json.loads(out)["num_people"]) == (0, 3)


def test_plain_exports_of_an_encrypted_gallery_say_so(command, tmp_path):
    key, path, output = tmp_path / "master.key", tmp_path / "sealed.db", tmp_path / "all.npz"
    write_master_key(key)
    fill(path, keys=key)
    code, out, err = command("gallery", "export", path, "--keys", key, "-o", output, "--json")
    assert (code, json.loads(out)["was_encrypted"]) == (0, True)
    assert "the export is not" in err
    assert output.stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other.db"
    assert command("gallery", "import", other, output, "--keys", key)[0] == 0
    assert vectors(other, keys=key) == vectors(path, keys=key)


def test_keys_that_are_wrong_or_lost_export_nothing(command, tmp_path, monkeypatch):
    monkeypatch.delenv("PROBEFUSION_MASTER_KEY", raising=False)
    key, wrong, path = tmp_path / "master.key", tmp_path / "wrong.key", tmp_path / "sealed.db"
    write_master_key(key)
    write_master_key(wrong)
    fill(path, keys=key)
    output = tmp_path / "all.npz"
    for options in ([], ["--keys", wrong], ["--keys", tmp_path / "none.key"]):
        code, out, err = command("gallery", "export", path, *options, "-o", output)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert not output.exists()


def test_what_cannot_be_imported_makes_no_gallery(command, library, tmp_path):
    text, cut, other = tmp_path / "text.npz", tmp_path / "cut.npz", tmp_path / "other.db"
    text.write_text("dear diary\n" * 50)
    command("gallery", "export", library, "-o", tmp_path / "all.npz")
    whole = (tmp_path / "all.npz").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "foreign.npz", embeddings=np.eye(4))
    (tmp_path / "folder").mkdir()
    for given in (text, cut, tmp_path / "foreign.npz", tmp_path / "folder", tmp_path / "none.npz"):
        code, out, err = command("gallery", "import", other, given)
        assert (code, out, err.count("\n")) == (1, "", 1), given
        assert not other.exists()


def test_a_text_file_is_no_gallery(command, tmp_path):
    path = tmp_path / "notes.db"
    path.write_text("not a database\n" * 100)
    code, out, err = command("gallery", "export", path, "-o", tmp_path / "all.npz")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert command("gallery", "export", tmp_path / "none.db", "-o", tmp_path / "all.npz")[0] == 1
    assert not (tmp_path / "none.db").exists()


def test_usage_errors_are_2(command, library):
    assert command("gallery", "export", library)[0] == 2
    assert command("gallery", "import", library)[0] == 2
