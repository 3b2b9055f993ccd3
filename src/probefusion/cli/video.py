"""`probefusion video`: a clip in, one template per person out, and a report that shows why."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.clips import add_video_options, open_reader
from probefusion.cli.gallery.options import add_collection_options, open_gallery
from probefusion.cli.gallery.rates import add_rate_options
from probefusion.cli.interrupt import interruption
from probefusion.cli.options import (
    add_device_option,
    add_embedder_option,
    add_fuser_option,
    add_output_options,
)
from probefusion.cli.pipeline_options import pipeline_of, report_skipped, video_settings
from probefusion.cli.strangers import add_strangers_options, report_problems
from probefusion.cli.video_checks import check_options

if TYPE_CHECKING:
    from probefusion.cli.interrupt import Interruption
    from probefusion.faces import SkippedImage
    from probefusion.faces.frames import VideoReader
    from probefusion.gallery import Gallery, Match, Stills
    from probefusion.pipeline import Pipeline
    from probefusion.video import Clip, Explanation, VideoEvent

__all__ = ["add_parser", "run"]

_DEFAULT_RATE = 1e-3
"""False match rate that is decided at where nothing is named."""


def add_parser(commands: Any) -> None:
    """Declares the command.

    A line of `--events` is a JSON object with `kind` ("appeared", "updated", "left"), `time` (s), `number`
    (of the track), `num_images`, `first_time` (s), `last_time` (s) and `match` (null without a gallery);
    see `probefusion.video.result_files.event_facts`. The names are those of `VideoEvent` and stay.
    """
    parser = commands.add_parser(
        "video",
        help="one template per person of a video, webcam or stream, and a report",
        description="Finds the people of a video, follows each one, fuses all images of each into one "
        "template and searches a gallery for them. Writes tracks.json, report.html, templates "
        "and states, and with --events tells who comes and goes while the video runs. Ctrl-C ends "
        "reading; what was read is finished and written.",
    )
    parser.add_argument(
        "video",
        metavar="VIDEO",
        help="a file, webcam:0, or an rtsp, rtmp, http(s), udp or srt address",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="where to write; may be left out with --events"
    )
    parser.add_argument(
        "--events",
        action="store_true",
        help="print a JSON line when someone appears, was seen better, or left; without -o nothing is "
        "written and memory stays the same, so a stream may run for ever",
    )
    add_embedder_option(parser)
    add_device_option(parser)
    parser.add_argument(
        "--detector",
        required=True,
        metavar="MODEL",
        help="name or ONNX file of YuNet or SCRFD, as yunet_2023mar (probefusion models pull yunet_2023mar)",
    )
    parser.add_argument(
        "--gallery",
        nargs="+",
        metavar="PATH",
        help="whom to look for: a gallery (a .db file, or postgresql://... of a server), or images (a person each), "
        "folders of images or of people's folders, .npz templates, .npz or .parquet sets of templates",
    )
    add_rate_options(parser, searches=True)
    parser.add_argument(
        "--merge-tracks",
        type=float,
        metavar="SIM",
        help="afterwards, merge tracks whose templates are at least this similar",
    )
    parser.add_argument(
        "--annotate", action="store_true", help="also write annotated.mp4 (files only, read twice)"
    )
    add_collection_options(parser)
    add_strangers_options(parser, of="images of --gallery: ")
    add_video_options(parser)
    add_fuser_option(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Processes and writes, or watches; 3 if anything is damaged, skipped or of several people, 130 if interrupted."""
    from probefusion.errors import ConfigError
    from probefusion.files.reading import in_one_line

    check_options(options)
    with (
        interruption("what was read is finished", is_patient=False) as stop,
        open_reader(options.video, options) as reader,
    ):
        if options.annotate and reader.facts.is_live:
            raise ConfigError("--annotate: needs a file; a live source cannot be read twice.")
        work = _watch if options.output is None else _process
        skipped, mixed = work(reader, options, stop)
    name = in_one_line(reader.facts.source)
    report_problems([f"{name}: {problem}" for problem in (*reader.problems, *mixed)])
    report_skipped(skipped)
    if stop():
        return 130
    return 3 if reader.problems or mixed or skipped else 0


def _watch(
    reader: VideoReader, options: argparse.Namespace, stop: Interruption
) -> tuple[Sequence[SkippedImage], Sequence[str]]:
    """Prints events; gives what of the gallery was skipped, and no track: their images are not kept."""
    from probefusion.cli.progress import progress_bar

    pipeline = pipeline_of(options)
    with (
        _opened_gallery(pipeline, options) as known,
        progress_bar("watching", unit="frames") as show,
    ):
        for event in pipeline.watch(
            reader,
            gallery=known,
            settings=video_settings(options),
            **_rates(options),
            progress=_counting(show, stop),
            should_stop=stop,
        ):
            _print_event(event)
        return _skipped(known), _warnings(known)


@contextmanager
def _opened_gallery(
    pipeline: Pipeline, options: argparse.Namespace
) -> Iterator[Stills | Gallery | None]:
    """Whom to look for: nobody, a gallery that is open for so long, or the stills."""
    from probefusion.pipeline.video_gallery import gallery_address

    if options.gallery is None:
        yield None
        return
    address = gallery_address(options.gallery)
    if address is None:
        yield pipeline.read_gallery(options.gallery, strangers=options.strangers)
        return
    with open_gallery(argparse.Namespace(**{**vars(options), "gallery": address})) as gallery:
        yield gallery


def _rates(options: argparse.Namespace) -> dict[str, Any]:
    """What is decided at, as videos take it."""
    return {
        "false_match_rate": _DEFAULT_RATE if options.fmr is None else options.fmr,
        "false_positive_rate": options.fpir,
        "threshold": options.threshold,
    }


