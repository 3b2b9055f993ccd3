from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    DtypeError,
    FileFormatError,
    MissingFileError,
    ShapeError,
)
from probefusion.faces import ARCFACE_LANDMARKS, Face, YuNetDetector, decode_image, largest_face
from probefusion.faces.face import each_once, overlap

cv2 = pytest.importorskip("cv2")


def face(width, height, score):
    box = np.array([0, 0, width, height], np.float32)
    return Face(box=box, landmarks=ARCFACE_LANDMARKS.astype(np.float32), score=score)


def test_the_largest_face_is_taken_and_the_score_decides_ties():
    small, large, surer = face(10, 10, 0.99), face(20, 30, 0.7), face(30, 20, 0.8)
    assert largest_face([small, large, surer]) is surer
    assert largest_face([large, small]) is large
    assert largest_face([]) is None
    assert large.area == 600


def boxed(x, y, width, height, score):
    box = np.array([x, y, width, height], np.float32)
    return Face(box=box, landmarks=ARCFACE_LANDMARKS.astype(np.float32), score=score)


def test_of_faces_in_one_place_the_surest_is_kept():
    """A forehead in the box of its face, a face beside it; the suppressed one suppresses nothing."""
    whole, forehead = boxed(0, 20, 80, 120, 0.9), boxed(-2, 3, 44, 52, 0.6)
    beside, before = boxed(62, 0, 40, 60, 0.7), boxed(-24, 0, 50, 44, 0.5)
    assert overlap(before, forehead)
    assert not overlap(beside, whole)
    assert each_once([before, forehead, beside, whole]) == [whole, beside, before]
    assert each_once([]) == []


@pytest.mark.assets
def test_a_part_of_a_face_is_no_second_face(assets, detector, monkeypatch):
    """What OpenCV's suppression leaves, a small box inside a large one, is one face."""
    row = np.concatenate([ARCFACE_LANDMARKS.ravel() + 50, [0.9]])
    rows = np.array([[50, 50, 80, 120, *row], [48, 33, 44, 52, *row], [200, 60, 44, 52, *row]])
    rows[1, -1] = 0.6
    monkeypatch.setattr(detector, "_search", lambda image, side: to_faces(rows))
    found = detector.detect_turned(np.zeros((300, 320, 3), np.uint8), 0)
    assert [float(each.box[0]) for each in found] == [50, 200]


def to_faces(rows):
    return [
        Face(box=row[:4], landmarks=row[4:14].reshape(5, 2), score=float(row[14]))
        for row in rows.astype(np.float32)
    ]


@pytest.mark.parametrize(
    "settings", [{"score_threshold": 1.5}, {"score_threshold": -0.1}, {"max_side": 8}]
)
def test_wrong_settings_are_refused(tmp_path, settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        YuNetDetector(tmp_path / "any.onnx", **settings)


def test_missing_and_broken_files_are_refused(tmp_path, capfd):
    with pytest.raises(MissingFileError, match=r"none\.onnx"):
        YuNetDetector(tmp_path / "none.onnx")
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(FileFormatError, match=r"bad\.onnx.*YuNet"):
        YuNetDetector(path)
    assert capfd.readouterr().err == ""


@pytest.fixture(scope="module")
def detector(assets):
    return YuNetDetector(assets / "models" / "yunet_320.onnx")


@pytest.fixture(scope="module")
def photo(assets):
    path = assets / "video" / "lin-manuel-miranda.png"
    return decode_image(path.read_bytes(), source=path.name)


@pytest.mark.assets
def test_a_network_that_is_no_detector_is_refused(assets):
    with pytest.raises(FileFormatError, match="YuNet"):
        YuNetDetector(assets / "models" / "mobilefacenet_128d.onnx")


@pytest.mark.assets
def test_one_face_with_landmarks_in_order(detector, photo):
    before = photo.copy()
    (found,) = detector.detect(photo)
    np.testing.assert_array_equal(photo, before)
    assert found.score > 0.9
    assert found.landmarks.shape == (5, 2)
    x, y, width, height = found.box
    inside = (found.landmarks - [x, y]) / [width, height]
    assert (inside > 0.05).all()
    assert (inside < 0.95).all()
    left_eye, right_eye, nose, left_mouth, right_mouth = found.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


@pytest.mark.assets
@pytest.mark.parametrize("scale", [0.3, 2, 4])
def test_landmarks_are_those_of_the_image_at_any_size(detector, photo, scale):
    (expected,) = detector.detect(photo)
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=kind)
    (found,) = detector.detect(scaled)
    eyes = np.linalg.norm(expected.landmarks[0] - expected.landmarks[1])
    assert np.abs(found.landmarks / scale - expected.landmarks).max() < 0.15 * eyes
    assert np.abs(found.box / scale - expected.box).max() < 0.3 * eyes
    assert found.score > 0.9


