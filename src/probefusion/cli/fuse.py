"""`probefusion fuse`: all images of one person in, a template out; or of a folder of people, one each."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.clips import add_video_options
from probefusion.cli.effects import check_effects, check_people_effects
from probefusion.cli.fused_inputs import fuse_inputs
from probefusion.cli.options import add_embedding_options, add_fuser_option, add_output_options
from probefusion.cli.pipeline_options import (
    pipeline_of,
    report_skipped,
    skipped_facts,
    usability_facts,
)
from probefusion.cli.strangers import (
    add_strangers_options,
    report_problems,
    screening_facts,
    tell_screening,
)

if TYPE_CHECKING:
    from probefusion.pipeline import Fused, FusedPeople, ImageWeight

__all__ = ["add_parser", "run"]

_log = logging.getLogger("probefusion")

_TITLES = {"images": "embedding", "frames": "reading", "people": "fusing"}


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "fuse",
        help="fuse all images of one person into one template",
        description="Fuses embedding files, images, folders, videos or saved states of one person into one "
        "template. Of a video the track with the most images is taken. With --people: a folder of people's "
        "folders into one file of templates.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="INPUT",
        help=".npy, .npz, .csv, .h5, .parquet embeddings, images, folders, .zip archives, .safetensors "
        "states, videos, streams",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to save the template (.npz), or the templates of --people (.npz or .parquet)",
    )
    parser.add_argument(
        "--state", metavar="FILE.safetensors", help="also save the state, to add images later"
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="print how much each image counts, and how similar it is to the template",
    )
    many = parser.add_mutually_exclusive_group()
    many.add_argument(
        "--people",
        action="store_true",
        help="INPUT is a folder or .zip with a folder of images for each person: a template of each",
    )
    many.add_argument(
        "--one-person",
        action="store_true",
        help="all folders inside a folder are of one person",
    )
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        help="what probefusion calibrate -o FILE measured; it says whether the template is usable",
    )
    add_strangers_options(parser)
    add_fuser_option(parser)
    add_embedding_options(parser, labels=True)
    add_video_options(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fuses and saves; 3 if something was left out, is damaged or not usable, 130 if a video was interrupted."""
    from probefusion.files import replace_together

    _check(options)
    if options.people:
        return _run_people(options)
    fused = fuse_inputs(options, ending="what was read is fused")
    with replace_together():
        if options.state is not None:
            _save_state(fused, options)
        if options.output is not None:
            fused.template.save(options.output, force=options.force)
    _tell(fused, options)
    _warn(fused)
    report_problems(_told_of_poor(fused))
    if fused.was_stopped:
        return 130
    return 3 if fused.skipped or fused.problems or _told_of_poor(fused) else 0


def _told_of_poor(fused: Fused) -> tuple[str, ...]:
    from probefusion.screening.poor_faces import told_of_poor

    usability = fused.usability
    return () if usability is None else told_of_poor("the images", usability, decides=False)


def _check(options: argparse.Namespace) -> None:
    from probefusion.errors import ConfigError

    if options.people:
        _check_people(options)
        check_people_effects(options, options.paths[0])
    elif not (options.output or options.state or options.json or options.explain):
        raise ConfigError(
            "output: expected at least one of -o TEMPLATE.npz, --state FILE, --explain, --json; got none."
        )
    else:
        check_effects(options, options.paths)
    _check_outputs(options)


def _check_outputs(options: argparse.Namespace) -> None:
    """A state may be updated in place: as an input it is read whole before it is replaced."""
    from probefusion.errors import ConfigError
    from probefusion.files import check_ending, check_not_input, check_output_file

    no_states = [path for path in options.paths if not path.lower().endswith(".safetensors")]
    given = [("-o", options.output, options.paths, ".npz")]
    given += [("--state", options.state, no_states, ".safetensors")]
    given = [entry for entry in given if entry[1] is not None]
    for name, output, inputs, _ in given:
        check_output_file(output, force=options.force)
        check_not_input(output, inputs, name=name)
    if len({Path(output).resolve() for _, output, _, _ in given}) < len(given):
        raise ConfigError(f"-o, --state: expected two files, got {options.output} for both.")
    for name, output, _, ending in given:
        if not options.people:  # whose templates have two formats
            check_ending(output, ending, name=name)


def _check_people(options: argparse.Namespace) -> None:
    from probefusion.errors import ConfigError
    from probefusion.types.template_files import check_template_path

    if options.output is None:
        raise ConfigError("--people: expected -o TEMPLATES.npz or -o TEMPLATES.parquet, got none.")
    check_template_path(options.output)
    if len(options.paths) > 1:
        raise ConfigError(
            f"--people: expected one folder or .zip archive, got {len(options.paths)}: "
            f"{', '.join(options.paths)}."
        )
    for name in ("state", "explain"):
        if getattr(options, name):
            raise ConfigError(
                f"--{name}: is for one person, got --people beside it. Leave one out."
            )


