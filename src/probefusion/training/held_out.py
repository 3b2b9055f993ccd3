"""What a fuser does on people it was not trained on: figures and thresholds for its card, a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.errors import EmptySetError
from probefusion.evaluation.degraded_folder import FolderPlan, evaluate_folder
from probefusion.evaluation.embed_protocol import embed_protocol
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.sweep import calibrate, sweep
from probefusion.fusion import Fuser, MeanFuser
from probefusion.protocols.degraded_folder import DegradedFolderProtocol
from probefusion.reports.degraded_folder import write_report
from probefusion.training.decoded_crops import DecodedCrops

if TYPE_CHECKING:
    from probefusion.embedders import OnnxEmbedder

__all__ = ["MIN_HELD_OUT", "embed_held_out", "measure", "report_on"]

MIN_HELD_OUT = 20
"""Probe people that calibration needs at least."""

MAX_BLOCKS = 4
"""Calibration uses up to this many disjoint blocks of each held-out person's 32 probe images."""

_NUM_IMAGES = 32


def embed_held_out(
    crops: DecodedCrops,
    folds: tuple[int, ...],
    embedder: OnnxEmbedder,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeData | None:
    """Gallery and probes of the people of some folds.

    Args:
        crops: All people.
        folds: Folds of those held out.
        embedder: The embedder.
        cache: Where the embeddings are kept.
        progress: Called with (images done, images in all).

    Returns:
        The data, or None if there are fewer than `MIN_HELD_OUT` people with three images or more.
    """
    try:
        protocol = DegradedFolderProtocol(people=crops.people, folds=folds, num_sets=1)
    except EmptySetError:
        return None
    if len(protocol.probe_subjects) < MIN_HELD_OUT:
        return None
    return embed_protocol(
        protocol,
        embedder,
        num_images=_NUM_IMAGES,
        cache=cache,
        read_image=crops.read,
        progress=progress,
    )


def measure(data: ProbeData, fuser: Fuser) -> dict[str, Any]:
    """Figures and thresholds of a fuser, as `publish_fuser` takes them: metrics, thresholds."""
    source = (
        f"{data.protocol}, {len(np.unique(data.probe_subjects))} held-out people, "
        f"up to {MAX_BLOCKS} disjoint blocks of {_NUM_IMAGES} images each"
    )
    points = sweep(
        data, [MeanFuser(), fuser], false_accept_rates=(1e-4, 1e-3, 1e-2), max_blocks=MAX_BLOCKS
    )
    figures = [
        {
            "fuser": "mean" if point.fuser == "mean" else "this",
            "num_images": point.num_images,
            "rank1": round(point.rank1, 4),
            "tar": {f"{v.target:g}": round(v.tar, 4) for v in point.verification if v.resolved},
        }
        for point in points
    ]
    return {
        "metrics": {"protocol": source, "points": figures},
        "thresholds": calibrate(data, fuser, source=source, max_blocks=MAX_BLOCKS),
    }


def report_on(
    data: ProbeData, fuser: Fuser, folder: str | Path, facts: dict[str, Any], *, force: bool
) -> None:
    """Writes the report that `probefusion evaluate` writes, with intervals over people.

    Args:
        data: From `embed_held_out`.
        fuser: The fuser, shown beside the mean.
        folder: The report's folder.
        facts: Of the training.
        force: Whether an existing report may be replaced.
    """
    evaluation = evaluate_folder(
        data, [MeanFuser(), fuser], FolderPlan(set_sizes=(1, 2, 4, 8, 16, 32))
    )
    write_report(
        evaluation,
        folder,
        title=f"{fuser.name} on people it was not trained on",
        facts={"protocol": data.protocol, "embedder": data.gallery.embedder, "training": facts},
        force=force,
    )
