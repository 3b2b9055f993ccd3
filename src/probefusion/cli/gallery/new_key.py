"""`probefusion gallery new-key`: a new master key."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from probefusion.cli.gallery.options import add_json_option

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "new-key",
        help="write a new master key to a new file",
        description="Writes a new master key to a new file. A gallery that is made with it (--keys FILE) is encrypted.",
    )
    parser.add_argument("file", metavar="FILE", help="where to; never overwritten")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Writes it."""
    from probefusion.errors import OutputExistsError
    from probefusion.gallery import write_master_key

    if os.path.lexists(options.file):
        raise OutputExistsError(
            f"{options.file}: expected a new file, and there is one: a key is never overwritten. Name another."
        )
    key = write_master_key(options.file)
    if options.json:
        print(json.dumps({"file": options.file, "fingerprint": key.fingerprint}, indent=2))
    else:
        print(f"{options.file}: new master key {key.fingerprint}")
    print(
        "Keep a copy apart from the gallery and its backups: without it nothing can be read.",
        file=sys.stderr,
    )
    return 0
