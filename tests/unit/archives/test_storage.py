"""The same small interface over paths, memory and a real server of S3."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import S3Server, s3_server

from probefusion.archives.files import storage
from probefusion.errors import (
    FileFormatError,
    MissingExtraError,
    MissingFileError,
    StorageError,
    UnknownNameError,
)

CONTENTS = {"b/2.bin": b"two", "b/10.bin": b"ten" * 1000, "a.Parquet": b"a", "c.txt": b"0123456789"}


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server", exc_type=ImportError)
    with s3_server() as server:
        yield server


@pytest.fixture(params=["path", "file", "memory", "s3"])
def empty(request, tmp_path) -> str:
    """A folder in which nothing lies."""
    if request.param == "path":
        return str(tmp_path / "faces")
    if request.param == "file":
        return f"file://{tmp_path}/faces"
    if request.param == "memory":
        pytest.importorskip("fsspec")
        return f"memory://{tmp_path.name}/faces"
    server = request.getfixturevalue("s3")
    name = f"bucket-{abs(hash(str(tmp_path)))}"
    return f"{server.make_bucket(name)}/faces"


@pytest.fixture
def folder(empty) -> str:
    for name, content in CONTENTS.items():
        storage.write_bytes(storage.join(empty, name), content)
    return empty


def names(files: list[storage.StoredFile]) -> list[str]:
    return [file.name for file in files]


def test_files_are_listed_in_the_order_of_their_names(folder):
    files = storage.list_files(folder)
    assert names(files) == ["a.Parquet", "b/10.bin", "b/2.bin", "c.txt"]
    for file in files:
        assert file.size == len(CONTENTS[file.name])
        assert storage.read_bytes(file.place) == CONTENTS[file.name]
        assert storage.stored_file(file.place).tag == file.tag
    assert storage.list_files(folder + "/") == storage.list_files(folder)
    assert names(storage.list_files(storage.join(folder, "b"))) == ["10.bin", "2.bin"]


def test_files_are_listed_by_their_endings(folder):
    assert names(storage.list_files(folder, suffixes=(".parquet",))) == ["a.Parquet"]
    assert names(storage.list_files(folder, suffixes=(".bin", ".txt"))) == [
        "b/10.bin",
        "b/2.bin",
        "c.txt",
    ]


def test_one_file_is_a_list_of_itself(folder):
    (file,) = storage.list_files(storage.join(folder, "c.txt"))
    assert (file.name, file.size) == ("c.txt", 10)
    assert storage.read_bytes(file.place) == b"0123456789"


def test_the_tag_changes_with_the_content(folder):
    place = storage.join(folder, "c.txt")
    before = storage.stored_file(place)
    storage.write_bytes(place, b"9876543210")
    after = storage.stored_file(place)
    assert before.size == after.size
    assert before.tag != after.tag
    assert storage.read_bytes(place) == b"9876543210"
    assert storage.list_files(place)[0].tag == after.tag


def test_a_stream_can_be_moved_about_in(folder):
    with storage.open_file(storage.join(folder, "c.txt")) as stream:
        assert stream.seekable()
        assert stream.seek(-4, 2) == 6
        assert stream.read() == b"6789"
        assert stream.seek(2) == 2
        assert stream.read(3) == b"234"
        assert stream.tell() == 5


def test_what_is_there_is_told_from_what_is_not(folder):
    there = [storage.join(folder, name) for name in ("b", "c.txt")]
    assert [storage.exists(place) for place in there] == [True, True]
    assert [storage.is_folder(place) for place in there] == [True, False]
    missing = storage.join(folder, "d")
    assert not storage.exists(missing)
    assert not storage.is_folder(missing)
    assert storage.list_files(missing, missing_ok=True) == []
    for look in (storage.list_files, storage.stored_file, storage.read_bytes):
        with pytest.raises(MissingFileError, match="does not exist"):
            look(missing)
    for look in (storage.stored_file, storage.read_bytes):
        with pytest.raises((FileFormatError, MissingFileError)):
            look(there[0])


def test_a_block_that_fails_leaves_what_was_there(folder):
    def write_half(name: str) -> None:
        with storage.writing(storage.join(folder, name)) as stream:
            stream.write(b"half of ")
            raise RuntimeError("in the middle")

    for name in ("c.txt", "new.bin"):
        with pytest.raises(RuntimeError, match="in the middle"):
            write_half(name)
    assert storage.read_bytes(storage.join(folder, "c.txt")) == b"0123456789"
    assert names(storage.list_files(folder)) == sorted(CONTENTS)


def test_what_is_being_written_is_no_file_yet(folder):
    place = storage.join(folder, "later", "big.bin")
    content = os.urandom(1 << 20) * 40
    with storage.writing(place) as stream:
        stream.write(content[:-5])
        stream.flush()
        assert names(storage.list_files(folder)) == sorted(CONTENTS)
        stream.write(content[-5:])
        stream.seek(0)
        stream.write(content[:3])  # as writers of some formats do
    assert storage.read_bytes(place) == content


def test_files_and_folders_go(folder):
    for _ in range(2):  # a second time there is nothing to do
        storage.remove(storage.join(folder, "c.txt"))
        storage.remove_folder(storage.join(folder, "b"))
    assert names(storage.list_files(folder)) == ["a.Parquet"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    people = tmp_path / "people"
    other = tmp_path / "other"
    for place in (people, other):
        place.mkdir()
        (place / "1.jpg").write_bytes(b"image")
    (people / "linked").symlink_to(other, target_is_directory=True)
    (people / "around").symlink_to(people, target_is_directory=True)
    (people / "nothing.jpg").symlink_to(tmp_path / "gone")
    os.mkfifo(people / "pipe.jpg")
    files = storage.list_files(people)
    assert names(files) == ["1.jpg", "linked/1.jpg", "nothing.jpg", "pipe.jpg"]
    with pytest.raises(MissingFileError):
        storage.open_file(files[2].place)
    with pytest.raises(FileFormatError, match="a pipe"):
        storage.open_file(files[3].place)


def test_only_texts_are_urls():
    assert storage.is_url("s3://bucket/x")
    assert storage.is_url("simplecache::s3://bucket/x")
    assert not storage.is_url(Path("s3://bucket/x"))
    assert not storage.is_url("C:\\faces")
    assert not storage.is_url("/faces//2024")


def test_a_protocol_that_nobody_knows_is_named():
    pytest.importorskip("fsspec")
    with pytest.raises(UnknownNameError, match=r"unknown protocol of a url 's33'; did you mean"):
        storage.list_files("s33://bucket")


@pytest.mark.parametrize(
    ("url", "library", "command"),
    [
        ("s3://b/x", "s3fs", r"pip install 'probefusion\[remote\]'"),
        ("gs://b/x", "gcsfs", "pip install gcsfs"),
        ("hf://datasets/b/x", "huggingface_hub", "pip install huggingface_hub"),
        ("sftp://anna:secret@b/x", "paramiko", "pip install paramiko"),
    ],
)
def test_a_library_that_is_not_installed_is_named(monkeypatch, url, library, command):
    registry = pytest.importorskip("fsspec.registry")
    for protocol in ("s3", "gs", "hf", "sftp"):
        monkeypatch.delitem(registry._registry, protocol, raising=False)
    for name in (library, "fsspec.implementations.sftp"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=command) as caught:
        storage.read_bytes(url)
    assert library in str(caught.value)
    assert "secret" not in str(caught.value)


def test_paths_need_no_fsspec(tmp_path):
    code = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from probefusion.archives.files import storage\n"
        "from probefusion.errors import MissingExtraError\n"
        "storage.write_bytes(sys.argv[1] + '/a.bin', b'a')\n"
        "print([file.name for file in storage.list_files(sys.argv[1])])\n"
        "try: storage.exists('s3://bucket')\n"
        "except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "['a.bin']",
        "using 's3://bucket' needs the package 'fsspec', which is not installed. Install it with: pip install "
        "'probefusion[remote]'",
    ]


def test_a_folder_that_may_not_be_listed_is_an_error(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StorageError, match=r"may not be listed \(Permission denied\)"):
        storage.list_files(tmp_path)