def _skipped(known: Stills | Gallery | None) -> Sequence[SkippedImage]:
    from probefusion.gallery import Stills

    return known.skipped if isinstance(known, Stills) else ()


def _warnings(known: Stills | Gallery | None) -> Sequence[str]:
    from probefusion.gallery import Stills

    return [f"gallery: {each}" for each in known.warnings] if isinstance(known, Stills) else []


def _is_screened(options: argparse.Namespace) -> bool:
    return bool(options.strangers != "no-screening")


def _process(
    reader: VideoReader, options: argparse.Namespace, stop: Interruption
) -> tuple[Sequence[SkippedImage], Sequence[str]]:
    """Writes the results; gives what of the gallery was skipped, and what is doubtful about tracks."""
    from probefusion.cli.progress import progress_bar
    from probefusion.files import check_not_input
    from probefusion.gallery import Stills
    from probefusion.video import explain_clip, merge_clip
    from probefusion.video.explanation import doubtful_names
    from probefusion.video.result_files import check_folder, result_folder

    standing = check_folder(options.output, force=options.force)
    for path in standing:
        check_not_input(path, [options.video, *(options.gallery or ())])
    pipeline = pipeline_of(options)
    search = _rates(options)
    with _opened_gallery(pipeline, options) as known:
        with progress_bar("reading", unit="frames") as show:
            clip = pipeline.read_video(
                reader,
                gallery=known,
                settings=video_settings(options),
                progress=_counting(show, stop),
                should_stop=stop,
                on_event=_print_event if options.events else None,
                **search,
            )
        with clip:
            if options.merge_tracks is not None:
                merge_clip(clip, options.merge_tracks)
            if isinstance(known, Stills):
                clip.problems = (*known.problems, *clip.problems)
            explanations = explain_clip(clip, known, screening=_is_screened(options), **search)
            doubts = doubtful_names(explanations)
            clip.problems = (*clip.problems, *doubts)
            with result_folder(options.output, force=options.force) as draft:
                _write(clip, explanations, draft, options, known)
            _tell(clip, explanations, Path(options.output), options)
    if clip.stopped_at is not None:
        print(f"warning: {clip.problems[-1 - len(doubts)]}", file=sys.stderr)
    mixed = [
        f"track {item.person.number}: {item.screening}"
        for item in explanations
        if item.screening.falls_apart
    ]
    return _skipped(known), [*_warnings(known), *doubts, *mixed]


def _counting(
    show: Callable[[int, int | None], None], stop: Interruption
) -> Callable[[int, int | None], None]:
    """Shows progress; from the first frame on there is something to be finished on Ctrl-C."""

    def progress(done: int, total: int | None) -> None:
        stop.is_patient = True
        show(done, total)

    return progress


def _print_event(event: VideoEvent) -> None:
    from probefusion.video.result_files import event_facts

    print(json.dumps(event_facts(event), ensure_ascii=False, allow_nan=False), flush=True)


def _write(
    clip: Clip,
    explanations: Sequence[Explanation],
    folder: Path,
    options: argparse.Namespace,
    known: Stills | Gallery | None,
) -> None:
    from probefusion.cli.progress import progress_bar
    from probefusion.gallery import Stills
    from probefusion.reports.video import write_report
    from probefusion.video.annotate import annotate_video
    from probefusion.video.result_files import write_results

    settings = {
        name: value
        for name, value in sorted(vars(options).items())
        if name not in ("run", "video", "output", "json", "events", "force")
    }
    if known is not None and not isinstance(known, Stills):
        settings["gallery"] = [known.address]  # as it was given, it may hold a password
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
    from probefusion.video.result_files import clip_facts, person_facts

    if options.json:
        facts = {**clip_facts(clip), "tracks": [person_facts(item) for item in explanations]}
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    stream = sys.stderr if options.events else sys.stdout
    for made in clip.decisions:
        if made["kind"] == "merge":
            what = f"merged track {made['other_track']} into {made['track']}"
            print(f"{what} ({made['similarity']:.3f})", file=stream)
    for item in explanations:
        person, match = item.person, item.match
        first, last = person.segments[0].first_time, person.segments[-1].last_time
        line = (
            f"track {person.number}: {person.num_images} images, of which {item.num_carrying_half} carry half "
            f"of the weight, {first:.1f} to {last:.1f} s"
        )
        print(f"{line}{_match_words(match)}", file=stream)
    counts = clip.counts
    print(
        f"{folder / 'report.html'}: {len(explanations)} {'track' if len(explanations) == 1 else 'tracks'}, "
        f"{counts.faces_found} faces in {counts.frames_used} frames, {clip.frames_per_second:.1f} frames/s",
        file=stream,
    )
    if counts.tracks_too_short:
        print(
            f"left out: {counts.images_in_short_tracks} images in {counts.tracks_too_short} tracks of fewer "
            f"than {options.min_images}",
            file=sys.stderr,
        )


def _match_words(match: Match | None) -> str:
    """What was found, to stand behind the line of a track."""
    if match is None:
        return ""
    best = match.best
    if best is None:
        return "; nobody is in the gallery"
    word = "most similar to" if match.is_match is None else "no match, nearest"
    words = f"; {'match' if match.is_match else word} {best.name} {best.similarity:.3f}"
    if match.threshold is not None:
        return f"{words} (threshold {match.threshold:.3f}){_ignored(match)}"
    why = None if match.result is None else match.result.why_none
    return f"{words} (no threshold: {why})" if why else words


def _ignored(match: Match) -> str:
    if match.result is None or not match.is_match:
        return ""
    return ", to be ignored" if match.result.candidates[match.place].is_ignored else ""
