"""What all parts of a `Gallery` share: the store, the keys, the models, reading and changing."""

from __future__ import annotations

import copy
import hashlib
import os
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

from probefusion.embedders import Embedder
from probefusion.errors import (
    ConfigError,
    ConflictError,
    DtypeError,
    IntegrityError,
    UnknownNameError,
)
from probefusion.files.paths import brief
from probefusion.fusion.decisions import Calibrated
from probefusion.gallery.argument_checks import (
    check_count,
    check_opening,
    check_seconds,
    check_time,
)
from probefusion.gallery.audit.trail import check_actor
from probefusion.gallery.changes.changing import Changing
from probefusion.gallery.contributions.kept_parts import KeptParts
from probefusion.gallery.contributions.material import Material, read_material
from probefusion.gallery.contributions.models import FuserChoice, Fusers
from probefusion.gallery.contributions.sums import StateCache
from probefusion.gallery.index.people_index import PeopleIndex
from probefusion.gallery.index.search_index import Kernel
from probefusion.gallery.keys.key_stock import StockedSealer
from probefusion.gallery.keys.master_key import MasterKey
from probefusion.gallery.keys.sealing import Sealer, open_keys
from probefusion.gallery.stores.opening import open_store
from probefusion.gallery.stores.records import Keep, PersonRow
from probefusion.gallery.stores.store import Reader, Store

__all__ = ["GalleryCore", "check_name", "check_new_name", "embedder_fingerprint", "utc"]

MOST_NAME_BYTES = 1024
"""A name of a person is at most so long in UTF-8."""

_NAMES_LISTED = 1000

Self = TypeVar("Self", bound="GalleryCore")


