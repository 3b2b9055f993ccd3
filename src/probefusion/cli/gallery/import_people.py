"""`probefusion gallery import`: the people of an export are added."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import (
    add_gallery_options,
    add_json_option,
    gallery_command,
    open_gallery,
)

if TYPE_CHECKING:
    from probefusion.gallery.exchange.exporting import Imported

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "import",
        help="add the people of an export",
        description="Adds the people of an export, each as one change (of an archive 200 together). With the same "
        "fuser the templates are the same, bit for bit.",
    )
    add_gallery_options(parser)
    parser.add_argument("export", metavar="EXPORT", help="what gallery export wrote")
    parser.add_argument(
        "--fuser",
        metavar="NAME|DIR",
        help="fuser of a new gallery (default: that of the export, if it is here)",
    )
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="pass over people whose names are there, as after an interruption",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Imports; 3 if somebody was passed over, or a link lost."""
    done = _loaded(options) if _is_archive(options.export) else _imported(options)
    if options.json:
        print_json(options, action="import", **asdict(done))
    else:
        print(
            f"{done.num_people} people added, {done.num_contributions} contributions, {done.num_images} images"
        )
        if done.revisions is not None:
            first, last = done.revisions
            print(
                f"revisions {first} to {last}; to undo the last: "
                f"{gallery_command(options, 'undo', str(last))}"
            )
    for name in done.skipped:
        print(f"skipped: {name} is there already", file=sys.stderr)
    for one, other in done.lost_links:
        print(f"lost: that {one} and {other} are different; one is not there", file=sys.stderr)
    if done.other_fuser is not None:
        print(
            f"warning: templates were worked out anew: the export's are by {done.other_fuser}, which this gallery "
            f"does not use.",
            file=sys.stderr,
        )
    return 3 if done.skipped or done.lost_links else 0


def _is_archive(path: str) -> bool:
    """Whether `gallery export --archive` wrote it, of which one file is in memory at a time."""
    folder = Path(path)
    return (folder / "gallery.json").is_file() and any(folder.glob("people-*.parquet"))


def _imported(options: argparse.Namespace) -> Imported:
    from probefusion.gallery.exchange.exporting import import_people, read_export

    export = read_export(options.export)
    fuser = options.fuser or _fuser_of(export.fuser, options)
    with open_gallery(options, create=True, fuser=fuser) as gallery:
        return import_people(gallery, export, skip_existing=options.skip_existing)


def _loaded(options: argparse.Namespace) -> Imported:
    from probefusion.cli.phases import progress_by_unit
    from probefusion.gallery.exchange.exporting import Imported
    from probefusion.gallery.exchange.gallery_archive import open_gallery_archive

    archive = open_gallery_archive(options.export)
    fuser = options.fuser or _fuser_of(archive.fuser, options)
    with (
        open_gallery(options, create=True, fuser=fuser) as gallery,
        progress_by_unit({"people": "importing"}) as show,
    ):
        done = gallery.load(
            archive.people(),
            skip_existing=options.skip_existing,
            progress=lambda count: show("people", count, archive.num_people),
        )
        served = next((row.fuser for row in gallery.models() if row.status == "serving"), None)
    return Imported(
        num_people=done.num_people,
        num_contributions=done.num_contributions,
        num_images=done.num_images,
        revisions=(done.revisions[0], done.revisions[-1]) if done.revisions else None,
        skipped=done.skipped,
        other_fuser=None if archive.fuser in (None, served) else archive.fuser,
    )


def _fuser_of(fingerprint: str | None, options: argparse.Namespace) -> str:
    """The export's fuser by its name, where the gallery is new and the fuser known; never a path out of a file."""
    from probefusion.errors import FuserMismatchError, MissingFileError, UnknownNameError
    from probefusion.zoo.fuser_names import fuser_choices

    name = "" if fingerprint is None else fingerprint.split("@")[0]
    if name not in fuser_choices():
        return "auto"
    try:
        with open_gallery(options, fuser="auto") as gallery:
            return "auto" if gallery.models() else name
    except (MissingFileError, UnknownNameError, FuserMismatchError):
        return name
