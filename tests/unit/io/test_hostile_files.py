"""Files that lie, explode or are somebody else's: refused in one line that names the file."""

from __future__ import annotations

import io
import json
import os
import resource
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from probefusion.archives import open_archive
from probefusion.errors import FileFormatError, ProbeFusionError
from probefusion.files.records import read_record
from probefusion.fusion.folder import read_card
from probefusion.io import kind_of, read_embeddings, read_templates
from probefusion.protocols import read_people
from probefusion.settings import read_settings_file
from probefusion.types import FusionState, TemplateSet
from probefusion.video import VideoSettings


@pytest.fixture
def hostile(assets: Path) -> Path:
    folder = assets / "cases" / "hostile"
    if not folder.is_dir():
        pytest.skip(f"no hostile files in {folder}")
    return folder


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lie.npy", "its header says shape"),
        ("lie2.npy", "its header says shape"),
        ("hdr2.npy", "could not read it"),
        ("lie.npz", "its header says shape"),
        ("enc.npz", "encrypted"),
        ("meth.npz", "unknown method"),
        ("flip_traceback.npz", "could not read it"),
        ("hd.h5", "claims to hold"),
        ("la.h5", "could not read it"),
        ("st.parquet", "lists of numbers"),
    ],
)
def test_embeddings(hostile: Path, name: str, said: str) -> None:
    pytest.importorskip("h5py")
    pytest.importorskip("pyarrow")
    with pytest.raises(ProbeFusionError, match=said) as caught:
        read_embeddings(hostile / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_states(hostile: Path) -> None:
    with pytest.raises(FileFormatError, match=r"deep\.safetensors.*nested too deeply"):
        FusionState.load(hostile / "deep.safetensors")


def test_every_hostile_file_is_answered(hostile: Path) -> None:
    """Whatever is asked of a file, the answer is a value or an error of ours."""
    readers = (kind_of, read_embeddings, read_templates, open_archive, FusionState.load)
    for path in sorted(hostile.iterdir()):
        for reader in (*readers, read_people):
            with suppress(ProbeFusionError):
                reader(path)


def test_hdf5_that_points_elsewhere(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "rows.h5"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["embeddings"] = np.eye(3)
    with h5py.File(path, "w") as file:
        file["embeddings"] = h5py.ExternalLink("other.h5", "embeddings")
    with pytest.raises(FileFormatError, match=r"rows\.h5: embeddings is a link"):
        read_embeddings(path)
    (tmp_path / "raw").write_bytes(np.eye(3).tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("embeddings", (3, 3), "f8", external=[("raw", 0, 72)])
    with pytest.raises(FileFormatError, match=r"rows\.h5: the values of embeddings lie in other"):
        read_embeddings(path)


def test_hdf5_and_parquet_bombs_take_no_memory(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as arrow

    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        shape = (1 << 22, 512)
        file.create_dataset("embeddings", shape, "f4", chunks=(1 << 14, 512), compression="gzip")
    values = arrow.array(np.zeros(1 << 20, np.float32))
    lists = arrow.FixedSizeListArray.from_arrays(values, 512)
    schema = arrow.schema([("embedding", lists.type)])
    with parquet.ParquetWriter(tmp_path / "bomb.parquet", schema, compression="zstd") as writer:
        for _ in range(80):
            writer.write_batch(arrow.record_batch([lists], schema=schema), row_group_size=1 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileFormatError, match=r"bomb\.h5: /embeddings: claims to hold"):
        read_embeddings(tmp_path / "bomb.h5")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert (tmp_path / "bomb.parquet").stat().st_size < 1 << 21
    for reader in (read_embeddings, TemplateSet.load):
        with pytest.raises(FileFormatError, match=r"bomb\.parquet: claims to hold"):
            reader(tmp_path / "bomb.parquet")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 * 1024


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe{}",
        b'{"format_version": 1e999}',
        b'{"format_version": ' + b"9" * 5000 + b"}",
        b'{"format_version": 99999999999999999999}',
        b"\0" * 64,
        b'"text"',
    ],
)
def test_cards_and_settings(tmp_path: Path, content: bytes) -> None:
    card = tmp_path / "fuser.json"
    card.write_bytes(content)
    with pytest.raises(ProbeFusionError, match=r"fuser\.json"):
        read_card(tmp_path)
    with pytest.raises(ProbeFusionError, match=r"fuser\.json"):
        read_record(card, dict[str, int], newest=1)
    settings = tmp_path / "video.toml"
    settings.write_bytes(content or b"a = " + b"[" * 50_000)
    with pytest.raises(ProbeFusionError, match=r"video\.toml"):
        read_settings_file(settings, VideoSettings)


def test_records_that_never_end(tmp_path: Path) -> None:
    for name in ("fuser.json", "video.toml"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(FileFormatError, match="pipe, a device"):
        read_card(tmp_path)
    with pytest.raises(FileFormatError, match="pipe, a device"):
        read_settings_file(tmp_path / "video.toml", VideoSettings)
    endless = tmp_path / "endless.toml"
    with endless.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(FileFormatError, match="expected at most"):
        read_settings_file(endless, VideoSettings)
    with pytest.raises(FileFormatError, match="expected at most"):
        read_record(endless, dict[str, int])


def damaged_zip(change: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ann/1.jpg", bytes(range(256)) * 9)
    data = bytearray(stream.getvalue())
    central = data.index(b"PK\1\2")
    if change == "encrypted":
        data[central + 8] |= 1
    elif change == "method":
        data[central + 10] = 99
    elif change == "data":
        data[50:60] = b"\xff" * 10
    elif change == "length":
        data[central + 24 : central + 28] = (1 << 31).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("change", ["encrypted", "method", "data", "length"])
def test_zips_of_people(tmp_path: Path, change: str) -> None:
    path = tmp_path / "people.zip"
    path.write_bytes(damaged_zip(change))

    def read_one() -> bytes:
        return read_people(path).read("ann/1.jpg")

    with pytest.raises(FileFormatError, match=r"people\.zip|1\.jpg"):
        read_one()


def test_an_archive_whose_embedder_is_no_text(tmp_path: Path) -> None:
    np.save(tmp_path / "embeddings.npy", np.eye(3))
    np.save(tmp_path / "template_ids.npy", np.arange(3))
    assert json.loads(json.dumps(open_archive(tmp_path).embedder)) is None
    (tmp_path / "embedder.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match=r"embedder\.txt"):
        open_archive(tmp_path)
