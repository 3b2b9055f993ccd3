"""`probefusion gallery load`: everybody of an archive of embeddings, far faster than one after the other."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.effects import refuse
from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import (
    add_gallery_options,
    add_json_option,
    gallery_command,
    open_gallery,
)
from probefusion.cli.options import positive

if TYPE_CHECKING:
    from probefusion.gallery import Gallery
    from probefusion.gallery.results import Loaded

__all__ = ["add_parser", "run"]

_BY = "template_id"
_LISTED = 5
"""People who are named where many are not usable; all are in the result of --json."""


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "load",
        help="enroll everybody of an archive of embeddings, fast",
        description="Enrolls everybody of an archive (a Parquet file, a folder of them, or a folder of arrays) or of a "
        "set of templates with states, in bounded memory. Nobody looks whether images are of several people, or of "
        "somebody who is there under another name: enroll does. A load that was stopped is repeated with "
        "--skip-existing.",
    )
    add_gallery_options(parser)
    parser.add_argument(
        "archive",
        metavar="ARCHIVE",
        help="as fuse-archive takes it, or what it wrote with states (.npz, .parquet)",
    )
    parser.add_argument(
        "--by",
        default=_BY,
        metavar="COLUMN",
        help=f"column that names the people (default {_BY})",
    )
    parser.add_argument(
        "--embedder",
        metavar="MODEL",
        help="what made the embeddings, where the archive does not say it: fingerprint, name or file",
    )
    parser.add_argument(
        "--fuser",
        default="auto",
        metavar="NAME|DIR",
        help="fuser of a new gallery (default: the best that fits the first images)",
    )
    parser.add_argument("--source", metavar="TEXT", help="where the images are from")
    parser.add_argument(
        "--keep",
        choices=("features", "state"),
        default="features",
        help="what is kept of the images, see enroll (default features)",
    )
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="pass over people whose names are there, as after an interruption",
    )
    parser.add_argument(
        "--at-once",
        type=positive,
        default=200,
        metavar="N",
        help="people of one change, which undo takes back as a whole (default 200)",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Loads; 3 if somebody was passed over, or is not usable."""
    from probefusion.archives import open_archive
    from probefusion.gallery.core import embedder_fingerprint
    from probefusion.pipeline.load_archive import check_readable

    embedder = embedder_fingerprint(options.embedder)
    templates = _templates(options.archive)
    archive = None
    if templates is None:
        archive = open_archive(options.archive, by=options.by, embedder=embedder)
        check_readable(archive)  # before a gallery is made
    elif options.by != _BY:
        raise refuse("--by", f"finished templates ({options.archive})", "rows of embeddings")
    with open_gallery(
        options, create=True, fuser=options.fuser, embedder=embedder, keep=options.keep
    ) as gallery:
        done = _load(gallery, options, templates, archive)
        size = len(gallery)
    if options.json:
        print_json(options, action="load", **asdict(done))
    else:
        print(f"{done.num_people} people of {done.num_images} images added, {size} in all")
        if done.revisions:
            last = gallery_command(options, "undo", str(done.revisions[-1]))
            print(
                f"revisions {done.revisions[0]} to {done.revisions[-1]}; to undo the last: {last}"
            )
    for name in done.skipped:
        print(f"skipped: {name} is there already", file=sys.stderr)
    if done.not_usable:
        poor = ", ".join(done.not_usable[:_LISTED])
        more = " ..." if len(done.not_usable) > _LISTED else ""
        print(
            f"warning: {len(done.not_usable)} of {done.num_people} people are not usable: {poor}{more}",
            file=sys.stderr,
        )
    return 3 if done.skipped or done.not_usable else 0


def _load(gallery: Gallery, options: argparse.Namespace, templates: Any, archive: Any) -> Loaded:
    from probefusion.cli.phases import progress_by_unit
    from probefusion.pipeline.load_archive import load_archive

    how = {"skip_existing": options.skip_existing, "people_at_once": options.at_once}
    with progress_by_unit({"people": "loading"}) as show:
        if templates is None:
            return load_archive(
                gallery,
                archive,
                source=options.source,
                progress=lambda done, total: show("people", done, total),
                **how,
            )
        return gallery.load(
            templates,
            source=options.source or Path(options.archive).name,
            progress=lambda done: show("people", done, len(templates)),
            **how,
        )


def _templates(path: str) -> Any:
    """The set of templates at a path, or None if it is something else.

    Raises:
        ConfigError: If it has no states.
    """
    from probefusion.errors import ConfigError, FileFormatError
    from probefusion.types import TemplateSet

    if Path(path).suffix.lower() not in (".npz", ".parquet") or not Path(path).is_file():
        return None
    try:
        found = TemplateSet.load(path)
        if found.states is None:  # before a gallery is made
            raise ConfigError(
                f"{path}: expected templates with their states, to which images can be added later, got templates "
                f"alone. Make them with states: Pipeline.fuse_people(..., keep_states=True); or load the embeddings."
            )
        return found
    except FileFormatError:
        if Path(path).suffix.lower() == ".npz":
            raise
        return None
