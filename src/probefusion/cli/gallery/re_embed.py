"""`probefusion gallery re-embed`: the images of a gallery, embedded by another embedder."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.changes import print_change
from probefusion.cli.gallery.options import (
    add_gallery_options,
    add_json_option,
    gallery_command,
    open_gallery,
)
from probefusion.cli.options import add_embedding_options, positive

if TYPE_CHECKING:
    from probefusion.pipeline.re_embed_people import ReEmbedded

__all__ = ["add_parser", "run"]

_LISTED = 20
"""Contributions left out that are listed; all are in the result of --json."""


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "re-embed",
        help="embed the images again, for a model of another embedder",
        description="Embeds the images of all contributions that a MODEL lacks again, from the folder that they came "
        "from. A folder that enroll was given is found by its name, and its files must be the same; other images are "
        "found by the end of their names. With --chips, from the small pictures of faces that the gallery keeps. "
        "Can be stopped and given again. Then: gallery re-fuse. Exit code 3 if the model still lacks some.",
    )
    add_gallery_options(parser)
    parser.add_argument("model", metavar="MODEL", help="its id, as gallery models lists it")
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help="where the images lie, with a folder for each person",
    )
    parser.add_argument(
        "--chips",
        action="store_true",
        help="take the small pictures that were kept with --keep-chips; no photo is needed",
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    add_json_option(parser)
    add_embedding_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Embeds anew; 3 if the model still lacks something."""
    from probefusion.cli.phases import progress_by_unit
    from probefusion.cli.pipeline_options import pipeline_of
    from probefusion.errors import ConfigError
    from probefusion.pipeline.re_embed_chips import re_embed_chips
    from probefusion.pipeline.re_embed_people import re_embed_people

    if options.chips == (options.folder is not None):
        raise ConfigError(
            f"FOLDER, --chips: expected one of the two, got {'both' if options.chips else 'neither'}. Give the folder "
            f"with the photos, or --chips for the small pictures in the gallery."
        )
    if options.chips and options.detector is not None:
        raise ConfigError("--detector: --chips are aligned crops already. Leave it out.")
    done: list[ReEmbedded] = []
    with open_gallery(options) as gallery:
        pipeline = pipeline_of(options)
        with progress_by_unit({"contributions": "embedding"}) as progress:
            anew = (
                re_embed_chips(gallery, pipeline, options.model, progress=progress)
                if options.chips
                else re_embed_people(
                    gallery, pipeline, options.folder, options.model, progress=progress
                )
            )
            done.extend(anew)
        missing = gallery.missing(options.model)
        revision = gallery.revision
    left_out = [each for each in done if each.reason]
    if options.json:
        print_change(
            options,
            "re-embed",
            revision,
            model=options.model,
            num_embedded=len(done) - len(left_out),
            left_out=[asdict(each) for each in left_out],
            missing=list(missing),
        )
        return 3 if missing or left_out else 0
    print(f"model {options.model}: {len(done) - len(left_out)} contributions embedded")
    print(
        f"to work out the templates: {gallery_command(options, 'gallery re-fuse', '--model', options.model)}"
    )
    if left_out:
        print(f"left out {len(left_out)} contributions:", file=sys.stderr)
        for each in left_out[:_LISTED]:
            print(f"  {each.contribution_id} of {each.name}: {each.reason}", file=sys.stderr)
        if len(left_out) > _LISTED:
            print(f"  and {len(left_out) - _LISTED} more", file=sys.stderr)
    return 3 if missing or left_out else 0
