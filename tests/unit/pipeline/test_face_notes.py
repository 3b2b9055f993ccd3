"""What is to be known of photos is told in every door that takes photos."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from probefusion.faces import Face
from probefusion.gallery import read_stills
from probefusion.pipeline import Pipeline

TURNED = {10: 0, 20: 90, 30: 180, 40: 270}
"""By how much the faces of a photo are turned, by the value of its first pixel."""


class TurningDetector:
    """Finds the squares as the drawn detector does, turned as the first pixel says, less sure of red ones."""

    def __init__(self, detector) -> None:
        self._detector = detector

    def detect(self, image):
        turned = TURNED.get(int(image[0, 0, 0]), 0)
        return tuple(self._turn(face, image, turned) for face in self._detector.detect(image))

    def _turn(self, face, image, turned):
        angle = np.radians(turned)  # counter-clockwise, where y points down
        matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        centre = face.box[:2] + face.box[2:] / 2
        landmarks = (face.landmarks - centre) @ matrix.T + centre
        left, top = face.box[:2].astype(int)
        is_red = image[top, left, 0] > 200
        return Face(
            box=face.box, landmarks=landmarks.astype(np.float32), score=0.65 if is_red else 0.95
        )


@pytest.fixture
def pipeline(detector, embedder):
    return Pipeline(embedder, detector=TurningDetector(detector), fuser="mean")


@pytest.fixture
def folder(draw, write, tmp_path):
    """Blue upright, blue turned by 270, blue beside green of nearly its size, red, a blue of 20 pixels."""
    photos = {
        "a.png": draw(blue=60),
        "b.png": draw(blue=60),
        "c.png": draw(blue=60, green=55),
        "d.png": draw(red=50),
        "e.png": draw(blue=20),
    }
    photos["b.png"][0, 0] = 40
    for name, image in photos.items():
        write(tmp_path / "ann" / name, image)
    return tmp_path / "ann"


EXPECTED = [
    "1 of 5 photos turned, and put upright: {}/b.png (270 degrees)",
    "1 of 5 photos of several faces of about one size, of which the largest was taken: {}/c.png (2 faces)",
    "1 of 5 photos of a face that the detector is not sure of (a score below 0.7): {}/d.png (0.65)",
    "1 of 5 photos of a face of fewer than 24 pixels: {}/e.png (20 pixels)",
]


def expected_of(folder):
    return [line.format(folder.as_posix()) for line in EXPECTED]


def of_the_common_face(folder) -> list[str]:
    """What is told where one face is common to all photos."""
    return [
        line.replace("the largest was taken", "the one common to all photos was taken")
        for line in expected_of(folder)
    ]


def test_fused(pipeline, folder, caplog) -> None:
    with caplog.at_level(logging.WARNING, "probefusion"):
        fused = pipeline.fuse(folder)
    assert fused.notes == of_the_common_face(folder)
    assert [record.getMessage() for record in caplog.records] == of_the_common_face(folder)
    for line in of_the_common_face(folder):
        assert line in str(fused).splitlines()
    assert [face.turned for face in fused.faces] == [0, 270, 0, 0, 0]
    assert fused.num_faces.tolist() == [1, 1, 2, 1, 1]
    assert fused.skipped == ()


def test_embedded(pipeline, folder, caplog) -> None:
    with caplog.at_level(logging.WARNING, "probefusion"):
        report = pipeline.embed(folder)
    assert [record.getMessage() for record in caplog.records] == of_the_common_face(folder)
    scores = report.embedding_set.detector_scores
    assert np.allclose(scores, [0.95, 0.95, 0.95, 0.65, 0.95])
    assert [face.num_alike for face in report.faces] == [1, 1, 2, 1, 1]


def test_scores_and_facts_stay_with_their_images(pipeline, folder, write) -> None:
    """A photo whose crop has no length, and one without a face, come between."""
    write(folder / "a2.png", np.full((200, 300, 3), 128, np.uint8))
    report = pipeline.embed(folder)
    names = [face.source for face in report.faces]
    assert names == report.embedding_set.sources.tolist()
    assert len(report.skipped) == 1


def test_pixels_in_memory(pipeline, draw) -> None:
    upright, turned = draw(green=60), draw(green=60)
    turned[0, 0] = 20
    fused = pipeline.fuse(np.stack([upright, draw(), turned]))
    assert [(face.source, face.turned) for face in fused.faces] == [
        ("input 0[0]", 0),
        ("input 0[2]", 90),
    ]
    assert fused.notes == ["1 of 2 photos turned, and put upright: input 0[2] (90 degrees)"]


def test_crops_have_no_such_notes(embedder, draw, rng) -> None:
    crops = rng.integers(20, 256, (2, 112, 112, 3), dtype=np.uint8)
    fused = Pipeline(embedder, aligned=True, fuser="mean").fuse(crops)
    assert fused.faces == ()
    assert fused.notes == []


def test_photos_beside_embeddings(pipeline, folder, embedder) -> None:
    images = pipeline.embed(folder / "a.png").embedding_set
    fused = pipeline.fuse([images, folder / "b.png"])
    assert fused.num_faces is None  # not known of the embeddings
    assert [face.turned for face in fused.faces] == [270]


def test_people(pipeline, folder, draw, write, caplog) -> None:
    write(folder.parent / "ben" / "a.png", draw(green=60))
    expected = [line.replace("of 5", "of 6") for line in of_the_common_face(folder)]
    with caplog.at_level(logging.WARNING, "probefusion"):
        fused = pipeline.fuse_people(folder.parent)
    assert fused.notes == expected
    assert [record.getMessage() for record in caplog.records] == expected
    assert expected[0] in str(fused)


def test_compared(pipeline, folder, caplog) -> None:
    with caplog.at_level(logging.WARNING, "probefusion"):
        pipeline.compare(folder / "a.png", folder / "b.png")
    assert "b.png (270 degrees)" in caplog.text


def test_found(pipeline, draw) -> None:
    photo = draw(green=60, blue=40)
    photo[0, 0] = 30
    found = pipeline.find(photo)
    assert [face.turned for face in found] == [180, 180]
    assert repr(found[0]).endswith("score 0.95, turned 180)")
    assert found[0].images.detector_scores.tolist() == [pytest.approx(0.95)]


def test_gallery(detector, embedder, folder, caplog) -> None:
    from probefusion.fusion import MeanFuser

    with caplog.at_level(logging.WARNING, "probefusion"):
        read_stills(folder / "b.png", embedder, TurningDetector(detector), MeanFuser())
    assert "gallery: 1 of 1 photos turned, and put upright" in caplog.text


def test_a_face_with_swapped_landmarks_is_skipped_and_told(embedder, detector, folder) -> None:
    class Swapping(TurningDetector):
        def detect(self, image):
            return tuple(
                Face(box=face.box, landmarks=face.landmarks[[1, 0, 2, 4, 3]], score=face.score)
                if image[0, 0, 0] == 40
                else face
                for face in super().detect(image)
            )

    fused = Pipeline(embedder, detector=Swapping(detector), fuser="mean").fuse(folder)
    assert fused.num_images == 4
    (skipped,) = fused.skipped
    assert skipped.source.endswith("b.png")
    assert "name the person's left" in skipped.reason
