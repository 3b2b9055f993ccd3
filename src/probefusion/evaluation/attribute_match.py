"""A table of attributes and those who are evaluated: which row is whose, and whose is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.io.attribute_table import AttributeTable
from probefusion.protocols.people import composed

__all__ = ["UNKNOWN", "Attribute", "MatchedTable", "match_attributes"]

Codes = npt.NDArray[np.int64]

UNKNOWN = -1
"""Code in place of a value's where it is not known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribute:
    """One attribute of those who are evaluated.

    Args:
        name: As the table spells it.
        values: V different values, numbers in their order before texts in theirs.
        codes: (N,) int64, position in `values` of each person, image or template; -1 where it is not known.
    """

    name: str
    values: tuple[str, ...]
    codes: Codes


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedTable:
    """A table of attributes and those whom it describes.

    Args:
        table: The table.
        attributes: Its attributes, by those who are evaluated.
        num_without_row: How many different ones of them have no row.
        first_without_row: The first of these, "" if all have one.
        num_unnamed: How many have no name, a template of which no file tells whom it shows.
        num_rows_unused: Rows of nobody, or of no image or template, in the data.
        first_row_unused: The first of these, "" if there are none.
    """

    table: AttributeTable
    attributes: tuple[Attribute, ...]
    num_without_row: int
    first_without_row: str
    num_unnamed: int
    num_rows_unused: int
    first_row_unused: str


def match_attributes(
    table: AttributeTable, names: Sequence[str], *, everything: Iterable[str]
) -> MatchedTable:
    """Finds the rows of a table among those who are evaluated.

    Args:
        table: The table.
        names: (N,) name of each person, image or template that is evaluated, "" where it is not known; a name may
            come several times.
        everything: All names of the data, those too that are not evaluated; rows of these are no surprise.

    Raises:
        InvalidInputError: If no row is of somebody here, or an attribute has no value for any of them.
    """
    rows = {composed(name): row for row, name in enumerate(table.names)}
    found = [rows.get(composed(name), -1) for name in names]
    places = np.array(found, dtype=np.int64)
    if not len(places) or places.max() < 0:
        raise InvalidInputError(
            f"attributes {table.origin}: expected a row for some of the {len(set(names))} {table.owner}s that are "
            f"evaluated, as {next(iter(names), '')!r}, got {next(iter(table.names), 'no rows')!r} first and none "
            f"that fits."
        )
    known = {composed(name) for name in (*names, *everything)}
    unused = [name for name in table.names if composed(name) not in known]
    missing = dict.fromkeys(
        name for name, place in zip(names, found, strict=True) if place < 0 and name
    )
    return MatchedTable(
        table=table,
        attributes=tuple(
            _attribute(name, values, places, table.origin) for name, values in table.columns.items()
        ),
        num_without_row=len(missing),
        first_without_row=next(iter(missing), ""),
        num_unnamed=names.count(""),
        num_rows_unused=len(unused),
        first_row_unused=next(iter(unused), ""),
    )


def _attribute(name: str, values: Sequence[str], places: Codes, origin: str) -> Attribute:
    mine = [values[place] if place >= 0 else "" for place in places.tolist()]
    different = sorted({value for value in mine if value}, key=_order)
    if not different:
        raise InvalidInputError(
            f"attributes {origin}: expected values in the column {name!r} for some of those who are evaluated, got "
            f"none."
        )
    number = {value: position for position, value in enumerate(different)}
    codes = np.array([number.get(value, UNKNOWN) for value in mine], dtype=np.int64)
    return Attribute(name=name, values=tuple(different), codes=codes)


def _order(value: str) -> tuple[bool, float, str]:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    return (False, number, value) if math.isfinite(number) else (True, 0.0, value)
