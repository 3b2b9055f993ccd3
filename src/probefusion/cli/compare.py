"""`probefusion compare`: how alike are two people's templates?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.inputs import choose_fuser, load_images, report_skipped
from probefusion.cli.options import add_embedding_options, add_fuser_option, add_output_options

if TYPE_CHECKING:
    from probefusion.fusion import Fuser
    from probefusion.types import EmbeddingSet, Template

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "compare",
        help="cosine similarity of two templates, sets, images or folders",
        description="Prints the cosine of two templates and, where the fuser carries calibrated "
        "thresholds, the decision with its false match rate. Sets, images and folders are fused first.",
    )
    parser.add_argument("first", metavar="A")
    parser.add_argument("second", metavar="B")
    parser.add_argument(
        "--fmr",
        type=float,
        default=1e-3,
        metavar="RATE",
        help="false match rate to decide at, a fraction (default 0.001)",
    )
    add_fuser_option(parser)
    add_embedding_options(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compares and prints; 3 if images were skipped."""
    from probefusion.errors import ConfigError

    if not 0 < options.fmr < 1:
        raise ConfigError(f"--fmr: expected a fraction between 0 and 1, got {options.fmr}.")
    sides = [_read_side(path, options) for path in (options.first, options.second)]
    fuser = _common_fuser([side for side, _ in sides], options)
    templates = [_fused(side, fuser, options) for side, _ in sides]
    similarity = templates[0].similarity(templates[1])
    threshold = _threshold(fuser, templates, options.fmr)
    facts: dict[str, Any] = {
        "similarity": similarity,
        "fuser": templates[0].fuser,
        "embedder": templates[0].embedder,
        "num_images": [template.num_images for template in templates],
        "threshold": None if threshold is None else threshold.similarity,
        "false_match_rate": None if threshold is None else threshold.false_match_rate,
        "is_match": None if threshold is None else similarity >= threshold.similarity,
    }
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        print(f"similarity {similarity:.4f}")
        if threshold is None:
            print(f"no decision: {templates[0].fuser} carries no threshold at FMR {options.fmr:g}")
        else:
            word = "match" if facts["is_match"] else "no match"
            print(
                f"{word}: threshold {threshold.similarity:.4f} at false match rate "
                f"{threshold.false_match_rate:g} ({threshold.source})"
            )
    skipped = [image for _, images in sides for image in images]
    report_skipped(skipped)
    return 3 if skipped else 0


def _read_side(path: str, options: argparse.Namespace) -> tuple[Any, tuple[Any, ...]]:
    """A template, or the embedding set to be fused; and the skipped images."""
    from probefusion.errors import FileFormatError
    from probefusion.types import Template

    if Path(path).suffix.lower() == ".npz" and Path(path).is_file():
        try:
            return Template.load(path), ()
        except FileFormatError as error:
            if "embedding_set" not in str(error) and "missing ['num_images'" not in str(error):
                raise
    loaded = load_images([path], options)
    return loaded.sets[0], loaded.skipped


def _common_fuser(
    sides: list[EmbeddingSet | Template], options: argparse.Namespace
) -> Fuser | None:
    """The fuser for the sides that are not fused yet; that of a template where there is one."""
    from probefusion.errors import ConfigError, MissingFileError, UnknownNameError
    from probefusion.types import EmbeddingSet
    from probefusion.zoo import load_fuser

    sets = [side for side in sides if isinstance(side, EmbeddingSet)]
    made_by = [side.fuser for side in sides if not isinstance(side, EmbeddingSet) and side.fuser]
    if options.fuser == "auto" and made_by:
        try:
            return load_fuser(made_by[0].split("@")[0], num_threads=options.threads)
        except UnknownNameError as error:
            if sets:
                raise ConfigError(
                    f"--fuser: the template was made by {made_by[0]}, which is not in the package. "
                    f"Give its folder: --fuser DIR"
                ) from error
            return None  # a fuser folder we were not pointed at: the cosine needs none
        except MissingFileError:
            if sets:
                raise
            return None  # a known fuser that was not pulled
    return choose_fuser(options, sets) if sets else None


def _fused(side: Any, fuser: Fuser | None, options: argparse.Namespace) -> Template:
    from probefusion.types import Template

    if isinstance(side, Template) or fuser is None:
        return side  # type: ignore[no-any-return]
    return fuser.fuse(side, chunk_size=options.chunk)


def _threshold(fuser: Fuser | None, templates: list[Template], rate: float) -> Any:
    """The calibrated threshold at this rate for the larger of the two sets, or None."""
    if fuser is None or templates[0].fuser != fuser.fingerprint:
        return None
    return fuser.threshold_for(rate, max(template.num_images for template in templates))
