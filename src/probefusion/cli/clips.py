"""Reading the people of a video, as `fuse` and `video` do."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.cli.inputs import GET_DETECTOR, choose_fuser, load_chosen_embedder
from probefusion.cli.options import positive

if TYPE_CHECKING:
    from probefusion.cli.interrupt import Interruption
    from probefusion.embedders import CropQuality, Embedder
    from probefusion.faces import Detector
    from probefusion.faces.frames import VideoReader
    from probefusion.fusion import Fuser
    from probefusion.video import Clip, VideoSettings

__all__ = [
    "Tools",
    "add_video_options",
    "load_tools",
    "open_reader",
    "read_clip",
    "video_settings",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Tools:
    """The models that a video is read with; `quality` judges the crops where the fuser needs it."""

    embedder: Embedder
    detector: Detector
    fuser: Fuser
    quality: CropQuality | None = None


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
    from probefusion.embedders import CropQuality
    from probefusion.errors import ConfigError
    from probefusion.zoo import load_detector
    from probefusion.zoo.fusers import has_bundled_fuser

    if options.detector is None:
        raise ConfigError(f"--detector: reading people from a video needs one. {GET_DETECTOR}")
    device = getattr(options, "device", "cpu")
    embedder = load_chosen_embedder(options, device=device)
    size = embedder.spec.input_size
    noise = np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.uint8)
    plain = embedder.embed_set(noise)  # in all but its values as any set of this embedder
    judged = replace(plain, quality=np.zeros(1, np.float32))
    if fuser is None:  # crops of embedders without a fuser of their own are judged, as images are
        is_known = has_bundled_fuser(embedder.fingerprint)
        fuser = choose_fuser(options, [plain if is_known else judged])
    fuser.check_fits(judged if fuser.needs_quality else plain)
    return Tools(
        embedder=embedder,
        detector=load_detector(options.detector),
        fuser=fuser,
        quality=CropQuality(num_threads=options.threads) if fuser.needs_quality else None,
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


def video_settings(options: argparse.Namespace) -> VideoSettings:
    """How faces are followed, by the options."""
    from probefusion.video import VideoSettings

    return VideoSettings(
        max_faces=options.max_faces,
        min_size=options.min_size,
        min_images=options.min_images,
        chunk_size=options.chunk or VideoSettings.chunk_size,
        split_below=options.split_below,
        reenter_from=options.reenter_from,
    )


def read_clip(
    reader: VideoReader,
    tools: Tools,
    options: argparse.Namespace,
    stop: Interruption,
    **listening: Any,
) -> Clip:
    """The people of a video, with progress on standard error; close the clip when done.

    Args:
        reader: The video.
        tools: The models.
        options: The command's.
        stop: Asked after each frame.
        **listening: Who hears of events, as for `process_video`.
    """
    from probefusion.cli.progress import progress_bar
    from probefusion.video import process_video

    settings = video_settings(options)
    stop.is_patient = True
    with progress_bar("reading", unit="frames") as progress:
        return process_video(
            reader,
            tools.detector,
            tools.embedder,
            tools.fuser,
            settings,
            quality=tools.quality,
            progress=progress,
            should_stop=stop,
            **listening,
        )
