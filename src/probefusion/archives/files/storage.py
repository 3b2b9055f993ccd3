"""Files of archives, on this machine or behind a url, by one small interface.

A *place* is a path or a url that fsspec knows (`s3://bucket/folder/a.parquet`, `gs://`, `hf://`, `memory://`). What is
written appears whole or not at all. Credentials, end points and the like come from the environment that the library
of each protocol reads (`AWS_PROFILE`, `AWS_ENDPOINT_URL`, `FSSPEC_S3_...`). Paths need none of these libraries.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TypeAlias

from probefusion.archives.files import remote_files
from probefusion.archives.files.remote_files import StoredFile, shown_place
from probefusion.errors import MissingFileError, StorageError
from probefusion.files import DRAFT_PREFIX, check_file, replace_at_once, replace_file

__all__ = [
    "Place",
    "StoredFile",
    "absolute_place",
    "exists",
    "is_folder",
    "is_url",
    "join",
    "list_files",
    "open_file",
    "read_bytes",
    "remove",
    "remove_folder",
    "shown_place",
    "stored_file",
    "write_bytes",
    "writing",
]

Place: TypeAlias = str | os.PathLike[str]
"""A path, or a url as text."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+::?//|[a-z0-9]+::")
_LOCAL = re.compile(r"(?:file|local)://")
_UNREACHABLE = "unreachable"


def is_url(place: Place) -> bool:
    """Whether a place is a url (a text; a `Path` never is).

    Example:
        >>> is_url("s3://faces/2024"), is_url("faces/2024"), is_url("C:/faces")
        (True, False, False)
    """
    return isinstance(place, str) and _URL.match(place) is not None


def join(folder: Place, *names: str) -> str:
    """The place of something below a folder.

    Example:
        >>> join("s3://faces/", "2024", "a.parquet")
        's3://faces/2024/a.parquet'
    """
    if _local(folder) is None:
        return "/".join([str(folder).rstrip("/"), *names])
    return str(Path(_path(folder), *names))


def absolute_place(place: Place) -> str:
    """The one text for a place, however it is given: a path without links, or the url."""
    path = _local(place)
    return str(place) if path is None else os.path.realpath(path)


def list_files(
    folder: Place, *, suffixes: Collection[str] = (), missing_ok: bool = False
) -> list[StoredFile]:
    """All files below a folder, in the order of their names, whatever the order a file system lists them in.

    Links are followed, but not around in circles. Unfinished files of `writing` are no files. A link to nothing, and
    what is no regular file, is listed; opening it says what is wrong.

    Args:
        folder: The folder; or one file, which then is all that is listed.
        suffixes: Endings that are wanted, in lower case, as ".parquet"; all files if empty.
        missing_ok: Whether a folder that is not there holds no files (object stores have no empty folders).

    Raises:
        MissingFileError: If there is nothing.
        StorageError: If a folder may not be listed, or a store cannot be reached.
        UnknownNameError, MissingExtraError: As for every url.
    """
    path = _local(folder)
    found = _below(path) if path is not None else remote_files.list_files(str(folder))
    if found is None:
        if missing_ok:
            return []
        raise MissingFileError(f"folder {shown_place(folder)!r} does not exist. Name another.")
    wanted = tuple(suffixes)
    kept = [file for file in found if not wanted or file.name.lower().endswith(wanted)]
    return sorted(kept, key=lambda file: file.name)


def stored_file(place: Place) -> StoredFile:
    """Name, size and tag of one file.

    Raises:
        MissingFileError: If it is not there.
        StorageError: If it may not be looked at, or a store cannot be reached.
    """
    path = _local(place)
    if path is None:
        return remote_files.stored_file(str(place))
    return _file_at(check_file(path), path.name)


def exists(place: Place) -> bool:
    """Whether there is a file or folder; never False because a store could not be reached.

    Raises:
        StorageError: If that cannot be told.
    """
    path = _local(place)
    if path is None:
        return remote_files.kind_of(str(place)) is not None
    with _telling(path, "looked at"):
        return path.exists()


def is_folder(place: Place) -> bool:
    """Whether there is a folder; in object stores: whether names begin with it and a slash.

    Raises:
        StorageError: If that cannot be told.
    """
    path = _local(place)
    if path is None:
        return remote_files.kind_of(str(place)) == "directory"
    with _telling(path, "looked at"):
        return path.is_dir()


