"""`probefusion video`: a clip in, one template per person out, and a report that shows why."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.clips import (
    Tools,
    add_video_options,
    interruption,
    load_tools,
    open_reader,
    read_clip,
)
from probefusion.cli.inputs import report_skipped
from probefusion.cli.options import (
    add_embedder_option,
    add_fuser_option,
    add_output_options,
)

if TYPE_CHECKING:
    from probefusion.gallery.stills import Stills
    from probefusion.video import Clip
    from probefusion.video.explanation import Explanation

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "video",
        help="one template per person of a video, webcam or stream, and a report",
        description="Finds the people of a video, follows each one, fuses all images of each into one "
        "template and searches a gallery of stills for them. Writes tracks.json, report.html, templates "
        "and states. Ctrl-C ends reading; what was read is finished and written.",
    )
    parser.add_argument(
        "video",
        metavar="VIDEO",
        help="a file, webcam:0, or an rtsp, rtmp, http(s), udp or srt address",
    )
    parser.add_argument("-o", "--output", required=True, metavar="DIR")
    add_embedder_option(parser)
    parser.add_argument(
        "--detector",
        required=True,
        metavar="MODEL",
        help="YuNet ONNX file or name, as yunet_2023mar (probefusion models pull yunet_2023mar)",
    )
    parser.add_argument(
        "--gallery",
        nargs="+",
        metavar="PATH",
        help="whom to look for: images (a person each), folders of images or of people's folders, "
        ".npz templates",
    )
    parser.add_argument(
        "--fmr",
        type=float,
        default=1e-3,
        metavar="RATE",
        help="false match rate per comparison to decide matches at (default 0.001)",
    )
    parser.add_argument(
        "--threshold", type=float, metavar="SIM", help="decide matches at this similarity instead"
    )
    parser.add_argument(
        "--merge-tracks",
        type=float,
        metavar="SIM",
        help="afterwards, merge tracks whose templates are at least this similar",
    )
    parser.add_argument(
        "--annotate", action="store_true", help="also write annotated.mp4 (files only, read twice)"
    )
    add_video_options(parser)
    add_fuser_option(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Processes and writes; 3 if something was damaged or skipped, 130 if interrupted."""
    from probefusion.errors import ConfigError
    from probefusion.gallery.stills import read_stills
    from probefusion.video.results import check_folder, prepare_folder

    _check(options)
    with interruption() as stop, open_reader(options.video, options) as reader:
        if options.annotate and reader.facts.is_live:
            raise ConfigError("--annotate: needs a file; a live source cannot be read twice.")
        check_folder(options.output, force=options.force)
        tools = load_tools(options)
        stills = None
        if options.gallery is not None:
            stills = read_stills(options.gallery, tools.embedder, tools.detector, tools.fuser)
        with read_clip(reader, tools, options, stop) as clip:
            was_stopped = stop()
            _merge(clip, options)
            explanations = _gather(clip, tools, stills, options)
            folder = prepare_folder(options.output, force=options.force)
            _write(clip, explanations, folder, options)
            _tell(clip, explanations, folder, options)
    for problem in clip.problems:
        print(f"warning: {clip.facts.source}: {problem}", file=sys.stderr)
    skipped = () if stills is None else stills.skipped
    report_skipped(skipped)
    if was_stopped:
        return 130
    return 3 if clip.problems or skipped else 0


def _check(options: argparse.Namespace) -> None:
    from probefusion.errors import ConfigError

    if not 0 < options.fmr < 1:
        raise ConfigError(f"--fmr: expected a fraction between 0 and 1, got {options.fmr}.")
    for name in ("threshold", "merge_tracks"):
        value = getattr(options, name)
        if value is not None and not -1 <= value <= 1:
            flag = name.replace("_", "-")
            raise ConfigError(f"--{flag}: expected a similarity from -1 to 1, got {value}.")


def _merge(clip: Clip, options: argparse.Namespace) -> None:
    if options.merge_tracks is None:
        return
    from probefusion.video.merging import merge_people

    clip.people, decisions = merge_people(clip.people, clip.fuser, options.merge_tracks)
    clip.decisions += decisions


def _gather(
    clip: Clip, tools: Tools, stills: Stills | None, options: argparse.Namespace
) -> list[Explanation]:
    from probefusion.gallery.stills import search_stills
    from probefusion.video.explanation import explain_person

    found = []
    for person in clip.people:
        match = None
        if stills is not None:
            match = search_stills(
                person.template,
                stills,
                tools.fuser,
                false_match_rate=options.fmr,
                threshold=options.threshold,
            )
        found.append(explain_person(person, tools.fuser, stills, match))
    return found


def _write(
    clip: Clip, explanations: Sequence[Explanation], folder: Path, options: argparse.Namespace
) -> None:
    from probefusion.cli.progress import progress_bar
    from probefusion.reports.video import write_report
    from probefusion.video.annotate import annotate_video
    from probefusion.video.results import write_results

    settings = {
        name: value
        for name, value in sorted(vars(options).items())
        if name not in ("run", "video", "output", "json", "force")
    }
    write_results(clip, explanations, folder, settings=settings)
    write_report(clip, explanations, folder / "report.html")
    if options.annotate:
        with (
            open_reader(options.video, options, every=1) as again,
            progress_bar("annotating", unit="frames") as progress,
        ):
            annotate_video(clip, explanations, again, folder / "annotated.mp4", progress=progress)


def _tell(
    clip: Clip, explanations: Sequence[Explanation], folder: Path, options: argparse.Namespace
) -> None:
    from probefusion.video.results import clip_facts, person_facts

    if options.json:
        facts = {**clip_facts(clip), "tracks": [person_facts(item) for item in explanations]}
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for item in explanations:
        person, match = item.person, item.match
        first, last = person.segments[0].first_time, person.segments[-1].last_time
        line = (
            f"track {person.number}: {person.num_images} images, {first:.1f} to {last:.1f} s, half of the "
            f"weight on {item.num_carrying_half}"
        )
        if match is not None:
            word = "most similar to" if match.is_match is None else "no match, nearest"
            word = "match" if match.is_match else word
            line += f"; {word} {match.candidates[0].name} {match.candidates[0].similarity:.3f}"
            if match.threshold is not None:
                line += f" (threshold {match.threshold:.3f})"
        print(line)
    counts = clip.counts
    print(
        f"{folder / 'report.html'}: {len(explanations)} people, {counts.faces_found} faces in "
        f"{counts.frames_used} frames, {clip.frames_per_second:.1f} frames/s"
    )
    if counts.tracks_too_short:
        print(
            f"left out: {counts.images_in_short_tracks} images in {counts.tracks_too_short} tracks of fewer "
            f"than {options.min_images}",
            file=sys.stderr,
        )
