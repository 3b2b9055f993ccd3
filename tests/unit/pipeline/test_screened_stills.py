"""Stills that a video is searched for are looked at as every other person's images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from planted_people import PlantedEmbedder, planted

from probefusion.errors import ConfigError, SeveralPeopleError
from probefusion.faces import Face
from probefusion.faces.align import ARCFACE_LANDMARKS
from probefusion.pipeline import Pipeline

cv2 = pytest.importorskip("cv2")


class WholeDetector:
    """Takes every picture for an upright face that fills it."""

    def detect(self, image):
        box = np.array([20, 20, 72, 72], np.float32)
        return (Face(box=box, landmarks=ARCFACE_LANDMARKS.astype(np.float32), score=0.99),)


def draw_person(folder, *counts):
    folder.mkdir(parents=True)
    for person, count in enumerate(counts):
        for number in range(count):
            photo = np.full((112, 112, 3), 100 * person + 50, np.uint8)
            photo[56:] = 10 * number + 5
            cv2.imwrite(str(folder / f"{'ae'[person]}{number}.png"), photo)


@pytest.fixture
def album(tmp_path):
    """ann: 12 photos of her; eve: 9 of her and 5 of ann; zoe: embeddings of two people."""
    draw_person(tmp_path / "album" / "ann", 12)
    draw_person(tmp_path / "album" / "eve", 5, 9)
    planted(10, 6, embedder=PlantedEmbedder().fingerprint).save(tmp_path / "album" / "zoe.npz")
    return tmp_path / "album"


@pytest.fixture
def pipeline():
    return Pipeline(PlantedEmbedder(), detector=WholeDetector(), fuser="mean")


def test_people_whose_images_fall_apart_are_named(pipeline, album) -> None:
    stills = pipeline.read_gallery(album)
    assert stills.names == ("ann", "eve", "zoe")
    assert [text.partition(": ")[0] for text in stills.warnings] == ["eve", "zoe"]
    assert all("the set falls apart" in text for text in stills.warnings)
    assert stills.problems == tuple(f"gallery: {text}".rstrip(".") for text in stills.warnings)
    # what is told changes nothing
    told = pipeline.fuse(album / "eve").template.vector
    assert np.allclose(stills.vectors[1], told, atol=1e-6)


def test_the_largest_person_is_kept_and_the_others_listed(pipeline, album) -> None:
    stills = pipeline.read_gallery(album, strangers="largest-person")
    assert stills.warnings == ()
    assert [item.source.rpartition("/")[2] for item in stills.skipped] == [
        *(f"a{number}.png" for number in range(5)),
        *(f"b{number}" for number in range(6)),
    ]
    kept = pipeline.fuse(album / "eve", strangers="largest-person").template.vector
    assert np.allclose(stills.vectors[1], kept, atol=1e-6)
    assert np.allclose(stills.mean_vectors[1], kept, atol=1e-6)


def test_they_are_refused_or_not_looked_at_where_that_is_wanted(pipeline, album) -> None:
    with pytest.raises(SeveralPeopleError, match="eve: the set falls apart"):
        pipeline.read_gallery(album, strangers="refuse")
    assert pipeline.read_gallery(album, strangers="no-screening").warnings == ()
    with pytest.raises(ConfigError, match="strangers"):
        pipeline.read_gallery(album, strangers="all")
    assert pipeline.read_gallery(album / "ann").warnings == ()


@pytest.mark.parametrize("writes", [True, False], ids=["results", "events"])
def test_the_command_names_them(monkeypatch, capsys, album, tmp_path, videos, writes) -> None:
    pytest.importorskip("edgefirst.tracker")
    from probefusion.cli.main import main

    monkeypatch.setattr("probefusion.zoo.load_detector", lambda name: WholeDetector())
    monkeypatch.setattr(
        "probefusion.pipeline.chosen_models.open_embedder", lambda *_, **__: PlantedEmbedder()
    )
    frames = [np.full((112, 112, 3), 50, np.uint8)] * 20
    clip = videos.write_video(tmp_path / "clip.mp4", frames, options={"crf": "10"})
    argv = ["video", str(clip), "--detector", "whole", "--fuser", "mean", "--threads", "1"]
    argv += ["--gallery", str(album), *(["-o", str(tmp_path / "out")] if writes else ["--events"])]
    assert main(argv) == 3
    errors = capsys.readouterr().err
    assert "gallery: eve: the set falls apart" in errors
    assert "gallery: ann" not in errors
    if writes:
        facts = json.loads((tmp_path / "out" / "tracks.json").read_text())
        assert any("eve: the set falls apart" in text for text in facts["problems"])
        argv[-1] = str(tmp_path / "kept")
    assert main([*argv, "--largest-person"]) == 3
    errors = capsys.readouterr().err
    assert "falls apart" not in errors
    assert "of somebody else than most of the images" in errors
    if writes:
        argv[-1] = str(tmp_path / "silent")
    assert main([*argv, "--no-screening"]) == 0
    if writes:
        argv[-1] = str(tmp_path / "strict")
    assert main([*argv, "--strict"]) not in (0, 3)
    assert "eve" in capsys.readouterr().err
    assert not (tmp_path / "strict").exists()
