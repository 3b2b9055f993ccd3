"""Every face of a photo."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    DtypeError,
    FileFormatError,
    MissingFileError,
    ShapeError,
)
from probefusion.faces import Face
from probefusion.pipeline import Pipeline


@pytest.fixture
def faces(detector, embedder):
    return Pipeline(embedder, detector=detector, fuser="mean")


def test_every_face_largest_first(faces, draw, embedder) -> None:
    found = faces.find(draw(red=40, green=80, blue=60))
    assert [face.box[2] for face in found] == [80, 60, 40]
    assert [int(face.template.vector.argmax()) for face in found] == [1, 2, 0]
    for face in found:
        assert face.images.num_images == 1
        assert face.images.embedder == face.template.embedder == embedder.fingerprint
        assert face.images.quality.shape == (1,)
        assert face.landmarks.shape == (5, 2)
        assert face.score == 0.95
        assert face.source == "image"
        unit = face.images.embeddings[0] / np.linalg.norm(face.images.embeddings[0])
        assert np.abs(face.template.vector - unit).max() < 1e-6
    assert repr(found[0]) == "FoundFace('image', 80x80 at (105, 50), score 0.95)"


def test_a_photo_without_a_face(faces, draw) -> None:
    assert faces.find(draw()) == []


def test_a_file_gives_the_same(faces, draw, write, tmp_path) -> None:
    photo = draw(red=60, blue=50)
    path = write(tmp_path / "group.png", photo)
    from_file, from_array = faces.find(path), faces.find(photo)
    assert [face.source for face in from_file] == [path.as_posix()] * 2
    for one, two in zip(from_file, from_array, strict=True):
        assert np.array_equal(one.template.vector, two.template.vector)


def test_found_faces_can_be_fused(faces, draw) -> None:
    found = [face for side in (60, 70) for face in faces.find(draw(red=side))]
    assert faces.fuse(found).num_images == 2


def test_a_face_that_cannot_be_aligned_is_told(embedder, draw, caplog) -> None:
    class Degenerate:
        def detect(self, image):
            box = np.array([0, 0, 50, 50], np.float32)
            return (Face(box=box, landmarks=np.full((5, 2), 7, np.float32), score=0.9),)

    with caplog.at_level(logging.WARNING, "probefusion"):
        assert Pipeline(embedder, detector=Degenerate()).find(draw(red=50)) == []
    assert "image: left out: a face cannot be aligned" in caplog.text


def test_what_is_no_photo(faces, tmp_path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(FileFormatError, match="expected a photo"):
        faces.find(tmp_path / "text.jpg")
    with pytest.raises(MissingFileError):
        faces.find(tmp_path / "none.jpg")
    with pytest.raises(DtypeError, match="uint8"):
        faces.find(np.zeros((10, 10, 3)))
    with pytest.raises(ShapeError, match=r"\(H, W, 3\)"):
        faces.find(np.zeros((10, 10), np.uint8))


def test_without_a_detector(embedder, draw) -> None:
    with pytest.raises(ConfigError, match="models pull yunet_2023mar"):
        Pipeline(embedder, aligned=True).find(draw(red=50))


def test_faces_carry_small_pictures_only_when_asked(
    embedder, detector, draw, write, tmp_path
) -> None:
    cv2 = pytest.importorskip("cv2")
    write(tmp_path / "one" / "a.png", draw(red=60))
    write(tmp_path / "one" / "b.png", draw(red=50, blue=48))
    for keep_chips in (False, True):
        pipeline = Pipeline(embedder, detector=detector, fuser="mean", keep_chips=keep_chips)
        sets = [
            pipeline.fuse(tmp_path / "one").images,
            pipeline.fuse(draw(red=60)).images,
            pipeline.find(draw(red=60))[0].images,
        ]
        for images in sets:
            if not keep_chips:
                assert images.chips is None
                continue
            for chip in images.chips:
                shown = cv2.imdecode(np.frombuffer(chip, np.uint8), cv2.IMREAD_COLOR)
                assert shown.shape == (112, 112, 3)
                assert shown[40:70, 40:70, 2].mean() > shown[40:70, 40:70, 0].mean()  # red
