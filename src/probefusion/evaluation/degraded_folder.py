"""Fusers on a protocol's probe sets, with intervals over people and paired differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import (
    ProbeScores,
    check_fusers,
    gallery_templates,
    pool_scores,
    probe_templates,
    score_templates,
)
from probefusion.fusion import Fuser
from probefusion.metrics import (
    BootstrapInterval,
    ComparisonScores,
    HolmCorrection,
    PairedDifference,
    TarAtFar,
    bootstrap_mean_over_people,
    bootstrap_over_people,
    compare_over_people,
    holm,
)

__all__ = [
    "FolderEvaluation",
    "FolderPlan",
    "FuserAtSize",
    "FuserDifference",
    "evaluate_folder",
]


SEVERITY_EDGES = np.linspace(0, 1, 11)


@dataclass(frozen=True, kw_only=True)
class FolderPlan:
    """What is measured.

    Args:
        set_sizes: Images in a probe set.
        false_accept_rates: Targets of TAR at FAR.
        decision_rate: The one of them at which fusers are compared, if there are comparisons enough for it.
        false_positive_rates: Targets of TPIR at FPIR.
        max_rank: Ranks 1 to this in the CMC.
        num_replicates: Of the bootstrap over people.
        seed: Of the bootstrap.
    """

    set_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    false_accept_rates: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2)
    decision_rate: float = 1e-4
    false_positive_rates: tuple[float, ...] = (0.01,)
    max_rank: int = 20
    num_replicates: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_replicates < 100:
            raise ConfigError(f"num_replicates: expected at least 100, got {self.num_replicates}.")
        if self.decision_rate not in self.false_accept_rates:
            raise ConfigError(
                f"decision_rate: expected one of {self.false_accept_rates}, got {self.decision_rate}."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class FuserAtSize:
    """One fuser at one set size.

    Args:
        fuser: Name of the fuser.
        fingerprint: Its fingerprint.
        num_images: Images in each probe set.
        verification: TAR at each false accept rate, with counts.
        verification_intervals: The same with intervals over people.
        raw_gallery: TAR where the gallery image's unit embedding is taken as it is, not fused.
        tpir: TPIR at each false positive identification rate. Non-mated searches: each probe set
            against the gallery without its own person.
        rank1: Rank-1 rate with its interval.
        cmc: (max_rank,) identification rate at rank 1, 2, ...; ties count against the probe.
        scores: Mated and non-mated similarities, for curves and comparisons.
    """

    fuser: str
    fingerprint: str
    num_images: int
    verification: tuple[TarAtFar, ...]
    verification_intervals: tuple[BootstrapInterval, ...]
    raw_gallery: tuple[TarAtFar, ...]
    tpir: tuple[BootstrapInterval, ...]
    rank1: BootstrapInterval
    cmc: npt.NDArray[np.float64]
    scores: ComparisonScores


@dataclass(frozen=True, kw_only=True, eq=False)
class FuserDifference:
    """TAR of one fuser minus that of the reference fuser, on the same probe sets.

    Args:
        fuser: Name of the fuser.
        reference: Name of the reference.
        num_images: Images in each probe set.
        paired: The paired difference over people.
        adjusted_p_value: Holm-adjusted over all differences of the assessment; NaN if unresolved.
    """

    fuser: str
    reference: str
    num_images: int
    paired: PairedDifference
    adjusted_p_value: float


@dataclass(frozen=True, kw_only=True, eq=False)
class FolderEvaluation:
    """Everything measured.

    Args:
        points: Fuser by fuser, size by size.
        differences: Every other fuser against the first.
        plan: What was asked for.
        num_people: Probe people.
        num_probe_sets: Probe sets.
        num_gallery: Gallery entries.
        severity_edges: (S + 1,) borders of the severity bins.
        weight_by_severity: For each fuser (S,) mean weight of the images in a bin times the number of
            images in the set, at the largest set size; NaN for a bin without images.
    """

    points: tuple[FuserAtSize, ...]
    differences: tuple[FuserDifference, ...]
    plan: FolderPlan
    num_people: int
    num_probe_sets: int
    num_gallery: int
    severity_edges: npt.NDArray[np.float64]
    weight_by_severity: dict[str, npt.NDArray[np.float64]]

    @property
    def compared_rate(self) -> float:
        """The false accept rate at which fusers are compared."""
        return _compared_rate(self.points[0], self.plan)


def evaluate_folder(
    data: ProbeData,
    fusers: Sequence[Fuser],
    plan: FolderPlan,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> FolderEvaluation:
    """Fuses gallery and probes with each fuser, scores them, and compares all with the first.

    Both sides go through the same fuser; every probe set is compared with every gallery entry. The
    seeds and probe sets of a person are resampled together.

    Args:
        data: Embedded gallery and probes.
        fusers: The fusers; the first is the reference.
        plan: What to measure.
        progress: Called with (fuser x size done, in all).

    Raises:
        InvalidInputError: If there is no fuser, two have one name, or a size is larger than the
            stored sets.
    """
    names = check_fusers(fusers, data.gallery.embedder, norms_known=bool(data.gallery.norms_known))
    points: list[FuserAtSize] = []
    total = len(fusers) * len(plan.set_sizes)
    units = data.gallery.embeddings / data.gallery.norms[:, None]
    people = data.gallery_subjects
    for fuser in fusers:
        gallery = gallery_templates(data, fuser)
        for size in plan.set_sizes:
            templates, subjects = probe_templates(data, fuser, size)
            scores = score_templates(templates, gallery, subjects, people)
            raw = score_templates(templates, units, subjects, people)
            points.append(_measure(fuser, size, scores, raw, plan))
            if progress is not None:
                progress(len(points), total)
    return FolderEvaluation(
        points=tuple(points),
        differences=_differences(points, names, plan),
        plan=plan,
        num_people=len(np.unique(data.probe_subjects)),
        num_probe_sets=len(data.probe_subjects),
        num_gallery=data.gallery.num_images,
        severity_edges=SEVERITY_EDGES,
        weight_by_severity={
            fuser.name: _weight_by_severity(data, fuser, max(plan.set_sizes)) for fuser in fusers
        },
    )


def _weight_by_severity(data: ProbeData, fuser: Fuser, size: int) -> npt.NDArray[np.float64]:
    images, _ = data.probe_sets(size)
    weights = [fuser.fuse(probe).weights for probe in images.chunks(size)]
    shares = np.concatenate([w for w in weights if w is not None]).astype(np.float64) * size
    severities = data.severities[:, :size].ravel()
    bins = np.clip(np.digitize(severities, SEVERITY_EDGES) - 1, 0, len(SEVERITY_EDGES) - 2)
    counts = np.bincount(bins, minlength=len(SEVERITY_EDGES) - 1)
    sums = np.bincount(bins, weights=shares, minlength=len(SEVERITY_EDGES) - 1)
    means: npt.NDArray[np.float64] = np.full(len(counts), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _measure(
    fuser: Fuser, size: int, scores: ProbeScores, raw: ProbeScores, plan: FolderPlan
) -> FuserAtSize:
    comparisons = pool_scores([scores])
    people = np.unique(scores.subjects, return_inverse=True)[1]
    ranks = scores.ranks
    searches = ComparisonScores.from_subjects(
        np.where(ranks == 1, scores.mated, -np.inf),
        scores.non_mated.max(axis=1),
        mated_subjects=people,
        non_mated_subjects=people,
    )
    settings: dict[str, Any] = {"num_replicates": plan.num_replicates, "seed": plan.seed}
    return FuserAtSize(
        fuser=fuser.name,
        fingerprint=fuser.fingerprint,
        num_images=size,
        verification=scores.tar_at_far(plan.false_accept_rates),
        verification_intervals=bootstrap_over_people(
            comparisons, plan.false_accept_rates, **settings
        ),
        raw_gallery=raw.tar_at_far(plan.false_accept_rates),
        tpir=bootstrap_over_people(searches, plan.false_positive_rates, **settings),
        rank1=bootstrap_mean_over_people((ranks == 1).astype(np.float64), people, **settings),
        cmc=(ranks[:, None] <= np.arange(1, plan.max_rank + 1)).mean(axis=0),
        scores=comparisons,
    )


def _compared_rate(point: FuserAtSize, plan: FolderPlan) -> float:
    """The planned rate, or the strictest rate above it that is resolved; the planned one if none is.

    It depends on how many comparisons there are, never on how a fuser does.
    """
    resolved = [rate.target for rate in point.verification if rate.resolved]
    return min(
        (rate for rate in resolved if rate >= plan.decision_rate), default=plan.decision_rate
    )


def _differences(
    points: Sequence[FuserAtSize], names: Sequence[str], plan: FolderPlan
) -> tuple[FuserDifference, ...]:
    at = {(point.fuser, point.num_images): point for point in points}
    rate = _compared_rate(points[0], plan)
    found = []
    for name in names[1:]:
        for size in plan.set_sizes:
            (paired,) = compare_over_people(
                at[name, size].scores,
                at[names[0], size].scores,
                rate,
                num_replicates=plan.num_replicates,
                seed=plan.seed,
            )
            found.append((name, size, paired))
    resolved = [paired.p_value for _, _, paired in found if paired.resolved]
    correction: HolmCorrection | None = holm(resolved) if resolved else None
    adjusted = iter(() if correction is None else correction.adjusted.tolist())
    return tuple(
        FuserDifference(
            fuser=name,
            reference=names[0],
            num_images=size,
            paired=paired,
            adjusted_p_value=next(adjusted) if paired.resolved else float("nan"),
        )
        for name, size, paired in found
    )