class GalleryCore:
    """A collection of people that is open: see `Gallery`, which has all its operations."""

    def __init__(
        self,
        address: str | os.PathLike[str],
        collection: str = "people",
        *,
        fuser: FuserChoice = "auto",
        embedder: str | Embedder | None = None,
        keep: Keep = "features",
        keys: str | os.PathLike[str] | MasterKey | None = None,
        key_file: str | os.PathLike[str] | None = None,
        actor: str = "",
        create: bool = True,
        calibration: Calibrated = None,
        kernel: Kernel = "auto",
        num_threads: int | None = None,
        timeout: float = 30.0,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        if keep not in ("features", "state"):
            raise ConfigError(f"keep: expected 'features' or 'state', got {keep!r}.")
        if not isinstance(collection, str):
            raise DtypeError(f"collection: expected a text, got {brief(collection)}.")
        check_opening(kernel=kernel, calibration=calibration, timeout=timeout, keys=keys)
        self.collection, self.keep, self.actor = str(collection), keep, check_actor(actor)
        self.embedder = embedder_fingerprint(embedder)
        self._calibration, self._kernel = calibration, kernel
        self._clock = clock or (lambda: datetime.now(timezone.utc))
        self._fusers = Fusers(fuser, num_threads=num_threads)
        self._indexes: dict[str, PeopleIndex] = {}
        self._lock = threading.Lock()
        self._at_revision: int | None = None
        self.store: Store = open_store(address, create=create, timeout=timeout)
        self._keys = None
        try:
            self._keys = open_keys(self.store, keys, key_file)
            if create:
                self.store.create(collection)
            self._sealer = Sealer(collection, self._keys)
            self._parts = KeptParts(self._sealer, StateCache())
            with self.store.reading(collection) as reader, suppress(IntegrityError):
                self._fusers.check_given(reader.models())  # a damaged model raises where it is used
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """Path or URL of the database, without a password."""
        return self.store.address

    @property
    def is_encrypted(self) -> bool:
        """Whether what is kept is sealed by keys."""
        return self._keys is not None

    @property
    def sealer(self) -> Sealer:
        """What seals and opens what is kept, for those who look after a gallery; it has the keys as `keys`."""
        return self._sealer

    def acting_as(self: Self, actor: str, *, at_revision: int | None = None) -> Self:
        """The same open gallery, whose changes are said to be made by somebody else; closed with this one.

        Args:
            actor: Who makes changes from here on, for history and audit trail.
            at_revision: Changes are made only while the collection has this revision, and refused with ConflictError
                after others changed it; None makes them at any.

        Raises:
            DtypeError, ConfigError: If it is no text of at most 256 printable characters.
        """
        other = copy.copy(self)
        other._at_revision = (
            None if at_revision is None else check_count(at_revision, "at_revision")
        )
        other.actor = check_actor(actor)
        return other

    def wait(self, *, after: int, timeout: float) -> int:
        """Waits until somebody has changed the collection.

        Args:
            after: The revision that is known.
            timeout: Seconds to wait at most, 0 or more.

        Returns:
            The newest revision.

        Raises:
            DtypeError, ConfigError: If one of them is no number of 0 or more.
        """
        after, timeout = check_count(after, "after"), check_seconds(timeout, "timeout")
        return self.store.wait(self.collection, after=after, timeout=timeout)

    @property
    def revision(self) -> int:
        """How many changes the collection has seen, those of other processes included."""
        return self.store.revision(self.collection)

    @property
    def version(self) -> str:
        """Names what the collection holds: other contents have another one, also after an older copy was restored."""
        with self._reading() as reader:
            last = reader.last_audit()
            return f"{reader.revision}-{hashlib.sha256(last or b'').hexdigest()[:16]}"

    def close(self) -> None:
        """Lets go of the database; further use raises ConfigError."""
        self.store.close()
        if self._keys is not None:
            self._keys.close()

    def __enter__(self: Self) -> Self:
        """The gallery itself; closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the gallery."""
        self.close()

    def __repr__(self) -> str:
        return f"<Gallery: {self.address}, collection {self.collection!r}>"

    def _material(self, what: Any) -> Material:
        return read_material(what, embedder=self.embedder)

    @contextmanager
    def _reading(self) -> Iterator[Reader]:
        with self.store.reading(self.collection) as reader:
            yield reader

    @contextmanager
    def _changing(self, action: str, *, num_keys: int = 0) -> Iterator[Changing]:
        """One change; `finish` is called at the end of the block, unless it raised or was given up.

        Args:
            action: What is done.
            num_keys: New keys that it will need, where they are many.
        """
        change = None
        try:
            with self.store.writing(self.collection) as writer:
                self._sealer.check_fits(self.store)
                self._check_revision(writer.revision - 1)  # that of the change is the next one
                change = Changing(
                    writer,
                    sealer=StockedSealer(self._sealer, num_keys) if num_keys else self._sealer,
                    fusers=self._fusers,
                    parts=self._parts,
                    action=action,
                    actor=self.actor,
                    time=self._now(),
                )
                yield change
                if not change.is_given_up:
                    change.finish()
        except BaseException:
            if change is not None:
                change.forget_states()
            raise

    def _check_revision(self, revision: int) -> None:
        if self._at_revision not in (None, revision):
            raise ConflictError(
                f"{self.collection!r}: expected revision {self._at_revision}, others have changed it to {revision}. "
                f"Read again, then decide."
            )

    def _now(self) -> str:
        return (
            check_time(self._clock(), "clock")
            .astimezone(timezone.utc)
            .isoformat(timespec="milliseconds")
        )

    def _index(self, model_id: str) -> PeopleIndex:
        """The index of a model, with all that was written."""
        with self._lock:
            index = self._indexes.get(model_id)
        with self._reading() as reader:
            if index is None:
                model = next((row for row in reader.models() if row.id == model_id), None)
                if model is None:
                    raise UnknownNameError("model", model_id, [row.id for row in reader.models()])
                with self._lock:
                    index = self._indexes.setdefault(
                        model_id, PeopleIndex(model, self._sealer, self._kernel)
                    )
            before = index.revision
            index.follow(reader)
            if before >= 0:
                self._drop_forgotten(reader, before)
        return index

    def _drop_forgotten(self, reader: Reader, after: int) -> None:
        """Forgets in memory as well what other processes have forgotten."""
        for change in reader.changes(after=after, actions=("forget", "compact")):
            for subject in change.subjects:
                self._parts.cache.drop(subject)

    def _person(self, reader: Reader, name: str) -> PersonRow:
        """The person who is shown under a name or has an id.

        Raises:
            UnknownNameError: If there is none.
        """
        wanted = check_name(name, is_new=False)
        found = reader.person_named(wanted) or reader.person(wanted)
        if found is None or not found.shown:
            reader.on_damage = "pass over"
            names = (person.name for person in islice(reader.people(), _NAMES_LISTED))
            raise UnknownNameError(f"person of {self.collection!r}", wanted, names)
        return found


def check_name(name: object, what: str = "name", *, is_new: bool = True) -> str:
    """A person's name as it is kept: in Unicode's form NFC, so that one name has one spelling.

    Args:
        name: The name.
        what: The argument, for messages.
        is_new: Whether somebody is to be named so. Looking for a name lets through what another release of Unicode
            or of this package has allowed.

    Raises:
        DtypeError: If it is no text.
        ConfigError: If it is empty, longer than 1,024 bytes, begins or ends with blanks, or has characters that
            cannot be printed or seen. Joiners may stand between letters of scripts that need them.
    """
    if not isinstance(name, str):
        raise DtypeError(f"{what}: expected a text, got {brief(name)}.")
    if len(name) > MOST_NAME_BYTES:
        raise ConfigError(
            f"{what}: expected at most {MOST_NAME_BYTES} bytes, got {len(name):,} characters. Give a shorter name."
        )
    kept = str(unicodedata.normalize("NFC", str(name)))
    bad = next((c for place, c in enumerate(kept) if _is_bad(kept, place, is_new)), None)
    if bad is not None:
        raise ConfigError(
            f"{what}: expected characters that can be printed and seen, got U+{ord(bad):04X} in {brief(name)}. Leave "
            f"it out."
        )
    if not kept.strip() or kept != kept.strip() or len(kept.encode()) > MOST_NAME_BYTES:
        raise ConfigError(
            f"{what}: expected 1 to {MOST_NAME_BYTES} bytes without blanks at the ends, got {brief(name)}."
        )
    return kept


def check_new_name(name: object, what: str = "name") -> str:
    """A name that somebody is to have from now on, as it is kept.

    Raises:
        DtypeError, ConfigError: As for `check_name`; if it looks like an id, so that it could mean somebody else.
    """
    kept = check_name(name, what)
    if _LIKE_AN_ID.fullmatch(kept):
        raise ConfigError(
            f"{what}: expected a name, got {kept!r}, which looks like an id of this gallery. Take another name."
        )
    return kept


_LIKE_AN_ID = re.compile("[pcmr][0-9a-f]{16}([.][0-9]+)?")
"""Ids as the gallery gives them to people, contributions, models, receipts and images."""

_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that show nothing."""

_JOINERS = "\u200c\u200d"
_FIRST_JOINED = "\u0600"
"""Scripts whose letters joiners change begin here; Latin, Greek, Cyrillic, Armenian and Hebrew lie before."""


def _is_bad(name: str, place: int, is_new: bool) -> bool:
    """Whether a character of a name cannot stand there."""
    character = name[place]
    kind = unicodedata.category(character)
    if kind in ("Cc", "Cs", "Zl", "Zp"):
        return True
    if not is_new:
        return False
    if character in _JOINERS:
        return not all(
            _is_joined(side) for side in (name[place - 1 : place], name[place + 1 :][:1])
        )
    return kind in ("Cf", "Cn") or character in _INVISIBLE


def _is_joined(side: str) -> bool:
    """Whether a joiner may stand beside a character: one of a joined script, or of pictures that form one."""
    if side == "" or side < _FIRST_JOINED:
        return False
    kind = unicodedata.category(side)
    return kind[0] in "LM" or kind in ("So", "Sk")


def embedder_fingerprint(embedder: str | Embedder | None) -> str | None:
    """Fingerprint of an embedder by fingerprint, name, file or itself."""
    if embedder is None or (isinstance(embedder, str) and "@" in embedder):
        return embedder
    if isinstance(embedder, str):
        from probefusion.zoo import resolve_embedder

        return resolve_embedder(embedder)[1].fingerprint
    fingerprint = getattr(embedder, "fingerprint", None)
    if not isinstance(fingerprint, str):
        raise DtypeError(
            f"embedder: expected a fingerprint, a name, a file or an embedder, got {brief(embedder)}."
        )
    return fingerprint


def utc(time: datetime | None) -> str | None:
    """A time as it is kept: UTC, ISO 8601.

    Raises:
        DtypeError: If it is no time.
        ConfigError: If it has no zone.
    """
    if time is None:
        return None
    return check_time(time).astimezone(timezone.utc).isoformat(timespec="milliseconds")
