"""Flags of a command, made from the fields of a settings class."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Callable
from typing import Any

from probefusion.settings import Setting, list_settings

__all__ = ["add_setting_flags", "given_settings"]


def add_setting_flags(
    parser: Any, settings_class: type[Any], *, skip: tuple[str, ...] = ()
) -> None:
    """Adds one flag for each field of a settings class; `given_settings` collects them.

    A number or text takes one value; several numbers are separated by commas, several choices by
    spaces; true or false is `--x` or `--no-x`; a dictionary is KEY=VALUE as often as wanted. Where a
    number may be left out, "none" says so.

    Args:
        parser: A parser or a group of one.
        settings_class: The class.
        skip: Fields that get no flag here.
    """
    for entry in list_settings(settings_class):
        if entry.name not in skip:
            parser.add_argument(
                "--" + entry.name.replace("_", "-"),
                dest=entry.name,
                default=argparse.SUPPRESS,
                help=(entry.help + _default_text(entry)).replace("%", "%%"),
                **_how(entry),
            )


def given_settings(options: argparse.Namespace, *classes: type[Any]) -> dict[str, Any]:
    """The settings that were given as flags, by name."""
    given = {
        entry.name: getattr(options, entry.name)
        for each in classes
        for entry in list_settings(each)
        if hasattr(options, entry.name)
    }
    return {name: dict(v) if _is_pairs(v) else v for name, v in given.items()}


def _is_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, _Pair) for entry in value)


class _Pair(tuple[str, Any]):
    """A key and its value."""


def _how(entry: Setting) -> dict[str, Any]:
    """How argparse reads a flag of that type."""
    kind = entry.value_type
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if typing.get_origin(kind) is dict:
        return {"nargs": "+", "action": "extend", "type": _pair, "metavar": "KEY=VALUE"}
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if entry.choices:
            return {"nargs": "+", "choices": entry.choices}
        return {"type": _list_of(item), "metavar": entry.metavar or "LIST"}
    if entry.choices:
        return {"choices": entry.choices}
    metavar = entry.metavar or {int: "N", float: "X"}.get(kind, "TEXT")
    if kind is str:
        return {"metavar": metavar}
    return {"type": _number(kind, can_be_none=entry.can_be_none), "metavar": metavar}


def _default_text(entry: Setting) -> str:
    if entry.default is None or entry.default in ((), {}) or "default" in entry.help:
        return ""
    if isinstance(entry.default, bool):
        return f" (default {'yes' if entry.default else 'no'})"
    if isinstance(entry.default, tuple):
        return f" (default {','.join(map(str, entry.default))})"
    return f" (default {entry.default})"


def _number(kind: Callable[[str], Any], *, can_be_none: bool) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if can_be_none and text == "none":
            return None
        try:
            return kind(text)
        except ValueError as error:
            noun = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {noun}, got {text!r}") from error

    return read


def _list_of(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return tuple(kind(part) for part in text.split(",") if text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(
                f"expected numbers separated by commas, got {text!r}"
            ) from error

    return read


def _pair(text: str) -> _Pair:
    """KEY=VALUE, the value as TOML writes it; what is no TOML value is a text."""
    key, sign, value = text.partition("=")
    if not (sign and key.strip()):
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    import msgspec

    try:
        found: Any = msgspec.toml.decode(f"value = {value}")["value"]
    except (msgspec.DecodeError, ValueError):
        found = value
    return _Pair((key.strip(), found))
