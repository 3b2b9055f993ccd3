"""`probefusion gallery list|show|history|stats`: what a gallery holds."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery_options import (
    add_gallery_options,
    add_json_option,
    open_gallery,
    shown_address,
)
from probefusion.cli.options import positive

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Declares the commands."""
    people = commands.add_parser("list", help="names of all people, one a line")
    add_gallery_options(people, changes=False)
    show = commands.add_parser("show", help="what there is of a person, with ids")
    add_gallery_options(show, changes=False)
    show.add_argument("name", metavar="NAME", help="the person")
    history = commands.add_parser("history", help="changes, the newest first")
    add_gallery_options(history, changes=False)
    history.add_argument("name", nargs="?", metavar="NAME", help="only what concerns this person")
    history.add_argument("--limit", type=positive, metavar="N", help="so many at most")
    stats = commands.add_parser("stats", help="how much a gallery holds")
    add_gallery_options(stats, changes=False)
    for parser, run in ((people, _list), (show, _show), (history, _history), (stats, _stats)):
        add_json_option(parser)
        parser.set_defaults(run=run)


def _list(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        names = gallery.list()
    if options.json:
        print(json.dumps({"collection": options.collection, "people": list(names)}, indent=2))
    else:
        for name in names:
            print(name)
    return 0


def _show(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        person = gallery.person(options.name)
    if options.json:
        print(json.dumps({"collection": options.collection, **asdict(person)}, indent=2))
        return 0
    ignored = ", matches are ignored" if person.is_ignored else ""
    print(
        f"{person.name} ({person.id}): {person.num_images} images, since {person.created}{ignored}"
    )
    if person.different_from:
        print(f"known to be different from: {', '.join(person.different_from)}")
    for part in person.contributions:
        print(
            f"  {part.id} {part.kind} {part.time} {part.num_images} images {part.source}".rstrip()
        )
        for image in part.images:
            out = " (taken out)" if image.is_left_out else ""
            print(f"    {image.id} {image.source}".rstrip() + out)
    return 0


def _history(options: argparse.Namespace) -> int:
    from probefusion.cli.terminal_tables import print_table

    with open_gallery(options) as gallery:
        rows = gallery.history(options.name, limit=options.limit)
    if options.json:
        changes = [
            {
                "revision": row.revision,
                "time": row.time,
                "actor": row.actor,
                "action": row.action,
                "subjects": list(row.subjects),
                "undoes": row.undoes,
                "undone_by": row.undone_by,
            }
            for row in rows
        ]
        print(json.dumps({"collection": options.collection, "changes": changes}, indent=2))
        return 0
    print_table(
        ("REVISION", "TIME", "ACTOR", "ACTION", "OF", "NOTE"),
        [
            (
                str(row.revision),
                row.time,
                row.actor or "-",
                row.action,
                " ".join(row.subjects[:3]) + (" ..." if len(row.subjects) > 3 else ""),
                f"undone by {row.undone_by}"
                if row.undone_by is not None
                else ("" if row.undoes is None else f"undoes {row.undoes}"),
            )
            for row in rows
        ],
        right=("REVISION",),
    )
    return 0


def _stats(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        stats = gallery.stats()
    if options.json:
        print(json.dumps({"gallery": shown_address(options), **asdict(stats)}, indent=2))
        return 0
    model = stats.model
    print(
        f"{shown_address(options)}, collection {stats.collection}: {stats.num_people} people "
        f"({stats.num_hidden} removed or merged), {stats.num_images} images "
        f"in {stats.num_contributions} contributions ({stats.num_held} held), "
        f"{stats.num_bytes} bytes, revision {stats.revision}, "
        f"{'encrypted' if stats.is_encrypted else 'not encrypted'}"
    )
    if model is not None:
        print(
            f"model {model.id}: {model.fuser} of {model.embedder or 'an unnamed embedder'}, {model.dim} dimensions"
        )
    return 0
