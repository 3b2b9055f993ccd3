"""Fusers against set sizes: TAR at stated FARs and rank 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.evaluation.probe_data import ProbeData
from probefusion.fusion import Fuser
from probefusion.fusion.threshold import Threshold
from probefusion.metrics import TarAtFar, tar_at_far, thresholds_at_far
from probefusion.types import FloatArray

__all__ = ["SweepPoint", "calibrate", "gallery_templates", "probe_templates", "sweep"]


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
    points = []
    for fuser in fusers:
        gallery = gallery_templates(data, fuser)
        for size in set_sizes:
            similarities, subjects = _similarities(data, fuser, gallery, size, max_blocks)
            own = subjects[:, None] == data.gallery_subjects
            # A tie with another entry counts as a miss.
            others = np.where(own, -np.inf, similarities).max(axis=1)
            points.append(
                SweepPoint(
                    fuser=fuser.name,
                    num_images=size,
                    verification=tar_at_far(
                        similarities[own], similarities[~own], false_accept_rates
                    ),
                    rank1=float((similarities[own] > others).mean()),
                    num_probe_sets=len(subjects),
                    num_gallery=len(gallery),
                )
            )
    return points


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
    gallery = gallery_templates(data, fuser)
    thresholds = []
    for size in set_sizes:
        similarities, subjects = _similarities(data, fuser, gallery, size, max_blocks)
        non_mated = similarities[subjects[:, None] != data.gallery_subjects]
        thresholds += [
            Threshold(
                false_match_rate=found.target,
                similarity=math.ceil(found.threshold * 1e6) / 1e6,  # never below the measured one
                num_images=size,
                num_non_mated=found.num_non_mated,
                source=source,
            )
            for found in thresholds_at_far(non_mated, false_match_rates)
            if found.resolved
        ]
    return tuple(thresholds)


def gallery_templates(data: ProbeData, fuser: Fuser) -> FloatArray:
    """(G, D) unit templates of the gallery images, each fused on its own."""
    return fuser.fuse_many(data.gallery, np.arange(data.gallery.num_images + 1))


def probe_templates(
    data: ProbeData,
    fuser: Fuser,
    size: int,
    max_blocks: int,
    *,
    chunk_size: int | None = None,
) -> tuple[FloatArray, npt.NDArray[np.str_]]:
    """(sets, D) unit templates of the probe sets of `size` images, and the subject of each set."""
    images, subjects = data.probe_sets(size, max_blocks=max_blocks)
    offsets = np.arange(0, images.num_images + 1, size)
    templates = fuser.fuse_many(images, offsets, chunk_size=chunk_size)
    return templates, subjects


def _similarities(
    data: ProbeData, fuser: Fuser, gallery: FloatArray, size: int, max_blocks: int
) -> tuple[FloatArray, npt.NDArray[np.str_]]:
    templates, subjects = probe_templates(data, fuser, size, max_blocks)
    return templates @ gallery.T, subjects
