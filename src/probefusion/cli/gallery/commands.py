"""`probefusion gallery ...`: looking at a gallery, arranging it, keeping it safe, forgetting."""

from __future__ import annotations

import argparse
import importlib
from dataclasses import dataclass, field
from typing import Any

__all__ = ["add_parser"]

_GROUPS = {
    "look": ("list", "show", "history", "stats", "removed", "template", "chip", "wait"),
    "arrange people": ("rename", "move", "ignore", "cannot-link"),
    "decide about what was held back": ("held", "accept", "reject"),
    "another embedder or fuser": (
        "models",
        "add-model",
        "re-embed",
        "missing",
        "re-fuse",
        "serve",
        "rollback",
        "drop-model",
    ),
    "erase, for good": ("forget", "compact", "receipts"),
    "take out and in": ("export", "import", "load", "plain-templates"),
    "keep safe": ("check", "audit", "new-key", "rotate-key"),
}
"""The commands, in the order of the help."""
_OTHER_NAMES = {"list": "list_people", "export": "export_people", "import": "import_people"}
"""Modules that are not named like their command, which is a word of Python."""
_COLUMN = 18
"""Where what a command does stands in the help."""


def add_parser(commands: Any, wanted: str | None = None) -> None:
    """Declares the commands.

    Args:
        commands: Where they are declared.
        wanted: The one that was given; where it is known, no other one is declared, so that starting is quick.
    """
    parser = commands.add_parser(
        "gallery",
        help="look at a gallery, arrange it, keep it safe, forget people",
        description="Looks at a gallery, arranges it, keeps it safe and forgets people. The\n"
        "commands of every day stand beside this one: enroll, update, search, verify,\nmerge, split, remove and undo.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, help="one of these:"
    )
    if any(wanted in names for names in _GROUPS.values()):
        _module(str(wanted)).add_parser(below)
        return
    for title, names in _GROUPS.items():
        told = _Told(below)
        for name in names:
            _module(name).add_parser(told)
        parser.add_argument_group(title, "\n".join(told.lines))


def _module(command: str) -> Any:
    """The module that declares a command."""
    module = _OTHER_NAMES.get(command, command.replace("-", "_"))
    return importlib.import_module(f"probefusion.cli.gallery.{module}")


@dataclass
class _Told:
    """Declares commands, and keeps a line of help for each, so that they can be shown in groups."""

    below: Any
    lines: list[str] = field(default_factory=list)

    def add_parser(self, name: str, *, help: str, **settings: Any) -> Any:  # noqa: A002 - argparse's word
        """The parser of a command, which is told to have this help."""
        self.lines.append(f"{name:{_COLUMN}}{help}")
        return self.below.add_parser(name, **settings)
