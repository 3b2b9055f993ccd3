"""A report as a folder: report.json, report.md, report.html that opens from the disk, and figures."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from probefusion.files import check_output, replace_file, replace_together
from probefusion.reports.shell import page_parts

__all__ = ["Figure", "Table", "png", "report_folder", "write_pages"]

_PAGES = ("report.json", "report.md", "report.html")

_NARROW = 1000
"""Figures of fewer pixels across have one panel."""


class Table(NamedTuple):
    """A table of texts."""

    title: str
    header: list[str]
    rows: list[list[str]]


class Figure(NamedTuple):
    """A picture: file name without ending, caption, PNG."""

    name: str
    caption: str
    data: bytes


def report_folder(folder: str | Path, *, force: bool) -> Path:
    """Makes the folder of a report.

    Raises:
        OutputExistsError: If a report stands there and `force` is False.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _PAGES:
        check_output(folder / name, force=force)
    return folder


def write_pages(
    folder: Path,
    *,
    content: dict[str, Any],
    title: str,
    notes: Sequence[str],
    limits: Sequence[str],
    tables: Sequence[Table],
    figures: Sequence[Figure],
    facts: dict[str, Any],
) -> None:
    """Writes report.json, report.md, report.html and the figures, together or not at all, replacing what stands there.

    Args:
        folder: An existing folder.
        content: What report.json holds; no NaN.
        title: Headline.
        notes: Paragraphs below it.
        limits: What could not be measured, and why.
        tables: The tables.
        figures: The figures.
        facts: What was evaluated.

    Raises:
        MissingExtraError: If Jinja2 is not installed.
    """
    evaluated = json.dumps(facts, indent=2, ensure_ascii=False)
    page = page_parts(
        "evaluation",
        extra="plot",
        title=title,
        notes=notes,
        limits=limits,
        tables=tables,
        figures=[_embedded(figure) for figure in figures],
        evaluated=evaluated,
    )
    texts = (
        json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        _markdown(title, notes, limits, tables, figures, evaluated),
        "".join(page),
    )
    contents = {f"{figure.name}.png": figure.data for figure in figures}
    # Names of files may hold bytes of another encoding; in JSON they are escapes, too.
    contents |= {
        name: text.encode(errors="backslashreplace")
        for name, text in zip(_PAGES, texts, strict=True)
    }
    with replace_together():
        for name, content_of in contents.items():
            with replace_file(folder / name, force=True) as stream:
                stream.write(content_of)


def png(figure: Any) -> bytes:
    """A matplotlib figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def _embedded(figure: Figure) -> dict[str, Any]:
    width = int.from_bytes(figure.data[16:20], "big")  # of the PNG's header
    return {
        "name": figure.name,
        "caption": figure.caption,
        "data": base64.b64encode(figure.data).decode(),
        "is_narrow": width < _NARROW,
    }


def _markdown(
    title: str,
    notes: Sequence[str],
    limits: Sequence[str],
    tables: Sequence[Table],
    figures: Sequence[Figure],
    evaluated: str,
) -> str:
    lines = [f"# {title}", ""]
    for note in notes:
        lines += [note, ""]
    if limits:
        lines += [
            "Not measured, or not to be relied on:",
            "",
            *(f"- {limit}" for limit in limits),
            "",
        ]
    for name, header, rows in tables:
        lines += [f"## {name}", "", "| " + " | ".join(header) + " |"]
        lines += ["|---" + "|---:" * (len(header) - 1) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in rows] + [""]
    for figure in figures:
        lines += [f"![{figure.caption}]({figure.name}.png)", ""]
    lines += ["```json", evaluated, "```", ""]
    return "\n".join(lines)
