"""Comparison scores with the person behind each of them, and ways to get there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import (
    DtypeError,
    EmptySetError,
    InvalidInputError,
    MismatchError,
    ShapeError,
)
from probefusion.metrics.validation import (
    Counts,
    Labels,
    Scores,
    check_count,
    check_labels,
    check_scores,
    code_labels,
    same_precision,
)

__all__ = ["ComparisonScores", "largest_scores", "split_by_subject"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparisonScores:
    """Mated and non-mated similarities, each with the person whose probe was compared.

    Usually made by `from_subjects`, `split_by_subject` or `SearchOutcomes.as_comparison_scores`.
    Validated once, when built; the arrays are read-only.

    Args:
        people: (K,) integers or texts, ascending and distinct: the people who were probes.
        mated: (n,) similarities of probes with their own person's reference.
        mated_people: (n,) integers: position in `people` of each one's probe person.
        non_mated: (m,) similarities of probes with another person's reference.
        non_mated_people: (m,) integers: position in `people` of each one's probe person.

    Raises:
        EmptySetError: If there are no mated or no non-mated scores.
        ShapeError, DtypeError, NonFiniteError: If an array is not as described.
        InvalidInputError: If the people are not ascending or a position is out of range.
    """

    people: Labels
    mated: Scores
    mated_people: Counts
    non_mated: Scores
    non_mated_people: Counts

    def __post_init__(self) -> None:
        mated, non_mated = same_precision(
            check_scores(self.mated, name="mated"), check_scores(self.non_mated, name="non_mated")
        )
        people = check_labels(self.people, len(self.people), name="people")
        if not (people[1:] > people[:-1]).all():
            raise InvalidInputError(
                "people: expected distinct ids in ascending order. Use "
                "ComparisonScores.from_subjects, which sorts them."
            )
        for name, length in (("mated_people", len(mated)), ("non_mated_people", len(non_mated))):
            positions = check_labels(getattr(self, name), length, name=name)
            if positions.dtype.kind != "i":
                raise DtypeError(
                    f"{name}: expected integer positions, got {positions.dtype}. Use "
                    f"ComparisonScores.from_subjects for subject ids."
                )
            if positions.min() < 0 or positions.max() >= len(people):
                raise InvalidInputError(
                    f"{name}: expected positions from 0 to {len(people) - 1}, got "
                    f"{positions.min()} to {positions.max()}. Use ComparisonScores.from_subjects "
                    f"for subject ids."
                )
            object.__setattr__(self, name, read_only(positions))
        for name, array in (("people", people), ("mated", mated), ("non_mated", non_mated)):
            object.__setattr__(self, name, read_only(array))

    @property
    def num_people(self) -> int:
        """K, how many people were probes."""
        return len(self.people)

    @staticmethod
    def from_subjects(
        mated: npt.ArrayLike,
        non_mated: npt.ArrayLike,
        *,
        mated_subjects: npt.ArrayLike,
        non_mated_subjects: npt.ArrayLike,
    ) -> ComparisonScores:
        """Scores with the subject id of each probe.

        Many millions of ids are numbered several times faster if they are integers.

        Args:
            mated: (n,) similarities.
            non_mated: (m,) similarities.
            mated_subjects: (n,) subject id of the probe, integers or texts.
            non_mated_subjects: (m,) subject id of the probe (not of the gallery entry).

        Returns:
            The scores.

        Raises:
            EmptySetError, ShapeError, DtypeError, NonFiniteError: If an array is not as described.

        Example:
            >>> scores = ComparisonScores.from_subjects(
            ...     [0.9, 0.8], [0.1, 0.3, 0.2],
            ...     mated_subjects=["ann", "bob"], non_mated_subjects=["bob", "ann", "ann"],
            ... )
            >>> scores.people.tolist(), scores.non_mated_people.tolist()
            (['ann', 'bob'], [1, 0, 0])
        """
        same = check_scores(mated, name="mated")
        other = check_scores(non_mated, name="non_mated")
        names = ("mated_subjects", "non_mated_subjects")
        people, (same_codes, other_codes) = code_labels(
            check_labels(mated_subjects, len(same), name=names[0]),
            check_labels(non_mated_subjects, len(other), name=names[1]),
            names=names,
        )
        return ComparisonScores(
            people=people,
            mated=same,
            mated_people=same_codes,
            non_mated=other,
            non_mated_people=other_codes,
        )

    @staticmethod
    def concatenate(parts: Sequence[ComparisonScores]) -> ComparisonScores:
        """The scores of several probe sets together, a person of several sets being one person.

        Args:
            parts: At least one; the ids of all must be integers or those of all texts.

        Raises:
            EmptySetError: If there are no parts.
            DtypeError: If some ids are integers and some are texts.

        Example:
            >>> one = ComparisonScores.from_subjects(
            ...     [0.9], [0.1], mated_subjects=[7], non_mated_subjects=[7]
            ... )
            >>> ComparisonScores.concatenate([one, one]).mated.tolist()
            [0.9, 0.9]
        """
        if not parts:
            raise EmptySetError("parts is empty: expected at least one set of scores.")
        people, codes = code_labels(
            *(part.people for part in parts), names=tuple(f"part {i}" for i in range(len(parts)))
        )
        pairs = list(zip(codes, parts, strict=True))
        return ComparisonScores(
            people=people,
            mated=np.concatenate([part.mated for part in parts]),
            mated_people=np.concatenate([code[part.mated_people] for code, part in pairs]),
            non_mated=np.concatenate([part.non_mated for part in parts]),
            non_mated_people=np.concatenate([code[part.non_mated_people] for code, part in pairs]),
        )

    def check_paired(self, other: ComparisonScores) -> None:
        """Refuses scores of another experiment: same people, same number of comparisons of each.

        Raises:
            MismatchError: If the people or their numbers of comparisons differ.
        """
        if not np.array_equal(self.people, other.people):
            raise MismatchError(
                f"scores: a paired comparison needs the same probe people on both sides, got "
                f"{self.num_people} and {other.num_people} people, not all the same. "
                f"Run both fusers on the same probe sets."
            )
        for name in ("mated_people", "non_mated_people"):
            mine = np.bincount(getattr(self, name), minlength=self.num_people)
            theirs = np.bincount(getattr(other, name), minlength=self.num_people)
            unequal = np.flatnonzero(mine != theirs)
            if len(unequal):
                first = unequal[0]
                raise MismatchError(
                    f"scores: a paired comparison needs the same comparisons on both sides, got "
                    f"{mine[first]} and {theirs[first]} {name.removesuffix('_people')} ones of "
                    f"person {self.people[first]}. Score a probe that failed as -inf, do not drop it."
                )


def split_by_subject(
    similarities: npt.ArrayLike, probe_subjects: npt.ArrayLike, gallery_subjects: npt.ArrayLike
) -> ComparisonScores:
    """Takes a matrix of similarities apart into mated and non-mated comparisons.

    Memory: beside the matrix one byte a comparison for the mask and 12 or 16 for the results.

    Args:
        similarities: (P, G), higher is more alike; -inf for a comparison that could not be made.
        probe_subjects: (P,) integers or texts.
        gallery_subjects: (G,) integers or texts. Several entries of one person are several
            comparisons.

    Returns:
        Every comparison once, in the order of the rows.

    Raises:
        EmptySetError: If there is no mated or no non-mated comparison, or the matrix is empty.
        ShapeError, DtypeError, NonFiniteError: If an array is not as described.

    Example:
        >>> scores = split_by_subject([[0.9, 0.2], [0.3, 0.8]], ["ann", "bob"], ["ann", "bob"])
        >>> scores.mated.tolist(), scores.non_mated.tolist(), scores.non_mated_people.tolist()
        ([0.9, 0.8], [0.2, 0.3], [0, 1])
    """
    matrix = check_scores(similarities, name="similarities", num_axes=2)
    names = ("probe_subjects", "gallery_subjects")
    probes = check_labels(probe_subjects, matrix.shape[0], name=names[0])
    gallery = check_labels(gallery_subjects, matrix.shape[1], name=names[1])
    _, (probe_codes, gallery_codes) = code_labels(probes, gallery, names=names)
    is_mated = probe_codes[:, None] == gallery_codes[None, :]
    people, positions = np.unique(probes, return_inverse=True)
    per_row = is_mated.sum(axis=1)
    return ComparisonScores(
        people=people,
        mated=matrix[is_mated],
        mated_people=np.repeat(positions, per_row),
        non_mated=matrix[~is_mated],
        non_mated_people=np.repeat(positions, matrix.shape[1] - per_row),
    )


def largest_scores(blocks: Iterable[npt.ArrayLike], num: int) -> Scores:
    """The `num` largest of scores that arrive in blocks, exactly and in bounded memory.

    With them `tar_at_far(..., num_non_mated=...)` is exact on more comparisons than fit in memory.
    Memory: `num` plus the largest block, three times.

    Args:
        blocks: Arrays of any shape, at least one value in all; empty blocks are passed over.
        num: How many to keep, at least 1.

    Returns:
        (min(num, all),) in no particular order; ties at the edge are kept up to `num`.

    Raises:
        EmptySetError: If no block holds a value.
        InvalidInputError: If `num` is below 1.
        DtypeError, NonFiniteError: If a block does not hold scores.

    Example:
        >>> sorted(largest_scores([[0.1, 0.5], [0.4], [0.2, 0.3]], 2).tolist())
        [0.4, 0.5]
    """
    num = check_count(num, name="num", minimum=1)
    kept: Scores | None = None
    for position, block in enumerate(blocks):
        try:
            array = np.asarray(block)
        except ValueError as error:
            raise ShapeError(f"block {position}: rows of different lengths.") from error
        if array.size == 0:
            continue
        new = check_scores(array.reshape(-1), name=f"block {position}")
        kept = new if kept is None else np.concatenate(same_precision(kept, new))
        if len(kept) > num:
            kept = np.partition(kept, len(kept) - num)[-num:].copy()
    if kept is None:
        raise EmptySetError("blocks hold no value: expected at least one score.")
    return kept
