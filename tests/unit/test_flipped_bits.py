"""A flipped bit in a file of ours is told with the file's name, or changes nothing of what it says."""

from __future__ import annotations

import json

import pytest
from hashed_files import (
    make_archive_work,
    make_cards,
    make_models_folder,
    make_training_checkpoint,
    make_values,
    make_variant_store,
    what_flips_do,
)


@pytest.mark.parametrize(
    ("make", "num_flips"), [(make_values, 60), (make_cards, 40), (make_archive_work, 25)]
)
def test_files_of_the_runtime(tmp_path, make, num_flips) -> None:
    for name, file in make(tmp_path).items():
        found = what_flips_do(file, num_flips=num_flips)
        assert found["refused"] > 0, name
        assert set(found) <= {"refused", "same value"}, (name, found)


def test_files_of_the_models_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    for name, file in make_models_folder(tmp_path / "models").items():
        found = what_flips_do(file, num_flips=60)
        assert found["refused"] > 30, name
        assert set(found) <= {"refused", "same value"}, (name, found)


@pytest.mark.parametrize("make", [make_variant_store, make_training_checkpoint])
def test_files_of_a_training(tmp_path, make) -> None:
    pytest.importorskip("torch")
    for name, file in make(tmp_path).items():
        found = what_flips_do(file, num_flips=40)
        assert found["refused"] > 0, name
        assert set(found) <= {"refused", "same value"}, (name, found)


def test_files_of_older_releases_without_a_hash_are_read(tmp_path) -> None:
    """As releases before the hash wrote them: JSON without the key, stores without blocks."""
    pytest.importorskip("torch")
    files = {**make_cards(tmp_path), **make_variant_store(tmp_path)}
    for name in ("fuser.json", "embedder.json", "store store.json", "store progress.json"):
        file = files[name]
        right = file.read()
        content = json.loads(file.path.read_text())
        del content["content_sha256"]
        content.pop("blocks", None)
        if name.startswith("store"):
            content["format_version"] = 1
        if name == "fuser.json":
            content["format_version"] = 2
        file.path.write_text(json.dumps(content))
        found = file.read()
        if name == "fuser.json":
            found = [each for each in found if each[0] != "format_version"]
            right = [each for each in right if each[0] != "format_version"]
        assert found == right, name


def test_what_older_releases_left_unfinished_is_gone_on_with(tmp_path) -> None:
    """Without the hash of the checkpoint; of variant stores see unit/training."""
    pytest.importorskip("torch")
    from safetensors import safe_open
    from safetensors.torch import save_file

    files = make_training_checkpoint(tmp_path)
    right = {name: file.read() for name, file in files.items()}
    path = files["checkpoint.safetensors"].path
    with safe_open(path, framework="pt") as file:
        metadata = {key: value for key, value in file.metadata().items() if key != "sha256"}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(tensors, path, metadata=metadata)
    assert {name: file.read() for name, file in files.items()} == right
