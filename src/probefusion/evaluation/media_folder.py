"""Fusers on media-folder: real images, gallery and probes of different media."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from probefusion.evaluation.attributes import AttributeMeter
from probefusion.evaluation.licensed import EmbeddedRows
from probefusion.evaluation.measuring import Measured, compared_rate, holm_adjusted, measured
from probefusion.evaluation.media_results import (
    MEDIUM,
    MediaColumn,
    MediaDifference,
    MediaEvaluation,
    MediaPlan,
    MediaPoint,
)
from probefusion.evaluation.scoring import (
    ProbeScores,
    check_fusers,
    pool_scores,
    score_templates,
)
from probefusion.fusion import Fuser
from probefusion.metrics import PairedDifference, bootstrap_over_people, compare_over_people, roc
from probefusion.protocols.media_folder import MediaSplit
from probefusion.protocols.media_protocol import MediaFolderProtocol
from probefusion.types import FloatArray

__all__ = ["evaluate_media", "media_columns"]

_CURVE_POINTS = 2000


def media_columns(split: MediaSplit) -> tuple[MediaColumn, ...]:
    """The columns of a split: class by class, the numbers of images ascending, then the whole medium."""
    searched = int((split.num_media > 1).sum())
    found = []
    for probes in split.medium_probes:
        text = probes.size_class.text
        found += [
            MediaColumn(
                size_class=text,
                num_images=draw.num_images,
                num_people=len(draw.people),
                num_too_few=draw.num_too_few,
                num_sets=draw.rows.shape[0] * draw.rows.shape[1],
                num_empty=0,
                quartiles=(float(draw.num_images),) * 3,
            )
            for draw in split.draws
            if draw.size_class == probes.size_class
        ]
        people = len(np.unique(probes.people))
        sizes = probes.num_images if len(probes.num_images) else [np.nan]
        low, middle, high = np.quantile(sizes, [0.25, 0.5, 0.75]).tolist()
        found.append(
            MediaColumn(
                size_class=text,
                num_images=MEDIUM,
                num_people=people,
                num_too_few=searched - people,
                num_sets=len(probes.people),
                num_empty=probes.num_empty,
                quartiles=(low, middle, high),
            )
        )
    return tuple(found)


def evaluate_media(
    protocol: MediaFolderProtocol,
    rows: EmbeddedRows,
    fusers: Sequence[Fuser],
    plan: MediaPlan,
    *,
    meter: AttributeMeter | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MediaEvaluation:
    """Fuses gallery and probes with each fuser, scores them, and compares all with the first.

    Both sides go through the same fuser. Every probe set is compared with all gallery entries of its
    replicate but those of relatives; the comparisons of all replicates have one threshold.

    Args:
        protocol: Who is in the gallery and in the probe sets.
        rows: Embeddings of its images, as `embed_media` gives them.
        fusers: The fusers; the first is the reference.
        plan: What to measure.
        meter: Measures errors by attributes of the images in `protocol.sources`, too.
        progress: Called with (fuser x column done, in all).

    Raises:
        InvalidInputError: If there is no fuser, or two have one name.
        EmbedderMismatchError: If one was made for another embedder.
        MissingNormsError: If one needs lengths and the embeddings have lost theirs.
    """
    names = check_fusers(fusers, rows.images.embedder, norms_known=bool(rows.images.norms_known))
    columns = media_columns(protocol.split)
    measurable = [column for column in columns if column.is_measured]
    scorers = [_Scorer(protocol, rows, fuser) for fuser in fusers]
    points: list[MediaPoint] = []
    differences: list[tuple[MediaPoint, PairedDifference]] = []
    for column in measurable:
        reference: Measured | None = None
        for scorer in scorers:
            found, point = _point(scorer, column, plan, meter)
            points.append(point)
            if reference is None:
                reference = found
            else:
                differences.append((point, _difference(found, reference, plan)))
            if progress is not None:
                progress(len(points), len(fusers) * len(measurable))
    return MediaEvaluation(
        points=tuple(sorted(points, key=lambda point: names.index(point.fuser))),
        differences=_adjusted(differences, names),
        columns=columns,
        plan=plan,
        fusers=tuple(names),
        num_gallery=len(protocol.split.subjects),
        num_sets=protocol.num_sets,
        counts=protocol.counts,
    )


class _Scorer:
    """Templates of one fuser, replicate by replicate, and their scores."""

    def __init__(self, protocol: MediaFolderProtocol, rows: EmbeddedRows, fuser: Fuser) -> None:
        self._split = protocol.split
        self._families = protocol.families
        self._related = len(np.unique(self._families)) < len(self._families)
        self._rows, self.fuser = rows, fuser
        different, places = np.unique(self._split.gallery, return_inverse=True)
        images = rows.images[rows.position[different]]
        self._places = places.reshape(self._split.gallery.shape)
        self._gallery = fuser.fuse_many(images, np.arange(images.num_images + 1))
        self._units: FloatArray = images.embeddings / images.norms[:, None]

    def scores(self, column: MediaColumn) -> tuple[list[ProbeScores], list[ProbeScores]]:
        """Scores by replicate against the fused gallery and against its raw embeddings."""
        fused, raw = [], []
        for replicate, people, rows, offsets in self._sets(column):
            templates = self.fuser.fuse_many(self._rows.images[self._rows.position[rows]], offsets)
            entries = self._places[replicate]
            fused.append(self._score(templates, self._gallery[entries], people))
            raw.append(self._score(templates, self._units[entries], people))
        return fused, raw

    def tell(
        self, meter: AttributeMeter, column: MediaColumn, fused: Sequence[ProbeScores]
    ) -> None:
        """Has the scores of a column measured by attribute."""
        sets = list(self._sets(column))
        meter.add_searches(
            self.fuser.name,
            fused,
            self._split.subjects,
            probe_rows=[(rows, offsets) for _, _, rows, offsets in sets],
            gallery_rows=[self._split.gallery[replicate] for replicate, *_ in sets],
            num_images=column.num_images,
            size_class=column.size_class,
        )

    def _score(
        self, templates: FloatArray, gallery: FloatArray, people: npt.NDArray[np.int64]
    ) -> ProbeScores:
        subjects = self._split.subjects
        relatives = None
        if self._related:
            relatives = self._families[people][:, None] == self._families
        return score_templates(templates, gallery, subjects[people], subjects, relatives=relatives)

    def _sets(
        self, column: MediaColumn
    ) -> Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """(replicate, people, rows, offsets) of each replicate that has sets."""
        if column.num_images == MEDIUM:
            (probes,) = (
                entry
                for entry in self._split.medium_probes
                if entry.size_class.text == column.size_class
            )
            for replicate in np.unique(probes.replicates).tolist():
                mine = np.flatnonzero(probes.replicates == replicate)
                bounds = probes.offsets[mine[0] : mine[-1] + 2]
                rows = probes.rows[bounds[0] : bounds[-1]]
                yield replicate, probes.people[mine], rows, bounds - bounds[0]
            return
        (draw,) = (
            entry
            for entry in self._split.draws
            if (entry.size_class.text, entry.num_images) == (column.size_class, column.num_images)
        )
        offsets = np.arange(len(draw.people) + 1) * draw.num_images
        for replicate, sets in enumerate(draw.rows):
            yield replicate, draw.people, sets.ravel(), offsets


def _point(
    scorer: _Scorer, column: MediaColumn, plan: MediaPlan, meter: AttributeMeter | None
) -> tuple[Measured, MediaPoint]:
    fused, raw = scorer.scores(column)
    found = measured(fused, plan, average_per_person=True)
    if meter is not None:
        scorer.tell(meter, column, fused)
    raw_gallery = bootstrap_over_people(
        pool_scores(raw),
        plan.false_accept_rates,
        num_replicates=plan.num_replicates,
        seed=plan.seed,
        average_per_person=True,
    )
    return found, MediaPoint(
        fuser=scorer.fuser.name,
        fingerprint=scorer.fuser.fingerprint,
        size_class=column.size_class,
        num_images=column.num_images,
        verification=found.verification,
        verification_intervals=found.verification_intervals,
        raw_gallery=raw_gallery,
        tpir=found.tpir,
        num_false_positives=found.num_false_positives,
        rank1=found.rank1,
        curve=roc(found.scores.mated, found.scores.non_mated, max_points=_CURVE_POINTS),
        num_searches=len(found.ranks),
    )


def _difference(found: Measured, reference: Measured, plan: MediaPlan) -> PairedDifference:
    (paired,) = compare_over_people(
        found.scores,
        reference.scores,
        compared_rate(reference.verification, plan),
        num_replicates=plan.num_replicates,
        seed=plan.seed,
        average_per_person=True,
    )
    return paired


def _adjusted(
    found: Sequence[tuple[MediaPoint, PairedDifference]], names: Sequence[str]
) -> tuple[MediaDifference, ...]:
    adjusted = holm_adjusted([paired for _, paired in found])
    differences = [
        MediaDifference(
            fuser=point.fuser,
            reference=names[0],
            size_class=point.size_class,
            num_images=point.num_images,
            paired=paired,
            adjusted_p_value=p_value,
        )
        for (point, paired), p_value in zip(found, adjusted, strict=True)
    ]
    return tuple(sorted(differences, key=lambda entry: names.index(entry.fuser)))
