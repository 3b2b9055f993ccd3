"""What `probefusion fuse` writes, and what it refuses to write."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.fusion import MeanFuser
from probefusion.types import EmbeddingSet, FusionState, Template


@pytest.fixture
def sets(tmp_path, rng):
    """Two sets of one person, and the files that hold them."""
    found = [EmbeddingSet(embeddings=rng.standard_normal((3, 8)) + 2) for _ in range(2)]
    paths = [tmp_path / "first.npz", tmp_path / "second.npz"]
    for images, path in zip(found, paths, strict=True):
        images.save(path)
    return found, paths


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "t.txt"), ("-o: expected a file name that ends in .npz", "'t.npz'")),
        (("-o", "t"), ("-o: expected a file name that ends in .npz", "'t.npz'")),
        (("--state", "s.npz"), ("--state: expected", ".safetensors", "'s.safetensors'")),
    ],
)
def test_endings_that_cannot_be_read_back_are_refused(
    tmp_path, command, sets, monkeypatch, arguments, words
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = command("fuse", sets[1][0], "--fuser", "mean", *arguments)
    assert code == 1
    assert all(word in err for word in words)
    assert not (tmp_path / arguments[1]).exists()


def test_a_state_is_updated_in_place(tmp_path, command, sets) -> None:
    (first, second), paths = sets
    state = tmp_path / "person.safetensors"
    assert command("fuse", paths[0], "--fuser", "mean", "--state", state)[0] == 0
    arguments = ("fuse", state, paths[1], "--fuser", "mean", "--state", state)
    before = state.read_bytes()
    code, _, err = command(*arguments)
    assert code == 1
    assert "--force" in err
    assert state.read_bytes() == before
    output = tmp_path / "t.npz"
    assert command(*arguments, "--force", "-o", output)[0] == 0
    assert FusionState.load(state).num_images == 6
    expected = MeanFuser().fuse(EmbeddingSet.concatenate([first, second])).vector
    assert np.allclose(Template.load(output).vector, expected, atol=1e-6)


def test_other_inputs_are_never_replaced(tmp_path, command, sets) -> None:
    paths = sets[1]
    before = paths[0].read_bytes()
    code, _, err = command("fuse", *paths, "--fuser", "mean", "-o", paths[0], "--force")
    assert code == 1
    assert "is also an input" in err
    assert paths[0].read_bytes() == before


def test_a_finished_template_is_told_from_embeddings(tmp_path, command, sets) -> None:
    template = tmp_path / "template.npz"
    assert command("fuse", sets[1][0], "--fuser", "mean", "-o", template)[0] == 0
    code, _, err = command("fuse", template, "--json")
    assert code == 1
    assert f"{template}: this is a finished template" in err
    assert f"probefusion compare {template} OTHER" in err
    assert "its state (.safetensors) or the embeddings" in err
