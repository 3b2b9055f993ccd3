"""Real faces in photos turned by 90, 180 and 270 degrees, by real models."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from probefusion.cli import main
from probefusion.errors import ConfigError
from probefusion.faces import ARCFACE_LANDMARKS, YuNetDetector, align_face, largest_face
from probefusion.faces.decoding import decode_image
from probefusion.pipeline.alignment_check import AlignmentCheck
from probefusion.zoo import load_embedder, load_fuser

cv2 = pytest.importorskip("cv2")
pytestmark = pytest.mark.assets

SCALE, BORDER = 2, 80


def photo(crop, *, scale=SCALE, border=BORDER):
    side = 112 * scale
    large = cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(large, *[border] * 4, cv2.BORDER_REPLICATE)


def leaning(image, degrees):
    """The photo turned a little in its plane, and its landmarks."""
    side = len(image)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1.0)
    points = ARCFACE_LANDMARKS * SCALE + BORDER
    turned = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return turned, points @ matrix[:, :2].T + matrix[:, 2]


def upright_points(points, quarters, side):
    for _ in range(quarters):
        points = np.column_stack([side - 1 - points[:, 1], points[:, 0]])
    return points


@pytest.fixture(scope="module")
def detector_path(assets):
    return str(assets / "models" / "yunet_320.onnx")


@pytest.fixture(scope="module")
def detector(detector_path):
    return YuNetDetector(detector_path)


@pytest.fixture(scope="module")
def crops(assets):
    """One crop each of 20 people."""
    with zipfile.ZipFile(assets / "data" / "lfw112.zip") as archive:
        first: dict[str, str] = {}
        for name in sorted(archive.namelist()):
            if name.endswith(".jpg"):
                first.setdefault(name.split("/")[-2], name)
        names = [first[person] for person in sorted(first)[7::60]][:20]
        return [decode_image(archive.read(name)) for name in names]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_the_right_turn_is_found_also_of_leaning_faces(detector, crops, quarters) -> None:
    num_right = num = 0
    for place, crop in enumerate(crops):
        image, points = leaning(photo(crop), (-30, 0, 15, 30)[place % 4])
        found = largest_face(detector.detect(np.ascontiguousarray(np.rot90(image, quarters))))
        num += 1
        if found is not None:
            off = upright_points(found.landmarks, quarters, len(image)) - points
            num_right += np.sqrt((off**2).sum(axis=1).mean()) < 15 * SCALE
    assert num_right >= num - 1


def test_strangers_upside_down_do_not_match(detector, crops) -> None:
    aligned = []
    for crop in crops:
        image = np.ascontiguousarray(np.rot90(photo(crop), 2))
        face = largest_face(detector.detect(image))
        assert face.turned == 180
        aligned.append(align_face(image, face.landmarks))
    images = load_embedder().embed_set(np.stack(aligned))
    fuser = load_fuser("exact", embedder=images.embedder)
    vectors = fuser.fuse_many(images, np.arange(len(images) + 1))
    pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    assert (pairs >= fuser.card.threshold_for(1e-3, 1).similarity).mean() < 0.02


@pytest.mark.parametrize("name", ["alex-lacamoire.png", "lin-manuel-miranda.png"])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_still_gives_the_crop_of_the_upright_one(assets, detector, name, quarters) -> None:
    image = decode_image((assets / "video" / name).read_bytes())
    upright = largest_face(detector.detect(image))
    turned = np.ascontiguousarray(np.rot90(image, quarters))
    found = largest_face(detector.detect(turned))
    assert found.turned == 90 * quarters
    first = align_face(image, upright.landmarks)
    second = align_face(turned, found.landmarks)
    vectors, _ = load_embedder().embed(np.stack([first, second]))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors[0] @ vectors[1] > 0.85


def test_turned_and_group_photos_are_told(crops, detector_path, tmp_path, capsys) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    pictures = {
        "a.png": photo(crops[0]),
        "b.png": np.rot90(photo(crops[0]), 3),
        "c.png": np.hstack([photo(crops[0], border=60)] * 2),
    }
    for name, image in pictures.items():
        assert cv2.imwrite(str(folder / name), np.ascontiguousarray(image[..., ::-1]))
    output = ["-o", str(tmp_path / "t.npz"), "--json"]
    assert main(["fuse", str(folder), "--detector", detector_path, *output]) == 0
    told = capsys.readouterr()
    facts = {entry["source"].rsplit("/", 1)[1]: entry for entry in json.loads(told.out)["photos"]}
    assert facts.keys() == {"b.png", "c.png"}
    assert facts["b.png"]["turned"] == 270
    assert facts["b.png"]["num_faces"] == 1
    assert facts["c.png"]["turned"] == 0
    assert facts["c.png"]["num_faces"] == facts["c.png"]["num_alike"] == 2
    assert "1 of 3 photos turned, and put upright" in told.err
    assert "b.png (270 degrees)" in told.err
    assert "c.png (2 faces)" in told.err


def test_aligned_crops_upside_down_are_refused(crops, detector) -> None:
    AlignmentCheck(detector).look_at(crops)
    with pytest.raises(ConfigError, match="pixels"):
        AlignmentCheck(detector).look_at([np.ascontiguousarray(crop[::-1, ::-1]) for crop in crops])
