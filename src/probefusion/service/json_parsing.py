"""JSON bodies are looked over before they are parsed: what would take memory or time without end is refused at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json import decoder as _standard
from typing import Any, NoReturn

from probefusion.service.problems import Refusal

__all__ = ["parse_json"]

_MOST_VALUES = 1_000_000
"""Values of a body; 512 embeddings of 512 numbers are a quarter of it."""
_MOST_PARTS = 50_000
"""Objects and arrays of a body."""
_MOST_FIELDS = 100_000
"""Fields of all objects of a body."""
_SHOWN = 40

_SHORT_LIST = re.compile(r'\[[^\[\]{}"]{0,65536}\]')
"""A list of plain values that is parsed in one piece: an embedding of 4,096 numbers fits."""


def parse_json(body: bytes, *, in_pieces: bool = False) -> Any:
    """What a body holds.

    Args:
        body: JSON in UTF-8, UTF-16 or UTF-32.
        in_pieces: Whether other threads get their turn while it is parsed. The standard library holds the interpreter
            until all is parsed, in whichever thread that is; in pieces it takes longer and holds up nobody.

    Raises:
        Refusal: If it is no JSON, holds too much, or names a field twice.
    """
    values = body.count(b",") + 1
    parts = body.count(b"{") + body.count(b"[")
    fields = body.count(b":")
    if values > _MOST_VALUES or parts > _MOST_PARTS or fields > _MOST_FIELDS:
        raise Refusal(
            413,
            f"body: expected at most {_MOST_VALUES:,} values in {_MOST_PARTS:,} objects and lists with "
            f"{_MOST_FIELDS:,} fields, got about {values:,} in {parts:,} with {fields:,}. Send embeddings as base64, "
            f"or in parts to a session.",
            code="too-large",
        )
    kind = _InPieces if in_pieces else json.JSONDecoder
    try:
        return json.loads(
            body, cls=kind, object_pairs_hook=_each_once, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _no_json(f"{error.msg[:1].lower()}{error.msg[1:]} ({where})") from None
    except UnicodeDecodeError as error:
        raise _no_json(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise _no_json("it is nested too deep") from None
    except ValueError:  # of integers alone
        raise _no_json("it has a whole number of too many digits") from None


class _InPieces(json.JSONDecoder):
    """The standard decoder, whose Python code goes through objects and lists, and whose C code reads short lists."""

    scan_once: Callable[[str, int], tuple[Any, int]]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        standard: Any = _standard
        read: Callable[[str, int], tuple[Any, int]] = self.scan_once
        hook = self.object_pairs_hook
        names: dict[str, str] = {}

        def scan(text: str, at: int) -> tuple[Any, int]:
            first = text[at : at + 1]
            if first == "{":
                found = standard.JSONObject((text, at + 1), True, scan, None, hook, names)
            elif first == "[" and _SHORT_LIST.match(text, at) is None:
                found = standard.JSONArray((text, at + 1), scan)
            else:
                found = read(text, at)
            return found  # type: ignore[no-any-return]

        self.scan_once = scan


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _no_json(f"an object names {twice[:_SHOWN]!r} twice")
    return found


def _refuse_constant(word: str) -> NoReturn:
    raise _no_json(f"{word} is no number of JSON")


def _no_json(why: str) -> Refusal:
    return Refusal(400, f"body: expected JSON (RFC 8259): {why}.", code="json", field="")
