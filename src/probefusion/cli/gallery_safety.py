"""`probefusion gallery check|audit|new-key|rotate-key`: is all as it must be, and the master key."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery_options import (
    add_gallery_options,
    add_json_option,
    open_gallery,
    shown_address,
)

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Declares the commands."""
    check = commands.add_parser(
        "check", help="work out all templates again and compare them; exit code 1 if one differs"
    )
    add_gallery_options(check, changes=False)
    audit = commands.add_parser(
        "audit",
        help="verify the hash chain of the audit trail; exit code 1 if it is not whole",
        description="Verifies the hash chain of the audit trail. Note the last place that it prints elsewhere: with "
        "--anchor a chain that was cut at its end, or made anew, shows.",
    )
    add_gallery_options(audit, changes=False)
    audit.add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="PLACE",
        help="a place that was noted earlier; may be given several times",
    )
    new_key = commands.add_parser("new-key", help="write a new master key to a new file")
    new_key.add_argument("file", metavar="FILE", help="where to; never overwritten")
    rotate = commands.add_parser(
        "rotate-key", help="wrap all keys by another master key; what is kept stays as it is"
    )
    add_gallery_options(rotate, changes=False)
    rotate.add_argument(
        "--new-key", required=True, metavar="FILE", help="file of the new master key"
    )
    pairs = ((check, _check), (audit, _audit), (new_key, _new_key), (rotate, _rotate))
    for parser, run in pairs:
        add_json_option(parser)
        parser.set_defaults(run=run)


def _check(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        faults = gallery.check()
        num_people = len(gallery)
    if options.json:
        facts = {"collection": options.collection, "num_people": num_people, "faults": list(faults)}
        print(json.dumps(facts, indent=2))
    else:
        for fault in faults:
            print(fault)
        print(f"{num_people} people checked, {len(faults)} faults")
    return 1 if faults else 0


def _audit(options: argparse.Namespace) -> int:
    from probefusion.gallery.audit.trail import Anchor
    from probefusion.gallery.upkeep import verify_audit

    anchors = [Anchor.parse(text) for text in options.anchor]
    with open_gallery(options) as gallery:
        report = verify_audit(gallery, anchors=anchors)
    last = None if report.last is None else str(report.last)
    if options.json:
        facts = {**asdict(report), "collection": options.collection, "last": last}
        print(json.dumps({**facts, "is_whole": report.is_whole}, indent=2))
        return 0 if report.is_whole else 1
    for fault in report.faults:
        print(f"entry {fault.sequence}: {fault.kind}: {fault.message}")
    signed = "signatures checked" if report.signatures_checked else "not signed (no master key)"
    print(
        f"{report.num_entries} entries, {len(report.faults)} faults, {signed}; last place: {last or 'none'}"
    )
    return 0 if report.is_whole else 1


def _new_key(options: argparse.Namespace) -> int:
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


def _rotate(options: argparse.Namespace) -> int:
    from probefusion.errors import ConfigError
    from probefusion.gallery import read_master_key
    from probefusion.gallery.upkeep import rotate_master_key

    key = read_master_key(options.new_key)
    if key is None:
        raise ConfigError("--new-key: expected the file of a master key, got none.")
    with open_gallery(options) as gallery:
        remaining = rotate_master_key(gallery, key)
    if options.json:
        facts = {"gallery": shown_address(options), "fingerprint": key.fingerprint}
        print(json.dumps({**facts, "remaining": list(remaining)}, indent=2))
    else:
        print(f"{shown_address(options)}: keys are wrapped by master key {key.fingerprint}")
        for words in remaining:
            print(f"warning: {words}", file=sys.stderr)
    return 3 if remaining else 0
