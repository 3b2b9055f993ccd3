"""The real clips, processed once."""

from __future__ import annotations

import json
import shutil

import pytest

from probefusion.cli import main


@pytest.fixture(scope="session")
def models(assets):
    """Options that name the models."""
    pytest.importorskip("av")
    pytest.importorskip("edgefirst.tracker")
    folder = assets / "models"
    return [
        "--embedder",
        str(folder / "mobilefacenet_128d.onnx"),
        "--detector",
        str(folder / "yunet_320.onnx"),
    ]


@pytest.fixture(scope="session")
def hamilton(assets, models, tmp_path_factory):
    """Folder and tracks.json of the clip with several people, searched for two stills."""
    folder = tmp_path_factory.mktemp("hamilton") / "out"
    videos = assets / "video"
    stills = [str(videos / "lin-manuel-miranda.png"), str(videos / "alex-lacamoire.png")]
    clip = str(videos / "short_hamilton_clip.mp4")
    code = main(["video", clip, "-o", str(folder), "--gallery", *stills, "--annotate", *models])
    assert code == 0
    return folder, json.loads((folder / "tracks.json").read_text())


@pytest.fixture(scope="session")
def chromium():
    """A headless browser, or the reason why there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip("no Chromium on the path; the report is not opened (apt-get install chromium)")
