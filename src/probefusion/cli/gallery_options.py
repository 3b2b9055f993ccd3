"""What commands on a gallery share: which one it is, its keys, who changes it, and how a change is told."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probefusion.gallery import Gallery

__all__ = [
    "add_gallery_argument",
    "add_gallery_options",
    "open_gallery",
    "undo_command",
    "undo_hint",
]


def add_gallery_argument(parser: argparse.ArgumentParser) -> None:
    """The first argument of all of them: `options.gallery`."""
    parser.add_argument(
        "gallery",
        metavar="GALLERY",
        help="SQLite file, as library.db, or postgresql://user:password@host/database",
    )


def add_gallery_options(parser: argparse.ArgumentParser, *, changes: bool = True) -> None:
    """Options that every command on a gallery has: --collection, --keys, --key-file, --actor.

    Args:
        parser: The command's.
        changes: Whether the command can change the gallery; otherwise there is no --actor.
    """
    group = parser.add_argument_group("gallery")
    group.add_argument(
        "--collection",
        default="people",
        metavar="NAME",
        help="collection in the database; people of different collections never meet (default people)",
    )
    group.add_argument(
        "--keys",
        metavar="FILE",
        help="file of the master key of an encrypted gallery (default: what PROBEFUSION_MASTER_KEY holds)",
    )
    group.add_argument(
        "--key-file",
        metavar="FILE",
        help="where the keys lie that the master key wraps (default: GALLERY.keys beside an SQLite file)",
    )
    if changes:
        group.add_argument(
            "--actor",
            default="",
            metavar="NAME",
            help="who makes the change, for history and audit trail",
        )


def open_gallery(options: argparse.Namespace, *, create: bool = False, **settings: Any) -> Gallery:
    """The gallery that the options name; close it, or use it as a block.

    Args:
        options: The command's: `gallery`, those of `add_gallery_options`, and `calibration` and `threads` if it
            has them.
        create: Whether to make what is not there.
        settings: Further arguments of `Gallery`.

    Raises:
        ProbeFusionError: As for `Gallery`.
    """
    from probefusion.gallery import Gallery

    given = vars(options)
    names = {"calibration": "calibration", "num_threads": "threads"}
    more = {name: given[option] for name, option in names.items() if option in given}
    return Gallery(
        options.gallery,
        options.collection,
        keys=options.keys,
        key_file=options.key_file,
        actor=given.get("actor", ""),
        create=create,
        **{**more, **settings},
    )


def undo_command(options: argparse.Namespace, revision: int) -> str:
    """The command line that takes a change back, fit for a shell."""
    words = ["probefusion", "undo", _without_password(options.gallery), str(revision)]
    for option, value, default in (
        ("--collection", options.collection, "people"),
        ("--keys", options.keys, None),
        ("--key-file", options.key_file, None),
    ):
        if value != default:
            words += [option, value]
    return shlex.join(words)


def undo_hint(options: argparse.Namespace, revision: int) -> str:
    """The line that every change prints: its revision, and how to take it back."""
    return f"revision {revision}; undo: {undo_command(options, revision)}"


def _without_password(address: str) -> str:
    """The address without the password of a server's URL, which must be in no log."""
    scheme, mark, rest = address.partition("://")
    user, at, host = rest.rpartition("@")
    if not mark or not at:
        return address
    return f"{scheme}://{user.partition(':')[0]}@{host}"
