from __future__ import annotations

import zipfile

import numpy as np
import pytest

from probefusion.errors import FileFormatError, MissingFileError, UnknownNameError
from probefusion.fusion import MeanFuser
from probefusion.io import kind_of, read_embeddings, read_templates, split_id
from probefusion.types import EmbeddingSet, FusionState, Template, TemplateSet


@pytest.fixture
def folder(tmp_path, make_set):
    """One file of each kind that the package writes."""
    fuser, images = MeanFuser(), make_set(4)
    template = fuser.fuse(images)
    images.save(tmp_path / "images.npz")
    template.save(tmp_path / "template.npz")
    fuser.encode(images).save(tmp_path / "state.safetensors")
    TemplateSet.of({"a": template, "b#1": template}).save(tmp_path / "people.npz")
    TemplateSet.of({"a": template}).save(tmp_path / "alone.npz")
    return tmp_path


def test_what_the_package_writes(folder) -> None:
    kinds = {
        "images.npz": ("embedding_set", EmbeddingSet.load),
        "template.npz": ("template", Template.load),
        "people.npz": ("templates", TemplateSet.load),
        "state.safetensors": ("fusion_state", FusionState.load),
    }
    for name, (kind, load) in kinds.items():
        assert kind_of(folder / name) == kind_of(str(folder / name)) == kind
        load(folder / name)
    assert kind_of(folder) == "folder"


def test_files_made_by_hand_are_told_by_their_keys(tmp_path) -> None:
    rows = np.eye(2)
    np.savez(tmp_path / "a.npz", embeddings=rows)
    np.savez(tmp_path / "b.npz", vector=rows[0], num_images=1)
    np.savez(tmp_path / "c.npz", template_ids=[1, 2], num_images=[1, 1], embeddings=rows)
    np.savez(tmp_path / "d.npz", something=rows)
    np.savez(tmp_path / "e.npz", embeddings=rows, kind="archive_checkpoint")
    found = [kind_of(tmp_path / f"{name}.npz") for name in "abcde"]
    assert found == ["embedding_set", "template", "templates", "unknown", "unknown"]


def test_parquet_is_told_by_its_columns(tmp_path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"embedding": [[1.0, 0.0]], "template_id": ["a"]}
    for added, kind in [({}, "table"), ({"num_images": [3]}, "templates")]:
        parquet.write_table(arrow.table(columns | added), tmp_path / "t.parquet")
        assert kind_of(tmp_path / "t.parquet") == kind
    with pytest.raises(FileFormatError, match=r"got templates of 1.*TemplateSet\.load"):
        read_embeddings(tmp_path / "t.parquet")
    parquet.write_table(arrow.table({"x": [1]}), tmp_path / "t.parquet")
    assert kind_of(tmp_path / "t.parquet") == "unknown"


def test_what_the_ending_says(tmp_path) -> None:
    for name, kind in {
        "a.npy": "array",
        "a.CSV": "table",
        "a.h5": "table",
        "a.JPG": "image",
        "a.tiff": "image",
        "a.mp4": "video",
        "a.txt": "table",
        "a.docx": "unknown",
        "a": "unknown",
    }.items():
        (tmp_path / name).write_bytes(b"")
        assert kind_of(tmp_path / name) == kind
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    assert kind_of(tmp_path / "a.zip") == "zip"
    assert kind_of("rtsp://door/stream.mp4") == "video"
    assert kind_of("webcam:0") == "video"


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04 cut", b"\xff" * 40, b"\x02" + b"\0" * 7 + b"[]"]
)
@pytest.mark.parametrize("ending", ["npz", "parquet", "safetensors"])
def test_damaged_containers_are_unknown(tmp_path, data, ending) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(data)
    assert kind_of(path) == "unknown"


def test_what_is_not_there(tmp_path) -> None:
    for name in ("a.npz", "a.mp4", "a"):
        with pytest.raises(MissingFileError):
            kind_of(tmp_path / name)


def test_an_id_is_what_follows_the_file(folder) -> None:
    people = str(folder / "people.npz")
    assert split_id(people) == (people, None)
    assert split_id(f"{people}#a") == (people, "a")
    assert split_id(f"{people}#b#1") == (people, "b#1")
    assert split_id(f"{folder / 'none.npz'}#a") == (f"{folder / 'none.npz'}#a", None)
    odd = folder / "odd#2.npz"
    odd.write_bytes((folder / "people.npz").read_bytes())
    assert split_id(odd) == (str(odd), None)
    assert split_id(f"{odd}#a") == (str(odd), "a")


def test_reading_one_of_many(folder) -> None:
    people = read_templates(folder / "people.npz")
    assert isinstance(people, TemplateSet)
    template = read_templates(f"{folder / 'people.npz'}#b#1")
    assert isinstance(template, Template)
    assert np.array_equal(template.vector, people["b#1"].vector)
    for name in ("template.npz", "alone.npz", "alone.npz#a"):
        assert isinstance(read_templates(f"{folder / name}"), Template)
    with pytest.raises(UnknownNameError, match="'c'"):
        read_templates(f"{folder / 'people.npz'}#c")
    with pytest.raises(FileFormatError, match=r"kind 'template'\. Leave #a out"):
        read_templates(f"{folder / 'template.npz'}#a")
    with pytest.raises(FileFormatError, match="kind 'embedding_set'"):
        read_templates(folder / "images.npz")
    with pytest.raises(MissingFileError):
        read_templates(f"{folder / 'none.npz'}#a")
