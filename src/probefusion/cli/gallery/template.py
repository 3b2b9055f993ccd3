"""`probefusion gallery template`: a person's template as a file."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "template",
        help="write a person's template to a file",
        description="Writes the template of a person to OUT, as fuse writes one. It is not encrypted, also if the "
        "gallery is.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument("name", metavar="NAME", help="the person, or the person's id")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="NAME.npz")
    parser.add_argument(
        "--model", metavar="ID", help="by this model (default: the one that serves)"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Writes it."""
    from probefusion.errors import EmptySetError
    from probefusion.files import check_ending, check_output_file

    check_ending(options.output, ".npz", name="-o")
    check_output_file(options.output, force=options.force)
    with open_gallery(options) as gallery:
        template = gallery.template(options.name, model=options.model)
        is_encrypted = gallery.is_encrypted
    if template is None:
        raise EmptySetError(f"{options.name!r}: no image counts, so there is no template.")
    template.save(options.output, force=options.force)
    if options.json:
        print_json(
            options,
            name=options.name,
            output=options.output,
            num_images=template.num_images,
            dim=template.dim,
            fuser=template.fuser,
            embedder=template.embedder,
            was_encrypted=is_encrypted,
        )
    else:
        print(f"{options.output}: {template.num_images} images, {template.dim} dimensions")
    if is_encrypted:
        print("warning: the gallery is encrypted, the template is not.", file=sys.stderr)
    return 0
