"""Tables of fields on a page of the reference, and what real JSON must look like by them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

_HEADING = re.compile(r"#{2,3} (?:probefusion )?(.+)")
_ALL_OF = re.compile(r"\| all of \[([^\]]+)\]\(#[a-z-]+\) \| \| \|")
_FIELD = re.compile(r"\| `(\w+)` \| (.+?) \| .+ \|")
_OBJECT = re.compile(r"(list of )?\[([^\]]+)\]\(#([a-z-]+)\)( or null)?")
_PLAIN = {
    "text": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "time": lambda value: (
        isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    ),
    "list of texts": lambda value: _is_list(value, str),
    "list of numbers": lambda value: _is_list(value, int),
    "list of objects": lambda value: _is_list(value, dict),
    "list of 2 numbers": lambda value: _is_list(value, int | float) and len(value) == 2,
    "list of pairs of texts": lambda value: all(_is_list(pair, str) for pair in value),
}


def _is_list(value: Any, kind: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


@dataclass
class Documented:
    """The objects of a page.

    Args:
        fields: For the heading of each object its fields with their types.
        seen: Objects that were compared with real ones.
    """

    fields: dict[str, dict[str, str]]
    seen: set[str] = field(default_factory=set)

    def faults(self, name: str, value: Any, place: str = "") -> Iterator[str]:
        """What of a real object is not as its table says."""
        self.seen.add(name)
        place = place or name
        if set(value) != set(self.fields[name]):
            yield f"{place}: not documented {sorted(set(value) - set(self.fields[name]))}"
            yield f"{place}: not there {sorted(set(self.fields[name]) - set(value))}"
            return
        for key, kind in self.fields[name].items():
            yield from self._faults_of(kind, value[key], f"{place}.{key}")

    def _faults_of(self, kind: str, value: Any, place: str) -> Iterator[str]:
        found = _OBJECT.fullmatch(kind)
        if found is None:
            kinds = re.split(r", or | or |, ", kind)
            if not any(_PLAIN[each](value) for each in kinds):
                yield f"{place}: expected {kind}, got {value!r}"
            return
        is_list, name, _, or_null = found.groups()
        if value is None and or_null:
            return
        for each in value if is_list else [value]:
            yield from self.faults(name, each, f"{place}[]" if is_list else place)


def documented_objects(page: Path) -> Documented:
    """The objects of a page, those that others are made of filled in."""
    tables: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if heading := _HEADING.fullmatch(line):
            name = heading[1] if heading[1].islower() else heading[1].lower()
            if name in tables:
                raise ValueError(f"{page.name}: {name} stands there twice")
            tables[name] = []
        elif whole := _ALL_OF.fullmatch(line):
            tables[name].append((whole[1], ""))
        elif row := _FIELD.fullmatch(line):
            tables[name].append((row[1], row[2]))
        elif line.startswith("| ") and not line.startswith("| field |"):
            raise ValueError(f"{page.name}: this is no row of fields: {line}")

    def filled(name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for word, kind in tables[name]:
            found |= {word: kind} if kind else filled(word)
        return found

    return Documented({name: filled(name) for name, rows in tables.items() if rows})
