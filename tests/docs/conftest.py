"""What a reader of the pages has in the folder: sample crops, photos, a clip, models."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

MODELS = {
    "detector": ("yunet_2023mar", "yunet_320.onnx"),
    "mobilefacenet": ("mobilefacenet_128d", "mobilefacenet_128d.onnx"),
    "edgeface": ("edgeface.onnx", "edgeface_xs_512d.onnx"),
}
"""Material that is a model: how pages name it, and its file among the assets."""


@pytest.fixture(scope="session")
def short_clip(assets: Path, tmp_path_factory, videos) -> Path:
    """Two seconds of a real clip."""
    from probefusion.faces.frames import VideoReader

    target = tmp_path_factory.mktemp("clip") / "clip.mp4"
    source = assets / "video" / "short_hamilton_clip.mp4"
    with VideoReader(str(source), stop=2.0) as reader:
        return videos.write_video(target, [frame.image for frame in reader], rate=25)


@pytest.fixture(scope="session")
def photos(assets: Path, tmp_path_factory) -> Path:
    """`photos`: one portrait, and two frames of a clip that show him, one of them among others.

    The frame after these does not show him, and whoever fuses it with the others is told so.
    """
    cv2 = pytest.importorskip("cv2")
    from probefusion.faces.frames import VideoReader

    folder = tmp_path_factory.mktemp("photos") / "photos"
    folder.mkdir()
    shutil.copy(assets / "video" / "lin-manuel-miranda.png", folder / "portrait.png")
    with VideoReader(str(assets / "video" / "short_hamilton_clip.mp4"), every=120) as reader:
        for number, frame in zip(range(2), reader, strict=False):
            picture = cv2.imencode(".jpg", np.ascontiguousarray(frame.image[..., ::-1]))[1]
            (folder / f"stage_{number}.jpg").write_bytes(picture.tobytes())
    return folder


@pytest.fixture(scope="session")
def album(photos: Path, assets: Path, tmp_path_factory) -> Path:
    """`album`: a folder of photos per person."""
    folder = tmp_path_factory.mktemp("album") / "album"
    for person, still in (("lin", "lin-manuel-miranda.png"), ("alex", "alex-lacamoire.png")):
        (folder / person).mkdir(parents=True)
        shutil.copy(assets / "video" / still, folder / person / "portrait.png")
    return folder


@pytest.fixture(scope="session")
def faces(assets: Path, tmp_path_factory) -> Path:
    """`faces.zip`: aligned crops of 40 real people, with three images each."""
    target = tmp_path_factory.mktemp("faces") / "faces.zip"
    with zipfile.ZipFile(assets / "data" / "lfw112.zip") as source:
        people: dict[str, list[str]] = {}
        for name in sorted(source.namelist()):
            if name.endswith((".jpg", ".png")):
                people.setdefault(name.rpartition("/")[0], []).append(name)
        several = [names[:3] for names in people.values() if len(names) >= 3][:40]
        with zipfile.ZipFile(target, "w") as archive:
            for name in (name for names in several for name in names):
                archive.writestr(name, source.read(name))
    return target


@pytest.fixture(scope="session")
def films(assets: Path, tmp_path_factory) -> Path:
    """`films.zip`: stills of 14 people, four of each of up to three films, with a table of widths."""
    given = assets / "data" / "imfdb112_dev.zip"
    if not given.is_file():
        pytest.skip(f"PROBEFUSION_ASSETS: no {given.name} in {given.parent}")
    target = tmp_path_factory.mktemp("films") / "films.zip"
    with zipfile.ZipFile(given) as source, zipfile.ZipFile(target, "w") as archive:
        people: dict[str, dict[str, list[str]]] = {}
        for name in sorted(source.namelist()):
            if name.endswith(".jpg"):
                person, _, file = name.partition("/")
                people.setdefault(person, {}).setdefault(file.partition("__")[0], []).append(name)
        several = [list(media.values())[:3] for media in people.values() if len(media) > 1][:14]
        chosen = [name for media in several for stills in media for name in stills[:4]]
        for name in chosen:
            archive.writestr(name, source.read(name))
        table = source.read("faces.csv").decode().splitlines()
        kept = [row for row in table[1:] if row.partition(",")[0] in chosen]
        archive.writestr("faces.csv", "\n".join([table[0], *kept]) + "\n")
    return target


@pytest.fixture(scope="session")
def mine(tmp_path_factory) -> Path:
    """`mine`: a fuser folder for the embedder inside."""
    from probefusion.zoo import load_fuser

    folder = tmp_path_factory.mktemp("fuser") / "mine"
    return Path(shutil.copytree(load_fuser("exact-fast").folder, folder))


@pytest.fixture
def material(request: pytest.FixtureRequest) -> Callable[[str, Path], dict[str, str]]:
    """Puts material that a page names into its folder; gives what its names stand for here."""

    def give(name: str, folder: Path) -> dict[str, str]:
        if name in MODELS:
            word, file = MODELS[name]
            return {word: str(request.getfixturevalue("assets") / "models" / file)}
        fixture = "short_clip" if name == "clip" else name
        source: Path = request.getfixturevalue(fixture)
        target = folder / source.name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
        return {}

    return give
