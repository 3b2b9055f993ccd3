"""How a video is read, in the options of `fuse` and `video`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from probefusion.cli.options import positive

if TYPE_CHECKING:
    from probefusion.faces.frames import VideoReader

__all__ = ["add_video_options", "open_reader"]


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
