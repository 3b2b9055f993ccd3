"""What every metric checks about its input, and the one rule that turns a rate into a count."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    DtypeError,
    EmptySetError,
    InvalidInputError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)

__all__ = [
    "Counts",
    "Floats",
    "Labels",
    "Rule",
    "Scores",
    "check_count",
    "check_fraction",
    "check_labels",
    "check_rates",
    "check_rule",
    "check_scores",
    "code_labels",
    "error_budget",
    "error_budgets",
    "same_precision",
]

Scores = npt.NDArray[np.floating[Any]]
"""Similarities: float32 or float64, kept in the precision they came in."""
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Labels = npt.NDArray[Any]
"""Subject ids: integers or texts."""
Rule = Literal["budget", "upstream_compat"]

_RULES = ("budget", "upstream_compat")
_EXACT_INTEGER = 2**53


def check_scores(
    scores: npt.ArrayLike, *, name: str, num_axes: int = 1, allow_failures: bool = True
) -> Scores:
    """Gives scores as float32 or float64 after checking type, shape and values.

    Args:
        scores: (n,) or, with `num_axes` 2, (P, G). float16 becomes float32, integers become
            float64, float32 and float64 stay as they are and are not copied.
        name: The argument's name, for the message.
        num_axes: How many axes it must have.
        allow_failures: Whether -inf is allowed. It stands for a comparison that could not be made
            (a failure to acquire) and is below every threshold.

    Returns:
        The scores.

    Raises:
        DtypeError: If they are not real numbers.
        ShapeError: If the number of axes does not fit or rows differ in length.
        EmptySetError: If there are none.
        NonFiniteError: If one is NaN or +inf, or -inf where that is not allowed.
    """
    axes = "1 axis" if num_axes == 1 else f"{num_axes} axes"
    try:
        given = np.asarray(scores)
    except ValueError as error:
        raise ShapeError(
            f"{name}: expected an array with {axes}, got rows of different lengths."
        ) from error
    if given.dtype.kind not in "iuf" or given.dtype.itemsize > 8:
        raise DtypeError(
            f"{name}: expected float16, float32, float64 or integers, got {given.dtype}. "
            f"Convert with .astype('float64') if the values are meant as they are."
        )
    if given.ndim != num_axes:
        raise ShapeError(f"{name}: expected {axes}, got shape {given.shape}.")
    if given.size == 0:
        raise EmptySetError(
            f"{name} is empty (shape {given.shape}): expected at least one value. "
            f"A rate over nothing is not defined; leave this evaluation out."
        )
    if given.dtype.kind in "iu":
        if max(-int(given.min()), int(given.max())) > _EXACT_INTEGER:
            raise DtypeError(
                f"{name}: expected integers up to 2**53, which float64 keeps apart, got "
                f"{given.min()} to {given.max()}. Subtract an offset or give floats."
            )
        return given.astype(np.float64)
    if given.dtype.itemsize == 2:
        given = given.astype(np.float32)
    # A maximum carries every NaN and +inf, a minimum every -inf: no mask of the size of the input.
    bad = not given.max() < np.inf or (not allow_failures and given.min() == -np.inf)
    if bad:
        _refuse_non_finite(given, name, allow_failures)
    return given


def _refuse_non_finite(values: Scores, name: str, allow_failures: bool) -> None:
    flat = values.reshape(-1)
    wrong = ~np.isfinite(flat)
    if allow_failures:
        wrong &= flat != -np.inf
    first = int(np.flatnonzero(wrong)[0])
    where = tuple(int(axis) for axis in np.unravel_index(first, values.shape))
    failures = (
        "Mark a comparison that could not be made with -inf; it is then never accepted."
        if allow_failures
        else "Comparisons that could not be made have no place in this metric: count them apart."
    )
    raise NonFiniteError(
        f"{name}: expected finite values, got {flat[first]} at position "
        f"{where[0] if len(where) == 1 else where} (first of {np.count_nonzero(wrong)}). {failures}"
    )


def same_precision(first: Scores, second: Scores) -> tuple[Scores, Scores]:
    """Both arrays in the higher precision of the two, so that one threshold fits both."""
    dtype = np.result_type(first, second)
    return first.astype(dtype, copy=False), second.astype(dtype, copy=False)


def check_rates(targets: float | Iterable[float], *, name: str) -> tuple[float, ...]:
    """Gives target rates as floats in (0, 1].

    Args:
        targets: One rate or several; fractions, not per cent. A float32 is read as the short
            decimal that it prints as, so that `np.float32(1e-4)` means 1e-4.
        name: The argument's name, for the message.

    Raises:
        EmptySetError: If there are none.
        InvalidInputError: If one is not in (0, 1].
        DtypeError: If they are not numbers.
    """
    array = np.atleast_1d(np.asarray(targets))
    if array.size == 0:
        raise EmptySetError(f"{name} is empty: expected at least one rate, such as 1e-4.")
    if array.dtype.kind not in "iuf":
        raise DtypeError(f"{name}: expected numbers, got {array.dtype}.")
    if array.ndim != 1:
        raise ShapeError(f"{name}: expected one axis, got shape {array.shape}.")
    rates = tuple(float(str(value)) for value in array)
    for rate in rates:
        if not 0 < rate <= 1:
            raise InvalidInputError(
                f"{name}: expected fractions above 0 and up to 1, got {rate}. "
                f"One in ten thousand is 1e-4; 1 % is 0.01."
            )
    return rates


def check_fraction(value: float, *, name: str) -> float:
    """Gives a number strictly between 0 and 1.

    Raises:
        InvalidInputError: If it is not.
    """
    if not 0 < value < 1:
        raise InvalidInputError(f"{name}: expected a number between 0 and 1, got {value}.")
    return float(value)


def check_count(value: int, *, name: str, minimum: int) -> int:
    """Gives an integer that is at least `minimum`.

    Raises:
        DtypeError: If it is not an integer.
        InvalidInputError: If it is below the minimum.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise DtypeError(f"{name}: expected an integer, got {value!r}.")
    if value < minimum:
        raise InvalidInputError(f"{name}: expected at least {minimum}, got {value}.")
    return int(value)


