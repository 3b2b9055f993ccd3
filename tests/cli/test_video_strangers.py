"""`probefusion video` and `fuse` of a video whose track goes over to somebody else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from drawn_video import SquareDetector
from planted_people import planted

from probefusion.embedders import EmbedderSpec
from probefusion.types import EmbeddingSet

pytest.importorskip("cv2")
pytest.importorskip("edgefirst.tracker")

NUM_FRAMES = 30


class GreyEmbedder:
    """Embeds a red square by how much green is in it: one row of `planted(20, 10)` for each frame."""

    norms_known = True

    def __init__(self, counts: tuple[int, ...]) -> None:
        self.spec = EmbedderSpec(name="planted", sha256="0" * 64, dim=128)
        self.fingerprint = self.own_fingerprint = self.spec.fingerprint
        self.rows = planted(*counts).embeddings.astype(np.float32)
        self.place = 0

    def embed(self, crops):
        places = (np.arange(len(crops)) + self.place) % len(self.rows)
        self.place += len(crops)
        return self.rows[places], None

    def embed_set(self, crops, sources=None, media_ids=None):
        return EmbeddingSet(embeddings=self.rows[: len(crops)], embedder=self.fingerprint)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, videos):
    """30 frames of one square that moves."""
    frames = []
    for number in range(NUM_FRAMES):
        frame = np.full((120, 200, 3), 128, np.uint8)
        frame[20:60, 10 + number : 50 + number] = (250, 40, 40)
        frames.append(frame)
    path = tmp_path_factory.mktemp("clip") / "one.mp4"
    return videos.write_video(path, frames, options={"crf": "10"})


@pytest.fixture
def plant(monkeypatch):
    """The square is people one after the other, so many images of each."""
    monkeypatch.setattr("probefusion.zoo.load_detector", lambda name: SquareDetector())

    def planting(*counts: int) -> None:
        embedder = GreyEmbedder(counts)
        monkeypatch.setattr(
            "probefusion.pipeline.chosen_models.open_embedder", lambda *_, **__: embedder
        )

    return planting


OPTIONS = (
    *("--detector", "squares", "--fuser", "mean", "--threads", "1"),
    *("--split-below", "-1"),  # or the track would be split where the other person comes
)


def test_a_track_of_two_people_is_told(command, clip, plant, tmp_path) -> None:
    plant(20, 10)
    code, out, err = command("video", clip, "-o", tmp_path / "out", *OPTIONS)
    assert "track 1: 30 images" in out
    assert code == 3
    assert f"warning: {clip}: track 1: the set falls apart" in err
    assert "20 images (67 % of the weight) and 10 images (33 % of the weight)" in err
    assert "Careful: the set falls apart" in (tmp_path / "out" / "report.html").read_text()
    facts = json.loads((tmp_path / "out" / "tracks.json").read_text())
    (track,) = facts["tracks"]
    assert track["screening"]["verdict"] == "several people"
    names = [image["source"] for image in track["screening"]["parts"][1]["images"]]
    assert names == [f"{clip}#t={number / 25:.3f}" for number in range(20, 30)]


def test_one_person_is_no_warning(command, clip, plant, tmp_path) -> None:
    plant(30)
    code, out, err = command("video", clip, "-o", tmp_path / "out", "--json", *OPTIONS)
    assert (code, "falls apart" in err) == (0, False)
    assert json.loads(out)["tracks"][0]["screening"]["verdict"] == "one person"


def test_nobody_looks_where_that_is_not_wanted(command, clip, plant, tmp_path) -> None:
    plant(20, 10)
    arguments = ("video", clip, "-o", tmp_path / "out", "--json", "--no-screening", *OPTIONS)
    code, out, _ = command(*arguments)
    assert code == 0
    screening = json.loads(out)["tracks"][0]["screening"]
    assert (screening["verdict"], screening["reason"]) == (
        "not screened",
        "not wanted (--no-screening)",
    )


def test_a_fused_video_is_screened_and_its_images_stay(command, clip, plant, tmp_path) -> None:
    plant(20, 10)
    code, out, err = command("fuse", clip, "-o", tmp_path / "t.npz", *OPTIONS)
    assert code == 3
    assert "30 images fused by mean@1" in out
    assert "warning: the set falls apart" in err
    plant(20, 10)
    output = tmp_path / "u.npz"
    code, out, err = command("fuse", clip, "-o", output, "--strict", *OPTIONS)
    assert (code, out) == (1, "")
    assert not output.exists()
    plant(20, 10)
    code, out, err = command("fuse", clip, "-o", output, "--largest-person", *OPTIONS)
    assert code == 3
    assert "30 images fused by mean@1" in out
    assert "10 images of the video" in err
    assert "single images of a video cannot be left out" in err
