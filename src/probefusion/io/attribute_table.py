"""Tables of attributes: CSV with a row per person, image or template, and one column or more of values.

    person             name of the person (also: subject, subject_id); or
    image              path of the image below the data folder (also: file); or
    template           id of the template, or name of the video (also: template_id)
    any other          an attribute: group, condition, camera. Empty where it is not known.

Values are texts, as they are written; numbers are values like others. Case of the names of columns does not
matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from probefusion.errors import FileFormatError, UnknownNameError
from probefusion.files.reading import in_one_line, read_bytes, reading
from probefusion.io.tables import csv_rows

__all__ = ["MOST_VALUES", "AttributeTable", "Owner", "open_attribute_table", "read_attribute_table"]

Owner = Literal["person", "image", "template"]

MOST_VALUES = 50
"""Different values of a column at most; measured numbers are to be put into classes first."""

_OWNERS: Mapping[str, Owner] = {
    "person": "person",
    "subject": "person",
    "subject_id": "person",
    "image": "image",
    "file": "image",
    "template": "template",
    "template_id": "template",
}

_LARGEST = 1 << 30


@dataclass(frozen=True, kw_only=True, eq=False)
class AttributeTable:
    """Values of attributes by person, image or template.

    Args:
        owner: What a row describes.
        names: R different names, as the table spells them.
        columns: By attribute, as the table spells it, (R,) values; "" where one is not known.
        sha256: Of the table's bytes.
        origin: The file's name.
    """

    owner: Owner
    names: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    sha256: str
    origin: str


def open_attribute_table(path: str | Path, *, columns: Sequence[str] = ()) -> AttributeTable:
    """Reads a file, see `read_attribute_table`.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError, UnknownNameError: As for `read_attribute_table`.
    """
    content = read_bytes(path, at_most=_LARGEST, name="attributes")
    return read_attribute_table(content, origin=Path(path).name, columns=columns)


def read_attribute_table(
    content: bytes, *, origin: str, columns: Sequence[str] = ()
) -> AttributeTable:
    """Reads a table of attributes; the first row holds the names of the columns.

    Args:
        content: Bytes of the CSV file: comma, semicolon or tab separates.
        origin: Its name, for messages.
        columns: The attributes that are taken, by the names of their columns; () for all.

    Raises:
        FileFormatError: If it is no UTF-8 CSV, names not exactly one of person, image and template, has no other
            column, a column twice or without a name, a row of another length, a name twice or none, or a
            column without any value or with more than `MOST_VALUES`; names the line.
        UnknownNameError: If there is no such attribute.
    """
    with reading(origin, "UTF-8 text"):
        text = content.decode("utf-8-sig")
    rows = list(csv_rows(text, origin))
    header = [name.strip() for name in rows[0][1]] if rows else []
    owner, key, places = _columns(header, origin, columns)
    names: dict[str, int] = {}
    for line, fields in rows[1:]:
        if len(fields) != len(header):
            raise FileFormatError(
                f"{in_one_line(origin)}, line {line}: expected {len(header)} columns, got {len(fields)}."
            )
        name = fields[key].strip()
        if not name or name in names:
            found = f"{name!r} a second time (line {names[name]})" if name else "none"
            raise FileFormatError(
                f"{in_one_line(origin)}, line {line}: expected a {owner} that has no row yet, got {found}."
            )
        names[name] = line
    taken = {
        name: tuple(fields[place].strip() for _, fields in rows[1:])
        for name, place in places.items()
    }
    for name, values in taken.items():
        _check_values(name, values, origin)
    return AttributeTable(
        owner=owner,
        names=tuple(names),
        columns=taken,
        sha256=hashlib.sha256(content).hexdigest(),
        origin=origin,
    )


def _columns(
    header: Sequence[str], origin: str, columns: Sequence[str]
) -> tuple[Owner, int, dict[str, int]]:
    """What a row describes, the place of its name, and the place of each attribute."""
    plain = [name.lower() for name in header]
    keys = [place for place, name in enumerate(plain) if name in _OWNERS]
    others = [place for place, name in enumerate(plain) if name not in _OWNERS]
    twice = next((name for name in plain if name and plain.count(name) > 1), None)
    problem = None
    if len(keys) != 1:
        problem = f"{len(keys)} of these among {', '.join(map(repr, header[:8])) or 'no columns'}"
    elif twice is not None:
        problem = f"{twice!r} twice"
    elif not others:
        problem = "no other column"
    elif not all(plain):
        problem = "a column without a name"
    if problem is not None:
        raise FileFormatError(
            f"{in_one_line(origin)}: expected a first line with one column person, image or template and one or "
            f"more of attributes, as 'person,group'; got {problem}."
        )
    attributes = {plain[place]: place for place in others}
    wanted = [name.strip().lower() for name in columns] or list(attributes)
    for name in wanted:
        if name not in attributes:
            raise UnknownNameError("attribute", name, [header[place] for place in others])
    taken = {header[attributes[name]]: attributes[name] for name in wanted}
    return _OWNERS[plain[keys[0]]], keys[0], taken


def _check_values(name: str, values: Sequence[str], origin: str) -> None:
    different = {value for value in values if value}
    if not different:
        raise FileFormatError(
            f"{in_one_line(origin)}: expected some values in the column {name!r}, got none. Fill it in, or "
            f"leave it out."
        )
    if len(different) > MOST_VALUES:
        raise FileFormatError(
            f"{in_one_line(origin)}: expected at most {MOST_VALUES} different values in the column {name!r}, "
            f"got {len(different)}. Put numbers into classes first, as 20-29, or leave the column out."
        )
