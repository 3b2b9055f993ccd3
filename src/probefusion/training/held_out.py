"""What a fuser does on people it was not trained on: figures and thresholds for its card, a report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from probefusion.errors import EmptySetError
from probefusion.evaluation.degraded_folder import FolderPlan, evaluate_folder
from probefusion.evaluation.embed_protocol import embed_protocol
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.sweep import calibrate, sweep
from probefusion.fusion import Fuser, MeanFuser
from probefusion.protocols.degraded_folder import (
    MIN_PROBE_PERSON_IMAGES,
    DegradedFolderProtocol,
    People,
    fold_of,
)
from probefusion.protocols.people import composed
from probefusion.reports.degraded_folder import write_report
from probefusion.training.decoded_crops import DecodedCrops

if TYPE_CHECKING:
    from probefusion.embedders import OnnxEmbedder

__all__ = [
    "MAX_HELD_OUT",
    "MIN_HELD_OUT",
    "choose_held_out",
    "embed_held_out",
    "measure",
    "report_on",
]

MIN_HELD_OUT = 20
"""Probe people that calibration needs at least."""

MAX_HELD_OUT = 2000
"""Probe people that calibration takes at most, and as many with fewer images, so that its memory is bounded."""

MAX_BLOCKS = 4
"""Calibration uses up to this many disjoint blocks of each held-out person's 32 probe images."""

_NUM_IMAGES = 32


def choose_held_out(people: People, folds: tuple[int, ...]) -> People | None:
    """The people to calibrate on: those of some folds, of very many a part that names alone decide.

    Args:
        people: All people.
        folds: Folds of those held out.

    Returns:
        Up to `MAX_HELD_OUT` people with three images or more and up to as many with fewer; None if there is nobody.
    """

    def drawn(subjects: list[str]) -> list[str]:
        order = sorted(subjects, key=lambda name: hashlib.sha256(composed(name).encode()).digest())
        return order[:MAX_HELD_OUT]

    held_out = [subject for subject in people.images if fold_of(subject) in folds]
    is_probe = {s: len(people.images[s]) >= MIN_PROBE_PERSON_IMAGES for s in held_out}
    chosen = {
        *drawn([subject for subject in held_out if is_probe[subject]]),
        *drawn([subject for subject in held_out if not is_probe[subject]]),
    }
    if not chosen:
        return None
    return replace(people, images={s: people.images[s] for s in chosen}, skipped=())


def embed_held_out(
    crops: DecodedCrops,
    folds: tuple[int, ...],
    embedder: OnnxEmbedder,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeData | None:
    """Gallery and probes of the people of some folds.

    Args:
        crops: Of `choose_held_out`.
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
