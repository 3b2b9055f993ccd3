"""Options and words about images of somebody else among a person's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probefusion.pipeline import FaceChoice
    from probefusion.screening import Screening

__all__ = [
    "NO_SCREENING",
    "add_screening_option",
    "add_strangers_options",
    "report_problems",
    "screening_facts",
    "tell_screening",
]


NO_SCREENING = "--no-screening"
"""The option by which nobody looks."""
_NOBODY = "do not look whether the images are of several people"


def add_strangers_options(parser: argparse.ArgumentParser, *, of: str = "") -> None:
    """What to do where the images seem to be of several people; without any it is told.

    Args:
        parser: Of the command.
        of: Of which images it is done, for the help; ends with ": ". That nobody looks is said of all.
    """
    group = parser.add_mutually_exclusive_group()
    for option, value, text in (
        (
            "--strict",
            "refuse",
            "give nothing where the images seem to be of several people or the template is not usable",
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
        group.add_argument(
            option, dest="strangers", action="store_const", const=value, help=of + text
        )
    group.add_argument(
        NO_SCREENING, dest="strangers", action="store_const", const="no-screening", help=_NOBODY
    )
    parser.set_defaults(strangers="tell")


def add_screening_option(parser: argparse.ArgumentParser) -> None:
    """Whether anybody looks, for commands that tell it and leave nothing out."""
    parser.add_argument(NO_SCREENING, dest="screening", action="store_false", help=_NOBODY)


def screening_facts(screening: Screening | None, choice: FaceChoice | None) -> dict[str, Any]:
    """What was said of the images of one person, and how faces were chosen, for `--json`."""
    return {
        "screening": None if screening is None else screening.facts(),
        "several_faces": None
        if choice is None
        else {
            "num_photos": choice.num_photos,
            "num_changed": choice.num_changed,
            "is_clear": choice.is_clear,
            "told": str(choice),
        },
    }


def tell_screening(
    screening: Screening | None, choice: FaceChoice | None, *, side: str = ""
) -> None:
    """Prints what is no warning: that no second person was seen, and which faces were taken.

    Args:
        screening: What was said of the images.
        choice: How faces were chosen.
        side: Whose images they are, where there are several; ends with ": ".
    """
    if choice is not None and choice.is_clear:
        print(f"{side}{choice}")
    if screening is not None and not screening.falls_apart:
        print(f"{side}{screening}")


def report_problems(problems: Sequence[str]) -> None:
    """Warns on standard error."""
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
