"""Errors by the values of attributes, measured wherever an evaluation has scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from probefusion.evaluation.attribute_match import UNKNOWN, Attribute, MatchedTable
from probefusion.evaluation.measuring import RatePlan
from probefusion.evaluation.media_results import ProbeSize
from probefusion.evaluation.scoring import ProbeScores, pool_scores
from probefusion.io.attribute_table import Owner
from probefusion.metrics import (
    LEAST_PEOPLE,
    ComparisonScores,
    DifferentialErrors,
    GroupedComparisons,
    differential_errors,
)

__all__ = ["AttributeMeter", "AttributeResult"]

Codes = npt.NDArray[np.int64]

_MIXED: Final = -2
"""Code in place of a value's where the images of one probe have several."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AttributeResult:
    """The errors of one fuser by the values of one attribute.

    Args:
        attribute: Name of the attribute.
        owner: What has it: "person", "image" or "template".
        fuser: Name of the fuser, or of another way of making templates.
        num_images: Folder protocols: images in a probe set, or "medium"; None for benchmarks.
        size_class: Media-folder: text of the class; else None.
        chunk: Benchmarks: images at a time; else None.
        num_mixed: Mated comparisons whose probe has images of several values. They count among all
            comparisons, as those of no known value do, and to no value.
        decision_rate: The false accept rate at which fusers are compared, if it is resolved.
        errors: At each false accept rate.
    """

    attribute: str
    owner: Owner
    fuser: str
    num_images: ProbeSize | None
    size_class: str | None
    chunk: int | None
    num_mixed: int
    decision_rate: float
    errors: tuple[DifferentialErrors, ...]

    @property
    def label(self) -> str:
        """The fuser and what it was given, in words."""
        words = [self.fuser]
        if self.size_class not in (None, "all"):
            words.append(f"faces {self.size_class} px")
        if self.num_images is not None:
            is_number = isinstance(self.num_images, int)
            words.append(f"N={self.num_images}" if is_number else "whole medium")
        if self.chunk is not None:
            words.append(f"{self.chunk} at a time")
        return ", ".join(words)

    @property
    def compared(self) -> DifferentialErrors | None:
        """The errors at the decision rate, or the strictest above it that is resolved; None if none is."""
        found = [
            entry
            for entry in self.errors
            if entry.overall.resolved and entry.overall.target >= self.decision_rate
        ]
        return min(found, key=lambda entry: entry.overall.target, default=None)


