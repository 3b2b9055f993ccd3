"""What is said of inputs that cannot be fused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest


def test_a_note_is_no_embeddings(tmp_path, command) -> None:
    (tmp_path / "note.txt").write_text("hello this is a note\n")
    code, _, err = command("fuse", tmp_path / "note.txt", "--json")
    assert code == 1
    assert "note.txt: expected embeddings, numbers separated by blanks, found no number" in err
    for ending in (".npy", ".npz", ".csv", ".h5", ".parquet", ".safetensors"):
        assert ending in err


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("none", "found no images."),
        ("one", "found all 4 images in one folder only (ann)."),
        ("flat", "found all 4 images in no folders."),
        ("outside", "found images outside of such folders, as "),
    ],
)
def test_why_a_folder_holds_no_people(tmp_path, command, people_folder, kind, words) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in {"one": ("ann",), "outside": ("ann", "bob"), "flat": (".",)}.get(kind, ()):
        shutil.copytree(people_folder / "person_03", root / name, dirs_exist_ok=True)
    if kind == "outside":
        image = min((root / "ann").iterdir())
        shutil.copy(image, root / "stray.png")
    output = tmp_path / "t.npz"
    code, _, err = command("fuse", root, "--people", "--aligned", "-o", output)
    assert code == 1
    assert words in err
    assert ("stray.png" in err) == (kind == "outside")
    assert ("leave --people out" in err) == (kind != "none")


@pytest.mark.parametrize("options", [(), ("--aligned",)])
def test_embeddings_need_no_embedding(tmp_path, command, options) -> None:
    np.savez(tmp_path / "set.npz", embeddings=np.eye(3, dtype=np.float32))
    (tmp_path / "state.safetensors").write_bytes(b"x")
    for name in ("set.npz", "state.safetensors"):
        code, _, err = command("embed", tmp_path / name, *options, "-o", tmp_path / "o.npz")
        assert code == 1
        assert f"{name}: expected images, got a file of embeddings or a state" in err
        assert "probefusion fuse" in err
    (tmp_path / "rows.json").write_text("{}")
    code, _, err = command("embed", tmp_path / "rows.json", *options, "-o", tmp_path / "o.npz")
    assert code == 1
    assert "rows.json: a JSON file has no one layout" in err
