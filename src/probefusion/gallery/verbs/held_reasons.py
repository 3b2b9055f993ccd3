"""Why visits are held back: noted with them, and told again later by the names of then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from probefusion.gallery.results import Doubt, DoubtKind
from probefusion.gallery.stores.records import HeldReason
from probefusion.gallery.stores.store import Reader

__all__ = ["doubts_noted", "noted_reasons"]

_GONE = "somebody who was forgotten"


def noted_reasons(doubts: Sequence[Doubt]) -> tuple[HeldReason, ...]:
    """Doubts as they are kept: they name another person by the id alone, who may be renamed or forgotten."""
    return tuple(
        HeldReason(kind=doubt.kind, words=doubt.words or doubt.reason, other=doubt.other)
        for doubt in doubts
    )


def doubts_noted(reader: Reader, contribution_id: str) -> tuple[Doubt, ...]:
    """Why a contribution was held back, with the names that people have now; () if nobody noted it."""
    return tuple(_told(reader, noted) for noted in reader.reasons(contribution_id))


def _told(reader: Reader, noted: HeldReason) -> Doubt:
    kind = cast("DoubtKind", noted.kind)
    if noted.other is None:
        return Doubt(kind=kind, reason=noted.words)
    person = reader.person(noted.other)
    name = _GONE if person is None else person.name
    reason = noted.words.replace("{other}", name)
    return Doubt(kind=kind, reason=reason, other=noted.other, words=noted.words)
