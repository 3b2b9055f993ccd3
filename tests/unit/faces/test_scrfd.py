from __future__ import annotations

import pickle

import numpy as np
import pytest
from scrfd_graphs import (
    STRIDES,
    decode_plainly,
    empty_maps,
    put_face,
    write_maps,
    write_seeing,
)

from probefusion.errors import (
    ConfigError,
    DtypeError,
    FileFormatError,
    MissingFileError,
    ShapeError,
    UnsupportedOperationError,
)
from probefusion.faces import ARCFACE_LANDMARKS, Face, ScrfdDetector, align_face

cv2 = pytest.importorskip("cv2")
pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

MARKS = np.array([[30, 40], [60, 40], [45, 55], [34, 70], [58, 71]], float)


def grey(height, width):
    return np.full((height, width, 3), 90, np.uint8)


def one_face(height=160, width=224, *, stride=16, score=0.9, place=(3, 4), anchor=1):
    maps = empty_maps(height, width)
    put_face(
        maps,
        width=width,
        stride=stride,
        place=place,
        anchor=anchor,
        score=score,
        box=(20, 25, 75, 90),
        landmarks=MARKS,
    )
    return maps


@pytest.mark.parametrize("is_batched", [False, True])
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("anchor", [0, 1])
def test_a_known_face_is_where_its_map_says(tmp_path, stride, anchor, is_batched):
    """A canvas wider than high, so that rows and columns cannot be mistaken for each other."""
    path = write_maps(
        tmp_path / "d.onnx",
        one_face(stride=stride, place=(4, 2), anchor=anchor),
        height=160,
        width=224,
        is_batched=is_batched,
    )
    (face,) = ScrfdDetector(path).detect_turned(grey(160, 224), 0)
    np.testing.assert_allclose(face.box, [20, 25, 55, 65], atol=1e-3)
    np.testing.assert_allclose(face.landmarks, MARKS, atol=1e-3)
    assert face.score == pytest.approx(0.9, abs=1e-6)
    assert (face.box.dtype, face.landmarks.dtype) == (np.float32, np.float32)
    assert align_face(grey(160, 224), face.landmarks).shape == (112, 112, 3)


@pytest.mark.parametrize(
    ("height", "width", "factor"),
    [
        (160, 224, 1.0),  # as the canvas
        (100, 90, 1.0),  # smaller: padded below and to the right, not enlarged
        (320, 448, 0.5),
        (480, 90, 1 / 3),  # high and narrow: the height decides
        (60, 1120, 0.2),  # wide and low: the width decides
        (1, 1, 1.0),
    ],
)
def test_boxes_come_back_in_pixels_of_the_image(tmp_path, height, width, factor):
    path = write_maps(tmp_path / "d.onnx", one_face(), height=160, width=224)
    (face,) = ScrfdDetector(path, max_side=2000).detect_turned(grey(height, width), 0)
    np.testing.assert_allclose(face.box, np.array([20, 25, 55, 65]) / factor, rtol=1e-4)
    np.testing.assert_allclose(face.landmarks, MARKS / factor, rtol=1e-4)