def check_rule(rule: str) -> None:
    """Refuses a rule that does not exist.

    Raises:
        UnknownNameError: With the rules there are.
    """
    if rule not in _RULES:
        raise UnknownNameError("rule", rule, _RULES)


def check_labels(labels: npt.ArrayLike, length: int, *, name: str) -> Labels:
    """Gives subject ids as an array of int64 or of texts.

    Raises:
        DtypeError: If they are neither integers nor texts.
        ShapeError: If there is not one for each of the `length` entries.
    """
    array = np.asarray(labels)
    if array.size == 0 and length == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind not in "iuU":
        raise DtypeError(
            f"{name}: expected integers or texts, got {array.dtype}. Texts in a column of objects "
            f"are converted by .astype(str)."
        )
    if array.shape != (length,):
        raise ShapeError(f"{name}: expected shape ({length},), got {array.shape}.")
    if array.dtype.kind == "U":
        return array
    if array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.int64).max:
        raise DtypeError(f"{name}: expected ids below 2**63, got {array.max()}. Use texts.")
    return array.astype(np.int64, copy=False)


def code_labels(*parts: Labels, names: tuple[str, ...]) -> tuple[Labels, tuple[Counts, ...]]:
    """Numbers the distinct labels of several arrays in one common way.

    Args:
        *parts: Arrays as `check_labels` gives them; none is empty.
        names: What to call each of them in a message.

    Returns:
        The distinct labels in ascending order, and one array of positions in it for each part.

    Raises:
        DtypeError: If some are integers and some are texts: 1 and "1" would never meet.
    """
    kinds = {part.dtype.kind for part in parts}
    if len(kinds) > 1:
        types = ", ".join(
            f"{name} {'texts' if part.dtype.kind == 'U' else 'integers'}"
            for name, part in zip(names, parts, strict=True)
        )
        raise DtypeError(f"subject ids: expected all integers or all texts, got {types}.")
    distinct = np.unique(np.concatenate([np.unique(part) for part in parts]))
    return distinct, tuple(
        np.searchsorted(distinct, part).astype(np.int64, copy=False) for part in parts
    )


def error_budget(rate: float, count: int) -> int:
    """How many of `count` trials may go wrong at a given rate: floor(rate * count).

    The product is first rounded to the nearest integer if it lies within four units of floating
    rounding of it, so that a rate written as a decimal means what it says.

    Args:
        rate: In [0, 1].
        count: Number of trials.

    Returns:
        The budget, from 0 to `count`.

    Example:
        >>> 0.29 * 100
        28.999999999999996
        >>> error_budget(0.29, 100), error_budget(1e-4, 10_000), error_budget(1e-4, 9_999)
        (29, 1, 0)
    """
    return int(error_budgets(rate, np.array([count]))[0])


def error_budgets(rate: float, counts: npt.NDArray[Any]) -> Counts:
    """`error_budget` for an array of counts.

    Args:
        rate: In [0, 1].
        counts: Integers of any shape.

    Returns:
        int64 of the same shape.

    Example:
        >>> error_budgets(0.1, np.array([9, 10, 30]))
        array([0, 1, 3])
    """
    products = rate * np.asarray(counts, dtype=np.float64)
    nearest = np.rint(products)
    is_integer = np.abs(products - nearest) <= 4 * math.ulp(1.0) * nearest
    return np.where(is_integer, nearest, np.floor(products)).astype(np.int64)
