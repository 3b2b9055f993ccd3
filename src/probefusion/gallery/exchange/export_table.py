"""People of a gallery as one table with a row for each image, and facts about all that is not an image."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError
from probefusion.gallery.contributions.features import Kept, from_bytes, to_bytes
from probefusion.gallery.stores.records import ContributionKind
from probefusion.gallery.verbs.plain_people import PlainContribution, PlainPerson
from probefusion.types import EmbeddingSet, FusionState

__all__ = ["ExportTable", "people_of", "table_of"]

VERSION = 1
_FORMAT = "probefusion gallery"
_NUMBERS = ("quality", "detector_scores")


@dataclass(frozen=True, kw_only=True, eq=False)
class ExportTable:
    """What an export holds.

    Args:
        facts: What JSON can say: format, version, collection, embedder, fuser, people and their contributions; of
            those that keep a state alone, the state.
        columns: By name, N rows each, contribution after contribution: `embeddings` (N, D) float32, `style`
            (N, 2C) float32, `quality` and `detector_scores` (N,) float32 with NaN where there is none, these three if
            there is any; `chips` (N,) bytes or None if they were asked for, the texts `subject_ids`, `template_ids` (of
            contributions), `sources` and `media_ids`, and `left_out` (N,) bool of images that were taken out.
    """

    facts: dict[str, Any]
    columns: dict[str, npt.NDArray[Any]]


def table_of(
    people: Iterable[PlainPerson], facts: Mapping[str, Any], *, dim: int = 1, chips: bool = False
) -> ExportTable:
    """The table of people.

    Args:
        people: As `Gallery.plain_people` gives them.
        facts: Collection, embedder and fuser.
        dim: D where no contribution keeps images.
        chips: Whether there is a column of small pictures.
    """
    rows: list[tuple[str, PlainContribution, EmbeddingSet]] = []
    listed = []
    for person in people:
        listed.append(_facts_of(person))
        for part in person.contributions:
            if isinstance(part.kept, EmbeddingSet):
                rows.append((person.name, part, part.kept))
    whole = {"format": _FORMAT, "version": VERSION, **facts, "people": listed}
    return ExportTable(facts=whole, columns=_columns_of(rows, dim, chips=chips))


def _facts_of(person: PlainPerson) -> dict[str, Any]:
    parts = []
    for part in person.contributions:
        facts: dict[str, Any] = {"id": part.id, "kind": part.kind, "time": part.time}
        facts |= {"source": part.source, "num_images": part.kept.num_images}
        if isinstance(part.kept, FusionState):
            facts["state"] = base64.b64encode(to_bytes(part.kept)).decode()
        else:
            facts["embedder"] = part.kept.embedder
            facts["norms_known"] = bool(part.kept.norms_known)
            facts["has"] = [
                name
                for name in ("style", "chips", *_NUMBERS)
                if getattr(part.kept, name) is not None
            ]
        parts.append(facts)
    return {
        "id": person.id,
        "name": person.name,
        "is_ignored": person.is_ignored,
        "created": person.created,
        "num_images": person.num_images,
        "different_from": list(person.different_from),
        "contributions": parts,
    }


def _columns_of(
    rows: list[tuple[str, PlainContribution, EmbeddingSet]], dim: int, *, chips: bool
) -> dict[str, npt.NDArray[Any]]:
    sets = [images for _, _, images in rows]
    counts = [len(images) for images in sets]
    columns: dict[str, npt.NDArray[Any]] = {
        "embeddings": _joined(
            [images.embeddings for images in sets], np.zeros((0, dim), np.float32)
        ),
        "subject_ids": np.repeat(np.array([name for name, _, _ in rows], np.str_), counts),
        "template_ids": np.repeat(np.array([part.id for _, part, _ in rows], np.str_), counts),
        "left_out": np.zeros(sum(counts), bool),
    }
    for name in ("sources", "media_ids"):
        given = [(getattr(images, name), len(images)) for images in sets]
        texts = [np.full(n, "") if each is None else each.astype(np.str_) for each, n in given]
        columns[name] = _joined(texts, np.zeros(0, np.str_))
    width = max(
        (images.style.shape[1] * 2 for images in sets if images.style is not None), default=0
    )
    if width:
        columns["style"] = _joined(
            [
                np.zeros((len(images), width), np.float32)
                if images.style is None
                else images.style.reshape(len(images), width)
                for images in sets
            ],
            np.zeros((0, width), np.float32),
        )
    for name in _NUMBERS:
        found = [getattr(images, name) for images in sets]
        if all(each is None for each in found):
            continue  # readers of archives take a column without a number for a damaged one
        filled = [
            np.full(count, np.nan, np.float32) if each is None else each
            for each, count in zip(found, counts, strict=True)
        ]
        columns[name] = _joined(filled, np.zeros(0, np.float32))
    if chips:
        none = np.zeros(0, object)
        pictures = [
            np.full(n, None) if i.chips is None else np.asarray(i.chips)
            for i, n in zip(sets, counts, strict=True)
        ]
        columns["chips"] = _joined(pictures, none)
    start = 0
    for (_, part, _), count in zip(rows, counts, strict=True):
        columns["left_out"][[start + place for place in part.left_out]] = True
        start += count
    return columns


def _joined(parts: list[npt.NDArray[Any]], none: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else none


def people_of(table: ExportTable, *, origin: str) -> tuple[PlainPerson, ...]:
    """The people of a table.

    Args:
        table: The table.
        origin: The file, for messages.

    Raises:
        FileFormatError: If it is not what it must be, or of a newer release.
    """
    facts = table.facts
    if facts.get("format") != _FORMAT:
        raise FileFormatError(
            f"{origin}: expected an export of a gallery (probefusion gallery export), got something else. Embeddings "
            f"and images are enrolled: probefusion enroll."
        )
    version = facts.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise FileFormatError(
            f"{origin}: its format version {version!r} is newer than {VERSION}, which this release reads. Upgrade "
            f"probefusion."
        )
    rows = _Rows(table.columns)
    try:
        people = tuple(_person(person, rows, origin) for person in facts["people"])
        rows.check_at_end()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"{origin}: it does not hold what it says: {type(error).__name__}: {error}. Export the gallery again."
        ) from error
    return people


def _person(facts: dict[str, Any], rows: _Rows, origin: str) -> PlainPerson:
    return PlainPerson(
        id=_text(facts["id"]),
        name=_text(facts["name"]),
        is_ignored=bool(facts["is_ignored"]),
        created=_text(facts["created"]),
        vector=None,
        num_images=int(facts["num_images"]),
        contributions=tuple(
            _contribution(part, facts["name"], rows, origin) for part in facts["contributions"]
        ),
        different_from=tuple(_text(name) for name in facts["different_from"]),
    )


def _contribution(facts: dict[str, Any], name: str, rows: _Rows, origin: str) -> PlainContribution:
    time, kind = _text(facts["time"]), facts["kind"]
    if datetime.fromisoformat(time).tzinfo is None or kind not in get_args(ContributionKind):
        raise ValueError(f"contribution {facts['id']!r} of kind {kind!r} at {time!r}")
    left_out: tuple[int, ...] = ()
    kept: Kept
    if "state" in facts:
        data = base64.b64decode(facts["state"], validate=True)
        kept = from_bytes(data, origin=f"a state of {origin}")
        if not isinstance(kept, FusionState):
            raise ValueError(f"contribution {facts['id']!r} keeps no state")
    else:
        kept, left_out = rows.take(facts, name)
    return PlainContribution(
        id=_text(facts["id"]),
        kind=kind,
        time=time,
        source=_text(facts["source"]),
        kept=kept,
        left_out=left_out,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {type(value).__name__}")
    return value


class _Rows:
    """The rows, taken one contribution after the other."""

    def __init__(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        self._columns, self._place = columns, 0

    def take(self, facts: dict[str, Any], name: str) -> tuple[EmbeddingSet, tuple[int, ...]]:
        count = facts["num_images"]
        part = slice(self._place, self._place + count)
        own: Callable[[str], npt.NDArray[Any]] = lambda column: self._columns[column][part]  # noqa: E731
        ids, names = own("template_ids").tolist(), own("subject_ids").tolist()
        if len(ids) != count or set(ids) != {facts["id"]} or set(names) != {name}:
            raise ValueError(f"rows {part.start} to {part.stop} are not those of {facts['id']!r}")
        self._place += count
        has = facts["has"]
        images = EmbeddingSet(
            embeddings=own("embeddings"),
            style=own("style").reshape(count, -1, 2) if "style" in has else None,
            quality=own("quality") if "quality" in has else None,
            chips=own("chips") if "chips" in has and "chips" in self._columns else None,
            detector_scores=own("detector_scores") if "detector_scores" in has else None,
            sources=own("sources"),
            media_ids=own("media_ids"),
            embedder=facts["embedder"],
            norms_known=facts["norms_known"],
            was_stored=True,
        )
        return images, tuple(np.flatnonzero(own("left_out")).tolist())

    def check_at_end(self) -> None:
        total = len(self._columns["embeddings"])
        if self._place != total:
            raise ValueError(f"{total - self._place} rows belong to no contribution")
