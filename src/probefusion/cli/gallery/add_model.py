"""`probefusion gallery add-model`: another embedder or fuser beside the one that serves."""

from __future__ import annotations

import argparse
import re
from typing import Any

from probefusion.cli.gallery.changes import print_change
from probefusion.cli.gallery.options import (
    add_gallery_options,
    add_json_option,
    gallery_command,
    open_gallery,
)
from probefusion.cli.options import add_embedder_option, positive

__all__ = ["add_parser", "run"]

_FINGERPRINT = re.compile(r"[^/\\]+@[0-9a-f]{12}")
"""How `Embedder.fingerprint` looks: nothing is loaded to learn more of it."""


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "add-model",
        help="add another embedder or fuser, which does not serve yet",
        description="Adds a model, an embedder with a fuser, beside the one that serves. Fill it with gallery re-embed "
        "if the embedder is another, then with gallery re-fuse; then gallery serve decides by it.",
    )
    add_gallery_options(parser)
    parser.add_argument("--fuser", required=True, metavar="NAME|DIR", help="its fuser")
    add_embedder_option(parser)
    parser.add_argument(
        "--dim", type=positive, metavar="D", help="dimensions of its embeddings (default: as known)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Adds it."""
    with open_gallery(options) as gallery:
        embedder, dim = _embedder_of(options)
        model = gallery.add_model(fuser=options.fuser, embedder=embedder, dim=dim)
        view = next(row for row in gallery.models() if row.id == model)
        revision = gallery.revision
    if options.json:
        print_change(
            options,
            "add-model",
            revision,
            model=model,
            embedder=view.embedder,
            fuser=view.fuser,
            dim=view.dim,
            num_missing=view.num_missing,
        )
        return 0
    print(
        f"model {model}: {view.fuser} of {view.embedder or 'an unnamed embedder'}, {view.dim} dimensions"
    )
    if view.num_missing:
        print(f"{view.num_missing} contributions have nothing of it yet: gallery re-embed")
    print(f"to fill it: {gallery_command(options, 'gallery re-fuse', '--model', model)}")
    return 0


def _embedder_of(options: argparse.Namespace) -> tuple[Any, int | None]:
    """The embedder, and D: as stated, or of an embedder that is here."""
    from probefusion.cli.pipeline_options import pipeline_of

    if options.embedder is None or _FINGERPRINT.fullmatch(options.embedder):
        return options.embedder, options.dim
    found = pipeline_of(options, fuser="auto").embedder
    return found, options.dim or found.spec.dim
