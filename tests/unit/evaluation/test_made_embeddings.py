"""Embeddings of a benchmark that somebody made: columns that mean something else are refused."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import InvalidInputError
from probefusion.evaluation.made_embeddings import read_made_embeddings
from probefusion.types import EmbeddingSet


def test_scores_of_another_kind_are_no_quality(tmp_path, rng) -> None:
    rows = rng.standard_normal((4, 16)).astype(np.float32)
    np.savez(
        tmp_path / "good.npz", embeddings=rows, quality=np.array([0.5, -1, 3.5, 0], np.float32)
    )
    made = read_made_embeddings(tmp_path / "good.npz")
    assert made.images.quality.tolist() == [0.5, -1, 3.5, 0]
    np.savez(tmp_path / "percent.npz", embeddings=rows, quality=np.array([50.0, 90, 7, 1]))
    with pytest.raises(InvalidInputError, match=r"quality of percent\.npz.*got 90"):
        read_made_embeddings(tmp_path / "percent.npz")


def test_rows_that_hold_image_and_mirror_image_are_told(tmp_path, rng, caplog) -> None:
    rows = rng.standard_normal((20, 64)).astype(np.float32)
    mirrored = rows + 0.2 * rng.standard_normal(rows.shape).astype(np.float32)
    np.save(tmp_path / "plain.npy", np.concatenate([rows, rows[::-1]], axis=1))
    np.save(tmp_path / "doubled.npy", np.concatenate([rows, mirrored], axis=1))
    read_made_embeddings(tmp_path / "plain.npy")
    assert read_made_embeddings(tmp_path / "doubled.npy", flipped=True).images.dim == 64
    assert caplog.text == ""
    assert read_made_embeddings(tmp_path / "doubled.npy").images.dim == 128
    assert "the halves of the 128 columns are alike" in caplog.text
    assert "--flipped" in caplog.text


def test_detector_scores_of_a_saved_set_are_taken_along(tmp_path, rng) -> None:
    """A set of `embed` with the scores of its photos is a file of made embeddings too."""
    vectors = rng.standard_normal((3, 32)).astype(np.float32)
    scores = np.array([0.9, 0.7, 0.8], np.float32)
    images = EmbeddingSet(embeddings=vectors, detector_scores=scores, sources=["a", "b", "c"])
    images.save(tmp_path / "made.npz")
    made = read_made_embeddings(tmp_path / "made.npz")
    assert np.array_equal(made.images.detector_scores, scores)
    assert made.names == ("a", "b", "c")
