"""`probefusion archive erase`: people and images leave an archive, its states and its templates; cannot be undone."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.strangers import report_problems
from probefusion.errors import ConfigError, in_one_line

if TYPE_CHECKING:
    from probefusion.fusion import Fuser

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Declares the commands."""
    parser = commands.add_parser("archive", help="erase people and images from an archive")
    own = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    erase = own.add_parser(
        "erase",
        help="erase people or images from an archive, its states and its templates; cannot be undone",
        description="Erases people and images from Parquet files, from states that fuse-archive --keep-states kept, "
        "and from a file of templates, and prints a receipt. Afterwards they are as if the archive had never held "
        "them. If it is interrupted, give it again. Exit code 3 if something was not found.",
    )
    erase.add_argument("archives", nargs="*", metavar="ARCHIVE", help="Parquet files, or folders")
    erase.add_argument(
        "--person", action="append", default=[], dest="people", metavar="ID", help="may be repeated"
    )
    erase.add_argument(
        "--image",
        action="append",
        default=[],
        dest="images",
        metavar="SOURCE",
        help="an image by its column source; may be repeated",
    )
    erase.add_argument(
        "--by", default="template_id", metavar="COLUMN", help="which rows belong together"
    )
    erase.add_argument("--states", metavar="FOLDER", help="states of fuse-archive")
    erase.add_argument("--templates", metavar="FILE", help="templates of fuse-archive")
    erase.add_argument(
        "--fuser", metavar="NAME|DIR", help="the fuser of the states, where images are erased"
    )
    erase.add_argument("--yes", action="store_true", help="yes, erase: it cannot be undone")
    erase.add_argument("--json", action="store_true", help="print the receipt as JSON")
    erase.set_defaults(run=_erase)


def _fuser_of(name: str | None, states: str | None) -> Fuser | None:
    """The fuser that was named; "exact" means the one made for the embedder of the states."""
    from probefusion.archives.states.states import open_states
    from probefusion.zoo import load_fuser

    if name is None:
        return None
    embedder = None if states is None else open_states(states).settings.embedder
    return load_fuser(name, num_threads=1, embedder=embedder)


def _erase(options: argparse.Namespace) -> int:
    from probefusion.archives import erase_from_archive

    if not options.yes:
        raise ConfigError("--yes: expected, as erasing cannot be undone; got none.")
    receipt = erase_from_archive(
        people=options.people,
        images=options.images,
        archives=options.archives,
        by=options.by,
        states=options.states,
        templates=options.templates,
        fuser=_fuser_of(options.fuser, options.states),
    )
    if options.json:
        print(json.dumps(asdict(receipt), indent=2))
    else:
        rows = sum(count for _, count in receipt.rows)
        print(
            f"erased {len(receipt.people)} people and {len(receipt.images)} images: {rows} rows of "
            f"{len(receipt.rows)} files; {len(receipt.recomputed)} people made anew from their other images"
        )
        if receipt.num_templates is not None:
            print(f"{options.templates}: {receipt.num_templates} templates")
    if receipt.not_found:
        listed = ", ".join(map(in_one_line, receipt.not_found))
        report_problems([f"nowhere found: {listed}"])
    return 3 if receipt.not_found else 0
