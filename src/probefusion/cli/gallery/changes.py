"""What commands tell of changes of a gallery: what was done, the revision, and how it is undone."""

from __future__ import annotations

import argparse
import json
from typing import Any

from probefusion.cli.gallery.options import gallery_command, shown_address

__all__ = ["place_facts", "print_change", "print_json", "report_change", "tell_change"]


def place_facts(options: argparse.Namespace) -> dict[str, Any]:
    """Which gallery and collection, with which all JSON of these commands begins."""
    return {"gallery": shown_address(options), "collection": options.collection}


def print_json(options: argparse.Namespace, /, **facts: Any) -> None:
    """Prints the gallery, the collection and facts as JSON."""
    print(json.dumps({**place_facts(options), **facts}, indent=2))


def print_change(options: argparse.Namespace, action: str, revision: int, /, **facts: Any) -> None:
    """Prints a change and facts as JSON.

    Args:
        options: The command's.
        action: What was done.
        revision: Of the collection after it.
        facts: More of it.
    """
    print_json(options, action=action, revision=revision, **facts)


def tell_change(options: argparse.Namespace, revision: int) -> None:
    """Says how a change is undone."""
    print(f"revision {revision}; to undo it: {gallery_command(options, 'undo', str(revision))}")


def report_change(
    options: argparse.Namespace, action: str, revision: int, words: str, /, **facts: Any
) -> None:
    """Prints a change and how it is undone, or both as JSON.

    Args:
        options: The command's; its `name`, if it has one, is told in the JSON.
        action: What was done.
        revision: Of the collection after it.
        words: The change in words.
        facts: More for the JSON.
    """
    if options.json:
        named = {"name": options.name} if getattr(options, "name", None) is not None else {}
        print_change(options, action, revision, **{**named, **facts})
        return
    print(words)
    tell_change(options, revision)
