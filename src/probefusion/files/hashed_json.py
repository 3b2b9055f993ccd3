"""The hash that JSON files of ours carry: SHA-256 over what they say, not over their bytes.

It stands under the key `content_sha256` of the outermost object and is taken over all other keys, in
the canonical form of `json_hash`: another order of keys, other blanks and other ways to write one
floating-point number (0.1, 1e-1) are the same content; a whole number and the same with a point (2, 2.0)
are two. It finds damage and changes; it is no signature.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from probefusion.errors import FileFormatError, IntegrityError
from probefusion.files.reading import in_one_line, read_bytes, reading, reading_step
from probefusion.files.replacing import replace_file

__all__ = ["HASH_KEY", "LARGEST_JSON", "check_json_hash", "hashed_json", "json_hash", "renew_hash"]

HASH_KEY = "content_sha256"
"""Key of the hash in the outermost object."""

LARGEST_JSON = 1 << 28
"""Bytes of a JSON file at most."""

_BEFORE_KEY = re.compile(r"[{,}\s]*")
_BEFORE_VALUE = re.compile(r"[:\s]*")


def json_hash(content: Mapping[str, Any]) -> str:
    """The SHA-256 of what a JSON object says, without the key of the hash.

    Args:
        content: Whatever `json.dumps` takes; tuples count as lists.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> json_hash({"a": 1, "b": (2.0,)}) == json_hash({"b": [2.00], "a": 1})
        True
    """
    rest = {key: value for key, value in content.items() if key != HASH_KEY}
    plain = json.loads(json.dumps(rest))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def hashed_json(content: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """The bytes of a JSON file with the hash as its last key.

    Half a surrogate pair, which no UTF-8 holds, is written as its escape.

    Args:
        content: The object; a hash that it holds already is made anew.
        indent: As for `json.dumps`.
    """
    rest = {key: value for key, value in content.items() if key != HASH_KEY}
    whole = {**rest, HASH_KEY: json_hash(rest)}
    text = json.dumps(whole, indent=indent, ensure_ascii=indent is None) + "\n"
    return text.encode(errors="backslashreplace")  # of a surrogate, that is JSON's own escape


def check_json_hash(
    plain: dict[str, Any], *, where: str, step: str = "", is_needed: bool = False
) -> dict[str, Any]:
    """Compares the hash with the rest, where there is one.

    Args:
        plain: What a JSON file holds.
        where: The file, for messages.
        step: What to do about a wrong file, as a sentence.
        is_needed: Whether there must be one.

    Returns:
        The object without its hash.

    Raises:
        IntegrityError: If the content is not what was written.
        FileFormatError: If a hash must be there and is not.
    """
    if HASH_KEY not in plain:
        if is_needed:
            raise FileFormatError(
                f"{where}: {HASH_KEY}: expected the SHA-256 of what it says, it is missing."
                f"{reading_step(step)}"
            )
        return plain
    rest = {key: value for key, value in plain.items() if key != HASH_KEY}
    with reading(where, "JSON", step=step):
        found = json_hash(rest)
    if plain[HASH_KEY] != found:
        raise IntegrityError(
            f"{where}: what it says is not what was written to it (another SHA-256). It was changed or "
            f"damaged.{reading_step(step)}"
        )
    return rest


def renew_hash(path: str | Path) -> None:
    """Gives a JSON file the hash of what it says now, for files that were changed on purpose.

    Args:
        path: The file, UTF-8 with or without a byte order mark; it is replaced whole or not at all. All but
            the hash stays as it is, blanks too.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is no JSON object, or an empty one.
    """
    data = read_bytes(path, at_most=LARGEST_JSON)
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    with reading(path, "JSON in UTF-8"):
        text = data[len(mark) :].decode()
        plain = json.loads(text)
    if not isinstance(plain, dict) or not plain.keys() - {HASH_KEY}:
        raise FileFormatError(
            f"{in_one_line(path)}: expected a JSON object with at least one key of its own."
        )
    value = f'"{json_hash(plain)}"'
    if HASH_KEY in plain:
        first, last = _place_of_hash(text)
        text = text[:first] + value + text[last:]
    else:
        text = f'{text.rstrip()[:-1].rstrip()},\n  "{HASH_KEY}": {value}\n}}\n'
    check_json_hash(json.loads(text), where=str(path), is_needed=True)
    with replace_file(path, force=True) as stream:
        stream.write(mark + text.encode())


def _place_of_hash(text: str) -> tuple[int, int]:
    """Where the value of the hash begins and ends; of several in the outermost object the last counts."""
    decode = json.JSONDecoder().raw_decode
    found, place = (0, 0), _end(_BEFORE_KEY, text, 0)
    while place < len(text):
        key, place = decode(text, place)
        first = _end(_BEFORE_VALUE, text, place)
        _, last = decode(text, first)
        if key == HASH_KEY:
            found = (first, last)
        place = _end(_BEFORE_KEY, text, last)
    return found


def _end(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return place if match is None else match.end()
