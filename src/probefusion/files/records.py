"""Records in JSON files: decoded into typed classes, an unknown key refused with a suggestion."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from probefusion.errors import FileFormatError, UnknownNameError
from probefusion.files.hashed_json import LARGEST_JSON, check_json_hash
from probefusion.files.reading import read_bytes, reading

__all__ = ["decode_record", "read_record", "record_of"]

Record = TypeVar("Record")

_WORDS = {
    "object": "an object",
    "array": "a list",
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
}


def read_record(
    path: Path,
    kind: type[Record],
    *,
    newest: int | None = None,
    hashed_from: int | None = None,
    step: str = "",
) -> Record:
    """Reads a JSON file, see `decode_record`; messages name the file.

    Raises:
        MissingFileError: If there is no such file.
        IntegrityError: As for `decode_record`.
        FileFormatError: If it cannot be read, or is not what it must be.
    """
    content = read_bytes(path, at_most=LARGEST_JSON)
    return decode_record(
        content, kind, where=str(path), newest=newest, hashed_from=hashed_from, step=step
    )


def decode_record(
    content: bytes,
    kind: type[Record],
    *,
    where: str,
    newest: int | None = None,
    hashed_from: int | None = None,
    step: str = "",
) -> Record:
    """Decodes a JSON text; the hash that it may carry is compared and left out.

    Args:
        content: The text.
        kind: What it must hold: a dataclass, a TypedDict, or a mapping type.
        where: The file, for messages.
        newest: The newest `format_version` that this release reads; None where the format has none.
        hashed_from: The `format_version` from which on there must be a hash; None: there need not be one.
        step: What to do about a wrong file, as a sentence.

    Raises:
        IntegrityError: If it is not what the hash inside was made of.
        FileFormatError: If it is no JSON, of a newer format, has an unknown key (a close one is
            suggested), lacks one, or holds a value of another type or out of its range.
    """
    with reading(where, "JSON", step=step):
        plain = json.loads(content)  # not msgspec: older releases may have written a NaN
    if not isinstance(plain, dict):
        raise FileFormatError(
            f"{where}: expected a JSON object, got a {type(plain).__name__}.{_then(step)}"
        )
    if newest is not None:
        version = plain.get("format_version")
        if type(version) is not int:
            raise FileFormatError(
                f"{where}: format_version: expected a whole number of at most {newest}, "
                f"got {version!r}.{_then(step)}"
            )
        if version > newest:
            raise FileFormatError(
                f"{where}: format_version: expected at most {newest}, got {version!r}. "
                f"Upgrade probefusion."
            )
    version = plain.get("format_version")
    is_needed = hashed_from is not None and type(version) is int and version >= hashed_from
    plain = check_json_hash(plain, where=where, step=step, is_needed=is_needed)
    return record_of(plain, kind, where=where, step=step)


def record_of(plain: Any, kind: type[Record], *, where: str, step: str = "") -> Record:
    """Turns what JSON gave into a record.

    Args:
        plain: Dicts, lists, texts and numbers.
        kind: As for `decode_record`.
        where: As for `decode_record`.
        step: As for `decode_record`.

    Raises:
        FileFormatError: As for `decode_record`.
    """
    _check_keys(plain, _type_info(cast("Any", kind)), where, step)
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise FileFormatError(f"{where}: {_in_words(str(error))}{_then(step)}") from error
    except (ArithmeticError, RecursionError) as error:
        raise FileFormatError(f"{where}: {error}.{_then(step)}") from error


@functools.cache
def _type_info(kind: Any) -> msgspec.inspect.Type:
    return msgspec.inspect.type_info(kind)


def _check_keys(plain: Any, info: msgspec.inspect.Type, where: str, step: str) -> None:
    """Refuses keys that no field has, at any depth (msgspec does so for its own classes only)."""
    if isinstance(info, msgspec.inspect.UnionType):
        for option in info.types:
            _check_keys(plain, option, where, step)
    elif isinstance(plain, list) and isinstance(
        info, msgspec.inspect.VarTupleType | msgspec.inspect.ListType
    ):
        for item in plain:
            _check_keys(item, info.item_type, where, step)
    elif isinstance(plain, dict) and isinstance(info, msgspec.inspect.DictType):
        for item in plain.values():
            _check_keys(item, info.value_type, where, step)
    elif isinstance(plain, dict) and isinstance(
        info, msgspec.inspect.DataclassType | msgspec.inspect.TypedDictType
    ):
        known = {field.encode_name: field.type for field in info.fields}
        for key, item in plain.items():
            if key not in known:
                unknown = UnknownNameError("key", key, known)
                raise FileFormatError(f"{where}: {unknown}{_then(step)}")
            _check_keys(item, known[key], where, step)


def _in_words(message: str) -> str:
    """Msgspec's message with the key in front: "dim: expected a whole number, got a text."."""
    text, _, place = message.partition(" - at `")
    key = place.rstrip("`").removeprefix("$").removeprefix(".").removesuffix("[...]")
    missing = re.fullmatch(r"Object missing required field `(.+)`", text)
    if missing is not None:
        key = f"{key}.{missing[1]}" if key else missing[1]
        return f"{key}: expected this key, it is missing."
    plain = re.sub(
        r"`([^`]+)`",
        lambda found: " or ".join(_WORDS.get(word, word) for word in found[1].split(" | ")),
        text,
    )
    if plain.startswith("Expected "):
        plain = plain[0].lower() + plain[1:]
    return f"{key}: {plain.rstrip('.')}." if key else f"{plain.rstrip('.')}."


def _then(step: str) -> str:
    return f" {step}" if step else ""
