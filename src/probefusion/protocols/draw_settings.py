"""Settings that the open protocols have in common, checked."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise

from probefusion.errors import ConfigError

__all__ = ["checked_folds", "checked_number", "checked_sizes"]


def checked_folds(folds: Sequence[int], num_folds: int) -> tuple[int, ...]:
    """The folds, ascending.

    Raises:
        ConfigError: If there is none, one does not exist or comes twice, or one is no whole number.
    """
    found = tuple(_whole_number(fold, "folds") for fold in folds)
    if not found or len(set(found)) < len(found) or not set(found) <= set(range(num_folds)):
        raise ConfigError(f"folds: expected different ones of 0 to {num_folds - 1}, got {found}.")
    return tuple(sorted(found))


def checked_sizes(set_sizes: Sequence[int]) -> tuple[int, ...]:
    """The numbers of images in a probe set.

    Raises:
        ConfigError: If there is none, they do not ascend from 1 or more, or one is no whole number.
    """
    sizes = tuple(_whole_number(size, "set_sizes") for size in set_sizes)
    if not sizes or sizes[0] < 1 or any(a >= b for a, b in pairwise(sizes)):
        raise ConfigError(f"set_sizes: expected ascending numbers from 1 on, got {sizes}.")
    return sizes


def checked_number(value: object, name: str, *, minimum: int) -> int:
    """A whole number.

    Args:
        value: What was given.
        name: Of the setting, for the message.
        minimum: The least that it may be.

    Raises:
        ConfigError: If it is less, or no whole number.
    """
    number = _whole_number(value, name)
    if number < minimum:
        more = f"at least {minimum}" if minimum else "0 or more"
        raise ConfigError(f"{name}: expected {more}, got {number}.")
    return number


def _whole_number(value: object, name: str) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigError(f"{name}: expected whole numbers, got {value!r}.") from error
