"""Rows of a gallery as rows of SQL tables and back."""

from __future__ import annotations

import json
from typing import Any

from probefusion.errors import ConfigError
from probefusion.gallery.stores.records import (
    ChangeRow,
    ContributionRow,
    ImageRow,
    LinkRow,
    ModelRow,
    PersonRow,
    ReceiptRow,
    VectorRow,
)
from probefusion.gallery.stores.sql_table import Table

__all__ = [
    "AUDIT",
    "CHANGES",
    "CHIPS",
    "CONTRIBUTIONS",
    "IMAGES",
    "LINKS",
    "MODELS",
    "PAYLOADS",
    "PEOPLE",
    "REASONS",
    "RECEIPTS",
    "VECTORS",
]


def _json(value: Any) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"edits: expected plain values that JSON can hold: {error}") from error


PEOPLE = Table[tuple[PersonRow, bytes]](
    name="people",
    key=("id",),
    columns=("id", "name", "name_hash", "shown", "ignored", "key_id", "created"),
    values=lambda row: (
        *(row[0].id, row[0].name, row[1], int(row[0].shown)),
        *(int(row[0].ignored), row[0].key_id, row[0].created),
    ),
    row=lambda values: (
        PersonRow(
            id=values[0],
            name=values[1],
            shown=bool(values[3]),
            ignored=bool(values[4]),
            key_id=values[5],
            created=values[6],
        ),
        values[2],
    ),
)
"""Beside each person what finds the name."""

CONTRIBUTIONS = Table[ContributionRow](
    name="contributions",
    key=("id",),
    columns=(
        *("id", "person_id", "last_person", "kind", "keep"),
        *("num_images", "time", "source", "key_id"),
    ),
    values=lambda row: (
        *(row.id, row.person_id, row.last_person, row.kind, row.keep),
        *(row.num_images, row.time, row.source, row.key_id),
    ),
    row=lambda values: ContributionRow(
        id=values[0],
        person_id=values[1],
        last_person=values[2],
        kind=values[3],
        keep=values[4],
        num_images=values[5],
        time=values[6],
        source=values[7],
        key_id=values[8],
    ),
)

IMAGES = Table[ImageRow](
    name="images",
    key=("id",),
    columns=("id", "contribution_id", "place", "source", "media_id", "left_out"),
    values=lambda row: (
        *(row.id, row.contribution_id, row.place),
        *(row.source, row.media_id, int(row.left_out)),
    ),
    row=lambda values: ImageRow(
        id=values[0],
        contribution_id=values[1],
        place=values[2],
        source=values[3],
        media_id=values[4],
        left_out=bool(values[5]),
    ),
)

PAYLOADS = Table[tuple[str, str, bytes]](
    name="payloads",
    key=("contribution_id", "embedder"),
    columns=("contribution_id", "embedder", "payload"),
    values=lambda row: row,
    row=lambda values: (values[0], values[1], values[2]),
)

REASONS = Table[tuple[str, str]](
    name="reasons",
    key=("contribution_id",),
    columns=("contribution_id", "reasons"),
    values=lambda row: row,
    row=lambda values: (values[0], values[1]),
)

CHIPS = Table[tuple[str, bytes]](
    name="chips",
    key=("image_id",),
    columns=("image_id", "chip"),
    values=lambda row: row,
    row=lambda values: (values[0], values[1]),
)

VECTORS = Table[VectorRow](
    name="vectors",
    key=("person_id", "model_id"),
    columns=("person_id", "model_id", "vector", "num_images", "revision"),
    values=lambda row: (row.person_id, row.model_id, row.vector, row.num_images, row.revision),
    row=lambda values: VectorRow(
        person_id=values[0],
        model_id=values[1],
        vector=values[2],
        num_images=values[3],
        revision=values[4],
    ),
)

LINKS = Table[LinkRow](
    name="links",
    key=("first", "second"),
    columns=("first", "second"),
    values=lambda row: (row.first, row.second),
    row=lambda values: LinkRow(first=values[0], second=values[1]),
)

MODELS = Table[tuple[ModelRow, int]](
    name="models",
    key=("id",),
    columns=("id", "embedder", "fuser", "fuser_source", "dim", "status", "created", "number"),
    values=lambda row: (
        *(row[0].id, row[0].embedder, row[0].fuser, row[0].fuser_source),
        *(row[0].dim, row[0].status, row[0].created, row[1]),
    ),
    row=lambda values: (
        ModelRow(
            id=values[0],
            embedder=values[1],
            fuser=values[2],
            fuser_source=values[3],
            dim=values[4],
            status=values[5],
            created=values[6],
        ),
        values[7],
    ),
)

CHANGES = Table[ChangeRow](
    name="changes",
    key=("revision",),
    columns=(
        *("revision", "time", "actor", "action"),
        *("subjects", "edits", "undoes", "undone_by"),
    ),
    values=lambda row: (
        *(row.revision, row.time, row.actor, row.action),
        *(_json(row.subjects), _json(row.edits), row.undoes, row.undone_by),
    ),
    row=lambda values: ChangeRow(
        revision=values[0],
        time=values[1],
        actor=values[2],
        action=values[3],
        subjects=tuple(json.loads(values[4])),
        edits=tuple(json.loads(values[5])),
        undoes=values[6],
        undone_by=values[7],
    ),
)

AUDIT = Table[tuple[int, bytes]](
    name="audit",
    key=("sequence",),
    columns=("sequence", "entry"),
    values=lambda row: row,
    row=lambda values: (values[0], values[1]),
)

RECEIPTS = Table[tuple[ReceiptRow, int]](
    name="receipts",
    key=("id",),
    columns=("id", "time", "subject", "status", "finished", "remaining", "key_ids", "number"),
    values=lambda row: (
        *(row[0].id, row[0].time, row[0].subject, row[0].status, row[0].finished),
        *(_json(row[0].remaining), _json(row[0].key_ids), row[1]),
    ),
    row=lambda values: (
        ReceiptRow(
            id=values[0],
            time=values[1],
            subject=values[2],
            status=values[3],
            finished=values[4],
            remaining=tuple(json.loads(values[5])),
            key_ids=tuple(json.loads(values[6])),
        ),
        values[7],
    ),
)
