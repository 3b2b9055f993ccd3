"""Errors by attribute as JSON and as tables of a report and of a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from probefusion.evaluation.attributes import AttributeResult
from probefusion.metrics import Differential, DifferentialErrors, ErrorRate, ValueErrors
from probefusion.reports.pages import Table

__all__ = ["ATTRIBUTE_NOTE", "attribute_facts", "attribute_summary", "attribute_tables"]

ATTRIBUTE_NOTE = (
    "Errors by attribute: FNMR of the probes of a value, and FMR of its probes within the group (references of "
    "the same value) and across groups (of other values), all at the one threshold of all comparisons. Brackets: "
    "95 % bootstrap intervals over people, the threshold kept. few: too few people, not compared. The largest "
    "difference is that between the highest and the lowest rate; its interval does not take into account that "
    "these two were chosen among several."
)
"""What the tables say."""

_HEADER = ["value", "people", "FNMR", "FMR within the group", "FMR across groups"]
_DIGITS = 6


def attribute_facts(results: Sequence[AttributeResult]) -> list[dict[str, Any]]:
    """Every figure with its counts; rates without comparisons and intervals of one person are None."""
    return [
        {
            "attribute": result.attribute,
            "owner": result.owner,
            "fuser": result.fuser,
            "num_images": result.num_images,
            "size_class": result.size_class,
            "chunk": result.chunk,
            "num_mixed": result.num_mixed,
            "rates": [_rate_facts(entry) for entry in result.errors],
        }
        for result in results
    ]


def attribute_tables(results: Sequence[AttributeResult]) -> list[Table]:
    """For a report: each attribute, fuser and false accept rate, at the most images; then the differences."""
    shown = _at_most_images(results)
    tables = [
        _value_table(result, entry) for result in shown for entry in result.errors if entry.values
    ]
    for name in dict.fromkeys(result.attribute for result in shown):
        mine = [result for result in shown if result.attribute == name]
        rows = [
            row
            for result in mine
            for entry in result.errors
            for row in _difference_rows(result, entry)
        ]
        if rows:
            header = ["fuser", "FAR", "rate", "highest", "lowest", "difference", "ratio"]
            tables.append(Table(f"{name}: largest differences", header, rows))
    return tables


def attribute_summary(results: Sequence[AttributeResult]) -> list[Table]:
    """For a terminal: each attribute and fuser at the most images and the rate at which fusers are compared."""
    tables = []
    for result in _at_most_images(results):
        entry = result.compared
        if entry is None:
            continue
        tables.append(_value_table(result, entry))
        rows = [row[2:] for row in _difference_rows(result, entry)]
        if rows:
            header = ["largest difference", "highest", "lowest", "difference", "ratio"]
            tables.append(Table(f"{result.attribute}: {result.label}", header, rows))
    return tables


def _at_most_images(results: Sequence[AttributeResult]) -> list[AttributeResult]:
    """Of each attribute, fuser, size class and way the result of the largest probe sets and those of media."""
    most: dict[tuple[object, ...], AttributeResult] = {}
    for result in results:
        is_number = isinstance(result.num_images, int)
        key = (result.attribute, result.fuser, result.size_class, result.chunk, is_number)
        before = most.get(key)
        if before is None or _size(result) > _size(before):
            most[key] = result
    return sorted(most.values(), key=lambda result: result.attribute)


def _size(result: AttributeResult) -> int:
    return result.num_images if isinstance(result.num_images, int) else 0


def _value_table(result: AttributeResult, entry: DifferentialErrors) -> Table:
    rows = [_row(value) for value in entry.values]
    if entry.unknown is not None:
        rows.append(
            ["several or not known" if result.num_mixed else "not known", *_row(entry.unknown)[1:]]
        )
    title = f"{result.attribute}: {result.label}, at the threshold of FAR {entry.overall.target:g}"
    return Table(title, list(_HEADER), rows)


def _row(value: ValueErrors) -> list[str]:
    return [
        value.value,
        f"{value.fnmr.num_people}{' (few)' if value.is_few and value.value else ''}",
        _cell(value.fnmr),
        _cell(value.fmr_within),
        _cell(value.fmr_across),
    ]


def _cell(rate: ErrorRate) -> str:
    if not rate.num_comparisons:
        return "none compared"
    counts = f"{rate.num_errors:,} of {rate.num_comparisons:,}"
    if math.isnan(rate.low):
        return f"{rate.rate:.3g} ({counts})"
    return f"{rate.rate:.3g} [{rate.low:.3g}, {rate.high:.3g}] ({counts})"


def _difference_rows(result: AttributeResult, entry: DifferentialErrors) -> list[list[str]]:
    kinds = (
        ("FNMR", "fnmr", entry.false_negative),
        ("FMR within the group", "fmr_within", entry.false_positive),
    )
    return [
        [
            result.label,
            f"{entry.overall.target:g}",
            kind,
            *(_told(value, getattr(value, field)) for value in (found.highest, found.lowest)),
            f"{found.difference:.3g} [{found.low:.3g}, {found.high:.3g}]",
            "-" if found.ratio is None else f"{found.ratio:.3g}",
        ]
        for kind, field, found in kinds
        if found is not None
    ]


def _told(value: ValueErrors, rate: ErrorRate) -> str:
    return (
        f"{value.value}: {rate.rate:.3g} ({rate.num_errors:,} of {rate.num_comparisons:,}, "
        f"{rate.num_people} people)"
    )


def _rate_facts(entry: DifferentialErrors) -> dict[str, Any]:
    overall = entry.overall
    return {
        "far": overall.target,
        "resolved": overall.resolved,
        "threshold": _number(overall.threshold),
        "num_mated": overall.num_mated,
        "num_non_mated": overall.num_non_mated,
        "num_false_accepts": overall.num_false_accepts,
        "values": [_value_facts(value) for value in entry.values],
        "unknown": None if entry.unknown is None else _value_facts(entry.unknown),
        "false_negative_differential": _differential_facts(entry.false_negative, "fnmr"),
        "false_positive_differential": _differential_facts(entry.false_positive, "fmr_within"),
    }


def _value_facts(value: ValueErrors) -> dict[str, Any]:
    return {
        "value": value.value,
        "few_people": value.is_few,
        "tar": _number(value.tar),
        "fnmr": _error_facts(value.fnmr),
        "fmr_within_group": _error_facts(value.fmr_within),
        "fmr_across_groups": _error_facts(value.fmr_across),
        "num_reference_unknown": value.num_reference_unknown,
    }


def _error_facts(rate: ErrorRate) -> dict[str, Any]:
    return {
        "rate": _number(rate.rate),
        "low": _number(rate.low),
        "high": _number(rate.high),
        "num_errors": rate.num_errors,
        "num_comparisons": rate.num_comparisons,
        "num_people": rate.num_people,
    }


def _differential_facts(found: Differential | None, field: str) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "highest": {"value": found.highest.value, **_error_facts(getattr(found.highest, field))},
        "lowest": {"value": found.lowest.value, **_error_facts(getattr(found.lowest, field))},
        "difference": _number(found.difference),
        "low": _number(found.low),
        "high": _number(found.high),
        "ratio": None if found.ratio is None else _number(found.ratio),
    }


def _number(value: float) -> float | None:
    """A number of six digits, as false match rates are small; None for NaN and infinity."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
