"""`probefusion gallery receipts`: what became of requests to forget."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.changes import print_json
from probefusion.cli.gallery.options import (
    add_gallery_options,
    add_json_option,
    gallery_command,
    open_gallery,
)

if TYPE_CHECKING:
    from probefusion.gallery.stores.records import ReceiptRow

__all__ = ["add_parser", "receipt_facts", "run", "tell_pending", "tell_receipt"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "receipts",
        help="what became of requests to forget",
        description="Prints the receipts of all that was erased. Exit code 3 if one says 'pending': something still "
        "keeps bytes; --finish goes on.",
    )
    add_gallery_options(parser)
    parser.add_argument("--pending", action="store_true", help="only those that are pending")
    parser.add_argument("--finish", action="store_true", help="go on with those that are pending")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Lists; 3 if some are pending."""
    with open_gallery(options) as gallery:
        if options.finish:
            gallery.finish_forgetting()
        rows = gallery.receipts(pending_only=options.pending)
    if options.json:
        print_json(options, receipts=[receipt_facts(row) for row in rows])
    else:
        for row in rows:
            tell_receipt(row)
        if not rows:
            print("no receipts")
    return tell_pending(rows, options)


def receipt_facts(row: ReceiptRow) -> dict[str, Any]:
    """A receipt for `--json`."""
    return {
        "id": row.id,
        "time": row.time,
        "subject": row.subject,
        "status": row.status,
        "finished": row.finished or None,
        "remaining": list(row.remaining),
    }


def tell_receipt(row: ReceiptRow) -> None:
    """Prints a receipt, and what still keeps bytes."""
    print(f"{row.id}: {row.subject} {row.status} {row.finished or row.time}")
    for words in row.remaining:
        print(f"  {words}")


def tell_pending(rows: Sequence[ReceiptRow], options: argparse.Namespace) -> int:
    """Warns if something is pending; gives the exit code."""
    if not any(row.status == "pending" for row in rows):
        return 0
    print(
        "warning: pending: bytes may still lie in the places above. Close what uses them, then: "
        f"{gallery_command(options, 'gallery receipts', '--finish')}",
        file=sys.stderr,
    )
    return 3
