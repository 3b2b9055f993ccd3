"""Rows of a benchmark that are found by a detector: failures, and blocks that are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_video import COLOURS, ColourEmbedder

from probefusion.evaluation.licensed import embed_rows
from probefusion.faces import ARCFACE_LANDMARKS, Face
from probefusion.protocols import licensed
from probefusion.protocols.licensed import Benchmark
from probefusion.protocols.templates import TemplateIndex
from probefusion.types import EmbeddingSet

cv2 = pytest.importorskip("cv2")


class Embedder(ColourEmbedder):
    own_fingerprint = "colour@1"

    def embed_set(self, crops, sources=None, media_ids=None):
        return EmbeddingSet(embeddings=self.embed(crops)[0], media_ids=media_ids)


class Detector:
    """Finds one face, whose landmarks are in order for a bright photo and exchanged for a dark one."""

    def __init__(self, fingerprint: str = "a") -> None:
        self.fingerprint = fingerprint
        self.num_seen = 0

    def detect(self, image):
        self.num_seen += 1
        order = [0, 1, 2, 3, 4] if image.max() > 100 else [1, 0, 2, 4, 3]
        points = ARCFACE_LANDMARKS[order].astype(np.float32)
        return (Face(box=np.array([0, 0, 112, 112], np.float32), landmarks=points, score=0.9),)


@pytest.fixture
def benchmark(tmp_path):
    """Gives the benchmark of two photos with a detector, as `open_benchmark` makes those of TinyFace."""
    paths = [tmp_path / "bright.png", tmp_path / "dark.png"]
    for path, factor in zip(paths, (1.0, 0.2), strict=True):
        photo = np.full((112, 112, 3), np.array(COLOURS[0]) * factor, np.uint8)
        cv2.imwrite(str(path), photo[..., ::-1])
    rows = np.arange(2, dtype=np.int32)

    def make(detector) -> Benchmark:
        return Benchmark(
            name="made",
            row_names=[path.name for path in paths],
            row_order="made",
            row_paths=paths,
            read_row=lambda row: licensed._read_face(paths[row], detector),
            templates=TemplateIndex.from_columns(rows, rows),
            pairs=None,
            searches=(),
            joins_galleries=False,
            facts={},
            found_by=licensed._name_of(detector),
        )

    return make


def test_a_face_that_cannot_be_aligned_is_a_failure_and_ends_nothing(benchmark) -> None:
    rows = embed_rows(benchmark(Detector()), Embedder())
    assert rows.position.tolist() == [0, -1]


def test_crops_of_another_detector_are_not_taken(benchmark, tmp_path) -> None:
    cache = tmp_path / "cache"
    first, again, other = Detector(), Detector(), Detector("b")
    for detector in (first, again, other):
        embed_rows(benchmark(detector), Embedder(), cache=cache)
    assert (first.num_seen, again.num_seen, other.num_seen) == (2, 0, 2)


def test_rows_with_names_in_another_encoding_are_kept(benchmark, tmp_path) -> None:
    made = replace(benchmark(Detector()), row_names=["caf\udce9.png", "dark.png"])
    first = embed_rows(made, Embedder(), cache=tmp_path / "kept")
    again = embed_rows(made, Embedder(), cache=tmp_path / "kept")
    assert len(list((tmp_path / "kept").rglob("*.npz"))) == 1
    assert np.array_equal(first.images.embeddings, again.images.embeddings)
