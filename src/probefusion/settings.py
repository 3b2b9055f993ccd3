"""One class of settings, three doors: its fields become flags, TOML keys and keyword arguments.

A settings class is a frozen dataclass whose fields are made by `setting`, which takes the help text
beside the default. This module needs no array library, so that commands can list their flags at once.
"""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from probefusion.errors import ConfigError, UnknownNameError, in_one_line

__all__ = ["Setting", "check_settings", "list_settings", "read_settings_file", "setting"]

_LARGEST = 1 << 20
"""Bytes of a file of settings at most."""


class Setting(NamedTuple):
    """What is known of one field of a settings class.

    Attributes:
        name: The field, which is also the TOML key and the keyword; its flag has dashes.
        type: Its resolved type hint.
        default: What it is unless given.
        help: One line of help, without the default.
        metavar: What a value is called in the help, or None.
        choices: Values it may have, or none if any.
    """

    name: str
    type: Any
    default: Any
    help: str
    metavar: str | None
    choices: tuple[str, ...]

    @property
    def can_be_none(self) -> bool:
        """Whether its type has None beside another type."""
        return isinstance(self.type, types.UnionType) and type(None) in typing.get_args(self.type)

    @property
    def value_type(self) -> Any:
        """Its type without None."""
        if not self.can_be_none:
            return self.type
        return next(kind for kind in typing.get_args(self.type) if kind is not type(None))


def setting(
    default: Any,
    *,
    help: str,  # noqa: A002 - the word of argparse
    metavar: str | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A field of a settings class.

    Args:
        default: Its default; a dictionary is copied for each object.
        help: One line on what it is, with its unit; without the default.
        metavar: What a value is called in the help of the command.
        choices: The values it may have, where they are few.
    """
    metadata = {"help": help, "metavar": metavar, "choices": tuple(choices)}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def list_settings(settings_class: type[Any]) -> tuple[Setting, ...]:
    """The settings of a class, in order."""
    hints = typing.get_type_hints(settings_class)
    return tuple(
        Setting(
            name=field.name,
            type=hints[field.name],
            default=field.default
            if field.default_factory is dataclasses.MISSING
            else field.default_factory(),
            help=field.metadata.get("help", ""),
            metavar=field.metadata.get("metavar"),
            choices=field.metadata.get("choices", ()),
        )
        for field in dataclasses.fields(settings_class)
    )


def read_settings_file(path: str | os.PathLike[str], *classes: type[Any]) -> dict[str, Any]:
    """The settings that a TOML file gives, of the right types.

    Args:
        path: The file; a setting that is a dictionary is a table in it.
        classes: Settings classes whose fields are known.

    Returns:
        Those that the file gives, by name.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is no TOML.
        ConfigError: If a key is unknown (a close one is suggested) or a value has another type.
    """
    import msgspec

    from probefusion.files.reading import read_bytes, reading  # brings NumPy

    path = os.fspath(path) if isinstance(path, os.PathLike) else path
    data = read_bytes(path, at_most=_LARGEST, name="settings file")
    with reading(path, "TOML"):
        given = msgspec.toml.decode(data)
        if not isinstance(given, dict):
            raise ValueError("it is no table")
    return check_settings(given, *classes, source=str(path))


def check_settings(
    given: Mapping[str, Any], *classes: type[Any], source: str, kind: str = "setting"
) -> dict[str, Any]:
    """Checks names and types of settings; ranges are checked by the classes themselves.

    Args:
        given: Values by name. Lists become tuples where those are wanted, whole numbers become
            floating-point numbers, and "none" becomes None where a number may be left out.
        classes: Settings classes (or other dataclasses) whose fields are known.
        source: Where the values come from, for messages.
        kind: What they are called in messages.

    Returns:
        The values, of the types of the fields.

    Raises:
        ConfigError: If a name is unknown (a close one is suggested) or a value has another type.
    """
    import msgspec

    known = {entry.name: entry for each in classes for entry in list_settings(each)}
    checked: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"{in_one_line(source)}: {UnknownNameError(kind, name, known)}")
        entry = known[name]
        if entry.can_be_none and entry.value_type is not str and value == "none":
            value = None
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        try:
            checked[name] = msgspec.convert(value, entry.type, strict=True)
        except msgspec.ValidationError as error:
            wanted = str(error).replace("`", "").removeprefix("Expected ").split(", got ")[0]
            raise ConfigError(
                f"{in_one_line(source)}: {name}: expected {wanted}, got {value!r}."
            ) from error
    return checked
