"""Reading the people of a video, as `fuse` and `video` do."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probefusion.cli.inputs import GET_DETECTOR, choose_fuser, load_chosen_embedder
from probefusion.cli.options import positive

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.faces import Detector
    from probefusion.faces.frames import VideoReader
    from probefusion.fusion import Fuser
    from probefusion.video import Clip

__all__ = ["Tools", "add_video_options", "interruption", "load_tools", "open_reader", "read_clip"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Tools:
    """The models that a video is read with."""

    embedder: Embedder
    detector: Detector
    fuser: Fuser


def add_video_options(parser: argparse.ArgumentParser) -> None:
    """How a video is read and its faces are followed."""
    group = parser.add_argument_group("video")
    group.add_argument(
        "--every", type=positive, default=1, metavar="K", help="search every k-th frame (default 1)"
    )
    group.add_argument("--start", type=float, default=0.0, metavar="S", help="begin at this second")
    group.add_argument("--stop", type=float, metavar="S", help="end at this second")
    group.add_argument(
        "--max-faces",
        type=positive,
        default=20,
        metavar="N",
        help="faces per frame, the largest (default 20)",
    )
    group.add_argument(
        "--min-size",
        type=float,
        default=0.0,
        metavar="PX",
        help="least width and height of a face in pixels",
    )
    group.add_argument(
        "--min-images",
        type=positive,
        default=3,
        metavar="N",
        help="leave out tracks of fewer images (default 3)",
    )
    group.add_argument(
        "--split-below",
        type=float,
        metavar="SIM",
        help="split a track where images in a row are less similar to it than this (default: the "
        "fuser's threshold at a false match rate of 0.01)",
    )
    group.add_argument(
        "--reenter-from",
        type=float,
        metavar="SIM",
        help="go on with a track that was out of sight from this similarity on (default: the fuser's "
        "threshold at 0.0001)",
    )


def load_tools(options: argparse.Namespace, fuser: Fuser | None = None) -> Tools:
    """Embedder, detector, and the fuser given or else the one that fits them, which must fit.

    Raises:
        ConfigError: If no detector was named.
        ProbeFusionError: If one cannot be used.
    """
    from probefusion.errors import ConfigError
    from probefusion.zoo import load_detector

    if options.detector is None:
        raise ConfigError(f"--detector: reading people from a video needs one. {GET_DETECTOR}")
    embedder = load_chosen_embedder(options)
    size = embedder.spec.input_size
    noise = np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.uint8)
    example = embedder.embed_set(noise)  # in all but its values as any set of this embedder
    if fuser is None:
        fuser = choose_fuser(options, [example])
    fuser.check_fits(example)
    return Tools(embedder=embedder, detector=load_detector(options.detector), fuser=fuser)


def open_reader(
    source: str, options: argparse.Namespace, *, every: int | None = None
) -> VideoReader:
    """The video of the options, opened."""
    from probefusion.faces.frames import VideoReader

    return VideoReader(
        source,
        every=options.every if every is None else every,
        start=options.start,
        stop=options.stop,
        num_threads=options.threads,
    )


def read_clip(
    reader: VideoReader,
    tools: Tools,
    options: argparse.Namespace,
    should_stop: Callable[[], bool],
) -> Clip:
    """The people of a video, with progress on standard error; close the clip when done."""
    from probefusion.cli.progress import progress_bar
    from probefusion.video import VideoSettings, process_video

    settings = VideoSettings(
        max_faces=options.max_faces,
        min_size=options.min_size,
        min_images=options.min_images,
        chunk_size=options.chunk or VideoSettings.chunk_size,
        split_below=options.split_below,
        reenter_from=options.reenter_from,
    )
    if should_stop():  # while the models were loaded
        raise KeyboardInterrupt
    with progress_bar("reading", unit="frames") as progress:
        return process_video(
            reader,
            tools.detector,
            tools.embedder,
            tools.fuser,
            settings,
            progress=progress,
            should_stop=should_stop,
        )


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C or SIGTERM into a question asked after each frame; the second ends at once."""
    asked = False

    def handle(number: int, frame: object) -> None:
        nonlocal asked
        del number, frame
        if asked:
            raise KeyboardInterrupt
        asked = True
        print("stopping; what was read is finished (again: at once)", file=sys.stderr)

    try:
        previous = {
            number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:  # not in the main thread, where no signal arrives
        yield lambda: asked
        return
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
