"""An export holds just what the page on file formats says: columns, facts, keys of people and contributions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from probefusion.gallery import Gallery
from probefusion.types import EmbeddingSet

pytest.importorskip("cryptography")
parquet = pytest.importorskip("pyarrow.parquet")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "file-formats.md"
EMBEDDER = "some@0123456789ab"


def documented(first: str, column: int = 0) -> set[str]:
    """The words in a column of the table whose first heading is `first`."""
    section = (
        PAGE.read_text(encoding="utf-8").split("(gallery-export)=")[1].split("\n## Results")[0]
    )
    table = section.split(f"| {first} |")[1].split("\n\n")[0].splitlines()[2:]
    return {re.findall(r"`([^`]+)`", line.split("|")[1 + column])[0] for line in table}


@pytest.fixture
def library(tmp_path):
    rng = np.random.default_rng(0)
    images = EmbeddingSet(
        embeddings=rng.standard_normal((3, 64)).astype(np.float32),
        style=rng.standard_normal((3, 6, 2)).astype(np.float32),
        quality=np.ones(3),
        embedder=EMBEDDER,
    )
    path = tmp_path / "library.db"
    with Gallery(path, fuser="mean") as gallery:
        gallery.enroll("ann", images, chips=[b"\xff\xd8\xff\xe0 a picture \xff\xd9", None, None])
    with Gallery(path, keep="state") as gallery:
        gallery.enroll("bob", images)
    return path


def keys_of(facts):
    people = facts["people"]
    parts = [part for person in people for part in person["contributions"]]
    assert {frozenset(person) for person in people} == {frozenset(documented("key of a person"))}
    assert {key for part in parts for key in part} == documented("key of a contribution")
    for part in parts:
        assert ("state" in part) is not ({"embedder", "norms_known", "has"} <= set(part))
    return set(facts)


def test_parquet_and_npz(command, library, tmp_path) -> None:
    for name in ("all.parquet", "all.npz"):
        assert command("gallery", "export", library, "-o", tmp_path / name)[0] == 0
    schema = parquet.read_schema(tmp_path / "all.parquet")
    assert set(schema.names) == documented("column of Parquet") - {"chip"}
    metadata = {key.decode() for key in schema.metadata} - {"ARROW:schema"}
    assert metadata == {"gallery", "gallery_sha256", "embedder"}
    assert keys_of(json.loads(schema.metadata[b"gallery"])) == documented("key of the facts")
    with np.load(tmp_path / "all.npz") as arrays:
        columns = documented("column of Parquet", 1) - {"chips"}
        assert set(arrays) == columns | {"gallery", "kind", "format_version"}
        assert keys_of(json.loads(str(arrays["gallery"]))) == documented("key of the facts")
        assert arrays["style"].shape == (3, 12)
        assert arrays["left_out"].tolist() == [False] * 3


def test_folder(command, library, tmp_path) -> None:
    assert command("gallery", "export", library, "-o", tmp_path / "folder")[0] == 0
    facts = json.loads((tmp_path / "folder" / "gallery.json").read_text())
    assert set(facts) == documented("key of the facts") | {"content_sha256"}
    for name in facts["people"]:
        with np.load(tmp_path / "folder" / name / "images.npz") as arrays:
            assert set(json.loads(str(arrays["gallery"]))) == documented("key of a person")


def test_archive(command, library, tmp_path) -> None:
    folder = tmp_path / "archive"
    assert command("gallery", "export", library, "--archive", "--chips", "-o", folder)[0] == 0
    told = PAGE.read_text(encoding="utf-8").split("| file of an archive |")[1].split("\n\n")[0]
    facts = json.loads((folder / "gallery.json").read_text())
    assert all(f"`{key}`" in told for key in facts)
    (file,) = folder.glob("*.parquet")
    schema = parquet.read_schema(file)
    assert set(schema.names) == documented("column of Parquet")
    assert keys_of(json.loads(schema.metadata[b"gallery"])) == documented("key of the facts")
