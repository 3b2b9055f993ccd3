"""Requests that were refused (401, 403) in the log of accesses: the first of a kind at once, the rest as a count.

A flood of them must not fill the disk. So of each kind - who, from where, what - the first of a minute has an entry of
its own, and the others of that minute have one together. Of more than five kinds a minute the rest is one count; those
with a valid key are counted apart, so that strangers cannot hide them.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from probefusion.errors import FileFormatError, ProbeFusionError
from probefusion.gallery.audit.trail import AuditEntry
from probefusion.service.guards.access_log import AccessLog, as_subject, read_access_log

__all__ = ["UNKNOWN", "NotedRefusal", "RefusalKind", "Refusals", "read_refusals"]

UNKNOWN = "unknown"
"""Who has no valid key."""

_log = logging.getLogger("probefusion.service")

_FIRST, _MORE = "refused", "refused again"
_VARIOUS = "various keys"
_SECONDS = 60.0
_MOST_KINDS = 5

_Entry = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class RefusalKind:
    """Who was refused what. The key itself is never in it.

    Args:
        actor: Id of the valid key, or "unknown".
        status: 401 or 403.
        reason: Why, as the code of the answer: "key", "role", "cross-site".
        operation: Name of the operation, "none" where there is no such path.
        collection: That the path names, if it is served; else None.
        address: From where, or None.
        named_key: Id that a key named which is not valid, if the file of keys has it: it has expired, or somebody
            tries secrets. None otherwise.
    """

    actor: str
    status: int
    reason: str
    operation: str
    collection: str | None
    address: str | None
    named_key: str | None

    def subjects(self) -> tuple[str, ...]:
        """As entries hold it."""
        given = {
            "collection": self.collection,
            "status": str(self.status),
            "reason": self.reason,
            "operation": self.operation,
            "address": self.address,
            "key": self.named_key,
        }
        return tuple(as_subject(name, value) for name, value in given.items() if value)


class Refusals:
    """Notes requests that were refused. For several threads; each process of a service counts its own.

    Args:
        log: Where they are noted.
        seconds: Time that is summed up.
        most_kinds: Kinds that have entries of their own in that time, of strangers and of valid keys each.
    """

    def __init__(
        self, log: AccessLog, *, seconds: float = _SECONDS, most_kinds: int = _MOST_KINDS
    ) -> None:
        self._entries = log
        self._seconds, self._most_kinds = seconds, most_kinds
        self._lock = threading.Lock()
        self._more: dict[RefusalKind, int] = {}
        self._others: Counter[str] = Counter()
        self._timer: threading.Timer | None = None

    def count(self, kind: RefusalKind) -> bool:
        """Counts one, without waiting for a disk; whether it is the first of its kind, which `write` is to note."""
        with self._lock:
            if kind in self._more:
                self._more[kind] += 1
                return False
            is_stranger = kind.actor == UNKNOWN
            alike = sum((each.actor == UNKNOWN) is is_stranger for each in self._more)
            if alike >= self._most_kinds:
                self._others[UNKNOWN if is_stranger else _VARIOUS] += 1
                return False
            self._more[kind] = 0
            if self._timer is None:
                self._timer = threading.Timer(self._seconds, self.sum_up)
                self._timer.daemon = True
                self._timer.start()
            return True

    def write(self, kind: RefusalKind) -> None:
        """Notes the first of a kind."""
        self._write([(kind.actor, _FIRST, kind.subjects())])

    def sum_up(self) -> None:
        """Notes how many were counted since, and begins anew."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            more, others = self._more, self._others
            self._more, self._others = {}, Counter()
        entries = [
            (kind.actor, _MORE, (*kind.subjects(), f"count:{number}"))
            for kind, number in more.items()
            if number
        ]
        entries += [(actor, _MORE, (f"count:{number}",)) for actor, number in others.items()]
        self._write(entries)

    def close(self) -> None:
        """Notes what was counted."""
        self.sum_up()

    def _write(self, entries: Sequence[_Entry]) -> None:
        """Whoever was refused stays refused, whatever becomes of the note."""
        try:
            self._entries.note_all(entries)
        except ProbeFusionError as error:
            _log.error("requests that were refused could not be noted: %s", error)


@dataclass(frozen=True, kw_only=True)
class NotedRefusal:
    """Requests that were refused, as an entry of the log tells it.

    Args:
        sequence: Number of the entry.
        time: UTC time of the first, or of the end of the count, ISO 8601.
        actor: Id of the key, "unknown", or "various keys".
        count: How many.
        status: "401" or "403"; "", as all that follows, in the count of those of more kinds than are told.
        reason: Why: "key", "role", "cross-site".
        operation: What was asked for.
        collection: Whose, or "".
        address: From where, or "".
        key: Id of a key of the file whose secret was wrong or that has expired, or "".
    """

    sequence: int
    time: str
    actor: str
    count: int
    status: str = ""
    reason: str = ""
    operation: str = ""
    collection: str = ""
    address: str = ""
    key: str = ""


def read_refusals(path: Path) -> Iterator[NotedRefusal]:
    """Requests that were refused, in the order of a log; entries that are damaged are told by `verify_access_log`.

    Args:
        path: The file.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If the file does not end with a whole line.
    """
    return _refusals_of(read_access_log(path))


def _refusals_of(lines: Iterable[bytes]) -> Iterator[NotedRefusal]:
    for line in lines:
        try:
            entry = AuditEntry.parse(line)
        except FileFormatError:
            continue
        if entry.action in (_FIRST, _MORE):
            told = dict(subject.partition(":")[::2] for subject in entry.subjects)
            count = told.pop("count", "1")
            names = ("status", "reason", "operation", "collection", "address", "key")
            yield NotedRefusal(
                sequence=entry.sequence,
                time=entry.time,
                actor=entry.actor,
                count=int(count) if count.isdecimal() else 1,
                **{name: told.get(name) or told.get(f"{name}-sha256", "") for name in names},
            )
