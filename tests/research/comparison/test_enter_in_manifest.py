"""Fuser folders in the manifest: what is there stays, what is new or changed is entered with its hashes."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from research.comparison.enter_in_manifest import MANIFEST, enter

from probefusion.files.hashed_json import check_json_hash

ROOT = Path(__file__).parents[3]
NAME = "exact-fast.mobilefacenet_128d-lfw112.r3"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / MANIFEST, tmp_path / "manifest.json"))


def _models(manifest: Path) -> dict[str, dict[str, object]]:
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    check_json_hash(facts, where=str(manifest), is_needed=True)
    models: dict[str, dict[str, object]] = facts["models"]
    return models


def test_entering_what_is_there_changes_nothing(manifest: Path) -> None:
    before = manifest.read_bytes()
    enter(ROOT / "weights" / NAME, manifest)
    assert manifest.read_bytes() == before


def test_a_new_folder_is_entered_beside_all_others(manifest: Path, tmp_path: Path) -> None:
    before = _models(manifest)
    new = Path(shutil.copytree(ROOT / "weights" / NAME, tmp_path / "exact-fast.mine-lfw112.r9"))
    (new / "usability.json").unlink()
    (new / "encode.onnx").write_bytes(b"other")
    enter(new, manifest)
    after = _models(manifest)
    assert {name: after[name] for name in before} == before
    entry = after.pop(new.name)
    assert list(after) == list(before)
    assert entry["file"] == new.name
    assert entry["settings"] == before[NAME]["settings"]
    files = {facts["name"]: facts for facts in entry["files"]}  # type: ignore[attr-defined]
    assert sorted(files) == sorted(path.name for path in new.iterdir())
    assert files["encode.onnx"] == {
        "name": "encode.onnx",
        "sha256": hashlib.sha256(b"other").hexdigest(),
        "size": 5,
    }


def test_files_that_no_folder_has_are_refused(manifest: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "weights" / NAME, tmp_path / NAME))
    (folder / "notes.txt").write_text("?")
    before = manifest.read_bytes()
    with pytest.raises(ValueError, match=r"got \['notes.txt'\]"):
        enter(folder, manifest)
    assert manifest.read_bytes() == before
