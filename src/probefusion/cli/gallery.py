"""`probefusion gallery ...`: looking at a gallery, arranging it, keeping it safe, forgetting."""

from __future__ import annotations

from typing import Any

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Declares the commands."""
    from probefusion.cli import (
        gallery_erasing,
        gallery_exchange,
        gallery_held,
        gallery_looking,
        gallery_marks,
        gallery_models,
        gallery_safety,
    )

    parser = commands.add_parser(
        "gallery",
        help="look at a gallery, arrange it, keep it safe, forget people",
        description="Looks at a gallery, arranges it, keeps it safe and forgets people. The commands of every day "
        "are enroll, update, search, verify, merge, split, remove and undo.",
    )
    below = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        gallery_looking,
        gallery_marks,
        gallery_held,
        gallery_models,
        gallery_erasing,
        gallery_safety,
        gallery_exchange,
    ):
        module.add_parsers(below)
