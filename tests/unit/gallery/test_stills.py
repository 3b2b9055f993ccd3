"""Gallery stills by every kind of fuser."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from drawn_video import COLOURS, ColourEmbedder, SquareDetector

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    FuserMismatchError,
    MissingQualityError,
    ShapeError,
)
from probefusion.gallery import read_stills, search_stills
from probefusion.types import EmbeddingSet, TemplateSet
from probefusion.zoo import load_fuser

cv2 = pytest.importorskip("cv2")


@pytest.fixture
def photos(tmp_path):
    """A photo of red, and a folder with two photos of green."""
    for place, colour in (
        ("red.png", COLOURS[0]),
        ("g/1.png", COLOURS[1]),
        ("g/2.png", COLOURS[1]),
    ):
        photo = np.zeros((120, 200, 3), np.uint8)
        photo[20:100, 50:130] = colour
        (tmp_path / place).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / place), photo[..., ::-1])
    return tmp_path


@pytest.mark.parametrize("name", ["mean", "norm-weighted", "universal"])
def test_photos_and_folders_are_people(photos, name) -> None:
    fuser, embedder = load_fuser(name), ColourEmbedder()
    stills = read_stills(photos, embedder, SquareDetector(), fuser)
    assert stills.names == ("g", "red")
    assert stills.vectors.shape == stills.mean_vectors.shape == (2, 8)
    assert stills.skipped == ()
    crop = np.full((1, 112, 112, 3), COLOURS[1], np.uint8)
    images = EmbeddingSet(embeddings=embedder.embed(crop)[0], quality=np.zeros(1))
    match = search_stills(fuser.fuse(images), stills, fuser, threshold=0.9)
    assert (match.name, match.is_match, match.threshold) == ("g", True, 0.9)
    assert [candidate.name for candidate in match.candidates] == ["g", "red"]
    assert match.candidates[0].similarity > 0.99


def test_a_set_without_quality_is_refused_where_it_is_needed(tmp_path) -> None:
    EmbeddingSet(embeddings=np.eye(2, 8, dtype=np.float32)).save(tmp_path / "set.npz")
    with pytest.raises(MissingQualityError, match=r"set\.npz"):
        read_stills(
            tmp_path / "set.npz", ColourEmbedder(), SquareDetector(), load_fuser("universal")
        )


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_each_template_of_a_set_is_a_person(tmp_path, ending) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    fuser, embedder = load_fuser("mean"), ColourEmbedder()
    crops = [np.full((1, 112, 112, 3), colour, np.uint8) for colour in COLOURS[:2]]
    templates = {
        name: fuser.fuse(
            EmbeddingSet(embeddings=embedder.embed(crop)[0], embedder=embedder.fingerprint)
        )
        for name, crop in zip(("red", "green"), crops, strict=True)
    }
    path = tmp_path / f"staff.{ending}"
    TemplateSet.of(templates).save(path)
    stills = read_stills(path, embedder, SquareDetector(), fuser)
    assert stills.names == ("red", "green")
    assert search_stills(templates["green"], stills, fuser, threshold=0.9).name == "green"
    folder = tmp_path / "more"
    folder.mkdir()
    templates["green"].save(folder / "green.npz")
    with pytest.raises(ConfigError, match="two people are named 'green'"):
        read_stills([path, folder], embedder, SquareDetector(), fuser)
    with pytest.raises(FuserMismatchError, match="staff"):
        read_stills(path, embedder, SquareDetector(), load_fuser("norm-weighted"))


def test_nobody_of_a_folder_vanishes_without_a_word(photos) -> None:
    data = (photos / "red.png").read_bytes()
    blue = np.zeros((120, 200, 3), np.uint8)
    blue[20:100, 50:130] = COLOURS[2]
    (photos / "blue.jfif").write_bytes(cv2.imencode(".jpg", blue[..., ::-1])[1].tobytes())
    (photos / "nobody.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (photos / "clip.mp4").write_bytes(b"\0")
    (photos / "half.jpg").write_bytes(cv2.imencode(".jpg", blue)[1].tobytes()[:-300])
    (photos / "noted").write_bytes(data)
    (photos / "empty").mkdir()
    (photos / "notes.txt").write_text("who is who")
    fuser, embedder = load_fuser("mean"), ColourEmbedder()
    stills = read_stills(photos, embedder, SquareDetector(), fuser)
    assert set(stills.names) == {"g", "red", "blue", "noted"}
    reasons = {item.source.rsplit("/", 1)[1]: item.reason for item in stills.skipped}
    assert reasons.keys() == {"nobody.heic", "clip.mp4", "half.jpg", "empty"}
    assert "HEIC" in reasons["nobody.heic"]
    assert reasons["clip.mp4"] == "a video: give its own path"
    assert "the end of the file is missing" in reasons["half.jpg"]
    assert "found no image" in reasons["empty"]


def test_a_set_of_another_embedder_is_refused(tmp_path) -> None:
    rows = np.eye(2, 8, dtype=np.float32)
    EmbeddingSet(embeddings=rows, embedder="other@1").save(tmp_path / "set.npz")
    with pytest.raises(EmbedderMismatchError, match=r"set\.npz: embeddings of other@1"):
        read_stills(tmp_path / "set.npz", ColourEmbedder(), SquareDetector(), load_fuser("mean"))


def test_a_set_of_another_dimension_is_refused(tmp_path) -> None:
    for name, dim in (("a", 8), ("b", 9)):
        rows = np.eye(2, dim, dtype=np.float32)
        EmbeddingSet(embeddings=rows).save(tmp_path / f"{name}.npz")
    with pytest.raises(ShapeError, match=r"b\.npz: expected dimension 8"):
        read_stills(tmp_path, ColourEmbedder(), SquareDetector(), load_fuser("mean"))


@pytest.mark.parametrize("kind", ["set", "template", "templates"])
def test_files_that_do_not_say_their_embedder_are_noted_once(tmp_path, caplog, kind) -> None:
    fuser, embedder = load_fuser("mean"), ColourEmbedder()

    def save(name, said):
        images = EmbeddingSet(embeddings=np.eye(2, 8, dtype=np.float32), embedder=said)
        path = tmp_path / f"{name}.npz"
        if kind == "set":
            images.save(path)
        elif kind == "template":
            fuser.fuse(images).save(path)
        else:
            TemplateSet.of({f"{name} {k}": fuser.fuse(images) for k in "ab"}).save(path)
        return path

    known = save("known", embedder.fingerprint)
    unknown = [save("x", None), save("y", None)]
    with caplog.at_level(logging.INFO, "probefusion"):
        read_stills(known, embedder, SquareDetector(), fuser)
        assert caplog.text == ""
        stills = read_stills([known, *unknown], embedder, SquareDetector(), fuser)
    assert len(stills.names) == (6 if kind == "templates" else 3)
    assert len(caplog.records) == 1
    assert f"gallery: {unknown[0]} and 1 more: not said what made the embeddings" in caplog.text
    assert f"those of the video are of {embedder.fingerprint}" in caplog.text
    assert "probefusion fuse FILE --embedder NAME" in caplog.text
