"""1:N searches: what each probe found in the gallery, in a few numbers per probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import ConfigError, EmptySetError
from probefusion.metrics.scores import ComparisonScores
from probefusion.metrics.similarities import iter_similarities
from probefusion.metrics.validation import (
    Counts,
    Labels,
    Scores,
    check_count,
    check_labels,
    check_scores,
    code_labels,
)

__all__ = ["RanksAmong", "SearchOutcomes", "search_outcomes", "search_templates"]

RanksAmong: TypeAlias = Literal["subjects", "templates"]
"""What a rank is a place among: the people of the gallery, or all its entries."""

_BLOCK_CELLS = 1 << 23


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchOutcomes:
    """The outcome of P searches of one gallery.

    A search is *mated* if the probe's subject is in the gallery. Made by `search_outcomes` or
    `search_templates`, which check their input; the arrays are read-only.

    Args:
        probe_subjects: (P,) subject of each probe.
        is_mated: (P,) bool.
        ranks: (P,) int64, place of the true subject among the gallery subjects, or of its best template
            among all, as was asked for, from 1; 0 for a non-mated search and for one in which every
            comparison with the true subject failed.
        mated_similarities: (P,) largest similarity to the true subject; NaN for non-mated searches.
        top_similarities: (P,) largest similarity to anybody.
        num_gallery_subjects: How many subjects are enrolled.
    """

    probe_subjects: Labels
    is_mated: npt.NDArray[np.bool_]
    ranks: Counts
    mated_similarities: Scores
    top_similarities: Scores
    num_gallery_subjects: int

    def __len__(self) -> int:
        """P, the number of searches."""
        return len(self.ranks)

    @property
    def num_mated(self) -> int:
        """How many searches are mated."""
        return int(np.count_nonzero(self.is_mated))

    @property
    def num_non_mated(self) -> int:
        """How many searches are non-mated."""
        return len(self) - self.num_mated

    def as_comparison_scores(self, *, rank: int = 1) -> ComparisonScores:
        """The searches in a form for which TAR@FAR is TPIR@FPIR, for intervals and comparisons.

        A mated search counts with its similarity if the true subject is within `rank` and with -inf
        otherwise; a non-mated search counts with its top similarity. TAR at FAR f of these scores is
        TPIR at FPIR f at that rank.

        Raises:
            EmptySetError: If there are no mated or no non-mated searches.
            InvalidInputError: If `rank` is below 1.

        Example:
            >>> found = search_outcomes([[0.9, 0.2], [0.3, 0.4]], ["ann", "zoe"], ["ann", "bob"])
            >>> scores = found.as_comparison_scores()
            >>> scores.mated.tolist(), scores.non_mated.tolist()
            ([0.9], [0.4])
        """
        rank = check_count(rank, name="rank", minimum=1)
        if self.num_mated in (0, len(self)):
            raise EmptySetError(
                f"searches: expected mated and non-mated ones, got {self.num_mated} and "
                f"{self.num_non_mated}. An open set needs probes of people outside the gallery too."
            )
        # A search that failed has rank 0 and a similarity of -inf already.
        similarities = np.where(self.ranks <= rank, self.mated_similarities, -np.inf)
        return ComparisonScores.from_subjects(
            similarities[self.is_mated].astype(self.top_similarities.dtype),
            self.top_similarities[~self.is_mated],
            mated_subjects=self.probe_subjects[self.is_mated],
            non_mated_subjects=self.probe_subjects[~self.is_mated],
        )


class _Gallery:
    """Which gallery columns are whose, and where each probe's own subject stands.

    With one template for each subject the columns stay where they are; otherwise those of a subject
    are brought together and replaced by their maximum.
    """

    def __init__(
        self, probe_subjects: Labels, gallery_subjects: Labels, ranks_among: RanksAmong
    ) -> None:
        if ranks_among not in ("subjects", "templates"):
            raise ConfigError(
                f"ranks_among: expected 'subjects' or 'templates', got {ranks_among!r}."
            )
        self.counts_templates = ranks_among == "templates"
        names = ("probe_subjects", "gallery_subjects")
        _, (probes, columns) = code_labels(probe_subjects, gallery_subjects, names=names)
        enrolled, self.starts = np.unique(np.sort(columns), return_index=True)
        self.order = np.argsort(columns, kind="stable")
        self.is_single = len(enrolled) == len(columns)
        place = np.minimum(np.searchsorted(enrolled, probes), len(enrolled) - 1)
        self.is_mated = enrolled[place] == probes
        self.place = self.order[place] if self.is_single else place
        self.num_subjects = len(enrolled)

    def outcomes(self, block: Scores, rows: slice) -> tuple[Counts, Scores, Scores]:
        """Ranks, mated and top similarities of some rows; mated ones are rank 0 and NaN elsewhere."""
        place, templates = self.place[rows, None], block
        if not self.is_single:
            templates = block[:, self.order]
            block = np.maximum.reduceat(templates, self.starts, axis=1)
        own = np.take_along_axis(block, place, axis=1)
        if self.counts_templates and not self.is_single:
            above = templates >= own
            ours = np.add.reduceat(above, self.starts, axis=1, dtype=np.int64)
            ranks = 1 + above.sum(axis=1) - np.take_along_axis(ours, place, axis=1)[:, 0]
        else:
            # The true subject itself is >= its own similarity: counting it makes the rank begin at 1.
            ranks = np.count_nonzero(block >= own, axis=1)
        own = own[:, 0]
        ranks[(own == -np.inf) | ~self.is_mated[rows]] = 0
        mated = np.where(self.is_mated[rows], own, np.nan).astype(block.dtype, copy=False)
        return ranks.astype(np.int64, copy=False), mated, block.max(axis=1)


def _gather(
    gallery: _Gallery, probe_subjects: Labels, parts: Sequence[tuple[Counts, Scores, Scores]]
) -> SearchOutcomes:
    ranks, mated, top = (np.concatenate(column) for column in zip(*parts, strict=True))
    return SearchOutcomes(
        probe_subjects=read_only(probe_subjects),
        is_mated=read_only(gallery.is_mated),
        ranks=read_only(ranks),
        mated_similarities=read_only(mated),
        top_similarities=read_only(top),
        num_gallery_subjects=gallery.num_subjects,
    )


def search_outcomes(
    similarities: npt.ArrayLike,
    probe_subjects: npt.ArrayLike,
    gallery_subjects: npt.ArrayLike,
    *,
    ranks_among: RanksAmong = "subjects",
) -> SearchOutcomes:
    """What each probe finds, from the matrix of similarities.

    The similarity of a probe to a *subject* is the largest to any of the subject's templates, and
    ranks are places among subjects. Ties count against us: the true subject stands behind every
    subject of equal similarity.

    Args:
        similarities: (P, G), higher is more alike; -inf for a comparison that could not be made.
        probe_subjects: (P,) integers or texts.
        gallery_subjects: (G,) integers or texts; a subject may have several templates.
        ranks_among: "subjects"; or "templates": then a rank is the place of the true subject's best
            template among those of all others, as TinyFace counts.

    Returns:
        One outcome for each probe.

    Raises:
        EmptySetError: If there are no probes or no gallery templates.
        ConfigError: If `ranks_among` is something else.
        ShapeError, DtypeError, NonFiniteError: If an array is not as described.

    Example:
        >>> found = search_outcomes([[0.9, 0.2], [0.8, 0.3]], ["ann", "bob"], ["ann", "bob"])
        >>> found.ranks.tolist()
        [1, 2]
    """
    matrix = check_scores(similarities, name="similarities", num_axes=2)
    probes = check_labels(probe_subjects, matrix.shape[0], name="probe_subjects")
    columns = check_labels(gallery_subjects, matrix.shape[1], name="gallery_subjects")
    gallery = _Gallery(probes, columns, ranks_among)
    step = max(1, _BLOCK_CELLS // matrix.shape[1])
    parts = [
        gallery.outcomes(matrix[start : start + step], slice(start, start + step))
        for start in range(0, len(matrix), step)
    ]
    return _gather(gallery, probes, parts)


def search_templates(
    probe_templates: npt.ArrayLike,
    gallery_templates: npt.ArrayLike,
    *,
    probe_subjects: npt.ArrayLike,
    gallery_subjects: npt.ArrayLike,
    block: int = 1024,
) -> SearchOutcomes:
    """What each probe finds, from templates: `search_outcomes` without the matrix in memory.

    Memory: the templates twice and up to three blocks of (block, G) float32.

    Args:
        probe_templates: (P, D) floating point, any length but zero.
        gallery_templates: (G, D) floating point, any length but zero.
        probe_subjects: (P,) integers or texts.
        gallery_subjects: (G,) integers or texts; a subject may have several templates.
        block: Probes per step.

    Returns:
        One outcome for each probe.

    Raises:
        EmptySetError: If one side is empty.
        ShapeError, DtypeError, NonFiniteError, ZeroLengthError: If the input is not as described.
        InvalidInputError: If `block` is below 1.

    Example:
        >>> found = search_templates(
        ...     [[1.0, 0.1]], [[1.0, 0.0], [0.0, 1.0]], probe_subjects=[1], gallery_subjects=[1, 2]
        ... )
        >>> found.ranks.tolist(), found.is_mated.tolist()
        ([1], [True])
    """
    blocks = iter_similarities(probe_templates, gallery_templates, block=block)
    probes = check_labels(probe_subjects, _num_rows(probe_templates), name="probe_subjects")
    columns = check_labels(gallery_subjects, _num_rows(gallery_templates), name="gallery_subjects")
    gallery = _Gallery(probes, columns, "subjects")
    return _gather(gallery, probes, [gallery.outcomes(part, rows) for rows, part in blocks])


def _num_rows(templates: npt.ArrayLike) -> int:
    return int(np.shape(templates)[0])
