"""The report of a media-folder evaluation: JSON, Markdown and a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from probefusion.evaluation.media_results import (
    MEDIUM,
    MediaColumn,
    MediaDifference,
    MediaEvaluation,
    MediaPoint,
)
from probefusion.reports.cells import (
    INTERVAL_NOTE,
    UNRESOLVED,
    change_cell,
    change_facts,
    interval_cell,
    interval_facts,
    is_empty,
    number,
    rate_cell,
    rate_facts,
    search_cell,
)
from probefusion.reports.media_figures import media_figures
from probefusion.reports.pages import Figure, Table, png, report_folder, write_pages
from probefusion.version import __version__

__all__ = ["REPORT_VERSION", "media_report_facts", "write_media_report"]

REPORT_VERSION = 1
"""Version of the schema of `report.json`."""

_TOO_FEW = "too few people"
"""A cell of a column that is not measured."""


def write_media_report(
    result: MediaEvaluation,
    folder: str | Path,
    *,
    title: str,
    facts: dict[str, Any],
    limits: Sequence[str] = (),
    content: dict[str, Any] | None = None,
    force: bool = False,
    more_notes: Sequence[str] = (),
    more_tables: Sequence[Table] = (),
) -> None:
    """Writes the report.

    Args:
        result: What `evaluate_media` gave.
        folder: Folder to make or to write into.
        title: Headline.
        facts: What was evaluated (protocol definition, embedder, data); kept as given.
        limits: What could not be measured, and why, in words.
        content: What report.json holds; None is `media_report_facts`.
        force: Whether existing report files may be replaced.
        more_notes: Paragraphs behind its own.
        more_tables: Tables behind its own.

    Raises:
        OutputExistsError: If a report stands there and `force` is False.
        MissingExtraError: If matplotlib or Jinja2 is not installed.
    """
    folder = report_folder(folder, force=force)
    figures = [
        Figure(name, caption, png(figure)) for name, caption, figure in media_figures(result)
    ]
    write_pages(
        folder,
        content=media_report_facts(result, facts) if content is None else content,
        title=title,
        notes=(_counts(result), INTERVAL_NOTE, _NOTE, *more_notes),
        limits=limits,
        tables=[*_tables(result), *more_tables],
        figures=figures,
        facts=facts,
    )


def media_report_facts(result: MediaEvaluation, facts: dict[str, Any]) -> dict[str, Any]:
    """The content of `report.json`; unresolved rates are null with `resolved` false, never zero."""
    return {
        "report_version": REPORT_VERSION,
        "probefusion": __version__,
        "evaluated": facts,
        "num_gallery": result.num_gallery,
        "num_sets": result.num_sets,
        "num_replicates": result.plan.num_replicates,
        "columns": [_column(result, column) for column in result.columns],
        "points": [_point(point) for point in result.points],
        "differences": [_difference(difference) for difference in result.differences],
    }


def _column(result: MediaEvaluation, column: MediaColumn) -> dict[str, Any]:
    return {
        "size_class": column.size_class,
        "num_images": column.num_images,
        "num_people": column.num_people,
        "num_too_few": column.num_too_few,
        "num_probe_sets": column.num_sets,
        "num_empty_media": column.num_empty,
        "images_quartiles": [number(value) for value in column.quartiles],
        "measured": column.is_measured,
        "compared_far": result.compared_rate(column.size_class, column.num_images),
    }


def _point(point: MediaPoint) -> dict[str, Any]:
    return {
        "fuser": point.fuser,
        "fingerprint": point.fingerprint,
        "size_class": point.size_class,
        "num_images": point.num_images,
        "tar_at_far": [
            rate_facts(rate, interval)
            for rate, interval in zip(point.verification, point.verification_intervals, strict=True)
        ],
        "raw_gallery": [
            {"far": interval.target, **interval_facts(interval)} for interval in point.raw_gallery
        ],
        "rank1": interval_facts(point.rank1),
        "tpir_at_fpir": [
            {"fpir": entry.target, **interval_facts(entry), "num_false_positives": count}
            for entry, count in zip(point.tpir, point.num_false_positives, strict=True)
        ],
        "num_searches": point.num_searches,
    }


def _difference(difference: MediaDifference) -> dict[str, Any]:
    return {
        "fuser": difference.fuser,
        "reference": difference.reference,
        "size_class": difference.size_class,
        "num_images": difference.num_images,
        **change_facts(difference.paired, difference.adjusted_p_value),
    }


def _tables(result: MediaEvaluation) -> list[Table]:
    """Who was searched for, and for each size class every table that holds a figure."""
    classes = list(dict.fromkeys(column.size_class for column in result.columns))
    tables = [_people_table(result, classes)]
    for size_class in classes:
        tables += [
            table
            for table in _class_tables(result, size_class)
            if not is_empty(table, marks=(UNRESOLVED, _TOO_FEW))
        ]
    return tables


def _people_table(result: MediaEvaluation, classes: Sequence[str]) -> Table:
    columns = [column for column in result.columns if column.size_class == classes[0]]
    rows = []
    for size_class in classes:
        mine = [column for column in result.columns if column.size_class == size_class]
        low, middle, high = mine[-1].quartiles
        images = f"{middle:.0f} [{low:.0f}, {high:.0f}]" if middle == middle else "none"
        cells = [f"{column.num_people} ({column.num_too_few})" for column in mine]
        rows.append([size_class, *cells, images])
    header = ["faces, px", *map(_heading, columns), "images of a medium"]
    return Table("Probe people (in brackets: people with too few images)", header, rows)


def _class_tables(result: MediaEvaluation, size_class: str) -> list[Table]:
    columns = [column for column in result.columns if column.size_class == size_class]
    rates = [result.compared_rate(size_class, column.num_images) for column in columns]
    header = ["fuser", *map(_heading, columns)]
    faces = "All faces" if size_class == "all" else f"Faces {size_class} px"

    def table(title: str, cell: Callable[[MediaPoint], str]) -> Table:
        rows = []
        for name in result.fusers:
            points = [result.point(name, size_class, column.num_images) for column in columns]
            rows.append([name, *(_TOO_FEW if point is None else cell(point) for point in points)])
        return Table(f"{faces}: {title}", header, rows)

    tables = [
        table(
            f"TAR at FAR {rate:g}",
            lambda point, k=index: rate_cell(  # type: ignore[misc]
                point.verification[k], point.verification_intervals[k]
            ),
        )
        for index, rate in enumerate(result.plan.false_accept_rates)
    ]
    tables.append(table("rank-1 identification rate", lambda point: interval_cell(point.rank1)))
    tables += [
        table(
            f"TPIR at FPIR {rate:g}",
            lambda point, k=index: search_cell(  # type: ignore[misc]
                point.tpir[k], point.num_false_positives[k]
            ),
        )
        for index, rate in enumerate(result.plan.false_positive_rates)
    ]
    places = {
        column.num_images: result.plan.false_accept_rates.index(rate)
        for column, rate in zip(columns, rates, strict=True)
    }
    at = f"FAR {rates[0]:g}" if len(set(rates)) == 1 else "the FAR of the column"
    named = [
        f"{_heading(column)}, FAR {rate:g}" if len(set(rates)) > 1 else _heading(column)
        for column, rate in zip(columns, rates, strict=True)
    ]
    raw = table(
        f"TAR at {at}, gallery embeddings not fused",
        lambda point: interval_cell(point.raw_gallery[places[point.num_images]]),
    )
    tables.append(raw._replace(header=["fuser", *named]))
    changes = {
        (entry.fuser, entry.num_images): change_cell(entry.paired, entry.adjusted_p_value)
        for entry in result.differences
        if entry.size_class == size_class
    }
    rows = [
        [name, *(changes.get((name, column.num_images), _TOO_FEW) for column in columns)]
        for name in result.fusers[1:]
    ]
    title = f"{faces}: TAR at {at} minus that of {result.fusers[0]}"
    return [*tables, *([Table(title, ["fuser", *named], rows)] if rows else [])]


def _heading(column: MediaColumn) -> str:
    return MEDIUM if column.num_images == MEDIUM else f"N={column.num_images}"


_NOTE = (
    "Gallery and probe images are of different media. N: images drawn from all other media than the gallery's; "
    "medium: all images of one other medium. A person's replicates are averaged, people count alike."
)


def _counts(result: MediaEvaluation) -> str:
    counts = result.counts
    families = (
        f", {counts['num_families']} families (people without one count as one)"
        if counts["num_families"] < counts["num_people"]
        else ""
    )
    return (
        f"{counts['num_people']} people in the gallery, {counts['num_distractors']} of them with one medium only and "
        f"so never searched for{families}; {counts['num_media']} media, {counts['num_images']:,} images, "
        f"{counts['num_images_of_unknown_width']:,} with a face of unknown width; {result.num_sets} replicates of "
        f"gallery and probes, {result.plan.num_replicates} of the bootstrap."
    )