class AttributeMeter:
    """Measures errors by attribute wherever an evaluation has scores; what was found lies in `results`.

    Args:
        matched: The table and those whom it describes.
        plan: At which rates, and how intervals are drawn.
        average_per_person: As for `differential_errors`.
        least_people: As for `differential_errors`.
    """

    def __init__(
        self,
        matched: MatchedTable,
        plan: RatePlan,
        *,
        average_per_person: bool = False,
        least_people: int = LEAST_PEOPLE,
    ) -> None:
        self.matched = matched
        self.results: list[AttributeResult] = []
        self.least_people = least_people
        self._plan, self._average = plan, average_per_person

    def add_searches(
        self,
        fuser: str,
        parts: Sequence[ProbeScores],
        gallery_subjects: npt.NDArray[np.str_],
        *,
        probe_rows: Sequence[tuple[Codes, Codes]],
        gallery_rows: Sequence[Codes],
        num_images: ProbeSize,
        size_class: str | None = None,
    ) -> None:
        """Measures probe sets that were compared with galleries, under one threshold.

        Args:
            fuser: Name of the fuser.
            parts: Scores of each gallery.
            gallery_subjects: (G,) whom the entries of each gallery show.
            probe_rows: For each gallery the places, among those whom the table describes, of all images of all
                its probe sets, and the (P + 1,) offsets of the sets.
            gallery_rows: For each gallery (G,) the places of its entries.
            num_images: Images in a probe set.
            size_class: Text of the size class.
        """
        scores = pool_scores(parts)
        others = [part.subjects[:, None] != gallery_subjects for part in parts]
        compared = [_compared(part, other) for part, other in zip(parts, others, strict=True)]
        for attribute in self.matched.attributes:
            probes = [_common(attribute.codes[rows], offsets) for rows, offsets in probe_rows]
            grouped = GroupedComparisons(
                scores=scores,
                values=attribute.values,
                mated_values=np.concatenate(probes),
                probe_values=np.concatenate(
                    [
                        np.repeat(codes, mask.sum(axis=1))
                        for codes, mask in zip(probes, compared, strict=True)
                    ]
                ),
                reference_values=np.concatenate(
                    [
                        np.broadcast_to(attribute.codes[rows], mask.shape)[mask]
                        for rows, mask in zip(gallery_rows, compared, strict=True)
                    ]
                ),
            )
            self._measure(
                attribute, grouped, fuser, num_images=num_images, size_class=size_class, chunk=None
            )

    def add_pairs(
        self,
        fuser: str,
        similarities: npt.NDArray[np.float32],
        is_mated: npt.NDArray[np.bool_],
        *,
        references: npt.NDArray[np.integer],
        probes: npt.NDArray[np.integer],
        people: Codes,
        chunk: int | None,
    ) -> None:
        """Measures one-to-one comparisons of templates.

        Args:
            fuser: Name of the fuser or other way of making templates.
            similarities: (C,) of each pair; -inf where a template has no face.
            is_mated: (C,) whether both show one person.
            references: (C,) place of the reference among those whom the table describes.
            probes: (C,) the same of the probe.
            people: (T,) a number for each template, the same for all of a person.
            chunk: Images at a time.
        """
        scores = ComparisonScores.from_subjects(
            similarities[is_mated],
            similarities[~is_mated],
            mated_subjects=people[probes[is_mated]],
            non_mated_subjects=people[probes[~is_mated]],
        )
        for attribute in self.matched.attributes:
            grouped = GroupedComparisons(
                scores=scores,
                values=attribute.values,
                mated_values=attribute.codes[probes[is_mated]],
                probe_values=attribute.codes[probes[~is_mated]],
                reference_values=attribute.codes[references[~is_mated]],
            )
            self._measure(attribute, grouped, fuser, num_images=None, size_class=None, chunk=chunk)

    def _measure(
        self,
        attribute: Attribute,
        grouped: GroupedComparisons,
        fuser: str,
        *,
        num_images: ProbeSize | None,
        size_class: str | None,
        chunk: int | None,
    ) -> None:
        errors = differential_errors(
            grouped,
            self._plan.false_accept_rates,
            num_replicates=self._plan.num_replicates,
            seed=self._plan.seed,
            average_per_person=self._average,
            least_people=self.least_people,
        )
        self.results.append(
            AttributeResult(
                attribute=attribute.name,
                owner=self.matched.table.owner,
                fuser=fuser,
                num_images=num_images,
                size_class=size_class,
                chunk=chunk,
                num_mixed=int(np.count_nonzero(grouped.mated_values == _MIXED)),
                decision_rate=self._plan.decision_rate,
                errors=errors,
            )
        )


def _compared(part: ProbeScores, is_other: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(P, G) which entries a probe set is compared with as non-mates, in the order of `ProbeScores.compared`."""
    if part.left_out is None:
        return is_other
    mask = is_other.copy()
    mask[is_other] = ~part.left_out.ravel()
    return mask


def _common(codes: Codes, offsets: Codes) -> Codes:
    """(P,) the value that all images of a probe set have; not known if one is not; else mixed."""
    starts = offsets[:-1]
    low, high = np.minimum.reduceat(codes, starts), np.maximum.reduceat(codes, starts)
    same: Codes = np.where(low == high, low, np.where(low < 0, UNKNOWN, _MIXED))
    return same
