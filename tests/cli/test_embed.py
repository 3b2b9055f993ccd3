"""`probefusion embed` with real arguments."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from planted_people import planted

from probefusion.embedders import EmbedderSpec
from probefusion.pipeline import Pipeline
from probefusion.types import EmbeddingSet


def test_the_command_gives_what_the_pipeline_gives(
    tmp_path, command, tiny_embedder, people_folder
) -> None:
    person = people_folder / "person_03"
    code, out, err = command(
        "embed", person, "--aligned", "--embedder", tiny_embedder, "-o", tmp_path / "s.npz"
    )
    assert code == 0
    assert out.splitlines() == [
        f"{tmp_path / 's.npz'}: 4 images, 16 dimensions",
        "one person? cannot be told: embeddings of 16 dimensions, and it takes 64",
    ]
    assert "embedding: 4/4 images" in err
    expected = Pipeline(tiny_embedder, aligned=True).embed(person).embedding_set
    found = EmbeddingSet.load(tmp_path / "s.npz")
    for name in ("embeddings", "style", "quality", "sources"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))
    assert found.embedder == expected.embedder


def test_both_kinds_of_image_are_refused(tmp_path, command, people_folder) -> None:
    code, _, err = command(
        "embed", people_folder, "--aligned", "--detector", "yunet_2023mar", "-o", tmp_path / "s.npz"
    )
    assert code == 1
    assert "--aligned, --detector: expected one of the two" in err


def test_a_folder_of_people_needs_a_choice(tmp_path, command, tiny_embedder, people_folder) -> None:
    root = tmp_path / "two"
    for name in ("person_03", "person_07"):
        shutil.copytree(people_folder / name, root / name)
    arguments = ("embed", root, "--aligned", "--embedder", tiny_embedder, "-o", tmp_path / "s.npz")
    code, out, err = command(*arguments)
    assert (code, out) == (1, "")
    assert "2 folders of images (person_03, person_07)" in err
    assert f"probefusion embed {root} --one-person -o SET.npz" in err
    assert not (tmp_path / "s.npz").exists()
    code, _, _ = command(*arguments, "--one-person")
    assert code == 0
    assert EmbeddingSet.load(tmp_path / "s.npz").num_images == 8


def test_an_ending_that_cannot_be_read_back_is_refused(tmp_path, command, people_folder) -> None:
    person = people_folder / "person_03"
    code, _, err = command("embed", person, "--aligned", "-o", tmp_path / "s.txt")
    assert code == 1
    assert "-o: expected a file name that ends in .npz" in err
    assert "Name it 's.npz'." in err
    assert not (tmp_path / "s.txt").exists()


def test_a_set_that_falls_apart_is_told_or_refused(tmp_path, command, monkeypatch) -> None:
    """Crops whose embeddings are planted: ten of one person, six of another."""
    images = planted(10, 6)
    cv2 = pytest.importorskip("cv2")
    folder = tmp_path / "person"
    folder.mkdir()
    for number in range(16):
        cv2.imwrite(str(folder / f"{number:02}.png"), np.full((112, 112, 3), number, np.uint8))

    def embed(crops):
        return images.embeddings[crops[:, 0, 0, 0]].astype(np.float32), None

    def embed_set(crops, sources=None, media_ids=None):
        return EmbeddingSet(embeddings=embed(crops)[0], embedder="planted@1")

    planted_embedder = SimpleNamespace(
        spec=EmbedderSpec(name="planted", sha256="0" * 64, dim=128),
        fingerprint="planted@1",
        norms_known=True,
        embed=embed,
        embed_set=embed_set,
    )
    monkeypatch.setattr(
        "probefusion.pipeline.chosen_models.open_embedder", lambda *_, **__: planted_embedder
    )
    monkeypatch.setattr("probefusion.pipeline.chosen_models.Models.judge", lambda *_, **__: None)
    arguments = ("embed", folder, "--aligned", "-o", tmp_path / "s.npz")
    code, _, err = command(*arguments, "--strict")
    assert code == 1
    assert "falls apart" in err
    assert not (tmp_path / "s.npz").exists()
    code, out, err = command(*arguments, "--json")
    facts = json.loads(out)
    assert code == 3
    assert facts["screening"]["verdict"] == "several people"
    assert "10 images (62 % of the weight) and 6 images (38 % of the weight)" in err
    assert len(EmbeddingSet.load(tmp_path / "s.npz")) == 16
    code, out, err = command(*arguments, "--largest-person", "--force")
    assert code == 3
    assert "10 images, 128 dimensions" in out
    assert "skipped 6 images" in err
    assert len(EmbeddingSet.load(tmp_path / "s.npz")) == 10
    code, out, err = command(*arguments, "--no-screening", "--force")
    assert code == 0
    assert "not screened: not wanted (--no-screening)" in out
