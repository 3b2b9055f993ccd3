"""Files behind a url, by fsspec: what `probefusion.archives.files.storage` does where a place is no path."""

from __future__ import annotations

import io
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from probefusion.errors import (
    FileFormatError,
    MissingExtraError,
    MissingFileError,
    ProbeFusionError,
    StorageError,
    UnknownNameError,
)
from probefusion.extras import import_extra
from probefusion.files import DRAFT_PREFIX

__all__ = ["StoredFile", "create_file", "shown_place"]

_BLOCK = 4 << 20
"""Bytes that are read ahead: a shard is read from end to end, a Parquet file in large pieces."""
_IN_ONE_PUT = 32 << 20
"""Larger files go from the disk, in parts, by the library's own upload."""
_APPEAR_AT_ONCE = frozenset({"s3", "s3a", "gs", "gcs", "hf", "az", "abfs", "abfss", "memory"})
"""Protocols whose files appear when the upload is whole; with others a draft gets its name at the end."""
_IN_EXTRA = frozenset({"fsspec", "s3fs"})
_TAGS = ("ETag", "etag", "blob_id", "mtime", "LastModified", "modified", "created")
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 8
_LONGEST_REASON = 200


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file as a listing tells it.

    Attributes:
        name: Its name below the folder that was listed, parts separated by "/".
        place: Its path or url.
        size: Bytes.
        tag: What changes when its content is written anew: time of change, or the tag that the store gives.
    """

    name: str
    place: str
    size: int
    tag: str


def shown_place(place: str | os.PathLike[str]) -> str:
    """A path or url as a message can show it: without names of users, passwords and signed queries.

    Example:
        >>> shown_place("sftp://anna:secret@host/faces?token=5")
        'sftp://***@host/faces?***'
    """
    text = os.fspath(place)
    if "//" not in text or not isinstance(place, str):
        return text
    return re.sub(r"\?[^\s\"']*", "?***", re.sub(r"//[^/\s@]*@", "//***@", text))


def list_files(url: str) -> list[StoredFile] | None:
    """All files below a url in any order, or the one file; None if there is nothing."""
    with _telling(url, "listed"):
        system, root = _open_system(url)
        try:
            found = system.find(root, detail=True)
            if not found and not system.exists(root):
                return None
        except FileNotFoundError as error:
            if not isinstance(error.__cause__, Exception) or "Bucket" not in str(error.__cause__):
                return None
            raise
    root = root.rstrip("/")
    files = []
    for path, facts in found.items():
        name = str(path)[len(root) :].strip("/")
        if str(path).endswith("/") or facts.get("type") == "directory":
            continue
        if name.rpartition("/")[2].startswith(DRAFT_PREFIX):
            continue
        place = f"{url.rstrip('/')}/{name}" if name else url
        files.append(_stored(name or root.rpartition("/")[2], place, facts))
    return files


def stored_file(url: str) -> StoredFile:
    """Name, size and tag of one file."""
    with _telling(url, "looked at"):
        system, path = _open_system(url)
        facts = system.info(path)
    if facts.get("type") == "directory":
        raise FileFormatError(f"{shown_place(url)!r}: expected a file, got a folder. Name a file.")
    return _stored(path.rstrip("/").rpartition("/")[2], url, facts)


def kind_of(url: str) -> str | None:
    """What is at a url: "file", "directory", or None where there is nothing."""
    with _telling(url, "looked at"):
        system, path = _open_system(url)
        try:  # fsspec's own `exists` is False for whatever goes wrong
            return str(system.info(path)["type"])
        except FileNotFoundError:
            return None


def open_file(url: str) -> IO[bytes]:
    """Opens a file for reading."""
    with _telling(url, "read"):
        system, path = _open_system(url)
        stream = system.open(path, "rb", block_size=_BLOCK)
        if getattr(stream, "details", {}).get("type") == "directory":
            stream.close()
            raise IsADirectoryError
        if not stream.seekable():
            stream.close()
            raise StorageError(
                f"{shown_place(url)!r}: its server cannot send parts of a file, which is needed. Download it first."
            )
    return io.BufferedReader(_RemoteStream(stream, url))


@contextmanager
def writing(url: str) -> Iterator[IO[bytes]]:
    """A stream for a file that appears whole at the end; it waits on this machine's disk."""
    with tempfile.NamedTemporaryFile(prefix=DRAFT_PREFIX) as draft:
        yield draft
        draft.flush()
        size = draft.seek(0, io.SEEK_END)
        draft.seek(0)
        with _telling(url, "written"):
            system, path = _open_system(url)
            target = path
            if not _APPEAR_AT_ONCE.intersection(_protocols(system)):
                folder, _, _name = path.rpartition("/")
                system.makedirs(folder, exist_ok=True)
                target = f"{folder}/{DRAFT_PREFIX}{secrets.token_hex(8)}"
            if size <= _IN_ONE_PUT:
                system.pipe_file(target, draft.read())
            else:
                system.put_file(draft.name, target)
            if target != path:
                system.mv(target, path)


