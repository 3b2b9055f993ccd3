"""Who did what to a gallery, as a chain of entries, each with the hash of the one before: no change goes unseen."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from probefusion.errors import ConfigError, DtypeError, FileFormatError
from probefusion.files.paths import brief

__all__ = [
    "Anchor",
    "AuditEntry",
    "append_entry",
    "check_actor",
    "first_hash",
    "make_entry",
    "names_subject",
]

VERSION = 1
"""Version of the entries."""

_ID = re.compile(r"[0-9A-Za-z_.:-]{1,128}")
_ACTION = re.compile(r"[a-z][a-z0-9_ .:-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_LONGEST_ACTOR = 256
_LARGEST_ENTRY = 1 << 24
"""Bytes of an entry at most: a change of some 100,000 subjects."""
MOST_SUBJECTS = 10_000
"""Ids that an entry names at most; of more it keeps the hash and the number."""
_LARGEST_NUMBER = 2**53
_FIELDS = {
    "action",
    "actor",
    "mac",
    "previous",
    "revision",
    "sequence",
    "subjects",
    "time",
    "version",
}


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A place in the chain, to be noted elsewhere: if the chain was cut or changed up to there, it shows.

    Args:
        sequence: Number of the entry; 0 for the beginning, before the first.
        hash: SHA-256 of the entry, 64 hexadecimal digits.
    """

    sequence: int
    hash: str

    def __str__(self) -> str:
        """As "12:0a1b...", which `parse` reads."""
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """The anchor of a text.

        Raises:
            ConfigError: If it is none.
        """
        number, _, digest = text.strip().partition(":")
        if re.fullmatch(r"[0-9]{1,15}", number) is None or _HASH.fullmatch(digest) is None:
            raise ConfigError(
                f"anchor: expected a number, a colon and 64 hexadecimal digits, got {text[:100]!r}. "
                f"Copy it from the output of an earlier check."
            )
        return cls(sequence=int(number), hash=digest)


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One entry. It names people and contributions by opaque ids alone, so that it may outlive them.

    Args:
        sequence: Its number, from 1, without gaps.
        time: UTC time of the clock, ISO 8601; the clock may go backwards, the sequence does not.
        actor: Who did it, as the application names its users; at most 256 characters, "" if unknown.
        action: What was done, as "enroll".
        subjects: Opaque ids of the people and contributions concerned; of more than 10,000 "sha256:" with the SHA-256
            of the ids, in their order, each followed by a line feed, and "count:" with their number.
        revision: Revision of the collection that it made, or None.
        previous: Hash of the entry before.
        mac: HMAC-SHA256 of all the rest, or None where there is no key.
    """

    sequence: int
    time: str
    actor: str
    action: str
    subjects: tuple[str, ...]
    revision: int | None
    previous: str
    mac: str | None = None

    def encoded(self) -> bytes:
        """The entry as it is stored: JSON with sorted names, without blanks, in ASCII."""
        return _canonical(self._content() | {"mac": self.mac})

    @property
    def hash(self) -> str:
        """SHA-256 of `encoded`, 64 hexadecimal digits."""
        return hashlib.sha256(self.encoded()).hexdigest()

    @property
    def anchor(self) -> Anchor:
        """Its place in the chain."""
        return Anchor(sequence=self.sequence, hash=self.hash)

    def signature(self, key: bytes) -> str:
        """The HMAC that it should hold."""
        return hmac.new(key, _canonical(self._content()), hashlib.sha256).hexdigest()

    def is_signed_by(self, key: bytes) -> bool:
        """Whether somebody who has the key made it."""
        return self.mac is not None and hmac.compare_digest(self.mac, self.signature(key))

    @classmethod
    def parse(cls, data: bytes) -> AuditEntry:
        """The entry of its stored bytes.

        Raises:
            FileFormatError: If they are no entry, or one that is written in another way than `encoded` writes it.
        """
        try:
            content = json.loads(data) if len(data) <= _LARGEST_ENTRY else None
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or set(content) != _FIELDS or not _fits(content):
            raise FileFormatError(
                "audit entry: expected an entry of this version, got other bytes."
            )
        entry = cls(
            **{name: content[name] for name in _FIELDS - {"version", "subjects"}},
            subjects=tuple(content["subjects"]),
        )
        if entry.encoded() != data:
            raise FileFormatError(
                "audit entry: expected canonical JSON, got the same in other characters."
            )
        return entry

    def _content(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "actor": self.actor,
            "previous": self.previous,
            "revision": self.revision,
            "sequence": self.sequence,
            "subjects": list(self.subjects),
            "time": self.time,
            "version": VERSION,
        }


def first_hash(collection: str) -> str:
    """What the first entry of a collection names as the hash before it: chains cannot be exchanged."""
    name = collection.encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"probefusion audit 1\x00" + name).hexdigest()


def make_entry(
    after: Anchor,
    *,
    action: str,
    actor: str = "",
    subjects: tuple[str, ...] = (),
    revision: int | None = None,
    time: str | None = None,
    key: bytes | None = None,
) -> AuditEntry:
    """The entry that follows a place in the chain.

    Args:
        after: The entry before, or `Anchor(sequence=0, hash=first_hash(collection))`.
        action: What was done: small letters, digits, blanks.
        actor: Who did it.
        subjects: Opaque ids, never names.
        revision: Revision of the collection that it made.
        time: UTC time, ISO 8601; None takes the clock.
        key: 32 secret bytes that sign it (`KeyStore.derive("audit")`), or None.

    Raises:
        ConfigError: If an id, the action or the actor is none that an entry can hold.
    """
    if _ACTION.fullmatch(action) is None:
        raise ConfigError(
            f"action: expected a word as 'enroll', got {action[:60]!r}. Use small letters."
        )
    for subject in subjects:
        if _ID.fullmatch(subject) is None:
            raise ConfigError(
                f"subjects: expected opaque ids of letters, digits and _.:-, got {brief(subject)}. "
                f"Give the id, not the name."
            )
    check_actor(actor)
    entry = AuditEntry(
        sequence=after.sequence + 1,
        time=datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        if time is None
        else time,
        actor=actor,
        action=action,
        subjects=_bounded(subjects),
        revision=revision,
        previous=after.hash,
    )
    if key is None:
        return entry
    return AuditEntry(**{**entry.__dict__, "mac": entry.signature(key)})


def names_subject(text: str) -> bool:
    """Whether an entry can name a text as one of its subjects; what is left of a damaged id may be none."""
    return _ID.fullmatch(text) is not None


def check_actor(actor: object) -> str:
    """Who makes changes, as entries can hold it.

    Raises:
        DtypeError: If it is no text.
        ConfigError: If it is longer than 256 characters, or not printable.
    """
    if not isinstance(actor, str):
        raise DtypeError(f"actor: expected a text, got {brief(actor)}. Give a short id.")
    if len(actor) > _LONGEST_ACTOR or not actor.isprintable():
        raise ConfigError(
            f"actor: expected at most {_LONGEST_ACTOR} printable characters, got {brief(actor)}. Give a short id."
        )
    return str(actor)


def append_entry(
    last: bytes | None,
    *,
    collection: str,
    action: str,
    actor: str = "",
    subjects: tuple[str, ...] = (),
    revision: int | None = None,
    time: str | None = None,
    key: bytes | None = None,
    number: int | None = None,
) -> tuple[int, bytes]:
    """Sequence number and bytes of the entry that comes after the newest of a collection.

    Args:
        last: The newest entry, or None if there is none.
        collection: Name of the collection.
        action: As for `make_entry`, with all that follows.
        actor: As for `make_entry`.
        subjects: As for `make_entry`.
        revision: As for `make_entry`.
        time: As for `make_entry`.
        key: As for `make_entry`.
        number: Of the newest entry; None takes what it says itself. With it, a damaged one is no hindrance: the chain
            goes on from the bytes that lie there, and looking through it tells what became of them.

    Raises:
        ConfigError: As for `make_entry`.
        FileFormatError: If the newest entry is damaged, and no number was given.

    Example:
        >>> number, entry = append_entry(None, collection="main", action="enroll", subjects=("p1",))
        >>> append_entry(entry, collection="main", action="update", subjects=("p1",))[0]
        2
    """
    if last is None:
        before = Anchor(sequence=0, hash=first_hash(collection))
    elif number is None:
        before = AuditEntry.parse(last).anchor
    else:
        before = Anchor(sequence=number, hash=hashlib.sha256(last).hexdigest())
    entry = make_entry(
        before, action=action, actor=actor, subjects=subjects, revision=revision, time=time, key=key
    )
    return entry.sequence, entry.encoded()


def _bounded(subjects: tuple[str, ...]) -> tuple[str, ...]:
    """What an entry names: it must stay short enough to be read back at the next change."""
    if len(subjects) <= MOST_SUBJECTS:
        return tuple(subjects)
    digest = hashlib.sha256("".join(f"{subject}\n" for subject in subjects).encode("ascii"))
    return f"sha256:{digest.hexdigest()}", f"count:{len(subjects)}"


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode(
        "ascii"
    )


def _fits(content: dict[str, Any]) -> bool:
    """Whether all values are of the types of an entry of this version."""
    texts = all(isinstance(content[name], str) for name in ("action", "actor", "time", "previous"))
    subjects = content["subjects"]
    return (
        texts
        and content["version"] == VERSION
        and _is_number(content["sequence"])
        and (content["revision"] is None or _is_number(content["revision"]))
        and _HASH.fullmatch(content["previous"]) is not None
        and (content["mac"] is None or _is_hash(content["mac"]))
        and isinstance(subjects, list)
        and all(isinstance(subject, str) for subject in subjects)
    )


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_NUMBER