@pytest.mark.parametrize(
    ("height", "width", "max_side"),
    [(64, 64, 640), (50, 83, 640), (130, 70, 64), (70, 130, 64), (97, 33, 640), (20, 300, 128)],
)
@pytest.mark.parametrize("is_batched", [False, True])
def test_what_the_network_sees_and_says(tmp_path, height, width, max_side, is_batched):
    """A network that sees every pixel, fed and decoded anew here: RGB, (pixel - 127.5) / 128, black below and
    to the right up to multiples of 32."""
    path = write_seeing(tmp_path / "d.onnx", is_batched=is_batched)
    image = np.random.default_rng(5).integers(0, 256, (height, width, 3)).astype(np.uint8)
    before = image.copy()
    found = ScrfdDetector(path, max_side=max_side, score_threshold=0.6).detect_turned(image, 0)
    np.testing.assert_array_equal(image, before)

    seen_h, seen_w = height, width
    small = image
    if max(height, width) > max_side:
        seen_h = round(height * max_side / max(height, width))
        seen_w = round(width * max_side / max(height, width))
        small = cv2.resize(image, (seen_w, seen_h), interpolation=cv2.INTER_AREA)
    rows, columns = [side + -side % 32 for side in (seen_h, seen_w)]
    feed = np.empty((1, 3, rows, columns), np.float32)
    for channel in range(3):
        feed[0, channel] = (0 - 127.5) / 128
        feed[0, channel, :seen_h, :seen_w] = (small[..., channel].astype(float) - 127.5) / 128
    session = onnxruntime.InferenceSession(path)
    maps = {}
    for array in session.run(None, {"image": feed}):
        array = array[0] if is_batched else array
        stride = next(s for s in STRIDES if rows // s * (columns // s) * 2 == len(array))
        maps[stride, array.shape[1]] = array
    expected = decode_plainly(maps, height=rows, width=columns, threshold=0.6)
    assert len(expected) >= 2
    assert len(found) == len(expected)
    scale = np.array([width / seen_w, height / seen_h])
    by_score = sorted(found, key=lambda face: -face.score)
    for face, (score, box, marks) in zip(by_score, expected, strict=True):
        corners = np.reshape(box, (2, 2)) * scale
        assert face.score == pytest.approx(score, abs=1e-5)
        np.testing.assert_allclose(face.box[:2], corners[0], atol=1e-2)
        np.testing.assert_allclose(face.box[2:], corners[1] - corners[0], atol=1e-2)
        np.testing.assert_allclose(face.landmarks, np.reshape(marks, (5, 2)) * scale, atol=1e-2)
    assert [face.area for face in found] == sorted((face.area for face in found), reverse=True)


def test_the_channels_are_red_green_blue(tmp_path):
    path = write_seeing(tmp_path / "d.onnx")
    image = np.random.default_rng(6).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    detector = ScrfdDetector(path, score_threshold=0.5)
    one, other = detector.detect_turned(image, 0), detector.detect_turned(image[..., ::-1], 0)
    assert [face.score for face in one] != pytest.approx([face.score for face in other])


def overlapping(shift):
    """Two boxes of 40x40, one moved to the right; the second is the surer."""
    maps = empty_maps(160, 224)
    for place, left, score in (((2, 3), 20.0, 0.7), ((4, 3), 20.0 + shift, 0.8)):
        put_face(
            maps,
            width=224,
            stride=16,
            place=place,
            anchor=0,
            score=score,
            box=(left, 30, left + 40, 70),
            landmarks=MARKS + np.array([left, 0]),
        )
    return maps


@pytest.mark.parametrize(
    ("shift", "lefts"),
    [
        (10, [30]),  # IoU 0.60: one face, the surer
        (17, [37]),  # 0.404: just above
        (17.5, [37.5, 20]),  # 0.391: just below
        (60, [80, 20]),
    ],
)
def test_of_overlapping_boxes_the_surest_stays(tmp_path, shift, lefts):
    path = write_maps(tmp_path / "d.onnx", overlapping(shift), height=160, width=224)
    faces = ScrfdDetector(path).detect_turned(grey(160, 224), 0)
    assert [float(face.box[0]) for face in faces] == pytest.approx(lefts)


def test_a_suppressed_box_suppresses_none(tmp_path):
    """A chain: the second overlaps the first and the third, which do not overlap each other."""
    maps = empty_maps(160, 224)
    for place, left, score in (((1, 1), 20, 0.9), ((2, 1), 34, 0.8), ((3, 1), 48, 0.7)):
        put_face(
            maps, width=224, stride=32, place=place, anchor=0, score=score,
            box=(left, 30, left + 40, 70), landmarks=MARKS,
        )  # fmt: skip
    path = write_maps(tmp_path / "d.onnx", maps, height=160, width=224)
    faces = ScrfdDetector(path).detect_turned(grey(160, 224), 0)
    assert [float(face.box[0]) for face in faces] == pytest.approx([20, 48])


@pytest.mark.parametrize(
    ("score", "threshold", "count"),
    [
        (0.5, 0.5, 1),
        (0.4999, 0.5, 0),
        (0.75, 0.75, 1),
        (0.5, 0.0, 1),
        (1.0, 1.0, 1),
        (1.0004, 1, 1),
    ],
)
def test_scores_near_the_limit(tmp_path, score, threshold, count):
    maps = one_face(score=score)
    path = write_maps(tmp_path / "d.onnx", maps, height=160, width=224)
    faces = ScrfdDetector(path, score_threshold=threshold).detect_turned(grey(160, 224), 0)
    assert len(faces) == count
    assert all(face.score <= 1 for face in faces)


def test_rows_that_are_no_box_are_left_out(tmp_path):
    maps = one_face()
    maps[8, 1][[0, 1, 2]] = 0.99  # all distances are 0: no area
    maps[32, 1][0], maps[32, 4][0] = 0.95, np.nan
    maps[32, 1][3] = np.nan
    maps[32, 1][4], maps[32, 4][4] = 0.95, 1e30
    maps[16, 1][0], maps[16, 4][0], maps[16, 10][0] = 0.9, 1.0, -np.inf
    path = write_maps(tmp_path / "d.onnx", maps, height=160, width=224)
    assert len(ScrfdDetector(path).detect_turned(grey(160, 224), 0)) == 1


def test_no_face_and_several_largest_first(tmp_path):
    path = write_maps(tmp_path / "none.onnx", empty_maps(64, 64), height=64, width=64)
    assert ScrfdDetector(path).detect_turned(grey(64, 64), 0) == ()
    maps = one_face()
    put_face(
        maps, width=224, stride=32, place=(5, 2), anchor=0, score=0.6,
        box=(100, 20, 200, 150), landmarks=MARKS + 90,
    )  # fmt: skip
    path = write_maps(tmp_path / "two.onnx", maps, height=160, width=224)
    faces = ScrfdDetector(path).detect_turned(grey(160, 224), 0)
    assert [round(float(face.box[0])) for face in faces] == [100, 20]


def test_outputs_in_another_order_and_in_half_precision(tmp_path):
    maps = dict(reversed(one_face().items()))
    path = write_maps(tmp_path / "d.onnx", maps, height=160, width=224, dtype=np.float16)
    (face,) = ScrfdDetector(path).detect_turned(grey(160, 224), 0)
    np.testing.assert_allclose(face.landmarks, MARKS, atol=0.1)


def test_models_without_landmarks_are_refused_as_such(tmp_path):
    maps = {key: values for key, values in empty_maps(64, 64).items() if key[1] != 10}
    path = write_maps(tmp_path / "d.onnx", maps, height=64, width=64)
    with pytest.raises(UnsupportedOperationError, match=r"d\.onnx.*without landmarks.*det_10g"):
        ScrfdDetector(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda maps: maps.pop((16, 4)), "some are missing"),
        (lambda maps: maps.update({(8, 1): maps[8, 1][:-2]}), "shape"),
        (lambda maps: maps.update({(8, 4): maps[8, 10]}), "two outputs"),
        (lambda maps: maps.update({(8, 1): maps[8, 1] + 3}), "scores are not 0 to 1 but 0 to 3"),
    ],
    ids=["missing", "rows", "twice", "scores"],
)
def test_other_networks_are_refused_with_what_was_expected(tmp_path, change, message):
    maps = empty_maps(64, 64)
    change(maps)
    path = write_maps(tmp_path / "d.onnx", maps, height=64, width=64)
    with pytest.raises(FileFormatError, match=message) as caught:
        ScrfdDetector(path)
    assert "boxes (4) and landmarks (10) at the strides 8, 16 and 32" in str(caught.value)


