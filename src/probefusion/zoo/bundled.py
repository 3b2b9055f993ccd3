"""Embedders inside the package: their cards, as entries of the manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from probefusion.errors import FileFormatError
from probefusion.files import bundled_folder

__all__ = ["CARD_NAME", "DEFAULT_EMBEDDER", "bundled_entries", "is_bundled"]

DEFAULT_EMBEDDER = "compact_128d"
"""Name of the embedder that is used where none is given; it is part of the package."""

CARD_NAME = "embedder.json"
"""Name of the card beside a bundled embedder's network."""

_ENTRY_KEYS = ("sha256", "size", "licence", "non_commercial", "origin", "accuracy", "settings")


def bundled_entries() -> dict[str, dict[str, Any]]:
    """What the cards of the package's embedders say, by name, in the manifest's form.

    Of several revisions of one name the last is taken.

    Raises:
        FileFormatError: If a card cannot be read.
    """
    entries = {}
    for path in sorted(bundled_folder().glob(f"*/{CARD_NAME}")):
        card = _read(path)
        entry = {key: card[key] for key in _ENTRY_KEYS}
        entries[card["name"]] = {
            "kind": "embedder",
            "file": str(path.parent / card["file"]),
            **entry,
        }
    return entries


def is_bundled(file: str) -> bool:
    """Whether an entry's file is one of the package's own."""
    return bundled_folder() in Path(file).parents


def _read(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        missing = {"name", "file", *_ENTRY_KEYS} - card.keys()
    except (ValueError, OSError, AttributeError) as error:
        raise FileFormatError(
            f"{path}: expected the card of an embedder, could not read it ({error}). "
            f"Install probefusion again."
        ) from error
    if missing:
        raise FileFormatError(
            f"{path}: expected the card of an embedder, it lacks {', '.join(sorted(missing))}. "
            f"Install probefusion again."
        )
    return dict(card)
