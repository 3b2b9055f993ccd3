"""`Pipeline.embed` and `read_sets`: screened, and the face common to all photos taken, as `fuse` does."""

from __future__ import annotations

import numpy as np
import pytest
from planted_people import PlantedEmbedder, planted

from probefusion.errors import SeveralPeopleError
from probefusion.pipeline import Pipeline


@pytest.fixture
def mixed(write, tmp_path):
    """A folder with nine images of one person and five of another."""
    for person, count in enumerate((5, 9)):
        for number in range(count):
            crop = np.full((112, 112, 3), 100 * person + 50, np.uint8)
            crop[56:] = 10 * number + 5
            write(tmp_path / "mixed" / f"{'ae'[person]}{number}.png", crop)
    return tmp_path / "mixed"


@pytest.fixture
def crops(monkeypatch):
    """The crops are plain grey and no faces; to the judge of their quality they shall be good ones."""
    good = lambda _, crops: np.full(len(crops), 2.0, np.float32)  # noqa: E731
    monkeypatch.setattr("probefusion.embedders.CropQuality.judge", good)
    return Pipeline(PlantedEmbedder(), aligned=True, fuser="mean")


def test_embedded_images_are_screened(crops, mixed) -> None:
    person = crops.embed(mixed)
    assert person.embedding_set.num_images == 14
    assert person.screening.falls_apart
    assert [len(part.rows) for part in person.screening.parts] == [9, 5]
    assert person.problems == (str(person.screening),)
    with pytest.raises(SeveralPeopleError, match="falls apart"):
        crops.embed(mixed, strangers="refuse")
    kept = crops.embed(mixed, strangers="largest-person")
    names = [name.rsplit("/", 1)[-1] for name in kept.embedding_set.sources.tolist()]
    assert names == [f"e{number}.png" for number in range(9)]
    assert [item.source.rsplit("/", 1)[-1] for item in kept.skipped] == [
        f"a{number}.png" for number in range(5)
    ]
    assert crops.embed(mixed, strangers="no-screening").problems == ()


def test_sets_are_screened_together(crops) -> None:
    images = planted(10, 6)
    read = crops.read_sets([images[:10], images[10:]])
    assert [len(part.rows) for part in read.screening.parts] == [10, 6]
    assert len(read.problems) == 1
    kept = crops.read_sets([images[:10], images[10:]], strangers="largest-person")
    assert [len(part) for part in kept.sets] == [10]
    assert [item.source for item in kept.skipped] == [f"b{number}" for number in range(6)]


@pytest.fixture
def photos(draw, write, tmp_path):
    """Red is in all three photos, and never the largest where there are two faces."""
    write(tmp_path / "p" / "0.png", draw(red=60, green=66))
    write(tmp_path / "p" / "1.png", draw(blue=66, red=60))
    write(tmp_path / "p" / "2.png", draw(red=60))
    return tmp_path / "p"


RED = np.array([250, 40, 40]) / np.linalg.norm([250, 40, 40])


def units(images) -> np.ndarray:
    rows = images.embeddings
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_face_common_to_all_photos_is_embedded(embedder, detector, photos) -> None:
    pipeline = Pipeline(embedder, detector=detector)
    person = pipeline.embed(photos)
    assert units(person.embedding_set) @ RED == pytest.approx(1, abs=1e-3)
    assert person.face_choice.num_changed == 2
    assert [face.is_common for face in person.faces] == [True, True, False]
    read = pipeline.read_sets(photos)
    assert units(read.sets[0]) @ RED == pytest.approx(1, abs=1e-3)
    assert read.face_choice.is_clear


def test_the_face_common_to_all_photos_is_compared(embedder, detector, photos, draw) -> None:
    pipeline = Pipeline(embedder, detector=detector, fuser="mean")
    red = draw(red=60)
    found = pipeline.compare(photos, red)
    assert found.similarity == pytest.approx(1, abs=1e-3)
    assert found.face_choice[0].num_changed == 2
    assert found.face_choice[1] is None
    assert found.problems == ()


def test_photos_in_memory_are_chosen_from_too(embedder, detector, draw) -> None:
    pipeline = Pipeline(embedder, detector=detector, fuser="mean")
    pictures = np.stack([draw(red=60, green=66), draw(blue=66, red=60), draw(red=60)])
    fused = pipeline.fuse(pictures)
    assert fused.template.vector @ RED == pytest.approx(1, abs=1e-3)
    assert fused.face_choice.num_changed == 2


def test_who_is_meant_cannot_be_told_of_one_photo(embedder, detector, draw) -> None:
    pipeline = Pipeline(embedder, detector=detector, fuser="mean")
    found = pipeline.compare(draw(red=60), draw(red=60, green=66))
    assert len(found.problems) == 1
    assert found.problems[0].startswith("B: 1 photo shows several faces of about one size")