def test_other_inputs_are_refused(tmp_path):
    path = write_maps(tmp_path / "d.onnx", empty_maps(64, 64), height=60, width=64)
    with pytest.raises(FileFormatError, match=r"multiples of 32, got input\.1 \[1, 3, 60, 64\]"):
        ScrfdDetector(path)
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(FileFormatError, match=r"bad\.onnx.*expected an SCRFD"):
        ScrfdDetector(tmp_path / "bad.onnx")
    with pytest.raises(MissingFileError):
        ScrfdDetector(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    "settings", [{"score_threshold": 1.5}, {"score_threshold": -0.1}, {"max_side": 31}]
)
def test_wrong_settings_are_refused(tmp_path, settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        ScrfdDetector(tmp_path / "any.onnx", **settings)


def test_wrong_images_are_refused(tmp_path):
    detector = ScrfdDetector(write_seeing(tmp_path / "d.onnx"))
    with pytest.raises(DtypeError):
        detector.detect(np.zeros((50, 50, 3), np.float32))
    for shape in ((50, 50), (0, 50, 3), (50, 50, 4)):
        with pytest.raises(ShapeError):
            detector.detect_turned(np.zeros(shape, np.uint8), 0)


def test_a_copy_in_another_process_finds_the_same(tmp_path):
    detector = ScrfdDetector(write_seeing(tmp_path / "d.onnx"), max_side=96, score_threshold=0.7)
    copy = pickle.loads(pickle.dumps(detector))
    assert copy.fingerprint == detector.fingerprint
    assert "/0.7/96/turns/stance@" in copy.fingerprint
    image = np.random.default_rng(7).integers(0, 256, (70, 120, 3)).astype(np.uint8)
    for one, other in zip(
        detector.detect_turned(image, 0), copy.detect_turned(image, 0), strict=True
    ):
        np.testing.assert_array_equal(one.box, other.box)
        np.testing.assert_array_equal(one.landmarks, other.landmarks)


def test_an_upright_face_in_a_canvas_of_free_size_is_cut_as_it_stands(tmp_path):
    """Landmarks of the standard crop, in a map: the crop is the canvas itself."""
    maps = empty_maps(128, 128)
    put_face(
        maps, width=128, stride=32, place=(1, 1), anchor=0, score=0.9,
        box=(10, 10, 100, 110), landmarks=ARCFACE_LANDMARKS,
    )  # fmt: skip
    path = write_maps(tmp_path / "d.onnx", maps, height=128, width=128)
    image = np.random.default_rng(8).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    (face,) = ScrfdDetector(path).detect_turned(image, 0)
    crop = align_face(image, face.landmarks)
    assert np.abs(crop.astype(int) - image[:112, :112]).mean() < 2


class DotNetwork:
    """Stands in for the network: finds the drawn face whose eyes stand above its mouth, wherever it lies."""

    def __call__(self, image):
        faces = []
        colours = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (250, 0, 250))
        places = []
        for colour in colours:
            rows, columns = np.nonzero(np.abs(image.astype(int) - colour).max(axis=2) < 60)
            if len(rows) < 12:
                return faces
            places.append((columns.mean(), rows.mean()))
        points = np.array(places, np.float32)
        lean = abs(np.degrees(np.arctan2(*(points[1] - points[0])[::-1])))
        if lean < 50:
            faces = [(points, 0.99)]
        elif lean > 140:  # takes the mouth for eyes, and is surer than any level says
            faces = [(points[[4, 3, 2, 1, 0]], 0.96)]
        return [
            Face(
                box=np.concatenate([marks.min(axis=0) - 20, np.ptp(marks, axis=0) + 40]),
                landmarks=marks,
                score=score,
            )
            for marks, score in faces
        ]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turned_photos_are_searched_in_four_turns(tmp_path, monkeypatch, quarters):
    """With a made network: how real ones score turned faces is not measured, and no level is taken from another."""
    image = grey(300, 400)
    points = (ARCFACE_LANDMARKS - 56) * 1.2 + (150, 140)
    colours = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (250, 0, 250))
    for point, colour in zip(points, colours, strict=True):
        cv2.circle(image, point.round().astype(int).tolist(), 7, colour, -1)
    detector = ScrfdDetector(write_seeing(tmp_path / "d.onnx"))
    monkeypatch.setattr(detector, "_search", DotNetwork())
    turned = np.ascontiguousarray(np.rot90(image, quarters))
    (face,) = detector.detect(turned)
    assert face.turned == 90 * quarters
    upright = align_face(image, points).astype(int)
    assert np.abs(align_face(turned, face.landmarks) - upright).mean() < 6
    (known,) = detector.detect_turned(turned, 90 * quarters)
    assert np.abs(known.landmarks - face.landmarks).max() < 2.5


def test_a_face_that_the_network_sees_once_only_is_kept(tmp_path):
    """A network that says the same of every image sees no face in the middle of the small squares."""
    path = write_maps(tmp_path / "d.onnx", one_face(place=(3, 4)), height=160, width=224)
    detector = ScrfdDetector(path)
    (known,) = detector.detect_turned(grey(160, 224), 0)
    assert known.score == pytest.approx(0.9, abs=1e-6)
    assert len(detector.detect(grey(160, 224))) >= 1
