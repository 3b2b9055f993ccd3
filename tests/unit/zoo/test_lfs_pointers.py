"""Git LFS pointers in place of files are named, whatever is read."""

from __future__ import annotations

import pytest

from probefusion.archives import open_archive
from probefusion.embedders import CropQuality
from probefusion.errors import FileFormatError
from probefusion.faces import list_images
from probefusion.faces.frames import VideoReader
from probefusion.files.npy import map_npy
from probefusion.files.records import read_record
from probefusion.fusion import MeanFuser
from probefusion.gallery import read_stills
from probefusion.io import kind_of, read_embeddings
from probefusion.protocols import read_people
from probefusion.protocols.text_tables import read_integer_columns
from probefusion.settings import read_settings_file
from probefusion.types import FusionState, TemplateSet
from probefusion.video import VideoSettings
from probefusion.zoo import find_entry, load_detector, load_embedder

TEXT = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 232589\n"


def write(path, oid: str):
    path.write_text(TEXT.format(oid=oid))
    return path


def test_a_known_model_is_named(tmp_path) -> None:
    entry = find_entry("yunet_2023mar")
    path = write(tmp_path / "detector.onnx", entry.sha256)
    for load in (load_detector, load_embedder):
        with pytest.raises(
            FileFormatError, match=r"Git LFS pointer.*models pull yunet_2023mar; then give"
        ):
            load(path)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("net.onnx", load_embedder),
        ("set.npz", read_embeddings),
        ("set.csv", read_embeddings),
        ("set.parquet", read_embeddings),
        ("set.npz", kind_of),
        ("state.safetensors", FusionState.load),
        ("people.npz", TemplateSet.load),
        ("set.h5", read_embeddings),
        ("embeddings.npy", map_npy),
        ("people.zip", read_people),
        ("people.zip", list_images),
        ("still.jpg", list_images),
        ("video.mp4", VideoReader),
        ("gallery.jpg", lambda path: read_stills(path, None, None, MeanFuser())),
        ("table.txt", lambda path: read_integer_columns(path, columns=("a",))),
        ("table.mat", lambda path: read_people(path)),
        ("settings.toml", lambda path: read_settings_file(path, VideoSettings)),
        ("card.json", lambda path: read_record(path, dict)),
        ("quality.onnx", CropQuality),
        ("archive.parquet", open_archive),
    ],
)
def test_any_other_file_tells_what_it_is(tmp_path, name, read) -> None:
    path = write(tmp_path / name, "ab" * 32)
    with pytest.raises(
        FileFormatError, match=rf"a Git LFS pointer.*SHA-256 is {'ab' * 32}.*lfs pull"
    ):
        read(path)


def test_an_ordinary_small_file_is_none(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("e0,e1\n1,2\n")
    assert read_embeddings(tmp_path / "a.csv").dim == 2
