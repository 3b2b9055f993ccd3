"""Options that all commands on galleries share, and what they tell of changes."""

from __future__ import annotations

import argparse
import getpass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probefusion.gallery import Gallery

__all__ = ["add_gallery_options", "add_json_option", "change_facts", "open_gallery", "tell_change"]


def add_gallery_options(parser: argparse.ArgumentParser, *, changes: bool = True) -> None:
    """The gallery, its collection and its keys.

    Args:
        parser: The command's.
        changes: Whether the command changes the gallery, so that somebody answers for it.
    """
    parser.add_argument(
        "gallery", metavar="GALLERY", help="SQLite file, or postgresql://... of a server"
    )
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
    if changes:
        group.add_argument(
            "--actor",
            default=None,
            metavar="NAME",
            help="who makes the change, for history and audit trail (default: the user's name)",
        )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def open_gallery(options: argparse.Namespace, *, create: bool = False, **settings: Any) -> Gallery:
    """The gallery that a command's options name.

    Args:
        options: The command's.
        create: Whether it is made where it is missing.
        settings: More arguments of `Gallery`.
    """
    from probefusion.gallery import Gallery

    actor = getattr(options, "actor", "")
    return Gallery(
        options.gallery,
        options.collection,
        keys=options.keys,
        key_file=options.key_file,
        actor=_user() if actor is None else actor,
        create=create,
        **settings,
    )


def change_facts(options: argparse.Namespace, action: str, revision: int) -> dict[str, Any]:
    """A change for `--json`."""
    return {
        "gallery": options.gallery,
        "collection": options.collection,
        "action": action,
        "revision": revision,
    }


def tell_change(options: argparse.Namespace, revision: int) -> None:
    """Says how a change is undone."""
    collection = (
        "" if options.collection == "people" else f" --collection {_quoted(options.collection)}"
    )
    print(
        f"revision {revision}; to undo it: probefusion undo {_quoted(options.gallery)} {revision}{collection}"
    )


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a process of a user without a name
        return ""
