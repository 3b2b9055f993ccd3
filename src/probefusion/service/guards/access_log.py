"""Who read or changed people, line by line: each entry holds the hash of the one before, as the gallery's own trail."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from probefusion.errors import FileFormatError, StoreError
from probefusion.files.paths import check_file
from probefusion.gallery.audit.trail import Anchor, AuditEntry, append_entry
from probefusion.gallery.audit.trail_check import AuditReport, verify_chain

__all__ = ["AccessLog", "as_subject", "read_access_log", "verify_access_log"]

_CHAIN = "accesses"
_LONGEST_LINE = 1 << 16


class AccessLog:
    """Appends entries to a file that only its owner reads. For several threads, and several processes by a lock.

    Every change is in the gallery's own audit trail as well, written in the same transaction; this file adds the
    reading.

    Args:
        path: The file, made if it is not there; None notes nothing.

    Raises:
        StoreError: If it cannot be written.
        FileFormatError: If the last line of the file is no entry.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._known: tuple[int, bytes | None] | None = None
        if path is not None:
            try:
                self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            except OSError as error:
                raise StoreError(
                    f"access log {str(path)!r}: it cannot be written ({error.strerror}). Name a file in a folder that "
                    f"may be written to."
                ) from None
            self._path = path
            last = self._last()
            if last is not None:
                AuditEntry.parse(last)

    def note(self, actor: str, action: str, subjects: tuple[str, ...] = ()) -> None:
        """Appends an entry.

        Args:
            actor: Id of the key.
            action: What was done, as "search".
            subjects: Collection, and ids of people.

        Raises:
            StoreError, FileFormatError: If it cannot be written.
        """
        self.note_all([(actor, action, subjects)])

    def note_all(self, entries: Sequence[tuple[str, str, tuple[str, ...]]]) -> None:
        """Appends entries, all or none of them.

        Args:
            entries: Of each actor, action and subjects, as for `note`.

        Raises:
            StoreError, FileFormatError: If they cannot be written.
        """
        if self._handle is None or not entries:
            return
        import fcntl

        with self._lock:
            fcntl.flock(self._handle, fcntl.LOCK_EX)  # other processes write to it too
            try:
                last, lines = self._last(), []
                for actor, action, subjects in entries:
                    _, last = append_entry(
                        last, collection=_CHAIN, action=action, actor=actor, subjects=subjects
                    )
                    lines.append(last + b"\n")
                self._append(b"".join(lines))
                self._known = os.lseek(self._handle, 0, os.SEEK_END), last
            finally:
                fcntl.flock(self._handle, fcntl.LOCK_UN)

    def _append(self, lines: bytes) -> None:
        """Writes whole lines or nothing.

        Raises:
            StoreError: If they cannot be written.
        """
        handle = self._handle if self._handle is not None else -1
        end = os.lseek(handle, 0, os.SEEK_END)
        try:
            written = os.write(handle, lines)
        except OSError as error:
            os.ftruncate(handle, end)
            raise StoreError(f"{self._path.name}: {error.strerror}.") from error
        if written < len(lines):  # a disk that is full takes a part
            os.ftruncate(handle, end)
            raise StoreError(f"{self._path.name}: the disk is full.")

    def close(self) -> None:
        """Writes to the disk and lets go of the file."""
        if self._handle is not None:
            os.fsync(self._handle)
            os.close(self._handle)
            self._handle = None

    def _last(self) -> bytes | None:
        handle = self._handle if self._handle is not None else -1
        end = os.lseek(handle, 0, os.SEEK_END)
        if end == 0:
            return None
        if self._known is not None and self._known[0] == end:  # nobody wrote since
            return self._known[1]
        begin = max(0, end - _LONGEST_LINE)
        tail = os.pread(handle, end - begin, begin)
        if not tail.endswith(b"\n"):
            raise FileFormatError(
                f"{self._path.name}: the last line is cut off. Keep the file, and begin another one."
            )
        return tail[:-1].rpartition(b"\n")[2]


def as_subject(kind: str, name: str) -> str:
    """What an entry names beside ids, as "collection:people"; a hash where the name has other characters."""
    if re.fullmatch(r"[0-9A-Za-z_.:-]{1,64}", name) is not None:
        return f"{kind}:{name}"
    return f"{kind}-sha256:{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def read_access_log(path: Path) -> Iterator[bytes]:
    """The entries of a file as bytes.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If the file does not end with a whole line.
    """
    with check_file(path, name="access log").open("rb") as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                raise FileFormatError(f"{path.name}: the last line is cut off.")
            yield line[:-1]


def verify_access_log(path: Path, *, anchors: Sequence[Anchor] = ()) -> AuditReport:
    """Whether the chain of a log is whole, whichever processes wrote to it.

    Args:
        path: The file.
        anchors: Places that were noted earlier.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If the file does not end with a whole line.
    """
    return verify_chain(read_access_log(path), collection=_CHAIN, anchors=anchors)