def open_file(place: Place) -> AbstractContextManager[IO[bytes]]:
    """Opens a file for reading; the stream can be moved about in.

    Raises:
        MissingFileError: If it is not there.
        FileFormatError: If it is a folder or a pipe, or a path that may not be read.
        StorageError: If a url may not be read, or breaks off, also while it is read.
    """
    path = _local(place)
    if path is None:
        return remote_files.open_file(str(place))
    return check_file(path).open("rb")


def read_bytes(place: Place) -> bytes:
    """All of a file.

    Raises:
        MissingFileError, FileFormatError, StorageError: As for `open_file`.
    """
    with open_file(place) as stream:
        return stream.read()


@contextmanager
def writing(place: Place) -> Iterator[IO[bytes]]:
    """A stream (that can be moved about in) for a file that appears, or replaces what is there, when the block ends.

    Folders that it lies in are made. If the block fails, nothing appears. In an object store the file is one upload,
    or one of many parts that appears at once; where a store knows no such thing, it gets its name when it is whole.

    Args:
        place: Where the file shall stand.

    Raises:
        OSError: If the disk is full or may not be written to.
        StorageError: If a url may not be written to or its store cannot be reached.
    """
    path = _local(place)
    if path is None:
        with remote_files.writing(str(place)) as stream:
            yield stream
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_at_once(), replace_file(path, force=True) as stream:
        yield stream


def write_bytes(place: Place, data: bytes) -> None:
    """Writes a file at once, as `writing` does.

    Raises:
        OSError, StorageError: As for `writing`.
    """
    with writing(place) as stream:
        stream.write(data)


def remove(place: Place) -> None:
    """Removes a file, if it is there.

    Raises:
        OSError: If it cannot be removed.
        StorageError: The same of a url.
    """
    path = _local(place)
    if path is None:
        remote_files.remove(str(place))
    else:
        path.unlink(missing_ok=True)


def remove_folder(folder: Place) -> None:
    """Removes a folder with all that it holds, if it is there.

    Raises:
        OSError: If it cannot be removed.
        StorageError: The same of a url.
    """
    path = _local(folder)
    if path is None:
        remote_files.remove_folder(str(folder))
    elif path.exists():
        shutil.rmtree(path.resolve())  # what a link leads to, and the link
        path.unlink(missing_ok=True)


def _path(place: Place) -> str:
    """A path as text, without the `file://` that may stand before it."""
    return _LOCAL.sub("", os.fspath(place), count=1)


def _local(place: Place) -> Path | None:
    """The path of a place on this machine; None for other urls."""
    if is_url(place) and not _LOCAL.match(str(place)):
        return None
    return Path(_path(place))


def _below(folder: Path) -> list[StoredFile] | None:
    """All files below a folder of this machine, or the one file; None if there is nothing."""
    with _telling(folder, "looked at"):
        if not folder.exists():
            return None
        if not folder.is_dir():
            return [_file_at(folder, folder.name)]
    return list(_walk(folder, "", frozenset()))


def _walk(folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[StoredFile]:
    """Files below a folder; `above` are the folders that were gone through to it."""
    with _telling(folder, "listed"):
        found = folder.stat()
        with os.scandir(folder) as listing:
            entries = list(listing)
    here = (found.st_dev, found.st_ino)
    if here in above:
        return
    for entry in entries:
        if entry.is_dir():
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", above | {here})
        elif not entry.name.startswith(DRAFT_PREFIX):
            yield _file_at(Path(entry.path), prefix + entry.name)


def _file_at(path: Path, name: str) -> StoredFile:
    try:
        found = path.stat()
    except OSError:  # a link to nothing, or in a circle: opening it says so
        return StoredFile(name=name, place=str(path), size=0, tag=_UNREACHABLE)
    if not stat.S_ISREG(found.st_mode):
        return StoredFile(name=name, place=str(path), size=0, tag=_UNREACHABLE)
    return StoredFile(
        name=name, place=str(path), size=found.st_size, tag=f"mtime_ns:{found.st_mtime_ns}"
    )


@contextmanager
def _telling(path: Path, done: str) -> Iterator[None]:
    """Gives a refusal of the system our words."""
    try:
        yield
    except PermissionError as error:
        raise StorageError(
            f"{shown_place(path)!r} may not be {done} ({error.strerror}). Change its permissions, or name another."
        ) from error
