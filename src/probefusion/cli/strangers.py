"""Options and words about images of somebody else among a person's."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probefusion.pipeline import Fused

__all__ = ["add_strangers_options", "screening_facts", "tell_screening"]


def add_strangers_options(parser: argparse.ArgumentParser) -> None:
    """What to do where the images seem to be of several people; without any it is told."""
    group = parser.add_mutually_exclusive_group()
    for option, value, text in (
        (
            "--strict",
            "refuse",
            "write nothing where the images seem to be of several people or the template is not usable",
        ),
        (
            "--largest-person",
            "largest-person",
            "keep the person of whom there are more images; the others are listed as skipped",
        ),
        (
            "--drop-outliers",
            "drop-outliers",
            "leave out images that are unlike all others; they are listed as skipped",
        ),
    ):
        group.add_argument(option, dest="strangers", action="store_const", const=value, help=text)
    parser.set_defaults(strangers="tell")


def screening_facts(fused: Fused) -> dict[str, Any]:
    """What was said of the images, and how faces were chosen, for `--json`."""
    choice = fused.face_choice
    return {
        "screening": None if fused.screening is None else fused.screening.facts(),
        "several_faces": None
        if choice is None
        else {
            "num_photos": choice.num_photos,
            "num_changed": choice.num_changed,
            "is_clear": choice.is_clear,
            "told": str(choice),
        },
    }


def tell_screening(fused: Fused) -> None:
    """Prints what is no warning: that no second person was seen, and which faces were taken."""
    if fused.face_choice is not None and fused.face_choice.is_clear:
        print(fused.face_choice)
    if fused.screening is not None and not fused.screening.falls_apart:
        print(fused.screening)
