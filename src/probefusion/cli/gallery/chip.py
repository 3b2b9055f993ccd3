"""`probefusion gallery chip`: the small picture that was kept of an image."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "chip",
        help="write the small picture that was kept of an image",
        description="Writes the small picture of a face to OUT, if one was kept (enroll --keep-chips). It is not "
        "encrypted, also if the gallery is; the file is readable by its owner alone.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument("image", metavar="IMAGE", help="its id, see gallery show")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="NAME.jpg")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Writes it."""
    from probefusion.errors import EmptySetError
    from probefusion.files import check_ending, check_output_file
    from probefusion.files.replacing import replace_file

    check_ending(options.output, ".jpg", name="-o")
    check_output_file(options.output, force=options.force)
    with open_gallery(options) as gallery:
        chip = gallery.chip(options.image)
        is_encrypted = gallery.is_encrypted
    if chip is None:
        raise EmptySetError(f"image {options.image}: no picture of it was kept.")
    with replace_file(options.output, force=options.force) as stream:
        stream.write(chip)
    Path(options.output).chmod(0o600)
    if options.json:
        print_json(
            options,
            image=options.image,
            output=options.output,
            num_bytes=len(chip),
            was_encrypted=is_encrypted,
        )
    else:
        print(f"{options.output}: {len(chip)} bytes")
    if is_encrypted:
        print("warning: the gallery is encrypted, the picture is not.", file=sys.stderr)
    return 0
