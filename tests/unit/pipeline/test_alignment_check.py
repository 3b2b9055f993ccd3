"""Photos that are said to be aligned crops are refused where a detector can see it."""

from __future__ import annotations

import logging
import zipfile

import numpy as np
import pytest

from probefusion.errors import ConfigError
from probefusion.faces import ARCFACE_LANDMARKS, Face, decode_image
from probefusion.pipeline import Pipeline, alignment_check
from probefusion.pipeline.alignment_check import AlignmentCheck, landmark_offset

cv2 = pytest.importorskip("cv2")


class _At:
    """Finds one face whose landmarks lie `offset` pixels to the right of their places."""

    def __init__(self, offset):
        self.offset = offset

    def detect(self, image):
        if self.offset is None:
            return ()
        landmarks = (ARCFACE_LANDMARKS + 56 + (self.offset, 0)).astype(np.float32)
        box = np.array([60, 60, 100, 100], np.float32)
        return (Face(box=box, landmarks=landmarks, score=0.9),)


def crops(count, side=112):
    return [np.zeros((side, side, 3), np.uint8)] * count


def test_the_offset_is_in_pixels_of_a_crop_of_112() -> None:
    assert landmark_offset(crops(1)[0], _At(7)) == pytest.approx(7, abs=1e-4)
    assert landmark_offset(crops(1, 224)[0], _At(7)) == pytest.approx(7, abs=1e-4)
    assert landmark_offset(crops(1)[0], _At(None)) is None
    assert landmark_offset(np.zeros((112, 96, 3), np.uint8), _At(7)) is None


@pytest.mark.parametrize(("offset", "count", "is_fine"), [
    (5, 12, True), (10, 12, False), (10, 3, True), (25, 1, False), (None, 12, True),
])  # fmt: skip
def test_what_is_refused(offset, count, is_fine) -> None:
    check = AlignmentCheck(_At(offset))
    if is_fine:
        check.look_at(crops(count))
    else:
        with pytest.raises(
            ConfigError, match=f"--aligned: in {count} of {count} .* {offset} pixels"
        ):
            check.look_at(crops(count))


class _ByBrightness:
    """Finds a face in each crop as many pixels away as the crop is bright; counts what it sees."""

    def __init__(self):
        self.num_seen = 0

    def detect(self, image):
        self.num_seen += 1
        return _At(float(image[112, 112, 0])).detect(image)


@pytest.fixture
def at_hand(monkeypatch):
    """Puts a detector, or none, at hand."""

    def put(detector):
        monkeypatch.setattr(alignment_check, "_detector_at_hand", lambda: detector)
        return detector

    return put


@pytest.fixture
def folders(write, tmp_path):
    """a: 14 aligned crops; b: one photo; c: 14 crops moved by 12 pixels; d: one aligned crop."""
    for name, count, level in (("a", 14, 4), ("b", 1, 40), ("c", 14, 12), ("d", 1, 4)):
        for number in range(count):
            image = np.full((112, 112, 3), level, np.uint8)
            write(tmp_path / "people" / name / f"{number:02}.png", image)
    return tmp_path / "people"


@pytest.mark.parametrize("sides", ["ab", "ba", "ac", "ca", "db", "bd"])
def test_each_side_of_a_comparison_is_looked_at_alone(at_hand, folders, embedder, sides) -> None:
    at_hand(_ByBrightness())
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    with pytest.raises(ConfigError, match="--aligned: in"):
        pipeline.compare(*(folders / side for side in sides))
    assert pipeline.compare(folders / "a", folders / "d").num_images == (14, 1)


def test_up_to_12_of_every_person_are_looked_at(at_hand, folders, embedder) -> None:
    detector = at_hand(_ByBrightness())
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    for _ in range(3):
        pipeline.fuse(folders / "a")
    pipeline.fuse(folders / "d")
    assert detector.num_seen == 3 * 12 + 1
    for refused in ("b", "c"):
        with pytest.raises(ConfigError, match="--aligned: in"):
            pipeline.fuse(folders / refused)
    with pytest.raises(ConfigError, match="--aligned: in 1 of 1"):
        pipeline.fuse(np.full((112, 112, 3), 40, np.uint8))
    assert pipeline.fuse(folders / "d").num_images == 1, "what was refused counts no more"


def test_one_person_who_is_not_aligned_is_left_out_of_many(at_hand, folders, embedder) -> None:
    at_hand(_ByBrightness())
    fused = Pipeline(embedder, aligned=True, fuser="mean").fuse_people(folders)
    assert list(fused.templates) == ["a", "d"]
    assert [problem.split(":")[0] for problem in fused.problems] == ["b", "c"]
    assert "left out: --aligned: in 1 of 1 images" in fused.problems[0]


def test_many_people_with_one_image_each_are_judged_together(at_hand) -> None:
    at_hand(_At(10))
    check = AlignmentCheck()
    for _ in range(4):
        check.look_at(crops(1))
    with pytest.raises(ConfigError, match=r"in 5 of 5 .* 10 pixels"):
        check.look_at(crops(1))


@pytest.mark.parametrize(("side", "is_noted"), [(112, False), (24, True), (224, True), (448, True)])
def test_other_sizes_that_nobody_looked_at_are_noted_once(
    at_hand, write, tmp_path, embedder, caplog, side, is_noted
) -> None:
    at_hand(None)
    for number in range(14):
        shown = 112 if number else side
        write(tmp_path / "person" / f"{number:02}.png", np.full((shown, shown, 3), 90, np.uint8))
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    with caplog.at_level(logging.INFO, "probefusion"):
        for person in (tmp_path / "person", np.full((side, side, 3), 90, np.uint8)):
            assert pipeline.fuse(person).num_images
        pipeline.embed(tmp_path / "person")
    words = "--aligned: not checked whether these are aligned crops, as no face detector is here"
    assert caplog.text.count(words) == is_noted


@pytest.mark.assets
def test_real_crops_and_photos(assets) -> None:
    from probefusion.zoo import load_detector

    detector = load_detector(assets / "models" / "yunet_320.onnx")
    square = decode_image((assets / "cases" / "hostile" / "square.jpg").read_bytes())
    with pytest.raises(ConfigError, match="--aligned"):
        AlignmentCheck(detector).look_at([square])
    for data in ("lfw112.zip", "imfdb112_dev.zip"):
        with zipfile.ZipFile(assets / "data" / data) as archive:
            names = [name for name in archive.namelist() if name.endswith(".jpg")][::150][:12]
            faces = [decode_image(archive.read(name)) for name in names]
        AlignmentCheck(detector).look_at(faces)
        moved = [np.roll(face, (9, -12), axis=(0, 1)) for face in faces]
        with pytest.raises(ConfigError, match="--aligned"):
            AlignmentCheck(detector).look_at(moved)
