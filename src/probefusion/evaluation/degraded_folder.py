"""Fusers on a protocol's probe sets, with intervals over people and paired differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.evaluation.attributes import AttributeMeter
from probefusion.evaluation.measuring import RatePlan, compared_rate, holm_adjusted, measured
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import (
    ProbeScores,
    check_fusers,
    gallery_templates,
    probe_templates,
    score_templates,
)
from probefusion.fusion import Fuser
from probefusion.metrics import (
    BootstrapInterval,
    ComparisonScores,
    PairedDifference,
    TarAtFar,
    compare_over_people,
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
class FolderPlan(RatePlan):
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
        num_false_positives: Non-mated searches that return somebody at each of these thresholds; None where
            the rate is not resolved.
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
    num_false_positives: tuple[int | None, ...]
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
        return compared_rate(self.points[0].verification, self.plan)


def evaluate_folder(
    data: ProbeData,
    fusers: Sequence[Fuser],
    plan: FolderPlan,
    *,
    meter: AttributeMeter | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FolderEvaluation:
    """Fuses gallery and probes with each fuser, scores them, and compares all with the first.

    Both sides go through the same fuser; every probe set is compared with every gallery entry. The
    seeds and probe sets of a person are resampled together.

    Args:
        data: Embedded gallery and probes.
        fusers: The fusers; the first is the reference.
        plan: What to measure.
        meter: Measures errors by attributes of the gallery's people, too.
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
    place = {name: row for row, name in enumerate(people.tolist())}
    for fuser in fusers:
        gallery = gallery_templates(data, fuser)
        for size in plan.set_sizes:
            templates, subjects = probe_templates(data, fuser, size)
            scores = score_templates(templates, gallery, subjects, people)
            raw = score_templates(templates, units, subjects, people)
            points.append(_measure(fuser, size, scores, raw, plan))
            if meter is not None:
                probes = np.array([place[name] for name in subjects.tolist()], dtype=np.int64)
                meter.add_searches(
                    fuser.name,
                    [scores],
                    people,
                    probe_rows=[(probes, np.arange(len(probes) + 1))],
                    gallery_rows=[np.arange(len(people))],
                    num_images=size,
                )
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
    found = measured([scores], plan)
    return FuserAtSize(
        fuser=fuser.name,
        fingerprint=fuser.fingerprint,
        num_images=size,
        verification=found.verification,
        verification_intervals=found.verification_intervals,
        raw_gallery=raw.tar_at_far(plan.false_accept_rates),
        tpir=found.tpir,
        num_false_positives=found.num_false_positives,
        rank1=found.rank1,
        cmc=(found.ranks[:, None] <= np.arange(1, plan.max_rank + 1)).mean(axis=0),
        scores=found.scores,
    )


def _differences(
    points: Sequence[FuserAtSize], names: Sequence[str], plan: FolderPlan
) -> tuple[FuserDifference, ...]:
    at = {(point.fuser, point.num_images): point for point in points}
    rate = compared_rate(points[0].verification, plan)
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
    adjusted = holm_adjusted([paired for _, _, paired in found])
    return tuple(
        FuserDifference(
            fuser=name,
            reference=names[0],
            num_images=size,
            paired=paired,
            adjusted_p_value=p_value,
        )
        for (name, size, paired), p_value in zip(found, adjusted, strict=True)
    )
