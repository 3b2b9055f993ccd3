"""`probefusion compare`: how alike are two people's templates, or those of two files of many?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.inputs import choose_fuser, load_images, report_skipped
from probefusion.cli.options import add_embedding_options, add_fuser_option, add_output_options

if TYPE_CHECKING:
    from probefusion.faces import SkippedImage
    from probefusion.fusion import Fuser
    from probefusion.types import EmbeddingSet, Template, TemplateSet

__all__ = ["add_parser", "run"]

_IDS_LISTED = 5


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "compare",
        help="cosine similarity of two templates, sets, images or folders",
        description="Prints the cosine of two templates and, where the fuser carries calibrated "
        "thresholds, the decision with its false match rate. Sets, images and folders are fused first. "
        "One template of a file of many is FILE#ID. Two files of many: for each template of A the most "
        "similar one of B is printed; a file with itself: the most similar other one.",
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
    from probefusion.types import TemplateSet

    if not 0 < options.fmr < 1:
        raise ConfigError(f"--fmr: expected a fraction between 0 and 1, got {options.fmr}.")
    first, skipped_first = _read_side(options.first, options)
    second, skipped_second = _read_side(options.second, options)
    if isinstance(first, TemplateSet) and isinstance(second, TemplateSet):
        _compare_sets(first, second, options)
    else:
        _compare_people(first, second, options)
    skipped = [*skipped_first, *skipped_second]
    report_skipped(skipped)
    return 3 if skipped else 0


def _read_side(
    text: str, options: argparse.Namespace
) -> tuple[EmbeddingSet | Template | TemplateSet, Sequence[SkippedImage]]:
    """A template, many, or the embedding set to be fused; and the skipped images."""
    from probefusion.io import kind_of, read_templates, split_id

    file, name = split_id(text)
    if name is not None or kind_of(file) in ("template", "templates"):
        return read_templates(text), ()
    loaded = load_images([text], options)
    return loaded.sets[0], loaded.skipped


def _compare_people(first: Any, second: Any, options: argparse.Namespace) -> None:
    _refuse_many(first, options.first)
    _refuse_many(second, options.second)
    fuser = _common_fuser([first, second], options)
    templates = [_fused(side, fuser, options) for side in (first, second)]
    similarity = templates[0].similarity(templates[1])
    made_by = templates[0].fuser
    counts = [template.num_images for template in templates]
    threshold = _threshold(fuser, made_by, max(counts), options.fmr)
    facts: dict[str, Any] = {
        "similarity": similarity,
        "fuser": made_by,
        "embedder": templates[0].embedder,
        "num_images": counts,
        **_decision(similarity, threshold),
    }
    if options.json:
        print(json.dumps(facts, indent=2))
        return
    print(f"similarity {similarity:.4f}")
    if threshold is None:
        print(f"no decision: {made_by} carries no threshold at FMR {options.fmr:g}")
    else:
        word = "match" if facts["is_match"] else "no match"
        print(
            f"{word}: threshold {threshold.similarity:.4f} at false match rate "
            f"{threshold.false_match_rate:g} ({threshold.source})"
        )


def _compare_sets(first: TemplateSet, second: TemplateSet, options: argparse.Namespace) -> None:
    """For each template of A the most similar of B; within one file the most similar other one."""
    is_same = Path(options.first).samefile(options.second)
    places, similarities = first.nearest(None if is_same else second)
    fuser = _common_fuser([first], options)
    matches = []
    for row, (name, place, similarity) in enumerate(
        zip(first, places.tolist(), similarities.tolist(), strict=True)
    ):
        counts = [int(first.num_images[row]), int(second.num_images[place])]
        threshold = _threshold(fuser, first.fuser, max(counts), options.fmr)
        matches.append(
            {
                "id": name,
                "best_id": str(second.ids[place]),
                "similarity": similarity,
                "num_images": counts,
                **_decision(similarity, threshold),
            }
        )
    if options.json:
        facts = {"fuser": first.fuser, "embedder": first.embedder, "matches": matches}
        print(json.dumps(facts, indent=2))
        return
    widths = [max(len(match[key]) for match in matches) for key in ("id", "best_id")]
    for match in matches:
        word = {None: "", True: "  match", False: "  no match"}[match["is_match"]]
        print(
            f"{match['id']:{widths[0]}}  {match['best_id']:{widths[1]}}  "
            f"{match['similarity']:7.4f}{word}"
        )


def _decision(similarity: float, threshold: Any) -> dict[str, Any]:
    """Threshold, rate and decision for the JSON; None where there is no threshold."""
    if threshold is None:
        return {"threshold": None, "false_match_rate": None, "is_match": None}
    return {
        "threshold": threshold.similarity,
        "false_match_rate": threshold.false_match_rate,
        "is_match": similarity >= threshold.similarity,
    }


def _refuse_many(side: Any, text: str) -> None:
    """Refuses a file of many templates beside a single person."""
    from probefusion.errors import ConfigError
    from probefusion.types import TemplateSet

    if isinstance(side, TemplateSet):
        listed = ", ".join(islice(side, _IDS_LISTED))
        more = f" and {len(side) - _IDS_LISTED} more" if len(side) > _IDS_LISTED else ""
        raise ConfigError(
            f"{text}: expected one template beside one person, got {len(side)}: {listed}{more}. Name "
            f"one: '{text}#{next(iter(side))}'"
        )


def _common_fuser(
    sides: Sequence[EmbeddingSet | Template | TemplateSet], options: argparse.Namespace
) -> Fuser | None:
    """The fuser for the sides that are not fused yet; that of a template where there is one.

    Where all are fused it is needed for its thresholds only.
    """
    from probefusion.errors import ConfigError, UnknownNameError
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
    return choose_fuser(options, sets) if sets or options.fuser != "auto" else None


def _fused(side: Any, fuser: Fuser | None, options: argparse.Namespace) -> Template:
    from probefusion.types import Template

    if isinstance(side, Template) or fuser is None:
        return side  # type: ignore[no-any-return]
    return fuser.fuse(side, chunk_size=options.chunk)


def _threshold(fuser: Fuser | None, made_by: str | None, num_images: int, rate: float) -> Any:
    """The calibrated threshold at this rate for templates of so many images, or None."""
    if fuser is None or made_by != fuser.fingerprint:
        return None
    return fuser.threshold_for(rate, num_images)
