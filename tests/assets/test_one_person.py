"""Real faces of two people in one folder, and real group photos."""

from __future__ import annotations

import json
import zipfile
from collections import defaultdict

import numpy as np
import pytest

from probefusion.cli import main
from probefusion.pipeline import Pipeline

pytestmark = pytest.mark.assets

cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def faces(assets) -> dict[str, list[np.ndarray]]:
    """Crops, BGR, of people of at least ten images, by name."""
    with zipfile.ZipFile(assets / "data" / "lfw112.zip") as archive:
        names = defaultdict(list)
        for name in sorted(archive.namelist()):
            if name.endswith(".jpg"):
                names[name.split("/")[-2]].append(name)
        chosen = [person for person in sorted(names) if len(names[person]) >= 10][:4]
        return {
            person: [
                cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR)
                for name in names[person][:10]
            ]
            for person in chosen
        }


@pytest.fixture
def mixed(faces, tmp_path):
    """Four images of one person, a*, and three of another, b*."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    for letter, crops, count in zip("ab", faces.values(), (4, 3), strict=False):
        for number in range(count):
            cv2.imwrite(str(folder / f"{letter}{number}.png"), crops[number])
    return folder


def test_two_people_in_a_folder_are_told_apart(mixed, tmp_path, capsys) -> None:
    output = tmp_path / "t.npz"
    assert main(["fuse", str(mixed), "--aligned", "-o", str(output), "--json"]) == 3
    facts = json.loads(capsys.readouterr().out)
    assert facts["screening"]["verdict"] == "several people"
    assert facts["screening"]["is_calibrated"]
    parts = [
        {image["source"].rsplit("/", 1)[-1] for image in part["images"]}
        for part in facts["screening"]["parts"]
    ]
    assert {f"a{number}.png" for number in range(4)} in parts
    assert {f"b{number}.png" for number in range(3)} in parts
    arguments = ["fuse", str(mixed), "--aligned", "-o", str(output), "--force"]
    assert main([*arguments, "--largest-person", "--json"]) == 3
    facts = json.loads(capsys.readouterr().out)
    assert {item["source"].rsplit("/", 1)[-1] for item in facts["skipped"]} == {
        f"b{number}.png" for number in range(3)
    }


def test_people_alone_hold_together(faces) -> None:
    pipeline = Pipeline(aligned=True)
    for crops in faces.values():
        fused = pipeline.fuse(np.stack(crops)[..., ::-1])
        assert fused.screening is not None
        assert fused.screening.verdict == "one person"


def _placed(crop: np.ndarray, side: int) -> np.ndarray:
    small, border = cv2.resize(crop, (side, side)), 260 - side
    half = border // 2
    return cv2.copyMakeBorder(small, half, border - half, half, border - half, cv2.BORDER_REPLICATE)


def test_the_person_of_group_photos(assets, faces, tmp_path) -> None:
    """In each photo another guest's face is larger; the person is the one in all of them."""
    person, *guests = faces.values()
    for number, guest in enumerate(guests):
        photo = np.hstack([_placed(person[number], 180), _placed(guest[0], 200)])
        cv2.imwrite(str(tmp_path / f"{number}.png"), photo)
    pipeline = Pipeline(detector=assets / "models" / "yunet_320.onnx")
    fused = pipeline.fuse(tmp_path)
    assert fused.face_choice is not None
    assert fused.face_choice.is_clear
    assert fused.face_choice.num_photos == 3
    assert fused.face_choice.num_changed >= 2
    alone = Pipeline(aligned=True).fuse(np.stack(person[3:])[..., ::-1])
    strangers = [Pipeline(aligned=True).fuse(np.stack(g[3:])[..., ::-1]) for g in guests]
    mated = fused.template.similarity(alone.template)
    assert mated > 0.5
    assert all(fused.template.similarity(other.template) < 0.4 for other in strangers)
