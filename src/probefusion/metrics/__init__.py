"""Verification and identification metrics, their intervals and comparisons: arrays in, results out.

Higher similarity is more alike, and a comparison is accepted when similarity >= threshold. Rates are
fractions. Ties are never broken in our favour. -inf marks a comparison that could not be made.
"""

from __future__ import annotations

from probefusion.metrics.comparison import (
    PairedDifference,
    average_differences,
    compare_means_over_people,
    compare_over_people,
)
from probefusion.metrics.curves import DetCurve, EqualErrorRate, RocCurve, det, eer, roc
from probefusion.metrics.differentials import (
    LEAST_PEOPLE,
    Differential,
    DifferentialErrors,
    ErrorRate,
    GroupedComparisons,
    ValueErrors,
)
from probefusion.metrics.discard import ErrorVersusDiscard, error_versus_discard
from probefusion.metrics.folds import FoldAccuracy, accuracy_over_folds
from probefusion.metrics.galleries import (
    MeanCmc,
    MeanTpirAtFpir,
    mean_cmc_over_galleries,
    mean_tpir_over_galleries,
)
from probefusion.metrics.hypotheses import (
    HolmCorrection,
    NonInferiority,
    holm,
    non_inferiority,
)
from probefusion.metrics.identification import (
    Cmc,
    TpirAtFpir,
    cmc,
    cmc_of_searches,
    tpir_at_fpir,
    tpir_of_searches,
)
from probefusion.metrics.intervals import (
    BootstrapInterval,
    ProportionInterval,
    bootstrap_mean_over_people,
    bootstrap_over_people,
    wilson_interval,
)
from probefusion.metrics.scores import ComparisonScores, largest_scores, split_by_subject
from probefusion.metrics.searches import SearchOutcomes, search_outcomes, search_templates
from probefusion.metrics.similarities import compare_all, iter_similarities, pair_similarities
from probefusion.metrics.thresholds import FarThreshold, thresholds_at_far
from probefusion.metrics.validation import Rule, error_budget
from probefusion.metrics.value_errors import differential_errors
from probefusion.metrics.verification import (
    TarAtFar,
    VerificationRates,
    tar_at_far,
    verification_rates,
)

__all__ = [
    "LEAST_PEOPLE",
    "BootstrapInterval",
    "Cmc",
    "ComparisonScores",
    "DetCurve",
    "Differential",
    "DifferentialErrors",
    "EqualErrorRate",
    "ErrorRate",
    "ErrorVersusDiscard",
    "FarThreshold",
    "FoldAccuracy",
    "GroupedComparisons",
    "HolmCorrection",
    "MeanCmc",
    "MeanTpirAtFpir",
    "NonInferiority",
    "PairedDifference",
    "ProportionInterval",
    "RocCurve",
    "Rule",
    "SearchOutcomes",
    "TarAtFar",
    "TpirAtFpir",
    "ValueErrors",
    "VerificationRates",
    "accuracy_over_folds",
    "average_differences",
    "bootstrap_mean_over_people",
    "bootstrap_over_people",
    "cmc",
    "cmc_of_searches",
    "compare_all",
    "compare_means_over_people",
    "compare_over_people",
    "det",
    "differential_errors",
    "eer",
    "error_budget",
    "error_versus_discard",
    "holm",
    "iter_similarities",
    "largest_scores",
    "mean_cmc_over_galleries",
    "mean_tpir_over_galleries",
    "non_inferiority",
    "pair_similarities",
    "roc",
    "search_outcomes",
    "search_templates",
    "split_by_subject",
    "tar_at_far",
    "thresholds_at_far",
    "tpir_at_fpir",
    "tpir_of_searches",
    "verification_rates",
    "wilson_interval",
]
