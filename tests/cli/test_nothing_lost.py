"""No command replaces its own input, leaves half of its outputs, or finds out late that it cannot write."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from probefusion.types import EmbeddingSet, Template


@pytest.fixture
def set_file(tmp_path, rng):
    path = tmp_path / "set.npz"
    EmbeddingSet(embeddings=rng.standard_normal((5, 16)).astype(np.float32)).save(path)
    return path


@pytest.fixture
def no_work(monkeypatch):
    """Fails the test if a command begins its work."""

    def refuse(*_, **__):
        pytest.fail("the work began before the outputs were checked")

    monkeypatch.setattr("probefusion.pipeline.Pipeline.fuse", refuse)
    monkeypatch.setattr("probefusion.pipeline.Pipeline.embed", refuse)
    monkeypatch.setattr("probefusion.pipeline.Pipeline.fuse_people", refuse)
    monkeypatch.setattr("probefusion.pipeline.Pipeline.read_video", refuse)


def test_fuse_does_not_replace_its_input(command, set_file, no_work, monkeypatch) -> None:
    before = set_file.read_bytes()
    monkeypatch.chdir(set_file.parent)
    for output in (set_file, "./set.npz"):
        for flag in ("-o", "--state"):
            code, _, err = command("fuse", set_file, "--fuser", "mean", flag, output, "--force")
            assert code == 1
            assert f"{flag}: " in err
            assert "is also an input" in err
    assert set_file.read_bytes() == before


def test_one_file_by_two_names_is_refused(command, set_file, no_work, monkeypatch) -> None:
    monkeypatch.chdir(set_file.parent)
    options = ("fuse", set_file, "--fuser", "mean", "-o", "one.npz")
    code, _, err = command(*options, "--state", "./one.npz")
    assert code == 1
    assert "expected two files" in err
    assert not (set_file.parent / "one.npz").exists()


def test_a_state_without_its_template_is_not_left(command, set_file, monkeypatch, tmp_path) -> None:
    def full(*_, **__):
        raise OSError(28, "No space left on device", "t.npz")

    (tmp_path / "s.safetensors").write_text("old")
    options = ("fuse", set_file, "--fuser", "mean", "-o", tmp_path / "t.npz")
    options = (*options, "--state", tmp_path / "s.safetensors", "--force")
    with monkeypatch.context() as patch:
        patch.setattr(Template, "save", full)
        code, _, err = command(*options)
    assert code == 1
    assert "No space left" in err
    assert (tmp_path / "s.safetensors").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.safetensors", "set.npz"]
    assert command(*options)[0] == 0
    assert Template.load(tmp_path / "t.npz").num_images == 5


@pytest.mark.parametrize("name", ["x" * 256 + ".npz", "name\udcff.npz"])
def test_names_that_cannot_be_are_refused_before_the_work(
    command, set_file, people_folder, no_work, tmp_path, name
) -> None:
    output = tmp_path / name
    photos = ("--aligned",)
    for arguments in (
        ("fuse", set_file, "-o", output),
        ("fuse", set_file, "--state", output),
        ("fuse", people_folder, "--people", *photos, "-o", output),
        ("embed", people_folder / "person_03", *photos, "-o", output),
    ):
        code, _, err = command(*arguments)
        assert code == 1, arguments
        assert "probefusion: error: output " in err


def test_embed_does_not_replace_its_input(command, people_folder, no_work, tmp_path) -> None:
    shutil.copytree(people_folder / "person_03", tmp_path / "person")
    image = min((tmp_path / "person").iterdir())
    code, _, err = command("embed", image, "--aligned", "-o", image, "--force")
    assert code == 1
    assert "is also an input" in err
