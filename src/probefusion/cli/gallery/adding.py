"""What `enroll`, `update` and `gallery accept` tell of images that were added to a person."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.gallery.changes import tell_change
from probefusion.cli.gallery.options import gallery_command
from probefusion.cli.gallery.times import moment
from probefusion.cli.pipeline_options import usability_facts

if TYPE_CHECKING:
    from probefusion.gallery.results import Added, Doubt, Likeness
    from probefusion.gallery.views import ContributionView

__all__ = [
    "add_keeping_options",
    "added_facts",
    "check_keeping",
    "contribution_facts",
    "doubt_facts",
    "likeness_facts",
    "tell_added",
]


def add_keeping_options(parser: argparse.ArgumentParser, *, keep: str) -> None:
    """Where images are from, when they were taken, and what is kept of them.

    Args:
        parser: The command's.
        keep: Help of --keep.
    """
    parser.add_argument("--source", default="", metavar="TEXT", help="where the images are from")
    parser.add_argument(
        "--time",
        type=moment,
        metavar="TIME",
        help="when they were taken, as 2026-11-28T08:00:00+01:00 (UTC without a zone; default: now)",
    )
    parser.add_argument("--keep", choices=("features", "state"), default="features", help=keep)
    parser.add_argument(
        "--keep-chips",
        action="store_true",
        help="keep a small picture of each face of a photo as well (JPEG, 112 px), see gallery chip",
    )


def check_keeping(options: argparse.Namespace) -> None:
    """Refuses pictures of images that are not kept, before a gallery is made.

    Raises:
        ConfigError: If both are asked for.
    """
    from probefusion.errors import ConfigError

    if options.keep == "state" and options.keep_chips:
        raise ConfigError(
            "--keep-chips: expected --keep features with it, as a sum has no images that pictures could belong to."
        )


def added_facts(added: Added) -> dict[str, Any]:
    """What was added, for `--json`."""
    return {
        "person_id": added.person_id,
        "name": added.name,
        "contribution_id": added.contribution_id,
        "keep": added.keep,
        "num_images": added.num_images,
        "total_images": added.total_images,
        "is_held": added.is_held,
        "doubts": doubt_facts(added.doubts),
        "usability": usability_facts(added.usability),
        "warnings": list(added.warnings),
    }


def doubt_facts(doubts: Iterable[Doubt]) -> list[dict[str, Any]]:
    """Reasons, for `--json`."""
    return [{"kind": doubt.kind, "reason": doubt.reason, "other": doubt.other} for doubt in doubts]


def likeness_facts(likeness: Likeness | None) -> dict[str, float | None] | None:
    """How alike two people were, or what was held and a person, for `--json`."""
    return None if likeness is None else asdict(likeness)


def contribution_facts(view: ContributionView) -> dict[str, Any]:
    """A contribution, for `--json`."""
    return {**asdict(view), "doubts": doubt_facts(view.doubts)}


def tell_added(added: Added, options: argparse.Namespace) -> None:
    """Prints what was added, and warns of doubts and of images that are not usable."""
    images = "1 image" if added.num_images == 1 else f"{added.num_images} images"
    what = f"held back as {added.contribution_id}" if added.is_held else "added"
    print(f"{added.name}: {images} {what}, {added.total_images} in all")
    for told in (*added.doubts, *added.warnings):
        print(f"warning: {added.name}: {told}", file=sys.stderr)
    if added.is_held:
        for verb in ("accept", "reject"):
            line = gallery_command(options, f"gallery {verb}", added.contribution_id)
            print(f"to {verb} them: {line}")
    tell_change(options, added.revision)