@pytest.mark.assets
def test_a_face_that_fills_a_large_image_is_found_once_and_rightly(detector, photo):
    (expected,) = detector.detect(photo)
    x, y, width, height = expected.box.round().astype(int)
    close = cv2.resize(photo[y : y + height, x : x + width], (2000, 2600))
    faces = detector.detect(close)
    assert len(faces) == 1
    factor = np.array([2000 / width, 2600 / height])
    error = np.abs(faces[0].landmarks - (expected.landmarks - [x, y]) * factor).max()
    assert error < 0.05 * 2600


@pytest.mark.assets
def test_small_faces_are_measured_in_the_large_copy(detector, photo):
    """A face of 60 pixels in a large photo is placed as well as when the photo is cut to it."""
    small = cv2.resize(photo, None, fx=0.22, fy=0.22, interpolation=cv2.INTER_AREA)
    (expected,) = detector.detect(small)
    canvas = np.full((1280, 1280, 3), 60, np.uint8)
    canvas[800 : 800 + small.shape[0], 640 : 640 + small.shape[1]] = small
    (found,) = detector.detect(canvas)
    assert np.abs(found.landmarks - [640, 800] - expected.landmarks).max() < 0.7


@pytest.mark.assets
def test_several_faces_come_largest_first(detector, photo):
    small = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((photo.shape[0], photo.shape[1] + small.shape[1], 3), np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    canvas[:, small.shape[1] :] = photo
    faces = detector.detect(canvas)
    assert len(faces) == 2
    assert faces[0].area > 2 * faces[1].area
    assert faces[0].box[0] > small.shape[1]
    assert largest_face(faces) is faces[0]


@pytest.mark.assets
@pytest.mark.parametrize("shape", [(300, 400, 3), (1, 1, 3), (3, 2000, 3)])
def test_no_face(detector, shape):
    assert detector.detect(np.full(shape, 90, np.uint8)) == ()


@pytest.mark.assets
def test_the_network_sees_what_opencv_would_show_it(assets, detector, photo):
    """The same network asked directly, with OpenCV's channel order, gives the same numbers."""
    model = str(assets / "models" / "yunet_320.onnx")
    photo = photo[:600, :600]  # small enough to be searched in one size
    network = cv2.FaceDetectorYN.create(model, "", (600, 600), 0.6, 0.3, 5000)
    bgr = cv2.imread(str(assets / "video" / "lin-manuel-miranda.png"))[:600, :600]
    _, ((*values, score),) = network.detect(np.ascontiguousarray(bgr))
    (found,) = detector.detect(photo)
    assert found.score == pytest.approx(score, abs=1e-5)
    np.testing.assert_allclose(found.box, values[:4], atol=0.01)
    np.testing.assert_allclose(found.landmarks.ravel(), values[4:14], atol=0.01)
    assert detector.detect(photo[..., ::-1])[0].score != pytest.approx(score, abs=1e-5)


@pytest.mark.assets
def test_wrong_images_are_refused(detector):
    with pytest.raises(DtypeError):
        detector.detect(np.zeros((50, 50, 3), np.float32))
    with pytest.raises(ShapeError):
        detector.detect(np.zeros((50, 50), np.uint8))
    with pytest.raises(ShapeError):
        detector.detect(np.zeros((0, 50, 3), np.uint8))


@pytest.mark.assets
@pytest.mark.parametrize("knows_stance", [True, False])
def test_a_copy_looks_as_its_original_does(assets, knows_stance) -> None:
    """A leaning face upside down: found upright by its landmarks with the small network and without."""
    import pickle

    detector = YuNetDetector(assets / "models" / "yunet_320.onnx", knows_stance=knows_stance)
    image = decode_image((assets / "video" / "alex-lacamoire.png").read_bytes())
    upright = largest_face(detector.detect(image))
    upside_down = np.ascontiguousarray(np.rot90(image, 2))
    for one in (detector, pickle.loads(pickle.dumps(detector))):
        found = largest_face(one.detect(upside_down))
        assert found.turned == 180
        back = np.array(image.shape[1::-1]) - 1 - found.landmarks
        assert np.abs(back - upright.landmarks).max() < 12
        assert (one._log_odds is not None) is knows_stance
