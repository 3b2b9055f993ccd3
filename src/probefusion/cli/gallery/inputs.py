"""Images of one person that a command hands to a gallery: read, screened, and what is told of them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.clips import add_video_options
from probefusion.cli.effects import check_effects
from probefusion.cli.fused_inputs import fuse_inputs
from probefusion.cli.options import add_embedding_options, positive
from probefusion.cli.pipeline_options import (
    report_skipped,
    skipped_facts,
)
from probefusion.cli.strangers import (
    add_strangers_options,
    report_problems,
    screening_facts,
    tell_screening,
)

if TYPE_CHECKING:
    from probefusion.pipeline import Fused
    from probefusion.types import Template

__all__ = ["add_input_options", "input_facts", "read_person", "source_of", "tell_input"]


def add_input_options(
    parser: argparse.ArgumentParser, *, templates: bool = False, needs_some: bool = True
) -> None:
    """The images, and how they are turned into embeddings.

    Args:
        parser: The command's.
        templates: Whether a finished template is taken too.
        needs_some: Whether there must be one at least.
    """
    more = ", a template" if templates else ""
    parser.add_argument(
        "paths",
        nargs="+" if needs_some else "*",
        default=None if needs_some else [],
        metavar="INPUT",
        help="images of one person: photos, crops, folders, .zip archives, videos, .npy, .npz, .csv, .h5 and .parquet "
        f"embeddings, .safetensors states{more}",
    )
    parser.add_argument(
        "--one-person", action="store_true", help="all folders inside a folder are of one person"
    )
    add_strangers_options(parser)
    parser.add_argument(
        "--chunk", type=positive, metavar="N", help="encode N images at a time (changes nothing)"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    add_embedding_options(parser, labels=True)
    add_video_options(parser)


def read_person(options: argparse.Namespace) -> Fused | Template:
    """What the inputs hold: a template that was given, or all their images.

    Raises:
        ConfigError: If an option was given that acts on none of them.
        NotUsableError: If the template is not usable, and that is to be refused.
    """
    from probefusion.pipeline.sides import read_template
    from probefusion.zoo import judge_template

    check_effects(options, options.paths)
    if len(options.paths) == 1 and (given := read_template(options.paths[0])) is not None:
        if options.strangers == "refuse":
            judge_template(given).refuse(options.paths[0])
        return given
    return fuse_inputs(options, ending="what was read is used")


def source_of(options: argparse.Namespace) -> str:
    """Where the images are from: what --source says, or the one folder, as `enroll --people` names it."""
    from probefusion.pipeline.enroll_people import source_of_folder

    if options.source or len(options.paths) != 1 or not Path(options.paths[0]).is_dir():
        return str(options.source)
    return source_of_folder(Path(options.paths[0]).resolve())


def tell_input(given: Fused | Template, options: argparse.Namespace) -> int:
    """Tells what there is to say of the inputs; gives the exit code that they ask for.

    What can be expected of them is told with what the gallery answers.
    """
    from probefusion.types import Template

    if isinstance(given, Template):
        return 0
    if not options.json:
        tell_screening(given.screening, given.face_choice)
    report_problems(given.problems)
    report_skipped(given.skipped)
    if given.was_stopped:
        print("probefusion: interrupted; what was read before was used", file=sys.stderr)
        return 130
    return 3 if given.skipped or given.problems else 0


def input_facts(given: Fused | Template) -> dict[str, Any]:
    """The same for `--json`."""
    from probefusion.types import Template

    if isinstance(given, Template):
        return {"skipped": [], "problems": [], **screening_facts(None, None)}
    return {
        "skipped": skipped_facts(given.skipped),
        "problems": list(given.problems),
        **screening_facts(given.screening, given.face_choice),
    }
