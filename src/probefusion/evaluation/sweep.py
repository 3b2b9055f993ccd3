"""Fusers against set sizes: TAR at stated FARs and rank 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from probefusion.errors import InvalidInputError
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import score_probes
from probefusion.fusion import Fuser
from probefusion.fusion.threshold import Threshold
from probefusion.metrics import TarAtFar, thresholds_at_far

__all__ = ["SweepPoint", "calibrate", "sweep"]


@dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """One fuser at one set size.

    Args:
        fuser: Name of the fuser.
        num_images: Images in each probe set.
        verification: One result per false accept rate.
        rank1: Share of probe sets whose most similar gallery entry is their own.
        num_probe_sets: Probe sets compared with every gallery entry.
        num_gallery: Gallery entries.
    """

    fuser: str
    num_images: int
    verification: tuple[TarAtFar, ...]
    rank1: float
    num_probe_sets: int
    num_gallery: int


def sweep(
    data: ProbeData,
    fusers: Sequence[Fuser],
    *,
    set_sizes: Sequence[int] = (1, 2, 4, 8, 16, 32),
    false_accept_rates: Sequence[float] = (1e-4, 1e-3, 1e-2),
    max_blocks: int = 1,
) -> list[SweepPoint]:
    """Fuses gallery and probes with each fuser and scores them, size by size.

    Both sides go through the same fuser; every probe set is compared with every gallery entry.

    Args:
        data: Embedded gallery and probes.
        fusers: The fusers.
        set_sizes: Images in a probe set.
        false_accept_rates: Targets, fractions.
        max_blocks: As for `ProbeData.probe_sets`.

    Returns:
        One point per fuser and size, fuser by fuser.

    Raises:
        InvalidInputError: If a size is larger than the stored sets, or there is nothing to do.
    """
    if not fusers or not set_sizes:
        raise InvalidInputError("fusers, set_sizes: expected at least one of each.")
    return [
        SweepPoint(
            fuser=fuser.name,
            num_images=size,
            verification=scores.tar_at_far(false_accept_rates),
            rank1=scores.rank1,
            num_probe_sets=len(scores.subjects),
            num_gallery=data.gallery.num_images,
        )
        for fuser in fusers
        for size, scores in score_probes(data, fuser, set_sizes, max_blocks=max_blocks).items()
    ]


def calibrate(
    data: ProbeData,
    fuser: Fuser,
    *,
    set_sizes: Sequence[int] = (1, 2, 4, 8, 16, 32),
    false_match_rates: Sequence[float] = (1e-2, 1e-3, 1e-4),
    source: str,
    max_blocks: int = 1,
) -> tuple[Threshold, ...]:
    """Thresholds of a fuser at stated false match rates, per set size.

    Rates that the comparisons cannot resolve (fewer than one expected false match) are left out.

    Args:
        data: Embedded gallery and probes of people the fuser was not trained on.
        fuser: The fuser.
        set_sizes: Images in the probe.
        false_match_rates: Targets, fractions.
        source: The people and protocol, kept with the thresholds.
        max_blocks: As for `ProbeData.probe_sets`.
    """
    thresholds = []
    for size, scores in score_probes(data, fuser, set_sizes, max_blocks=max_blocks).items():
        thresholds += [
            Threshold(
                false_match_rate=found.target,
                similarity=math.ceil(found.threshold * 1e6) / 1e6,  # never below the measured one
                num_images=size,
                num_non_mated=found.num_non_mated,
                source=source,
            )
            for found in thresholds_at_far(scores.non_mated.ravel(), false_match_rates)
            if found.resolved
        ]
    return tuple(thresholds)
