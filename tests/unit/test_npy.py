"""Files of NumPy that lie about themselves."""

from __future__ import annotations

import io
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest

from probefusion.errors import FileFormatError, MissingFileError
from probefusion.files.npy import map_npy, open_npz, read_npy


def npy_bytes(header: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    text = header.encode("latin1")
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def described(shape: str, descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i8", "<U5", "|b1"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (3, 4), (2, 3, 2)])
def test_arrays_come_back_as_numpy_reads_them(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, order: str
) -> None:
    rng = np.random.default_rng(0)
    array = np.asarray(rng.integers(0, 2, shape).astype(dtype), order=order)
    path = tmp_path / "a.npy"
    np.save(path, array)
    for read in (read_npy, map_npy):
        found = read(path)
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert np.array_equal(found, np.load(path))
    np.savez_compressed(tmp_path / "a.npz", first=array, second=array)
    with open_npz(tmp_path / "a.npz") as archive:
        assert archive.names == ("first", "second")
        assert np.array_equal(archive.read("second"), array)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "could not read it"),
        (b"\x93NUMPY", "could not read it"),
        (npy_bytes("((((((("), "could not read it"),
        (npy_bytes("(" * 3000), "could not read it"),
        (npy_bytes("-" * 9000 + "1"), "could not read it"),
        (npy_bytes("'''\n"), "could not read it"),
        (npy_bytes(described("(1000000000000, 128)"), b"x" * 64), "its header says"),
        (npy_bytes(described("(99999999999999999999, 9)"), b"x" * 64), "its header says"),
        (npy_bytes(described("(-4, -4)"), b"x" * 64), "shape is"),
        (npy_bytes(described("(4, 4)"), b"x" * 63), "its header says"),
        (npy_bytes(described("(4, 4)"), b"x" * 65), "its header says"),
        (npy_bytes(described("(1000000000,)", "'<U0'")), "its header says"),
        (npy_bytes(described("(2,)", "'|O'"), b"x" * 16), "object arrays"),
        (npy_bytes(described("(2,)", "[('a', '<f4')]"), b"x" * 8), "records"),
        (npy_bytes(described("(4, 4)"), b"x" * 64, b"\3\0"), "version 1 or 2"),
        (npy_bytes(described("(True,)"), b"x" * 64), "could not read it|its header says"),
    ],
)
def test_lying_headers(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "lie.npy"
    path.write_bytes(content)
    for read in (read_npy, map_npy):
        with pytest.raises(FileFormatError, match=said) as caught:
            read(path)
        assert "lie.npy" in str(caught.value)
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(FileFormatError), open_npz(tmp_path / "lie.npz") as file:
        file.read("a")


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    zeros = npy_bytes(described("(1073741824,)"))
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.npy", "w", force_zip64=True) as member,
    ):
        member.write(zeros)
        for _ in range(512):
            member.write(bytes(1 << 23))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileFormatError, match="claims to hold"), open_npz(path) as file:
        file.read("a")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_archives_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(3))
    sound = path.read_bytes()
    encrypted = bytearray(sound)
    encrypted[sound.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(encrypted)
    with pytest.raises(FileFormatError, match="encrypted"), open_npz(path) as file:
        file.read("a")
    unknown = bytearray(sound)
    unknown[sound.index(b"PK\1\2") + 10] = 99
    path.write_bytes(unknown)
    with pytest.raises(FileFormatError, match="unknown method"), open_npz(path) as file:
        file.read("a")
    stream = io.BytesIO()
    np.save(stream, np.arange(3))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", stream.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", stream.getvalue())
    with pytest.raises(FileFormatError, match="two arrays named 'a'"), open_npz(path):
        pass
    path.write_bytes(stream.getvalue())
    with pytest.raises(FileFormatError, match=r"single \.npy"), open_npz(path):
        pass
    with pytest.raises(MissingFileError), open_npz(tmp_path / "none.npz"):
        pass


def test_an_array_whose_name_breaks_the_line_is_told_in_one(tmp_path) -> None:
    path = tmp_path / "broken.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("template\nids.npy", b"no array")
    with open_npz(path) as archive, pytest.raises(FileFormatError) as caught:
        archive.read_all()
    assert len(str(caught.value).splitlines()) == 1
    assert r"'template\nids'" in str(caught.value)
