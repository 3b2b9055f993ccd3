"""Rows of what is added, and who may be merged."""

from __future__ import annotations

from dataclasses import replace

from probefusion.errors import ConflictError, DtypeError
from probefusion.files.paths import brief
from probefusion.gallery.contributions.features import Kept
from probefusion.gallery.stores.records import ImageRow, LinkRow, PersonRow
from probefusion.gallery.stores.sql_table import (
    check_text,
)
from probefusion.gallery.stores.store import Writer
from probefusion.types import EmbeddingSet

__all__ = ["as_source", "check_may_merge", "image_rows"]


def check_may_merge(writer: Writer, first: PersonRow, second: PersonRow) -> None:
    """Refuses to merge people who are known to be different.

    Raises:
        ConflictError: If they are.
    """
    one, other = sorted((first.id, second.id))
    if LinkRow(first=one, second=other) in writer.links():
        raise ConflictError(
            f"{first.name} and {second.name} are noted as different people. Take that back first: "
            f"cannot_link({first.name!r}, {second.name!r}, False)."
        )


def as_source(source: object) -> str:
    """Where images are from, as it is kept.

    Raises:
        DtypeError: If it is no text.
        ConfigError: If it cannot be kept.
    """
    if not isinstance(source, str):
        raise DtypeError(
            f"source: expected a text, got {brief(source)}. Give a camera or folder as text."
        )
    check_text(source, name="source")
    return str(source)


def image_rows(contribution_id: str, labels: Kept) -> list[ImageRow]:
    """The rows of a contribution's images, with their sources and media ids; none of a state."""
    if not isinstance(labels, EmbeddingSet):
        return []
    sources = [""] * len(labels) if labels.sources is None else labels.sources.tolist()
    media = (
        [""] * len(labels)
        if labels.media_ids is None
        else [str(value) for value in labels.media_ids.tolist()]
    )
    rows = [
        ImageRow(id=f"{contribution_id}.{place}", contribution_id=contribution_id, place=place)
        for place in range(len(labels))
    ]
    return [
        replace(row, source=source, media_id=media_id)
        for row, source, media_id in zip(rows, sources, media, strict=True)
    ]
