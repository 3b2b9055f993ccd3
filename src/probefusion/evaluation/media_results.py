"""What an evaluation of media-folder gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from probefusion.evaluation.measuring import RatePlan, compared_rate
from probefusion.metrics import BootstrapInterval, PairedDifference, RocCurve, TarAtFar

__all__ = [
    "MEDIUM",
    "MediaColumn",
    "MediaDifference",
    "MediaEvaluation",
    "MediaPlan",
    "MediaPoint",
    "ProbeSize",
]

MEDIUM: Final = "medium"
"""In place of a number of images: all images of one medium."""

ProbeSize = int | Literal["medium"]

_LEAST_PEOPLE = 2
"""Fewer probe people than these have no interval."""


@dataclass(frozen=True, kw_only=True)
class MediaPlan(RatePlan):
    """What is measured.

    Args:
        false_accept_rates: Targets of TAR at FAR.
        decision_rate: The one of them at which fusers are compared, if there are comparisons enough for it.
        false_positive_rates: Targets of TPIR at FPIR.
        num_replicates: Of the bootstrap over people.
        seed: Of the bootstrap.
    """

    false_accept_rates: tuple[float, ...] = (1e-4, 1e-3, 1e-2)
    decision_rate: float = 1e-3
    false_positive_rates: tuple[float, ...] = (0.01, 0.1)


@dataclass(frozen=True, kw_only=True)
class MediaColumn:
    """The probe sets of one size class and number of images, the same for all fusers.

    Args:
        size_class: Text of the class.
        num_images: N, or "medium".
        num_people: Probe people.
        num_too_few: People with two media or more who are no probes here.
        num_sets: Probe sets, in all replicates together.
        num_empty: Sets of "medium" that are not there, the medium having no image of the class.
        quartiles: Lower quartile, median and upper quartile of the images in a set; NaN without sets.
    """

    size_class: str
    num_images: ProbeSize
    num_people: int
    num_too_few: int
    num_sets: int
    num_empty: int
    quartiles: tuple[float, float, float]

    @property
    def is_measured(self) -> bool:
        """Whether there are people enough for an interval."""
        return self.num_people >= _LEAST_PEOPLE


@dataclass(frozen=True, kw_only=True, eq=False)
class MediaPoint:
    """One fuser on the probe sets of one column.

    Args:
        fuser: Name of the fuser.
        fingerprint: Its fingerprint.
        size_class: Text of the class.
        num_images: N, or "medium".
        verification: TAR at each false accept rate by comparison, with counts and threshold.
        verification_intervals: TAR with intervals over people; a person's sets are averaged, so that
            people count alike.
        raw_gallery: The same where the gallery image's unit embedding is taken as it is, not fused.
        tpir: TPIR at each false positive identification rate. Non-mated searches: each probe set
            against the gallery without its own person.
        num_false_positives: Non-mated searches that return somebody at each of these thresholds; None where
            the rate is not resolved.
        rank1: Rank-1 rate with its interval.
        curve: The ROC, thinned.
        num_searches: Probe sets searched for, in all replicates together.
    """

    fuser: str
    fingerprint: str
    size_class: str
    num_images: ProbeSize
    verification: tuple[TarAtFar, ...]
    verification_intervals: tuple[BootstrapInterval, ...]
    raw_gallery: tuple[BootstrapInterval, ...]
    tpir: tuple[BootstrapInterval, ...]
    num_false_positives: tuple[int | None, ...]
    rank1: BootstrapInterval
    curve: RocCurve
    num_searches: int


@dataclass(frozen=True, kw_only=True, eq=False)
class MediaDifference:
    """TAR of one fuser minus that of the reference fuser, on the same probe sets.

    Args:
        fuser: Name of the fuser.
        reference: Name of the reference.
        size_class: Text of the class.
        num_images: N, or "medium".
        paired: The paired difference over people, at the column's `compared_rate`.
        adjusted_p_value: Holm-adjusted over all differences of the evaluation; NaN if unresolved.
    """

    fuser: str
    reference: str
    size_class: str
    num_images: ProbeSize
    paired: PairedDifference
    adjusted_p_value: float


@dataclass(frozen=True, kw_only=True, eq=False)
class MediaEvaluation:
    """Everything measured.

    Args:
        points: Fuser by fuser, column by column; only columns with people enough.
        differences: Every other fuser against the first.
        columns: All columns, measured or not.
        plan: What was asked for.
        fusers: Names of the fusers.
        num_gallery: Gallery entries in each replicate.
        num_sets: R, replicates of gallery and probes.
        counts: Of people, media and images, see `MediaFolderProtocol.counts`.
    """

    points: tuple[MediaPoint, ...]
    differences: tuple[MediaDifference, ...]
    columns: tuple[MediaColumn, ...]
    plan: MediaPlan
    fusers: tuple[str, ...]
    num_gallery: int
    num_sets: int
    counts: dict[str, int]

    def point(self, fuser: str, size_class: str, num_images: ProbeSize) -> MediaPoint | None:
        """The point of a fuser in a column, None where it was not measured."""
        wanted = (fuser, size_class, num_images)
        return next(
            (p for p in self.points if (p.fuser, p.size_class, p.num_images) == wanted), None
        )

    def compared_rate(self, size_class: str, num_images: ProbeSize) -> float:
        """The false accept rate at which fusers are compared in a column."""
        point = self.point(self.fusers[0], size_class, num_images)
        return (
            self.plan.decision_rate
            if point is None
            else compared_rate(point.verification, self.plan)
        )
