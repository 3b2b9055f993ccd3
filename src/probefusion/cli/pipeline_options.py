"""From options to a pipeline, and what every command tells of its inputs."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.options import detector_of

if TYPE_CHECKING:
    from probefusion.faces import SkippedImage
    from probefusion.pipeline import Extract, Pipeline
    from probefusion.types import Usability
    from probefusion.video import VideoSettings

__all__ = [
    "embedder_settings",
    "extract_of",
    "pipeline_of",
    "report_skipped",
    "skipped_facts",
    "usability_facts",
    "video_settings",
]


_LISTED = 20
"""Skipped images listed by name; all are in the result of --json."""
_REASONS = 5
"""Kinds of reasons told of the others."""


def pipeline_of(options: argparse.Namespace, **changes: Any) -> Pipeline:
    """The pipeline that a command's options describe; options that it lacks stand at their default.

    Args:
        options: The command's.
        changes: Arguments of `Pipeline` to be set otherwise.
    """
    from probefusion.pipeline import Pipeline

    names = {
        "embedder": "embedder",
        "fuser": "fuser",
        "aligned": "aligned",
        "preprocessing": "preprocessing",
        "norm_output": "norm_output",
        "device": "device",
        "num_threads": "threads",
        "chunk_size": "chunk",
        "ignore_columns": "ignore_columns",
        "calibration": "calibration",
        "keep_chips": "keep_chips",
    }
    given = vars(options)
    settings = {name: given[option] for name, option in names.items() if option in given}
    if "detector" in given:
        settings["detector"] = detector_of(options)
    return Pipeline(**{**settings, **changes})


def video_settings(options: argparse.Namespace) -> VideoSettings:
    """How the options want a video turned into people."""
    from probefusion.video import VideoSettings

    return VideoSettings(
        max_faces=options.max_faces,
        min_size=options.min_size,
        min_images=options.min_images,
        chunk_size=options.chunk or VideoSettings.chunk_size,
        split_below=options.split_below,
        reenter_from=options.reenter_from,
    )


def extract_of(options: argparse.Namespace) -> Extract:
    """Which frames of a video the options name."""
    from probefusion.pipeline import Extract

    return Extract(every=options.every, start=options.start, stop=options.stop)


def embedder_settings(options: argparse.Namespace) -> dict[str, str]:
    """What the options say about an embedder beyond its file."""
    said = {"preprocessing": options.preprocessing, "norm_output": options.norm_output}
    return {name: value for name, value in said.items() if value is not None}


def report_skipped(skipped: Sequence[SkippedImage]) -> None:
    """Counts skipped images on standard error and lists the first of them."""
    if not skipped:
        return
    print(f"skipped {len(skipped)} images:", file=sys.stderr)
    for image in skipped[:_LISTED]:
        print(f"  {image}", file=sys.stderr)
    if len(skipped) > _LISTED:
        reasons = Counter(_kind_of_reason(image.reason) for image in skipped[_LISTED:])
        print(f"  and {len(skipped) - _LISTED} more:", file=sys.stderr)
        for reason, count in reasons.most_common(_REASONS):
            print(f"    {count} x {reason}", file=sys.stderr)


def _kind_of_reason(reason: str) -> str:
    """The reason without its numbers, to be counted with others of the kind."""
    return re.sub(r"\d[\d,.]*", "N", reason)


def skipped_facts(skipped: Sequence[SkippedImage]) -> list[dict[str, str]]:
    """The same for JSON."""
    return [{"source": image.source, "reason": image.reason} for image in skipped]


def usability_facts(usability: Usability | None) -> dict[str, Any] | None:
    """What can be expected of a template, for JSON."""
    return None if usability is None else asdict(usability)
