"""Looking through the chain of audit entries: what was changed, is missing, was moved, added or forged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from probefusion.errors import FileFormatError
from probefusion.gallery.audit.trail import Anchor, AuditEntry, first_hash

__all__ = ["AuditFault", "AuditReport", "FaultKind", "verify_chain"]

FaultKind: TypeAlias = Literal[
    "unreadable", "changed", "missing", "moved", "repeated", "forged", "cut off"
]
"""What is wrong with an entry."""

_MOST_FAULTS = 100
"""Faults that a report lists; after so many no more are looked for."""


@dataclass(frozen=True, kw_only=True)
class AuditFault:
    """Something wrong in the chain.

    Args:
        sequence: Number of the first entry concerned.
        last: Number of the last one concerned.
        kind: "unreadable": no entry at all. "changed": the entry that follows names another hash for it. "missing":
            not there. "moved": there, at another place. "repeated": there twice. "forged": not made by who has the
            key. "cut off": the chain ends before a place that was noted.
        message: In words.
    """

    sequence: int
    last: int
    kind: FaultKind
    message: str


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What was found in a chain.

    Args:
        num_entries: Entries looked at.
        faults: What is wrong, at most 100; () if nothing is.
        last: The newest entry's place, to be noted elsewhere; None if there is no entry or it is unreadable.
        signatures_checked: Whether a key was given: without one, who can write the database can forge all of it.
        clock_steps: Numbers of entries whose time is before that of the entry before: no fault, clocks are set.
    """

    num_entries: int
    faults: tuple[AuditFault, ...]
    last: Anchor | None
    signatures_checked: bool
    clock_steps: tuple[int, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


@dataclass
class _Search:
    """What is known while going through the entries."""

    expected: int
    previous: str | None
    faults: list[AuditFault] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    forged: set[int] = field(default_factory=set)
    found_late: list[int] = field(default_factory=list)
    clock_steps: list[int] = field(default_factory=list)
    time: str = ""
    last: Anchor | None = None

    def add(self, sequence: int, kind: FaultKind, words: str, *, last: int | None = None) -> None:
        end = sequence if last is None else last
        which = f"entry {sequence}" if end == sequence else f"entries {sequence} to {end}"
        self.faults.append(
            AuditFault(sequence=sequence, last=end, kind=kind, message=f"{which}: {words}")
        )


def verify_chain(
    entries: Iterable[bytes],
    *,
    collection: str,
    key: bytes | None = None,
    anchors: Iterable[Anchor] = (),
    after: Anchor | None = None,
) -> AuditReport:
    """Looks through all entries in their order.

    A change of the newest entry alone, and a chain that was cut at its end, show only if its place was noted elsewhere
    (`anchors`); a chain that was made anew as a whole shows only by the key or by an anchor.

    Args:
        entries: Entries as they were stored.
        collection: Name of the collection.
        key: The 32 bytes that signed the entries, or None: signatures are not looked at.
        anchors: Places that were noted earlier.
        after: Where the entries begin, if older ones were taken away on purpose; None: at the very first.

    Returns:
        What was found.
    """
    noted = {anchor.sequence: anchor.hash for anchor in anchors}
    start = Anchor(sequence=0, hash=first_hash(collection)) if after is None else after
    search = _Search(expected=start.sequence + 1, previous=start.hash)
    number = 0
    for data in entries:
        number += 1
        if len(search.faults) < _MOST_FAULTS:
            _look_at(data, search, key, noted)
    _tell_gaps(search)
    for sequence in sorted(noted):
        if sequence >= search.expected:
            search.add(
                sequence, "cut off", f"noted earlier, but the chain ends with {search.expected - 1}"
            )
    return AuditReport(
        num_entries=number,
        faults=tuple(sorted(search.faults[:_MOST_FAULTS], key=lambda fault: fault.sequence)),
        last=search.last,
        signatures_checked=key is not None,
        clock_steps=tuple(search.clock_steps),
    )


def _look_at(data: bytes, search: _Search, key: bytes | None, noted: dict[int, str]) -> None:
    try:
        entry = AuditEntry.parse(data)
    except FileFormatError:
        search.add(
            search.expected, "unreadable", "no entry of this version, or not as it was written"
        )
        search.expected, search.previous, search.last = search.expected + 1, None, None
        return
    is_forged = key is not None and not entry.is_signed_by(key)
    if is_forged:
        search.forged.add(entry.sequence)
        search.add(entry.sequence, "forged", "not made by who has the key, or changed")
    if entry.sequence < search.expected:
        _look_at_late(entry, search)
        return
    if entry.sequence > search.expected:
        search.gaps.append((search.expected, entry.sequence - 1))
    elif search.previous not in (None, entry.previous) and entry.sequence - 1 not in search.forged:
        words = f"entry {entry.sequence} names another hash for what is before it"
        search.add(max(entry.sequence - 1, 1), "changed", words)
    if noted.get(entry.sequence, entry.hash) != entry.hash and not is_forged:
        search.add(entry.sequence, "changed", "its hash is not the one that was noted earlier")
    if entry.time < search.time:
        search.clock_steps.append(entry.sequence)
    search.time, search.last = entry.time, entry.anchor
    search.expected, search.previous = entry.sequence + 1, entry.hash


def _look_at_late(entry: AuditEntry, search: _Search) -> None:
    """An entry whose number was passed already."""
    was_missing = any(first <= entry.sequence <= last for first, last in search.gaps)
    if was_missing and entry.sequence not in search.found_late:
        search.found_late.append(entry.sequence)
        search.add(entry.sequence, "moved", "stands behind entries that came later")
    else:
        search.add(entry.sequence, "repeated", "stands there more than once")


def _tell_gaps(search: _Search) -> None:
    """Entries that were passed over and did not come later."""
    for first, last in search.gaps:
        start = first
        for found in sorted(number for number in search.found_late if first <= number <= last):
            if start < found:
                search.add(start, "missing", "not in the chain", last=found - 1)
            start = found + 1
        if start <= last:
            search.add(start, "missing", "not in the chain", last=last)
