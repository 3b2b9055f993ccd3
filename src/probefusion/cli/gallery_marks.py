"""`probefusion gallery rename|ignore|cannot-link`: what is known of people beside their images."""

from __future__ import annotations

import argparse
from typing import Any

from probefusion.cli.gallery_options import add_gallery_options, add_json_option, open_gallery
from probefusion.cli.gallery_told import report_change

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Declares the commands."""
    rename = commands.add_parser("rename", help="give a person another name")
    add_gallery_options(rename)
    rename.add_argument("name", metavar="NAME", help="the person")
    rename.add_argument("new_name", metavar="NEW", help="the new name")
    ignore = commands.add_parser("ignore", help="matches with a person are not to be acted on")
    add_gallery_options(ignore)
    ignore.add_argument("name", metavar="NAME", help="the person")
    ignore.add_argument("--off", action="store_true", help="they are again")
    link = commands.add_parser(
        "cannot-link", help="two people are different: they are never merged"
    )
    add_gallery_options(link)
    link.add_argument("name", metavar="NAME", help="one")
    link.add_argument("other", metavar="OTHER", help="the other")
    link.add_argument("--off", action="store_true", help="take the note back")
    for parser, run in ((rename, _rename), (ignore, _ignore), (link, _cannot_link)):
        add_json_option(parser)
        parser.set_defaults(run=run)


def _rename(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        revision = gallery.rename(options.name, options.new_name)
    words = f"{options.name} is now {options.new_name}"
    report_change(options, "rename", revision, words, new_name=options.new_name)
    return 0


def _ignore(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        revision = gallery.ignore(options.name, not options.off)
    words = (
        f"{options.name}: matches are {'told as usual again' if options.off else 'marked ignored'}"
    )
    report_change(options, "ignore", revision, words, is_ignored=not options.off)
    return 0


def _cannot_link(options: argparse.Namespace) -> int:
    with open_gallery(options) as gallery:
        revision = gallery.cannot_link(options.name, options.other, not options.off)
    how = "may be one person again" if options.off else "are different people"
    words = f"{options.name} and {options.other} {how}"
    facts = {"other": options.other, "are_different": not options.off}
    report_change(options, "cannot-link", revision, words, **facts)
    return 0
