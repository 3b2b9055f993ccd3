"""`probefusion serve-log`: is the log of accesses whole, and who was refused?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probefusion.service.guards.refusals import NotedRefusal

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "serve-log",
        help="verify the hash chain of a service's log of accesses, and see who was refused",
        description="Verifies the hash chain of the file of `probefusion serve --access-log FILE`, which all processes "
        "of a service write to. Exit code 1 if it is not whole. Note the last place that it prints elsewhere: with "
        "--anchor a file that was cut at its end, or made anew, shows. It says how many requests were refused (401: no "
        "valid key, 403: not allowed); --refused lists them.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="PLACE",
        help="a place that was noted earlier; may be given several times",
    )
    parser.add_argument(
        "--refused",
        action="store_true",
        help="list the requests that were refused: who, from where, which operation",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Verifies; 1 if it is not whole."""
    from probefusion.gallery.audit.trail import Anchor
    from probefusion.service.guards.access_log import verify_access_log
    from probefusion.service.guards.refusals import read_refusals

    report = verify_access_log(
        options.file, anchors=[Anchor.parse(text) for text in options.anchor]
    )
    refused = tuple(read_refusals(options.file))
    last = None if report.last is None else str(report.last)
    if options.json:
        facts = {**asdict(report), "last": last, "is_whole": report.is_whole}
        facts["num_refused"] = sum(each.count for each in refused)
        if options.refused:
            facts["refused"] = [asdict(each) for each in refused]
        print(json.dumps(facts, indent=2))
        return 0 if report.is_whole else 1
    for fault in report.faults:
        print(f"entry {fault.sequence}: {fault.kind}: {fault.message}")
    if options.refused:
        _print_refused(refused)
    print(
        f"{report.num_entries} entries, {len(report.faults)} faults; "
        f"{sum(each.count for each in refused)} requests refused; last place: {last or 'none'}"
    )
    return 0 if report.is_whole else 1


def _print_refused(refused: Sequence[NotedRefusal]) -> None:
    from probefusion.cli.terminal_tables import print_table

    print_table(
        ("ENTRY", "TIME", "COUNT", "STATUS", "WHO", "FROM", "OPERATION", "COLLECTION"),
        [
            (
                str(each.sequence),
                each.time,
                str(each.count),
                each.status or "-",
                f"{each.actor} (names {each.key})" if each.key else each.actor,
                each.address or "-",
                each.operation or "-",
                each.collection or "-",
            )
            for each in refused
        ],
        right=("ENTRY", "COUNT"),
    )
