"""`probefusion gallery export`: a collection as files."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

if TYPE_CHECKING:
    from probefusion.gallery import Gallery
    from probefusion.gallery.exchange.exporting import Exported

__all__ = ["add_parser", "run"]

_PLAIN = (
    "warning: the gallery is encrypted, the export is not: whoever has it can read all. Keep it safe, and erase it "
    "after use."
)


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "export",
        help="write everybody to Parquet, .npz or a folder for each person",
        description="Writes everybody with all that is kept. What was removed, what is held and the history are not "
        "in it. It is not encrypted; files are readable by their owner alone.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="NAME.parquet, NAME.npz, or a name without ending for a folder",
    )
    parser.add_argument(
        "--archive",
        action="store_true",
        help="write a folder of Parquet files instead, in bounded memory: for very many people",
    )
    parser.add_argument(
        "--chips",
        action="store_true",
        help="with --archive: small pictures of faces as well, by which everybody recognises people",
    )
    parser.add_argument("--force", action="store_true", help="replace an export that is there")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Exports."""
    from probefusion.errors import ConfigError

    if options.chips and not options.archive:
        raise ConfigError("--chips: expected --archive with it; other exports hold no pictures.")
    with open_gallery(options) as gallery:
        done = _archived(gallery, options) if options.archive else _exported(gallery, options)
    if options.json:
        print_json(options, output=options.output, **asdict(done))
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


def _exported(gallery: Gallery, options: argparse.Namespace) -> Exported:
    from probefusion.gallery.exchange.exporting import export_people

    return export_people(gallery, options.output, force=options.force)


def _archived(gallery: Gallery, options: argparse.Namespace) -> Exported:
    from probefusion.cli.phases import progress_by_unit
    from probefusion.gallery.exchange.gallery_archive import export_archive

    with progress_by_unit({"people": "exporting"}) as show:
        return export_archive(
            gallery,
            options.output,
            chips=options.chips,
            force=options.force,
            progress=lambda done, total: show("people", done, total),
        )
