"""`probefusion serve-log`: is the log of accesses whole?"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "serve-log",
        help="verify the hash chain of a service's log of accesses",
        description="Verifies the hash chain of the file of `probefusion serve --access-log FILE`, which all processes "
        "of a service write to. Exit code 1 if it is not whole. Note the last place that it prints elsewhere: with "
        "--anchor a file that was cut at its end, or made anew, shows.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="PLACE",
        help="a place that was noted earlier; may be given several times",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Verifies; 1 if it is not whole."""
    from probefusion.gallery.audit.trail import Anchor
    from probefusion.service.guards.access_log import verify_access_log

    report = verify_access_log(
        options.file, anchors=[Anchor.parse(text) for text in options.anchor]
    )
    last = None if report.last is None else str(report.last)
    if options.json:
        print(json.dumps({**asdict(report), "last": last, "is_whole": report.is_whole}, indent=2))
    else:
        for fault in report.faults:
            print(f"entry {fault.sequence}: {fault.kind}: {fault.message}")
        print(
            f"{report.num_entries} entries, {len(report.faults)} faults; last place: {last or 'none'}"
        )
    return 0 if report.is_whole else 1