def _save_state(fused: Fused, options: argparse.Namespace) -> None:
    from probefusion.errors import UnsupportedOperationError

    if fused.state is None:
        raise UnsupportedOperationError(
            f"--state: fuser {fused.template.fuser} keeps no state to which images could be added. Leave "
            f"--state out, or take another fuser."
        )
    fused.state.save(options.state, force=options.force)


def _tell(fused: Fused, options: argparse.Namespace) -> None:
    from probefusion.pipeline.poor_images import told_of_poor_images

    rows = fused.explain() if options.explain else None
    if options.json:
        print(json.dumps(_facts(fused, rows, options), indent=2))
        return
    template = fused.template
    where = options.output or options.state
    print(
        f"{f'{where}: ' if where else ''}{template.num_images} images fused by {template.fuser}, "
        f"{template.dim} dimensions"
    )
    if rows is not None:
        _print_weights(rows)
        gain = None if fused.gain is None else fused.gain()
        if gain is not None:
            print(f"predicted gain over the plain mean: {gain:+.3f} in similarity to a clean image")
        if told := told_of_poor_images(rows, fused.usability):
            print(told)
    tell_screening(fused.screening, fused.face_choice)
    usability = fused.usability
    if usability is None or usability.is_not_usable:  # which is a warning
        return
    if usability.verdict == "not known":
        _log.debug("%s", usability)
    else:
        print(usability)


def _print_weights(rows: list[ImageWeight]) -> None:
    from probefusion.cli.terminal_tables import print_table

    print_table(
        ("WEIGHT", "SIMILARITY", "IMAGE"),
        [(f"{100 * row.weight:.1f} %", f"{row.similarity:.3f}", row.source) for row in rows],
        right=("WEIGHT", "SIMILARITY"),
    )


def _facts(
    fused: Fused, rows: list[ImageWeight] | None, options: argparse.Namespace
) -> dict[str, Any]:
    from probefusion.faces import faces_to_tell

    template = fused.template
    weights = template.weights
    facts: dict[str, Any] = {
        "output": options.output,
        "state": options.state,
        "num_images": template.num_images,
        "dim": template.dim,
        "fuser": template.fuser,
        "embedder": template.embedder,
        "template": [float(value) for value in template.vector],
        "weights": None if weights is None else [float(value) for value in weights],
        "sources": None if fused.sources is None else list(fused.sources),
        "skipped": skipped_facts(fused.skipped),
        "problems": list(fused.problems),
        "photos": faces_to_tell(fused.faces),
        **screening_facts(fused.screening, fused.face_choice),
        "usability": usability_facts(fused.usability),
    }
    if rows is not None:
        facts["predicted_gain"] = None if fused.gain is None else fused.gain()
        facts["images"] = [
            {
                "source": row.source,
                "weight": row.weight,
                "similarity": row.similarity,
                "verdict": row.verdict,
            }
            for row in rows
        ]
    return facts


def _run_people(options: argparse.Namespace) -> int:
    from probefusion.cli.phases import progress_by_unit

    with progress_by_unit(_TITLES) as progress:
        fused = pipeline_of(options).fuse_people(
            options.paths[0], progress=progress, strangers=options.strangers
        )
    templates = fused.templates
    templates.save(options.output, force=options.force)
    if options.json:
        from probefusion.faces import faces_to_tell

        facts = {
            "output": options.output,
            "num_people": len(templates),
            "num_images": int(templates.num_images.sum()),
            "dim": templates.dim,
            "fuser": templates.fuser,
            "embedder": templates.embedder,
            "people": [
                {
                    "id": name,
                    "num_images": count,
                    "usability": usability_facts(fused.usabilities.get(name)),
                    "screening": fused.screenings[name].facts(),
                }
                for name, count in zip(templates, templates.num_images.tolist(), strict=True)
            ],
            "skipped": skipped_facts(fused.skipped),
            "problems": list(fused.problems),
            "photos": faces_to_tell(fused.faces),
        }
        print(json.dumps(facts, indent=2))
    else:
        print(
            f"{Path(options.output)}: {len(templates)} people, {templates.num_images.sum()} images fused by "
            f"{templates.fuser}, {templates.dim} dimensions"
        )
    _warn(fused)
    return 3 if fused.skipped or fused.problems else 0


def _warn(fused: Fused | FusedPeople) -> None:
    report_problems(fused.problems)
    report_skipped(fused.skipped)
