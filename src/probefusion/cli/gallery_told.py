"""What commands print of changes of a gallery."""

from __future__ import annotations

import argparse
import json
from typing import Any

from probefusion.cli.gallery_options import change_facts, tell_change

__all__ = ["report_change"]


def report_change(
    options: argparse.Namespace, action: str, revision: int, words: str, **facts: Any
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
        print(json.dumps({**change_facts(options, action, revision), **named, **facts}, indent=2))
        return
    print(words)
    tell_change(options, revision)
