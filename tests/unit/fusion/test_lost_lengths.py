"""Sets whose lengths are lost, at every door of a fuser that weighs by length."""

from __future__ import annotations

import numpy as np
import pytest

import probefusion
from probefusion.archives import fuse_archive, open_archive
from probefusion.errors import MissingNormsError
from probefusion.types import EmbeddingSet, FusionState, TemplateSet
from probefusion.zoo import load_fuser

UNIT = np.eye(3, 8, dtype=np.float32)[[0, 1, 2, 0]]
RAW = UNIT * np.array([[3.0], [1.0], [2.0], [5.0]], np.float32)

DOORS = {
    "fuse": lambda fuser, images: fuser.fuse(images),
    "fuse in chunks": lambda fuser, images: fuser.fuse(images, chunk_size=2),
    "fuse_many": lambda fuser, images: fuser.fuse_many(images, [0, 2, 4]),
    "encode": lambda fuser, images: fuser.encode(images),
    "encode_with_shares": lambda fuser, images: fuser.encode_with_shares(images),
    "encode_many": lambda fuser, images: fuser.encode_many(images, [0, 4]),
}


@pytest.mark.parametrize("door", DOORS)
def test_norm_weighted_refuses_what_has_no_lengths(door: str) -> None:
    fuser = load_fuser("norm-weighted")
    assert fuser.needs_norms
    words = r"'norm-weighted'.*all 4 rows are of length 1.*mean"
    with pytest.raises(MissingNormsError, match=words):
        DOORS[door](fuser, EmbeddingSet(embeddings=UNIT))
    with pytest.raises(MissingNormsError, match=words):
        DOORS[door](fuser, UNIT)
    DOORS[door](fuser, EmbeddingSet(embeddings=RAW))
    DOORS[door](fuser, EmbeddingSet(embeddings=UNIT, norms_known=True))
    DOORS[door](load_fuser("mean"), EmbeddingSet(embeddings=UNIT))


def test_lengths_that_are_not_the_networks_own_are_told_as_such() -> None:
    images = EmbeddingSet(embeddings=2 * RAW, norms_known=False)
    with pytest.raises(MissingNormsError, match="says that its lengths are not the network's own"):
        load_fuser("norm-weighted").fuse(images)


def test_a_part_without_lengths_is_enough() -> None:
    parts = [EmbeddingSet(embeddings=2 * RAW), EmbeddingSet(embeddings=UNIT)]
    with pytest.raises(MissingNormsError, match="4 of 8 rows are of length 1"):
        load_fuser("norm-weighted").fuse(EmbeddingSet.concatenate(parts))


def test_no_message_sends_unit_rows_to_norm_weighted() -> None:
    fuser = load_fuser("exact-embedding")
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((3, fuser.dim)).astype(np.float32)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    short = np.eye(3, 8, dtype=np.float32)
    for images, offered in ((rows, True), (unit, False), (2 * short, True), (short, False)):
        with pytest.raises(ValueError, match="takes any: mean") as caught:
            fuser.fuse(images)
        assert ("norm-weighted" in str(caught.value)) is offered


def test_the_function_and_the_pipeline_refuse_too(tmp_path) -> None:
    with pytest.raises(MissingNormsError, match="mean"):
        probefusion.fuse(UNIT, fuser="norm-weighted")
    pipeline = probefusion.Pipeline(fuser="norm-weighted")
    with pytest.raises(MissingNormsError, match="mean"):
        pipeline.fuse(UNIT)
    with pytest.raises(MissingNormsError, match="mean"):
        pipeline.compare(EmbeddingSet(embeddings=UNIT), EmbeddingSet(embeddings=RAW))
    np.save(tmp_path / "unit.npy", UNIT)
    with pytest.raises(MissingNormsError, match=r"unit\.npy.*mean"):
        pipeline.fuse([tmp_path / "unit.npy"])
    assert isinstance(pipeline.fuse(RAW).state, FusionState)


def _archive(folder, rows):
    folder.mkdir()
    np.save(folder / "embeddings.npy", rows)
    np.save(folder / "template_ids.npy", np.arange(len(rows)) // 2)
    return open_archive(folder)


def test_an_archive_without_lengths_is_refused_before_anything_is_written(tmp_path) -> None:
    archive, output = _archive(tmp_path / "unit", UNIT), tmp_path / "out.npz"
    with pytest.raises(MissingNormsError, match="mean"):
        fuse_archive(archive, load_fuser("norm-weighted"), output)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["unit"]
    fuse_archive(archive, load_fuser("mean"), output)


def test_one_row_of_length_one_does_not_take_the_lengths_of_an_archive(tmp_path) -> None:
    """The whole first block decides, not its first row, which may be of that length by chance."""
    rows = RAW[[1, 0, 2, 3]]
    archive, output = _archive(tmp_path / "raw", rows), tmp_path / "out.npz"
    fuse_archive(archive, load_fuser("norm-weighted"), output)
    expected = load_fuser("norm-weighted").fuse_many(EmbeddingSet(embeddings=rows), [0, 2, 4])
    assert np.allclose(TemplateSet.load(output).vectors, expected, atol=1e-6)
