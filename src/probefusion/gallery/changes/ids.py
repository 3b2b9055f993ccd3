"""Ids that are never given twice."""

from __future__ import annotations

import secrets

__all__ = ["new_id"]


def new_id(kind: str) -> str:
    """An id that was never given before: a letter for its kind and 64 random bits of the operating system."""
    return f"{kind}{secrets.token_hex(8)}"
