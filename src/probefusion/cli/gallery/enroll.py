"""`probefusion enroll`: makes people known to a gallery."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from probefusion.cli.gallery.people import add_people, check_people, check_photos

if TYPE_CHECKING:
    from probefusion.gallery import Gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "enroll",
        help="make a person known to a gallery, or everybody in a folder of people",
        description="Adds a new person with a template of all the images to a gallery, which is made if it is not "
        "there. With --people: INPUT is a folder with a folder of images for each person. A run that was stopped is "
        "simply repeated: people whose files are in the gallery already are passed over.",
    )
    add_gallery_options(parser)
    parser.add_argument(
        "--name", metavar="NAME", help="name of the person (default: that of the one INPUT)"
    )
    parser.add_argument(
        "--people", action="store_true", help="INPUT is a folder with a folder for each person"
    )
    add_keeping_options(
        parser,
        keep="keep what every image says of the person, so that single images can be taken out later and the gallery "
        "moved to another fuser, or the sum over them alone (default features)",
    )
    parser.add_argument(
        "--fuser",
        default="auto",
        metavar="NAME|DIR",
        help="fuser of a new gallery (default: the best that fits the first images)",
    )
    add_json_option(parser)
    add_input_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Enrols; 3 if images or people were left out, or there is something to warn of."""
    check_keeping(options)
    is_new = "://" not in options.gallery and not Path(options.gallery).exists()
    if options.people:
        _check_one_folder(options)
        (folder,) = options.paths
        check_people(options, folder, ("name", "source"))
        check_people_effects(options, folder)
        if is_new:
            check_photos(options, folder)
        with open_gallery(options, create=True, keep=options.keep, fuser=options.fuser) as gallery:
            return add_people(
                gallery, options, folder, action="enroll", adds_people=True, adds_visits=False
            )
    name = _name_of(options)
    _check_one_person(options)
    given = read_person(options) if is_new else None  # a gallery is made only for what can be read
    with open_gallery(options, create=True, keep=options.keep, fuser=options.fuser) as gallery:
        if given is None:
            _check_new(gallery, name)  # before the images are embedded
            given = read_person(options)
        added = gallery.enroll(name, given, source=source_of(options), time=options.time)
    if options.json:
        print_change(options, "enroll", added.revision, **added_facts(added), **input_facts(given))
    else:
        tell_added(added, options)
    code = tell_input(given, options)
    return code or (3 if added.doubts or added.warnings else 0)


def _name_of(options: argparse.Namespace) -> str:
    from probefusion.errors import ConfigError
    from probefusion.faces.listing import as_text
    from probefusion.gallery.core import check_new_name

    if options.name is not None:
        return check_new_name(options.name, "--name")
    if len(options.paths) != 1:
        raise ConfigError(
            f"--name: expected the name of the person, got none beside {len(options.paths)} inputs. Give --name NAME."
        )
    path = Path(os.path.normpath(options.paths[0]))
    name = path.name if path.is_dir() else path.stem
    if name in ("", ".", ".."):
        raise ConfigError(
            f"--name: expected the name of the person, and {options.paths[0]!r} has none. Give --name NAME."
        )
    return check_new_name(as_text(name), "--name")


def _check_new(gallery: Gallery, name: str) -> None:
    from probefusion.errors import OutputExistsError

    if name in gallery:
        raise OutputExistsError(
            f"{name!r} is in {gallery.collection!r} already. Add to the person with update, or give another --name."
        )


def _check_one_folder(options: argparse.Namespace) -> None:
    from probefusion.errors import ConfigError

    if len(options.paths) != 1:
        raise ConfigError(f"--people: expected one folder, got {len(options.paths)}.")


def _check_one_person(options: argparse.Namespace) -> None:
    """Refuses a folder of people's folders, and names --people, which `Pipeline.fuse` cannot."""
    from probefusion.errors import ConfigError
    from probefusion.pipeline.folders import people_inside

    for path in () if options.one_person else options.paths:
        if Path(path).is_dir() and (people := people_inside(Path(path))[0]):
            raise ConfigError(
                f"{path}: holds {len(people)} folders of images and no image of its own. If each is a person, add "
                f"--people; if they are all of one person, --one-person."
            )
