"""Options that all commands on galleries share, and the gallery that they name."""

from __future__ import annotations

import argparse
import getpass
import re
import shlex
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.times import seconds

if TYPE_CHECKING:
    from probefusion.gallery import Gallery

__all__ = [
    "add_collection_options",
    "add_gallery_options",
    "add_json_option",
    "gallery_command",
    "open_gallery",
    "shown_address",
]


def add_gallery_options(parser: argparse.ArgumentParser, *, changes: bool = True) -> None:
    """The gallery, its collection and its keys.

    Args:
        parser: The command's.
        changes: Whether the command changes the gallery, so that somebody answers for it.
    """
    parser.add_argument(
        "gallery", metavar="GALLERY", help="SQLite file, or postgresql://... of a server"
    )
    group = add_collection_options(parser)
    if changes:
        group.add_argument(
            "--actor",
            default=None,
            metavar="NAME",
            help="who makes the change, for history and audit trail (default: the user's name)",
        )


def add_collection_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """--collection, the keys and --timeout; gives their group."""
    group = parser.add_argument_group("gallery")
    group.add_argument(
        "--collection",
        default="people",
        metavar="NAME",
        help="collection in it; people of different collections never meet (default people)",
    )
    group.add_argument(
        "--keys",
        metavar="FILE",
        help="file of the master key of an encrypted gallery (default: PROBEFUSION_MASTER_KEY, if it is set)",
    )
    group.add_argument(
        "--key-file",
        metavar="FILE",
        help="where the keys lie that the master key wraps (default: GALLERY.keys; needed for a server)",
    )
    group.add_argument(
        "--timeout",
        type=seconds,
        default=30.0,
        metavar="S",
        help="seconds to wait for others who write (default 30)",
    )
    return group


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def open_gallery(options: argparse.Namespace, *, create: bool = False, **settings: Any) -> Gallery:
    """The gallery that a command's options name.

    Args:
        options: The command's.
        create: Whether it is made where it is missing.
        settings: More arguments of `Gallery`; --calibration and --threads are passed on where the command has them.
    """
    from probefusion.gallery import Gallery

    given = vars(options)
    names = {"calibration": "calibration", "num_threads": "threads"}
    more = {name: given[option] for name, option in names.items() if option in given}
    actor = given.get("actor", "")
    return Gallery(
        options.gallery,
        options.collection,
        keys=options.keys,
        key_file=options.key_file,
        actor=_user() if actor is None else actor,
        create=create,
        timeout=options.timeout,
        **{**more, **settings},
    )


def shown_address(options: argparse.Namespace) -> str:
    """The gallery as it may be printed: without the password of a server's URL."""
    address = str(options.gallery)
    if "://" in address:
        address = re.sub(r"(?i)([?&])(ssl)?password=[^&]*&?", r"\1", address).rstrip("?&")
    scheme, mark, rest = address.partition("://")
    user, at, host = rest.rpartition("@")
    if not (mark and at):
        return address
    return f"{scheme}://{user.partition(':')[0]}@{host}"


def gallery_command(options: argparse.Namespace, command: str, *arguments: str) -> str:
    """A command line on the same gallery, fit for a shell, without a server's password.

    Args:
        options: The command's.
        command: The other command, as "undo" or "gallery accept".
        arguments: What follows the gallery.
    """
    words = [shown_address(options), *arguments]
    for option, value, usual in (
        ("--collection", options.collection, "people"),
        ("--keys", options.keys, None),
        ("--key-file", options.key_file, None),
    ):
        if value != usual:
            words += [option, value]
    return f"probefusion {command} {shlex.join(words)}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a process of a user without a name
        return ""
