"""`probefusion gallery export|import`: a collection as files."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery_options import (
    add_gallery_options,
    add_json_option,
    gallery_command,
    open_gallery,
    shown_address,
)

__all__ = ["add_parsers"]

_PLAIN = (
    "warning: the gallery is encrypted, the export is not: whoever has it can read all. Keep it safe, and erase it "
    "after use."
)


def add_parsers(commands: Any) -> None:
    """Declares the commands."""
    export = commands.add_parser(
        "export",
        help="write a collection to Parquet, .npz, or a folder for each person",
        description="Writes everybody with all that is kept. What was removed, what is held and the history are not "
        "in it. It is not encrypted; files are readable by their owner alone.",
    )
    add_gallery_options(export, changes=False)
    export.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="NAME.parquet, NAME.npz, or a name without ending for a folder",
    )
    export.add_argument("--force", action="store_true", help="replace an export that is there")
    take = commands.add_parser(
        "import",
        help="add the people of an export",
        description="Adds the people of an export, each as one change. With the same fuser the templates are the "
        "same, bit for bit.",
    )
    add_gallery_options(take)
    take.add_argument("export", metavar="EXPORT", help="what gallery export wrote")
    take.add_argument(
        "--fuser",
        default=None,
        metavar="NAME|DIR",
        help="fuser of a new gallery (default: that of the export, if it is here)",
    )
    take.add_argument(
        "--skip-existing",
        action="store_true",
        help="pass over people whose names are there, as after an interruption",
    )
    for parser, run in ((export, _export), (take, _import)):
        add_json_option(parser)
        parser.set_defaults(run=run)


def _export(options: argparse.Namespace) -> int:
    from probefusion.gallery.exchange.exporting import export_people

    with open_gallery(options) as gallery:
        done = export_people(gallery, options.output, force=options.force)
    if options.json:
        facts = {"gallery": shown_address(options), "collection": options.collection}
        print(json.dumps({**facts, "output": options.output, **asdict(done)}, indent=2))
    else:
        print(
            f"{options.output}: {done.num_people} people, {done.num_contributions} contributions, "
            f"{done.num_images} images ({done.num_left_out} of them taken out)"
        )
    for words in done.not_exported:
        print(f"not exported: {words}", file=sys.stderr)
    if done.was_encrypted:
        print(_PLAIN, file=sys.stderr)
    return 0


def _import(options: argparse.Namespace) -> int:
    from probefusion.gallery.exchange.exporting import import_people, read_export

    export = read_export(options.export)
    fuser = options.fuser or _fuser_of(export.fuser, options)
    with open_gallery(options, create=True, fuser=fuser) as gallery:
        done = import_people(gallery, export, skip_existing=options.skip_existing)
    if options.json:
        facts = {"gallery": shown_address(options), "collection": options.collection}
        print(json.dumps({**facts, "action": "import", **asdict(done)}, indent=2))
    else:
        print(
            f"{done.num_people} people added, {done.num_contributions} contributions, {done.num_images} images"
        )
        if done.revisions is not None:
            first, last = done.revisions
            print(
                f"revisions {first} to {last}, one for each person; to undo the last: "
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
