"""`probefusion serve-keys`: who may call a service."""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from probefusion.cli.options import positive

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "serve-keys",
        help="make, list and revoke the keys of a service's clients",
        description="Keys of the clients of `probefusion serve --access FILE`. A token is shown once; the file holds "
        "its hash. A running service sees changes at once.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--add", metavar="NAME", help="make a key, for whom or what")
    what.add_argument("--revoke", metavar="ID", help="make a key worthless")
    parser.add_argument(
        "--role",
        choices=("read", "write", "admin"),
        default="read",
        help="read: look and search; write: change people; admin: erase them too (default read)",
    )
    parser.add_argument(
        "--collection", action="append", metavar="NAME", help="only this collection (default: all)"
    )
    parser.add_argument("--days", type=positive, metavar="N", help="worthless after so many days")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Makes, revokes or lists."""
    from probefusion.service.guards.access import new_key, read_keys, revoke_key

    if options.add is not None:
        expires = None
        if options.days is not None:
            expires = datetime.now(timezone.utc) + timedelta(days=options.days)
        token = new_key(
            options.file,
            name=options.add,
            role=options.role,
            collections=options.collection,
            expires=expires,
        )
        print(json.dumps({"token": token}) if options.json else token)
        return 0
    if options.revoke is not None:
        revoke_key(options.file, options.revoke)
    keys = read_keys(options.file)
    if options.json:
        facts = [
            {name: value for name, value in vars(key).items() if name != "hash"} for key in keys
        ]
        print(json.dumps({"keys": facts}, indent=2))
        return 0
    for key in keys:
        where = "all collections" if key.collections is None else ", ".join(key.collections)
        until = "" if key.expires is None else f", until {key.expires}"
        print(f"{key.id}  {key.role:5}  {key.name}  ({where}{until})")
    if not keys:
        print("no keys")
    return 0
