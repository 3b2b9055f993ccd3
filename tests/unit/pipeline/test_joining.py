"""Images that join a state or template: they are judged as its fuser needs, whatever else would fit."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.pipeline import Pipeline


@pytest.fixture
def folders(tmp_path, write):
    rng = np.random.default_rng(0)
    for name in ("ann", "bob"):
        for number in range(2):
            write(tmp_path / name / f"{number}.png", rng.integers(0, 256, (112, 112, 3), np.uint8))
    return tmp_path / "ann", tmp_path / "bob"


@pytest.fixture
def universal(folders):
    """One person, by the universal fuser although there is one made for the embedder."""
    return Pipeline(aligned=True, fuser="universal").fuse(folders[0])


def test_images_join_a_state_of_the_universal_fuser(folders, universal) -> None:
    joined = Pipeline(aligned=True).fuse([universal.state, folders[1]])
    expected = Pipeline(aligned=True, fuser="universal").fuse(list(folders))
    assert joined.template.fuser == universal.template.fuser
    assert joined.num_images == 4
    assert np.abs(joined.template.vector - expected.template.vector).max() < 1e-6


@pytest.mark.parametrize("is_first", [True, False])
def test_images_are_compared_with_a_template_of_the_universal_fuser(
    folders, universal, is_first
) -> None:
    other = Pipeline(aligned=True, fuser="universal").fuse(folders[1]).template
    sides = (universal.template, folders[1]) if is_first else (folders[1], universal.template)
    found = Pipeline(aligned=True).compare(*sides)
    assert found.similarity == pytest.approx(universal.template.similarity(other), abs=1e-6)
