"""`probefusion gallery audit`: is the audit trail whole?"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import add_gallery_options, add_json_option, open_gallery

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "audit",
        help="verify the hash chain of the audit trail",
        description="Verifies the hash chain of the audit trail. Exit code 1 if it is not whole. Note the last place "
        "that it prints elsewhere: with --anchor a chain that was cut at its end, or made anew, shows.",
    )
    add_gallery_options(parser, changes=False)
    parser.add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="PLACE",
        help="a place that was noted earlier; may be given several times",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Verifies; 1 if it is not whole."""
    from probefusion.gallery.audit.trail import Anchor
    from probefusion.gallery.upkeep import verify_audit

    anchors = [Anchor.parse(text) for text in options.anchor]
    with open_gallery(options) as gallery:
        report = verify_audit(gallery, anchors=anchors)
    last = None if report.last is None else str(report.last)
    if options.json:
        facts = {**asdict(report), "last": last, "is_whole": report.is_whole}
        print_json(options, **facts)
        return 0 if report.is_whole else 1
    for fault in report.faults:
        print(f"entry {fault.sequence}: {fault.kind}: {fault.message}")
    signed = "signatures checked" if report.signatures_checked else "not signed (no master key)"
    print(
        f"{report.num_entries} entries, {len(report.faults)} faults, {signed}; last place: {last or 'none'}"
    )
    return 0 if report.is_whole else 1
