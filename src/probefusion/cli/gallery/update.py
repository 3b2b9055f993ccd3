"""`probefusion update`: adds images to a person of a gallery, or to everybody of a folder."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.effects import check_people_effects
from probefusion.cli.gallery.adding import (
    add_keeping_options,
    added_facts,
    check_keeping,
    tell_added,
)
from probefusion.cli.gallery.changes import print_change
from probefusion.cli.gallery.inputs import (
    add_input_options,
    input_facts,
    read_person,
    source_of,
    tell_input,
)
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.gallery.people import add_people, check_people

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "update",
        help="add images to a person of a gallery, or to everybody in a folder of people",
        description="Adds images to a person. Images that are closer to another person, unlike the person, or of "
        "several people are held back until somebody accepts or rejects them. With --people: NAME is a folder with a "
        "folder of images for each person, by name. A run that was stopped is simply repeated: visits whose files are "
        "in the gallery already are passed over.",
    )
    add_gallery_options(parser)
    parser.add_argument(
        "name",
        metavar="NAME",
        help="name of the person, or the person's id; with --people a folder",
    )
    parser.add_argument(
        "--people", action="store_true", help="NAME is a folder with a folder for each person"
    )
    parser.add_argument(
        "--enroll-new",
        action="store_true",
        help="with --people: make people known who are not there; otherwise they are left out",
    )
    parser.add_argument(
        "--no-guard",
        dest="guard",
        action="store_false",
        help="hold nothing back; doubts are told all the same",
    )
    add_keeping_options(parser, keep="what is kept of the images, see enroll (default features)")
    add_json_option(parser)
    add_input_options(parser, needs_some=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Adds; 3 if images or people were left out or held back, or there is something to warn of."""
    from probefusion.errors import ConfigError

    check_keeping(options)
    if options.people:
        if options.paths:
            raise ConfigError(
                f"--people: expected one folder, got {1 + len(options.paths)}: {options.name!r} and more."
            )
        check_people(options, options.name, ("source",))
        check_people_effects(options, options.name)
        with open_gallery(options, keep=options.keep) as gallery:
            return add_people(
                gallery,
                options,
                options.name,
                action="update",
                adds_people=options.enroll_new,
                adds_visits=True,
            )
    if not options.paths:
        raise ConfigError("INPUT: expected images of the person, got none.")
    if options.enroll_new:
        raise ConfigError(
            "--enroll-new: goes with --people. For one new person: probefusion enroll."
        )
    with open_gallery(options, keep=options.keep) as gallery:
        gallery.person(options.name)  # before the images are embedded
        given = read_person(options)
        added = gallery.update(
            options.name, given, guard=options.guard, source=source_of(options), time=options.time
        )
    if options.json:
        print_change(options, "update", added.revision, **added_facts(added), **input_facts(given))
    else:
        tell_added(added, options)
    code = tell_input(given, options)
    return code or (3 if added.doubts or added.warnings else 0)
