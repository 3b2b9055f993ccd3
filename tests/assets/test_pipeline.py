"""The programs that users want to write, on real photos and a real clip, with real models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import probefusion as pf

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def faces(assets):
    return pf.Pipeline(detector=assets / "models" / "yunet_320.onnx")


@pytest.fixture
def photos(assets, tmp_path):
    """A folder of photos for each of two people."""
    for name in ("lin-manuel-miranda", "alex-lacamoire"):
        folder = tmp_path / "people" / name
        folder.mkdir(parents=True)
        shutil.copy(assets / "video" / f"{name}.png", folder)
    return tmp_path / "people"


def test_a_photo_library(faces, photos) -> None:
    library = {person.name: faces.fuse(person) for person in photos.iterdir()}
    for photo in Path(photos).rglob("*.png"):
        found = faces.find(photo)
        assert len(found) >= 1
        similarities = {
            name: fused.template.similarity(found[0].template) for name, fused in library.items()
        }
        assert max(similarities, key=similarities.get) == photo.parent.name
        assert similarities[photo.parent.name] == pytest.approx(1, abs=1e-5)
    people = faces.fuse_people(photos).templates
    for name, fused in library.items():
        assert people[name].similarity(fused.template) == pytest.approx(1, abs=1e-5)


def test_a_camera(faces, assets) -> None:
    pytest.importorskip("edgefirst.tracker")
    videos = assets / "video"
    matches = {}
    for event in faces.watch(
        videos / "short_hamilton_clip.mp4", gallery=videos / "lin-manuel-miranda.png"
    ):
        if event.kind == "left":
            assert event.person.first_time <= event.person.last_time <= event.time
            matches[event.person.number] = (event.match.name, event.person.num_images)
    named = [count for name, count in matches.values() if name == "lin-manuel-miranda"]
    assert max(named) == max(count for _, count in matches.values())  # he is the one seen most
    assert len(named) < len(matches)
