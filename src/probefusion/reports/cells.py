"""Rates and intervals as cells of tables, and as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from probefusion.metrics import BootstrapInterval, PairedDifference, TarAtFar
from probefusion.reports.pages import Table

__all__ = [
    "INTERVAL_NOTE",
    "UNRESOLVED",
    "change_cell",
    "change_facts",
    "false_accepts",
    "false_positives",
    "interval_cell",
    "interval_facts",
    "is_empty",
    "number",
    "plain_cell",
    "rate_cell",
    "rate_facts",
    "search_cell",
]

UNRESOLVED = "unresolved"
"""A cell without a figure, for want of comparisons."""

_MANY = 10
"""So many false accepts or false positives need not be told."""

INTERVAL_NOTE = (
    "Brackets: 95 % bootstrap intervals over people. FA: false accepts at that threshold; FP: "
    "searches of people who are not there that return somebody. Both are told where fewer than ten. "
    "*: differs from the reference at a family-wise level of .05 (Holm over all differences)."
)
"""What the marks in the cells mean."""


def interval_cell(interval: BootstrapInterval) -> str:
    """The estimate with its interval."""
    if not interval.resolved:
        return UNRESOLVED
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def rate_cell(rate: TarAtFar, interval: BootstrapInterval) -> str:
    """The rate with its interval; with its few false accepts where they are fewer than ten."""
    return interval_cell(interval) + false_accepts(rate.num_false_accepts)


def search_cell(interval: BootstrapInterval, num_false_positives: int | None) -> str:
    """The rate of searches with its interval; with its few false positives where they are fewer than ten."""
    return interval_cell(interval) + false_positives(num_false_positives)


def plain_cell(rate: float, resolved: bool, mark: str, *, places: int = 4) -> str:
    """A rate without an interval, and its mark.

    Args:
        rate: The rate.
        resolved: Whether there are comparisons enough for it.
        mark: Of `false_accepts` or `false_positives`.
        places: After the point.
    """
    return f"{rate:.{places}f}{mark}" if resolved else UNRESOLVED


def false_accepts(count: int | None) -> str:
    """How few false accepts a rate stands on, or "" for ten and more and where that is not known."""
    return _few(count, "FA")


def false_positives(count: int | None) -> str:
    """The same of searches."""
    return _few(count, "FP")


def _few(count: int | None, what: str) -> str:
    return "" if count is None or count >= _MANY else f" ({count} {what})"


def change_cell(paired: PairedDifference, adjusted_p_value: float) -> str:
    """The difference with its interval, starred where it is one after Holm's correction."""
    if not paired.resolved:
        return UNRESOLVED
    star = "*" if adjusted_p_value <= 0.05 else ""
    return f"{paired.difference:+.3f} [{paired.low:+.3f}, {paired.high:+.3f}]{star}"


def is_empty(table: Table, *, marks: Sequence[str] = (UNRESOLVED,)) -> bool:
    """Whether no cell holds a figure; which rates those are, and why, the limits say."""
    return all(cell in marks for row in table.rows for cell in row[1:])


def number(value: float) -> float | None:
    """A number of six places, None for NaN and infinity."""
    return round(float(value), 6) if math.isfinite(value) else None


def interval_facts(interval: BootstrapInterval) -> dict[str, Any]:
    """An interval; what is not resolved is None."""
    return {
        "resolved": interval.resolved,
        "estimate": number(interval.estimate),
        "low": number(interval.low),
        "high": number(interval.high),
    }


def rate_facts(rate: TarAtFar, interval: BootstrapInterval) -> dict[str, Any]:
    """A true accept rate with counts; the rate is that of the interval."""
    return {
        "far": rate.target,
        "resolved": rate.resolved,
        "tar": number(interval.estimate),
        "low": number(interval.low),
        "high": number(interval.high),
        "achieved_far": number(rate.far),
        "threshold": number(rate.threshold),
        "num_false_accepts": rate.num_false_accepts,
        "budget": rate.budget,
        "num_mated": rate.num_mated,
        "num_non_mated": rate.num_non_mated,
    }


def change_facts(paired: PairedDifference, adjusted_p_value: float) -> dict[str, Any]:
    """A paired difference; what is not resolved is None."""
    return {
        "far": paired.target,
        "resolved": paired.resolved,
        "difference": number(paired.difference),
        "low": number(paired.low),
        "high": number(paired.high),
        "p_value": number(paired.p_value),
        "holm_p_value": number(adjusted_p_value),
    }
