"""`probefusion gallery rotate-key`: another master key."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import (
    add_gallery_options,
    add_json_option,
    open_gallery,
    shown_address,
)

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "rotate-key",
        help="wrap all keys by another master key",
        description="Wraps all keys by another master key; what is kept stays as it is. Exit code 3 if something still "
        "keeps the old ones.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument(
        "--new-key", required=True, metavar="FILE", help="file of the new master key"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Wraps them; 3 if something keeps the old ones."""
    from probefusion.errors import ConfigError
    from probefusion.gallery import read_master_key
    from probefusion.gallery.upkeep import rotate_master_key

    key = read_master_key(options.new_key)
    if key is None:
        raise ConfigError("--new-key: expected the file of a master key, got none.")
    with open_gallery(options) as gallery:
        remaining = rotate_master_key(gallery, key)
    if options.json:
        print_json(options, fingerprint=key.fingerprint, remaining=list(remaining))
    else:
        print(f"{shown_address(options)}: keys are wrapped by master key {key.fingerprint}")
        for words in remaining:
            print(f"warning: {words}", file=sys.stderr)
    return 3 if remaining else 0
