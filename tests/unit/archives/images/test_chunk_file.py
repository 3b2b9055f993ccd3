"""What is written of a chunk is read again."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.archives import open_archive
from probefusion.archives.images import (
    ArchiveImage,
    ChunkFacts,
    RowFormat,
    read_facts,
    skipped_images,
    write_chunk,
)
from probefusion.errors import FileFormatError, NonFiniteError
from probefusion.faces import SkippedImage
from probefusion.types import EmbeddingSet

pytest.importorskip("pyarrow")

ROWS = RowFormat(
    embedder="tiny@0123456789ab",
    dim=8,
    style_channels=3,
    has_quality=True,
    has_scores=True,
    norms_known=True,
)


def _part(rng, count, **changes):
    images = [
        ArchiveImage(source=f"a/{k}.jpg", subject_id=f"p{k % 2}", media_id=f"a/{k}.jpg", data=b"")
        for k in range(count)
    ]
    columns = {
        "embeddings": rng.standard_normal((count, 8)),
        "style": rng.standard_normal((count, 3, 2)),
        "quality": rng.standard_normal(count),
        "detector_scores": rng.random(count),
    }
    return images, EmbeddingSet(**{**columns, **changes}, embedder=ROWS.embedder)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_an_archive_reads_it(tmp_path, dtype):
    rng = np.random.default_rng(0)
    parts = [_part(rng, 5), _part(rng, 2)]
    facts = ChunkFacts(
        number=0,
        tag="t",
        skipped=(SkippedImage(source="b/\n.jpg", reason="é"),),
        doubtful={"tiny": 2},
        examples={"tiny": ("a/1.jpg",)},
    )
    rows = RowFormat(**{**ROWS.__dict__, "dtype": dtype})
    write_chunk(tmp_path / "chunk-0.parquet", rows, parts, facts)
    archive = open_archive(tmp_path, by="subject_id")
    assert (archive.num_images, archive.embedder) == (7, ROWS.embedder)
    (found,) = archive.rows(100)
    embeddings = np.concatenate([part.embeddings for _, part in parts])
    assert found.embeddings.dtype == dtype
    np.testing.assert_array_equal(found.embeddings, embeddings.astype(dtype))
    style = np.concatenate([part.style for _, part in parts])
    np.testing.assert_array_equal(found.style, style.astype(dtype))
    np.testing.assert_array_equal(
        found.quality, np.concatenate([part.quality for _, part in parts]).astype(np.float32)
    )
    assert found.ids.tolist() == ["p0", "p1", "p0", "p1", "p0", "p0", "p1"]
    read = read_facts(tmp_path / "chunk-0.parquet")
    assert (read.num_rows, read.tag, dict(read.doubtful)) == (7, "t", {"tiny": 2})
    assert list(skipped_images(tmp_path)) == list(facts.skipped)


def test_a_chunk_without_rows_is_a_file_too(tmp_path):
    write_chunk(tmp_path / "chunk-0.parquet", ROWS, [], ChunkFacts(number=0, tag="t"))
    write_chunk(
        tmp_path / "chunk-1.parquet",
        ROWS,
        [_part(np.random.default_rng(0), 3)],
        ChunkFacts(number=1),
    )
    archive = open_archive(tmp_path)
    assert archive.num_images == 3
    assert sum(len(rows.ids) for rows in archive.rows(10)) == 3


def test_the_same_bytes_each_time(tmp_path):
    for name in ("a", "b"):
        part = _part(np.random.default_rng(1), 4)
        write_chunk(tmp_path / name, ROWS, [part], ChunkFacts(number=3, tag="x"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numbers_too_large_for_half_precision(tmp_path):
    embeddings = np.ones((2, 8))
    embeddings[1, 3] = 70_000
    part = _part(np.random.default_rng(0), 2, embeddings=embeddings)
    with pytest.raises(NonFiniteError, match=r"a/1.jpg: .* 70000, .*--float32"):
        write_chunk(tmp_path / "x.parquet", ROWS, [part], ChunkFacts(number=0))
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_are_told(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(FileFormatError, match="embed-archive wrote"):
        read_facts(tmp_path / "x.parquet")
