"""Scores to draw, and plain references that look at all scores for each threshold."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from probefusion.metrics import ComparisonScores

RATES = (0.001, 0.05, 0.1, 0.29, 1 / 3, 0.5, 0.7, 1.0)

tied = st.integers(-3, 3).map(lambda step: step / 4)
spread = st.floats(-1, 1, width=32)
failed = st.just(-math.inf)
precisions = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def score_arrays(draw, failures=True, min_size=1, max_size=25):
    """Many ties, no ties, or both; float32 or float64; some failed comparisons."""
    values = draw(st.sampled_from([tied, spread, tied | spread]))
    if failures and draw(st.booleans()):
        values = values | failed
    listed = draw(st.lists(values, min_size=min_size, max_size=max_size))
    return np.array(listed, dtype=draw(precisions))


@st.composite
def searches(draw, failures=True):
    """Similarities (P, G) with probe and gallery subjects, several templates of a subject."""
    probes = draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    gallery = draw(st.lists(st.integers(0, 4), min_size=1, max_size=8))
    values = tied | failed if failures else tied
    size = len(probes) * len(gallery)
    flat = draw(st.lists(values, min_size=size, max_size=size))
    return np.array(flat).reshape(len(probes), len(gallery)), np.array(probes), np.array(gallery)


@st.composite
def people_scores(draw):
    """Scores of up to five people, each with at least one mated and one non-mated score."""
    num_people = draw(st.integers(2, 5))
    everyone = list(range(num_people))
    columns = []
    for _ in range(2):
        more = draw(st.lists(st.sampled_from(everyone), max_size=20))
        people = everyone + more
        values = draw(st.lists(tied | failed, min_size=len(people), max_size=len(people)))
        columns.append((values, people))
    (mated, mated_people), (non_mated, non_mated_people) = columns
    return ComparisonScores.from_subjects(
        mated, non_mated, mated_subjects=mated_people, non_mated_subjects=non_mated_people
    )


# --- plain references


def reference_budget(rate, count):
    # 1/3 cannot be written as a decimal; everything else means the decimal it prints as.
    exact = Fraction(1, 3) if rate == 1 / 3 else Fraction(str(rate))
    return math.floor(exact * count)


def count_at_or_above(scores, threshold):
    return sum(1 for score in scores if score >= threshold)


def reference_best(mated, non_mated, budget):
    """(true accepts, false accepts) at the most lenient finite score that keeps the budget."""
    mated, non_mated = list(map(float, mated)), list(map(float, non_mated))
    best = (0, 0)
    for threshold in {score for score in mated + non_mated if score > -math.inf}:
        false_accepts = count_at_or_above(non_mated, threshold)
        if false_accepts <= budget:
            best = max(best, (count_at_or_above(mated, threshold), false_accepts))
    return best


def reference_points(mated, non_mated):
    """[(threshold, false accepts, true accepts)] from +inf downward."""
    mated, non_mated = list(map(float, mated)), list(map(float, non_mated))
    finite = sorted({s for s in mated + non_mated if s > -math.inf}, reverse=True)
    return [
        (t, count_at_or_above(non_mated, t), count_at_or_above(mated, t))
        for t in [math.inf, *finite]
    ]


def reference_search(row, subject, gallery):
    """(rank or 0, similarity to the own subject or None, top similarity) of one probe."""
    best = {}
    for similarity, other in zip(row.tolist(), gallery.tolist(), strict=True):
        best[other] = max(best.get(other, -math.inf), similarity)
    top = max(best.values())
    if subject not in best:
        return 0, None, top
    own = best[subject]
    if own == -math.inf:
        return 0, own, top
    return 1 + sum(1 for o, s in best.items() if o != subject and s >= own), own, top
