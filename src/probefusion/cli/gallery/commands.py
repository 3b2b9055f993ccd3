"""`probefusion gallery ...`: looking at a gallery, arranging it, keeping it safe, forgetting."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

__all__ = ["add_parser"]

_COLUMN = 18
"""Where what a command does stands in the help."""


def add_parser(commands: Any) -> None:
    """Declares the commands."""
    from probefusion.cli.gallery import (
        accept,
        add_model,
        audit,
        cannot_link,
        check,
        chip,
        compact,
        drop_model,
        export_people,
        forget,
        held,
        history,
        ignore,
        import_people,
        list_people,
        load,
        missing,
        models,
        move,
        new_key,
        plain_templates,
        re_embed,
        re_fuse,
        receipts,
        reject,
        removed,
        rename,
        rollback,
        rotate_key,
        serve,
        show,
        stats,
        template,
        wait,
    )

    groups = {
        "look": (list_people, show, history, stats, removed, template, chip, wait),
        "arrange people": (rename, move, ignore, cannot_link),
        "decide about what was held back": (held, accept, reject),
        "another embedder or fuser": (
            models,
            add_model,
            re_embed,
            missing,
            re_fuse,
            serve,
            rollback,
            drop_model,
        ),
        "erase, for good": (forget, compact, receipts),
        "take out and in": (export_people, import_people, load, plain_templates),
        "keep safe": (check, audit, new_key, rotate_key),
    }
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
    for title, modules in groups.items():
        told = _Told(below)
        for module in modules:
            module.add_parser(told)
        parser.add_argument_group(title, "\n".join(told.lines))


@dataclass
class _Told:
    """Declares commands, and keeps a line of help for each, so that they can be shown in groups."""

    below: Any
    lines: list[str] = field(default_factory=list)

    def add_parser(self, name: str, *, help: str, **settings: Any) -> Any:  # noqa: A002 - argparse's word
        """The parser of a command, which is told to have this help."""
        self.lines.append(f"{name:{_COLUMN}}{help}")
        return self.below.add_parser(name, **settings)
