"""1:N identification: cumulative match characteristic, and TPIR at a false positive rate.

Rates count searches, in the words of ISO/IEC 19795-1: TPIR is the share of searches by enrolled
people that return the right person, FPIR the share of searches by people who are not enrolled that
return anybody. FNIR = 1 - TPIR.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import DtypeError, EmptySetError, InvalidInputError
from probefusion.metrics.searches import SearchOutcomes, search_outcomes
from probefusion.metrics.thresholds import next_above, thresholds_at_far
from probefusion.metrics.validation import (
    Counts,
    Floats,
    Rule,
    Scores,
    check_rates,
    check_rule,
    error_budget,
)

__all__ = [
    "Cmc",
    "TpirAtFpir",
    "cmc",
    "cmc_of_searches",
    "tpir_at_fpir",
    "tpir_of_searches",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cmc:
    """Cumulative match characteristic: the identification rate at each rank.

    Args:
        ranks: (K,) int64, as asked for.
        rates: (K,) float64, share of mated searches with the true subject within that rank.
        num_hits: (K,) int64.
        num_mated: Number of mated searches, which alone are counted.
        num_non_mated: Number of searches whose subject is not in the gallery, left out.
        num_gallery_subjects: How many subjects are enrolled.
    """

    ranks: Counts
    rates: Floats
    num_hits: Counts
    num_mated: int
    num_non_mated: int
    num_gallery_subjects: int


@dataclass(frozen=True, kw_only=True)
class TpirAtFpir:
    """The true positive identification rate at one target false positive identification rate.

    Args:
        target: The FPIR asked for.
        resolved: Whether the target is at least 1 / `num_non_mated`.
        tpir: Share of mated searches with the true subject within `rank` and its similarity >=
            `threshold`; NaN if not resolved (rule "budget").
        fpir: Share of non-mated searches with a similarity >= `threshold`; NaN as above.
        threshold: NaN if not resolved (rule "budget").
        rank: Longest list of candidates that counts.
        num_hits: Mated searches that count, or None.
        num_false_positives: Non-mated searches that return somebody, or None.
        budget: floor(target * num_non_mated).
        num_mated: Number of mated searches.
        num_non_mated: Number of non-mated searches.
        rule: How the threshold was chosen.
    """

    target: float
    resolved: bool
    tpir: float
    fpir: float
    threshold: float
    rank: int
    num_hits: int | None
    num_false_positives: int | None
    budget: int
    num_mated: int
    num_non_mated: int
    rule: Rule


def cmc(
    similarities: npt.ArrayLike,
    probe_subjects: npt.ArrayLike,
    gallery_subjects: npt.ArrayLike,
    ranks: Sequence[int] = (1, 5, 10, 20),
) -> Cmc:
    """The closed-set identification rate at given ranks.

    The similarity of a probe to a subject is the largest to any of the subject's templates; the rank
    is the place among subjects. Ties count against us: rank = 1 + the number of other subjects whose
    similarity is equal or larger.

    Searches of people who are not in the gallery are left out and counted in `num_non_mated`.

    Args:
        similarities: (P, G), higher is more alike; -inf for a comparison that could not be made. A
            probe all of whose comparisons with its own subject failed is found at no rank.
        probe_subjects: (P,) integers or texts.
        gallery_subjects: (G,) integers or texts; a subject may have several templates.
        ranks: Ranks, from 1; above the number of enrolled subjects nothing is added.

    Returns:
        The rates with their counts.

    Raises:
        EmptySetError: If there are no probes, no gallery, no ranks or no mated searches.
        ShapeError, DtypeError, NonFiniteError: If an array is not as described.
        InvalidInputError: If a rank is below 1.

    Example:
        >>> similarities = [[0.9, 0.2, 0.1], [0.8, 0.3, 0.1], [0.4, 0.5, 0.4]]
        >>> curve = cmc(similarities, [1, 2, 3], [1, 2, 3], ranks=(1, 2, 3))
        >>> curve.rates.round(3).tolist()
        [0.333, 0.667, 1.0]
    """
    return cmc_of_searches(search_outcomes(similarities, probe_subjects, gallery_subjects), ranks)


def cmc_of_searches(searches: SearchOutcomes, ranks: Sequence[int] = (1, 5, 10, 20)) -> Cmc:
    """`cmc` of searches made before.

    Args:
        searches: Of one gallery.
        ranks: Ranks, from 1.

    Returns:
        The rates with their counts.

    Raises:
        EmptySetError: If there are no ranks or no mated searches.
        InvalidInputError: If a rank is below 1.

    Example:
        >>> searches = search_outcomes([[0.9, 0.2], [0.8, 0.3]], [1, 2], [1, 2])
        >>> cmc_of_searches(searches, ranks=[1, 2]).rates.tolist()
        [0.5, 1.0]
    """
    wanted = _check_ranks(ranks)
    _check_mated(searches)
    found = np.sort(searches.ranks[searches.ranks > 0])
    hits = np.searchsorted(found, wanted, side="right").astype(np.int64)
    return Cmc(
        ranks=read_only(wanted),
        rates=read_only(hits / searches.num_mated),
        num_hits=read_only(hits),
        num_mated=searches.num_mated,
        num_non_mated=searches.num_non_mated,
        num_gallery_subjects=searches.num_gallery_subjects,
    )


def _check_ranks(ranks: Sequence[int]) -> Counts:
    array = np.asarray(ranks)
    if array.size == 0:
        raise EmptySetError("ranks is empty: expected at least one rank, such as 1.")
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise DtypeError(f"ranks: expected a list of integers, got {ranks!r}.")
    if array.min() < 1:
        raise InvalidInputError(f"ranks: expected ranks from 1, got {array.min()}.")
    return array.astype(np.int64)


def _check_mated(searches: SearchOutcomes) -> None:
    if searches.num_mated == 0:
        raise EmptySetError(
            f"searches: expected mated ones, but none of {len(searches)} probes has its subject in "
            f"the gallery. Check that both sides use the same subject ids."
        )


def tpir_at_fpir(
    similarities: npt.ArrayLike,
    probe_subjects: npt.ArrayLike,
    gallery_subjects: npt.ArrayLike,
    targets: float | Iterable[float],
    *,
    rank: int = 1,
    rule: Rule = "budget",
) -> tuple[TpirAtFpir, ...]:
    """The open-set identification rate at given false positive identification rates.

    Non-mated searches are those of probes whose subject is not in the gallery; such a search is a
    false positive if its top similarity is >= the threshold. A mated search counts if the true
    subject is within `rank` (ties against us, see `cmc`) and its similarity is >= the threshold.

    Rule "budget" (default): the lowest threshold with at most floor(FPIR * n_non_mated) false
    positives, equal similarities treated alike. A target below 1 / n_non_mated is marked
    `resolved=False` and has no value (NaN).

    Rule "upstream_compat": the floor(FPIR * n_non_mated)-th largest top similarity of non-mated
    searches (the largest, if that is 0), which must be *exceeded*; as the newer InsightFace
    evaluation scripts do it. `threshold` is the next number above it, so that >= holds here too.

    Args:
        similarities: (P, G), higher is more alike; -inf for a comparison that could not be made.
        probe_subjects: (P,) integers or texts.
        gallery_subjects: (G,) integers or texts; a subject may have several templates.
        targets: FPIRs in (0, 1], one or several.
        rank: Longest list of candidates that counts.
        rule: "budget" or "upstream_compat".

    Returns:
        One result for each target, in their order.

    Raises:
        EmptySetError: If there are no mated searches, no non-mated searches or no targets.
        ShapeError, DtypeError, NonFiniteError: If an array is not as described.
        InvalidInputError: If a target is not in (0, 1] or the rank is below 1.
        UnknownNameError: If there is no such rule.

    Example:
        >>> similarities = [[0.9, 0.2], [0.1, 0.4], [0.5, 0.3], [0.2, 0.3]]
        >>> point, = tpir_at_fpir(similarities, ["ann", "bob", "zoe", "yan"], ["ann", "bob"], 0.5)
        >>> point.tpir, point.fpir, 0.3 < point.threshold < 0.31
        (1.0, 0.5, True)
    """
    searches = search_outcomes(similarities, probe_subjects, gallery_subjects)
    return tpir_of_searches(searches, targets, rank=rank, rule=rule)


def tpir_of_searches(
    searches: SearchOutcomes,
    targets: float | Iterable[float],
    *,
    rank: int = 1,
    rule: Rule = "budget",
) -> tuple[TpirAtFpir, ...]:
    """`tpir_at_fpir` of searches made before.

    Args:
        searches: Of one gallery.
        targets: FPIRs in (0, 1], one or several.
        rank: Longest list of candidates that counts.
        rule: "budget" or "upstream_compat".

    Returns:
        One result for each target, in their order.

    Raises:
        EmptySetError: If there are no mated searches, no non-mated searches or no targets.
        InvalidInputError: If a target is not in (0, 1] or the rank is below 1.
        UnknownNameError: If there is no such rule.

    Example:
        >>> searches = search_outcomes([[0.9], [0.5], [0.4]], [1, 8, 9], [1])
        >>> tpir_of_searches(searches, 0.5)[0].tpir
        1.0
    """
    check_rule(rule)
    rates = check_rates(targets, name="targets")
    _check_mated(searches)
    scores = searches.as_comparison_scores(rank=rank)
    mated, non_mated = scores.mated, scores.non_mated
    points = []
    for target, budget, threshold in _thresholds(non_mated, rates, rule):
        hits = false_positives = None
        if threshold is not None:
            hits = int(np.count_nonzero(mated >= threshold))
            false_positives = int(np.count_nonzero(non_mated >= threshold))
        points.append(
            TpirAtFpir(
                target=target,
                resolved=budget > 0,
                tpir=float("nan") if hits is None else hits / len(mated),
                fpir=float("nan") if false_positives is None else false_positives / len(non_mated),
                threshold=float("nan") if threshold is None else float(threshold),
                rank=rank,
                num_hits=hits,
                num_false_positives=false_positives,
                budget=budget,
                num_mated=len(mated),
                num_non_mated=len(non_mated),
                rule=rule,
            )
        )
    return tuple(points)


def _thresholds(
    tops: Scores, rates: tuple[float, ...], rule: Rule
) -> list[tuple[float, int, np.floating | None]]:
    """Target, budget and threshold for each rate, the threshold in the precision of the scores."""
    number = tops.dtype.type
    if rule == "budget":
        return [
            (found.target, found.budget, number(found.threshold) if found.resolved else None)
            for found in thresholds_at_far(tops, rates)
        ]
    descending = np.sort(tops)[::-1]
    found: list[tuple[float, int, np.floating | None]] = []
    for rate in rates:
        # Plain truncation of the floating product, as in the scripts this rule stands for.
        exceeded = descending[max(int(len(tops) * rate) - 1, 0)]
        found.append((rate, error_budget(rate, len(tops)), next_above(exceeded)))
    return found
