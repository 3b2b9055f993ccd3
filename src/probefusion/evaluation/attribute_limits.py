"""What errors by attribute leave open, and what of the table was not used, in words with counts."""

from __future__ import annotations

from collections.abc import Sequence

from probefusion.evaluation.attributes import AttributeMeter, AttributeResult
from probefusion.metrics import ValueErrors

__all__ = ["attribute_facts_of_table", "attribute_limits"]

_MOST_NAMED = 8


def attribute_limits(meter: AttributeMeter | None) -> tuple[str, ...]:
    """What is to be said of the table and its values.

    Args:
        meter: After the evaluation; None where no attributes were asked for.
    """
    if meter is None:
        return ()
    matched = meter.matched
    owner, origin = matched.table.owner, matched.table.origin
    found = []
    if matched.num_rows_unused:
        found.append(
            f"Attributes: {matched.num_rows_unused} rows of {origin} are of no {owner} in the data, the first "
            f"{matched.first_row_unused!r}; they are not used."
        )
    if matched.num_without_row:
        found.append(
            f"Attributes: {matched.num_without_row} of the {owner}s that were tested have no row in {origin}, the "
            f"first {matched.first_without_row!r}; they count among all comparisons and to no value."
        )
    if matched.num_unnamed:
        found.append(
            f"Attributes: of {matched.num_unnamed} templates no file tells whom they show; they count among all "
            f"comparisons and to no value."
        )
    for attribute in matched.attributes:
        mine = [result for result in meter.results if result.attribute == attribute.name]
        found += _limits_of(mine, meter.least_people)
    return tuple(found)


def attribute_facts_of_table(meter: AttributeMeter | None) -> dict[str, object]:
    """What was read of the table, for a report's facts; {} where no attributes were asked for."""
    if meter is None:
        return {}
    matched = meter.matched
    return {
        "attributes": {
            "file": matched.table.origin,
            "sha256": matched.table.sha256,
            "owner": matched.table.owner,
            "columns": {entry.name: list(entry.values) for entry in matched.attributes},
            "num_rows": len(matched.table.names),
            "num_rows_unused": matched.num_rows_unused,
            "num_without_row": matched.num_without_row,
            "least_people": meter.least_people,
        }
    }


def _limits_of(results: Sequence[AttributeResult], least_people: int) -> list[str]:
    """Of one attribute: too few values, too few people, probes of several values."""
    resolved = [entry for result in results for entry in result.errors if entry.values]
    if not resolved:
        return []
    name = results[0].attribute
    found = []
    if len(resolved[0].values) == 1:
        only = resolved[0].values[0].value
        found.append(f"Attribute {name!r}: one value, {only!r}, so nothing to compare it with.")
    most: dict[str, ValueErrors] = {}
    for entry in resolved:
        for value in entry.values:
            before = most.get(value.value)
            if before is None or value.fnmr.num_people > before.fnmr.num_people:
                most[value.value] = value
    few = [f"{key!r} ({value.fnmr.num_people})" for key, value in most.items() if value.is_few]
    if few:
        more = f" and {len(few) - _MOST_NAMED} more" if len(few) > _MOST_NAMED else ""
        named = ", ".join(few[:_MOST_NAMED])
        found.append(
            f"Attribute {name!r}: fewer than {least_people} people with probes of {named}{more}. Their rates are "
            f"marked and not among the largest differences."
        )
    mixed = max(result.num_mixed for result in results)
    if mixed:
        found.append(
            f"Attribute {name!r}: up to {mixed:,} probe sets have images of several values; they count among all "
            f"comparisons and to no value."
        )
    return found
