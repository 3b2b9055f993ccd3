"""How a kind of row stands in an SQL table: checked when written and read, with a checksum over its values."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec

from probefusion.errors import ConfigError, DtypeError, IntegrityError
from probefusion.files.paths import brief

__all__ = ["MAX_ID_BYTES", "Row", "Table", "check_id", "check_text", "storable"]

MAX_ID_BYTES = 1000
"""Ids and names of collections are at most so long in UTF-8; names of people may be of any length."""

_IDS = {
    "id",
    "person_id",
    "last_person",
    "contribution_id",
    "image_id",
    "model_id",
    "first",
    "second",
}
"""Columns that hold ids."""

_NUMBERS = {
    *("shown", "ignored", "left_out", "num_images", "place", "dim"),
    *("number", "revision", "undoes", "undone_by", "sequence"),
}
"""Columns that hold whole numbers."""

_BYTES = {"name_hash", "payload", "chip", "vector", "entry"}
"""Columns that hold bytes; all others hold text."""

_MAY_BE_NONE = {
    *("people.key_id", "contributions.person_id", "contributions.key_id", "vectors.vector"),
    *("models.embedder", "changes.undoes", "changes.undone_by"),
}

_LARGEST_NUMBER = 2**63 - 1

_SHOWN = 60
"""Characters of a text that a message shows."""

Row = TypeVar("Row")


def storable(text: str) -> bool:
    """Whether a text can stand in every store: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def check_text(text: str, *, name: str) -> None:
    """Refuses a text that not every store can keep.

    Raises:
        ConfigError: If it holds NUL or half of a surrogate pair.
    """
    if not storable(text):
        raise ConfigError(
            f"{name}: expected text without NUL and without halves of surrogate pairs, got {_short(text)}"
        )


def check_id(text: str, *, name: str) -> None:
    """Refuses what cannot be an id or the name of a collection.

    Raises:
        ConfigError: If it is empty, longer than `MAX_ID_BYTES`, or not storable.
    """
    check_text(text, name=name)
    length = len(text.encode())
    if not 0 < length <= MAX_ID_BYTES:
        raise ConfigError(
            f"{name}: expected 1 to {MAX_ID_BYTES} bytes of UTF-8, got {length}: {_short(text)}"
        )


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


@dataclass(frozen=True, kw_only=True)
class Table(Generic[Row]):
    """How a kind of row stands in a table.

    Args:
        name: Of the table.
        key: Columns that tell rows of a collection apart.
        columns: All columns but the collection and the checksum.
        values: The values of the columns, for a row.
        row: The row, for values of the columns.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    values: Callable[[Row], tuple[Any, ...]]
    row: Callable[[Sequence[Any]], Row]

    @cached_property
    def put(self) -> str:
        """Adds or replaces a row."""
        others = [column for column in (*self.columns, "crc") if column not in self.key]
        changed = ", ".join(f"{column} = excluded.{column}" for column in others)
        return f"{self.add} ON CONFLICT (collection, {', '.join(self.key)}) DO UPDATE SET {changed}"

    @cached_property
    def add(self) -> str:
        """Adds a row."""
        columns = ("collection", *self.columns, "crc")
        marks = ", ".join("?" for _ in columns)
        return f"INSERT INTO {self.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - own names

    def select(self, rest: str = "") -> str:
        """Rows of one collection: its number is the first value, those of `rest` follow."""
        columns = ", ".join((*self.columns, "crc"))
        return f"SELECT {columns} FROM {self.name} WHERE collection = ? {rest}"  # noqa: S608 - own names

    def write(self, collection: int, row: Row) -> tuple[Any, ...]:
        """Values for `put` and `add`.

        Raises:
            DtypeError: If a value is not exactly of the type of its column: it would be read back as another one.
            ConfigError: If a text or number cannot be stored, or an id is too long.
        """
        values = self.values(row)
        for column, value in zip(self.columns, values, strict=True):
            _check_type(value, column=column, name=f"{self.name}.{column}")
            if isinstance(value, str):
                check = check_id if column in _IDS else check_text
                check(value, name=f"{self.name}.{column}")
        return (collection, *values, _crc(collection, values))

    def read(self, collection: int, values: Sequence[Any]) -> Row:
        """The row, of values as `select` gives them.

        Raises:
            IntegrityError: If they are not what was written.
        """
        if values[-1] != _crc(collection, values[:-1]):
            key = ", ".join(_short(str(values[self.columns.index(column)])) for column in self.key)
            raise IntegrityError(
                f"{self.name}, row {key}: its checksum does not fit, so the database was damaged; "
                "nothing was changed. Restore the database from a backup, or forget what the row is of."
            )
        return self.row(values)

    def as_found(self, values: Sequence[Any]) -> Row:
        """What can be read of a row that is damaged: values of a wrong type are empty."""
        kept = [
            _as_found(value, column=column, name=f"{self.name}.{column}")
            for column, value in zip(self.columns, values, strict=False)
        ]
        try:
            return self.row(kept)
        except (ValueError, TypeError, LookupError):  # what should be JSON is none
            lists = ("subjects", "edits", "remaining", "key_ids")
            pairs = zip(self.columns, kept, strict=True)
            return self.row(["[]" if column in lists else value for column, value in pairs])


def _as_found(value: object, *, column: str, name: str) -> Any:
    expected = int if column in _NUMBERS else bytes if column in _BYTES else str
    if value is None and name in _MAY_BE_NONE:
        return None
    return value if isinstance(value, expected) else expected()


def _check_type(value: object, *, column: str, name: str) -> None:
    expected = int if column in _NUMBERS else bytes if column in _BYTES else str
    if value is None and name in _MAY_BE_NONE:
        return
    if type(value) is not expected:
        named = {int: "a whole number", bytes: "bytes", str: "a text"}[expected]
        raise DtypeError(f"{name}: expected {named}, got {brief(value)}.")
    if isinstance(value, int) and not -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER:
        raise ConfigError(f"{name}: expected a number of 64 bits, got {brief(value)}.")


_encode = msgspec.msgpack.Encoder().encode


def _crc(collection: int, values: Sequence[Any]) -> int:
    try:
        return zlib.crc32(_encode((collection, *values)))
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError):
        return -1  # a text with bytes that are no UTF-8 was never written
