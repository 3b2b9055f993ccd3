"""Photos that are said to be aligned crops are refused where a detector can see it."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from probefusion.errors import ConfigError
from probefusion.faces import ARCFACE_LANDMARKS, Face, decode_image
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
        assert check.num_wanted == 12 - count
    else:
        with pytest.raises(
            ConfigError, match=f"--aligned: in {count} of {count} .* {offset} pixels"
        ):
            check.look_at(crops(count))


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
