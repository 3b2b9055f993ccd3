from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import (
    EmptySetError,
    FileFormatError,
    MissingExtraError,
    MissingFileError,
    NonFiniteError,
    ShapeError,
)
from probefusion.io import read_embeddings

ROWS = np.array([[1.0, 2.0, 2.0], [0.5, 0.0, -1.0]], dtype=np.float32)


def test_npy(tmp_path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    assert np.array_equal(read_embeddings(tmp_path / "a.npy").embeddings, ROWS)
    (tmp_path / "b.npy").write_bytes(b"\x93NUMPY broken")
    with pytest.raises(FileFormatError, match=r"b\.npy"):
        read_embeddings(tmp_path / "b.npy")
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match=r"o\.npy"):
        read_embeddings(tmp_path / "o.npy")


def test_npz(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", embeddings=ROWS)
    assert np.array_equal(read_embeddings(tmp_path / "a.npz").embeddings, ROWS)


def test_unknown_ending_and_missing_file(tmp_path) -> None:
    (tmp_path / "a.xyz").write_text("1,2")
    with pytest.raises(FileFormatError, match=r"\.npy, \.npz, \.csv"):
        read_embeddings(tmp_path / "a.xyz")
    with pytest.raises(MissingFileError):
        read_embeddings(tmp_path / "none.npy")


@pytest.mark.parametrize(
    "text",
    [
        "1,2,2\n0.5,0,-1\n",
        "1;2;2\r\n0.5;0;-1\r\n",
        "\ufeffE0,E1,E2\n1,2,2\n\n0.5,0,-1",
        "source,e0,e1,e2\nx.jpg,1,2,2\ny.jpg,0.5,0,-1\n",
    ],
)
def test_csv(tmp_path, text) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert np.array_equal(read_embeddings(tmp_path / "a.csv").embeddings, ROWS)


def test_csv_columns(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("media_id,e0,source,e1\nv1,1,x.jpg,2\nv1,3,y.jpg,4\n")
    images = read_embeddings(tmp_path / "a.csv")
    assert images.sources.tolist() == ["x.jpg", "y.jpg"]
    assert images.media_ids.tolist() == ["v1", "v1"]
    assert images.embeddings.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("1,2\n3\n", FileFormatError, "line 2: expected 2 columns, got 1"),
        ("1,2\n3,x\n", FileFormatError, "line 2, column 2: expected a number, got 'x'"),
        ("", EmptySetError, "no rows"),
        ("a0,a1\n", EmptySetError, "no rows"),
        ("1.0,2.O\n3,4\n", FileFormatError, "line 1, column 2: expected a number, got '2.O'"),
        ("subject_id,a0,a1\n1,2,3\n2,3,4\n", FileFormatError, "2 different values of subject_id"),
        ("a,b\n1,2\n", FileFormatError, r"got the columns a, b.*remove the line of names"),
        ("1_0,2\n", FileFormatError, "1_0"),
        ("1,nan\n", NonFiniteError, r"embedding 0 of a\.csv"),
    ],
)
def test_bad_csv(tmp_path, text, error, words) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(error, match=words):
        read_embeddings(tmp_path / "a.csv")


def test_csv_that_is_no_text(tmp_path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(FileFormatError, match="UTF-8"):
        read_embeddings(tmp_path / "a.csv")


def test_hdf5(tmp_path) -> None:
    h5py = pytest.importorskip("h5py")
    style = np.ones((2, 4, 2), dtype=np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["embeddings"] = ROWS
        file["style"] = style
        file["sources"] = np.array([b"x", b"y"])
        file.attrs["embedder"] = "net@1"
    images = read_embeddings(tmp_path / "a.h5")
    assert np.array_equal(images.embeddings, ROWS)
    assert np.array_equal(images.style, style)
    assert images.sources.tolist() == ["x", "y"]
    assert images.embedder == "net@1"
    with h5py.File(tmp_path / "two.hdf5", "w") as file:
        file["one"], file["two"] = ROWS, ROWS
    with pytest.raises(FileFormatError, match="one, two"):
        read_embeddings(tmp_path / "two.hdf5")
    with h5py.File(tmp_path / "unknown.h5", "w") as file:
        file["embeddings"], file["stile"] = ROWS, ROWS
    with pytest.raises(FileFormatError, match="stile"):
        read_embeddings(tmp_path / "unknown.h5")
    with h5py.File(tmp_path / "bytes.h5", "w") as file:
        file["embeddings"] = ROWS
        file.attrs["embedder"] = np.bytes_("net@1")
    assert read_embeddings(tmp_path / "bytes.h5").embedder == "net@1"
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FileFormatError, match="folder"):
        read_embeddings(tmp_path / "folder.csv")
    (tmp_path / "no.h5").write_text("text")
    with pytest.raises(FileFormatError, match="HDF5"):
        read_embeddings(tmp_path / "no.h5")


def write_parquet(path, columns, metadata=None) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = arrow.table(columns)
    parquet.write_table(table.replace_schema_metadata(metadata or {}), path)


def test_parquet(tmp_path) -> None:
    style = np.arange(8, dtype=np.float32).reshape(2, 4)
    write_parquet(
        tmp_path / "a.parquet",
        {
            "embedding": ROWS.tolist(),
            "style": style.tolist(),
            "source": ["x", "y"],
            "template_id": [7, 7],
        },
        {"embedder": "net@1"},
    )
    images = read_embeddings(tmp_path / "a.parquet")
    assert np.array_equal(images.embeddings, ROWS)
    assert np.array_equal(images.style, style.reshape(2, 2, 2))
    assert images.embedder == "net@1"


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        (
            {"embeddings": ROWS.tolist()},
            FileFormatError,
            r"Unknown: embeddings \(did you mean 'embedding'\?\)",
        ),
        ({"embedding": ROWS.tolist(), "template_id": [1, 2]}, FileFormatError, "one template"),
        ({"embedding": [[1.0, 2.0], [1.0]]}, ShapeError, "different lengths"),
        ({"embedding": [[1.0, 2.0], None]}, FileFormatError, "1 missing"),
        ({"embedding": ROWS.tolist(), "source": ["x", None]}, FileFormatError, "source"),
    ],
)
def test_bad_parquet(tmp_path, columns, error, words) -> None:
    write_parquet(tmp_path / "a.parquet", columns)
    with pytest.raises(error, match=words):
        read_embeddings(tmp_path / "a.parquet")


def test_missing_extra_names_the_command(tmp_path, monkeypatch) -> None:
    import sys

    (tmp_path / "a.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'probefusion\[data\]'"):
        read_embeddings(tmp_path / "a.h5")
