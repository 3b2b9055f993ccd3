"""Cursors: where the next part of a list begins, as the answer before told it."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import Query

from probefusion.service.problems import Refusal

__all__ = ["Cursor", "cursor_at", "number_at", "text_at"]

Cursor = Annotated[
    str | None,
    Query(max_length=2048, description="What an earlier answer gave as `next`."),
]

_LARGEST = 2**63 - 1


def cursor_at(text: str) -> str:
    """The cursor of what follows a text, which `text_at` reads."""
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode()


def text_at(cursor: str) -> str:
    """The text of a cursor.

    Raises:
        Refusal: If it is none.
    """
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode(
            "utf-8", "surrogatepass"
        )
    except (binascii.Error, ValueError):
        raise _no_cursor() from None


def number_at(cursor: str) -> int:
    """The whole number of a cursor.

    Raises:
        Refusal: If it is none.
    """
    text = text_at(cursor)
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else _LARGEST + 1
    if number > _LARGEST:
        raise _no_cursor()
    return number


def _no_cursor() -> Refusal:
    return Refusal(
        422, "cursor: expected what an earlier answer gave as next.", code="field", field="cursor"
    )
