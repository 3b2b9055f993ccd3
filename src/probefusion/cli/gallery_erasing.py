"""`probefusion gallery forget|receipts`: erasing, which cannot be undone, and what became of it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery_options import add_gallery_options, add_json_option, open_gallery

if TYPE_CHECKING:
    from probefusion.gallery.stores.records import ReceiptRow

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Declares the commands."""
    forget = commands.add_parser(
        "forget",
        help="erase a person or a contribution; cannot be undone",
        description="Erases a person or a contribution and prints the receipt. Exit code 3 if it says 'pending': "
        "something still keeps bytes; gallery receipts --finish goes on later.",
    )
    add_gallery_options(forget)
    forget.add_argument("name", nargs="?", metavar="NAME", help="the person, or the person's id")
    forget.add_argument("--contribution", metavar="ID", help="or: a contribution")
    forget.add_argument("--yes", action="store_true", help="yes, erase: it cannot be undone")
    receipts = commands.add_parser("receipts", help="what became of requests to forget")
    add_gallery_options(receipts)
    receipts.add_argument("--pending", action="store_true", help="only those that are pending")
    receipts.add_argument("--finish", action="store_true", help="go on with those that are pending")
    for parser, run in ((forget, _forget), (receipts, _receipts)):
        add_json_option(parser)
        parser.set_defaults(run=run)


def _forget(options: argparse.Namespace) -> int:
    from probefusion.errors import ConfigError

    if not options.yes:
        what = options.name or options.contribution or "nobody"
        raise ConfigError(
            f"--yes: expected, as erasing {what!r} cannot be undone; got none. To hide only: probefusion remove."
        )
    with open_gallery(options) as gallery:
        receipt = gallery.forget(options.name, contribution=options.contribution)
    if options.json:
        print(json.dumps(_facts(receipt), indent=2))
    else:
        _tell(receipt)
    return _code([receipt])


def _receipts(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        if options.finish:
            gallery.finish_forgetting()
        rows = gallery.receipts(pending_only=options.pending)
    if options.json:
        facts = [_facts(row) for row in rows]
        print(json.dumps({"collection": options.collection, "receipts": facts}, indent=2))
    else:
        for row in rows:
            _tell(row)
        if not rows:
            print("no receipts")
    return _code(rows)


def _facts(row: ReceiptRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "time": row.time,
        "subject": row.subject,
        "status": row.status,
        "finished": row.finished,
        "remaining": list(row.remaining),
    }


def _tell(row: ReceiptRow) -> None:
    print(f"{row.id}: {row.subject} {row.status} {row.finished or row.time}")
    for words in row.remaining:
        print(f"  {words}")


def _code(rows: Any) -> int:
    if not any(row.status == "pending" for row in rows):
        return 0
    print(
        "warning: pending: bytes may still lie in the places above. Close what uses them, then: probefusion gallery "
        "receipts GALLERY --finish",
        file=sys.stderr,
    )
    return 3
