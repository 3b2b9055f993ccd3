from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probefusion.errors import InvalidInputError, ShapeError
from probefusion.metrics import accuracy_over_folds


def plain(scores, mated, folds):
    """Every threshold tried on every pair."""
    found = []
    for fold in sorted(set(folds)):
        train = [(s, m) for s, m, f in zip(scores, mated, folds, strict=True) if f != fold]
        test = [(s, m) for s, m, f in zip(scores, mated, folds, strict=True) if f == fold]
        best, most = None, -1
        for threshold in sorted({s for s, _ in train}):
            right = sum((s >= threshold) == m for s, m in train)
            if right > most:
                best, most = threshold, right
        found.append(sum((s >= best) == m for s, m in test) / len(test))
    return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(4, 40), ties=st.booleans())
def test_agrees_with_trying_everything(seed, count, ties) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, count) / 4.0 if ties else rng.standard_normal(count)
    mated = rng.random(count) < 0.5
    folds = np.arange(count) % 3
    found = accuracy_over_folds(scores, mated, folds)
    expected = plain(scores.tolist(), mated.tolist(), folds.tolist())
    assert found.accuracies == pytest.approx(expected)
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.standard_error == pytest.approx(np.std(expected, ddof=1) / np.sqrt(3))


def test_refusals() -> None:
    with pytest.raises(InvalidInputError, match="two folds"):
        accuracy_over_folds([0.1, 0.2], [True, False], [1, 1])
    with pytest.raises(ShapeError):
        accuracy_over_folds([0.1, 0.2], [True], [1, 2])
