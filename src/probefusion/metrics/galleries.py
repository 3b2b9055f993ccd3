"""Means over galleries that were searched apart, such as G1 and G2 of IJB-C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probefusion.checks import read_only
from probefusion.errors import EmptySetError, MismatchError
from probefusion.metrics.identification import Cmc, TpirAtFpir
from probefusion.metrics.validation import Counts, Floats, Rule

__all__ = ["MeanCmc", "MeanTpirAtFpir", "mean_cmc_over_galleries", "mean_tpir_over_galleries"]


@dataclass(frozen=True, kw_only=True)
class MeanTpirAtFpir:
    """The mean of `TpirAtFpir` over galleries that were searched apart.

    Args:
        target: The FPIR asked for in each gallery.
        resolved: Whether it is resolved in every gallery.
        tpir: Unweighted mean of the galleries' values; NaN if one is NaN.
        tpirs: The values, in the order of the galleries.
        rank: Longest list of candidates that counts.
        rule: How the thresholds were chosen.
    """

    target: float
    resolved: bool
    tpir: float
    tpirs: tuple[float, ...]
    rank: int
    rule: Rule


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanCmc:
    """The mean of `Cmc` over galleries that were searched apart.

    Args:
        ranks: (K,) int64.
        rates: (K,) float64, unweighted mean of the galleries' rates.
        per_gallery: The curves, in the order of the galleries.
    """

    ranks: Counts
    rates: Floats
    per_gallery: tuple[Cmc, ...]


def mean_tpir_over_galleries(
    per_gallery: Sequence[Sequence[TpirAtFpir]],
) -> tuple[MeanTpirAtFpir, ...]:
    """The mean of TPIR over galleries searched apart, such as G1 and G2 of IJB-C.

    Each gallery has its own threshold and its own non-mated searches, and all count alike. Numbers
    of a search of the united gallery are not comparable with it.

    Args:
        per_gallery: For each gallery the results of `tpir_at_fpir`, with the same targets, rank and
            rule.

    Returns:
        One mean for each target.

    Raises:
        EmptySetError: If there are no galleries.
        MismatchError: If targets, ranks or rules differ.

    Example:
        >>> from probefusion.metrics import tpir_at_fpir
        >>> one = tpir_at_fpir([[0.9], [0.5]], [1, 9], [1], 1.0)
        >>> two = tpir_at_fpir([[0.9, 0.95], [0.5, 0.1]], [1, 9], [1, 2], 1.0)
        >>> mean_tpir_over_galleries([one, two])[0].tpir
        0.5
    """
    if not per_gallery:
        raise EmptySetError("per_gallery is empty: expected the results of at least one gallery.")
    settings = [[(p.target, p.rank, p.rule) for p in points] for points in per_gallery]
    if any(setting != settings[0] for setting in settings):
        raise MismatchError(
            f"per_gallery: expected the same (target, rank, rule) in every gallery, got {settings}."
        )
    return tuple(
        MeanTpirAtFpir(
            target=points[0].target,
            resolved=all(point.resolved for point in points),
            tpir=sum(point.tpir for point in points) / len(points),
            tpirs=tuple(point.tpir for point in points),
            rank=points[0].rank,
            rule=points[0].rule,
        )
        for points in zip(*per_gallery, strict=True)
    )


def mean_cmc_over_galleries(per_gallery: Sequence[Cmc]) -> MeanCmc:
    """The mean of the identification rates over galleries searched apart; all count alike.

    Args:
        per_gallery: One curve for each gallery, with the same ranks.

    Returns:
        The mean and the curves.

    Raises:
        EmptySetError: If there are no galleries.
        MismatchError: If the ranks differ.

    Example:
        >>> from probefusion.metrics import cmc
        >>> one = cmc([[0.9, 0.1]], [1], [1, 2], ranks=[1])
        >>> two = cmc([[0.1, 0.9]], [1], [1, 2], ranks=[1])
        >>> mean_cmc_over_galleries([one, two]).rates.tolist()
        [0.5]
    """
    if not per_gallery:
        raise EmptySetError("per_gallery is empty: expected the curve of at least one gallery.")
    ranks = per_gallery[0].ranks
    if any(not np.array_equal(curve.ranks, ranks) for curve in per_gallery):
        raise MismatchError(
            f"per_gallery: expected the same ranks in every gallery, got "
            f"{[curve.ranks.tolist() for curve in per_gallery]}."
        )
    rates = np.mean([curve.rates for curve in per_gallery], axis=0)
    return MeanCmc(ranks=ranks, rates=read_only(rates), per_gallery=tuple(per_gallery))
