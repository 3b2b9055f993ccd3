"""Screening inside `Pipeline.fuse` and `fuse_people`."""

from __future__ import annotations

import numpy as np
import pytest
from planted_people import planted

from probefusion.embedders import EmbedderSpec
from probefusion.errors import ConfigError, EmptySetError, SeveralPeopleError
from probefusion.pipeline import Pipeline
from probefusion.types import EmbeddingSet


class PlantedEmbedder:
    """Embeds a crop by its first two grey values: the person, and the image."""

    norms_known = True

    def __init__(self) -> None:
        self.spec = EmbedderSpec(name="planted", sha256="0" * 64, dim=128)
        self.fingerprint = self.own_fingerprint = self.spec.fingerprint
        self.rows = planted(20, 20).embeddings.reshape(2, 20, 128)

    def embed(self, crops):
        people, images = crops[:, 5, 5, 0] // 100, crops[:, 100, 100, 0] // 10
        return self.rows[people, images], None

    def embed_set(self, crops, sources=None, media_ids=None):
        return EmbeddingSet(embeddings=self.embed(crops)[0], embedder=self.fingerprint)


@pytest.fixture
def people(write, tmp_path):
    """ann: 12 images of her; eve: 9 of her and 5 of ann."""
    root = tmp_path / "people"
    for name, counts in {"ann": (12, 0), "eve": (5, 9)}.items():
        for person, count in enumerate(counts):
            for number in range(count):
                crop = np.full((112, 112, 3), 100 * person + 50, np.uint8)
                crop[56:] = 10 * number + 5
                write(root / name / f"{'ae'[person]}{number}.png", crop)
    return root


@pytest.fixture
def pipeline():
    return Pipeline(PlantedEmbedder(), aligned=True, fuser="mean")


def test_a_person_whose_images_fall_apart_is_a_problem(people, pipeline) -> None:
    fused = pipeline.fuse_people(people)
    assert list(fused.templates) == ["ann", "eve"]
    assert fused.screenings["ann"].verdict == "one person"
    assert fused.screenings["eve"].falls_apart
    assert len(fused.problems) == 1
    assert fused.problems[0].startswith("eve: the set falls apart")


def test_refused_people_are_left_out(people, pipeline) -> None:
    fused = pipeline.fuse_people(people, strangers="refuse")
    assert list(fused.templates) == ["ann"]
    assert fused.problems[0].startswith("eve: left out: ")


def test_the_largest_person_of_each(people, pipeline) -> None:
    fused = pipeline.fuse_people(people, strangers="largest-person")
    assert fused.templates.num_images.tolist() == [12, 9]
    assert [item.source.rsplit("/", 1)[-1] for item in fused.skipped] == [
        f"a{number}.png" for number in range(5)
    ]
    assert fused.problems == ()


def test_images_of_several_inputs_are_screened_together(pipeline) -> None:
    images = planted(10, 6)
    fused = pipeline.fuse([images[:10], images[10:]], strangers="largest-person")
    assert fused.num_images == 10
    assert fused.screening is not None
    assert fused.screening.falls_apart
    assert fused.sources == tuple(f"a{number}" for number in range(10))
    alone = pipeline.fuse(images[:10])
    assert np.allclose(fused.template.vector, alone.template.vector, atol=1e-6)
    assert "no sign" in str(alone)


def test_what_is_refused_and_what_is_unknown(pipeline) -> None:
    with pytest.raises(SeveralPeopleError, match="falls apart"):
        pipeline.fuse(planted(10, 6), strangers="refuse")
    with pytest.raises(ConfigError, match="largest-person"):
        pipeline.fuse(planted(10), strangers="drop")
    with pytest.raises(EmptySetError):
        pipeline.fuse([])


def test_a_state_alone_is_not_screened(pipeline) -> None:
    state = pipeline.fuse(planted(10, 6)).state
    assert pipeline.fuse([state]).screening is None
