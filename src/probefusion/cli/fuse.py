"""`probefusion fuse`: embeddings or images of one person in, a template out."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.cli.clips import (
    Tools,
    add_video_options,
    load_tools,
    open_reader,
    read_clip,
)
from probefusion.cli.inputs import choose_fuser, load_images, report_skipped
from probefusion.cli.interrupt import interruption
from probefusion.cli.options import add_embedding_options, add_fuser_option, add_output_options

if TYPE_CHECKING:
    from probefusion.cli.inputs import Loaded
    from probefusion.fusion import Fuser
    from probefusion.types import FusionState, Template

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "fuse",
        help="fuse all images of one person into one template",
        description="Fuses embedding files, images, folders, videos or saved states of one person into one "
        "template. Several are merged in the order given. Of a video the person seen most is taken.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="INPUT",
        help=".npy, .npz, .csv, .h5, .parquet embeddings, images, folders, .safetensors states, "
        "videos, streams",
    )
    parser.add_argument("-o", "--output", metavar="TEMPLATE.npz", help="where to save the template")
    parser.add_argument(
        "--state", metavar="FILE.safetensors", help="also save the state, to add images later"
    )
    add_fuser_option(parser)
    add_embedding_options(parser)
    add_video_options(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fuses and saves; 3 if images were skipped or a video is damaged, 130 if one was interrupted."""
    from probefusion.checks import check_output
    from probefusion.errors import ConfigError
    from probefusion.faces.frames import is_video
    from probefusion.types import FusionState

    if options.output is None and options.state is None and not options.json:
        raise ConfigError(
            "output: expected at least one of -o TEMPLATE.npz, --state FILE, --json; got none."
        )
    if options.output is not None and options.output == options.state:
        raise ConfigError(f"-o, --state: expected two files, got {options.output} for both.")
    for output in (options.output, options.state):
        if output is not None:
            check_output(output, force=options.force)
    stored = [path for path in options.paths if path.lower().endswith(".safetensors")]
    videos = [path for path in options.paths if is_video(path)]
    states = [FusionState.load(path) for path in stored]
    if videos and options.aligned:
        raise ConfigError(
            f"--aligned: {videos[0]} is a video, in which faces are searched. Leave --aligned out and give "
            f"--detector."
        )
    others = [path for path in options.paths if path not in stored and path not in videos]
    loaded = load_images(others, options)
    sources = None
    if videos:
        is_open = options.fuser == "auto" and not states and not loaded.sets
        tools = load_tools(options, None if is_open else _choose(options, states, loaded))
        fuser = tools.fuser
        clips = [_fuse_video(video, options, tools) for video in videos]
    else:
        fuser, clips = _choose(options, states, loaded), []
    if len(clips) == 1 and not states and not loaded.sets:
        template, sources = clips[0].template, clips[0].sources
        state = clips[0].state
    elif len(loaded.sets) == 1 and not states and not clips and options.state is None:
        template = fuser.fuse(loaded.sets[0], chunk_size=options.chunk)
        given = loaded.sets[0].sources
        sources = None if given is None else given.tolist()
    else:
        states += [clip.state for clip in clips]
        for images in loaded.sets:
            states += [fuser.encode(part) for part in images.chunks(options.chunk or len(images))]
        state = states[0]
        for other in states[1:]:
            state = state + other
        template = fuser.finish(state)
    if options.state is not None:
        state.save(options.state, force=options.force)
    if options.output is not None:
        template.save(options.output, force=options.force)
    problems = [problem for clip in clips for problem in clip.problems]
    if options.json:
        facts = {
            "output": options.output,
            "state": options.state,
            "num_images": template.num_images,
            "dim": template.dim,
            "fuser": template.fuser,
            "embedder": template.embedder,
            "template": [float(value) for value in template.vector],
            "weights": None
            if template.weights is None
            else [float(value) for value in template.weights],
            "sources": sources,
            "skipped": [{"source": i.source, "reason": i.reason} for i in loaded.skipped],
            "problems": problems,
        }
        print(json.dumps(facts, indent=2))
    else:
        print(
            f"{options.output or options.state}: {template.num_images} images fused by "
            f"{template.fuser}, {template.dim} dimensions"
        )
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    report_skipped(loaded.skipped)
    if any(clip.was_stopped for clip in clips):
        return 130
    return 3 if loaded.skipped or problems else 0


def _choose(options: argparse.Namespace, states: list[FusionState], loaded: Loaded) -> Fuser:
    """The fuser that made the states, or that fits the sets."""
    from probefusion.errors import ConfigError, UnknownNameError
    from probefusion.zoo import load_fuser

    if options.fuser == "auto" and states:
        try:
            return load_fuser(states[0].fuser.split("@")[0], num_threads=options.threads)
        except UnknownNameError as error:
            raise ConfigError(
                f"--fuser: the state was made by {states[0].fuser}, which is not in the package. "
                f"Give its folder: --fuser DIR"
            ) from error
    if loaded.sets:
        return choose_fuser(options, loaded.sets)
    return load_fuser(options.fuser, num_threads=options.threads)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fused:
    """The person seen most in a video."""

    state: FusionState
    template: Template
    sources: list[str]
    problems: list[str]
    was_stopped: bool


def _fuse_video(video: str, options: argparse.Namespace, tools: Tools) -> _Fused:
    """Fuses the person with the most images of a video, and says who else was there."""
    with (
        interruption("what was read is finished") as stop,
        open_reader(video, options) as reader,
        read_clip(reader, tools, options, stop) as clip,
    ):
        person = clip.people[0]
        blocks = [(rows["time"].copy(), weights) for rows, weights in person.blocks()]
        name = clip.facts.source
        if len(clip.people) > 1:
            counts = ", ".join(str(other.num_images) for other in clip.people[:10])
            print(
                f"{name}: {len(clip.people)} people ({counts} images); taken is the one seen most. All of "
                f"them: probefusion video {name} -o DIR --detector MODEL",
                file=sys.stderr,
            )
        weights = np.concatenate([weights for _, weights in blocks]).astype(np.float32)
        return _Fused(
            state=person.state,
            template=replace(person.template, weights=weights),
            sources=[f"{name}#t={moment:.3f}" for times, _ in blocks for moment in times],
            problems=[f"{name}: {problem}" for problem in clip.problems],
            was_stopped=stop(),
        )
