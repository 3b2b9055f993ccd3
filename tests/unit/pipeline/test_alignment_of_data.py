"""Data sets whose images must be aligned crops are looked at before anything is computed from them."""

from __future__ import annotations

import logging
import shutil
import zipfile

import numpy as np
import pytest

import probefusion as pf
from probefusion.cli.main import main
from probefusion.errors import ConfigError, FileFormatError
from probefusion.faces import ARCFACE_LANDMARKS, Face, decode_image
from probefusion.pipeline import alignment_check
from probefusion.pipeline.alignment_check import AlignmentCheck, check_data_aligned, spread

cv2 = pytest.importorskip("cv2")


class Finds:
    """Finds a face in every image, or in one of `one_in`, whose landmarks lie `offset` pixels away."""

    def __init__(self, offset, one_in=1):
        self.offset, self.one_in, self.num_seen = offset, one_in, 0

    def detect(self, image):
        self.num_seen += 1
        if self.num_seen % self.one_in:
            return ()
        landmarks = (ARCFACE_LANDMARKS + 56 + (self.offset, 0)).astype(np.float32)
        box = np.array([60, 60, 100, 100], np.float32)
        return (Face(box=box, landmarks=landmarks, score=0.9),)


class FillsTheImage:
    """Finds a face in every image that fills it as it fills an aligned crop."""

    def detect(self, image):
        side = len(image)
        landmarks = (ARCFACE_LANDMARKS * side / 112).astype(np.float32)
        return (Face(box=np.array([0, 0, side, side], np.float32), landmarks=landmarks, score=0.9),)


@pytest.fixture
def finds(monkeypatch):
    """Puts a detector at hand."""

    def put(detector):
        monkeypatch.setattr(alignment_check, "_detector_at_hand", lambda: detector)
        return detector

    return put


def crop(_):
    return np.zeros((112, 112, 3), np.uint8)


def test_at_most_64_spread_over_all_are_looked_at(finds) -> None:
    detector, read = finds(Finds(5)), []
    check_data_aligned(range(1000), lambda item: read.append(item) or crop(item), name="--data")
    assert detector.num_seen == len(read) == 64
    assert (read[0], read[-1]) == (0, 999)
    assert max(np.diff(read)) <= 17
    assert spread([3, 1, 2], 3) == [3, 1, 2]
    assert spread([], 3) == []


@pytest.mark.parametrize(("offset", "count", "is_fine"), [
    (7, 64, True), (8, 64, False), (8, 31, True), (10, 31, False), (10, 4, True), (20, 1, False),
])  # fmt: skip
def test_what_is_refused(finds, offset, count, is_fine) -> None:
    finds(Finds(offset))
    if is_fine:
        check_data_aligned(range(count), crop, name="--data")
        return
    words = f"--data: in {count} of {count} .* {offset} pixels.*--trust-alignment"
    with pytest.raises(ConfigError, match=words):
        check_data_aligned(range(count), crop, name="--data")
    check_data_aligned(range(count), crop, name="--data", is_trusted=True)
    check_data_aligned(range(count), crop, name="--data", input_size=160)


def test_what_cannot_be_read_is_passed_over(finds) -> None:
    detector = finds(Finds(5))

    def read(item):
        if item == 0:
            raise FileFormatError("gone")
        if item == 1:
            raise OSError("gone")
        return b"no image" if item == 2 else crop(item)

    check_data_aligned(range(5), read, name="--data")
    assert detector.num_seen == 2


def test_few_faces_and_no_detector_are_noted(finds, caplog) -> None:
    finds(Finds(5, one_in=5))
    with caplog.at_level(logging.INFO, "probefusion"):
        check_data_aligned(range(64), crop, name="--images")
    assert "--images: a face was found in 12 of 64 images" in caplog.text
    caplog.clear()
    finds(Finds(5, one_in=4))
    with caplog.at_level(logging.INFO, "probefusion"):
        check_data_aligned(range(64), crop, name="--images")
    assert caplog.text == ""
    finds(None)
    with caplog.at_level(logging.INFO, "probefusion"):
        check_data_aligned(range(64), crop, name="--images")
    assert "--images: not checked" in caplog.text
    assert "models pull" in caplog.text


def test_embedders_of_other_crops_are_noted(finds, caplog) -> None:
    detector = finds(Finds(20))
    with caplog.at_level(logging.INFO, "probefusion"):
        check_data_aligned(range(64), crop, name="--data", input_size=160, is_trusted=True)
        assert caplog.text == ""
        check_data_aligned(range(64), crop, name="--data", input_size=160)
    assert "--data: not checked" in caplog.text
    assert "embedders of 112x112 crops, this one takes 160x160" in caplog.text
    assert detector.num_seen == 0


def test_evaluate_and_calibrate(tmp_path, finds, people_folder, tiny_embedder) -> None:
    finds(Finds(20))
    options = {"embedder": tiny_embedder, "folds": (0, 1, 2, 3), "set_sizes": (1, 2)}
    with pytest.raises(ConfigError, match=r"--data: in 64 of 64 .*--trust-alignment"):
        pf.evaluate("degraded-folder", people_folder, **options)
    found = pf.evaluate(
        "degraded-folder",
        people_folder,
        fusers=["mean"],
        num_replicates=100,
        trust_alignment=True,
        **options,
    )
    assert found.protocol == "degraded-folder"
    fuser = tmp_path / "fuser"
    shutil.copytree(pf.load_fuser("exact-fast").folder, fuser)
    before = (fuser / "fuser.json").read_bytes()
    with pytest.raises(ConfigError, match=r"--data: in 64 of 64 "):
        pf.calibrate(fuser, people_folder, folds=(0, 1, 2, 3), force=True)
    assert (fuser / "fuser.json").read_bytes() == before


