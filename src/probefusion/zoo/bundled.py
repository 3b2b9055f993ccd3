"""Embedders and fusers inside the package: their cards, as entries of the manifest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypedDict

from probefusion.files import bundled_folder
from probefusion.files.records import read_record
from probefusion.fusion.folder import CARD_NAME as FUSER_CARD_NAME
from probefusion.fusion.folder import read_card

__all__ = ["CARD_NAME", "DEFAULT_EMBEDDER", "EmbedderCard", "bundled_entries", "is_bundled"]

DEFAULT_EMBEDDER = "compact_128d"
"""Name of the embedder that is used where none is given; it is part of the package."""

CARD_NAME = "embedder.json"
"""Name of the card beside a bundled embedder's network."""

FORMAT_VERSION = 1


class _Needed(TypedDict):
    format_version: int
    name: str
    file: str
    sha256: str
    size: int
    licence: str
    non_commercial: bool
    origin: str
    accuracy: list[dict[str, Any]]
    settings: dict[str, Any]


class FormCard(TypedDict):
    """What `embedder.json` says of the embedder's 8-bit form, a file beside its own.

    `measured`, `cosine` and `speed` are told in the model card and not needed to run it.
    """

    name: str
    file: str
    sha256: str
    fingerprint: str
    size: int
    accuracy: list[dict[str, Any]]
    measured: dict[str, float]
    cosine: float
    speed: dict[str, Any]


class EmbedderCard(_Needed, total=False):
    """What `embedder.json` says; the second part is told in the model card and not needed to run it."""

    folder: str
    fingerprint: str
    stand_in: bool
    eight_bits: FormCard
    parameters: int
    network: dict[str, Any]
    training: dict[str, Any]
    measured: dict[str, Any]
    speed: dict[str, Any]
    intended_uses: list[str]
    forbidden_uses: list[str]
    not_measured: list[str]


_OF_AN_EMBEDDER = (
    "sha256", "size", "licence", "non_commercial", "origin", "accuracy", "settings",
)  # fmt: skip


def bundled_entries() -> dict[str, dict[str, Any]]:
    """What the cards of the package's embedders and fusers say, by name, in the manifest's form.

    Of several revisions of one embedder's name the last is taken. An embedder's 8-bit form, where its card
    names one, is an entry of its own.

    Raises:
        FileFormatError: If a card cannot be read.
    """
    return {**_embedders(), **_fusers()}


def is_bundled(file: str) -> bool:
    """Whether an entry's file or folder is one of the package's own."""
    return bundled_folder() in Path(file).parents


def _embedders() -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted(bundled_folder().glob(f"*/{CARD_NAME}"), key=_revision):
        card = read_record(
            path, EmbedderCard, newest=FORMAT_VERSION, step="Install probefusion again."
        )
        entries[card["name"]] = {
            "kind": "embedder",
            "file": str(path.parent / card["file"]),
            **{key: value for key, value in card.items() if key in _OF_AN_EMBEDDER},
        }
        if "eight_bits" in card:
            entries[card["eight_bits"]["name"]] = _eight_bits(path.parent, card)
    return entries


def _eight_bits(folder: Path, card: EmbedderCard) -> dict[str, Any]:
    """The entry of the 8-bit form, which stands for the embedder, with its terms and settings."""
    form = card["eight_bits"]
    return {
        "kind": "embedder",
        "file": str(folder / form["file"]),
        "sha256": form["sha256"],
        "size": form["size"],
        "licence": card["licence"],
        "non_commercial": card["non_commercial"],
        "origin": card["origin"],
        "accuracy": form["accuracy"],
        "settings": {**card["settings"], "stands_for": card["fingerprint"]},
    }


def _revision(card: Path) -> tuple[int, str]:
    """What orders the folders of embedders: the number of the revision that ends the name, then the name."""
    number = re.search(r"\.r(\d+)$", card.parent.name)
    return (0 if number is None else int(number[1]), card.parent.name)


def _fusers() -> dict[str, dict[str, Any]]:
    entries = {}
    for folder in sorted(path.parent for path in bundled_folder().glob(f"*/{FUSER_CARD_NAME}")):
        card = read_card(folder, verify=False)
        entries[folder.name] = {
            "kind": "fuser",
            "format": "folder",
            "file": str(folder),
            "licence": card.licence,
            "non_commercial": True,  # all that is bundled learned from LFW
            "origin": "made with probefusion, part of the package",
            "files": [
                {"name": name, "sha256": sha256, "size": (folder / name).stat().st_size}
                for name, sha256 in card.files.items()
                if (folder / name).is_file()
            ],
            "settings": {"embedder": card.embedder, "dim": card.dim},
        }
    return entries
