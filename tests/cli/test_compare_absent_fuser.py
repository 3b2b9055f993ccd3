"""Comparing what a known fuser made that is not here: the cosine needs none, fusing does."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.types import EmbeddingSet, Template

NAME = "official.mobilefacenet_128d-lfw112.r2"
EMBEDDER = "mobilefacenet_128d@31721da5a011"


@pytest.fixture
def template(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBEFUSION_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PROBEFUSION_FUSERS")
    path = tmp_path / "template.npz"
    vector = np.eye(1, 128, dtype=np.float32)[0]
    made_by = f"{NAME}@51e3a86795d2"
    Template(vector=vector, num_images=3, fuser=made_by, embedder=EMBEDDER).save(path)
    return path


def test_two_templates_are_compared_without_it(command, template):
    code, out, _ = command("compare", template, template)
    assert code == 0
    assert "similarity 1.0000" in out
    assert "no decision" in out


def test_a_set_is_not_fused_without_it(command, template, tmp_path, rng):
    images = tmp_path / "set.npz"
    embeddings = rng.standard_normal((4, 128))
    EmbeddingSet(embeddings=embeddings, embedder=EMBEDDER).save(images)
    code, _, err = command("compare", template, images)
    assert code == 1
    assert f"probefusion models pull {NAME}" in err
    code, _, err = command("fuse", images, "--fuser", "exact", "--json")
    assert code == 1
    assert "probefusion models pull exact.mobilefacenet_128d-lfw112.r3" in err


@pytest.mark.parametrize(
    ("channels", "advised"),
    [
        (None, "exact-embedding.mobilefacenet_128d-lfw112.r2"),
        (192, "exact.mobilefacenet_128d-lfw112.r3"),
    ],
)
def test_a_set_whose_fuser_is_not_here_is_told_of_it(
    command, template, tmp_path, rng, channels, advised
):
    """That which would be taken for it: `exact` needs style."""
    images = tmp_path / "set.npz"
    style = None if channels is None else rng.random((4, channels, 2))
    EmbeddingSet(embeddings=rng.standard_normal((4, 128)), style=style, embedder=EMBEDDER).save(
        images
    )
    code, _, err = command("fuse", images, "-o", tmp_path / "fused.npz")
    assert code == 0
    assert "fuser: mean" in err
    assert f"probefusion models pull {advised}\n" in err
    assert Template.load(tmp_path / "fused.npz").fuser.startswith("mean")