def test_media_folder(tmp_path, finds, people_folder, tiny_embedder) -> None:
    detector = finds(Finds(20))
    options = {
        "media_from": r"^(?P<medium>[0-9])",
        "fusers": ["mean"],
        "set_sizes": (1, 2),
        "num_sets": 2,
        "num_replicates": 100,
    }
    with pytest.raises(ConfigError, match=r"--data: in 64 of 64 .*--trust-alignment"):
        pf.evaluate(
            "media-folder", people_folder, embedder=tiny_embedder, output=tmp_path / "a", **options
        )
    assert not any(tmp_path.iterdir())
    assert detector.num_seen == 64
    trusted = pf.evaluate(
        "media-folder", people_folder, embedder=tiny_embedder, trust_alignment=True, **options
    )
    assert trusted.protocol == "media-folder"
    names = sorted(f"{path.parent.name}/{path.name}" for path in people_folder.glob("*/*.png"))
    rows = np.random.default_rng(0).standard_normal((len(names), 8))
    np.savez(tmp_path / "made.npz", embeddings=rows, names=np.array(names))
    pf.evaluate("media-folder", people_folder, embeddings=tmp_path / "made.npz", **options)
    assert detector.num_seen == 64, "embeddings made before need no look at the images"


def test_train(tmp_path, finds, people_folder, tiny_embedder) -> None:
    pytest.importorskip("torch")
    finds(Finds(20))
    with pytest.raises(ConfigError, match=r"--images: in 64 of 64 .*--trust-alignment"):
        pf.train(people_folder, embedder=tiny_embedder, output=tmp_path / "fuser")
    assert not any(tmp_path.iterdir())


def test_models_quantize(tmp_path, finds, capsys, people_folder, tiny_embedder) -> None:
    finds(Finds(20))
    given = [
        "models",
        "quantize",
        tiny_embedder,
        "--images",
        people_folder,
        "-o",
        tmp_path / "small.onnx",
    ]
    assert main([str(part) for part in given]) == 1
    assert "--images: in 64 of 64 images" in capsys.readouterr().err
    assert not (tmp_path / "small.onnx").exists()


def test_squares_of_a_benchmark(tmp_path, finds, tiny_embedder) -> None:
    """Small squares that are no aligned crops; the loose ones of the distributed copy are refused anyway."""
    savemat = pytest.importorskip("scipy.io").savemat
    rng = np.random.default_rng(0)
    for folder, names in (("Gallery_Match", "ab"), ("Gallery_Distractor", "cde"), ("Probe", "fg")):
        (tmp_path / folder).mkdir()
        for name in names:
            image = rng.integers(0, 256, (24, 24, 3), np.uint8)
            cv2.imwrite(str(tmp_path / folder / f"{name}.png"), image)
    for name, prefix, names in (
        ("gallery_match_img_ID_pairs.mat", "gallery", "ab"), ("probe_img_ID_pairs.mat", "probe", "fg"),
    ):  # fmt: skip
        cells = np.array([[np.array([f"{each}.png"])] for each in names], dtype=object)
        savemat(tmp_path / name, {f"{prefix}_set": cells, f"{prefix}_ids": np.arange(2)[:, None]})
    options = {"embedder": tiny_embedder, "fusers": ["mean"], "check_counts": False}
    detector = finds(Finds(20))
    with pytest.raises(ConfigError, match=r"--data: in 7 of 7 .*--trust-alignment"):
        pf.evaluate("tinyface", tmp_path, **options)
    pf.evaluate("tinyface", tmp_path, trust_alignment=True, **options)
    assert detector.num_seen == 7
    pf.evaluate("tinyface", tmp_path, detector=FillsTheImage(), **options)
    assert detector.num_seen == 7, "images in which faces are searched need not be aligned"


def _crops(assets, data, count):
    with zipfile.ZipFile(assets / "data" / data) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        return [decode_image(archive.read(name)) for name in spread(names, count)]


def _scaled(image, side):
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


@pytest.mark.assets
@pytest.mark.parametrize("data", ["lfw112.zip", "imfdb112_dev.zip"])
@pytest.mark.parametrize("side", [112, 24])
def test_real_crops_give_no_alarm_and_moved_ones_do(assets, data, side) -> None:
    from probefusion.zoo import load_detector

    detector = load_detector(assets / "models" / "yunet_320.onnx")
    crops = [_scaled(image, side) for image in _crops(assets, data, 128)]
    for half in (crops[::2], crops[1::2]):
        check_data_aligned(half, lambda image: image, name="--data", detector=detector)
    moved = [
        _scaled(np.roll(image, (9, -12), axis=(0, 1)), side) for image in _crops(assets, data, 64)
    ]
    with pytest.raises(ConfigError, match="--data"):
        check_data_aligned(moved, lambda image: image, name="--data", detector=detector)
    check = AlignmentCheck(detector, num_images=64)
    check.look_at(crops[::2])
    assert check.doubt is None
