"""`probefusion embed` with real arguments."""

from __future__ import annotations

import shutil

import numpy as np

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
    assert out == f"{tmp_path / 's.npz'}: 4 images, 16 dimensions\n"
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
