"""`probefusion enroll`: makes a person known to a gallery, or everybody of a folder of people."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery_added import added_facts, tell_added
from probefusion.cli.gallery_inputs import (
    add_image_options,
    contribution_from,
    exit_code,
    fingerprint_of,
    fuse_inputs,
    warn,
)
from probefusion.cli.gallery_options import (
    add_gallery_options,
    add_json_option,
    open_gallery,
)

if TYPE_CHECKING:
    from probefusion.gallery import Gallery

__all__ = ["add_keep_option", "add_parser", "run", "tell_there"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "enroll",
        help="make a person known to a gallery",
        description="Makes a person known to a gallery, which is made if it is missing: probefusion enroll GALLERY "
        "NAME INPUT ... With --people everybody of a folder with a folder for each: probefusion enroll GALLERY "
        "FOLDER --people; what is there already from the same files is not added again, so that the command can "
        "be stopped and given again.",
    )
    add_gallery_options(parser)
    parser.add_argument("name", metavar="NAME", help="name of the person; with --people the folder")
    add_image_options(parser, nargs="*")
    parser.add_argument(
        "--people", action="store_true", help="NAME is a folder with a folder of images for each"
    )
    add_keep_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def add_keep_option(parser: argparse.ArgumentParser) -> None:
    """--keep."""
    parser.add_argument(
        "--keep",
        choices=("features", "state"),
        default="features",
        help="keep the features of each image (default), or their sum alone, which says less of people",
    )


def run(options: argparse.Namespace) -> int:
    """Enrols; 3 if something was left out, 130 if it was interrupted."""
    from probefusion.errors import ConfigError

    if options.people:
        from probefusion.cli.enroll_people import run_people

        if options.paths:
            raise ConfigError(
                f"--people: expected one folder, got {1 + len(options.paths)} inputs: {options.name} and more."
            )
        return run_people(options)
    if not options.paths:
        raise ConfigError(
            f"INPUT: expected images of {options.name!r}, got none. For a folder of people add --people."
        )
    fingerprint = fingerprint_of(options.paths)
    with open_gallery(options, create=True, fuser=options.fuser, keep=options.keep) as gallery:
        there = contribution_from(gallery, options.name, fingerprint)
        if there is not None:
            tell_there(options, there)
            return 0
        _check_free(gallery, options.name)
        fused = fuse_inputs(options)
        source = f"{options.paths[0]} {fingerprint}".strip()
        added = gallery.enroll(options.name, fused, source=source)
    if options.json:
        print(json.dumps(added_facts(options, "enroll", added, fused), indent=2))
    else:
        tell_added(options, added)
    warn(fused)
    return exit_code(fused)


def _check_free(gallery: Gallery, name: str) -> None:
    """Refuses a name that is taken before images are read.

    Raises:
        OutputExistsError: If somebody of that name is there.
    """
    from probefusion.errors import OutputExistsError

    if name in gallery:
        raise OutputExistsError(
            f"{name!r} is in {gallery.collection!r} already, with other images. Add these: probefusion update."
        )


def tell_there(options: argparse.Namespace, contribution: str) -> None:
    if options.json:
        facts = {"gallery": options.gallery, "collection": options.collection, "action": "none"}
        print(
            json.dumps({**facts, "name": options.name, "contribution_id": contribution}, indent=2)
        )
    else:
        print(f"{options.name}: there already from the same files ({contribution}); nothing added")