def create_file(url: str, data: bytes) -> bool:
    """Writes a small file where there is none; whether it did.

    Of two that try at once one succeeds where the store decides it itself, as S3 does; others only look before.
    """
    with _telling(url, "written"):
        system, path = _open_system(url)
        try:
            if not _APPEAR_AT_ONCE.intersection(_protocols(system)):
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
            system.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            if _is_taken(error):
                return False
            raise
    return True


def _is_taken(error: OSError) -> bool:
    """Whether a store refused to write as there is something already."""
    response = getattr(error.__cause__, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    return code in ("PreconditionFailed", "ConditionalRequestConflict") or "412" in str(error)


def remove(url: str) -> None:
    """Removes a file, if it is there."""
    with _telling(url, "removed"):
        system, path = _open_system(url)
        with suppress(FileNotFoundError):
            system.rm_file(path)


def remove_folder(url: str) -> None:
    """Removes all files below a url."""
    with _telling(url, "removed"):
        system, path = _open_system(url)
        with suppress(FileNotFoundError):
            system.rm(path, recursive=True)


def _stored(name: str, place: str, facts: Mapping[str, Any]) -> StoredFile:
    key = next((key for key in _TAGS if facts.get(key)), None)
    value = facts[key] if key else ""
    value = value.timestamp() if isinstance(value, datetime) else value
    tag = f"{key.lower()}:{value}" if key else "none"
    return StoredFile(name=name, place=place, size=int(facts.get("size") or 0), tag=tag)


def _protocols(system: Any) -> tuple[str, ...]:
    known = system.protocol
    return (known,) if isinstance(known, str) else tuple(known)


def _open_system(url: str) -> tuple[Any, str]:
    """The file system of a url, and the path in it; what it listed before is forgotten.

    Raises:
        UnknownNameError: If nothing is known of the protocol.
        MissingExtraError: If the protocol's library is not installed.
    """
    fsspec = import_extra("fsspec", extra="remote", purpose=f"using {shown_place(url)!r}")
    protocol = re.split(r"::|://", url, maxsplit=1)[0].lower()
    registry = import_extra("fsspec.registry", extra="remote", purpose="using a url")
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError as error:
        raise UnknownNameError(
            "protocol of a url", protocol, fsspec.available_protocols()
        ) from error
    except ImportError as error:
        library = registry.known_implementations[protocol]["class"].split(".")[0]
        missing = library if library != "fsspec" else _missing_module(error, protocol)
        raise MissingExtraError(
            missing,
            "remote",
            f"using {protocol}://",
            command=None if missing in _IN_EXTRA else f"pip install {missing}",
        ) from error
    system, path = fsspec.core.url_to_fs(url)
    system.invalidate_cache()
    return system, path


def _missing_module(error: ImportError, protocol: str) -> str:
    """The package that fsspec itself missed; it tells it by the error before its own."""
    cause = error.__cause__
    return (cause.name if isinstance(cause, ImportError) else error.name) or protocol


class _RemoteStream(io.RawIOBase):
    """A stream of fsspec whose errors are told in our words."""

    def __init__(self, stream: Any, url: str) -> None:
        self._stream = stream
        self._url = url

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        with _telling(self._url, "read"):
            data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


@contextmanager
def _telling(url: str, done: str) -> Iterator[None]:
    """Gives what any library raises our words; each has errors of its own, of no common base.

    Raises:
        MissingFileError: If it is not there.
        FileFormatError: If it is a folder.
        StorageError: If it is not allowed, there are no credentials, or the store cannot be reached.
    """
    where = shown_place(url)
    try:
        yield
    except ProbeFusionError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"{where!r} does not exist ({_reason(error)}).") from None
    except IsADirectoryError:
        raise FileFormatError(f"{where!r}: expected a file, got a folder. Name a file.") from None
    except Exception as error:  # noqa: BLE001 - see above
        raise StorageError(f"{where!r} {_trouble(error, done)}") from None


def _trouble(error: Exception, done: str) -> str:
    """What went wrong and what to do, as the rest of a sentence."""
    reason = _reason(error)
    if "Credentials" in type(error).__name__:
        return f"could not be {done}: no credentials ({reason}). Set those of its store in the environment."
    if isinstance(error, PermissionError) or re.match(r"Forbidden|Unauthorized|40[13]", reason):
        return f"may not be {done} ({reason}). Ask for the right, or set other credentials in the environment."
    return (
        f"could not be {done} ({reason}). Look at the network and the end point, then run it again."
    )


def _reason(error: Exception) -> str:
    """What a library says, in one line and without secrets."""
    text = shown_place(" ".join(str(error).split())) or type(error).__name__
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."
